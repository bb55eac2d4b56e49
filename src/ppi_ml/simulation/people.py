"""The customers of a simulated brand: where they live, how they came, how often they order."""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma

import numpy as np

from ppi_ml.simulation import luck
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, whole_seconds
from ppi_ml.simulation.luck import Keys

SOURCES = ("search", "friends", "social", "influencer", "voucher")
REGIONS = ("capital", "north", "east", "south", "west", "coast", "highlands", "islands")
UNKNOWN = -1
VOUCHER = SOURCES.index("voucher")

_SOURCE_WEIGHTS = np.array([0.35, 0.2, 0.2, 0.1, 0.15])
_REGION_WEIGHTS = np.array([0.25, 0.15, 0.15, 0.15, 0.1, 0.1, 0.06, 0.04])
_NO_SOURCE, _NO_SIGN_UP = 0.05, 0.1  # shares of customers of whom it is not known
_SIGN_UP_DAYS = 5.0


@dataclass(frozen=True)
class People:
    """A block of n customers, all (n,); times in days since the start, inf is never.

    `number` counts all customers; `source` and `region` index `SOURCES` and `REGIONS`, the source
    also where the brand does not know it (`source_known`). `scale` is that of the Weibull law of
    the wait, in days, `lapse` the chance of no further order after an order where nothing else
    raises it. `denies` is when profiling is denied.
    """

    number: IntArray
    keys: Keys
    joined: FloatArray
    signed_up: FloatArray
    region: IntArray
    source: IntArray
    source_known: BoolArray
    wait_days: FloatArray
    scale: FloatArray
    lapse: FloatArray
    holdout: BoolArray
    reports: BoolArray
    denies: FloatArray

    def __len__(self) -> int:
        return len(self.number)


def people(brand: Brand, days: int, seed: int, first: int, count: int) -> People:
    """So many customers from the number `first` on."""
    number = np.arange(first, first + count)
    keys = luck.keys(seed, "customers", number)
    joined = whole_seconds(brand.joining * days * luck.uniform(keys, "joined"))
    joined = np.minimum(joined, days - 0.01)
    signed_up = joined - whole_seconds(_SIGN_UP_DAYS * luck.exponential(keys, "signed up"))
    signed_up[luck.uniform(keys, "sign-up known") < _NO_SIGN_UP] = np.inf
    wait = brand.wait_days * np.exp(brand.wait_spread * luck.normal(keys, "pace"))
    source = luck.chosen(keys, "source", _SOURCE_WEIGHTS)
    lapse = spread_chance(np.full(count, brand.lapse), brand.lapse_spread, luck.normal(keys, "l"))
    lapse = lapse * np.where(source == VOUCHER, 1 + brand.source_lapse, 1.0)
    when = luck.uniform(keys, "denied when")
    later = joined + whole_seconds((days - joined) * when)
    denies = np.where(luck.uniform(keys, "denied at once") < 2 / 3, joined, later)
    denies[luck.uniform(keys, "denied") >= brand.denied] = np.inf
    return People(
        number=number,
        keys=keys,
        joined=joined,
        signed_up=signed_up,
        region=luck.chosen(keys, "region", _REGION_WEIGHTS),
        source=source,
        source_known=luck.uniform(keys, "source known") >= _NO_SOURCE,
        wait_days=wait,
        scale=wait / gamma(1 + 1 / brand.regularity),
        lapse=np.minimum(lapse, MOST_LAPSE),
        holdout=luck.uniform(keys, "holdout") < brand.holdout,
        reports=luck.uniform(keys, "reports") < brand.usage,
        denies=denies,
    )


MOST_LAPSE = 0.95
"""The chance of a lapse is held below this, whatever raises it."""


def spread_chance(chance: FloatArray, spread: float, normal: FloatArray) -> FloatArray:
    """Chances moved on the scale of log-odds by normal numbers; 0 stays 0, all of one shape."""
    with np.errstate(divide="ignore"):
        odds = np.log(chance) - np.log1p(-chance) + spread * normal
    return np.asarray(1 / (1 + np.exp(-odds)))
