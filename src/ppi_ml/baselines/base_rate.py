"""The same probability for everybody: the newest share that did not come back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppi_ml.baselines._kit import FloatArray, Predict
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.labels import Durations
from ppi_ml.recipe import Problem


def fit(problem: Problem) -> Predict:
    """The share of the newest labelled snapshot; separately for those the target is asked about.

    Where no snapshot has seen its whole horizon, the Kaplan-Meier estimate of all of them.
    """
    within = problem.material.active_within
    if problem.ripe:
        data, stayed_away = problem.labelled(problem.ripe[-1:])
        groups = _groups(data.eligible(within))
        rates = [float(stayed_away[g].mean()) for g in groups]
    else:
        groups = _groups(problem.data.eligible(within))
        rates = [kaplan_meier(problem.durations.take(g), problem.horizon) for g in groups]

    def predict(rows: Dataset) -> FloatArray:
        return np.asarray(np.where(rows.eligible(within), rates[1], rates[0]))

    return predict


def kaplan_meier(waits: Durations, horizon: float) -> float:
    """P(no event within the horizon) of right-censored waits (days); see Kaplan and Meier (1958).

    `NotTrainableError` if nobody was seen for so long.
    """
    if waits.days.max() < horizon:
        raise NotTrainableError(f"no row was seen for its whole {horizon:g} days")
    events = np.unique(waits.days[waits.observed & (waits.days <= horizon)])
    at_risk = len(waits) - np.searchsorted(np.sort(waits.days), events, side="left")
    deaths = np.searchsorted(np.sort(waits.days[waits.observed]), events, side="right")
    deaths = np.diff(deaths, prepend=0)
    return float(np.prod(1.0 - deaths / at_risk))


def _groups(eligible: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The others and the eligible; everybody where a group would be empty."""
    everybody = np.ones_like(eligible)
    return (
        ~eligible if not eligible.all() else everybody,
        eligible if eligible.any() else everybody,
    )


BASELINE = Baseline("base_rate", "the newest share that did not come back, for everybody", fit)
