from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml import clock
from ppi_ml.instants import DAY_US, instant_of, wall_of

LONDON = "Europe/London"


def at(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


zones = st.sampled_from([LONDON, "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])
walls = st.lists(st.integers(2 * DAY_US, 80 * 365 * DAY_US), min_size=1, max_size=20)


@given(walls, zones)
def test_whole_columns_agree_with_single_instants(walls, zone):
    column = pl.Series(walls)
    instants = clock.instants_of(column, zone)
    assert instants.to_list() == [instant_of(wall, zone) for wall in walls]
    assert clock.clock_of(instants, zone).to_list() == [wall_of(i, zone) for i in instants]


def test_a_day_of_23_hours_ends_at_its_last_microsecond():
    noon = pl.Series([at(2011, 3, 27, 12)])
    assert clock.day_start(noon, LONDON).to_list() == [at(2011, 3, 27)]
    assert clock.day_end(noon, LONDON).to_list() == [at(2011, 3, 27, 23) - 1]
    assert clock.days_later(noon, LONDON, 217).to_list() == [at(2011, 10, 30, 13)]
