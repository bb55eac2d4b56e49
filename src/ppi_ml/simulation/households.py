"""Who lives in the houses: customers with their habits, and the pairs that they consume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ppi_ml.simulation.catalogue import Catalogue
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray
from ppi_ml.simulation.shop import Shop

Draw = Callable[[str], np.random.Generator]
"""The name of a part -> its random numbers in this block of customers."""

_YEAR = 365.0


@dataclass(frozen=True)
class Households:
    """A block of n customers who consume p pairs; times in days since the start, inf is never.

    Per customer (n,): `joined`, `leaves`, `trip_days` (mean days between trips) and `lead_days`
    (the cover below which a product is bought). Per pair (p,), sorted by customer: `customer` (its
    number in the block), `product`, `rate` (amount a day), `pack_days` (days that one pack lasts at
    that rate), `starts`, `lapses`, whether the customer `scans` each refill, and whether a device
    reads what is used (`metered`).
    """

    joined: FloatArray
    leaves: FloatArray
    trip_days: FloatArray
    lead_days: FloatArray
    customer: IntArray
    product: IntArray
    rate: FloatArray
    pack_days: FloatArray
    starts: FloatArray
    lapses: FloatArray
    scans: BoolArray
    metered: BoolArray

    @property
    def stops(self) -> FloatArray:
        """When consumption and purchases of a pair end (p,): it lapses, or the customer leaves."""
        return np.minimum(self.lapses, self.leaves[self.customer])


def move_in(shop: Shop, catalogue: Catalogue, days: int, customers: int, draw: Draw) -> Households:
    """Draw a block of so many customers and their pairs."""
    people, pairs = draw("customers"), draw("pairs")
    joined = shop.joining * days * people.random(customers)
    factor = np.exp(shop.customer_spread * people.standard_normal(customers))
    trips = shop.trip_days * np.exp(shop.trip_spread * people.standard_normal(customers))
    lead = shop.lead_days * np.exp(shop.lead_spread * people.standard_normal(customers))
    leaves = joined + _waits(people.standard_exponential(customers), shop.leave_per_year)

    customer, product, is_first = _choose(shop, catalogue, customers, draw("choices"))
    p = len(customer)
    rate = catalogue.rate[product] * factor[customer]
    rate *= np.exp(shop.pair_spread * pairs.standard_normal(p))
    later = shop.adoption_days * pairs.standard_exponential(p)
    starts = joined[customer] + np.where(is_first, 0.0, later)
    return Households(
        joined=joined,
        leaves=leaves,
        trip_days=trips,
        lead_days=lead,
        customer=customer,
        product=product,
        rate=rate,
        pack_days=catalogue.unit_size[product] / rate,
        starts=starts,
        lapses=starts + _waits(pairs.standard_exponential(p), shop.lapse_per_year),
        scans=pairs.random(p) < shop.usage,
        metered=draw("devices").random(p) < shop.telemetry,
    )


def _choose(
    shop: Shop, catalogue: Catalogue, customers: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, BoolArray]:
    """Customer and product of every pair, and whether it is the customer's first; all (p,).

    The largest of popularity plus Gumbel noise are a weighted draw without replacement (Efraimidis
    and Spirakis, 2006, in logarithms).
    """
    count = 1 + rng.poisson(shop.products_each - 1, customers)
    most = min(int(count.max()), len(catalogue))
    appeal = -(catalogue.popularity + rng.gumbel(size=(customers, len(catalogue))))
    best = np.argpartition(appeal, most - 1, axis=1)[:, :most]
    order = np.take_along_axis(appeal, best, axis=1).argsort(axis=1)
    customer, place = np.nonzero(np.arange(most) < count[:, np.newaxis])
    product = np.take_along_axis(best, order, axis=1)[customer, place]
    return customer, product, place == 0


def _waits(exponential: FloatArray, per_year: float) -> FloatArray:
    return exponential * _YEAR / per_year if per_year else np.full(len(exponential), np.inf)
