"""How many unusable rows each table may have, and what each caller is told where it has more."""

import polars as pl
import pytest

import ppi_ml
from ppi_ml import inputs
from ppi_ml.config import Config
from ppi_ml.errors import DataError, UsageError

N = 20


def lines(bad=0):
    return pl.DataFrame(
        {
            "order_id": [f"o{n}" for n in range(N)],
            "line_id": ["1"] * N,
            "customer_id": [f"c{n % 5}" for n in range(N)],
            "occurred_at": [f"2024-01-{1 + n:02}T10:00:00" for n in range(N)],
            "quantity": [-1] * bad + [1] * (N - bad),
        }
    )


def refunds(*amounts):
    return pl.DataFrame(
        {
            "refund_id": [f"r{n}" for n in range(len(amounts))],
            "customer_id": ["c1"] * len(amounts),
            "occurred_at": ["2024-01-20T10:00:00"] * len(amounts),
            "amount": amounts,
        }
    )


def consents(*granted, **columns):
    rows = {
        "customer_id": [f"c{n % 5}" for n in range(len(granted))],
        "purpose": ["profiling"] * len(granted),
        "granted": granted,
        "occurred_at": [f"2024-01-20T10:{n:02}:00" for n in range(len(granted))],
    }
    return pl.DataFrame({**rows, **columns})


def load(bad_lines=0, *amounts, **settings):
    return ppi_ml.load(
        {"order_lines": lines(bad_lines), "refunds": refunds(*(amounts or (3.0,)))}, **settings
    )


def test_a_small_table_is_let_through_by_name_and_the_lines_stay_strict():
    with pytest.raises(DataError) as error:
        load(0, 3.0, -1.0)
    assert str(error.value) == (
        "refunds: 1 of 2 rows (50.0%) would be quarantined, more than max_quarantined (5.0%) "
        "allows: amount must be > 0: 1. Mend the export, or, if these rows may be left out, allow "
        'it for this table alone: max_quarantined={"refunds": 0.5}'
    )
    assert load(0, 3.0, -1.0, max_quarantined={"refunds": 0.5}).tables["refunds"].frame.height == 1
    with pytest.raises(DataError, match=r"^order_lines: 2 of 20 rows \(10.0%\)"):
        load(2, 3.0, -1.0, max_quarantined={"refunds": 0.5})


def test_the_advice_leaves_the_other_limits_as_they_are():
    with pytest.raises(DataError, match=r'max_quarantined=\{"order_lines": 0.3, "refunds": 0.67\}'):
        load(3, -1.0, 3.0, -2.0, max_quarantined=0.3)
    with pytest.raises(DataError, match=r'\{"refunds": 0.5, "order_lines": 0.15\}$'):
        load(3, max_quarantined={"refunds": 0.5})
    allowed = {"refunds": 0.67, "order_lines": 0.15}
    assert load(3, -1.0, 3.0, -2.0, max_quarantined=allowed).tables["refunds"].frame.height == 1


def test_a_table_of_which_nothing_is_left_is_absent():
    """One row, and that one bad: there is nothing to say when its record began."""
    log = load(0, -1.0, max_quarantined={"refunds": 1.0})
    assert list(log.tables) == ["order_lines"]
    assert "refunds: all rows are quarantined, so treated as absent" in log.report.notes
    assert log.report.tables["refunds"].quarantined == {"amount must be > 0": 1}
    assert log.report.quarantine["refunds"].height == 1


@pytest.mark.parametrize("share", [1.5, -0.1, {"refunds": 2.0}])
def test_a_share_is_one(share):
    with pytest.raises(UsageError, match="expected a share from 0 to 1, got"):
        load(max_quarantined=share)


def test_a_table_that_is_none_is_pointed_at():
    with pytest.raises(DataError, match=r'unknown table "refund". Did you mean refunds\?'):
        load(max_quarantined={"refund": 1.0})


# ------------------------------------------------------------------ in a config
def from_config(tmp_path, *sets):
    lines().write_csv(tmp_path / "order_lines.csv")
    refunds(-1.0).write_csv(tmp_path / "refunds.csv")
    data = {
        "source": "files",
        "tables": {n: {"path": str(tmp_path / f"{n}.csv")} for n in ("order_lines", "refunds")},
    }
    return inputs.load_log(Config.read({"data": data, "target": {"name": "churn"}}, sets).data)


