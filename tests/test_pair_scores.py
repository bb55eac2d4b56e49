"""The scores of pairs in a run folder: the same files however many parts and ranges they take."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests import shops

from ppi_ml import pair_scores, run_outs, score_table
from ppi_ml.models.asked import Asked, Nudge
from ppi_ml.models.curve import Curves

HORIZON, CUTOFF = 90, "2019-10-01"
KEYS = ("customer_id", "product")
NOTES = ["12 events known at or after 2019-10-01 were not used"]
DENIED = pl.Series(["c1", "c4"])


@pytest.fixture(scope="module")
def scores():
    """Pairs that run out soon, late, or never; out of stock; and of customers not to be scored."""
    data = shops.built(shops.load(shops.pantry()), CUTOFF, names=["refills"])
    edges, n = np.array([0.0, 30.0, 60.0, 120.0]), len(data)
    keys = data.keys.select(data.entity.keys)
    pace = np.linspace(0.1, 4.0, n)[:, None] * np.array([0.0, 0.5, 1.0, 1.5])
    curves = Curves(edges, pace / 2, keys, Curves(edges, pace, keys))
    asked = Asked.at(data.cutoffs[0], HORIZON, 7)
    asked = Asked(asked.horizon, asked.window, asked.first_day,
                  nudge=Nudge(0.5, 3, np.arange(n) % 9 == 0))  # fmt: skip
    fixed = {"target": "depletion", "model_version": "1", "model_sha256": "0"}
    table = score_table.scored(data, curves, (), "depletion", asked, fixed)
    table = table.filter(~pl.col("customer_id").is_in(DENIED.implode()))
    told = score_table.withheld(table, DENIED, {"cutoff": CUTOFF, **fixed})
    return pl.concat([table, told]).sort(KEYS)


def parts_of(scores, count, seed=0):
    """The table by customers, in parts and rows of any order; some parts may be empty."""
    mixed = scores.sample(fraction=1, shuffle=True, seed=seed)
    part = mixed["customer_id"].hash(seed) % count
    return [mixed.filter(part == number) for number in range(count)]


def written(parts, folder):
    folder.mkdir()
    pair_scores.write(parts, folder, keys=KEYS, notes=NOTES, horizon=HORIZON, cutoff=CUTOFF)
    assert {path.name for path in folder.iterdir()} == {
        "predictions.parquet", "run_outs.csv", "run_outs.md"
    }  # fmt: skip
    texts = [(folder / f"run_outs.{kind}").read_text() for kind in ("csv", "md")]
    return pd.read_parquet(folder / "predictions.parquet"), *texts


@pytest.mark.parametrize("most", [1, 7, 10_000])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_files_are_those_of_the_whole_table(scores, tmp_path, monkeypatch, count, most):
    monkeypatch.setattr(pair_scores, "MOST_ROWS", most)
    table, listed, page = written(parts_of(scores, count), tmp_path / "run")
    expected = score_table.to_pandas(scores)
    expected.to_parquet(tmp_path / "whole.parquet", index=False)
    pd.testing.assert_frame_equal(table, pd.read_parquet(tmp_path / "whole.parquet"))
    assert table.attrs == {"notes": NOTES}
    rows = run_outs.listed(scores, HORIZON)
    assert rows.height == scores.height - len(DENIED) > 200
    assert listed == rows.write_csv()
    assert page == run_outs.to_markdown(rows, CUTOFF)


def test_no_more_than_a_range_is_in_memory(scores, tmp_path, monkeypatch):
    """A range of 20 rows, and the rest of the customer or day that it ends with."""
    held = []

    def seen(rows, *more, of):
        held.append(rows.height)
        return of(rows, *more)

    for module, name in ((score_table, "to_pandas"), (run_outs, "listed")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, real=real: seen(*given, of=real))
    monkeypatch.setattr(pair_scores, "MOST_ROWS", 20)
    written(parts_of(scores, 3), tmp_path / "run")
    groups = ("customer_id", "nudge_date")
    largest = max(scores[name].value_counts()["count"].max() for name in groups)
    assert sum(held) == 2 * scores.height
    assert max(held) < 20 + largest < scores.height / 2


def test_nobody_to_score_leaves_empty_files(scores, tmp_path):
    table, listed, page = written([scores.clear()], tmp_path / "run")
    assert table.columns.tolist() == scores.columns
    assert len(table) == 0
    assert listed == run_outs.listed(scores.clear(), HORIZON).write_csv()
    assert "The first 0 of 0" in page


def test_a_failure_leaves_no_parts_behind(scores, tmp_path):
    def parts():
        yield scores
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        pair_scores.write(parts(), tmp_path, keys=KEYS, notes=NOTES, horizon=HORIZON,
                          cutoff=CUTOFF)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_no_cell_of_the_list_is_run_by_a_spreadsheet(scores, tmp_path):
    """The table and the page hold the ids as they are: nobody opens these in one."""
    formula = '=HYPERLINK("http://x","y")'
    named = pl.when(pl.col("status") == "scored").then(pl.lit(formula)).otherwise("product")
    odd = scores.with_columns(customer_id=pl.format("={}", "customer_id"), product=named)
    table, listed, page = written(parts_of(odd, 3), tmp_path / "run")
    cells = pl.read_csv(listed.encode(), infer_schema=False)
    assert cells["customer"].str.starts_with("'=c").all()
    assert set(cells["product"]) == {f"'{formula}"}
    assert set(table["product"].dropna()) == {formula}
    assert "| =c" in page
