"""The curve at forward origins inside the logs: what a change of the model is judged on first.

    python benchmarks/origins.py [SHOP ...] [--every 15] [--days 180] [--set model.season=off]
        [--save FILE] [--against FILE]
    python benchmarks/origins.py orders.csv --from 2009-06-01 --to 2014-11-02 --every 330

At each origin the log is cut to what was known then, the curve is fitted with its default recipe
(no search), and everybody is asked about. Origins lie 30 days apart; what a few of them say of a
member may be luck, and `--every 15` asks twice as many. `--days` asks all of them about other days:
far ones of young logs, of which no snapshot has seen so many. The answers end where the last fixed
case of a shop begins to ask; earlier ones of the same shop (Online Retail II 2011-06-13, CDNOW
1997-10-01) lie inside, so these cases are no blind judges of what was chosen here.

Printed are log-loss at the horizon, integrated Brier score, and expected over actual returning
customers; beside them the log-loss of every member alone, and how it changes where that member is
left out. `--save` keeps the numbers; `--against` compares with numbers that were kept, such as
those of the code before a change. CDNOW and Complete Journey are read from `$PPI_ML_DATA`, and left
out and named if they are not there. About 15 s an origin.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rolling
from findings import table, today
from ppi_ml import curve_metrics, inputs, labels, metrics, recipe, rows
from ppi_ml.config import Config, DataSettings
from ppi_ml.events import EventLog
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves, evaluation_days
from ppi_ml.models.durations import Durations
from ppi_ml.models.hazard import STAGES
from ppi_ml.models.mixture import Mixture, mean_curve
from ppi_ml.recipe import Recipe
from ppi_ml.settings import from_sets
from ppi_ml.training import SEASON_SD

FloatArray = NDArray[np.float64]
EVERY = 30
USUAL_DAYS = 90
_HEAD = ("shop", "origin", "days", "customers", "log-loss", "IBS", "expected / actual")


@dataclass(frozen=True)
class Place:
    """A shop, the end of what may be seen of it, and the dates between which it is asked.

    `spans` are (first origin, last origin, days asked about).
    """

    source: str
    path: str | None
    end: str
    spans: tuple[tuple[str, str, int], ...]

    def origins(self, every: int = EVERY, days: int | None = None) -> list[tuple[str, int]]:
        """The origins and the days asked about at each, or `days` where these can be known."""
        found = []
        for first, last, usual in self.spans:
            asked = usual if days is None else days
            dates = np.arange(np.datetime64(first), np.datetime64(last) + 1, every)
            found += [(str(date), asked) for date in dates if str(date + asked) <= self.end]
        return found


SHOPS = {
    "online_retail": Place("", None, "2011-09-11", (
        ("2010-04-19", "2011-06-13", 90), ("2011-07-13", "2011-07-13", 60),
        ("2011-08-12", "2011-08-12", 30),
    )),
    "cdnow": Place("cdnow", "cdnow/cdnow_master.parquet", "1998-01-02", (
        ("1997-04-07", "1997-09-04", 90),
    )),
    "complete_journey": Place("complete_journey", "completejourney", "2017-10-03", (
        ("2017-04-06", "2017-07-05", 90), ("2017-08-04", "2017-09-03", 30),
    )),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One origin. `alone` and `without`: member -> log-loss of it, and of all others together."""

    shop: str
    origin: str
    days: int
    customers: int
    log_loss: float
    ibs: float
    ratio: float
    alone: Mapping[str, float]
    without: Mapping[str, float]

    @property
    def key(self) -> tuple[str, str, int]:
        """What was asked."""
        return self.shop, self.origin, self.days

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table, in the order of its head."""
        return (
            self.shop, self.origin, str(self.days), f"{self.customers:,}", f"{self.log_loss:.4f}",
            f"{self.ibs:.4f}", f"{self.ratio:.3f}",
        )  # fmt: skip


def place_of(shop: str, first: str | None, last: str | None, days: int) -> Place | None:
    """A shop by its name, or one's own by its path, asked from the first to the last origin."""
    if shop in SHOPS or not (first and last and Path(shop).exists()):
        return SHOPS.get(shop)
    end = str(np.datetime64(last) + days)
    return Place("files", str(Path(shop).absolute()), end, ((first, last, days),))


