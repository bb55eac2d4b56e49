import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime
from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ppi_ml import plots
from ppi_ml.errors import UsageError
from ppi_ml.metrics import calibration_table
from ppi_ml.models import drawing
from ppi_ml.models.curve import Curves
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.readings import Asked, repurchase
from ppi_ml.score_rows import ScoreRow
from ppi_ml.scorecard import Scorecard, Verdict

dates = pytest.importorskip("matplotlib.dates")

FAST, SLOW, NEVER = [0.2, 0.05], [0.7, 0.4], [0.99, 0.98]


def curves_of(*survival, names=None):
    """Curves by their survival after 30 and 365 days."""
    whole = np.column_stack([np.ones(len(survival)), np.array(survival)])
    names = [f"c{i}" for i in range(len(survival))] if names is None else names
    return Curves.from_survival([0, 30, 365], whole, pl.DataFrame({"customer_id": names}))


THREE = curves_of(FAST, SLOW, NEVER)


def lines_of(ax, colour):
    """(x, y) of every line of a colour, as lists."""
    return [
        (list(line.get_xdata()), list(line.get_ydata()))
        for line in ax.lines
        if line.get_color() == colour
    ]


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def named(ax):
    """The curves of a figure by their names."""
    return {line.get_label(): line.get_xydata() for line in ax.lines if line.get_label()[0] != "_"}


def ticks_of(axis):
    """The labels of an axis that are drawn: the visible ones at a place within its limits."""
    low, high = sorted(axis.get_view_interval())
    return [
        tick.label1
        for tick in axis.get_major_ticks()
        if tick.label1.get_visible() and low - 1e-9 <= tick.get_loc() <= high + 1e-9
    ]


