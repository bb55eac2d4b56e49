"""Reasons for a score, in points of probability, by theme: together they are the whole score.

Of a member m with terms eta and of the interval k, let h be the hazard and S(H) the survival to
the horizon, and h0, S0 the same of the typical customer, whose every term is the mean over
training rows. With the logarithmic mean L(a, b) = (a - b) / (ln a - ln b)

    S(H) - S0(H) = sum over m of weight_m L(S_m, S0_m) x
                   minus the sum over k of width_k L(h_mk, h0_mk) x (eta_mk - eta0_mk),

which is an identity, linear in the terms: each has a share, and the shares add up exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.errors import IntegrityError, UsageError
from ppi_ml.models import terms
from ppi_ml.models.covariates import Rows
from ppi_ml.models.mixture import Mixture
from ppi_ml.models.terms import GLM, LEVEL, LIMITS, PROCESS, SEASON, TREES, Terms
from ppi_ml.models.thinning import draw_rows

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

TYPICAL_ROWS = 2_000
"""Training rows whose mean is the typical customer; its error is then a 45th of the spread."""
LEAST_POINTS = 0.05
"""Less than this, rounded to a tenth of a point, is no reason."""
_CHUNK_INTERVALS = 20_000

_RHYTHM = "time waited against own gaps"
_COUNTS = "how recently and how often"
_PROCESSES = "pace and lapse by the purchase processes"
_VALUE = "order value and breadth"
THEMES: Mapping[str, str] = {
    PROCESS: _PROCESSES,
    f"{GLM}h_": _PROCESSES,
    f"{GLM}log_recency": _COUNTS,
    f"{GLM}log_count": _COUNTS,
    f"{GLM}log_recent_": _COUNTS,
    f"{GLM}one_timer": _COUNTS,
    f"{GLM}log_age": "time as a customer",
    f"{GLM}log_value": _VALUE,
    f"{GLM}waited_place": _RHYTHM,
    f"{GLM}season_": "season",
    f"{GLM}year_ago": "what was bought a year ago",
    SEASON: "season",
    f"{TREES}cadence__": _RHYTHM,
    f"{TREES}interval__": _RHYTHM,
    f"{TREES}interval__h_": _PROCESSES,
    f"{TREES}row__": _RHYTHM,
    f"{TREES}row__h_": _PROCESSES,
    f"{TREES}orders__": _VALUE,
    f"{TREES}orders__purchases__": _COUNTS,
    f"{TREES}returns__": "returns",
    f"{TREES}calendar__": "calendar habits",
    f"{TREES}delivery__": "deliveries",
    f"{TREES}support__": "help",
    f"{TREES}usage_of_customer__": "use of the products",
    f"{TREES}profile__": "where the customer came from",
    LIMITS: "limits of the model",
}
"""What a term's name begins with -> its theme in words; the longest beginning that fits counts."""


def theme_of(term: str) -> str | None:
    """The theme of a term; None for `level`, which is the same for everybody.

    A tree input of a family that `THEMES` does not know has a theme named after the family.
    """
    if term == LEVEL:
        return None
    fits = [start for start in THEMES if term.startswith(start)]
    if fits:
        return THEMES[max(fits, key=len)]
    own = term.removeprefix(TREES).removeprefix(GLM)
    return own.split("__")[0].replace("_", " ")


