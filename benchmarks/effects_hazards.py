"""Effects on the hazard of the next order, as regressions on the library's columns find them.

Every function here takes a simulated shop and the days between cutoffs, and gives the truth and
what was found. Customers of these shops are alike and forget how long they have waited
(`regularity` 1), and nobody lapses: so the hazard after a cutoff is constant but for the effect,
and a ratio of hazards is that of the dials. What makes the wait 1.5 times as long divides the
hazard by 1.5. Rows are all customers at cutoffs some days apart; each is followed up to the next
cutoff at most, so no day counts twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import exp

import numpy as np
import polars as pl

from effects_rows import (
    ELAPSED,
    PURCHASES,
    BoolArray,
    FloatArray,
    Rows,
    ask,
    every,
    log_hazards,
    slopes,
)
from ppi_ml.features._words import CODE, codes
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.simulate import SimulatedBrand
from ppi_ml.simulation.nudges import TAGS

Numbers = tuple[float, FloatArray]
"""The truth, and what was found: in all rows, then in every draw of customers (1 + draws,)."""
Measure = Callable[[SimulatedBrand, int], Numbers]

WEEK, SOON = 7, 3
WAITED = (10, 60)
"""Days since the order, where pace and time waited are adjusted for. Before, hardly any late parcel
has come, and how the law begins would be mistaken for an effect."""
SAME_CODE = 1e-6
"""Codes of words are whole millionths."""
_PEAK, _YEAR = 334, 365.25  # days from 1 January to 1 December


@lru_cache(maxsize=2)
def _lateness(made: SimulatedBrand, step: int) -> FloatArray:
    """Effects on the log hazard: late parcel, one order so far, both; after the intercept."""
    rows = ask(made, ["delivery"], every(made, step, step))
    late = late_parcels(rows)
    rows, late = rows.take(~np.isnan(late)), late[~np.isnan(late)]
    first = (rows[PURCHASES] == 1).astype(np.float64)
    return log_hazards(rows, np.column_stack([late, first, late * first]), step)


def late_among_all(made: SimulatedBrand, step: int) -> tuple[FloatArray, FloatArray]:
    """The waits after late parcels over others, later and first orders, where all else acts too.

    Of customers who have not lapsed, as only the truth knows, at equal pace, time waited and
    season (parcels are late when orders are many): the log hazard of a Weibull law is linear in the
    logarithms of all three, which are rounded here to make few cells.
    """
    rows = ask(made, ["delivery"], every(made, step, step))
    late, last = late_parcels(rows), last_orders(rows)
    waited = (rows[ELAPSED] >= WAITED[0]) & (rows[ELAPSED] < WAITED[1])
    here = ~np.isnan(late) & last["there"].to_numpy() & waited
    rows, late, last = rows.take(here), late[here], last.filter(pl.Series(here))
    first = (rows[PURCHASES] == 1).astype(np.float64)
    since = (rows.data.day - made.observed_from.wall / DAY_US).astype(np.int64)
    adjusted = [
        np.round(4 * np.log(last["wait_days"].to_numpy())) / 4,
        np.round(4 * np.log(last["t"].to_numpy() + step / 2)) / 4,
        np.round(10 * np.log(made.truth["days"]["season"].to_numpy()[since])) / 10,
    ]
    found = log_hazards(rows, np.column_stack([late, first, late * first, *adjusted]), step)
    return np.exp(-found[:, 1]), np.exp(-found[:, 1] - found[:, 3])


def late_parcels(rows: Rows) -> FloatArray:
    """1 where the parcel of the last order came late, 0 if it came in time, else NaN (n,)."""
    came = rows.of_last_order("delivery__last__days_since", "delivery__wait__last")
    return np.where(came, rows["delivery__late__last"], np.nan)


def late_later(made: SimulatedBrand, step: int) -> Numbers:
    """The wait after a late parcel over that after a punctual one, after later orders."""
    return 1 + made.brand.late_wait, np.exp(-_lateness(made, step)[:, 1])


def late_first(made: SimulatedBrand, step: int) -> Numbers:
    """The same after first orders."""
    found, brand = _lateness(made, step), made.brand
    return 1 + brand.late_wait + brand.late_wait_first, np.exp(-found[:, 1] - found[:, 3])


def late_more(made: SimulatedBrand, step: int) -> Numbers:
    """How much more a late parcel does after first orders than after later ones."""
    later, first = late_later(made, step), late_first(made, step)
    return first[0] / later[0], first[1] / later[1]


def coded(made: SimulatedBrand, step: int) -> Numbers:
    """The wait after an order with a code over that after one without."""
    rows = ask(made, ["promotions"], every(made, step, step))
    found = log_hazards(rows, rows["promotions__coded__last"][:, None], step)
    return 1 + made.brand.promotion_wait, np.exp(-found[:, 1])


def pulled(made: SimulatedBrand, step: int) -> Numbers:
    """The hazard in weeks with a code on every day over that in weeks without one.

    No column knows the promotions to come; the truth of days says which weeks these are.
    """
    holds = made.truth["days"]["promotion"].to_numpy()
    weeks = np.lib.stride_tricks.sliding_window_view(holds, WEEK)
    always, never = np.all(weeks, axis=1), ~np.any(weeks, axis=1)
    found = {*_apart(np.asarray(always), WEEK), *_apart(np.asarray(never), max(WEEK, step))}
    days = sorted(day for day in found if day >= 30)
    rows = ask(made, [], [made.observed_from.plus(day) for day in days])
    since = (rows.data.day - made.observed_from.wall / DAY_US).astype(np.int64)
    hazards = log_hazards(rows, holds[since].astype(np.float64)[:, None], WEEK)
    return 1 + made.brand.promotion_pull, np.exp(hazards[:, 1])


def _apart(holds: BoolArray, least: int) -> list[int]:
    """Days that hold, at least so many days apart."""
    chosen: list[int] = []
    for day in np.flatnonzero(holds):
        if not chosen or day >= chosen[-1] + least:
            chosen.append(int(day))
    return chosen


def money(made: SimulatedBrand, step: int) -> Numbers:
    """The wait after an order of twice the money, which stands for its units.

    No column tells the units of the last order. The truth is what the same regression makes of the
    true money and of the orders that the units let one expect.
    """
    rows = ask(made, ["orders"], every(made, step, step))
    last = last_orders(rows)
    hazard = 1 / (made.brand.wait_days * last["stretch"].to_numpy())
    expected = 1 - np.exp(-hazard * step)
    paid, said = (_halves(of) for of in (last["money"].to_numpy(), rows["orders__value__last"]))
    implied = slopes(rows.customer, paid, expected, expected / hazard)[0]
    return exp(-float(implied[1])), np.exp(-log_hazards(rows, said, step)[:, 1])


def _halves(money: FloatArray) -> FloatArray:
    """Logarithms to base 2, rounded to halves so that they make few cells, (n, 1)."""
    return np.round(2 * np.log2(money))[:, None] / 2


def seasonal(made: SimulatedBrand, step: int) -> Numbers:
    """The hazard in early December over that in early June."""
    rows = ask(made, [], every(made, 2 * step, step))
    days = rows.data.day[:, None] + np.arange(step)
    dates = days.astype("datetime64[D]")
    of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    wave = np.cos(2 * np.pi * (of_year - _PEAK) / _YEAR).mean(axis=1)
    return exp(2 * made.brand.season), np.exp(2 * log_hazards(rows, wave[:, None], step)[:, 1])


def content(tag: str) -> Measure:
    """The hazard in the days after a tag over that after tags that do nothing."""

    def measure(made: SimulatedBrand, step: int) -> Numbers:
        rows = _shown(made, step)
        codes_of = codes(pl.Series([tag, *TAGS[:2]]), "tag")[0].to_numpy() / CODE
        last, since = rows["content__tag_a__last"], rows["content__last__days_since"]
        this, *others = (np.abs(last - code) < SAME_CODE for code in codes_of)
        kept = (since < WEEK - SOON) & (this | ~np.logical_or(*others))
        column = this[kept][:, None].astype(np.float64)
        hazards = log_hazards(rows.take(kept), column, SOON)
        return _after_tag(rows, tag), np.exp(hazards[:, 1])

    return measure


@lru_cache(maxsize=2)
def _shown(made: SimulatedBrand, step: int) -> Rows:
    return ask(made, ["content"], every(made, max(SOON, step // 2), SOON))


def _after_tag(rows: Rows, tag: str) -> float:
    """The true ratio, of who were really shown the one tag or others last."""
    shown = rows.made.tables["exposures"].select(
        "customer_id", "content_tag", shown=pl.col("occurred_at").dt.epoch("us") / DAY_US
    ).sort("shown")  # fmt: skip
    last = rows.asked.with_columns(pl.col("day").cast(pl.Float64)).join_asof(
        shown, left_on="day", right_on="shown", by="customer_id", check_sortedness=False
    )
    last = last.sort("row").with_columns(lately=pl.col("day") - pl.col("shown") < WEEK - SOON)
    this = pl.col("content_tag") == tag
    kept = pl.col("lately") & (this | ~pl.col("content_tag").is_in(TAGS[:2]))
    asked = last.select(kept=kept.fill_null(value=False), this=this.fill_null(value=False))
    some, this_one = asked["kept"].to_numpy(), asked.filter("kept")["this"].to_numpy()
    effective = rows.made.tables["exposures"].filter(pl.col("content_tag") == TAGS[0])
    acts = rows.take(some).covered(effective, rows.made.brand.content_days, SOON)
    return _nudged(rows.made.brand.content_effect, acts, this_one)


def mailed(made: SimulatedBrand, step: int) -> Numbers:
    """The hazard in the week after a mailing, of all who are written to over the holdout.

    By intention: who has unsubscribed, or opens late, counts as written to; the truth is smaller by
    their share.
    """
    rows = ask(made, [], _after_mailings(made, step))
    held = made.truth["customers"].filter("holdout")["customer_id"]
    written = ~rows.data.customers.is_in(held.implode()).to_numpy()
    opened = made.tables["messages"].filter(pl.col("action") == "opened")
    acts = rows.covered(opened, made.brand.message_days, WEEK)
    hazards = log_hazards(rows, written[:, None].astype(np.float64), WEEK)
    return _nudged(made.brand.message_effect, acts, written), np.exp(hazards[:, 1])


def _after_mailings(made: SimulatedBrand, step: int) -> list[Cutoff]:
    """The midnights after mailings that are at least so many days apart."""
    sent = made.tables["messages"].filter(pl.col("action") == "sent")["occurred_at"]
    found: list[Cutoff] = []
    for day in sent.dt.epoch("d").unique().sort():
        cutoff = Cutoff.from_wall((day + 1) * DAY_US, "UTC")
        far = not found or cutoff >= found[-1].plus(step)
        if far and cutoff.plus(WEEK) <= made.observed_until:
            found.append(cutoff)
    return found


def _nudged(effect: float, acts: FloatArray, this: BoolArray) -> float:
    """Mean hazard of some rows over that of all others, by the share of days on which it acts."""
    return float((1 + effect * acts[this].mean()) / (1 + effect * acts[~this].mean()))


def last_orders(rows: Rows) -> pl.DataFrame:
    """The truth of the last order of each row (n), and of its customer; days count from its wait.

    `t` is the cutoff, `there` whether the customer has not lapsed by then, `voucher` whether a
    voucher brought them; `stretch`, `wait_days`, `lapse` as in the truth; `money` what was paid;
    `arrived`, and `late_days` after the promise; `rating`, null without a review by the cutoff;
    `late_at`, `poor_at` and `returned_at` the midnights from which on a cause of a lapse holds,
    null if it never does.
    """
    truth, tables = rows.made.truth, rows.made.tables
    paid = (pl.col("quantity") * pl.col("unit_price") - pl.col("discount")).sum()
    more = (
        tables["order_lines"].group_by("order_id").agg(money=paid),
        tables["returns"].group_by("order_id").agg(back=pl.col("occurred_at").min()),
        tables["reviews"].select("order_id", "rating", reviewed="occurred_at"),
    )
    orders = truth["orders"]
    for table in more:
        orders = orders.join(table, on="order_id", how="left")
    orders = orders.join(truth["customers"].drop("orders"), on="customer_id")
    begins = pl.col("ordered_at").dt.epoch("d").cast(pl.Int64) + 1

    def day(when: str) -> pl.Expr:
        return pl.col(when).dt.epoch("us") / DAY_US - begins

    orders = orders.select(
        "customer_id", "wait_days", "lapse", "stretch", "money", "rating", begins=begins,
        voucher=pl.col("source") == "voucher", lapsed=day("lapsed_at"), arrived=day("arrived_at"),
        reviewed=day("reviewed"), late_days=day("arrived_at") - day("due_at"),
        late_at=pl.when("late").then(day("due_at")),
        poor_at=pl.when("poor").then(day("arrived_at").ceil()),
        returned_at=pl.when("returned").then(day("back").ceil()),
    )  # fmt: skip
    joined = rows.asked.join_asof(
        orders.sort("begins"), left_on="day", right_on="begins", by="customer_id",
        check_sortedness=False,
    )  # fmt: skip
    t = (pl.col("day") - pl.col("begins")).cast(pl.Float64)
    return joined.sort("row").with_columns(
        t=t,
        there=(t <= pl.col("lapsed")).fill_null(value=True),
        rating=pl.when(pl.col("reviewed") < t).then("rating"),
    )
