"""Judge out-of-time predictions: model and baselines on the same rows, with intervals.

The loss is log-loss at the horizon. Customers are resampled with replacement, all rows and
cutoffs of a customer together and the same draws for every model (Efron and Tibshirani 1993,
chapter 8). Intervals of the differences model - baseline hold for all baselines at once: they
are difference +- c * standard error with the one c below which the largest of the studentised
|resampled - observed| stays in 95 % of the draws (max-|t|; Romano and Wolf 2005; Montiel Olea and
Plagborg-Møller 2019). More baselines can only widen them. What no resampling of customers can
see, the common shock of a cutoff, is why the differences are printed for each cutoff too.

Every number is rounded to six significant digits before anything is concluded from it, so the
verdict can be recomputed from the rows, and the same input and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ppi_ml import metrics
from ppi_ml.errors import UsageError
from ppi_ml.metrics import BoolArray, FloatArray
from ppi_ml.scorecard import (
    CUTOFF_TOLERANCE,
    HEADLINE,
    MODEL,
    POOLED,
    Scorecard,
    ScoreRow,
    Status,
    Verdict,
    by_loss,
    exceeds_tolerance,
    number,
    percent,
    signed,
    unjudged,
)

IntArray = npt.NDArray[np.int64]
StrArray = npt.NDArray[np.str_]

MIN_CUSTOMERS = 30  # below this a bootstrap interval is far too narrow, so there is none
_FOLD = 0
_ONE_PERIOD = "They say nothing about another season: look at every test cutoff."


@dataclass(frozen=True)
class Backtest:
    """Out-of-time predictions of model and baselines on the same n rows (customer, cutoff).

    `customer` holds integer codes, `cutoff` the ISO date of the test cutoff, `eligible` whether
    the target is asked about the row, `event` whether a purchase fell in [cutoff, cutoff +
    horizon). `predictions` are P(no purchase within the horizon), the key "model" being ours;
    `untrainable` says why a baseline is missing. `horizon_days` is the horizon judged, at most
    the `asked_days` of the target. Arrays of another length, or probabilities that are missing
    or outside [0, 1], are refused with a `UsageError`.
    """

    customer: IntArray
    cutoff: StrArray
    eligible: BoolArray
    event: BoolArray
    predictions: Mapping[str, FloatArray]
    untrainable: Mapping[str, str]
    horizon_days: int
    asked_days: int

    def __post_init__(self) -> None:
        columns = {"customer": self.customer, "cutoff": self.cutoff, "eligible": self.eligible}
        shape = np.shape(self.event)
        for name, column in {**columns, **self.predictions}.items():
            if np.shape(column) != shape:
                raise UsageError(f"backtest: {name}: expected {shape}, got {np.shape(column)}")
        if np.asarray(self.eligible).dtype != np.bool_:
            raise UsageError("backtest: eligible: expected true or false (bool)")
        if not 0 < self.horizon_days <= self.asked_days:
            raise UsageError(
                f"backtest: horizon_days: expected 1 to {self.asked_days} (asked_days), "
                f"got {self.horizon_days}"
            )
        self._check_predictions()

    def _check_predictions(self) -> None:
        names = set(self.predictions)
        if MODEL not in names or names & set(self.untrainable):
            raise UsageError(
                f'backtest: predictions: expected "{MODEL}" and only what was trainable; '
                f"got {sorted(names)}, not trainable {sorted(self.untrainable)}"
            )
        for name in sorted(names) if len(self.event) else ():
            try:
                metrics.log_losses(self.event, self.predictions[name])
            except UsageError as error:
                raise UsageError(f"backtest: predictions of {name}: {error}") from error

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines that have predictions, sorted."""
        return sorted(set(self.predictions) - {MODEL})