def test_a_config_names_tables_too(tmp_path):
    with pytest.raises(DataError, match=r"more than data.max_quarantined \(5.0%\)") as error:
        from_config(tmp_path)
    advice = str(error.value).rsplit("alone: ", 1)[1]
    assert advice == "data.max_quarantined: {refunds: 1.0}"
    path, value = advice.split(": ", 1)
    assert list(from_config(tmp_path, f"{path}={value}").tables) == ["order_lines"]
    assert list(from_config(tmp_path, "data.max_quarantined.refunds=1").tables) == ["order_lines"]


# ------------------------------------------------------------------ consents
def test_what_cannot_be_read_of_a_consent_is_a_no_up_to_the_limit():
    told = ["yes"] * 38 + ["perhaps", "N"]
    log = ppi_ml.load({"order_lines": lines(), "consents": consents(*told)})
    assert log.tables["consents"].frame["granted"].to_list().count("no") == 2
    assert log.report.tables["consents"].rows_guessed == 1
    assert ppi_ml.build_features(log, ["2024-02-01"]).index.get_level_values(0).unique().to_list(
    ) == ["c0", "c1", "c2"]  # fmt: skip
    many = {"order_lines": lines(), "consents": consents(*told, "in", "out", "in")}
    with pytest.raises(
        DataError, match=r"consents: 4 of 43 rows \(9.3%\) would be quarantined or "
    ):
        ppi_ml.load(many)
    assert ppi_ml.load(many, max_quarantined={"consents": 0.1})


def test_a_denial_that_cannot_be_read_stops_the_load_whatever_the_limit():
    """And yet none of its cells is repeated."""
    times = ["2024-01-20T10:00:00"] * 99 + ["20.1.2024"]
    table = consents(*["yes"] * 99, "no", occurred_at=times)
    with pytest.raises(DataError) as error:
        ppi_ml.load({"order_lines": lines(), "consents": table}, max_quarantined=1.0)
    assert "row 99: occurred_at must be an ISO date or time" in str(error.value)
    assert "20.1.2024" not in str(error.value)
    fine = table.with_columns(granted=pl.lit("yes"))
    raw = {"order_lines": lines(), "consents": fine.unique("customer_id", keep="last")}
    assert ppi_ml.load(raw, max_quarantined=0.5).tables["consents"].frame.height == 4


def test_purposes_that_nobody_reads_are_told_without_a_customers_word():
    rows = [("profilng", 3), ("marketing", 25), ("Jane asked by phone", 2)]
    purposes = [word for word, n in rows for _ in range(n)]
    table = consents(*["no"] * 30, purpose=purposes, customer_id=[f"c{n}" for n in range(30)])
    notes = ppi_ml.load({"order_lines": lines(), "consents": table}).report.notes
    told = [note for note in notes if "purposes" in note]
    assert told == [
        "consents: 30 of 30 rows are about purposes that nothing reads; only profiling is read. "
        "Unread: marketing (25), other words (2). Is profiling meant by profilng (3)? As it is "
        "written, what these rows deny is not heeded"
    ]


# ------------------------------------------------------------------ a request
def test_a_request_names_the_row_and_the_field(trained):
    run, _ = trained
    scorer = ppi_ml.Scorer.load(run.bundle)
    row = {"order_id": "o", "line_id": "1", "customer_id": "jane", "quantity": 1.0,
           "occurred_at": "2019-05-01T10:00:00"}  # fmt: skip
    bad = [row, {**row, "line_id": "2", "quantity": -2.0}, {**row, "line_id": "3"}]
    with pytest.raises(DataError) as error:
        scorer.one({"order_lines": bad}, cutoff="2019-06-01")
    assert str(error.value) == (
        "order_lines: row 1, quantity: quantity must be > 0 (rows are counted from 0). A request "
        "is answered only if every row of it can be read: mend the row, or leave it out"
    )
    perhaps = {"customer_id": "jane", "purpose": "profiling", "granted": "perhaps",
               "occurred_at": "2019-01-01T10:00:00"}  # fmt: skip
    with pytest.raises(DataError, match=r"^consents .*row 0: granted must be one of"):
        scorer.one({"order_lines": [row], "consents": [perhaps]}, cutoff="2019-06-01")
    denied = {**perhaps, "granted": "f"}
    said = scorer.one({"order_lines": [row], "consents": [denied]}, cutoff="2019-06-01")
    assert said.status == "no_consent"
