"""Ten million events of the simulated brand: seconds and peak memory, each way in its own process.

    python benchmarks/simulator.py [--events 10000000]

Three ways: into a folder, as `ppi-ml simulate` does (block by block); into memory, with the truth;
and into a validated log. Customers are as many as make about so many events in the default 730
days; events are the rows of all tables but products and customers. Seconds are those of the clock,
without starting Python; peaks are those of the whole process, libraries included. numpy does not
divide this work over cores, polars and Parquet a little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from findings import Check, Part, at_most, table, today
from million import peak
from ppi_ml import simulate

EVENTS_OF_ONE = 63.4
"""Events of a customer of the default brand in 730 days."""
MOST_SECONDS, MOST_MB = 120.0, 4_000.0
WAYS: Mapping[str, str] = {
    "folder": "into a folder, one Parquet file per table",
    "memory": "into memory, with the truth",
    "log": "into a validated log",
}
SEED = 7
_NO_EVENTS = ("products", "customers")


def run(way: str, customers: int, folder: Path) -> dict[str, Any]:
    """Simulate so many customers in one of the ways, and say what it took."""
    started, imported = time.perf_counter(), peak()
    if way == "folder":
        rows = simulate.write_brand(folder / "shop", customers, seed=SEED)["rows"]
    elif way == "memory":
        made = simulate.simulate_brand(customers, seed=SEED)
        rows = {name: frame.height for name, frame in made.tables.items()}
    else:
        log = simulate.simulate_shop(customers, seed=SEED)
        rows = {name: found.frame.height for name, found in log.tables.items()}
    return {
        "customers": customers,
        "events": sum(n for name, n in rows.items() if name not in _NO_EVENTS),
        "seconds": time.perf_counter() - started,
        "imported_mb": imported,
        "peak_mb": peak(),
    }


def measure(events: int = 10_000_000) -> Part:
    """All ways, one after the other."""
    found = {}
    for way in WAYS:
        print(f"simulator: {way} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, __file__, "--way", way, "--folder", place,
                       "--events", str(events)]  # fmt: skip
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[way] = json.loads(ended.stdout.splitlines()[-1])
    return part_of(found, options(events))


def customers_for(events: int) -> int:
    """How many customers make about so many events."""
    return max(1, round(events / EVENTS_OF_ONE))


def options(events: int) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    return {"events": f"{events:,}", "days": 730}


def part_of(found: Mapping[str, Mapping[str, Any]], settings: Mapping[str, object]) -> Part:
    """Seconds and peaks beside their bounds."""
    checks: list[Check] = []
    for way, one in found.items():
        checks += [
            at_most(f"{WAYS[way]}: seconds", one["seconds"], MOST_SECONDS, ".0f"),
            at_most(f"{WAYS[way]}: peak MB", one["peak_mb"], MOST_MB, ",.0f"),
        ]
    head = ("way", "customers", "events", "seconds", "events a second", "peak MB", "libraries, MB")
    rows = [
        (WAYS[way], f"{one['customers']:,}", f"{one['events']:,}", f"{one['seconds']:.1f}",
         f"{one['events'] / one['seconds']:,.0f}", f"{one['peak_mb']:,.0f}",
         f"{one['imported_mb']:,.0f}")
        for way, one in found.items()
    ]  # fmt: skip
    return Part("Simulating many events", settings, tuple(checks), table(head, rows), today())


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers, or go one way for the process that asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000_000, help="about so many")
    parser.add_argument("--way", choices=tuple(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.way is None:
        print(measure(given.events).to_markdown(), end="")
    else:
        print(json.dumps(run(given.way, customers_for(given.events), given.folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
