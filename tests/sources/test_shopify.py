"""The source shopify: CSV, REST and GraphQL of the same eleven orders, and what may go wrong.

The orders in `shopify/` are made up: 1005 is a test, 1006 voided, 1007 cancelled, 1008 made by a
subscription, 1009 nobody's, 1010 partly called off and sent back, 1011 a guest's.
"""

import copy
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.config import DataSettings
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.inputs import load_log
from ppi_ml.sources._shopify_orders import _spread
from ppi_ml.sources.shopify import SOURCE

HERE = Path(__file__).parent / "shopify"
ORDERS = json.loads((HERE / "orders.json").read_text())["orders"]
NY = "America/New_York"


def settings(path, **more):
    return DataSettings(source="shopify", path=str(path), timezone=NY, max_quarantined=0.1, **more)


def read(path):
    return SOURCE.read(settings(path))


def rows(table, *columns):
    return table.frame.select(columns).rows()


def notes(tables):
    return list(tables["order_lines"].notes)


@pytest.fixture
def rest(tmp_path):
    """rest(order, ...) -> the tables of a page of these orders."""

    def make(*orders, **pages):
        (tmp_path / "page.json").write_text(json.dumps({"orders": orders, **pages}))
        return read(tmp_path / "page.json")

    return make


def order(number, **changes):
    """A copy of one of the orders, changed."""
    found = next(order for order in ORDERS if order["order_number"] == number)
    return {**copy.deepcopy(found), **changes}


# --- the three kinds of export ----------------------------------------------------------------


def test_the_lines_of_rest():
    lines = read(HERE / "orders.json")["order_lines"]
    first = lines.frame.row(0, named=True)
    assert first == {
        "customer_id": "101",
        "occurred_at": "2026-01-05T10:00:00-05:00",
        "order_id": "5000000001001",
        "line_id": "1",
        "sku": "A",
        "quantity": "2",
        "unit_price": "10.00",
        "discount": "2.00",
        "currency": "USD",
        "promo_code": "WELCOME10",
        "channel": "web",
        "order_type": "one_off",
    }
    names = [order_id[-4:] for order_id in lines.frame["order_id"].unique(maintain_order=True)]
    assert names == ["1001", "1002", "1003", "1004", "1007", "1008", "1009", "1010", "1011"]


def test_products_are_called_what_the_newest_order_calls_them(rest, tmp_path):
    said = ("name", "title")
    old, new = order(1001), order(1010)
    assert old["line_items"][0]["sku"] == "A"
    assert old["processed_at"] < new["processed_at"]
    new["line_items"] = [{**new["line_items"][0], "sku": "A", "name": "Thing A - M, improved"}]
    titled = {**old["line_items"][1], "sku": "titled", "title": "Title alone"}
    old["line_items"].append({k: v for k, v in titled.items() if k != "name"})
    bare = {k: v for k, v in titled.items() if k not in said} | {"sku": "bare"}
    old["line_items"].append(bare)
    test = order(1005, processed_at="2027-01-01T00:00:00-05:00")
    test["line_items"][0] |= {"sku": "A", "name": "only tested"}
    for orders in ([old, new, test], [test, new, old]):
        named = dict(rows(rest(*orders)["products"], "sku", "name"))
        assert named["A"] == "Thing A - M, improved"
        assert named["B"] == "Thing B - M"
        assert named["titled"] == "Title alone"
        assert "bare" not in named
    log = load_log(settings(tmp_path / "page.json"))
    assert log.tables["products"].frame.filter(sku="A")["name"].to_list() == [named["A"]]


def test_graphql_gives_every_table_that_rest_gives():
    from_rest, from_graphql = read(HERE / "orders.json"), read(HERE / "graphql.json")
    assert notes(from_graphql) == notes(from_rest)
    assert from_graphql.keys() == from_rest.keys()
    for name, table in from_rest.items():
        assert from_graphql[name].frame.equals(table.frame), name
        assert from_graphql[name].observed_until == table.observed_until


