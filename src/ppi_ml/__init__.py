"""Post-purchase intelligence: who of your customers will not come back, and how sure is that?

    log = ppi_ml.load_demo()
    run = ppi_ml.train(log, target="churn", settings={"tune.trials": 5})
    ppi_ml.Scorer.load(run.bundle).score(log, cutoff="2011-12-09")

Names are imported when they are first used, so that `import ppi_ml` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppi_ml.config import Config
    from ppi_ml.dataset import build_features
    from ppi_ml.errors import PpiError
    from ppi_ml.events import EventLog
    from ppi_ml.hindsight import evaluate
    from ppi_ml.inputs import load, load_demo
    from ppi_ml.models.curve import Curves
    from ppi_ml.models.durations import Durations
    from ppi_ml.models.estimator import HazardModel
    from ppi_ml.runs import Run
    from ppi_ml.scoring import Scorer
    from ppi_ml.simulate import simulate_shop
    from ppi_ml.training import train

__all__ = [
    "Config",
    "Curves",
    "Durations",
    "EventLog",
    "HazardModel",
    "PpiError",
    "Run",
    "Scorer",
    "build_features",
    "evaluate",
    "load",
    "load_demo",
    "simulate_shop",
    "train",
]

_HOMES = {
    "Config": "config",
    "Curves": "models.curve",
    "Durations": "models.durations",
    "EventLog": "events",
    "HazardModel": "models.estimator",
    "PpiError": "errors",
    "Run": "runs",
    "Scorer": "scoring",
    "build_features": "dataset",
    "evaluate": "hindsight",
    "load": "inputs",
    "load_demo": "inputs",
    "simulate_shop": "simulate",
    "train": "training",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("ppi_ml")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
