"""How much an interval teaches."""

import numpy as np
import pytest

from ppi_ml.models.nearness import nearness


def test_everything_until_the_horizon_counts_in_full_and_later_days_less():
    days = np.array([0.0, 1.0, 30.0, 60.0, 90.0])
    assert nearness(days, 30.0) == pytest.approx([1, 1, 1, 1 / 4, 1 / 9])


def test_without_a_horizon_all_days_count_the_same():
    assert nearness(np.array([0.0, 1.0, 900.0]), None).tolist() == [1, 1, 1]
