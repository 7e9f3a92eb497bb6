from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isopach.feeds.feed import Feed
from isopach.feeds.rules import declared_rules
from isopach.feeds.sites import Site, Sites
from isopach.lake.places import Place
from isopach.pipelines import json_lines, reading
from isopach.pipelines import pieces as pieces_module
from isopach.pipelines.deliveries import DeliveredFile, Delivery, file_format
from isopach.pipelines.json_lines import decode_json, decoded
from isopach.pipelines.pieces import Piece, plan_pieces
from isopach.pipelines.reading import UnreadableError, read, unreadable
from isopach.transforms.prepare import Arrival, prepare

DAY = date(2026, 3, 8)
FEED = Feed.model_validate(
    {
        "feed": "sales",
        "columns": {
            "id": {"type": "string", "required": True},
            "store": {"type": "string", "required": True},
            "at": {"type": "timestamp", "required": True},
            "n": "int64",
            "price": "decimal(20,4)",
            "weight": "float64",
            "paid": "boolean",
            "due": "date",
            "note": "string",
        },
        "site": "store",
        "key": ["id"],
        "event_time": "at",
    }
)
SITES = Sites({"S1": Site(site="S1", name="", time_zone="Asia/Kathmandu", deadline=time(2))})
Rows = list[dict[str, Any]]


def pieces(folder: Path, name: str, content: bytes, rows: int | None = None) -> list[Piece]:
    """Write a file of a delivery and plan how it is read."""
    path = folder / f"sales/{DAY}/S1/d1/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    stat = path.stat()
    kind, compression = file_format(name, "")
    file = DeliveredFile(
        f"{DAY}/S1/d1/{name}", kind, compression, stat.st_size, stat.st_mtime_ns, rows
    )
    delivery = Delivery("S1", "d1", rows, (file,))
    return plan_pieces(Place.of(folder), "sales", DAY, [delivery], {"S1": 7})


def batches(folder: Path, planned: Iterable[Piece]) -> list[pa.RecordBatch]:
    return [batch for piece in planned for batch in read(piece, FEED, Place.of(folder))]


def rows_of(folder: Path, name: str, content: bytes) -> Rows:
    """Return what is read of a file, in the order of positions, without nulls and `_source`."""
    found: Rows = []
    for batch in batches(folder, pieces(folder, name, content)):
        assert set(batch.column("_source").to_pylist()) <= {f"{DAY}/S1/d1/{name}"}
        found += batch.drop_columns("_source").to_pylist()
    found.sort(key=lambda row: row["_position"])
    return [{k: v for k, v in row.items() if v is not None} for row in found]


def refused(folder: Path, name: str, content: bytes) -> str:
    """Return why a file cannot be read."""
    with pytest.raises(UnreadableError) as error:
        rows_of(folder, name, content)
    return str(error.value)


def ragged(line: str, position: int) -> dict[str, Any]:
    error = "wrong_number_of_fields"
    return {"_raw": json.dumps(line), "_error": error, "_position": position}


def good(position: int, **values: str) -> dict[str, Any]:
    return {**values, "_position": position}


def not_json(line: str, position: int) -> dict[str, Any]:
    return {"_raw": line, "_error": "not_json", "_position": position}


def json_row(line: str, position: int, **values: str) -> dict[str, Any]:
    return {**values, "_raw": line, "_position": position}


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


# Parquet


@pytest.mark.parametrize("group", [1, 7, 100])
@pytest.mark.parametrize("piece_rows", [1, 10, 1000])
@pytest.mark.parametrize("batch_rows", [3, 1000])
def test_parquet_positions_run_on_over_row_groups_pieces_and_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int, piece_rows: int, batch_rows: int
) -> None:
    monkeypatch.setattr(pieces_module, "PIECE_ROWS", piece_rows)
    monkeypatch.setattr(reading, "BATCH_ROWS", batch_rows)
    content = parquet(pa.table({"n": range(50)}), row_group_size=group)
    planned = pieces(tmp_path, "a.parquet", content)
    assert sum(piece.rows for piece in planned) == 50
    assert sum(piece.bytes for piece in planned) == len(content)
    assert (len(planned) > 1) == (piece_rows < 50 and group < 50)
    found = [row for batch in batches(tmp_path, planned) for row in batch.to_pylist()]
    assert [(row["n"], row["_position"]) for row in found] == [(n, n) for n in range(50)]


