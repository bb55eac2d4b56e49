"""Judge out-of-time predictions: model and baselines on the same rows, with intervals.

The loss is that of the target: log-loss of "no purchase within the horizon", or the integrated
Brier score of the curve up to it. Customers are resampled, the same draws for every model
(`paired_bootstrap`). What no resampling of customers can see, the common shock of a cutoff, is why
the differences are printed for each cutoff too.

Every number is rounded to six significant digits before anything is concluded from it, so the
verdict can be recomputed from the rows, and the same input and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ppi_ml.backtest import Backtest
from ppi_ml.errors import UsageError
from ppi_ml.measuring import score_rows
from ppi_ml.nouns import NOUNS
from ppi_ml.paired_bootstrap import MIN_CUSTOMERS
from ppi_ml.score_rows import (
    CUTOFF_TOLERANCE,
    ELIGIBLE,
    LOSSES,
    MODEL,
    POOLED,
    ScoreRow,
    by_loss,
    slips,
)
from ppi_ml.scorecard import Scorecard, Status, Verdict, unjudged
from ppi_ml.tables import loss, percent, signed, span

_ONE_PERIOD = "They say nothing about another season: look at every test cutoff."


def judge(
    backtest: Backtest,
    *,
    seed: int,
    draws: int = 1000,
    labels: Mapping[str, str] | None = None,
) -> Scorecard:
    """Scorecard of model and baselines; the verdict rests on the eligible rows.

    `worse`: over all test cutoffs the lower end of a simultaneous interval is above zero; or at
    one test cutoff the loss is more than 2 % above a baseline's and the lower end of the interval
    there is above zero too (asked second, but before any praise: a season that goes wrong is not
    made good by the others). The 2 % alone would be met by chance where a cutoff has few rows; the
    interval alone would blame differences too small to matter. `better`: the upper ends of all
    are below zero. Else `level`; also where the recipe is one of the baselines itself, from which
    it differs by the grid of its curve at most. Without test rows, with fewer than 30 eligible
    customers, or with no baseline trained: `unjudged`.

    `seed` starts the `draws` resamples; `labels` says in words what a name stands for. The order
    of the rows changes nothing. Raises `UsageError` for fewer than 100 draws.
    """
    if draws < 100:
        raise UsageError(f"an interval needs at least 100 draws, got {draws}")
    labels, notes, metric = dict(labels or {}), _notes(backtest), backtest.metric
    entity = backtest.entity
    if not len(backtest.days):
        reason = "there are no test rows"
        return unjudged(reason, metric=metric, notes=notes, labels=labels, entity=entity)
    backtest = backtest.in_order()
    rows = score_rows(backtest, seed, draws)
    drawn = f"Intervals: {draws:,} resamples of customers, seed {seed}. {_ONE_PERIOD}"
    notes = (*notes, *_about_the_tenth(rows, backtest), *_about_calibration(rows), drawn)
    customers = len(np.unique(backtest.customer[backtest.eligible]))
    if customers < MIN_CUSTOMERS:
        reason = f"{customers} eligible customers at the test cutoffs, {MIN_CUSTOMERS} are needed"
    elif not backtest.baselines:
        reason = "no baseline could be trained, so there is nothing to compare with"
    else:
        return Scorecard(_verdict(rows, backtest), rows, notes, labels, entity)
    return unjudged(reason, metric=metric, rows=rows, notes=notes, labels=labels, entity=entity)


def _notes(backtest: Backtest) -> tuple[str, ...]:
    asked, judged = backtest.asked_days, backtest.horizon_days
    question = f"no purchase within {judged} days"
    if backtest.metric == "ibs":
        question = f"when the next purchase comes, within {judged} days of the cutoff"
    question = backtest.question or question
    short = f" instead of the {asked} asked for: the log is too short" if judged < asked else ""
    why, meaning = backtest.untrainable, NOUNS[backtest.entity].meaning
    return (
        f"The question: {question}{short}.",
        *((meaning,) if meaning else ()),
        *(f"{name} was not trainable: {why[name]}" for name in sorted(why)),
    )


def _about_the_tenth(rows: Sequence[ScoreRow], backtest: Backtest) -> list[str]:
    """What the lift is made of, for who acts on the top of the list."""
    place = (POOLED, ELIGIBLE, MODEL, "top_decile_lift")
    found = [row.value for row in rows if place == (row.cutoff, row.segment, row.model, row.metric)]
    if not found or found[0] is None:
        return []
    share = float((~backtest.event[backtest.eligible]).mean())
    top, base = percent(found[0] * share, 0), percent(share, 0)
    tenth = f"Of the tenth of the eligible {NOUNS[backtest.entity].many} with the highest"
    if backtest.question:
        return [f"{tenth} probability, it came true for {top}; of all of them, for {base}."]
    days = backtest.horizon_days
    return [f"{tenth} risk, {top} had no purchase within {days} days; of all of them, {base}."]


def _about_calibration(rows: Sequence[ScoreRow]) -> list[str]:
    """How far the model's curves are from the outcomes over all cutoffs, where it was measured."""
    place = (POOLED, ELIGIBLE, "d_calibration_excess")
    return [
        f"D-calibration of the model over all test cutoffs: {row.value:+.3f} beyond what a perfect "
        "model would show by chance; 0 or less is right."
        for row in rows
        if (row.cutoff, row.segment, row.metric) == place and row.value is not None
    ]


