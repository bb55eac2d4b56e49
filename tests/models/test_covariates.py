"""Which facts reach the model: process hazards, the draw of rows, a name for every column."""

from dataclasses import replace

import numpy as np
import pytest

from ppi_ml.models import covariates
from ppi_ml.models.covariates import RECENT_DAYS, Rows, Settings, process_hazards
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.histories import Histories

EDGES = (0.0, 3.0, 10.0, 30.0, 60.0)
ROWS = Rows(  # one customer who bought once, one who bought three times
    histories=Histories(
        np.array([0.0, 2.0]), np.array([0.0, 30.0]), np.array([10.0, 50.0]),
        np.array([0.0, np.log(200.0)]), np.array([0.0, np.log(10.0) ** 2 + np.log(20.0) ** 2]),
    ),
    log_hazards=np.zeros((2, 4, 1)),
    gap_place=np.array([[3.0, 1.0], [2.5, 0.5]]),
    recent=np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 3.0, 3.0]]),
    value=np.array([np.nan, 20.0]),
    mean_gap=np.array([np.nan, 15.0]),
    median_gap=np.array([np.nan, 15.0]),
    trees=np.array([[1.0], [2.0]], dtype=np.float32),
    day=np.array([100.0, 130.0]),
    key=np.array([1, 2]),
)  # fmt: skip
SETTINGS = Settings(edges=EDGES, processes=("gaps",), tree_names=("a",))
ROW, INTERVAL = np.array([0, 1, 1]), np.array([0, 0, 3])


def test_process_hazards_invert_the_survival():
    edges = np.array([0.0, 2.0, 10.0])
    hazards = np.array([[0.1, 0.02], [0.5, 0.3]])
    survival = np.exp(-np.cumsum(hazards * np.diff(edges), axis=1))
    survival = np.column_stack([np.ones(2), survival])
    assert np.exp(process_hazards(survival, edges)) == pytest.approx(hazards)


def test_process_hazards_stay_finite_where_a_process_says_never_or_at_once():
    found = process_hazards(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), np.array([0.0, 1.0, 2.0]))
    assert np.isfinite(found).all()
    assert found[0].tolist() == [-14.0, -14.0]
    assert found[1, 0] == 3.0


@pytest.mark.parametrize("season", [False, True])
def test_every_smooth_column_has_a_name_and_a_number(season):
    settings = Settings(edges=EDGES, processes=("gaps",), tree_names=("a",), season=season)
    columns, names = covariates.glm_columns(ROWS, ROW, INTERVAL, settings)
    assert columns.shape == (3, len(names))
    assert len(set(names)) == len(names)
    assert np.isfinite(columns).all()
    known = dict(zip(names, columns.T, strict=True))
    assert known["one_timer"].tolist() == [1, 0, 0]
    assert known["log_recency"] == pytest.approx(np.log1p([10, 20, 20]))
    assert known["log_middle"] == pytest.approx(np.log([1.5, 1.5, 45]))
    assert known["log_value"] == pytest.approx([0, np.log1p(20), np.log1p(20)])
    assert known["log_recent_7"] == pytest.approx(np.log1p([1, 0, 0]))
    assert known["log_recent_30"] == pytest.approx(np.log1p([1, 1, 1]))
    assert known["log_recent_365"] == pytest.approx(np.log1p([1, 3, 3]))
    assert sum(name.startswith("log_recent_") for name in names) == len(RECENT_DAYS)
    assert known["step_3"].tolist() == [0, 0, 1]


def year_ago(ages, age_days, middle):
    """(purchases a year before, whether that is known) of one customer with purchases of ages."""
    counts = [sum(age <= month for age in ages) for month in range(0, 421, 30)]
    h = ROWS.histories.take(slice(0, 1))
    rows = replace(
        ROWS.take(slice(0, 1)),
        histories=replace(h, age_days=np.array([float(age_days)])),
        by_month=np.array([counts], dtype=float),
    )
    settings = replace(SETTINGS, edges=(0.0, 2.0 * middle), yearly=True)
    cell = np.array([0])
    columns, names = covariates.glm_columns(rows, cell, cell, settings)
    known = dict(zip(names, columns[0], strict=True))
    return np.expm1(known["year_ago"]), known["year_ago_known"]


