"""The simulated shop: its truth against a slow replay, and each switch by what it does."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from math import inf

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ppi_ml import simulate as door
from ppi_ml.errors import DataError, UsageError
from ppi_ml.simulate import Shop, log, run_out_after, simulate, simulate_shop
from ppi_ml.simulation.appetite import Appetite, day_factors
from ppi_ml.simulation.catalogue import Spells
from ppi_ml.simulation.clock import START, stream

DAYS, SEED = 400, 5
QUIET = Shop.undisturbed()
LIVELY = Shop(
    lapse_per_year=1.0, leave_per_year=0.5, delivery_days=6.0, usage=0.5
)  # all of it in little time
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
CUTOFF = datetime(2024, 11, 1, tzinfo=UTC)
NEAR = 1e-5  # days: under a second


def of(shop, customers=300, seed=SEED, **changes):
    return simulate(customers, DAYS, seed, replace(shop, **changes))


@pytest.fixture(scope="module")
def lively():
    return of(LIVELY, customers=60)


@pytest.fixture(scope="module")
def quiet():
    return of(QUIET)


def in_days(at, never=inf):
    return never if at is None else (at - BEGIN) / timedelta(days=1)


def factors_of(simulated, spread=LIVELY.day_spread):
    return day_factors(stream(SEED, "days"), simulated.truth.height, DAYS, spread)


def refills_of(simulated):
    """Per pair the list of (ordered, arrived, amount), in days since the start."""
    found = [[] for _ in range(simulated.truth.height)]
    rows = simulated.refills.select("pair", "ordered_at", "arrived_at", "amount")
    for pair, ordered, arrived, amount in rows.iter_rows():
        found[pair].append((in_days(ordered), in_days(arrived), amount))
    return found


def replay(rate, factors, arrivals, stop, end):
    """Walk through one house: the times it fell empty, what was consumed and what is left."""
    stock, consumed, empties, time = 0.0, 0.0, [], 0.0
    coming = [*arrivals, (inf, 0.0)]
    while time < end:
        while coming[0][0] <= time:
            stock += coming.pop(0)[1]
        until = min(np.floor(time) + 1, coming[0][0], end, stop if stop > time else inf)
        pace = rate * (factors[int(time)] if time < len(factors) else 1.0) * (time < stop)
        wanted = pace * (until - time)
        if stock > 0 and stock <= wanted:
            empties.append(time + stock / pace)
        consumed += min(stock, wanted)
        stock -= min(stock, wanted)
        time = until
    return empties, consumed, stock


def test_every_house_empties_as_a_walk_through_its_days_says(lively):
    factors, truth = factors_of(lively), lively.truth
    given = lively.runouts.group_by("customer_id", "sku", maintain_order=True).agg("run_out_at")
    given = {(c, s): [in_days(at) for at in times] for c, s, times in given.iter_rows()}
    fell_empty = 0
    for pair, (row, bought) in enumerate(
        zip(truth.iter_rows(named=True), refills_of(lively), strict=True)
    ):
        stop = min(in_days(row["lapsed_at"]), in_days(row["left_at"]))
        arrivals = [(arrived, amount) for _, arrived, amount in bought if arrived < DAYS]
        empties, consumed, left = replay(row["rate"], factors[pair], arrivals, stop, DAYS)
        recorded = given.get((row["customer_id"], row["sku"]), [])
        assert recorded == pytest.approx(empties, abs=NEAR)
        assert row["consumed"] == pytest.approx(consumed, rel=1e-6, abs=NEAR * row["rate"])
        assert row["in_house"] == pytest.approx(left, rel=1e-6, abs=NEAR * row["rate"])
        fell_empty += len(empties)
    assert fell_empty > 200


def test_the_counterfactual_is_a_house_where_nothing_more_arrives(lively):
    factors, truth = factors_of(lively), lively.truth
    cut = in_days(CUTOFF)
    after = {(r["customer_id"], r["sku"]): r for r in run_out_after(lively, CUTOFF).to_dicts()}
    kinds = {"lapsed": 0, "empty": 0, "full": 0, "parcel": 0, "stops first": 0}
    for pair, (row, bought) in enumerate(
        zip(truth.iter_rows(named=True), refills_of(lively), strict=True)
    ):
        told = after.pop((row["customer_id"], row["sku"]), None)
        known = [(arrived, amount) for ordered, arrived, amount in bought if ordered < cut]
        if not known:
            assert told is None
            continue
        stop = min(in_days(row["lapsed_at"]), in_days(row["left_at"]))
        if stop <= cut:
            assert (told["days"], told["days_with_parcels"], told["lapses_first"]) == (None,) * 3
            kinds["lapsed"] += 1
            continue
        for column, supply in [
            ("days", [a for a in known if a[0] < cut]),
            ("days_with_parcels", known),
        ]:
            empties, _, _ = replay(row["rate"], factors[pair], supply, inf, cut + 3_000)
            wait = max([0.0, *(at - cut for at in empties)])
            assert told[column] == pytest.approx(wait, abs=NEAR)
        assert told["lapses_first"] == (stop < cut + told["days_with_parcels"])
        kinds["empty" if told["days"] == 0 else "full"] += 1
        kinds["parcel"] += told["days_with_parcels"] > told["days"]
        kinds["stops first"] += told["lapses_first"]
    assert not after
    assert min(kinds.values()) >= 3, kinds


@pytest.mark.parametrize("shop", [Shop(), LIVELY, QUIET, replace(LIVELY, consumption_drives=0.0)])
def test_what_was_bought_is_consumed_or_in_the_house_or_on_its_way(shop):
    truth = of(shop).truth
    amounts = truth.select("bought_here", "bought_elsewhere", "consumed", "in_house", "on_the_way")
    assert amounts.select(pl.all_horizontal(pl.all() >= -1e-9).all()).item()
    bought = amounts["bought_here"] + amounts["bought_elsewhere"]
    kept = amounts["consumed"] + amounts["in_house"] + amounts["on_the_way"]
    assert bought.to_numpy() == pytest.approx(kept.to_numpy(), rel=1e-6)
    assert (bought > 0).mean() > 0.5


def logged_amounts(simulated):
    size = simulated.tables["products"].select("sku", "unit_size")
    lines = simulated.tables["order_lines"].join(size, on="sku")
    amount = (pl.col("quantity") * pl.col("unit_size")).sum().alias("bought_here")
    return lines.group_by("customer_id", "sku").agg(amount).sort("customer_id", "sku")


def bought_here(simulated):
    bought = simulated.truth.filter(pl.col("bought_here") > 0).sort("customer_id", "sku")
    return bought.select("customer_id", "sku", "bought_here")


def test_the_log_holds_what_was_bought_here_and_nothing_else(lively):
    assert_frame_equal(logged_amounts(lively), bought_here(lively))
    lines = lively.tables["order_lines"]
    assert lines.height == (~lively.refills["elsewhere"]).sum()
    assert lines["quantity"].is_between(1, 3).all()


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not():
    first, again, other = (simulate(50, 200, seed) for seed in (1, 1, 2))
    for name, table in first.tables.items():
        assert_frame_equal(table, again.tables[name], check_exact=True)
    assert_frame_equal(first.truth, again.truth, check_exact=True)
    assert_frame_equal(first.runouts, again.runouts, check_exact=True)
    assert log(first).fingerprint == log(again).fingerprint != log(other).fingerprint
    assert not first.truth["rate"].equals(other.truth["rate"])


def test_more_customers_than_one_block_are_one_shop(monkeypatch):
    whole = of(LIVELY, customers=25)
    monkeypatch.setattr(door, "BLOCK", 10)
    parts = of(LIVELY, customers=25)
    assert_frame_equal(parts.tables["products"], whole.tables["products"])
    assert parts.truth["customer_id"].n_unique() == 25
    assert parts.truth.select("customer_id", "sku").is_duplicated().sum() == 0
    assert_frame_equal(logged_amounts(parts), bought_here(parts))


def test_a_switch_leaves_customers_and_rates_as_they_were(quiet):
    for change in ({"promotions": 0.2}, {"other_shops": 0.5}, {"stock_outs": 0.2}):
        changed = of(QUIET, **change)
        assert_frame_equal(
            changed.truth.select("customer_id", "sku", "rate", "starts_at"),
            quiet.truth.select("customer_id", "sku", "rate", "starts_at"),
        )
        assert changed.truth["bought_here"].sum() != quiet.truth["bought_here"].sum()


def gaps(simulated):
    """Refills with the days to the pair's next one and the days that the amount lasts."""
    rate = simulated.truth["rate"].gather(simulated.refills["pair"])
    gap = pl.col("ordered_at").shift(-1).over("pair") - pl.col("ordered_at")
    return simulated.refills.with_columns(
        gap=gap.dt.total_microseconds() / 86_400e6, lasts=pl.col("amount") / rate
    ).drop_nulls("gap")


