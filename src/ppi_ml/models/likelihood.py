"""Maximum likelihood for the processes: compression of equal rows, and one optimiser for all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from ppi_ml.errors import NotTrainableError
from ppi_ml.models.histories import Histories

FloatArray = npt.NDArray[np.float64]

MINIMUM_CUSTOMERS = 20
MINIMUM_REPEATS = 10
_FLAT = 1e-4  # largest slope of the log-likelihood per purchase that still counts as a maximum


def require_trainable(histories: Histories) -> None:
    """Raise `NotTrainableError` unless there are enough customers and repeat purchases."""
    customers, repeats = len(histories), int(histories.repeats.sum())
    if customers < MINIMUM_CUSTOMERS:
        raise NotTrainableError(
            f"only {customers} customer{'' if customers == 1 else 's'} with a purchase before the "
            f"cutoff; at least {MINIMUM_CUSTOMERS} are needed"
        )
    if repeats == 0:
        raise NotTrainableError(
            "nobody has bought a second time, so gaps cannot be learned; check that customer_id is "
            "the same in all orders of one customer"
        )
    if repeats < MINIMUM_REPEATS:
        raise NotTrainableError(
            f"only {repeats} repeat purchase{'' if repeats == 1 else 's'} before the cutoff; "
            f"at least {MINIMUM_REPEATS} are needed"
        )


def compress(*columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rows that are equal in every column, once: (columns, distinct rows) and their counts.

    Nothing is rounded: rows that differ in the last bit stay apart.
    """
    rows, counts = np.unique(np.column_stack(columns), axis=0, return_counts=True)
    return np.ascontiguousarray(rows.T), counts.astype(np.float64)


def maximise(
    log_likelihood: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    prior_sd: FloatArray,
    reach: FloatArray,
    purchases: float,
) -> FloatArray:
    """The parameters (p,) at which log-likelihood plus a weak prior is greatest.

    log_likelihood: parameters -> value summed over customers, and its gradient (p,). start: where
    the search begins, and the mean of an independent normal prior with the sds `prior_sd`, which
    decides between parameters that the data cannot tell apart. reach: the search stays within
    start - reach and start + reach. Thin data often have no maximum: the likelihood rises for
    ever along a ridge on which all customers become alike, and its end is then good enough.
    purchases: the number of them, the unit in which slopes are judged. Deterministic. Raises
    `NotTrainableError` if the search ends on a slope inside its bounds.
    """

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = log_likelihood(parameters)
        away = (parameters - start) / prior_sd
        return (
            (0.5 * float(away @ away) - value) / purchases,
            (away / prior_sd - gradient) / purchases,
        )

    low, high = start - reach, start + reach
    with threadpool_limits(1, "blas"):  # the vectors are short; threads would only wait
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 20},
        )
    inside = (found.x > low) & (found.x < high)
    if not np.isfinite(found.fun) or np.abs(found.jac[inside]).max(initial=0.0) > _FLAT:
        raise NotTrainableError(
            f"the likelihood has no maximum that the search could reach ({found.message})"
        )
    return np.asarray(found.x, dtype=np.float64)
