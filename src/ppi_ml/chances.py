"""What is said of occasions: P(it happens), from the models of its parts.

The first time something is asked and any later time are two models: a parcel that has just left
and one that has been out for a week have little in common. Where an outcome has a condition (there
is no low review without a review), P = P(condition) x P(it happens | condition), each with models
of its own, so that the two probabilities that are told cannot contradict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppi_ml.dataset import Dataset
from ppi_ml.models.probability import Chances
from ppi_ml.occasion_data import AGAIN

FloatArray = NDArray[np.float64]

FIRST, LATER = "first", "later"


@dataclass(frozen=True)
class Answer:
    """What is said of n occasions: P(it happens), and where there is a condition P(it), P(| it)."""

    chance: FloatArray
    given: FloatArray | None = None
    if_given: FloatArray | None = None


@dataclass(frozen=True)
class Chance:
    """All models of a target: part -> model, such as `first.hit`, `later.given`."""

    parts: Mapping[str, Chances]
    conditional: bool
    threads: int = 2

    @property
    def stages(self) -> str:
        """The stages of the model of first occasions."""
        return self.parts[f"{FIRST}.hit"].stages

    @property
    def names(self) -> tuple[str, ...]:
        """The columns it reads, in order."""
        return self.parts[f"{FIRST}.hit"].names

    def predict(self, data: Dataset) -> Answer:
        """What it says of every row."""
        hit = self._of(data, "hit")
        if not self.conditional:
            return Answer(hit)
        given = self._of(data, "given")
        return Answer(given * hit, given, hit)

    def _of(self, data: Dataset, what: str) -> FloatArray:
        found = np.empty(len(data))
        inputs = inputs_of(data, self.names)
        for moment, rows in moments_of(data).items():
            model = self.parts[f"{moment}.{what}"]
            found[rows] = model.predict(inputs[rows], self.threads)
        return found


def inputs_of(data: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
    """The named columns (n, q) float32."""
    place = {name: i for i, name in enumerate(data.names)}
    return data.values[:, [place[name] for name in names]]


def moments_of(data: Dataset) -> dict[str, NDArray[np.bool_]]:
    """The rows of first occasions and of later ones, (n,) each."""
    again = data.column(AGAIN) > 0
    return {FIRST: ~again, LATER: again}
