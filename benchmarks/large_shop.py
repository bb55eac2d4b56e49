"""What a training on a large shop costs, and whether its model is worth it.

    python benchmarks/large_shop.py [--customers 200000] [--most 50000] [--rows 450000] [--trials 5]

A made-up shop (`crowd.py`) that nothing but its own orders moves: no season, no shocks, and what a
single order foretells of who stops. So a plain classifier of many rows is hard to beat there, which
is what is tried. `ppi_ml.train` with default settings but for `model.max_customers` (`--most`) and
`model.max_rows` (`--rows`), each of which may be several, every combination in a process of its
own; memory is the peak of that process, events included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import crowd
from findings import Part, at_most, table, today
from million import peak
from ppi_ml import training

CUSTOMERS, MOST, ROWS, TRIALS = 200_000, 50_000, 450_000, 5
SEED = 1
MOST_MEMORY = 4_000
"""Megabytes: `engine.memory` is 4GB."""
_RIVAL = "lightgbm_classifier"


def one(customers: int, most: int, rows: int, trials: int) -> dict[str, Any]:
    """Train once, in this process; its verdict, losses, seconds and memory."""
    log = crowd.log_of(crowd.orders(customers, SEED), SEED)
    started, used = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "model.max_customers": most, "model.max_rows": rows, "tune.trials": trials,
            "output.folder": folder,
        }  # fmt: skip
        run = training.train(log, target="churn", settings=settings, track=False)
    scores = {
        row.model: row.value
        for row in run.scorecard.rows
        if (row.segment, row.cutoff, row.metric) == ("eligible", "pooled", "log_loss")
    }
    return {
        "most": most,
        "rows": rows,
        "lines": log.tables["order_lines"].frame.height,
        "status": run.verdict.status,
        "text": run.verdict.text,
        "ours": scores["model"],
        "rival": scores.get(_RIVAL),
        "trained": run.n_train,
        "tested": run.n_test,
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - used,
        "memory": peak(),
    }


def apart(*asked: int) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def part(found: Sequence[Mapping[str, Any]], customers: int, trials: int) -> Part:
    """What was found, as it is printed."""
    head = ("max_customers", "max_rows", "training rows", "verdict", "ours", "classifier",
            "seconds", "CPU s", "peak MB")  # fmt: skip
    body = [
        (f"{f['most']:,}", f"{f['rows']:,}", f"{f['trained']:,}", f["status"],
         f"{f['ours']:.4f}", "" if f["rival"] is None else f"{f['rival']:.4f}",
         f"{f['seconds']:.0f}", f"{f['cpu']:.0f}", f"{f['memory']:,.0f}")
        for f in found
    ]  # fmt: skip
    said = "\n".join(f"- {f['most']:,} customers, {f['rows']:,}: {f['text']}" for f in found)
    small = found[0]
    name = f"peak memory with {small['most']:,} customers, MB"
    return Part(
        "A large shop",
        {"customers": f"{customers:,}", "order lines": f"{small['lines']:,}", "trials": trials},
        (at_most(name, small["memory"], MOST_MEMORY, ",.0f", "engine.memory"),),
        f"{table(head, body)}\n\n{said}",
        today(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--most", type=int, nargs="+", default=[MOST])
    parser.add_argument("--rows", type=int, nargs="+", default=[ROWS])
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--one", type=int, nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        print(json.dumps(one(*asked.one)))
        return 0
    found = []
    for most, rows in product(asked.most, asked.rows):
        print(f"large shop: {most:,} customers, {rows:,} ...", file=sys.stderr, flush=True)
        found.append(apart(asked.customers, most, rows, asked.trials))
    print(part(found, asked.customers, asked.trials).to_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
