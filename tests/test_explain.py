"""Reasons add up to the score exactly, go to whom they belong, and read well."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mixtures import (
    COLUMNS,
    EDGES,
    SETTINGS,
    M,
    alone_of,
    glm_of,
    intervals_of,
    mixture_of,
    rows_of,
    trees_of,
)
from typer.testing import CliRunner

from ppi_ml import bundle as bundles
from ppi_ml import dataset, explain
from ppi_ml.cli import app
from ppi_ml.errors import IntegrityError, UsageError
from ppi_ml.explain import THEMES, Reference, Shares, contributions, in_words, reference, theme_of
from ppi_ml.models.covariates import interval_names, standing_inputs
from ppi_ml.models.cox import Cox
from ppi_ml.models.hazard import Hazard
from ppi_ml.models.mixture import Mixture
from ppi_ml.models.processes import PROCESSES
from ppi_ml.scoring import Scorer

ROWS, FRESH = rows_of(), rows_of(60, seed=9)
END = "2020-01-01"
LIMITS = THEMES["limits"]


def survival(mixture, rows, horizon):
    return np.exp(-mixture.cumulative(rows)[:, EDGES.index(horizon)])


def adds_up(mixture, rows, horizon, typical=None):
    """The shares, after they have been added up."""
    typical = typical or reference(mixture, ROWS)
    found = contributions(mixture, rows, typical, horizon)
    expected = survival(mixture, rows, horizon)
    whole = found.base + found.points.sum(axis=1) / 100
    assert whole == pytest.approx(expected, abs=1e-9)
    assert found.probability == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(found.points).all()
    return found


# ------------------------------------------------------------------ the sum
MIXTURES = {
    "all": ("cox", "newest", "processes"),
    "staged": (),
    "with cox": ("cox",),
    "with newest": ("newest",),
    "with processes": ("processes",),
}


@pytest.mark.parametrize("members", MIXTURES.values(), ids=MIXTURES)
@pytest.mark.parametrize("horizon", EDGES[1:])
def test_base_and_points_are_the_score(members, horizon):
    found = adds_up(mixture_of(ROWS, members), FRESH, horizon)
    assert 0 < found.base < 1
    assert np.abs(found.points).max() > 1


def test_base_and_points_are_the_score_of_one_process():
    found = adds_up(alone_of(ROWS), FRESH, 30.0)
    assert found.themes == (THEMES["process"],)
    assert found.points[:, 0] == pytest.approx(100 * (found.probability - found.base), abs=1e-9)


def test_base_and_points_are_the_score_where_the_hazard_meets_its_bounds():
    mixture = Mixture(Hazard(SETTINGS, glm_of(ROWS, log_recency=10.0), None))
    found = adds_up(mixture, FRESH, 60.0)
    assert np.ptp(found.probability) > 0.99
    assert np.abs(found.points[:, found.themes.index(LIMITS)]).max() > 1
    inside = adds_up(Mixture(Hazard(SETTINGS, glm_of(ROWS, log_recency=0.1), None)), FRESH, 60.0)
    assert not inside.points[:, inside.themes.index(LIMITS)].any()


@pytest.mark.parametrize("seen", [0, 1, M])
def test_base_and_points_are_the_score_wherever_a_window_ends(seen):
    made = mixture_of(ROWS, ("newest", "recent"))
    adds_up(replace(made, newest=replace(made.newest, seen=seen)), FRESH, 60.0)


LOGS = st.floats(-800, 700)


@given(LOGS, LOGS)
def test_the_logarithmic_mean_lies_between_and_turns_ratios_into_differences(log_a, log_b):
    (mean,) = explain._log_mean(np.array([log_a]), np.array([log_b]))
    low, high = np.exp(min(log_a, log_b)), np.exp(max(log_a, log_b))
    assert low * (1 - 1e-12) <= mean <= high * (1 + 1e-12)
    change = np.exp(max(log_a, log_b)) * -np.expm1(-abs(log_a - log_b))
    assert mean * abs(log_a - log_b) == pytest.approx(change, rel=1e-9, abs=1e-300)
    assert mean == explain._log_mean(np.array([log_b]), np.array([log_a]))[0]


# ------------------------------------------------------------------ whose the points are
def test_one_interval_splits_the_difference_by_the_terms():
    """Closed form: with one interval a term's share is its part of the change of the log hazard."""
    slopes = {"log_recency": -0.8, "log_age": 0.5, "log_value": 0.2}
    glm = glm_of(ROWS, **slopes)
    mixture = Mixture(Hazard(SETTINGS, glm, None))
    typical, found = reference(mixture, ROWS), adds_up(mixture, FRESH, EDGES[1])
    first, zeros = np.arange(len(FRESH)), np.zeros(len(FRESH), int)
    columns, names = FRESH.smooth(first, zeros, SETTINGS)
    eta = {
        "how recently and how often": columns[:, names.index("log_recency")],
        "time as a customer": columns[:, names.index("log_age")],
        "order value and breadth": columns[:, names.index("log_value")],
    }
    for (name, slope), theme in zip(slopes.items(), eta, strict=True):
        eta[theme] = eta[theme] * slope / glm.spread[names.index(name)]
    eta["pace and lapse by the purchase processes"] = FRESH.offset(first, zeros)
    staged = typical.members["staged"]
    apart = {
        theme: values
        - sum(
            mean
            for name, mean in zip(staged.names, staged.values[0], strict=True)
            if theme_of(name) == theme
        )
        for theme, values in eta.items()
    }
    change = sum(apart.values())
    expected = survival(mixture, FRESH, EDGES[1]) - found.base
    for theme, part in apart.items():
        mine = found.points[:, found.themes.index(theme)] / 100
        assert mine == pytest.approx(expected * part / change, abs=1e-9)


