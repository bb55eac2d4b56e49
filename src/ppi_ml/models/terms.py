"""The log hazard of every member of the mixture taken apart into terms that add up to it.

A term is called

- `level`: what is the same for everybody in an interval: intercept, steps, baseline, and the part
  of the trees that no input moves;
- `process`: what the regression or the proportional hazards start from, or what the processes say
  where they stand alone;
- `glm:<column>`: a column of the regression times its coefficient;
- `season`: the season that the proportional hazards and `recent` take over from the regression;
- `trees:<input>`: what an input adds to the score of the trees (SHAP value);
- `limits`: what the bounds of the log hazard took away or added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models.boost import Trees
from ppi_ml.models.covariates import (
    HAZARD_CEILING,
    HAZARD_FLOOR,
    Rows,
    mean_of_processes,
    pace,
)
from ppi_ml.models.cox import Cox
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.hazard import Hazard, Inputs
from ppi_ml.models.intervals import everywhere
from ppi_ml.models.mixture import Mixture

FloatArray = NDArray[np.float64]
Matrix = NDArray[np.float32]

LEVEL, PROCESS, SEASON, LIMITS = "level", "process", "season", "limits"
GLM, TREES = "glm:", "trees:"
_OF_ALL = ("step_", "log_middle")
"""Columns of the regression that depend on the interval alone begin so."""


@dataclass(frozen=True)
class Terms:
    """q terms of a log hazard: `values` (..., q) add up to it along the last axis."""

    names: tuple[str, ...]
    values: FloatArray

    @property
    def log_hazard(self) -> FloatArray:
        """The sum of the terms, (...)."""
        return np.asarray(self.values.sum(axis=-1))


def of_mixture(mixture: Mixture, rows: Rows, most: int) -> dict[str, Terms]:
    """Member -> terms (n, most, q) of its log hazard in the first `most` intervals."""
    of_trees = of_trees_of(mixture.staged, rows, most)
    staged = of_hazard(mixture.staged, rows, most, of_trees)
    found = {"staged": staged}
    if mixture.cox is not None:
        settings = mixture.settings
        inputs, names = rows.standing(settings)
        season = mixture.season(rows)
        start = pace(rows, settings) if mixture.cox.paced else None
        found["cox"] = of_cox(mixture.cox, inputs, names, season[:, :most], start, settings.threads)
    for name, window in mixture.windows.items():
        added = dict(of_trees)
        if window.season:
            added[SEASON] = mixture.season(rows)[:, :most].ravel()
        own = of_hazard(mixture.around(window), rows, most, added)
        found[name] = _spliced(own, staged, window.seen)
    if mixture.processes:
        found["processes"] = _process(mean_of_processes(rows, mixture.settings)[:, :most])
    if mixture.seasonal is not None:
        found["seasonal"] = of_hazard(mixture.seasonal, rows, most)
    return found


def of_hazard(
    model: Hazard, rows: Inputs, most: int, added: Mapping[str, FloatArray] | None = None
) -> Terms:
    """Terms (n, most, q) of a hazard in stages; an input of its own for every tree column.

    `added` are terms (n * most,) that stand beside the regression, `of_trees_of` it if None.
    """
    n, settings = len(rows), model.settings
    if model.glm is None:
        return _process(rows.alone(settings)[:, :most])
    row, interval = everywhere(n, most)
    columns, _ = rows.smooth(row, interval, settings)
    parts = _of_glm(model.glm, columns)
    parts[PROCESS] = rows.offset(row, interval)
    _add(parts, of_trees_of(model, rows, most) if added is None else added)
    return _bounded({k: np.reshape(v, (n, most)) for k, v in parts.items()}, (n, most))


def of_trees_of(model: Hazard, rows: Inputs, most: int) -> dict[str, FloatArray]:
    """Terms (n * most,) of the trees of a hazard, of which members may share; none without any."""
    if model.trees is None:
        return {}
    inputs, names = rows.tree_inputs(*everywhere(len(rows), most), model.settings)
    return _of_trees(model.trees, inputs, names, model.settings.threads)


def of_cox(
    model: Cox,
    inputs: Matrix,
    names: Sequence[str],
    season: FloatArray,
    start: FloatArray | None = None,
    threads: int = 0,
) -> Terms:
    """Terms (n, m', q) of proportional hazards from inputs (n, p), a season (n, m') and the score
    (n,) that the trees started from, or None.
    """
    parts = {LEVEL: model.baseline[None, : season.shape[1]], SEASON: season}
    if start is not None:
        parts[PROCESS] = start[:, None]
    if model.trees is not None:
        of_trees = _of_trees(model.trees, inputs, names, threads)
        _add(parts, {name: values[:, None] for name, values in of_trees.items()})
    return _bounded(parts, season.shape)


def _process(log_hazard: FloatArray) -> Terms:
    return Terms((PROCESS,), log_hazard[:, :, None])


def _of_glm(glm: PoissonGlm, columns: FloatArray) -> dict[str, FloatArray]:
    """Terms (k,) of the regression from its columns (k, q)."""
    slopes = glm.coefficients / glm.spread
    level = np.full(len(columns), glm.intercept - float(glm.centre @ slopes))
    parts = {LEVEL: level}
    for name, column, slope in zip(glm.names, columns.T, slopes, strict=True):
        term = LEVEL if name.startswith(_OF_ALL) else GLM + name
        _add(parts, {term: column * slope})
    return parts


def _of_trees(
    trees: Trees, inputs: Matrix, names: Sequence[str], threads: int
) -> dict[str, FloatArray]:
    """Terms (k,) of the trees from their inputs (k, p)."""
    terms = [*(TREES + name for name in names), LEVEL]
    return dict(zip(terms, trees.contributions(inputs, threads).T, strict=True))


def _add(parts: dict[str, FloatArray], more: Mapping[str, FloatArray]) -> None:
    for name, values in more.items():
        parts[name] = parts[name] + values if name in parts else values


def _bounded(parts: Mapping[str, FloatArray], shape: tuple[int, ...]) -> Terms:
    """The parts and their limits as one array; each part can be broadcast to the shape (n, m)."""
    values = np.empty((*shape, len(parts) + 1))
    for i, part in enumerate(parts.values()):
        values[..., i] = part
    free = values[..., :-1].sum(axis=-1)
    values[..., -1] = np.clip(free, HAZARD_FLOOR, HAZARD_CEILING) - free
    return Terms((*parts, LIMITS), values)


def _spliced(first: Terms, then: Terms, seen: int) -> Terms:
    """`first` in the first `seen` intervals, `then` in the later ones; 0 for what one lacks."""
    names = tuple(dict.fromkeys((*first.names, *then.names)))
    values = np.zeros((*first.values.shape[:2], len(names)))
    for terms, part in ((first, slice(None, seen)), (then, slice(seen, None))):
        place = [names.index(name) for name in terms.names]
        values[:, part, place] = terms.values[:, part]
    return Terms(names, values)
