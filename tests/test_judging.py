"""The outer fold: dates that no choice has seen, and the same rows for everybody."""

from dataclasses import replace

import numpy as np
import pytest
from tests.materials import FAMILIES, material_of, plan_of, recipe_of

from ppi_ml import judging
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import DAY_US
from ppi_ml.progress import Progress


def half(problem):
    return lambda rows: np.full((len(rows), len(problem.days)), 0.5)


class Rule:
    """A baseline that has something to say of the rows it was asked about."""

    def __init__(self, problem):
        self.days = problem.days

    def __call__(self, rows):
        return np.exp(-0.01 * np.tile(self.days, (len(rows), 1)))

    def note(self, rows):
        return f"{len(rows)} rows, one curve"


def never(problem):
    raise NotTrainableError("nothing is ripe")


BASELINES = [Baseline("half", "a coin", half), Baseline("never", "cannot be trained", never)]


def judge(material, plan, stages="process", baselines=BASELINES, **more):
    quiet, chosen = Progress(quiet=True), recipe_of(stages, "gaps")
    return judging.judge(material, plan, chosen, FAMILIES, baselines, quiet, **more)


@pytest.fixture(scope="module")
def material(trained):
    return material_of(trained[1])


@pytest.fixture(scope="module")
def plan(trained):
    return plan_of(trained[1])


@pytest.fixture(scope="module")
def judged(material, plan):
    return judge(material, plan)


def test_everybody_is_judged_at_every_test_cutoff(judged, plan, material):
    _, table = judged
    keys = ["customer_id", "cutoff", "eligible", "purchased", "days"]
    assert table.columns[:7] == [*keys, "model", "half"]
    assert all(name.startswith("no_event_by_") for name in table.columns[7:])
    assert table["cutoff"].unique().sort().to_list() == [str(c) for c in plan.outer.test]
    assert not table.select("customer_id", "cutoff").is_duplicated().any()
    assert table["model"].is_between(0, 1).all()
    assert 0 < table["eligible"].sum() < table.height


def test_outcomes_are_what_the_log_says(judged, plan, material):
    _, table = judged
    frame = material.log.tables["order_lines"].frame.to_dicts()
    for cutoff in plan.outer.test:
        bought = {
            row["customer_id"]
            for row in frame
            if row["order_type"] == "one_off"
            and row["at"] >= cutoff.at
            and row["wall"] < cutoff.wall + plan.horizon * DAY_US
            and row["known"] < material.log.observed_until.at
        }
        here = table.filter(cutoff=str(cutoff))
        expected = [customer in bought for customer in here["customer_id"]]
        assert here["purchased"].to_list() == expected


def test_days_are_those_waited_within_the_horizon(judged, plan):
    _, table = judged
    assert table["days"].is_between(0, plan.horizon).all()
    assert (table.filter(~table["purchased"])["days"] == plan.horizon).all()
    assert (table.filter(table["purchased"])["days"] < plan.horizon).mean() > 0.9


def test_a_baseline_that_cannot_be_trained_is_named_with_its_reason(judged):
    scorecard, _ = judged
    assert "never" in " ".join(scorecard.notes)
    assert "nothing is ripe" in " ".join(scorecard.notes)
    assert {row.model for row in scorecard.rows if row.value is not None} == {"model", "half"}


def test_the_model_beats_a_coin(judged):
    scorecard, _ = judged
    assert scorecard.verdict.status == "better"
    assert scorecard.verdict.baseline == "half"


def test_segments_are_judged_too(judged):
    scorecard, table = judged
    rows = {
        row.segment: row.n
        for row in scorecard.rows
        if (row.model, row.metric, row.cutoff) == ("model", "log_loss", "pooled")
    }
    assert list(rows) == ["eligible", "one_time", "new", "frequent", "lapsed", "all"]
    assert rows["eligible"] == table["eligible"].sum()
    assert all(0 < rows[name] < rows["eligible"] for name in ("one_time", "new", "frequent"))


def test_the_model_is_called_by_what_is_in_it(judged):
    assert judged[0].labels == {
        "model": "the recipe of this run: process, members staged",
        "half": "a coin", "never": "cannot be trained",
    }  # fmt: skip


