"""The effects planted in simulated shops, one at a time, and what is found of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import effects_hazards as hazards
import effects_lapses as lapses
from effects_hazards import Measure
from effects_rows import Estimate
from ppi_ml.simulate import Brand, SimulatedBrand, simulate_brand
from ppi_ml.simulation.nudges import TAGS

WAITS = Brand.without_effects(
    joining=0.3, wait_days=30.0, wait_spread=0.0, regularity=1.0, lapse=0.0, lapse_spread=0.0,
    late_share=0.3, lane_spread=0.0, carrier_spread=0.0, lost=0.0, mood_spread=1.6, returned=0.2,
    return_spread=0.0, cancelled=0.0, promotions=0.3, exposures=12.0, message_every=14, opened=1.0,
    holdout=0.5, reviewed=1.0, tickets=0.0, denied=0.0,
)  # fmt: skip
"""Customers who are all alike, and a log full of events, none of which does anything."""
BASES: Mapping[str, Brand] = {"waits": WAITS, "lapses": replace(WAITS, wait_days=20.0, lapse=0.1)}


@dataclass(frozen=True)
class Effect:
    """One planted effect: its dials, and how it is measured.

    `means` is the unit of the number, `none` what that is without an effect, `days` the length of
    the log. Not `real` is what does nothing even where the dials are set.
    """

    name: str
    means: str
    dials: Mapping[str, float]
    measure: Measure
    base: str = "waits"
    none: float = 1.0
    days: int = 400
    real: bool = True


@dataclass(frozen=True)
class Found:
    """What was found of an effect: where it is planted, and where its dial is at 0."""

    effect: Effect
    truth: float
    planted: Estimate
    absent: Estimate

    @property
    def inside(self) -> bool:
        """Whether the truth lies inside the interval."""
        return self.planted.covers(self.truth)

    @property
    def surely(self) -> bool:
        """Whether the whole interval lies on the truth's side of no effect; if real."""
        none = self.effect.none
        if not self.effect.real:
            return self.planted.covers(none)
        return self.planted.low > none if self.truth > none else self.planted.high < none

    @property
    def calm(self) -> bool:
        """Whether nothing is found where there is nothing."""
        return self.absent.covers(self.effect.none)


def seek(effect: Effect, customers: int, seed: int, step: int) -> Found:
    """Look for an effect in two shops that differ in its dials alone.

    `step` is the number of days between cutoffs.
    """
    dials = tuple(effect.dials.items())
    truth, found = effect.measure(world(effect, dials, customers, seed), step)
    _, without = effect.measure(world(effect, (), customers, seed), step)
    return Found(effect, truth, Estimate.of(found), Estimate.of(without))


def world(
    effect: Effect, dials: tuple[tuple[str, float], ...], customers: int, seed: int
) -> SimulatedBrand:
    """The shop of an effect with some dials set."""
    return _world(effect.base, dials, customers, effect.days, seed)


@lru_cache(maxsize=3)  # the two without effects, and the one that is looked at
def _world(
    base: str, dials: tuple[tuple[str, float], ...], customers: int, days: int, seed: int
) -> SimulatedBrand:
    changed: dict[str, Any] = dict(dials)
    return simulate_brand(customers, days, seed, replace(BASES[base], **changed))


_LATE = {"late_wait": 0.5, "late_wait_first": 0.5}
_LIVED = {"december_late": 1.5, "late_stars": 1.5, "late_tickets": 0.6}
"""Dials that change nobody's orders, so that one shop shows them all."""
EFFECTS = (
    Effect("late parcel, later orders", "times the wait", _LATE, hazards.late_later),
    Effect("late parcel, first orders", "times the wait", _LATE, hazards.late_first),
    Effect("late parcel, first over later orders", "times as long", _LATE, hazards.late_more),
    Effect("code used", "times the wait", {"promotion_wait": 0.5}, hazards.coded),
    Effect("twice the money", "times the wait", {"consumption": 0.5}, hazards.money),
    Effect("week with a code", "times the hazard", {"promotion_pull": 0.8}, hazards.pulled),
    Effect("December over June", "times the hazard", {"season": 0.3}, hazards.seasonal, days=760),
    Effect("content", "times the hazard", {"content_effect": 0.8}, hazards.content(TAGS[0])),
    Effect("content that does nothing", "times the hazard", {"content_effect": 0.8},
           hazards.content(TAGS[1]), real=False),
    Effect("messages over holdout", "times the hazard", {"message_effect": 0.5}, hazards.mailed),
    Effect("lapse: late parcel", "times the odds", {"late_lapse": 1.0}, lapses.after_late,
           "lapses"),
    Effect("lapse: few stars", "times the odds", {"poor_lapse": 1.0}, lapses.after_poor, "lapses"),
    Effect("lapse: sent back", "times the odds", {"return_lapse": 1.0}, lapses.after_return,
           "lapses"),
    Effect("lapse: came by voucher", "times the odds", {"source_lapse": 1.0}, lapses.by_voucher,
           "lapses"),
    Effect("late in December", "times the odds", _LIVED, lapses.in_december),
    Effect("stars after a late parcel", "stars", _LIVED, lapses.stars, none=0.0),
    Effect("asked where it is", "share", _LIVED, lapses.asking, none=0.0),
)  # fmt: skip
"""All dials of `ppi_ml.simulation.brand.EFFECTS` but `quality_spread`, which is no contrast."""
