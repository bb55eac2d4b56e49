"""What people call the rows: customers, pairs, orders or lines. Every text for people asks here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ppi_ml.entities import CUSTOMER, LINE, ORDER, PAIR, PRODUCT


@dataclass(frozen=True)
class Noun:
    """The words for the rows of one entity.

    `one` and `many` name them; `meaning` says what one is, empty where that needs no saying;
    `everybody` are all of them with a past. The others say whether the next purchase came: `back`
    and `away` of one to which it did or did not, `go_back` and `did` of several.
    """

    one: str
    many: str
    meaning: str = ""
    everybody: str = "Everybody with a past"
    back: str = "who came back"
    away: str = "who stayed away"
    go_back: str = "who come back"
    did: str = "who did"

    @property
    def a(self) -> str:
        """One of them, with its article."""
        return f"{'an' if self.one[0] in 'aeiou' else 'a'} {self.one}"


NOUNS: Mapping[str, Noun] = {
    CUSTOMER: Noun("customer", "customers"),
    PAIR: Noun(
        one="pair",
        many="pairs",
        meaning="A pair is a customer and a product that the customer buys.",
        everybody="All pairs with a past",
        back="that was bought again",
        away="that was not bought again",
        go_back="that are bought again",
        did="that were",
    ),
    ORDER: Noun("order", "orders", "A row is an order at a moment at which it is asked about."),
    LINE: Noun(
        "order line", "order lines",
        "A row is a line of an order at a moment at which it is asked about.",
    ),
}  # fmt: skip
"""Name of an entity -> its noun."""


def noun_of_keys(keys: Collection[str]) -> Noun:
    """The noun of customers, or of pairs where the keys that tell rows apart name a product."""
    return NOUNS[PAIR if PRODUCT in keys else CUSTOMER]
