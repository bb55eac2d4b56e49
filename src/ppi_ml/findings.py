"""What was found in a log as a whole, as data and for people. Counts and shares, never a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Orphans:
    """Rows of `table` whose `column` names what is not there, of all rows that `named` something.

    `what` says in words what they name, and where it should be.
    """

    table: str
    column: str
    what: str
    rows: int
    named: int

    @property
    def share(self) -> float:
        """Share of the rows that name something; 0 where none does."""
        return self.rows / max(self.named, 1)


@dataclass(frozen=True)
class Skew:
    """Events of `table` that come before their cause, of `pairs` whose cause is known.

    `hours`: by how many, in the median; null where none does. Whole hours smell of a clock of
    another zone.
    """

    table: str
    what: str
    rows: int
    pairs: int
    hours: float | None

    @property
    def share(self) -> float:
        """Share of the rows whose cause is known; 0 where none is."""
        return self.rows / max(self.pairs, 1)


@dataclass(frozen=True)
class SentBack:
    """What came back without having been bought before, unit by unit, first in, first out.

    `units` of `all_units`, of `pairs` (a customer and a product) of `all_pairs` that something came
    back of. Returns without a sku are in neither.
    """

    units: float
    all_units: float
    pairs: int
    all_pairs: int


@dataclass(frozen=True)
class Checks:
    """What the whole log tells.

    `repeated`: table -> share of rows that repeat another one in all but their ids. `twice`: table
    -> rows in an hour that the clock shows twice: without an offset, the earlier one was taken.
    `ahead`: table -> rows after the present instant; null where that was not asked. `currency` is
    that of all money; null where none is stated.
    """

    orphans: tuple[Orphans, ...]
    clock_skew: tuple[Skew, ...]
    sent_back: SentBack | None
    repeated: Mapping[str, float]
    twice: Mapping[str, int]
    ahead: Mapping[str, int] | None
    currency: str | None

    def to_dict(self) -> dict[str, Any]:
        """The checks as JSON-able data."""
        return {
            "orphans": [{**asdict(found), "share": found.share} for found in self.orphans],
            "clock_skew": [{**asdict(found), "share": found.share} for found in self.clock_skew],
            "sent_back": None if self.sent_back is None else asdict(self.sent_back),
            "repeated": dict(self.repeated),
            "twice": dict(self.twice),
            "ahead": None if self.ahead is None else dict(self.ahead),
            "currency": self.currency,
        }

    def notable(self, least: float) -> tuple[str, ...]:
        """What was found of at least this share (0 to 1) of the rows it was looked for in."""
        orphans = [_orphan_clause(found) for found in self.orphans if found.share >= least]
        skews = [_skew_clause(found) for found in self.clock_skew if found.share >= least]
        back = self.sent_back
        more = [
            f"returns: {back.units:,g} of {back.all_units:,g} units were sent back without having "
            "been bought before"
            for back in ([back] if back else [])
            if back.units >= least * max(back.all_units, 1)
        ]
        repeated = [
            f"{name}: {share:.1%} of the rows say what another one says under another id"
            for name, share in self.repeated.items()
            if share >= least
        ]
        return (*orphans, *skews, *more, *repeated)

    def to_lines(self) -> list[str]:
        """The checks for people: what was found, and where nothing was."""
        orphans = [_orphan_line(found) for found in self.orphans if found.rows]
        skews = [_skew_line(found) for found in self.clock_skew if found.rows]
        lines = [
            *_section("orphans", orphans, len(self.orphans)),
            *_section("clock skew", skews, len(self.clock_skew)),
        ]
        back = self.sent_back
        if back is not None:
            found = [_sent_back_line(back)] if back.pairs else []
            lines += _section("more sent back than bought", found, 1)
        repeated = [_share_line(name, share) for name, share in self.repeated.items() if share]
        lines += _section("repeated but for their ids", repeated, len(self.repeated))
        rows = {"in an hour that the clock shows twice": self.twice, "in the future": self.ahead}
        for title, counts in rows.items():
            if counts is not None:
                told = [f"  {n:>10,}  {name}" for name, n in counts.items() if n]
                lines += _section(title, told, len(counts))
        if self.currency is None:
            lines.append("money: no currency is stated, so amounts are in an unknown one")
        return lines


def _section(title: str, lines: Iterable[str], looked: int) -> list[str]:
    found = list(lines)
    if found:
        return [f"{title}:", *found]
    return [f"{title}: none" if looked else f"{title}: no table to look at"]


def _orphan_line(found: Orphans) -> str:
    where = f"{found.table}.{found.column}"
    return f"  {found.rows:>10,} of {found.named:,} ({found.share:.2%})  {where}: {found.what}"


def _skew_line(found: Skew) -> str:
    by = "" if found.hours is None else f", by {found.hours:,.1f} hours in the median"
    pairs = f"{found.rows:>10,} of {found.pairs:,} ({found.share:.2%})"
    return f"  {pairs}  {found.table}: {found.what}{by}"


def _orphan_clause(found: Orphans) -> str:
    some = f"{found.rows:,} of {found.named:,} rows ({found.share:.1%})"
    return f"{found.table}.{found.column}: {some} name {found.what}"


def _skew_clause(found: Skew) -> str:
    by = "" if found.hours is None else f", by {found.hours:,.1f} hours in the median"
    some = f"{found.rows:,} of {found.pairs:,} rows ({found.share:.1%})"
    return f"{found.table}: {found.what} in {some}{by}"


def _sent_back_line(back: SentBack) -> str:
    return (
        f"  {back.units:>10,g} of {back.all_units:,g} units, of {back.pairs:,} of "
        f"{back.all_pairs:,} pairs of a customer and a product"
    )


def _share_line(name: str, share: float) -> str:
    return f"  {'< 0.01%' if share < 0.0001 else f'{share:.2%}':>10}  {name}"
