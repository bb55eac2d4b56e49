"""Samples of a shop: who is drawn, which classical model is the rival, and one whole comparison."""

import numpy as np
import polars as pl
import pytest

import small_shops
from ppi_ml import dataset, labels, rows
from ppi_ml.errors import NotTrainableError
from ppi_ml.models.processes import PROCESSES

HORIZON = small_shops.HORIZON


@pytest.fixture
def made(shop, monkeypatch):
    """The small shop in the place of a data set, 90 days before its end."""
    origin = shop.observed_until.plus(-HORIZON)
    data = dataset.build(shop, [origin], dataset.families("cadence"))
    waits = labels.durations(data, shop, shop.observed_until)
    found = small_shops.Shop(shop, origin, data, ~labels.within(waits, HORIZON))
    monkeypatch.setattr(small_shops, "shop_of", lambda name: found)
    return found


def test_a_sample_repeats_and_differs_from_the_next():
    customers = pl.Series([f"c{i}" for i in range(1000)])
    first, again, other = (small_shops.drawn(customers, 400, number) for number in (0, 0, 1))
    assert first.sum() == other.sum() == 400
    assert (first == again).all()
    assert (first != other).any()


def test_the_rival_is_the_process_with_the_least_inner_loss():
    losses = {
        "process mean": 0.1, "process+glm": 0.2, "process gaps": 0.5, "process mbg_nbd": 0.4,
    }  # fmt: skip
    assert small_shops.best_process(losses) == "mbg_nbd"
    assert small_shops.best_process({}) is None
    assert small_shops.best_process({"process mean": 0.1}) is None


def test_a_sample_is_judged_on_the_others(made, quick):
    found = small_shops.run(small_shops.Task("made", 3, 70, None, 1))
    sampled = small_shops.drawn(made.data.customers, 70, 3)
    others = ~sampled & made.data.eligible(180)
    assert found.scored == others.sum()
    assert found.process == "mbg_nbd"  # the only one that `quick` has
    state = rows.fit_processes(made.data.take(sampled), ["mbg_nbd"], made.log.observed_from)
    survival = PROCESSES["mbg_nbd"].survival(
        state.by_cutoff[str(made.origin)]["mbg_nbd"], rows.histories(made.data.take(others)),
        np.array([0.0, HORIZON]),
    )[:, 1]  # fmt: skip
    given = np.where(made.gone[others], survival, 1 - survival)
    assert found.theirs == pytest.approx(-np.log(given).mean())
    assert 0.2 < found.ours < 0.8


def test_a_sample_that_cannot_be_trained_is_told(made, monkeypatch):
    def fail(*_, **__):
        raise NotTrainableError("too few")

    monkeypatch.setattr("ppi_ml.training.train", fail)
    part = small_shops.measure("cdnow", 2, 70)
    assert [(check.what, check.passed) for check in part.checks] == [
        ("samples that could not be trained", False)
    ]
    assert "- sample 1: too few" in part.to_markdown()


def outcome(number, ours, theirs, chosen=True):
    return small_shops.Outcome(number, 1000, "process+glm", "gaps", chosen, ours, theirs)


@pytest.mark.parametrize(
    ("ours", "passed"),
    [((0.5, 0.6), [True, True]), ((0.504, 0.601), [False, True]), ((0.45, 0.625), [True, False])],
)
def test_mean_and_worst_have_bounds_of_their_own(ours, passed):
    found = [outcome(0, ours[0], 0.5), outcome(1, ours[1], 0.6, chosen=False)]
    part = small_shops.part_of("online_retail", found, [], {"samples": 2})
    assert [check.passed for check in part.checks[:2]] == passed
    assert part.checks[-1].passed is True
    assert "gaps (nothing to choose on)" in part.tables


def test_a_data_set_that_is_not_there_is_left_out(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PPI_ML_DATA", str(tmp_path))
    assert small_shops.shops() == ["online_retail"]
    assert "left out: CDNOW" in capsys.readouterr().err
    (tmp_path / "cdnow").mkdir()
    (tmp_path / "cdnow/cdnow_master.parquet").write_bytes(b"")
    assert small_shops.shops() == ["cdnow", "online_retail"]
    monkeypatch.delenv("PPI_ML_DATA")
    assert small_shops.cdnow_path() is None
