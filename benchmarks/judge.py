"""Train on fixed cases of real data and compare with the stored predictions of other methods.

    python benchmarks/judge.py --cases DIR [NAME ...] --out DIR [--judge PATH] [--keep]

DIR holds one folder per case with a `case.json`. Of a case only the event files are read before
everybody is predicted, and where it is about pairs of a customer and a product, which pairs are
asked about; the judge, a program of its own, knows the answers. It is asked about the stored
predictions of the reference too, to know which processes those beat. `--keep` does not run cases
again that were judged in --out before. `JUDGE_CASES` and `JUDGE` in the environment stand in for
`--cases` and `--judge`. Exit code: 0 = every supported case was judged, whatever came out; 1 = one
could not be; 2 = wrong arguments.
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
from answers import KEY, peers, stored
from findings import today
from ppi_ml.entities import PRODUCT
from ppi_ml.events import EventLog, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.intake import RawTable
from ppi_ml.models.curve import EDGES
from ppi_ml.schema import TABLES
from verdicts import PROCESSES, REFERENCE, Result, markdown

ZONE, CURRENCY = "UTC", "XXX"
TARGETS = {"churn": "churn", "timing": "repurchase", "depletion": "depletion"}
"""Task of a case -> the target that answers it; one curve answers churn and timing."""
GROCERIES = Path(__file__).parents[1] / "configs" / "depletion_groceries.yaml"
"""What a case about pairs is trained with; the case says horizon and product."""
GROUPS = {"sku": "category", "category": "category_group"}
"""What a pair's product is -> what it falls back to."""
DAILY = 30
"""A case about pairs is asked for the curve of every day so far; windows are searched by days."""
_JUDGED = (0, 1)  # exit codes of a judge that came to a verdict


class UnusableCaseError(Exception):
    """A case that cannot be run, and why."""


