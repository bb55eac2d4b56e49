"""The tables of a log: every column with its kind, unit, rule and meaning of an empty cell.

A further table is one more `Table` in `_DECLARED`, or the `TABLE` of a plug-in (`own_tables`):
validation, repair, quarantine and the printed schema follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from ppi_ml.errors import DataError

Kind = Literal["id", "text", "choice", "number", "currency", "time"]

MOST_UNITS = 1e9  # a quantity above is a typing error and would overflow sums of thousandths
MOST_MONEY = 1e11  # likewise for sums of ten-thousandths of the currency unit
MOST_QUARANTINED = 0.05
"""Share of unusable rows above which a table is not loaded, unless something else is stated."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `required`: the column must be there and an empty cell is quarantined. `default` stands in for
    an absent column; with `fills`, for an empty cell too. `above`, `least` and `most` bound a
    number; `choices` are the words that a choice may be, and `spellings` pairs (how else a word is
    written, the word). Both are in small letters: a choice is read without regard to case.
    `otherwise` is the word that a cell is taken for which is empty or none of them, where leaving
    the row out would be worse. A time that need not be there and that nobody can have meant (the
    year 9999) is null.
    """

    name: str
    kind: Kind
    unit: str
    null: str
    required: bool = False
    default: str | float | None = None
    fills: bool = False
    above: float | None = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()
    otherwise: str | None = None

    @property
    def rule(self) -> str:
        """What a filled cell must satisfy beyond its kind; empty if nothing."""
        if self.choices:
            also = ", ".join(spelling for spelling, _ in self.spellings)
            return "one of " + ", ".join(self.choices) + (f" (or {also})" if also else "")
        bounds = ((">", self.above), (">=", self.least), ("<=", self.most))
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True)
class Derived:
    """A whole-number column made while loading, so that sums agree whatever their order.

    value = round(10**decimals * (product of `of` - `minus`)); null where a factor is null, a null
    `minus` counts as 0. Negative values are quarantined: a discount larger than its line.
    """

    name: str
    decimals: int
    of: tuple[str, ...]
    minus: str | None = None
    most: float = MOST_MONEY


@dataclass(frozen=True)
class Table:
    """One type of event: its key, its columns and what is derived from them.

    `once_per` names the id whose rows must share one customer and one time (an order's lines).
    A table that is not `of_customers` has no `customer_id` and stays whole for every customer. One
    that is not `dated` has no events: a row holds, and is known, from its `valid_from` on until the
    next one of its key; without that, always. In a table that `holds`, a row stays true until the
    next one of its kind, so silence is no gap.
    """

    name: str
    about: str
    key: tuple[str, ...]
    own: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()
    once_per: str | None = None
    of_customers: bool = True
    dated: bool = True
    holds: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns: customer and times, where the table has them, then the table's own."""
        who = (CUSTOMER_ID,) if self.of_customers else ()
        return (*who, *_TIMES, *self.own) if self.dated else (*who, *self.own, _VALID_FROM)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(column.name for column in self.columns)

    @property
    def frame_key(self) -> tuple[str, ...]:
        """The key as a canonical frame names it, where `occurred_at` is called `at`."""
        return tuple("at" if name == "occurred_at" else name for name in self.key)

    @property
    def order(self) -> tuple[str, ...]:
        """What a canonical frame is sorted by: customer, time, key, as far as there are any."""
        first = ("customer_id",) * self.of_customers + ("at",) * self.dated
        return (*first, *(name for name in self.frame_key if name not in first))


CUSTOMER_ID = Column("customer_id", "id", "", "quarantined", required=True)
VALID_FROM = "valid_from"
_VALID_FROM = Column(VALID_FROM, "time", "instant", "always: from the beginning on")
_TIMES = (
    Column("occurred_at", "time", "instant", "quarantined", required=True),
    Column("known_at", "time", "instant", "occurred_at + data.known_lag"),
)
_QUANTITY = Column(
    "quantity", "number", "units", "quarantined; absent column: 1", default=1.0, above=0,
    most=MOST_UNITS,
)  # fmt: skip
_QUANTITY_E3 = Derived("quantity_e3", decimals=3, of=("quantity",), most=MOST_UNITS)
_SKU = Column("sku", "id", "", "product unknown")
_PRODUCT = Column("sku", "id", "", "quarantined", required=True)
_ORDER = Column("order_id", "id", "", "order unknown")
_OF_ORDER = Column("order_id", "id", "", "quarantined", required=True)
_SHIPMENT = Column("shipment_id", "id", "", "quarantined", required=True)
_PROMISED = Column("promised_at", "time", "instant", "nothing promised")
_TICKET = Column("ticket_id", "id", "", "quarantined", required=True)
_CURRENCY = Column("currency", "currency", "ISO 4217", "the currency of the log")
_CAMPAIGN = Column("campaign", "text", "", "no campaign, or unknown")
_CHANNEL = Column("channel", "text", "", "channel unknown")
_YES_NO = ("yes", "no")
_YES_NO_SPELLED = (
    ("true", "yes"), ("false", "no"), ("1", "yes"), ("0", "no"),
    ("y", "yes"), ("n", "no"), ("t", "yes"), ("f", "no"),  # as PostgreSQL writes them in a CSV
)  # fmt: skip
_GRANTED_SPELLED = (*_YES_NO_SPELLED, ("granted", "yes"), ("denied", "no"))

_DECLARED = (
    Table(
        name="order_lines",
        about="what was ordered; the only table that is required",
        key=("order_id", "line_id"),
        own=(
            _OF_ORDER,
            Column("line_id", "id", "", "quarantined", required=True),
            _SKU,
            _QUANTITY,
            Column("unit_price", "number", "money", "price unknown", least=0, most=MOST_MONEY),
            Column("discount", "number", "money off the line", "none", least=0, most=MOST_MONEY),
            _CURRENCY,
            Column("promo_code", "text", "", "no code"),
            _CHANNEL,
            Column(
                "order_type", "choice", "", "one_off", default="one_off", fills=True,
                choices=("one_off", "subscription", "exchange", "replacement", "free"),
            ),
        ),
        derived=(
            _QUANTITY_E3,
            Derived("value_e4", decimals=4, of=("quantity", "unit_price"), minus="discount"),
        ),
        once_per="order_id",
    ),
    Table(
        name="cancellations",
        about="an order, or a line of one, that was called off; it is no purchase from then on",
        key=("cancellation_id",),
        own=(
            Column("cancellation_id", "id", "", "quarantined", required=True),
            _OF_ORDER,
            Column("line_id", "id", "", "the whole order"),
            Column("reason", "text", "", "no reason given"),
        ),
    ),
    Table(
        name="shipments",
        about="a parcel that left the house",
        key=("shipment_id",),
        own=(
            _SHIPMENT,
            _ORDER,
            _PROMISED,
            Column("carrier", "text", "", "carrier unknown"),
            Column("service", "text", "", "service unknown"),
            Column("region", "text", "", "lane unknown"),
        ),
    ),
    Table(
        name="deliveries",
        about="what arrived; occurred_at is the arrival",
        key=("shipment_id",),
        own=(_SHIPMENT, _ORDER, _PROMISED),
    ),
    Table(
        name="delivery_exceptions",
        about="what went wrong on the way",
        key=("shipment_id", "occurred_at"),
        own=(
            _SHIPMENT,
            _ORDER,
            Column(
                "code", "choice", "", "what went wrong is unknown",
                choices=("delay", "damage", "failed_attempt", "lost"),
                spellings=(("failed attempt", "failed_attempt"), ("delayed", "delay"),
                           ("damaged", "damage")),
            ),
        ),
    ),
    Table(
        name="returns",
        about="what was sent back; occurred_at is the request",
        key=("return_id",),
        own=(
            Column("return_id", "id", "", "quarantined", required=True),
            _ORDER,
            _SKU,
            _QUANTITY,
            Column("reason", "text", "", "no reason given"),
        ),
        derived=(_QUANTITY_E3,),
    ),
    Table(
        name="refunds",
        about="money given back; its amount is above 0",
        key=("refund_id",),
        own=(
            Column("refund_id", "id", "", "quarantined", required=True),
            _ORDER,
            _SKU,
            Column("amount", "number", "money", "amount unknown", above=0, most=MOST_MONEY),
            _CURRENCY,
        ),
        derived=(Derived("amount_e4", decimals=4, of=("amount",)),),
    ),
    Table(
        name="reviews",
        about="what a customer said of an order or a product",
        key=("review_id",),
        own=(
            Column("review_id", "id", "", "quarantined", required=True),
            _ORDER,
            _SKU,
            Column("rating", "number", "stars", "no stars given", least=1, most=5),
            Column("text", "text", "", "nothing written"),
        ),
        derived=(Derived("rating_e3", decimals=3, of=("rating",)),),
    ),
    Table(
        name="tickets_opened",
        about="a customer asked for help",
        key=("ticket_id",),
        own=(_TICKET, _ORDER, Column("topic", "text", "", "topic unknown"), _CHANNEL),
    ),
    Table(
        name="tickets_closed",
        about="a request for help was settled",
        key=("ticket_id",),
        own=(
            _TICKET,
            Column("csat", "number", "points", "not asked, or no answer", least=0, most=10),
        ),
        derived=(Derived("csat_e3", decimals=3, of=("csat",)),),
    ),
    Table(
        name="surveys",
        about="an answer to a survey: would you recommend us (nps, 0-10), were you content (csat)",
        key=("survey_id",),
        own=(
            Column("survey_id", "id", "", "quarantined", required=True),
            Column("kind", "choice", "", "quarantined", required=True, choices=("nps", "csat")),
            Column("score", "number", "points", "no answer", least=0, most=10),
        ),
        derived=(Derived("score_e3", decimals=3, of=("score",)),),
    ),
    Table(
        name="exposures",
        about="what a customer was shown: content, a landing page, an influencer's link",
        key=("exposure_id",),
        own=(
            Column("exposure_id", "id", "", "quarantined", required=True),
            Column("content_tag", "text", "", "tag unknown"),
            _CAMPAIGN,
            Column("variant", "text", "", "no variant"),
            _CHANNEL,
        ),
    ),
    Table(
        name="messages",
        about="a message of the brand: sent is the brand's act, the rest are the customer's",
        key=("message_id", "action", "occurred_at"),
        own=(
            Column("message_id", "id", "", "quarantined", required=True),
            Column(
                "action", "choice", "", "quarantined", required=True,
                choices=("sent", "opened", "clicked", "unsubscribed"),
            ),
            _CAMPAIGN,
            _CHANNEL,
        ),
    ),
    Table(
        name="usage",
        about="what was used: a first use, a refill scan, a reading of a device",
        key=("usage_id",),
        own=(
            Column("usage_id", "id", "", "quarantined", required=True),
            _SKU,
            Column("amount", "number", "units", "amount unknown", above=0, most=MOST_UNITS),
            Column(
                "kind", "choice", "", "kind unknown", choices=("first_use", "refill", "telemetry"),
            ),
        ),
        derived=(Derived("amount_e3", decimals=3, of=("amount",), most=MOST_UNITS),),
    ),
    Table(
        name="consents",
        about="what a customer allowed or denied from occurred_at on, until the next row",
        key=("customer_id", "purpose", "granted", "occurred_at"),
        own=(
            Column("purpose", "text", "", "quarantined", required=True),
            Column(
                "granted", "choice", "", "no, as any other word", required=True,
                choices=_YES_NO, spellings=_GRANTED_SPELLED, otherwise="no",
            ),
        ),
        holds=True,
    ),
    Table(
        name="stock",
        about="whether a product could be bought from occurred_at on, until its next row",
        key=("sku", "occurred_at"),
        own=(
            _PRODUCT,
            Column(
                "available", "choice", "", "quarantined", required=True,
                choices=_YES_NO, spellings=_YES_NO_SPELLED,
            ),
        ),
        of_customers=False,
        holds=True,
    ),
    Table(
        name="products",
        about="what a product is: what never changes, or what holds from valid_from on",
        key=("sku", VALID_FROM),
        own=(
            _PRODUCT,
            Column("name", "text", "", "name unknown"),
            Column("category", "text", "", "category unknown"),
            Column("category_group", "text", "", "group unknown"),
            Column("department", "text", "", "department unknown"),
            Column("brand", "text", "", "brand unknown"),
            Column(
                "unit_size", "number", "unit_of_measure", "size unknown", above=0, most=MOST_UNITS,
            ),
            Column("unit_of_measure", "text", "", "measure unknown"),
            Column(
                "consumable", "choice", "", "unknown whether it is used up",
                choices=_YES_NO, spellings=_YES_NO_SPELLED,
            ),
        ),
        of_customers=False,
        dated=False,
    ),
    Table(
        name="customers",
        about="who a customer is: what never changes, or what holds from valid_from on",
        key=("customer_id", VALID_FROM),
        own=(
            Column("signed_up_at", "time", "instant", "sign-up unknown"),
            Column("region", "text", "", "region unknown"),
            Column("acquisition_source", "text", "", "source unknown"),
        ),
        dated=False,
    ),
)  # fmt: skip

_TABLES = {table.name: table for table in _DECLARED}
TABLES: Mapping[str, Table] = MappingProxyType(_TABLES)
"""Table by name: those of the contract, then what plug-ins have brought."""


def add(table: Table) -> None:
    """One more table, for the whole process; `own_tables` looks at it first."""
    _TABLES[table.name] = table


def table_named(name: str) -> Table:
    """The table of that name; `DataError` with the nearest names if there is none."""
    if name in TABLES:
        return TABLES[name]
    near = get_close_matches(name, TABLES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise DataError(f'unknown table "{name}".{hint} The tables are: {", ".join(TABLES)}')


def rows() -> list[dict[str, str]]:
    """The schema as rows of text: table, column, kind, unit, key, required, rule, null."""
    return [
        {
            "table": table.name,
            "column": column.name,
            "kind": column.kind,
            "unit": column.unit,
            "key": "yes" if column.name in table.key else "",
            "required": "yes" if column.required else "",
            "rule": column.rule,
            "null": column.null,
        }
        for table in TABLES.values()
        for column in table.columns
    ]
