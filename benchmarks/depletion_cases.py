"""The judge's cases about pairs: losses, window hits, and whether the 80 % intervals hold.

What `depletion.py` asks of cases that were run by `judge.py`; coverage as in `coverage.py`, but the
most active quarter is that of pairs: by days on which the customer bought the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

import coverage
import depletion_kept
import judge
import verdicts
from answers import KEY, Answers, Curve, FloatArray
from coverage import Intervals, Spread
from findings import Check, Part, table, today
from judge import Case, UnusableCaseError
from ppi_ml import curve_metrics
from ppi_ml.instants import Cutoff
from verdicts import REFERENCE, Result

GAMMA = "gamma_poisson_lomax"
GAPS = (
    "median_gap_minus_elapsed",
    "mean_gap_minus_elapsed",
    "quantity_rate_minus_elapsed",
    "shrunk_mean_minus_elapsed",
)
UNDER_GAMMA, UNDER_GAPS = 0.15, 0.25
HITS = {"within_3d": "3", "within_7d": "7"}
LEVEL_DAYS = (7, 14, 30, 60)
_SHOWN = ("ibs", "c_index", "within_3d", "within_7d", "mae_median", "d_cal")
_HEAD = (
    "case", "n", "coverage", "same, active", "width, active (days)", "reference: coverage, active",
    "reference: width, active (days)", "D-calibration excess",
)  # fmt: skip
_LEVELS = ("case", "days", "in truth", "ours", "reference")


def folders(cases: Path) -> list[Path]:
    """The folders of the cases about pairs; `UnusableCaseError` if there are none."""
    found = [folder for folder in judge.find(cases, (), pairs=True) if judge.is_of_pairs(folder)]
    if not found:
        raise UnusableCaseError(f"{cases}: no case about pairs of a customer and a product")
    return found


# ------------------------------------------------------------------ what the judge says


def judged(cases: Path, program: Path, out: Path, *, keep: bool) -> Part:
    """The judge on all cases about pairs; with `keep` those judged before are read, not run."""
    found = judge.run(folders(cases), program, out, keep=keep)
    if not found.results:
        said = "; ".join(f"{name}: {why}" for name, why in found.left_out.items())
        raise UnusableCaseError(f"no case could be judged: {said}")
    lost = ", ".join(found.left_out) or "none"
    return Part(
        "The judge's cases about pairs",
        {"cases": len(found.results)},
        (*checks(found.results), Check("cases without a verdict", lost, "none", lost == "none")),
        verdicts.markdown(found.results, found.left_out) + "\n" + metrics(found.results),
        depletion_kept.dates(result.measured for result in found.results),
    )


def checks(results: Sequence[Result]) -> list[Check]:
    """The numbers that are asked of the cases, each one in every case."""
    found = [check for result in results for check in _of_case(result)]
    below = [result.name for result in results if (result.change or 0.0) < 0]
    told = f"{len(below)} of {len(results)}"
    return [Check("IBS below the reference", told, "at least 1", bool(below)), *found]


def _of_case(result: Result) -> list[Check]:
    said = result.outcome.get(REFERENCE, "not compared")
    stored = float("nan") if result.reference is None else result.reference
    best = min(GAPS, key=lambda rule: result.metrics[rule]["ibs"])
    return [
        Check(
            f"{result.name}: IBS",
            f"{result.value:.4f} ({said})",
            f"not significantly above {stored:.4f} ({REFERENCE})",
            said in ("beats", "ties"),
        ),
        _under(result, GAMMA, UNDER_GAMMA),
        _under(result, best, UNDER_GAPS, ", the best gap rule"),
        *(_hits(result, metric) for metric in HITS),
    ]


def _under(result: Result, peer: str, least: float, which: str = "") -> Check:
    """How far our loss is under a peer's, as a share of the peer's."""
    under = 1 - result.value / result.metrics[peer]["ibs"]
    what = f"{result.name}: IBS under {peer}{which}"
    return Check(what, f"{under:.1%}", f"at least {least:.0%}", under >= least)


def _hits(result: Result, metric: str) -> Check:
    ours, stored = (result.metrics[name][metric] for name in ("system", REFERENCE))
    what = f"{result.name}: within {HITS[metric]} days of the best 7-day window"
    return Check(what, f"{ours:.4f}", f"at least {stored:.4f} (the reference's)", ours >= stored)


def metrics(results: Sequence[Result]) -> str:
    """What the judge measured of everybody in every case."""
    rows = [
        (result.name, name, *(f"{values[metric]:.4f}" for metric in _SHOWN))
        for result in results
        for name, values in sorted(result.metrics.items(), key=lambda item: item[1]["ibs"])
    ]
    return table(("case", "of", *_SHOWN), rows)


# ------------------------------------------------------------------ whether the intervals hold


def covered(cases: Path, predictions: Path) -> Part:
    """The intervals of all cases about pairs that were predicted."""
    paths = {folder: predictions / f"{folder.name}.parquet" for folder in folders(cases)}
    paths = {folder: path for folder, path in paths.items() if path.is_file()}
    if not paths:
        raise UnusableCaseError(f"{predictions}: no predictions of a case about pairs; judge first")
    known = [Predicted.of(Case.read(folder), path) for folder, path in paths.items()]
    found = [one.intervals for one in known]
    written = [datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in paths.values()]
    when = depletion_kept.dates(str(time.date()) for time in written)
    beside = [
        Check(f"D-calibration excess of the reference, {one.case.name}", f"{excess:.4f}")
        for one in known
        if (excess := one.excess(one.stored)) is not None
    ]
    rows = table(_HEAD, [case.cells for case in found])
    levels = table(_LEVELS, [row for one in known for row in one.levels()])
    return Part(
        "Intervals on the judge's cases about pairs",
        {"cases": len(found), "predictions of": when},
        (*coverage.checks(found), *beside),
        f"{rows}\nShare of the pairs without a purchase so far:\n\n{levels}",
        today(),
    )


@dataclass(frozen=True)
class Predicted:
    """One case with its outcomes, our curves, and those of the reference if it has any."""

    case: Case
    answers: Answers
    ours: Curve
    stored: Curve | None

    @classmethod
    def of(cls, case: Case, predictions: Path) -> Predicted:
        """Read a case; `UnusableCaseError` if no curve was written for it."""
        answers = Answers.read(case.folder)
        curve = answers.ours(predictions)
        if curve is None:
            raise UnusableCaseError(f"{predictions}: no column no_event_by_{case.tau}d")
        return cls(case, answers, curve, answers.peer(REFERENCE))

    @property
    def intervals(self) -> Intervals:
        """Coverage and width of all pairs and of the most active quarter of them."""
        excess = self.excess(self.ours)
        assert excess is not None
        return Intervals(
            self.case.name,
            coverage.quarter(purchases(self.case, self.answers.keys)),
            Spread.of(self.answers, self.ours),
            None if self.stored is None else Spread.of(self.answers, self.stored),
            excess,
        )

    def excess(self, curve: Curve | None) -> float | None:
        """The D-calibration excess of a curve."""
        if curve is None:
            return None
        known = self.answers
        return curve_metrics.d_calibration_excess(
            known.days, known.event, curve.grid, curve.survival, whole_days=True
        )

    def levels(self) -> list[tuple[str, ...]]:
        """What was so after some days, and what was said of it on average."""
        known = self.answers
        rows = []
        for day in [day for day in LEVEL_DAYS if day < self.case.tau] + [self.case.tau]:
            real = float(np.mean(~(known.event & (known.days <= day))))
            said = [
                "-" if curve is None or day not in curve.grid
                else f"{curve.survival[:, list(curve.grid).index(day)].mean():.3f}"
                for curve in (self.ours, self.stored)
            ]  # fmt: skip
            rows.append((self.case.name, f"{day}", f"{real:.3f}", *said))
        return rows


def purchases(case: Case, keys: pl.DataFrame) -> FloatArray:
    """Days on which each pair was bought in the 180 days before the origin (n,)."""
    product, origin = case.keys[-1], Cutoff.parse(case.origin, judge.ZONE)
    first = pl.from_epoch(pl.lit(origin.at), time_unit="us") - timedelta(days=coverage.ACTIVE_DAYS)
    when = pl.col("occurred_at").dt.replace_time_zone(None)
    lines = pl.scan_parquet(case.events["order_lines"]).filter(when >= first)
    if product != "sku":
        lines = lines.join(pl.scan_parquet(case.events["products"]), on="sku", how="left")
    counts = (
        lines.group_by(pl.col(KEY, product).cast(pl.String))
        .agg(count=pl.col("occurred_at").dt.date().n_unique())
        .collect()
    )
    found = keys.join(counts, on=keys.columns, how="left", maintain_order="left")["count"]
    return found.fill_null(0).cast(pl.Float64).to_numpy()
