"""What a brand sells, what customers think of it, and what goes into a basket."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppi_ml.simulation import luck
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.catalogue import Catalogue, Spells, stock_the_shelves
from ppi_ml.simulation.clock import FloatArray, IntArray
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.people import spread_chance
from ppi_ml.simulation.shop import Shop

MOST_LINES = 9
_FAVOURITES = 3
_QUANTITIES = np.array([0.0, 0.7, 0.22, 0.06, 0.02])  # shares of 0, 1, 2 ... units of a line


@dataclass(frozen=True)
class Baskets:
    """The lines of n orders, all (l,), sorted by order and line.

    Row of the order, number of the line in it (from 1 on), product, and units.
    """

    order: IntArray
    line: IntArray
    product: IntArray
    quantity: IntArray


@dataclass(frozen=True)
class Assortment:
    """The catalogue, and what is true of its products, all (k,).

    `quality`: stars above the average product; `returned`: share of the lines that are sent back;
    `weights`: how often it is chosen.
    """

    brand: Brand
    catalogue: Catalogue
    quality: FloatArray
    returned: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, brand: Brand, days: int, seed: int) -> Assortment:
        """Draw what a brand sells over so many days."""
        shop = Shop(
            categories=brand.categories,
            products_per_category=brand.products_per_category,
            stock_outs=brand.stock_outs,
            stock_out_days=brand.stock_out_days,
            promotions=0.0,
        )
        catalogue = stock_the_shelves(shop, days, seed)
        catalogue = replace(catalogue, stock_outs=_never_of_the_first(catalogue.stock_outs))
        keys = luck.keys(seed, "products", np.arange(len(catalogue)))
        usual = np.full(len(catalogue), brand.returned)
        return cls(
            brand,
            catalogue,
            quality=brand.quality_spread * luck.normal(keys, "quality"),
            returned=spread_chance(usual, brand.return_spread, luck.normal(keys, "returned")),
            weights=np.exp(catalogue.popularity),
        )

    @property
    def usual_units(self) -> float:
        """Mean units of an order."""
        return self.brand.lines_each * float(_QUANTITIES @ np.arange(len(_QUANTITIES)))

    def baskets(self, customer: Keys, order: Keys, time: FloatArray) -> Baskets:
        """What orders hold: the keys of customer and order, and when it was ordered; all (n,)."""
        lines = np.minimum(1 + luck.poisson(order, "lines", self.brand.lines_each - 1), MOST_LINES)
        row = np.repeat(np.arange(len(order)), lines)
        number = np.arange(len(row)) - np.repeat(np.cumsum(lines) - lines, lines)
        keys = luck.below(order[row], "line", number)
        slot = np.floor(_FAVOURITES * luck.uniform(keys, "favourite")).astype(np.int64)
        favourite = luck.chosen(
            luck.below(customer[row], "favourite", slot), "product", self.weights
        )
        other = luck.chosen(keys, "product", self.weights)
        product = np.where(luck.uniform(keys, "loyal") < self.brand.loyalty, favourite, other)
        quantity = luck.chosen(keys, "quantity", _QUANTITIES)
        return Baskets(row, number + 1, self._in_stock(product, time[row]), quantity)

    def _in_stock(self, product: IntArray, time: FloatArray) -> IntArray:
        """The products, each that is missing at its time replaced by the next that is there."""
        missing = np.flatnonzero(self.catalogue.stock_outs.hold(product, time))
        while len(missing):
            product[missing] = (product[missing] + 1) % len(self.catalogue)
            still = self.catalogue.stock_outs.hold(product[missing], time[missing])
            missing = missing[still]
        return product


def _never_of_the_first(spells: Spells) -> Spells:
    """The spells without those of product 0, so that there is always something to buy."""
    others = spells.product > 0
    return Spells(spells.product[others], spells.start[others], spells.end[others], spells.reach)