def test_a_bulk_export_gives_the_same_but_for_the_lines_of_refunds():
    from_rest, from_bulk = read(HERE / "orders.json"), read(HERE / "bulk.jsonl")
    for name in ("order_lines", "shipments", "deliveries"):
        assert from_bulk[name].frame.equals(from_rest[name].frame), name
    money = ("refund_id", "occurred_at", "amount", "order_id")
    assert rows(from_bulk["refunds"], *money) == rows(from_rest["refunds"], *money)
    assert "returns" not in from_bulk
    assert "shopify: 5 refunds that do not name their lines: no returns" in notes(from_bulk)


def test_csv_and_json_of_the_same_orders_give_the_same_order_lines():
    logs = [load_log(settings(HERE / f"orders.{kind}")) for kind in ("json", "csv")]
    of_json, of_csv = (log.tables["order_lines"].frame.sort("order_id", "line_id") for log in logs)
    assert of_csv.drop("customer_id").equals(of_json.drop("customer_id"))
    assert logs[0].observed_until == logs[1].observed_until
    # customers have other names, but are the same people
    pairs = pl.DataFrame({"json": of_json["customer_id"], "csv": of_csv["customer_id"]}).unique()
    assert pairs.height == pairs["json"].n_unique() == pairs["csv"].n_unique() == 4
    sent = [
        log.tables["shipments"].frame.select("order_id", "at", "service", "region") for log in logs
    ]
    assert sent[1].sort("order_id").equals(sent[0].sort("order_id"))


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_every_line_item_is_a_row_or_counted(kind):
    items = sum(len(order["line_items"]) for order in ORDERS)
    log = load_log(settings(HERE / f"orders.{kind}"))
    report = log.report.tables["order_lines"]
    assert (items, report.rows_in) == (19, 16)
    assert report.quarantined == {"customer_id missing": 1}
    assert "shopify: 1 test orders set aside" in log.report.notes
    assert "shopify: 1 order lines of test orders set aside" in log.report.notes
    assert "shopify: 1 voided orders (never paid) set aside" in log.report.notes
    assert "shopify: 2 order lines of voided orders (never paid) set aside" in log.report.notes


def test_everything_that_follows_an_order_loads():
    log = load_log(settings(HERE / "orders.json"))
    heights = {name: table.frame.height for name, table in log.tables.items()}
    assert heights == {
        "order_lines": 15,
        "cancellations": 2,
        "shipments": 5,
        "deliveries": 1,
        "delivery_exceptions": 1,
        "returns": 2,
        "refunds": 4,
        "products": 7,
    }
    assert not any(table.quarantined for name, table in log.report.tables.items()
                   if name != "order_lines")  # fmt: skip


# --- who --------------------------------------------------------------------------------------


def test_nothing_personal_goes_any_further(tmp_path):
    private = ("example.com", "555", "Person", "Main St", "10001", "SECRET", "cross", "ring", "Ann")
    for name in ("orders.json", "graphql.json", "bulk.jsonl", "orders.csv"):
        tables = read(HERE / name)
        written = "".join(table.frame.write_csv() for table in tables.values())
        assert not [word for word in private if word in written]
        log = load_log(settings(HERE / name))
        log.report.write_quarantine(tmp_path / name)
        quarantined = pl.read_parquet(tmp_path / name / "order_lines.parquet").write_csv()
        assert not [word for word in private if word in quarantined + log.report.to_text()]


def test_a_customer_is_an_id_else_the_hash_of_an_e_mail(rest):
    mailed = [
        order(1011, id=1, email="guest@example.com"),
        order(1011, id=2, email=None, contact_email=" GUEST@example.com"),
        order(1011, id=3, email="", customer={"id": None, "email": "Guest@Example.com"}),
        order(1011, id=4, customer={"id": 7}),
        order(1011, id=5, email=" ", customer=None),
    ]
    hashed = hashlib.sha256(b"guest@example.com").hexdigest()
    found = rest(*mailed)["order_lines"].frame["customer_id"].to_list()
    assert found == [hashed, hashed, hashed, "7", None]


# --- what, and at what discount ---------------------------------------------------------------


def discounts(tables):
    return [Decimal(cell or 0) for cell in tables["order_lines"].frame["discount"]]


