"""The benchmark of planted effects: its estimators against others, and what it tells."""

import numpy as np
import polars as pl
import pytest

import effects
import effects_hazards
import effects_lapses
import effects_models
from effects_planted import BASES, EFFECTS, Found, seek, world
from effects_rows import Estimate, Rows, ask, every, odds_ratio, poisson, resampled, risk_difference
from ppi_ml.models.glm import fit_poisson
from ppi_ml.simulation.brand import EFFECTS as DIALS

CUSTOMERS, SEED, STEP = 150, 5, 40
BY_NAME = {effect.name: effect for effect in EFFECTS}


@pytest.fixture(scope="module")
def made():
    dials = (("late_lapse", 1.0), ("poor_lapse", 1.0), ("return_lapse", 1.0))
    return world(BY_NAME["lapse: late parcel"], dials, 2_000, SEED)


@pytest.fixture(scope="module")
def rows(made):
    cutoffs = every(made, STEP, effects_lapses.CHURN)
    return ask(made, ["delivery", "reviews", "returns"], cutoffs)


def test_the_regression_is_that_of_the_library():
    draw = np.random.default_rng(0)
    columns = draw.normal(size=(30, 2))
    exposure = draw.uniform(50, 200, (2, 30))
    events = draw.poisson(exposure * np.exp(columns @ [0.4, -0.3] - 1)).astype(float)
    found = poisson(columns, events, exposure)
    for own, happened, days in zip(found, events, exposure, strict=True):
        loose, plain = np.full(2, 100.0), np.zeros(2, dtype=bool)
        theirs = fit_poisson(columns, happened, days, ("a", "b"), loose, plain)
        assert own == pytest.approx([theirs.intercept, *theirs.coefficients], abs=2e-4)


def test_sums_of_draws_are_those_of_whole_customers():
    customer = np.array([7, 7, 3, 9])
    all_rows, drawn = np.split(
        resampled(customer, np.array([0, 1, 0, 1]), 3, np.array([1.0, 10.0, 100.0, 1_000.0]))[0],
        [1],
    )
    assert all_rows.tolist() == [[101.0, 1_010.0, 0.0]]
    seven, three = drawn[:, 0] % 100, drawn[:, 0] // 100
    assert (drawn[:, 1] == 10 * seven + 1_000 * (3 - seven - three)).all()
    assert set(seven) == {0, 1, 2, 3}


def test_odds_and_differences_within_strata_are_mantel_and_haenszels():
    counts = {(0, True): (10, 4), (0, False): (20, 5), (1, True): (6, 3), (1, False): (12, 8)}
    stratum, holds, happened = [], [], []
    for (place, held), (n, hits) in counts.items():
        stratum += [place] * n
        holds += [held] * n
        happened += [1.0] * hits + [0.0] * (n - hits)
    asked = np.arange(48), np.array(holds), [np.array(happened)], np.array(stratum)
    odds = (4 * 15 / 30 + 3 * 4 / 18) / (5 * 6 / 30 + 8 * 3 / 18)
    assert odds_ratio(*asked)[0][0] == pytest.approx(odds)
    weights = 10 * 20 / 30, 6 * 12 / 18
    apart = ((4 / 10 - 5 / 20) * weights[0] + (3 / 6 - 8 / 12) * weights[1]) / sum(weights)
    assert risk_difference(*asked)[0][0] == pytest.approx(apart)


def test_days_are_covered_from_the_midnight_after_an_event(made):
    seen = ask(made, [], [made.observed_from.plus(day) for day in (100, 104)])
    who = seen.data.customers[0]
    at = made.observed_from.plus(101.5)
    events = pl.DataFrame({"customer_id": [who], "occurred_at": [at.at]}).with_columns(
        pl.col("occurred_at").cast(pl.Datetime("us", "UTC"))
    )
    # it acts on the days 102, 103 and 104; the cutoffs ask for 100 to 103 and 104 to 107
    share = dict(zip(zip(seen.data.customers, seen.data.day, strict=True),
                     seen.covered(events, 3, 4), strict=True))  # fmt: skip
    first = made.observed_from.wall / 86_400_000_000
    assert share.pop((who, first + 100)) == 0.5
    assert share.pop((who, first + 104)) == 0.25
    assert not any(share.values())


def test_columns_know_which_parcel_review_and_return_belong_to_the_last_order(rows):
    late = effects_hazards.late_parcels(rows)
    truth = effects_hazards.last_orders(rows)
    told = truth.with_columns(late=pl.Series(late)).filter(pl.col("late").is_not_nan())
    assert told.height > 2_000
    assert ((told["late"] == 1) == (told["late_days"] > 0)).mean() > 0.99
    back = rows.of_last_order("returns__last__days_since", "returns__after__last")
    returned = (truth["returned_at"] <= truth["t"]).fill_null(value=False).to_numpy()
    assert returned[back].all()
    assert back[returned].mean() > 0.9  # some become known later
    assert 0 < truth["there"].mean() < 1


