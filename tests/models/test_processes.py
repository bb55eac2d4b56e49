"""What every process must do, found through the registry."""

import json

import numpy as np
import pytest

from ppi_ml.errors import NotTrainableError, UsageError
from ppi_ml.models.histories import Histories
from ppi_ml.models.processes import PROCESSES

DAYS = np.array([0.0, 0.5, 1.0, 7.0, 30.0, 30.0, 90.0, 365.0])


def shop(customers=400, *, rate=0.02, leave=0.15, seed=1, end=400.0, grid=None):
    """Purchases at random rates until customers leave; `grid` rounds days down to multiples."""
    draw = np.random.default_rng(seed)
    owners, days = [], []
    for customer in range(customers):
        at, own = draw.uniform(0, end - 30), draw.gamma(0.7, rate / 0.7)
        while at < end:
            owners.append(customer)
            days.append(at if grid is None else grid * np.floor(at / grid))
            at += draw.exponential(1 / own) if draw.random() > leave else np.inf
    return Histories.from_purchases(owners, days, end)


@pytest.fixture(params=sorted(PROCESSES))
def process(request):
    return PROCESSES[request.param]


def test_the_registry_holds_the_names_of_the_config():
    assert list(PROCESSES) == ["mbg_nbd", "bg_nbd", "pareto_nbd", "gaps"]
    assert all(name == process.name for name, process in PROCESSES.items())


def test_survival_starts_at_one_and_never_rises(process):
    histories = shop()
    survival = process.survival(process.fit(histories), histories, DAYS)
    assert survival.shape == (len(histories), len(DAYS))
    assert (survival[:, 0] == 1.0).all()
    assert (np.diff(survival, axis=1) <= 0).all()
    assert survival.min() >= 0.0
    assert (survival[:, 3] < 1.0).all()


def test_one_customer_alone_and_days_in_any_order_give_the_same(process):
    histories = shop(60)
    state = process.fit(histories)
    batch = process.survival(state, histories, DAYS)
    alone = process.survival(state, histories.take(slice(7, 8)), DAYS)
    assert alone[0] == pytest.approx(batch[7], rel=1e-12)
    backwards = process.survival(state, histories, DAYS[::-1])
    assert backwards[:, ::-1] == pytest.approx(batch, rel=1e-12)
    assert process.survival(state, histories.take(slice(0)), DAYS).shape == (0, len(DAYS))


def test_an_answer_does_not_depend_on_what_else_is_asked(process):
    histories = shop(80)
    state = process.fit(histories)
    many = process.survival(state, histories, np.arange(0.0, 366.0))
    assert process.survival(state, histories, [365.0])[:, 0] == pytest.approx(many[:, -1], abs=1e-9)


def test_state_is_floats_that_survive_json(process):
    histories = shop(100)
    state = process.fit(histories)
    assert state["customers"] == 100
    assert all(type(value) is float for value in state.values())
    again = json.loads(json.dumps(state))
    expected = process.survival(state, histories, DAYS)
    assert np.array_equal(process.survival(again, histories, DAYS), expected)


def test_fits_repeat_and_the_order_of_customers_is_irrelevant(process):
    histories = shop(150, grid=1.0)
    state = process.fit(histories)
    assert process.fit(histories) == state
    shuffled = histories.take(np.random.default_rng(0).permutation(len(histories)))
    assert process.fit(shuffled) == pytest.approx(state, rel=1e-6)


def test_equal_histories_count_as_often_as_they_occur(process):
    histories = shop(100)
    twice = histories.take(np.tile(np.arange(100), 2))
    once, double = process.fit(histories), process.fit(twice)
    assert double["log_likelihood"] == pytest.approx(2 * once["log_likelihood"], rel=1e-4)


def test_the_unit_of_time_does_not_matter(process):
    days = shop(300)
    gaps = days.repeats * np.log(7.0)
    weeks = Histories(
        days.repeats, days.last_days / 7, days.age_days / 7, days.gap_log_sum - gaps,
        days.gap_log_sumsq - 2 * np.log(7) * days.gap_log_sum + gaps * np.log(7.0),
    )  # fmt: skip
    in_days = process.survival(process.fit(days), days, [70.0])
    in_weeks = process.survival(process.fit(weeks), weeks, [10.0])
    assert in_weeks == pytest.approx(in_days, abs=1e-5)


@pytest.mark.parametrize(
    ("histories", "reason"),
    [
        (shop(19, leave=0.0, rate=0.1), "only 19 customers"),
        (shop(50, leave=1.0), "nobody has bought a second time"),
        (shop(20, leave=0.7, seed=3), r"only \d repeat purchases"),
    ],
)
def test_too_little_says_why(process, histories, reason):
    with pytest.raises(NotTrainableError, match=reason):
        process.fit(histories)


@pytest.mark.parametrize(
    "histories",
    [
        shop(25, rate=0.004, leave=0.2, seed=4),
        shop(200, leave=0.0),
        shop(200, leave=0.9),
        shop(60, rate=2.0, leave=0.001),
        shop(200, grid=30.0),
    ],
    ids=["thin", "nobody leaves", "nearly all leave", "wholesale", "few distinct rows"],
)
def test_extreme_shops_still_give_curves(process, histories):
    state = process.fit(histories)
    survival = process.survival(state, histories, DAYS)
    assert np.isfinite(list(state.values())).all()
    assert np.isfinite(survival).all()
    assert (np.diff(survival, axis=1) <= 0).all()


def test_negative_days_are_refused(process):
    histories = shop(40)
    with pytest.raises(UsageError, match="days: expected"):
        process.survival(process.fit(histories), histories, [-1.0])