def exponent(found):
    """How the gap grows with the packs, within pairs: d ln(gap) / d ln(packs)."""
    x, y = (
        pl.col(name).cast(pl.Float64).log()
        - pl.col(name).cast(pl.Float64).log().mean().over("pair")
        for name in ("packs", "gap")
    )
    return found.select((x * y).sum() / (x * x).sum()).item()


def test_gaps_follow_consumption_as_far_as_it_drives_purchases(quiet):
    found = gaps(quiet)
    assert np.corrcoef(found["gap"], found["lasts"])[0, 1] > 0.95
    assert exponent(found) == pytest.approx(1.0, abs=0.1)
    half, chance = (gaps(of(QUIET, consumption_drives=c)) for c in (0.5, 0.0))
    assert exponent(chance) == pytest.approx(0.0, abs=0.05)
    assert 0.15 < exponent(half) < 0.6
    # even by chance, nobody buys more in the long run than is needed
    assert chance.height == pytest.approx(found.height, rel=0.2)


def test_customers_buy_before_and_after_the_run_out(quiet):
    late = quiet.runouts.height / quiet.refills.height
    assert 0.2 < late < 0.8
    early = of(QUIET, lead_days=20.0)
    never = of(QUIET, lead_days=0.0)
    assert early.runouts.height / early.refills.height < 0.1
    assert never.runouts.height / never.refills.height > 0.85


