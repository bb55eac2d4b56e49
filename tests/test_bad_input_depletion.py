"""What depletion makes of poor input: a stated fallback, or an error that names the way out."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

import ppi_ml
from ppi_ml import entities, simulate
from ppi_ml.entities import PAIR, Entity
from ppi_ml.errors import NotTrainableError
from ppi_ml.simulate import Shop

SETTINGS = {
    "target.horizon": "60d",
    "target.least_purchases": 1,
    "folds.train_cutoffs": 4,
    "tune.trials": 1,
    "model.max_rows": 20_000,
    "model.stages": "process+glm",
}


@pytest.fixture(scope="module")
def tables():
    return dict(simulate.simulate(150, days=330, seed=3, shop=Shop()).tables)


def load(tables, **changed):
    frames = {name: frame for name, frame in (tables | changed).items() if frame is not None}
    return ppi_ml.load(frames, currency="EUR")


@pytest.fixture(scope="module")
def log(tables):
    return load(tables)


@pytest.fixture(scope="module")
def scorer(log, tmp_path_factory):
    settings = SETTINGS | {"output.folder": str(tmp_path_factory.mktemp("runs"))}
    run = ppi_ml.train(log, target="depletion", settings=settings, track=False)
    return ppi_ml.Scorer.load(run.bundle)


@pytest.fixture(scope="module")
def end(log):
    return str(log.observed_until)


def bought(tables, *changes):
    """The order lines and one more order of two lines for a new customer, with some changes."""
    lines = tables["order_lines"].with_columns(pl.col("quantity").cast(pl.Float64))
    last = lines["occurred_at"].max() - timedelta(days=20)
    new = lines.head(1).with_columns(
        order_id=pl.lit("new"), line_id=pl.lit("1").cast(lines.schema["line_id"]),
        customer_id=pl.lit("newcomer"), occurred_at=pl.lit(last).cast(lines.schema["occurred_at"]),
    )  # fmt: skip
    return pl.concat([lines, new.with_columns(**dict(changes))])


def told(scorer, log, end):
    found = scorer.score(log, end)
    return found[found["customer_id"] == "newcomer"]


def test_a_sku_that_products_does_not_list_has_a_curve_of_everything(scorer, tables, end):
    lines = bought(tables, ("sku", pl.lit("never-seen")))
    row = told(scorer, load(tables, order_lines=lines), end)
    assert row["status"].tolist() == ["scored"]
    assert 0 < row["p_next_30d"].iloc[0] < 1
    assert row["runout_p10_days"].notna().all()


LASTING = {"sku": "pan", "category": "pans", "consumable": "no"}
NOT_A_PAIR = {
    # what was bought: why nothing is said of it
    "without a sku": ({"sku": None}, "no purchase before the cutoff names a sku"),
    "by subscription": (
        {"order_type": "subscription"},
        "no purchase before the cutoff, only order lines of the type subscription"),
    "to last": ({"sku": "pan"}, "nothing that was bought before the cutoff is consumable"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), NOT_A_PAIR.values(), ids=NOT_A_PAIR)
def test_a_line_that_is_no_pair_is_answered_with_the_reason(scorer, tables, end, change, reason):
    """The same for one customer and for a list of them."""
    columns = [(name, pl.lit(value, dtype=pl.String)) for name, value in change.items()]
    usual = tables["order_lines"].with_columns(order_type=pl.lit("one_off"))
    lines = bought(tables | {"order_lines": usual}, *columns)
    products = pl.concat([tables["products"], pl.DataFrame(LASTING)], how="diagonal_relaxed")
    log = load(tables, order_lines=lines, products=products)
    batch = scorer.score(log, end, ids=["newcomer"]).astype(object)
    (row,) = batch.where(batch.notna(), None).to_dict("records")
    assert (row["status"], row["reason"], row["product"]) == ("no_history", reason, None)
    own = lines.filter(pl.col("customer_id") == "newcomer")
    said = scorer.one({"order_lines": own, "products": products}, end)
    assert said.rows == [said.values] == [row]
    assert (said.status, len(said.curves.cumulative)) == ("no_history", 0)


def test_a_new_product_of_a_known_group_is_read_through_its_group(scorer, tables, end):
    usual = []
    for category in tables["products"]["category"].unique().sort():
        new = (
            tables["products"]
            .head(1)
            .with_columns(
                sku=pl.lit("brand-new"),
                category=pl.lit(category),
                unit_size=pl.lit(None, pl.Float64),
            )
        )
        log = load(
            tables, order_lines=bought(tables, ("sku", pl.lit("brand-new"))),
            products=pl.concat([tables["products"], new]),
        )  # fmt: skip
        usual.append(told(scorer, log, end)["runout_p50_days"].iloc[0])
    assert len(np.unique(usual)) == len(usual)


def test_a_missing_size_counts_as_the_usual_pack(tables):
    sizes = tables["products"].with_columns(unit_size=pl.lit(None, pl.Float64))
    prepared = entities.prepared(load(tables, products=sizes), Entity(PAIR, "sku", "category"))
    assert prepared.tables["order_lines"].frame[entities.PACK].unique().to_list() == [0]


def test_without_products_a_sku_is_a_product_of_no_group(tables, end, tmp_path):
    log = load(tables, products=None)
    settings = SETTINGS | {"output.folder": str(tmp_path)}
    run = ppi_ml.train(log, target="depletion", settings=settings, track=False)
    assert len(ppi_ml.Scorer.load(run.bundle).score(log, end)) > 100


@pytest.mark.parametrize("quantity", [0.0, -1.0, None])
def test_a_quantity_that_is_none_is_quarantined_and_counted(tables, quantity):
    lines = bought(tables, ("quantity", pl.lit(quantity, pl.Float64)))
    log = load(tables, order_lines=lines)
    assert log.report.tables["order_lines"].rows_quarantined == 1
    assert "newcomer" not in log.customer_ids.to_list()


def test_a_quantity_below_a_thousandth_still_has_a_date(scorer, tables, end):
    lines = bought(tables, ("quantity", pl.lit(1e-5)))
    log = load(tables, order_lines=lines)
    assert told(scorer, log, end)["p_next_30d"].notna().all()


def test_a_wholesaler_s_quantity_moves_the_date_and_breaks_nothing(scorer, tables, end):
    one, many = (
        told(scorer, load(tables, order_lines=bought(tables, ("quantity", pl.lit(number)))), end)
        for number in (1.0, 100_000.0)
    )
    assert many["p_runout_30d"].iloc[0] < one["p_runout_30d"].iloc[0]


def test_a_pair_with_one_purchase_has_the_clock_of_its_product(scorer, log, end):
    found = scorer.score(log, end)
    days = log.order_lines.assign(day=log.order_lines["occurred_at"].dt.date)
    once = days.groupby(["customer_id", "sku"])["day"].nunique() == 1
    singles = found.set_index(["customer_id", "product"]).loc[
        lambda rows: rows.index.isin(once[once].index)
    ]
    assert len(singles) > 20
    assert singles["p_next_30d"].between(0, 1).all()


def test_a_shop_in_which_nothing_can_be_bought_is_told_to_look_at_its_stock(tables, tmp_path):
    stock = tables["order_lines"].select("sku").unique().with_columns(
        occurred_at=pl.lit("2023-12-01T00:00:00"), available=pl.lit("f")
    )  # fmt: skip
    settings = SETTINGS | {"output.folder": str(tmp_path)}
    with pytest.raises(NotTrainableError, match=r"by the table stock.*look at its dates"):
        ppi_ml.train(load(tables, stock=stock), target="depletion", settings=settings, track=False)


def test_a_shop_where_nobody_buys_a_product_twice_says_what_to_do(tables):
    lines = tables["order_lines"].unique(["customer_id", "sku"], keep="first", maintain_order=True)
    message = r"bought again.*set target\.product to a category"
    with pytest.raises(NotTrainableError, match=message):
        ppi_ml.train(load(tables, order_lines=lines), target="depletion", settings=SETTINGS,
                     track=False)  # fmt: skip
