"""Scoring file by file, on a few hundred pairs, and the crowd it is measured on."""

import polars as pl
import pytest

import depletion_crowd
import depletion_scale


def test_a_crowd_is_the_same_every_time_and_has_the_pairs_that_were_asked_for():
    lines = depletion_crowd.lines(0, 400, 7)
    assert lines.equals(depletion_crowd.lines(0, 400, 7))
    assert not lines.equals(depletion_crowd.lines(400, 400, 7))
    live = depletion_crowd.live(lines, 120, 3)
    assert depletion_crowd.customers_for(live) == pytest.approx(400, rel=0.05)
    log = depletion_crowd.log_of(lines)
    assert log.tables["order_lines"].frame.height > 0.999 * lines.height
    assert lines["customer_id"].n_unique() == 400


def test_files_are_scored_one_after_the_other_as_one_log_is(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(depletion_scale, "TRAINING_CUSTOMERS", 60)
    monkeypatch.setattr(depletion_crowd, "BLOCK", 50)
    trained = depletion_scale.train(tmp_path, 1)
    made = depletion_scale.write(tmp_path, 1_000)
    ways = {
        way: depletion_scale.score(tmp_path, trained["bundle"], 1, "1GB", whole=whole)
        for way, whole in ((depletion_scale.FILES, False), (depletion_scale.WHOLE, True))
    }
    assert {found["files"] for found in ways.values()} == {2}
    lines = pl.concat(pl.read_parquet(path) for path in sorted(tmp_path.glob("lines/*.parquet")))
    assert made["lines"] == lines.height
    live = depletion_crowd.live(lines, 120, 3)
    assert {found["pairs"] for found in ways.values()} == {live}
    one, other = (tmp_path / name for name in ("scores.parquet", "scores-whole.parquet"))
    assert depletion_scale.are_same(one, other)
    whole = pl.read_parquet(other)
    for changed, same in (
        (whole[1:], False),
        (whole.reverse().with_columns(pl.col("p_next_30d") + 1e-12), True),
        (whole.with_columns(pl.col("p_next_30d") + 1e-6), False),
        (whole.with_columns(p_next_30d=pl.lit(None, dtype=pl.Float64)), False),
        (whole.with_columns(nudge_reason=pl.lit("never")), False),
    ):
        changed.write_parquet(other)
        assert depletion_scale.are_same(one, other) is same
    found = [{"way": way, **made, **said} for way, said in ways.items()]
    part = depletion_scale.part_of([*found[:1], {**found[1], "same": False}], {})
    assert [check.passed for check in part.checks] == [True, False]
    heavy = depletion_scale.part_of([{**found[0], "peak_mb": 4_001.0}], {})
    assert heavy.checks[0].passed is False
