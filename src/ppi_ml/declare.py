"""What can be put on a shelf: a family, a target, a baseline, a source, a command.

Declarations are data. They say what a thing is; the kit of its shelf says how it is done. This
module imports nothing heavy, so that the command line starts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

Aggregate = Literal[
    "count", "rate", "sum", "mean", "std", "min", "max", "median", "first", "last",
    "distinct", "share", "days_since", "entropy",
]  # fmt: skip
STANDARD_WINDOWS = (30, 90, 180, 365)
"""Windows in days of features that follow the setting `features.windows`."""
Kind = Literal["duration", "probability"]
Metric = Literal["log_loss", "ibs"]
"""The one loss of a target: log-loss at the horizon, or the integrated Brier score up to it."""
State = dict[str, Any]


@dataclass(frozen=True)
class Feature:
    """One aggregate over the rows of one view of the past, once per window.

    Columns are named `<family>__<what>__<aggregate>__<window>d`, without the last part when the
    whole past counts. Without windows a feature reaches back to the first event.
    """

    what: str
    aggregate: Aggregate
    view: str
    unit: str
    null: str
    of: str | None = None
    """Row-level column that is aggregated (for `share`, a boolean one: the rows that count);
    integers are summed exactly, then scaled."""
    where: str | None = None
    """Row-level boolean column; only its true rows count (for `share`: the numerator)."""
    windows: tuple[int, ...] = ()
    """Days before the cutoff; none means the whole past."""
    since: str | None = None
    """Only events since the record of this table began, so that ratios compare like with like."""
    scale: float = 1.0
    """The stored integer is divided by this (money 10,000; quantity 1,000; time in days)."""
    trees: bool = True
    """False: only smooth models may see it, because it would tell a tree which date it is."""
    honest: bool = True
    """Null where less than a quarter of the window was observed."""

    def columns(self, family: str) -> list[tuple[str, int | None]]:
        """(column name, window in days or None) of every column this feature makes."""
        stem = f"{family}__{self.what}__{self.aggregate}"
        return [(f"{stem}__{w}d", w) for w in self.windows] or [(stem, None)]


@dataclass(frozen=True)
class Expression:
    """A named expression over the columns of its own family: what the vocabulary cannot say."""

    name: str
    unit: str
    null: str
    view: str
    compute: Callable[[], pl.Expr]
    needs: tuple[str, ...] = ()
    """Columns without which it is left out, because the settings may ask for other windows."""
    trees: bool = True


@dataclass(frozen=True)
class Fitted:
    """Columns that need a state learned from everybody's past at the cutoff.

    `collect` turns the columns of everybody into bounded sums of integers; `fit` makes the JSON
    state; `columns` applies a state. A training row at cutoff s uses the state of s; scoring
    replays the state of the bundle.
    """

    collect: Callable[[pl.DataFrame], pl.DataFrame]
    fit: Callable[[pl.DataFrame], State]
    columns: Callable[[State], Mapping[str, pl.Expr]]
    describes: tuple[Expression, ...]


Seen = Callable[[str], "pl.DataFrame"]
"""Table -> its known rows as a family may see them: `age_us` (1 or more) in place of dates, and
`<x>_age_us` for a further time `<x>_at` (negative: still to come). Sorted by customer and time; no
rows where the log has no such table. Of products and customers it is what holds at the cutoff, one
row each (of products in the past of orders: at the date of the states). Order lines have
`is_purchase`, whether they make one; those of "listed" also have what the table products says of
each at the cutoff."""


@dataclass(frozen=True)
class View:
    """Rows that a family makes of known events, where one table alone does not say it.

    `make(seen, state)` gives a frame with `keys` and `age_us`; `state` is what the family learned,
    empty if it learns nothing. `of` is the table whose record says how long was observed.
    """

    name: str
    of: str
    make: Callable[[Seen, State], pl.DataFrame]
    keys: tuple[str, ...] = ("customer_id",)


@dataclass(frozen=True)
class Learned:
    """What the views of a family need to know of everybody: a shop's own scale, a text model.

    `collect` turns the known rows of a bucket of customers into a bounded frame that is simply
    appended to those of other buckets; `fit` makes the JSON state of all of them, whatever the
    order of the rows. A training row at cutoff s uses the state of s; scoring replays the state of
    the bundle.
    """

    collect: Callable[[Seen], pl.DataFrame]
    fit: Callable[[pl.DataFrame], State]
    unused: Callable[[State], str | None] | None = None
    """What a state could not learn and why, in words for whoever trains; None where nothing."""


@dataclass(frozen=True)
class Family:
    """One file of features about one entity, computed from the past alone."""

    name: str
    entity: str | tuple[str, ...]
    """What its rows are about; several where the same declarations serve each of them."""
    needs: tuple[str, ...]
    """Tables it reads; without the table behind a view, the columns of that view are null."""
    features: tuple[Feature, ...]
    rows: Mapping[str, Callable[[], Mapping[str, pl.Expr]]] | None = None
    """View -> row-level columns added to it before aggregation."""
    expressions: tuple[Expression, ...] = ()
    fitted: Fitted | None = None
    views: tuple[View, ...] = ()
    """Views of its own, beside those that every past has."""
    of_segments: Callable[[tuple[str, ...]], Family] | None = None
    """The same family with columns of what `data.segments` names, too; None: it has none of them.
    `seen("customers")` holds these columns as `segment_<name>`, where the log has them."""
    learned: Learned | None = None
    """What its views learn from everybody; a family has this or `fitted`."""

    def view(self, name: str) -> View | None:
        """Its own view of that name, None if it has none."""
        return next((view for view in self.views if view.name == name), None)

    def serves(self, entity: str) -> bool:
        """Whether its rows can be about this entity."""
        return entity in ((self.entity,) if isinstance(self.entity, str) else self.entity)


@dataclass(frozen=True)
class Target:
    """What is predicted, for which entity, of which kind, and against which baselines."""

    name: str
    question: str
    entity: str
    kind: Kind
    reading: str
    metric: Metric
    event: str
    baselines: tuple[str, ...]
    of: str | None = None
    """The target whose curve and label it reads; None if it has its own."""
    asked_at: tuple[str, ...] = ()
    """Kind probability: the events that trigger the question (`occasions.TRIGGERS`)."""
    until: str = ""
    """Kind probability: what closes the question (`occasions.CLOSED`)."""
    outcome: Callable[[Any], Any] | None = None
    """Kind probability: what came of occasions, `outcome(Aftermath) -> pl.DataFrame`; training
    only."""

    def to_dict(self) -> dict[str, Any]:
        """The declaration as data, as the bundle carries it."""
        asked = {"asked_at": list(self.asked_at), "until": self.until}
        return {
            **(asked if self.kind == "probability" else {}),
            "name": self.name,
            "question": self.question,
            "entity": self.entity,
            "kind": self.kind,
            "reading": self.reading,
            "metric": self.metric,
            "event": self.event,
            "of": self.of,
        }


@dataclass(frozen=True)
class Baseline:
    """A rule or classical model that the LightGBM model must beat.

    `fit(problem)` returns `predict(rows)` -> P(no purchase within d days of the cutoff) at the k
    days of `problem.days`, (n, k), never increasing along a row; or it raises `NotTrainableError`
    with the reason. If `predict` has a method `note(rows) -> str`, what it says of the judged
    rows belongs beside its numbers.
    """

    name: str
    description: str
    fit: Callable[[Any], Callable[[Any], Any]]
    kind: Kind = "duration"
    """For the kind probability `predict(rows)` gives P(it happens), (n,)."""


@dataclass(frozen=True)
class Source:
    """Turns what a shop system exports into raw tables; `read(settings)` -> table -> RawTable."""

    name: str
    description: str
    attribution: str
    read: Callable[[Any], Mapping[str, Any]]
    takes_tables: bool = True
    """Whether it reads `data.tables`; a source of one known layout does not."""


@dataclass(frozen=True)
class Command:
    """One verb of the command line; `run` is a typer function."""

    name: str
    help: str
    run: Callable[..., None]
