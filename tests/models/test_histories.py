import numpy as np
import pytest

from ppi_ml.errors import DataError, UsageError
from ppi_ml.models.histories import Histories, evaluate_survival


def test_histories_from_single_purchases():
    # customer 0: days 0, 4, 10; customer 1: day 5 only, reported twice
    histories = Histories.from_purchases([0, 1, 0, 0, 1], [10.0, 5.0, 0.0, 4.0, 5.0], 20.0)
    assert histories.repeats.tolist() == [2, 0]
    assert histories.last_days.tolist() == [10, 0]
    assert histories.age_days.tolist() == [20, 15]
    assert histories.elapsed_days.tolist() == [10, 15]
    logs = np.log([4.0, 6.0])
    assert histories.gap_log_sum == pytest.approx([logs.sum(), 0.0])
    assert histories.gap_log_sumsq == pytest.approx([(logs**2).sum(), 0.0])
    assert len(histories.take(np.array([True, False]))) == 1


def test_a_customer_code_without_a_purchase_is_refused():
    with pytest.raises(DataError, match="every customer code"):
        Histories.from_purchases([0, 2], [1.0, 1.0], 5.0)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 1.5, "repeats: must be a whole number"),
        (0, 0.0, "last_days: must be 0 without a repeat"),
        (1, 0.0, "last_days: must be 0 without a repeat"),
        (2, 10.0, "age_days: must be greater than last_days"),
        (2, np.nan, "age_days: must be finite"),
        (3, 9.0, "gap_log_sum: must be such"),
    ],
)
def test_broken_rules_are_named_with_their_position(column, value, message):
    columns = np.array([[1.0, 1.0], [10.0, 10.0], [20.0, 20.0], [2.3, 2.3], [5.3, 5.3]])
    columns[column, 1] = value
    with pytest.raises(DataError, match=rf"{message}.*1 of 2 rows.*position 1"):
        Histories(*columns)


def test_shapes_must_agree():
    one, two = np.zeros(1), np.zeros(2)
    with pytest.raises(DataError, match=r"age_days: expected shape \(1,\).*got \(2,\)"):
        Histories(one, one, two + 1, one, one)


def test_survival_is_mended_and_does_not_depend_on_chunks():
    histories = Histories.from_purchases(np.arange(5), np.arange(5.0), 10.0)

    def rises_by_a_hair(part, days):
        assert (np.diff(days) >= 0).all()
        noise = np.array([0.0, 0.0, 1e-16, 1e-15])
        return 1.0 + 1e-16 - (days > 0) * 0.5 / part.age_days[:, None] + noise[: len(days)]

    days = [7.0, 0.0, 2.0, 5.0]
    whole = evaluate_survival(histories, days, rises_by_a_hair)
    by_row = evaluate_survival(histories, days, rises_by_a_hair, cells=10**9)
    assert np.array_equal(whole, by_row)
    assert (whole[:, 1] == 1.0).all()
    assert (np.diff(whole[:, [1, 2, 3, 0]], axis=1) <= 0).all()
    assert whole.max() <= 1.0


@pytest.mark.parametrize("days", [[-1.0], [np.nan], [np.inf], [[1.0]]])
def test_impossible_days_are_refused(days):
    histories = Histories.from_purchases([0], [0.0], 10.0)
    with pytest.raises(UsageError, match="days: expected"):
        evaluate_survival(histories, days, lambda part, at: np.ones((len(part), len(at))))
