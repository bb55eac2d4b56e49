"""Bad input in every table: each named case ends as it is stated here, and never in silence.

A case is what goes in, what becomes of it, and the words in which that is said. Five ends:

- CLEAN: the row is kept as it is; where something was assumed, the report says it.
- REPAIRED: the row is kept and counted under the repair.
- QUARANTINED: the row is set aside under the rule.
- TOLD: the row is kept, and the checks of the whole log count it.
- REFUSED: nothing is loaded; the message says why.

What files do to order lines (quotes, encodings, separators, byte order marks, odd ids) stands in
test_bad_input.py, the rules of order lines, products, stock and usage one by one in test_intake.py,
logs from which nothing can be learned in test_bad_input_timing.py and test_bad_input_depletion.py.
"""

import json
import re
from functools import cache

import polars as pl
import pytest

from ppi_ml.errors import DataError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.log_checks import checked
from ppi_ml.schema import TABLES
from ppi_ml.sources.dataframes import raw_tables

CLEAN, REPAIRED, QUARANTINED, TOLD, REFUSED = ENDS = (
    "clean", "repaired", "quarantined", "told", "refused",
)  # fmt: skip
ZONE = "Europe/Berlin"
NOW = Cutoff.parse("2027-01-01", ZONE)
JANE, JOHN = "jane.doe@example.com", "john.roe@example.com"
WRITTEN = "It was for my mother, Mrs Roe"
SECRETS = (JANE, JOHN, WRITTEN, "order-of-jane", "order-of-john")


def sound():
    """Two customers and every table; nothing to repair, to set aside or to tell."""
    jane = {"customer_id": JANE, "order_id": "order-of-jane"}
    john = {"customer_id": JOHN, "order_id": "order-of-john"}
    return {
        "order_lines": [
            {"line_id": "1", **jane, "occurred_at": "2026-01-05T10:00:00", "sku": "tea",
             "quantity": "2", "unit_price": "4.50", "discount": "1", "currency": "EUR",
             "promo_code": "NEW", "channel": "web", "order_type": "one_off"},
            {"line_id": "1", **john, "occurred_at": "2026-01-06T10:00:00", "sku": "cup",
             "quantity": "1", "unit_price": "9", "discount": "", "currency": "EUR",
             "promo_code": "", "channel": "web", "order_type": "one_off"},
        ],
        "cancellations": [
            {"cancellation_id": "k1", **john, "line_id": "1", "occurred_at": "2026-01-06T11:00:00",
             "reason": "too late"},
        ],
        "shipments": [
            {"shipment_id": "p1", **jane, "occurred_at": "2026-01-06T09:00:00",
             "promised_at": "2026-01-09", "carrier": "swift", "service": "parcel",
             "region": "north"},
        ],
        "deliveries": [
            {"shipment_id": "p1", **jane, "occurred_at": "2026-01-08T15:00:00",
             "promised_at": "2026-01-09"},
        ],
        "delivery_exceptions": [
            {"shipment_id": "p1", **jane, "occurred_at": "2026-01-07T15:00:00", "code": "delay"},
        ],
        "returns": [
            {"return_id": "r1", **jane, "occurred_at": "2026-01-12T09:00:00", "sku": "tea",
             "quantity": "1", "reason": "stale"},
        ],
        "refunds": [
            {"refund_id": "f1", **jane, "occurred_at": "2026-01-14T09:00:00", "sku": "tea",
             "amount": "4", "currency": "EUR"},
        ],
        "reviews": [
            {"review_id": "v1", **jane, "occurred_at": "2026-01-10T20:00:00", "sku": "tea",
             "rating": "2", "text": WRITTEN},
        ],
        "tickets_opened": [
            {"ticket_id": "t1", **jane, "occurred_at": "2026-01-09T20:00:00", "topic": "stale tea",
             "channel": "mail"},
        ],
        "tickets_closed": [
            {"ticket_id": "t1", "customer_id": JANE, "occurred_at": "2026-01-11T20:00:00",
             "csat": "3"},
        ],
        "surveys": [
            {"survey_id": "s1", "customer_id": JANE, "occurred_at": "2026-01-20T20:00:00",
             "kind": "nps", "score": "7"},
        ],
        "exposures": [
            {"exposure_id": "e1", "customer_id": JANE, "occurred_at": "2026-01-04T20:00:00",
             "content_tag": "how-to", "campaign": "winter", "variant": "b", "channel": "mail"},
        ],
        "messages": [
            {"message_id": "m1", "customer_id": JANE, "occurred_at": "2026-01-03T20:00:00",
             "action": "sent", "campaign": "winter", "channel": "mail"},
            {"message_id": "m1", "customer_id": JANE, "occurred_at": "2026-01-03T20:30:00",
             "action": "opened", "campaign": "winter", "channel": "mail"},
        ],
        "usage": [
            {"usage_id": "u1", "customer_id": JANE, "occurred_at": "2026-01-09T08:00:00",
             "sku": "tea", "amount": "0.5", "kind": "refill"},
        ],
        "consents": [
            {"customer_id": JANE, "occurred_at": "2026-01-05T10:00:00", "purpose": "profiling",
             "granted": "yes"},
        ],
        "stock": [{"sku": "tea", "occurred_at": "2026-01-01T08:00:00", "available": "yes"}],
        "products": [{"sku": "tea", "category": "Drinks"}, {"sku": "cup", "category": "Kitchen"}],
        "customers": [
            {"customer_id": JANE, "region": "north", "signed_up_at": "2026-01-01T10:00:00"},
            {"customer_id": JOHN, "region": "south", "signed_up_at": "2026-01-02T10:00:00"},
        ],
    }  # fmt: skip