def unallocated(number, **changes):
    """An order as versions of the API without allocations, and the CSV, have it."""
    changed = order(number, **changes)
    for item in changed["line_items"]:
        item.pop("discount_allocations", None)
    return changed


def test_allocations_hold_every_discount_of_a_line(rest):
    one = order(1003)
    one["line_items"][1]["discount_allocations"] = [{"amount": "0.10"}, {"amount": 0.2}]
    assert discounts(rest(one)) == [Decimal("0"), Decimal("0.30")]


def test_a_discount_of_an_order_is_spread_exactly(rest):
    assert discounts(rest(unallocated(1002))) == [Decimal("3.33"), Decimal("6.67")]
    third = unallocated(1002, total_discounts="10.00", subtotal_price="20.00")
    third["line_items"] = [
        {"id": n, "sku": str(n), "quantity": 1, "price": "10.00"} for n in range(3)
    ]
    assert discounts(rest(third)) == [Decimal("3.33"), Decimal("3.33"), Decimal("3.34")]


def test_what_is_shown_at_a_line_stays_there(rest):
    both = unallocated(1003, total_discounts="4.00", subtotal_price="16.00")
    assert discounts(rest(both)) == [Decimal("1.35"), Decimal("2.65")]  # 1.50 and a share of 2.50
    without_subtotal = unallocated(1003, total_discounts="4.00", subtotal_price=None)
    assert discounts(rest(without_subtotal)) == [Decimal("1.35"), Decimal("2.65")]
    shown_alone = unallocated(1003, total_discounts="1.50")
    assert discounts(rest(shown_alone)) == [Decimal("0.00"), Decimal("1.50")]


def test_free_shipping_comes_off_no_line(rest):
    assert discounts(rest(unallocated(1004))) == [Decimal("0.00")]


def test_no_line_goes_below_nothing(rest):
    everything = unallocated(1001, total_discounts="99.00", subtotal_price="0.00")
    assert discounts(rest(everything)) == [Decimal("20.00"), Decimal("5.00")]


cents = st.integers(0, 10**7).map(lambda value: Decimal(value) / 100)


