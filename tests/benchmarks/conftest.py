"""Benchmarks are scripts beside one another; their tests import them as they import one another.

A case is made up here in the real format: what the judge and what reads its cases are tested on.
"""

import hashlib
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ppi_ml import training

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

ORIGIN = datetime(2025, 6, 1, tzinfo=UTC)
TAU = 30


@pytest.fixture
def quick(monkeypatch):
    """Trains as a benchmark asks, with a search of one trial."""
    real = training.train

    def train(log, *, settings, **more):
        few = {"tune.trials": 1, "folds.train_cutoffs": 3, "model.processes": ["mbg_nbd"],
               "baselines": ["base_rate"], "engine.threads": 1}  # fmt: skip
        return real(log, settings={**few, **settings}, **more)

    monkeypatch.setattr(training, "train", train)


@pytest.fixture(scope="session")
def write_case():
    """write_case(root, name, ...) -> a case as it is laid out for the judge.

    Events lie beside the case folders, hashes in `case.json`; the peers are a base rate, a coin,
    and with `reference` that rate by another name, with a curve where the task is timing.
    """
    return _write


def _orders(customers=120, days=300):
    """Lines of customers who buy at their own pace until the origin and beyond."""
    draw = np.random.default_rng(4)
    rows = []
    for number in range(customers):
        day, pace = draw.uniform(0, 0.8 * days), draw.lognormal(3, 0.5)
        while day < days + TAU and draw.random() < 0.9:
            rows.append((f"c{number}", ORIGIN + timedelta(days=float(day) - days)))
            day += draw.exponential(pace)
    return pl.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(len(rows))],
            "line_id": [1] * len(rows),
            "customer_id": [who for who, _ in rows],
            "occurred_at": [when for _, when in rows],
            "sku": ["x"] * len(rows),
            "quantity": [1] * len(rows),
            "unit_price": [4.5] * len(rows),
            "discount": [0.0] * len(rows),
        }
    ).sort("occurred_at")


def _truth(entities, past, later):
    """What came of the entities, in whole days."""
    first = later.group_by("customer_id").agg(when=pl.col("occurred_at").min())
    last = past.group_by("customer_id").agg(last=pl.col("occurred_at").max())
    keyed = {"on": "customer_id", "how": "left", "maintain_order": "left"}
    elapsed = (pl.col("when") - ORIGIN).dt.total_days() + 1
    return (
        entities.join(first, **keyed)
        .join(last, **keyed)
        .select(
            "customer_id",
            active_180d=pl.col("last") >= ORIGIN - timedelta(days=180),
            event=pl.col("when").is_not_null(),
            days=elapsed.fill_null(TAU).clip(1, TAU).cast(pl.Int32),
        )
    )


def _peers(entities, task, share, reference):
    """Stored predictions: one curve or probability for everybody."""
    names = {"base_rate": share, "coin": 0.5, **({"reference": share} if reference else {})}
    if task == "churn":
        columns = {f"{name}__churn_probability": value for name, value in names.items()}
    else:
        columns = {
            f"{name}__no_event_by_{day}d": value ** (day / TAU)
            for name, value in names.items()
            for day in (7, 14, 21, 28, TAU)
        }
    return entities.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


def _write(root, name, *, task="churn", daily=False, entity="customer_id", reference=False):
    everything = _orders()
    if daily:
        everything = everything.with_columns(pl.col("occurred_at").dt.truncate("1d"))
    past = everything.filter(pl.col("occurred_at") < ORIGIN)
    entities = past.select("customer_id").unique().sort("customer_id")
    truth = _truth(entities, past, everything.filter(pl.col("occurred_at") >= ORIGIN))
    share = 1 - truth["event"].mean()
    folder, events = root / "public" / name, root / "public/events/made"
    for place in (folder, events):
        place.mkdir(parents=True, exist_ok=True)
    tables = {"order_lines": (events, past), "entities": (folder, entities),
              "truth": (folder, truth),
              "peers": (folder, _peers(entities, task, share, reference))}  # fmt: skip
    files = {}
    for table, (place, frame) in tables.items():
        path = place / f"{table}.parquet"
        frame.write_parquet(path)
        files[table] = {
            "path": os.path.relpath(path, folder),
            "rows": frame.height,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    about = {
        "name": name, "task": task, "origin": ORIGIN.isoformat(), "tau_days": TAU,
        "entity": [entity], "n": truth.height, "base_rate": share, "files": files,
        "granularity": "day" if daily else "minute",
    }  # fmt: skip
    (folder / "case.json").write_text(json.dumps(about))
    return folder
