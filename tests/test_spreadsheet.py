"""Text that a spreadsheet would run: shown instead, and still what it was."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.spreadsheet import meant, shown

RUN = ['=HYPERLINK("http://x","y")', "=1+1", "+49 30 1", "-5", "@SUM(A1)", "\t=1", "\r=1"]


def safe(*cells):
    return shown(pl.DataFrame({"a": cells}, schema={"a": pl.String}))["a"].to_list()


@pytest.mark.parametrize("cell", RUN)
def test_what_would_be_run_begins_with_an_apostrophe(cell):
    assert safe(cell) == [f"'{cell}"]
    assert safe(f"'{cell}") == [f"''{cell}"]  # so that both can be told apart again


@pytest.mark.parametrize("cell", ["tea", "", "c-5", " =1", "1-2", "'tea", "'", "Ünï", "2026-01-01"])
def test_everything_else_stays_as_it_is(cell):
    assert safe(cell) == [cell]
    assert meant(cell) == cell


def test_no_other_column_is_touched_and_empty_cells_stay_empty():
    frame = pl.DataFrame({"a": ["=1", None], "b": ["-x", "y"], "n": [-1.0, 2.0]})
    assert shown(frame).to_dict(as_series=False) == {
        "a": ["'=1", None], "b": ["'-x", "y"], "n": [-1.0, 2.0]
    }  # fmt: skip


@given(st.lists(st.text(alphabet="'=+-@\t\ra ", max_size=4)))
def test_what_was_meant_comes_back(cells):
    assert [meant(cell) for cell in safe(*cells)] == cells
    assert not [cell for cell in safe(*cells) if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
