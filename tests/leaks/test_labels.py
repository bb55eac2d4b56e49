"""Rule 4: shuffled labels teach nothing, and a planted signal is found.

A model that beats the base rate on shuffled labels has seen the answer some other way. Training
and judgement differ in customers and in dates.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ppi_ml import dataset, labels, metrics, rows
from ppi_ml.instants import Cutoff
from ppi_ml.models import hazard
from ppi_ml.models.covariates import Rows, Settings
from ppi_ml.models.curve import Curves
from ppi_ml.models.durations import Durations

HORIZON = 60
EDGES = (0.0, 7.0, 14.0, 30.0, 60.0, 180.0)
TRAIN_DAYS = ("2019-01-01", "2019-02-01", "2019-03-01", "2019-04-01", "2019-05-01", "2019-06-01")
KNOWN_AT, ASKED_AT, SEEN_AT = "2019-08-15", "2019-09-01", "2019-12-31"
TREES = {"num_leaves": 6, "learning_rate": 0.1, "min_data_in_leaf": 30, "lambda_l2": 5.0}
SHUFFLES = 12


@dataclass(frozen=True)
class Case:
    """Rows to learn from with their waits, and rows of other customers at a later date."""

    learn: Rows
    waits: Durations
    ask: Rows
    gone: np.ndarray
    returned: np.ndarray
    settings: Settings


@pytest.fixture(scope="module")
def case(make_shop, as_log):
    """A shop in which nobody who sent something back ever buys again."""
    log = as_log(make_shop(seed=5, customers=700, quitters=True))
    days = {day: Cutoff.parse(day, log.timezone) for day in (*TRAIN_DAYS, KNOWN_AT, ASKED_AT,
                                                             SEEN_AT)}  # fmt: skip
    data = dataset.build(log, [days[d] for d in (*TRAIN_DAYS, ASKED_AT)], dataset.families())
    states = rows.fit_processes(data, ["mbg_nbd", "gaps"], log.observed_from)
    even = rows.keys(data) % 2 == 0
    learn = data.take(even).at([days[d] for d in TRAIN_DAYS])
    ask = data.take(~even).at([days[ASKED_AT]])
    waits = labels.durations(learn, log, days[KNOWN_AT], labels.settling_days(log))
    truth = labels.durations(ask, log, days[SEEN_AT])
    return Case(
        rows.build(learn, states, EDGES), waits,
        rows.build(ask, states, EDGES), ~labels.within(truth, HORIZON),
        ask.column("returns__last__days_since") < ask.column("cadence__elapsed__days_since"),
        Settings(EDGES, states.names, data.tree_names, trees=TREES, threads=1),
    )  # fmt: skip


def survival(model, asked):
    return Curves(np.asarray(EDGES), model.cumulative(asked)).survival([HORIZON])[:, 0]


def losses(case, waits):
    """Log-loss of every stage, of the processes alone, and of the best rate for all alike."""
    model = hazard.fit(case.learn, waits.days, waits.observed, case.settings)
    stages = {
        "all": model,
        "smooth": hazard.with_stages(model, hazard.STAGES[1]),
        "processes": hazard.with_stages(model, hazard.STAGES[0]),
    }
    found = {n: metrics.log_loss(case.gone, survival(m, case.ask)) for n, m in stages.items()}
    base = np.full(len(case.gone), case.gone.mean())
    return found | {"base": metrics.log_loss(case.gone, base)}


def shuffled(case, seed):
    """The waits dealt anew among all rows."""
    return case.waits.take(np.random.default_rng(seed).permutation(len(case.waits)))


def without_processes(case):
    """The same case with processes that know nothing of the customer, only of the interval."""
    known = case.learn.log_hazards.mean(axis=0)

    def blind(built):
        return replace(built, log_hazards=np.broadcast_to(known, built.log_hazards.shape).copy())

    return replace(case, learn=blind(case.learn), ask=blind(case.ask))


def gains(case, over):
    """By how much the fits on shuffled labels beat something that has seen no label, on average.

    By chance one shuffle points the right way and one the wrong way; on average none does.
    """
    dealt = [losses(case, shuffled(case, seed)) for seed in range(SHUFFLES)]
    return {m: np.mean([found[over] - found[m] for found in dealt]) for m in ("all", "smooth")}


def test_shuffled_labels_are_no_better_than_the_base_rate(case):
    assert max(gains(without_processes(case), "base").values()) < 0


def test_shuffled_labels_add_nothing_to_the_processes(case):
    """The processes learn from the past alone; shuffled labels can only spoil what they know."""
    assert max(gains(case, "processes").values()) < 0


def test_a_planted_signal_is_found(case):
    """Only trees see returns: they beat the smooth stages, which beat the base rate."""
    found = losses(case, case.waits)
    assert found["smooth"] < found["base"] - 0.1
    assert found["all"] < found["smooth"] - 0.02


def test_those_who_sent_something_back_last_are_said_to_be_gone(case):
    model = hazard.fit(case.learn, case.waits.days, case.waits.observed, case.settings)
    said = survival(model, case.ask)
    assert case.gone[case.returned].mean() > 0.9
    assert said[case.returned].mean() > said[~case.returned].mean() + 0.2
    assert said[case.returned].mean() > 0.9


def test_labels_that_leak_into_an_input_would_be_noticed(case):
    """The answer itself as a tree input is worth far more than any honest signal."""
    answer = np.where(case.waits.observed & (case.waits.days <= HORIZON), 0.0, 1.0)
    place = case.settings.tree_names.index("calendar__weekend__share")
    learn, ask = (_with(r, place, v) for r, v in ((case.learn, answer), (case.ask, case.gone)))
    model = hazard.fit(learn, case.waits.days, case.waits.observed, case.settings)
    assert metrics.log_loss(case.gone, survival(model, ask)) < 0.5 * losses(case, case.waits)["all"]


def _with(built, place, values):
    trees = built.trees.copy()
    trees[:, place] = values
    return Rows(**{**vars(built), "trees": trees})
