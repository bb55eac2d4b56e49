"""Plain Python as an independent judge of every column of the families of campaigns.

The judge is `tests/campaigns.py`; the shop is the bazaar, made harder there.
"""

from functools import cache

import numpy as np
import polars as pl
import pytest
from tests import bazaar, campaigns

from ppi_ml import aggregation, dataset, family_check
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past

CUTOFFS = ("2018-07-01T12:34:56", "2018-10-28T12:00:00", "2019-03-31", "2019-11-15T13:45:10")
"""In summer time, on both days of a clock change, and late."""
NAMES = list(campaigns.FAMILIES)
FAMILIES = {family.name: family for family in dataset.families(NAMES)}
COLUMNS = [name for f in FAMILIES.values() for name, _ in aggregation.columns_of(f)]


@pytest.fixture(scope="module", params=[3, 4])
def both(request, make_shop):
    """The raw frames of a shop, and its log."""
    plain = bazaar.frames(make_shop(seed=request.param, customers=250), request.param)
    frames = campaigns.ragged(plain)
    log = bazaar.load(frames)
    lost = {name: table.rows_quarantined for name, table in log.report.tables.items()}
    assert not any(lost.values()), lost
    return frames, log


@pytest.fixture(scope="module")
def ask(both):
    """ask(cutoff) -> (the matrix of the families, what the judge says of every column)."""
    frames, log = both

    @cache
    def answers(cutoff):
        instant = Cutoff.parse(cutoff, log.timezone)
        data = dataset.build(log, [instant], list(FAMILIES.values()))
        return data, campaigns.judged(frames, cutoff)

    return answers


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_every_column_is_judged(ask, cutoff):
    data, judged = ask(cutoff)
    assert sorted(judged) == sorted(data.names) == sorted(COLUMNS)
    assert data.customers.to_list() == list(judged[COLUMNS[0]])


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_columns(ask, cutoff, column):
    data, judged = ask(cutoff)
    expected = np.array(list(judged[column].values()), dtype=np.float64)
    np.testing.assert_allclose(data.column(column), expected, rtol=2e-6, atol=2e-6)
    if cutoff == CUTOFFS[-1]:
        assert len(set(expected[np.isfinite(expected)])) > 1


def test_the_data_hold_what_the_oracle_is_for(both):
    """Events known late at every cutoff, exposures at the time of an order, sign-ups to come."""
    frames, log = both
    moments = [Cutoff.parse(cutoff, log.timezone) for cutoff in CUTOFFS]
    for name in campaigns.KEYS:
        frame = log.tables[name].frame
        for cutoff in moments[1:]:
            assert ((frame["at"] < cutoff.at) & (frame["known"] >= cutoff.at)).sum() > 5, name
    lines, shown = (log.tables[name].frame for name in ("order_lines", "exposures"))
    assert shown.join(lines, on=("customer_id", "at"), how="semi").height > 20
    signed = log.tables["customers"].frame["signed_up_at"]
    assert signed.null_count() > 20
    assert (signed > moments[-1].at).sum() > 20
    codes = frames["order_lines"]["promo_code"].value_counts()
    assert codes.filter(pl.col("count") > 20).height == 3


# ------------------------------------------------------------------ leaks
@pytest.mark.parametrize("name", NAMES)
def test_the_checks_of_a_family_of_ones_own_hold(both, name):
    found = family_check.check(FAMILIES[name], both[1])
    assert len(found) > 8
    assert [finding for finding in found if not finding.holds] == []


def spoiled(frames, log, cutoff):
    """The frames with everything absurd that was known at the cutoff or later."""
    at = Cutoff.parse(cutoff, log.timezone).at
    absurd = {"content_tag": "poison", "action": "opened", "score": 10.0, "amount": 999.0,
              "kind": "nps", "sku": "poison", "promo_code": "POISON", "quantity": 77.0,
              "unit_price": 8_888.0, "discount": 0.0, "order_type": "one_off"}  # fmt: skip
    changed = dict(frames)
    for name in ("order_lines", *campaigns.KEYS):
        frame = frames[name]
        said = absurd | ({"kind": "refill"} if name == "usage" else {})
        later = frame["known_at"].dt.epoch("us") >= at
        changed[name] = pl.concat([
            frame.filter(~later),
            frame.filter(later).with_columns(
                pl.lit(v).cast(frame.schema[c]).alias(c) for c, v in said.items()
                if c in frame.columns
            ),
        ])  # fmt: skip
    return bazaar.load(changed)


def told(log, cutoff):
    """Every column and state at a cutoff, as bytes."""
    data = dataset.build(log, [Cutoff.parse(cutoff, log.timezone)], list(FAMILIES.values()))
    columns = {name: data.values[:, i].tobytes() for i, name in enumerate(data.names)}
    return columns | {"states": data.states, "rows": data.customers.to_list()}


@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_what_was_known_later_may_be_anything(both, cutoff):
    frames, log = both
    poisoned = spoiled(frames, log, cutoff)
    assert told(log, cutoff) == told(poisoned, cutoff)
    later = "2020-01-15"
    one, other = told(log, later), told(poisoned, later)
    unlike = {name.split("__")[0] for name in one if one[name] != other[name]}
    assert {*NAMES, "states"} - {"profile"} <= unlike  # customers have no dates


def test_a_past_that_sorts_by_occurrence_alone_is_found(both, monkeypatch):
    def events(past, table):
        frame = past.log.tables[table].frame.filter(pl.col("at") < past.cutoff.at)
        return frame.with_columns(age_us=past.cutoff.wall - pl.col("wall"))

    frames, log = both
    monkeypatch.setattr(Past, "events", events)
    one, other = (told(each, CUTOFFS[2]) for each in (log, spoiled(frames, log, CUTOFFS[2])))
    found = {name.split("__")[0] for name in one if one[name] != other[name]}
    assert {*NAMES, "states"} - {"profile"} <= found


@pytest.mark.parametrize("name", NAMES)
def test_a_customer_alone_is_the_row_of_the_batch(both, name):
    log = both[1]
    cutoff = Cutoff.parse(CUTOFFS[-1], log.timezone)
    batch = dataset.build(log, [cutoff], [FAMILIES[name]])
    for row in range(0, len(batch), 9):
        alone = dataset.build(
            log.customer(batch.customers[row]), [cutoff], [FAMILIES[name]],
            states=batch.states[str(cutoff)],
        )  # fmt: skip
        assert alone.values.tobytes() == batch.values[row].tobytes()
