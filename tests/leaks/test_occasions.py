"""Each occasion has a cutoff of its own: what became known from it on changes nothing of it.

Occasions of one customer stand beside each other in a matrix, those of later cutoffs know more; so
every check works on all of them at once and looks at one.
"""

import json

import polars as pl
import pytest
from tests import bazaar
from tests.moments import A_LINE, AN_ORDER, BACK, LATE, LOW

from ppi_ml import dataset, occasion_data, occasions
from ppi_ml.declare import Family, Feature, View
from ppi_ml.instants import Cutoff
from ppi_ml.occasion_past import OccasionPast
from ppi_ml.occasions import Asking, standing, triggered

ANYTIME = Asking(("ordered", "shipped", "delivered"), "returned", 60)
DATES = ("2018-09-01", "2018-12-01", "2019-03-01", "2019-05-15")
PERIODS = ("2018-07-01", "2018-11-01", "2019-03-01")
FAMILIES = dataset.families("all", entity="order_line")


@pytest.fixture(scope="module")
def rows(shop):
    """Lines of all customers at all the moments at which something was asked about them."""
    return triggered(shop, A_LINE, ANYTIME, shop.observed_until)


@pytest.fixture(scope="module")
def picked(shop, rows):
    """The first occasion from each date on, of a customer with many later ones."""
    many = rows.group_by("customer_id").agg(last=pl.col("now_at").max(), n=pl.len())
    asked = rows.join(many, on="customer_id").filter(
        pl.col("n") > 30, pl.col("last") > Cutoff.parse("2019-07-01", shop.timezone).at
    )
    at = [Cutoff.parse(date, shop.timezone).at for date in DATES]
    found = [asked.filter(pl.col("now_at") > when).sort("now_at", "line_id").row(0) for when in at]
    keys = [dict(zip(asked.columns, row, strict=True)) for row in found]
    assert len({key["now_at"] for key in keys}) == len(DATES)
    return keys


def answers(log, rows, pick, families):
    """Name -> what the matrix holds at one occasion, with the states of the periods before it.

    The other occasions of its customer are there, those to come among them.
    """
    periods = [Cutoff.parse(date, log.timezone) for date in PERIODS]
    before = [period for period in periods if period.at <= pick["now_at"]]
    states = {str(p): occasion_data.states_at(log, p, families, 1) for p in before}
    own = rows.filter(customer_id=pick["customer_id"])
    data = occasion_data.build(log, own, before, families, A_LINE, states, threads=1)
    keys = {name: pick[name] for name in (*A_LINE.keys, "now_at")}
    (i,) = data.keys.with_row_index().filter(**keys)["index"]
    told = {name: data.values[i, j].tobytes() for j, name in enumerate(data.names)}
    return told | {f"state of {name} at {date}": json.dumps(state) for date, by in states.items()
                   for name, state in by.items()}  # fmt: skip


def differing(left, right):
    assert left.keys() == right.keys()
    return {name for name in left if left[name] != right[name]}


@pytest.fixture(scope="module")
def cutoff_of(shop):
    return lambda pick: Cutoff.from_instant(pick["now_at"], shop.timezone)


@pytest.fixture(scope="module")
def spoiled(every_table, poison, cutoff_of):
    """pick -> the log in which all that was known from its cutoff on is absurd, loaded once."""
    made = {}

    def load(pick):
        if pick["now_at"] not in made:
            made[pick["now_at"]] = bazaar.load(poison(every_table, cutoff_of(pick)))
        return made[pick["now_at"]]

    return load


@pytest.fixture(scope="module")
def found_by_poison(shop, rows, spoiled):
    """What changes at an occasion when all that was known from its cutoff on is absurd."""

    def check(families_of, pick):
        logs = (shop, spoiled(pick))
        return differing(*(answers(log, rows, pick, families_of(log)) for log in logs))

    return check


@pytest.fixture(scope="module")
def found_by_truncation(shop, rows, cutoff_of):
    """What changes at an occasion when the log ends at its cutoff, and nobody is asked later."""

    def check(families_of, pick):
        cut, so_far = shop.until(cutoff_of(pick)), rows.filter(pl.col("now_at") <= pick["now_at"])
        whole = answers(shop, rows, pick, families_of(shop))
        return differing(whole, answers(cut, so_far, pick, families_of(cut)))

    return check


def whole_shelf(_log):
    return FAMILIES


@pytest.mark.parametrize("number", range(len(DATES)))
def test_no_feature_and_no_state_knows_what_was_learned_later(found_by_poison, picked, number):
    assert found_by_poison(whole_shelf, picked[number]) == set()


@pytest.mark.parametrize("number", range(len(DATES)))
def test_a_cut_log_gives_the_same_features_and_states(found_by_truncation, picked, number):
    assert found_by_truncation(whole_shelf, picked[number]) == set()