def test_pieces_may_be_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "PIECE_ROWS", 10)
    planned = pieces(tmp_path, "a.parquet", parquet(pa.table({"n": range(50)}), row_group_size=4))
    backwards = [row for b in batches(tmp_path, planned[::-1]) for row in b.to_pylist()]
    assert sorted((row["n"], row["_position"]) for row in backwards) == [(n, n) for n in range(50)]


@pytest.mark.parametrize("table", [pa.table({"id": pa.array([], pa.string())}), pa.table({})])
def test_parquet_without_rows(tmp_path: Path, table: pa.Table) -> None:
    assert rows_of(tmp_path, "a.parquet", parquet(table)) == []


def test_parquet_columns_named_like_ours_are_the_sites_own(tmp_path: Path) -> None:
    table = pa.table({"id": ["x"], "_position": [9], "_source": ["web"], "_error": ["e"]})
    (batch,) = batches(tmp_path, pieces(tmp_path, "a.parquet", parquet(table)))
    assert batch.to_pylist() == [
        {
            "id": "x",
            "_position (2)": 9,
            "_source (2)": "web",
            "_error (2)": "e",
            "_source": f"{DAY}/S1/d1/a.parquet",
            "_position": 0,
        }
    ]


def test_a_declared_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table([["x"], ["y"]], names=["id", "id"])
    said = "column 'id' stands in it more than once"
    assert refused(tmp_path, "a.parquet", parquet(table)) == said
    assert refused(tmp_path, "a.csv", b"id,n,id\nx,1,y\n") == said


def test_other_columns_may_stand_twice(tmp_path: Path) -> None:
    expected = [{"id": "x", "till": "1", "till (2)": "2", "_position": 0}]
    assert rows_of(tmp_path, "a.csv", b"id,till,till\nx,1,2\n") == expected
    table = pa.table([["x"], ["1"], ["2"]], names=["id", "till", "till"])
    assert rows_of(tmp_path, "a.parquet", parquet(table)) == expected


# CSV


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"id,n\nx,1\ny,2\n", [good(0, id="x", n="1"), good(1, id="y", n="2")]),
        (b"id,n\nx,1\ny,2", [good(0, id="x", n="1"), good(1, id="y", n="2")]),
        (b"id,n\r\nx,1\r\ny,2\r\n", [good(0, id="x", n="1"), good(1, id="y", n="2")]),
        (b"\xef\xbb\xbfid,n\nx,1\n", [good(0, id="x", n="1")]),
        (b"\n\r\nid,n\nx,1\n", [good(0, id="x", n="1")]),
        (b'"id",n\n"x","1"\n', [good(0, id="x", n="1")]),
        (b'id,"till\nno.",n\nx,5,1\n', [good(0, **{"id": "x", "till\nno.": "5", "n": "1"})]),
        (b'id,note\nx,"a,b"\n', [good(0, id="x", note="a,b")]),
        (b'id,note\nx,"say ""hi"""\n', [good(0, id="x", note='say "hi"')]),
        (b'id,note\nx,"a\nb"\ny,c\n', [good(0, id="x", note="a\nb"), good(1, id="y", note="c")]),
        (b'id,note\nx,"a\r\n\r\nb"\n', [good(0, id="x", note="a\r\n\r\nb")]),
        (b'id,note\nx,\ny,""\n', [good(0, id="x"), good(1, id="y", note="")]),
        (b"n\n1\n\n2\n\n\n", [good(0, n="1"), good(1, n="2")]),
        ("id,näme\nx,é\u2028\n".encode(), [good(0, id="x", näme="é\u2028")]),
    ],
)
def test_csv(tmp_path: Path, content: bytes, expected: Rows) -> None:
    assert rows_of(tmp_path, "a.csv", content) == expected


