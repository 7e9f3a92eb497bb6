"""A small feed and registry as text, to be changed in one place and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from isopach.feeds.errors import DeclarationError
from isopach.feeds.feed import Feed
from isopach.feeds.load import load_declaration, load_feed

FEED = """\
feed: till
columns:
  id:    {type: string, required: true}
  store: {type: string, required: true}
  at:    {type: timestamp, required: true}
  day:   {type: date, required: true}
  sku:   {type: string, required: true}
  count: {type: int32}
  price: {type: "decimal(10,2)"}
  paid:  {type: boolean}
derive:
  total: count * price
site: store
key: [id]
event_time: at
totals:
  by_sku:
    by: [sku]
    measures:
      sales: count
      total: sum
"""

SITES = """\
site,name,time_zone,region,deadline,active_from,active_to
A,Alpha,Europe/Berlin,North,02:00,2020-01-01,
B,Beta,Asia/Kathmandu,,06:30,,2030-12-31
"""


def write(folder: Path, feed: str = FEED, sites: str = SITES) -> Path:
    """Write a feed and its registry; return the feed's file."""
    (folder / "sites.csv").write_text(sites, encoding="utf-8")
    (folder / "till.yaml").write_text(feed, encoding="utf-8")
    return folder / "till.yaml"


def changed(old: str, new: str, text: str = FEED) -> str:
    """Return a text with one part changed."""
    assert old in text
    return text.replace(old, new, 1)


def load(folder: Path, old: str = "", new: str = "") -> Feed:
    """Load the feed with one part changed."""
    return load_feed(write(folder, changed(old, new)))


def faults(path: Path) -> list[str]:
    """Return what is wrong with a declaration, each without the folder."""
    with pytest.raises(DeclarationError) as caught:
        load_declaration(str(path))
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path.parent}/") for line in lines)
    return [line.removeprefix(f"{path.parent}/") for line in lines]
