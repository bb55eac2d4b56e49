"""Which stages, and which process: what the size of the log suggests, unless a fold knows better.

Few purchases cannot carry many parameters. Below `THIN_PURCHASES` there are no trees, and below a
hundred the processes are the whole model; the sentence `said` tells the user so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ppi_ml.entities import CUSTOMER
from ppi_ml.errors import NotTrainableError
from ppi_ml.material import Material
from ppi_ml.models.hazard import STAGES, add_trees, with_stages
from ppi_ml.models.mixture import Mixture
from ppi_ml.nouns import NOUNS, Noun
from ppi_ml.questions import Question, is_sure, row_losses
from ppi_ml.recipe import HALVES, HEDGED, STAGED, Recipe
from ppi_ml.splits import Fold

FloatArray = NDArray[np.float64]

THIN_PURCHASES = 5_000
"""With fewer waits that ended in a purchase there are no trees; the processes have half a say."""
_FEW_PURCHASES = 100
TITLES: Mapping[str, str] = {
    "mbg_nbd": "MBG/NBD",
    "bg_nbd": "BG/NBD",
    "pareto_nbd": "Pareto/NBD",
    "gaps": "shrunk-gaps",
    "renewals": "renewal",
}
_ALONE, _MEAN = "process ", "mean"


@dataclass(frozen=True)
class Size:
    """How much there is to learn from: customers or pairs, and waits that ended in a purchase.

    A purchase ends one wait for every training cutoff since the one before it. `noun` says what
    the `many` are.
    """

    many: int
    purchases: int
    noun: Noun = NOUNS[CUSTOMER]

    @classmethod
    def of(cls, material: Material, fold: Fold) -> Size:
        """The size of the training part of a fold; 0 where nothing can be learned from it."""
        try:
            data, waits = material.part(fold)
        except NotTrainableError:
            return cls(0, 0)
        entity = data.entity
        many = data.keys.select(entity.keys).n_unique()
        return cls(many, int(waits.observed.sum()), NOUNS[entity.name])

    @property
    def thin(self) -> bool:
        """Whether trees would find little but noise."""
        return self.purchases < THIN_PURCHASES


def first_recipe(
    default: Recipe, size: Size, stages: str, members: str, of_pairs: bool = False
) -> Recipe:
    """What to start from: `stages` and `members` as asked for, or (`auto`) as the size suggests.

    Pairs start from the member `staged` alone: no other curve was worth its cost beside it.
    """
    if stages == "auto":
        stages = STAGES[1] if size.thin else STAGES[-1]
        stages = STAGES[0] if size.purchases < _FEW_PURCHASES else stages
    if members == "auto":
        members = STAGED if of_pairs else HEDGED
        members = HALVES if size.thin else members
    return replace(default, stages=stages, members=members, alone=None)


def choose(
    questions: Sequence[Question], start: Recipe, asked: str, processes: Sequence[str]
) -> tuple[Recipe, dict[str, float]]:
    """The recipe whose stages won, and the mean loss of every candidate.

    A simpler candidate replaces the one that the size of the log suggests only if it is better on
    every fold and by more than a standard error: two folds carry the luck of two dates.
    """
    by_fold = [_candidates(question, start, processes) for question in questions]
    means = {name: float(np.mean([f[name].mean() for f in by_fold])) for name in by_fold[0]}
    kept = start.stages
    if kept == STAGES[0]:
        kept = min((n for n in means if n.startswith(_ALONE)), key=lambda n: means[n])
    rivals = [n for n in means if means[n] < means[kept]] if asked == "auto" else []
    for name in sorted(rivals, key=lambda n: means[n]):
        if is_sure([fold[kept] - fold[name] for fold in by_fold]):
            kept = name
            break
    return _with_stages(start, kept), means


def _with_stages(start: Recipe, name: str) -> Recipe:
    """The recipe of a candidate, by its name."""
    if not name.startswith(_ALONE):
        return replace(start, stages=name, alone=None)
    process = name.removeprefix(_ALONE)
    return replace(start, stages=STAGES[0], alone=None if process == _MEAN else process)


def _candidates(
    question: Question, start: Recipe, processes: Sequence[str]
) -> dict[str, FloatArray]:
    """Row losses (n,) of every stage up to that of `start`, of each process and of their mean."""
    full = question.started.hazard
    if start.stages == STAGES[-1]:
        full = add_trees(question.started, start.trees)
    halves = start.members == HALVES
    models = {
        stage: Mixture(with_stages(full, stage), processes=halves)
        for stage in STAGES[1 : STAGES.index(start.stages) + 1]
    }
    for name in (None, *processes):
        models[_ALONE + (name or _MEAN)] = Mixture(with_stages(full, STAGES[0], name))
    return {name: row_losses(question, model) for name, model in models.items()}


def said(chosen: Recipe, size: Size, asked: str, losses: Mapping[str, float], metric: str) -> str:
    """What was chosen, in words, and the losses that it rests on."""
    listed = ", ".join(f"{name} {loss:.4f}" for name, loss in sorted(losses.items()))
    shown = f" ({metric} at level on forward folds: {listed})" if losses else ""
    if asked != "auto":
        return f"{asked} was asked for{shown}"
    known = f"with {size.many:,} {size.noun.many} and {size.purchases:,} waits to learn from,"
    if not losses:
        shown = "; too little history for forward folds"
    if chosen.stages == STAGES[0]:
        name = TITLES.get(chosen.alone or "")
        what = f"the {name} process was" if name else "the mean of the processes was"
        return f"{known} {what} used alone{shown}"
    parts = "processes and regression"
    if chosen.stages == STAGES[-1]:
        parts = "processes, regression and trees"
    return f"{known} {parts} were used, members up to {chosen.members}{shown}"
