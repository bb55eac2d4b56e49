"""The scorecard: model and every baseline on the same rows, with the verdict first.

A scorecard is data (`to_dict`, `from_dict`) and three renderings of the same tables: text for
the terminal, markdown for files, HTML for notebooks. How its numbers come about: `evaluation`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from html import escape
from typing import Any, Literal, TypeVar, get_args

from ppi_ml.errors import IntegrityError

Status = Literal["better", "level", "worse", "unjudged"]

MODEL = "model"  # the name of our own row
POOLED = "pooled"  # the cutoff of rows over all test cutoffs together
HEADLINE = "log_loss"
CUTOFF_TOLERANCE = 0.02  # a model more than this share above a baseline at one cutoff is worse

TERMS = {
    "log-loss": "mean of -ln(probability given to what happened); lower is better.",
    "95 % interval": "where the number would fall for other customers of the same period "
    "(customers resampled, all their rows together).",
    "model minus it": "log-loss of the model minus that of the baseline; below zero the model is "
    "better. The intervals beside it hold for all baselines of the table at once.",
    "AUC": "chance that a customer who stayed away was given a higher risk than one who came "
    "back; 0.5 is blind, 1 is perfect.",
    "lift": "share that stayed away among the tenth with the highest risk, over the share among "
    "all; 1 is blind.",
    "pred/actual": "predicted number of customers who come back over those who did; "
    "1 is right, above 1 promises too many.",
}
_COLOURS = {"better": "#1a7f37", "level": "#9a6700", "worse": "#cf222e", "unjudged": "#57606a"}
_WIDTH = 98


@dataclass(frozen=True)
class ScoreRow:
    """One metric of one model on one set of rows; null (None) is "not defined" or "no interval".

    `cutoff` is the ISO date of a test cutoff, or "pooled"; `segment` is "eligible" (those the
    target is asked about) or "all" (everybody with a past); `n` counts rows. `low` and `high` are
    the 95 % interval of `value`. `difference` is the model's value minus this baseline's, and its
    interval holds for all baselines of the same cutoff and segment at once.
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


@dataclass(frozen=True)
class Verdict:
    """What the scorecard says, and the baseline that decided it.

    `difference`, `low` and `high` are those of the pooled, eligible rows (model minus
    `baseline`, simultaneous 95 % interval), also where a single cutoff decided; null, like
    `baseline`, if `status` is "unjudged".
    """

    status: Status
    metric: str
    baseline: str | None
    difference: float | None
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class Scorecard:
    """Verdict, rows, notes, and what the names in the rows stand for (`labels`)."""

    verdict: Verdict
    rows: tuple[ScoreRow, ...] = ()
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Scorecard({self.verdict.text})"

    def to_dict(self) -> dict[str, Any]:
        """Return data for JSON: numbers, texts, lists and null, in a fixed order."""
        return {
            "verdict": asdict(self.verdict),
            "rows": [asdict(row) for row in self.rows],
            "notes": list(self.notes),
            "labels": {name: self.labels[name] for name in sorted(self.labels)},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scorecard:
        """Read what `to_dict` wrote; `IntegrityError` if a part is missing or foreign."""
        _expect(data, ("verdict", "rows", "notes", "labels"), "scorecard")
        verdict = _record(Verdict, data["verdict"], "scorecard.verdict")
        if verdict.status not in get_args(Status):
            raise IntegrityError(
                f"scorecard.verdict.status: expected one of {', '.join(get_args(Status))}, "
                f'got "{verdict.status}"'
            )
        rows = tuple(_record(ScoreRow, row, "scorecard.rows") for row in data["rows"])
        return cls(verdict, rows, tuple(data["notes"]), dict(data["labels"]))

    def to_text(self) -> str:
        """Render for the terminal: the verdict large, then aligned tables, then the notes."""
        rule = "=" * _WIDTH
        headline = textwrap.wrap(self.verdict.text, _WIDTH - 4)
        banner = [rule, f"  {' '.join(self.verdict.status.upper())}", ""]
        parts = ["\n".join([*banner, *(f"  {line}" for line in headline), rule])]
        parts += [table.to_text() for table in self._tables()]
        parts += ["\n".join(_bullet(note) for note in self._notes())] if self._notes() else []
        return "\n\n".join(parts) + "\n"

    def to_markdown(self) -> str:
        """Render the same for a file, with a sentence for every term."""
        tables = self._tables()
        parts = [f"# Verdict: {self.verdict.status}", _markdown(self.verdict.text)]
        parts += [table.to_markdown() for table in tables]
        if self._notes():
            parts.append("\n".join(f"- {_markdown(note)}" for note in self._notes()))
        if tables:
            terms = [f"- **{term}**: {meaning}" for term, meaning in TERMS.items()]
            parts.append("\n".join(["## Terms", "", *terms]))
        return "\n\n".join(parts) + "\n"

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.verdict.status]
        parts = [
            f'<div style="border-left:6px solid {colour};padding:.4em .8em">'
            f'<strong style="color:{colour};font-size:1.4em">{self.verdict.status}</strong>'
            f"<br>{escape(self.verdict.text)}</div>",
            *(table.to_html() for table in self._tables()),
        ]
        if self._notes():
            parts.append(
                f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in self._notes())}</ul>"
            )
        return "\n".join(parts)

    def _notes(self) -> list[str]:
        named = {row.model for row in self.rows}
        return [*self.notes, *(f"{k}: {v}" for k, v in sorted(self.labels.items()) if k in named)]

    def _tables(self) -> list[_Table]:
        tables = [
            _ranking(self.rows, "eligible", "Eligible customers"),
            _by_cutoff(self.rows),
            _ranking(self.rows, "all", "Everybody with a past"),
        ]
        return [table for table in tables if table is not None]


