"""One way to fit: nothing after the fold's end reaches a fit, and labels are those of that day."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from tests.materials import FAMILIES, TREES, material_of, plan_of, rebuilt, recipe_of

from ppi_ml import dataset, recipe, rows
from ppi_ml.instants import DAY_US
from ppi_ml.models import covariates, cox, hazard
from ppi_ml.models.durations import Durations
from ppi_ml.models.hazard import STAGES
from ppi_ml.models.intervals import everywhere, expand
from ppi_ml.problem import Problem
from ppi_ml.recipe import HALVES, HEDGED, STAGED, THREE


@pytest.fixture(scope="module")
def material(trained):
    return material_of(trained[1])


@pytest.fixture(scope="module")
def plan(trained):
    return plan_of(trained[1])


def test_the_labels_of_a_part_end_where_the_log_was_settled(material, plan):
    data, durations = material.part(plan.outer)
    end, settling = plan.outer.end, material.settling
    assert settling > 1  # the shop reports late
    assert data.cutoffs == plan.outer.train
    for cutoff in data.cutoffs:
        here = durations.days[data.rows_at(cutoff)]
        assert here.max() == pytest.approx(end.days_since(cutoff) - settling)
    assert 0.05 < durations.observed.mean() < 0.9


def test_a_cutoff_that_nothing_is_known_about_is_left_out(material, plan):
    fold = replace(plan.outer, end=plan.outer.train[-1].plus(int(material.settling)))
    assert material.part(fold)[0].cutoffs == fold.train[:-1]


def told(mixture):
    """Everything that was fitted, as text and numbers."""
    staged, proportional = mixture.staged, mixture.cox
    return {
        "edges": staged.settings.edges,
        "weights": mixture.weights,
        "staged": [staged.glm and staged.glm.to_dict(), staged.trees and staged.trees.text],
        "cox": proportional
        and [proportional.baseline.tolist(), proportional.trees and proportional.trees.text],
        **{
            name: [window.glm.to_dict(), window.seen, window.season]
            for name, window in mixture.windows.items()
        },
    }


@pytest.fixture(scope="module")
def fitted(material, plan):
    """The recipe with all its members, on the outer fold."""
    return recipe.fit(material, plan.outer, recipe_of(members=THREE))


@pytest.mark.parametrize("members", [STAGED, THREE, HEDGED, HALVES])
def test_a_fit_is_that_of_the_log_cut_at_the_end_of_the_fold(material, plan, trained, members):
    """The future of the fold's end is nowhere: neither in labels, features, nor processes."""
    log, fold = trained[1], plan.outer
    before = replace(plan, final=fold, outer=None)
    cut = rebuilt(log.until(fold.end), before, material.settling)
    chosen = recipe_of(members=members)
    whole, part = recipe.fit(material, fold, chosen), recipe.fit(cut, fold, chosen)
    assert whole.staged.glm and whole.staged.trees
    if members in (THREE, HEDGED):
        assert whole.cox.trees and whole.newest.glm
    assert told(whole) == told(part)
    of_whole, of_part = recipe.typical(material, fold, whole), recipe.typical(cut, fold, part)
    assert of_whole.to_dict() == of_part.to_dict()


def test_later_events_however_absurd_reach_no_member(material, plan, make_shop, as_log, fitted):
    """What became known at or after the end is replaced by orders of everybody, every day."""
    fold = plan.outer
    poisoned = as_log(spoiled(make_shop(seed=1, customers=400, quitters=True), fold.end))
    before = replace(plan, final=fold, outer=None)
    again = recipe.fit(rebuilt(poisoned, before, material.settling), fold, recipe_of(members=THREE))
    assert told(again) == told(fitted)
    later = replace(fold, end=fold.test[-1])
    spoilt = replace(material, log=poisoned).part(later)[1]
    assert spoilt.observed.sum() > material.part(later)[1].observed.sum()


