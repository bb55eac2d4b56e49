"""What the shop sells: packs, rates and prices, and the spells of promotion and of stock-out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ppi_ml.simulation.clock import DAY_SECONDS, BoolArray, FloatArray, IntArray, stream
from ppi_ml.simulation.shop import Shop

KINDS = (
    ("coffee", "g", 500.0), ("detergent", "ml", 1500.0), ("shampoo", "ml", 300.0),
    ("bath tissue", "rolls", 12.0), ("diapers", "pieces", 40.0), ("cat food", "g", 1500.0),
    ("toothpaste", "ml", 100.0), ("vitamins", "pieces", 60.0), ("tea", "pieces", 50.0),
    ("face cream", "ml", 50.0), ("dish soap", "ml", 750.0), ("protein", "g", 1000.0),
)  # fmt: skip
"""Category, unit of measure and usual amount of a pack; further categories repeat them."""

_SIZES = np.array([0.5, 1.0, 1.0, 2.0])  # packs of one category differ in size, most are usual
_BRANDS = 5
_POPULARITY_SPREAD = 0.8
_USUAL_PRICE, _PRICE_SPREAD, _BULK = 8.0, 0.4, 0.9  # money; a pack twice as large costs 2**0.9


@dataclass(frozen=True)
class Spells:
    """When something holds for a product: [start, end) in days, none overlapping, all (k,).

    Sorted by (product, start); `reach` is later than any start.
    """

    product: IntArray
    start: FloatArray
    end: FloatArray
    reach: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, products: int, days: int, share: float, length: float,
        *, regular: bool,
    ) -> Spells:  # fmt: skip
        """Spells that cover a share of the time; as long as said, or that long on average.

        The time between two spells is exponential. Times are whole seconds.
        """
        between = length * (1 - share) / share if share else np.inf
        last = days * DAY_SECONDS
        free = np.full(products, 0 if share else last, dtype=np.int64)
        starts, ends = [free[:0]], [free[:0]]
        whose = [free[:0]]
        while (free < last).any():
            start = free + _seconds(between * rng.standard_exponential(products))
            shape = np.ones(products) if regular else rng.standard_exponential(products)
            free = start + _seconds(length * shape)
            inside = np.flatnonzero(start < last)
            whose.append(inside)
            starts.append(start[inside])
            ends.append(free[inside])
        product, start, end = (np.concatenate(rounds) for rounds in (whose, starts, ends))
        order = np.argsort(product, kind="stable")
        return cls(product[order], start[order] / DAY_SECONDS, end[order] / DAY_SECONDS, days + 1.0)

    def hold(self, product: IntArray, time: FloatArray) -> BoolArray:
        """Whether a spell of the product holds at a time inside the period; all (n,)."""
        if not len(self.product):
            return np.zeros(len(product), dtype=np.bool_)
        begun = np.searchsorted(self._starts, product * self.reach + time, side="right")
        last = np.maximum(begun - 1, 0)
        inside = (self.product[last] == product) & (time < self.end[last])
        return np.asarray((begun > 0) & inside)

    @cached_property
    def _starts(self) -> FloatArray:
        """The starts of all products on one line, each product's time after that of the last."""
        return self.product * self.reach + self.start


@dataclass(frozen=True)
class Catalogue:
    """The products, all (k,): category number, brand number, amount of a pack, price of a pack.

    `rate` is what the middle household consumes a day, in the unit of the category; `popularity`
    how often a product is chosen, as a natural logarithm.
    """

    category: IntArray
    brand: IntArray
    unit_size: FloatArray
    price: FloatArray
    rate: FloatArray
    popularity: FloatArray
    promotions: Spells
    stock_outs: Spells

    def __len__(self) -> int:
        return len(self.category)


def stock_the_shelves(shop: Shop, days: int, seed: int) -> Catalogue:
    """Draw the products of a shop, and their spells over so many days.

    Products of one category are consumed at similar rates whatever their size, so that a pack
    twice as large lasts twice as long.
    """
    rng = stream(seed, "catalogue")
    categories, each = shop.categories, shop.products_per_category
    n = categories * each
    category = np.repeat(np.arange(categories), each)
    usual = np.array([KINDS[k % len(KINDS)][2] for k in range(categories)])
    pack_days = shop.pack_days * np.exp(shop.category_spread * rng.standard_normal(categories))
    size = _SIZES[rng.integers(0, len(_SIZES), n)]
    usual_price = _USUAL_PRICE * np.exp(_PRICE_SPREAD * rng.standard_normal(categories))
    return Catalogue(
        category=category,
        brand=rng.integers(0, _BRANDS, n),
        unit_size=usual[category] * size,
        price=np.maximum(np.round(usual_price[category] * size**_BULK, 2), 0.01),
        rate=(usual / pack_days)[category]
        * np.exp(shop.product_spread * rng.standard_normal(n)),
        popularity=_POPULARITY_SPREAD * rng.standard_normal(n),
        promotions=Spells.draw(
            stream(seed, "promotions"), n, days, shop.promotions, shop.promotion_days, regular=True
        ),
        stock_outs=Spells.draw(
            stream(seed, "stock-outs"), n, days, shop.stock_outs, shop.stock_out_days,
            regular=False,
        ),
    )  # fmt: skip


def _seconds(days: FloatArray) -> IntArray:
    """Whole seconds, at least one: no spell is empty, and no two touch."""
    return np.maximum(np.round(days * DAY_SECONDS), 1).astype(np.int64)
