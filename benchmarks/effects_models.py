"""What trained models make of effects that are there, and of effects that are not.

Customers differ here in pace and lapse, and the wait has a shape, as in the default brand. A model
is what training fits with these settings, without a search, on the training part of the outer fold;
it is asked about the test cutoffs, which lie after everything that it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from effects_hazards import late_parcels
from effects_rows import (
    ELAPSED,
    PURCHASES,
    BoolArray,
    Estimate,
    FloatArray,
    Rows,
    resampled,
    risk_difference,
)
from ppi_ml import dataset, labels, metrics, recipe, rows, simulate, training
from ppi_ml.config import Config
from ppi_ml.material import Material
from ppi_ml.recipe import STAGED, Recipe
from ppi_ml.simulate import Brand, SimulatedBrand, simulate_brand

HORIZON, DAYS, LONGEST = 30, 450, 40
CALM = Brand.without_effects(joining=0.5, wait_days=30.0, late_share=0.3, denied=0.0)
"""Everything happens, and nothing has an effect."""
STRONG = replace(CALM, late_wait=2.0, late_wait_first=1.0)
ORDERS: tuple[str, ...] = ("cadence", "calendar", "orders")
"""The families that read order lines alone, but for codes and prices."""
TREES: Mapping[str, float] = {
    "num_leaves": 6, "learning_rate": 0.05, "min_data_in_leaf": 100, "lambda_l2": 10.0,
}  # fmt: skip
RECIPE = Recipe("process+glm+trees", None, training.SEASON_SD, TREES, STAGED)
CONFIG = Config.read(
    {
        "data": {"source": "dataframes"},
        "target": {"name": "churn", "horizon": f"{HORIZON}d"},
        "model": {"processes": ["mbg_nbd"], "max_rows": 150_000},
        "folds": {"train_cutoffs": 6},
    },
    environ={},
)


def shop(brand: Brand, customers: int, seed: int) -> SimulatedBrand:
    """A shop to train on."""
    return simulate_brand(customers, DAYS, seed, brand)


@dataclass(frozen=True, eq=False)
class Answers:
    """Rows of the test cutoffs that are asked about, and P(no order within `HORIZON` days) (n,)."""

    rows: Rows
    predicted: FloatArray

    @property
    def actual(self) -> BoolArray:
        """Whether no order came within the horizon (n,)."""
        return ~labels.within(self.rows.waits, HORIZON)

    @property
    def loss(self) -> FloatArray:
        """Log-loss of each row (n,)."""
        return metrics.log_losses(self.actual, self.predicted)


def answers(made: SimulatedBrand, families: str | Sequence[str]) -> Answers:
    """Train on some families (`all`: those of the whole shelf), and ask about the test cutoffs."""
    log = simulate.log(made)
    fold = training.plan_of(log, CONFIG).outer
    if fold is None:
        raise RuntimeError(f"{DAYS} days are too few to judge {HORIZON} days ahead")
    chosen = dataset.for_the_model(dataset.families(families))
    data = dataset.build(log, (*fold.train, fold.end), chosen).varying()
    states = rows.fit_processes(data, CONFIG.model.processes, log.observed_from)
    material = Material(
        log=log, data=data, states=states, horizon=HORIZON,
        active_within=CONFIG.target.active_within, settling=labels.settling_days(log),
        max_rows=CONFIG.model.max_rows, seed=CONFIG.seed, threads=CONFIG.engine.threads,
    )  # fmt: skip
    fitted = recipe.fit(material, fold, RECIPE)
    test = dataset.build(log, fold.test, chosen, states=data.states[str(fold.end)])
    test = replace(test, tree_names=data.tree_names)
    test = test.take(test.eligible(CONFIG.target.active_within))
    curves = recipe.curves(fitted, test, states, fold.end)
    waits = labels.durations(test, log, log.observed_until)
    return Answers(Rows(made, test, waits), curves.survival([HORIZON])[:, 0])


def gain(ours: Answers, rival: Answers) -> Estimate:
    """Log-loss of one model less that of another on the same rows; below 0 it is better."""
    if not ours.rows.data.keys.equals(rival.rows.data.keys):
        raise RuntimeError("the two models were asked about different rows")
    everybody = np.zeros(len(ours.rows), dtype=np.int64)
    count, apart = resampled(
        ours.rows.customer, everybody, 1, np.ones(len(ours.rows)), ours.loss - rival.loss
    )
    return Estimate.of((apart / count)[:, 0])


def after_late(found: Answers) -> tuple[Estimate, Estimate]:
    """How much likelier silence is after a late parcel than after a punctual one.

    As predicted, and as it came: both the difference of the mean P(no order within the horizon)
    between customers of as many purchases (one, two, more) who have waited equally long, and no
    longer than `LONGEST` days: later on, who got a parcel in time has mostly ordered or lapsed.
    """
    late = late_parcels(found.rows)
    came = ~np.isnan(late) & (found.rows[ELAPSED] < LONGEST)
    seen = found.rows.take(came)
    purchases = np.minimum(seen[PURCHASES], 3).astype(np.int64)
    stratum = LONGEST * purchases + np.floor(seen[ELAPSED]).astype(np.int64)
    outcomes = (found.predicted[came], found.actual[came].astype(np.float64))
    drawn = risk_difference(seen.customer, late[came] == 1, outcomes, stratum)
    return Estimate.of(drawn[0]), Estimate.of(drawn[1])