def x(position: int) -> dict[str, Any]:
    return good(position, id="x", n="1")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["bad", "x,1", "x,1"], [ragged("bad", 0), x(1), x(2)]),
        (["x,1", "bad", "x,1"], [x(0), ragged("bad", 1), x(2)]),
        (["x,1", "x,1", "b,a,d"], [x(0), x(1), ragged("b,a,d", 2)]),
        (["x,1", "a", "b", "c,,", "x,1"], [x(0), *map(ragged, ["a", "b", "c,,"], [1, 2, 3]), x(4)]),
        (["a", "x,1", "c", "d,,"], [ragged("a", 0), x(1), ragged("c", 2), ragged("d,,", 3)]),
        (["a", "b", "c,,"], [ragged("a", 0), ragged("b", 1), ragged("c,,", 2)]),
        (["x,1", "", "bad", "", "x,1"], [x(0), ragged("bad", 1), x(2)]),
        (['x,"\n\n"', "bad", "x,1"], [good(0, id="x", n="\n\n"), ragged("bad", 1), x(2)]),
        (['"b\na","d",""', "x,1"], [ragged('"b\na","d",""', 0), x(1)]),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_ragged_lines_are_rows_with_an_error(
    tmp_path: Path, lines: list[str], expected: Rows, newline: str
) -> None:
    content = newline.join(["id,n", *lines, ""]).encode()
    assert rows_of(tmp_path, "a.csv", content) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"id,n", b"id,n\n", b"id,n\r\n\r\n"])
def test_csv_without_rows(tmp_path: Path, content: bytes) -> None:
    assert rows_of(tmp_path, "a.csv", content) == []


def test_csv_types_are_never_inferred(tmp_path: Path) -> None:
    texts = ["007", "1.0", "1e5", "true", "NULL", "NaN", "N/A", "2026-03-08", " x ", "#N/A", "-"]
    content = "id,other\n" + "".join(f"{text},{text}\n" for text in texts)
    found = rows_of(tmp_path, "a.csv", content.encode())
    assert [(row["id"], row["other"]) for row in found] == [(text, text) for text in texts]


