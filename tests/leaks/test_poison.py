"""Rule 1: what became known at or after the cutoff may be anything; nothing there changes."""

import numpy as np
import polars as pl
from tests import bazaar

from ppi_ml import dataset, labels
from ppi_ml.instants import Cutoff


def whole_shelf(_log, _cutoff):
    return dataset.families()


def test_no_feature_and_no_state_knows_what_was_learned_later(found_by_poison, cutoff):
    assert found_by_poison(whole_shelf, cutoff) == []


def test_the_poison_is_strong(every_table, poison, answers, cutoff):
    """After the cutoff almost everything differs, so equality before it means something."""
    end = "2020-01-01"
    clean, spoiled = (
        answers(bazaar.load(t), dataset.families(), end)
        for t in (every_table, poison(every_table, cutoff))
    )
    same = [name for name in clean if clean[name] == spoiled[name]]
    # it holds only whether the shop has recorded any code, and any money off
    assert set(same) <= {"state of promotions"}


def test_some_of_the_poison_lies_before_the_cutoff(every_table, poison, cutoff):
    """Lateness is what the check is about: absurd events that occurred earlier, known later."""
    at = Cutoff.parse(cutoff, "Europe/London").at
    for frame in poison(every_table, cutoff).values():
        if "known_at" not in frame.columns:
            continue
        late = (pl.col("occurred_at").dt.epoch("us") < at) & (
            pl.col("known_at").dt.epoch("us") >= at
        )
        assert frame.select(late.sum()).item() > min(20, 0.05 * frame.height)


def test_labels_at_the_training_end_know_nothing_learned_later(make_shop, as_log, poison):
    tables, end = make_shop(), "2019-07-01"
    found = []
    for log in (as_log(tables), as_log(poison(tables, end))):
        cutoffs = [Cutoff.parse(day, log.timezone) for day in ("2018-12-01", "2019-04-01")]
        data = dataset.build(log, cutoffs, dataset.families())
        found.append(labels.durations(data, log, Cutoff.parse(end, log.timezone), settling=10.0))
    np.testing.assert_array_equal(found[0].days, found[1].days)
    np.testing.assert_array_equal(found[0].observed, found[1].observed)
    assert found[0].observed.any()
