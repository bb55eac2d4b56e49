"""The figures that stand in a run folder beside its scorecard; none of them shows a customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppi_ml import plots
from ppi_ml.bundle import Bundle
from ppi_ml.errors import UsageError
from ppi_ml.kept import bundle_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "plots"


@dataclass(frozen=True)
class _Kind:
    """A figure: its name, how it is drawn from a run folder, and which targets have one."""

    name: str
    about: str
    draw: Callable[[Path], Figure]
    fits: Callable[[dict[str, Any]], bool]


_KINDS = (
    _Kind("calibration", "what was predicted, and what came", plots.calibration_at,
          lambda target: True),
    _Kind("coverage", "how often the 80 % interval held", plots.coverage_by_segment,
          lambda target: target["metric"] == "ibs"),
    _Kind("season", "orders over the year", plots.season_effect,
          lambda target: target["kind"] == "duration"),
)  # fmt: skip


def write(folder: Path) -> str:
    """Draw what a run folder can show into its folder `plots`; markdown for the scorecard.

    Args:
        folder: the run folder, with bundle and, if something was judged, `backtest.parquet`.

    Returns:
        Links to the figures, and why one is missing that such a target may have.
    """
    parts = ["\n## Figures\n"]
    if find_spec("matplotlib") is None:
        parts.append('None: they need matplotlib, `pip install "ppi_ml[plots]"`.\n')
        return "\n".join(parts)
    bundle = bundle_of(folder)
    parts += [_drawn(kind, folder) for kind in _KINDS if kind.fits(_target(bundle))]
    return "\n".join(parts)


def _target(bundle: Bundle) -> dict[str, Any]:
    target: dict[str, Any] = bundle.json("target.json")
    return target


def _drawn(kind: _Kind, folder: Path) -> str:
    """The figure as a file, and the line that shows it; or why there is none."""
    try:
        figure = kind.draw(folder)
    except UsageError as reason:
        return f"No {kind.name}: {reason}.\n"
    place = folder / FOLDER / f"{kind.name}.png"
    place.parent.mkdir(exist_ok=True)
    figure.savefig(place)
    return f"![{kind.about}]({FOLDER}/{place.name})\n"