@pytest.mark.parametrize("column", [0, 2, 3])
def test_one_input_that_matters_gets_all_points(column):
    """In the regression nothing, in trees one input of a family: everything is its theme's."""
    rows, fresh = rows_of(800, seed=3), rows_of(50, seed=4)
    for part in (rows, fresh):
        part.log_hazards[:] = np.log(0.02)
    inputs, names = rows.tree_inputs(*intervals_of(rows), SETTINGS)
    blank = np.zeros_like(inputs)
    blank[:, column] = inputs[:, column]
    trees = trees_of(blank, names)
    mixture = Mixture(Hazard(SETTINGS, glm_of(rows, nothing=0.0), trees))
    found = adds_up(mixture, fresh, 60.0, reference(mixture, rows))
    mine = theme_of(f"trees:{COLUMNS[column]}")
    points = dict(zip(found.themes, found.points.T, strict=True))
    assert points.pop(mine) == pytest.approx(100 * (found.probability - found.base), abs=1e-9)
    assert max(np.abs(other).max() for other in points.values()) < 1e-9
    assert np.ptp(found.probability) > 0.05


def test_a_season_in_two_members_is_one_theme():
    """Customers who differ by the date alone: every point is the season's."""
    rows, fresh = rows_of(), rows_of(60, seed=9)
    for part in (rows, fresh):
        part.log_hazards[:] = np.log(0.02)
    glm = glm_of(rows, season_sin1=0.5, season_cos2=-0.2)
    cox = Cox(EDGES, np.log([0.03, 0.02, 0.015, 0.01]), None)
    mixture = Mixture(Hazard(SETTINGS, glm, None), cox)
    found = adds_up(mixture, fresh, 60.0, reference(mixture, rows))
    season = found.points[:, found.themes.index("season")]
    assert season == pytest.approx(100 * (found.probability - found.base), abs=1e-9)
    assert np.ptp(season) > 10


def test_a_longer_silence_that_lowers_the_hazard_is_more_risk():
    mixture = Mixture(Hazard(SETTINGS, glm_of(ROWS, log_recency=-0.5), None))
    found = adds_up(mixture, FRESH, 60.0)
    points = found.points[:, found.themes.index("how recently and how often")]
    silence = FRESH.histories.elapsed_days
    typical = np.expm1(np.log1p(ROWS.histories.elapsed_days).mean())
    assert (points[silence > typical] > 0).all()
    assert (points[silence < typical] < 0).all()


def test_the_typical_customer_has_no_reasons():
    mixture = mixture_of(ROWS)
    one = ROWS.take(slice(7, 8))
    found = contributions(mixture, one, reference(mixture, one), 60.0)
    assert found.points == pytest.approx(0.0, abs=1e-12)
    assert found.probability[0] == pytest.approx(found.base, abs=1e-12)