@pytest.mark.parametrize(
    ("ages", "age_days", "middle", "expected"),
    [
        ([320, 340], 500, 35, (2, 1)),  # days 300 to 360 before the cutoff
        ([300, 361], 500, 35, (0, 1)),
        ([30, 60, 90, 300, 420], 500, 35, (0, 1)),
        ([320, 340], 360, 35, (2, 1)),  # was there just long enough
        ([320, 340], 359.9, 35, (0, 0)),
        ([340], 500, 20, (1, 1)),  # days 315 to 375
        ([310], 500, 20, (0.5, 1)),  # one of the days 300 to 330, which of them is not counted
        ([20], 500, 335, (1, 1)),  # the last days that lie before the cutoff
        ([20], 500, 335.5, (0, 0)),
        ([390], 500, 0.5, (1 - 0.5 / 30 + 0.5 / 30, 1)),
    ],
)
def test_what_was_bought_a_year_ago_by_hand(ages, age_days, middle, expected):
    assert year_ago(ages, age_days, middle) == pytest.approx(expected)


def test_nothing_of_a_year_ago_where_it_is_not_asked_for():
    known = replace(ROWS, by_month=np.ones((2, 15)))
    _, names = covariates.glm_columns(known, ROW, INTERVAL, SETTINGS)
    assert not any("year_ago" in name for name in names)
    with pytest.raises(ValueError, match="needs purchases by month"):
        covariates.glm_columns(ROWS, ROW, INTERVAL, replace(SETTINGS, yearly=True))


def test_the_counts_by_month_reach_as_far_as_an_interval_of_today_looks_back():
    rows = replace(
        ROWS,
        histories=replace(ROWS.histories, age_days=np.array([500.0, 500.0])),
        by_month=np.tile(np.arange(covariates.MONTHS + 1.0), (2, 1)),
    )
    settings = replace(SETTINGS, edges=(0.0, 1e-9), yearly=True)
    cell = np.array([0])
    columns, names = covariates.glm_columns(rows, cell, cell, settings)
    assert np.expm1(columns[0, names.index("year_ago")]) == pytest.approx(2)  # of two months


def test_tree_inputs_by_hand():
    inputs = covariates.tree_inputs(ROWS, ROW, INTERVAL, SETTINGS)
    names = ("a", *covariates.interval_names(("gaps",)))
    known = dict(zip(names, inputs.T, strict=True))
    assert inputs.shape == (3, len(names))
    assert inputs.dtype == np.float32
    assert known["a"].tolist() == [1, 2, 2]
    assert known["interval__middle"].tolist() == [1.5, 1.5, 45]
    assert known["interval__width"].tolist() == [3, 3, 30]
    assert known["interval__waited"].tolist() == [11.5, 21.5, 65]
    ratio = known["interval__waited_over_mean_gap"]
    assert np.isnan(ratio[0])
    assert ratio[1:] == pytest.approx([21.5 / 15, 65 / 15])
    assert known["interval__place"] == pytest.approx(
        [np.log(11.5) - 3, (np.log(21.5) - 2.5) / 0.5, (np.log(65) - 2.5) / 0.5]
    )


def test_no_tree_input_of_an_interval_names_the_date():
    later = Rows(**{**vars(ROWS), "day": ROWS.day + 365})
    for rows in (ROWS, later):
        assert covariates.tree_inputs(rows, ROW, INTERVAL, SETTINGS) == pytest.approx(
            covariates.tree_inputs(ROWS, ROW, INTERVAL, SETTINGS), nan_ok=True
        )


def test_what_stands_by_hand():
    """What proportional hazards see of a row: the wait so far, and mean hazards up to a day."""
    log_hazards = np.log(np.array([[0.1, 0.2, 0.05, 0.01], [0.3, 0.1, 0.2, 0.4]]))[:, :, None]
    inputs, names = covariates.standing_inputs(
        Rows(**{**vars(ROWS), "log_hazards": log_hazards}), SETTINGS
    )
    known = dict(zip(names, inputs.T, strict=True))
    assert names == covariates.standing_names(SETTINGS)
    assert inputs.shape == (2, len(names))
    assert inputs.dtype == np.float32
    assert known["a"].tolist() == [1, 2]
    assert known["row__waited"].tolist() == [10, 20]
    for name in ("mean", "median"):
        assert known[f"row__waited_over_{name}_gap"] == pytest.approx(
            [np.nan, 20 / 15], nan_ok=True
        )
    assert known["row__place"] == pytest.approx(
        [np.log(10) - 3, (np.log(20) - 2.5) / 0.5], rel=1e-6
    )
    # the edges nearest to 7, 30 and 90 days are 10, 30 and 60
    to_10, to_30 = np.array([0.3 + 1.4, 0.9 + 0.7]), np.array([1.0, 4.0])
    to_60 = np.array([0.3, 12.0])
    assert known["row__h_gaps_7d"] == pytest.approx(np.log(to_10 / 10), rel=1e-6)
    assert known["row__h_gaps_30d"] == pytest.approx(np.log((to_10 + to_30) / 30), rel=1e-6)
    assert known["row__h_gaps_90d"] == pytest.approx(np.log((to_10 + to_30 + to_60) / 60), rel=1e-6)


