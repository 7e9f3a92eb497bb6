"""The page of a report in a real browser: alone, harmless, readable and accessible."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from told_lake import DAY, NIGHTS, SITES, told_lake

from isopach.jobs import report_page
from isopach.jobs.report_page import run_page, trends_page

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7 * 7 }}'
DESKTOP, PHONE, NARROW = (1280, 900), (390, 844), (360, 740)


def evil(text: str) -> str:
    return f"{text} {EVIL}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages: of a night as it should be, and with hostile text wherever text comes from outside."""
    folder = tmp_path_factory.mktemp("pages")
    plain, hostile = told_lake(folder / "plain"), told_lake(folder / "hostile", evil)
    reports = {
        "plain": run_page(plain.report()),
        "hostile": run_page(hostile.report()),
        "first": run_page(told_lake(folder / "first", first=NIGHTS).report(declared=False)),
        "trends": trends_page(hostile.trends(30)),
    }
    for name, text in reports.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


@contextmanager
def opened(
    browser: Browser,
    file: Path,
    size: tuple[int, int] = DESKTOP,
    scheme: Scheme = "light",
) -> Iterator[Page]:
    """Open a page; whatever it asks for beside itself, or says on the console, is an error."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    asked: list[str] = []
    said: list[str] = []
    try:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        yield page
        assert asked == [file.as_uri()]
        assert said == []
    finally:
        context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["plain", "hostile", "first", "trends"])
def test_a_page_is_accessible(
    browser: Browser,
    axe: str,
    pages: dict[str, Path],
    name: str,
    scheme: Scheme,
) -> None:
    with opened(browser, pages[name], scheme=scheme) as page:
        page.evaluate(axe)
        found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [
            (one["id"], [node["html"][:200] for node in one["nodes"]])
            for one in found["violations"]
        ]
        assert told == []
        assert len(found["passes"]) > 20


def test_hostile_text_is_shown_as_text(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["trends"]) as page:
        assert page.locator("script, img, iframe, object, embed, base, form").count() == 0
        assert evil("declared 120 rows, read 113 (-7)") in page.locator("body").inner_text()
    with opened(browser, pages["hostile"]) as page:
        assert page.locator("script, img, iframe, object, embed, base, form").count() == 0
        text = page.locator("body").inner_text()
        shown = {
            "site name": SITES["boston"][0],
            "region": "US East",
            "reason to hold": "declared 120 rows, read 113 (-7)",
            "unregistered site": "rome",
            "expectation": "expect_column_values_to_match_regex(note)",
            "observed": "3 of 560 rows",
            "key": "nyc-0",
            "evidence": "no event with this key was read",
            "columns": "fee",
            "reason of quarantine": "malformed",
            "undeclared column": "till",
            "landing zone": "/landing",
            "who": "ada@host",
            "file": "part-0000.jsonl",
        }
        missing = [what for what, said in shown.items() if evil(said) not in text]
        assert missing == []
        raw = json.dumps({"id": evil("nyc-1"), "fee": evil("x"), "note": "•••"}, ensure_ascii=False)
        assert raw in text
        handlers = page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(one => one.getAttributeNames())"
            ".filter(name => name.startsWith('on'))"
        )
        assert handlers == []


def test_values_of_sensitive_columns_are_masked(pages: dict[str, Path]) -> None:
    for name in ("plain", "first"):
        text = pages[name].read_text(encoding="utf-8")
        assert "secret" not in text
        assert "•••" in text


def test_a_page_names_nothing_elsewhere(pages: dict[str, Path]) -> None:
    text = pages["plain"].read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|iframe|img|object|embed)\b", text) == []
    links = set(re.findall(r'(?:href|src|action|data)="([^"]*)"', text))
    assert {link for link in links if not link.startswith("#")} == {"data:,"}
    assert not re.search(r"url\(|@import", text)
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", ["plain", "hostile", "trends"])
@pytest.mark.parametrize("size", [NARROW, PHONE, (768, 1024), DESKTOP])
def test_a_page_never_scrolls_sideways(
    browser: Browser,
    pages: dict[str, Path],
    name: str,
    size: tuple[int, int],
) -> None:
    with opened(browser, pages[name], size) as page:
        wide = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        assert max(wide) <= size[0]
        outside = page.evaluate(
            "[...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, .vh')"
            f" && one.getBoundingClientRect().right > {size[0]} + 1).map(one => one.outerHTML)"
        )
        assert outside == []


def test_of_very_many_sites_only_the_odd_ones_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_page, "MOST_CELLS", 3)
    text = run_page(told_lake(tmp_path, first=NIGHTS).report())
    assert text.count('<li class="cell ') == 5
    assert "<b>troy</b>" not in text
    assert "<b>boston</b>" in text
    assert "and 1 more" in text


def test_states_are_told_by_words(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["plain"]) as page:
        cells = dict(
            text.strip().lstrip("✓!✕○…").split(", ")
            for text in page.locator(".cell").all_text_contents()
        )
        assert cells == {
            "boston": "held",
            "pokhara": "missing",
            "nyc": "warned",
            "troy": "settled",
            "kathmandu": "settled",
            "pago": "not due yet",
            "rome": "held",
        }


def test_a_page_is_well_formed(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["plain"]) as page:
        assert page.locator("h1").count() == 1
        assert f"{DAY:%A}, {DAY.day} {DAY:%B %Y}" in page.locator("h1").inner_text()
        assert page.locator("main").count() == page.locator("header").count() == 1
        bare = "[...document.querySelectorAll('th')].filter(one => !one.scope).length"
        assert page.evaluate(bare) == 0
        targets = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.hash))"
        assert page.evaluate(f"{targets}.length") == 0
        charts = page.locator("figure svg[role=img][aria-label]")
        assert charts.count() == page.locator("figure").count() == 4
        assert page.locator("figure table").count() == 4
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_charts_follow_the_colour_scheme(
    browser: Browser,
    pages: dict[str, Path],
    scheme: Scheme,
) -> None:
    with opened(browser, pages["plain"], scheme=scheme) as page:
        colour = "getComputedStyle(document.querySelector('figure svg text')).fill"
        ink = "getComputedStyle(document.body).color"
        assert page.evaluate(colour) == page.evaluate(ink)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
def test_screenshots(
    browser: Browser,
    pages: dict[str, Path],
    tmp_path: Path,
    name: str,
    size: tuple[int, int],
    scheme: Scheme,
) -> None:
    with opened(browser, pages["plain"], size, scheme) as page:
        picture = tmp_path / f"{name}-{scheme}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000
        page.emulate_media(media="print")
        assert page.locator("nav.toc").is_hidden()
