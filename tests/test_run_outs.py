"""The list of who runs out of what: order, words, and what is left out of it."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tests import shops

import ppi_ml
from ppi_ml import run_outs, score_table
from ppi_ml.entities import PRODUCT
from ppi_ml.models.asked import Asked, Nudge
from ppi_ml.models.curve import Curves
from ppi_ml.models.depletion import OUT_OF_STOCK, TOO_LATE

DAY = date(2019, 10, 1)
HORIZON = 90


def row(customer, product, p50=None, nudge=None, *, status="scored", p_next=0.5, why="in time"):
    """A row of the score table; times in days after the cutoff, None for null."""

    def on(days):
        return None if days is None else DAY + timedelta(days=days)

    spread = [None if p50 is None else p50 + days for days in (-3, 0, 9)]
    return {
        "customer_id": customer, PRODUCT: product, "status": status, f"p_next_{HORIZON}d": p_next,
        **{f"runout_p{q}_days": None if d is None else float(d)
           for q, d in zip((10, 50, 90), spread, strict=True)},
        **{f"runout_p{q}_date": on(d) for q, d in zip((10, 50, 90), spread, strict=True)},
        "nudge_date": on(nudge), "nudge_reason": why,
    }  # fmt: skip


def table(*rows):
    dates = {name: pl.Date for name in rows[0] if name.endswith("_date")}
    days = {name: pl.Float64 for name in rows[0] if name.endswith(("_days", f"_{HORIZON}d"))}
    return pl.DataFrame(rows, schema_overrides=dates | days)


def pairs(frame, *columns):
    return frame.select(*(columns or ("customer_id", PRODUCT))).rows()


# ------------------------------------------------------------------ the soonest of each customer
SCORES = table(row("a", "tea", 20), row("a", "soap", 5), row("a", "milk", 5), row("a", "wax"),
               row("b", "tea", 90), row("b", "salt"), row("b", "rye"), row("c", "tea"))  # fmt: skip


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (1, [("a", "milk"), ("b", "tea"), ("c", "tea")]),
        (2, [("a", "soap"), ("a", "milk"), ("b", "tea"), ("b", "rye"), ("c", "tea")]),
        (3, [("a", "tea"), ("a", "soap"), ("a", "milk"), ("b", "tea"), ("b", "salt"),
             ("b", "rye"), ("c", "tea")]),
        (99, pairs(SCORES)),
    ],
)  # fmt: skip
def test_the_soonest_of_each_customer_in_the_order_of_the_table(top, expected):
    """Equal days by the name of the product; without a run-out last; the order stays."""
    assert pairs(run_outs.soonest(SCORES, top)) == expected
    assert run_outs.soonest(SCORES, top).columns == SCORES.columns


def test_parts_of_days_count():
    near = SCORES.with_columns(
        runout_p50_days=pl.when(pl.col(PRODUCT) == "soap").then(4.99).otherwise("runout_p50_days")
    )
    assert pairs(run_outs.soonest(near, 1))[0] == ("a", "soap")


def test_the_order_of_the_rows_does_not_matter_to_who_is_chosen():
    for seed in range(5):
        mixed = SCORES.sample(fraction=1, shuffle=True, seed=seed)
        for top in (1, 2, 3):
            chosen = run_outs.soonest(mixed, top)
            assert set(pairs(chosen)) == set(pairs(run_outs.soonest(SCORES, top)))
            assert pairs(chosen) == [p for p in pairs(mixed) if p in set(pairs(chosen))]


def test_the_soonest_of_nobody_is_nobody():
    assert run_outs.soonest(SCORES.clear(), 3).height == 0


# ------------------------------------------------------------------ the list
def test_the_soonest_reminder_first_then_the_likeliest_and_what_has_none_at_the_end():
    listed = run_outs.listed(table(
        row("z", "late, likely", 60, 40, p_next=0.9), row("y", "never", why=TOO_LATE, p_next=0.1),
        row("x", "out of stock", 8, why=OUT_OF_STOCK, p_next=0.1), row("w", "now", 2, 0),
        row("v", "same day, later", 30, 7), row("u", "same day, unlikely", 20, 7, p_next=0.2),
        row("u", "same day", 20, 7), row("t", "same day", 20, 7), row("t", "a same day", 20, 7),
        row("s", "same day, likely", 40, 7, p_next=0.8), row("a", "never", why=TOO_LATE),
        row("b", "out of stock", 70, why=OUT_OF_STOCK, p_next=0.1),
    ), HORIZON)  # fmt: skip
    assert pairs(listed, "customer", "product") == [
        ("w", "now"), ("s", "same day, likely"), ("t", "a same day"), ("t", "same day"),
        ("u", "same day"), ("v", "same day, later"), ("u", "same day, unlikely"),
        ("z", "late, likely"), ("a", "never"), ("x", "out of stock"), ("b", "out of stock"),
        ("y", "never"),
    ]  # fmt: skip


def test_every_cell_says_what_the_scores_say():
    (said,) = run_outs.listed(table(row("a", "tea", 20, 13, p_next=0.734, why="3 days")),
                              HORIZON).to_dicts()  # fmt: skip
    assert said == {
        "customer": "a", "product": "tea", "runs out about": date(2019, 10, 21),
        "likely from": date(2019, 10, 18), "likely until": date(2019, 10, 30),
        "remind on": date(2019, 10, 14), "why then": "3 days", "chance to buy": "73 % in 90 days",
    }  # fmt: skip
    assert said["likely from"] < said["runs out about"] < said["likely until"]


@pytest.mark.parametrize(
    ("chance", "words"),
    [(0.0, "under 1 %"), (0.004, "under 1 %"), (0.006, "1 %"), (0.994, "99 %"),
     (0.996, "over 99 %"), (1.0, "over 99 %")],
)  # fmt: skip
def test_chances_are_whole_per_cents_and_never_certain(chance, words):
    listed = run_outs.listed(table(row("a", "tea", 5, 1, p_next=chance)), HORIZON)
    assert listed["chance to buy"].to_list() == [f"{words} in 90 days"]


def test_only_what_was_scored_is_listed():
    rows = [row("a", "tea", 5, 1), row("b", "tea", status="not_eligible", p_next=None),
            row("c", None, status="no_history", p_next=None)]  # fmt: skip
    assert pairs(run_outs.listed(table(*rows), HORIZON), "customer", "product") == [("a", "tea")]
    assert run_outs.listed(table(*rows[1:]), HORIZON).height == 0


# ------------------------------------------------------------------ as Markdown
def test_markdown_shows_the_first_rows_and_says_of_how_many():
    many = table(*(row(f"c{i:04d}", "tea", 5 + i, 1 + i) for i in range(1_200)))
    listed = run_outs.listed(many, HORIZON)
    text = run_outs.to_markdown(listed, "2019-10-01")
    lines = text.splitlines()
    assert lines[0] == "# Who runs out of what, when"
    assert "As known on 2019-10-01." in text
    assert "## The first 50 of 1,200" in lines
    body = [line for line in lines if line.startswith("| c")]
    assert body[0] == "| customer | " + " | ".join(listed.columns[1:]) + " |"
    assert len(body) == 1 + run_outs.SHOWN == 51
    assert body[1].startswith("| c0000 | tea | 2019-10-06 | 2019-10-03 | 2019-10-15 |")
    assert body[-1].startswith("| c0049 |")
    assert listed.height == 1_200


def test_markdown_of_the_first_rows_says_how_many_there_are():
    listed = run_outs.listed(SCORES, HORIZON)
    whole = run_outs.to_markdown(listed, "2019-10-01")
    assert run_outs.to_markdown(listed, "2019-10-01", listed.height) == whole
    told = run_outs.to_markdown(listed.head(2), "2019-10-01", 1_200)
    assert "## The first 2 of 1,200" in told


def test_markdown_shows_at_most_three_rows_of_a_customer():
    """The pantry of a wholesale customer must not hide everybody else's."""
    pantry = [row("shop", f"p{i:03d}", 5, 1) for i in range(200)]
    others = [row(f"c{i:02d}", "tea", 9 + i, 5 + i) for i in range(60)]
    listed = run_outs.listed(table(*pantry, *others), HORIZON)
    text = run_outs.to_markdown(listed, "2019-10-01")
    body = [line.split(" | ")[0] for line in text.splitlines() if line.startswith(("| c", "| s"))]
    assert body[1:4] == ["| shop"] * 3  # after the head
    assert body[4:] == [f"| c{i:02d}" for i in range(47)]
    assert "## The first 50 of 260" in text
    assert "at most 3 of a customer" in " ".join(text.split())
    assert listed.height == 260
    # what is kept of ranges, one after the other, is what is kept of the whole
    kept = run_outs.first(listed.head(150))
    kept = run_outs.first(pl.concat([kept, listed.tail(110)]))
    assert run_outs.to_markdown(kept, "2019-10-01", 260) == text