# ------------------------------------------------------------------ whole curves
@pytest.fixture(scope="module")
def curves(material, plan):
    baselines = [*BASELINES, Baseline("rule", "one curve for everybody", Rule)]
    return judge(replace(material, metric="ibs"), plan, baselines=baselines)


def test_curves_are_judged_over_the_whole_horizon(curves):
    scorecard, _ = curves
    assert scorecard.verdict.metric == "ibs"
    assert scorecard.verdict.text.startswith("better: integrated Brier score")
    found = {row.metric for row in scorecard.rows if row.model == "rule"}
    assert {"ibs", "coverage", "width", "c_index", "pinball", "returner_ratio"} <= found
    assert "D-calibration" in " ".join(scorecard.notes)


def test_a_baseline_may_add_a_note(curves, judged):
    scorecard, table = curves
    asked = int(table["eligible"].sum())
    assert 0 < asked < table.height
    assert f"rule: {asked} rows, one curve" in scorecard.notes
    assert not any(note.startswith(("rule:", "half:")) for note in judged[0].notes)


def test_the_table_holds_the_curve_of_the_model(curves, judged, plan):
    _, table = curves
    days = [1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60]
    names = [f"no_event_by_{day}d" for day in days]
    assert plan.horizon == 60
    assert table.columns[-len(days) :] == names
    survival = table.select(names).to_numpy()
    assert (np.diff(survival, axis=1) <= 0).all() and (survival <= 1).all() and (survival > 0).all()
    assert np.abs(survival[:, -1] - table["model"].to_numpy()).max() < 1e-6
    assert survival[:, -1] == pytest.approx(judged[1]["model"].to_numpy())
    assert judged[1].select(names).equals(table.select(names)), "churn reads the same curves"
    assert table["rule"].to_numpy() == pytest.approx(np.exp(-0.6))


def test_predictions_do_not_know_what_happens_after_the_test_cutoff(material, plan, judged):
    """Later purchases are given to other customers: outcomes change, predictions do not."""
    last = plan.outer.test[-1]
    table = material.log.tables["order_lines"]
    later = table.frame["known"] >= last.at
    names = table.frame.filter(later)["customer_id"]
    moved = table.frame.with_row_index().with_columns(
        customer_id=table.frame["customer_id"].scatter(later.arg_true(), names.reverse().to_list())
    )
    frame = moved.drop("index").sort("customer_id", "at", "order_id", "line_id")
    log = replace(
        material.log,
        tables={**material.log.tables, "order_lines": replace(table, frame=frame)},
    )
    _, other = judge(replace(material, log=log), plan)
    at_last = [t.filter(cutoff=str(last)) for t in (judged[1], other)]
    assert at_last[0]["model"].to_list() == at_last[1]["model"].to_list()
    assert at_last[0]["purchased"].to_list() != at_last[1]["purchased"].to_list()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [([-1], "One test cutoff alone"), ([-2, -1], "share part of their"), ([0, -1], None)],
)
def test_too_few_test_cutoffs_are_said(material, plan, chosen, said):
    """One, two that overlap, and two that lie a whole horizon apart."""
    test = tuple(plan.outer.test[i] for i in chosen)
    scorecard, _ = judge(material, replace(plan, outer=replace(plan.outer, test=test)))
    words = ("One test cutoff alone", "share part of their")
    assert [w for w in words if w in " ".join(scorecard.notes)] == ([said] if said else [])


def test_without_a_test_cutoff_nothing_is_judged(material, plan):
    scorecard, table = judge(replace(material, metric="ibs"), replace(plan, outer=None))
    assert table is None and scorecard.verdict.metric == "ibs"
    assert scorecard.verdict.status == "unjudged"
    assert "28 days" in scorecard.verdict.text


def test_without_a_process_nothing_is_judged(material, plan):
    none = replace(material, states=replace(material.states, by_cutoff={}))
    scorecard, table = judge(none, plan)
    assert table is None
    assert f"by {plan.outer.end}" in scorecard.verdict.text


def test_a_shortened_horizon_is_said(material, plan):
    scorecard, _ = judge(material, replace(plan, asked=90))
    assert f"judged at {plan.horizon} of 90 days" in scorecard.verdict.text
