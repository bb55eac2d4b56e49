"""Customers of a simulated shop at cutoffs: features, waits, and ratios with their intervals.

All that is found is found with the library's own columns (`dataset.build`) and the waits after the
cutoffs (`labels.durations`). Intervals are those of the bootstrap: customers are drawn with
replacement, all their rows together (Efron and Tibshirani 1993, chapter 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import dataset, labels, metrics, simulate
from ppi_ml.dataset import Dataset
from ppi_ml.instants import Cutoff
from ppi_ml.models.durations import Durations
from ppi_ml.models.intervals import expand
from ppi_ml.simulate import SimulatedBrand

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DRAWS, SEED = 400, 1
ELAPSED = "cadence__elapsed__days_since"
PURCHASES = "cadence__purchases__count"
_SAME = 0.01
"""Days: columns are float32, so the sum of two may differ by a little from a third."""
_ROUNDS = 12


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows (customer, cutoff) of a shop: columns by name, and the wait that followed (n,)."""

    made: SimulatedBrand
    data: Dataset
    waits: Durations

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, name: str) -> FloatArray:
        return self.data.column(name)

    @property
    def customer(self) -> IntArray:
        """A number for the customer of each row (n,)."""
        return np.asarray(self.data.customers.rank("dense").to_numpy(), dtype=np.int64) - 1

    @property
    def asked(self) -> pl.DataFrame:
        """`row`, `customer_id` and `day` (of the cutoff, since 1970-01-01), in the order of days.

        What is joined to it as of a day has to be brought back into the order of rows.
        """
        keys = pl.DataFrame({"customer_id": self.data.customers, "day": self.data.day})
        return keys.with_row_index("row").with_columns(pl.col("day").cast(pl.Int64)).sort("day")

    def take(self, kept: BoolArray) -> Rows:
        """The rows for which the mask (n,) holds."""
        return Rows(self.made, self.data.take(kept), self.waits.take(kept))

    def of_last_order(self, since: str, after: str) -> BoolArray:
        """Whether something belongs to the last order (n,).

        It does if the days since it (column `since`) and those from its order to it (`after`)
        together are those since the last purchase.
        """
        apart = self[since] + self[after] - self[ELAPSED]
        return np.asarray(np.abs(np.nan_to_num(apart, nan=np.inf)) < _SAME)

    def covered(self, events: pl.DataFrame, length: int, reach: int) -> FloatArray:
        """Share of the `reach` days after each cutoff on which an event acts (n,).

        An event (`customer_id`, `occurred_at`) does so for `length` days from the next midnight on.
        """
        begins = pl.col("occurred_at").dt.epoch("d").cast(pl.Int64) + 1
        events = events.select("customer_id", begins=begins).sort("begins")
        acts = np.zeros(len(self))
        for ahead in range(reach):
            there = self.asked.with_columns(pl.col("day") + ahead).join_asof(
                events, left_on="day", right_on="begins", by="customer_id", check_sortedness=False
            )
            held = (pl.col("day") < pl.col("begins") + length).fill_null(value=False)
            acts += there.sort("row").select(held).to_series().to_numpy()
        return acts / reach


def ask(made: SimulatedBrand, families: Sequence[str], cutoffs: Sequence[Cutoff]) -> Rows:
    """Everybody with a past at each of the cutoffs, with the columns of some families.

    Reviews are read without their texts: learning these anew at every cutoff takes long, and the
    stars say what is asked here.
    """
    chosen = dataset.families(["cadence", *families])
    needed = {"order_lines", *(table for family in chosen for table in family.needs)}
    kept = {name: frame for name, frame in made.tables.items() if name in needed}
    if "reviews" in kept:
        kept["reviews"] = kept["reviews"].with_columns(text=pl.lit(None, dtype=pl.String))
    log = simulate.log(replace(made, tables=kept))
    data = dataset.build(log, cutoffs, chosen)
    return Rows(made, data, labels.durations(data, log, log.observed_until))


def every(made: SimulatedBrand, step: int, ahead: int, first: int = 30) -> list[Cutoff]:
    """Cutoffs `step` days apart from a day of the log on, the last `ahead` days before its end."""
    days = round(made.observed_until.days_since(made.observed_from))
    return [made.observed_from.plus(day) for day in range(first, days - ahead + 1, step)]


# ------------------------------------------------------------------ numbers with intervals


