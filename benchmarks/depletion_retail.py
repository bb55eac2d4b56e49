"""Depletion per stock code of Online Retail II, the data that ship: a gift shop for dealers too.

    python benchmarks/depletion_retail.py [--origins 3] [--trials 10]

Trains as `configs/depletion.yaml` says on the log as known at each origin, the last one its end,
90 days apart, and tells what the training's own scorecard says of its test cutoffs: losses of the
model and of every baseline on the same pairs, out of time. Neighbouring origins share one test
cutoff. Quantities are those of dealers: one order line in seven is of 24 pieces or more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import depletion_kept
import ppi_ml
from findings import Check, Part, table, today
from ppi_ml.instants import Cutoff
from ppi_ml.runs import Run
from ppi_ml.score_rows import ELIGIBLE, MODEL, POOLED
from rolling import origins_of

CONFIG = Path(__file__).parents[1] / "configs" / "depletion.yaml"
EVERY = 90
LOSS = "ibs"
MORE = ("c_index", "coverage", "d_calibration_excess")
"""What is told of the model alone, where the scorecard has it."""


@dataclass(frozen=True)
class Origin:
    """What one scorecard says: the verdict in words, and losses of the pairs asked about.

    `losses` name -> loss, `model` ours; `low` and `high` name -> the interval of ours minus it.
    """

    until: str
    cutoffs: tuple[str, ...]
    pairs: int
    status: str
    text: str
    losses: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    more: Mapping[str, float]
    measured: str

    @classmethod
    def of(cls, until: str, run: Run) -> Origin:
        """What the scorecard of a run says."""
        pooled = [r for r in run.scorecard.rows if (r.cutoff, r.segment) == (POOLED, ELIGIBLE)]
        known = [row for row in pooled if row.metric == LOSS]
        return cls(
            until=until,
            cutoffs=run.cutoffs,
            pairs=max((row.n for row in known), default=0),
            status=run.verdict.status,
            text=run.verdict.text,
            losses={r.model: r.value for r in known if r.value is not None},
            low={r.model: r.difference_low for r in known if r.difference_low is not None},
            high={r.model: r.difference_high for r in known if r.difference_high is not None},
            more={
                r.metric: r.value
                for r in pooled
                if r.model == MODEL and r.metric in MORE and r.value is not None
            },
            measured=today(),
        )


def options(origins: int, trials: int | None) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    return {"origins": origins, "every": EVERY, "trials": "default" if trials is None else trials}


def measure(
    origins: int = 3, trials: int | None = None, *, keep: Path | None = None, fresh: bool = False
) -> Part:
    """Train and judge at every origin; in `keep` each is kept, and read there unless `fresh`."""
    found, asked = list[Origin](), options(origins, trials)
    for until in origins_of(ppi_ml.load_demo().observed_until, 0, EVERY, origins):
        place = None if keep is None else keep / f"retail-{until}.json"
        work = partial(at_origin, until, trials)
        few = {"trials": asked["trials"]}
        found.append(Origin(**depletion_kept.step(place, few, work, fresh=fresh)))
    return part_of(found, asked)


def at_origin(until: Cutoff, trials: int | None) -> Origin:
    """Train on the log as known at one origin."""
    print(f"retail: until {until} ...", file=sys.stderr, flush=True)
    settings: dict[str, object] = {"data.until": str(until)}
    if trials is not None:
        settings["tune.trials"] = trials
    with tempfile.TemporaryDirectory() as folder:
        settings["output.folder"] = folder
        run = ppi_ml.train(config=CONFIG, settings=settings, track=False)
    return Origin.of(str(until), run)


def part_of(found: Sequence[Origin], settings: Mapping[str, object]) -> Part:
    """The verdicts, and the losses of every origin."""
    names = sorted({name for origin in found for name in origin.losses} - {MODEL})
    head = ("log until", "test cutoffs", "pairs", "verdict", "ours", *names)
    rows = [
        (o.until, ", ".join(o.cutoffs), f"{o.pairs:,}", o.status, _loss(o, MODEL),
         *(_loss(o, name) for name in names))
        for o in found
    ]  # fmt: skip
    compared = [(o.until, *(_compared(o, name) for name in names)) for o in found]
    more = [(o.until, *(_number(o.more.get(name)) for name in MORE)) for o in found]
    blocks = [
        "Integrated Brier score of the pairs asked about, all test cutoffs of an origin pooled:",
        table(head, rows),
        "Ours relative to each; * marks an interval of the difference (95 %, of all baselines at "
        "once) without 0:",
        table(("log until", *names), compared),
        table(("log until", *MORE), more) if any(o.more for o in found) else "",
        "\n".join(f"- {o.until}: {o.text}" for o in found),
    ]
    text = "\n\n".join(block.strip() for block in blocks if block)
    when = depletion_kept.dates(one.measured for one in found)
    return Part("Online Retail II per stock code", settings, tuple(_checks(found)), text, when)


def _checks(found: Sequence[Origin]) -> list[Check]:
    """Every origin must be judged, and not be worse than a baseline."""
    checks = []
    for one in found:
        rivals = {name: loss for name, loss in one.losses.items() if name != MODEL}
        best = min(rivals, key=lambda name: rivals[name]) if rivals else "none"
        told = f"{one.status} ({_loss(one, MODEL)}; best baseline {best} {_loss(one, best)})"
        passed = one.status in ("better", "level")
        what = f"verdict, log until {one.until}"
        checks.append(Check(what, told, "better or level", passed))
    return checks


def _loss(one: Origin, name: str) -> str:
    return _number(one.losses.get(name))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _compared(one: Origin, name: str) -> str:
    if name not in one.losses or MODEL not in one.losses:
        return "-"
    low, high = one.low.get(name, -1.0), one.high.get(name, 1.0)
    mark = "*" if low > 0 or high < 0 else ""
    return f"{one.losses[MODEL] / one.losses[name] - 1:+.1%}{mark}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--origins", type=int, default=3)
    parser.add_argument("--trials", type=int, help="of the search; default: the config's")
    given = parser.parse_args(arguments)
    print(measure(given.origins, given.trials).to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
