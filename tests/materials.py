"""What a training shares between its folds, built once per log for tests of its parts."""

from functools import cache

from ppi_ml import dataset, labels, rows, training
from ppi_ml.config import Config
from ppi_ml.material import Material
from ppi_ml.recipe import Recipe

TREES = {"num_leaves": 6, "learning_rate": 0.05, "min_data_in_leaf": 50, "lambda_l2": 10.0}
CONFIG = Config.read(
    {
        "data": {"source": "dataframes"},
        "target": {"name": "churn", "horizon": "60d"},
        "folds": {"train_cutoffs": 4},
        "model": {"processes": ["mbg_nbd", "gaps"], "max_rows": 20_000, "trees": TREES},
        "tune": {"trials": 3},
    },
    environ={},
)
FAMILIES = dataset.families(CONFIG.features.families, CONFIG.features.windows)


def recipe_of(stages="process+glm+trees", alone=None, season_sd=0.3, members="staged", **trees):
    """A recipe with some tree settings changed."""
    return Recipe(stages, alone, season_sd, TREES | trees, members)


@cache
def plan_of(log):
    """The folds of a log, as training lays them out."""
    return training.plan_of(log, CONFIG)


@cache
def material_of(log):
    """Data, process states and settings of a training of this log."""
    return rebuilt(log, plan_of(log))


def rebuilt(log, plan, settling=None):
    """The same for the cutoffs of a given plan, whatever the log would have led to."""
    data = dataset.build(log, plan.cutoffs, FAMILIES)
    return Material(
        log=log,
        data=data,
        states=rows.fit_processes(data, CONFIG.model.processes, log.observed_from),
        horizon=plan.horizon,
        active_within=CONFIG.target.active_within,
        settling=labels.settling_days(log) if settling is None else settling,
        max_rows=CONFIG.model.max_rows,
        seed=CONFIG.seed,
        threads=CONFIG.engine.threads,
    )
