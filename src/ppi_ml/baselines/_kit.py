"""What baselines share: curves of groups, logistic regressions, gap rules, a process read alone.

What is about pairs of a customer and a product alone stands at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import pair_rows
from ppi_ml.dataset import Dataset
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.labels import within
from ppi_ml.models import kaplan_meier
from ppi_ml.models.curve import EDGES, Curves
from ppi_ml.models.durations import Durations
from ppi_ml.models.histories import Histories
from ppi_ml.models.processes import PROCESSES
from ppi_ml.models.renewals import Refills
from ppi_ml.problem import Problem
from ppi_ml.rows import fit_processes

FloatArray = NDArray[np.float64]
Predict = Callable[[Dataset], FloatArray]
"""Rows -> P(no purchase within d days) at the k days of the problem, (n, k)."""

_ALMOST_NEVER = 1e-4
_ELAPSED = "cadence__elapsed__days_since"


def coarse_edges(problem: Problem) -> FloatArray:
    """Days between which a fitted curve is log-linear, (m + 1,): 0, then closer together early."""
    return np.array([*(day for day in EDGES if day < problem.horizon), problem.horizon], float)


# ------------------------------------------------------------------ labelled rows


def ripe_cutoffs(problem: Problem, *, newest: bool) -> tuple[Cutoff, ...]:
    """The training cutoffs with a whole label window, or the newest of them."""
    if not problem.ripe:
        raise NotTrainableError(
            f"no training cutoff has seen its whole {problem.horizon} days by {problem.fold.end}"
        )
    return problem.ripe[-1:] if newest else problem.ripe


def ripe_rows(problem: Problem, *, newest: bool) -> tuple[Dataset, Durations]:
    """The rows of these cutoffs, all of them followed for the whole horizon."""
    cutoffs = ripe_cutoffs(problem, newest=newest)
    slices = [problem.data.rows_at(cutoff) for cutoff in cutoffs]
    rows = np.concatenate([np.arange(s.start, s.stop) for s in slices])
    return problem.data.at(cutoffs), problem.durations.take(rows)


# ------------------------------------------------------------------ one curve for everybody


def shared_curves(problem: Problem, data: Dataset, waits: Durations) -> Predict:
    """Kaplan-Meier of some rows: one curve for those the target is asked about, one for the rest.

    A group that is empty, or of which nobody was seen for the whole horizon, takes the curve of
    all rows. `NotTrainableError` if nobody at all was seen for so long.
    """
    active = problem.material.active_within
    groups = [~data.eligible(active), data.eligible(active)]
    others, eligible = [_curve(waits, group, problem.days) for group in groups]

    def predict(rows: Dataset) -> FloatArray:
        return np.where(rows.eligible(active)[:, None], eligible, others)

    return predict


def _curve(waits: Durations, group: NDArray[np.bool_], days: FloatArray) -> FloatArray:
    part = waits.take(group)
    try:
        return kaplan_meier.survival(part.days, part.observed, days)
    except NotTrainableError:
        return kaplan_meier.survival(waits.days, waits.observed, days)


# ------------------------------------------------------------------ logistic regressions


def logistic(
    problem: Problem, columns: Callable[[Dataset], FloatArray], *, newest: bool
) -> Predict:
    """Logistic regressions of "no purchase within d days" on columns (n, q), one per d.

    Where the horizon alone is asked for, one regression; for a curve one at each coarse edge,
    log-linear in between, and where a later one answers more than an earlier one, the earlier
    holds. A day by which nobody had bought yet is left out.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, waits = ripe_rows(problem, newest=newest)
    bought = {day: within(waits, day) for day in _regressed_days(problem)}
    if bought[problem.horizon].all() or not bought[problem.horizon].any():
        raise NotTrainableError("every labelled row has the same outcome")
    inputs = columns(data)
    models = {
        day: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(inputs, ~some)
        for day, some in bought.items()
        if some.any()
    }

    def predict(rows: Dataset) -> FloatArray:
        given = columns(rows)
        answers = [model.predict_proba(given)[:, 1] for model in models.values()]
        survival = np.column_stack([np.ones(len(rows)), *answers])
        return Curves.from_survival([0, *models], survival).survival(problem.days)

    return predict


def _regressed_days(problem: Problem) -> list[float]:
    days = problem.days if len(problem.days) == 1 else coarse_edges(problem)[1:]
    return [float(day) for day in days]


def rfm(rows: Dataset) -> FloatArray:
    """Recency, frequency, age and money, as logarithms (n, 4)."""
    value = np.nan_to_num(rows.column("cadence__value__mean"))
    return logs(rows, ("elapsed__days_since", "purchases__count", "age__max"), value)


def logs(rows: Dataset, names: Sequence[str], *more: FloatArray) -> FloatArray:
    """ln(1 + x) of columns of the family cadence, and of further columns."""
    plain = [rows.column(f"cadence__{name}") for name in names]
    return np.column_stack([np.log1p(np.maximum(c, 0.0)) for c in (*plain, *more)])


