"""Rule 2: the log cut at the cutoff says the same about the cutoff as the whole log."""

import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from tests import bazaar

from ppi_ml import dataset
from ppi_ml.instants import Cutoff
from ppi_ml.scoring import Scorer


def whole_shelf(_log, _cutoff):
    return dataset.families()


def test_a_cut_log_gives_the_same_features_and_states(found_by_truncation, cutoff):
    assert found_by_truncation(whole_shelf, cutoff) == []


def test_rows_that_were_never_loaded_give_the_same(every_table, answers, cutoff):
    """Not only the cut of a loaded log: validation too must not look at later rows."""
    at = Cutoff.parse(cutoff, "Europe/London").at
    known = {
        name: frame.filter(pl.col("known_at").dt.epoch("us") < at)
        if "known_at" in frame.columns
        else frame
        for name, frame in every_table.items()
    }
    logs = (bazaar.load(tables) for tables in (every_table, known))
    whole, short = (answers(log, dataset.families(), cutoff) for log in logs)
    assert whole == short


@pytest.mark.parametrize("day", ["2019-06-03", "2019-12-20"])
def test_scores_are_those_of_the_cut_log(trained, day):
    run, log = trained
    scorer = Scorer.load(run.bundle)
    whole, cut = scorer.score(log, day, everyone=True), scorer.score(log.until(day), day,
                                                                     everyone=True)  # fmt: skip
    assert "not used" in whole.attrs["notes"][0]
    assert cut.attrs["notes"] == []
    assert_frame_equal(whole, cut, check_exact=True, obj="scores")
