"""Problems about pairs of a customer and a product, from logs made by hand."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ppi_ml import dataset, entities
from ppi_ml.dataset import Wanted
from ppi_ml.entities import Entity
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.models.durations import Durations
from ppi_ml.problem import Problem
from ppi_ml.rows import ProcessStates
from ppi_ml.splits import Fold

FAMILIES = dataset.families("all", entity="customer_product")
CUTOFF_DAY, HORIZON = 70, 60


@pytest.fixture(scope="session")
def problem_of():
    """problem_of(purchases, groups, ...) -> the problem of a hand-made log, 60 days ahead.

    purchases: (customer, sku) -> list of (day, quantity); all are seen from day 70, which is the
    only training cutoff and the end of the fold. groups: sku -> its group; or products: the table,
    of whose column `product` pairs are made. waits: one per row, in order of customer and product;
    by default everybody bought on day 10. state: the parameters of the process of pairs, which a
    log so small cannot fit.
    """

    def build(
        purchases, groups=None, *, products=None, product="sku", least=1, waits=None, state=None
    ):
        lines = [
            {
                "customer_id": customer, "sku": product, "quantity": float(quantity),
                "occurred_at": f"{date(2018, 1, 1) + timedelta(days=day)}T00:00",
                "line_id": "1",
            }
            for (customer, product), bought in purchases.items()
            for day, quantity in bought
        ]  # fmt: skip
        frame = pl.DataFrame(lines).with_row_index("order_id")
        raw = {"order_lines": RawTable(frame.with_columns(pl.col("order_id").cast(pl.String)))}
        if groups is not None:
            products = {"sku": list(groups), "category": list(groups.values())}
        if products is not None:
            raw["products"] = RawTable(pl.DataFrame(products))
        group = None if groups is None else "category"
        entity = Entity("customer_product", product, group, least)
        log = load_tables(raw, timezone="Europe/London", currency="GBP")
        log = entities.prepared(log, entity)
        cutoff = Cutoff.parse(str(date(2018, 1, 1) + timedelta(days=CUTOFF_DAY)), log.timezone)
        data = dataset.build(log, [cutoff], FAMILIES, entity=entity, wanted=Wanted(CUTOFF_DAY))
        known = {} if state is None else {str(cutoff): {"renewals": state}}
        material = Material(
            log=log, data=data, states=ProcessStates(("renewals",), known, {}), horizon=HORIZON,
            active_within=CUTOFF_DAY, settling=0.0, max_rows=1000, seed=0, threads=1,
            metric="ibs",
        )  # fmt: skip
        n = len(data)
        waits = waits or Durations(np.full(n, 10.0), np.ones(n, dtype=bool))
        return Problem(material, Fold(cutoff, (cutoff,), ()), data, waits)

    return build