def spoiled(tables, end):
    """The tables of a shop in which everybody orders on every tenth day from the end on."""
    lines = tables["order_lines"]
    known = pl.col("known_at").dt.epoch("us") < end.at
    people = lines["customer_id"].unique().sort()
    days = range(0, 120, 10)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=end.at)
    more = pl.DataFrame({
        "customer_id": [c for c in people for _ in days],
        "occurred_at": [at + timedelta(days=d, minutes=1) for _ in people for d in days],
    }).with_columns(
        pl.col("occurred_at").alias("known_at"),
        pl.format("poison{}", pl.int_range(pl.len())).alias("order_id"),
        line_id=pl.lit(0), sku=pl.lit("poison"), quantity=pl.lit(9999.0),
        unit_price=pl.lit(8888.0), order_type=pl.lit("one_off"),
    )  # fmt: skip
    more = more.select(pl.col(name).cast(lines.schema[name]) for name in lines.columns)
    return {
        "order_lines": pl.concat([lines.filter(known), more]),
        "returns": tables["returns"].filter(known),
    }


def test_predictions_are_those_of_the_log_cut_at_the_test_cutoff(material, plan, trained, fitted):
    log, fold = trained[1], plan.outer
    states = material.data.states[str(fold.end)]
    at = fold.test[-1]
    found = [
        recipe.curves(
            fitted, dataset.build(known, [at], FAMILIES, states=states), material.states, fold.end
        ).cumulative.tolist()
        for known in (log, log.until(at))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("stages", STAGES)
def test_stages_are_fitted_as_far_as_the_recipe_says(material, plan, stages):
    fitted = recipe.fit(material, plan.outer, recipe_of(stages, alone="gaps"))
    assert (fitted.staged.glm is not None) == (stages != STAGES[0])
    assert (fitted.staged.trees is not None) == (stages == STAGES[2])
    assert (fitted.settings.stages, fitted.settings.alone) == (stages, "gaps")
    data = material.data.at([plan.outer.end])
    curves = recipe.curves(fitted, data, material.states, plan.outer.end)
    survival = curves.survival([float(material.horizon)])[:, 0]
    assert len(survival) == len(data)
    assert ((survival > 0) & (survival < 1)).all()
    assert material.horizon in curves.edges


def test_a_fit_repeats_and_another_seed_draws_other_rows(material, plan):
    few = replace(material, max_rows=2000)
    one, two = (recipe.smooth(few, plan.outer, recipe_of()) for _ in range(2))
    other = recipe.smooth(replace(few, seed=8), plan.outer, recipe_of())
    assert one.hazard.glm.to_dict() == two.hazard.glm.to_dict()
    assert one.hazard.glm.to_dict() != other.hazard.glm.to_dict()


def test_rows_are_drawn_where_there_are_too_many_then_their_quiet_intervals(material, plan):
    everything = recipe.smooth(material, plan.outer, recipe_of(), 10**9)
    n, made = len(everything.rows), everything.intervals
    some = recipe.smooth(material, plan.outer, recipe_of(), 2000)
    assert len(some.intervals) == pytest.approx(2000, rel=0.2)
    assert len(np.unique(some.intervals.row)) == len(some.rows) < n
    few = recipe.smooth(material, plan.outer, recipe_of(), 500)
    assert len(few.intervals) == pytest.approx(500, rel=0.2)
    assert len(few.rows) == pytest.approx(n / 4, rel=0.2)
    for drawn in (some, few):
        watched = made.exposure.sum() * len(drawn.rows) / n
        assert drawn.intervals.exposure.sum() == pytest.approx(watched, rel=0.1)


def test_a_season_needs_a_year_and_a_half(material, plan):
    fitted = recipe.fit(material, plan.outer, recipe_of(STAGES[1]))
    assert plan.outer.end.days_since(material.log.observed_from) >= recipe.SEASON_NEEDS_DAYS
    assert fitted.settings.season and fitted.settings.yearly
    inner = plan.inner[0]
    assert inner.end.days_since(material.log.observed_from) < recipe.SEASON_NEEDS_DAYS
    young = recipe.fit(material, inner, recipe_of(STAGES[1])).settings
    assert not (young.season or young.yearly)
    off = recipe.fit(replace(material, season=False), plan.outer, recipe_of(STAGES[1])).settings
    assert not (off.season or off.yearly)


def test_who_buys_at_the_same_time_every_year_is_found(log_of):
    """Half of what a customer buys falls into two months of the year, which are the customer's own:
    no season of all, and no usual pace.
    """
    draw, start = np.random.default_rng(7), datetime(2016, 1, 1, tzinfo=UTC)
    days = [
        (i, 365 * year + day)
        for i, own in enumerate(draw.uniform(0, 365, 600))
        for year in range(4)
        for day in (*(own + draw.uniform(-30, 30, draw.poisson(3))), *draw.uniform(0, 365, 3))
    ]
    lines = [(f"c{i:03d}", str(start + timedelta(days=day))) for i, day in days if day > 0]
    log = log_of(lines, start="2016-01-01", until="2019-09-01")
    plan = plan_of(log)
    shop, end = rebuilt(log, plan), plan.final.end
    fits = [
        recipe.smooth(replace(shop, season=season), plan.final, recipe_of(STAGES[1])).hazard
        for season in (True, False)
    ]
    inputs = rows.build(shop.data.at([end]), shop.states, fits[0].settings.edges)
    ahead = (inputs.by_month[:, 12] - inputs.by_month[:, 10]).astype(int)  # 300 to 360 days ago
    last = fits[0].settings.edges.index(60.0)
    found, plain = (fit.cumulative(inputs)[:, last] for fit in fits)
    assert found[ahead > 1].mean() > 1.5 * found[ahead == 0].mean()
    assert plain[ahead > 1].mean() < 1.2 * plain[ahead == 0].mean()


def test_a_recipe_is_data():
    told = recipe_of("process", "gaps", lambda_l2=3.0, members=HALVES).to_dict()
    assert told["stages"] == "process"
    assert told["alone"] == "gaps"
    assert told["trees"]["lambda_l2"] == 3.0
    assert told["members"] == "staged+processes"
    assert json.loads(json.dumps(told)) == told


# ------------------------------------------------------------------ who is in the mixture
def is_ripe(material, fold):
    return any(material.sight(c, fold.end) >= material.horizon for c in fold.train)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (STAGED, ["staged"]),
        (THREE, ["staged", "cox", "newest"]),
        (HALVES, ["staged", "processes"]),
        (HEDGED, ["staged", "cox", "newest", "recent", "processes", "seasonal"]),
    ],
)
def test_the_members_are_those_of_the_recipe(material, plan, members, expected):
    """On a fold with a ripe snapshot, too young for a season."""
    (fold,) = plan.inner
    assert is_ripe(material, fold)
    fitted = recipe.fit(material, fold, recipe_of(members=members))
    assert not fitted.settings.season
    assert fitted.weights == dict.fromkeys(expected, 1 / len(expected))


