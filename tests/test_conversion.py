"""`data.rates`: money of other currencies is that of the log, as if the shop had converted it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import PRESENT
from tests.loadings import SMALL, check_requests, from_folder, how_read, shop_of
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import bundle as bundles
from ppi_ml import cli, inputs
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.scoring import Scorer
from ppi_ml.training import train

RATES = {"USD": 0.92, "GBP": 1.17}
AT = "2026-01-02T10:00:00"


def lines(*cells):
    """Order lines with (price, discount, currency) each."""
    return pl.DataFrame(
        [
            {"order_id": f"o{i}", "line_id": "1", "customer_id": "a", "occurred_at": AT,
             "quantity": 2, "unit_price": price, "discount": off, "currency": code}
            for i, (price, off, code) in enumerate(cells)
        ],
        infer_schema_length=None,
    )  # fmt: skip


def refunds(*cells):
    """Refunds with (amount, currency) each."""
    return pl.DataFrame(
        [
            {"refund_id": f"r{i}", "customer_id": "a", "occurred_at": AT, "amount": amount,
             "currency": code}
            for i, (amount, code) in enumerate(cells)
        ],
        infer_schema_length=None,
    )  # fmt: skip


def load(tables, rates=RATES, currency="EUR", **how):
    told = {"now": PRESENT, "max_quarantined": 0.9, **how}
    return ppi_ml.load(tables, rates=rates, currency=currency, **told)


def notes(log):
    return [note for note in log.report.notes if "convert" in note or note.startswith("rates")]


MIXED = {
    "order_lines": lines((10.0, 1.0, "USD"), (10.0, None, "EUR"), (3.0, 0.5, " gbp"),
                         (4.0, 1.0, None), (None, None, "USD")),
    "refunds": refunds((5.0, "GBP"), (2.0, "EUR")),
}  # fmt: skip


# ------------------------------------------------------------------ what is converted
def test_every_amount_of_a_row_is_that_of_the_log():
    log = load(MIXED)
    got = log.tables["order_lines"].frame
    assert got["unit_price"].to_list() == [10 * 0.92, 10.0, 3 * 1.17, 4.0, None]
    assert got["discount"].to_list() == [0.92, None, 0.5 * 1.17, 1.0, None]
    assert got["value_e4"].to_list() == [174_800, 200_000, 64_350, 70_000, None]
    assert log.tables["refunds"].frame["amount_e4"].to_list() == [58_500, 20_000]
    for table in log.tables.values():
        assert set(table.frame["currency"]) == {"EUR"}
    assert (log.currency, log.rates) == ("EUR", RATES)


def test_the_report_counts_the_rows_of_each_currency_and_they_add_up():
    log = load(MIXED)
    assert notes(log) == [
        "order_lines: money of 1 rows was converted from GBP, 1 GBP = 1.17 EUR",
        "order_lines: money of 2 rows was converted from USD, 1 USD = 0.92 EUR",
        "refunds: money of 1 rows was converted from GBP, 1 GBP = 1.17 EUR",
    ]
    told = log.report.tables["order_lines"]
    assert (told.rows_in, told.kept, dict(told.repaired), dict(told.quarantined)) == (5, 5, {}, {})


def test_a_rate_that_nothing_needs_is_told():
    log = load({"order_lines": lines((1.0, None, "EUR"), (1.0, None, "USD"))})
    assert "rates: no row is in GBP, so its rate does nothing" in notes(log)
    bare = load({"order_lines": lines((1.0, None, None)).drop("currency")})
    assert len(notes(bare)) == 2
    assert bare.tables["order_lines"].frame["unit_price"].to_list() == [1.0]


def test_unusable_cells_are_quarantined_as_they_were_read():
    log = load({"order_lines": lines(
        ("12,50", None, "USD"), ("-3", None, "USD"), ("2", "5", "usd"), ("nan", None, "GBP"),
        ("1e308", None, "GBP"), ("8", None, "USD"),
    )})  # fmt: skip
    lost = log.report.quarantine["order_lines"]
    assert dict(zip(lost["value"], lost["rule"], strict=True)) == {
        "12,50": "unit_price must be a number",
        "-3": "unit_price must be >= 0",
        "5": "discount must not exceed quantity * unit_price",
        "nan": "unit_price must be a number",
        "1e308": "unit_price must be <= 1e+11",
    }
    assert lost["row"].to_list() == [0, 1, 2, 3, 4]
    assert log.tables["order_lines"].frame["unit_price"].to_list() == [8 * 0.92]


def test_a_row_without_money_columns_or_of_no_numbers_is_read_as_ever():
    bare = lines((1.0, None, "USD")).drop("unit_price", "discount")
    assert load({"order_lines": bare}).tables["order_lines"].frame["currency"].to_list() == ["EUR"]
    odd = lines((1.0, None, "USD")).with_columns(unit_price=pl.Series([[1.0]]))
    with pytest.raises(DataError, match=r"^order_lines: column unit_price holds List"):
        load({"order_lines": odd})


def test_a_repeated_row_is_still_a_duplicate():
    twice = pl.concat([MIXED["order_lines"]] * 2)
    assert load({"order_lines": twice}).report.tables["order_lines"].duplicate_share == 0.5


def test_rules_see_the_amount_as_it_was_read_and_the_currency_as_it_was_written():
    dear = {"table": "order_lines", "column": "unit_price", "above": 9.5}
    tables = {"order_lines": lines((9.0, None, "GBP"), (10.0, None, "USD"), (-1.0, None, "USD"))}
    log = load(tables, exclude={"dear": dear})
    assert log.tables["order_lines"].frame["unit_price"].to_list() == [9 * 1.17]
    assert log.report.quarantine["order_lines"].select("row", "value").rows() == [(2, "-1.0")]
    pounds = {"table": "order_lines", "column": "currency", "values": ["gbp"]}
    assert load(tables, exclude={"pounds": pounds}).report.tables["order_lines"].excluded == {
        "pounds": 1
    }


# ------------------------------------------------------------------ oracle: converted beforehand
AMOUNTS = st.one_of(
    st.none(), st.integers(-2, 400).map(lambda cents: cents / 20),
    st.sampled_from([0.1, 1e10, 1.2e11, 3.3333, 19.99]),
)  # fmt: skip
CODES = st.sampled_from(["USD", "GBP", "EUR", None, " usd "])
ROWS = st.lists(st.tuples(AMOUNTS, AMOUNTS, CODES), min_size=1, max_size=8)
BACK = st.lists(st.tuples(AMOUNTS, CODES), min_size=1, max_size=4)


def beforehand(amounts, code):
    """What a shop would have written, had it converted the money itself."""
    code = code.strip().upper() if code else "EUR"
    return *(a if a is None or code == "EUR" else a * RATES[code] for a in amounts), "EUR"


def as_text(frame):
    return frame.with_columns(pl.col(pl.Float64).cast(pl.String))


@settings(max_examples=60, deadline=None)
@given(ROWS, BACK, st.booleans())
def test_the_log_is_that_of_a_shop_that_converted_first(bought, paid, text):
    mixed = {"order_lines": lines(*bought, (1.0, None, "EUR")), "refunds": refunds(*paid)}
    own = {
        "order_lines": lines(*(beforehand(row[:-1], row[-1]) for row in bought),
                             (1.0, None, "EUR")),
        "refunds": refunds(*(beforehand(row[:-1], row[-1]) for row in paid)),
    }  # fmt: skip
    if text:
        mixed = {name: as_text(frame) for name, frame in mixed.items()}
    here, there = load(mixed, max_quarantined=1.0), load(own, None, max_quarantined=1.0)
    assert here.fingerprint == there.fingerprint
    for name, table in there.tables.items():
        assert here.tables[name].frame.equals(table.frame)
        told, expected = here.report.tables[name], there.report.tables[name]
        assert (told.kept, told.repaired, told.quarantined) == (
            expected.kept, expected.repaired, expected.quarantined,
        )  # fmt: skip


# ------------------------------------------------------------------ what is refused
@pytest.mark.parametrize(
    ("rates", "currency", "message"),
    [
        (RATES, None, "rates: the currency of the log is needed as well: a rate says what one un"),
        ({"EUR": 1.0}, "EUR", "rates: EUR is the currency of the log, which needs no rate"),
        ({"usd": 1.0}, "EUR", 'rates: expected codes of three capital letters, .*, got "usd"'),
        ({"US Dollar": 1.0}, "EUR", "three capital letters"),
        ({1: 1.0}, "EUR", "three capital letters"),
        ({"USD": 0.0}, "EUR", 'USD: expected a number above 0, what 1 USD is in EUR, got "0.0"'),
        ({"USD": -1}, "EUR", "USD: expected a number above 0"),
        ({"USD": float("nan")}, "EUR", "USD: expected a number above 0"),
        ({"USD": float("inf")}, "EUR", "USD: expected a number above 0"),
        ({"USD": True}, "EUR", "USD: expected a number above 0"),
        ({"USD": "0.92"}, "EUR", "USD: expected a number above 0"),
        ({"USD": 10**400}, "EUR", "USD: expected a number above 0"),
        (["USD"], "EUR", "expected a rate for each currency, such as {USD: 0.92}"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(rates, currency, message):
    with pytest.raises(UsageError, match=message):
        load(MIXED, rates, currency)
    data = {"source": "cdnow", "currency": currency, "rates": rates}
    with pytest.raises(ConfigError, match=r"^data\.rates"):
        Config.read({"data": data, "target": {"name": "churn"}}, environ={})


def test_a_rate_may_be_a_number_of_numpy():
    rates = {"USD": np.float32(0.5), "GBP": np.int64(2)}
    assert load(MIXED, rates).rates == {"GBP": 2.0, "USD": 0.5}


def test_the_currency_of_the_log_may_be_written_in_small_letters():
    data = {"source": "cdnow", "currency": "eur ", "rates": RATES}
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    assert config.data.currency == "EUR"
    log = load(MIXED, currency=" eur")
    assert log.currency == "EUR"
    assert log.fingerprint == load(MIXED).fingerprint
    with pytest.raises(UsageError, match="rates: EUR is the currency of the log"):
        load(MIXED, {"EUR": 1.0}, "eur")
    with pytest.raises(UsageError, match="rates: the currency of the log is needed as well"):
        load(MIXED, currency=" ")
    with pytest.raises(UsageError, match='currency: expected a code such as "EUR", got 3'):
        load(MIXED, currency=3)
    for sign in ("€", "Euro"):
        with pytest.raises(
            UsageError, match=f'currency: expected a code such as "EUR", got "{sign}"'
        ):
            load(MIXED, currency=sign)
        settings = {"data": {"source": "files", "path": "x", "currency": sign},
                    "target": {"name": "churn"}}  # fmt: skip
        with pytest.raises(ConfigError, match=r'^data\.currency: expected a code such as "EUR"'):
            Config.read(settings, environ={})


def test_a_column_of_currencies_that_is_no_text_is_named_with_its_table():
    odd = MIXED["refunds"].with_columns(currency=pl.Series([["GBP"], ["EUR"]]))
    for rates in (RATES, None):
        with pytest.raises(DataError, match=r"^refunds: column currency holds List"):
            load(MIXED | {"refunds": odd}, rates)


def test_a_currency_that_is_wrong_itself_is_told_alone():
    data = {"source": "cdnow", "currency": 3, "rates": RATES}
    with pytest.raises(ConfigError) as error:
        Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    assert str(error.value) == "data.currency: expected text or null, got 3"


def test_a_currency_without_a_rate_is_the_error_it_was_and_names_the_way_out():
    with pytest.raises(DataError, match=r"holds EUR, USD; expected EUR only.*data\.rates"):
        load(MIXED, {"GBP": 1.17})
    with pytest.raises(DataError, match=r"holds EUR, GBP, USD; expected EUR only"):
        load(MIXED, None)


def test_rates_survive_the_config_they_are_written_to():
    sets = {"data.source": "cdnow", "data.currency": "EUR", "data.rates": RATES,
            "target.name": "churn"}  # fmt: skip
    config = Config.read(None, sets, environ={})
    assert config.data.rates == RATES
    assert Config.read(config.to_dict(), environ={}) == config
    assert Config.read(None, {**sets, "data.rates": {**RATES, "USD": 1}}).data.rates["USD"] == 1.0


# ------------------------------------------------------------------ every way in
@pytest.fixture
def folder(tmp_path):
    for name, frame in MIXED.items():
        frame.write_csv(tmp_path / f"{name}.csv")
    return tmp_path


def of_config(**data):
    sets = {"data": {"currency": "EUR", "rates": RATES, **data}, "target.name": "churn"}
    return inputs.load_log(Config.read(None, sets, environ={}).data, now=PRESENT)


def test_files_and_frames_are_read_the_same(folder):
    log = of_config(source="files", path=str(folder))
    assert log.rates == RATES
    assert log.fingerprint == load(MIXED).fingerprint == load(folder).fingerprint
    pandas = {name: frame.to_pandas() for name, frame in MIXED.items()}
    assert load(pandas).fingerprint == log.fingerprint


def test_a_currency_may_be_a_constant_of_a_table(folder):
    refunds((5.0, None)).drop("currency").write_csv(folder / "refunds.csv")
    log = of_config(source="files", path=str(folder),
                    tables={"refunds": {"constants": {"currency": "USD"}}})  # fmt: skip
    assert log.tables["refunds"].frame["amount"].to_list() == [5 * 0.92]


def test_a_database_is_read_the_same(tmp_path):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with sqlalchemy.create_engine(url).begin() as connection:
        for name, frame in MIXED.items():
            frame.to_pandas().to_sql(name, connection, index=False)
    queries = {name: {"query": f"SELECT * FROM {name}"} for name in MIXED}
    log = of_config(source="sql", url=url, tables=queries)
    assert log.fingerprint == load(MIXED).fingerprint


def test_a_flat_table_pays_back_in_the_currency_of_its_line(tmp_path):
    path = tmp_path / "flat.csv"
    flat = MIXED["order_lines"].drop("line_id").rename({"occurred_at": "order_timestamp"})
    flat = flat.with_columns(refund_amount=pl.Series([2.0, None, 3.0, None, None]),
                             refund_timestamp=pl.lit(AT))  # fmt: skip
    flat.write_csv(path)
    log = of_config(source="flat", path=str(path))
    assert log.fingerprint == load(path).fingerprint == load(flat).fingerprint
    assert log.tables["refunds"].frame["amount"].to_list() == [2 * 0.92, 3 * 1.17]
    assert log.tables["order_lines"].frame["unit_price"][0] == 10 * 0.92


# ------------------------------------------------------------------ the bundle knows them


def converted(frames, rates=RATES):
    return shop_of(frames, currency="EUR", rates=rates)


def bought_in(frames, *codes):
    """The shop with the currencies of its orders in turn."""
    of_row = pl.col("order_id").str.slice(1).cast(pl.Int64) % len(codes)
    paid = pl.lit(pl.Series(codes)).gather(of_row)
    return frames | {"order_lines": frames["order_lines"].with_columns(currency=paid)}


@pytest.fixture(scope="module")
def trained_on_both(make_shop, tmp_path_factory):
    """(run, scorer, frames) of a model of a shop that sells in USD and EUR."""
    frames = bought_in(make_shop(seed=1, customers=250, quitters=True), "USD", "EUR", "GBP")
    out = {"output.folder": str(tmp_path_factory.mktemp("runs"))}
    run = train(converted(frames), target="churn", settings=SMALL | out, track=False)
    return run, Scorer.load(run.bundle), frames


def test_the_bundle_records_the_rates(trained_on_both):
    run, scorer, _ = trained_on_both
    assert scorer.config.data.rates == run.config.data.rates == RATES
    assert scorer.config.data.currency == "EUR"
    assert bundles.load(run.bundle).manifest["data"]["rates"] == RATES


def test_a_folder_is_read_with_the_rates_of_the_bundle(trained_on_both, tmp_path):
    run, scorer, frames = trained_on_both
    log = from_folder(scorer, frames, tmp_path)
    got, expected = (found.tables["order_lines"].frame for found in (log, converted(frames)))
    assert got["unit_price"].equals(expected["unit_price"])
    told = "read in days of Europe/London, money in EUR, converted from GBP, USD"
    assert how_read(run, tmp_path) == told
    out = tmp_path / "scores.csv"
    args = ["score", "--model", str(run.bundle), "--data", str(tmp_path), "--out", str(out),
            "--cutoff", "2019-12-01", "--quiet"]  # fmt: skip
    scored = CliRunner().invoke(cli.app(), args)
    assert scored.exit_code == 0, scored.output
    assert "rates" not in scored.output
    frame = scorer.score(converted(frames), "2019-12-01")
    read = pl.read_csv(out)
    assert read["churn_probability"].to_list() == pytest.approx(list(frame["churn_probability"]))


def test_a_request_is_answered_like_the_batch(trained_on_both):
    _, scorer, frames = trained_on_both
    customers = frames["order_lines"]["customer_id"]
    check_requests(scorer, converted(frames), frames, customers.unique().sort())
    own = frames["order_lines"].filter(customer_id=customers[0])
    foreign = own.with_columns(currency=pl.lit("CHF"))
    with pytest.raises(DataError, match="column currency holds CHF; expected EUR only"):
        scorer.one({"order_lines": foreign}, "2020-01-01")


def test_a_log_that_was_loaded_with_other_rates_is_told(trained_on_both):
    _, scorer, frames = trained_on_both
    euros = frames | {"order_lines": frames["order_lines"].drop("currency")}
    logs = [converted(frames), converted(frames, RATES | {"USD": 0.9}), converted(euros, {})]
    found = [
        [n for n in scorer.score(log, "2020-01-01").attrs["notes"] if n.startswith("rates")]
        for log in logs
    ]
    trained = "rates: the model was trained with GBP 1.17, USD 0.92; this log was loaded with"
    assert found == [[], [f"{trained} GBP 1.17, USD 0.9"], [f"{trained} none"]]


def test_a_training_takes_the_rates_of_a_log_and_contradicts_none(make_shop):
    log = converted(bought_in(make_shop(customers=60), "USD", "EUR", "GBP"))
    asked = {"data.currency": "EUR", "data.rates": {"USD": 0.5}}
    with pytest.raises(UsageError, match=r"data\.rates: the log that is given was loaded other"):
        train(log, settings=SMALL | asked)
