"""What a config asks for: a setting that would be ignored is refused and named."""

import pytest

from ppi_ml.asked_for import asked_for
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError

OF_PAIRS = {
    "target.product": "category", "target.group": None, "target.least_purchases": 3,
    "target.nudge.quantile": 0.1,
}  # fmt: skip
OTHERS = {
    "churn": "customers", "repurchase": "customers", "late_delivery": "orders",
    "low_review": "orders", "return_risk": "order lines",
}  # fmt: skip


def config(target, **more):
    return Config.read({"data": {"source": "cdnow"}, "target": {"name": target}}, more, {})


@pytest.mark.parametrize("target", OTHERS)
@pytest.mark.parametrize(("path", "value"), OF_PAIRS.items())
def test_a_setting_of_pairs_is_refused_and_not_ignored(target, path, value):
    named = ".".join(path.split(".")[:2])
    with pytest.raises(ConfigError) as raised:
        asked_for(config(target, **{path: value}))
    assert str(raised.value) == (
        f"{named}: is of pairs of a customer and a product alone; leave it out\n"
        f"{target} asks about {OTHERS[target]}"
    )


def test_all_of_them_are_named_at_once():
    with pytest.raises(ConfigError) as raised:
        asked_for(config("low_review", **OF_PAIRS, **{"model.processes": ["gaps"]}))
    lines = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "target.product", "target.group", "target.least_purchases", "target.nudge",
        "model.processes", "low_review asks about orders",
        "low_review is a probability without a curve. Its stages (share, logistic, "
        "logistic+trees) are chosen on earlier periods; what can be set of its model are "
        "model.trees, model.max_rows and tune.trials, tune.minutes, tune.workers",
    ]  # fmt: skip


def test_pairs_have_a_process_of_their_own():
    with pytest.raises(ConfigError, match=r"^model\.processes: is of customers alone; pairs have"):
        asked_for(config("depletion", **{"model.processes": ["gaps"]}))
    assert asked_for(config("churn", **{"model.processes": ["gaps"]})).target.name == "churn"


def test_what_is_of_pairs_is_for_pairs():
    found = asked_for(config("depletion", **{**OF_PAIRS, "target.group": "category_group"}))
    assert (found.entity.product, found.entity.least) == ("category", 3)


@pytest.mark.parametrize("target", [*OTHERS, "depletion"])
def test_defaults_that_are_written_out_ask_for_nothing(target):
    """A config of a run folder spells out every setting."""
    written = Config.read(config(target).to_dict(), environ={})
    assert asked_for(written).target.name == target
