from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from declaring import FEED, changed, faults, load, write

from isopach.feeds.errors import DeclarationError
from isopach.feeds.feed import Feed
from isopach.feeds.load import find_feed, load_declaration, load_feed

DECLARED = "id, store, at, day, sku, count, price, paid"
TYPES = (
    "string, boolean, int32, int64, float64, date, timestamp, "
    "decimal(precision,scale) with scale <= precision <= 38"
)
FIELDS = (
    "feed, columns, derive, lookups, hook, sites, site, key, event_time, business_date, "
    "extra_columns, suite, counts_suite, gate, quarantine, totals, lateness, reconcile, "
    "salting, cadence"
)


@pytest.mark.parametrize("name", ["sales", "flights"])
def test_shipped_feeds_load(name: str) -> None:
    declaration = load_declaration(name)
    assert declaration.feed.feed == name
    assert declaration.path.name == f"{name}.yaml"
    assert set(declaration.feed.columns) <= set(declaration.feed.payload.names)


def test_feed_is_found_by_path_and_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds").mkdir()
    path = write(tmp_path / "feeds")
    monkeypatch.chdir(tmp_path)
    assert find_feed("till") == Path("feeds/till.yaml")
    assert load_declaration("till").path.samefile(path)


def test_unknown_feed_names_those_there_are() -> None:
    with pytest.raises(DeclarationError, match=r"nope: no such feed: .* one of flights, sales"):
        load_declaration("nope")


def test_defaults() -> None:
    feed = Feed.model_validate(
        {
            "feed": "f",
            "columns": {
                "k": {"type": "string", "required": True},
                "t": {"type": "timestamp", "required": True},
                "x": "float64",
            },
            "site": "k",
            "key": ["k"],
            "event_time": "t",
        }
    )
    assert feed.lateness.allowed.days == 2
    assert feed.salting.target_rows == 500_000
    assert feed.extra_columns == "ignore"
    assert feed.columns["x"].type == "float64"


