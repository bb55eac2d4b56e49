"""One way to fit P(it happens) on any fold of occasions: to choose, to judge, to release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml import metrics
from ppi_ml.chances import Chance, FloatArray, inputs_of, moments_of
from ppi_ml.dataset import Dataset
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.models import probability
from ppi_ml.models.probability import STAGES, Chances
from ppi_ml.occasion_data import AGAIN
from ppi_ml.outcomes import Outcomes
from ppi_ml.questions import at_level, is_sure

_LEAST_HITS, _HITS_FOR_TREES = 20, 200


@dataclass(frozen=True)
class Ingredients:
    """What every fit of one training shares.

    `data` holds the occasions of all periods; `outcomes` ISO date -> their outcomes as known then.
    """

    data: Dataset
    outcomes: Mapping[str, Outcomes]
    trees: Mapping[str, Any]
    seed: int
    threads: int
    names: tuple[str, ...] = field(default=())


def part(all_: Ingredients, end: Cutoff) -> tuple[Dataset, Outcomes]:
    """The training rows of a fold: periods before its end, outcomes settled by then."""
    known = all_.outcomes[str(end)]
    before = np.array([period < end for period in all_.data.cutoffs])[all_.data.cutoff_index]
    rows = before & known.ripe
    if not rows.any() or known.hit[rows].sum() < _LEAST_HITS:
        raise NotTrainableError(
            f"only {int(known.hit[rows].sum())} of {int(rows.sum()):,} settled occasions before "
            f"{end} had the outcome; {_LEAST_HITS} are needed. Load a longer history"
        )
    return all_.data.take(rows), known.take(rows)


def fit(
    all_: Ingredients, end: Cutoff, stages: str, trees: Mapping[str, Any] | None = None
) -> Chance:
    """The whole model from the training part of a fold, up to the stages.

    Raises:
        NotTrainableError: too few settled occasions, or too few that had the outcome.
    """
    data, known = part(all_, end)
    settings = all_.trees if trees is None else trees
    names = all_.names or data.varying().tree_names
    inputs = inputs_of(data, names)
    parts: dict[str, Chances] = {}
    for moment, rows in moments_of(data).items():
        for what, hit, among in _questions(known):
            here = rows & among
            parts[f"{moment}.{what}"] = _fit(
                inputs[here], hit[here], data.cutoff_index[here], names, stages, settings, all_
            )
    return Chance(parts, known.conditional, all_.threads)


def _questions(
    known: Outcomes,
) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """(name, what happened, among which rows) of each model."""
    everybody = np.ones(len(known.hit), dtype=np.bool_)
    if not known.conditional:
        return [("hit", known.hit, everybody)]
    return [("hit", known.hit, known.given), ("given", known.given, everybody)]


def _fit(
    inputs: NDArray[np.float32],
    hit: NDArray[np.bool_],
    period: NDArray[np.int64],
    names: Sequence[str],
    stages: str,
    settings: Mapping[str, Any],
    all_: Ingredients,
) -> Chances:
    few = min(int(hit.sum()), int((~hit).sum()))
    if stages == STAGES[0] or few < _LEAST_HITS:
        return probability.share_of(hit if len(hit) else np.zeros(1, dtype=np.bool_), names)
    model = probability.logistic(inputs, hit, period, names)
    if stages == STAGES[1] or few < _HITS_FOR_TREES:
        return model
    return probability.with_trees(
        model, inputs, hit, period, settings, seed=all_.seed, threads=all_.threads
    )


def inner_losses(
    all_: Ingredients, inner: Sequence[Cutoff], outer: Cutoff, model_at: Mapping[str, Chance]
) -> list[FloatArray]:
    """The log-loss of each first occasion of every inner period, with the model at its level.

    The level of one period is one draw that a few periods cannot choose a rule for.
    """
    found = []
    for when in inner:
        rows, known = _asked_at(all_, when, outer)
        chance = model_at[str(when)].predict(rows).chance
        found.append(_losses(known.hit, chance))
    return found


def choose_columns(
    all_: Ingredients, inner: Sequence[Cutoff], outer: Cutoff, own: Sequence[str]
) -> tuple[str, ...]:
    """The columns of the order or line itself, or all of them, those of the customer included.

    All only where a logistic regression of them is better on every inner period and by more than a
    standard error: in a small shop, and where few come back, the customer's past is mostly noise.
    """
    if not inner or len(own) == len(all_.names):
        return all_.names
    losses = []
    for names in (own, all_.names):
        made = replace(all_, names=tuple(names))
        models = {str(when): fit(made, when, STAGES[1]) for when in inner}
        losses.append(inner_losses(made, inner, outer, models))
    gains = [few - many for few, many in zip(*losses, strict=True)]
    return all_.names if is_sure(gains) else tuple(own)


def choose(
    all_: Ingredients,
    inner: Sequence[Cutoff],
    outer: Cutoff,
    trees: Mapping[str, Any],
) -> tuple[str, dict[str, float]]:
    """The stages to use, and what each loses on the inner periods.

    All of them, unless fewer say the same, or are better on every inner period and by more than a
    standard error.
    """
    if not inner:
        return STAGES[2], {}
    losses = {
        stages: inner_losses(
            all_, inner, outer, {str(w): fit(all_, w, stages, trees) for w in inner}
        )
        for stages in STAGES
    }
    best = STAGES[2]
    for simpler in (STAGES[1], STAGES[0]):
        gains = [own - other for own, other in zip(losses[best], losses[simpler], strict=True)]
        same = all((gain == 0).all() for gain in gains)  # too few hits for the later stage
        if same or is_sure(gains):
            best = simpler
    means = {stages: float(np.concatenate(parts).mean()) for stages, parts in losses.items()}
    return best, means


def askable(all_: Ingredients, inner: Sequence[Cutoff], outer: Cutoff) -> tuple[Cutoff, ...]:
    """The inner periods of which something can be learned: both outcomes occur, before and in."""
    found = []
    for when in inner:
        try:
            part(all_, when)
        except NotTrainableError:
            continue
        _, known = _asked_at(all_, when, outer)
        if known.hit.any() and not known.hit.all():
            found.append(when)
    return tuple(found)


def _asked_at(all_: Ingredients, when: Cutoff, outer: Cutoff) -> tuple[Dataset, Outcomes]:
    """The first occasions of one period with their outcomes as known at the outer end."""
    data, known = all_.data, all_.outcomes[str(outer)]
    here = data.cutoff_index == data.cutoffs.index(when)
    rows = here & known.ripe & (data.column(AGAIN) == 0)
    return data.take(rows), known.take(rows)


def _losses(hit: NDArray[np.bool_], chance: FloatArray) -> FloatArray:
    levelled = 1.0 - at_level(1.0 - chance, float((~hit).mean()))
    return metrics.log_losses(hit, levelled)
