"""What becomes of orders at the moment they are placed: parcel, mood, returns, and what they do.

All that an order will cause is drawn here, with the times at which it takes hold, so that nothing
acts before it has happened.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ppi_ml.simulation import luck
from ppi_ml.simulation.assortment import Assortment, Baskets
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.calendar import Calendar
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, whole_seconds
from ppi_ml.simulation.lanes import Lanes
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.people import MOST_LAPSE, People

RETURN_DAYS = 9.0
"""Mean days from a delivery to the request to send something back."""
_CANCELLED_WITHIN = 0.25  # days: before anything is sent


@dataclass(frozen=True)
class Orders:
    """Orders, all (n,); times in days since the start, inf is never.

    `customer` is the row of the customer in its block, `number` that of the order among the
    customer's, from 1 on. `promotion` is the spell whose code was used, -1 none. `due` is the
    midnight after the promised day. `mood` is what the customer thinks of the order, in stars above
    average, not counting lateness. `wanted` is the exponential amount of hazard after which the
    next order comes. `stretch` is how much longer the wait is from its start, `slowed` from `due`
    on. `lapse_chance` and `lapses`: whether, and from when on, no order follows any more; an order
    that comes before undoes it.
    """

    keys: Keys
    customer: IntArray
    number: IntArray
    ordered: FloatArray
    promotion: IntArray
    units: IntArray
    first_product: IntArray
    cancelled: FloatArray
    carrier: IntArray
    express: BoolArray
    shipped: FloatArray
    due: FloatArray
    arrived: FloatArray
    late: BoolArray
    lost: BoolArray
    late_chance: FloatArray
    mood: FloatArray
    poor: BoolArray
    returned: BoolArray
    wanted: FloatArray
    stretch: FloatArray
    slowed: FloatArray
    lapse_chance: FloatArray
    lapses: FloatArray

    def __len__(self) -> int:
        return len(self.customer)


@dataclass(frozen=True)
class Lines:
    """The lines of orders, all (l,): row of the order, number in it, product, units.

    And when (inf: never) how many of them are sent back.
    """

    order: IntArray
    line: IntArray
    product: IntArray
    quantity: IntArray
    sent_back: FloatArray
    units_back: IntArray


@dataclass(frozen=True)
class Fates:
    """What decides over orders."""

    brand: Brand
    calendar: Calendar
    assortment: Assortment
    lanes: Lanes
    people: People

    def of(self, customer: IntArray, number: IntArray, ordered: FloatArray) -> tuple[Orders, Lines]:
        """The fate of orders: rows of their customers, their numbers and times; all (n,)."""
        brand, keys = self.brand, luck.below(self.people.keys[customer], "order", number)
        day = ordered.astype(np.int64)
        baskets = self.assortment.baskets(self.people.keys[customer], keys, ordered)
        n = len(customer)
        units = np.bincount(baskets.order, weights=baskets.quantity, minlength=n)
        first = baskets.product[np.searchsorted(baskets.order, np.arange(n))]
        spell = self.calendar.promotion[day]
        promotion = np.where(luck.uniform(keys, "code") < brand.promotion_use, spell, -1)

        called_off = luck.uniform(keys, "cancelled") < brand.cancelled
        within = _CANCELLED_WITHIN * luck.uniform(keys, "cancelled when")
        cancelled = np.where(called_off, whole_seconds(ordered + within), np.inf)
        region, december = self.people.region[customer], self.calendar.december[day]
        parcel = self.lanes.send(keys, ordered, region, december)
        sent = ~called_off
        late, lost = parcel.late & sent, parcel.lost & sent
        arrived = np.where(sent, parcel.arrived, np.inf)

        luck_of_mood = brand.mood_spread * luck.normal(keys, "mood")
        mood = self.assortment.quality[first] + luck_of_mood
        poor = (mood < -1) & np.isfinite(arrived)
        sent_back, units_back = self._returns(keys, baskets, arrived)
        back = np.full(n, np.inf)
        np.minimum.at(back, baskets.order, sent_back)
        chance, lapses = self._lapses(keys, customer, ordered, {
            "late": (late, parcel.due, brand.late_lapse),
            "poor": (poor, arrived, brand.poor_lapse),
            "returned": (np.isfinite(back), back, brand.return_lapse),
        })  # fmt: skip

        longer = brand.late_wait + brand.late_wait_first * (number == 1)
        stretch = (units / self.assortment.usual_units) ** brand.consumption
        orders = Orders(
            keys=keys, customer=customer, number=number, ordered=ordered,
            promotion=promotion, units=units.astype(np.int64), first_product=first,
            cancelled=cancelled, carrier=parcel.carrier, express=parcel.express,
            shipped=np.where(sent, parcel.shipped, np.inf),
            due=np.where(sent, parcel.due, np.inf), arrived=arrived, late=late, lost=lost,
            late_chance=parcel.chance, mood=mood, poor=poor, returned=np.isfinite(back),
            wanted=luck.exponential(keys, "wait"),
            stretch=stretch * np.where(promotion >= 0, 1 + brand.promotion_wait, 1.0),
            slowed=np.where(late, 1 + longer, 1.0), lapse_chance=chance, lapses=lapses,
        )  # fmt: skip
        lines = Lines(
            baskets.order, baskets.line, baskets.product, baskets.quantity, sent_back, units_back
        )
        return orders, lines

    def _returns(
        self, order_keys: Keys, baskets: Baskets, arrived: FloatArray
    ) -> tuple[FloatArray, IntArray]:
        """When each line is sent back (inf: never), and how many units of it."""
        keys = luck.below(order_keys[baskets.order], "line", baskets.line - 1)
        goes = luck.uniform(keys, "returned") < self.assortment.returned[baskets.product]
        wait = RETURN_DAYS * luck.exponential(keys, "returned when")
        when = np.where(goes, whole_seconds(arrived[baskets.order] + wait), np.inf)
        units = 1 + np.floor(baskets.quantity * luck.uniform(keys, "returned units"))
        return when, units.astype(np.int64)

    def _lapses(
        self,
        keys: Keys,
        customer: IntArray,
        ordered: FloatArray,
        causes: dict[str, tuple[BoolArray, FloatArray, float]],
    ) -> tuple[FloatArray, FloatArray]:
        """The chance of a lapse, and from when on there is one (inf: none).

        The chance is that of the customer times 1 + the sum of the shares by which the causes raise
        it. A lapse that a cause brings begins with the cause: (whether, when, share).
        """
        own = self.people.lapse[customer]
        drawn, chance = luck.uniform(keys, "lapse"), own
        lapses = np.where(drawn < own, ordered, np.inf)
        for holds, when, share in causes.values():
            raised = np.minimum(chance + own * share * holds, MOST_LAPSE)
            lapses = np.where((drawn >= chance) & (drawn < raised), when, lapses)
            chance = raised
        return np.asarray(chance), lapses


def together(parts: list[tuple[Orders, Lines]]) -> tuple[Orders, Lines]:
    """Parts in the order of time as one; rows of orders are counted through."""
    shift = np.cumsum([0, *(len(orders) for orders, _ in parts)])
    moved = [
        Lines(lines.order + by, *(getattr(lines, field.name) for field in fields(Lines)[1:]))
        for (_, lines), by in zip(parts, shift, strict=False)
    ]
    orders = {
        field.name: np.concatenate([getattr(one, field.name) for one, _ in parts])
        for field in fields(Orders)
    }
    lines = {
        field.name: np.concatenate([getattr(one, field.name) for one in moved])
        for field in fields(Lines)
    }
    return Orders(**orders), Lines(**lines)
