"""From the matrix to what the hazard model reads."""

from dataclasses import replace
from datetime import datetime, timedelta
from zlib import crc32

import numpy as np
import pytest

from ppi_ml import dataset, rows
from ppi_ml.errors import NotTrainableError
from ppi_ml.features import anniversary
from ppi_ml.instants import Cutoff
from ppi_ml.models.covariates import MONTH_DAYS, MONTHS, RECENT_DAYS


def build(log, *days):
    cutoffs = [Cutoff.parse(day, log.timezone) for day in days]
    return dataset.build(log, cutoffs, dataset.families())


def test_histories_by_hand(log_of):
    log = log_of(
        [("a", "2018-01-01T00:00:00"), ("a", "2018-01-11T00:00:00"), ("a", "2018-02-10T00:00:00"),
         ("b", "2018-02-01T12:00:00")], until="2019-01-01",
    )  # fmt: skip
    h = rows.histories(build(log, "2018-03-01"))
    np.testing.assert_array_equal(h.repeats, [2, 0])
    np.testing.assert_array_equal(h.last_days, [40, 0])
    np.testing.assert_array_equal(h.age_days, [59, 27.5])
    np.testing.assert_allclose(h.gap_log_sum, [np.log(10) + np.log(30), 0], rtol=1e-6)
    np.testing.assert_allclose(h.gap_log_sumsq, [np.log(10) ** 2 + np.log(30) ** 2, 0], rtol=1e-6)


def test_equal_gaps_may_round_and_are_still_a_history(log_of):
    """Sums are float32: ten equal gaps may seem to have less than no spread."""
    start = datetime(2018, 1, 1, 12)
    lines = [(f"every{days:02d}", str(start + timedelta(days=days * i)))
             for days in range(2, 31) for i in range(11)]  # fmt: skip
    data = build(log_of(lines, until="2019-01-01"), "2018-12-01")
    total, squares = data.column("cadence__ln_gap__sum"), data.column("cadence__ln_gap_sq__sum")
    assert (total**2 > 10 * squares).any()
    h = rows.histories(data)
    assert (h.gap_log_sum**2 <= 10 * h.gap_log_sumsq * (1 + 1e-12)).all()


@pytest.mark.parametrize("age_years", [1, 4])
def test_two_purchases_around_one_midnight_are_a_history(log_of, age_years):
    """Seconds apart, they are of one age once it is rounded to float32."""
    lines = [("a", "2018-01-10T23:59:59.9"), ("a", "2018-01-11T00:00:00.1"),
             ("b", "2018-03-01T10:00:00")]  # fmt: skip
    h = rows.histories(build(log_of(lines, until="2024-01-01"), f"{2018 + age_years}-01-10"))
    assert h.repeats.tolist() == [1, 0]
    assert 0 < h.last_days[0] < 1e-4
    assert (h.age_days > h.last_days).all()


def test_keys_and_codes_belong_to_the_customer_and_not_to_the_row(shop):
    data = build(shop, "2018-09-01", "2019-09-01")
    key, code = rows.keys(data), rows.codes(data)
    assert key.tolist() == [crc32(customer.encode()) for customer in data.customers]
    by_customer = dict(zip(data.customers, code.tolist(), strict=True))
    assert [by_customer[c] for c in data.customers] == code.tolist()
    assert len(set(by_customer.values())) == len(by_customer)


def test_parameters_of_a_cutoff_are_fitted_on_its_own_past_alone(shop):
    names = ["mbg_nbd", "gaps"]
    both = rows.fit_processes(build(shop, "2018-12-01", "2019-09-01"), names, shop.observed_from)
    alone = rows.fit_processes(
        build(shop.until("2018-12-01"), "2018-12-01"), names, shop.observed_from
    )
    assert both.by_cutoff["2018-12-01"] == alone.by_cutoff["2018-12-01"]
    assert both.by_cutoff["2019-09-01"] != alone.by_cutoff["2018-12-01"]
    assert both.names == ("mbg_nbd", "gaps")
    assert not both.reasons


def test_replaying_gives_every_cutoff_the_parameters_of_one(shop):
    data = build(shop, "2018-12-01", "2019-09-01")
    states = rows.fit_processes(data, ["gaps"], shop.observed_from)
    replayed = states.replayed(data.cutoffs[1], data.cutoffs)
    assert set(replayed.by_cutoff) == {"2018-12-01", "2019-09-01"}
    assert replayed.by_cutoff["2018-12-01"] == states.by_cutoff["2019-09-01"]


def test_customers_whose_entry_is_unknown_teach_nothing_while_others_can(shop):
    """Who bought in the log's first 60 days may have bought before it began."""
    data = build(shop, "2019-09-01")
    (cutoff,) = data.cutoffs
    age = data.column("cadence__age__max")
    known = age <= cutoff.days_since(shop.observed_from) - 60
    assert 0 < (~known).sum() < len(known) / 2
    with_all = rows.fit_processes(data, ["gaps"], shop.observed_from)
    without = rows.fit_processes(data.take(known), ["gaps"], shop.observed_from)
    assert with_all.by_cutoff == without.by_cutoff
    everybody = rows.fit_processes(data, ["gaps"], shop.observed_from.plus(-365))
    assert everybody.by_cutoff != with_all.by_cutoff