def test_loaded_feed_cannot_be_changed(tmp_path: Path) -> None:
    feed = load(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        feed.site = "sku"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "      total: sum",
            "      totla: sum",
            [
                "till.yaml:21: totals.by_sku.measures.totla: 'totla' is not a column; "
                f"columns: {DECLARED}, total"
            ],
        ),
        (
            "by: [sku]",
            "by: [sku, shop]",
            [f"till.yaml:18: totals.by_sku.by: 'shop' is not a column; columns: {DECLARED}, total"],
        ),
        (
            "key: [id]",
            "key: [store, ticket]",
            [f"till.yaml:14: key: 'ticket' is not a column; columns: {DECLARED}"],
        ),
        ("key: [id]", "key: []", ["till.yaml:14: key: []: must not be empty"]),
        ("key: [id]", "key: id", ["till.yaml:14: key: 'id': must be a list, as in [a, b]"]),
        ("key: [id]", "key: [id, id]", ["till.yaml:14: key: 'id' is named twice"]),
        (
            "key: [id]",
            "key: [count]",
            ["till.yaml:14: key: column 'count' must be `required: true`"],
        ),
        (
            "at:    {type: timestamp,",
            "at:    {type: timestamp, zone: Europe/Berlinn,",
            [
                "till.yaml:5: columns.at.zone: 'Europe/Berlinn' is not an IANA time zone; "
                "did you mean Europe/Berlin or Europe/Tallinn or Europe/Helsinki?"
            ],
        ),
        (
            "sku:   {type: string,",
            "sku:   {type: string, zone: site,",
            ["till.yaml:7: columns.sku: zone is for columns of type timestamp, not string"],
        ),
        (
            "site: store",
            "site: store\ncolour: red",
            [f"till.yaml:14: colour: not a field that is known here; allowed: {FIELDS}"],
        ),
        (
            "{type: boolean}",
            "{type: boolean, requird: true}",
            [
                "till.yaml:10: columns.paid.requird: not a field that is known here; "
                "allowed: type, required, sensitive, zone"
            ],
        ),
        (
            "key: [id]",
            "key: [id]\nlateness: {late: 1h}",
            [
                "till.yaml:15: lateness.late: not a field that is known here; "
                "allowed: out_of_order, allowed"
            ],
        ),
        (
            "    by: [sku]",
            "    by: [sku]\n    per: day",
            [
                "till.yaml:19: totals.by_sku.per: not a field that is known here; "
                "allowed: by, measures"
            ],
        ),
        (
            "{type: int32}",
            "{type: integer}",
            [f"till.yaml:8: columns.count.type: 'integer' is not a column type; allowed: {TYPES}"],
        ),
        (
            "{type: int32}",
            "integer",
            [f"till.yaml:8: columns.count.type: 'integer' is not a column type; allowed: {TYPES}"],
        ),
        (
            "decimal(10,2)",
            "decimal(10,12)",
            [
                "till.yaml:9: columns.price.type: 'decimal(10,12)' is not a column type; "
                f"allowed: {TYPES}"
            ],
        ),
        ("{type: int32}", "{}", ["till.yaml:8: columns.count.type: must be given"]),
        (
            "{type: int32}",
            "",
            ["till.yaml:8: columns.count: nothing: must be a mapping, as in {name: value}"],
        ),
        (
            "{type: int32}",
            "{type: int32, required: maybe}",
            [
                "till.yaml:8: columns.count.required: 'maybe': Input should be a valid boolean, "
                "unable to interpret input"
            ],
        ),
        (
            "key: [id]",
            "key: [id]\nlateness:\n  allowed: 10 minutes",
            [
                "till.yaml:16: lateness.allowed: '10 minutes' is not a duration; "
                "write up to 6 digits and s, m, h or d, as in 10m"
            ],
        ),
        (
            "key: [id]",
            "key: [id]\nlateness: {allowed: 99999999999999d}",
            [
                "till.yaml:15: lateness.allowed: '99999999999999d' is not a duration; "
                "write up to 6 digits and s, m, h or d, as in 10m"
            ],
        ),
        (
            "  paid:  {",
            "  business_date:  {",
            [
                "till.yaml:10: columns.business_date: 'business_date' is a name the lake itself "
                "uses; call it otherwise"
            ],
        ),
        (
            "  paid:  {",
            "  Site:  {",
            [
                "till.yaml:10: columns.Site: 'Site' is a name the lake itself uses; "
                "call it otherwise"
            ],
        ),
        (
            "  paid:  {",
            "  _key:  {",
            [
                "till.yaml:10: columns._key: '_key': "
                "String should match pattern '^[A-Za-z][A-Za-z0-9_]{0,126}$'"
            ],
        ),
        (
            "  paid:  {",
            "  SKU:  {",
            ["till.yaml:10: columns.SKU: 'SKU' is there already, as columns.sku"],
        ),
        ("  paid:  {", "  sku:  {", ["till.yaml:10: 'sku' stands twice"]),
        (
            "feed: till",
            "feed: Till/../x",
            [
                "till.yaml:1: feed: 'Till/../x': "
                "String should match pattern '^[a-z][a-z0-9_]{0,62}$'"
            ],
        ),
        ("feed: till\n", "", ["till.yaml:1: feed: must be given"]),
        ("event_time: at\n", "", ["till.yaml:1: event_time: must be given"]),
        (
            "event_time: at",
            "event_time: sku",
            ["till.yaml:15: event_time: column 'sku' must be a timestamp, not string"],
        ),
        (
            "site: store",
            "site: price",
            [
                "till.yaml:13: site: column 'price' must be `required: true`",
                "till.yaml:13: site: column 'price' must be a string, not decimal(10,2)",
            ],
        ),
        (
            "event_time: at",
            "event_time: at\nbusiness_date: at",
            ["till.yaml:16: business_date: column 'at' must be a date, not timestamp"],
        ),
        (
            "event_time: at",
            "event_time: at\nbusiness_date: night",
            [f"till.yaml:16: business_date: 'night' is not a column; columns: {DECLARED}"],
        ),
        (
            "site: store",
            "site: store\nextra_columns: drop",
            ["till.yaml:14: extra_columns: 'drop': Input should be 'ignore' or 'reject'"],
        ),
        (
            "site: store",
            "site: store\nsalting: {target_rows: 0}",
            ["till.yaml:14: salting.target_rows: 0: Input should be greater than or equal to 1"],
        ),
        (
            "site: store",
            "site: store\nreconcile: {ignore: [colour]}",
            [
                "till.yaml:14: reconcile.ignore: 'colour' is not a column; "
                f"columns: {DECLARED}, total"
            ],
        ),
        (
            "site: store",
            "site: store\nhook: tidy",
            [
                "till.yaml:14: hook: 'tidy': "
                r"String should match pattern '^[A-Za-z_][\w.]*:[A-Za-z_]\w*$'"
            ],
        ),
    ],
)
def test_bad_declaration_is_explained(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    assert faults(write(tmp_path, changed(old, new))) == expected


def test_faults_are_reported_together(tmp_path: Path) -> None:
    feed = changed("key: [id]", "key: [ticket]", changed("event_time: at", "event_time: when"))
    found = faults(write(tmp_path, feed))
    assert [line.split(": ")[1] for line in found] == ["event_time", "key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "till.yaml:1: a feed is a mapping, `feed: name` first"),
        ("# nothing\n", "till.yaml:1: a feed is a mapping, `feed: name` first"),
        ("- feed: till\n", "till.yaml:1: a feed is a mapping, `feed: name` first"),
        ("PK\x03\x04", "till.yaml: not YAML: unacceptable character #x0003: "),
        ("feed: [till\ncolumns: {}\n", "till.yaml:2: not YAML: expected ',' or ']', "),
        ("feed: till\n\tkey: x\n", r"till.yaml:2: not YAML: found character '\t' that cannot"),
        (f"{FEED}---\n{FEED}", "till.yaml:22: not YAML: but found another document"),
        ("feed: !!python/name:os.system x\n", "till.yaml:1: could not determine a constructor"),
        ("feed: till\nfeed: other\n", "till.yaml:2: 'feed' stands twice"),
    ],
)
def test_what_is_no_feed_at_all_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = faults(write(tmp_path, text))
    assert found.startswith(expected)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"feed: caf\xe9\n")
    with pytest.raises(DeclarationError, match=r"till\.yaml: 'utf-8' codec can't decode"):
        load_feed(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert faults(tmp_path / "none.yaml") == ["none.yaml: No such file or directory"]


def test_words_that_old_yaml_takes_for_booleans_are_words(tmp_path: Path) -> None:
    assert yaml.safe_load("no") is False
    feed = load_feed(write(tmp_path, FEED.replace("sku", "no").replace("paid", "on")))
    assert {"no", "on"} <= set(feed.columns)
    assert feed.totals["by_no"].by == ("no",)


@pytest.mark.parametrize("hook", ["nowhere.at_all:tidy", "json:tidy", "string:digits"])
def test_hook_that_is_not_there_is_refused(tmp_path: Path, hook: str) -> None:
    (found,) = faults(write(tmp_path, changed("site: store", f"site: store\nhook: {hook}")))
    assert found.startswith(f"till.yaml:14: hook: '{hook}': ")
