"""Occasions x families -> one float32 matrix; the same for training and for scoring.

What is learned from everybody is dated: an occasion uses the states of the last date on a grid
before it (a *period*), as a model in use scores with the states of its training end. In the matrix
a period stands where other data have a cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from ppi_ml import aggregation
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Family, State
from ppi_ml.engine.buckets import split
from ppi_ml.engine.local import map_buckets
from ppi_ml.entities import CUSTOMER, LINE, LINE_OF_OCCASION, ONE_CUSTOMER, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.occasion_past import OCCASION, OccasionPast, numbered
from ppi_ml.occasions import LATER
from ppi_ml.snapshots import Cut, learned_states, states_of

ELAPSED, AGAIN = "asked__elapsed__days", "asked__again"
OWN = (ELAPSED, AGAIN)
"""Columns that every occasion has: days since it was first asked about, and whether this is later.
"""
_AT_ONCE = 20_000


def states_at(
    log: EventLog, cutoff: Cutoff, chosen: Sequence[Family], threads: int
) -> dict[str, State]:
    """What the families learn from everybody's past at a date."""
    buckets = split(log, 1)
    at = Cut(buckets, cutoff, ONE_CUSTOMER, tuple(chosen), None, threads)
    of_customers = [f for f in chosen if f.fitted is not None and f.serves(CUSTOMER)]
    return learned_states(at) | states_of(at, of_customers)


def build(
    log: EventLog,
    rows: pl.DataFrame,
    periods: Sequence[Cutoff],
    chosen: Sequence[Family],
    entity: Entity,
    states: Mapping[str, Mapping[str, State]],
    *,
    threads: int = 2,
    on_period: Callable[[], None] = lambda: None,
) -> Dataset:
    """The matrix of occasions.

    Args:
        log: the events.
        rows: occasions, as `occasions.triggered` gives them.
        periods: dates of states, ascending; an occasion before the first one is left out.
        chosen: families.
        entity: order or order line.
        states: period (ISO) -> family -> state.
        threads: threads to work with.
        on_period: called when a period is done.
    """
    edges = pl.Series([p.at for p in periods], dtype=pl.Int64)
    period = edges.search_sorted(rows["now_at"], side="right").cast(pl.Int64) - 1
    placed = rows.with_columns(period=period).filter(pl.col("period") >= 0)
    parts, counts = [], []
    for index, when in enumerate(periods):
        here = placed.filter(pl.col("period") == index).drop("period")
        said = states[str(when)] if here.height else {}
        found = _period(log, here, when, chosen, entity, said, threads)
        parts.append(found)
        counts.append(here.height)
        on_period()
    return _assembled(pl.concat(parts), counts, periods, chosen, entity, states)


def _period(
    log: EventLog,
    rows: pl.DataFrame,
    when: Cutoff,
    chosen: Sequence[Family],
    entity: Entity,
    states: Mapping[str, State],
    threads: int,
) -> pl.DataFrame:
    """Keys and columns of the occasions of one period, a limited number of them at once.

    Those between two starts of tables go together: before its record begins a table is unknown.
    """
    made = (*OWN, *(name for family in chosen for name, _ in aggregation.columns_of(family)))
    if not rows.height:
        return rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in made)
    rows = rows.sort(*entity.keys, "now_at")
    starts = pl.Series(sorted({table.observed_from.at for table in log.tables.values()}))
    few = rows.with_row_index("part").with_columns(
        pl.col("part") // _AT_ONCE, begun=starts.search_sorted(rows["now_at"], side="left")
    )
    cuts = few.with_columns(pl.col("part").first().over("customer_id")).partition_by(
        "part", "begun", maintain_order=True, include_key=False
    )
    found = map_buckets(
        lambda part: _computed(log, part, when, chosen, entity, states), cuts, threads
    )
    return pl.concat(found).sort(*entity.keys, "now_at").select(*rows.columns, *made)


def _computed(
    log: EventLog,
    rows: pl.DataFrame,
    when: Cutoff,
    chosen: Sequence[Family],
    entity: Entity,
    states: Mapping[str, State],
) -> pl.DataFrame:
    rows = numbered(rows)
    mine = log.only(rows["customer_id"].unique().to_list())
    of_order = OccasionPast(mine, when, ONE_CUSTOMER, rows=rows)
    of_line = OccasionPast(mine, when, LINE_OF_OCCASION, rows=rows)
    elapsed = (pl.col("now_at") - pl.col("asked_at")) / DAY_US
    found = rows.with_columns(
        elapsed.alias(ELAPSED), (pl.col("trigger") == LATER).cast(pl.Float64).alias(AGAIN)
    )
    for family in chosen:
        lines = family.serves(LINE)
        past, on = (of_line, [OCCASION, "line_id"]) if lines else (of_order, [OCCASION])
        state = states[family.name] if family.learned or family.fitted else None
        columns = aggregation.compute(family, past, state)
        if family.fitted is not None:
            columns = columns.with_columns(**family.fitted.columns(states[family.name]))
        columns = columns.rename({"customer_id": OCCASION})
        found = found.join(columns, on=on, how="left", maintain_order="left")
    return found.drop(OCCASION)


def _assembled(
    whole: pl.DataFrame,
    counts: Sequence[int],
    periods: Sequence[Cutoff],
    chosen: Sequence[Family],
    entity: Entity,
    states: Mapping[str, Mapping[str, State]],
) -> Dataset:
    columns = [column for family in chosen for column in aggregation.columns_of(family)]
    names = (*OWN, *(name for name, _ in columns))
    values = whole.select(pl.col(names).cast(pl.Float32).fill_null(float("nan")))
    return Dataset(
        entity=entity,
        cutoffs=tuple(periods),
        starts=tuple(np.cumsum([0, *counts]).tolist()),
        keys=whole.drop(names),
        values=values.to_numpy(order="c").reshape(whole.height, len(names)),
        silent_days=np.zeros(whole.height),
        purchases=np.ones(whole.height, dtype=np.int64),
        names=names,
        tree_names=(*OWN, *(name for name, declared in columns if declared.trees)),
        states={date: dict(said) for date, said in states.items()},
    )
