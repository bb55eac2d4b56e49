"""`ppi-ml simulate`: a folder that all other commands read, and nothing that is overwritten."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from ppi_ml import cli, inputs, simulate
from ppi_ml.schema import TABLES
from ppi_ml.simulation import folder, history


def ppi_ml(*args):
    return CliRunner().invoke(cli.app(), [str(arg) for arg in args])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "new" / "shop"
    ended = ppi_ml("simulate", "--customers", 60, "--out", out, "--days", 300, "--seed", 5)
    assert ended.exit_code == 0, ended.stderr
    return out, ended


def test_the_folder_holds_what_is_simulated_in_memory(shop):
    out, _ = shop
    made = simulate.simulate_brand(60, 300, 5)
    assert {path.stem for path in out.glob("*.parquet")} == set(TABLES)
    for below, frames in ((".", made.tables), ("truth", made.truth)):
        for name, frame in frames.items():
            assert_frame_equal(pl.read_parquet(out / below / f"{name}.parquet"), frame)
    assert {path.name for path in out.parent.iterdir()} == {"shop"}


def test_it_says_what_it_wrote(shop):
    out, ended = shop
    assert ended.stdout.startswith(f"{out}: 60 customers, 2024-01-01 to 2024-10-27, seed 5\n")
    assert ended.stderr.startswith("simulating 60/60, ")
    assert all(f"\n{name}" in ended.stdout for name in TABLES)
    about = json.loads((out / "truth" / "truth.json").read_text())
    assert about["rows"]["customers"] == about["customers"] == 60
    dials = {**about["effects"], **about["dials"]}
    assert dials == simulate.Brand().to_dict()


def test_other_commands_read_the_folder(shop):
    out, _ = shop
    told = ppi_ml("validate", out, "--json", "--quiet")
    assert told.exit_code == 0, told.stderr
    tables = json.loads(told.stdout)["tables"]
    assert set(tables) == set(TABLES)
    for name, table in tables.items():
        assert table["rows_in"] == table["kept"] > 0, name
    log = inputs.load_log(inputs.data_settings(out))
    own = simulate.simulate_shop(60, days=300, seed=5)
    for name, table in own.tables.items():
        assert_frame_equal(log.tables[name].frame, table.frame)


def test_a_config_names_the_folder_and_no_table(shop, tmp_path):
    """The short config of docs/simulate.md."""
    out, _ = shop
    config = tmp_path / "shop.yaml"
    config.write_text(f"data: {{source: files, path: {out}}}\ntarget: {{name: late_delivery}}\n")
    named, bare = (
        json.loads(ppi_ml("validate", data, "--json", "--quiet").stdout)["tables"]
        for data in (config, out)
    )
    assert named == bare
    assert set(named) == set(TABLES)
    ended = ppi_ml("train", config, "--dry-run", "--quiet")
    assert ended.exit_code == 0, ended.output
    assert "target: late_delivery" in ended.stdout


def test_dials_can_be_set_and_results_are_json(tmp_path):
    out = tmp_path / "shop"
    args = ("--customers", 30, "--out", out, "--days", 100, "--json", "--quiet")
    ended = ppi_ml("simulate", *args, "--set", "late_wait=0", "--set", "message_every=10")
    assert (ended.exit_code, ended.stderr) == (0, "")
    about = json.loads(ended.stdout)
    assert about.pop("out") == str(out)
    assert about == json.loads((out / "truth" / "truth.json").read_text())
    assert about["effects"]["late_wait"] == 0
    assert about["dials"]["message_every"] == 10
    assert about["rows"]["messages"] == pl.read_parquet(out / "messages.parquet").height


def test_an_empty_folder_is_filled(tmp_path):
    assert ppi_ml("simulate", "--customers", 5, "--out", tmp_path, "--days", 60).exit_code == 0
    assert (tmp_path / "order_lines.parquet").is_file()
    assert ppi_ml("validate", tmp_path).exit_code == 0


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_is_not_overwritten(tmp_path, kind):
    out = tmp_path / "shop"
    if kind == "folder":
        out.mkdir()
    mine = out / "mine.txt" if kind == "folder" else out
    mine.write_text("mine")
    ended = ppi_ml("simulate", "--customers", 5, "--out", out)
    assert ended.exit_code == 2
    expected = {
        "folder": f"{out}: the folder is not empty and stays as it is; name a new one\n",
        "file": f"{out}: expected a folder that is new or empty, found a file\n",
    }
    assert ended.stderr.endswith(expected[kind])
    assert mine.read_text() == "mine"
    assert list(tmp_path.rglob("*")) == ([out, mine] if kind == "folder" else [out])


def test_a_run_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "BLOCK", 10)
    done = []

    def breaks(customers):
        done.append(customers)
        if len(done) == 2:
            raise KeyboardInterrupt

    made = history.History.of(simulate.Brand(), 60, 1)
    with pytest.raises(KeyboardInterrupt):
        folder.write(tmp_path / "shop", made, 30, breaks)
    assert done == [10, 10]
    assert not list(tmp_path.iterdir())


def test_blocks_are_parts_of_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "BLOCK", 10)
    about = simulate.write_brand(tmp_path / "shop", 25, 200, 1)
    whole = inputs.load_log(inputs.data_settings(tmp_path / "shop"))
    monkeypatch.undo()
    own = simulate.simulate_shop(25, days=200, seed=1)
    for name, table in own.tables.items():
        assert_frame_equal(whole.tables[name].frame, table.frame)
        assert about["rows"][name] == table.frame.height


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--customers", 0), "customers: expected a whole number from 1 to 9999999, got 0"),
        (("--customers", 5, "--days", 0), "days: expected a whole number from 1 to 10000, got 0"),
        (("--customers", 5, "--seed", -1), "seed: expected a whole number from 0"),
        (
            ("--customers", 5, "--set", "late_wiat=0"),
            'no dial "late_wiat". Did you mean late_wait?',
        ),
        (("--customers", 5, "--set", "late_wait=much"), "--set: expected a dial and a number such"),
        (("--customers", 5, "--set", "late_wait"), 'such as late_wait=0, got "late_wait"'),
        (("--customers", 5, "--set", "late_wait=-1"), "brand.late_wait: expected a number from 0"),
    ],
)
def test_a_wrong_option_is_one_line_and_code_2(tmp_path, args, message):
    ended = ppi_ml("simulate", "--quiet", "--out", tmp_path / "shop", *args)
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)
    assert not list(tmp_path.iterdir())