def test_like_customers_get_like_reasons_whoever_is_asked_beside_them(monkeypatch):
    mixture = mixture_of(ROWS)
    typical = reference(mixture, ROWS)
    twice = FRESH.take(np.repeat(np.arange(len(FRESH)), 2))
    found = contributions(mixture, twice, typical, 60.0).points
    alone = contributions(mixture, FRESH.take(slice(5, 6)), typical, 60.0).points
    monkeypatch.setattr(explain, "_CHUNK_INTERVALS", 7 * M)
    chunked = contributions(mixture, FRESH, typical, 60.0).points
    assert found[::2] == pytest.approx(found[1::2], abs=1e-10)
    assert chunked == pytest.approx(found[::2], abs=1e-10)
    assert alone[0] == pytest.approx(chunked[5], abs=1e-10)
    again = reference(mixture, ROWS)
    for name, member in typical.members.items():
        assert again.members[name].values == pytest.approx(member.values, abs=1e-11)


def test_nobody_has_no_reasons():
    mixture = mixture_of(ROWS)
    found = contributions(mixture, FRESH.take(slice(0, 0)), reference(mixture, ROWS), 60.0)
    assert found.points.shape == (0, len(found.themes))
    assert found.probability.shape == (0,)
    assert len(explain.table(pl.Series([], dtype=pl.String), found)) == 0


# ------------------------------------------------------------------ the reference
def test_a_reference_goes_through_its_file_unchanged():
    mixture = mixture_of(ROWS)
    typical = reference(mixture, ROWS)
    back = Reference.from_dict(json.loads(json.dumps(typical.to_dict())))
    before, after = (contributions(mixture, FRESH, r, 60.0) for r in (typical, back))
    assert before.points.tolist() == after.points.tolist()
    assert before.base == after.base


@pytest.mark.parametrize("told", [{}, {"members": [1]}, {"members": {"staged": {"terms": []}}}])
def test_a_file_that_is_no_reference_is_refused(told):
    with pytest.raises(IntegrityError, match=r"explain\.json"):
        Reference.from_dict(told)


def test_the_reference_of_another_model_is_refused():
    typical = reference(mixture_of(ROWS, ("cox",)), ROWS)
    other = mixture_of(ROWS, ())
    with pytest.raises(IntegrityError, match=r"explain\.json does not name the terms"):
        contributions(other, FRESH.take(slice(0, 0)), typical, 60.0)
    settings = replace(SETTINGS, season=False)
    plain = Mixture(Hazard(settings, glm_of(ROWS, settings), None))
    with pytest.raises(IntegrityError, match="train it again"):
        contributions(plain, FRESH, reference(other, ROWS), 60.0)


@pytest.mark.parametrize("horizon", [0.0, 45.0, 90.0])
def test_a_horizon_between_the_edges_is_refused(horizon):
    mixture = alone_of(ROWS)
    with pytest.raises(UsageError, match=r"horizon: expected an edge of the curve \(3, 10, 30, 60"):
        contributions(mixture, FRESH, reference(mixture, ROWS), horizon)


def test_the_rows_of_the_reference_are_drawn_by_hash():
    draw = np.random.default_rng(2)
    key, day = draw.integers(0, 2**31, 20_000), draw.integers(0, 12, 20_000) * 30.0
    chosen = explain.typical_rows(key, day, seed=7)
    assert len(chosen) == pytest.approx(explain.TYPICAL_ROWS, rel=0.1)
    assert explain.typical_rows(key, day, seed=8).tolist() != chosen.tolist()
    order = draw.permutation(len(key))
    shuffled = explain.typical_rows(key[order], day[order], seed=7)
    assert sorted(order[shuffled]) == chosen.tolist()
    assert explain.typical_rows(key[:50], day[:50], seed=7).tolist() == list(range(50))


# ------------------------------------------------------------------ themes
def columns_of_the_model():
    """Every column of the regression and every input of trees that is no family's."""
    settings = replace(SETTINGS, processes=tuple(PROCESSES))
    rows = replace(FRESH, log_hazards=np.zeros((len(FRESH), M, len(PROCESSES))))
    smooth = rows.smooth(*intervals_of(rows), settings)[1]
    own = [name for name in standing_inputs(rows, settings)[1] if name not in COLUMNS]
    return [f"glm:{n}" for n in smooth], [f"trees:{n}" for n in (*interval_names(PROCESSES), *own)]


