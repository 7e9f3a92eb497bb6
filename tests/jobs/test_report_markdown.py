"""Markdown summaries: what values say is text, whatever they are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from told_lake import DAY, REASONS, ToldLake, run_id, told_lake

from isopach.jobs.report_markdown import LONGEST, _table, run_markdown, text, trends_markdown

SIGNS = "|\\`*_<>[]()&#~!$\n\r\t -+=:.'\"x1"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> ToldLake:
    return told_lake(tmp_path_factory.mktemp("told"))


def cells(markdown: str) -> list[list[str]]:
    """Return the text of each row of a table, as a reader of Markdown understands it."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    assert {token.type for token in tokens if token.level == 0} == {"table_open", "table_close"}
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            parts = token.children or []
            assert {part.type for part in parts} <= {"text", "text_special"}
            rows[-1].append("".join(part.content for part in parts))
    return rows


@given(st.lists(st.text(st.sampled_from(SIGNS) | st.characters(), max_size=20), min_size=2))
@example(["a|b", "c\nd"])
@example(["\\", "|"])
@example(["<script>alert(1)</script>", "&lt;[a](http://b)"])
@example(["| --- |", "`a` ~~b~~ **c** ![d](e)"])
def test_values_stay_in_their_cells(values: list[str]) -> None:
    heads = [f"h{n}" for n in range(len(values))]
    shown = cells(_table(heads, [values, ["end"] * len(values)]))
    expected = [
        " ".join(value.split()).replace("\0", "\N{REPLACEMENT CHARACTER}") for value in values
    ]
    assert shown == [heads, expected, ["end"] * len(values)]


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, ""), (1234, "1,234"), ("a\n b", "a b"), ("x" * 400, "x" * LONGEST + "…")],
)
def test_text(value: object, said: str) -> None:
    assert text(value) == said


def test_the_summary_of_a_run(told: ToldLake) -> None:
    said = run_markdown(told.report())
    assert said.startswith("## ⚠️ visits 2026-03-08: Published, some held\n\n3 of 6 sites settled")
    titles = re.findall(r"^### (.*)$", said, re.MULTILINE)
    assert titles == ["Held or missing", "Failed gates", "Differences by cause"]
    assert "| rows read | 586 |" in said
    assert f"| boston | Boston | held | {REASONS['boston']} |" in said
    assert "| expect\\_column\\_values\\_to\\_be\\_between(minutes) | critical |" in said
    assert "| never\\_sent | missing | 10 | 2 |" in said


def test_the_summary_of_trends(told: ToldLake) -> None:
    said = trends_markdown(told.trends(30))
    assert "| 2026-03-08 | 3 | 2 | 1 |" in said
    assert "… and 5 more" in said
    assert "| never\\_sent | 10 |" in said


def test_nothing_of_note_makes_no_section(told: ToldLake) -> None:
    said = run_markdown(told.report(run_id(DAY - timedelta(2))))
    assert said.startswith("## ✅ visits 2026-03-06: Published\n")
    assert "###" not in said