def test_without_disturbances_there_is_none(quiet):
    lines = quiet.tables["order_lines"]
    assert set(quiet.tables) == {"order_lines", "products", "stock"}
    assert (lines["discount"].sum(), lines["promo_code"].null_count()) == (0.0, lines.height)
    assert quiet.tables["stock"]["available"].all()
    assert not quiet.refills["elsewhere"].any()
    assert not quiet.refills["promoted"].any()
    assert quiet.truth["lapsed_at"].null_count() == quiet.truth.height
    assert quiet.truth["left_at"].null_count() == quiet.truth.height
    assert (quiet.refills["ordered_at"] == quiet.refills["arrived_at"]).all()
    assert run_out_after(quiet, CUTOFF)["days"].null_count() == 0


def test_one_pack_is_one_pack_without_choice_or_promotion():
    one = of(QUIET, pack_choice=0.0)
    assert (one.tables["order_lines"]["quantity"] == 1).all()
    many = of(QUIET, pack_choice=1.0).tables["order_lines"]["quantity"]
    assert many.min() == 2
    assert (many == 3).mean() == pytest.approx(1 / 3, abs=0.05)


def test_promotions_make_people_buy_early_and_more(quiet):
    promoted = of(QUIET, promotions=0.1, promotion_extra=0.5)
    spare = pl.col("opened_at") - pl.col("ordered_at")  # how long the older stock still lasts
    means = promoted.refills.group_by("promoted").agg(
        spare=(spare.dt.total_microseconds() / 86_400e6).mean(), packs=pl.col("packs").mean()
    )
    plain, lured = means.sort("promoted").to_dicts()
    assert lured["spare"] > plain["spare"] + 3
    assert lured["packs"] > plain["packs"] + 0.3
    lines = promoted.tables["order_lines"].filter(pl.col("promo_code").is_not_null())
    off = lines["discount"] / (lines["quantity"] * lines["unit_price"])
    assert off.to_numpy() == pytest.approx(0.25, abs=0.01)
    assert lines.height == promoted.refills["promoted"].sum() > 100
    # nothing more is consumed for it
    per_year = promoted.truth["bought_here"].sum() / quiet.truth["bought_here"].sum()
    assert per_year == pytest.approx(1.0, abs=0.05)