def row(table, **cells):
    """One row more in a table: a copy of its first under a new id, with other cells."""

    def change(tables):
        key = TABLES[table].key[0]
        fresh = {} if key == "customer_id" else {key: "another"}
        tables[table].append({**tables[table][0], **fresh, **cells})

    return change


def again(table, **cells):
    """The first row of a table once more, with other cells but under its old key."""
    return lambda tables: tables[table].append({**tables[table][0], **cells})


def every(table, **cells):
    """A cell in every row of a table; None takes the column away."""

    def change(tables):
        gone = [name for name, cell in cells.items() if cell is None]
        filled = {name: cell for name, cell in cells.items() if cell is not None}
        rows = [{**row, **filled} for row in tables[table]]
        tables[table] = [{n: c for n, c in row.items() if n not in gone} for row in rows]

    return change


def frame_of(rows):
    """The rows of one table as the shop wrote them: every cell is text, or nothing."""
    return pl.DataFrame(
        rows, schema=dict.fromkeys({n: None for row in rows for n in row}, pl.String)
    )


def load(tables, **settings):
    raw = raw_tables({name: frame_of(rows) for name, rows in tables.items()})
    return load_tables(raw, **{"timezone": ZONE, "max_quarantined": 0.9, **settings})


def report_of(change=lambda tables: None, **settings):
    tables = sound()
    change(tables)
    log = load(tables, **settings)
    return log, checked(log, NOW)


@cache
def usual_text():
    """What is said of the sound log."""
    return report_of()[1].to_text()


def counts(report):
    """(rows in, kept, repaired by rule, quarantined by rule) of all tables together."""
    repaired, quarantined = {}, {}
    for table in report.tables.values():
        for all_of_them, some in ((repaired, table.repaired), (quarantined, table.quarantined)):
            for rule, n in some.items():
                all_of_them[rule] = all_of_them.get(rule, 0) + n
    tables = report.tables.values()
    rows = sum(table.rows_in for table in tables), sum(table.kept for table in tables)
    return *rows, repaired, quarantined


