"""Metrics against sklearn, plain loops and hand-made cases."""

import inspect
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as judge

from ppi_ml import metrics
from ppi_ml.errors import UsageError

PROBABILITIES = st.floats(0, 1)
ROWS = st.lists(st.tuples(st.booleans(), PROBABILITIES), min_size=1, max_size=60)
TIED_ROWS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.5, 0.9])), min_size=2)


def arrays(rows):
    happened, probability = zip(*rows, strict=True)
    return np.array(happened, dtype=bool), np.array(probability, dtype=float)


@given(ROWS)
def test_log_loss_and_brier_agree_with_sklearn(rows):
    happened, probability = arrays(rows)
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    expected = judge.log_loss(happened, clipped, labels=[False, True])
    assert metrics.log_loss(happened, probability) == pytest.approx(expected)
    assert metrics.log_losses(happened, probability).shape == happened.shape
    squares = [(p - y) ** 2 for y, p in rows]
    assert metrics.brier(happened, probability) == pytest.approx(sum(squares) / len(squares))


def test_a_certain_and_wrong_row_has_a_bounded_loss():
    happened = np.array([True, False])
    worst = -math.log(1e-4)
    assert metrics.log_losses(happened, np.array([0.0, 1.0])) == pytest.approx([worst, worst])


@given(TIED_ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    happened, score = arrays(rows)
    pairs = [(a > b) + (a == b) / 2 for a in score[happened] for b in score[~happened]]
    if pairs:
        assert metrics.roc_auc(happened, score) == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert math.isnan(metrics.roc_auc(happened, score))


@given(ROWS)
def test_auc_ignores_the_scale_and_turns_with_the_sign(rows):
    happened, score = arrays(rows)
    auc = metrics.roc_auc(happened, score)
    assert metrics.roc_auc(happened, 8 * score) == pytest.approx(auc, nan_ok=True)
    assert metrics.roc_auc(happened, -score) == pytest.approx(1 - auc, nan_ok=True)


@given(ROWS, st.integers(1, 12))
def test_calibration_table_keeps_every_row_and_equal_scores_together(rows, bins):
    happened, probability = arrays(rows)
    table = metrics.calibration_table(happened, probability, bins)
    assert table.count.sum() == len(rows) and (table.count > 0).all()
    assert len(table.count) <= min(bins, len(np.unique(probability)))
    assert np.dot(table.actual, table.count) == pytest.approx(happened.sum())
    assert np.dot(table.predicted, table.count) == pytest.approx(probability.sum())
    assert (np.diff(table.predicted) > 0).all()


def test_calibration_bins_have_equal_mass_and_the_error_is_their_mean_gap():
    probability = np.arange(100) / 100
    happened = np.ones(100, dtype=bool)
    assert metrics.calibration_table(happened, probability).count.tolist() == [10] * 10
    assert metrics.calibration_error(happened, probability) == pytest.approx(1 - 0.495)
    constant = np.full(100, 0.3)
    assert metrics.calibration_error(probability < 0.3, constant) == pytest.approx(0)


def test_returner_ratio_compares_customers():
    returned = np.array([True, True, False, False])
    assert metrics.returner_ratio(returned, np.array([0.9, 0.9, 0.6, 0.6])) == pytest.approx(1.5)
    assert math.isnan(metrics.returner_ratio(~np.ones(4, dtype=bool), np.full(4, 0.5)))


def test_lift_of_a_perfect_and_of_a_blind_score():
    happened = np.arange(100) >= 80
    assert metrics.top_decile_lift(happened, np.arange(100.0)) == pytest.approx(5)
    assert metrics.top_decile_lift(happened, np.zeros(100)) == pytest.approx(1)
    assert math.isnan(metrics.top_decile_lift(np.zeros(100, dtype=bool), np.zeros(100)))


def test_lift_shares_the_tie_at_the_border():
    happened = np.array([True] * 5 + [False] * 15)
    score = np.array([1.0] + [0.5] * 9 + [0.0] * 10)  # tenth: the first and one of nine, 4 hits
    assert metrics.top_decile_lift(happened, score) == pytest.approx((1 + 4 / 9) / 2 / 0.25)


@given(TIED_ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    for metric in (metrics.roc_auc, metrics.top_decile_lift, metrics.calibration_error):
        expected = metric(*arrays(rows))
        assert metric(*arrays(shuffled)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("happened", "probability", "message"),
    [
        ([True], [1.5], "must lie in [0, 1], got 1.5 to 1.5"),
        ([True, False], [-0.1, 0.2], "must lie in [0, 1], got -0.1 to 0.2"),
        ([True, False], [0.1], "got (2,) and (1,)"),
        ([], [], "got (0,) and (0,)"),
        ([[True]], [[0.5]], "got (1, 1) and (1, 1)"),
        ([True, False], [0.1, np.nan], "must be finite, got 1 of 2"),
        ([1, 0], [0.1, 0.2], "must be true or false (bool), got int64"),
        ([True], ["a"], "must be numbers, got <U1"),
    ],
)
def test_a_refusal_prints_the_rule_and_the_numbers(happened, probability, message):
    happened = np.array(happened, dtype=bool if happened == [] else None)
    for metric in (metrics.log_losses, metrics.brier, metrics.returner_ratio):
        with pytest.raises(UsageError, match=re.escape(message)):
            metric(happened, np.array(probability))


def test_a_table_without_bins_is_refused():
    with pytest.raises(UsageError, match="at least 1 bin, got 0"):
        metrics.calibration_table(np.array([True]), np.array([0.5]), bins=0)


def test_every_docstring_names_shape_and_range_of_its_metric():
    for name, metric in inspect.getmembers(metrics, inspect.isfunction):
        if metric.__module__ == metrics.__name__ and not name.startswith("_"):
            assert "hape" in inspect.getdoc(metric), name


def test_weights_are_resamples_of_all_customers():
    blocks = list(metrics.resampling_weights(40, 150, seed=3))
    weights = np.vstack(blocks)
    assert weights.shape == (150, 40) and (weights.sum(axis=1) == 40).all()
    assert weights.mean() == 1 and weights.std() == pytest.approx(1, abs=0.05)
    again = np.vstack(list(metrics.resampling_weights(40, 150, seed=3)))
    assert (weights == again).all()
    assert (weights != np.vstack(list(metrics.resampling_weights(40, 150, seed=4)))).any()


def test_blocks_do_not_change_the_draws(monkeypatch):
    whole = np.vstack(list(metrics.resampling_weights(30, 20, seed=1)))
    monkeypatch.setattr(metrics, "_BLOCK", 90)
    blocks = list(metrics.resampling_weights(30, 20, seed=1))
    assert [len(block) for block in blocks] == [3, 3, 3, 3, 3, 3, 2]
    assert (np.vstack(blocks) == whole).all()


def test_simultaneous_ends_cover_all_numbers_in_95_percent_of_the_draws():
    random = np.random.default_rng(5)
    observed = np.array([0.0, 2.0, -1.0])
    resampled = observed + random.normal(size=(2000, 3)) * [1, 5, 0.1]
    low, high = metrics.simultaneous_ends(observed, resampled).T
    inside = ((resampled >= low) & (resampled <= high)).all(axis=1)
    assert inside.mean() == pytest.approx(0.95, abs=0.001)
    assert (high - low)[1] / (high - low)[2] == pytest.approx(50, rel=0.1)


def test_a_number_that_never_moves_has_no_width_and_widens_nothing():
    random = np.random.default_rng(6)
    resampled = random.normal(size=(500, 2))
    alone = metrics.simultaneous_ends(np.zeros(2), resampled)
    still = np.column_stack([resampled, np.full(500, 0.25)])
    ends = metrics.simultaneous_ends(np.array([0, 0, 0.25]), still)
    assert ends[2].tolist() == [0.25, 0.25]
    assert (ends[:2] == alone).all()