def test_promotions_without_pull_change_the_price_only(quiet):
    cheap = of(QUIET, promotions=0.1, promotion_extra=0.0, promotion_early_days=0.0)
    assert_frame_equal(cheap.refills.drop("promoted"), quiet.refills.drop("promoted"))
    assert cheap.tables["order_lines"]["discount"].sum() > 0


def test_other_shops_fill_the_house_and_not_the_log(quiet):
    shared = of(QUIET, other_shops=0.3)
    assert shared.refills["elsewhere"].mean() == pytest.approx(0.3, abs=0.02)
    assert shared.tables["order_lines"].height == pytest.approx(
        0.7 * quiet.tables["order_lines"].height, rel=0.03
    )
    assert shared.truth["consumed"].to_numpy() == pytest.approx(quiet.truth["consumed"].to_numpy())


def test_a_product_out_of_stock_is_never_bought(quiet):
    scarce = of(QUIET, stock_outs=0.2, stock_out_days=20.0)
    state = scarce.tables["stock"].sort("occurred_at")
    lines = scarce.tables["order_lines"].sort("occurred_at")
    met = lines.join_asof(state, on="occurred_at", by="sku", check_sortedness=False)
    assert met["available"].all()
    # the same spells in the shop that did not have them would have met many lines
    missed = quiet.tables["order_lines"].sort("occurred_at").join_asof(
        state, on="occurred_at", by="sku", check_sortedness=False
    )  # fmt: skip
    assert 0.1 < (~missed["available"]).mean() < 0.3
    empty = [(run_out_after(s, CUTOFF)["days"] == 0).mean() for s in (quiet, scarce)]
    assert empty[1] > empty[0] + 0.03


def test_spells_cover_the_share_of_time_that_is_asked_for():
    for regular in (True, False):
        spells = Spells.draw(np.random.default_rng(0), 500, 730, 0.2, 10.0, regular=regular)
        length = np.minimum(spells.end, 730) - spells.start
        assert length.sum() / (500 * 730) == pytest.approx(0.2, abs=0.02)
        follows = spells.product[1:] == spells.product[:-1]
        assert (spells.start[1:][follows] > spells.end[:-1][follows]).all()
        middle = (spells.start + np.minimum(spells.end, 730)) / 2
        assert spells.hold(spells.product, spells.start).all()
        assert spells.hold(spells.product, middle).all()
        over = spells.end < 730
        assert not spells.hold(spells.product[over], spells.end[over]).any()


def test_lapse_ends_purchases_and_consumption_of_a_pair(quiet):
    lapsing = of(QUIET, lapse_per_year=1.0)
    truth = lapsing.truth.with_row_index("pair")
    lives = (truth["lapsed_at"] - truth["starts_at"]).dt.total_microseconds() / 86_400e6
    assert lives.mean() == pytest.approx(365, rel=0.1)
    late = lapsing.refills.join(truth, on="pair").filter(
        pl.col("ordered_at") >= pl.col("lapsed_at")
    )
    assert late.height == 0
    dry = lapsing.runouts.join(lapsing.truth, on=["customer_id", "sku"])
    assert (dry["run_out_at"] < dry["lapsed_at"]).all()
    gone = run_out_after(lapsing, CUTOFF).join(lapsing.truth, on=["customer_id", "sku"])
    assert (gone["days"].is_null() == (gone["lapsed_at"] <= CUTOFF)).all()
    assert 0.2 < gone["days"].is_null().mean() < 0.8
    assert lapsing.refills.height < 0.8 * quiet.refills.height


def test_who_leaves_stops_everything_at_once():
    leaving = of(QUIET, leave_per_year=2.0)
    truth = leaving.truth.with_row_index("pair")
    assert (truth.group_by("customer_id").agg(pl.col("left_at").n_unique())["left_at"] == 1).all()
    bought = leaving.refills.join(truth, on="pair")
    assert (bought["ordered_at"] < bought["left_at"]).all()
    gone = truth.filter(pl.col("left_at") < CUTOFF)["customer_id"].unique()
    after = run_out_after(leaving, CUTOFF)
    assert (after["days"].is_null() == after["customer_id"].is_in(gone.implode())).all()
    assert len(gone) > 20


