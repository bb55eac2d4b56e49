"""What every fit of one training shares, and what one of them looks at of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppi_ml import labels, rows
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Metric
from ppi_ml.engine.buckets import GIGABYTE
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models.covariates import Rows, Settings
from ppi_ml.models.durations import Durations
from ppi_ml.models.thinning import draw_rows, thinning
from ppi_ml.rows import ProcessStates
from ppi_ml.splits import Fold


@dataclass(frozen=True)
class Material:
    """What every fit of one training shares.

    `data` holds the rows of every training cutoff and of every fold's end, `states` the processes
    fitted at each; `horizon` is judged, `active_within` says who is asked about and `settling` how
    long the log needs to know what happened (days); at most `max_rows` person-intervals are looked
    at; `season` is whether there may be one; `memory` is in bytes, `metric` the loss of the target.
    """

    log: EventLog
    data: Dataset
    states: ProcessStates
    horizon: int
    active_within: int
    settling: float
    max_rows: int
    seed: int
    threads: int
    season: bool = True
    memory: int = 4 * GIGABYTE
    metric: Metric = "log_loss"

    @property
    def whole_days(self) -> bool:
        """Whether purchases are known by day only."""
        return self.log.tables["order_lines"].granularity == "day"

    def part(self, fold: Fold) -> tuple[Dataset, Durations]:
        """The training rows of a fold with their labels as known at its end."""
        seen = self.sighted(fold)
        if not seen:
            raise NotTrainableError(
                f"no training cutoff before {fold.end} has both a purchase process and a day of "
                "follow-up; load a longer history"
            )
        data = self.data.at(seen)
        waits = labels.durations(data, self.log, fold.end, self.settling)
        if not waits.observed.any():
            raise NotTrainableError(labels.nobody_bought(data, self.log, fold.end, self.settling))
        return data, waits

    def sighted(self, fold: Fold) -> list[Cutoff]:
        """The training cutoffs of a fold of which anything is known at its end."""
        usable = self.states.usable(fold.train)
        return [c for c in usable if self.sight(c, fold.end) > 0]

    def sight(self, cutoff: Cutoff, end: Cutoff) -> float:
        """Days after a cutoff that can be seen from an end."""
        return end.days_since(cutoff) - self.settling

    def drawn(
        self, data: Dataset, durations: Durations, settings: Settings, most: int
    ) -> tuple[Rows, Durations, Settings]:
        """What a fit looks at of rows and their waits, and the share of quiet intervals in it.

        That is `most` person-intervals, or a few more.
        """
        shares = thinning(durations.days, durations.observed, settings.edges, most)
        if shares.rows < 1:
            mask = np.zeros(len(data), dtype=np.bool_)
            mask[draw_rows(rows.keys(data), data.day, shares.rows, self.seed)] = True
            data, durations = data.take(mask), durations.take(mask)
        inputs = rows.build(data, self.states, settings.edges)
        return inputs, durations, replace(settings, quiet=shares.quiet)
