"""What a system must not see of a case, read after it has predicted: outcomes, stored curves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_CURVE = re.compile(r"no_event_by_(\d+)d")
KEY = "customer_id"


@dataclass(frozen=True)
class Curve:
    """Survival (n, k) at whole days (k,), rising; the last one is the horizon of the case."""

    grid: FloatArray
    survival: FloatArray

    @classmethod
    def of(cls, frame: pl.DataFrame, tau: int) -> Curve | None:
        """The curve in columns `no_event_by_<d>d` up to tau; None if tau is not among them."""
        named = {int(m[1]): name for name in frame.columns if (m := _CURVE.fullmatch(name))}
        days = sorted(day for day in named if 0 < day <= tau)
        if not days or days[-1] != tau:
            return None
        values = frame.select(named[day] for day in days).cast(pl.Float64).to_numpy()
        # stored curves are rounded, and ours may rise by a hair of rounding
        return cls(np.array(days, dtype=np.float64), np.minimum.accumulate(values, axis=1))


@dataclass(frozen=True)
class Answers:
    """Outcomes of the n entities of a case: `days` to the event by tau, or tau; `event` (n,).

    `products` (n,) are the products of pairs, under the name of their key; None for customers.
    """

    folder: Path
    tau: int
    customers: pl.Series
    days: FloatArray
    event: NDArray[np.bool_]
    products: pl.Series | None = None

    @classmethod
    def read(cls, folder: Path) -> Answers:
        """The answers of a case about customers, or about pairs of a customer and a product."""
        truth = pl.read_parquet(_file(folder, "truth"))
        further = [truth[key].cast(pl.String) for key in _keys(folder) if key != KEY]
        return cls(
            folder=folder,
            tau=int(_about(folder)["tau_days"]),
            customers=truth[KEY].cast(pl.String),
            days=truth["days"].cast(pl.Float64).to_numpy(),
            event=truth["event"].to_numpy(),
            products=further[0] if further else None,
        )

    @property
    def keys(self) -> pl.DataFrame:
        """The key columns of the n entities."""
        further = [] if self.products is None else [self.products]
        return pl.DataFrame([self.customers.alias(KEY), *further])

    def ours(self, predictions: Path) -> Curve | None:
        """The curves of a predictions file on these customers; None if it has none."""
        return Curve.of(self._aligned(pl.read_parquet(predictions)), self.tau)

    def peer(self, name: str) -> Curve | None:
        """The stored curves of a peer; None where it answered for the horizon alone."""
        return Curve.of(self._aligned(stored(self.folder, name)), self.tau)

    def _aligned(self, frame: pl.DataFrame) -> pl.DataFrame:
        keys = self.keys
        known = frame.with_columns(pl.col(keys.columns).cast(pl.String))
        found = keys.join(known, on=keys.columns, how="left", maintain_order="left", validate="1:1")
        if found.null_count().sum_horizontal().item():
            raise ValueError(f"{self.folder.name}: a prediction is missing or null")
        return found


def stored(folder: Path, peer: str) -> pl.DataFrame:
    """What a peer predicted, as a predictions file would hold it: the keys and its columns."""
    frame = pl.read_parquet(_file(folder, "peers"))
    own = {name: name.split("__", 1)[1] for name in frame.columns if name.startswith(f"{peer}__")}
    return frame.select(*_keys(folder), *own).rename(own)


def peers(folder: Path) -> Sequence[str]:
    """The names of the peers of a case."""
    columns = pl.read_parquet_schema(_file(folder, "peers"))
    return list(dict.fromkeys(name.split("__", 1)[0] for name in columns if "__" in name))


def _about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    return found


def _keys(folder: Path) -> list[str]:
    """The key columns of a case."""
    return list(_about(folder)["entity"])


def _file(folder: Path, name: str) -> Path:
    return folder / str(_about(folder)["files"][name]["path"])
