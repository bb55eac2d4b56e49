"""Are the effects planted in simulated shops found, and none where there are none?

    python benchmarks/effects.py [--customers 3000] [--seeds 1] [--step 20] [--no-models]

For every effect two shops are simulated that differ in its dial alone. Both are looked at through
the library's own columns at cutoffs and the waits after them (`effects_hazards.py`,
`effects_lapses.py`), so an effect that a column misses, or that leaks into one, would show. The
truth comes from the dials. Then the same of the default brand, where all effects act at once, and
of trained models (`effects_models.py`). About a minute for one seed and another for the models;
more seeds show whether the intervals hold as often as they should.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from scipy.stats import binom, t

import effects_hazards as hazards
import effects_models as models
from effects_lapses import CHURN
from effects_planted import EFFECTS, Found, seek
from effects_rows import Estimate
from findings import Check, Part, table, today
from ppi_ml import metrics
from ppi_ml.simulate import Brand, simulate_brand

CUSTOMERS, SEEDS, STEP = 3_000, 1, 20
FIRST_SEED, SHOPS = 1, 5
CROWDED = Brand(late_share=0.3, denied=0.0)
CROWDED_DAYS, CROWDED_STEP = 500, 10
_RARE = 0.001
_HEAD = ("effect", "means", "truth", "found", "95 % interval", "with the dial at 0", "interval")
MEANING = """\
One effect at a time, in shops whose customers are alike (`effects_planted.WAITS`); the table is of
the first seed. *Lapse* is the odds of no order within {churn} days. The truth of waits and hazards
is the dial's. Where some of the days compared lie outside the effect (messages opened late or not
at all, other content), for money, which tells units only roughly, and for the odds of lapses, it is
what the dials make of what really happened before the same cutoffs. No column knows the promotions
to come, so weeks with a code are told by the truth. Of every twenty intervals one is expected to
miss."""
CROWD = """\
All effects at once, in the default brand but for more late parcels (a share of {share:.0%}): the
wait after a late parcel over that after a punctual one, of customers whom the truth does not know
to have lapsed, adjusted for their true pace, the time waited and the season. What remains of the
wait is stretched; as the law has a shape of {shape:g}, the hazard is divided by the dial's factor
at first and by its power of {shape:g} in the end, so the truth is a range."""
MODELS = """\
Models of orders alone and with further families, out of time, in {shops} shops of {days} days each,
with a strong effect ({strong}) or none at all. All numbers are means over the shops, with Student's
95 % interval. *Gain* is the log-loss at {horizon} days less that of orders alone, below 0 where the
families help. *After a late parcel* is by how much P(no order within {horizon} days) is higher than
after a punctual one, at equal purchases and time waited, up to {longest} days: as the model
predicts it, and as it came."""


@dataclass(frozen=True)
class Crowded:
    """One effect where all others act too: the range of its truth, and what was found."""

    name: str
    low: float
    high: float
    planted: Estimate
    absent: Estimate


@dataclass(frozen=True)
class Learned:
    """What models make of some shops: the rival's loss, the gain, silence after a late parcel."""

    name: str
    rival: float
    gain: Estimate
    predicted: Estimate
    actual: Estimate


