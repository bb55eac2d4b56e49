"""Rolling origins: the arithmetic by hand, and one origin of a small shop."""

import numpy as np
import pytest

import ppi_ml
import rolling
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff

NAN = float("nan")


def test_origins_are_the_last_ripe_ones():
    end = Cutoff.parse("2011-12-09", "Europe/London")
    found = rolling.origins_of(end, 90, 30, 3)
    assert list(map(str, found)) == ["2011-07-12", "2011-08-11", "2011-09-10"]


def test_too_many_and_too_few_are_equally_far():
    assert rolling.distance([2, 0.5]) == pytest.approx(np.log(2))
    assert rolling.distance([1, 1]) == 0
    assert np.isnan(rolling.distance([1, NAN]))


def origin(date="2011-01-01", **expected):
    return rolling.Origin(date, 500, 100, expected, {"far": "too early"})


def test_the_best_baseline_is_the_bound():
    found = [
        origin("2011-01-01", ppi_ml=105, near=110, far=101),
        origin("2011-01-31", ppi_ml=96, near=90),
    ]
    part = rolling.part_of(found, {"origins": 2})
    distance, ratios, typical = part.checks
    assert distance.found == f"{(np.log(1.05) - np.log(0.96)) / 2:.4f}"
    assert "near, the best of 1 baselines" in distance.bound  # far missed an origin
    assert (distance.passed, ratios.passed) == (True, True)
    assert ratios.found == "0.960 to 1.050"
    assert typical.found == f"{np.sqrt(1.05 * 0.96):.3f}"
    text = part.to_markdown()
    assert "| 2011-01-31 | 500 | 100 | 0.960 | 0.900 | nan |" in text
    assert text.count("- far: too early") == 1


@pytest.mark.parametrize(
    ("expected", "passed"), [((105, 119), [False, False]), ((105, 84), [False, False])]
)
def test_one_origin_out_of_range_fails(expected, passed):
    found = [origin(ppi_ml=number, near=100) for number in expected]
    assert [check.passed for check in rolling.part_of(found, {}).checks[:2]] == passed


def test_model_and_baselines_are_asked_about_the_same_customers(shop, quick, monkeypatch):
    known = {baseline.name: baseline for baseline in rolling.baselines()}
    assert {"bg_nbd", "mbg_nbd", "rfm_newest", "rfm_pooled"} < known.keys()

    class Never:
        name = "never"

        @staticmethod
        def fit(problem):
            raise NotTrainableError("not today")

    monkeypatch.setattr(rolling, "baselines", lambda: [known["mbg_nbd"], known["base_rate"], Never])
    cutoff = shop.observed_until.plus(-60)
    found = rolling.at_origin(shop, cutoff, {"target.horizon": "60d"})
    assert found.expected.keys() == {"ppi_ml", "mbg_nbd", "base_rate"}
    assert found.untrainable == {"never": "not today"}
    assert all(0 < found.expected[name] < found.eligible for name in found.expected)
    # what came after is counted here in the plainest way
    lines = shop.order_lines
    day = lines["occurred_at"].dt.tz_convert(None)
    began = np.datetime64(str(cutoff)[:10])
    past = lines[(lines["known_at"].dt.tz_convert(None) < began) & (lines.order_type == "one_off")]
    last = past.groupby("customer_id")["occurred_at"].max().dt.tz_convert(None)
    eligible = set(last.index[last >= began - np.timedelta64(180, "D")])
    later = lines[(day >= began) & (day < began + np.timedelta64(60, "D"))]
    bought = set(later[later.order_type == "one_off"].customer_id) & eligible
    assert (found.eligible, found.actual) == (len(eligible), len(bought))


def test_the_options_say_what_is_the_default():
    assert rolling.options(6, 30, 90, None)["trials"] == "default"
    assert rolling.options(6, 30, 90, 3)["trials"] == 3
    assert ppi_ml.Config.read({"data": {"source": "dataframes"}, "target": {"name": "churn"}},
                              environ={}).target.horizon == 90  # fmt: skip
