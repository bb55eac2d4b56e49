"""The benchmark of what the event tables cost, on a few thousand events."""

import pytest

import events_cost

EVENTS = 6_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cost") / "shop"
    return folder, events_cost.make(folder, EVENTS)


def test_orders_alone_read_one_table_and_all_read_every_one(shop):
    folder, rows = shop
    assert set(events_cost.read(folder, alone=True).tables) == {"order_lines"}
    log = events_cost.read(folder)
    assert {name: table.frame.height for name, table in log.tables.items()} == rows
    assert sum(rows.values()) == pytest.approx(EVENTS, rel=0.15)


def test_all_tables_are_compared_with_orders_alone(shop):
    folder, rows = shop
    found = {step: events_cost.run(step, folder, 1) for step in events_cost.STEPS}
    families = set(found["families"]["families"]) - {"rows"}
    assert families == {family.name for family in events_cost.families_of("all")}
    assert set(events_cost.ORDERS_ALONE) < families
    columns = found["families"]["families"]
    assert sum(one["columns"] for one in columns.values()) == found["all"]["columns"]
    assert found["all"]["rows"] > 0.9 * events_cost.customers_for(EVENTS)
    said = events_cost.part_of(rows, found, events_cost.options(EVENTS, 1)).to_markdown()
    ratio = found["all"]["build"]["cpu"] / found["orders"]["build"]["cpu"]
    assert f"multiple of orders alone | {ratio:.1f} |" in said
    assert "| reviews |" in said


def test_too_much_memory_fails(shop):
    spent = {"cpu": 1.0, "wall": 1.0}
    one = {"load": spent, "build": spent, "loaded_mb": 300.0, "peak_mb": 500.0, "columns": 10,
           "rows": 5, "buckets": 1}  # fmt: skip
    large = {**one, "peak_mb": 12_001.0, "build": {"cpu": 3.0, "wall": 1.0}}
    found = {
        "orders": one,
        "all": large,
        "families": {"families": {"rows": {**spent, "columns": 0}}},
    }
    part = events_cost.part_of(shop[1], found, {})
    assert part.checks[0].found == "3.0"
    assert [check.passed for check in part.checks if check.bound] == [False]