# ------------------------------------------------------------------ verdict


def _verdict(rows: Sequence[ScoreRow], backtest: Backtest) -> Verdict:
    """The verdict with its reasons in words, from the rounded rows alone."""
    metric = backtest.metric
    headline = [row for row in rows if row.metric == metric and row.segment == ELIGIBLE]
    own = next(row for row in headline if row.cutoff == POOLED and row.model == MODEL)
    rivals = [row for row in headline if row.difference is not None]
    status, decides, said = _decision(own, rivals, backtest.same_as)
    difference, low, high = decides.difference, decides.difference_low, decides.difference_high
    text = (
        f"{status}: {said} (difference {signed(difference)}, 95 % interval {signed(low)} to "
        f"{signed(high)}), {_scope(own, backtest)}"
    )
    return Verdict(status, metric, decides.model, difference, low, high, text)


def _decision(
    own: ScoreRow, rivals: list[ScoreRow], same_as: str | None
) -> tuple[Status, ScoreRow, str]:
    """Status, the pooled row of the baseline that decides, and why."""
    itself = [row for row in rivals if row.model == same_as and row.cutoff == POOLED]
    rivals = [row for row in rivals if row.model != same_as]
    pooled = sorted((row for row in rivals if row.cutoff == POOLED), key=by_loss)
    own_loss = f"{LOSSES[own.metric]} {loss(own.value)}"
    for row in pooled:
        if row.difference_low is not None and row.difference_low > 0:
            return "worse", row, f"{own_loss} loses to {row.model} with {loss(row.value)}"
    slipped = [row for row in rivals if row.cutoff != POOLED and slips(row)]
    if slipped:
        slip = max(slipped, key=_excess)
        decides = next(row for row in pooled if row.model == slip.model)
        return "worse", decides, _slip_text(slip, own, decides)
    for row in itself:
        said = f"{own_loss} is that of {row.model}, which the recipe chose alone, with"
        return "level", row, f"{said} {loss(row.value)}"
    for row in pooled:
        if row.difference_high is None or row.difference_high >= 0:
            said = f"{own_loss} is no better than {row.model}, which is simpler, with"
            return "level", row, f"{said} {loss(row.value)}"
    closest = pooled[0]
    said = f"{own_loss} beats every baseline; closest is {closest.model} with {loss(closest.value)}"
    return "better", closest, said


def _excess(row: ScoreRow) -> float:
    """By what share the model's loss is above that of this row's baseline."""
    return (row.difference or 0.0) / (row.value or 1.0)


def _slip_text(slip: ScoreRow, own: ScoreRow, decides: ScoreRow) -> str:
    return (
        f"at the cutoff {slip.cutoff} {LOSSES[slip.metric]} is {percent(_excess(slip))} above "
        f"that of {slip.model} ({loss(slip.value)}), more than the "
        f"{percent(CUTOFF_TOLERANCE, 0)} allowed, and not by chance "
        f"(95 % interval {span(slip.difference_low, slip.difference_high, signed)}); "
        f"over all cutoffs {loss(own.value)} against {loss(decides.value)}"
    )


def _scope(own: ScoreRow, backtest: Backtest) -> str:
    """How many rows were judged, at how many cutoffs, and over which horizon if it is short."""
    cutoffs = len(np.unique(backtest.cutoff[backtest.eligible]))
    scope = f"{own.n:,} rows at {cutoffs} cutoff{'' if cutoffs == 1 else 's'}"
    if backtest.untrainable:
        scope += f"; not trainable: {', '.join(sorted(backtest.untrainable))}"
    if backtest.horizon_days < backtest.asked_days:
        scope += f"; judged at {backtest.horizon_days} of {backtest.asked_days} days"
    return scope
