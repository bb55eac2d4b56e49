"""Figures to judge a model by: customers, calibration, coverage, season.

    run = ppi_ml.train(log, target="repurchase")
    plots.calibration_at(run)

Each function takes a run, the folder of one or of its bundle, or a scorer, and returns a figure of
its own, made without pyplot; a notebook shows it, and `figure.savefig("name.png")` keeps it. Needs
`pip install "ppi_ml[plots]"`, else `UsageError`. Training leaves those that it can draw in the
folder `plots` of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ppi_ml.errors import UsageError
from ppi_ml.kept import Judged, Kept, judged_of, regression_of, scorecard_of
from ppi_ml.metrics import calibration_table
from ppi_ml.models import covariates
from ppi_ml.models.asked import ORDER_DAYS
from ppi_ml.models.curve import Curves
from ppi_ml.models.curve_figure import customer_curves
from ppi_ml.models.drawing import (
    FAINT,
    INK,
    PALETTE,
    QUIET,
    beside,
    footnote,
    percent_axis,
    sheet,
    subtitle,
)
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.nouns import NOUNS
from ppi_ml.score_rows import ELIGIBLE, EVERYBODY, MODEL, POOLED, ScoreRow, without_repeats
from ppi_ml.scorecard import Scorecard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Judged",
    "Kept",
    "calibration_at",
    "coverage_by_segment",
    "customer_curves",
    "season_effect",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_SIZES = {1: (8.0, 5.2), 2: (8.0, 4.8), 3: (8.0, 3.5), 4: (8.0, 8.3)}
_NORMAL_95 = 1.959964
_NOMINAL = 0.8  # the coverage of a scorecard is that of the interval from P10 to P90
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIRST_DAYS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])
_YEAR = 365


def calibration_at(
    judged: Kept | Judged, horizons: Sequence[float] | None = None, bins: int = 10
) -> Figure:
    """Predicted against actual share of events by several horizons, one panel each.

    Args:
        judged: a run, its folder, its bundle there, or a scorer of that: the eligible rows of all
            test cutoffs. Or predictions of your own.
        horizons: 1 to 4 of them, in days, none beyond the last day of the grid; None: the horizon
            that was judged, and up to three shorter ones.
        bins: bins of about equal mass. Their 95 % intervals are Wilson's, which take rows for
            independent: with several cutoffs per customer they are a little too narrow.

    Raises:
        UsageError: nothing was judged, or the run folder is not around the bundle; a row was not
            followed to the last horizon; a horizon beyond the grid; days or observed of another
            length.
        IntegrityError: a damaged run.
        DataError: survival does not fit the grid.
    """
    asked = judged if isinstance(judged, Judged) else judged_of(judged)
    horizons = _horizons(asked) if horizons is None else horizons
    time, happened = np.asarray(asked.days, dtype=np.float64), np.asarray(asked.observed)
    alive = _at(asked.grid, asked.survival, horizons)
    if not time.shape == happened.shape == alive.shape[:1]:
        raise UsageError(
            f"days and observed: expected shape ({len(alive)},) like the rows of survival, "
            f"got {time.shape} and {happened.shape}"
        )
    if not len(alive):
        raise UsageError("there is nothing to draw: not one row was judged")
    short = int((~happened.astype(np.bool_) & (time < max(horizons))).sum())
    if short:
        raise UsageError(
            f"horizons: {short} of {len(time)} rows were not followed for {max(horizons):g} days; "
            "ask for shorter ones, or leave out whole cutoffs: without the censored rows alone, "
            "too many would seem to order"
        )
    panels = len(horizons)
    columns = 2 if panels == 4 else panels
    figure, axes = sheet(
        "Does what was predicted come true?",
        rows=panels // columns, columns=columns, size=_SIZES[panels],
    )  # fmt: skip
    for i, (ax, horizon) in enumerate(zip(axes, horizons, strict=True)):
        expected, actual = 1.0 - alive[:, i], happened & (time <= horizon)
        _draw_calibration(ax, actual, expected, bins)
        said = f"{expected.sum():,.0f} predicted, {actual.sum():,} came"
        subtitle(ax, f"{asked.question or f'purchase within {horizon:g} days'}\n{said}")
        if i >= panels - columns:
            ax.set_xlabel("predicted share")
        if i % columns == 0:
            ax.set_ylabel("actual share")
    footnote(
        figure,
        f"{len(alive):,} rows in up to {bins} groups by what was predicted, with 95 % intervals; "
        "on the line: as predicted",
    )
    return figure


def coverage_by_segment(scorecard: Kept | Scorecard) -> Figure:
    """How often the 80 % interval of the model held, for all rows and for parts of them.

    Drawn from a scorecard, or from that of a run, its folder, a bundle or a scorer. The large dots
    are all test cutoffs together, with Wilson's 95 % interval, which takes rows for independent:
    with several cutoffs per customer it is a little too narrow. The small ones are single test
    cutoffs. Raises `UsageError` if the scorecard holds no coverage: only targets judged on the
    whole curve have one.
    """
    scorecard = scorecard if isinstance(scorecard, Scorecard) else scorecard_of(scorecard)
    shown = without_repeats(scorecard.rows)
    rows = [row for row in shown if row.model == MODEL and row.value is not None]
    pooled = [row for row in rows if row.metric == "coverage" and row.cutoff == POOLED]
    if not pooled:
        raise UsageError(
            "this scorecard holds no coverage: only targets that are judged on the whole curve "
            "have it, such as repurchase"
        )
    height = 1.6 + 0.45 * max(len(pooled), 4)
    figure, (ax,) = sheet("Does the 80 % interval hold 80 %?", size=(8.0, height))
    subtitle(ax, "large: all test cutoffs, with 95 % interval; small: each test cutoff")
    for place, row in enumerate(pooled):
        _draw_coverage(ax, place, row, [other for other in rows if other.segment == row.segment])
    everybody = NOUNS[scorecard.entity].everybody
    titles = {ELIGIBLE: "all eligible", EVERYBODY: everybody[0].lower() + everybody[1:]}
    names = [titles.get(row.segment, row.segment.replace("_", "-")) for row in pooled]
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(names) - 0.5, -0.9)
    left, right = ax.get_xlim()
    ax.set_xlim(min(left, _NOMINAL - 0.06), max(right, _NOMINAL + 0.06))
    ax.axvline(_NOMINAL, color=INK, linewidth=1, zorder=0)
    for text, side in (("holds too seldom  ", "right"), ("  holds too often", "left")):
        ax.text(_NOMINAL, -0.7, text, ha=side, va="center", fontsize=9, color=QUIET)
    percent_axis(ax.xaxis)
    ax.set_xlabel("share of outcomes inside the interval from P10 to P90")
    return figure


def season_effect(model: Kept | PoissonGlm | None) -> Figure:
    """What the date does to the rate of orders over a year, by the regression of a hazard model.

    Drawn from the regression of a run, its folder, a bundle or a scorer, or from one itself. A
    factor on the hazard (orders per day), relative to the year's geometric mean. Raises
    `UsageError` for a model without a season.
    """
    glm = model if isinstance(model, PoissonGlm | None) else regression_of(model)
    if glm is None or not any(name.startswith("season_") for name in glm.names):
        raise UsageError(
            "this model has no season: one takes 548 days of history (with less it cannot be told "
            "from growth), model.season: auto, and the stage of the regression"
        )
    noon = covariates.Settings(edges=(0.0, 1.0), processes=(), tree_names=())
    day = np.arange(float(_YEAR))
    factor = np.exp(covariates.season_effect(glm, day, noon)[:, 0])
    figure, (ax,) = sheet("When in the year do customers order?")
    ax.axhline(1.0, color=INK, linewidth=1)
    ax.fill_between(day, 1.0, factor, color=PALETTE[0], alpha=0.15, linewidth=0)
    ax.plot(day, factor, color=PALETTE[0], linewidth=2)
    for place, up in ((int(factor.argmax()), True), (int(factor.argmin()), False)):
        _mark(ax, place, float(factor[place]), up)
    ax.set_xlim(0, _YEAR)
    ax.margins(y=0.18)
    ax.set_xticks(_FIRST_DAYS, _MONTHS, ha="left", va="baseline")
    ax.tick_params(axis="x", pad=14)
    ax.yaxis.set_major_formatter(lambda value, _: f"×{value:.3g}")
    ax.set_ylabel("orders per day, relative to the year")
    subtitle(
        ax, "factor that the regression puts on the hazard of each date; ×1 is the year's mean"
    )
    return figure


def wilson(share: ArrayLike, count: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The 95 % interval of a share among `count` independent rows: low and high, (n,) each.

    Wilson (1927), Probable inference; inside [0, 1] and not empty at a share of 0 or 1.
    """
    p, n = np.asarray(share, dtype=np.float64), np.asarray(count, dtype=np.float64)
    squared = _NORMAL_95**2 / n
    middle = (p + squared / 2) / (1 + squared)
    half = np.sqrt(squared * p * (1 - p) + squared**2 / 4) / (1 + squared)
    return middle - half, middle + half


