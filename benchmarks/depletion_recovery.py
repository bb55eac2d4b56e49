"""Does the run-out date find the day on which the house is empty? Simulated shops, which know it.

    python benchmarks/depletion_recovery.py [SHOP ...] [--customers 2000]

Every shop is one in which consumption alone drives purchases, with one disturbance switched on; in
two of them use is reported beside it, and the last one has all of them. A depletion model is
trained on the log as known at a cutoff and asked about every pair with three purchases, one of them
in the last 120 days. The truth is the time until what the customer has in the house, or has
ordered, is consumed (`simulate.run_out_after`); pairs that had stopped consuming by the cutoff have
no such time and are left out. Beside the median of the run-out stand the median of the next
purchase and the dates of the rules, all from the cutoff: a rule's date that has passed is the
cutoff's. A median that the curve does not reach counts as its reach. The baselines of the
training's own judgement do not touch the model and are left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

import depletion_kept
import ppi_ml
from depletion_rules import RULES, rule_dates
from findings import Check, Part, table, today
from ppi_ml import simulate
from ppi_ml.entities import PRODUCT
from ppi_ml.instants import Cutoff
from ppi_ml.simulate import Shop, Simulated

FloatArray = NDArray[np.float64]
QUIET = Shop.undisturbed()
SHOPS: Mapping[str, tuple[Shop, str]] = {
    "undisturbed": (QUIET, "consumption alone drives purchases"),
    "lapse": (
        replace(QUIET, lapse_per_year=0.5, leave_per_year=0.15),
        "pairs stop for good, one in two a year",
    ),
    "promotions": (replace(QUIET, promotions=0.15), "15 % of the time, stocked up early"),
    "other shops": (replace(QUIET, other_shops=0.3), "30 % of the refills are not in the log"),
    "stock-outs": (replace(QUIET, stock_outs=0.1), "10 % of the time nothing to buy"),
    "parcels": (replace(QUIET, delivery_days=5.0), "five days from order to delivery"),
    "scans": (
        replace(QUIET, other_shops=0.3, usage=1.0),
        "other shops, but every refill is scanned when it is opened",
    ),
    "devices": (
        replace(QUIET, other_shops=0.3, telemetry=1.0),
        "other shops, but a device reads each week what is used",
    ),
    "half by chance": (replace(QUIET, consumption_drives=0.5), "half the decisions see no stock"),
    "all by chance": (replace(QUIET, consumption_drives=0.0), "nobody looks at the stock"),
    "default": (Shop(), "every disturbance at its plausible size"),
}
"""Name -> the shop, and what is the matter with it."""
RUN_OUT, NEXT, REAL = "run-out", "next purchase", "the purchase itself"
KEYS = ("customer_id", PRODUCT)
DAYS, AFTER, SEED = 600, 120, 11
ACTIVE, LEAST = 120, 3
SETTINGS: Mapping[str, object] = {
    "target.horizon": "90d", "target.active_within": f"{ACTIVE}d", "target.least_purchases": LEAST,
    "target.product": "sku", "target.group": "category", "folds.every": "30d",
    "tune.trials": 3, "baselines": ["kaplan_meier"],
    "model.trees.num_leaves": 8, "model.trees.min_data_in_leaf": 100, "model.trees.lambda_l2": 30,
}  # fmt: skip
MEANING = """\
Error in days of the date, against the day on which the house is empty. A purchase is no run-out:
customers go to the shop every week or so and buy on the first trip on which less than their lead
time is left, so even a perfect forecast of the purchase is off by that much: *{real}* is the one
that came, known only afterwards, of the pairs that made one within {after} days. *Bias* is the
median of the signed error: below 0 the date comes before the house is empty, which a reminder
wants, above 0 after it. *Empty* is the share of houses that were empty at the cutoff already, for
which no date can be early. *Inside* is the share of true days between P10 and P90 of the run-out;
80 % would be right. Where purchases follow from something else than the stock (other shops,
chance), the log does not show what is in the house, and no date read from it can be right."""


@dataclass(frozen=True)
class Found:
    """One shop. `error` and `bias`: name -> median absolute and signed error in days."""

    name: str
    pairs: int
    empty: float
    typical: float
    inside: float
    later: float
    error: Mapping[str, float]
    bias: Mapping[str, float]
    measured: str

    @property
    def best_rule(self) -> str:
        """The rule with the least error."""
        return min(RULES, key=lambda rule: self.error[rule])


def options(customers: int) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    return {"customers": customers, "days": DAYS - AFTER, "trials": SETTINGS["tune.trials"]}


def measure(
    customers: int = 2_000,
    names: Sequence[str] = tuple(SHOPS),
    *,
    keep: Path | None = None,
    fresh: bool = False,
) -> Part:
    """All shops one after the other; in `keep` each is kept, and read there unless `fresh`."""
    found, asked = [], options(customers)
    for name in names:
        place = None if keep is None else keep / f"recovery-{name.replace(' ', '-')}.json"
        work = partial(of_shop, name, customers)
        found.append(Found(**depletion_kept.step(place, asked, work, fresh=fresh)))
    return part_of(found, asked)


def of_shop(name: str, customers: int, days: int = DAYS) -> Found:
    """Simulate a shop, train on its past, and compare all dates with the truth."""
    print(f"recovery: {name} ...", file=sys.stderr, flush=True)
    shop, _ = SHOPS[name]
    simulated = simulate.simulate(customers, days, SEED, shop)
    cutoff = simulated.observed_from.plus(days - AFTER)
    then = simulate.log(simulated).until(cutoff)
    with tempfile.TemporaryDirectory() as folder:
        settings = {**SETTINGS, "output.folder": folder}
        run = ppi_ml.train(then, target="depletion", settings=settings, track=False)
        scorer = ppi_ml.Scorer.load(run.bundle)
        scores = pl.from_pandas(scorer.score(then, cutoff, allow_stale=True))
        curves = scorer.curves(then, cutoff, allow_stale=True)
    medians = pl.Series(NEXT, np.minimum(curves.quantile(0.5), curves.max_days))
    dates = scores.select(*KEYS, *(f"runout_p{q}_days" for q in (10, 50, 90)))
    for more in (pl.DataFrame(curves.keys).hstack([medians]), rule_dates(then, run.config)):
        if dates.height != more.join(dates, on=KEYS, how="semi").height:
            raise RuntimeError(f"{name}: model and rules were asked about different pairs")
        dates = dates.join(more, on=KEYS, how="inner", validate="1:1")
    return compared(name, simulated, cutoff, dates, curves.max_days)


def compared(
    name: str, simulated: Simulated, cutoff: Cutoff, dates: pl.DataFrame, reach: float
) -> Found:
    """All dates of the pairs that still consume at the cutoff, against the truth.

    Args:
        name: of the shop.
        simulated: what knows the truth.
        cutoff: where we stand.
        dates: one row per pair, days from the cutoff: `runout_p<q>_days` (null: beyond the reach),
            the next purchase and the rules by their names.
        reach: days that the curve reaches.
    """
    truth = simulate.run_out_after(simulated, cutoff).rename({"sku": PRODUCT})
    truth = truth.select(*KEYS, truth="days_with_parcels").drop_nulls("truth")
    bought = purchases_after(simulated, cutoff)
    known = truth.join(dates, on=KEYS, how="inner").join(bought, on=KEYS, how="left")
    known = known.with_columns(pl.col("runout_p50_days").fill_null(reach).alias(RUN_OUT))
    error = {n: known[n] - known["truth"] for n in (RUN_OUT, NEXT, *RULES, REAL)}
    inside = known["truth"].is_between(
        known["runout_p10_days"].fill_null(reach), known["runout_p90_days"].fill_null(np.inf)
    )
    return Found(
        name=name,
        pairs=known.height,
        empty=_mean(known["truth"] == 0),
        typical=_median(known["truth"]),
        inside=_mean(inside),
        later=_mean(known["runout_p50_days"].is_null()),
        error={n: _median(wrong.abs()) for n, wrong in error.items()},
        bias={n: _median(wrong) for n, wrong in error.items()},
        measured=today(),
    )


def purchases_after(simulated: Simulated, cutoff: Cutoff) -> pl.DataFrame:
    """Days until the next purchase of each pair in this shop, of those that made one."""
    when = pl.col("occurred_at").dt.epoch("us")
    later = simulated.tables["order_lines"].filter(when >= cutoff.at)
    first = later.group_by("customer_id", pl.col("sku").alias(PRODUCT)).agg(when=when.min())
    days = (pl.col("when") - cutoff.at) / 86_400_000_000
    return first.select(*KEYS, days.alias(REAL))


# ------------------------------------------------------------------ what is told


def part_of(found: Sequence[Found], settings: Mapping[str, object]) -> Part:
    """The number of every shop beside that of the best rule, and three tables."""
    names = (RUN_OUT, NEXT, *RULES, REAL)
    about = [
        (one.name, SHOPS[one.name][1], f"{one.pairs:,}", f"{one.typical:.1f}", f"{one.empty:.1%}",
         f"{one.inside:.1%}", f"{one.later:.1%}")
        for one in found
    ]  # fmt: skip
    head = ("shop", "what disturbs it", "pairs", "median truth, days", "empty", "inside",
            "median beyond reach")  # fmt: skip
    tables = [
        MEANING.format(real=REAL, after=AFTER),
        table(head, about),
        "Median absolute error, days:",
        table(("shop", *names), [_row(one.name, one.error, "{:.2f}") for one in found]),
        "Bias, days:",
        table(("shop", *names), [_row(one.name, one.bias, "{:+.2f}") for one in found]),
    ]
    text = "\n\n".join(block.strip() for block in tables)
    when = depletion_kept.dates(one.measured for one in found)
    return Part("Run-out dates of simulated shops", settings, tuple(_checks(found)), text, when)


def _checks(found: Sequence[Found]) -> list[Check]:
    checks = []
    for one in found:
        what, best = f"{one.name}: median error of the run-out, days", one.best_rule
        ours, theirs = one.error[RUN_OUT], one.error[best]
        # the best of six rules is known only afterwards, so it is shown and is no bound
        checks.append(Check(what, f"{ours:.2f}; the best rule, {best}, {theirs:.2f}"))
    return checks


def _row(name: str, values: Mapping[str, float], form: str) -> tuple[str, ...]:
    return (name, *(form.format(values[n]) for n in (RUN_OUT, NEXT, *RULES, REAL)))


def _median(values: pl.Series) -> float:
    found = values.drop_nulls().median()
    return float("nan") if found is None else float(cast(float, found))


def _mean(values: pl.Series) -> float:
    return float(cast(float, values.mean()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shops", nargs="*", default=list(SHOPS), metavar="SHOP")
    parser.add_argument("--customers", type=int, default=2_000)
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.shops) - set(SHOPS)):
        parser.error(f"no shop {', '.join(unknown)}; there are: {', '.join(SHOPS)}")
    print(measure(given.customers, given.shops).to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
