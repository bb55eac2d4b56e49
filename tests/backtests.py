"""Backtests with a known truth: what the judge and its parts are tested on."""

from dataclasses import replace

import numpy as np

from ppi_ml.backtest import Backtest
from ppi_ml.models.curve import evaluation_days
from ppi_ml.score_rows import POOLED

HORIZON = 90
PLANTED = (("model", 0.1), ("rule", 1.0), ("rival", 0.8))


def shop(
    noise,
    *,
    metric="log_loss",
    customers=300,
    cutoffs=2,
    seed=0,
    eligible=0.7,
    untrainable=None,
    whole_days=True,
):
    """A backtest whose predictions are the truth, blurred by the given noise on the log-hazard.

    Every row waits with a constant hazard of its own; customers differ, and so do their rows.
    """
    random = np.random.default_rng(seed)
    n = customers * cutoffs
    habit = np.repeat(random.normal(size=customers), cutoffs) + random.normal(size=n) / 2
    days = random.exponential(HORIZON / np.exp(habit))
    if whole_days:
        days = np.floor(days) + 1
    grid = evaluation_days(HORIZON, metric)
    predictions = {
        name: np.exp(-np.exp(habit + size * random.normal(size=n))[:, None] * grid / HORIZON)
        for name, size in noise
    }
    return Backtest(
        customer=np.repeat(np.arange(customers), cutoffs),
        cutoff=np.tile([f"2011-{month:02}-01" for month in range(1, cutoffs + 1)], customers),
        eligible=random.random(n) < eligible,
        days=np.minimum(days, 2 * HORIZON),
        observed=days <= 2 * HORIZON,
        grid=grid,
        predictions=predictions,
        untrainable=untrainable or {},
        horizon_days=HORIZON,
        asked_days=HORIZON,
        metric=metric,
        whole_days=whole_days,
    )


def with_curves(backtest, **curves):
    """The same rows with further or other predictions."""
    return replace(backtest, predictions={**backtest.predictions, **curves})


def headline(scorecard, segment="eligible", cutoff=POOLED):
    """The rows of the loss that decides, by model."""
    return {
        row.model: row
        for row in scorecard.rows
        if (row.metric, row.segment, row.cutoff) == (scorecard.verdict.metric, segment, cutoff)
    }


def values(scorecard, model="model", segment="eligible", cutoff=POOLED):
    """Every number of one model on one part, by metric."""
    return {
        row.metric: row.value
        for row in scorecard.rows
        if (row.model, row.segment, row.cutoff) == (model, segment, cutoff)
    }
