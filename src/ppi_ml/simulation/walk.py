"""Day after day through the life of a block of customers: who orders when.

The wait for the next order begins at the midnight after an order. With a for the customer's clock
since then, in units of the scale of its Weibull law, the hazard of an order on day d is

    boost(d) x d(a^k),   a grows by 1 / (scale x stretch) a day,

where `boost` is the product of season, promotion, content and messages (it multiplies the hazard),
and `stretch` is what baskets and promotions do to the wait, from the promised day of a late parcel
on times what lateness does (it stretches what remains of the wait). The order comes when the
hazard has summed to an exponential number drawn for it; within a day the clock runs evenly. So at
most one order comes on a day.
"""

from __future__ import annotations

import numpy as np

from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.calendar import Calendar
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, whole_seconds
from ppi_ml.simulation.fates import Fates, Lines, Orders, together
from ppi_ml.simulation.nudges import Boost
from ppi_ml.simulation.people import People


class Walk:
    """The state of n customers at a midnight; all arrays (n,)."""

    def __init__(self, brand: Brand, people: People, fates: Fates) -> None:
        n = len(people)
        self.people, self.fates, self.shape = people, fates, brand.regularity
        self.number = np.zeros(n, dtype=np.int64)
        self.wanted = np.full(n, np.inf)  # nobody orders who has not come yet
        self.summed, self.clock, self.level = np.zeros(n), np.zeros(n), np.zeros(n)
        self.pace, self.slow_pace = np.zeros(n), np.zeros(n)
        self.slow_from, self.lapses = np.full(n, np.inf), np.full(n, np.inf)

    def through(self, calendar: Calendar, boost: Boost) -> tuple[Orders, Lines]:
        """All orders of all days, in the order of days."""
        demand = calendar.demand
        joined = np.argsort(self.people.joined, kind="stable")
        edges = np.searchsorted(self.people.joined[joined], np.arange(len(demand) + 1))
        parts = []
        for day in range(len(demand)):
            customer, time = self._due(day, demand[day] * boost.on(day))
            first = joined[edges[day] : edges[day + 1]]
            customer = np.concatenate([customer, first])
            time = np.concatenate([time, self.people.joined[first]])
            parts.append(self._order(customer, time))
        return together(parts)

    def _due(self, day: int, boost: FloatArray) -> tuple[IntArray, FloatArray]:
        """Who orders on a day, and when; the state of all others moves on to its end."""
        pace = np.where(self.slow_from <= day, self.slow_pace, self.pace)
        clock = self.clock + pace
        level = self._level(clock)
        summed = self.summed + boost * (level - self.level)
        ordering: BoolArray = (summed >= self.wanted) & (self.lapses > day)
        who = np.flatnonzero(ordering)
        reached = self.level[who] + (self.wanted[who] - self.summed[who]) / boost[who]
        part = (reached ** (1 / self.shape) - self.clock[who]) / pace[who]
        self.clock, self.level, self.summed = clock, level, summed
        # the last second of a day is still that day
        return who, whole_seconds(day + np.clip(part, 0.0, 1 - 1e-5))

    def _level(self, clock: FloatArray) -> FloatArray:
        return clock if self.shape == 1 else clock**self.shape

    def _order(self, who: IntArray, time: FloatArray) -> tuple[Orders, Lines]:
        """Place orders, and begin the waits that follow them."""
        self.number[who] += 1
        orders, lines = self.fates.of(who, self.number[who], time)
        self.wanted[who] = orders.wanted
        self.summed[who] = self.clock[who] = self.level[who] = 0.0
        self.pace[who] = 1 / (self.people.scale[who] * orders.stretch)
        self.slow_pace[who] = self.pace[who] / orders.slowed
        self.slow_from[who] = np.where(orders.late, orders.due, np.inf)
        self.lapses[who] = orders.lapses
        return orders, lines