def columns_of_the_shelf():
    told = dataset.catalogue(dataset.families("all"))
    return [f"trees:{column['name']}" for column in told if column["used_by"].startswith("trees")]


def test_every_column_of_the_model_has_a_theme_that_somebody_chose():
    smooth, trees = columns_of_the_model()
    for name in (*smooth, *trees):
        of_all = name.startswith(("glm:step_", "glm:log_middle"))
        assert of_all or theme_of(name) in THEMES.values(), name


@pytest.mark.parametrize("column", columns_of_the_shelf())
def test_every_column_of_the_shelf_has_a_theme_of_its_family(column):
    """A family that `THEMES` does not know is its own theme: nothing is left over."""
    family = column.removeprefix("trees:").split("__")[0]
    known = {words for start, words in THEMES.items() if start.startswith(f"trees:{family}__")}
    assert theme_of(column) in (known or {family.replace("_", " ")})


@pytest.mark.parametrize(
    ("term", "theme"),
    [
        ("level", None),
        ("trees:loyalty_club__points__sum__90d", "loyalty club"),
        ("trees:weekday", "weekday"),
        ("trees:orders__purchases__count__30d", "how recently and how often"),
        ("trees:orders__value__sum__90d", "order value and breadth"),
        ("trees:interval__waited", "time waited against own gaps"),
        ("trees:row__h_gaps_30d", "pace and lapse by the purchase processes"),
        ("glm:h_gaps", "pace and lapse by the purchase processes"),
        ("glm:log_recency_x_log_middle", "how recently and how often"),
        ("glm:season_cos2", "season"),
        ("season", "season"),
        ("trees:season__x", "season"),
        ("trees:limits__x", "limits"),
    ],
)
def test_a_theme_is_that_of_the_longest_beginning(term, theme):
    assert theme_of(term) == theme


# ------------------------------------------------------------------ words and tables
def test_a_reason_reads_as_people_say_it():
    assert in_words("late returns", 6.04) == "late returns: +6.0 points of risk"
    assert in_words("season", -0.26) == "season: -0.3 points of risk"


SHARES = Shares(
    ("a", "b", "c"), np.array([[1.0, -6.0, 0.01], [0.0, 0.0, 0.0]]), 0.5, np.array([0.45, 0.5])
)
SCORES = pd.DataFrame({
    "customer_id": ["y", "nobody", "x"], "status": ["scored", "no_history", "scored"],
    "churn_probability": [0.5, None, 0.45], "model_version": "v", "model_sha256": "s",
})  # fmt: skip


def test_the_weightiest_theme_comes_first():
    made = explain.table(pl.Series(["x", "y"]), SHARES)
    assert made["customer_id"].tolist() == ["x"] * 3 + ["y"] * 3
    assert made["theme"].tolist() == ["b", "a", "c", "a", "b", "c"]
    assert made["points"].tolist() == [-6.0, 1.0, 0.01, 0.0, 0.0, 0.0]
    assert made["base_probability"].unique().tolist() == [0.5]
    assert made["churn_probability"].tolist() == [0.45] * 3 + [0.5] * 3


@pytest.mark.parametrize("most", [1, 2, 5])
def test_reasons_are_columns_that_no_value_changes(most):
    SCORES.attrs["notes"] = ["a note"]
    made = explain.table(pl.Series(["x", "y"]), SHARES)
    found = explain.with_reasons(SCORES, made, most)
    names = [f"reason_{i}" for i in range(1, most + 1)]
    assert list(found.columns) == [*SCORES.columns[:3], *names, *SCORES.columns[3:]]
    said = found[names].loc[2].dropna().tolist()
    assert said == ["b: -6.0 points of risk", "a: +1.0 points of risk"][:most]
    assert found[names].loc[:1].isna().all(axis=None)
    assert found.attrs["notes"] == ["a note"]
    assert "reason_1" not in SCORES
    nobody = explain.with_reasons(SCORES[:0], made[:0], most)
    assert list(nobody.columns) == list(found.columns)
    silent = explain.with_reasons(SCORES, made[:0], most)
    assert silent[names].isna().all(axis=None)
    assert silent.dtypes.equals(found.dtypes)