@dataclass(frozen=True)
class Reference:
    """The typical customer: member -> its terms with their means (m, q) over training rows."""

    members: Mapping[str, Terms]

    def to_dict(self) -> dict[str, Any]:
        """The reference as JSON-able data, as `explain.json` of a bundle holds it."""
        return {
            "members": {
                name: {"terms": list(mean.names), "means": mean.values.tolist()}
                for name, mean in self.members.items()
            }
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        """The reference that `to_dict` described; `IntegrityError` if that is none."""
        try:
            members = {
                name: Terms(tuple(told["terms"]), np.asarray(told["means"], dtype=np.float64))
                for name, told in data["members"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"explain.json: not what this version wrote ({error})") from error
        return cls(members)


@dataclass(frozen=True)
class Shares:
    """What moves n scores away from the typical customer's.

    `points` (n, t) change of P(no event within the horizon) by each of t `themes`, in points
    (hundredths) of probability, above 0 for more risk; `base` is the probability of the typical
    customer and `probability` (n,) theirs: base + sum of points / 100.
    """

    themes: tuple[str, ...]
    points: FloatArray
    base: float
    probability: FloatArray


def typical_rows(
    key: NDArray[np.int64], day: FloatArray, seed: int, most: int = TYPICAL_ROWS
) -> NDArray[np.int64]:
    """About `most` of n rows, drawn by hash, whose mean is the typical customer; all if fewer.

    `key` and `day` (n,) as in `covariates.Rows`; which rows may be drawn is for the caller.
    """
    return draw_rows(key, day, most / max(len(key), 1), seed)


def reference(mixture: Mixture, rows: Rows) -> Reference:
    """The means of all terms of a mixture in every interval, over training rows.

    Args:
        mixture: the fitted model.
        rows: at least one row that the target is asked about; see `typical_rows`.
    """
    intervals = len(mixture.settings.widths)
    sums: dict[str, Terms] = {}
    for part in _chunks(len(rows), intervals):
        for name, found in terms.of_mixture(mixture, rows.take(part), intervals).items():
            before = sums[name].values if name in sums else 0.0
            sums[name] = Terms(found.names, before + found.values.sum(axis=0))
    means = {name: Terms(s.names, s.values / len(rows)) for name, s in sums.items()}
    return Reference(means)


def contributions(mixture: Mixture, rows: Rows, typical: Reference, horizon: float) -> Shares:
    """Every theme's share in how P(no event within the horizon) differs from the typical.

    Args:
        mixture: the fitted model.
        rows: n rows; each costs about ten times a score.
        typical: the `reference` of this mixture.
        horizon: days, one of the edges of the curve.

    Raises:
        UsageError: the horizon is no edge of the curve.
        IntegrityError: the reference belongs to another model.
    """
    most = _intervals_until(mixture.settings.edges, horizon)
    widths, weights = mixture.settings.widths[:most], mixture.weights
    short = {name: Terms(t.names, t.values[:most]) for name, t in typical.members.items()}
    themes = _themes(short)
    points, risk = np.zeros((len(rows), len(themes))), np.zeros(len(rows))
    for part in _chunks(len(rows), most):
        found = terms.of_mixture(mixture, rows.take(part), most)
        _check_fit(found, short)
        for name, weight in weights.items():
            share, survival = _shares(found[name], short[name], widths)
            points[part] += 100 * weight * share @ _membership(short[name], themes)
            risk[part] += weight * survival
    base = sum(w * np.exp(_log_survival(short[name], widths)) for name, w in weights.items())
    return Shares(themes, points, float(base), risk)


def _shares(found: Terms, typical: Terms, widths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of one member: what every term adds to the survival (n, q), and the survival itself (n,)."""
    log_survival, log_base = _log_survival(found, widths), _log_survival(typical, widths)
    slope = -_log_mean(log_survival, log_base)[:, None] * widths
    slope = slope * _log_mean(found.log_hazard, typical.log_hazard)
    share = np.einsum("nk,nkq->nq", slope, found.values - typical.values)
    return share, np.exp(log_survival)


def _log_survival(found: Terms, widths: FloatArray) -> FloatArray:
    return np.asarray(-(np.exp(found.log_hazard) @ widths))


def _log_mean(log_a: FloatArray, log_b: FloatArray) -> FloatArray:
    """The logarithmic mean of a and b from their logarithms; a where both are the same."""
    apart = np.abs(log_a - log_b)
    with np.errstate(invalid="ignore"):
        ratio = np.where(apart > 0, -np.expm1(-apart) / apart, 1.0)
    return np.asarray(np.exp(np.maximum(log_a, log_b)) * ratio)


def _themes(members: Mapping[str, Terms]) -> tuple[str, ...]:
    """The themes of a model in the order of `THEMES`, then those of families of one's own."""
    there = {theme_of(name) for member in members.values() for name in member.names} - {None}
    known = [theme for theme in dict.fromkeys(THEMES.values()) if theme in there]
    return (*known, *sorted(theme for theme in there if theme is not None and theme not in known))


def _membership(member: Terms, themes: tuple[str, ...]) -> FloatArray:
    """Which of q terms belongs to which of t themes, (q, t) of 0 and 1."""
    theme = [theme_of(name) for name in member.names]
    return np.array([[float(mine == one) for one in themes] for mine in theme])


def _check_fit(found: Mapping[str, Terms], typical: Mapping[str, Terms]) -> None:
    def shapes(members: Mapping[str, Terms]) -> dict[str, object]:
        return {name: (t.names, t.values.shape[-2:]) for name, t in members.items()}

    if shapes(found) != shapes(typical):
        raise IntegrityError(
            "explain.json does not name the terms of this model: the bundle was made by another "
            "version of ppi_ml or by hand; train it again"
        )


def _intervals_until(edges: tuple[float, ...], horizon: float) -> int:
    if horizon not in edges[1:]:
        told = ", ".join(f"{edge:g}" for edge in edges[1:])
        raise UsageError(f"horizon: expected an edge of the curve ({told}), got {horizon:g}")
    return edges.index(horizon)


def _chunks(n: int, intervals: int) -> Iterator[slice]:
    """Slices of n rows, at least one, so that a reference that does not fit always shows."""
    step = max(1, _CHUNK_INTERVALS // intervals)
    return (slice(start, start + step) for start in range(0, max(n, 1), step))


# --- tables -------------------------------------------------------------------------------------


def table(customers: pl.Series, shares: Shares) -> pd.DataFrame:
    """One row per customer and theme, the weightiest theme of each customer first.

    Args:
        customers: the n ids.
        shares: of the same n rows.
    """
    n, t = shares.points.shape
    order = np.argsort(-np.abs(shares.points), axis=1, kind="stable")
    return pl.DataFrame(
        {
            "customer_id": customers.gather(np.repeat(np.arange(n), t)),
            "theme": pl.Series(np.array(shares.themes)[order.ravel()], dtype=pl.String),
            "points": np.take_along_axis(shares.points, order, axis=1).ravel(),
            "base_probability": np.full(n * t, shares.base),
            "churn_probability": np.repeat(shares.probability, t),
        }
    ).to_pandas()


def in_words(theme: str, points: float) -> str:
    """A reason as people read it: `returns: +6.0 points of risk`."""
    return f"{theme}: {points:+.1f} points of risk"


def with_reasons(scores: pd.DataFrame, explained: pd.DataFrame, most: int) -> pd.DataFrame:
    """The score table with the columns `reason_1` to `reason_<most>` after its values.

    Null where a customer is not scored, or where fewer themes move the score by a twentieth of a
    point.

    Args:
        scores: a score table.
        explained: what `table` made, for any of its customers.
        most: columns to add.
    """
    weighty = explained[explained["points"].abs() >= LEAST_POINTS]
    said: dict[str, list[str]] = {}
    for customer, theme, points in zip(
        weighty["customer_id"], weighty["theme"], weighty["points"], strict=True
    ):
        said.setdefault(customer, []).append(in_words(theme, points))
    rows = [[*said.get(customer, ()), *[None] * most][:most] for customer in scores["customer_id"]]
    schema = {f"reason_{i}": pl.String for i in range(1, most + 1)}
    reasons = pl.DataFrame(rows, schema=schema, orient="row").to_pandas().set_index(scores.index)
    merged, place = scores.copy(), list(scores.columns).index("model_version")
    for i, name in enumerate(schema):
        merged.insert(place + i, name, reasons[name])
    return merged