def path_of(place: Place) -> Path | None:
    """Where the data of a shop lie; None if they do not."""
    found = Path(os.environ.get("PPI_ML_DATA", "")) / (place.path or "")
    return found if found.exists() else None


def log_of(place: Place) -> EventLog:
    """The log of a shop, up to the end of what may be seen of it."""
    if place.path is None:
        return inputs.load_demo().until(place.end)
    settings = DataSettings(source=place.source, path=str(path_of(place)))
    return inputs.load_log(settings).until(place.end)


def at_origin(
    shop: str, log: EventLog, origin: str, days: int, sets: Mapping[str, object]
) -> Found:
    """Fit at one origin of a log, and ask about the days after it."""
    given = {"target.horizon": f"{days}d", **sets}
    read = {"data": {"source": "dataframes"}, "target": {"name": "repurchase"}}
    config = Config.read(read, given, environ={})
    problem = rolling.problem_of(log.until(origin), config)
    material, fold = problem.material, problem.fold
    model = recipe.fit(material, fold, recipe_of(config))
    now = material.data.at([fold.end])
    edges = np.asarray(model.settings.edges)
    asked = rows.build(now, material.states.replayed(fold.end, [fold.end]), edges.tolist())
    waits = labels.durations(now, log, log.observed_until)
    return judged(shop, origin, days, model, asked, waits)


def recipe_of(config: Config) -> Recipe:
    """The recipe that a search starts from, with what the config says of stages and members."""
    asked = config.model
    stages = STAGES[-1] if asked.stages == "auto" else asked.stages
    members = recipe.HEDGED if asked.members == "auto" else asked.members
    return Recipe(stages, None, SEASON_SD, asked.trees.model_dump(), members)


def judged(
    shop: str, origin: str, days: int, model: Mixture, asked: Rows, waits: Durations
) -> Found:
    """The losses of the mixture, of its members alone, and of it without each of them."""
    edges, widths = np.asarray(model.settings.edges), model.settings.widths
    gone = ~labels.within(waits, days)
    members = {
        name: np.cumsum(np.exp(log_hazard) * widths, axis=1)
        for name, log_hazard in model.log_hazards(asked).items()
    }

    def survival(names: Sequence[str], at: FloatArray) -> FloatArray:
        weights = {name: model.weights[name] for name in names}
        total = sum(weights.values())
        chosen = {name: members[name] for name in names}
        mean = mean_curve(chosen, {name: weight / total for name, weight in weights.items()})
        return Curves(edges, np.hstack([np.zeros((len(mean), 1)), mean])).survival(at)

    def loss(names: Sequence[str]) -> float:
        return float(metrics.log_losses(gone, survival(names, np.array([days]))[:, 0]).mean())

    grid = evaluation_days(days, "ibs")
    whole = survival(list(members), grid)
    brier = curve_metrics.integrated_brier_losses(waits.days, waits.observed, grid, whole)
    others = {name: [n for n in members if n != name] for name in members}
    return Found(
        shop, origin, days, len(gone),
        log_loss=loss(list(members)),
        ibs=float(brier.mean()),
        ratio=float((1 - whole[:, -1]).sum() / (~gone).sum()),
        alone={name: loss([name]) for name in members},
        without={name: loss(rest) for name, rest in others.items() if rest},
    )  # fmt: skip