CASES = {
    # ------------------------------------------------------------------ the same thing twice
    "a review that was exported twice": (
        again("reviews"), QUARANTINED, "duplicate of an earlier row"),
    "a return whose quantity was changed later": (
        again("returns", quantity="2"), QUARANTINED, "key repeated with other content"),
    "two deliveries of one parcel": (
        again("deliveries", occurred_at="2026-01-09T15:00:00"),
        QUARANTINED, "key repeated with other content"),
    "a ticket that is closed twice": (
        again("tickets_closed", occurred_at="2026-01-12T15:00:00"),
        QUARANTINED, "key repeated with other content"),
    "a parcel that is delayed on two days": (
        again("delivery_exceptions", occurred_at="2026-01-08T10:00:00"), CLEAN, ""),
    "a message that is opened twice": (
        row("messages", message_id="m1", action="opened", occurred_at="2026-01-04T20:30:00"),
        CLEAN, ""),
    "yes and no to profiling at one time: both are kept, the no wins": (
        again("consents", granted="no"), CLEAN, ""),
    "a customer with two regions": (
        again("customers", region="south"), QUARANTINED, "key repeated with other content"),
    "a refund that was read in under a second id": (
        row("refunds"), TOLD, r"repeated but for their ids:\n +50.00%  refunds"),
    # ------------------------------------------------------------------ effects before their cause
    "shipped before it was ordered": (
        row("shipments", occurred_at="2026-01-05T09:00:00"),
        TOLD, r"1 of 2 \(50.00%\)  shipments: shipped before it was ordered, by 1.0 hours"),
    "delivered before it was shipped": (
        every("deliveries", occurred_at="2026-01-06T08:30:00"),
        TOLD, r"1 of 1 .*deliveries: delivered before it was shipped, by 0.5 hours"),
    "promised for a time before it was shipped": (
        row("shipments", promised_at="2026-01-05"),
        TOLD, r"shipments: promised for a time before it was shipped, by 9.0 hours"),
    "lost before it was shipped": (
        every("delivery_exceptions", occurred_at="2026-01-05T15:00:00", code="lost"),
        TOLD, "delivery_exceptions: went wrong before it was shipped, by 18.0 hours"),
    "refunded before it was ordered": (
        row("refunds", occurred_at="2026-01-05T09:00:00"),
        TOLD, "refunds: refunded before it was ordered, by 1.0 hours"),
    "sent back before it was ordered": (
        every("returns", occurred_at="2026-01-01T09:00:00"),
        TOLD, "returns: sent back before it was ordered, by 97.0 hours"),
    "sent back before it was bought, without an order": (
        every("returns", occurred_at="2026-01-05T09:00:00", order_id=""),
        TOLD, "returns: sent back before it was first bought, by 1.0 hours"),
    "more sent back than was bought": (
        row("returns", quantity="5"), TOLD, "4 of 6 units, of 1 of 1 pairs of a customer"),
    "reviewed before it was delivered": (
        row("reviews", occurred_at="2026-01-07T15:00:00"),
        TOLD, "reviews: reviewed before it was delivered, by 24.0 hours"),
    "called off before it was ordered": (
        every("cancellations", occurred_at="2026-01-06T09:00:00"),
        TOLD, "cancellations: called off before it was ordered, by 1.0 hours"),
    "closed before it was opened": (
        every("tickets_closed", occurred_at="2026-01-09T18:00:00"),
        TOLD, "tickets_closed: closed before it was opened, by 2.0 hours"),
    "opened before it was sent": (
        row("messages", message_id="m1", action="clicked", occurred_at="2026-01-03T19:30:00"),
        TOLD, "messages: answered before it was sent, by 0.5 hours"),
    "tables that are out of order": (
        lambda tables: [rows.reverse() for rows in tables.values()], CLEAN, ""),
    # ------------------------------------------------------------------ what nobody has heard of
    "a parcel of an order that is not there": (
        row("shipments", order_id="gone"),
        TOLD, r"1 of 2 .*shipments.order_id: an order that order_lines does not have"),
    "a review of somebody else's order": (
        row("reviews", order_id="order-of-john"),
        TOLD, "reviews.order_id: an order of another customer"),
    "an arrival of a parcel that never left": (
        row("deliveries"), TOLD, "deliveries.shipment_id: a parcel that shipments does not have"),
    "a line that its order does not have": (
        row("cancellations", line_id="9"),
        TOLD, "cancellations.line_id: a line that order_lines does not have"),
    "a product that was neither sold nor listed": (
        row("usage", sku="pot"), TOLD, "usage.sku: a product that is neither sold nor listed"),
    "a sold product that is not listed": (
        lambda tables: tables["products"].pop(),
        TOLD, "order_lines.sku: a product that products does not have"),
    "a ticket that was never opened": (
        row("tickets_closed"),
        TOLD, "tickets_closed.ticket_id: a ticket that tickets_opened does not have"),
    "a click on what was never sent": (
        row("messages", action="clicked"),
        TOLD, "messages.message_id: a message that was not sent"),
    "a customer who never ordered": (
        row("surveys", customer_id="nobody"), TOLD, "surveys.customer_id: a customer without"),
    "an id in another form of unicode": (
        every("surveys", customer_id="Zoe\u0308"), TOLD, "surveys.customer_id: a customer without"),
    "an id that lost its leading zeros": (
        every("tickets_closed", ticket_id="01"),
        TOLD, "tickets_closed.ticket_id: a ticket that tickets_opened does not have"),
    # ------------------------------------------------------------------ numbers
    "quantity zero": (row("returns", quantity="0"), QUARANTINED, "quantity must be > 0"),
    "quantity negative, as many shops write returns": (
        row("returns", quantity="-1"), QUARANTINED, "quantity must be > 0"),
    "quantity huge": (row("returns", quantity="1e10"), QUARANTINED, "quantity must be <= 1e+09"),
    "quantity 1e308": (row("order_lines", quantity="1e308"), QUARANTINED,
                       "quantity must be <= 1e+09"),
    "quantity beyond all numbers": (
        row("order_lines", quantity="1e309"), QUARANTINED, "quantity must be a number"),
    "price NaN": (row("order_lines", unit_price="NaN"), QUARANTINED, "unit_price must be a number"),
    "amount infinite": (row("refunds", amount="inf"), QUARANTINED, "amount must be a number"),
    "amount 1e308": (row("refunds", amount="1e308"), QUARANTINED, "amount must be <= 1e+11"),
    "refund negative": (row("refunds", amount="-4"), QUARANTINED, "amount must be > 0"),
    "refund zero": (row("refunds", amount="0"), QUARANTINED, "amount must be > 0"),
    "refund without an amount": (row("refunds", amount=""), CLEAN, ""),
    "amount with the sign of its currency": (
        row("refunds", amount="4 €"), QUARANTINED, "amount must be a number"),
    "amount with a comma": (row("refunds", amount="4,50"), QUARANTINED, "amount must be a number"),
    "discount larger than its line": (
        row("order_lines", discount="9.01"),
        QUARANTINED, "discount must not exceed quantity * unit_price"),
    "no stars": (row("reviews", rating="0"), QUARANTINED, "rating must be >= 1"),
    "six stars": (row("reviews", rating="6"), QUARANTINED, "rating must be <= 5"),
    "four and a half stars": (row("reviews", rating="4.5"), CLEAN, ""),
    "stars in words": (row("reviews", rating="five"), QUARANTINED, "rating must be a number"),
    "a satisfaction of 11": (row("tickets_closed", csat="11"), QUARANTINED, "csat must be <= 10"),
    "a score of -1": (row("surveys", score="-1"), QUARANTINED, "score must be >= 0"),
    "an amount used of 0": (row("usage", amount="0"), QUARANTINED, "amount must be > 0"),
    # ------------------------------------------------------------------ words
    "an action that is none": (
        row("messages", action="bounced"),
        QUARANTINED, "action must be one of sent, opened, clicked, unsubscribed"),
    "an action in capitals": (again("messages", action="OPENED"), CLEAN, ""),
    "a survey whose kind is in capitals": (row("surveys", kind="NPS"), CLEAN, ""),
    "a use in capitals": (row("usage", kind="First_Use"), CLEAN, ""),
    "a kind of order in capitals, twice under one key": (
        again("order_lines", order_type="ONE_OFF"), QUARANTINED, "duplicate of an earlier row"),
    "a code that is none": (
        row("delivery_exceptions", code="stolen"), QUARANTINED,
        "code must be one of delay, damage, failed_attempt, lost (or failed attempt, delayed, "
        "damaged)"),
    "a code in other words": (row("delivery_exceptions", code="Failed attempt"), CLEAN, ""),
    "a survey of an unknown kind": (
        row("surveys", kind="ces"), QUARANTINED, "kind must be one of nps, csat"),
    "a survey of no kind": (row("surveys", kind=""), QUARANTINED, "kind missing"),
    "a consent that says perhaps is none": (
        row("consents", granted="perhaps"),
        REPAIRED, "granted must be one of yes, no (or true, false, 1, 0, y, n, t, f, granted, "
        "denied); taken as no"),
    "a consent that says nothing is none": (
        row("consents", granted=""), REPAIRED, "granted missing; taken as no"),
    "a denial of nothing in particular": (
        row("consents", granted="N", purpose=""),
        REFUSED, r"^consents: 1 of 2 rows cannot be read and may deny profiling.*row 1: purpose"),
    "a denial without a time": (
        row("consents", granted="f", occurred_at="soon"),
        REFUSED, r"may deny profiling.*row 1: occurred_at must be an ISO date or time"),
    "a denial of something else without a time": (
        row("consents", granted="no", purpose="letters", occurred_at=""),
        QUARANTINED, "occurred_at missing"),
    "a permission without a time": (
        row("consents", occurred_at=""), QUARANTINED, "occurred_at missing"),
    "a denial of nobody": (
        row("consents", granted="no", customer_id=""), QUARANTINED, "customer_id missing"),
    "a denial whose purpose is misspelt": (
        row("consents", granted="no", purpose="Profilng"), TOLD,
        r"consents: 1 of 2 rows are about purposes that nothing reads; only profiling is read. Is "
        r"profiling meant by profilng \(1\)\?"),
    "a consent to nothing": (row("consents", purpose=" "), QUARANTINED, "purpose missing"),
    "a formula in the place of a topic": (
        row("tickets_opened", topic="=HYPERLINK(\"http://x\")"), CLEAN, ""),
    "a line break in a review": (row("reviews", text="good\nnot bad"), CLEAN, ""),
    "spaces around a carrier": (
        row("shipments", carrier=" swift "), REPAIRED, "surrounding spaces stripped"),
    # ------------------------------------------------------------------ ids
    "no id of its own": (row("reviews", review_id=""), QUARANTINED, "review_id missing"),
    "no customer": (row("exposures", customer_id=""), QUARANTINED, "customer_id missing"),
    "an id that a spreadsheet made a decimal number": (
        row("tickets_opened", ticket_id="12.0"), REPAIRED, "id written as a decimal number"),
    "an id of emoji and umlauts": (row("order_lines", customer_id="Zoë 🛒"), CLEAN, ""),
    "an id with leading zeros": (row("tickets_opened", ticket_id="0012"), CLEAN, ""),
    # ------------------------------------------------------------------ times
    "an hour that the clock skips": (
        row("exposures", occurred_at="2026-03-29T02:30:00"),
        REPAIRED, "occurred_at skipped by the clock, moved on"),
    "an hour that the clock shows twice": (
        row("exposures", occurred_at="2026-10-25T02:30:00"),
        TOLD, r"in an hour that the clock shows twice:\n +1  exposures"),
    "a mere date among times": (
        row("exposures", occurred_at="2026-03-02"),
        CLEAN, "exposures: 1 rows have a mere date among times, read as 00:00 of that day"),
    "the year 1900": (row("surveys", occurred_at="1900-01-01T00:00:00"), QUARANTINED,
                      "occurred_at must lie between 1970-01-02 and 2200-01-01"),
    "no promise, written as the year 9999": (
        row("shipments", promised_at="9999-12-31"),
        REPAIRED, "promised_at not between 1970-01-02 and 2200-01-01, set to null"),
    "no promise, written as the epoch": (
        every("deliveries", promised_at="1970-01-01T00:00:00"),
        REPAIRED, "promised_at not between 1970-01-02 and 2200-01-01, set to null"),
    "no promise, written as MySQL's date of zeros": (
        row("shipments", promised_at="0000-00-00 00:00:00"),
        REPAIRED, "promised_at not between 1970-01-02 and 2200-01-01, set to null"),
    "no sign-up, written as the year 1900": (
        row("customers", customer_id="new", signed_up_at="1900-01-01T00:00:00"),
        REPAIRED, "signed_up_at not between 1970-01-02 and 2200-01-01, set to null"),
    "a promise that is no time": (
        row("shipments", promised_at="in a week"),
        QUARANTINED, "promised_at must be an ISO date or time"),
    "an empty time that became the epoch": (
        row("surveys", occurred_at="1970-01-01T00:00:00"), QUARANTINED,
        "occurred_at must lie between 1970-01-02 and 2200-01-01"),
    "a day after today": (
        row("exposures", occurred_at="2027-06-01T00:00:01"),
        TOLD, r"in the future:\n +1  exposures"),
    "a time in American order": (
        row("reviews", occurred_at="01/10/2026"),
        QUARANTINED, "occurred_at must be an ISO date or time"),
    "seconds since 1970": (
        row("reviews", occurred_at="1767960000"),
        QUARANTINED, "occurred_at must be an ISO date or time"),
    "a sign-up that is no time": (
        row("customers", customer_id="new", signed_up_at="long ago"),
        QUARANTINED, "signed_up_at must be an ISO date or time"),
    "times with an offset in one table, without in the others": (
        every("usage", occurred_at="2026-01-09T08:00:00+01:00"), CLEAN, ""),
    "times with and without an offset in one column": (
        row("reviews", occurred_at="2026-01-10T20:00:00Z"), REFUSED,
        r"reviews: column occurred_at mixes times with and without an offset .*write all of them"),
    # ------------------------------------------------------------------ money
    "another currency in one row": (
        row("refunds", currency="USD"), REFUSED, "column currency holds EUR, USD; expected one"),
    "another currency than was stated": (
        every("refunds", currency="GBP"), REFUSED, "column currency holds EUR, GBP; expected one"),
    "a currency that is none": (
        every("refunds", currency="four"), REFUSED,
        r"column currency holds EUR, values that are no currency codes \(.*\); expected one"),
    "a row without its currency": (row("refunds", currency=""), CLEAN, ""),
    "no currency anywhere": (
        lambda tables: [every(name, currency=None)(tables) for name in ("order_lines", "refunds")],
        TOLD, "money: no currency is stated"),
    # ------------------------------------------------------------------ whole tables and columns
    "a table without rows": (
        lambda tables: tables["reviews"].clear(), CLEAN, "reviews: no rows, so treated as absent"),
    "a column that nobody knows": (
        every("reviews", stars_given_by="x"), CLEAN, "reviews: ignored columns stars_given_by"),
    "a column without a single cell": (
        every("shipments", carrier=""),
        CLEAN, "shipments: unknown, because every cell is empty in column carrier"),
    "a column that is not there": (
        every("shipments", carrier=None),
        CLEAN, "shipments: unknown, because there is no column carrier"),
    "a column that must be there": (
        every("reviews", review_id=None), REFUSED,
        r"reviews: required column review_id is missing; .*columns: \{review_id: its name there\}"),
    "a column of customers without one": (
        every("reviews", customer_id=""), REFUSED, "reviews: column customer_id is empty in every"),
    "a column of ids without one": (
        every("reviews", review_id=""), REFUSED,
        r"reviews: 1 of 1 rows \(100.0%\) would be quarantined.*review_id missing: 1"),
    "a table that nobody knows": (
        lambda tables: tables.update(ticket_opened=tables.pop("tickets_opened")), REFUSED,
        "unknown table \"ticket_opened\". Did you mean tickets_opened"),
}  # fmt: skip


