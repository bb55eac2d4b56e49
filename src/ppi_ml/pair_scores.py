"""The scores of pairs in a run folder, written without holding all of them in memory.

Parts of the score table lie in files meanwhile, and are read back in ranges: of customers for the
table, of days to remind for the list.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ppi_ml import run_outs, score_table, spreadsheet

MOST_ROWS = 250_000
"""Rows of a range; more only where one customer or one day has more, or those without a day."""


def write(
    parts: Iterable[pl.DataFrame],
    folder: Path,
    *,
    keys: Sequence[str],
    notes: Sequence[str],
    horizon: int,
    cutoff: str,
    products: pl.DataFrame | None = None,
) -> None:
    """Write `predictions.parquet`, `run_outs.csv` and `run_outs.md`.

    Which rows come in which part, and in what order, changes nothing.

    Args:
        parts: the score table of pairs, as `Scorer.score_parts` gives it; at least one part.
        folder: where to write, and where the parts lie meanwhile.
        keys: the columns by which the table is sorted.
        notes: kept as `.attrs["notes"]` of the table, as `Scorer.score` has them.
        horizon: days ahead that the list speaks of.
        cutoff: the date that the list is as known at.
        products: what the products are called (`run_outs.what_they_are`); None: nothing.
    """
    with TemporaryDirectory(prefix=".scores-", dir=folder) as place:
        for number, part in enumerate(parts):
            part.write_parquet(Path(place) / f"{number:06d}.parquet")
        scores = pl.scan_parquet(Path(place) / "*.parquet")
        ordered = (rows.sort(keys) for rows in _ranges(scores, "customer_id"))
        _write_table(ordered, folder / "predictions.parquet", notes)
        listed = (
            run_outs.listed(rows, horizon, products) for rows in _ranges(scores, "nudge_date")
        )
        _write_list(listed, folder, cutoff)


def _ranges(scores: pl.LazyFrame, column: str) -> Iterator[pl.DataFrame]:
    """All rows by rising values of a column, nulls last; equal values together, one range at least.

    Within a range the rows are in no order.
    """
    counts = scores.group_by(column).len().sort(column).collect()
    sizes = counts.drop_nulls().with_columns(place=(pl.col("len").cum_sum() - 1) // MOST_ROWS)
    ends = sizes.group_by("place", maintain_order=True).agg(
        first=pl.col(column).first(), last=pl.col(column).last()
    )
    for first, last in ends.select("first", "last").iter_rows():
        yield scores.filter(pl.col(column).is_between(pl.lit(first), pl.lit(last))).collect()
    if ends.is_empty() or counts[column].has_nulls():
        yield scores.filter(pl.col(column).is_null()).collect()


def _write_table(ranges: Iterable[pl.DataFrame], path: Path, notes: Sequence[str]) -> None:
    """The table as pandas writes it."""
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        schema: pa.Schema | None = None
        for rows in ranges:
            frame = score_table.to_pandas(rows)
            frame.attrs["notes"] = list(notes)
            table = pa.Table.from_pandas(frame, preserve_index=False)
            schema = schema or _as_pandas(table.schema, frame.attrs)
            writer = writer or stack.enter_context(pq.ParquetWriter(path, schema))
            writer.write_table(table.cast(schema))


def _as_pandas(schema: pa.Schema, attrs: Mapping[Hashable, object]) -> pa.Schema:
    """The schema that pandas gives the whole table, its attrs among the metadata.

    Before pandas 3 a text that is null throughout a range has no type there, and the next range may
    hold some: it is text.
    """
    fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in schema]
    return pa.schema(fields, {**schema.metadata, "PANDAS_ATTRS": json.dumps(attrs)})


def _write_list(ranges: Iterable[pl.DataFrame], folder: Path, cutoff: str) -> None:
    """The list as CSV that a spreadsheet can open, and its first rows as Markdown."""
    shown: pl.DataFrame | None = None
    total = 0
    with (folder / "run_outs.csv").open("wb") as file:
        for rows in ranges:
            spreadsheet.shown(rows).write_csv(file, include_header=shown is None)
            shown = rows if shown is None else pl.concat([shown, rows])
            shown, total = run_outs.first(shown), total + rows.height
    if shown is not None:
        text = run_outs.to_markdown(shown, cutoff, total)
        (folder / "run_outs.md").write_text(text, encoding="utf-8")
