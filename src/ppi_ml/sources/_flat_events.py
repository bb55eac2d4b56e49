"""The events in the rows of the flat table, one function per kind: a frame for the contract, notes.

Every function takes rows as `_flat_cells.read` makes them. Rows that tell of one event, such as the
lines of one parcel, become one row here; ids are made of the order's and a number, in the order of
the events' times, so that a later event does not rename an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.sources import _flat_dates as dates
from ppi_ml.sources._flat_cells import OF_LINES, filled

Made = tuple[pl.DataFrame, list[str]]

_ORDER = ("customer_id", "order_id", "lone")


def order_lines(rows: pl.DataFrame, has: frozenset[str]) -> Made:
    """One line per row, in the order of the file; `has` names the columns that the file has."""
    own = [name for name in ("order_id", "line_id", "customer_id", "sku") if name in has]
    numbered = ["line_id"] if "line_id" not in has else []
    frame = rows.sort("row").select(
        *(pl.col(f"{name} raw").alias(name) for name in (*own, *numbered)),
        pl.col("order_timestamp raw").alias("occurred_at"),
        *(pl.col(f"{name} raw").alias(name) for name in OF_LINES if name in has),
    )
    if not numbered:
        return frame, []
    note = "order_lines: no column line_id, so the lines of an order are numbered by sku"
    content = ["lone", *(name for name in rows.columns if name in has)]
    copies = rows.height - rows.select(pl.struct(content).n_unique()).item()
    if copies:
        note += (
            f"; {copies:,} rows say the same as another one of their order, and each counts as a "
            "line (give line_id if they are copies)"
        )
    return frame, [note]


def parcels(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their `shipment_id`, null where nothing was shipped, and with its `promise`.

    Lines of an order that were shipped at one time are one parcel, whatever becomes of them later.
    Lines that arrived without having been shipped are one parcel per time of arrival.
    """
    sent, came = filled("ship_timestamp"), filled("delivery_timestamp")

    def number(time: str) -> pl.Expr:
        who = pl.col("customer_id").fill_null("")
        return pl.concat_str(time, who, separator=" ").rank("dense").over("order_id")

    arrived = pl.when(~sent).then("delivery_timestamp").alias("arrived")
    shipment_id = (
        pl.when(sent)
        .then(pl.format("{}-{}", "order_id", number("ship_timestamp")))
        .when(came)
        .then(pl.format("{}-d{}", "order_id", number("arrived")))
    )
    # A promise is broken when the first of those given for the parcel is; a cell that cannot be
    # read comes after those that can, and an empty one last.
    by = ("promised_timestamp at", "promised_timestamp")
    promise = (
        pl.col("promised_timestamp raw")
        .sort_by(by, nulls_last=True)
        .first()
        .over(*_ORDER, "shipment_id")
    )
    return (
        rows.with_columns(arrived)
        .with_columns(shipment_id=shipment_id)
        .with_columns(promise=promise)
    )


def shipments(rows: pl.DataFrame, has: frozenset[str]) -> Made:
    """A parcel that left the house per order and `ship_timestamp`; `rows` know their parcel."""
    sent = rows.filter(filled("ship_timestamp"))
    groups = sent.group_by(*_ORDER, "shipment_id", maintain_order=True)
    frame = groups.agg(
        pl.col("ship_timestamp raw", "promise").first(),
        promises=pl.col("promised_timestamp").drop_nulls().n_unique(),
    )
    several = frame.filter(pl.col("promises") > 1).height
    note = (
        f"shipments: {several:,} parcels have several times in promised_timestamp; the first of "
        "each counts"
    )
    return _of_parcels(frame, "ship_timestamp", has), [note] * bool(several)


def deliveries(rows: pl.DataFrame, has: frozenset[str]) -> Made:
    """An arrival per parcel and `delivery_timestamp`; `rows` know their parcel."""
    came = rows.filter(filled("delivery_timestamp"))
    groups = came.group_by(*_ORDER, "shipment_id", "delivery_timestamp", maintain_order=True)
    frame = groups.agg(pl.col("delivery_timestamp raw", "promise", "ship_timestamp").first())
    notes = []
    if several := frame.height - frame.select(*_ORDER, "shipment_id").n_unique():
        notes.append(
            f"deliveries: {several:,} times a parcel arrived once more; lines of one order with "
            "one ship_timestamp are one parcel, and its first arrival stays"
        )
    if unsent := frame["ship_timestamp"].null_count():
        notes.append(
            f"deliveries: {unsent:,} parcels arrived without a ship_timestamp; the lines of an "
            "order that arrived at one time are one parcel"
        )
    return _of_parcels(frame, "delivery_timestamp", has), notes


def returns(rows: pl.DataFrame, has: frozenset[str], lags: Mapping[str, int], zone: str) -> Made:
    """A return per line that is flagged, of all its units."""
    dated, notes = dates.by_lag("returns", sent_back(rows), lags, zone)
    frame = dated.select(
        *_who(dated),
        pl.format("{}-{}", "order_id", "line_id").alias("return_id"),
        dates.occurred(dated, "return_timestamp", zone).alias("occurred_at"),
        "sku",
        *([pl.col("quantity raw").alias("quantity")] if "quantity" in has else []),
    )
    return frame, notes


