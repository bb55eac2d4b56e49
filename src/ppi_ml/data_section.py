"""The section `data` of a config: where the events come from and how they are read."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from ppi_ml import customer_columns, exclude_rule, purchase_types, stated_rates, written_as
from ppi_ml.errors import UsageError
from ppi_ml.exclude_rule import ExcludeRule
from ppi_ml.instants import parse_zone
from ppi_ml.purchase_types import PurchaseType
from ppi_ml.schema import MOST_QUARANTINED
from ppi_ml.section import Count, Lag, Number, Section, Whole, check_table


def _zone(value: object) -> object:
    if isinstance(value, str):
        try:
            parse_zone(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
    return value


def _currency(value: object) -> object:
    try:
        return stated_rates.code(value) if isinstance(value, str) else value
    except UsageError as error:
        raise ValueError(str(error).removeprefix("currency: ")) from None


def _purchases(value: object) -> object:
    if wrong := purchase_types.problem(value):
        raise ValueError(wrong)
    return purchase_types.checked(value)  # type: ignore[arg-type]  # it has been looked at


def _segments(value: object) -> object:
    if wrong := customer_columns.problem(value):
        raise ValueError(wrong)
    return customer_columns.checked(value)  # type: ignore[arg-type]  # it has been looked at


def _moment(value: object) -> object:
    text = value.isoformat() if isinstance(value, date) else value
    if isinstance(text, str):
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            message = f'expected a date such as 2011-12-09 or an ISO date and time, got "{text}"'
            raise ValueError(message) from error
    return text


# An SQLAlchemy URL: dialect://user:password@host/database?name=value
_URL = "postgresql+pg8000://user:${PASSWORD}@host/shop"
_VARIABLE = re.compile(r"\$\{\w+\}")
_ACCOUNT = re.compile(r"^[\w+]+://[^:/]*:([^@]*)@")
_SECRETS = re.compile(r"(?i)(?:passw(?:or)?d|pwd|secret|token|api_?key)\w*(?:=|%3D)([^&;%]*)")


def _without_secret(value: object) -> object:
    """A URL in which no password stands: it would go on into run folders, bundles and trackers."""
    if not isinstance(value, str) or _VARIABLE.fullmatch(value):
        return value
    if "://" not in value:
        raise ValueError(f"expected a URL such as {_URL}")
    account = _ACCOUNT.search(value)
    secrets = [*([account[1]] if account else []), *_SECRETS.findall(value)]
    if any(secret and not _VARIABLE.fullmatch(secret) for secret in secrets):
        raise ValueError(
            "a password stands in it, and what stands in a config is written down with every run; "
            "put it into an environment variable and write ${ITS_NAME} in its place"
        )
    return value


Share = Annotated[Number, Field(ge=0, le=1)]
Currency = Annotated[str | None, BeforeValidator(_currency)]
Rate = Annotated[Number, Field(gt=0)]
Zone = Annotated[str, BeforeValidator(_zone)]
Moment = Annotated[str, BeforeValidator(_moment)]
Purchases = Annotated[tuple[PurchaseType, ...], BeforeValidator(_purchases), Field(min_length=1)]
Segments = Annotated[tuple[str, ...], BeforeValidator(_segments)]
Url = Annotated[str, BeforeValidator(_without_secret)]

LAGGED = ("returns", "refunds", "reviews")
"""Tables whose events a flat table may tell of without a time."""


def known_encoding(value: object) -> object:
    """A name that Python knows, of an encoding of text."""
    if value is None:
        return None
    try:
        known = isinstance(value, str) and bool("".encode(value) is not None)
    except LookupError:
        known = False
    if not known:
        raise ValueError(f'expected the name of an encoding, such as cp1252, got "{value}"')
    return value


Encoding = Annotated[str | None, BeforeValidator(known_encoding)]


class TableSettings(Section):
    """Where one table lies and how its columns are called there."""

    path: str | None = None
    """Source files: a file, a glob such as exports/orders-*.csv, or a partitioned folder."""
    query: str | None = None
    """Source sql: the SELECT that gives the rows."""
    columns: dict[str, str] = {}
    """Our column name -> the name in the file or query; columns not named keep theirs."""
    constants: dict[str, str | Whole | Number] = {}
    """Columns that are lacking there and that hold one value everywhere."""
    granularity: Literal["instant", "day"] = "instant"
    """day: the file holds dates without a time, and a day is known when it is over."""
    dates: str | tuple[str, ...] | None = None
    """How text writes dates and times, where it is not ISO: %d.%m.%Y, or several formats, of which
    the first that fits a cell reads it. What fits none is quarantined."""
    decimal: written_as.Decimal | None = None
    """The decimal sign of text; the other one, a space or an apostrophe then group thousands."""
    words: dict[str, dict[str, str]] = {}
    """Our column -> a word of the shop -> ours, as in {consumable: {ja: yes, nein: no}}; read
    without regard to case. Other words stay what they are."""

    @field_validator("dates")
    @classmethod
    def _formats_that_are_read(
        cls, dates: str | tuple[str, ...] | None
    ) -> str | tuple[str, ...] | None:
        if wrong := written_as.problem(written_as.written_as(dates, None).dates):
            raise ValueError(wrong)
        return dates

    @property
    def written(self) -> written_as.WrittenAs:
        """How dates, decimals and words are written."""
        return written_as.written_as(self.dates, self.decimal, self.words)


class DataSettings(Section):
    """Where the events come from and how they are read."""

    source: str
    """A name on the sources shelf: online_retail, files ..."""
    path: str | None = None
    """What the source reads; null: the copy that ships, where there is one. Source files: a folder
    with a file per table, each named after its table."""
    url: Url | None = None
    """Source sql: an SQLAlchemy URL; ${NAME} stands for an environment variable."""
    tables: dict[str, TableSettings] = {}
    """The tables of the sources `files`, `sql` and `flat`, by name."""
    encoding: Encoding = None
    """That of CSV files that are no UTF-8: cp1252, as spreadsheets write; null: refuse them."""
    timezone: Zone = "UTC"
    """The business zone: days, weekdays and seasons are those of its clock."""
    currency: Currency = None
    """The one currency of the log; null: whatever the currency column holds."""
    rates: dict[str, Rate] = {}
    """Currency -> what one unit is in data.currency, as in {USD: 0.92}; its money is converted."""
    purchases: Purchases = purchase_types.DEFAULT
    """Types of orders that make a purchase: one_off, subscription. Exchanges, replacements and free
    goods never do; a subscription that is none still fills the house."""
    exclude: dict[str, ExcludeRule] = {}
    """Name of a rule -> rows to leave out, counted in the report: a table, a column of it, and
    values, above or below. order_lines takes the order along, customers the customer."""
    segments: Segments = ()
    """Further columns of text of the table customers, such as loyalty_tier and plan, that become
    features as its region does."""
    known_lag: dict[str, Lag] = {}
    """Table -> days after which an event was known, where the table does not say."""
    lags: dict[str, Lag] = {}
    """Flat table: returns, refunds, reviews -> days after the delivery, or after the order where no
    delivery is known, at which these happened where the table does not say when."""
    until: Moment | None = None
    """Pretend that the log ends there: a date (00:00 in the zone) or an instant."""
    keep_months: Count | None = None
    """Drop older events at load, counted in the report; null keeps everything."""
    max_quarantined: Share | dict[str, Share] = MOST_QUARANTINED
    """Share of unusable rows above which loading fails: of every table, or by table, as in
    {order_lines: 0.3}; tables that are not named then have 0.05."""
    max_staleness: Lag = 2
    """How old the last event of a table may be at the cutoff when scoring."""

    @field_validator("max_quarantined")
    @classmethod
    def _only_of_tables(
        cls, shares: float | dict[str, float], info: ValidationInfo
    ) -> float | dict[str, float]:
        for name in shares if isinstance(shares, dict) else ():
            check_table(name, info)
        return shares

    @field_validator("rates")
    @classmethod
    def _rates_into_the_currency(
        cls, rates: dict[str, float], info: ValidationInfo
    ) -> dict[str, float]:
        known = "currency" in info.data  # absent where it was wrong itself
        if known and (wrong := stated_rates.problem(rates, info.data["currency"])):
            raise ValueError(wrong)
        return rates

    @field_validator("exclude")
    @classmethod
    def _rules_that_can_be_shown(cls, rules: dict[str, ExcludeRule]) -> dict[str, ExcludeRule]:
        exclude_rule.check_names(rules)
        return rules

    @field_validator("lags")
    @classmethod
    def _only_where_a_time_may_lack(cls, lags: dict[str, int]) -> dict[str, int]:
        if strange := sorted(set(lags) - set(LAGGED)):
            raise ValueError(f'expected {", ".join(LAGGED)}, got "{strange[0]}"')
        return lags

    @model_validator(mode="after")
    def _the_flat_table_has_one_place(self) -> Self:
        stated = self.tables.get("flat")
        mapped = stated.path if stated else None
        if self.source == "flat" and (self.path is None) == (mapped is None):
            raise ValueError(
                "source flat needs the path of its table: data.path, or data.tables.flat.path "
                "where columns have other names"
            )
        return self

    @model_validator(mode="after")
    def _tables_have_a_place(self) -> Self:
        place = {"files": "path", "sql": "query"}.get(self.source)
        if place is None:
            return self
        if self.source == "files" and self.path is not None:
            return self  # its files say which tables there are
        if self.source == "sql" and not self.url:
            raise ValueError(f"source sql needs data.url, such as {_URL}")
        folder = "data.path, a folder with a file per table, or "
        either = folder if self.source == "files" else ""
        for name in ("order_lines", *self.tables):
            table = self.tables.get(name)
            if table is None or getattr(table, place) is None:
                raise ValueError(
                    f"source {self.source} needs {either}data.tables.{name} with a {place}"
                )
        return self