@given(st.lists(cents, min_size=1, max_size=9).filter(any), st.data())
def test_shares_add_up_and_stay_within_their_lines(weights, data):
    amount = data.draw(st.integers(1, int(sum(weights) * 100))) / Decimal(100)
    shares = _spread(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= share <= weight
        assert abs(share - amount * weight / sum(weights)) < Decimal("0.01")


@pytest.mark.parametrize("cell", ["abc", "1e999999", "nan", "-3"])
@pytest.mark.parametrize("name", ["price", "quantity", "total_discount"])
def test_a_cell_that_is_no_amount_is_left_to_the_contract(rest, name, cell):
    odd = unallocated(1001)
    odd["line_items"][0][name] = cell
    ours = {"price": "unit_price", "total_discount": "discount"}.get(name, name)
    assert rest(odd)["order_lines"].frame[ours][0] == cell


def test_an_allocation_that_is_no_amount_is_left_to_the_contract(rest):
    odd = order(1001)
    odd["line_items"][0]["discount_allocations"] = [{"amount": "1.00"}, {"amount": "abc"}]
    assert rest(odd)["order_lines"].frame["discount"][0] == "abc"


def test_a_line_without_a_sku_goes_by_its_name(rest):
    bare = order(1010)
    bare["line_items"][1]["sku"] = ""
    assert rest(bare)["order_lines"].frame["sku"].to_list() == [
        "A",
        "Thing B - M",
        "C",
        "Thing None - M",
    ]


def test_types_of_orders(rest):
    kinds = [
        order(1001, id=1),
        order(1001, id=2, source_name="subscription_contract"),
        order(1001, id=3, tags="vip, subscription recurring order"),
        order(1001, id=4, tags="Subscription, Subscription First Order"),
    ]
    found = rest(*kinds)["order_lines"].frame["order_type"].to_list()[::2]
    assert found == ["one_off", "subscription", "subscription", "one_off"]
    of_1008 = rest(order(1008))["order_lines"]
    assert rows(of_1008, "sku", "order_type") == [("E", "subscription"), ("GIFT", "free")]


@pytest.mark.parametrize("tip", [{"tip": {"payment_gateway": "x"}, "name": "Thanks"},
                                 {"name": "Tip", "sku": None}])  # fmt: skip
def test_a_tip_is_no_product_and_counted(rest, tip):
    given_ = order(1001)
    given_["line_items"].insert(1, {"quantity": 1, "price": "2.00", **tip})
    found = rest(given_)
    assert rows(found["order_lines"], "line_id", "sku") == [("1", "A"), ("3", "B")]
    assert "shopify: 1 line items that are tips set aside" in notes(found)


def test_an_imported_order_keeps_its_own_time(rest):
    imported = order(1001, created_at="2026-05-01T00:00:00-04:00")
    assert rest(imported)["order_lines"].frame["occurred_at"][0] == "2026-01-05T10:00:00-05:00"
    del imported["processed_at"]
    assert rest(imported)["order_lines"].frame["occurred_at"][0] == "2026-05-01T00:00:00-04:00"


def test_an_order_without_lines_is_counted(rest):
    found = rest(order(1001), order(1002, line_items=[]))
    assert "shopify: 1 orders without lines set aside" in notes(found)
    with pytest.raises(DataError, match=r"no order lines are left\. shopify: 1 test orders set"):
        rest(order(1005))


# --- parcels ----------------------------------------------------------------------------------


def test_parcels_leave_and_arrive_at_their_own_times():
    tables = read(HERE / "orders.json")
    assert rows(tables["shipments"], "shipment_id", "carrier", "service", "region")[:2] == [
        ("901", "UPS", "Standard", "US-NY"),
        ("902", "UPS", "Standard", "US-NY"),
    ]
    assert rows(tables["deliveries"], "shipment_id", "occurred_at") == [
        ("901", "2026-01-09T11:00:00-05:00")
    ]
    assert rows(tables["delivery_exceptions"], "shipment_id", "code", "occurred_at") == [
        ("901", "failed_attempt", "2026-01-08T16:00:00-05:00")
    ]
    assert "shopify: 1 parcels that arrived nobody says when: no deliveries" in notes(tables)
    failed = "shopify: 1 fulfillments that failed, were cancelled or not sent set aside"
    assert failed in notes(tables)


def test_events_and_refunds_may_come_on_pages_of_their_own(tmp_path):
    whole = [order(1001), order(1003)]
    apart = copy.deepcopy(whole)
    refunds = [refund for one in apart for refund in one.pop("refunds")]
    boxes = [box for one in apart for box in one.pop("fulfillments")]
    events = [event for box in boxes for event in box.pop("events", [])]
    strange = {**refunds[0], "id": 1, "order_id": 404}
    (tmp_path / "1.json").write_text(json.dumps({"orders": apart}))
    (tmp_path / "2.json").write_text(json.dumps({"refunds": [*refunds, strange]}))
    (tmp_path / "3.json").write_text(json.dumps({"fulfillments": boxes}))
    (tmp_path / "4.json").write_text(json.dumps({"fulfillment_events": events}))
    found = read(tmp_path)
    (tmp_path / "whole.json").write_text(json.dumps(whole))
    expected = read(tmp_path / "whole.json")
    assert {"deliveries", "delivery_exceptions", "returns", "refunds"} <= found.keys()
    for name, table in expected.items():
        assert found[name].frame.equals(table.frame), name
    assert "shopify: 1 refunds of orders that are not there set aside" in notes(found)


# --- money and goods that came back -----------------------------------------------------------


def test_refunds_are_money_that_was_paid_when_it_was_paid():
    tables = read(HERE / "orders.json")
    assert rows(tables["refunds"], "refund_id", "occurred_at", "amount", "sku") == [
        ("801", "2026-03-10T09:00:00-04:00", "4.25", "B"),
        ("802", "2026-02-20T15:31:00-05:00", "24.91", "D"),
        ("804", "2026-03-05T09:00:00-04:00", "10.00", "B"),
        ("805", "2026-03-20T09:00:00-04:00", "10.33", None),
    ]
    assert "shopify: 1 refunds by which no money was paid (yet) set aside" in notes(tables)


def test_a_refund_in_another_currency_has_no_amount(rest):
    abroad = order(1003)
    abroad["refunds"][0]["transactions"][0]["currency"] = "CAD"
    found = rest(abroad)
    assert rows(found["refunds"], "refund_id", "amount", "currency") == [("801", None, "USD")]
    assert "shopify: 1 refunds paid in another currency: amount unknown" in notes(found)


@pytest.mark.parametrize(
    ("transactions", "amount"),
    [
        (None, None),
        ([{"kind": "refund", "status": "success", "amount": "x", "currency": "USD"}], "x"),
    ],
)
def test_an_amount_that_is_not_there_is_unknown(rest, transactions, amount):
    odd = order(1003)
    odd["refunds"][0]["transactions"] = transactions
    assert rows(rest(odd)["refunds"], "amount") == [(amount,)]


def test_what_was_restocked_says_what_came_back():
    tables = read(HERE / "orders.json")
    assert rows(tables["returns"], "return_id", "order_id", "sku", "quantity") == [
        ("801-1", "5000000001003", "B", "1"),
        ("805-1", "5000000001010", "C", "1"),  # legacy_restock of what had been sent
    ]
    assert "shopify: 1 refunded lines that were not restocked: no returns" in notes(tables)


def test_a_legacy_restock_before_shipping_is_no_return(rest):
    early = order(1010)
    early["refunds"][2]["created_at"] = early["refunds"][2]["processed_at"] = "2026-03-04T00:00:00Z"
    tables = rest(early)
    assert "returns" not in tables
    assert rows(tables["cancellations"], "line_id") == [("3",), ("2",)]


def test_a_cancelled_order_is_one_cancellation_and_a_line_once_nothing_is_left():
    tables = read(HERE / "orders.json")
    assert rows(tables["cancellations"], "order_id", "line_id", "occurred_at", "reason") == [
        ("5000000001007", None, "2026-02-20T15:30:00-05:00", "customer"),
        ("5000000001010", "2", "2026-03-05T09:00:00-04:00", None),
    ]
    partly = "shopify: 1 lines with some units called off, others not: no cancellation"
    assert partly in notes(tables)


def test_a_refund_of_a_line_that_is_not_there_is_counted(rest):
    odd = order(1010)
    odd["refunds"][1]["refund_line_items"][0]["line_item_id"] = 404
    note = "shopify: 1 refunded lines that their order does not have set aside"
    assert note in notes(rest(odd))


# --- periods ----------------------------------------------------------------------------------


def test_what_hangs_on_orders_is_observed_as_long_as_they_are():
    log = load_log(settings(HERE / "orders.json"))
    assert str(log.observed_until) == "2026-03-09"  # the last day of orders may not be over
    for name in ("cancellations", "shipments", "returns", "refunds"):
        table = log.tables[name]
        assert (str(table.observed_from), str(table.observed_until)) == ("2026-01-05", "2026-03-20")
    assert str(log.tables["deliveries"].observed_from) == "2026-01-09"
    assert str(log.tables["deliveries"].observed_until) == "2026-03-20"
    told = load_log(settings(HERE / "orders.json", until="2026-03-22"))
    assert str(told.tables["refunds"].observed_until) == "2026-03-22"
    too_late = load_log(settings(HERE / "orders.json", until="2026-06-01"))
    assert str(too_late.tables["refunds"].observed_until) == "2026-03-20"


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "soon", None])
def test_an_absurd_time_is_left_to_the_contract_and_stretches_nothing(rest, when):
    odd = order(1002, created_at=when, processed_at=None)
    tables = rest(order(1001), odd)
    assert tables["order_lines"].frame["occurred_at"].to_list()[2:] == [when, when]
    ends = tables["shipments"].observed_from, tables["shipments"].observed_until
    assert [str(end) for end in ends] == ["2026-01-05", "2026-01-21"]


