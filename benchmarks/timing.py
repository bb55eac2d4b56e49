"""The numbers of the timing target, each beside its bound: judge, intervals, rolling origins, small
shops, and what a fit on a million rows costs. Takes hours.

    python benchmarks/timing.py [PART ...] [--out mlruns/benchmarks] [--fresh]

PART is one of judge, coverage, rolling, cdnow, online_retail, million; all of them in this order if
none is named. Writes one page, `timing.md`, from all parts that are in --out. What was measured
with the same options stays unless `--fresh` is given, so a run that was killed goes on where it
stopped; judged cases are kept one by one. The judge's cases are those of `--cases` (or
`JUDGE_CASES`), CDNOW is read from `PPI_ML_DATA`; parts without their data are left out and named.
Exit code: 0 = every part that was not left out was measured, whatever came out; 1 = one could not
be; 2 = wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import judge
import million
import ppi_ml
import rolling
import small_shops
import verdicts
from findings import Check, Part, kept, table, today

PAGE = "timing.md"
_FAULTS = (ppi_ml.PpiError, judge.UnusableCaseError, subprocess.CalledProcessError, OSError)


@dataclass(frozen=True)
class Asked:
    """What the whole is asked to do."""

    out: Path
    cases: Path | None
    judge: Path | None
    samples: int
    processes: int
    origins: int
    trials: int | None
    rows: int
    threads: int
    fresh: bool


@dataclass(frozen=True)
class Job:
    """One part: its work, and the settings it is kept under; None: measured whenever asked."""

    measure: Callable[[], Part]
    settings: Mapping[str, object] | None = None
    missing: str | None = None


def jobs(asked: Asked) -> dict[str, Job]:
    """All parts by name, in order."""
    no_cases = None if asked.cases else "say where the cases are: --cases DIR, or JUDGE_CASES"
    no_cdnow = None if small_shops.cdnow_path() else "no PPI_ML_DATA/cdnow/cdnow_master.parquet"
    found = {
        "judge": Job(lambda: judged(asked), None, no_cases),
        "coverage": Job(lambda: covered(asked), None, no_cases),
        "rolling": Job(
            lambda: rolling.measure(origins=asked.origins, trials=asked.trials),
            rolling.options(asked.origins, 30, 90, asked.trials),
        ),
    }
    for shop, missing in (("cdnow", no_cdnow), ("online_retail", None)):
        found[shop] = _small(asked, shop, missing)
    found["million"] = Job(
        lambda: million.measure(asked.rows, asked.threads),
        million.options(asked.rows, asked.threads),
    )
    return found


def _small(asked: Asked, shop: str, missing: str | None) -> Job:
    size = small_shops.CUSTOMERS
    return Job(
        lambda: small_shops.measure(shop, asked.samples, size, asked.processes, asked.trials),
        small_shops.options(shop, asked.samples, size, asked.trials),
        missing,
    )


def judged(asked: Asked) -> Part:
    """The judge on all cases; those judged before are read, not run, unless all is to be fresh."""
    assert asked.cases is not None
    program = asked.judge or judge.beside(asked.cases)
    if not program.is_file():
        raise judge.UnusableCaseError(f"{program}: no judge there; say where: --judge, or JUDGE")
    folders = judge.find(asked.cases, ())
    found = judge.run(folders, program, _predictions(asked), keep=not asked.fresh)
    if not found.results:
        raise judge.UnusableCaseError("no case could be judged")
    lost = Check("cases that could not be judged", "yes" if found.failed else "none", "none",
                 not found.failed)  # fmt: skip
    dates = sorted({result.measured for result in found.results})
    return Part(
        "The judge's cases",
        {"cases": len(found.results)},
        (*verdicts.checks(found.results), lost),
        verdicts.markdown(found.results, found.left_out),
        " to ".join(dict.fromkeys((dates[0], dates[-1]))),
    )


def covered(asked: Asked) -> Part:
    """The intervals of what was judged."""
    assert asked.cases is not None
    return coverage.measure(asked.cases, _predictions(asked))


def _predictions(asked: Asked) -> Path:
    return asked.out / "judge"


def run(asked: Asked, names: Sequence[str]) -> int:
    """Measure the parts that are asked for, and write the page after each."""
    asked.out.mkdir(parents=True, exist_ok=True)
    notes: dict[str, str] = {}
    failed = False
    found = jobs(asked)
    for name in names or found:
        job, path = found[name], asked.out / f"{name}.json"
        if job.missing is not None:
            notes[name] = f"left out: {job.missing}"
            continue
        print(f"part {name} ...", file=sys.stderr, flush=True)
        try:
            part = _measured(job, path, asked.fresh)
            print(part.to_markdown(), flush=True)
        except _FAULTS as error:
            notes[name], failed = f"failed: {error}", True
            print(f"{name}: {notes[name]}", file=sys.stderr, flush=True)
        write(asked.out, list(found), notes)
    write(asked.out, list(found), notes)
    return int(failed)


def _measured(job: Job, path: Path, fresh: bool) -> Part:
    if job.settings is not None:
        return kept(path, job.settings, job.measure, fresh=fresh)
    part = job.measure()
    part.save(path)
    return part


def write(out: Path, names: Sequence[str], notes: Mapping[str, str]) -> None:
    """The page, from all parts that lie in the folder and were not just found wanting."""
    paths = {name: out / f"{name}.json" for name in names if name not in notes}
    parts = {name: Part.read(path) for name, path in paths.items() if path.is_file()}
    (out / PAGE).write_text(page(parts, notes), encoding="utf-8")


def page(parts: Mapping[str, Part], notes: Mapping[str, str]) -> str:
    """One page: every number that has a bound, then the parts."""
    bounded = [(part, c) for part in parts.values() for c in part.checks if c.passed is not None]
    good = sum(bool(check.passed) for _, check in bounded)
    rows = [(part.title, *check.cells) for part, check in bounded]
    blocks = [
        f"# The numbers of the timing target\n\nWritten {today()}: {good} of {len(bounded)} "
        "numbers are within their bounds.",
        table(("part", "number", "found", "asked for", ""), rows) if rows else "",
        "\n".join(f"- {name}: {note}" for name, note in notes.items()),
        *(part.to_markdown() for part in parts.values()),
    ]
    return "\n\n".join(block.strip() for block in blocks if block) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and run."""
    environ = os.environ
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="PART", help="all of them if none is named")
    parser.add_argument("--out", type=Path, default=Path("mlruns/benchmarks"))
    parser.add_argument("--fresh", action="store_true", help="measure again what is there")
    parser.add_argument("--cases", type=Path, default=environ.get("JUDGE_CASES"))
    parser.add_argument("--judge", type=Path, default=environ.get("JUDGE"))
    parser.add_argument("--samples", type=int, default=40, help="small shops of each data set")
    parser.add_argument("--processes", type=int, default=1, help="small shops at the same time")
    parser.add_argument("--origins", type=int, default=6, help="rolling origins")
    parser.add_argument("--trials", type=int, help="of every search but the judge's")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the fit that is timed")
    parser.add_argument("--threads", type=int, default=2, help="of the fit that is timed")
    given = vars(parser.parse_args(arguments))
    names = given.pop("names")
    asked = Asked(**given)
    if unknown := sorted(set(names) - set(jobs(asked))):
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(jobs(asked))}")
    return run(asked, names)


if __name__ == "__main__":
    sys.exit(main())
