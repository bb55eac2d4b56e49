"""What all figures share: the sheet to draw on, its colours, and labels that keep apart.

Figures are returned, never shown or saved; nothing touches pyplot or its settings. matplotlib is
imported when the first figure is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ppi_ml.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

# Okabe and Ito (2008), colours that the colour-blind can tell apart; wine for the pale yellow
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
INK, QUIET, FAINT = "#222222", "#5f6368", "#d5d8dc"
_SMALL = 9
_LABEL_GAP = 0.065  # least distance between the labels of two curves, as a share of the height


def sheet(
    title: str,
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float] = (8.0, 5.0),
    heights: Sequence[float] | None = None,
    share_x: bool = False,
) -> tuple[Figure, list[Axes]]:
    """An empty figure with its title, and its axes row by row; `size` in inches, 100 pixels each.

    Raises `UsageError` where matplotlib is not installed.
    """
    try:
        from ppi_ml.models._figure import Picture
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "matplotlib":
            raise
        raise UsageError(
            'plots need matplotlib, which is not installed: pip install "ppi_ml[plots]"'
        ) from missing
    figure = Picture(*size)
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share_x, height_ratios=heights)
    axes: list[Axes] = list(grid.flat)
    for ax in axes:
        _quieten(ax)
    return figure, axes


def subtitle(ax: Axes, text: str) -> None:
    """A line above the axes that says how to read them."""
    ax.set_title(text, loc="left", fontsize=_SMALL + 0.5, color=QUIET)


def footnote(figure: Figure, text: str) -> None:
    """A line below all axes that says how to read them."""
    figure.supxlabel(text, x=0.012, ha="left", fontsize=_SMALL, color=QUIET)


def label_right(ax: Axes, at: ArrayLike, texts: Sequence[str], colours: Sequence[str]) -> None:
    """Labels beside the right end of lines that end at heights `at` (n,), moved apart if close."""
    heights = np.asarray(at, dtype=np.float64)
    low, high = ax.get_ylim()
    places = low + (high - low) * apart((heights - low) / (high - low), _LABEL_GAP)
    across = ax.get_yaxis_transform()
    for height, place, text, colour in zip(heights, places, texts, colours, strict=True):
        ax.plot(
            [1.0, 1.035], [height, place], color=colour, linewidth=1.0, transform=across,
            clip_on=False,
        )  # fmt: skip
        beside(ax, place, text)


def beside(ax: Axes, height: float, text: str) -> None:
    """A text right of the axes, as it is: a name may hold a dollar sign."""
    ax.text(
        1.043, height, text, transform=ax.get_yaxis_transform(), va="center",
        fontsize=_SMALL, color=INK, parse_math=False,
    )  # fmt: skip


def apart(places: FloatArray, gap: float) -> FloatArray:
    """Places (n,) in [0, 1], moved as little as squares allow so that neighbours are `gap` apart.

    Order is kept. Where n labels do not fit, they share the whole height evenly.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(places, kind="stable")
    steps = min(gap, 1.0 / max(len(places) - 1, 1)) * np.arange(len(places))
    moved = isotonic_regression(places[order] - steps).x
    result = np.empty(len(places))
    result[order] = np.clip(moved, 0.0, 1.0 - steps[-1]) + steps
    return result


def percent_axis(axis: Axis) -> None:
    """Ticks of an axis of shares as "20 %"."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")


def _quieten(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(QUIET)
    ax.tick_params(colors=QUIET, labelsize=_SMALL)
    ax.xaxis.label.set_color(QUIET)
    ax.yaxis.label.set_color(QUIET)
