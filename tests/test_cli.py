"""The command line as a user meets it: help, messages, exit codes, what goes where."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from ppi_ml import cli, customer_list
from ppi_ml.commands import _kit
from ppi_ml.declare import Command
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.shelf import names, shelf

ROOT = Path(__file__).parents[1]
COMMANDS = names("ppi_ml.commands")
CSV = """order_id,line_id,customer_id,occurred_at,sku,quantity,unit_price
1,1,ann,2026-01-05 10:00,x,1,3.50
1,2,ann,2026-01-05 10:00,y,-2,1.00
2,1,bob,2026-01-09 12:00,x,1,3.50
"""


def ppi_ml(*args):
    return CliRunner().invoke(cli.app(), [str(arg) for arg in args])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_the_options_that_are_everywhere(name):
    command = shelf("ppi_ml.commands", "COMMAND")[name]
    assert isinstance(command, Command)
    assert command.name == name
    environ = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    shown = subprocess.run(
        [sys.executable, "-m", "ppi_ml.cli", name, "--help"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    for option in ("--json", "--quiet", "--threads"):
        assert option in shown.stdout


def test_help_loads_nothing_that_takes_time():
    told = """
import sys
from typer.testing import CliRunner
from ppi_ml import cli
assert CliRunner().invoke(cli.app(), ["--help"]).exit_code == 0
print(*sorted({m.split(".")[0] for m in sys.modules}))
"""
    loaded = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {"lightgbm", "mlflow", "optuna", "pandas", "polars", "pydantic", "rich", "sklearn"}
    assert "ppi_ml" in loaded and slow.isdisjoint(loaded)


def test_help_lists_every_command():
    shown = ppi_ml("--help").output
    assert all(name in shown for name in COMMANDS)


def test_the_version_is_printed():
    assert ppi_ml("--version").output.startswith("ppi_ml 0.")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["train", ROOT / "configs/churn.yaml", "--set", "tune.trails=50"],
            "configs/churn.yaml: tune.trails: unknown setting. Did you mean tune.trials?",
        ),
        (
            ["train", ROOT / "configs/churn.yaml", "--set", "tune.trials=fifty"],
            'tune.trials: expected a whole number of at least 1, got "fifty"',
        ),
        (["train", ROOT / "configs/churn.yaml", "--until", "soon"], "data.until: expected a date"),
        (["train", "none.yaml"], "none.yaml: no such file"),
        (["features", "--family", "ordrs"], 'no "ordrs". Did you mean orders?'),
        (["validate", "none.csv"], "none.csv: no such file"),
    ],
)
def test_a_usage_error_is_one_line_on_stderr_and_code_2(args, message):
    ended = ppi_ml(*args)
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    "args", [["schema", "foo"], ["train"], ["score", "--model", "x"], ["none"]]
)
def test_a_command_that_cannot_be_parsed_ends_with_2(args):
    assert ppi_ml(*args).exit_code == 2


def test_the_schema_of_a_config_is_json():
    stored = json.loads((ROOT / "configs/config.schema.json").read_text())
    assert json.loads(ppi_ml("schema", "config").stdout) == stored


def test_the_schema_of_the_tables_is_a_table_or_json():
    rows = json.loads(ppi_ml("schema", "tables", "--json").stdout)
    lines = ppi_ml("schema", "tables").stdout.splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].split()[:2] == ["table", "column"]


def test_the_catalogue_can_be_narrowed_to_a_family():
    every = json.loads(ppi_ml("features", "--json").stdout)
    some = json.loads(ppi_ml("features", "--family", "orders", "--json").stdout)
    assert 0 < len(some) < len(every)
    assert all(row["name"].startswith("orders__") for row in some)
    assert all(row["unit"] and row["null"] for row in every)


def guarded(error):
    """An application with one command that fails like this."""

    def run() -> None:
        raise error

    made = typer.Typer()
    made.command()(cli._guarded(run))
    return CliRunner().invoke(made, [])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("say it so"), 2, "say it so\n"),
        (DataError("order_lines: column sku"), 3, "order_lines: column sku\n"),
        (IntegrityError("model.txt: damaged"), 4, "model.txt: damaged\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (OSError(28, "No space left on device", "x.csv"), 1, "x.csv: No space left on device\n"),
        (typer.Exit(5), 5, ""),
    ],
)
def test_an_error_is_its_message_and_its_exit_code(error, code, message):
    ended = guarded(error)
    assert (ended.exit_code, ended.stderr, ended.stdout) == (code, message, "")


def test_a_termination_ends_as_an_interruption_does(monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    terminated = cli._guarded(lambda: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(cli, "app", lambda: terminated)
    signal.signal(signal.SIGTERM, lambda *_: None)  # without ours, this process goes on
    try:
        with pytest.raises(typer.Exit) as ended:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_an_unexpected_error_keeps_its_values_to_itself(monkeypatch):
    monkeypatch.delenv("PPI_ML_DEBUG", raising=False)
    ended = guarded(ValueError("customer 17850"))
    assert ended.exit_code == 1
    assert "17850" not in ended.stderr
    assert ended.stderr.startswith("internal error: ValueError at test_cli.py, line ")
    monkeypatch.setenv("PPI_ML_DEBUG", "1")
    assert "Traceback" in guarded(ValueError("customer 17850")).stderr


FRAME = pd.DataFrame({"customer_id": ["007", "b"], "churn_probability": [0.1234567890123456, None]})


@pytest.mark.parametrize("kind", _kit.FORMATS)
def test_a_table_is_written_in_every_format(tmp_path, kind):
    path = tmp_path / f"new/scores.{kind}"
    _kit.write_table(FRAME, path, _kit.format_of(path, None))
    readers = {
        "parquet": pd.read_parquet,
        "csv": lambda p: pd.read_csv(p, dtype={"customer_id": str}),
        "jsonl": lambda p: pd.read_json(p, lines=True, dtype={"customer_id": str}),
    }
    back = readers[kind](path)
    pd.testing.assert_frame_equal(back, FRAME, check_dtype=False, rtol=1e-14)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("days", [["2024-02-29", None], [None, None]])
def test_dates_are_written_as_dates(tmp_path, days):
    frame = pd.DataFrame({"day": pd.to_datetime(pd.Series(days))})
    for kind in _kit.FORMATS:
        _kit.write_table(frame, tmp_path / f"t.{kind}", kind)
    said = [json.loads(row)["day"] for row in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert said == days
    assert pd.read_csv(tmp_path / "t.csv", skip_blank_lines=False)["day"].dropna().tolist() == [
        day for day in days if day
    ]
    told = pl.read_parquet(tmp_path / "t.parquet")["day"]
    assert told.dtype == pl.Date
    assert [day and str(day) for day in told] == days


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.parquet"
    _kit.write_table(FRAME, path, "parquet")
    before = path.read_bytes()
    with pytest.raises(Exception, match="object"):
        _kit.write_table(FRAME.assign(x=[object(), object()]), path, "parquet")
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def parts_that_end_in(error):
    yield pl.DataFrame({"customer_id": ["007"], "status": ["scored"]})
    raise error


@pytest.mark.parametrize("kind", _kit.FORMATS)
def test_a_full_disk_names_the_file(tmp_path, kind):
    path = tmp_path / f"scores.{kind}"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left") as told:
        _kit.write_parts(parts_that_end_in(OSError(28, "No space left on device")), path, kind)
    assert (told.value.errno, told.value.filename) == (28, str(path))
    with pytest.raises(OSError, match="os error 28") as told:  # as polars says it, without a number
        _kit.write_parts(parts_that_end_in(OSError("full (os error 28)")), path, kind)
    assert (told.value.strerror, told.value.filename) == ("full (os error 28)", str(path))
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_link_stays_one_and_what_it_points_to_is_written(tmp_path):
    (tmp_path / "day.csv").write_text("old")
    (tmp_path / "latest.csv").symlink_to("day.csv")
    _kit.write_table(FRAME, tmp_path / "latest.csv", "csv")
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "day.csv").read_text().startswith("customer_id,")


def test_a_device_is_refused_and_stays_what_it_is():
    with pytest.raises(UsageError, match=f"--out: {os.devnull} is a device or a pipe"):
        _kit.format_of(Path(os.devnull), "csv")


def test_the_format_is_the_one_asked_for_or_that_of_the_name():
    assert _kit.format_of(Path("x.csv"), None) == "csv"
    assert _kit.format_of(Path("x.txt"), "jsonl") == "jsonl"
    with pytest.raises(UsageError, match=r"x\.txt ends in none of them; expected one"):
        _kit.format_of(Path("x.txt"), None)
    with pytest.raises(
        UsageError, match='--format: got "xls"; expected one of parquet, csv, jsonl'
    ):
        _kit.format_of(Path("x.csv"), "xls")


def test_a_folder_is_not_written_over(tmp_path):
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder; expected the file to write"):
        _kit.format_of(tmp_path / "scores.csv", None)
    assert _kit.format_of(tmp_path / "new/deep/scores.csv", None) == "csv"


def test_days_and_ids_are_read(tmp_path):
    assert _kit.whole_numbers("--curve", "7, 14,30") == (7, 14, 30)
    assert _kit.whole_numbers("--curve", "") == ()
    with pytest.raises(UsageError, match="--curve: expected whole numbers"):
        _kit.whole_numbers("--curve", "7,x")
    (tmp_path / "ids.txt").write_text("007\n\n b \n")
    assert customer_list.ids_in(tmp_path / "ids.txt") == ["007", "b"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"^--ids: .*ids\.txt names nobody; expected one id a line"),
        (b"\xef\xbb\xbf\n \n", "names nobody"),
        ("customer_id\nJos\n".encode("utf-16"), r"^--ids: .* it is written in UTF-16.*iconv"),
        ("Jos\n".encode("utf-16-le"), "written in UTF-16"),
        (b"K1;Jos\nK2;Ann\n", "expected a column customer_id, or one id a line"),
        (b'customer_id\n"' + b"Jos\n" * 50_000, "a quote is opened and not closed again"),
        (
            "Jos\xe9\n".encode("latin-1"),
            r"^--ids: .*ids\.txt: an id is no plain text, and it holds bytes that are no UTF-8",
        ),
    ],
)
def test_a_file_of_ids_that_names_nobody_or_is_no_text_is_refused(tmp_path, content, told):
    (tmp_path / "ids.txt").write_bytes(content)
    with pytest.raises(UsageError, match=told) as caught:
        customer_list.ids_in(tmp_path / "ids.txt")
    assert "Jos" not in str(caught.value)


SOURCE = """
from pathlib import Path
import polars as pl
from ppi_ml.declare import Source
from ppi_ml.intake import RawTable

