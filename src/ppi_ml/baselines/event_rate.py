"""How likely it is: the share of all to which it happened."""

from __future__ import annotations

from collections.abc import Callable

from ppi_ml.baselines._occasions import FloatArray, group_rate
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.occasion_judging import OccasionProblem


def _fit(problem: OccasionProblem) -> Callable[[Dataset], FloatArray]:
    return group_rate(problem, None, "the share of all")


BASELINE = Baseline("event_rate", "the share of all to which it happened", _fit, kind="probability")
