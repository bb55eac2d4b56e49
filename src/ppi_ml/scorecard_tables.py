"""The tables of a scorecard, from its rows: ranking, test cutoffs, segments; and what words mean.

Which columns a table has depends on the loss of the target alone, never on the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ppi_ml.nouns import Noun
from ppi_ml.score_rows import (
    CUTOFF_TOLERANCE,
    ELIGIBLE,
    EVERYBODY,
    MODEL,
    POOLED,
    ScoreRow,
    by_loss,
    exceeds_tolerance,
    slips,
    without_repeats,
)
from ppi_ml.tables import Table, loss, number, percent, signed, span

TERMS = {
    "log-loss": "mean of -ln(probability given to what happened); lower is better.",
    "IBS": "integrated Brier score: the squared distance between the probability of no purchase "
    "yet and what happened, as a mean over all days up to the horizon; 0 is perfect, lower is "
    "better.",
    "95 % interval": "where the number would fall for other customers of the same period "
    "(customers resampled, all their rows together).",
    "model minus it": "loss of the model minus that of the baseline; below zero the model is "
    "better. The intervals beside it hold for all baselines of the table at once.",
    "AUC": "chance that {noun.a} {noun.away} was given a higher risk than one {noun.back}; 0.5 is "
    "blind, 1 is perfect.",
    "C-index": "chance that, of two {noun.many}, the one {noun.back} earlier was expected earlier; "
    "0.5 is blind, 1 is perfect.",
    "lift": "share without a purchase among the tenth with the highest risk, over the share among "
    "all; 1 is blind.",
    "coverage": "share of what happened that lies inside the 80 % interval from P10 to P90, over "
    "all rows: none is left out because no purchase came. 0.800 is right, less is overconfident.",
    "pred/actual": "predicted number of {noun.many} {noun.go_back} over those {noun.did}; "
    "1 is right, above 1 promises too many.",
    "width": "mean days from P10 to P90, both cut at the horizon; at the same coverage, narrower "
    "is better.",
    "D-cal. excess": "how unevenly outcomes fall over ten equal parts of the predicted "
    "distribution (D-calibration: sum of the distances from a tenth), less what a perfect model "
    "would show on as many rows; 0 or less is right.",
    "best baseline": "the baseline with the lowest loss on just these rows, picked afterwards "
    "and so a little flattered.",
    "its loss": "the loss of that baseline, comparable with that of the model.",
    "one-time": "one purchase so far.",
    "new": "first purchase in the last 90 days.",
    "frequent": "the quarter with the most purchases in the last 180 days, two or more.",
    "lapsed": "silent for more than twice the own mean gap; two purchases or more.",
}
"""Every word in a table that needs one more sentence; `noun` is that of the rows."""
TERMS_OF_EVENTS = {
    "AUC": "chance that {noun.a} to which it happened was given a higher probability than one to "
    "which it did not; 0.5 is blind, 1 is perfect.",
    "lift": "share to which it happened among the tenth with the highest probability, over the "
    "share among all; 1 is blind.",
    "pred/actual": "predicted number of {noun.many} to which it happens over the actual one; 1 is "
    "right, above 1 promises too many.",
}
"""The same words where the question is whether something happens."""
_EVENTS = "events"
"""Stands for the log-loss of something that happens, where columns are chosen."""
_HEADS = {"log_loss": "log-loss", _EVENTS: "log-loss", "ibs": "IBS"}
_COLUMNS = {
    "log_loss": ("auc", "top_decile_lift", "returner_ratio"),
    _EVENTS: ("auc", "top_decile_lift", "event_ratio"),
    "ibs": ("c_index", "coverage", "returner_ratio", "width"),
}
_ABOUT_CUTOFFS = {
    "log_loss": ("returner_ratio",),
    _EVENTS: ("event_ratio",),
    "ibs": ("returner_ratio", "coverage", "d_calibration_excess"),
}
_ABOUT_SEGMENTS = {
    "log_loss": ("returner_ratio",),
    _EVENTS: ("event_ratio",),
    "ibs": ("coverage", "width", "returner_ratio"),
}
_NAMES = {
    "auc": "AUC",
    "c_index": "C-index",
    "coverage": "coverage",
    "d_calibration_excess": "D-cal. excess",
    "returner_ratio": "pred/actual",
    "event_ratio": "pred/actual",
    "top_decile_lift": "lift",
    "width": "width",
}
_SEGMENTS = {"one_time": "one-time", "new": "new", "frequent": "frequent", "lapsed": "lapsed"}
_OF_THE_MODEL = " of the model"
_ALL_ELIGIBLE = "all eligible"


def tables_of(rows: Sequence[ScoreRow], metric: str, noun: Noun) -> list[Table]:
    """Every table for which there are rows; `metric` is the loss that decides."""
    rows = without_repeats(rows)
    if about_events(rows):
        asked, everybody = "First time asked", "Asked again later included"
        columns = _EVENTS
    else:
        asked, everybody, columns = "Eligible rows", noun.everybody, metric
    tables = [
        _ranking(rows, metric, ELIGIBLE, asked, columns),
        _by_cutoff(rows, metric, columns),
        _by_segment(rows, metric),
        _ranking(rows, metric, EVERYBODY, everybody, columns),
    ]
    return [table for table in tables if table is not None]


def about_events(rows: Sequence[ScoreRow]) -> bool:
    """Whether the question is if something happens, and not when the next purchase comes."""
    return any(row.metric == "event_ratio" for row in rows)


def terms_of(tables: Iterable[Table], noun: Noun, events: bool = False) -> dict[str, str]:
    """The words that these tables use, each with its sentence; `events` as in `about_events`."""
    terms = TERMS | (TERMS_OF_EVENTS if events else {})
    used = {
        cell.removesuffix(_OF_THE_MODEL)
        for table in tables
        for cell in (*table.head, *(line[0] for line in table.body))
    }
    return {term: meaning.format(noun=noun) for term, meaning in terms.items() if term in used}


def _ranking(
    rows: Sequence[ScoreRow], metric: str, segment: str, title: str, columns: str
) -> Table | None:
    """One line per model by rising loss; those that could not be trained come last."""
    pooled = [row for row in rows if row.cutoff == POOLED and row.segment == segment]
    values = {(row.model, row.metric): row.value for row in pooled}
    judged = sorted((row for row in pooled if row.metric == metric), key=by_loss)
    if not judged:
        return None
    body = [
        [
            row.model,
            loss(row.value) if row.value is not None else "not trainable",
            span(row.low, row.high, loss),
            signed(row.difference),
            span(row.difference_low, row.difference_high, signed),
            *_cells({m: values.get((row.model, m)) for m in _COLUMNS[columns]}),
        ]
        for row in judged
    ]
    head = ["", _HEADS[metric], "95 % interval", "model minus it", "95 % interval"]
    n = max(row.n for row in judged)
    title = f"{title}, all test cutoffs together ({n:,} rows)"
    return Table(title, [*head, *_named(_COLUMNS[columns])], body)


def _by_cutoff(rows: Sequence[ScoreRow], metric: str, columns: str) -> Table | None:
    """The model at each test cutoff and its differences, flagged where above the tolerance."""
    here = [row for row in rows if row.cutoff != POOLED and row.segment == ELIGIBLE]
    judged = [row for row in here if row.metric == metric]
    own = {row.cutoff: row for row in judged if row.model == MODEL}
    if not own:
        return None
    values = {(row.cutoff, row.metric): row.value for row in here if row.model == MODEL}
    shown = [_cells({m: values.get((c, m)) for m in _ABOUT_CUTOFFS[columns]}) for c in own]
    cells = {(row.model, row.cutoff): _flagged(row) for row in judged}
    body = [
        ["rows", *(f"{row.n:,}" for row in own.values())],
        [f"{_HEADS[metric]}{_OF_THE_MODEL}", *(loss(row.value) for row in own.values())],
        *(
            [f"{name}{_OF_THE_MODEL}", *line]
            for name, line in zip(
                _named(_ABOUT_CUTOFFS[columns]), zip(*shown, strict=True), strict=True
            )
        ),
        *(
            [f"minus {name}", *(cells.get((name, cutoff), "") for cutoff in own)]
            for name in _ranked(rows, metric)
        ),
    ]
    above = f"more than {percent(CUTOFF_TOLERANCE, 0)} worse"
    flags = f"! = {above}; ? = that too, but within chance"
    return Table(f"Model minus baseline at each test cutoff ({flags})", ["", *own], body)


def _by_segment(rows: Sequence[ScoreRow], metric: str) -> Table | None:
    """The model and the best baseline in each segment of the eligible rows."""
    pooled = [row for row in rows if row.cutoff == POOLED and row.segment != EVERYBODY]
    segments = list(dict.fromkeys(row.segment for row in pooled))
    if not set(segments) - {ELIGIBLE}:
        return None
    values = {(r.segment, r.metric): r.value for r in pooled if r.model == MODEL}
    body = []
    for segment in segments:
        judged = [r for r in pooled if (r.segment, r.metric) == (segment, metric)]
        own = next((row for row in judged if row.model == MODEL), None)
        if own is None:
            continue
        best = min((row for row in judged if row.difference is not None), key=by_loss, default=None)
        body.append(
            [
                _ALL_ELIGIBLE if segment == ELIGIBLE else _SEGMENTS.get(segment, segment),
                f"{own.n:,}",
                loss(own.value),
                "" if best is None else best.model,
                "" if best is None else loss(best.value),
                *_cells({m: values.get((segment, m)) for m in _ABOUT_SEGMENTS[metric]}),
            ]
        )
    head = ["", "rows", _HEADS[metric], "best baseline", "its loss"]
    return Table("The model by segment", [*head, *_named(_ABOUT_SEGMENTS[metric])], body)


def _ranked(rows: Sequence[ScoreRow], metric: str) -> list[str]:
    """The baselines that were judged, by their pooled loss."""
    pooled = [
        row
        for row in rows
        if (row.cutoff, row.segment, row.metric) == (POOLED, ELIGIBLE, metric)
        and row.difference is not None
    ]
    return [row.model for row in sorted(pooled, key=by_loss)]


def _named(metrics: Iterable[str]) -> list[str]:
    return [_NAMES[metric] for metric in metrics]


def _cells(values: Mapping[str, float | None]) -> list[str]:
    """Values beside the loss: days with one digit, everything else with three."""
    return [number(value, 1 if metric == "width" else 3) for metric, value in values.items()]


def _flagged(row: ScoreRow) -> str:
    mark = " !" if slips(row) else " ?" if exceeds_tolerance(row) else "  "
    return signed(row.difference) + mark