# ------------------------------------------------------------------ a bundle that explains itself
@pytest.fixture(scope="module")
def explained(trained, tmp_path_factory):
    """(scorer, log): the trained bundle with what is typical at the end of its log."""
    run, log = trained
    plain = Scorer.load(run.bundle)
    asked = plain.asked(log, END, False)
    data = plain._features(asked.log, asked.cutoff, everyone=True)
    inputs = plain._inputs(data.take(data.eligible(180)))
    told = reference(plain.model.curve, inputs).to_dict()
    return Scorer.load(copied(run.bundle, tmp_path_factory.mktemp("told"), told)), log


def copied(bundle, folder, told):
    """A bundle with another `explain.json`, or with none."""
    loaded = bundles.load(bundle)
    files = {name: loaded.text(name) for name in loaded.manifest["files"]} | {"explain.json": told}
    files = {name: value for name, value in files.items() if value is not None}
    given = {k: v for k, v in loaded.manifest.items() if k not in ("files", "format")}
    return bundles.save(folder / "bundle", files, given).folder


def test_reasons_of_a_log_add_up_to_its_scores(explained):
    scorer, log = explained
    scores = scorer.score(log, END).set_index("customer_id")
    found = scorer.explain(log, END)
    assert list(found.columns) == [
        "customer_id", "theme", "points", "base_probability", "churn_probability",
    ]  # fmt: skip
    assert found["customer_id"].unique().tolist() == scores.index.tolist()
    by_customer = found.groupby("customer_id")
    whole = by_customer["base_probability"].first() + by_customer["points"].sum() / 100
    expected = scores.loc[whole.index, "churn_probability"]
    assert whole.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-9)
    assert by_customer["churn_probability"].first().to_numpy() == pytest.approx(
        expected.to_numpy(), abs=1e-9
    )
    assert len(found) == len(scores) * found["theme"].nunique()
    assert by_customer["points"].apply(lambda p: p.abs().is_monotonic_decreasing).all()
    # who sends something back never buys again, and the trees know it
    assert found.groupby("theme")["points"].apply(lambda p: p.abs().max())["returns"] > 5


def test_reasons_are_given_of_those_asked_for_and_the_rest_is_counted(explained):
    scorer, log = explained
    everybody = scorer.score(log, END, everyone=True)["customer_id"]
    eligible = scorer.score(log, END)["customer_id"]
    lapsed = next(c for c in everybody if c not in set(eligible))
    asked = [eligible.iloc[3], "nobody", lapsed, "no one"]
    found = scorer.explain(log, END, asked)
    assert set(found["customer_id"]) == {eligible.iloc[3], lapsed}
    assert "no reasons for 2 without a purchase before the cutoff" in found.attrs["notes"]
    whole = scorer.explain(log, END).set_index("customer_id")
    mine = found.set_index("customer_id").loc[asked[0]]
    assert mine["theme"].tolist() == whole.loc[asked[0], "theme"].tolist()
    assert mine["points"].to_numpy() == pytest.approx(whole.loc[asked[0], "points"].to_numpy())
    assert len(scorer.explain(log, END, [])) == 0


def test_a_bundle_without_a_reference_scores_and_says_why_it_cannot_explain(trained, tmp_path):
    scorer = Scorer.load(copied(trained[0].bundle, tmp_path, None))
    with pytest.raises(UsageError, match="trained by a version of ppi_ml that kept nothing"):
        scorer.explain(trained[1], END)


def test_the_command_writes_as_many_reasons_as_asked_for(explained, tmp_path):
    scorer, log = explained
    data = tmp_path / "data"
    data.mkdir()
    for name in ("order_lines", "returns"):
        getattr(log.until(END), name).to_parquet(data / f"{name}.parquet")
    eligible = scorer.score(log, END)["customer_id"]
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{eligible.iloc[1]}\nnobody\n{eligible.iloc[0]}\n")
    out = tmp_path / "scores.parquet"
    command = ["score", "--model", scorer.bundle.folder, "--data", data, "--cutoff", END, "--out",
               out, "--ids", ids, "--explain", 2, "--quiet"]  # fmt: skip
    ended = CliRunner().invoke(app(), list(map(str, command)))
    assert ended.exit_code == 0, ended.output
    table = pd.read_parquet(out)
    assert [name for name in table.columns if name.startswith("reason_")] == [
        "reason_1", "reason_2",
    ]  # fmt: skip
    assert table["reason_1"].isna().tolist() == [False, True, False]
    top = scorer.explain(log, END, [eligible.iloc[1]]).iloc[0]
    assert table["reason_1"][0] == in_words(top["theme"], top["points"])