def test_csv_columns_may_be_missing_or_more(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.csv", b"till,id\n4,x\n") == [good(0, till="4", id="x")]


def test_csv_columns_named_like_ours_are_the_sites_own(tmp_path: Path) -> None:
    content = b"id,_position,_raw,_error\nx,9,r,e\n"
    expected = {"_position (2)": "9", "_raw (2)": "r", "_error (2)": "e"}
    assert rows_of(tmp_path, "a.csv", content) == [{"id": "x", "_position": 0, **expected}]


@pytest.mark.parametrize("line", [b"\xff\xfe,1", b"\xff", b"x,\xe9"])
def test_csv_that_is_not_utf8_is_refused(tmp_path: Path, line: bytes) -> None:
    assert "invalid" in refused(tmp_path, "a.csv", b"id,n\nw,1\n" + line + b"\n")


def test_csv_that_is_not_utf8_far_into_the_file_is_refused(tmp_path: Path) -> None:
    content = b"id,n\n" + b"x,1\n" * 10_000 + b"x,\xe9\n"
    assert "invalid UTF8 data" in refused(tmp_path, "a.csv", content)


LINES = st.sampled_from(["good", "quoted", "ragged", "long", "blank"])


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, max_size=40), st.integers(32, 200), st.booleans(), st.booleans())
def test_csv_positions_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], block: int, crlf: bool, ends: bool
) -> None:
    texts = {"good": "{},1", "quoted": '{},"1\n2"', "ragged": "{}", "long": "{},,", "blank": ""}
    lines = [texts[kind].format(number) for number, kind in enumerate(kinds)]
    newline = "\r\n" if crlf else "\n"
    content = newline.join(["id,n", *lines]) + (newline if ends else "")
    expected: Rows = []
    for line, kind in zip(lines, kinds, strict=True):
        if kind in ("ragged", "long"):
            expected.append(ragged(line, len(expected)))
        elif kind != "blank":
            value = "1\n2" if kind == "quoted" else "1"
            expected.append(good(len(expected), id=line.split(",")[0], n=value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", block)
        assert rows_of(tmp_path_factory.mktemp("csv"), "a.csv", content.encode()) == expected


# JSON lines

BAD_JSON = ["oops", '{"id":"x"', "{'id':'x'}", '{"id":"x"} {"id":"y"}', "null", "[]", '[{"id":1}]',
            "5", '"x"', "true", "NaN", '{"n":NaN}', '{"n":01}', '{"n":1e999}', '{"id":"a\tb"}',
            '{"id":"\\ud800"}', '{"id":"x",}', "   ", "\x1e{}"]  # fmt: skip


@pytest.mark.parametrize("line", BAD_JSON)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_no_json_object_is_a_row_with_an_error(
    tmp_path: Path, line: str, place: int
) -> None:
    lines = ['{"id":"a"}', '{"id":"b","n":2}']
    expected = [json_row(lines[0], 0, id="a"), json_row(lines[1], 1, id="b", n="2")]
    lines.insert(place, line)
    expected.insert(place, not_json(line, place))
    for position, row in enumerate(expected):
        row["_position"] = position
    assert rows_of(tmp_path, "a.jsonl", "\n".join(lines).encode()) == expected


def test_a_file_of_nothing_but_bad_lines(tmp_path: Path) -> None:
    found = rows_of(tmp_path, "a.jsonl", "\n".join(BAD_JSON).encode())
    assert found == [not_json(line, n) for n, line in enumerate(BAD_JSON)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("null", None),
        ('""', ""),
        ('"x"', "x"),
        ('"\\u00e9\\n\\"\\/"', 'é\n"/'),
        ('"\\ud83d\\ude00"', "😀"),
        ('"a\\u0000b"', "a\x00b"),
        ("true", "true"),
        ("0", "0"),
        ("-0.0", "-0"),
        ("1.10", "1.1"),
        ("1e3", "1000"),
        ("2.5E-3", "0.0025"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551616", "18446744073709551616"),
        ("1" + "0" * 50, "1" + "0" * 50),
        ("0.1", "0.1"),
        ("123456789012.3456", "123456789012.3456"),
        ("1234567890123456.7891", "1234567890123456.7891"),
        ("100000000000000000000.5", "100000000000000000000.5"),
        ("12345678901234567890e-4", "1234567890123456.789"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("[]", "[]"),
        ('[1, "2", null, {"a": 1.5}]', '[1,"2",null,{"a":1.5}]'),
        ('{"b": {"z": 1, "a": "é"}}', '{"b":{"z":1,"a":"é"}}'),
        ("[" * 100 + "]" * 100, "[" * 100 + "]" * 100),
    ],
)
@pytest.mark.parametrize("company", [[], ["oops"]])
def test_json_values_are_text_as_they_were_sent(
    tmp_path: Path, value: str, text: str | None, company: list[str]
) -> None:
    line = f'{{"id":"x","note":{value},"other":{value}}}'
    found = rows_of(tmp_path, "a.jsonl", "\n".join([line, *company]).encode())
    values = {"id": "x"} if text is None else {"id": "x", "note": text, "other": text}
    assert found[0] == json_row(line, 0, **values)


@pytest.mark.parametrize("company", [[], ["oops"]])
def test_json_fields_that_are_not_declared_are_read_too(tmp_path: Path, company: list[str]) -> None:
    lines = [
        '{"id":"x","till":4,"odd \\"name\\"":null,"tags":{"b":[1.5],"a":null}}',
        '{"id":"y","till":null,"tags":null,"_raw":"r"}',
    ]
    found = rows_of(tmp_path, "a.jsonl", "\n".join([*lines, *company]).encode())
    assert found[0] == json_row(lines[0], 0, id="x", till="4", tags='{"b":[1.5],"a":null}')
    assert found[1] == json_row(lines[1], 1, id="y")


def test_json_names_within_a_value_are_no_columns(tmp_path: Path) -> None:
    lines = [f'{{"id":"x","tags":{{"t{n}":1}},"note":"\\"u{n}\\":"}}' for n in range(100)]
    content = "\n".join([*lines, ""]).encode()
    (batch,) = batches(tmp_path, pieces(tmp_path, "a.jsonl", content))
    others = set(batch.schema.names) - set(FEED.columns)
    assert others == {"tags", "_raw", "_error", "_source", "_position"}


def test_json_names_that_are_no_text_are_no_columns(tmp_path: Path) -> None:
    line = '{"id":"x","\\ud800":1}'
    assert rows_of(tmp_path, "a.jsonl", line.encode()) == [json_row(line, 0, id="x")]


def test_json_of_repeated_names_the_first_counts(tmp_path: Path) -> None:
    line = '{"id":"first","id":"second"}'
    for company in ("", "\noops"):
        found = rows_of(tmp_path, "a.jsonl", f"{line}{company}".encode())
        assert found[0] == json_row(line, 0, id="first")


@pytest.mark.parametrize(
    "lines",
    [
        ['{"id":"a"', '"n":1}'],
        ['{"id":"a","note":"x', 'y"}'],
        ['{"id":"a"},{"id":"b"}'],
        ['{"id":"a"},'],
        [",", "{}"],
        [" "],
        ['{"id":"a"},{"id":"b"}', " "],
    ],
)
@pytest.mark.parametrize("together", [1, 2, 100])
def test_json_does_not_run_on_over_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], together: int
) -> None:
    monkeypatch.setattr(json_lines, "DECODED_LINES", together)
    found = rows_of(tmp_path, "a.jsonl", "\n".join(lines).encode())
    assert [row["_raw"] for row in found] == lines
    assert [row.get("_error") for row in found] == [
        None if line == "{}" else "not_json" for line in lines
    ]


NUMBERS = st.decimals(-(10**20), 10**20, allow_nan=False, places=None).map(str) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)
VALUES = st.one_of(
    st.none().map(json.dumps),
    st.booleans().map(json.dumps),
    st.integers(-(2**80), 2**80).map(json.dumps),
    NUMBERS,
    st.text().map(json.dumps),
    st.text().map(lambda text: json.dumps(text, ensure_ascii=False)),
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from(["", " ", "\t  "]), st.sampled_from(["", " ", " \t"]))
def test_json_is_decoded_alike_at_once_and_one_by_one(value: str, before: str, after: str) -> None:
    line = f'{{"id"{before}:{after}{value}}}'
    (batch,) = decode_json(pl.Series([line]), FEED)
    alone = decoded(line, FEED.columns)
    assert alone is not None
    assert batch.column("id").to_pylist() == [alone["id"]]
    sent = json.loads(value, parse_float=Decimal)
    if isinstance(sent, str):
        assert alone["id"] == sent
    elif isinstance(sent, int | Decimal) and not isinstance(sent, bool):
        assert Decimal(alone["id"] or "") == sent


