"""Folds of occasions, forward in time, on a grid of periods.

An occasion has a cutoff of its own, so a fold is a date: it learns from occasions before it, with
what was known of them then, and predicts those of the periods after it. States are dated the
starts of the periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from ppi_ml.instants import Cutoff
from ppi_ml.splits import MOST_TEST_CUTOFFS, Spacing

WARM_UP_DAYS = 60
_LEAST_TRAINING, _TEST_SHARE = 3, 4


@dataclass(frozen=True)
class OccasionPlan:
    """Everything about time in one training about occasions.

    `periods` are the starts of all periods, ascending, `every` days apart, `end` the end of the
    log. `test` are the starts of the periods that are judged; the first one is the training end;
    none where the history is too short. `inner` are earlier dates that are predicted for choosing.
    """

    every: int
    horizon: int
    periods: tuple[Cutoff, ...]
    test: tuple[Cutoff, ...]
    inner: tuple[Cutoff, ...]
    end: Cutoff

    @property
    def outer_end(self) -> Cutoff:
        """Where the training part ends: at the first test period, else at the end of the log."""
        return self.test[0] if self.test else self.end

    @property
    def test_end(self) -> Cutoff:
        """Where the last test period ends."""
        return self.test[-1].plus(self.every)

    def before(self, end: Cutoff) -> tuple[Cutoff, ...]:
        """The periods that lie before a date."""
        return tuple(p for p in self.periods if p < end)


def forward(start: Cutoff, end: Cutoff, horizon: int, spacing: Spacing) -> OccasionPlan:
    """The folds of a log observed in [start, end), for outcomes that take `horizon` days.

    The test periods are the last ones whose outcomes can be settled, each one draw of what a
    stretch of dates does to everybody: a quarter of all, no fewer than span `spacing.test_cutoffs`
    horizons as the cutoffs of a curve do, at most six unless more are asked for; fewer in a short
    log, but at least `spacing.test_cutoffs`, and before them three settled periods to learn from.
    Else there are none.
    """
    every = spacing.every
    settled = end.plus(-horizon - spacing.settling)
    first = start.plus(floor(min(WARM_UP_DAYS, end.days_since(start) / 3)))
    ripe = floor(settled.days_since(first) / every)
    ahead = ceil((horizon + spacing.settling) / every)
    span = ceil((spacing.test_cutoffs - 1) * horizon / every)
    most = max(spacing.test_cutoffs, 1 + span, ripe // _TEST_SHARE)
    wanted = min(max(MOST_TEST_CUTOFFS, spacing.test_cutoffs), most)
    tested = min(wanted, ripe - ahead - _LEAST_TRAINING)
    if tested < spacing.test_cutoffs:
        tested = 0
    anchor = settled.plus(-every * tested)
    # the newest ones before the outer end are not settled there: nothing is learned from them
    back = min(spacing.train_cutoffs + ahead, floor(anchor.days_since(first) / every))
    steps = range(-back, floor(end.days_since(anchor) / every) + 1)
    periods = tuple(p for p in (anchor.plus(every * step) for step in steps) if p < end)
    test = tuple(anchor.plus(every * step) for step in range(tested))
    outer = test[0] if test else end
    # an inner period must be over and settled before the outer end
    inner = [p for p in periods if p.plus(every * (1 + ahead)) <= outer]
    usable = [p for p in inner if p.days_since(periods[0]) >= every * _LEAST_TRAINING]
    chosen = tuple(usable[-4:][::-3][::-1]) if len(usable) > 3 else tuple(usable[-1:])
    return OccasionPlan(every, horizon, periods, test, chosen, end)
