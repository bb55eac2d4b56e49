import os
from datetime import datetime

import polars as pl
import pytest

from ppi_ml.config import DataSettings
from ppi_ml.errors import ConfigError
from ppi_ml.events import load_tables
from ppi_ml.sources.cdnow import SOURCE


def load(path):
    raw = SOURCE.read(DataSettings(source="cdnow", path=str(path)))
    return load_tables(raw)


def test_lines_of_one_customer_and_day_are_one_order(tmp_path):
    day, next_day = datetime(1997, 1, 12), datetime(1997, 1, 13)
    pl.DataFrame(
        {
            "customer_id": [2, 2, 2, 3],
            "date": [day, day, next_day, day],
            "units": [1, 5, 3, 2],
            "amount": [12.0, 77.0, 10.0, 0.0],
        }
    ).write_parquet(tmp_path / "cdnow.parquet")
    log = load(tmp_path / "cdnow.parquet")
    frame = log.tables["order_lines"].frame
    assert frame["order_id"].to_list() == ["2-1997-01-12"] * 2 + ["2-1997-01-13", "3-1997-01-12"]
    assert frame["value_e4"].to_list() == [120_000, 770_000, 100_000, 0]
    assert (log.currency, log.tables["order_lines"].granularity) == ("USD", "day")
    assert str(log.observed_until) == "1997-01-14"


def test_the_path_must_be_given():
    with pytest.raises(ConfigError, match=r"^data\.path: "):
        SOURCE.read(DataSettings(source="cdnow"))


@pytest.mark.real
def test_counts_of_the_master_file():
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: the CDNOW master file is not part of the repository")
    log = load(f"{root}/cdnow/cdnow_master.parquet")
    assert log.report.tables["order_lines"].to_dict() == {
        "rows_in": 69_659,
        "kept": 69_659,
        "repaired": {},
        "quarantined": {},
        "excluded": {},
        "first": "1997-01-01T00:00:00",
        "last": "1998-06-30T00:00:00",
        "late_share": None,
        "lateness": "lateness not measured",
    }
    assert len(log.customer_ids) == 23_570
    assert (str(log.observed_from), str(log.observed_until)) == ("1997-01-01", "1998-07-01")