@pytest.mark.parametrize(
    "content",
    [
        b'{"id":"a"}\n{"id":"b"}\n',
        b'{"id":"a"}\n{"id":"b"}',
        b'{"id":"a"}\r\n{"id":"b"}\r\n',
        b'\n{"id":"a"}\n\n\r\n{"id":"b"}\n\n',
        b'\xef\xbb\xbf{"id":"a"}\n{"id":"b"}\n',
    ],
)
@pytest.mark.parametrize("block", [1, 2, 7, 1 << 20])
def test_json_lines_whatever_the_newlines_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, block: int
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", block)
    expected = [json_row('{"id":"a"}', 0, id="a"), json_row('{"id":"b"}', 1, id="b")]
    assert rows_of(tmp_path, "a.jsonl", content) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf"])
def test_json_without_rows(tmp_path: Path, content: bytes) -> None:
    assert rows_of(tmp_path, "a.jsonl", content) == []


def test_json_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    assert "can't decode byte 0xff" in refused(tmp_path, "a.jsonl", b'{"id":"a"}\n{"id":"\xff"}\n')


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["good", "long", "bad", "blank"])), st.integers(1, 200))
def test_json_positions_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], block: int
) -> None:
    texts = {
        "good": '{{"id":"é{}"}}',
        "long": '{{"id":"é{}","price":12345678901234567.25}}',
        "bad": "bad {}",
        "blank": "",
    }
    price = {"good": {}, "long": {"price": "12345678901234567.25"}}
    lines = [texts[kind].format(number) for number, kind in enumerate(kinds)]
    there = [(line, kind) for line, kind in zip(lines, kinds, strict=True) if line]
    expected = [
        not_json(line, n)
        if kind == "bad"
        else json_row(line, n, id=line[7:].split('"')[0], **price[kind])
        for n, (line, kind) in enumerate(there)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", block)
        folder = tmp_path_factory.mktemp("json")
        assert rows_of(folder, "a.jsonl", "\n".join(lines).encode()) == expected


# Compression

CSV = b"id,n\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(3000))
JSON = b"".join(b'{"id":"%d","n":%d}\n' % (n, n * n) for n in range(3000))
TEXTS = [("csv", CSV), ("jsonl", JSON)]
PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [("gz", gzip.compress), ("zst", zstd)]


@pytest.mark.parametrize(("form", "content"), TEXTS)
@pytest.mark.parametrize(("packing", "pack"), PACKERS)
def test_compressed_text_reads_like_plain_text(
    tmp_path: Path, form: str, content: bytes, packing: str, pack: Callable[[bytes], bytes]
) -> None:
    plain = rows_of(tmp_path, f"a.{form}", content)
    assert len(plain) == 3000
    assert rows_of(tmp_path, f"a.{form}.{packing}", pack(content)) == plain
    in_two = pack(content[:1000]) + pack(content[1000:])
    assert rows_of(tmp_path, f"b.{form}.{packing}", in_two) == plain


@pytest.mark.parametrize(("form", "content"), TEXTS)
@pytest.mark.parametrize(("packing", "pack"), PACKERS)
@pytest.mark.parametrize("part", [0.001, 0.5, 0.999])
def test_truncated_compressed_text_is_refused(
    tmp_path: Path,
    form: str,
    content: bytes,
    packing: str,
    pack: Callable[[bytes], bytes],
    part: float,
) -> None:
    whole = pack(content)
    cut = whole[: max(1, int(len(whole) * part))]
    assert refused(tmp_path, f"a.{form}.{packing}", cut) == "OSError: Truncated compressed stream"


@pytest.mark.parametrize(("form", "content"), TEXTS)
@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_text_that_is_not_compressed_though_its_name_says_so(
    tmp_path: Path, form: str, content: bytes, packing: str
) -> None:
    assert "failed" in refused(tmp_path, f"a.{form}.{packing}", content)


TABLE = pa.table({"id": [f"{n:08}" for n in range(3000)], "n": range(3000)})


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.999])
def test_truncated_parquet_is_refused(tmp_path: Path, part: float) -> None:
    whole = parquet(TABLE, row_group_size=500)
    assert "Parquet" in refused(tmp_path, "a.parquet", whole[: int(len(whole) * part)])