def test_products_are_called_what_the_catalogue_calls_them():
    log = ppi_ml.load({
        "order_lines": pl.DataFrame({"customer_id": ["a"], "order_id": ["1"], "line_id": ["1"],
                                     "occurred_at": ["2019-01-01"], "sku": ["085"]}),
        "products": pl.DataFrame({"sku": ["085", "86"], "name": ["Tea, green", ""],
                                  "category": ["", "soap"]}),
    })  # fmt: skip
    told = run_outs.what_they_are(log, shops.SKU, log.observed_until)
    scores = table(row("a", "085", 20, 13), row("a", "86", 21, 14), row("a", "new", 22, 15))
    listed = run_outs.listed(scores, HORIZON, told)
    assert listed.columns[:4] == ["customer", "product", "name", "category"]
    assert listed.select("product", "name", "category").rows() == [
        ("085", "Tea, green", None), ("86", None, "soap"), ("new", None, None)
    ]  # fmt: skip
    assert "| a | 085 | Tea, green |  |" in run_outs.to_markdown(listed, "2019-10-01")
    # nothing to say, no column: of categories, without a catalogue, and with an empty one
    bare = replace(log, tables={"order_lines": log.tables["order_lines"]})
    for more in (run_outs.what_they_are(log, shops.CATEGORY, log.observed_until),
                 run_outs.what_they_are(bare, shops.SKU, log.observed_until), None):  # fmt: skip
        assert run_outs.listed(scores, HORIZON, more).columns[2] == "runs out about"
    pantry = shops.load(shops.pantry())
    assert run_outs.what_they_are(pantry, shops.SKU, pantry.observed_until).columns == [
        "product",
        "category",
    ]


