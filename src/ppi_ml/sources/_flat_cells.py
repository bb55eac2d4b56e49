"""The cells of the flat table, read once: which cells say the same, and when it was.

Each column x of the flat table becomes, in the rows made here,

- `x raw`: the cell as the shop wrote it, for the contract to judge;
- `x`: text that is equal where two cells say the same (007 and " 007", 5 and 5.0, one instant in
  two spellings); null where the cell is empty or there is no such column. What cannot be read is
  `~` and its text, so that it is still a filled cell;
- for times, `x at` (Int64, microseconds UTC; null where unreadable) and `x dated` (a mere date).

Beside them stand `row` (the number of the row) and `lone` (that number where there is no order id,
else -1: rows of no order have nothing in common). Rows come in an order that their content tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import polars as pl

from ppi_ml import cells
from ppi_ml.errors import DataError
from ppi_ml.schema import Column, Kind

REQUIRED = ("order_id", "customer_id", "order_timestamp")
KINDS: Mapping[str, Kind] = {
    "order_id": "id",
    "customer_id": "id",
    "sku": "id",
    "order_timestamp": "time",
    "quantity": "number",
    "unit_price": "number",
    "discount": "number",
    "currency": "text",
    "promo_code": "text",
    "channel": "text",
    "order_type": "text",
    "line_id": "id",
    "promised_timestamp": "time",
    "ship_timestamp": "time",
    "delivery_timestamp": "time",
    "return_flag": "choice",
    "return_timestamp": "time",
    "refund_amount": "number",
    "refund_timestamp": "time",
    "review_text": "text",
    "review_rating": "number",
    "review_timestamp": "time",
    "content_exposure_tags": "text",
    "exposure_timestamp": "time",
    "product_name": "text",
}
"""Column of a flat table -> its kind."""
COLUMNS = tuple(KINDS)
"""What is read of a flat table; what an order line is comes before what happens to it later."""
OF_LINES = ("quantity", "unit_price", "discount", "currency", "promo_code", "channel", "order_type")
"""Columns that the order lines take over under the same name."""
_TELLING = ("order_timestamp", "ship_timestamp", "delivery_timestamp", "return_flag")
_YES, _NO = ("1", "true", "yes", "y"), ("0", "false", "no", "n")


def is_flat(columns: Iterable[str]) -> bool:
    """Whether these are the columns of a flat table, and not those of order lines."""
    names = set(columns)
    return "occurred_at" not in names and not names.isdisjoint(_TELLING)


def renamed(
    frame: pl.DataFrame,
    columns: Mapping[str, str],
    constants: Mapping[str, str | int | float] | None = None,
) -> pl.DataFrame:
    """The frame with the flat table's column names.

    `columns` maps our names to theirs, `constants` are columns that hold one value everywhere.
    `DataError` for names that do not exist.
    """
    for name in (*columns, *(constants or {})):
        if name not in COLUMNS:
            raise DataError(f"flat: columns: {name} is unknown{_near(name, COLUMNS)}")
    for name, theirs in columns.items():
        if theirs not in frame.columns:
            near = _near(theirs, frame.columns)
            raise DataError(f"flat: columns.{name}: there is no column {theirs}{near}")
    taken = [*columns, *(constants or {})]
    others = [name for name in frame.columns if name not in columns.values()]
    return frame.select(
        *(pl.col(theirs).alias(name) for name, theirs in columns.items()),
        *(pl.lit(value).alias(name) for name, value in (constants or {}).items()),
        *(pl.col(name).alias(f"{name} (not mapped)" if name in taken else name) for name in others),
    )


def read(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The rows of a flat table, as the head of this file says.

    Args:
        frame: its cells as the shop wrote them; columns that it lacks are empty.
        zone: the business zone, on whose clock naive times are read.

    Raises:
        DataError: a required column is missing, or a column holds something else than it should.
    """
    for name in REQUIRED:
        if name not in frame.columns:
            raise DataError(
                f"required column {name} is missing; the columns are: {', '.join(frame.columns)}. "
                f"If it has another name, say so: columns: {{flat: {{{name}: its name there}}}} "
                f"in Python, data.tables.flat.columns in a config"
            )
    made: list[pl.Series] = []
    for name, kind in KINDS.items():
        column = frame[name] if name in frame.columns else _nothing(name, frame.height)
        if kind == "time":
            made += _times(column, name, zone)
        else:
            made += [column.alias(f"{name} raw"), _same(column, name, kind).alias(name)]
    rows = pl.DataFrame(made).with_row_index("row")
    lone = pl.when(pl.col("order_id").is_null()).then(pl.col("row")).otherwise(-1)
    rows = rows.with_columns(lone=lone.cast(pl.Int64)).sort(COLUMNS, nulls_last=True)
    return rows if "line_id" in frame.columns else _numbered(rows)


