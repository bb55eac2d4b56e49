"""All raw tables of a log through the intake: one report on them, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from ppi_ml import limits, shapes
from ppi_ml.errors import NothingLeftError
from ppi_ml.instants import Cutoff
from ppi_ml.intake import Admitted, RawTable, admit
from ppi_ml.limits import Caller, Limits
from ppi_ml.load_report import LoadReport
from ppi_ml.schema import MOST_QUARANTINED, TABLES


@dataclass(frozen=True)
class Terms:
    """On which terms rows are admitted: the arguments of `load_tables` of the same names."""

    timezone: str
    currency: str
    known_lag: Mapping[str, int] = field(default_factory=dict)
    max_quarantined: Limits = MOST_QUARANTINED
    now: Cutoff | None = None
    caller: Caller = "config"
    segments: Sequence[str] = ()


def admit_all(raw: Mapping[str, RawTable], terms: Terms) -> tuple[LoadReport, dict[str, Admitted]]:
    """The report, and the tables that have rows or a stated period; the order lines first.

    Raises:
        DataError: a table breaks its contract, or more of its rows are unusable than allowed.
        NothingLeftError: no order line is left; with the report.
        UsageError: a share that is none.
    """
    limits.check_limits(terms.max_quarantined)
    notes, found = [], {}
    for name in (name for name in TABLES if name in raw):
        if name != "order_lines" and not _tells(raw[name]):
            notes.append(f"{name}: no rows, so treated as absent")
            continue
        found[name] = _admitted(name, raw[name], terms)
        notes += found[name].notes
    lost = [name for name, got in found.items() if _is_lost(name, got, raw[name])]
    notes += [f"{name}: {_why_lost(found[name])}, so treated as absent" for name in lost]
    unread = {name: _unread(got, raw[name], terms) for name, got in found.items()}
    notes += [line for lines in unread.values() for line in lines]
    notes += _of_lines(found["order_lines"])
    report = LoadReport(
        tables={name: got.report for name, got in found.items()},
        notes=tuple(notes),
        quarantine={name: got.quarantine for name, got in found.items()},
    )
    limits.refuse_exceeded(report, terms.max_quarantined, terms.caller, unread)
    if not found["order_lines"].frame.height:
        lines = found["order_lines"]
        rules = limits.rules_of(lines.report)
        said = f"order_lines: no order line is left; {_why_lost(lines)}{rules and ': '}{rules}"
        said = ". ".join((said, *unread["order_lines"]))
        raise NothingLeftError(said, report)
    return report, {name: got for name, got in found.items() if name not in lost}


def _admitted(name: str, raw: RawTable, terms: Terms) -> Admitted:
    """One table; what was left out before counts among its rows, and keeps its row numbers."""
    got = admit(
        name, raw, zone=terms.timezone, currency=terms.currency,
        lag_days=terms.known_lag.get(name, 0), now=terms.now.at if terms.now else None,
        guess=limits.limit_of(terms.max_quarantined, name) > 0, segments=terms.segments,
    )  # fmt: skip
    if raw.left_out is None:
        return got
    rows_in = got.report.rows_in + _excluded(raw)
    report = replace(got.report, rows_in=rows_in, excluded=dict(raw.left_out.counts))
    return replace(got, report=report, quarantine=raw.left_out.numbered(got.quarantine))


def _unread(got: Admitted, raw: RawTable, terms: Terms) -> list[str]:
    """What the cells of a table look like that cannot be read; a request names its rows instead."""
    if terms.caller == "request":
        return []
    return shapes.unread(
        got.quarantine, raw.frame, raw.settings, in_config=terms.caller == "config"
    )


def _of_lines(got: Admitted) -> list[str]:
    """What order lines may mean otherwise than they say, where a count tells it."""
    notes = []
    bad = got.quarantine.filter(pl.col("column") == "quantity")["value"].str.strip_chars()
    if negative := int(bad.str.contains(r"^-\s*[\d.,]").sum()):
        notes.append(
            f"order_lines: {negative:,} rows have a negative quantity, which takes nothing back: "
            "what was sent back belongs into the table returns, an order taken back into "
            "cancellations (docs/operate.md has the lines that move them)"
        )
    ids = got.frame["customer_id"].unique()
    if cased := len(ids) - ids.str.to_lowercase().n_unique():
        notes.append(
            f"order_lines: {cased:,} ids of customers differ from another one by capital letters "
            "alone, and count as other customers; if they are the same, write them alike"
        )
    return notes


def _excluded(raw: RawTable) -> int:
    """How many rows of a table were left out by rules."""
    return sum(raw.left_out.counts.values()) if raw.left_out else 0


def _why_lost(got: Admitted) -> str:
    report = got.report
    if not report.excluded:
        return "all rows are quarantined"
    return "all rows are excluded" + (" or quarantined" if report.rows_quarantined else "")


def _is_lost(name: str, got: Admitted, raw: RawTable) -> bool:
    """Whether nothing is left of a table that could tell its period."""
    if got.frame.height or _period_stated(raw):
        return False
    return TABLES[name].dated or not raw.frame.height


def _tells(raw: RawTable) -> bool:
    """Whether there is anything to report of a table."""
    return raw.frame.height > 0 or _excluded(raw) > 0 or _period_stated(raw)


def _period_stated(raw: RawTable) -> bool:
    return raw.observed_from is not None and raw.observed_until is not None