def test_a_season_of_one_year_has_one_voice(material, plan, trained):
    """From a year on, until `staged` has a season of its own, and where no one forbids it."""
    (fold,) = plan.inner
    log = trained[1]
    assert 365 <= fold.end.days_since(log.observed_from) < recipe.SEASON_NEEDS_DAYS
    fitted = recipe.fit(material, fold, recipe_of(members=HEDGED))
    assert fitted.seasonal.settings.season and not fitted.settings.season
    assert {n for n in fitted.seasonal.glm.names if n.startswith("season")} == {
        "season_sin1", "season_cos1", "season_sin2", "season_cos2",
    }  # fmt: skip
    assert fitted.seasonal.trees is None
    small = recipe.fit(replace(material, max_rows=500), fold, recipe_of(members=HEDGED))
    assert small.seasonal.settings.quiet == small.settings.quiet < 1
    off = recipe.fit(replace(material, season=False), fold, recipe_of(members=HEDGED))
    assert "seasonal" not in off.weights
    young = replace(log.tables["order_lines"], observed_from=fold.end.plus(-364))
    short = replace(log, tables={**log.tables, "order_lines": young})
    fitted = recipe.fit(replace(material, log=short), fold, recipe_of(members=HEDGED))
    assert "seasonal" not in fitted.weights


