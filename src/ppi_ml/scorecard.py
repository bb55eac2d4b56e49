"""The scorecard: model and every baseline on the same rows, with the verdict first.

A scorecard is data (`to_dict`, `from_dict`) and three renderings of the same tables: text for
the terminal, markdown for files, HTML for notebooks. How its numbers come about: `evaluation`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from html import escape
from typing import Any, Literal, TypeVar, get_args

from ppi_ml.entities import CUSTOMER
from ppi_ml.errors import IntegrityError
from ppi_ml.nouns import NOUNS
from ppi_ml.score_rows import LOSSES, ScoreRow
from ppi_ml.scorecard_tables import about_events, tables_of, terms_of
from ppi_ml.tables import WIDTH, Table, markdown

Status = Literal["better", "level", "worse", "unjudged"]

_ADVICE = {
    "better": "use it; how far a single date can be off, pred/actual of each test cutoff says.",
    "level": "it does no harm, and is no better than the baseline that is named.",
    "worse": "do not use it as it is. Where one cutoff decided, look at what happened there; where "
    "all did, at the baseline that wins.",
    "unjudged": "load more customers or a longer history before anybody acts on its scores.",
}
"""What a verdict asks of whoever reads it; docs/operate.md says more."""
_COLOURS = {"better": "#1a7f37", "level": "#9a6700", "worse": "#cf222e", "unjudged": "#57606a"}


@dataclass(frozen=True)
class Verdict:
    """What the scorecard says, and the baseline that decided it.

    `metric` is the loss that decides, "log_loss" or "ibs". `difference`, `low` and `high` are
    those of the pooled, eligible rows (model minus `baseline`, simultaneous 95 % interval), also
    where a single cutoff decided; null, like `baseline`, if `status` is "unjudged".
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
    """Verdict, rows, notes, what the names in the rows stand for, and what a row is about."""

    verdict: Verdict
    rows: tuple[ScoreRow, ...] = ()
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    entity: str = CUSTOMER

    def __repr__(self) -> str:
        return f"Scorecard({self.verdict.text})"

    def to_dict(self) -> dict[str, Any]:
        """Return data for JSON: numbers, texts, lists and null, in a fixed order."""
        return {
            "verdict": asdict(self.verdict),
            "rows": [asdict(row) for row in self.rows],
            "notes": list(self.notes),
            "labels": {name: self.labels[name] for name in sorted(self.labels)},
            "entity": self.entity,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scorecard:
        """Read what `to_dict` wrote; `IntegrityError` if a part is missing or foreign.

        Without an entity, as scorecards were written once, it is about customers.
        """
        data = {"entity": CUSTOMER, **data}
        _expect(data, ("verdict", "rows", "notes", "labels", "entity"), "scorecard")
        verdict = _record(Verdict, data["verdict"], "scorecard.verdict")
        if verdict.status not in get_args(Status):
            raise IntegrityError(
                f"scorecard.verdict.status: expected one of {', '.join(get_args(Status))}, "
                f'got "{verdict.status}"'
            )
        if verdict.metric not in LOSSES:
            raise IntegrityError(
                f'scorecard.verdict.metric: expected {" or ".join(LOSSES)}, got "{verdict.metric}"'
            )
        if data["entity"] not in NOUNS:
            raise IntegrityError(
                f'scorecard.entity: expected one of {", ".join(NOUNS)}, got "{data["entity"]}"'
            )
        rows = tuple(_record(ScoreRow, row, "scorecard.rows") for row in data["rows"])
        return cls(verdict, rows, tuple(data["notes"]), dict(data["labels"]), data["entity"])

    def to_text(self) -> str:
        """Render for the terminal: the verdict large, then aligned tables, then the notes."""
        rule = "=" * WIDTH
        headline = textwrap.wrap(self.verdict.text, WIDTH - 4)
        banner = [rule, f"  {' '.join(self.verdict.status.upper())}", ""]
        parts = ["\n".join([*banner, *(f"  {line}" for line in headline), rule])]
        parts += [table.to_text() for table in self._tables()]
        parts += ["\n".join(_bullet(note) for note in self._notes())] if self._notes() else []
        return "\n\n".join(parts) + "\n"

    def to_markdown(self) -> str:
        """Render the same for a file, with a sentence for every term."""
        tables = self._tables()
        parts = [f"# Verdict: {self.verdict.status}", markdown(self.verdict.text)]
        parts += [table.to_markdown() for table in tables]
        if self._notes():
            parts.append("\n".join(f"- {markdown(note)}" for note in self._notes()))
        if tables:
            meanings = terms_of(tables, NOUNS[self.entity], about_events(self.rows))
            terms = [f"- **{term}**: {meaning}" for term, meaning in meanings.items()]
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
        advice = f"What to do: {_ADVICE[self.verdict.status]}"
        return [
            advice,
            *self.notes,
            *(f"{k}: {v}" for k, v in sorted(self.labels.items()) if k in named),
        ]

    def _tables(self) -> list[Table]:
        return tables_of(self.rows, self.verdict.metric, NOUNS[self.entity])


def unjudged(
    reason: str,
    *,
    metric: str = "log_loss",
    rows: tuple[ScoreRow, ...] = (),
    notes: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
    entity: str = CUSTOMER,
) -> Scorecard:
    """Build the scorecard that says why it cannot judge, with what rows there are."""
    verdict = Verdict("unjudged", metric, None, None, None, None, f"unjudged: {reason}")
    return Scorecard(verdict, rows, notes, dict(labels or {}), entity)


def _bullet(note: str) -> str:
    return textwrap.fill(note, WIDTH, initial_indent="- ", subsequent_indent="  ")


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