def test_the_poison_is_strong(shop, rows, picked, spoiled):
    """At an occasion months later almost everything differs, so equality before means something."""
    first = picked[0]
    last = rows.filter(customer_id=first["customer_id"]).sort("now_at").row(-1, named=True)
    clean, absurd = (answers(log, rows, last, FAMILIES) for log in (shop, spoiled(first)))
    changed = differing(clean, absurd)
    assert len(changed) > 0.5 * len(clean)
    assert {"basket__units__sum", "sent_back__units__max", "state of parcel at 2019-03-01",
            "state of liking at 2019-03-01"} <= changed  # fmt: skip


# ------------------------------------------------------------------ who is asked
ASKED = {"late": (AN_ORDER, LATE), "low": (AN_ORDER, LOW), "back": (A_LINE, BACK)}
each_asking = pytest.mark.parametrize(("entity", "asking"), ASKED.values(), ids=list(ASKED))


@each_asking
def test_who_is_asked_follows_from_what_was_known(shop, picked, spoiled, cutoff_of, entity, asking):
    for pick in picked:
        cutoff, absurd = cutoff_of(pick), spoiled(pick)
        clean = standing(shop, entity, asking, cutoff)
        assert clean.height
        assert clean.equals(standing(absurd, entity, asking, cutoff))
        before = triggered(shop, entity, asking, cutoff)
        assert before.equals(triggered(absurd, entity, asking, cutoff))


# ------------------------------------------------------------------ planted leaks
def ever_returned(log):
    """A family whose one column counts the returns of the customer, whenever they are."""
    counts = log.tables["returns"].frame.group_by("customer_id").agg(ever=pl.len())

    def own(seen, _state):
        lines = seen("order_lines").filter("own")
        counted = lines.join(counts, left_on="who", right_on="customer_id", how="left")
        return counted.with_columns(pl.col("ever").fill_null(0))

    view = View("own_ever", "order_lines", own)
    peek = Feature("peek", "max", "own_ever", "returns", "never null", of="ever")
    return [Family("planted", "order", ("order_lines",), (peek,), views=(view,))]


def by_order_alone(_log):
    """A family that finds the parcels of its order by `order_id`, not by customer and order.

    Without the number of the occasion in that id, it would meet the parcels of all occasions.
    """

    def own(seen, _state):
        sent = (
            seen("shipments").group_by("order_id").agg(sent=pl.len(), last=pl.col("age_us").max())
        )
        return seen("order_lines").filter("own").join(sent, on="order_id", how="left")

    view = View("own_sent", "order_lines", own)
    features = (
        Feature("sent", "max", "own_sent", "parcels", "none", of="sent"),
        Feature("last", "max", "own_sent", "microseconds", "none", of="last"),
    )
    return [Family("planted", "order", ("order_lines", "shipments"), features, views=(view,))]


def test_a_view_that_reads_beyond_the_cutoff_is_found(found_by_poison, found_by_truncation, picked):
    for check in (found_by_poison, found_by_truncation):
        assert check(ever_returned, picked[0]) == {"planted__peek__max"}


def test_a_past_that_forgets_when_things_were_known_is_found(
    found_by_poison, found_by_truncation, picked, monkeypatch
):
    def events(past, table):
        frame = past.log.tables[table].frame
        joined = past._moments.join(frame, left_on="who", right_on="customer_id")
        age = (pl.col("now_wall") - pl.col("wall")).clip(lower_bound=1)
        own = pl.lit(value=False)
        if "order_id" in frame.columns:
            own = (pl.col("order_id") == pl.col("its_order")).fill_null(value=False)
        return past._named(joined.with_columns(age_us=age, own=own), table)

    monkeypatch.setattr(OccasionPast, "events", events)
    for check in (found_by_poison, found_by_truncation):
        found = check(whole_shelf, picked[0])
        assert {"orders__purchases__count__90d", "cadence__purchases__count"} <= found


def test_occasions_that_meet_in_a_join_are_found(found_by_truncation, picked, monkeypatch):
    assert found_by_truncation(by_order_alone, picked[0]) == set()

    def without_number(joined, _table):
        renamed = joined.rename({"occasion": "customer_id"})
        return renamed.drop("its_order", "now_at")

    monkeypatch.setattr(OccasionPast, "_named", staticmethod(without_number))
    found = set.union(*(found_by_truncation(by_order_alone, pick) for pick in picked))
    assert found == {"planted__sent__max", "planted__last__max"}


@each_asking
def test_a_question_that_is_closed_by_what_is_known_later_is_found(
    shop, picked, cutoff_of, monkeypatch, entity, asking
):
    def known(log, table, moments, on):
        return moments.select(*on, "now_at").unique().join(log.tables[table].frame, on=list(on))

    monkeypatch.setattr(occasions, "known_then", known)
    cutoff = cutoff_of(picked[-1])
    whole, cut = (triggered(log, entity, asking, cutoff) for log in (shop, shop.until(cutoff)))
    assert not whole.equals(cut)