def refunds(rows: pl.DataFrame, has: frozenset[str], lags: Mapping[str, int], zone: str) -> Made:
    """A refund per line with an amount other than 0."""
    dated, notes = dates.by_lag("refunds", paid_back(rows), lags, zone)
    frame = dated.select(
        *_who(dated),
        pl.format("{}-{}", "order_id", "line_id").alias("refund_id"),
        dates.occurred(dated, "refund_timestamp", zone).alias("occurred_at"),
        "sku",
        pl.col("refund_amount raw").alias("amount"),
        *([pl.col("currency raw").alias("currency")] if "currency" in has else []),
    )
    nothing = rows["refund_amount"].drop_nulls().len() - dated.height
    if nothing:
        notes.append(f"refunds: {nothing:,} rows with refund_amount 0 are no refunds")
    orders = rows.group_by(*_ORDER).agg(
        lines=pl.len(), amounts=pl.col("refund_amount").n_unique(), amount=pl.first("refund_amount")
    )
    repeated = (pl.col("lines") > 1) & (pl.col("amounts") == 1) & _paid("amount")
    if same := orders.filter(repeated).height:
        notes.append(
            f"refunds: in {same:,} orders of several lines all have the same refund_amount, read "
            "as money for each line; where it is that of the whole order, leave it on one line"
        )
    return frame, notes


def reviews(rows: pl.DataFrame, lags: Mapping[str, int], zone: str) -> Made:
    """A review per order, text, rating and time; its sku where all its lines have the same."""
    dated, notes = dates.by_lag("reviews", reviewed(rows), lags, zone)
    # Without a time of its own, a review of several lines was known when the last lag was over.
    latest = dated.sort("when at", descending=True, nulls_last=True, maintain_order=True)
    told = ("review_text", "review_rating")
    groups = latest.group_by(*_ORDER, *told, "review_timestamp", maintain_order=True)
    frame = groups.agg(
        pl.col("when at", "when dated", "when text", "when moved").first(),
        pl.col("review_timestamp raw", "review_rating raw").first(),
        # Of two spellings always the same one, or the order of the rows would tell which.
        pl.col("review_text raw").cast(pl.String).min(),
        sku=pl.when(pl.col("sku").n_unique() == 1).then(pl.first("sku")),
    )
    frame = frame.sort("order_id", "when at", *told, "customer_id", nulls_last=True)
    made = frame.select(
        *_who(frame),
        _numbered("review_id"),
        dates.occurred(frame, "review_timestamp", zone).alias("occurred_at"),
        "sku",
        pl.col("review_rating raw").alias("rating"),
        pl.col("review_text raw").alias("text"),
    )
    return made, notes


def products(rows: pl.DataFrame) -> Made:
    """What each sku is called, as its newest order has it: a label for people."""
    named = rows.filter(filled("sku"), filled("product_name"))
    newest = named.sort("order_timestamp at", "product_name", nulls_last=False)
    names = newest.group_by("sku", maintain_order=True).agg(name=pl.last("product_name"))
    return names.sort("sku"), []


def exposures(rows: pl.DataFrame, zone: str) -> Made:
    """An exposure per order, tag and time; a tag without a time was seen when it was ordered."""
    own = "exposure_timestamp"
    tags = pl.col("content_exposure_tags").str.replace_all("[;|]", ",").str.split(",")
    when = ("when at", "when dated", "when text", "when moved", f"{own} raw", "order_timestamp raw")
    dated = dates.by_order(rows, own).filter(filled("content_exposure_tags"))
    tagged = dated.select(*_ORDER, own, *when, tag=tags).explode("tag")
    seen = tagged.with_columns(pl.col("tag").str.strip_chars()).filter(pl.col("tag") != "")
    frame = seen.group_by(*_ORDER, "tag", own, maintain_order=True).agg(pl.col(when).first())
    frame = frame.sort("order_id", "when at", "tag", "customer_id", nulls_last=True)
    made = frame.select(
        "customer_id",
        _numbered("exposure_id"),
        dates.occurred(frame, own, zone, other="order_timestamp").alias("occurred_at"),
        pl.col("tag").alias("content_tag"),
    )
    untimed = int(frame["when moved"].sum())
    note = (
        f"exposures: {untimed:,} of {frame.height:,} tags have no {own}; they count as seen when "
        "the order was made"
    )
    return made, [note] * bool(untimed)


def sent_back(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that say that their line was sent back."""
    return rows.filter(pl.col("return_flag") == "yes")


def paid_back(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with an amount given back; one that cannot be read is for the contract."""
    return rows.filter(_paid("refund_amount"))


def reviewed(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a text or stars."""
    return rows.filter(filled("review_text") | filled("review_rating"))


def _paid(name: str) -> pl.Expr:
    return filled(name) & (pl.col(name).cast(pl.Float64, strict=False) != 0).fill_null(True)


def _who(rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    return rows["customer_id"], rows["order_id"]


def _numbered(name: str) -> pl.Expr:
    """Ids made of the order's and a number, in the order of the rows."""
    number = pl.int_range(1, pl.len() + 1).over("order_id")
    return pl.format("{}-{}", "order_id", number).alias(name)


def _of_parcels(frame: pl.DataFrame, time: str, has: frozenset[str]) -> pl.DataFrame:
    promised = [pl.col("promise").alias("promised_at")] if "promised_timestamp" in has else []
    return frame.select(
        *_who(frame), "shipment_id", pl.col(f"{time} raw").alias("occurred_at"), *promised
    )
