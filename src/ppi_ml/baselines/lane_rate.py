"""How likely it is: the lane's own share, shrunk to that of all."""

from __future__ import annotations

from collections.abc import Callable

from ppi_ml.baselines._occasions import FloatArray, group_rate
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.occasion_judging import OccasionProblem


def _fit(problem: OccasionProblem) -> Callable[[Dataset], FloatArray]:
    return group_rate(problem, "lane", "lane")


BASELINE = Baseline(
    "lane_rate", "the lane's own share, shrunk to that of all", _fit, kind="probability"
)
