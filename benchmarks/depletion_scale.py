"""Scoring ten million live pairs inside 4 GB: peak memory and seconds, a process for each size.

    python benchmarks/depletion_scale.py [--pairs 200000 ...] [--threads 2] [--memory 2GB]

A made-up shop (`depletion_crowd`) is written as files of order lines, the customers of a file in no
other. A model is trained on its first customers. Then every file is loaded and validated, scored
part by part (`Scorer.score_parts`) and put into one Parquet file (`commands/_kit.write_parts`), so
that neither the events nor the scores are ever in memory as a whole. `--memory` is what the scorer
may take beside the events of one file. For comparison, and up to `--whole` pairs, the same files
are loaded as one log, as `ppi-ml score` does: there memory grows with the log, and the scores must
be the same. Peaks are those of the scoring process, the libraries included; making the files and
training happen in others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import depletion_crowd as crowd
import ppi_ml
from findings import Check, Part, at_most, table, today
from million import peak
from ppi_ml.commands._kit import write_parts

MOST_MB = 4_000.0
"""4 GB as the setting `memory` counts them."""
IN_ONE_LOG = 400_000
"""So many pairs, at most, are scored as one log too."""
TRAINING_CUSTOMERS = 2_000
SEED = 7
SETTINGS: Mapping[str, object] = {
    "target.horizon": "90d", "target.active_within": "120d", "target.least_purchases": 3,
    "target.product": "sku", "target.group": "category", "folds.every": "30d",
    "tune.trials": 1, "baselines": ["kaplan_meier"], "model.max_rows": 100_000,
}  # fmt: skip
FILES, WHOLE = "file by file", "one log"
_ROUNDING = 1e-9
_SCORES, _WHOLE_SCORES = "scores.parquet", "scores-whole.parquet"


def train(folder: Path, threads: int) -> dict[str, Any]:
    """A model of the first customers of the shop; its bundle lies in `folder`."""
    log = crowd.log_of(crowd.lines(0, TRAINING_CUSTOMERS, SEED))
    settings = {**SETTINGS, "output.folder": str(folder / "runs"), "engine.threads": threads}
    run = ppi_ml.train(log, target="depletion", settings=settings, track=False)
    return {"bundle": str(run.bundle), "rows": run.n_train}


def write(folder: Path, pairs: int) -> dict[str, Any]:
    """The files of a shop of about so many live pairs."""
    lines = 0
    for path in crowd.write(folder / "lines", crowd.customers_for(pairs), SEED):
        lines += pl.scan_parquet(path).select(pl.len()).collect().item()
    return {"lines": lines, "customers": crowd.customers_for(pairs)}


def score(folder: Path, bundle: str, threads: int, memory: str, *, whole: bool) -> dict[str, Any]:
    """Score all files into one, and say what it took."""
    started, imported = time.perf_counter(), peak()
    scorer = ppi_ml.Scorer.load(bundle, threads=threads, memory=memory)
    files = sorted((folder / "lines").glob("*.parquet"))
    loading = [0.0]

    def parts() -> Iterator[pl.DataFrame]:
        for group in [files] if whole else [[file] for file in files]:
            before = time.perf_counter()
            log = crowd.log_of(pl.read_parquet(group))
            loading[0] += time.perf_counter() - before
            yield from scorer.score_parts(log, crowd.end())

    out = folder / (_WHOLE_SCORES if whole else _SCORES)
    counts = write_parts(parts(), out, "parquet")
    return {
        "pairs": sum(counts.values()),
        "files": len(files),
        "seconds": time.perf_counter() - started,
        "loading": loading[0],
        "imported_mb": imported,
        "peak_mb": peak(),
        "written_mb": out.stat().st_size / 1e6,
    }


def measure(
    sizes: Sequence[int], threads: int = 2, memory: str = "2GB", whole: int = IN_ONE_LOG
) -> Part:
    """Every size, each step in a process of its own."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        trained = _step("train", Path(place), threads=threads)
        for pairs in sizes:
            with tempfile.TemporaryDirectory(dir=place) as below:
                folder = Path(below)
                made = _step("write", folder, pairs=pairs)
                given = {"bundle": trained["bundle"], "threads": threads, "memory": memory}
                ways = {FILES: "score", **({WHOLE: "score-whole"} if pairs <= whole else {})}
                for way, step in ways.items():
                    found.append({"way": way, **made, **_step(step, folder, **given)})
                if WHOLE in ways:
                    found[-1]["same"] = are_same(folder / _SCORES, folder / _WHOLE_SCORES)
    return part_of(found, options(sizes, threads, memory, whole))


