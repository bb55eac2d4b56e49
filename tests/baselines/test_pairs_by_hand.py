"""Every baseline about pairs whose answer can be worked out on paper, on a handful of pairs."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import nbinom, norm

from ppi_ml.baselines import gamma_poisson
from ppi_ml.entities import Entity
from ppi_ml.errors import NotTrainableError
from ppi_ml.models.durations import Durations
from ppi_ml.shelf import shelf

BASELINES = shelf("ppi_ml.baselines", "BASELINE")
NEVER = 1e-4
DAYS = np.arange(1, 61)
# (customer, product) -> (day, quantity); what is on day 70 or later is not known yet
PURCHASES = {
    ("a", "milk"): [(0, 1), (10, 1), (40, 2)],  # gaps 10, 30; waits 30
    ("a", "soap"): [(25, 1), (65, 1), (72, 1)],  # gap 40; waits 5
    ("b", "milk"): [(0, 2), (10, 2), (20, 2), (60, 4), (70, 9)],  # gaps 10, 10, 40; waits 10
    ("c", "milk"): [(55, 1), (80, 1)],  # no gap; waits 15
    ("d", "rice"): [(61, 3)],  # nobody bought it twice; waits 9
    ("e", "milk"): [(20, 1), (30, 4), (60, 4)],  # gaps 10, 30; waits 10
}
GROUPS = {"milk": "food", "rice": "food", "soap": "care"}
# One product, the same amount every time: the clock of all is the mean of ln(gap), 6 gaps.
MILK = {
    ("a", "milk"): [(0, 1), (10, 1), (40, 1)],
    ("b", "milk"): [(0, 1), (10, 1), (20, 1), (60, 1)],
    ("c", "milk"): [(55, 1)],
    ("d", "milk"): [(25, 1), (65, 1)],
}
WAITED = {"a": 30, "b": 10, "c": 15, "d": 5}
OWN = {"a": [10, 30], "b": [10, 10, 40], "c": [], "d": [40]}
USUAL = np.mean(np.log([10, 30, 10, 10, 40, 40]))
STATE = {
    "mean": 0.2, "between": 0.5, "within": 0.8, "spread": 1e-9, "lapse": 0.3, "firmness": 4.0,
    "lapse_of_groups": {}, "lapse_of_products": {},
}  # fmt: skip


def steps(until):
    """1 up to the date, days after the cutoff, and next to nothing from there, 60 days."""
    return np.where(until >= DAYS, 1.0, NEVER)


def answers(name, problem):
    """Customer and product -> the curve of that row."""
    found = BASELINES[name].fit(problem)(problem.data)
    return dict(zip(problem.data.keys.select("customer_id", "product").rows(), found, strict=True))


def until(name, problem):
    """Customer and product -> days from the cutoff to the date of a rule."""
    found = BASELINES[name].fit(problem).until(problem.data)
    return dict(zip(problem.data.keys.select("customer_id", "product").rows(), found, strict=True))


@pytest.mark.parametrize(
    ("name", "dates"),
    [
        # last gaps 30, 40, 40, 30: who bought once gets their median, 35
        ("last_gap", {"am": 0, "as": 35, "bm": 30, "cm": 20, "dr": 26, "em": 20}),
        # means 20, 40, 20, 20: who bought once gets their mean, 25
        ("mean_gap", {"am": -10, "as": 35, "bm": 10, "cm": 10, "dr": 16, "em": 10}),
        # medians 20, 40, 10, 20: who bought once gets their median, 20
        ("median_gap", {"am": -10, "as": 35, "bm": 0, "cm": 5, "dr": 11, "em": 10}),
    ],
)
def test_the_own_gap_of_a_pair_is_that_of_the_product_alone(problem_of, name, dates):
    problem = problem_of(PURCHASES, GROUPS)
    found = answers(name, problem)
    assert {f"{c}{p[0]}" for c, p in found} == set(dates)
    for (customer, product), curve in found.items():
        assert curve.tolist() == steps(dates[customer + product[0]]).tolist(), (customer, product)
    past = np.mean([when < 0 for when in dates.values()])
    assert BASELINES[name].fit(problem).note(problem.data) == (
        f"the date of {past:.1%} of the rows was already past"
    )


def test_quantity_over_rate_is_the_formula_of_the_textbooks(problem_of):
    """Units but the last over days first to last; then the last units over this rate."""
    found = until("quantity_over_rate", problem_of(PURCHASES))
    assert found["a", "milk"] == pytest.approx(2 / (2 / 40) - 30, rel=1e-5)
    assert found["b", "milk"] == pytest.approx(4 / (6 / 60) - 10, rel=1e-5)
    assert found["a", "soap"] == pytest.approx(1 / (1 / 40) - 5, rel=1e-5)


def test_where_amounts_change_the_usual_amount_is_the_geometric_mean(problem_of):
    """1 and 4 units in 40 days are twice 2, so 4 last 40 days; the plain mean would say 32."""
    assert until("quantity_over_rate", problem_of(PURCHASES))["e", "milk"] == pytest.approx(30)


def test_a_pack_of_four_times_the_size_lasts_four_times_as_long(problem_of):
    """Two small ones in 40 days, then a large one: 80 days, of which 30 have passed."""
    sizes = {
        "sku": ["small", "large"], "category": ["soap", "soap"], "unit_size": [6.0, 24.0],
        "unit_of_measure": ["oz", "oz"],
    }  # fmt: skip
    bought = {("a", "small"): [(0, 1), (20, 1)], ("a", "large"): [(40, 1)]}
    problem = problem_of(bought, products=sizes, product="category")
    assert until("quantity_over_rate", problem)["a", "soap"] == pytest.approx(50, rel=1e-5)


def test_who_bought_once_takes_the_usual_gap_of_the_product(problem_of):
    """Every gap in the log is 20 days, so that is what the product's is."""
    twenty = {
        ("a", "milk"): [(0, 1), (20, 3), (40, 2)],
        ("b", "milk"): [(10, 2), (30, 2)],
        ("c", "milk"): [(55, 7)],
    }
    found = until("quantity_over_rate", problem_of(twenty))
    assert found["c", "milk"] == pytest.approx(20 - 15, rel=1e-6)