def test_the_sound_log_has_nothing_to_repair_to_set_aside_or_to_tell():
    log, report = report_of()
    assert set(log.tables) == set(TABLES)
    rows, kept, repaired, quarantined = counts(report)
    assert (rows, repaired, quarantined) == (kept, {}, {})
    assert len([line for line in usual_text().splitlines() if line.endswith(": none")]) == 6
    assert report.checks.currency == "EUR"


@pytest.mark.parametrize(("change", "end", "words"), CASES.values(), ids=CASES)
def test_each_case_ends_as_stated(change, end, words):
    if end == REFUSED:
        with pytest.raises(DataError, match=words) as caught:
            report_of(change)
        assert not any(secret in str(caught.value) for secret in SECRETS)
        return
    log, report = report_of(change)
    rows, kept, repaired, quarantined = counts(report)
    assert repaired == ({words: 1} if end == REPAIRED else {})
    assert quarantined == ({words: 1} if end == QUARANTINED else {})
    assert kept == rows - (end in (REPAIRED, QUARANTINED))
    assert sum(frame.height for frame in report.quarantine.values()) == (end == QUARANTINED)
    assert sum(table.frame.height for table in log.tables.values()) == rows - (end == QUARANTINED)
    text = report.to_text()
    if end == TOLD:
        assert re.search(words, text)
        assert not re.search(words, usual_text())
    elif end == CLEAN:
        assert words in text
    for shown in (text, json.dumps(report.to_dict()), report._repr_html_()):
        assert not any(secret in shown for secret in SECRETS)


