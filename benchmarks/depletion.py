"""The numbers of the depletion target, each beside its bound: judge, intervals, the run-out dates
of simulated shops, Online Retail II per stock code, and scoring many pairs. Takes an hour or so.

    python benchmarks/depletion.py [PART ...] [--out mlruns/benchmarks] [--fresh]

PART is one of judge, intervals, recovery, retail, scale; all of them in this order if none is
named. Writes one page, `depletion.md`, from all parts that are in --out. What was measured with the
same options stays unless `--fresh` is given, so a run that was killed goes on where it stopped;
judged cases, simulated shops and origins are kept one by one. The judge's cases are those about
pairs in `--cases` (or `JUDGE_CASES`), and are left out and named where there are none. Ten million
pairs, on a machine that does nothing else: `depletion.py scale --pairs 200000 10000000`. Exit code:
0 = every part that was not left out was measured, whatever came out; 1 = one could not be; 2 =
wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import depletion_cases
import depletion_recovery
import depletion_retail
import depletion_scale
import judge
import ppi_ml
from findings import Part, kept, table, today

PAGE, TITLE = "depletion.md", "The numbers of the depletion target"
_FAULTS = (ppi_ml.PpiError, judge.UnusableCaseError, subprocess.CalledProcessError, OSError)


@dataclass(frozen=True)
class Asked:
    """What the whole is asked to do."""

    out: Path
    cases: Path | None
    judge: Path | None
    customers: int
    origins: int
    trials: int | None
    pairs: tuple[int, ...]
    memory: str
    threads: int
    fresh: bool

    @property
    def folder(self) -> Path:
        """Where this target's parts lie; the page lies beside them."""
        return self.out / "depletion"


@dataclass(frozen=True)
class Job:
    """One part: its work, and the settings it is kept under; None: measured whenever asked."""

    measure: Callable[[], Part]
    settings: Mapping[str, object] | None = None
    missing: str | None = None


def jobs(asked: Asked) -> dict[str, Job]:
    """All parts by name, in order."""
    no_cases = None if asked.cases else "say where the cases are: --cases DIR, or JUDGE_CASES"
    place, fresh = asked.folder, asked.fresh
    recovery, retail, scale = depletion_recovery, depletion_retail, depletion_scale
    return {
        "judge": Job(lambda: judged(asked), None, no_cases),
        "intervals": Job(lambda: covered(asked), None, no_cases),
        "recovery": Job(lambda: recovery.measure(asked.customers, keep=place, fresh=fresh)),
        "retail": Job(lambda: retail.measure(asked.origins, asked.trials, keep=place, fresh=fresh)),
        "scale": Job(
            lambda: scale.measure(asked.pairs, asked.threads, asked.memory),
            scale.options(asked.pairs, asked.threads, asked.memory),
        ),
    }


def judged(asked: Asked) -> Part:
    """The judge on all cases about pairs; those judged before are read, unless all is fresh."""
    assert asked.cases is not None
    program = asked.judge or judge.beside(asked.cases)
    if not program.is_file():
        raise judge.UnusableCaseError(f"{program}: no judge there; say where: --judge, or JUDGE")
    out = asked.folder / "judge"
    return depletion_cases.judged(asked.cases, program, out, keep=not asked.fresh)


def covered(asked: Asked) -> Part:
    """The intervals of what was judged."""
    assert asked.cases is not None
    return depletion_cases.covered(asked.cases, asked.folder / "judge")


def run(asked: Asked, names: Sequence[str]) -> int:
    """Measure the parts that are asked for, and write the page after each."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    notes: dict[str, str] = {}
    failed = False
    found = jobs(asked)
    for name in names or found:
        job, path = found[name], asked.folder / f"{name}.json"
        if job.missing is not None:
            notes[name] = f"left out: {job.missing}"
            continue
        print(f"part {name} ...", file=sys.stderr, flush=True)
        try:
            part = measured(job, path, fresh=asked.fresh)
            print(part.to_markdown(), flush=True)
        except _FAULTS as error:
            notes[name], failed = f"failed: {error}", True
            print(f"{name}: {notes[name]}", file=sys.stderr, flush=True)
        write(asked, list(found), notes)
    write(asked, list(found), notes)
    return int(failed)


def measured(job: Job, path: Path, *, fresh: bool) -> Part:
    """The part of a job, as it is kept or measured now."""
    if job.settings is not None:
        return kept(path, job.settings, job.measure, fresh=fresh)
    part = job.measure()
    part.save(path)
    return part


def write(asked: Asked, names: Sequence[str], notes: Mapping[str, str]) -> None:
    """The page, from all parts that lie in the folder and were not just found wanting."""
    paths = {name: asked.folder / f"{name}.json" for name in names if name not in notes}
    parts = {name: Part.read(path) for name, path in paths.items() if path.is_file()}
    (asked.out / PAGE).write_text(page(parts, notes), encoding="utf-8")


def page(parts: Mapping[str, Part], notes: Mapping[str, str]) -> str:
    """One page: every number that has a bound, then the parts."""
    bounded = [(part, c) for part in parts.values() for c in part.checks if c.passed is not None]
    good = sum(bool(check.passed) for _, check in bounded)
    rows = [(part.title, *check.cells) for part, check in bounded]
    blocks = [
        f"# {TITLE}",
        f"Written {today()}: {good} of {len(bounded)} numbers are within their bounds.",
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
    parser.add_argument("--customers", type=int, default=2_000, help="of each simulated shop")
    parser.add_argument("--origins", type=int, default=3, help="of Online Retail II")
    parser.add_argument("--trials", type=int, help="of its search; default: the config's")
    parser.add_argument("--pairs", type=int, nargs="+", default=[200_000], help="sizes to score")
    parser.add_argument("--memory", default="2GB", help="of that scorer, beside the events")
    parser.add_argument("--threads", type=int, default=2, help="of that scorer")
    given = vars(parser.parse_args(arguments))
    names = given.pop("names")
    asked = Asked(**{**given, "pairs": tuple(given["pairs"])})
    if unknown := sorted(set(names) - set(jobs(asked))):
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(jobs(asked))}")
    return run(asked, names)


if __name__ == "__main__":
    sys.exit(main())