def read(settings):
    return {{"order_lines": RawTable(pl.read_parquet(settings.path))}}

SOURCE = Source("{name}", "a shop of one's own", "", read)
"""


@pytest.fixture(scope="module")
def own(trained, tmp_path_factory):
    """A config whose source is a plug-in that reads the order lines of the trained shop."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_shop.py").write_text(SOURCE.format(name="my_shop"))
    trained[1].order_lines.to_parquet(folder / "lines.parquet")
    config = {
        "data": {
            "source": "my_shop", "path": str(folder / "lines.parquet"), "until": "2020-01-01",
            "timezone": "Europe/London", "currency": "GBP",
        },
        "plugins": [str(folder / "my_shop.py")],
        "target": {"name": "churn"},
    }  # fmt: skip
    (folder / "config.yaml").write_text(json.dumps(config))
    return folder / "config.yaml"


def test_a_source_of_ones_own_is_validated_and_planned(own, trained):
    ended = ppi_ml("validate", own, "--json")
    assert ended.exit_code == 0, ended.output
    rows = trained[1].tables["order_lines"].frame.height
    assert json.loads(ended.stdout)["tables"]["order_lines"]["rows_in"] == rows
    ended = ppi_ml("train", own, "--dry-run")
    assert ended.exit_code == 0, ended.output
    assert "test cutoffs" in ended.stdout


