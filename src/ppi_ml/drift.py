"""How a log differs from an earlier one, table by table and column by column.

Compared are the summaries in two load reports, mostly of their newest 90 days: that is what a model
scores next. A difference is told only where it is large and chance would not make it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from math import sqrt
from typing import Any

FEWEST_ROWS = 50  # of fewer rows, no share is compared
RANGE_ROWS = 500  # of fewer rows, the 1 and 99 % points are single cells
SHARE_MOVED = 0.05  # of empty cells, of rows that are late, of rows that are unusable
FORM_MOVED = 0.2  # of cells that are written in one way, or whose word is another
PACE_FACTOR = 2.0
HISTORY_CUT = 0.75  # scoring tells the same
RARE_WORD = 0.01
CHANCE = 4.0  # standard errors that chance does not bridge
MOST_SHOWN = 8
RANGES = 2  # so many whole ranges further out, an end has left it: heavy tails reach far
EXPECTED = 10  # of filled cells or words, so that none at all is no accident
Told = Mapping[str, Any]
"""A load report, a table or a column of it, as `to_dict` gives it."""

_UNKNOWN = "the model knows nothing of it; train again to use it"
_NO_CURRENCY = "XXX"


@dataclass(frozen=True)
class Drift:
    """One difference at `place`: what it was, what it is, what it means.

    `place` is a table, table.column, or the setting that holds for all tables (data.timezone,
    data.currency). `gone`: something that the model of then reads is not there any more; `refused`:
    scoring refuses the log for it.
    """

    place: str
    was: str
    now: str
    means: str
    gone: bool = False
    refused: bool = False

    def to_text(self) -> str:
        """The difference as one line for people."""
        mark = "gone" if self.gone else "other" if self.refused else "moved"
        return f"  {mark:<6} {self.place}: {self.was}; now {self.now}: {self.means}"

    def to_dict(self) -> dict[str, Any]:
        """The difference as JSON-able data."""
        return asdict(self)


def between(
    then: Told,
    now: Told,
    *,
    stale: Collection[str] = (),
    read: Collection[str] | None = None,
    unread: Collection[str] = (),
) -> tuple[Drift, ...]:
    """Everything that differs: what holds for all tables, then table by table.

    Args:
        then: the load report of the training.
        now: the load report of today.
        stale: tables of today that ended long before the order lines did.
        read: tables that the model reads; None: all. What it does not read is told like the rest,
            but is never `gone`.
        unread: columns ("table.column") that it does not read, likewise.
    """
    before, after = _tables(then), _tables(now)
    found = [*_of_all(before, after), *_of_history(before, after)]
    for name in {**before, **after}:
        needed = read is None or name in read
        nulls = "all its features are null" if needed else "the model does not read it"
        if name not in before:
            found.append(Drift(name, "no rows", f"{_rows(after[name])} rows", _UNKNOWN))
        elif name not in after:
            found.append(Drift(name, f"{_rows(before[name])} rows", "none", nulls, needed))
        else:
            if name in stale:
                end = f"nothing since {after[name]['last'][:10]}, though the order lines go on"
                means = "scoring refuses it, or leaves it out with --allow-stale"
                found.append(Drift(name, "up to date", end, means, needed))
            found += _of_table(name, before[name], after[name], needed, unread)
    return tuple(found)


def _tables(report: Told) -> dict[str, Told]:
    """The tables that have rows, each with its summary."""
    return {
        name: {**report["tables"][name], "summary": summary}
        for name, summary in report["summaries"].items()
        if summary["rows"]
    }


def _rows(table: Told) -> str:
    return f"{table['summary']['rows']:,}"


def _of_all(before: Told, after: Told) -> Iterator[Drift]:
    """Zone and currency, which are the same in all tables of a log."""
    (zone, money), (zone_now, money_now) = map(_zone_and_money, (before, after))
    if zone and zone_now and zone != zone_now:
        means = "days are other days, so scoring refuses it"
        yield Drift("data.timezone", zone, zone_now, means, refused=True)
    if money and money_now and money != money_now:
        unknown = _NO_CURRENCY in (money, money_now)
        means = "nobody says whether it is the same money" if unknown else "scoring refuses it"
        was, now = ("not stated" if code == _NO_CURRENCY else code for code in (money, money_now))
        yield Drift("data.currency", was, now, means, refused=not unknown)


def _of_history(before: Told, after: Told) -> Iterator[Drift]:
    """How far the orders reach back; tables of rare events begin where chance has it."""
    long, short = (_days(tables.get("order_lines")) for tables in (before, after))
    if long is not None and short is not None and short < HISTORY_CUT * long:
        means = "what came before is not seen, and customers look newer; give the whole history"
        yield Drift("order_lines", f"{long:,} days of history", f"{short:,}", means)


def _days(table: Told | None) -> int | None:
    """The days between its first row and its last; None where there are too few."""
    if table is None or table["summary"]["rows"] < FEWEST_ROWS:
        return None
    return (datetime.fromisoformat(table["last"]) - datetime.fromisoformat(table["first"])).days


def _zone_and_money(tables: Told) -> tuple[str | None, str | None]:
    """What the tables of a log are in; None where none of them says it."""
    told = [table["summary"] for table in tables.values()]
    money = (summary["money"] for summary in told if summary["money"])
    return (told[0]["timezone"] if told else None), next(money, None)


def _of_table(
    name: str, old: Told, new: Told, needed: bool, unread: Collection[str]
) -> Iterator[Drift]:
    was, now = old["summary"], new["summary"]
    if was["granularity"] != now["granularity"]:
        means = "ages of events are counted otherwise than in training"
        yield Drift(name, f"granularity {was['granularity']}", now["granularity"], means)
    rows = (was["newest_rows"], now["newest_rows"])
    pace, paces = was["rows_per_day"] or 0.0, now["rows_per_day"] or 0.0
    if min(rows) >= FEWEST_ROWS and max(pace, paces) > PACE_FACTOR * min(pace, paces):
        means = "counts and rates move with it; a season, or an export that is torn or doubled"
        yield Drift(name, f"{pace:,.4g} rows a day", f"{paces:,.4g}", means)
    yield from _of_load(name, old, new)
    for column, before in was["columns"].items():
        if column in now["columns"]:
            place = f"{name}.{column}"
            read = needed and place not in unread
            yield from _of_column(place, before, now["columns"][column], rows, read)


def _of_load(name: str, old: Told, new: Told) -> Iterator[Drift]:
    """What loading the table said: how many rows were late, and how many unusable."""
    rows = (_read(old), _read(new))
    late, later = old["late_share"], new["late_share"]
    known = "what counts as known at a cutoff is told otherwise than in training"
    if late is not None and later is None:
        yield Drift(f"{name}.known_at", f"{late:.1%} of the rows known late", "not measured", known)
    elif late is None and later is not None:
        yield Drift(f"{name}.known_at", "lateness not measured", f"{later:.1%} known late", known)
    elif late is not None and _moved(late, later, rows, SHARE_MOVED):
        yield Drift(f"{name}.known_at", f"{late:.1%} of the rows known late", f"{later:.1%}", known)
    lost, more = (sum(table["quarantined"].values()) / max(_read(table), 1)
                  for table in (old, new))  # fmt: skip
    if _moved(lost, more, rows, SHARE_MOVED):
        means = "histories have other gaps than in training; see the rules above"
        yield Drift(name, f"{lost:.1%} of the rows unusable", f"{more:.1%}", means)


def _read(table: Told) -> int:
    """The rows in that no rule of the shop left out; an older report knows no such rule."""
    rows: int = table["rows_in"] - sum(table.get("excluded", {}).values())
    return rows


def _of_column(
    place: str, was: Told, now: Told, rows: tuple[int, int], needed: bool
) -> Iterator[Drift]:
    """Differences of one column; one that is not there has no others."""
    if place.endswith(".known_at"):
        yield from _range(place, was, now, rows)
        return
    before, after = 1 - _empty(was), 1 - _empty(now)
    told = "no such column" if not was["given"] else "empty everywhere"
    if before and was["given"] and not (now["given"] and after):
        if now["given"] and before * rows[1] < EXPECTED:
            return
        missing = "empty everywhere" if now["given"] else "no such column"
        means = "its default stands everywhere" if after else "features made of it are null"
        means = means if needed else "the model does not read it"
        yield Drift(place, f"filled in {before:.1%} of the rows", missing, means, needed)
    elif after and now["given"] and not (was["given"] and before):
        yield Drift(place, told, f"filled in {after:.1%} of the rows", _UNKNOWN)
    elif before and after:
        if _moved(1 - before, 1 - after, rows, SHARE_MOVED):
            means = f"features made of it are null {'more' if after < before else 'less'} often"
            yield Drift(place, f"empty in {1 - before:.1%} of the rows", f"{1 - after:.1%}", means)
        yield from _form(place, was, now)
        yield from _range(place, was, now, rows)
        yield from _words(place, was, now, rows)


def _empty(column: Told) -> float:
    """The share of empty cells of the newest rows, where there are enough; else of all."""
    return float(column.get("empty_newest", column["empty"]))


def _moved(was: float, now: float, rows: tuple[int, int], least: float) -> bool:
    """Whether two shares differ by `least`, and by more than chance makes of so many rows."""
    if min(rows) < FEWEST_ROWS:
        return False
    middle = (was * rows[0] + now * rows[1]) / sum(rows)
    chance = sqrt(middle * (1 - middle) * (1 / rows[0] + 1 / rows[1]))
    return abs(was - now) > max(least, CHANCE * chance)


def _form(place: str, was: Told, now: Told) -> Iterator[Drift]:
    """How ids and numbers are written."""
    of_ids = was["kind"] == "id"
    broken = "ids of then and now do not meet, so histories break in two"
    for key, what in (("zeros", "leading zeros"), ("plain", "digits alone")):
        if not of_ids and key == "plain":
            what, broken = "whole numbers", "it may be measured in another unit"
        if key in was and key in now and abs(was[key] - now[key]) > FORM_MOVED:
            yield Drift(place, f"{what} in {was[key]:.0%} of the cells", f"{now[key]:.0%}", broken)


def _range(place: str, was: Told, now: Told, rows: tuple[int, int]) -> Iterator[Drift]:
    """The middle left the middle half of then, or an end lies far outside of the range."""
    if "quantiles" not in was or "quantiles" not in now or min(rows) < FEWEST_ROWS:
        return
    (low, lower, middle, upper, high), (least, _, median, _, most) = (
        was["quantiles"], now["quantiles"],
    )  # fmt: skip
    wide = RANGES * (high - low)
    out = min(rows) >= RANGE_ROWS and (most > high + wide or least < low - wide)
    if out or not lower <= median <= upper:
        unit = " days" if was["kind"] == "time" else ""
        told, tells = (f"{a:g} to {b:g}{unit}, {m:g} in the middle"
                       for a, b, m in ((low, high, middle), (least, most, median)))  # fmt: skip
        means = "features made of it lie outside of what the model saw; another unit, perhaps"
        yield Drift(place, told, tells, means)


def _words(place: str, was: Told, now: Told, rows: tuple[int, int]) -> Iterator[Drift]:
    """New and vanished words of a small vocabulary, and shares that moved between them."""
    old, new = was.get("words"), now.get("words")
    if old and new is None and min(rows) >= FEWEST_ROWS:
        many = f"{now['distinct']:,} words" if "distinct" in now else "more than 1,000 words"
        means = "it is no small vocabulary any more, so another column may stand for it"
        yield Drift(place, f"{was['distinct']} words", many, means)
    if not old or not new:
        return
    # A word that few share has no name in a report, so it may be among those that have none.
    hidden, more_hidden = 1 - sum(old.values()), 1 - sum(new.values())
    came = {w: n for w, n in new.items() if w not in old and _common(n, hidden, rows[1])}
    went = {w: n for w, n in old.items() if w not in new and _common(n, more_hidden, rows[1])}
    if came:
        yield Drift(place, "no such word", _shown(came), _UNKNOWN)
    if went:
        means = "what the model learned of it serves nobody; it may have another name now"
        yield Drift(place, _shown(went), "hardly any", means)
    both = sorted(old.keys() & new.keys(), key=lambda word: abs(old[word] - new[word]))
    if min(rows) < FEWEST_ROWS or sum(abs(old[w] - new[w]) for w in both) / 2 <= FORM_MOVED:
        return
    means = "the mix of its words is not that of the training"
    yield Drift(place, _shown({both[-1]: old[both[-1]]}), f"{new[both[-1]]:.1%}", means)


def _common(share: float, hidden: float, rows: int) -> bool:
    """Whether a word of that share would be seen in so many rows, and not among those hidden."""
    return share >= RARE_WORD and share * rows >= EXPECTED and hidden < share / 4


def _shown(words: Mapping[str, float]) -> str:
    """Words with their share of the filled cells, the most frequent first."""
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    told = [f'"{word}" in {share:.1%}' for word, share in ordered[:MOST_SHOWN]]
    more = len(ordered) - len(told)
    return ", ".join([*told, *([f"{more} more"] if more else [])])
