"""The survival curve of a group, from waits of which some were not seen to their end.

Kaplan and Meier (1958), Nonparametric estimation from incomplete observations, JASA 53(282).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppi_ml.errors import NotTrainableError

FloatArray = NDArray[np.float64]


def survival(days: FloatArray, observed: NDArray[np.bool_], at: FloatArray) -> FloatArray:
    """P(no event within d days) for each of k days asked, (k,).

    days: (n,) to the event or to the end of sight, above 0. observed: (n,) whether it is an
    event; who was seen until the very day of an event was at risk on it. at: (k,) days, in any
    order. Where all were seen until the last day asked, this is the plain share without an event.

    `NotTrainableError` if the curve is asked beyond the last row's sight and is not 0 there.
    """
    events = np.unique(days[observed])
    at_risk = len(days) - np.searchsorted(np.sort(days), events, side="left")
    died = np.searchsorted(np.sort(days[observed]), events, side="right")
    steps = np.cumprod(np.append(1.0, 1.0 - np.diff(died, prepend=0) / at_risk))
    if at.max() > days.max(initial=0) and steps[-1] > 0:
        raise NotTrainableError(f"no row was seen for its whole {at.max():g} days")
    return np.asarray(steps[np.searchsorted(events, at, side="right")])