@pytest.mark.parametrize("what", ["shop", "shop/order_lines.parquet"])
def test_events_instead_of_a_config_are_answered_with_a_config_that_is_ready(
    trained, tmp_path, monkeypatch, what
):
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    trained[1].order_lines.to_parquet("shop/order_lines.parquet")
    ended = ppi_ml("train", what)
    assert (ended.exit_code, ended.stdout) == (2, "")
    said, example, then = ended.stderr.split("\n\n")
    assert said.startswith(f"{what}: these are events; expected a config")
    assert said.endswith("Write this one as churn.yaml:")
    Path("churn.yaml").write_text(example)
    command = "ppi-ml train churn.yaml"
    assert then.startswith(f"and run: {command}\n")
    assert "--set data.timezone=Europe/Berlin" in then
    ended = ppi_ml(*command.split()[1:], "--dry-run")
    assert ended.exit_code == 0, ended.output
    assert "target: churn, 90 days ahead" in ended.stdout


def test_a_folder_without_events_is_no_config_either(tmp_path):
    ended = ppi_ml("train", tmp_path)
    assert ended.exit_code == 2
    assert ended.stderr == (
        f"{tmp_path}: a folder; expected a config such as configs/churn.yaml ({tmp_path}: expected "
        "order_lines.csv or order_lines.parquet in there)\n"
    )
    ended = ppi_ml("train", ROOT / "configs")
    assert f"expected a config such as {ROOT / 'configs' / 'churn.yaml'} (" in ended.stderr


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--cutoff", "tomorrow", "tomorrow"),
        ("--cutoff", "0001-01-01", 'expected a date in the years 1900 to 2999, got "0001-01-01"'),
        ("--cutoff", "9999-12-31", 'expected a date in the years 1900 to 2999, got "9999-12-31"'),
        ("--memory", "4XB", 'memory: expected a size such as 4GB or 500MB, got "4XB"'),
        ("--memory", "0GB", "memory: expected a size such as 4GB"),
        ("--ids", "gone.txt", "--ids: gone.txt: No such file"),
        ("--curve", "7,9999", "days: asked for day 9999, but the curve reaches day 365"),
        ("--top", "3", "--top: this model scores customers; expected a model of pairs"),
        ("--out", "scores.xls", "--out: scores.xls ends in none of them; expected one of parquet"),
        ("--out", __file__ + "/scores.csv", "is no folder that can be written to"),
    ],
)
def test_options_of_score_are_checked_before_events_are_read(
    trained, tmp_path, option, value, told
):
    """An hour of reading must not end in a slip of the pen: here the events are not even there."""
    given = {"--cutoff": "2020-01-01", "--out": "scores.csv", option: value}
    ended = ppi_ml("score", "--model", trained[0].bundle, "--data", tmp_path / "none", "--quiet",
                   *(word for pair in given.items() for word in pair))  # fmt: skip
    assert ended.exit_code == 2
    assert told in ended.stderr