@pytest.mark.parametrize("begun", [True, False])
def test_proportional_hazards_start_from_processes_where_lives_were_seen_to_begin(
    material, plan, monkeypatch, begun
):
    monkeypatch.setattr(rows, "_CROWDED_DAYS", 0 if begun else 10_000)
    fitted = recipe.fit(material, plan.outer, recipe_of(members=THREE))
    assert fitted.cox.paced is begun


@pytest.mark.parametrize("begun", [True, False])
def test_processes_hedge_where_lives_were_seen_to_begin_or_are_half_of_a_thin_log(
    material, plan, monkeypatch, begun
):
    monkeypatch.setattr(rows, "_CROWDED_DAYS", 0 if begun else 10_000)
    (fold,) = plan.inner
    hedged = recipe.fit(material, fold, recipe_of(STAGES[1], members=HEDGED))
    assert hedged.processes == int(begun)
    assert recipe.fit(material, fold, recipe_of(STAGES[1], members=HALVES)).processes


def test_what_no_snapshot_has_seen_they_hedge_whatever_lives_they_know(material, plan, monkeypatch):
    (fold,) = plan.inner
    far = replace(material, horizon=120)
    assert not is_ripe(far, fold)
    for crowded in (0, 10_000):
        monkeypatch.setattr(rows, "_CROWDED_DAYS", crowded)
        hedged = recipe.fit(far, fold, recipe_of(STAGES[1], members=HEDGED))
        assert (hedged.newest, hedged.processes) == (None, 1)


def test_the_processes_have_two_voices_until_the_log_has_seen_a_year(
    material, plan, trained, monkeypatch
):
    (fold,) = plan.inner
    log = trained[1]

    def weights(days):
        lines = replace(log.tables["order_lines"], observed_from=fold.end.plus(-days))
        young = replace(log, tables={**log.tables, "order_lines": lines})
        asked = replace(material, log=young)
        return recipe.fit(asked, fold, recipe_of(STAGES[1], members=HEDGED)).weights

    assert weights(364) == {
        **dict.fromkeys(["staged", "cox", "newest", "recent"], 1 / 6), "processes": 1 / 3,
    }  # fmt: skip
    monkeypatch.setattr(rows, "_CROWDED_DAYS", 10_000)
    assert "processes" not in weights(364)
    monkeypatch.setattr(rows, "_CROWDED_DAYS", 0)
    members = ["staged", "cox", "newest", "recent", "processes", "seasonal"]
    assert weights(366) == dict.fromkeys(members, 1 / 6)


def test_the_processes_leave_when_there_is_a_season(material, plan, fitted):
    hedged = recipe.fit(material, plan.outer, recipe_of(members=HEDGED))
    assert hedged.settings.season
    assert is_ripe(material, plan.outer)
    assert {name: one for name, one in told(hedged).items() if name in told(fitted)} == {
        **told(fitted), "weights": dict.fromkeys(["staged", "cox", "newest", "recent"], 0.25),
    }  # fmt: skip
    without = recipe.fit(replace(material, season=False), plan.outer, recipe_of(members=HEDGED))
    assert set(without.weights) == {"staged", "cox", "newest", "recent", "processes"}
    halves = recipe.fit(material, plan.outer, recipe_of(members=HALVES))
    assert halves.weights == {"staged": 0.5, "processes": 0.5}