def test_the_products_percentile_is_drawn_to_the_groups_and_to_that_of_all(problem_of):
    """Milk: 10, 10, 10, 10, 30, 30, 40; soap: 40; rice: none. Ten gaps weigh the level above."""
    found = until("product_quantile", problem_of(PURCHASES, GROUPS))
    everything = np.log(30) + 0.25 * np.log(40 / 30)  # at 5.25 of the eight, from 0
    food = (7 * np.log(30) + 10 * everything) / 17
    care = (np.log(40) + 10 * everything) / 11
    milk, soap = np.exp((7 * np.log(30) + 10 * food) / 17), np.exp((np.log(40) + 10 * care) / 11)
    waited = {("a", "milk"): 30, ("b", "milk"): 10, ("c", "milk"): 15, ("e", "milk"): 10}
    for pair, days in waited.items():
        assert found[pair] == pytest.approx(milk - days), pair
    assert found["a", "soap"] == pytest.approx(soap - 5)
    assert found["d", "rice"] == pytest.approx(np.exp(food) - 9)


def test_without_groups_the_level_above_a_product_is_everything(problem_of):
    found = until("product_quantile", problem_of(PURCHASES))
    everything = np.log(30) + 0.25 * np.log(40 / 30)
    assert found["a", "soap"] == pytest.approx(np.exp((np.log(40) + 10 * everything) / 11) - 5)
    assert found["d", "rice"] == pytest.approx(np.exp(everything) - 9)


def test_a_product_that_nobody_had_bought_takes_the_percentile_of_its_group(problem_of):
    """Purpose: rows of a later cutoff hold products that the training part did not know."""
    rule = BASELINES["product_quantile"].fit(problem_of(PURCHASES, GROUPS))
    groups = {"cream": "care", "milk": "food", "nails": None}
    later = problem_of({("a", "cream"): [(60, 1)], ("a", "nails"): [(60, 1)]}, groups).data
    everything = np.log(30) + 0.25 * np.log(40 / 30)
    care = (np.log(40) + 10 * everything) / 11
    assert rule.until(later) == pytest.approx([np.exp(care) - 10, np.exp(everything) - 10])