# ------------------------------------------------------------------ the rule of one date


@dataclass(frozen=True)
class GapRule:
    """The last purchase plus one gap, believed to the day: the rule that everybody uses.

    `gap` says how long the last purchase of every row lasts (n,), days; `days` (k,) when survival
    is asked for. The curve is a step: 1 until the date, next to nothing after it. A date already
    past becomes the next day.
    """

    gap: Callable[[Dataset], FloatArray]
    days: FloatArray

    @classmethod
    def of(cls, problem: Problem, column: str, middle: Callable[[FloatArray], float]) -> Self:
        """The rule of the own gap that stands in a column (days, null after one purchase).

        Who bought once is given the middle of the own gaps at the newest cutoff.
        `NotTrainableError` if nobody there has a gap.
        """
        newest = problem.data.cutoffs[-1]
        gaps = problem.data.column(column)[problem.data.rows_at(newest)]
        if np.isnan(gaps).all():
            raise NotTrainableError(f"nobody had bought twice by {newest}")
        typical = float(middle(gaps[~np.isnan(gaps)]))

        def gap(rows: Dataset) -> FloatArray:
            own = rows.column(column)
            return np.where(np.isnan(own), typical, own)

        return cls(gap, problem.days)

    def __call__(self, rows: Dataset) -> FloatArray:
        """Survival at the days of the problem, (n, k)."""
        # a purchase exactly d days after the cutoff is none within [cutoff, cutoff + d)
        waiting = self.until(rows)[:, None] >= self.days
        return np.where(waiting, 1.0, _ALMOST_NEVER)

    def until(self, rows: Dataset) -> FloatArray:
        """Days from the cutoff to the date (n,), below 0 where it is already past."""
        return self.gap(rows) - rows.column(_ELAPSED)

    def note(self, rows: Dataset) -> str:
        """How many of the rows had waited longer than the rule allows."""
        past = float((self.until(rows) < 0).mean()) if len(rows) else 0.0
        return f"the date of {past:.1%} of the rows was already past"


# ------------------------------------------------------------------ processes


def process(problem: Problem, name: str) -> Predict:
    """P(no purchase within d days) of a purchase process fitted at the end of the fold.

    Never its P(alive), which is 1 for every one-time buyer of a BG/NBD.
    """
    state = _fitted(problem, name)

    def predict(asked: Dataset) -> FloatArray:
        return PROCESSES[name].survival(state, problem.histories(asked), problem.days)

    return predict


def _fitted(problem: Problem, name: str) -> dict[str, float]:
    """The state of a process at the end of the fold: the model's own where it has it."""
    if problem.data.entity.is_pair:
        return PROCESSES[name].fit(_histories(sampled(problem)))
    if name in problem.state:
        return problem.state[name]
    material, end = problem.material, problem.fold.end
    fitted = fit_processes(material.data.at([end]), (name,), material.log.observed_from)
    return fitted.by_cutoff[str(end)][name]


# ------------------------------------------------------------------ pairs


def require_pairs(problem: Problem) -> None:
    """`NotTrainableError` unless the rows are pairs of a customer and a product."""
    if not problem.data.entity.is_pair:
        raise NotTrainableError(
            "this baseline is about pairs of a customer and a product, and the rows are customers; "
            "leave it out of baselines, or choose a target about pairs, such as depletion"
        )


def sampled(problem: Problem) -> pl.DataFrame:
    """The pairs that the processes are fitted on, as known at the end of the fold.

    One row per pair, however long it has been silent: its keys and the columns of the family
    refills, as float64.
    """
    return problem.material.data.samples[str(problem.fold.end)]


def usual_gap(rows: Dataset) -> FloatArray:
    """Days that one pack of the pair's product usually lasts (n,)."""
    return np.exp(rows.column("refills__ln_usual_gap"))


def own_clock(rows: Dataset) -> Refills:
    """What pairs had bought (n,), in usual gaps of their product and amount; no product's lapse."""
    nobody = np.full(len(rows), np.nan)
    return pair_rows.refills(rows.column, rows.entity.least, nobody)


def _histories(sample: pl.DataFrame) -> Histories:
    """The five numbers of sampled pairs, in days; as `pair_rows.histories` has them of rows."""
    x = sample["refills__purchases__count"].to_numpy() - 1.0
    age = sample["refills__age__max"].to_numpy()
    gaps = [sample[f"refills__ln_gap{sq}__sum"].fill_null(0.0).to_numpy() for sq in ("", "_sq")]
    between = np.where(x > 0, age - sample["refills__elapsed__days_since"].to_numpy(), 0.0)
    return Histories(x, between, age, gaps[0], np.maximum(gaps[1], gaps[0] ** 2 / np.maximum(x, 1)))
