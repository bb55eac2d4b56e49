"""The fit that is timed, on a few hundred rows; its ratios by hand."""

import subprocess
import sys

import numpy as np
import pytest

import crowd
import million
from ppi_ml import dataset, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the steps load, of about 1,500 rows; with what building it said."""
    place = tmp_path_factory.mktemp("million")
    return place, million.step("build", place, 1500, 1)


def test_the_shop_has_about_the_rows_that_are_asked_for(folder):
    place, built = folder
    loaded = million.Loaded.read(place)
    assert built["rows"] == len(loaded.gone) == pytest.approx(1500, rel=0.1)
    assert len(loaded.fold.train) == million.CUTOFFS
    assert loaded.data.values.dtype == np.float32
    assert built["tree_columns"] == million.FEATURES == len(loaded.data.tree_names)
    assert built["columns"] == len(loaded.data.names) > million.FEATURES


def test_labels_are_those_of_the_whole_log(folder):
    loaded = million.Loaded.read(folder[0])
    log = crowd.log_of(crowd.orders(million.customers_for(1500), million.SEED), million.SEED)
    last = loaded.fold.train[-1]
    data = dataset.build(log, [last], dataset.families("cadence"))
    gone = ~labels.within(labels.durations(data, log, log.observed_until), million.HORIZON)
    rows = loaded.data.rows_at(last)
    assert (loaded.gone[rows] == gone).all()
    assert 0.2 < gone.mean() < 0.9
    assert loaded.log.tables["order_lines"].frame.height < log.tables["order_lines"].frame.height


def test_trees_keep_every_column_that_the_model_needs(folder):
    loaded = million.Loaded.read(folder[0])
    assert set(loaded.data.tree_names) < set(loaded.data.names)
    few = million.narrowed(loaded.data, 55)
    assert len(few.names) == few.values.shape[1]
    assert len(few.tree_names) == 55
    assert set(few.tree_names) <= set(few.names)
    of_curves = ("cadence__", "anniversary__")
    assert all(name in few.names for name in loaded.data.names if name.startswith(of_curves))
    for name in few.names:
        assert np.array_equal(few.column(name), loaded.data.column(name), equal_nan=True)


def test_both_fits_say_what_they_cost(folder):
    place, built = folder
    ours, plain = (million.step(name, place, 0, 1) for name in ("ours", "plain"))
    assert (plain["trees"], ours["newest"], ours["season"]) == (million.ROUNDS, True, True)
    assert ours["sampled"] == built["rows"]  # so few are not sampled
    assert ours["cpu"] == pytest.approx(sum(ours["steps"].values()))
    assert ours["peak_mb"] >= ours["loaded_mb"] > 0
    text = million.part_of(built, ours, plain, million.options(1500, 1)).to_markdown()
    assert "| row cap of ours, person-intervals | 450,000 |" in text
    assert "| features of both | 60 |" in text
    assert f"| further columns of ours | {built['columns'] - 60} |" in text


def cost(cpu, peak, **more):
    return {"cpu": cpu, "peak_mb": peak, "loaded_mb": 100.0, "steps": {"all": cpu}, **more}


@pytest.mark.parametrize(
    ("cpu", "peak", "passed"), [(30, 600, [True, True]), (31, 601, [False, False])]
)
def test_the_ratios_have_bounds(cpu, peak, passed):
    built = {"columns": 40, "tree_columns": 30, "rows": 12, "customers": 2, "features_cpu": 5.0}
    ours = cost(cpu, peak, max_rows=9, intervals=8, sampled=7, trees=6, cox_trees=5,
                season=True, newest=False)  # fmt: skip
    part = million.part_of(built, ours, cost(10.0, 300.0), {})
    assert [check.passed for check in part.checks[:2]] == passed
    found = {check.what: check.found for check in part.checks}
    assert found["features of both"] == "30, fewer than 60: all there are"
    assert found["further columns of ours"] == "10"
    assert found["CPU of building the features, multiple of the classifier's"] == "0.50"


def test_the_peak_is_that_of_the_process_not_of_its_parent():
    block = np.ones(40_000_000)  # 320 MB in this process, touched
    assert million.peak() > 320
    code = f"import sys; sys.path.append({million.__file__.rsplit('/', 1)[0]!r})\n" \
           "import million; print(million.peak())"  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    if sys.platform == "linux":
        assert float(told.stdout) < 320
    assert block.all()


def test_sent_goods_foretell_who_stops():
    found = crowd.orders(4000, 0)
    again = crowd.orders(4000, 0)
    assert all(np.array_equal(getattr(found, n), getattr(again, n)) for n in ("customer", "day"))
    early = found.day < 300
    latest = np.zeros(4000)
    np.maximum.at(latest, found.customer, found.day)
    stopped = found.day == latest[found.customer]
    sent, kept = (stopped[early & rows].mean() for rows in (found.returned, ~found.returned))
    assert sent > kept + 0.1