def judge(
    backtest: Backtest,
    *,
    seed: int,
    draws: int = 1000,
    labels: Mapping[str, str] | None = None,
) -> Scorecard:
    """Scorecard of model and baselines; the verdict rests on the pooled, eligible rows.

    `worse`: the lower end of a simultaneous interval is above zero, or at one test cutoff the
    loss is more than 2 % above a baseline's (asked first: a season that goes wrong is not made
    good by the others). `better`: the upper ends of all are below zero. Else `level`. Without
    test rows, with fewer than 30 eligible customers, or with no baseline trained: `unjudged`.

    `seed` starts the `draws` resamples; `labels` says in words what a name stands for. The order
    of the rows changes nothing. Raises `UsageError` for fewer than 100 draws.
    """
    if draws < 100:
        raise UsageError(f"an interval needs at least 100 draws, got {draws}")
    labels, notes = dict(labels or {}), _notes(backtest)
    if not len(backtest.event):
        return unjudged("there are no test rows", notes=notes, labels=labels)
    notes = (*notes, f"Intervals: {draws:,} resamples of customers, seed {seed}. {_ONE_PERIOD}")
    backtest = _in_order(backtest)
    rows = _rows(backtest, seed, draws)
    customers = len(np.unique(backtest.customer[backtest.eligible]))
    if customers < MIN_CUSTOMERS:
        reason = f"{customers} eligible customers at the test cutoffs, {MIN_CUSTOMERS} are needed"
    elif not backtest.baselines:
        reason = "no baseline could be trained, so there is nothing to compare with"
    else:
        return Scorecard(_verdict(rows, backtest), rows, notes, labels)
    return unjudged(reason, rows=rows, notes=notes, labels=labels)


@dataclass(frozen=True)
class _Slice:
    """Rows that are scored together."""

    cutoff: str
    segment: str
    mask: BoolArray


@dataclass(frozen=True)
class _Intervals:
    """Ends of the 95 % intervals in one slice, NaN where there are too few customers.

    `own` has shape (1 + baselines, 2), model first; `difference` (baselines, 2).
    """

    own: FloatArray
    difference: FloatArray


def _notes(backtest: Backtest) -> tuple[str, ...]:
    asked, judged = backtest.asked_days, backtest.horizon_days
    short = f" instead of the {asked} asked for: the log is too short" if judged < asked else ""
    why = backtest.untrainable
    return (
        f"The question: no purchase within {judged} days{short}.",
        *(f"{name} was not trainable: {why[name]}" for name in sorted(why)),
    )


def _in_order(backtest: Backtest) -> Backtest:
    """The same rows in an order of their own, so that sums repeat to the last bit."""
    event, eligible = np.asarray(backtest.event), np.asarray(backtest.eligible)
    customer = np.asarray(backtest.customer)
    cutoff = np.asarray(backtest.cutoff, dtype=np.str_)
    predictions = {name: np.asarray(values) for name, values in backtest.predictions.items()}
    ties = [predictions[name] for name in sorted(predictions)]
    order = np.lexsort((*ties, event, eligible, cutoff, customer))
    return replace(
        backtest,
        customer=customer[order],
        cutoff=cutoff[order],
        eligible=eligible[order],
        event=event[order],
        predictions={name: values[order] for name, values in predictions.items()},
    )


def _slices(backtest: Backtest) -> list[_Slice]:
    """Pooled eligible rows, those of each cutoff, and everybody; empty ones are left out."""
    eligible = backtest.eligible
    slices = [
        _Slice(POOLED, "eligible", eligible),
        *(
            _Slice(str(cutoff), "eligible", eligible & (backtest.cutoff == cutoff))
            for cutoff in np.unique(backtest.cutoff)
        ),
        _Slice(POOLED, "all", np.ones(len(eligible), dtype=np.bool_)),
    ]
    return [part for part in slices if part.mask.any()]


# ------------------------------------------------------------------ intervals by resampling