def test_what_is_delivered_fills_the_house_on_arrival():
    sent = of(QUIET, delivery_days=3.0)
    wait = (sent.refills["arrived_at"] - sent.refills["ordered_at"]).dt.total_seconds() / 86_400
    assert wait.mean() == pytest.approx(3.0, rel=0.05)
    assert (sent.refills["opened_at"] >= sent.refills["arrived_at"]).all()
    overlap = sent.refills.with_columns(before=pl.col("arrived_at").shift(1).over("pair"))
    assert (overlap["before"] <= overlap["ordered_at"]).all()  # never two on the way
    lines = sent.tables["order_lines"].unique("order_id")
    parcels = sent.tables["deliveries"].join(lines, on="order_id", suffix="_ordered")
    assert parcels.height == sent.tables["deliveries"].height
    assert (parcels["occurred_at"] > parcels["occurred_at_ordered"]).all()
    on_the_way = lines.height - parcels.height
    assert 0 < on_the_way == lines.join(parcels, on="order_id", how="anti").height < 120


def test_an_order_is_what_one_customer_bought_at_one_time():
    daily = replace(QUIET, trip_days=1.0, pack_days=3.0, joining=0.0, adoption_days=0.0)
    lines = simulate(1_000, 30, SEED, daily).tables["order_lines"]
    at_one_time = lines.group_by("occurred_at").agg(pl.col("customer_id").n_unique())
    assert (at_one_time["customer_id"] > 1).sum() > 20  # as it happens in a large shop
    orders = lines.group_by("order_id").agg(
        pl.col("customer_id", "occurred_at").n_unique(), pl.col("line_id"), n=pl.len()
    )
    assert (orders["customer_id"] == 1).all()
    assert (orders["occurred_at"] == 1).all()
    assert all(
        ids == [str(k + 1) for k in range(n)]
        for ids, n in orders.select("line_id", "n").iter_rows()
    )
    assert orders["n"].max() > 1
    assert lines.select("customer_id", "occurred_at").n_unique() == orders.height
    hours = lines["occurred_at"].dt.hour()
    assert (hours.min(), hours.max()) == (8, 20)


def test_scans_are_the_openings_of_refills(lively):
    scans = lively.tables["usage"].filter(pl.col("kind") != "telemetry")
    scanning = scans.select("customer_id", "sku").unique()
    pairs = lively.truth.with_row_index("pair").join(scanning, on=["customer_id", "sku"])
    assert 0.3 < pairs.height / lively.truth.height < 0.6
    opened = lively.refills.join(pairs, on="pair").filter(
        (pl.col("opened_at") < pl.min_horizontal("lapsed_at", "left_at"))
        & (pl.col("opened_at") < BEGIN + timedelta(days=DAYS))
    )
    key = ["customer_id", "sku", "occurred_at", "amount"]
    packs = pl.col("packs").cast(pl.Float64)
    expected = opened.with_columns(amount=packs).rename({"opened_at": "occurred_at"}).select(key)
    assert_frame_equal(scans.select(key).sort(key), expected.sort(key))
    kinds = scans.sort("occurred_at").group_by("customer_id", "sku", maintain_order=True)
    kinds = kinds.agg(first=pl.col("kind").first(), later=pl.col("kind").slice(1).n_unique())
    assert (kinds["first"] == "first_use").all()
    assert set(scans["kind"]) == {"first_use", "refill"}
    assert kinds["later"].max() == 1  # refills


def test_readings_add_up_to_what_was_consumed():
    metered = of(replace(LIVELY, telemetry=1.0, usage=0.0), customers=12)
    read = metered.tables["usage"]
    assert set(read["kind"]) == {"telemetry"}
    size = dict(metered.tables["products"].select("sku", "unit_size").iter_rows())
    factors, bought = factors_of(metered), refills_of(metered)
    readings = 0
    for pair, row in enumerate(metered.truth.iter_rows(named=True)):
        own = read.filter(pl.col("customer_id") == row["customer_id"], pl.col("sku") == row["sku"])
        own = own.sort("occurred_at").with_columns(pl.col("amount").cum_sum())
        stop = min(in_days(row["lapsed_at"]), in_days(row["left_at"]))
        arrivals = [(arrived, amount) for _, arrived, amount in bought[pair]]
        for at, packs in own.select("occurred_at", "amount").gather_every(5).iter_rows():
            end = in_days(at)
            assert end < stop
            came = [a for a in arrivals if a[0] < end]
            _, consumed, _ = replay(row["rate"], factors[pair], came, stop, end)
            assert packs * size[row["sku"]] == pytest.approx(consumed, abs=0.05 * size[row["sku"]])
            readings += 1
    assert readings > 100
    assert read["amount"].min() > 0
    gaps = read.sort("customer_id", "sku", "occurred_at").select(
        pl.col("occurred_at").diff().over("customer_id", "sku").drop_nulls()
    )
    assert gaps["occurred_at"].dt.total_days().min() >= 6


