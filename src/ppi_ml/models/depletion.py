"""The reading of pairs: when a customer runs out of a product, and when to remind them.

The next purchase and the run-out are two questions. A customer who has not bought again may not
have run out yet, or may have stopped using the product. The plain curve counts both, and plans
volume; the curve of pairs that still consume leaves out the second, and times the reminder.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from ppi_ml.errors import UsageError
from ppi_ml.models.asked import (
    Asked,
    Columns,
    Nudge,
    as_dates,
    best_window,
    by_day,
    days_until,
    happened,
    in_days,
    later_than_horizon,
    quantiles,
)
from ppi_ml.models.curve import Curves, FloatArray

Dates = NDArray[np.datetime64]

OUT_OF_STOCK = "out of stock"
TOO_LATE = "runs out later than can be foreseen"
NOW = "now: runs out before a delivery could arrive"
_ROUNDING = 1e-9


def depletion(curves: Curves, asked: Asked) -> Columns:
    """When a pair buys next, and when it runs out if it is still consuming.

    The next purchase is read from the curves, the run-out from `curves.consuming`. Where the second
    lies nowhere below the first, no run-out is later than the purchase of the same probability;
    who has more in the house than usual may buy before it runs out.

    - `p_next_<d>d`: P(purchase in [cutoff, cutoff + d)), for the horizon and shorter times;
    - `next_p10_date`, `next_p50_date`, `next_p90_date`: the local calendar day on which that
      probability reaches 10, 50 and 90 %, never before the cutoff's; null where the whole curve,
      which may reach further than the horizon, does not get there;
    - `p_runout_<d>d`: P(run out in [cutoff, cutoff + d), given that the pair still consumes);
    - `runout_p10_days`, `runout_p50_days`, `runout_p90_days`: days from the cutoff until that
      probability reaches 10, 50 and 90 %; `runout_p10_date` and so on: the day; null as above;
    - `later_than_horizon`: whether the median run-out lies later than the horizon; true as well
      where it is null;
    - `best_window_start`, `best_window_end`, `best_window_probability`: the window in which the
      next purchase is likeliest, as in `repurchase`; never null;
    - `nudge_date`, `nudge_reason`: as in `reminders`, for `asked.nudge`; the reason is never null.

    Raises `UsageError` for curves without `consuming`, and for stock of another number of rows.
    """
    still, nudge = curves.consuming, asked.nudge or Nudge()
    if still is None:
        raise UsageError(
            "depletion: these curves have no `consuming`, the curves of pairs that still consume; "
            "only models of the entity customer_product know them"
        )
    bought, chance = quantiles(curves), happened(curves, asked)
    # Where both curves meet, rounding must not make the run-out a day later than the purchase.
    above = np.all(still.cumulative >= curves.cumulative - _ROUNDING, axis=1)

    def first(days: FloatArray, purchase: FloatArray) -> FloatArray:
        return np.where(above, np.fmin(days, purchase), days)

    used_up = {q: first(days, bought[q]) for q, days in quantiles(still).items()}
    due = first(days_until(still, nudge.quantile), days_until(curves, nudge.quantile))
    gone = happened(still, asked)
    day, reason = reminders(asked.day_before(due), asked.first_day, nudge)
    return {
        **by_day("p_next", chance, asked),
        **as_dates("next", bought, asked),
        **by_day("p_runout", np.where(above[:, np.newaxis], np.maximum(gone, chance), gone), asked),
        **in_days("runout", used_up),
        **as_dates("runout", used_up, asked),
        **later_than_horizon(used_up, asked),
        **best_window(curves, asked),
        "nudge_date": day,
        "nudge_reason": reason,
    }


def reminders(runout: Dates, first_day: date, nudge: Nudge) -> tuple[Dates, NDArray[np.str_]]:
    """The day to remind: that of the run-out less the lead, never before the first day; and why.

    Args:
        runout: (n,) the day by which the product has run out with the probability
            `nudge.quantile`; NaT where the curve does not reach it.
        first_day: the cutoff's local calendar day.
        nudge: the lead, and which of the n products are out of stock.

    Returns:
        The day (n,), NaT where the product is out of stock, or else where there is no run-out; and
        the reason (n,) for either. The type of the reasons depends on what is asked alone.
    """
    blocked, unreached = nudge.blocked(len(runout)), np.isnat(runout)
    first, lead = np.datetime64(first_day, "D"), nudge.lead_days
    day = runout - np.timedelta64(lead, "D")
    when = f"{lead} day{'s' if lead > 1 else ''} before" if lead else "when"
    usual = f"{when} it runs out (P{100 * nudge.quantile:g})"
    which = np.select([blocked, unreached, day < first], [0, 1, 2], 3)
    sent = np.where(blocked | unreached, np.datetime64("NaT", "D"), np.maximum(day, first))
    return sent, np.array([OUT_OF_STOCK, TOO_LATE, NOW, usual])[which]
