"""Forward origins: one origin of a small shop, and the comparison by hand."""

import numpy as np
import pytest

import origins
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past

DATES = [(1, "01"), (1, "31"), (3, "01")]


@pytest.fixture(scope="module")
def found(shop):
    end = shop.observed_until
    sets = {"model.max_rows": 5_000, "model.processes": ["mbg_nbd", "gaps"]}
    return origins.at_origin("made up", shop, str(end.plus(-60)), 60, sets)


def test_one_origin_has_every_number(found, shop):
    assert 0 < found.log_loss < np.log(2)
    assert 0 < found.ibs < 0.25
    assert 0.5 < found.ratio < 2
    cutoff = Cutoff.parse(found.origin, shop.timezone)
    assert found.customers == len(Past(shop, cutoff).entities)
    assert set(found.alone) == set(found.without) >= {"staged", "cox"}
    assert min(found.alone.values()) > 0.9 * found.log_loss  # no member is another question
    text = origins.to_markdown([found])
    assert f"| made up | {found.origin} | 60 | {found.customers:,} | {found.log_loss:.4f} |" in text
    change = found.without["cox"] - found.log_loss
    assert f"{found.alone['cox']:.4f} ({change:+.4f})" in text


def test_settings_reach_the_fit(shop):
    origin = str(shop.observed_until.plus(-60))
    sets = {"model.stages": "process+glm", "model.members": "staged", "model.max_rows": 5_000}
    alone = origins.at_origin("made up", shop, origin, 60, sets)
    assert set(alone.alone) == {"staged"} and not alone.without
    assert alone.alone["staged"] == pytest.approx(alone.log_loss)


def one(origin="2020-01-01", log_loss=0.5, ibs=0.1, days=90):
    return origins.Found("shop", origin, days, 10, log_loss, ibs, 1.0, {"staged": log_loss}, {})


def test_a_comparison_by_hand(tmp_path):
    before = [one(), one("2020-02-01", 0.4, 0.2), one("2020-03-01")]
    now = [one(log_loss=0.45), one("2020-02-01", 0.42, 0.2), one("2020-03-01", days=30)]
    origins.save(before, tmp_path / "before.json")
    assert origins.read(tmp_path / "before.json") == before
    text = origins.compared(now, before)
    assert "| shop | 2020-01-01 | 0.5000 | -0.0500 | 0.1000 | +0.0000 |" in text
    assert "2020-03-01" not in text  # another question
    assert "log-loss: lower at 1 of 2, the same at 0, -2.50% in the mean" in text
    assert "score: lower at 0 of 2, the same at 2, +0.00% in the mean" in text
    assert "no origin in common" in origins.compared(now, [])


def test_a_log_of_ones_own_is_asked_from_one_date_to_another(tmp_path, capsys):
    path = tmp_path / "orders.csv"
    path.touch()
    place = origins.place_of(str(path), "2020-01-01", "2020-03-02", 90)
    assert place.origins(30) == [(f"2020-0{month}-{day}", 90) for month, day in DATES]
    assert origins.path_of(place) == path
    assert origins.place_of("cdnow", "2020-01-01", "2020-03-02", 90) is origins.SHOPS["cdnow"]
    with pytest.raises(SystemExit):
        origins.main([str(path)])
    assert "or a path with --from and --to" in capsys.readouterr().err


def test_data_that_are_not_there_are_left_out_and_named(monkeypatch, capsys):
    monkeypatch.delenv("PPI_ML_DATA", raising=False)
    assert origins.main(["cdnow"]) == 0
    assert "cdnow: left out: no PPI_ML_DATA/cdnow/" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        origins.main(["cdnew"])
    assert "expected some of online_retail" in capsys.readouterr().err


def test_no_origin_asks_beyond_where_the_last_case_of_its_shop_begins_to_ask():
    for place in origins.SHOPS.values():
        usual, far = place.origins(), place.origins(days=120)
        assert set(usual) < set(place.origins(15))
        assert far and {days for _, days in far} == {120}
        for origin, days in (*usual, *far):
            assert np.datetime64(origin) + days <= np.datetime64(place.end)