@pytest.mark.parametrize(("day", "known"), [(1, True), (-1, False)])
def test_lives_begin_where_half_of_the_customers_entered_after_the_first_days(shop, day, known):
    data = build(shop, "2019-09-01")
    (cutoff,) = data.cutoffs
    usual = float(np.quantile(rows.histories(data).age_days, 0.5, method="lower"))
    assert rows.lives_begin(data, cutoff.plus(-round(usual + 30 + day))) is known


def test_nobody_with_two_purchases_is_said_so(log_of):
    log = log_of([(f"c{i}", f"2018-01-{1 + i % 28:02d}") for i in range(50)], until="2018-06-01")
    with pytest.raises(NotTrainableError, match="at 2018-05-01: nobody has bought a second time"):
        rows.fit_processes(build(log, "2018-05-01"), ["gaps"], log.observed_from)


def test_the_model_reads_one_row_per_row_of_the_matrix(shop):
    data = build(shop, "2018-12-01", "2019-09-01")
    states = rows.fit_processes(data, ["mbg_nbd", "gaps"], shop.observed_from)
    built = rows.build(data, states, [0.0, 10.0, 30.0, 90.0])
    assert len(built) == len(data)
    assert built.log_hazards.shape == (len(data), 3, 2)
    assert np.isfinite(built.log_hazards).all()
    np.testing.assert_array_equal(built.trees, data.trees())
    first = data.rows_at(data.cutoffs[0])
    assert set(built.day[first]) == {17_866.0}  # 2018-12-01, days since 1970-01-01
    part = rows.build(data.at(data.cutoffs[:1]), states, [0.0, 10.0, 30.0, 90.0])
    np.testing.assert_array_equal(part.log_hazards, built.log_hazards[first])
    np.testing.assert_array_equal(part.gap_place, built.gap_place[first])


def test_purchases_of_the_last_days_by_hand(log_of):
    before = (3, 10, 20, 60, 200)  # one more in every longer window
    end = datetime(2019, 1, 1)
    lines = [("a", str(end - timedelta(days=days))) for days in before]
    lines += [("b", "2018-12-31T09:00:00"), ("b", "2018-12-31T15:00:00")]  # one purchase day
    data = build(log_of(lines, start="2017-06-01", until="2019-06-01"), "2019-01-01")
    state = {"mean": 3.0, "between": 1.0, "within": 0.5, "spread": 0.1}
    states = rows.ProcessStates(("gaps",), {"2019-01-01": {"gaps": state}}, {})
    recent = rows.build(data, states, [0.0, 30.0]).recent
    assert RECENT_DAYS == (7, 14, 30, 90, 365)
    assert recent[data.customers.to_list().index("a")].tolist() == [1, 2, 3, 4, 5]
    assert recent[data.customers.to_list().index("b")].tolist() == [1, 1, 1, 1, 1]


def test_purchases_by_month_by_hand(log_of):
    end = datetime(2019, 1, 1)
    lines = [("a", str(end - timedelta(days=days))) for days in (10, 40, 45, 400, 421)]
    lines += [("b", "2018-12-31T09:00:00")]
    data = build(log_of(lines, start="2017-06-01", until="2019-06-01"), "2019-01-01")
    state = {"mean": 3.0, "between": 1.0, "within": 0.5, "spread": 0.1}
    states = rows.ProcessStates(("gaps",), {"2019-01-01": {"gaps": state}}, {})
    by_month = rows.build(data, states, [0.0, 30.0]).by_month
    assert tuple(range(MONTH_DAYS, MONTHS * MONTH_DAYS + 1, MONTH_DAYS)) == anniversary._AGES
    assert by_month[data.customers.to_list().index("a")].tolist() == [0, 1, *[3] * 12, 4]
    assert by_month[data.customers.to_list().index("b")].tolist() == [0, *[1] * 14]


def test_a_customer_without_gaps_has_the_shop_s_place_and_others_lean_to_their_own(log_of):
    state = {"mean": 3.0, "between": 1.0, "within": 0.5, "spread": 0.1}
    lines = [("once", "2018-01-05T00:00:00")]
    lines += [("often", f"2018-{month:02d}-01T00:00:00") for month in range(1, 7)]
    data = build(log_of(lines, until="2019-01-01"), "2018-07-01")
    states = rows.ProcessStates(("gaps",), {"2018-07-01": {"gaps": state}}, {})
    place = rows.build(data, states, [0.0, 30.0]).gap_place
    own = np.log([31, 28, 31, 30, 31]).mean()
    shrunk = (5 * own * 1.0 + 3.0 * 0.25) / (5 * 1.0 + 0.25)
    often, once = (place[data.customers.to_list().index(who)] for who in ("often", "once"))
    np.testing.assert_allclose(once, [3.0, np.sqrt(0.25 + 1.0)])
    np.testing.assert_allclose(often, [shrunk, np.sqrt(0.25 + 0.25 / 5.25)], rtol=1e-6)


def test_states_of_processes_that_could_be_fitted_seldom_are_not_used(shop):
    data = build(shop, "2018-12-01", "2019-09-01")
    states = rows.fit_processes(data, ["gaps"], shop.observed_from)
    fewer = replace(states, by_cutoff={"2019-09-01": states.by_cutoff["2019-09-01"]})
    assert [str(c) for c in fewer.usable(data.cutoffs)] == ["2019-09-01"]
