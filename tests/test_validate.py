"""ppi-ml validate: what is printed, what is saved, what it is compared with, and when it fails."""

import json
import shutil

import polars as pl
import pytest
from typer.testing import CliRunner

import ppi_ml as ppi
from ppi_ml import bundle, cli, instants, last_training
from ppi_ml.config import Config
from ppi_ml.errors import DataError
from ppi_ml.inputs import data_settings
from ppi_ml.instants import Cutoff

LINES = """order_id,line_id,customer_id,occurred_at,sku,quantity,unit_price
1,1,ann.lee@example.com,2026-01-05 10:00,x,1,3.50
1,2,ann.lee@example.com,2026-01-05 10:00,y,2,1.00
2,1,bob.ray@example.com,2026-01-09 12:00,x,1,3.50
"""
RETURNS = """return_id,customer_id,order_id,sku,occurred_at
r1,ann.lee@example.com,1,x,2026-01-04 09:00
r2,cy.moe@example.com,7,z,2026-01-12 09:00
"""
CUSTOMERS = ("ann.lee", "bob.ray", "cy.moe")


def ppi_ml(*args):
    return CliRunner().invoke(cli.app(), [str(arg) for arg in args])


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with lines and returns, seen from a place where nothing was ever trained."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "order_lines.csv").write_text(LINES)
    (folder / "returns.csv").write_text(RETURNS)
    return folder


# ------------------------------------------------------------------ what is told
def test_an_export_of_which_nothing_can_be_read_is_told_row_by_rule(shop, tmp_path):
    lines = LINES.replace("2026-01-05 10:00", "05.01.2026").replace("2026-01-09 12:00", "9.1.26")
    (shop / "order_lines.csv").write_text(lines)
    ended = ppi_ml("validate", shop, "--quiet", "--quarantine", tmp_path / "lost")
    assert ended.exit_code == 3
    assert "order_lines: 3 rows in = 0 kept + 0 repaired + 3 quarantined" in ended.stdout
    rule = "occurred_at must be an ISO date or time"
    assert f"  quarantined          3  {rule}" in ended.stdout.splitlines()
    assert f"no order line is left; all rows are quarantined: {rule}: 3" in ended.stderr
    kept = pl.read_parquet(tmp_path / "lost" / "order_lines.parquet")
    assert kept["rule"].to_list() == [rule] * 3
    told = json.loads(ppi_ml("validate", shop, "--quiet", "--json").stdout)
    assert told["tables"]["order_lines"]["quarantined"] == {rule: 3}
    with pytest.raises(DataError) as caught:
        ppi.load(shop)
    assert "allows: occurred_at must be an ISO date or time: 3. " in str(caught.value)
    assert "look like 99.99.9999 (2 rows), 9.9.99 (1 row), " in str(caught.value)
    assert str(caught.value).endswith(". Mend the export")


def test_rows_checks_and_the_lack_of_a_comparison_are_printed(shop):
    ended = ppi_ml("validate", shop, "--quiet")
    assert ended.exit_code == 0, ended.output
    for line in (
        "order_lines: 3 rows in = 3 kept + 0 repaired + 0 quarantined",
        "           1 of 2 (50.00%)  returns.order_id: an order that order_lines does not have",
        "           1 of 2 (50.00%)  returns.sku: a product that is neither sold nor listed",
        "           1 of 2 (50.00%)  returns.customer_id: a customer without an order",
        "           1 of 1 (100.00%)  returns: sent back before it was ordered, by 25.0 hours in "
        "the median",
        "           2 of 2 units, of 2 of 2 pairs of a customer and a product",
        "in the future: none",
        "money: no currency is stated, so amounts are in an unknown one",
        "drift: no training on these data to compare with; --against names a run or a report",
    ):
        assert line in ended.stdout.splitlines()
    assert not any(name in ended.output for name in CUSTOMERS)


def test_json_holds_all_of_it(shop):
    told = json.loads(ppi_ml("validate", shop, "--json", "--quiet").stdout)
    assert set(told) == {"tables", "notes", "duplicates", "summaries", "checks", "drift"}
    assert told["drift"] is None
    assert told["checks"]["sent_back"]["units"] == 2
    assert told["checks"]["ahead"] == {"order_lines": 0, "returns": 0}
    assert told["summaries"]["returns"]["columns"]["sku"]["kind"] == "id"
    assert not any(name in json.dumps(told) for name in CUSTOMERS)