@pytest.mark.parametrize(
    ("members", "expected"),
    [(THREE, {"staged", "cox"}), (HEDGED, {"staged", "cox", "recent", "processes"}),
     (HALVES, {"staged", "processes"})],
)  # fmt: skip
def test_without_a_ripe_snapshot_there_is_no_newest(material, plan, members, expected):
    """With a season, so that nothing else can bring in the processes."""
    far = replace(material, horizon=120)
    assert not is_ripe(far, plan.outer)
    fitted = recipe.fit(far, plan.outer, recipe_of(members=members))
    assert fitted.settings.season
    assert set(fitted.weights) == expected
    assert fitted.newest is None


@pytest.mark.parametrize("members", [THREE, HEDGED, HALVES])
def test_a_process_alone_stays_alone(material, plan, members):
    fitted = recipe.fit(material, plan.outer, recipe_of(STAGES[0], "gaps", members=members))
    assert fitted.weights == {"staged": 1}
    assert (fitted.staged.glm, fitted.settings.alone) == (None, "gaps")


def test_without_trees_staged_has_none_and_the_others_stay(material, plan):
    fitted = recipe.fit(material, plan.outer, recipe_of(STAGES[1], members=THREE))
    assert fitted.staged.trees is None
    assert set(fitted.weights) == {"staged", "cox", "newest"}


def test_where_no_round_of_trees_helped_the_stages_say_so(material, plan):
    fitted = recipe.fit(material, plan.outer, recipe_of(members=THREE, min_data_in_leaf=10**6))
    assert fitted.settings.stages == STAGES[1]
    assert (fitted.staged.trees, fitted.cox.trees) == (None, None)
    assert set(fitted.weights) == {"staged", "cox", "newest"}


def regression_at(material, fold, fitted, cutoffs, *, season=False):
    """All intervals of some cutoffs, and what a regression that starts from staged says of them."""
    data, waits = material.part(fold)
    here = np.isin(data.cutoff_index, [data.cutoffs.index(c) for c in cutoffs])
    made = rows.build(data.at(cutoffs), material.states, fitted.settings.edges)
    added = fitted.staged.log_hazard(made) - offset_of(made)
    added -= 0 if season else fitted.season(made)
    plain = replace(fitted.settings, season=False)
    own = hazard.fit_smooth(
        made, waits.days[here], waits.observed[here], plain, lambda *at: added[at]
    )  # fmt: skip
    columns = made.smooth(*everywhere(len(made), len(plain.widths)), plain)[0]
    whole = own.hazard.glm.log_hazard(columns).reshape(added.shape) + added
    return columns, whole - fitted.staged.tree_score(made) - season * fitted.season(made)


def offset_of(made):
    cells = everywhere(len(made), made.log_hazards.shape[1])
    return made.offset(*cells).reshape(len(made), -1)


def test_the_newest_learns_from_the_newest_ripe_snapshot_alone(material, plan, fitted):
    fold, settings = plan.outer, fitted.settings
    data, _ = material.part(fold)
    ripe = [c for c in data.cutoffs if material.sight(c, fold.end) >= material.horizon]
    assert len(ripe) > 1
    sight = material.sight(ripe[-1], fold.end)
    assert fitted.newest.seen == sum(edge <= sight for edge in settings.edges[1:])
    assert settings.edges[fitted.newest.seen] >= material.horizon
    assert settings.season and not fitted.newest.season
    columns, expected = regression_at(material, fold, fitted, ripe[-1:])
    assert fitted.newest.glm.log_hazard(columns) == pytest.approx(expected.ravel(), abs=1e-8)


def test_the_recent_learns_from_the_cutoffs_of_sixty_days(material, plan):
    fold = plan.outer
    fitted = recipe.fit(material, fold, recipe_of(members=HEDGED))
    data, _ = material.part(fold)
    late = [c for c in data.cutoffs if material.sight(c, fold.end) <= 60]
    assert 1 < len(late) < len(data.cutoffs)
    settings = fitted.settings
    sight = material.sight(late[0], fold.end)
    assert fitted.recent.seen == sum(edge <= sight for edge in settings.edges[1:]) > 0
    assert settings.season and fitted.recent.season
    columns, expected = regression_at(material, fold, fitted, late, season=True)
    assert fitted.recent.glm.log_hazard(columns) == pytest.approx(expected.ravel(), abs=1e-8)