def test_the_list_is_long_and_has_every_end():
    assert len(CASES) >= 60
    assert {end for _, end, _ in CASES.values()} == set(ENDS)


# ------------------------------------------------------------------ what a case above cannot show
def test_the_order_of_the_rows_changes_nothing():
    reverse = CASES["tables that are out of order"][0]
    assert report_of(reverse)[0].fingerprint == report_of()[0].fingerprint


def test_of_two_arrivals_the_first_stays():
    log, _ = report_of(again("deliveries", occurred_at="2026-01-09T15:00:00"))
    assert log.deliveries["occurred_at"].dt.day.tolist() == [8]


def test_a_date_among_times_is_known_when_it_is_over():
    tables = sound()
    row("exposures", occurred_at="2026-03-02")(tables)
    frame = load(tables, known_lag={"exposures": 1}).tables["exposures"].frame
    midnight, over = (Cutoff.parse(day, ZONE).at for day in ("2026-03-02", "2026-03-04"))
    assert frame.filter(pl.col("at") == midnight)["known"].to_list() == [over - 1]


def test_the_time_that_came_twice_is_the_earlier_one():
    log, _ = report_of(row("exposures", occurred_at="2026-10-25T02:30:00"))
    early = Cutoff.parse("2026-10-25T00:30:00+00:00", ZONE).at
    assert log.tables["exposures"].frame["at"].max() == early
    only = report_of(row("exposures", occurred_at="2026-10-25T03:30:00"))[1].checks
    assert set(only.twice.values()) == {0}