def unjudged(
    reason: str,
    *,
    rows: tuple[ScoreRow, ...] = (),
    notes: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
) -> Scorecard:
    """Build the scorecard that says why it cannot judge, with what rows there are."""
    verdict = Verdict("unjudged", HEADLINE, None, None, None, None, f"unjudged: {reason}")
    return Scorecard(verdict, rows, notes, dict(labels or {}))


@dataclass(frozen=True)
class _Table:
    title: str
    head: list[str]
    body: list[list[str]]

    def to_text(self) -> str:
        lines = [self.head, *self.body]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [_aligned(line, widths) for line in lines]
        return "\n".join([self.title, "-" * _WIDTH, *aligned])

    def to_markdown(self) -> str:
        align = [":--", *["--:"] * (len(self.head) - 1)]
        lines = ["| " + " | ".join(map(_markdown, row)) + " |" for row in [self.head, *self.body]]
        lines.insert(1, "| " + " | ".join(align) + " |")
        return "\n".join([f"## {_markdown(self.title)}", "", *lines])

    def to_html(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.head)
        body = [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.body
        ]
        return (
            f"<table><caption>{escape(self.title)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def _ranking(rows: tuple[ScoreRow, ...], segment: str, title: str) -> _Table | None:
    """One line per model by rising log-loss; those that could not be trained come last."""
    pooled = [row for row in rows if row.cutoff == POOLED and row.segment == segment]
    values = {(row.model, row.metric): row.value for row in pooled}
    judged = [row for row in pooled if row.metric == HEADLINE]
    if not judged:
        return None
    judged.sort(key=by_loss)
    others = ("auc", "top_decile_lift", "returner_ratio")
    body = [
        [
            row.model,
            number(row.value) if row.value is not None else "not trainable",
            _span(row.low, row.high, number),
            signed(row.difference),
            _span(row.difference_low, row.difference_high, signed),
            *(number(values.get((row.model, metric)), 3) for metric in others),
        ]
        for row in judged
    ]
    head = ["", "log-loss", "95 % interval", "model minus it", "95 % interval"]
    n = max(row.n for row in judged)
    title = f"{title}, all test cutoffs together ({n:,} rows)"
    return _Table(title, [*head, "AUC", "lift", "pred/actual"], body)


def _by_cutoff(rows: tuple[ScoreRow, ...]) -> _Table | None:
    """Differences at each test cutoff, "!" where the model is above the tolerance."""
    judged = [row for row in rows if row.metric == HEADLINE and row.cutoff != POOLED]
    own = {row.cutoff: row for row in judged if row.model == MODEL}
    if not own:
        return None
    cells = {(row.model, row.cutoff): _flagged(row) for row in judged}
    body = [
        ["rows", *(f"{row.n:,}" for row in own.values())],
        ["log-loss of the model", *(number(row.value) for row in own.values())],
        *(
            [f"minus {name}", *(cells.get((name, cutoff), "") for cutoff in own)]
            for name in _ranked(rows)
        ),
    ]
    flag = f"! = more than {percent(CUTOFF_TOLERANCE, 0)} worse"
    return _Table(f"Model minus baseline at each test cutoff ({flag})", ["", *own], body)


def _ranked(rows: tuple[ScoreRow, ...]) -> list[str]:
    """The baselines that were judged, by their pooled loss."""
    pooled = [row for row in rows if row.cutoff == POOLED and row.difference is not None]
    eligible = [row for row in pooled if row.segment == "eligible"]
    return [row.model for row in sorted(eligible, key=by_loss)]


def by_loss(row: ScoreRow) -> tuple[bool, float, str]:
    """Sort key: the lowest loss first, those without one last, equal ones by name."""
    return (row.value is None, row.value or 0.0, row.model)


def exceeds_tolerance(row: ScoreRow) -> bool:
    """Whether the model's loss is more than 2 % above that of this row's baseline."""
    if row.value is None or row.difference is None:
        return False
    return row.difference > CUTOFF_TOLERANCE * row.value


def number(value: float | None, digits: int = 4) -> str:
    """Format a value for people; empty if null."""
    return "" if value is None else f"{value:.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """Format a share for people: 0.02 is "2.0 %"."""
    return f"{100 * share:.{digits}f} %"


def signed(value: float | None) -> str:
    """Format a difference for people: with its sign, and never rounded to zero."""
    if value is None:
        return ""
    if value == 0:
        return "0.0000"
    return f"{value:+.4f}" if abs(value) >= 0.00005 else f"{value:+.0e}"


def _flagged(row: ScoreRow) -> str:
    return signed(row.difference) + (" !" if exceeds_tolerance(row) else "  ")


def _span(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f"{form(low)} to {form(high)}"


def _aligned(cells: list[str], widths: list[int]) -> str:
    first, *rest = [
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([first, *rest]).rstrip()


def _bullet(note: str) -> str:
    return textwrap.fill(note, _WIDTH, initial_indent="- ", subsequent_indent="  ")


def _markdown(text: str) -> str:
    """Plain text inside markdown: what would be read as mark-up is escaped."""
    for mark in "\\`*|<>":
        text = text.replace(mark, f"\\{mark}")
    return text


_R = TypeVar("_R", Verdict, ScoreRow)


def _record(kind: type[_R], data: Mapping[str, Any], where: str) -> _R:
    _expect(data, tuple(part.name for part in fields(kind)), where)
    return kind(**data)


def _expect(data: object, names: tuple[str, ...], where: str) -> None:
    found = tuple(data) if isinstance(data, Mapping) else (type(data).__name__,)
    if sorted(found) != sorted(names):
        raise IntegrityError(
            f"{where}: expected exactly {', '.join(names)}; got {', '.join(map(str, found))}"
        )
