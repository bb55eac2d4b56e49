import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.errors import NotTrainableError
from ppi_ml.models import kaplan_meier

# Weeks in remission with 6-MP, 0 = still in remission: Freireich et al. (1963), Blood 21, as
# tabulated by Cox and Oakes (1984), Analysis of Survival Data, table 1.1.
REMISSION = np.array([
    (6, 1), (6, 1), (6, 1), (6, 0), (7, 1), (9, 0), (10, 1), (10, 0), (11, 0), (13, 1), (16, 1),
    (17, 0), (19, 0), (20, 0), (22, 1), (23, 1), (25, 0), (32, 0), (32, 0), (34, 0), (35, 0),
], dtype=float)  # fmt: skip

waits = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=25)


def survival(rows, at):
    days, observed = zip(*rows, strict=True)
    return kaplan_meier.survival(np.array(days, float), np.array(observed, bool), np.array(at))


def product_limit(rows, day):
    """Day by day: the share that stayed, of those who were still seen on that day."""
    value = 1.0
    for today in range(1, int(day) + 1):
        at_risk = sum(wait >= today for wait, _ in rows)
        if at_risk:
            value *= 1 - sum(wait == today and seen for wait, seen in rows) / at_risk
    return value


def test_published_values_of_the_remission_times():
    at = np.array([5.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0, 35.0])
    published = [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448]
    assert survival(REMISSION, at) == pytest.approx(published, abs=5e-4)


def test_by_hand():
    """Of four, one event on day 2, when another is seen for the last time; of two, one on day 5."""
    rows = [(2, True), (2, False), (5, True), (9, False)]
    found = survival(rows, [1.0, 2.0, 4.9, 5.0, 9.0])
    assert found == pytest.approx([1, 3 / 4, 3 / 4, 3 / 8, 3 / 8])


@given(waits)
def test_agrees_with_the_product_day_by_day(rows):
    at = np.arange(1.0, max(wait for wait, _ in rows) + 1)
    found = survival(rows, at)
    assert found == pytest.approx([product_limit(rows, day) for day in at])
    assert (np.diff(found) <= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(waits)
def test_without_censoring_it_is_the_share(rows):
    rows = [(wait, True) for wait, _ in rows]
    at = np.array([7.0, 1.0, 12.0])
    shares = [np.mean([wait > day for wait, _ in rows]) for day in at]
    assert survival(rows, at) == pytest.approx(shares)


def test_beyond_everybodys_sight_it_says_so():
    with pytest.raises(NotTrainableError, match="seen for its whole 1 days"):
        kaplan_meier.survival(np.array([]), np.array([], bool), np.array([1.0]))
    with pytest.raises(NotTrainableError, match="seen for its whole 10 days"):
        survival([(2, True), (9, False)], [1.0, 10.0])


def test_where_nobody_is_left_the_curve_is_known_for_ever():
    assert survival([(2, True), (1, False)], [1.0, 2.0, 10.0]).tolist() == [1, 0, 0]