def test_a_log_of_one_line_loads():
    tables = {"order_lines": sound()["order_lines"][:1]}
    log = load(tables)
    assert log.customer_ids.to_list() == [JANE]
    assert "orphans: no table to look at" in checked(log).to_text()


def test_a_quarantined_cell_goes_to_the_quarantine_file_alone(tmp_path):
    _, report = report_of(row("reviews", rating="6", review_id="of-mrs-roe"))
    (path,) = report.write_quarantine(tmp_path)
    assert pl.read_parquet(path).row(0) == ("reviews", 1, "rating must be <= 5", "rating", "6")
    assert "of-mrs-roe" not in report.to_text() + json.dumps(report.to_dict())


# ------------------------------------------------------------------ files
def written(folder, **changes):
    """The sound log as a folder of CSV files."""
    tables = sound()
    for change in changes.values():
        change(tables)
    for name, rows in tables.items():
        frame_of(rows).write_csv(folder / f"{name}.csv")
    return {name: str(folder / f"{name}.csv") for name in tables}


def test_a_text_with_everything_in_it_survives_the_file(tmp_path):
    odd = '=1+1\r\n"quoted", and\n"again"; 🍵'
    log = load_tables(raw_tables(written(tmp_path, odd=row("reviews", text=odd))), timezone=ZONE)
    assert sorted(log.reviews["text"]) == sorted([WRITTEN, odd])


