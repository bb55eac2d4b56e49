"""Folds forward in time: train on what was known at one date, judge on later ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf

from ppi_ml.instants import Cutoff

SHORTEST_HORIZON = 28
"""A horizon is not shortened below this (days): less history is not judged at all."""
WARM_UP_DAYS = 90
MOST_TEST_CUTOFFS = 6
NEWER_CUTOFFS = 24
"""So many training cutoffs see the log as it is now; any further ones, other years."""


@dataclass(frozen=True)
class Fold:
    """Train on the cutoffs `train` with labels as known at `end`; predict at the cutoffs `test`."""

    end: Cutoff
    train: tuple[Cutoff, ...]
    test: tuple[Cutoff, ...]

    @property
    def newer(self) -> tuple[Cutoff, ...]:
        """The training cutoffs without the older ones of a long log, and the end."""
        return (*self.train[-NEWER_CUTOFFS:], self.end)


@dataclass(frozen=True)
class Plan:
    """Everything about time in one training.

    `horizon` is judged, `asked` was asked for (days); `outer` is None where the history is too
    short to judge anything; `final` holds the cutoffs of the model that ships.
    """

    horizon: int
    asked: int
    first: Cutoff
    outer: Fold | None
    inner: tuple[Fold, ...]
    final: Fold

    @property
    def cutoffs(self) -> tuple[Cutoff, ...]:
        """Every cutoff at which something is fitted, earliest first: training cutoffs and ends."""
        return tuple(sorted({c for fold in self._folds for c in (*fold.train, fold.end)}))

    @property
    def newer(self) -> tuple[Cutoff, ...]:
        """The same without what is but an older cutoff of a long log, earliest first."""
        return tuple(sorted({c for fold in self._folds for c in fold.newer}))

    @property
    def _folds(self) -> tuple[Fold, ...]:
        return (self.final, *self.inner, *([self.outer] if self.outer else []))


@dataclass(frozen=True)
class Spacing:
    """How cutoffs are laid out: days between them, most for training, least test horizons."""

    every: int = 30
    train_cutoffs: int = NEWER_CUTOFFS
    test_cutoffs: int = 2
    settling: int = 0
    """Days at the end of the log whose events may not all be known yet."""
    warm_up: int | None = None
    """Days of log before the first cutoff; None: 90, or half the reach of the curve if more."""
    usual_gap: float = inf
    """Days between two purchases of a customer, as a rule."""


def reach_of(start: Cutoff, end: Cutoff, horizon: int) -> int:
    """The days a curve reaches: 365, or half the log if less, but never less than the horizon."""
    return max(horizon, min(365, floor(end.days_since(start) / 2)))


def forward(start: Cutoff, end: Cutoff, horizon: int, spacing: Spacing) -> Plan:
    """The folds of a log observed in [start, end) for a horizon in days.

    The test cutoffs are the last ripe ones; labels of the training part are those known at the
    earliest of them. With too little history the horizon is shortened; where fewer than 28 days
    would be left of it, nothing is judged.
    """
    first = _first_cutoff(start, end, horizon, spacing.warm_up)
    settled = end.plus(-spacing.settling)
    room = settled.days_since(first)
    judged = _judged(horizon, floor(room / 2), spacing.every)
    final = Fold(end, _training(first, end, spacing), (end,))
    if judged < min(horizon, SHORTEST_HORIZON):
        return Plan(horizon, horizon, first, None, (), final)
    test = _test_cutoffs(first, settled, judged, spacing)
    outer = Fold(test[0], _training(first, test[0], spacing), test)
    return Plan(judged, horizon, first, outer, _inner(first, outer, judged, spacing), final)


def _judged(horizon: int, most: int, every: int) -> int:
    """The horizon that leaves a training cutoff with a whole label window, if it must be shorter.

    Without one, no baseline that learns from labels could be trained, and the judgement would be
    against purchase processes alone.
    """
    if horizon <= most:
        return horizon
    return most - most % every if most > every else most


def _first_cutoff(start: Cutoff, end: Cutoff, horizon: int, warm_up: int | None) -> Cutoff:
    """The log must be old enough for its windows: 90 days, or half the reach where it allows."""
    length = end.days_since(start)
    wanted = warm_up or max(WARM_UP_DAYS, reach_of(start, end, horizon) / 2)
    return start.plus(floor(min(wanted, length / 3)))


def _training(first: Cutoff, end: Cutoff, spacing: Spacing) -> tuple[Cutoff, ...]:
    """Cutoffs every so many days back from the end, none before the first; earliest first.

    Older ones are counted from the first, twice as far apart: so all folds share them.
    """
    every = max(1, min(spacing.every, floor(end.days_since(first))))
    if _could_be_closer(first, end, spacing):
        every = max(1, every // 2)
    steps = min(spacing.train_cutoffs, NEWER_CUTOFFS)
    newer = sorted(c for step in range(1, steps + 1) if (c := end.plus(-every * step)) >= first)
    if len(newer) < NEWER_CUTOFFS:
        return tuple(newer)
    room = floor((newer[0].days_since(first) - every) / (2 * every))
    older = [first.plus(2 * every * step) for step in range(room + 1)]
    most = spacing.train_cutoffs - NEWER_CUTOFFS
    return (*older[max(0, len(older) - most) :], *newer)


def _could_be_closer(first: Cutoff, end: Cutoff, spacing: Spacing) -> bool:
    """Whether half the distance still brings news, and still reaches back to the first cutoff.

    Who buys every few days is another customer after two weeks; who buys every other month is not,
    and cutoffs closer than that would only repeat themselves.
    """
    half, room = spacing.every / 2, end.days_since(first)
    newer = min(spacing.train_cutoffs, NEWER_CUTOFFS)
    return spacing.usual_gap < half and spacing.every <= room <= half * newer


def _needed(horizon: int, every: int) -> int:
    """Days of history before a test cutoff that leave a training cutoff with a label window."""
    return max(SHORTEST_HORIZON, ceil(horizon / every) * every)


def _test_cutoffs(first: Cutoff, end: Cutoff, horizon: int, spacing: Spacing) -> tuple[Cutoff, ...]:
    last = end.plus(-horizon)
    span = (spacing.test_cutoffs - 1) * horizon
    back = {*range(0, span, min(spacing.every, horizon)), span}
    earliest = first.plus(_needed(horizon, spacing.every))
    found = [c for c in (last.plus(-days) for days in back) if c >= earliest]
    return _thin(sorted(found or [last]), max(MOST_TEST_CUTOFFS, spacing.test_cutoffs))


def _thin(cutoffs: list[Cutoff], most: int) -> tuple[Cutoff, ...]:
    """At most so many, evenly, with the first and the last."""
    if len(cutoffs) <= most:
        return tuple(cutoffs)
    step = (len(cutoffs) - 1) / (most - 1)
    return tuple(cutoffs[round(i * step)] for i in range(most))


def _inner(first: Cutoff, outer: Fold, horizon: int, spacing: Spacing) -> tuple[Fold, ...]:
    """Up to two folds inside the training part: each trains at its end and predicts from there.

    Their labels are censored at the outer end, so the newer one may be judged at less than the
    horizon, though never at less than 28 days.
    """
    room = outer.end.days_since(first)
    ahead = max(SHORTEST_HORIZON, min(horizon, room / 3)) + spacing.settling
    ends = [c for c in outer.train if outer.end.days_since(c) >= ahead]
    folds = [Fold(c, _training(first, c, spacing), (c,)) for c in ends]
    usable = [f for f in folds if f.train and f.end.days_since(first) >= SHORTEST_HORIZON]
    if not usable:
        return ()
    newest = usable[-1]
    earlier = [f for f in usable if newest.end.days_since(f.end) >= min(horizon, room / 4)]
    return (earlier[-1], newest) if earlier else (newest,)