def test_parquet_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    whole = bytearray(parquet(TABLE, row_group_size=500, use_dictionary=False))
    middle = len(whole) // 2
    whole[middle : middle + 100] = b"\xff" * 100
    assert refused(tmp_path, "a.parquet", bytes(whole)).startswith("OSError: Corrupt snappy")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz"])
def test_parquet_under_another_name_is_refused(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, name, parquet(TABLE))


def test_the_row_that_stands_for_an_unreadable_file(tmp_path: Path) -> None:
    (piece,) = pieces(tmp_path, "a.parquet", b"PAR1")
    (found,) = unreadable(piece, UnreadableError("it is torn")).to_pylist()
    assert {name: value for name, value in found.items() if value is not None} == {
        "disposition": "unreadable",
        "reason": "unreadable_file",
        "raw": json.dumps({"file": f"{DAY}/S1/d1/a.parquet", "error": "it is torn"}),
        "site": "S1",
        "business_date": DAY,
        "_source": f"{DAY}/S1/d1/a.parquet",
    }


# Files that change

FORMS = {
    "a.parquet": parquet(TABLE, row_group_size=500),
    "a.csv": CSV,
    "a.csv.gz": gzip.compress(CSV),
    "a.jsonl": JSON,
}
CHANGED = "the file changed after its delivery was found; deliver it anew"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files in several batches."""
    monkeypatch.setattr(reading, "BLOCK_BYTES", 4000)
    monkeypatch.setattr(reading, "BATCH_ROWS", 500)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def grow(path: Path) -> None:
    """Append to a file and put its time back."""
    before = path.stat().st_mtime_ns
    with path.open("ab") as file:
        file.write(b"x")
    os.utime(path, ns=(before, before))


def replace(path: Path) -> None:
    """Put another file of the same length in place."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("change", [touch, grow, replace, Path.unlink])
def test_a_file_that_changes_after_the_plan_is_refused(
    tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    (piece,) = pieces(tmp_path, name, FORMS[name])
    change(tmp_path / f"sales/{DAY}/S1/d1/{name}")
    with pytest.raises(UnreadableError, match=CHANGED):
        batches(tmp_path, [piece])


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("change", [touch, replace, Path.unlink])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    (piece,) = pieces(tmp_path, name, FORMS[name])
    reader = read(piece, FEED, Place.of(tmp_path))
    assert next(reader).num_rows < 3000
    change(tmp_path / f"sales/{DAY}/S1/d1/{name}")
    with pytest.raises(UnreadableError, match=CHANGED):
        list(reader)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, name: str) -> None:
    (piece,) = pieces(tmp_path, name, FORMS[name])
    reader = read(piece, FEED, Place.of(tmp_path))
    next(reader)
    grow(tmp_path / f"sales/{DAY}/S1/d1/{name}")
    with pytest.raises(UnreadableError, match=CHANGED):
        list(reader)