def measure(
    customers: int = CUSTOMERS, seeds: int = SEEDS, step: int = STEP, *, with_models: bool = True
) -> Part:
    """All effects of every seed, then all at once, then the models."""
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for effect in EFFECTS:
            print(f"effects: seed {seed}, {effect.name} ...", file=sys.stderr, flush=True)
            found.append(seek(effect, customers, seed, step))
    crowd = crowded(4 * customers, FIRST_SEED)
    learned = learn(customers // 2) if with_models else []
    settings = {"customers": f"{customers:,}", "seeds": seeds, "days between cutoffs": step}
    return part_of(found, crowd, learned, settings)


def crowded(customers: int, seed: int) -> list[Crowded]:
    """The effects of late parcels in the default brand, and without these."""
    print("effects: all at once ...", file=sys.stderr, flush=True)
    without = replace(CROWDED, late_wait=0.0, late_wait_first=0.0)
    planted, absent = (
        hazards.late_among_all(simulate_brand(customers, CROWDED_DAYS, seed, brand), CROWDED_STEP)
        for brand in (CROWDED, without)
    )
    later = 1 + CROWDED.late_wait
    factors = {"later orders": later, "first orders": later + CROWDED.late_wait_first}
    return [
        Crowded(name, factor, factor**CROWDED.regularity, Estimate.of(there), Estimate.of(gone))
        for (name, factor), there, gone in zip(factors.items(), planted, absent, strict=True)
    ]


def learn(customers: int, shops: int = SHOPS) -> list[Learned]:
    """Models with the deliveries, with and without a strong effect; and with all families.

    Every number is the mean over some shops: one shop's luck, and that of one training, touch all
    its rows together, which customers drawn from it cannot show.
    """
    with_parcels = (*models.ORDERS, "delivery")
    asked: Mapping[str, tuple[Brand, Mapping[str, str | Sequence[str]]]] = {
        "strong effect": (models.STRONG, {"deliveries": with_parcels}),
        "no effect": (models.CALM, {"deliveries": with_parcels, "all families": "all"}),
    }
    found: dict[str, list[tuple[float, float, float]]] = {}
    losses: dict[str, list[float]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + shops):
        for shop, (brand, kinds) in asked.items():
            print(f"effects: models, seed {seed}, {shop} ...", file=sys.stderr, flush=True)
            made = models.shop(brand, customers, seed)
            rival = models.answers(made, models.ORDERS)
            for kind, families in kinds.items():
                ours = models.answers(made, families)
                predicted, actual = models.after_late(ours)
                numbers = (models.gain(ours, rival).value, predicted.value, actual.value)
                found.setdefault(f"{shop}, {kind}", []).append(numbers)
                losses.setdefault(f"{shop}, {kind}", []).append(float(rival.loss.mean()))
    return [
        Learned(name, fmean(losses[name]), *map(over_shops, zip(*numbers, strict=True)))
        for name, numbers in found.items()
    ]


def over_shops(numbers: Sequence[float]) -> Estimate:
    """The mean of one number per shop, with Student's interval."""
    tail = (1 - metrics.CONFIDENCE) / 2
    half = t.ppf(1 - tail, len(numbers) - 1) * stdev(numbers) / len(numbers) ** 0.5
    return Estimate(fmean(numbers), fmean(numbers) - half, fmean(numbers) + half)


# ------------------------------------------------------------------ what is told


def part_of(
    found: Sequence[Found],
    crowd: Sequence[Crowded],
    learned: Sequence[Learned],
    settings: Mapping[str, object],
) -> Part:
    """How many intervals hold, what the models gain, and the tables."""
    first = found[: len({one.effect.name for one in found})]
    tables = [
        MEANING.format(churn=CHURN),
        table(_HEAD, [_row(one) for one in first]),
        CROWD.format(share=CROWDED.late_share, shape=CROWDED.regularity),
        table(_HEAD[:1] + _HEAD[2:], [_row_of_crowd(one) for one in crowd]),
    ]
    if learned:
        strong = models.STRONG
        dials = f"late_wait {strong.late_wait:g}, late_wait_first {strong.late_wait_first:g}"
        tables += [
            MODELS.format(
                shops=SHOPS, days=models.DAYS, strong=dials, horizon=models.HORIZON,
                longest=models.LONGEST,
            ),
            table(
                ("shop, families", "log-loss of orders alone", "gain", "after a late parcel",
                 "as it came"),
                [_row_of_model(one) for one in learned],
            ),
        ]  # fmt: skip
    text = "\n\n".join(block.strip() for block in tables)
    checks = (*_counted(found), *_of_crowd(crowd), *_of_models(learned))
    return Part("Planted effects", settings, checks, text, today())


def _counted(found: Sequence[Found]) -> list[Check]:
    """Each interval may miss once in twenty; so many misses as would come once in a thousand fail.

    Where nothing ever happens without the effect, its interval is a point and cannot miss.
    """
    least = int(binom.ppf(_RARE, len(found), metrics.CONFIDENCE))

    def held(what: str, which: Sequence[bool], bound: int) -> Check:
        count = sum(which)
        return Check(what, f"{count} of {len(which)}", f"at least {bound}", count >= bound)

    return [
        held("truths inside their interval", [one.inside for one in found], least),
        held("intervals on the truth's side", [one.surely for one in found], least),
        held("no effect found where the dial is 0", [one.calm for one in found], least),
    ]


def _of_crowd(crowd: Sequence[Crowded]) -> list[Check]:
    return [
        Check(
            f"all at once, late parcel, {one.name}: interval meets the range of the truth",
            _ends(one.planted, ".2f"), f"{one.low:.2f} to {one.high:.2f}",
            one.planted.low <= one.high and one.planted.high >= one.low,
        )
        for one in crowd
    ]  # fmt: skip


def _of_models(learned: Sequence[Learned]) -> list[Check]:
    """A strong effect must be learned, and where there is none no family may seem to help."""
    checks = []
    for one in learned:
        strong = one.name.startswith("strong")
        bounds = ("below 0", one.gain.high < 0) if strong else ("not below 0", one.gain.high >= 0)
        checks.append(Check(f"gain: {one.name}", _ends(one.gain, "+.4f"), *bounds))
        if strong:
            what, bound = f"after a late parcel: {one.name}", "above 0"
            ends = _ends(one.predicted, "+.3f")
            checks.append(Check(what, ends, bound, one.predicted.low > 0))
    return checks


def _row(one: Found) -> tuple[str, ...]:
    none = one.effect.none
    return (
        one.effect.name, one.effect.means, f"{one.truth:.3f}", f"{one.planted.value:.3f}",
        _marked(one.planted, one.truth), f"{one.absent.value:.3f}", _marked(one.absent, none),
    )  # fmt: skip


def _row_of_crowd(one: Crowded) -> tuple[str, ...]:
    return (
        f"late parcel, {one.name}", f"{one.low:.2f} to {one.high:.2f}", f"{one.planted.value:.3f}",
        _ends(one.planted, ".3f"), f"{one.absent.value:.3f}", _marked(one.absent, 1.0),
    )  # fmt: skip


def _row_of_model(one: Learned) -> tuple[str, ...]:
    return (
        one.name, f"{one.rival:.4f}", f"{one.gain.value:+.4f} ({_ends(one.gain, '+.4f')})",
        f"{one.predicted.value:+.3f} ({_ends(one.predicted, '+.3f')})",
        f"{one.actual.value:+.3f} ({_ends(one.actual, '+.3f')})",
    )  # fmt: skip


def _ends(found: Estimate, form: str) -> str:
    return f"{found.low:{form}} to {found.high:{form}}"


def _marked(found: Estimate, number: float) -> str:
    """The ends of an interval, bold where it misses the number."""
    ends = _ends(found, ".3f")
    return ends if found.covers(number) else f"**{ends}**"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers; 1 if one of them fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="of every shop")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many times all effects")
    parser.add_argument("--step", type=int, default=STEP, help="days between cutoffs")
    parser.add_argument("--no-models", action="store_true", help="train nothing")
    given = parser.parse_args(arguments)
    part = measure(given.customers, given.seeds, given.step, with_models=not given.no_models)
    print(part.to_markdown(), end="")
    return int(any(check.passed is False for check in part.checks))


if __name__ == "__main__":
    sys.exit(main())