def _horizons(judged: Judged) -> list[float]:
    """The last day of the grid, and up to three usual ones below it at which curves stand."""
    *shorter, last = (float(day) for day in np.asarray(judged.grid))
    return [*[day for day in shorter if day in ORDER_DAYS][-3:], last]


def _at(grid: ArrayLike, survival: ArrayLike, horizons: Sequence[float]) -> FloatArray:
    """Survival (n, number of horizons)."""
    if not 1 <= len(horizons) <= len(_SIZES):
        raise UsageError(f"horizons: expected 1 to {len(_SIZES)}, got {len(horizons)}")
    values = np.asarray(survival, dtype=np.float64)
    whole = np.column_stack([np.ones(len(values)), values])
    edges = np.append(0.0, np.asarray(grid, dtype=np.float64))
    return Curves.from_survival(edges, whole).survival(list(horizons))


def _draw_calibration(ax: Axes, happened: BoolArray, probability: FloatArray, bins: int) -> None:
    table = calibration_table(happened, probability, bins)
    low, high = wilson(table.actual, table.count)
    top = _top(max(high.max(), table.predicted.max()))
    ax.plot([0, top], [0, top], color=FAINT, linewidth=1.5, zorder=0)
    ax.vlines(table.predicted, low, high, color=PALETTE[0], linewidth=1.5)
    ax.plot(table.predicted, table.actual, "o", color=PALETTE[0], markersize=5)
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    ax.set_aspect("equal")
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    ax.locator_params(nbins=4)


