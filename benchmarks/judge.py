"""Train on fixed cases of real data and compare with the stored predictions of other methods.

    python benchmarks/judge.py --cases DIR [NAME ...] --out DIR [--judge PATH]

DIR holds one folder per case with a `case.json`. Of a case only the event files are read; the
judge, a program of its own, knows the answers. `JUDGE_CASES` and `JUDGE` in the environment stand
in for `--cases` and `--judge`. Exit code: 0 = every supported case was judged, whatever came out;
1 = one could not be; 2 = wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import ppi_ml
from ppi_ml.events import EventLog, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.intake import RawTable
from ppi_ml.models.curve import EDGES
from ppi_ml.schema import TABLES

ZONE, CURRENCY = "UTC", "XXX"
TARGETS = {"churn": "churn", "timing": "churn"}
"""Task of a case -> the target that answers it; one curve answers churn and timing."""
_BASIC_PEERS = ("base_rate", "kaplan_meier")
_JUDGED = (0, 1)  # exit codes of a judge that came to a verdict
_HEAD = ("case", "n", "ours", "best peer", "base rate", "beats/ties/loses", "loses to", "seconds")


class UnusableCaseError(Exception):
    """A case that cannot be run, and why."""


@dataclass(frozen=True)
class Case:
    """What a system may know of a case: its events, when it stands, and how far it looks ahead.

    `events` maps our tables to their files; `tau` is in days; `daily` says that the events carry
    dates without a time.
    """

    folder: Path
    name: str
    task: str
    origin: str
    tau: int
    daily: bool
    events: Mapping[str, Path]

    @classmethod
    def read(cls, folder: Path) -> Case:
        """The case in a folder; `UnusableCaseError` if it is not one."""
        try:
            about = json.loads((folder / "case.json").read_text(encoding="utf-8"))
            files = {n: folder / f["path"] for n, f in about["files"].items() if n in TABLES}
            return cls(
                folder=folder,
                name=str(about["name"]),
                task=str(about["task"]),
                origin=str(about["origin"]),
                tau=int(about["tau_days"]),
                daily=about.get("granularity") == "day",
                events=files,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableCaseError(f"not a case: {type(error).__name__}: {error}") from error

    def check(self) -> None:
        """`UnusableCaseError` unless there is a target for it, and events."""
        if self.task not in TARGETS:
            raise UnusableCaseError(f"not yet: no target answers {self.task}")
        if "order_lines" not in self.events:
            raise UnusableCaseError("not usable: it has no order lines")

    @property
    def days(self) -> list[int]:
        """The days at which the curve is written, up to tau."""
        return [day for day in EDGES if 0 < day < self.tau] + [self.tau]

    def log(self) -> EventLog:
        """The events of the case as a log that ends at the origin."""
        raw = {
            name: RawTable(
                pl.read_parquet(path),
                granularity="day" if self.daily else "instant",
                origin=path.name,
            )
            for name, path in self.events.items()
        }
        return load_tables(raw, timezone=ZONE, currency=CURRENCY, until=self.origin)


@dataclass(frozen=True)
class Result:
    """What the judge said: headline losses, and the peers that are significantly better."""

    name: str
    entities: int
    missing: int
    value: float
    best: str
    best_value: float
    base: float | None
    counts: tuple[int, int, int]
    loses_to: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, verdict: Mapping[str, Any], seconds: float) -> Result:
        """The result in the JSON answer of a judge."""
        headline = verdict["headline"]
        loss = {name: float(row[headline]) for name, row in verdict["metrics"].items()}
        outcome = {row["peer"]: row["outcome"] for row in verdict["comparisons"]}
        best = min(outcome, key=lambda peer: loss[peer])
        said = list(outcome.values())
        return cls(
            name=verdict["case"],
            entities=verdict["entities"],
            missing=verdict["missing"],
            value=loss["system"],
            best=best,
            best_value=loss[best],
            base=next((loss[peer] for peer in _BASIC_PEERS if peer in loss), None),
            counts=(said.count("beats"), said.count("ties"), said.count("loses")),
            loses_to=tuple(peer for peer in outcome if outcome[peer] == "loses"),
            seconds=seconds,
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table, in the order of its head."""
        known = f"{self.entities}" + (f" ({self.missing} missing)" if self.missing else "")
        return (
            self.name,
            known,
            f"{self.value:.4f}",
            f"{self.best} {self.best_value:.4f}",
            "-" if self.base is None else f"{self.base:.4f}",
            "/".join(map(str, self.counts)),
            ", ".join(self.loses_to) or "-",
            f"{self.seconds:.0f}",
        )