def are_same(one: Path, other: Path) -> bool:
    """Whether two tables of scores say the same of the same pairs, whatever the order of the rows.

    Numbers may differ in their last bits: a sum is rounded otherwise in a block of another size.
    """
    keys = ["customer_id", "product"]
    left, right = (pl.read_parquet(path).sort(keys) for path in (one, other))
    if left.schema != right.schema or left.height != right.height:
        return False
    numbers = [name for name, kind in left.schema.items() if kind == pl.Float64]
    nulls = pl.col(numbers).is_null()
    if not left.with_columns(nulls).equals(right.with_columns(nulls)):
        return False
    apart = np.abs(left.select(numbers).to_numpy() - right.select(numbers).to_numpy())
    return bool(np.nanmax(apart, initial=0.0) <= _ROUNDING)


def options(
    sizes: Sequence[int], threads: int = 2, memory: str = "2GB", whole: int = IN_ONE_LOG
) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    told = ", ".join(f"{pairs:,}" for pairs in sizes)
    return {"pairs": told, "threads": threads, "memory": memory, "as one log up to": f"{whole:,}"}


def part_of(found: Sequence[Mapping[str, Any]], settings: Mapping[str, object]) -> Part:
    """The peak of every size, and what it took."""
    checks = [
        at_most(f"peak memory, {one['pairs']:,} live pairs, MB", one["peak_mb"], MOST_MB, ",.0f",
                "4 GB")
        for one in found
        if one["way"] == FILES
    ]  # fmt: skip
    head = (
        "live pairs", "customers", "order lines", "files", "scored", "seconds", "of them loading",
        "pairs a second", "peak MB", "libraries alone, MB", "scores, MB",
    )  # fmt: skip
    rows = [
        (f"{one['pairs']:,}", f"{one['customers']:,}", f"{one['lines']:,}", f"{one['files']:,}",
         one["way"], f"{one['seconds']:,.0f}", f"{one['loading']:,.0f}",
         f"{one['pairs'] / one['seconds']:,.0f}", f"{one['peak_mb']:,.0f}",
         f"{one['imported_mb']:,.0f}", f"{one['written_mb']:,.0f}")
        for one in found
    ]  # fmt: skip
    checks += [
        Check(
            f"scores of {one['pairs']:,} pairs, both ways",
            "the same" if one["same"] else "differ",
            "the same",
            one["same"],
        )
        for one in found
        if "same" in one
    ]
    return Part("Scoring many pairs", settings, tuple(checks), table(head, rows), today())


def _step(name: str, folder: Path, **given: object) -> dict[str, Any]:
    """What a step in a process of its own says, as JSON on its last line."""
    print(f"scale: {name} {given.get('pairs', '')} ...", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--step", name, "--folder", str(folder)]
    for option, value in given.items():
        command += [f"--{option}", str(value)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers, or do one step for the process that asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, nargs="+", default=[200_000], help="about so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="2GB", help="of the scorer, beside the events")
    parser.add_argument("--whole", type=int, default=IN_ONE_LOG, help="pairs in one log")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bundle", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step is None:
        part = measure(given.pairs, given.threads, given.memory, given.whole)
        print(part.to_markdown(), end="")
        return 0
    if given.step == "train":
        said = train(given.folder, given.threads)
    elif given.step == "write":
        said = write(given.folder, given.pairs[0])
    else:
        whole = given.step == "score-whole"
        said = score(given.folder, given.bundle, given.threads, given.memory, whole=whole)
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