def test_events_after_the_present_are_quarantined_and_those_of_today_counted(shop, monkeypatch):
    monkeypatch.setattr(instants, "present", lambda: Cutoff.parse("2026-01-10 09:00", "UTC").at)
    late = "3,1,ann.lee@example.com,{},x,1,3.50\n"
    (shop / "returns.csv").unlink()
    today = LINES + late.format("2026-01-10 10:00")
    (shop / "order_lines.csv").write_text(today)
    lines = ppi_ml("validate", shop, "--quiet").stdout.splitlines()
    assert lines[lines.index("in the future:") + 1].split() == ["1", "order_lines"]
    (shop / "order_lines.csv").write_text(
        today + late.format("2199-01-05 10:00").replace("3,", "4,")
    )
    ended = ppi_ml("validate", shop, "--quiet")
    assert ended.exit_code == 3
    assert "quarantined          1  occurred_at lies after the present instant" in ended.stdout
    assert "order_lines: 20.0% of the rows are unusable" in ended.stderr


@pytest.mark.parametrize("suffix", ["json", "txt", "html"])
def test_the_report_is_saved_as_it_is_printed(shop, suffix):
    out = shop.parent / "deep" / f"report.{suffix}"
    ended = ppi_ml("validate", shop, "--quiet", "--out", out, *(["--json"] * (suffix == "json")))
    assert ended.exit_code == 0, ended.output
    saved = out.read_text(encoding="utf-8")
    if suffix == "json":
        assert json.loads(saved) == json.loads(ended.stdout)
    elif suffix == "txt":
        assert saved == ended.stdout
    else:
        assert saved.startswith("<!doctype html>")
        assert "returns.order_id: an order that order_lines does not have" in saved


def test_a_name_that_says_no_format_is_refused_before_anything_is_read(shop):
    ended = ppi_ml("validate", shop / "none.csv", "--out", "report.xlsx")
    assert ended.exit_code == 2
    assert "--out: expected a name that ends in .json, .html, .txt" in ended.stderr