# --- files ------------------------------------------------------------------------------------


def test_an_order_counts_once_in_its_newest_copy(tmp_path):
    old = order(1003, updated_at="2026-02-05T00:00:00Z", refunds=[])
    new = order(1003, updated_at="2026-03-11T00:00:00+02:00")
    for first, second in ((old, new), (new, old)):
        (tmp_path / "1.json").write_text(json.dumps([first]))
        (tmp_path / "2.jsonl").write_text("\n" + json.dumps(second) + "\n\n")
        found = read(tmp_path)
        assert found["returns"].frame.height == 1
        assert found["order_lines"].frame.height == 2
        assert "shopify: 2 order lines in older copies of an order set aside" in notes(found)


HEADER, *LINES = (HERE / "orders.csv").read_text().splitlines(keepends=True)
BODY = "".join(LINES)
CSV = pl.read_csv(HERE / "orders.csv", infer_schema=False)


def filled_down():
    """The export as it is after somebody filled the empty cells of each order."""
    keep = [name for name in CSV.columns if name.startswith("Lineitem")]
    filled = pl.all().exclude(keep).forward_fill().over("Name")
    return CSV.with_columns(filled).write_csv()


def shuffled():
    return CSV.sort("Lineitem sku", maintain_order=True).write_csv()


SAME = {
    "byte order mark": lambda: "\ufeff" + HEADER + BODY,
    "crlf": lambda: (HEADER + BODY).replace("\n", "\r\n"),
    "semicolons": lambda: CSV.write_csv(separator=";"),
    "other capitals": lambda: HEADER.upper() + BODY,
    "american": lambda: HEADER.replace("Cancelled at", "Canceled at") + BODY,
    "filled down": filled_down,
    "without Name in later rows": lambda: HEADER + BODY.replace("\n#1001,ann", "\n,ann"),
}  # fmt: skip


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_an_export_may_look_different(tmp_path, text):
    (tmp_path / "orders.csv").write_text(text(), newline="")
    found, expected = read(tmp_path), read(HERE / "orders.csv")
    assert notes(found) == notes(expected)
    for name, table in expected.items():
        assert found[name].frame.equals(table.frame), name


