"""Small mixtures on rows with a seed: what the taking apart of a score is tested on."""

from dataclasses import replace

import numpy as np

from ppi_ml.models import boost
from ppi_ml.models.covariates import MONTHS, RECENT_DAYS, Rows, Settings
from ppi_ml.models.cox import Cox
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.hazard import Hazard
from ppi_ml.models.histories import Histories
from ppi_ml.models.mixture import Mixture, Window

EDGES = (0.0, 3.0, 10.0, 30.0, 60.0)
M = len(EDGES) - 1
COLUMNS = (
    "orders__purchases__count__30d", "orders__value__sum__90d", "returns__requests__count__90d",
    "loyalty_club__points__sum__90d",
)  # fmt: skip
TREES = {"num_leaves": 5, "learning_rate": 0.3, "min_data_in_leaf": 20, "lambda_l2": 1.0}
SETTINGS = Settings(EDGES, ("mbg_nbd", "gaps"), COLUMNS, season=True, yearly=True, threads=1)
MEMBERS = ("staged", "cox", "newest", "recent", "processes", "seasonal")


def rows_of(n=400, seed=0):
    """Customers with histories that differ in everything, one in four a one-time buyer."""
    draw = np.random.default_rng(seed)
    repeats = np.maximum(draw.integers(-1, 6, n), 0).astype(float)
    last = repeats * draw.uniform(5, 30, n)
    mean_gap = np.where(repeats > 0, last / np.maximum(repeats, 1), np.nan)
    log_gap = np.where(repeats > 0, np.log(np.maximum(mean_gap, 1e-9)), 0.0)
    trees = draw.normal(size=(n, len(COLUMNS))).astype(np.float32)
    trees[draw.random(trees.shape) < 0.1] = np.nan
    return Rows(
        histories=Histories(
            repeats, last, last + draw.uniform(1, 600, n), repeats * log_gap, repeats * log_gap**2
        ),
        log_hazards=np.log(0.02) + 0.5 * draw.normal(size=(n, M, 2)),
        gap_place=np.column_stack([draw.uniform(2, 4, n), draw.uniform(0.5, 1, n)]),
        recent=draw.integers(0, 4, (n, len(RECENT_DAYS))).astype(float),
        value=np.where(draw.random(n) < 0.1, np.nan, draw.lognormal(3, 1, n)),
        mean_gap=mean_gap,
        median_gap=mean_gap,
        trees=trees,
        day=draw.integers(0, 24, n) * 30.0,
        key=draw.integers(0, 2**31, n),
        by_month=np.cumsum(draw.poisson(0.3, (n, MONTHS + 1)), axis=1).astype(float),
    )


def intervals_of(rows):
    """Row and interval of every person-interval, all intervals of a row together."""
    return np.repeat(np.arange(len(rows)), M), np.tile(np.arange(M), len(rows))


def glm_of(rows, settings=SETTINGS, seed=1, **slopes):
    """A regression with drawn coefficients; with slopes, those and 0 for all other columns."""
    columns, names = rows.smooth(*intervals_of(rows), settings)
    drawn = np.random.default_rng(seed).normal(0, 0.15, len(names))
    given = np.array([slopes.get(name, 0.0) for name in names])
    plain = np.array([name.startswith(("step", "season")) for name in names])  # as in a real fit
    centre = np.where(plain, 0.0, columns.mean(axis=0))
    spread = np.where(plain, 1.0, np.maximum(columns.std(axis=0), 0.1))
    return PoissonGlm(names, centre, spread, given if slopes else drawn, 0.3)


def trees_of(inputs, names, seed=2, rounds=12):
    """Trees of inputs (k, p) that say something on all of them that are not constant."""
    draw = np.random.default_rng(seed)
    known = np.nan_to_num(inputs.astype(float))
    scaled = (known - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-9)
    score = np.clip(scaled @ draw.normal(0, 0.4, len(names)) + scaled[:, 0] * scaled[:, 2], -3, 3)
    sample = boost.Sample(inputs, draw.poisson(np.exp(score)).astype(float), np.zeros(len(inputs)))
    return boost.train("poisson", sample, names, TREES, rounds=rounds, seed=seed, threads=1)


def staged_of(rows, settings=SETTINGS, seed=1):
    inputs, names = rows.tree_inputs(*intervals_of(rows), settings)
    return Hazard(settings, glm_of(rows, settings, seed), trees_of(inputs, names, seed))


def cox_of(rows, settings=SETTINGS):
    inputs, names = rows.standing(settings)
    baseline = np.log([0.9, 0.7, 0.5, 0.4])
    return Cox(settings.edges, baseline, trees_of(inputs, names), paced=True)


def mixture_of(rows, members=MEMBERS):
    """A mixture; `staged` has all three stages, and no window has seen every interval."""
    plain = replace(SETTINGS, season=False)
    return Mixture(
        staged_of(rows),
        cox_of(rows) if "cox" in members else None,
        Window(glm_of(rows, plain, seed=5), 2, season=False) if "newest" in members else None,
        Window(glm_of(rows, plain, seed=8), 1, season=True) if "recent" in members else None,
        "processes" in members,
        Hazard(SETTINGS, glm_of(rows, seed=6), None) if "seasonal" in members else None,
    )


def alone_of(rows):
    """A mixture of one process and nothing else."""
    return Mixture(Hazard(replace(SETTINGS, stages="process", alone="gaps"), None, None))