def test_scores_of_a_source_of_ones_own_carry_their_notes(own, trained, tmp_path):
    out = tmp_path / "scores.parquet"
    ended = ppi_ml("score", "--model", trained[0].bundle, "--data", own, "--cutoff", "2020-01-01",
                   "--out", out, "--quiet", "--json")  # fmt: skip
    assert ended.exit_code == 0, ended.output
    answer, table = json.loads(ended.stdout), pd.read_parquet(out)
    assert answer["rows"] == answer["scored"] == len(table) > 0
    assert table["horizon_days"].dtype == "Int64"
    assert answer["notes"] == [
        "returns: the model was trained with this table, which is absent; its features are null"
    ]


def test_a_table_without_rows_says_why(own, trained, tmp_path):
    ended = ppi_ml("score", "--model", trained[0].bundle, "--data", own, "--cutoff", "2000-01-01",
                   "--out", tmp_path / "scores.csv")  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.endswith("scores.csv: no rows\n")
    said = "no customers are eligible at 2000-01-01, so there are no rows; the log goes from 201"
    assert said in ended.stderr


def test_where_the_data_lie_can_be_said_at_the_prompt(own, trained, tmp_path):
    """As for ppi-ml train: a config of data that do not ship has no path."""
    told = json.loads(own.read_text())
    path = f"data.path={told['data'].pop('path')}"
    config, out = tmp_path / "config.yaml", tmp_path / "scores.parquet"
    config.write_text(json.dumps(told))
    assert ppi_ml("validate", config).exit_code != 0
    for command, *more in (
        ["validate", config],
        ["train", config, "--dry-run"],
        ["score", "--data", config, "--model", trained[0].bundle, "--cutoff", "2020-01-01",
         "--out", out],
    ):  # fmt: skip
        ended = ppi_ml(command, *more, "--set", path, "--quiet")
        assert ended.exit_code == 0, ended.output
    assert len(pd.read_parquet(out)) > 0
    for command, *more in (
        ["validate", config],
        ["score", "--data", config, "--model", trained[0].bundle, "--cutoff", "2020-01-01",
         "--out", out],
    ):  # fmt: skip
        ended = ppi_ml(command, *more, "--set", "tune.trials=5")
        assert ended.exit_code == 2
        assert ended.stderr.endswith(
            "--set tune.trials: only data is read here; expected one of data.*\n"
        )


def test_validate_prints_the_report_and_fails_above_the_share(tmp_path):
    (tmp_path / "order_lines.csv").write_text(CSV)
    ended = ppi_ml("validate", tmp_path, "--quarantine", tmp_path / "q")
    assert "3 rows in = 2 kept + 0 repaired + 1 quarantined" in ended.stdout
    assert ended.exit_code == 3
    assert "order_lines: 33.3% of the rows are unusable" in ended.stderr
    assert (tmp_path / "q/order_lines.parquet").exists()
    report = json.loads(ppi_ml("validate", tmp_path, "--json").stdout)
    assert report["tables"]["order_lines"]["rows_in"] == 3