def _intervals(
    customers: IntArray, losses: FloatArray, slices: list[_Slice], seed: int, draws: int
) -> list[_Intervals]:
    """Intervals of every slice, from one set of resamples."""
    codes = np.unique(customers, return_inverse=True)[1]
    sums = [_customer_sums(losses, codes, part.mask) for part in slices]
    together = np.hstack(sums)
    weights = metrics.resampling_weights(len(together), draws, seed)
    resampled = np.vstack([block @ together for block in weights])
    parts = zip(sums, np.split(resampled, len(slices), axis=1), strict=True)
    return [_ends(part, drawn) for part, drawn in parts]


def _losses(backtest: Backtest) -> FloatArray:
    """Per row: 1, the loss of the model, and its loss minus that of each baseline.

    The differences are taken row by row, so identical predictions differ by exactly 0.
    """
    churned = ~backtest.event
    own = metrics.log_losses(churned, backtest.predictions[MODEL])
    rivals = [metrics.log_losses(churned, backtest.predictions[b]) for b in backtest.baselines]
    return np.column_stack([np.ones(len(own)), own, *(own - rival for rival in rivals)])


def _customer_sums(losses: FloatArray, codes: IntArray, mask: BoolArray) -> FloatArray:
    """Sums over the rows of a slice, shape (customers, columns); `codes` are 0, 1, 2 ..."""
    count, inside = int(codes.max()) + 1, codes[mask]
    return np.column_stack([np.bincount(inside, part, count) for part in losses[mask].T])


def _ends(sums: FloatArray, drawn: FloatArray) -> _Intervals:
    """Intervals of one slice from its sums per customer and per resample."""
    baselines = sums.shape[1] - 2
    if np.count_nonzero(sums[:, 0]) < MIN_CUSTOMERS:
        return _Intervals(np.full((1 + baselines, 2), np.nan), np.full((baselines, 2), np.nan))
    total = sums.sum(axis=0)
    mean = drawn[:, 1:] / drawn[:, :1]
    values = np.column_stack([mean[:, 0], mean[:, :1] - mean[:, 1:]])
    tails = [(1 - metrics.CONFIDENCE) / 2, (1 + metrics.CONFIDENCE) / 2]
    own = np.quantile(values, tails, axis=0).T
    return _Intervals(own, metrics.simultaneous_ends(total[2:] / total[0], mean[:, 1:]))


# ------------------------------------------------------------------ rows


def _rows(backtest: Backtest, seed: int, draws: int) -> tuple[ScoreRow, ...]:
    """Every row of the scorecard, slice by slice, those that were not trainable last."""
    slices, losses = _slices(backtest), _losses(backtest)
    intervals = _intervals(backtest.customer, losses, slices, seed, draws)
    rows: list[ScoreRow] = []
    for part, interval in zip(slices, intervals, strict=True):
        rows += _headline(part, backtest.baselines, losses[part.mask].mean(axis=0), interval)
        rows += _beside(part, backtest) if part.cutoff == POOLED else []
    absent = _Slice(POOLED, "eligible", np.zeros(0, dtype=np.bool_))
    rows += [_row(absent, name, HEADLINE, None) for name in sorted(backtest.untrainable)]
    return tuple(rows)


def _headline(
    part: _Slice, baselines: list[str], means: FloatArray, interval: _Intervals
) -> Iterator[ScoreRow]:
    """Log-loss of the model, then of each baseline with the difference."""
    own, differences = means[1], means[2:]
    yield _row(part, MODEL, HEADLINE, own, own_ends=interval.own[0])
    for name, difference, own_ends, ends in zip(
        baselines, differences, interval.own[1:], interval.difference, strict=True
    ):
        versus = (difference, *ends)
        yield _row(part, name, HEADLINE, own - difference, own_ends=own_ends, versus=versus)


