"""What figures are drawn from: found in a run, in its folder, in a bundle, or in a scorer.

A bundle holds the model and the scorecard; the predictions that were judged name customers and stay
in the run folder around it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from ppi_ml import bundle as bundles
from ppi_ml.bundle import MANIFEST, Bundle
from ppi_ml.errors import IntegrityError, UsageError
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.occasions import LATER
from ppi_ml.scorecard import Scorecard

BACKTEST = "backtest.parquet"
_BY_DAY = "no_event_by_"


@runtime_checkable
class InFolder(Protocol):
    """What lies in a folder: a `Run`, a `Bundle`."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


@runtime_checkable
class OfBundle(Protocol):
    """What was made from a bundle: a `Scorer`."""

    @property
    def bundle(self) -> Bundle:
        """The bundle."""


Kept = str | os.PathLike[str] | InFolder | OfBundle
"""A `Run`, the folder of one or of its bundle, a `Bundle`, or a `Scorer`."""


@dataclass(frozen=True)
class Judged:
    """Out-of-time predictions of n rows, and what came of them.

    days: (n,) from the cutoff to the event, or to the end of sight. observed: (n,) bool, whether it
    is an event. grid: (k,) rising days; between them, and from S(0) = 1, the hazard is constant.
    survival: (n, k) P(no event within that many days). question: what one probability answers,
    where no days are asked about.
    """

    days: ArrayLike
    observed: ArrayLike
    grid: ArrayLike
    survival: ArrayLike
    question: str = ""


def bundle_of(kept: Kept) -> Bundle:
    """The verified bundle; `IntegrityError` if there is none, `UsageError` for another thing."""
    if isinstance(kept, OfBundle) and isinstance(kept.bundle, Bundle):
        return kept.bundle
    if isinstance(kept, Bundle):
        return kept
    place = _place(kept)
    inner = place / "bundle"
    return bundles.load(inner if not (place / MANIFEST).exists() and inner.is_dir() else place)


def scorecard_of(kept: Kept) -> Scorecard:
    """The scorecard; errors as those of `bundle_of`."""
    return Scorecard.from_dict(bundle_of(kept).json("scorecard.json"))


def regression_of(kept: Kept) -> PoissonGlm | None:
    """The regression of the member `staged`, None without one; errors as those of `bundle_of`."""
    found = bundle_of(kept).json("glm.json").get("staged")
    return None if found is None else PoissonGlm.from_dict(found)


def judged_of(kept: Kept) -> Judged:
    """What was predicted for the eligible rows of all test cutoffs, and what came.

    Raises:
        UsageError: nothing was judged, or the run folder is not there, or of an older version.
        IntegrityError: no bundle there, or a damaged table.
    """
    bundle, path = bundle_of(kept), _run_folder(kept) / BACKTEST
    if not path.is_file():
        verdict = bundle.manifest.get("verdict", {})
        raise UsageError(
            f"nothing was judged in this run: {verdict.get('text')}"
            if verdict.get("status") == "unjudged"
            else f"{path}: missing; calibration is drawn from the predictions that were judged, "
            "which stay in the run folder: give that folder, whole"
        )
    try:
        rows = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise IntegrityError(f"{path}: damaged: not the table that was written") from error
    target = bundle.json("target.json")
    if target["kind"] == "probability":
        return _of_events(rows.filter(pl.col("trigger") != LATER), target)
    days = _days_of(rows)
    if not days:
        raise UsageError(f"{path}: written by an older version of ppi_ml; train again")
    return _of_curves(rows.filter("eligible"), days)


def _of_curves(rows: pl.DataFrame, days: list[int]) -> Judged:
    survival = rows.select(f"{_BY_DAY}{day}d" for day in days).to_numpy()
    return Judged(rows["days"].to_numpy(), rows["purchased"].to_numpy(), days, survival)


def _of_events(rows: pl.DataFrame, target: dict[str, Any]) -> Judged:
    """Orders and lines when they are asked about first: it happens or not, and that is settled."""
    horizon = int(target["horizon_days"])
    stays_away = 1.0 - rows["model"].to_numpy()[:, None]
    waited = np.full(rows.height, float(horizon))
    return Judged(waited, rows["happened"].to_numpy(), [horizon], stays_away, target["question"])


def _days_of(rows: pl.DataFrame) -> list[int]:
    """The days at which the curves of the model stand, rising."""
    named = (name for name in rows.columns if name.startswith(_BY_DAY))
    return sorted(int(name.removeprefix(_BY_DAY).removesuffix("d")) for name in named)


def _run_folder(kept: Kept) -> Path:
    place = _place(kept)
    return place.parent if (place / MANIFEST).exists() else place


def _place(kept: Kept) -> Path:
    if isinstance(kept, str | os.PathLike):
        return Path(kept)
    if isinstance(kept, InFolder):
        return Path(kept.folder)
    if isinstance(kept, OfBundle) and isinstance(kept.bundle, Bundle):
        return kept.bundle.folder
    raise UsageError(
        "expected a run, the folder of one or of its bundle, a bundle or a scorer, got "
        f"{type(kept).__name__}"
    )