def test_a_sorted_export_keeps_its_orders_together(tmp_path):
    (tmp_path / "orders.csv").write_text(shuffled())
    found, expected = (
        table["order_lines"].frame.select("order_id", "sku", "quantity", "discount", "currency")
        for table in (read(tmp_path), read(HERE / "orders.csv"))
    )
    assert found.sort("order_id", "sku").equals(expected.sort("order_id", "sku"))


TWICE = {
    "as it is": lambda: HEADER + BODY * 2,
    "filled down": lambda: filled_down() + filled_down().split("\n", 1)[1],
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_an_export_pasted_twice_counts_once(tmp_path, text):
    (tmp_path / "orders.csv").write_text(text())
    found, expected = read(tmp_path), read(HERE / "orders.csv")
    for name, table in expected.items():
        assert found[name].frame.equals(table.frame), name
    assert any("order lines in older copies of an order set aside" in note for note in notes(found))


def test_several_exports_that_overlap_count_each_order_once(tmp_path):
    CSV.head(10).write_csv(tmp_path / "orders-1.csv")
    CSV.tail(15).write_csv(tmp_path / "orders-2.csv")
    found, expected = read(tmp_path / "orders-*.csv"), read(HERE / "orders.csv")
    lines = (table["order_lines"].frame.sort("order_id", "line_id") for table in (found, expected))
    assert next(lines).equals(next(lines))


def test_an_order_whose_first_row_is_in_another_file_is_counted(tmp_path):
    CSV.tail(14).write_csv(tmp_path / "orders.csv")  # begins with the second line of 1003
    found = read(tmp_path)
    assert "shopify: 1 orders without their first row set aside" in notes(found)
    assert "shopify: 1 order lines of orders without their first row set aside" in notes(found)
    assert found["order_lines"].frame["order_id"][0] == "5000000001004"


def test_an_export_of_a_few_columns_is_enough(tmp_path):
    few = CSV.select("Name", "Email", "Created at", "Lineitem quantity", "Lineitem price")
    few.write_csv(tmp_path / "orders.csv")
    found = read(tmp_path)
    assert found["order_lines"].frame.height == 19
    assert list(found) == ["order_lines"]


def test_a_customer_id_in_a_csv_is_used(tmp_path):
    CSV.with_columns(pl.lit("'77").alias("Customer ID")).write_csv(tmp_path / "orders.csv")
    assert set(read(tmp_path)["order_lines"].frame["customer_id"]) == {"77"}


def test_without_an_id_an_order_goes_by_its_name(tmp_path):
    CSV.drop("Id").write_csv(tmp_path / "orders.csv")
    assert read(tmp_path)["order_lines"].frame["order_id"][0] == "#1001"


def test_the_refunded_amount_of_a_csv_is_counted_and_not_used():
    tables = read(HERE / "orders.csv")
    assert set(tables) == {"order_lines", "cancellations", "shipments", "products"}
    (told,) = (note for note in notes(tables) if "Refunded Amount" in note)
    assert told.startswith("shopify: 3 orders with a Refunded Amount, which has no time: no ref")


WRONG = {
    "no export": ("orders.csv", "a,b\n1,2\n", "columns Name, Created at, Lineitem quantity"),
    "no one": ("orders.csv", HEADER.replace("Email", "Mail") + BODY, "columns Email are missing"),
    "no JSON": ("orders.json", "{", r"cannot be read as JSON in UTF-8: .* line 1 column 2"),
    "latin-1": ("orders.json", '{"orders": []}\xe9'.encode("latin-1"), "cannot be read as JSON"),
    "a word": ("orders.json", '"s3cret"', "found something else"),
    "customers": ("x.json", '{"customers": [{"id": 1}]}', "found an object with customers"),
    "errors": ("x.json", '{"errors": "s3cret"}', "found an object with errors"),
    "no lines": ("x.json", '{"orders": [{"id": 1}]}', "an order comes without line_items"),
    "no nodes": ("x.json", '{"orders": ["s3cret"]}', "something else than records"),
    "a word for a page": ("x.json", '{"orders": "s3cret"}', "something else than records"),
    "shape": ("x.json", '{"orders": [{"id": 1, "line_items": ["s3cret"]}]}', "not have the shape"),
    "refunds": ("x.json", '{"orders": [{"id": 1, "line_items": [{}], "refunds": ["s3cret"]}]}',
                "not have the shape"),
    "excel": ("orders.xlsx", "PK", "no such file, no match"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), WRONG.values(), ids=WRONG)
def test_a_file_that_is_something_else_is_named_and_not_quoted(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert "s3cret" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_list_of_graphql_that_was_cut_off_is_refused(tmp_path):
    page = json.loads((HERE / "graphql.json").read_text())
    page["data"]["orders"]["edges"][0]["node"]["lineItems"]["pageInfo"]["hasNextPage"] = True
    (tmp_path / "page.json").write_text(json.dumps(page))
    with pytest.raises(DataError, match="inside an order was cut off"):
        read(tmp_path)


def test_a_bulk_export_whose_lines_lost_their_order_is_refused(tmp_path):
    lines = (HERE / "bulk.jsonl").read_text().splitlines()
    (tmp_path / "bulk.jsonl").write_text("\n".join(lines[1:]))
    with pytest.raises(DataError, match="line item comes before its order"):
        read(tmp_path)


def test_csv_and_json_are_not_mixed(tmp_path):
    for name in ("orders.csv", "orders.json"):
        (tmp_path / name).write_text((HERE / name).read_text())
    with pytest.raises(DataError, match="holds CSV and JSON"):
        read(tmp_path)


def test_a_path_is_needed_and_must_lead_somewhere(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.path: the source shopify needs the path"):
        SOURCE.read(DataSettings(source="shopify"))
    for path in (tmp_path, tmp_path / "gone.csv", tmp_path / "*.csv"):
        with pytest.raises(DataError, match="no such file, no match"):
            read(path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"a\.txt: expected a name that ends in"):
        read(tmp_path / "a.txt")
