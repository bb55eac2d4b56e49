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
    return lambda rows: np.full(len(rows), 0.5)


def never(problem):
    raise NotTrainableError("nothing is ripe")


BASELINES = [Baseline("half", "a coin", half), Baseline("never", "cannot be trained", never)]


def judge(material, plan, stages="process", baselines=BASELINES):
    quiet = Progress(quiet=True)
    return judging.judge(material, plan, recipe_of(stages, "gaps"), FAMILIES, baselines, quiet)


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
    assert table.columns == ["customer_id", "cutoff", "eligible", "purchased", "model", "half"]
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


def test_a_baseline_that_cannot_be_trained_is_named_with_its_reason(judged):
    scorecard, _ = judged
    assert "never" in " ".join(scorecard.notes)
    assert "nothing is ripe" in " ".join(scorecard.notes)
    assert {row.model for row in scorecard.rows if row.value is not None} == {"model", "half"}


def test_the_model_beats_a_coin(judged):
    scorecard, _ = judged
    assert scorecard.verdict.status == "better"
    assert scorecard.verdict.baseline == "half"


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
    [([-1], "One test cutoff is all"), ([-2, -1], "share part of their"), ([0, -1], None)],
)
def test_too_few_test_cutoffs_are_said(material, plan, chosen, said):
    """One, two that overlap, and two that lie a whole horizon apart."""
    test = tuple(plan.outer.test[i] for i in chosen)
    scorecard, _ = judge(material, replace(plan, outer=replace(plan.outer, test=test)))
    words = ("One test cutoff is all", "share part of their")
    assert [w for w in words if w in " ".join(scorecard.notes)] == ([said] if said else [])


def test_without_a_test_cutoff_nothing_is_judged(material, plan):
    scorecard, table = judge(material, replace(plan, outer=None))
    assert table is None
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