def _beside(part: _Slice, backtest: Backtest) -> Iterator[ScoreRow]:
    """The metrics beside the headline; they decide nothing and carry no intervals."""
    event = backtest.event[part.mask]
    for name in [MODEL, *backtest.baselines]:
        risk = backtest.predictions[name][part.mask]
        yield _row(part, name, "brier", metrics.brier(~event, risk))
        yield _row(part, name, "auc", metrics.roc_auc(~event, risk))
        yield _row(part, name, "top_decile_lift", metrics.top_decile_lift(~event, risk))
        yield _row(part, name, "returner_ratio", metrics.returner_ratio(event, 1 - risk))
        yield _row(part, name, "calibration_error", metrics.calibration_error(~event, risk))


def _row(
    part: _Slice,
    model: str,
    metric: str,
    value: float | None,
    own_ends: FloatArray | None = None,
    versus: tuple[float, float, float] | None = None,
) -> ScoreRow:
    low, high = (None, None) if own_ends is None else own_ends
    difference, below, above = versus or (None, None, None)
    rounded = map(_rounded, (value, low, high, difference, below, above))
    value, low, high, difference, below, above = rounded
    n = int(np.count_nonzero(part.mask))
    return ScoreRow(
        _FOLD,
        part.cutoff,
        part.segment,
        model,
        metric,
        value,
        low,
        high,
        n,
        difference,
        below,
        above,
    )


def _rounded(value: float | None) -> float | None:
    """Six significant digits; null if not finite. Plain addition turns -0.0 into 0.0."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{value:.6g}") + 0.0


# ------------------------------------------------------------------ verdict


def _verdict(rows: tuple[ScoreRow, ...], backtest: Backtest) -> Verdict:
    """The verdict with its reasons in words, from the rounded rows alone."""
    headline = [row for row in rows if row.metric == HEADLINE and row.segment == "eligible"]
    own = next(row for row in headline if row.cutoff == POOLED and row.model == MODEL)
    status, decides, said = _decision(own, [row for row in headline if row.difference is not None])
    difference, low, high = decides.difference, decides.difference_low, decides.difference_high
    text = (
        f"{status}: {said} (difference {signed(difference)}, 95 % interval {signed(low)} to "
        f"{signed(high)}), {_scope(own, backtest)}"
    )
    return Verdict(status, HEADLINE, decides.model, difference, low, high, text)


def _decision(own: ScoreRow, rivals: list[ScoreRow]) -> tuple[Status, ScoreRow, str]:
    """Status, the pooled row of the baseline that decides, and why."""
    pooled = sorted((row for row in rivals if row.cutoff == POOLED), key=by_loss)
    loss = f"log-loss {number(own.value)}"
    for row in pooled:
        if row.difference_low is not None and row.difference_low > 0:
            return "worse", row, f"{loss} loses to {row.model} with {number(row.value)}"
    slips = [row for row in rivals if row.cutoff != POOLED and exceeds_tolerance(row)]
    if slips:
        slip = max(slips, key=_excess)
        decides = next(row for row in pooled if row.model == slip.model)
        return "worse", decides, _slip_text(slip, own, decides)
    for row in pooled:
        if row.difference_high is None or row.difference_high >= 0:
            said = f"{loss} is no better than {row.model}, which is simpler, with"
            return "level", row, f"{said} {number(row.value)}"
    closest = pooled[0]
    said = f"{loss} beats every baseline; closest is {closest.model} with {number(closest.value)}"
    return "better", closest, said


def _excess(row: ScoreRow) -> float:
    """By what share the model's loss is above that of this row's baseline."""
    return (row.difference or 0.0) / (row.value or 1.0)


def _slip_text(slip: ScoreRow, own: ScoreRow, decides: ScoreRow) -> str:
    return (
        f"at the cutoff {slip.cutoff} log-loss is {percent(_excess(slip))} above that of "
        f"{slip.model} ({number(slip.value)}), more than the {percent(CUTOFF_TOLERANCE, 0)} "
        f"allowed; over all cutoffs {number(own.value)} against {number(decides.value)}"
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