def place(customer):
    """Mean and variance of ln(open gap): the own gaps, drawn to the product's by their number."""
    x = len(OWN[customer])
    own = sum(np.log(gap) for gap in OWN[customer])
    weight = x * 0.5**2 + 0.8**2
    mean = (own * 0.5**2 + (USUAL + 0.2) * 0.8**2) / weight
    return mean, 0.8**2 + 0.5**2 * 0.8**2 / weight


def test_a_shrunk_gap_lies_between_the_own_and_the_products(problem_of):
    found = until("shrunk_gap", problem_of(MILK, state=STATE))
    for customer, waited in WAITED.items():
        date = np.exp(place(customer)[0]) - waited
        assert found[customer, "milk"] == pytest.approx(date, rel=1e-5, abs=1e-4), customer


@pytest.mark.parametrize("lapse", [None, 0.6])
def test_renewals_alone_are_gaps_and_a_chance_to_have_stopped(problem_of, lapse):
    """The chance falls with every return: 0.3 * 4 / (4 + gaps) after the last purchase.

    Or with the product's own lapse, where it is known, in the place of 0.3.
    """
    state = STATE if lapse is None else {**STATE, "lapse_of_products": {"milk": lapse}}
    found = answers("renewals", problem_of(MILK, state=state))
    for customer, waited in WAITED.items():
        mean, variance = place(customer)
        longer = norm.sf((np.log(waited + np.append(0, DAYS)) - mean) / np.sqrt(variance))
        stopped = (lapse or 0.3) * 4.0 / (4.0 + len(OWN[customer]))
        gone = stopped / (stopped + (1 - stopped) * longer[0])
        expected = gone + (1 - gone) * longer[1:] / longer[0]
        assert found[customer, "milk"] == pytest.approx(expected, rel=1e-5), customer


@pytest.mark.parametrize("name", ["last_gap", "mean_gap", "median_gap", "product_quantile",
                                  "gamma_poisson"])  # fmt: skip
def test_where_no_pair_was_bought_twice_it_says_so(problem_of, name):
    once = problem_of({("a", "milk"): [(0, 1), (75, 1)], ("b", "soap"): [(50, 1)]})
    with pytest.raises(NotTrainableError, match=r"(had|been) bought twice by"):
        BASELINES[name].fit(once)


def test_kaplan_meier_has_one_curve_for_the_pairs_asked_about(problem_of):
    """Asked about are those with two purchases: four, one bought by day 5, one by day 40."""
    waits = Durations(
        np.array([60.0, 5.0, 40.0, 3.0, 61.0, 61.0]),
        np.array([False, True, True, True, False, False]),
    )
    problem = problem_of(PURCHASES, waits=waits)
    problem = replace(
        problem, data=replace(problem.data, entity=Entity("customer_product", least=2))
    )
    found = answers("kaplan_meier", problem)
    expected = np.where(DAYS < 5, 1.0, np.where(DAYS < 40, 3 / 4, 1 / 2))
    for pair in [("a", "milk"), ("a", "soap"), ("b", "milk"), ("e", "milk")]:
        assert found[pair] == pytest.approx(expected), pair
    for pair in [("c", "milk"), ("d", "rice")]:
        assert found[pair] == pytest.approx(np.where(DAYS < 3, 1.0, 1 / 2)), pair


# ------------------------------------------------------------------ what is fitted on many pairs


@pytest.fixture(scope="module")
def many(problem_of):
    """60 customers with an own pace, one product and one amount."""
    random = np.random.default_rng(3)
    purchases = {}
    for number in range(60):
        pace, day, bought = random.lognormal(2.3, 0.5), int(random.integers(0, 40)), []
        while day < 70:
            bought.append((day, 2))
            day += max(1, round(pace * random.lognormal(0, 0.5)))
        purchases[f"c{number}", "milk"] = bought
    return problem_of(purchases)