def test_nothing_that_stands_names_the_date():
    later = Rows(**{**vars(ROWS), "day": ROWS.day + 365})
    now, then = (covariates.standing_inputs(rows, SETTINGS)[0] for rows in (ROWS, later))
    np.testing.assert_array_equal(now, then)


def two_processes():
    """The rows with hazards of two processes that disagree, drawn."""
    drawn = np.log(np.random.default_rng(3).uniform(0.001, 0.3, (2, 4, 2)))
    settings = Settings(edges=EDGES, processes=("gaps", "mbg_nbd"), tree_names=("a",))
    return Rows(**{**vars(ROWS), "log_hazards": drawn}), settings


def test_the_regression_starts_from_the_mean_of_the_log_hazards():
    rows, _ = two_processes()
    both = rows.log_hazards
    expected = [(both[i, j, 0] + both[i, j, 1]) / 2 for i, j in zip(ROW, INTERVAL, strict=True)]
    assert rows.offset(ROW, INTERVAL) == pytest.approx(expected, rel=1e-14)


def test_the_mean_of_the_processes_is_the_mean_of_their_curves():
    rows, settings = two_processes()
    found = covariates.mean_of_processes(rows, settings)
    widths = np.diff(EDGES)
    for i in range(2):
        for j in range(1, 5):
            one, other = (np.exp(-np.exp(rows.log_hazards[i, :j, p]) @ widths[:j]) for p in (0, 1))
            reached = np.exp(-np.exp(found[i, :j]) @ widths[:j])
            assert reached == pytest.approx((one + other) / 2, rel=1e-12)
    assert rows.alone(settings).tolist() == found.tolist()


@pytest.mark.parametrize(("edges", "last"), [(EDGES, 4), ((0.0, 30.0, 88.0, 200.0, 400.0), 2)])
def test_the_pace_is_the_mean_hazard_that_the_processes_expect_until_the_edge_near_day_90(
    edges, last
):
    rows, settings = two_processes()
    settings = replace(settings, edges=edges)
    spent = np.exp(covariates.mean_of_processes(rows, settings)) * np.diff(edges)
    expected = np.log(spent[:, :last].sum(axis=1) / edges[last])
    assert covariates.pace(rows, settings) == pytest.approx(expected, rel=1e-12)


def test_a_process_that_stands_alone_is_that_process():
    rows, settings = two_processes()
    for i, name in enumerate(settings.processes):
        alone = rows.alone(replace(settings, alone=name))
        assert alone.tolist() == rows.log_hazards[:, :, i].tolist()


def season_model(rows, settings, drawn=True):
    """A regression with drawn coefficients on the season's waves alone, or on all but these."""
    columns, names = rows.smooth(ROW, INTERVAL, settings)
    waves = np.array([name.startswith("season_") for name in names])
    slopes = np.random.default_rng(4).normal(size=len(names)) * (waves if drawn else ~waves)
    return PoissonGlm(names, np.zeros(len(names)), np.ones(len(names)), slopes, 0.0), columns


def test_the_effect_of_the_season_is_what_the_regression_makes_of_its_waves():
    settings = replace(SETTINGS, season=True)
    glm, columns = season_model(ROWS, settings)
    effect = covariates.season_effect(glm, ROWS.day, settings)
    assert effect.shape == (2, 4)
    assert np.abs(effect).min() > 0
    assert effect[ROW, INTERVAL] == pytest.approx(glm.log_hazard(columns), rel=1e-12)


def test_without_waves_there_is_no_effect_of_the_season():
    others, _ = season_model(ROWS, replace(SETTINGS, season=True), drawn=False)
    none, _ = season_model(ROWS, SETTINGS)
    for glm in (None, none, others):
        assert covariates.season_effect(glm, ROWS.day, SETTINGS).tolist() == [[0.0] * 4] * 2


def test_the_season_repeats_every_year():
    season = Settings(edges=EDGES, processes=("gaps",), tree_names=("a",), season=True)
    later = Rows(**{**vars(ROWS), "day": ROWS.day + covariates.YEAR_DAYS})
    half = Rows(**{**vars(ROWS), "day": ROWS.day + covariates.YEAR_DAYS / 2})
    now, same, other = (
        covariates.glm_columns(r, ROW, INTERVAL, season)[0] for r in (ROWS, later, half)
    )
    assert same == pytest.approx(now)
    assert np.abs(other - now).max() > 0.5


@pytest.mark.parametrize("which", [slice(1, 2), np.array([1]), np.array([False, True])])
def test_rows_are_taken_together(which):
    part = ROWS.take(which)
    assert len(part) == 1
    assert part.key.tolist() == [2]
    assert part.histories.repeats.tolist() == [2]
    assert part.trees.tolist() == [[2]]
    assert part.log_hazards.shape == (1, 4, 1)