def test_markdown_explains_its_columns():
    text = run_outs.to_markdown(run_outs.listed(SCORES, HORIZON), "2019-10-01")
    before, _ = text.split("## The first")
    for name in ("runs out about", "likely from", "likely until", "remind on", "why then",
                 "chance to buy"):  # fmt: skip
        assert f"*{name}*" in before


def test_markdown_leaves_unknown_cells_empty_and_names_as_they_are():
    rows = [row("a|b", "tea <green> *new*", why=TOO_LATE)]
    text = run_outs.to_markdown(run_outs.listed(table(*rows), HORIZON), "2019-10-01")
    line = text.splitlines()[-1] or text.splitlines()[-2]
    assert line.startswith(r"| a\|b | tea \<green\> \*new\* |  |  |  |  | " + TOO_LATE)
    assert "None" not in text
    assert "The first 1 of 1" in text


def test_markdown_of_an_empty_list_is_a_table_without_rows():
    text = run_outs.to_markdown(run_outs.listed(SCORES.clear(), HORIZON), "2019-10-01")
    assert "The first 0 of 0" in text
    assert text.splitlines()[-1].startswith("| :-- |")


# ------------------------------------------------------------------ from a real score table
def test_a_score_table_has_all_the_list_needs():
    """Its columns come from the reading `depletion`, its types from polars."""
    data = shops.built(shops.load(shops.pantry()), "2019-10-01", names=["refills"])
    edges, n = np.array([0.0, 30.0, 60.0, 120.0]), len(data)
    keys = data.keys.select(data.entity.keys)
    pace = np.linspace(0.1, 4.0, n)[:, None] * np.array([0.0, 0.5, 1.0, 1.5])
    curves = Curves(edges, pace / 2, keys, Curves(edges, pace, keys))
    out = np.arange(n) % 9 == 0
    asked = Asked.at(data.cutoffs[0], HORIZON, 7)
    asked = Asked(asked.horizon, asked.window, asked.first_day, nudge=Nudge(0.5, 3, out))
    fixed = {"target": "depletion", "model_version": "1", "model_sha256": "0"}
    scores = score_table.scored(data, curves, (), "depletion", asked, fixed)
    listed = run_outs.listed(scores, HORIZON)
    shown = run_outs.listed(pl.from_pandas(score_table.to_pandas(scores)), HORIZON)
    assert shown.equals(listed)
    assert shown.schema == listed.schema
    assert {listed[name].dtype for name in listed.columns[2:6]} == {pl.Date}
    assert listed.height == n
    assert set(pairs(listed, "customer", "product")) == set(keys.rows())
    dates = listed["remind on"].drop_nulls()
    assert dates.is_sorted()
    assert 0 < len(dates) < n
    assert listed["remind on"].tail(n - len(dates)).null_count() == n - len(dates)
    few = run_outs.soonest(scores, 1)
    assert few["customer_id"].is_unique().all()
    first = scores.group_by("customer_id").agg(pl.col("runout_p50_days").min())
    chosen = few.join(first, on="customer_id", suffix="_least")
    assert chosen["runout_p50_days"].equals(chosen["runout_p50_days_least"], null_equal=True)
    assert "None" not in run_outs.to_markdown(listed, "2019-10-01")
