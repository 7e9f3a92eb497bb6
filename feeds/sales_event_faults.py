"""Known faults in a day of sales events: which rows have which, when they come, how they look."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isopach.feeds.sales_faults import FAULTS, FORMS, choose
from isopach.feeds.sales_lines import BROKEN, DAY, MINUTE, Texts, local_days
from isopach.feeds.sales_rows import SKUS

HOUR = 60 * MINUTE
OUT_OF_ORDER = 10 * MINUTE  # as the feed declares it
TOO_LATE_FIRST = 91_000_000  # event numbers that no delivery and no other day gives out
TOO_LATE_NUMBERS = 1_000_000


class Disposition(NamedTuple):
    """What is expected of rows of a kind; rows that are never sent have none."""

    disposition: str | None
    reason: str | None


ACCEPTED = Disposition("accepted", None)
NOT_JSON = Disposition("rejected", "not_json")
MISSING = Disposition("rejected", "missing")
ABSENT = Disposition(None, "never_sent")
KINDS = {
    "plain": ACCEPTED,
    "null_sku": MISSING,  # as in the store's delivery
    "duplicate": Disposition("duplicate", "duplicate_key"),
    "disorder": ACCEPTED,
    "late_allowed": ACCEPTED,
    "too_late": Disposition("late", "window_closed"),
    "lost_sku": MISSING,  # the store's delivery has it
    "malformed": Disposition("rejected", "malformed"),
    "cut_off": NOT_JSON,
    "html": NOT_JSON,
    "bad_utf8": NOT_JSON,
    "unknown_store": Disposition("rejected", "unknown_site"),
    "silent_from_noon": ABSENT,
    "never_sent": ABSENT,
}
KIND = pl.Enum(list(KINDS))
SHARES = {
    "duplicate": 0.001,
    "disorder": 0.02,
    "late_allowed": 0.0005,
    "too_late": 0.0005,
    "lost_sku": 0.0002,
    "malformed": 0.0002,
    "cut_off": 0.0002,
    "html": 0.0002,
    "bad_utf8": 0.0002,
    "unknown_store": 0.0002,
}
LEAST = 6
LEAST_ROWS = 2 * LEAST * len(SHARES)


class Silent(NamedTuple):
    """Rows that are sent, and those of dead sites, which are not."""

    sent: pl.DataFrame
    absent: pl.DataFrame


def silence(rows: pl.DataFrame, since: dict[int, tuple[str, int]]) -> Silent:
    """Take out the rows of stores that send nothing from a moment on, in UTC microseconds."""
    kind = pl.col("kind")
    gone = pl.lit(False)
    for store, (name, moment) in since.items():
        silent = (pl.col("store") == store) & (pl.col("sold_at") >= moment)
        kind, gone = pl.when(silent).then(pl.lit(name, KIND)).otherwise(kind), gone | silent
    marked = rows.with_columns(kind.alias("kind"), gone.alias("gone"))
    return Silent(marked.filter(~pl.col("gone")).drop("gone"), marked.filter("gone").drop("gone"))


def choose_dead(
    sizes: NDArray[np.int64], seed: int, day: date, spared: Collection[int] = ()
) -> tuple[int, int]:
    """Choose two mid-size stores whose deliveries have no fault: dead all day, dead from noon."""
    faulty = choose(sizes, seed, day) if len(sizes) > len(FORMS) + len(FAULTS) else {}
    order = np.argsort(-sizes, kind="stable").tolist()
    free = [index for index in order if index not in faulty and index not in spared]
    if len(free) < 4:
        raise ValueError(f"{len(sizes)} stores are too few for faults: give at least 4 that send")
    middle = free[len(free) // 4 :]
    rng = np.random.default_rng([seed, day.toordinal(), len(sizes)])
    first, second = rng.choice(middle, 2, replace=False).tolist()
    return int(first), int(second)


def noon(day: date, zone: str) -> int:
    """Return the instant of local noon in UTC microseconds."""
    return int(datetime.combine(day, time(12), ZoneInfo(zone)).timestamp()) * 1_000_000


def add_faults(
    rows: pl.DataFrame, day: date, seed: int, texts: Texts, *, binary: bool
) -> pl.DataFrame:
    """Return a day's rows with known faults among them, each kind in rows of its own."""
    rng = np.random.default_rng([seed, day.toordinal(), SKUS])
    rows = rows.sort("arrival", maintain_order=True)
    at = _pick(rows, rng, binary)
    late = _too_late(rows, at.pop("too_late"), day, rng, texts)
    again = _again(rows, at.pop("duplicate"), rng)
    return pl.concat([_marked(rows, at, rng), again, late])


