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
RULES = ("gamma_poisson_lomax", "median_gap_minus_elapsed", "mean_gap_minus_elapsed",
         "quantity_rate_minus_elapsed", "shrunk_mean_minus_elapsed")  # fmt: skip


@pytest.fixture
def quick(monkeypatch):
    """Trains as a benchmark asks, with a search of one trial."""
    real = training.train

    def train(log, *, settings, **more):
        few = {"tune.trials": 1, "folds.train_cutoffs": 3, "baselines": ["base_rate"],
               "engine.threads": 1}  # fmt: skip
        if more.get("target") != "depletion":  # pairs have a process of their own
            few["model.processes"] = ["mbg_nbd"]
        return real(log, settings={**few, **settings}, **more)

    monkeypatch.setattr(training, "train", train)


@pytest.fixture
def real_judge():
    """The judge itself; it and its cases are not part of the repository."""
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: the judge and its cases are not part of the repository")
    return Path(root).parent / "judge/judge.py"


@pytest.fixture(scope="session")
def write_case():
    """write_case(root, name, ...) -> a case as it is laid out for the judge.

    Events lie beside the case folders, hashes in `case.json`; the peers are a base rate, a coin,
    and with `reference` that rate by another name, with a curve where the task is no churn. A case
    of the task depletion asks about pairs of a customer and the `product`, which have been bought
    three times and lately; one line of one of them breaks a rule, so the log will not hold it.
    """
    return _write


@pytest.fixture(scope="module")
def pair_case(write_case, tmp_path_factory):
    """A made-up case about pairs of a customer and a category, with a stored reference."""
    import judge

    root = tmp_path_factory.mktemp("pairs")
    folder = write_case(root, "made", task="depletion", product="category", reference=True)
    return judge.Case.read(folder)


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


PRODUCTS = pl.DataFrame({"sku": ["tea", "oats", "soap"], "category": ["food", "food", "care"]})


def _pair_orders(customers=150, days=300):
    """Lines of customers who buy some of three products, each at a pace of its own."""
    draw = np.random.default_rng(5)
    rows = []
    for number in range(customers):
        for product in draw.choice(PRODUCTS.height, draw.integers(1, 3), replace=False):
            day, pace = draw.uniform(0, 0.6 * days), draw.lognormal(3, 0.4)
            while day < days + TAU and draw.random() < 0.95:
                rows.append((f"c{number}", product, ORIGIN + timedelta(days=float(day) - days)))
                day += pace * draw.gamma(6) / 6
    who, what, when = zip(*rows, strict=True)
    return pl.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(len(rows))],
            "line_id": [1] * len(rows),
            "customer_id": who,
            "occurred_at": when,
            "sku": PRODUCTS["sku"][list(what)],
            "quantity": draw.integers(1, 3, len(rows)),
            "unit_price": [4.5] * len(rows),
            "discount": [0.0] * len(rows),
        }
    ).sort("occurred_at")


def _live(past, keys):
    """The pairs with three days of purchases, the last one within 120 days."""
    found = past.group_by(keys).agg(
        n=pl.col("occurred_at").dt.date().n_unique(), last=pl.col("occurred_at").max()
    )
    lately = pl.col("last") >= ORIGIN - timedelta(days=120)
    return found.filter((pl.col("n") >= 3) & lately).select(keys).sort(keys)


def _with_a_bad_line(past, entities):
    """The same, but the first line of a pair with only three has more off than it costs."""
    keys = entities.columns
    bought = past.group_by(keys).agg(pl.len(), first=pl.col("order_id").first())
    thrice = bought.filter(pl.col("len") == 3).join(entities, on=keys, how="semi").sort(keys)
    bad = pl.col("order_id") == thrice["first"][0]
    return past.with_columns(discount=pl.when(bad).then(99.0).otherwise("discount"))


def _truth(entities, past, later):
    """What came of the entities, in whole days."""
    keys = entities.columns
    first = later.group_by(keys).agg(when=pl.col("occurred_at").min())
    last = past.group_by(keys).agg(last=pl.col("occurred_at").max())
    keyed = {"on": keys, "how": "left", "maintain_order": "left"}
    elapsed = (pl.col("when") - ORIGIN).dt.total_days() + 1
    return (
        entities.join(first, **keyed)
        .join(last, **keyed)
        .select(
            *keys,
            active_180d=pl.col("last") >= ORIGIN - timedelta(days=180),
            event=pl.col("when").is_not_null(),
            days=elapsed.fill_null(TAU).clip(1, TAU).cast(pl.Int32),
        )
    )


def _peers(entities, task, share, reference):
    """Stored predictions: one curve or probability for everybody."""
    names = {"base_rate": share, "coin": 0.5, **({"reference": share} if reference else {})}
    if task == "depletion":
        names = {**dict.fromkeys((*RULES, "kaplan_meier"), 0.5), **names}
    if task == "churn":
        columns = {f"{name}__churn_probability": value for name, value in names.items()}
    else:
        columns = {
            f"{name}__no_event_by_{day}d": value ** (day / TAU)
            for name, value in names.items()
            for day in (7, 14, 21, 28, TAU)
        }
    return entities.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


def _write(root, name, *, task="churn", daily=False, product="sku", reference=False):
    of_pairs = task == "depletion"
    everything = _pair_orders() if of_pairs else _orders()
    if daily:
        everything = everything.with_columns(pl.col("occurred_at").dt.truncate("1d"))
    named = everything.join(PRODUCTS, on="sku", how="left", maintain_order="left")
    before = pl.col("occurred_at") < ORIGIN
    past, later = named.filter(before), named.filter(~before)
    if of_pairs:
        entities = _live(past, ["customer_id", product])
        past = _with_a_bad_line(past, entities)
    else:
        entities = past.select("customer_id").unique().sort("customer_id")
    truth = _truth(entities, past, later)
    share = 1 - truth["event"].mean()
    folder = root / "public" / name
    events = root / "public/events" / ("pairs" if of_pairs else "made")
    for place in (folder, events):
        place.mkdir(parents=True, exist_ok=True)
    tables = {"order_lines": (events, past.drop("category")), "entities": (folder, entities),
              "truth": (folder, truth),
              "peers": (folder, _peers(entities, task, share, reference))}  # fmt: skip
    if of_pairs:
        tables["products"] = (events, PRODUCTS)
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
        "entity": entities.columns, "n": truth.height, "base_rate": share, "files": files,
        "granularity": "day" if daily else "minute",
    }  # fmt: skip
    (folder / "case.json").write_text(json.dumps(about))
    return folder
