"""The figure of single customers or pairs: the curve, the median and the interval of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppi_ml.entities import CUSTOMER
from ppi_ml.errors import UsageError
from ppi_ml.models.drawing import (
    FAINT,
    INK,
    PALETTE,
    beside,
    label_right,
    percent_axis,
    sheet,
    subtitle,
)
from ppi_ml.nouns import NOUNS, Noun, noun_of_keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ppi_ml.models.curve import Curves

FloatArray = NDArray[np.float64]

MOST_CURVES = len(PALETTE)
_KEYS = ("customer_id", "product")
_LONGEST_NAME = 16


def customer_curves(
    curves: Curves,
    ids: Iterable[object] | None = None,
    *,
    level: float = 0.8,
    first_day: date | str | None = None,
) -> Figure:
    """When a few customers will have ordered: their curves, medians and intervals.

    Args:
        curves: one per customer or pair; without keys, each is named by its row, from 0.
        ids: at most 8 customers or pairs, drawn in this order; None: the first 8.
        level: probability of the interval: 0.8 draws P10 to P90.
        first_day: the local day of the cutoff (a date, or a text such as "2026-11-01"); puts dates
            on the axis instead of days after the cutoff.

    Raises:
        UsageError: more than 8 ids, none, or one without a curve; a level that is no probability;
            matplotlib is missing.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"level: expected a probability strictly between 0 and 1, got {level}")
    start = _day(first_day)
    rows, names = _chosen(curves, ids)
    part = replace(curves, cumulative=curves.cumulative[rows], keys=None, consuming=None)
    shares = ((1 - level) / 2, 0.5, (1 + level) / 2)
    marks = part.quantile(shares)
    figure, (above, below) = sheet(
        "When will they order next?", rows=2, heights=(3.0, 0.3 + 0.22 * len(rows)), share_x=True
    )
    if start:
        _date_axis(below)
    else:
        below.set_xlabel("days after the cutoff")
    end = _end(part.max_days, marks)
    above.set_xlim(*_x(np.array([0.0, end]), start))
    _draw_curves(above, part, names, shares, end, start)
    _draw_intervals(below, marks, names, end, start)
    if ids is None and len(rows) < len(curves):
        subtitle(above, f"the first {len(rows)} of {len(curves):,} {_noun(curves).many}")
    bounds = " to ".join(f"P{100 * share:.3g}" for share in shares[::2])
    subtitle(below, f"bar: {100 * level:.3g} % interval, {bounds}; dot, and right: median")
    return figure


def _chosen(curves: Curves, ids: Iterable[object] | None) -> tuple[list[int], list[str]]:
    """The rows of those asked for, and their names."""
    if not len(curves):
        raise UsageError("there are no curves to draw: nobody bought before the cutoff")
    names = _names(curves)
    if ids is None:
        rows = list(range(min(MOST_CURVES, len(names))))
        return rows, [names[row] for row in rows]
    asked = list(dict.fromkeys(map(str, [ids] if isinstance(ids, str) else ids)))
    if not 1 <= len(asked) <= MOST_CURVES:
        raise UsageError(
            f"ids: expected 1 to {MOST_CURVES} {_noun(curves).many}, got {len(asked)}; "
            "more curves cannot be told apart in one figure"
        )
    rows_of = _rows_of(curves, names)
    unknown = sum(name not in rows_of for name in asked)
    if unknown:
        raise UsageError(
            f"ids: {unknown} of {len(asked)} {_noun(curves).many} have no curve among these "
            f"{len(curves)}; only {_noun(curves).many} with a purchase before the cutoff have one"
        )
    found = [row for name in asked for row in rows_of[name]][:MOST_CURVES]
    return found, [names[row] for row in found]


def _noun(curves: Curves) -> Noun:
    return NOUNS[CUSTOMER] if curves.keys is None else noun_of_keys(curves.keys.columns)