def test_a_file_that_changes_before_the_plan_is_refused_when_read(tmp_path: Path) -> None:
    content = parquet(TABLE)
    pieces(tmp_path, "a.parquet", content)
    path = tmp_path / f"sales/{DAY}/S1/d1/a.parquet"
    file = DeliveredFile(f"{DAY}/S1/d1/a.parquet", "parquet", None, len(content), 1, None)
    path.unlink()
    delivery = Delivery("S1", "d1", None, (file,))
    (piece,) = plan_pieces(Place.of(tmp_path), "sales", DAY, [delivery], {})
    with pytest.raises(UnreadableError, match=CHANGED):
        batches(tmp_path, [piece])


# The plan


def test_rows_are_known_from_footers_manifests_or_other_nights(tmp_path: Path) -> None:
    assert [p.rows for p in pieces(tmp_path, "a.parquet", parquet(TABLE), rows=5)] == [3000]
    assert [p.rows for p in pieces(tmp_path, "a.csv", CSV, rows=5)] == [5]
    assert [p.rows for p in pieces(tmp_path, "a.csv", CSV)] == [7]


def test_deliveries_with_a_problem_have_no_pieces(tmp_path: Path) -> None:
    delivery = Delivery("S1", "d1", problem="no use")
    assert plan_pieces(Place.of(tmp_path), "sales", DAY, [delivery], {}) == []


# All forms alike

SECONDS = st.integers(0, 86_399_999_999).map(lambda n: timedelta(microseconds=n))
START = datetime(2026, 3, 7, 18, 15, tzinfo=UTC)  # of DAY in Kathmandu
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXT,
            "store": st.just("S1"),
            "at": SECONDS.map(lambda after: START + after),
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "price": st.none() | st.decimals(-(10**16) + 1, 10**16 - 1, places=4, allow_nan=False),
            "weight": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "paid": st.none() | st.booleans(),
            "due": st.none() | st.dates(date(1000, 1, 1)),
            "note": st.none() | st.just("") | TEXT,
        }
    ),
    min_size=1,
    max_size=8,
)
OFFSETS = [UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=45))]


def sent(value: Any, zone: timezone) -> str | None:
    """Return a value as text formats carry it."""
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return None if value is None else str(value)


def as_csv(rows: Rows, zone: timezone) -> bytes:
    def field(value: Any) -> str:
        text = sent(value, zone)
        return "" if text is None else '"' + text.replace('"', '""') + '"'

    lines = [",".join(field(row[name]) for name in FEED.columns) for row in rows]
    return "\n".join([",".join(FEED.columns), *lines, ""]).encode()


def as_json(rows: Rows, zone: timezone, ascii: bool) -> bytes:
    def field(value: Any) -> str:
        bare = value is None or isinstance(value, bool | int | float | Decimal)
        text = sent(value, zone)
        return (text or "null") if bare else json.dumps(text, ensure_ascii=ascii)

    lines = [
        "{" + ",".join(f'"{name}":{field(value)}' for name, value in row.items()) + "}"
        for row in rows
    ]
    return "\n".join([*lines, ""]).encode()


def accepted(folder: Path, name: str, content: bytes) -> pl.DataFrame:
    """Return the rows of a file that are accepted, by position, without where they are from."""
    found = []
    for batch in batches(folder, pieces(folder, name, content)):
        outcome = prepare(Arrival("S1", DAY, batch), FEED, SITES, declared_rules(FEED))
        assert outcome.quarantined is None, outcome.quarantined.to_pylist()
        kept = outcome.accepted.select([*FEED.columns, "business_date", "_position", "_key"])
        found.append(pl.DataFrame(kept))
    return pl.concat(found).sort("_position")


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(OFFSETS), st.booleans())
def test_the_same_rows_are_accepted_from_every_form(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, zone: timezone, ascii: bool
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    expected = accepted(
        folder, "a.parquet", parquet(pa.Table.from_pylist(rows, FEED.source_schema))
    )
    assert expected.height == len(rows)
    assert expected.select("id", "n", "price").rows() == [
        (row["id"], row["n"], row["price"]) for row in rows
    ]
    csv, lines = as_csv(rows, zone), as_json(rows, zone, ascii)
    for name, content in {
        "a.csv": csv,
        "a.csv.gz": gzip.compress(csv),
        "a.jsonl": lines,
        "a.jsonl.zst": zstd(lines),
    }.items():
        found = accepted(folder, name, content)
        assert found.equals(expected), name
