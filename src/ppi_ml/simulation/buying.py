"""When customers buy: trip after trip, all customers of a block at a time.

The state of a pair is one number, the level of its appetite at which the house will be empty
(`appetite`). A refill raises it; what the stock is still good for, in days, is its distance from
the level of now. So every run-out is exact, whatever happens between two trips.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ppi_ml.simulation.appetite import Appetite
from ppi_ml.simulation.catalogue import Catalogue
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, opening_hours, whole_seconds
from ppi_ml.simulation.households import Draw, Households
from ppi_ml.simulation.shop import Shop

_THREE = 1 / 3  # of the refills of several packs, those of three
_PARCEL_SHAPE = 4.0  # of the Gamma that a parcel's days follow: half of the mean is one deviation


@dataclass(frozen=True)
class Refills:
    """What the pairs bought, here and elsewhere; all (r,), sorted by pair, then time (days).

    `opened`: when the older stock was used up, or on arrival if there was none. `empty`: when the
    house is empty if nothing arrives after this refill and consumption goes on.
    """

    pair: IntArray
    ordered: FloatArray
    arrived: FloatArray
    opened: FloatArray
    empty: FloatArray
    packs: IntArray
    elsewhere: BoolArray
    promoted: BoolArray

    @classmethod
    def together(cls, rounds: list[Refills]) -> Refills:
        """Rounds in the order of time as one."""
        columns = {
            field.name: np.concatenate([getattr(one, field.name) for one in rounds])
            for field in fields(cls)
        }
        order = np.argsort(columns["pair"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})


class Block:
    """The houses of a block of customers while they fill and empty."""

    def __init__(
        self, shop: Shop, catalogue: Catalogue, homes: Households, appetite: Appetite, draw: Draw
    ) -> None:
        self.shop, self.catalogue, self.homes, self.appetite = shop, catalogue, homes, appetite
        self.trips, self.choices, self.parcels = draw("trips"), draw("purchases"), draw("parcels")
        pairs = len(homes.customer)
        self.stops = np.minimum(homes.stops, appetite.days)
        self.filled = appetite.level(np.arange(pairs), np.zeros(pairs))
        self.empty = np.zeros(pairs)  # the time of that level
        self.arrives = np.zeros(pairs)  # of the last refill; later than now, it is on its way

    def buy(self) -> Refills:
        """All trips of all customers until they leave or the simulated time is over."""
        ends = np.minimum(self.homes.leaves, self.appetite.days)
        clock = self.homes.joined + self.homes.trip_days * self.trips.random(len(ends))
        rounds = [self._round(opening_hours(clock))]
        while (clock < ends).any():
            shape = self.shop.trip_regularity
            gap = self.trips.standard_gamma(shape, len(ends)) / shape
            clock = clock + self.homes.trip_days * gap
            rounds.append(self._round(opening_hours(clock)))
        return Refills.together(rounds)

    def _round(self, trip: FloatArray) -> Refills:
        """One trip of every customer, at its time `trip` (n,)."""
        homes = self.homes
        luck = self.choices.random((5, len(homes.customer)))  # the same however many are asked
        parcel = self.parcels.standard_gamma(_PARCEL_SHAPE, len(trip)) / _PARCEL_SHAPE
        time = trip[homes.customer]
        asked = np.flatnonzero(
            (homes.starts <= time) & (time < self.stops) & (self.arrives <= time)
        )
        here, elsewhere, promoted = self._decide(asked, time[asked], luck[:, asked])
        bought = here | elsewhere
        pair, elsewhere, promoted = asked[bought], elsewhere[bought], promoted[bought]
        days = np.where(elsewhere, 0.0, self.shop.delivery_days * parcel[homes.customer[pair]])
        packs = self._packs(luck[3:, pair], promoted)
        arrived = whole_seconds(time[pair] + days)
        return self._fill(pair, time[pair], arrived, packs, elsewhere, promoted)

    def _decide(
        self, pair: IntArray, time: FloatArray, luck: FloatArray
    ) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Which pairs are bought here, which elsewhere, and which are on promotion here."""
        shop, homes = self.shop, self.homes
        product = homes.product[pair]
        out = self.catalogue.stock_outs.hold(product, time)
        promotion = self.catalogue.promotions.hold(product, time) & ~out
        looks = luck[0] < shop.consumption_drives
        cover = np.maximum(self.filled[pair] - self.appetite.level(pair, time), 0.0)
        lead = homes.lead_days[homes.customer[pair]] + shop.delivery_days
        # an empty house always counts as too little, also for those who never plan ahead
        low = looks & ((cover < lead) | (cover == 0.0))
        early = looks & ~low & promotion & (cover < lead + shop.promotion_early_days)
        needed = homes.trip_days[homes.customer[pair]] / (homes.pack_days[pair] * _mean_packs(shop))
        usual = low | (~looks & (luck[1] < needed))
        elsewhere = usual & (luck[2] < shop.other_shops)
        here = (usual | early) & ~elsewhere & ~out
        return here, elsewhere, promotion & here

    def _packs(self, luck: FloatArray, promoted: BoolArray) -> IntArray:
        """How many packs: one, or by choice or promotion two, or three a third of the time."""
        choice, extra = self.shop.pack_choice, self.shop.promotion_extra
        several = luck[0] < np.where(promoted, choice + extra - choice * extra, choice)
        return np.asarray(1 + several.astype(np.int64) + (several & (luck[1] < _THREE)))

    def _fill(
        self, pair: IntArray, ordered: FloatArray, arrived: FloatArray, packs: IntArray,
        elsewhere: BoolArray, promoted: BoolArray,
    ) -> Refills:  # fmt: skip
        # summed in levels: the way back from times would lose digits with every refill
        level = self.appetite.level(pair, arrived)
        opened = np.where(level < self.filled[pair], self.empty[pair], arrived)
        self.filled[pair] = (
            np.maximum(level, self.filled[pair]) + packs * self.homes.pack_days[pair]
        )
        self.empty[pair] = empty = self.appetite.reached(pair, self.filled[pair])
        self.arrives[pair] = arrived
        return Refills(pair, ordered, arrived, opened, empty, packs, elsewhere, promoted)


