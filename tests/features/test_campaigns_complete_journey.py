"""Content and promotions on real mailings and coupons: a year of the Complete Journey."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ppi_ml import dataset
from ppi_ml.config import DataSettings
from ppi_ml.events import load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.sources.complete_journey import SOURCE

ZONE, CUTOFFS = "America/New_York", ("2017-05-01", "2017-08-01", "2017-12-01")
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def year():
    """(the log, both families at three cutoffs)."""
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: Complete Journey is not part of the repository")
    settings = DataSettings(
        source="complete_journey", path=str(Path(root) / "completejourney"), timezone=ZONE
    )
    raw = {name: table for name, table in SOURCE.read(settings).items() if name != "products"}
    log = load_tables(raw, timezone=ZONE)
    cutoffs = [Cutoff.parse(cutoff, ZONE) for cutoff in CUTOFFS]
    return log, dataset.build(log, cutoffs, dataset.families(["content", "promotions"]))


def test_no_column_is_the_same_for_everybody(year):
    _, data = year
    for cutoff in data.cutoffs:
        values = data.values[data.rows_at(cutoff)]
        for name, column in zip(data.names, values.T, strict=True):
            assert len(np.unique(column[~np.isnan(column)])) > 1, (str(cutoff), name)


def test_households_with_a_code_or_a_mailing_are_those_of_the_tables(year):
    log, data = year
    end = data.cutoffs[-1]
    known = {name: log.tables[name].frame.filter(pl.col("known") < end.at)
             for name in ("order_lines", "exposures")}  # fmt: skip
    coded = known["order_lines"].filter(
        pl.col("promo_code").is_not_null(), pl.col("order_type") == "one_off"
    )
    for name, frame in (("promotions__coded", coded), ("content__last", known["exposures"])):
        said = ~np.isnan(data.column(f"{name}__days_since")[data.rows_at(end)])
        expected = set(frame["customer_id"]) & set(data.keys_at(end)["customer_id"])
        assert set(data.keys_at(end)["customer_id"].filter(pl.Series(said))) == expected
        assert len(expected) > 300