def assert_readable(figure):
    """No text is cut off by the border of the figure, and none covers another."""
    figure.draw_without_rendering()
    texts = [figure._suptitle, *filter(None, [figure._supxlabel])]
    for ax in figure.axes:
        texts += [*ax.texts, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        texts += [*ticks_of(ax.xaxis), *ticks_of(ax.yaxis)]
    texts = [text for text in texts if text.get_text()]
    boxes = {text: text.get_window_extent() for text in texts}
    for text, box in boxes.items():
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1, text
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or along <= 1, (one, other)


# --- what an import and a figure may leave behind


def test_importing_loads_no_matplotlib_and_a_figure_no_pyplot():
    code = """
import sys
import ppi_ml.plots, ppi_ml.models.curve
print("matplotlib" in sys.modules)
from matplotlib import rcParams
settings = lambda: {key: rcParams[key] for key in rcParams if key != "backend"}
before = settings()
ppi_ml.plots.Curves.from_survival([0, 9], [[1, 0.5]]).plot()._repr_png_()
print("matplotlib.pyplot" in sys.modules, before == settings())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "ppi_ml.models._figure", raising=False)
    with pytest.raises(UsageError, match=r'pip install "ppi_ml\[plots\]"'):
        THREE.plot()


def test_a_notebook_shows_the_figure():
    assert THREE.plot()._repr_png_().startswith(b"\x89PNG")


# --- single customers


def test_curves_are_drawn_as_they_are_in_the_order_asked_for():
    figure = THREE.plot(["c2", "c0"])
    drawn = named(figure.axes[0])
    assert list(drawn) == ["c2", "c0"]
    for name, row in (("c2", 2), ("c0", 0)):
        days, ordered = drawn[name].T
        assert (days[0], days[-1]) == (0.0, 365.0)
        assert ordered == pytest.approx(1 - THREE.survival(days)[row])
    assert texts_of(figure.axes[0]) == ["c2", "c0"]
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["c2", "c0"]


@pytest.mark.parametrize("level", [0.8, 0.5])
def test_bars_are_the_interval_and_dots_the_median(level):
    figure = THREE.plot(level=level)
    low, median, high = (THREE.quantile(p) for p in ((1 - level) / 2, 0.5, (1 + level) / 2))
    below = figure.axes[1]
    assert lines_of(below, drawing.PALETTE[0]) == [
        ([pytest.approx(low[0]), pytest.approx(high[0])], [0, 0]),
        ([pytest.approx(median[0])], [0]),
    ]
    assert f"{100 * level:g} % interval" in below.get_title("left")


def test_what_lies_beyond_the_reach_is_an_arrow_at_the_end():
    below = THREE.plot().axes[1]
    bar, dot, arrow = lines_of(below, drawing.PALETTE[1])
    assert bar[0][1] == arrow[0][0] == 365.0
    assert dot[0][0] == pytest.approx(THREE.quantile(0.5)[1])
    assert lines_of(below, drawing.PALETTE[2]) == [([365.0], [2])]
    assert texts_of(below)[2] == "after day 365"


def test_the_axis_ends_behind_the_last_interval_and_scales_to_rare_orders():
    quick, rare = curves_of(FAST).plot().axes[0], curves_of(NEVER).plot().axes[0]
    assert quick.get_xlim() == (0.0, pytest.approx(1.15 * THREE.quantile(0.9)[0]))
    assert quick.get_ylim() == (0.0, 1.0)
    assert (rare.get_xlim(), rare.get_ylim()) == ((0.0, 365.0), (0.0, 0.1))


@pytest.mark.parametrize("first", [date(2024, 2, 29), "2024-02-29", datetime(2024, 2, 29, 13)])
def test_dates_on_the_axis_and_the_median_as_in_the_score_table(first):
    figure = THREE.plot(first_day=first)
    start = dates.date2num(date(2024, 2, 29))
    assert named(figure.axes[0])["c0"][0, 0] == start
    asked = Asked(horizon=365, window=7, first_day=date(2024, 2, 29))
    expected = repurchase(THREE, asked)["next_p50_date"][:2].astype("M8[D]").tolist()
    said = [datetime.strptime(text, "%d %b %Y").date() for text in texts_of(figure.axes[1])[:2]]
    assert said == expected
    assert texts_of(figure.axes[1])[2] == "after 27 Feb 2025"
    assert figure.axes[1].get_xlabel() == ""


@pytest.mark.parametrize(
    "ids",
    [
        [17850, 12347],
        pd.Series(["17850", "12347", "17850"], index=[7, 3, 1]),
        pl.Series([17850, 12347]),
        np.array([17850, 12347]),
        dict.fromkeys(("17850", "12347")).keys(),
    ],
)
@pytest.mark.parametrize("library", [pl, pd])
def test_ids_and_keys_of_any_kind(ids, library):
    keys = library.DataFrame({"customer_id": ["12347", "x", "17850"]})
    curves = Curves(THREE.edges, THREE.cumulative, keys)
    assert list(named(curves.plot(ids).axes[0])) == ["17850", "12347"]


def test_a_single_id_may_be_a_text_and_rows_are_named_without_keys():
    assert list(named(THREE.plot("c1").axes[0])) == ["c1"]
    bare = Curves(THREE.edges, THREE.cumulative)
    assert list(named(bare.plot([2]).axes[0])) == ["2"]


def test_the_first_eight_of_many_and_it_says_so():
    above = curves_of(*[SLOW] * 20).plot().axes[0]
    assert list(named(above)) == [f"c{i}" for i in range(8)]
    assert above.get_title("left") == "the first 8 of 20 customers"
    assert THREE.plot().axes[0].get_title("left") == ""
    keys = pl.DataFrame({"customer_id": ["a"] * 20, "product": [f"p{i}" for i in range(20)]})
    pairs = replace(curves_of(*[SLOW] * 20), keys=keys)
    assert pairs.plot().axes[0].get_title("left") == "the first 8 of 20 pairs"
    with pytest.raises(UsageError, match="1 to 8 pairs, got 0"):
        pairs.plot([])


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("1 of 2 customers have no curve", lambda: THREE.plot(["c1", "secret"])),
        ("1 to 8 customers, got 9", lambda: THREE.plot(range(9))),
        ("1 to 8 customers, got 0", lambda: THREE.plot([])),
        ("level: expected a probability", lambda: THREE.plot(level=80)),
        ("first_day: expected a date", lambda: THREE.plot(first_day="9.12.2011")),
        ("nobody bought", lambda: Curves(THREE.edges, np.empty((0, 3))).plot()),
        (
            "a column customer_id",
            lambda: Curves(
                THREE.edges, THREE.cumulative, pd.DataFrame({"sku": list("abc")})
            ).plot(),
        ),
    ],
)
def test_errors_say_what_to_do_and_hold_no_id(said, call):
    with pytest.raises(UsageError, match=said) as caught:
        call()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("first_day", [None, "2011-12-09"])
@pytest.mark.parametrize("survival", [FAST, SLOW, NEVER, [1e-9, 0.0], [1.0, 1.0]])
def test_close_curves_with_awkward_names_stay_readable(survival, first_day):
    names = [rf"$\{i}$-a-long-name@shop-{i}.example" for i in range(8)]
    close = [np.multiply(survival, 1 - 0.001 * i) for i in range(8)]
    figure = curves_of(*close, names=names).plot(first_day=first_day)
    assert_readable(figure)
    assert tuple(figure.get_size_inches() * figure.dpi) == (800, 500)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.2))
def test_labels_move_apart_in_order_and_only_if_they_must(places, gap):
    places = np.array(places, dtype=np.float64)
    moved = drawing.apart(places, gap)
    assert ((moved >= -1e-9) & (moved <= 1 + 1e-9)).all()
    order = np.argsort(places, kind="stable")
    room = min(gap, 1 / max(len(places) - 1, 1))
    assert (np.diff(moved[order]) >= room - 1e-9).all()
    if (np.diff(places[order]) >= gap).all():
        assert moved == pytest.approx(places)


# --- calibration

RANDOM = np.random.default_rng(3)
GRID = np.array([10.0, 30.0, 90.0])
RATE = RANDOM.gamma(1.0, 0.01, 600)
SURVIVAL = np.exp(-RATE[:, None] * GRID)
WAIT = RANDOM.exponential(1 / RATE)
DAYS, OBSERVED = np.minimum(WAIT, 90.0), WAIT <= 90
OWN = plots.Judged(DAYS, OBSERVED, GRID, SURVIVAL)


def test_points_and_bars_of_every_horizon():
    figure = plots.calibration_at(OWN, [20, 90], bins=6)
    assert len(figure.axes) == 2
    for ax, horizon in zip(figure.axes, (20, 90), strict=True):
        by_then = OBSERVED & ~(horizon < DAYS)
        expected = 1 - np.exp(-RATE * horizon)
        table = calibration_table(by_then, expected, 6)
        ((diagonal, same),) = lines_of(ax, drawing.FAINT)
        assert diagonal == same
        ((x, y),) = lines_of(ax, drawing.PALETTE[0])
        assert (x, y) == (pytest.approx(table.predicted), pytest.approx(table.actual))
        (bars,) = ax.collections
        for bar, share, n in zip(bars.get_segments(), table.actual, table.count, strict=True):
            ends = binomtest(round(share * n), n).proportion_ci(0.95, method="wilson")
            assert bar[:, 1] == pytest.approx([ends.low, ends.high], abs=1e-6)
        said = f"{expected.sum():,.0f} predicted, {by_then.sum()} came"
        said = f"purchase within {horizon} days\n{said}"
        assert ax.get_title("left") == said
        assert ax.get_xlim() == ax.get_ylim()


@pytest.mark.parametrize("rarer", [10.0, 100.0, 1000.0])
def test_rare_events_fill_the_figure(rarer):
    rare = SURVIVAL ** (1 / rarer)
    happened = np.random.default_rng(5).random(600) < 1 - rare[:, -1]
    judged = plots.Judged(np.where(happened, 50.0, 90.0), happened, GRID, rare)
    figure = plots.calibration_at(judged, [90])
    assert_readable(figure)
    (ax,) = figure.axes
    bars, top = ax.collections[0].get_segments(), ax.get_xlim()[1]
    highest = max(end for bar in bars for _, end in bar)
    assert highest < top <= 2.1 * highest


@pytest.mark.parametrize("horizons", [[30], [10, 30], [7, 30, 90], [7, 30, 60, 90]])
def test_calibration_is_readable(horizons):
    figure = plots.calibration_at(OWN, horizons)
    assert_readable(figure)
    assert figure._supxlabel.get_text().startswith("600 rows in up to 10 groups")


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("1 of 600 rows were not followed for 90 days", {"days": [*DAYS[:-1], 5.0]}),
        ("expected 1 to 4, got 5", {"horizons": [1, 2, 3, 4, 5]}),
        ("expected 1 to 4, got 0", {"horizons": []}),
        ("reaches day 90", {"horizons": [91]}),
        ("expected shape", {"days": DAYS[:-1]}),
        ("bool", {"observed": OBSERVED.astype(int)}),
        ("nothing to draw", {"days": [], "observed": [], "survival": SURVIVAL[:0]}),
    ],
)
def test_wrong_input_of_calibration(said, change):
    given = {"days": DAYS, "observed": OBSERVED, "grid": GRID, "survival": SURVIVAL}
    given |= {"observed": [*OBSERVED[:-1], False], "horizons": [30, 90]} | change
    with pytest.raises(UsageError, match=said):
        horizons = given.pop("horizons")
        plots.calibration_at(plots.Judged(**given), horizons)


# --- coverage


def row_of(segment, metric, value, *, cutoff="pooled", n=400, low=None, high=None, model="model"):
    return ScoreRow(0, cutoff, segment, model, metric, value, low, high, n, None, None, None)


def card_of(*rows):
    return Scorecard(Verdict("unjudged", "ibs", None, None, None, None, "unjudged"), rows)


SEGMENTS = ("eligible", "one_time", "new", "frequent", "lapsed", "all")
CARD = card_of(
    row_of("eligible", "ibs", 0.2, n=12345),
    row_of("eligible", "coverage", 0.81, low=0.79, high=0.83, n=12345),
    row_of("eligible", "coverage", 0.3, model="mbg_nbd"),
    row_of("eligible", "width", 61.4, n=12345),
    row_of("eligible", "coverage", 0.78, cutoff="2011-06-12"),
    row_of("eligible", "coverage", 0.84, cutoff="2011-09-10"),
    *(row_of(name, "coverage", 0.7 + i / 50) for i, name in enumerate(SEGMENTS[1:])),
    row_of("lost", "coverage", None, n=0),
)


def test_coverage_of_every_segment_with_its_interval():
    figure = plots.coverage_by_segment(CARD)
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "all eligible", "one-time", "new", "frequent", "lapsed", "everybody with a past"
    ]  # fmt: skip
    drawn = lines_of(ax, drawing.PALETTE[0])
    assert drawn[:2] == [([0.79, 0.83], [0, 0]), ([0.81], [0])]
    for place in range(1, 6):
        share = 0.7 + (place - 1) / 50
        ends = binomtest(round(400 * share), 400).proportion_ci(0.95, method="wilson")
        bar, dot = drawn[2 * place : 2 * place + 2]
        assert bar == (pytest.approx([ends.low, ends.high], abs=1e-6), [place, place])
        assert dot == ([share], [place])
    assert lines_of(ax, drawing.QUIET)[0] == ([0.78, 0.84], [0, 0])
    ((nominal, _),) = lines_of(ax, drawing.INK)
    assert nominal == [0.8, 0.8]
    assert texts_of(ax)[:2] == ["12,345 rows, 61 days wide", "400 rows"]
    assert_readable(figure)


def test_all_pairs_are_drawn_as_such_and_only_where_not_all_are_eligible():
    def ticks(*rows):
        card = Scorecard(CARD.verdict, rows, entity="customer_product")
        (ax,) = plots.coverage_by_segment(card).axes
        return [label.get_text() for label in ax.get_yticklabels()]

    eligible = row_of("eligible", "coverage", 0.8)
    assert ticks(eligible, row_of("all", "coverage", 0.8, n=900)) == [
        "all eligible", "all pairs with a past"
    ]  # fmt: skip
    assert ticks(eligible, row_of("all", "coverage", 0.8)) == ["all eligible"]


def test_one_segment_alone_is_readable():
    figure = plots.coverage_by_segment(card_of(row_of("eligible", "coverage", 0.8, n=40)))
    assert_readable(figure)
    low, high = figure.axes[0].get_xlim()
    assert low < 0.75 and high > 0.85


def test_a_scorecard_without_coverage_is_refused():
    with pytest.raises(UsageError, match=r"holds no coverage.*whole curve"):
        plots.coverage_by_segment(card_of(row_of("eligible", "log_loss", 0.5)))


# --- season

WAVES = ("season_sin1", "season_cos1", "season_sin2", "season_cos2")


def glm_of(coefficients, names=("log_recency", *WAVES)):
    values = np.array([0.7, *coefficients])[: len(names)]
    return PoissonGlm(names, np.zeros(len(names)), np.ones(len(names)), values, -4.0)


def test_season_is_the_factor_of_the_two_waves():
    sin1, cos1, sin2, cos2 = coefficients = (-0.26, 0.04, -0.3, -0.1)
    figure = plots.season_effect(glm_of(coefficients))
    (ax,) = figure.axes
    ((days, factor), *dots) = lines_of(ax, drawing.PALETTE[0])
    angle = 2 * np.pi * (np.arange(365) + 0.0) / 365.25
    expected = np.exp(
        sin1 * np.sin(angle) + cos1 * np.cos(angle)
        + sin2 * np.sin(2 * angle) + cos2 * np.cos(2 * angle)
    )  # fmt: skip
    assert days == list(range(365))
    assert factor == pytest.approx(expected, rel=0.01)  # half a day may lie between
    assert [x[0] for x, _ in dots] == [np.argmax(factor), np.argmin(factor)]
    assert np.exp(np.log(factor).mean()) == pytest.approx(1, abs=0.005)
    assert_readable(figure)


@pytest.mark.parametrize(
    ("coefficients", "peak", "trough"),
    [
        ((0, 0.3, 0, 0), "×1.35 around 1 Jan", "×0.74 around 2 Jul"),
        ((0, -0.3, 0, 0), "×1.35 around 2 Jul", "×0.74 around 1 Jan"),
        ((0.3, 0, 0, 0), "×1.35 around 2 Apr", "×0.74 around 1 Oct"),
    ],
)
def test_the_best_and_the_worst_day_are_named(coefficients, peak, trough):
    figure = plots.season_effect(glm_of(coefficients))
    assert texts_of(figure.axes[0]) == [peak, trough]
    assert_readable(figure)


@pytest.mark.parametrize("glm", [None, glm_of((), names=("log_recency",))])
def test_no_season_is_an_error_with_the_reason(glm):
    with pytest.raises(UsageError, match="this model has no season: one takes 548 days"):
        plots.season_effect(glm)
