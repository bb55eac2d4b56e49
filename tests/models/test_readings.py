"""Readings of a curve, by hand and as a contract with the shelf of targets."""

import numpy as np
import pytest

from ppi_ml.errors import UsageError
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import READINGS, churn
from ppi_ml.shelf import shelf

TWO = Curves(np.array([0.0, 10.0, 100.0]), np.array([[0.0, 0.5, 1.4], [0.0, 0.0, 0.0]]))


def test_churn_is_the_survival_at_the_horizon():
    columns = churn(TWO, 40)
    assert list(columns) == ["churn_probability", "horizon_days"]
    assert columns["churn_probability"] == pytest.approx([np.exp(-0.8), 1.0])
    assert columns["horizon_days"].tolist() == [40, 40]
    assert columns["horizon_days"].dtype == np.int64


def test_a_horizon_beyond_the_curve_is_refused():
    with pytest.raises(UsageError, match=r"day 101.* day 100"):
        churn(TWO, 101)


def test_no_rows_give_the_same_columns():
    none = Curves(TWO.edges, TWO.cumulative[:0])
    assert {name: len(values) for name, values in churn(none, 40).items()} == {
        "churn_probability": 0,
        "horizon_days": 0,
    }


def test_every_target_of_the_shelf_has_its_reading():
    wanted = {target.reading for target in shelf("ppi_ml.targets", "TARGET").values()}
    assert wanted <= READINGS.keys()
