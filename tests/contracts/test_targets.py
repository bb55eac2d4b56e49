"""Every target of the shelf, found by its name, is whole and can be trained and read."""

import json

import pytest

from ppi_ml.config import Config
from ppi_ml.declare import Target
from ppi_ml.entities import CUSTOMER, LINE, ORDER, PAIR
from ppi_ml.models.readings import READINGS
from ppi_ml.occasions import CLOSED, TRIGGERS
from ppi_ml.schema import TABLES
from ppi_ml.scoring import Scorer
from ppi_ml.shelf import names, shelf

TARGETS = shelf("ppi_ml.targets", "TARGET")
BASELINES = shelf("ppi_ml.baselines", "BASELINE")
PLAINEST = {
    ("duration", "log_loss"): "base_rate",
    ("duration", "ibs"): "kaplan_meier",
    ("probability", "log_loss"): "event_rate",
}
"""Kind and metric -> the baseline that says the same of everybody."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_declaration_is_whole(name):
    target = TARGETS[name]
    assert isinstance(target, Target)
    assert target.name == name
    assert name in names("ppi_ml.targets")
    assert target.question.endswith("?")
    if target.kind == "duration":
        assert target.entity in (CUSTOMER, PAIR)
        assert target.reading in READINGS
    else:
        assert target.kind == "probability"
        assert target.entity in (ORDER, LINE)
        assert target.asked_at
        assert set(target.asked_at) <= set(TRIGGERS)
        assert target.until in CLOSED
        assert target.event in TABLES
        assert callable(target.outcome)


@pytest.mark.parametrize("name", TARGETS)
def test_its_baselines_are_on_the_shelf_with_one_that_knows_nobody_among_them(name):
    wanted = TARGETS[name].baselines
    assert len(set(wanted)) == len(wanted)
    assert set(wanted) <= set(BASELINES)
    assert PLAINEST[TARGETS[name].kind, TARGETS[name].metric] in wanted
    assert {BASELINES[baseline].kind for baseline in wanted} == {TARGETS[name].kind}
    assert len(wanted) >= 3


@pytest.mark.parametrize("name", TARGETS)
def test_a_reading_of_another_targets_curve_is_about_the_same(name):
    """Curve and label are the owner's, so who is asked and what about must be the owner's too."""
    target = TARGETS[name]
    if target.of is not None:
        owner = TARGETS[target.of]
        assert owner.of is None, "a target is read from its owner, not through a third one"
        assert owner.name != target.name
        for what in ("entity", "kind", "event"):
            assert getattr(target, what) == getattr(owner, what)


def test_churn_is_a_reading_of_repurchase():
    assert TARGETS["churn"].of == "repurchase"
    assert TARGETS["repurchase"].of is None


@pytest.mark.parametrize("name", TARGETS)
def test_a_declaration_goes_into_the_bundle_as_data(name):
    told = TARGETS[name].to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["name"] == name
    assert told["of"] == TARGETS[name].of
    assert (told["kind"], told["metric"]) in PLAINEST
    assert "baselines" not in told


@pytest.mark.parametrize("name", TARGETS)
def test_a_config_may_ask_for_it(name):
    config = Config.read({"data": {"source": "dataframes"}, "target": {"name": name}}, environ={})
    assert config.name == name


def test_a_trained_target_beats_its_base_rate_on_a_shop_with_a_pattern(trained):
    """Purpose: customers of the shop buy at their own pace and lapse; a model must see it."""
    run, log = trained
    assert run.verdict.status == "better"
    assert run.verdict.difference < -0.05
    table = Scorer.load(run.bundle).score(log, "2020-01-01")
    assert table["churn_probability"].std() > 0.1
