"""What the judge said of cases: one row each, and in sum against the stored reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from findings import Check, at_most, table

REFERENCE = "reference"
PROCESSES = ("bg_nbd", "pareto_nbd")
_BASIC_PEERS = ("base_rate", "kaplan_meier")
_HEAD = (
    "case", "n", "ours", "best peer", "base rate", "reference", "change", "beats/ties/loses",
    "loses to", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What the judge said: headline losses, and how the peers compare.

    `outcome` peer -> beats, ties or loses (the system's view, significant or not); `reference` its
    loss, None if the case has none; `reference_beats` the processes that it is significantly
    better than; `metrics` peer, or "system", -> metric -> value, as the judge said them.
    """

    name: str
    entities: int
    missing: int
    value: float
    best: str
    best_value: float
    base: float | None
    reference: float | None
    outcome: Mapping[str, str]
    reference_beats: tuple[str, ...]
    seconds: float
    measured: str
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        verdict: Mapping[str, Any],
        seconds: float,
        reference_beats: Sequence[str] = (),
        measured: str = "",
    ) -> Result:
        """The result in the JSON answer of a judge, and the date of it."""
        headline = verdict["headline"]
        loss = {name: float(row[headline]) for name, row in verdict["metrics"].items()}
        outcome = {row["peer"]: row["outcome"] for row in verdict["comparisons"]}
        best = min(outcome, key=lambda peer: loss[peer])
        return cls(
            name=verdict["case"],
            entities=verdict["entities"],
            missing=verdict["missing"],
            value=loss["system"],
            best=best,
            best_value=loss[best],
            base=next((loss[peer] for peer in _BASIC_PEERS if peer in loss), None),
            reference=loss.get(REFERENCE),
            outcome=outcome,
            reference_beats=tuple(reference_beats),
            seconds=seconds,
            measured=measured,
            metrics=verdict["metrics"],
        )

    @property
    def change(self) -> float | None:
        """Our loss relative to the reference's: -0.01 is one per cent lower."""
        return None if self.reference is None else self.value / self.reference - 1

    @property
    def loses_to(self) -> tuple[str, ...]:
        """The peers that are significantly better."""
        return tuple(peer for peer, said in self.outcome.items() if said == "loses")

    @property
    def not_beaten(self) -> tuple[str, ...]:
        """The processes that the reference beats significantly and we do not."""
        return tuple(p for p in self.reference_beats if self.outcome.get(p) != "beats")

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table, in the order of its head."""
        known = f"{self.entities}" + (f" ({self.missing} missing)" if self.missing else "")
        said = list(self.outcome.values())
        counts = "/".join(str(said.count(word)) for word in ("beats", "ties", "loses"))
        change = "-" if self.change is None else f"{self.change:+.2%} {self.outcome[REFERENCE]}"
        return (
            self.name,
            known,
            f"{self.value:.4f}",
            f"{self.best} {self.best_value:.4f}",
            _loss(self.base),
            _loss(self.reference),
            change,
            counts,
            ", ".join(self.loses_to) or "-",
            f"{self.seconds:.0f}",
        )


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def markdown(results: Sequence[Result], left_out: Mapping[str, str]) -> str:
    """One table of all results, their sum, and a line for every case that has none."""
    blocks = [table(_HEAD, [result.cells for result in results])] if results else []
    blocks += [summary(results)] if any(r.reference for r in results) else []
    blocks += ["\n".join(f"- {name}: {reason}" for name, reason in left_out.items())]
    return "\n".join(blocks).strip() + "\n"


def mean_change(results: Sequence[Result]) -> float:
    """The mean relative change against the reference, over the cases that have one."""
    changes = [result.change for result in results if result.change is not None]
    return sum(changes) / len(changes)


def _below(results: Sequence[Result]) -> list[str]:
    return [result.name for result in results if result.change is not None and result.change < 0]


def summary(results: Sequence[Result]) -> str:
    """The comparison with the reference over all cases, as one line."""
    known = [result for result in results if result.change is not None]
    worse = [result.name for result in known if result.outcome[REFERENCE] == "loses"]
    return (
        f"Against the reference: mean relative change {mean_change(known):+.2%}, below it on "
        f"{len(_below(known))} of {len(known)} cases, significantly worse on "
        f"{', '.join(worse) or 'none'}.\n"
    )


def checks(results: Sequence[Result]) -> list[Check]:
    """The numbers that are asked of all cases together."""
    beaten_by = [r.name for r in results if r.loses_to]
    found = [_none("cases with a significantly better peer", beaten_by, len(results))]
    missed = [f"{r.name} {p}" for r in results for p in r.not_beaten]
    compared = sum(len(r.reference_beats) for r in results)
    found.append(
        _none("not significantly better than a process that the reference beats", missed, compared)
    )
    known = [r for r in results if r.change is not None]
    if known:
        worse = [r.name for r in known if r.outcome[REFERENCE] == "loses"]
        below, half = len(_below(known)), -(-len(known) // 2)
        change = mean_change(known)
        found += [
            _none("significantly worse than the reference", worse, len(known)),
            Check("below the reference", f"{below} of {len(known)}", f"at least {half}",
                  below >= half),
            Check("mean relative change against the reference", f"{change:+.2%}", "below 0",
                  change < 0),
        ]  # fmt: skip
    return found


def _none(what: str, names: Sequence[str], of: int) -> Check:
    """A list that has to be empty, told with its names."""
    check = at_most(what, len(names), 0, "d")
    found = f"{len(names)} of {of}" + (f": {', '.join(names)}" if names else "")
    return Check(what, found, "none", check.passed)