# ------------------------------------------------------------------ against a report
def many(folder, rows=600, promised=True):
    """Lines and parcels of 40 customers over 300 days."""
    days = pl.Series([300 * n / rows for n in range(rows)])
    start = pl.datetime(2026, 1, 1) + pl.duration(minutes=(days * 1440).cast(pl.Int64))
    lines = pl.select(
        order_id=pl.format("o{}", pl.int_range(rows)), line_id=pl.lit("1"),
        customer_id=pl.format("ann-{}@example.com", pl.int_range(rows) % 40),
        occurred_at=start, sku=pl.lit("x"), unit_price=pl.lit(3.5),
    )  # fmt: skip
    parcels = lines.select(
        "customer_id", "order_id", pl.col("occurred_at") + pl.duration(days=1),
        shipment_id="order_id", promised_at=pl.col("occurred_at") + pl.duration(days=4),
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    lines.write_csv(folder / "order_lines.csv")
    parcels.drop(() if promised else "promised_at").write_csv(folder / "shipments.csv")
    return folder


def test_the_report_of_yesterday_says_what_is_gone_today(shop):
    folder, before = many(shop.parent / "many"), shop.parent / "before.json"
    assert ppi_ml("validate", folder, "--out", before, "--quiet").exit_code == 0
    same = ppi_ml("validate", folder, "--against", before, "--quiet")
    assert same.exit_code == 0, same.output
    assert f"drift since {before}: none" in same.stdout
    many(folder, promised=False)
    ended = ppi_ml("validate", folder, "--against", before, "--quiet")
    assert ended.exit_code == 3
    assert f"drift since {before}:" in ended.stdout
    assert (
        "  gone   shipments.promised_at: filled in 100.0% of the rows; now no such column: "
        "features made of it are null"
    ) in ended.stdout.splitlines()
    assert (
        f"the model of {before} reads what is not there any more: shipments.promised_at; mend the "
        "export, or train again without it"
    ) in ended.stderr
    told = json.loads(ppi_ml("validate", folder, "--against", before, "--json").stdout)["drift"]
    assert told["against"] == str(before)
    assert [(d["place"], d["gone"]) for d in told["found"]] == [("shipments.promised_at", True)]
    assert "example.com" not in ended.output


def test_a_table_that_ended_long_before_the_orders_is_gone(shop):
    folder, before = many(shop.parent / "many"), shop.parent / "before.json"
    ppi_ml("validate", folder, "--out", before, "--quiet")
    parcels = pl.read_csv(folder / "shipments.csv")
    parcels.filter(pl.col("occurred_at") < "2026-09-01").write_csv(folder / "shipments.csv")
    ended = ppi_ml("validate", folder, "--against", before, "--quiet")
    assert ended.exit_code == 3
    assert (
        "  gone   shipments: up to date; now nothing since 2026-08-31, though the order lines go on"
    ) in ended.stdout
    tables = {n: {"path": str(folder / f"{n}.csv")} for n in ("order_lines", "shipments")}
    patient = {"source": "files", "max_staleness": "90d", "tables": tables}
    config = shop.parent / "shop.yaml"
    config.write_text(json.dumps({"data": patient, "target": {"name": "churn"}}))
    ended = ppi_ml("validate", config, "--against", before, "--quiet")
    assert ended.exit_code == 0, ended.output


def in_berlin(folder, currency="EUR"):
    """The report of a config that says zone and currency, both of which files do not tell."""
    lines = pl.read_csv(folder / "order_lines.csv")
    lines.with_columns(currency=pl.lit(currency)).write_csv(folder / "order_lines.csv")
    config, before = folder.parent / "berlin.yaml", folder.parent / "before.json"
    data = {"source": "files", "path": str(folder), "timezone": "Europe/Berlin"}
    config.write_text(json.dumps({"data": data, "target": {"name": "churn"}}))
    assert ppi_ml("validate", config, "--out", before, "--quiet").exit_code == 0
    return config, before


def test_a_folder_is_read_in_zone_and_money_of_what_it_is_compared_with(shop):
    """As ppi-ml score reads it; else every table would differ in its zone, products too."""
    folder = many(shop.parent / "many")
    (folder / "products.csv").write_text("sku,category\nx,tea\n")
    _, before = in_berlin(folder)
    pl.read_csv(folder / "order_lines.csv").drop("currency").write_csv(folder / "order_lines.csv")
    ended = ppi_ml("validate", folder, "--against", before, "--json", "--quiet")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["drift"]["found"] == []
    assert {s["timezone"] for s in told["summaries"].values()} == {"Europe/Berlin"}
    assert told["summaries"]["order_lines"]["money"] == "EUR"
    text = ppi_ml("validate", folder, "--against", before, "--quiet").stdout
    assert "read in days of Europe/Berlin, money in EUR" in text.splitlines()


def test_another_zone_or_currency_is_told_once_and_fails(shop):
    folder = many(shop.parent / "many")
    config, before = in_berlin(folder)
    asked = ("--set", "data.timezone=UTC")
    for data in (folder, config):
        ended = ppi_ml("validate", data, *asked, "--against", before, "--quiet")
        assert ended.exit_code == 3
        lines = ended.stdout.splitlines()
        assert [line for line in lines if "now UTC" in line] == [
            "  other  data.timezone: Europe/Berlin; now UTC: days are other days, so scoring "
            "refuses it"
        ]
        assert f"the model of {before} counts otherwise: data.timezone; read the" in ended.stderr
        assert "not there any more" not in ended.stderr
    lines = pl.read_csv(folder / "order_lines.csv")
    lines.with_columns(currency=pl.lit("USD")).write_csv(folder / "order_lines.csv")
    ended = ppi_ml("validate", config, "--against", before, "--quiet")  # it states no currency
    assert ended.exit_code == 3
    assert "  other  data.currency: EUR; now USD: scoring refuses it" in ended.stdout
    ended = ppi_ml("validate", folder, "--against", before, "--quiet")
    assert ended.exit_code == 3
    assert "column currency holds USD; expected EUR only" in ended.stderr


WRONG = {
    "nothing there": (None, "expected the folder of a run, or a load report"),
    "no JSON": ("not json", "not a load report that says what its columns looked like"),
    "another JSON": ("[1]", "not a load report that says what its columns looked like"),
    "a report without summaries": (
        '{"tables": {"order_lines": {"rows_in": 3}}, "notes": []}',
        "train again, or write one with ppi-ml validate --out",
    ),
    "a report without tables": (
        '{"tables": {}, "summaries": {}}',
        "not a load report that says what its columns",
    ),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_compared_is_refused(shop, content, message):
    path = shop.parent / "before.json"
    if content is not None:
        path.write_text(content)
    ended = ppi_ml("validate", shop, "--against", path)
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert str(path) in ended.stderr


# ------------------------------------------------------------------ against a training
@pytest.fixture
def brand(trained, tmp_path, monkeypatch):
    """The events of a trained model as files, and a config of them with the name of that run."""
    run, log = trained
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "brand"
    folder.mkdir()
    for name in log.tables:
        getattr(log, name).to_parquet(folder / f"{name}.parquet")
    config = {
        "name": run.config.name,
        "data": {
            "source": "files", "timezone": log.timezone, "currency": log.currency,
            "tables": {name: {"path": str(folder / f"{name}.parquet")} for name in log.tables},
        },
        "target": {"name": "churn"},
        "output": {"folder": str(run.folder.parent)},
    }  # fmt: skip
    (tmp_path / "brand.yaml").write_text(json.dumps(config))
    return tmp_path / "brand.yaml"


def rename_column(config, table, column):
    path = config.parent / "brand" / f"{table}.parquet"
    pl.read_parquet(path).rename({column: f"{column}_of_shop"}).write_parquet(path)


def test_training_leaves_a_report_to_compare_with(trained):
    run, log = trained
    stored = json.loads((run.folder / "load_report.json").read_text())
    summary = stored["summaries"]["returns"]
    assert summary["rows"] == log.tables["returns"].frame.height
    assert (summary["timezone"], summary["money"]) == (log.timezone, None)
    assert stored["summaries"]["order_lines"]["money"] == log.currency


def test_a_config_with_a_name_of_its_own_is_compared_with_its_newest_training(brand, trained):
    """Wherever its data lie; the name of the target alone is that of every shop's config."""
    alone = ppi_ml("validate", brand, "--quiet")
    assert "drift: no training on these data to compare with" in alone.stdout
    run = shutil.copytree(trained[0].folder, brand.parent / "runs" / trained[0].folder.name)
    told = json.loads(brand.read_text()) | {"name": "brand", "output": {"folder": str(run.parent)}}
    brand.write_text(json.dumps(told))
    elsewhere = Config.read(run / "config.yaml", environ={}).to_dict() | {"name": "brand"}
    (run / "config.yaml").write_text(json.dumps(elsewhere))
    ended = ppi_ml("validate", brand, "--quiet")
    assert ended.exit_code == 0, ended.output
    assert f"drift since {run}: none" in ended.stdout
    rename_column(brand, "returns", "sku")
    ended = ppi_ml("validate", brand, "--quiet")
    assert ended.exit_code == 3
    assert "  gone   returns.sku: " in ended.stdout
    assert f"the model of {run} reads what is not there any more" in ended.stderr


def test_what_the_model_does_not_read_may_go(brand, trained, tmp_path):
    """A run whose log had surveys, which no family of its bundle needs."""
    run = shutil.copytree(trained[0].folder, tmp_path / "run")
    stored = json.loads((run / "load_report.json").read_text())
    for part in (stored["tables"], stored["summaries"]):
        part["surveys"] = part["returns"]
    (run / "load_report.json").write_text(json.dumps(stored))
    ended = ppi_ml("validate", brand, "--against", run, "--quiet")
    assert ended.exit_code == 0, ended.output
    assert "  moved  surveys: " in ended.stdout
    assert "now none: the model does not read it" in ended.stdout
    shutil.rmtree(run / "bundle")  # nothing tells what is read any more
    assert ppi_ml("validate", brand, "--against", run, "--quiet").exit_code == 3


def test_what_a_model_reads_of_a_log(trained):
    found = last_training.read(trained[0].folder)
    assert found.reads == {"order_lines", "returns"}
    assert {"order_lines.channel", "returns.reason"} <= found.unread
    assert not {"order_lines.promo_code", "returns.sku"} & found.unread
    assert (found.settings.timezone, found.settings.currency) == (trained[1].timezone, "GBP")


def test_a_column_that_no_feature_is_made_of_may_go(brand, trained):
    path = brand.parent / "brand/returns.parquet"
    whole = pl.read_parquet(path)
    whole.with_columns(reason=pl.lit("too small")).write_parquet(path)
    before = brand.parent / "before.json"
    assert ppi_ml("validate", brand, "--out", before, "--quiet").exit_code == 0
    whole.drop("reason").write_parquet(path)
    run = shutil.copytree(trained[0].folder, brand.parent / "run")
    shutil.copy(before, run / "load_report.json")
    ended = ppi_ml("validate", brand, "--against", run, "--quiet")
    assert ended.exit_code == 0, ended.output
    assert "  moved  returns.reason: filled in 100.0% of the rows; now no such" in ended.stdout
    assert ppi_ml("validate", brand, "--against", before, "--quiet").exit_code == 3  # who knows


def test_a_folder_is_read_as_its_own_newest_training_was(brand, trained, tmp_path, monkeypatch):
    """By the names of its columns too, which a folder does not tell."""
    run = shutil.copytree(trained[0].folder, tmp_path / "mlruns/runs" / trained[0].folder.name)
    told = Config.read(brand).to_dict()
    told["data"]["tables"]["returns"]["columns"] = {"sku": "sku_of_shop"}
    (run / "config.yaml").write_text(json.dumps(told))
    rename_column(brand, "returns", "sku")
    monkeypatch.chdir(tmp_path)
    ended = ppi_ml("validate", "brand", "--quiet")
    assert ended.exit_code == 0, ended.output
    assert f"drift since {run.relative_to(tmp_path)}: none" in ended.stdout


LOGGED = ("order_lines", "returns", "surveys", "consents", "stock")


@pytest.mark.parametrize(
    ("families", "entity", "reads"),
    [
        (["orders", "returns"], "customer", {"order_lines", "returns", "consents"}),
        (["surveys"], "customer", {"order_lines", "surveys", "consents"}),
        (["orders", "one_of_their_own"], "customer", set(LOGGED)),
        (["orders"], "customer_product", set(LOGGED)),
        (["orders"], "order", set(LOGGED)),
    ],
)
def test_what_no_family_needs_is_not_read(tmp_path, families, entity, reads):
    files = {
        "state.json": {"tables": {name: {} for name in LOGGED}},
        "features.json": {"families": families},
        "target.json": {"entity": entity},
    }
    bundle.save(tmp_path / "bundle", files, {})
    (tmp_path / "load_report.json").write_text(
        '{"tables": {"a": {}}, "summaries": {"a": {"columns": {}}}}'
    )
    found = last_training.read(tmp_path)
    assert found.reads == reads
    assert bool(found.unread) == ("one_of_their_own" not in families)


@pytest.mark.parametrize(
    ("rows", "unread"),
    [({}, True), ({"product": "department", "group": None}, False),
     ({"product": "sku", "group": "department"}, False)],
)  # fmt: skip
def test_what_a_product_is_is_read(tmp_path, rows, unread):
    files = {
        "state.json": {"tables": {"products": {}}},
        "features.json": {"families": []},
        "target.json": {"entity": "customer_product", "rows": rows},
    }
    bundle.save(tmp_path / "bundle", files, {})
    (tmp_path / "load_report.json").write_text(
        '{"tables": {"a": {}}, "summaries": {"a": {"columns": {}}}}'
    )
    assert ("products.department" in last_training.read(tmp_path).unread) == unread


def test_a_damaged_bundle_is_no_measure(brand, trained, tmp_path):
    run = shutil.copytree(trained[0].folder, tmp_path / "run")
    (run / "bundle" / "state.json").write_text("{}")
    ended = ppi_ml("validate", brand, "--against", run, "--quiet")
    assert ended.exit_code == 4
    assert "state.json" in ended.stderr


# ------------------------------------------------------------------ which training
@pytest.fixture
def runs(tmp_path, monkeypatch):
    """runs(stamp, config) -> a run folder below mlruns/runs."""
    monkeypatch.chdir(tmp_path)

    def make(stamp, **config):
        folder = tmp_path / "mlruns" / "runs" / f"some-{stamp}-0a1b2c"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(json.dumps(config))
        (folder / "load_report.json").write_text('{"tables": {}}')
        return folder

    return make


def newest(path):
    found = last_training.newest(path, data_settings(path))
    return found and found.resolve()


def test_files_are_known_by_the_place_where_they_lie(runs, tmp_path):
    lines = many(tmp_path / "many") / "order_lines.csv"
    assert newest(lines) is None
    here = {"source": "files", "tables": {"order_lines": {"path": "many/order_lines.csv"}}}
    old = runs("20260101T000000", name="a", data=here)
    assert newest(lines) == old
    new = runs("20260301T000000", name="b", data=here)
    runs("20260201T000000", name="c", data=here)
    elsewhere = {"source": "files", "tables": {"order_lines": {"path": "other/order_lines.csv"}}}
    runs("20260401T000000", name="d", data=elsewhere)
    flat = {"source": "flat", "path": str(lines)}
    assert newest(lines) == new
    assert newest(tmp_path / "many") is None  # the folder has parcels too
    both = runs("20260402T000000", name="f", data={"source": "files", "path": "many"})
    assert newest(tmp_path / "many") == both
    every = {n: {"path": f"many/{n}.csv"} for n in ("order_lines", "shipments")}
    named = runs("20260403T000000", name="g", data={"source": "files", "tables": every})
    assert newest(tmp_path / "many") == named
    runs("20260404T000000", name="h", data={"source": "files", "path": "gone"})
    assert newest(tmp_path / "many") == named
    assert newest(lines) != runs("20260501T000000", name="e", data=flat).parent
    assert newest(lines).name.startswith("some-20260501")


def test_a_file_is_known_as_one_of_several_tables_too(runs, tmp_path):
    lines = many(tmp_path / "many") / "order_lines.csv"
    every = {n: {"path": f"many/{n}.csv"} for n in ("order_lines", "shipments")}
    both = runs("20260401T000000", name="own", data={"source": "files", "tables": every})
    assert newest(lines) == both
    runs("20260402T000000", name="own", data={"source": "files", "path": "elsewhere"})
    assert newest(lines) == both
    alone = runs("20260101T000000", name="a", data={"source": "flat", "path": str(lines)})
    assert newest(lines) == alone
    config = tmp_path / "mine.yaml"
    config.write_text(json.dumps({"data": {"source": "flat", "path": "many/shipments.csv"},
                                  "target": {"name": "churn"}}))  # fmt: skip
    assert newest(config) is None


def test_what_is_no_whole_run_is_passed_over(runs, tmp_path):
    lines = many(tmp_path / "many") / "order_lines.csv"
    here = {"source": "files", "tables": {"order_lines": {"path": str(lines)}}}
    whole = runs("20260101T000000", name="a", data=here)
    (runs("20260201T000000", name="a", data=here) / "load_report.json").unlink()
    (runs("20260301T000000", name="a", data=here) / "config.yaml").write_text("{a: [")
    partial = runs("20260401T000000", name="a", data=here)
    partial.rename(partial.with_name(f".{partial.name}"))
    (tmp_path / "mlruns/runs/latest").symlink_to(whole)
    assert newest(lines) == whole


def test_the_copy_that_ships_is_a_place_too(runs, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("name: mine\ndata: {source: online_retail}\ntarget: {name: churn}\n")
    runs("20260301T000000", name="theirs", data={"source": "cdnow", "path": "x"})
    assert newest(config) is None
    demo = runs("20260101T000000", name="demo", data={"source": "online_retail", "path": None})
    assert newest(config) == demo
    own = runs("20260201T000000", name="mine", data={"source": "files", "path": "x"})
    assert newest(config) == own
