"""One row of a scorecard: a metric of one model on one set of rows, and when it is a slip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MODEL = "model"  # the name of our own row
POOLED = "pooled"  # the cutoff of rows over all test cutoffs together
ELIGIBLE = "eligible"  # the segment that headline and verdict are about
EVERYBODY = "all"
CUTOFF_TOLERANCE = 0.02  # what a model may be above a baseline at one cutoff, as a share
LOSSES = {"log_loss": "log-loss", "ibs": "integrated Brier score"}
"""The losses a target can be judged by, in words."""


@dataclass(frozen=True)
class ScoreRow:
    """One metric of one model on one set of rows; null (None) is "not defined" or "no interval".

    `cutoff` is the ISO date of a test cutoff, or "pooled"; `segment` is "eligible" (those the
    target is asked about), a part of those (such as "one_time"; they may overlap), or "all"
    (everybody with a past); `n` counts rows. `low` and `high` are the 95 % interval of `value`.
    `difference` is the model's value minus this baseline's, and its interval holds for all
    baselines of the same cutoff and segment at once.
    """

    fold: int
    cutoff: str
    segment: str
    model: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    difference: float | None
    difference_low: float | None
    difference_high: float | None


def without_repeats(rows: Sequence[ScoreRow]) -> Sequence[ScoreRow]:
    """The rows to show: those about everybody only where not everybody is eligible."""
    sizes = {row.segment: row.n for row in rows if row.cutoff == POOLED and row.value is not None}
    if sizes.get(EVERYBODY) != sizes.get(ELIGIBLE):
        return rows
    return [row for row in rows if row.segment != EVERYBODY]


def by_loss(row: ScoreRow) -> tuple[bool, float, str]:
    """Sort key: the lowest loss first, those without one last, equal ones by name."""
    return (row.value is None, row.value or 0.0, row.model)


def exceeds_tolerance(row: ScoreRow) -> bool:
    """Whether the model's loss is more than 2 % above that of this row's baseline."""
    if row.value is None or row.difference is None:
        return False
    return row.difference > CUTOFF_TOLERANCE * row.value


def slips(row: ScoreRow) -> bool:
    """Whether the model is above the tolerance, and by more than other customers would undo.

    In a small shop two hundred rows are more than 2 % apart by chance alone, so the interval of
    the difference must lie above 0 too. Without an interval nothing can be said.
    """
    low = row.difference_low
    return exceeds_tolerance(row) and low is not None and low > 0
