"""Money of several currencies into the one of the log, by rates that the shop states.

A row whose currency has a rate is read as if the shop had multiplied its money itself; a row
without a currency is in that of the log already. Cells that are no numbers stay as they are, so
that the intake judges them, and the quarantine shows every row as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from ppi_ml import cells
from ppi_ml.errors import DataError
from ppi_ml.intake import RawTable
from ppi_ml.schema import Column, Table, table_named

NO_CURRENCY = "XXX"  # ISO 4217: no currency
_TEXT = (pl.String, pl.Categorical, pl.Enum)


def converted(
    raw: Mapping[str, RawTable], rates: Mapping[str, float], currency: str | None
) -> dict[str, RawTable]:
    """The raw tables with the money of rows in a currency that has a rate in that of the log.

    Notes count the rows of each currency, and tell of rates that nothing needed.

    Args:
        raw: the tables; those without a column of currencies stay.
        rates: code -> what one unit is in `currency`, as `stated_rates.checked` gives them.
        currency: that of the log; None only without rates.

    Raises:
        DataError: a column of currencies is no text.
    """
    if not rates:
        return dict(raw)
    found, used = dict[str, RawTable](), set[str]()
    for name, table in raw.items():
        codes = _codes(table_named(name), table.frame)
        rows = codes.filter(codes.is_in(list(rates))).value_counts(name="rows").sort("code")
        used.update(rows["code"])
        notes = [
            f"{name}: money of {n:,} rows was converted from {code}, 1 {code} = "
            f"{rates[code]!r} {currency}"
            for code, n in rows.iter_rows()
        ]
        found[name] = table
        if notes:
            frame = _multiplied(table_named(name), table.frame, codes, rates, currency)
            found[name] = replace(
                table, frame=frame, as_read=table.frame, notes=(*table.notes, *notes)
            )
    idle = [f"rates: no row is in {code}, so its rate does nothing" for code in rates.keys() - used]
    lines = found["order_lines"]
    return found | {"order_lines": replace(lines, notes=(*lines.notes, *sorted(idle)))}


def settle_currency(tables: Mapping[str, RawTable], stated: str | None) -> str:
    """The one currency of the log; `XXX` where neither the setting nor a table names one.

    `DataError` naming the currencies found if they are several or not the stated one.
    """
    found: set[str] = set()
    for name, raw in tables.items():
        found.update(_codes(table_named(name), raw.frame).drop_nulls().unique())
    if not found - {stated}:
        return stated or NO_CURRENCY
    if stated is None and len(found) == 1:
        return found.pop()
    codes = sorted(code for code in found if len(code) == 3 and code.isalpha())
    strange = "values that are no currency codes (words, or symbols such as €: write EUR)"
    names = ", ".join([*codes, *([strange] if len(codes) < len(found) else [])])
    expected = f"expected {stated} only" if stated else "expected one currency"
    raise DataError(
        f"column currency holds {names}; {expected}. Convert the money before loading, load one "
        "currency at a time, or set data.currency, and in data.rates what one unit of each other "
        "is in it"
    )


def _codes(table: Table, frame: pl.DataFrame) -> pl.Series:
    """The currency of each row (n,), null where none is said; no rows where no column says it."""
    for column in _of_currency(table, frame):
        try:
            codes = cells.read_text(frame[column.name], column).values
        except DataError as error:
            raise DataError(f"{table.name}: {error}") from error
        return codes.str.to_uppercase().alias("code")
    return pl.Series("code", dtype=pl.String)


def _of_currency(table: Table, frame: pl.DataFrame) -> list[Column]:
    return [c for c in table.columns if c.kind == "currency" and c.name in frame.columns]


def _multiplied(
    table: Table,
    frame: pl.DataFrame,
    codes: pl.Series,
    rates: Mapping[str, float],
    currency: str | None,
) -> pl.DataFrame:
    """The rows of a table with their money, and the name of it, in the currency of the log."""
    rate = codes.replace_strict(dict(rates), default=None, return_dtype=pl.Float64)
    ours = pl.repeat(currency, frame.height, dtype=pl.String, eager=True)
    columns = [
        ours.zip_with(rate.is_not_null(), frame[column.name].cast(pl.String)).alias(column.name)
        for column in _of_currency(table, frame)
    ]
    columns += [
        _times(frame[column.name], rate)
        for column in table.columns
        if column.kind == "number" and column.unit.startswith("money")
        if column.name in frame.columns
    ]
    return frame.with_columns(columns)


def _times(money: pl.Series, rate: pl.Series) -> pl.Series:
    """Cells times the rate of their row; as they are where there is no rate, or no number."""
    if not money.dtype.is_numeric() and money.dtype not in _TEXT:
        return money  # refused, or empty, when it is read
    number = cells.read_number(money, Column(money.name, "number", "", "")).values
    product = number * rate
    dtype = pl.Float64 if money.dtype.is_numeric() else pl.String
    # A number as text is the shortest that reads as the very same number.
    return product.cast(dtype).zip_with(product.is_not_null(), money.cast(dtype)).alias(money.name)