def test_where_nobody_bought_lately_there_is_no_recent(material, plan, monkeypatch):
    monkeypatch.setattr(recipe, "_RECENT_DAYS", 0)
    assert recipe.fit(material, plan.outer, recipe_of(members=HEDGED)).recent is None


def test_of_a_window_no_more_is_learned_from_than_helps(material, plan, fitted, monkeypatch):
    monkeypatch.setattr(recipe, "_WINDOW_INTERVALS", 60)
    few = recipe.fit(material, plan.outer, recipe_of(members=THREE))
    assert told(few)["staged"] == told(fitted)["staged"]
    assert told(few)["newest"] != told(fitted)["newest"]


def test_proportional_hazards_take_the_season_from_staged(material, plan, fitted):
    """And in every interval as many purchases are expected of them as were seen."""
    data, waits = material.part(plan.outer)
    built = rows.build(data, material.states, fitted.settings.edges)
    made = expand(waits.days, waits.observed, fitted.settings.edges, material.whole_days)
    rate = np.exp(fitted.log_hazards(built)["cox"])[made.row, made.interval]
    expected = np.bincount(made.interval, rate * made.exposure)
    assert expected == pytest.approx(np.bincount(made.interval, made.event), rel=1e-9)
    season = covariates.season_effect(fitted.staged.glm, built.day, fitted.settings)
    assert np.ptp(season) > 0.01


def test_customers_compete_with_those_of_their_own_cutoff(material, plan, fitted):
    data, waits = material.part(plan.outer)
    settings = fitted.settings
    built = rows.build(data, material.states, settings.edges)
    inputs, names = built.standing(settings)
    own = cox.fit(
        inputs, names, cox.Waits(waits.days, waits.observed, data.cutoff_index, built.key),
        settings.edges, TREES, seed=material.seed, threads=material.threads,
        season=covariates.season_effect(fitted.staged.glm, built.day, settings),
        pace=covariates.pace(built, settings) if fitted.cox.paced else None,
    )  # fmt: skip
    assert len(data.cutoffs) > 3
    assert fitted.cox.trees.text == own.trees.text
    assert fitted.cox.baseline.tolist() == own.baseline.tolist()


def test_ripe_cutoffs_have_seen_their_whole_horizon(material, plan):
    problem = Problem.of(material, plan.outer)
    horizon = material.horizon + material.settling
    expected = tuple(c for c in plan.outer.train if plan.outer.end.days_since(c) >= horizon)
    assert problem.ripe == expected
    assert 0 < len(expected) < len(plan.outer.train)


def test_labels_are_what_the_log_says(material, plan):
    """By a plain count over the lines: who did not buy in [cutoff, cutoff + horizon)."""
    problem = Problem.of(material, plan.outer)
    data, gone = problem.labelled(problem.ripe)
    frame = material.log.tables["order_lines"].frame.to_dicts()
    for cutoff in data.cutoffs:
        last = cutoff.wall + problem.horizon * DAY_US
        bought = {
            row["customer_id"]
            for row in frame
            if row["order_type"] == "one_off"
            and row["at"] >= cutoff.at
            and row["wall"] <= last
            and row["known"] < plan.outer.end.at
        }
        found = dict(
            zip(data.keys_at(cutoff)["customer_id"], gone[data.rows_at(cutoff)], strict=True)
        )
        assert found == {customer: customer not in bought for customer in found}


def test_a_problem_knows_its_fold(material, plan):
    problem = Problem.of(material, plan.outer)
    assert problem.horizon == material.horizon
    assert problem.state == material.states.by_cutoff[str(plan.outer.end)]
    assert len(problem.histories(problem.data)) == len(problem.data) == len(problem.durations)
    assert len(problem.keys(problem.data)) == len(problem.data)
    assert isinstance(problem.durations, Durations)