@dataclass(frozen=True)
class Case:
    """What a system may know of a case: its events, when it stands, and how far it looks ahead.

    `events` maps our tables to their files; `tau` is in days; `daily` says that the events carry
    dates without a time. `keys` are the columns that tell those apart who are asked about, `asked`
    the file that lists them.
    """

    folder: Path
    name: str
    task: str
    origin: str
    tau: int
    daily: bool
    events: Mapping[str, Path]
    keys: tuple[str, ...]
    asked: Path

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
                keys=tuple(map(str, about["entity"])),
                asked=folder / about["files"]["entities"]["path"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableCaseError(f"not a case: {type(error).__name__}: {error}") from error

    def check(self) -> None:
        """`UnusableCaseError` unless there is a target for it, and events."""
        if self.task not in TARGETS:
            raise UnusableCaseError(f"not yet: no target answers {self.task}")
        if "order_lines" not in self.events:
            raise UnusableCaseError("not usable: it has no order lines")
        if self.keys[:1] != (KEY,) or len(self.keys) != 1 + self.of_pairs:
            raise UnusableCaseError(f"not usable: it asks about {', '.join(self.keys)}")

    @property
    def of_pairs(self) -> bool:
        """Whether it asks about products of customers; the last key is then what a product is."""
        return self.task == "depletion"

    @property
    def days(self) -> list[int]:
        """The days at which the curve is written, up to tau."""
        further = range(1, DAILY + 1) if self.of_pairs else ()
        return sorted({day for day in (*EDGES, *further) if 0 < day < self.tau} | {self.tau})

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


def predict(case: Case, out: Path) -> Path:
    """Train at the origin with default settings, score everybody, and write the predictions."""
    if case.of_pairs:
        return _predict_pairs(case, out)
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


def _predict_pairs(case: Case, out: Path) -> Path:
    """The same for pairs: train as the config of groceries says, write those asked about.

    A pair that is not live here, because a line of it was quarantined, is scored all the same.
    """
    log, product = case.log(), case.keys[-1]
    settings = {
        "target.horizon": f"{case.tau}d",
        "target.product": product,
        "target.group": GROUPS.get(product),
        "output.folder": str(out / "runs" / case.name),
    }
    run = ppi_ml.train(
        log, config=GROCERIES, target=TARGETS[case.task], settings=settings, track=False
    )
    scorer, origin = ppi_ml.Scorer.load(run.bundle), Cutoff.parse(case.origin, ZONE)
    asked = pl.read_parquet(case.asked).select(pl.col(case.keys).cast(pl.String))
    names = [*case.keys, *(f"no_event_by_{day}d" for day in case.days)]

    def scored(some: EventLog, wanted: pl.DataFrame, *, everyone: bool) -> pl.DataFrame:
        parts = scorer.score_parts(
            some, origin, everyone=everyone, days=case.days, allow_stale=True
        )
        ours = (part.rename({PRODUCT: product}).select(names) for part in parts)
        return pl.concat(part.join(wanted, on=case.keys, how="semi") for part in ours)

    table = scored(log, asked, everyone=False)
    rest = asked.join(table, on=case.keys, how="anti")
    if rest.height:
        few = log.only(rest[KEY].unique().to_list())
        table = pl.concat([table, scored(few, rest, everyone=True)])
    path = out / f"{case.name}.parquet"
    table.write_parquet(path)
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


def run_case(case: Case, judge: Path, out: Path, keep: bool = False) -> Result:
    """Train, score and have one case judged, or read what was said of it before."""
    place = out / f"{case.name}.json"
    if not (keep and place.is_file()):
        started = time.perf_counter()
        try:
            predictions = predict(case, out)
        except ppi_ml.PpiError as error:
            raise UnusableCaseError(f"failed: {error}") from error
        seconds = time.perf_counter() - started
        verdict = ask(judge, case, predictions)
        beats = _reference_beats(judge, case, out)
        said = {
            "verdict": verdict, "seconds": seconds, "reference_beats": beats, "measured": today(),
        }  # fmt: skip
        place.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return Result.of(**json.loads(place.read_text(encoding="utf-8")))


def _reference_beats(judge: Path, case: Case, out: Path) -> list[str]:
    """The processes that the stored predictions of the reference beat significantly."""
    if REFERENCE not in peers(case.folder):
        return []
    path = out / f"{case.name}.{REFERENCE}.parquet"
    stored(case.folder, REFERENCE).write_parquet(path)
    said = {row["peer"]: row["outcome"] for row in ask(judge, case, path)["comparisons"]}
    return [name for name in PROCESSES if said.get(name) == "beats"]


def beside(cases: Path) -> Path:
    """Where the judge of a folder of cases lies if nobody says otherwise."""
    return cases / ".." / "judge.py"


def find(cases: Path, names: Sequence[str], *, pairs: bool = False) -> list[Path]:
    """The folders of the cases asked for, or of all; `UnusableCaseError` if there are none.

    All are those about customers, with `pairs` those about pairs too.
    """
    found = {path.parent.name: path.parent for path in sorted(cases.glob("*/case.json"))}
    if not (pairs or names):
        found = {name: folder for name, folder in found.items() if not is_of_pairs(folder)}
    unknown = sorted(set(names) - set(found))
    if unknown or not found:
        missing = ", ".join(unknown) or "any case"
        raise UnusableCaseError(
            f"{cases}: no case.json of {missing}; there are: {', '.join(found)}"
        )
    return [found[name] for name in names] if names else list(found.values())


def is_of_pairs(folder: Path) -> bool:
    """Whether a folder holds a case about pairs; False where it holds none."""
    try:
        return Case.read(folder).of_pairs
    except UnusableCaseError:
        return False


@dataclass(frozen=True)
class Judged:
    """What became of the cases: results, why others have none, and whether one failed."""

    results: tuple[Result, ...]
    left_out: Mapping[str, str]
    failed: bool


def run(folders: Sequence[Path], judge: Path, out: Path, keep: bool = False) -> Judged:
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
            results.append(run_case(case, judge, out, keep))
        except UnusableCaseError as error:
            left_out[folder.name], failed = str(error), True
        (out / "results.md").write_text(markdown(results, left_out), encoding="utf-8")
    (out / "results.md").write_text(markdown(results, left_out), encoding="utf-8")
    return Judged(tuple(results), left_out, failed)


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
    parser.add_argument("--keep", action="store_true", help="do not run again what was judged")
    given = parser.parse_args(arguments)
    if given.cases is None:
        parser.error("say where the cases are: --cases DIR, or JUDGE_CASES in the environment")
    judge = given.judge or beside(given.cases)
    if not judge.is_file():
        parser.error(f"{judge}: no such file; say where the judge is: --judge PATH, or JUDGE")
    try:
        folders = find(given.cases, given.names, pairs=True)
    except UnusableCaseError as error:
        parser.error(str(error))
    judged = run(folders, judge, given.out, given.keep)
    print(markdown(judged.results, judged.left_out), end="")
    return int(judged.failed)


if __name__ == "__main__":
    sys.exit(main())