def test_a_switch_of_reports_changes_nothing_else():
    plain, read = of(LIVELY, customers=40), of(LIVELY, customers=40, telemetry=0.9, usage=0.0)
    assert plain.tables["order_lines"].equals(read.tables["order_lines"])
    assert plain.truth.equals(read.truth)
    assert "usage" not in of(LIVELY, customers=40, telemetry=0.0, usage=0.0).tables


def test_the_log_loads_whole(lively):
    loaded = log(lively)
    for name, report in loaded.report.tables.items():
        assert report.rows_in == report.kept == lively.tables[name].height
    assert {"order_lines"} <= set(loaded.tables) <= set(lively.tables)
    assert (loaded.observed_from, loaded.observed_until) == (START, START.plus(DAYS))
    assert loaded.fingerprint == simulate_shop(60, days=DAYS, seed=SEED, shop=LIVELY).fingerprint


def test_levels_and_times_are_inverse_also_after_the_last_day():
    rng = np.random.default_rng(3)
    appetite = Appetite.of(day_factors(rng, 20, 50, 0.5))
    pair, time = rng.integers(0, 20, 500), rng.uniform(0, 100, 500)
    back = appetite.reached(pair, appetite.level(pair, time))
    assert back == pytest.approx(time, abs=1e-9)
    ends = appetite.level(np.arange(20), np.full(20, 50.0))
    assert appetite.level(np.arange(20), np.full(20, 60.0)) - ends == pytest.approx(10.0)
    assert day_factors(rng, 300, 300, 0.5).mean() == pytest.approx(1.0, abs=0.01)


def test_the_smallest_shop_has_no_log():
    nothing = simulate(1, 1, 0, Shop(categories=1, products_per_category=1, trip_days=300.0))
    assert nothing.tables["order_lines"].height == nothing.runouts.height == 0
    assert run_out_after(nothing, "2024-01-02").height == 0
    with pytest.raises(DataError, match="no rows"):
        log(nothing)


@pytest.mark.parametrize("cutoff", ["2023-12-31", "2025-02-05"])
def test_a_cutoff_outside_of_the_simulated_time_is_refused(lively, cutoff):
    with pytest.raises(UsageError, match="from 2024-01-01 to 2025-02-04, which was simulated"):
        run_out_after(lively, cutoff)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("promotions", 0.95, r"shop\.promotions: expected a number from 0 to 0\.9, got 0\.95"),
        ("other_shops", float("nan"), r"shop\.other_shops: expected a number from 0 to 1"),
        ("lapse_per_year", -1, r"shop\.lapse_per_year: expected a number from 0 to 100, got -1"),
        ("categories", 2.5, r"shop\.categories: expected a whole number from 1 to"),
        ("trip_days", "7", r"shop\.trip_days: expected a number"),
        ("usage", True, r"shop\.usage: expected a number"),
    ],
)
def test_a_setting_out_of_its_range_is_named(setting, value, expected):
    with pytest.raises(UsageError, match=expected):
        Shop(**{setting: value})


def test_every_setting_is_explained_and_has_a_range():
    for field in fields(Shop):
        assert field.name in Shop.__doc__, field.name
        with pytest.raises(UsageError, match=rf"shop\.{field.name}"):
            Shop(**{field.name: inf})


@pytest.mark.parametrize("bad", [{"customers": 0}, {"days": 0}, {"seed": -1}, {"customers": 1.5}])
def test_a_size_that_is_none_is_refused(bad):
    (name,) = bad
    with pytest.raises(UsageError, match=f"{name}: expected a whole number"):
        simulate(**{"customers": 5, **bad})