def test_with_one_product_and_amount_its_clock_changes_nothing(many):
    """The gaps on the product's clock are then the gaps in days over one number."""
    found = BASELINES["lognormal_residual"].fit(many)(many.data)
    assert found == pytest.approx(BASELINES["gaps"].fit(many)(many.data), abs=2e-4)
    assert found[:, 6].max() > 0.5 > found[:, 6].min()


def test_pairs_of_a_product_that_lasts_longer_come_back_later(problem_of):
    """Two products with one pattern, ten days and thirty: who bought once knows the product's."""
    purchases = {}
    for number in range(40):
        early, late = number % 3, number % 5
        purchases[f"c{number}", "quick"] = [(5 * k + k % 2 * early, 1) for k in range(1, 9)]
        purchases[f"c{number}", "slow"] = [(20 * k + k % 2 * late, 1) for k in range(3)]
    purchases |= {("new", "quick"): [(68, 1)], ("new", "slow"): [(68, 1)]}
    problem = problem_of(purchases)
    found = answers("lognormal_residual", problem)
    assert found["new", "quick"][6] < 0.4 < 0.8 < found["new", "slow"][6]
    plain = answers("gaps", problem)
    assert plain["new", "quick"] == pytest.approx(plain["new", "slow"])


def test_the_likelihood_of_gamma_poisson_is_the_negative_binomial():
    """Given x >= missing; up to a constant that no parameter changes."""
    x, days = np.array([2.0, 3, 7, 2, 12]), np.array([5.0, 20, 20, 400, 90])
    weight = np.array([1.0, 2, 1, 3, 1])
    for missing in (0, 1, 2):

        def truth(at, missing=missing):
            a, b = np.exp(at)
            log_p = nbinom.logpmf(x, a, b / (b + days))
            return weight @ (log_p - nbinom.logsf(missing - 1, a, b / (b + days)))

        for at in (np.array([-0.5, 3.0]), np.array([1.2, 5.0]), np.array([-4.0, 4.0])):
            value, slope = gamma_poisson.likelihood(at, np.array([x, days]), weight, missing)
            first, _ = gamma_poisson.likelihood(np.zeros(2), np.array([x, days]), weight, missing)
            assert value - first == pytest.approx(truth(at) - truth(np.zeros(2)))
            assert slope == pytest.approx(approx_fprime(at, truth, 1e-6), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("least", [1, 3])
def test_gamma_poisson_finds_the_rates_that_pairs_were_drawn_with(problem_of, least):
    """Purpose: where only pairs with three purchases are rows, the prior is still that of all.

    Drawn with shape 0.8 and 60 days; the same pairs fitted as if nobody were missing are thought
    to be bought more than half as often again.
    """
    random = np.random.default_rng(0)
    days = random.uniform(50, 400, 60_000)
    x = random.poisson(random.gamma(0.8, 1 / 60, len(days)) * days)
    sample = pl.DataFrame({"refills__purchases__count": x + 1.0, "refills__age__max": days})
    sample = sample.filter(pl.col("refills__purchases__count") >= least)
    problem = problem_of(PURCHASES)
    entity = Entity("customer_product", least=least)
    data = replace(problem.data, entity=entity, samples={str(problem.fold.end): sample})
    problem = replace(problem, data=data, material=replace(problem.material, data=data))
    found = BASELINES["gamma_poisson"].fit(problem)(data)
    for curve, (bought, age) in zip(found, [(2, 70), (1, 45), (3, 70), (0, 15)], strict=False):
        watched = 60 + age
        assert curve == pytest.approx((watched / (watched + DAYS)) ** (0.8 + bought), rel=0.06)
    if least > 1:
        columns = (sample["refills__purchases__count"].to_numpy() - 1, sample["refills__age__max"])
        columns = np.array(columns)

        def loss(at):
            return -gamma_poisson.likelihood(at, columns, np.ones(sample.height))[0]

        shape, rate = np.exp(minimize(loss, [0.0, 4.0], method="Nelder-Mead").x)
        assert shape / rate > 1.5 * 0.8 / 60
