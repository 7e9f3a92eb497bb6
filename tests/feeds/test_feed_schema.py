from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from declaring import FEED
from jsonschema import Draft202012Validator, ValidationError

from isopach.feeds.load import SCHEMA, SHIPPED, load_feed, write_schema

DESIGNED = """\
feed: sales
columns:
  event_id:   {type: string, required: true}
  store:      string
  sold_at:    {type: timestamp, required: true, zone: site}
  sku:        {type: string, required: true}
  unit_price: decimal(10,2)
derive: {double: unit_price * 2}
lookups:
  products: {path: reference/products.parquet, on: sku, columns: [category]}
  stores:   {path: reference/stores.parquet, on: [store, sku], columns: [size]}
site: store
key: [event_id]
event_time: sold_at
totals:
  by_sku: {by: [sku], measures: {sales: count, worst: {min: unit_price}}}
lateness: {out_of_order: 90 s, allowed: 2d}
"""


def check(feed: dict[Any, Any]) -> None:
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(feed)


def read(text: str) -> dict[Any, Any]:
    """Read YAML as an editor does: `on` is a word."""
    loaded: dict[Any, Any] = yaml.load(text, Loader=yaml.BaseLoader)
    return loaded


def true(feed: dict[Any, Any]) -> dict[Any, Any]:
    """Turn the words `true` and `false` and numbers into what they stand for."""
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(feed).replace('"true"', "true").replace('"500000"', "500000").replace('"0"', "0")
    )


def test_stored_schema_is_the_one_the_code_gives(tmp_path: Path) -> None:
    write_schema(tmp_path / "schema.json")
    assert SCHEMA.read_text() == (tmp_path / "schema.json").read_text(), "run write_schema()"


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("name", ["sales.yaml", "flights.yaml"])
def test_schema_accepts_the_shipped_feeds(name: str) -> None:
    check(true(read((SHIPPED / name).read_text())))


@pytest.mark.parametrize("text", [FEED, DESIGNED])
def test_schema_accepts_all_forms_that_load(text: str) -> None:
    check(true(read(text)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sku:        {type: string,", "sku:        {type: text,"),
        ("string\n", "text\n"),
        ("decimal(10,2)", "decimal(ten,2)"),
        ("event_id:   {type", "event id:   {type"),
        ("zone: site", "zones: site"),
        ("site: store\n", ""),
        ("key: [event_id]", "key: event_id"),
        ("key: [event_id]", "key: []"),
        ("event_time: sold_at", "event_time: sold_at\ncolour: red"),
        ("event_time: sold_at", "event_time: sold_at\nextra_columns: drop"),
        ("sales: count", "sales: total"),
        ("{min: unit_price}", "{least: unit_price}"),
        ("{min: unit_price}", "{min: unit_price, max: unit_price}"),
        ("on: sku", "with: sku"),
        ("90 s", "90 seconds"),
        ("by_sku:", "By-Sku:"),
    ],
)
def test_schema_rejects_a_bad_feed(old: str, new: str) -> None:
    assert old in DESIGNED
    feed = true(read(DESIGNED.replace(old, new, 1)))
    with pytest.raises(ValidationError):
        check(feed)


def test_defaults_in_the_schema_are_valid_in_it(tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    feed = load_feed(SHIPPED / "flights.yaml")
    check(
        json.loads(feed.model_dump_json(include={"lateness", "salting"}))
        | read(FEED)
        | {"columns": {"id": "string"}}
    )
    assert schema["properties"]["lateness"]["default"] == {"out_of_order": "10m", "allowed": "2d"}
    assert schema["$defs"]["Lateness"]["properties"]["allowed"]["default"] == "2d"