@dataclass(frozen=True)
class Balance:
    """The amounts of every pair (p,) at the end of the simulated time."""

    bought_here: FloatArray
    bought_elsewhere: FloatArray
    consumed: FloatArray
    in_house: FloatArray
    on_the_way: FloatArray


def balance(homes: Households, appetite: Appetite, refills: Refills) -> Balance:
    """What became of everything that was bought.

    Consumption is summed over refills; what is in the house is read off the last of them. So the
    one does not follow from the other.
    """
    pairs, at = len(homes.customer), refills.pair
    end = float(appetite.days)
    stops = np.minimum(homes.stops, end)

    def summed(days: FloatArray) -> FloatArray:
        return np.bincount(at, weights=days, minlength=pairs) * homes.rate

    amount = refills.packs * homes.pack_days[at]  # in days at the mean rate, like levels
    until = appetite.level(at, np.minimum(refills.empty, stops[at]))
    since = appetite.level(at, np.minimum(refills.opened, stops[at]))
    in_time = refills.arrived < stops[at]
    empty = np.zeros(pairs)
    np.maximum.at(empty, at[in_time], refills.empty[in_time])
    alive = np.arange(pairs)
    left = appetite.level(alive, np.maximum(empty, stops)) - appetite.level(alive, stops)
    untouched = ~in_time & (refills.arrived < end)
    return Balance(
        bought_here=summed(amount * ~refills.elsewhere),
        bought_elsewhere=summed(amount * refills.elsewhere),
        consumed=summed(until - since),
        in_house=left * homes.rate + summed(amount * untouched),
        on_the_way=summed(amount * (refills.arrived >= end)),
    )


def _mean_packs(shop: Shop) -> float:
    return 1 + shop.pack_choice * (1 + _THREE)