def to_markdown(found: Sequence[Found]) -> str:
    """The origins in one table, their members in another."""
    names = list(dict.fromkeys(name for one in found for name in one.alone))
    head = ("shop", "origin", *(f"{name} (without)" for name in names))
    body = [(one.shop, one.origin, *(_member(one, name) for name in names)) for one in found]
    parts = [
        f"## Forward origins\n\nMeasured {today()}. All customers, default recipe.",
        table(_HEAD, [one.cells for one in found]),
        "Log-loss of each member alone, and change of the mixture without it:",
        table(head, body),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _member(one: Found, name: str) -> str:
    if name not in one.alone:
        return ""
    rest = f" ({one.without[name] - one.log_loss:+.4f})" if name in one.without else ""
    return f"{one.alone[name]:.4f}{rest}"


def compared(found: Sequence[Found], before: Sequence[Found]) -> str:
    """What changed at the origins that both have: a table, how often less, and the mean change."""
    then = {one.key: one for one in before}
    both = [(one, then[one.key]) for one in found if one.key in then]
    if not both:
        return "no origin in common\n"
    body = [
        (
            new.shop, new.origin, f"{old.log_loss:.4f}", f"{new.log_loss - old.log_loss:+.4f}",
            f"{old.ibs:.4f}", f"{new.ibs - old.ibs:+.4f}", f"{old.ratio:.3f}", f"{new.ratio:.3f}",
        )
        for new, old in both
    ]  # fmt: skip
    head = ("shop", "origin", "log-loss", "change", "IBS", "change", "level", "now")
    losses: dict[str, Callable[[Found], float]] = {
        "log-loss": lambda one: one.log_loss, "integrated Brier score": lambda one: one.ibs,
    }  # fmt: skip
    said = []
    for name, value in losses.items():
        changes = [value(new) / value(old) - 1 for new, old in both]
        less = sum(change < 0 for change in changes)
        same = sum(change == 0 for change in changes)
        said.append(
            f"{name}: lower at {less} of {len(both)}, the same at {same}, "
            f"{float(np.mean(changes)):+.2%} in the mean"
        )
    return "\n\n".join([table(head, body).strip(), "; ".join(said) + "."]) + "\n"


def save(found: Sequence[Found], path: Path) -> None:
    """Keep the numbers as JSON."""
    path.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[Found]:
    """Numbers that were kept."""
    return [Found(**one) for one in json.loads(path.read_text(encoding="utf-8"))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shops", nargs="*", metavar="SHOP", help=", ".join(SHOPS))
    parser.add_argument("--every", type=int, default=EVERY, metavar="DAYS", help="between origins")
    parser.add_argument("--days", type=int, help="asked about, instead of those of each origin")
    parser.add_argument("--from", dest="first", metavar="DATE", help="of a SHOP that is a path")
    parser.add_argument("--to", dest="last", metavar="DATE", help="of a SHOP that is a path")
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="PATH=VALUE")
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--against", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    wanted = list(given.shops or SHOPS)
    ahead = given.days or USUAL_DAYS
    found_at = {shop: place_of(shop, given.first, given.last, ahead) for shop in wanted}
    places = {shop: place for shop, place in found_at.items() if place}
    if strange := [shop for shop in wanted if shop not in places]:
        known = ", ".join(SHOPS)
        parser.error(
            f"SHOP: expected some of {known}, or a path with --from and --to, got {strange[0]}"
        )
    before = read(given.against) if given.against else None
    sets, found = dict(from_sets(given.sets)), []
    for shop, place in places.items():
        if place.path is not None and path_of(place) is None:
            print(f"{shop}: left out: no PPI_ML_DATA/{place.path}", file=sys.stderr)
            continue
        log = log_of(place)
        for origin, days in place.origins(given.every, given.days):
            print(f"{shop} {origin} ...", file=sys.stderr, flush=True)
            found.append(at_origin(shop, log, origin, days, sets))
    if given.save:
        save(found, given.save)
    print(to_markdown(found))
    if before is not None:
        print(compared(found, before), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
