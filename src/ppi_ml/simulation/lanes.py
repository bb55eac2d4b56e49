"""How parcels travel: carriers, regions, promises, and how likely each of them is to be late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppi_ml.simulation import luck
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, opening_hours
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.people import REGIONS, spread_chance

CARRIERS = ("swift", "parcelo", "blue")
_CARRIER_WEIGHTS = np.array([0.5, 0.3, 0.2])
_PROMISED_DAYS = np.array([3, 4, 4, 4, 4, 5, 5, 6])  # by region
_EXPRESS_SHARE, _EXPRESS_DAYS = 0.15, 1
_HANDLING, _HANDLING_SPREAD = 0.3, 1.2  # days from order to shipment, evenly
_EARLIEST, _LATEST = 0.3, 0.95  # of the time to the promise, when a punctual parcel arrives


@dataclass(frozen=True)
class Parcels:
    """The parcels of n orders, all (n,); times in days since the start, inf is never.

    `due` is the midnight after the promised day: who has nothing by then waits for a late parcel.
    `chance` is how likely it was to be late.
    """

    carrier: IntArray
    express: BoolArray
    shipped: FloatArray
    due: FloatArray
    arrived: FloatArray
    late: BoolArray
    lost: BoolArray
    chance: FloatArray


@dataclass(frozen=True)
class Lanes:
    """Log-odds of a late parcel beyond the middle lane: `region` (8,), `carrier` (3,)."""

    brand: Brand
    region: FloatArray
    carrier: FloatArray

    @classmethod
    def of(cls, brand: Brand, seed: int) -> Lanes:
        """The lanes of a brand."""
        region = luck.normal(luck.keys(seed, "regions", np.arange(len(REGIONS))), "late")
        carrier = luck.normal(luck.keys(seed, "carriers", np.arange(len(CARRIERS))), "late")
        return cls(brand, brand.lane_spread * region, brand.carrier_spread * carrier)

    def chance(self, region: IntArray, carrier: IntArray, december: BoolArray) -> FloatArray:
        """How likely a parcel is late; all (n,)."""
        usual = np.full(len(region), self.brand.late_share)
        december_odds = np.log1p(self.brand.december_late)
        odds = self.region[region] + self.carrier[carrier] + december_odds * december
        return spread_chance(usual, 1.0, odds)

    def send(
        self, keys: Keys, ordered: FloatArray, region: IntArray, december: BoolArray
    ) -> Parcels:
        """The parcels of orders: their keys, times and regions, and whether it is December."""
        carrier = luck.chosen(keys, "carrier", _CARRIER_WEIGHTS)
        express = luck.uniform(keys, "express") < _EXPRESS_SHARE
        promised = _PROMISED_DAYS[region] - np.where(express, _EXPRESS_DAYS, 0)
        shipped = ordered + _HANDLING + _HANDLING_SPREAD * luck.uniform(keys, "handling")
        due = np.floor(ordered) + promised + 1.0
        chance = self.chance(region, carrier, december)
        late = luck.uniform(keys, "late") < chance
        lost = late & (luck.uniform(keys, "lost") < self.brand.lost)
        way = _EARLIEST + (_LATEST - _EARLIEST) * luck.uniform(keys, "way")
        delay = self.brand.late_days * luck.exponential(keys, "delay")
        arrived = np.where(late, due + delay, shipped + way * (due - shipped))
        return Parcels(
            carrier=carrier,
            express=express,
            shipped=opening_hours(shipped),
            due=due,
            arrived=np.where(lost, np.inf, opening_hours(arrived)),
            late=late,
            lost=lost,
            chance=chance,
        )