def _rows_of(curves: Curves, names: Sequence[str]) -> dict[str, list[int]]:
    """Name, or customer alone, -> its rows: a customer has one curve for every product."""
    rows: dict[str, list[int]] = {}
    whole = names if curves.keys is None else curves.keys["customer_id"].to_list()
    for row, (name, customer) in enumerate(zip(names, whole, strict=True)):
        for known in dict.fromkeys((name, str(customer))):
            rows.setdefault(known, []).append(row)
    return rows


def _names(curves: Curves) -> list[str]:
    if curves.keys is None:
        return [str(row) for row in range(len(curves))]
    if "customer_id" not in curves.keys.columns:
        raise UsageError("keys: expected a column customer_id, by which customers are chosen")
    keys = [name for name in _KEYS if name in curves.keys.columns]
    columns = [curves.keys[name].to_list() for name in keys]
    return [" ".join(map(str, parts)) for parts in zip(*columns, strict=True)]


def _day(given: date | str | None) -> date | None:
    if isinstance(given, datetime):
        return given.date()
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise UsageError(
            'first_day: expected a date such as "2026-11-01", the local day of the cutoff'
        ) from error


def _date_axis(ax: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    form = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(form)


def _x(days: FloatArray, start: date | None) -> FloatArray:
    """Places on the axis: days after the cutoff, or matplotlib's days since 1970."""
    return days if start is None else days + float((start - date(1970, 1, 1)).days)


def _end(reach: float, marks: FloatArray) -> float:
    """Where the axis ends, days: what follows the last of all intervals is of no interest."""
    last = float(marks[:, -1].max())
    return min(reach, 1.15 * last)


def _draw_curves(
    ax: Axes,
    part: Curves,
    names: Sequence[str],
    shares: Sequence[float],
    end: float,
    start: date | None,
) -> None:
    days = np.union1d(part.edges[part.edges < end], np.linspace(0.0, end, 200))
    ordered = 1.0 - part.survival(days)
    highest = float(ordered.max())
    top = 1.0 if highest > 0.5 else max(np.ceil(10 * highest) / 10, 0.1)
    ax.set_ylim(0.0, top)
    percent_axis(ax.yaxis)
    ax.set_ylabel("probability of an order by then")
    for share in shares:
        if share < top:
            ax.axhline(share, color=FAINT, linewidth=1, zorder=0)
    for curve, colour, name in zip(ordered, PALETTE, names, strict=False):
        ax.plot(_x(days, start), curve, color=colour, linewidth=1.8, label=name)
    label_right(ax, ordered[:, -1], [_short(name) for name in names], PALETTE[: len(names)])


def _draw_intervals(
    ax: Axes, marks: FloatArray, names: Sequence[str], end: float, start: date | None
) -> None:
    """One bar per customer; `marks` (n, 3) low, median and high in days, inf beyond the reach."""
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_yticks(range(len(names)), [_short(name) for name in names], parse_math=False)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    places = _x(np.minimum(marks, end), start)
    for row, ((low, median, high), colour) in enumerate(zip(places, PALETTE, strict=False)):
        known = np.isfinite(marks[row])
        if known[0]:
            ax.plot(
                [low, high], [row, row], color=colour, linewidth=5, alpha=0.45,
                solid_capstyle="butt",
            )  # fmt: skip
        if known[1]:
            ax.plot(median, row, marker="o", color=colour, markersize=6, clip_on=False)
        if not known[2]:
            ax.plot(high, row, marker=">", color=colour, markersize=6, clip_on=False)
        beside(ax, row, _said(marks[row, 1], end, start))


def _said(median: float, end: float, start: date | None) -> str:
    """The median as a day, or as the calendar day under way just before it, as in score tables."""
    days = min(median, end)
    if start is None:
        said = f"day {round(days, 1):g}"
    else:
        day = start + timedelta(days=max(ceil(days) - 1, 0))
        said = f"{day.day} {day:%b %Y}"
    return said if np.isfinite(median) else f"after {said}"


def _short(name: str) -> str:
    """A name that fits beside the axes."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:7]}…{name[-7:]}"