def test_a_byte_order_mark_is_no_part_of_any_name(tmp_path):
    paths = written(tmp_path)
    for path in map(tmp_path.joinpath, (f"{name}.csv" for name in paths)):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_tables(raw_tables(paths), timezone=ZONE).fingerprint == report_of()[0].fingerprint


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    paths = written(tmp_path)
    (tmp_path / "reviews.csv").write_text("review_id,rating,rating\n1,2,3\n")
    with pytest.raises(DataError, match=r"reviews.csv: several columns are named rating; rename"):
        raw_tables(paths)


# ------------------------------------------------------------------ every rule of the schema
USUAL = {"id": "x1", "text": "x", "number": "2", "currency": "EUR", "time": "2026-01-05T10:00:00"}


def good(table):
    """A row of a table in which every cell is filled and right."""
    columns = TABLES[table].columns
    return {c.name: (c.choices or (USUAL.get(c.kind),))[0] for c in columns}


def rules():
    """(table, column, a cell that breaks the rule, the rule) for all of the schema."""
    for table in TABLES.values():
        for column in table.columns:
            name = column.name
            needed = column.required and column.otherwise is None
            if needed or (column.kind == "number" and column.default is not None):
                yield table.name, name, "", f"{name} missing"
            if column.kind == "number":
                yield table.name, name, "some", f"{name} must be a number"
            if column.above is not None:
                yield table.name, name, f"{column.above}", f"{name} must be > {column.above:g}"
            if column.least is not None:
                below = f"{column.least - 0.001}"
                yield table.name, name, below, f"{name} must be >= {column.least:g}"
            if column.most is not None:
                yield (
                    table.name,
                    name,
                    f"{column.most * 1.001}",
                    f"{name} must be <= {column.most:g}",
                )
            if column.choices and column.otherwise is None:
                yield table.name, name, "no such word", f"{name} must be {column.rule}"
            if column.kind == "time":
                yield table.name, name, "soon", f"{name} must be an ISO date or time"
            if column.kind == "time" and column not in table.own:
                outside = f"{name} must lie between 1970-01-02 and 2200-01-01"
                yield table.name, name, "9999-12-31T00:00:00", outside


