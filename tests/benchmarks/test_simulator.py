"""The benchmark of the simulator, on a few thousand events."""

import pytest

import simulator


@pytest.mark.parametrize("way", simulator.WAYS)
def test_every_way_makes_the_same_events(way, tmp_path):
    customers = simulator.customers_for(20_000)
    found = simulator.run(way, customers, tmp_path)
    expected = simulator.run("memory", customers, tmp_path)
    assert found["events"] == expected["events"] == pytest.approx(20_000, rel=0.1)
    assert 0 < found["imported_mb"] < found["peak_mb"] + 5  # the kernel counts in batches
    assert found["seconds"] > 0


def test_too_slow_and_too_large_fail():
    quick = {"customers": 1, "events": 60, "seconds": 1.0, "imported_mb": 1.0, "peak_mb": 9.0}
    slow = {**quick, "seconds": 121.0, "peak_mb": 4_001.0}
    part = simulator.part_of({"folder": quick, "log": slow}, simulator.options(60))
    assert [check.passed for check in part.checks] == [True, True, False, False]
    assert "events a second" in part.to_markdown()