def _top(highest: float) -> float:
    """The end of an axis of shares up to `highest`: a round number with some room above it.

    Shares below a tenth get an axis of their own size, or rare events would lie in its corner.
    """
    step = 10.0 ** np.floor(np.log10(np.clip(highest, 1e-6, 0.5)))
    return float(min(1.0, np.ceil(1.02 * highest / step) * step))


def _draw_coverage(ax: Axes, place: int, pooled: ScoreRow, others: Sequence[ScoreRow]) -> None:
    """One segment; `others` are all rows of the model about it."""
    value = _value(pooled)
    single = [_value(row) for row in others if row.metric == "coverage" and row.cutoff != POOLED]
    if pooled.low is None or pooled.high is None:
        low, high = map(float, wilson(value, pooled.n))
    else:
        low, high = pooled.low, pooled.high
    ax.plot(single, [place] * len(single), "o", color=QUIET, markersize=4, alpha=0.6)
    ax.plot([low, high], [place, place], color=PALETTE[0], linewidth=2)
    ax.plot(value, place, "o", color=PALETTE[0], markersize=8)
    width = [_value(row) for row in others if row.metric == "width" and row.cutoff == POOLED]
    beside(ax, place, f"{pooled.n:,} rows" + "".join(f", {days:.0f} days wide" for days in width))


def _value(row: ScoreRow) -> float:
    return float("nan") if row.value is None else row.value


def _mark(ax: Axes, day: int, factor: float, up: bool) -> None:
    """Name the best or the worst day of the year beside the curve."""
    month = int(np.searchsorted(_FIRST_DAYS, day, side="right")) - 1
    ax.plot(day, factor, "o", color=PALETTE[0], markersize=6)
    ax.annotate(
        f"×{factor:.2f} around {day - _FIRST_DAYS[month] + 1} {_MONTHS[month]}",
        (day, factor), xytext=(0, 9 if up else -9), textcoords="offset points",
        ha="left" if day < 40 else "right" if day > _YEAR - 40 else "center",
        va="bottom" if up else "top", fontsize=9, color=INK,
    )  # fmt: skip