@dataclass(frozen=True)
class Estimate:
    """A number and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def covers(self, number: float) -> bool:
        """Whether a number lies inside the interval."""
        return self.low <= number <= self.high

    @classmethod
    def of(cls, drawn: FloatArray) -> Estimate:
        """From what was found in all rows, and then in every draw, (1 + draws,)."""
        tails = [(1 - metrics.CONFIDENCE) / 2, (1 + metrics.CONFIDENCE) / 2]
        low, high = np.quantile(drawn[1:], tails)
        return cls(float(drawn[0]), float(low), float(high))


def resampled(
    customer: IntArray, cell: IntArray, cells: int, *values: FloatArray
) -> list[FloatArray]:
    """Sums of values (n,) by cell: of all rows, then of every draw of customers.

    `customer` and `cell` (n,) are numbers from 0 on. Each result is (1 + draws, cells).
    """
    codes = np.unique(customer, return_inverse=True)[1]
    people = int(codes.max()) + 1
    place = codes * cells + cell
    each = [np.bincount(place, value, people * cells).reshape(people, cells) for value in values]
    return np.split(np.vstack(list(_weighted(np.hstack(each)))), len(values), axis=1)


def _weighted(sums: FloatArray) -> Iterator[FloatArray]:
    """Sums over all customers, from those of each (customers, k); then over those drawn."""
    yield sums.sum(axis=0)[None, :]
    for weights in metrics.resampling_weights(len(sums), DRAWS, SEED):
        yield weights @ sums


def log_hazards(rows: Rows, columns: FloatArray, reach: float) -> FloatArray:
    """Effects of columns (n, q) on the log hazard of the `reach` days after the cutoff.

    An exponential regression. Returns (1 + draws, 1 + q), the intercept first.
    """
    split = expand(rows.waits.days, rows.waits.observed, [0.0, reach], day_granularity=False)
    return slopes(rows.customer, columns, split.event, split.exposure)


def slopes(
    customer: IntArray, columns: FloatArray, events: FloatArray, exposure: FloatArray
) -> FloatArray:
    """The same of events in so many days of exposure, both (n,).

    Columns that hold few values make few cells, and only sums over these are needed.
    """
    distinct, cell = np.unique(columns, axis=0, return_inverse=True)
    summed = resampled(customer, cell.reshape(-1), len(distinct), events, exposure)
    return poisson(distinct, *summed)


def poisson(columns: FloatArray, events: FloatArray, exposure: FloatArray) -> FloatArray:
    """Maximum likelihood of events ~ Poisson(exposure x exp(b0 + b x columns)), of many samples.

    `columns` (c, q) of c cells; `events` and `exposure` (b, c) of b samples. Returns (b, 1 + q).
    Newton's method: McCullagh and Nelder (1989), Generalized linear models, section 2.5.
    """
    design = np.column_stack([np.ones(len(columns)), columns])
    found = np.zeros((len(events), design.shape[1]))
    found[:, 0] = np.log(events.sum(axis=1) / exposure.sum(axis=1))
    for _ in range(_ROUNDS):
        expected = exposure * np.exp(found @ design.T)
        slope = (events - expected) @ design
        bend = np.einsum("bc,cq,cr->bqr", expected, design, design)
        found += np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
    return found


def odds_ratio(
    customer: IntArray, holds: BoolArray, outcomes: Sequence[FloatArray], stratum: IntArray
) -> list[FloatArray]:
    """Odds of an outcome where something holds over those where not, within strata.

    Args:
        customer: (n,) a number for the customer of each row.
        holds: (n,) what is compared.
        outcomes: each (n,), 0 to 1: what happened, or what was to be expected.
        stratum: (n,) rows of one number are alike in what else matters.

    Returns an array (1 + draws,) for each outcome. Mantel and Haenszel (1959), JNCI 22(4).
    """
    return [_mantel_haenszel(*sums) for sums in _by_stratum(customer, holds, outcomes, stratum)]


def risk_difference(
    customer: IntArray, holds: BoolArray, outcomes: Sequence[FloatArray], stratum: IntArray
) -> list[FloatArray]:
    """Mean of an outcome where something holds less that where not, within strata.

    As `odds_ratio`; strata count by n1 n0 / (n1 + n0), the weights of Mantel and Haenszel.
    """
    return [_apart(*sums) for sums in _by_stratum(customer, holds, outcomes, stratum)]


def _by_stratum(
    customer: IntArray, holds: BoolArray, outcomes: Sequence[FloatArray], stratum: IntArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Rows and sums of each outcome (1 + draws, 2 strata): of a stratum without and with it."""
    place = np.unique(stratum, return_inverse=True)[1]
    cells, ones = 2 * (int(place.max()) + 1), np.ones(len(place))
    count, *summed = resampled(customer, 2 * place + holds, cells, ones, *outcomes)
    return [(count, hits) for hits in summed]


def _mantel_haenszel(count: FloatArray, hits: FloatArray) -> FloatArray:
    missed, size = count - hits, count[:, ::2] + count[:, 1::2]
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may leave a stratum empty
        more = np.nan_to_num(hits[:, 1::2] * missed[:, ::2] / size)
        less = np.nan_to_num(hits[:, ::2] * missed[:, 1::2] / size)
        return np.asarray(more.sum(axis=1) / less.sum(axis=1))


def _apart(count: FloatArray, summed: FloatArray) -> FloatArray:
    without, there = count[:, ::2], count[:, 1::2]
    with np.errstate(invalid="ignore"):  # as above
        weight = np.nan_to_num(without * there / (without + there))
        apart = np.nan_to_num(summed[:, 1::2] / there - summed[:, ::2] / without)
    return np.asarray((weight * apart).sum(axis=1) / weight.sum(axis=1))