RULES = list(rules())


@pytest.mark.parametrize(
    ("table", "column", "cell", "rule"), RULES, ids=[f"{t}.{c}={v}" for t, c, v, _ in RULES]
)
def test_every_rule_of_the_schema_sets_its_row_aside(table, column, cell, rule):
    tables = {"order_lines": [good("order_lines")], table: [good(table)]}
    key = TABLES[table].key[0]
    tables[table].append({**good(table), key: "x2", column: cell})
    log = load(tables, currency="EUR")
    report = log.report.tables[table]
    assert (report.kept, report.repaired, report.quarantined) == (1, {}, {rule: 1})
    told = log.report.quarantine[table].select("row", "rule", "column").rows()
    assert told == [(1, rule, column)]


SPARE = [(t.name, c.name) for t in TABLES.values() for c in t.own if c.kind == "time"]


@pytest.mark.parametrize("cell", ["9999-12-31", "1970-01-01T00:00:00", "0000-00-00"])
@pytest.mark.parametrize(("table", "column"), SPARE)
def test_no_row_is_lost_because_a_time_that_it_can_do_without_is_absurd(table, column, cell):
    tables = {"order_lines": [good("order_lines")], table: [good(table)]}
    key = TABLES[table].key[0]
    tables[table].append({**good(table), key: "x2", column: cell})
    log = load(tables, currency="EUR")
    report = log.report.tables[table]
    rule = f"{column} not between 1970-01-02 and 2200-01-01, set to null"
    assert (report.kept, report.repaired, report.quarantined) == (1, {rule: 1}, {})
    tables[table][1][column] = ""  # in all else it is as if the cell were empty
    plain = load(tables, currency="EUR")
    assert plain.fingerprint == log.fingerprint


def test_three_columns_of_times_can_be_done_without():
    assert SPARE == [
        ("shipments", "promised_at"), ("deliveries", "promised_at"), ("customers", "signed_up_at"),
    ]  # fmt: skip


def test_the_schema_has_the_rules_that_are_tried():
    assert len(RULES) > 100
    assert {table for table, *_ in RULES} == set(TABLES)


def test_a_raw_table_may_carry_remarks_of_its_source():
    raw = raw_tables({name: frame_of(rows) for name, rows in sound().items()})
    lines = RawTable(raw["order_lines"].frame, notes=("order_lines: a remark",))
    log = load_tables({**raw, "order_lines": lines}, timezone=ZONE)
    assert "note: order_lines: a remark" in checked(log).to_text()