def filled(name: str) -> pl.Expr:
    """Whether the cell of a column is filled, whatever it says."""
    return pl.col(name).is_not_null()


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Lines numbered within their order: by sku, then by whatever else they say."""
    number = pl.int_range(1, pl.len() + 1).over("order_id").cast(pl.String)
    return rows.with_columns(number.alias("line_id"), number.alias("line_id raw"))


def _same(column: pl.Series, name: str, kind: Kind) -> pl.Series:
    """Text that is equal where two cells say the same; null where they are empty."""
    described = Column(name, kind, "", "")
    if kind == "id":
        return cells.read_id(column, described).values
    if kind == "text":
        return cells.read_text(column, described).values
    if kind == "choice":
        return _flags(cells.read_text(column, described).values)
    number = cells.read_number(column, described).values
    text = column.cast(pl.String).str.strip_chars()
    unread = number.is_null() & (text != "").fill_null(False)
    return number.cast(pl.String).zip_with(~unread, "~" + text)


def _flags(text: pl.Series) -> pl.Series:
    """yes, no, or null where empty. `DataError` if a cell says anything else."""
    # A column of numbers with gaps holds 1.0.
    small = text.str.to_lowercase().str.replace(r"^([01])\.0$", "$1")
    yes, no = small.is_in(_YES).fill_null(False), small.is_in(_NO).fill_null(False)
    strange = text.is_not_null() & ~yes & ~no
    if strange.any():
        raise DataError(
            f"column return_flag: {strange.sum():,} rows (the first is row {strange.arg_max()}, "
            f"counted from 0) say neither yes nor no. Expected {', '.join(_YES)} where the line "
            f"was sent back; {', '.join(_NO)} or nothing where not; small or capital letters. "
            "Where the shop counts units or names a state, make the flag of it first"
        )
    words = pl.when(pl.lit(yes)).then(pl.lit("yes")).when(pl.lit(no)).then(pl.lit("no"))
    return pl.select(words).to_series()


def _times(column: pl.Series, name: str, zone: str) -> list[pl.Series]:
    read = cells.read_times(column, name, zone)
    empty, at = read.broken[f"{name} missing"], read.values
    if isinstance(column.dtype, pl.Datetime) and read.dated.any():
        column = column.dt.date()  # a column of midnights: so few rows of it would not show it
    order = at.cast(pl.String).str.zfill(20)  # as text they sort as the instants do
    same = order.zip_with(at.is_not_null(), "~" + column.cast(pl.String).str.strip_chars())
    same = same.zip_with(~empty, _nothing(name, len(same)))
    named = {f"{name} raw": column, name: same, f"{name} at": at, f"{name} dated": read.dated}
    return [values.alias(called) for called, values in named.items()]


def _nothing(name: str, height: int) -> pl.Series:
    return pl.repeat(None, height, dtype=pl.String, eager=True).alias(name)


def _near(name: str, names: Iterable[str]) -> str:
    names = list(names)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f".{hint} The columns are: {', '.join(names)}"