def _pick(
    rows: pl.DataFrame, rng: np.random.Generator, binary: bool
) -> dict[str, NDArray[np.int64]]:
    """Return ascending indices of plain rows for each kind, none twice."""
    plain = rng.permutation((rows["kind"] == "plain").arg_true().to_numpy())
    if len(plain) < LEAST_ROWS:
        raise ValueError(f"{len(plain)} rows are too few for faults: give at least {LEAST_ROWS}")
    kinds = [kind for kind in SHARES if binary or kind != "bad_utf8"]
    counts = [max(LEAST, int(len(plain) * SHARES[kind])) for kind in kinds]
    parts = np.split(plain, np.cumsum(counts))
    return {kind: np.sort(part) for kind, part in zip(kinds, parts[:-1], strict=True)}


def _marked(
    rows: pl.DataFrame, at: dict[str, NDArray[np.int64]], rng: np.random.Generator
) -> pl.DataFrame:
    """Name the kinds of rows, delay the late ones, and take the skus of those that lose it."""
    codes = rows["kind"].to_physical().to_numpy().copy()
    arrival, sku = rows["arrival"].to_numpy().copy(), rows["sku"].to_numpy().copy()
    for kind, places in at.items():
        codes[places] = list(KINDS).index(kind)
    arrival[at["disorder"]] += rng.integers(1, OUT_OF_ORDER + 1, len(at["disorder"]))
    arrival[at["late_allowed"]] += rng.integers(HOUR, 20 * HOUR, len(at["late_allowed"]))
    sku[at["lost_sku"]] = SKUS
    kinds = pl.Series("kind", codes).cat.to(KIND)
    return rows.with_columns(kinds, pl.Series("arrival", arrival), pl.Series("sku", sku))


def _again(rows: pl.DataFrame, at: NDArray[np.int64], rng: np.random.Generator) -> pl.DataFrame:
    """Return events sent again, half of them soon after, half of them much later."""
    arrival = rows["arrival"].to_numpy()
    soon = arrival[np.minimum(at + rng.integers(1, 50, len(at)), rows.height - 1)]
    later = arrival[at] + rng.integers(HOUR // 2, 3 * HOUR, len(at))
    again = pl.Series("arrival", np.where(np.arange(len(at)) % 2, later, soon))
    return rows[at].with_columns(again, pl.lit("duplicate", KIND).alias("kind"))


def _too_late(
    rows: pl.DataFrame,
    at: NDArray[np.int64],
    day: date,
    rng: np.random.Generator,
    texts: Texts,
) -> pl.DataFrame:
    """Return events of four or five days before; each comes just after one of its store's day.

    That one alone closes their window, two days after its end: it lies on the third day at least.
    """
    numbers = TOO_LATE_FIRST + TOO_LATE_NUMBERS * (day.toordinal() % 8) + np.arange(len(at))
    back = pl.Series(rng.integers(4, 6, len(at)) * DAY)
    late = rows[at].with_columns(
        pl.Series("event", numbers),
        pl.col("sold_at") - back,
        pl.col("arrival") + 1,
        pl.lit("too_late", KIND).alias("kind"),
    )
    own = pl.Series("day", local_days(late, texts)).cast(rows.schema["day"])
    return late.with_columns(own)


def damage(lines: pl.Series, kinds: pl.Series) -> pl.Series:
    """Return lines with those of damaged kinds as they come in."""
    line, kind = pl.col("line"), pl.col("kind")
    quantity, sku = r'"quantity":\d+', '"sku":"'
    return (
        pl.DataFrame({"line": lines, "kind": kinds})
        .select(
            pl.when(kind == "malformed")
            .then(line.str.replace(quantity, '"quantity":"abc"'))
            .when(kind == "cut_off")
            .then(line.str.slice(0, 50))
            .when(kind == "html")
            .then(pl.lit("<html>502 Bad Gateway</html>"))
            .when(kind == "bad_utf8")
            .then(line.str.replace(sku, sku + BROKEN, literal=True))
            .otherwise(line)
        )
        .to_series()
    )
