"""Cases about pairs: how they are read, predicted and checked; by hand, and on one made up."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import depletion_cases
import judge
import verdicts
from answers import Answers, Curve

ORIGIN, TAU = datetime(2025, 6, 1, tzinfo=UTC), 30
RULES = (depletion_cases.GAMMA, *depletion_cases.GAPS)


def test_a_case_about_pairs_is_one(pair_case):
    pair_case.check()
    assert (pair_case.of_pairs, pair_case.keys) == (True, ("customer_id", "category"))
    assert set(pair_case.log().tables) == {"order_lines", "products"}
    assert pair_case.days == list(range(1, TAU + 1))


def test_pairs_are_left_out_unless_they_are_asked_for(write_case, tmp_path):
    pairs = write_case(tmp_path, "b", task="depletion")
    customers = write_case(tmp_path, "a", task="timing")
    cases = tmp_path / "public"
    (cases / "broken").mkdir()
    (cases / "broken/case.json").write_text("{}")
    assert judge.find(cases, ()) == [customers, cases / "broken"]
    assert judge.find(cases, (), pairs=True) == [customers, pairs, cases / "broken"]
    assert judge.find(cases, ["b"]) == [pairs]
    assert depletion_cases.folders(cases) == [pairs]


@pytest.mark.parametrize(
    ("task", "keys"), [("depletion", ["customer_id"]), ("churn", ["customer_id", "sku"])]
)
def test_a_case_that_asks_about_something_else_is_not_usable(write_case, tmp_path, task, keys):
    folder = write_case(tmp_path, "made", task=task)
    text = (folder / "case.json").read_text()
    about = json.loads(text) | {"entity": keys}
    (folder / "case.json").write_text(json.dumps(about))
    with pytest.raises(judge.UnusableCaseError, match="it asks about customer_id"):
        judge.Case.read(folder).check()


def test_everybody_who_is_asked_about_is_predicted(pair_case, tmp_path, quick):
    files = [pair_case.folder / f"{name}.parquet" for name in ("truth", "peers")]
    kept = [path.read_bytes() for path in files]
    for path in files:  # must not be opened
        path.write_bytes(b"")
    table = pl.read_parquet(judge.predict(pair_case, tmp_path))
    for path, content in zip(files, kept, strict=True):
        path.write_bytes(content)
    wanted = pl.read_parquet(pair_case.asked)
    lost = pair_case.log().report.tables["order_lines"].rows_quarantined
    assert lost == 1  # of a pair that is therefore not live in the log, and is asked about
    curve = [f"no_event_by_{day}d" for day in pair_case.days]
    assert table.columns == ["customer_id", "category", *curve]
    assert table.select(wanted.columns).sort(wanted.columns).equals(wanted)
    curve = Answers.read(pair_case.folder).ours(tmp_path / "made.parquet")
    assert (np.diff(curve.survival, axis=1) <= 0).all()
    assert curve.survival[:, -1].std() > 0.05


def test_stored_curves_are_read_by_both_keys(pair_case):
    answers = Answers.read(pair_case.folder)
    assert answers.keys.equals(pl.read_parquet(pair_case.asked))
    assert judge.stored(pair_case.folder, "coin").columns[:2] == ["customer_id", "category"]
    assert answers.peer("coin").survival[:, -1] == pytest.approx(0.5)


def test_the_most_active_pairs_are_those_bought_on_most_days(pair_case):
    keys = pl.read_parquet(pair_case.asked).sample(fraction=1.0, shuffle=True, seed=1)
    found = depletion_cases.purchases(pair_case, keys)
    lines = pl.read_parquet(pair_case.events["order_lines"]).to_dicts()
    of = dict(pl.read_parquet(pair_case.events["products"]).iter_rows())
    days = {
        (line["customer_id"], of[line["sku"]], line["occurred_at"].date())
        for line in lines
        if line["occurred_at"] >= ORIGIN - timedelta(days=180)
    }
    expected = [sum((who, what) == day[:2] for day in days) for who, what in keys.iter_rows()]
    assert found.tolist() == expected
    assert max(expected) > 3


def test_the_intervals_of_pairs(pair_case, tmp_path):
    judge.stored(pair_case.folder, "reference").reverse().write_parquet(tmp_path / "made.parquet")
    part = depletion_cases.covered(pair_case.folder.parent, tmp_path)
    said = {check.what: check for check in part.checks}
    assert said["mean width of the quarter, days, 1 cases with a reference curve"].passed is True
    answers = Answers.read(pair_case.folder)
    curve = Curve.of(judge.stored(pair_case.folder, "reference"), TAU)
    shares = depletion_cases.Spread.of(answers, curve).shares
    assert said["80 % coverage, all rows pooled"].found == f"{shares.mean():.3f}"
    assert f"| made | {len(shares)} |" in part.tables
    with pytest.raises(judge.UnusableCaseError, match="no predictions of a case about pairs"):
        depletion_cases.covered(pair_case.folder.parent, tmp_path / "elsewhere")


def result(name="a", ours=0.17, gamma=0.2, gap=0.24, hits=(0.4, 0.6), **more):
    """A verdict in which everything asked for is just met, unless it is said otherwise."""
    losses = {"system": ours, "reference": 0.1701, **dict.fromkeys(RULES, gap), RULES[0]: gamma}
    metrics = {who: {"ibs": loss, "c_index": 0.6, "within_3d": 0.4, "within_7d": 0.6,
                     "mae_median": 30.0, "d_cal": 0.1} for who, loss in losses.items()}  # fmt: skip
    metrics["system"] |= {"within_3d": hits[0], "within_7d": hits[1]}
    outcome = {"reference": "ties", **more}
    return verdicts.Result.of(
        {"case": name, "headline": "ibs", "entities": 9, "missing": 0, "metrics": metrics,
         "comparisons": [{"peer": p, "outcome": outcome.get(p, "beats")} for p in losses
                         if p != "system"]},
        12.0,
    )  # fmt: skip


def test_all_that_is_asked_of_a_case_can_be_met():
    found = depletion_cases.checks([result(), result("b", ours=0.1702, gamma=0.21)])
    assert all(check.passed for check in found)
    assert found[0].cells[1:3] == ("1 of 2", "at least 1")
    assert [check.found for check in found[2:4]] == ["15.0%", "29.2%"]


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({"reference": "loses"}, "a: IBS"),
        ({"ours": 0.1702, "gap": 0.25, "gamma": 0.21}, "IBS below the reference"),
        ({"gamma": 0.199}, "a: IBS under gamma_poisson_lomax"),
        ({"gap": 0.22}, "a: IBS under median_gap_minus_elapsed, the best gap rule"),
        ({"hits": (0.39, 0.7)}, "a: within 3 days of the best 7-day window"),
        ({"hits": (0.5, 0.59)}, "a: within 7 days of the best 7-day window"),
    ],
)
def test_each_demand_can_fail_on_its_own(changed, failing):
    found = {check.what: check.passed for check in depletion_cases.checks([result(**changed)])}
    assert [what for what, passed in found.items() if not passed] == [failing]


def test_the_table_holds_everybody_the_judge_measured():
    text = depletion_cases.metrics([result()])
    assert text.splitlines()[2].startswith("| a | system | 0.1700 | 0.6000 | 0.4000 |")
    assert text.count("\n") == 2 + 2 + len(RULES)


@pytest.mark.real
def test_the_judge_accepts_our_predictions_of_pairs(pair_case, tmp_path, quick, real_judge):
    cases = pair_case.folder.parent
    part = depletion_cases.judged(cases, real_judge, tmp_path, keep=False)
    said = {check.what: check for check in part.checks}
    assert said["cases without a verdict"].passed is True
    assert said["made: IBS"].passed is True  # the reference knows nothing of the pairs
    assert "| made | " in part.tables
    assert "missing" not in part.tables
    assert depletion_cases.judged(cases, real_judge, tmp_path, keep=True) == part
    intervals = depletion_cases.covered(cases, tmp_path)
    shares = [float(check.found) for check in intervals.checks[:2]]
    assert all(0.5 < share < 1 for share in shares)
