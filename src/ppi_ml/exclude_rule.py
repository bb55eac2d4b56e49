"""A rule that leaves rows out of the log: which table, which column, which cells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, Strict, ValidationInfo, field_validator, model_validator

from ppi_ml.section import Number, Section, Whole, check_table

Word = Annotated[str, Strict()] | Annotated[bool, Strict()] | Whole | Number
_LONGEST_NAME = 60
_NAME = re.compile(rf"\w[\w -]{{0,{_LONGEST_NAME - 1}}}")
_REFUSED = {
    "flat": "a row of a flat table is an order line; say table: order_lines",
    "cancellations": "without its cancellation an order that was called off would be a purchase; "
    "leave out the order, by a column of order_lines",
    "consents": "a denial is never left out; leave out the customer, by a column of customers",
}


class ExcludeRule(Section):
    """Rows to leave out: by a cell that is one of some words, or a number beyond a bound."""

    table: str
    """order_lines: the whole order goes; customers: the customer; else the row alone."""
    column: str
    """A column of that table as it is read, whether the log knows it or not."""
    values: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    """Words, compared without regard to case; of a cell that lists several, one is enough."""
    above: Number | None = None
    """Cells above this number."""
    below: Number | None = None
    """Cells below this number."""

    @field_validator("table")
    @classmethod
    def _that_may_be_named(cls, name: str, info: ValidationInfo) -> str:
        if why := _REFUSED.get(name):
            raise ValueError(f"{name}: {why}")
        check_table(name, info)
        return name

    @field_validator("values")
    @classmethod
    def _that_say_something(cls, words: tuple[Word, ...] | None) -> tuple[Word, ...] | None:
        if words is not None and not all(str(word).strip() for word in words):
            raise ValueError("expected words; an empty cell is never matched")
        return words

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        given = [name for name in ("values", "above", "below") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"expected values, above or below, got {found}; make a rule of each")
        return self


def check_names(rules: Iterable[str]) -> None:
    """`ValueError` for a name of a rule that a report or a record of runs could not show."""
    for name in rules:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f'expected names such as "test orders", of at most {_LONGEST_NAME} letters, '
                f'digits, spaces, - and _, got "{name[:_LONGEST_NAME]}"'
            )
