"""Do the 80 % intervals hold? Coverage, width and D-calibration of judged predictions.

    python benchmarks/coverage.py --cases DIR --predictions DIR

`--predictions` is what `judge.py --out` has written. All entities of all cases about customers
count, pooled: coverage is the randomised PIT with its chance averaged (`ppi_ml.curve_metrics`), on
all rows and on the quarter with the most purchases in the 180 days before the origin. Its mean
width is compared with the reference's in the cases that hold a curve of the reference.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from answers import KEY, Answers, Curve, FloatArray
from findings import Check, Part, at_most, table, today, within
from judge import Case, UnusableCaseError, find
from ppi_ml import curve_metrics
from ppi_ml.instants import Cutoff

ACTIVE_DAYS, ACTIVE_SHARE = 180, 0.25
ALL_ROWS, ACTIVE_ROWS, MOST_EXCESS = (0.78, 0.82), (0.76, 0.84), 0.03
_HEAD = (
    "case", "n", "coverage", "same, active", "width, active (days)", "reference: coverage, active",
    "reference: width, active (days)", "D-calibration excess",
)  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """Of n rows, the chance to lie in the 80 % interval, and its width in days; both (n,)."""

    shares: FloatArray
    width: FloatArray

    @classmethod
    def of(cls, answers: Answers, curve: Curve) -> Spread:
        """The intervals of a curve; the days of a case are whole, even where hours are known."""
        truth = (answers.days, answers.event, curve.grid, curve.survival)
        return cls(
            curve_metrics.coverage_shares(*truth, whole_days=True),
            curve_metrics.interval_width(curve.grid, curve.survival),
        )


@dataclass(frozen=True)
class Intervals:
    """One case: ours, the reference's if it has a curve, and how far a row is in the quarter.

    `active` (n,) is 1 within the quarter and 0 outside; rows that tie at its border share it.
    """

    name: str
    active: FloatArray
    ours: Spread
    reference: Spread | None
    excess: float

    @classmethod
    def of(cls, case: Case, predictions: Path) -> Intervals:
        """The intervals of a case; `UnusableCaseError` if we wrote no curve for it."""
        answers = Answers.read(case.folder)
        curve = answers.ours(predictions)
        if curve is None:
            raise UnusableCaseError(f"{predictions}: no column no_event_by_{case.tau}d")
        stored = answers.peer("reference")
        return cls(
            case.name,
            quarter(purchases(case, answers.customers)),
            Spread.of(answers, curve),
            None if stored is None else Spread.of(answers, stored),
            curve_metrics.d_calibration_excess(
                answers.days, answers.event, curve.grid, curve.survival, whole_days=True
            ),
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table, in the order of its head."""
        stored = self.reference
        return (
            self.name,
            f"{len(self.active):,}",
            f"{self.ours.shares.mean():.3f}",
            f"{np.average(self.ours.shares, weights=self.active):.3f}",
            f"{np.average(self.ours.width, weights=self.active):.1f}",
            "-" if stored is None else f"{np.average(stored.shares, weights=self.active):.3f}",
            "-" if stored is None else f"{np.average(stored.width, weights=self.active):.1f}",
            f"{self.excess:.4f}",
        )


def purchases(case: Case, customers: pl.Series) -> FloatArray:
    """Days with a purchase in the 180 days before the origin, of every customer (n,)."""
    origin = Cutoff.parse(case.origin, "UTC")
    first = pl.from_epoch(pl.lit(origin.at), time_unit="us") - timedelta(days=ACTIVE_DAYS)
    when = pl.col("occurred_at").dt.replace_time_zone(None)
    counts = (
        pl.read_parquet(case.events["order_lines"], columns=[KEY, "occurred_at"])
        .filter(when >= first)
        .group_by(pl.col(KEY).cast(pl.String))
        .agg(count=pl.col("occurred_at").dt.date().n_unique())
    )
    keys = pl.DataFrame({KEY: customers})
    found = keys.join(counts, on=KEY, how="left", maintain_order="left")["count"]
    return found.fill_null(0).cast(pl.Float64).to_numpy()


def quarter(counts: FloatArray, share: float = ACTIVE_SHARE) -> FloatArray:
    """How far each row (n,) belongs to the share of rows with the highest counts.

    1 above the border, 0 below it; rows on the border share what is left of the n * share places,
    so neither the order of the rows nor luck decides.
    """
    places = share * len(counts)
    border = np.sort(counts)[::-1][max(0, int(np.ceil(places)) - 1)]
    above, tied = counts > border, counts == border
    return np.asarray(above + tied * (places - above.sum()) / tied.sum())


def measure(cases: Path, predictions: Path) -> Part:
    """The intervals of all cases about customers that were judged."""
    found, dates = list[Intervals](), set[str]()
    for folder in find(cases, ()):
        path = predictions / f"{folder.name}.parquet"
        if path.is_file():
            found.append(Intervals.of(Case.read(folder), path))
            dates.add(datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat())
    if not found:
        raise UnusableCaseError(f"{predictions}: no predictions of any case; run judge.py first")
    settings = {
        "cases": len(found),
        "predictions of": " to ".join(sorted({min(dates), max(dates)})),
    }
    rows = table(_HEAD, [case.cells for case in found])
    return Part("Intervals on the judge's cases", settings, tuple(checks(found)), rows, today())


def checks(found: Sequence[Intervals]) -> list[Check]:
    """The numbers that are asked of all cases together."""
    everybody = np.concatenate([case.ours.shares for case in found])
    active = _pooled(found, lambda case: case.ours.shares)
    worst = max(found, key=lambda case: case.excess)
    compared = [case for case in found if case.reference is not None]
    said = [
        within("80 % coverage, all rows pooled", [float(everybody.mean())], *ALL_ROWS),
        within("80 % coverage, most active quarter", [active], *ACTIVE_ROWS),
        at_most(f"D-calibration excess, worst case ({worst.name})", worst.excess, MOST_EXCESS),
        Check("the same, mean of the cases", f"{np.mean([case.excess for case in found]):.4f}"),
    ]
    if compared:
        ours = _pooled(compared, lambda case: case.ours.width)
        stored = _pooled(compared, lambda case: case.reference.width if case.reference else None)
        what = f"mean width of the quarter, days, {len(compared)} cases with a reference curve"
        said.append(at_most(what, ours, stored, ".2f", "the reference's"))
    return said


def _pooled(found: Sequence[Intervals], value: Callable[[Intervals], FloatArray | None]) -> float:
    """The mean over the most active quarters of all cases."""
    values = [known for case in found if (known := value(case)) is not None]
    weights = np.concatenate([case.active for case in found])
    return float(np.average(np.concatenate(values), weights=weights))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, default=os.environ.get("JUDGE_CASES"))
    parser.add_argument("--predictions", type=Path, default=Path("mlruns/judge"))
    given = parser.parse_args(arguments)
    if given.cases is None:
        parser.error("say where the cases are: --cases DIR, or JUDGE_CASES in the environment")
    try:
        print(measure(given.cases, given.predictions).to_markdown(), end="")
    except UnusableCaseError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