def predict(case: Case, out: Path) -> Path:
    """Train at the origin with default settings, score everybody, and write the predictions."""
    log = case.log()
    settings = {"target.horizon": f"{case.tau}d", "output.folder": str(out / "runs" / case.name)}
    run = ppi_ml.train(log, target=TARGETS[case.task], settings=settings, track=False)
    origin = Cutoff.parse(case.origin, ZONE)
    scorer = ppi_ml.Scorer.load(run.bundle)
    scores = scorer.score(log, origin, everyone=True, days=case.days, allow_stale=True)
    curve = [f"no_event_by_{day}d" for day in case.days]
    path = out / f"{case.name}.parquet"
    scores[["customer_id", "churn_probability", *curve]].to_parquet(path, index=False)
    return path


def ask(judge: Path, case: Case, predictions: Path) -> dict[str, Any]:
    """The JSON answer of the judge; `UnusableCaseError` if it came to no verdict."""
    command = [sys.executable, str(judge), str(case.folder), str(predictions), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode not in _JUDGED:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise UnusableCaseError(f"the judge ended with {ended.returncode}: {' '.join(said[-3:])}")
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def run_case(case: Case, judge: Path, out: Path) -> Result:
    """Train, score and have one case judged."""
    started = time.perf_counter()
    try:
        predictions = predict(case, out)
    except ppi_ml.PpiError as error:
        raise UnusableCaseError(f"failed: {error}") from error
    seconds = time.perf_counter() - started
    return Result.of(ask(judge, case, predictions), seconds)


def markdown(results: Sequence[Result], left_out: Mapping[str, str]) -> str:
    """One table of all results, and a line for every case that has none."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(result.cells for result in results)]
    lines = [f"| {' | '.join(row)} |" for row in rows] if results else []
    lines += ["", *(f"- {name}: {reason}" for name, reason in left_out.items())]
    return "\n".join(lines).strip() + "\n"


def find(cases: Path, names: Sequence[str]) -> list[Path]:
    """The folders of the cases asked for, or of all; `UnusableCaseError` if there are none."""
    found = {path.parent.name: path.parent for path in sorted(cases.glob("*/case.json"))}
    unknown = sorted(set(names) - set(found))
    if unknown or not found:
        missing = ", ".join(unknown) or "any case"
        raise UnusableCaseError(
            f"{cases}: no case.json of {missing}; there are: {', '.join(found)}"
        )
    return [found[name] for name in names] if names else list(found.values())


def run(folders: Sequence[Path], judge: Path, out: Path) -> int:
    """Run the cases one after the other; the table so far is written after each."""
    out.mkdir(parents=True, exist_ok=True)
    results, left_out, failed = list[Result](), dict[str, str](), False
    for folder in folders:
        try:
            case = Case.read(folder)
            case.check()
        except UnusableCaseError as error:
            left_out[folder.name] = str(error)
            continue
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        try:
            results.append(run_case(case, judge, out))
        except UnusableCaseError as error:
            left_out[folder.name], failed = str(error), True
        (out / "results.md").write_text(markdown(results, left_out), encoding="utf-8")
    table = markdown(results, left_out)
    (out / "results.md").write_text(table, encoding="utf-8")
    print(table, end="")
    return int(failed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and run."""
    environ = os.environ
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="cases; all of them if none is named")
    parser.add_argument("--cases", type=Path, default=environ.get("JUDGE_CASES"))
    parser.add_argument("--judge", type=Path, default=environ.get("JUDGE"))
    parser.add_argument("--out", type=Path, default=Path("mlruns/judge"))
    given = parser.parse_args(arguments)
    if given.cases is None:
        parser.error("say where the cases are: --cases DIR, or JUDGE_CASES in the environment")
    judge = given.judge or given.cases / ".." / "judge.py"
    if not judge.is_file():
        parser.error(f"{judge}: no such file; say where the judge is: --judge PATH, or JUDGE")
    try:
        folders = find(given.cases, given.names)
    except UnusableCaseError as error:
        parser.error(str(error))
    return run(folders, judge, given.out)


if __name__ == "__main__":
    sys.exit(main())