@pytest.mark.parametrize("cause", ["late_at", "poor_at", "returned_at", None])
def test_how_likely_somebody_is_gone_is_how_often_that_is_so(rows, cause):
    last = effects_hazards.last_orders(rows)
    holds = (last[cause] <= last["t"]).fill_null(value=False) if cause else pl.Series([True])
    some = np.broadcast_to(holds.to_numpy(), len(rows)) & (rows[effects_lapses.ELAPSED] < 40)
    expected = effects_lapses.gone(rows)[some]
    gone = (rows.waits.days > effects_lapses.CHURN)[some]
    near = 6 * np.sqrt((expected * (1 - expected)).sum()) / some.sum()  # rows share their fate
    assert gone.mean() == pytest.approx(expected.mean(), abs=near)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("content", "content__tag_a__last"),
        ("lapse: late parcel", "delivery__late__last"),
        ("lapse: few stars", "reviews__stars__last"),
        ("lapse: came by voucher", "profile__source_a__last"),
        ("twice the money", "orders__value__last"),
    ],
)
def test_a_wrong_column_does_not_bring_its_own_truth(name, column, monkeypatch):
    effect = BY_NAME[name]
    shop = world(effect, tuple(effect.dials.items()), 1_000, SEED)
    truth, _ = effect.measure(shop, STEP)
    read = Rows.__getitem__

    def shuffled(rows, asked):
        values = read(rows, asked)
        order = np.random.default_rng(0).permutation(len(values))
        return values[order] if asked == column else values

    monkeypatch.setattr(Rows, "__getitem__", shuffled)
    same, wrong = effect.measure(shop, STEP)
    assert same == truth
    assert not Estimate.of(wrong).covers(truth)


def test_every_dial_is_sought_once():
    sought = {dial for effect in EFFECTS for dial in effect.dials}
    assert sought == {*DIALS} - {"quality_spread"}
    assert len(BY_NAME) == len(EFFECTS)
    assert {effect.base for effect in EFFECTS} == set(BASES)


def found(truth=1.5, planted=(1.4, 1.2, 1.6), absent=(1.0, 0.9, 1.1), name="code used"):
    return Found(BY_NAME[name], truth, Estimate(*planted), Estimate(*absent))


def test_an_interval_is_judged_by_the_truth_and_by_no_effect():
    assert (found().inside, found().surely, found().calm) == (True, True, True)
    assert not found(truth=1.7).inside
    assert not found(planted=(1.2, 0.9, 1.6)).surely
    assert not found(absent=(1.2, 1.1, 1.3)).calm
    down = found(-1.1, (-1.0, -1.3, -0.7), name="stars after a late parcel")
    assert down.surely
    assert found(1.0, (1.0, 0.9, 1.1), name="content that does nothing").surely
    assert not found(1.0, (1.2, 1.1, 1.3), name="content that does nothing").surely


def learned(gain, name="no effect, deliveries"):
    other = Estimate(0.1, 0.05, 0.15)
    return effects.Learned(name, 0.5, Estimate(*gain), other, other)


def test_too_many_misses_and_a_gain_from_nothing_fail():
    good = [found()] * 20
    crowd = [effects.Crowded("later orders", 1.3, 1.4, Estimate(1.35, 1.2, 1.5), Estimate(1, 0, 2))]
    calm = [learned((0.0, -0.001, 0.001)), learned((-0.01, -0.02, -0.005), "strong effect, x")]
    part = effects.part_of(good, crowd, calm, {"seeds": 1})
    assert [check.passed for check in part.checks] == [True] * 7
    assert "| code used | times the wait | 1.500 | 1.400 | 1.200 to 1.600 |" in part.to_markdown()

    bad = [found(truth=1.9, absent=(1.2, 1.1, 1.3))] * 6 + [found()] * 14
    apart = [effects.Crowded("later orders", 1.6, 1.7, Estimate(1.35, 1.2, 1.5),
                             Estimate(1, 0, 2))]  # fmt: skip
    gained = [learned((-0.002, -0.003, -0.001)), learned((0.0, -0.001, 0.001), "strong effect, x")]
    part = effects.part_of(bad, apart, gained, {})
    assert [check.passed for check in part.checks[:3]] == [False, True, False]
    assert [check.passed for check in part.checks[3:]] == [False, False, False, True]
    assert "**1.200 to 1.600**" in part.tables


def test_the_interval_of_shops_is_students():
    found = effects.over_shops([1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, -0.4841, 4.4841), abs=1e-3)


def test_an_effect_is_sought_in_two_shops():
    one = seek(BY_NAME["late parcel, later orders"], CUSTOMERS, SEED, STEP)
    assert one.planted.low < one.planted.value < one.planted.high
    assert one.truth == 1.5
    assert one.planted.value != one.absent.value


def test_models_of_other_rows_are_not_compared():
    few = effects_models.answers(effects_models.shop(effects_models.CALM, 300, 1), "cadence")
    half = np.arange(len(few.rows)) % 2 == 0
    assert isinstance(few.rows, Rows)
    assert effects_models.gain(few, few).value == 0
    with pytest.raises(RuntimeError, match="different rows"):
        effects_models.gain(few, effects_models.Answers(few.rows.take(half), few.predicted[half]))
