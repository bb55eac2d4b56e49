"""Config: defaults, precedence, messages, round trips."""

import json
from pathlib import Path

import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ppi_ml.config import Config, json_schema
from ppi_ml.errors import ConfigError
from ppi_ml.schema import TABLES

ROOT = Path(__file__).parents[1]
LEAST = {"data": {"source": "online_retail"}, "target": {"name": "churn"}}


def read(*sets, source=LEAST, environ=None):
    return Config.read(source, sets, environ or {})


def test_only_data_and_target_are_required():
    config = read()
    assert (config.name, config.seed, config.version) == ("churn", 7, 1)
    assert (config.target.horizon, config.target.active_within) == (90, 180)
    assert config.target.window == 7
    assert (config.model.members, config.tune.objective) == ("auto", "auto")
    assert config.features.windows == (30, 90, 180, 365)
    assert config.model.processes == ("mbg_nbd", "bg_nbd", "pareto_nbd", "gaps")
    assert (config.tune.trials, config.baselines, config.tracking.kind) == (20, "auto", "mlflow")
    assert (config.data.max_staleness, config.data.max_quarantined) == (2, 0.05)


def test_the_written_out_example_is_the_default():
    data = {
        "source": "online_retail",
        "timezone": "Europe/London",
        "currency": "GBP",
        "known_lag": {"returns": "0d"},
        "max_quarantined": 0.3,
    }
    defaults = read(source={**LEAST, "name": "churn_online_retail", "data": data})
    assert Config.read(ROOT / "configs/churn.yaml", environ={}) == defaults


def test_the_example_of_repurchase_differs_in_the_target_alone():
    churn, repurchase = (
        Config.read(ROOT / f"configs/{name}.yaml", environ={}).to_dict()
        for name in ("churn", "repurchase")
    )
    assert repurchase["name"] == "repurchase_online_retail"
    assert repurchase["target"]["name"] == "repurchase"
    for values in (churn, repurchase):
        del values["name"], values["target"]["name"]
    assert repurchase == churn


def test_a_window_that_is_not_given_is_no_wider_than_the_horizon():
    assert read("target.horizon=3d").target.window == 3
    assert read("target.horizon=7d").target.window == 7
    assert read("target.horizon=3d", "target.window=3d").target.window == 3
    filled = Config.read(read("target.horizon=3d").to_dict(), {}, {})
    assert filled == read("target.horizon=3d")
    with pytest.raises(ConfigError, match=r"^target\.window: expected at most the horizon of 3d"):
        read("target.horizon=3d", "target.window=7d")


def test_a_wrong_horizon_is_told_once():
    with pytest.raises(ConfigError) as raised:
        read("target.horizon=0d", "target.window=7d")
    assert str(raised.value) == 'target.horizon: expected a length of at least 1d, got "0d"'


def test_the_demo_config_is_valid():
    assert Config.read(ROOT / "configs/demo.yaml", environ={}).name == "demo"


def test_set_beats_environment_beats_file_beats_default():
    file = {**LEAST, "tune": {"trials": 3}}
    environ = {"PPI_ML_TUNE__TRIALS": "4"}
    assert read(source=file).tune.trials == 3
    assert read(source=file, environ=environ).tune.trials == 4
    assert read("tune.trials=5", source=file, environ=environ).tune.trials == 5


def test_overrides_stay_as_they_were_given():
    trees = {"num_leaves": 8}
    sets = {"model.trees": trees, "model.trees.num_leaves": 9}
    assert Config.read(LEAST, sets, {}).model.trees.num_leaves == 9
    assert trees == {"num_leaves": 8}


def test_overrides_as_a_dict_and_as_texts_are_the_same():
    texts = read("tune.trials=5", "features.windows=[7d, 14d]", "data.until=2011-06-01")
    given_ = {"tune.trials": 5, "features.windows": ["7d", 14], "data.until": "2011-06-01"}
    assert texts == Config.read(LEAST, given_, {})
    assert texts.data.until == "2011-06-01"


def test_the_callers_dict_stays_as_it_was():
    source = {"data": {"source": "online_retail"}, "target": {"name": "churn"}}
    read("data.path=x.parquet", source=source)
    assert source == LEAST


def test_variables_that_are_no_settings_are_left_alone():
    environ = {"PPI_ML_DATA": "/data", "PPI_ML_DEBUG": "1", "PPI_ML_SEED": "11", "PATH": "x"}
    assert read(environ=environ).seed == 11


MISTAKES = {
    "tune.trails=50": "tune.trails: unknown setting. Did you mean tune.trials?",
    "tune.trials=fifty": 'tune.trials: expected a whole number of at least 1, got "fifty"',
    "tune.trials=0": "tune.trials: expected a whole number of at least 1, got 0",
    "tune.trials=true": "tune.trials: expected a whole number of at least 1, got true",
    "tune.trials=2.5": "tune.trials: expected a whole number of at least 1, got 2.5",
    "trials=5": "trials: unknown setting. Did you mean tune.trials?",
    "target=churn": "target: expected a section with name, horizon, active_within, window, "
    'product, group, least_purchases, nudge, got "churn"',
    "target.horizon=1w": 'target.horizon: expected a length in days such as "90d", got "1w"',
    "target.horizon=0d": 'target.horizon: expected a length of at least 1d, got "0d"',
    "target.window=91d": 'target.window: expected at most the horizon of 90d, got "91d"',
    "target.window=0d": 'target.window: expected a length of at least 1d, got "0d"',
    "features.families=[]": 'features.families: expected "all" or a non-empty list of text, got []',
    "features.windows=[30d, x]": "features.windows.1: expected a length in days such as "
    '"90d", got "x"',
    "features.windows=[30d, 30d]": "features.windows: expected every window once",
    "model.members=cox": 'model.members: expected "auto" or "staged" or "staged+cox+newest", '
    'got "cox"',
    "tune.objective=auc": 'tune.objective: expected "auto" or "log_loss" or "ibs", got "auc"',
    "engine.memory=4": 'engine.memory: expected text such as "4GB", got 4',
    "data.max_quarantined=2": "data.max_quarantined: expected a number of at least 0 and at "
    "most 1 or a section of names and values, got 2",
    "data.max_quarantined={refund: 1.0}": 'data.max_quarantined: unknown table "refund". Did you '
    f"mean refunds? The tables are: {', '.join(TABLES)}",
    "data.until=soon": "data.until: expected a date such as 2011-12-09 or an ISO date and "
    'time, got "soon"',
    "data.timezone=Mars": 'data.timezone: unknown time zone "Mars"; expected an IANA name '
    "such as Europe/London",
    "data.known_lag.returns=x": 'data.known_lag.returns: expected a length in days such as "90d"'
    ', got "x"',
    "data.source=files": "data: source files needs data.path, a folder with a file per table, or "
    "data.tables.order_lines with a path",
    "tune.trials": 'expected a setting such as tune.trials=50, got "tune.trials"',
    "tune.trials=[": 'tune.trials: not a YAML value: "["; text with signs of YAML in it needs '
    "double quotes of its own, as in '\"[x\"'",
}


@pytest.mark.parametrize("setting", MISTAKES)
def test_a_mistake_is_told_by_path_expectation_and_finding(setting):
    with pytest.raises(ConfigError) as raised:
        read(setting)
    assert str(raised.value) == MISTAKES[setting]


def test_every_mistake_has_its_line_and_names_the_file(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("data: {source: online_retail}\ntarget: {horizon: 0d}\ntune: {trails: 1}\n")
    with pytest.raises(ConfigError) as raised:
        Config.read(file, environ={})
    assert str(raised.value).splitlines() == [
        f"{file}: target.name: is required and missing: A name on the targets shelf, "
        "such as churn or repurchase.",
        f'{file}: target.horizon: expected a length of at least 1d, got "0d"',
        f"{file}: tune.trails: unknown setting. Did you mean tune.trials?",
    ]


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_format_or_a_comma_needs_no_quotes_of_its_own_at_the_prompt(quote):
    lines = "data.tables.order_lines"
    asked = [
        f"{lines}.dates={quote}%d.%m.%Y %H:%M{quote}",
        f"{lines}.decimal={quote},{quote}",
        "data.source=files",
        "data.path=x",
    ]
    stated = read(*asked).data.tables["order_lines"]
    assert (stated.dates, stated.decimal) == ("%d.%m.%Y %H:%M", ",")


def test_a_wrong_variable_is_named():
    with pytest.raises(ConfigError, match=r"got \"x\" \(PPI_ML_TUNE__TRIALS in the environment\)"):
        read(environ={"PPI_ML_TUNE__TRIALS": "x"})
    with pytest.raises(ConfigError, match="did you mean PPI_ML_FOLDS__TRAIN_CUTOFFS"):
        read(environ={"PPI_ML_FOLDS_TRAIN_CUTOFFS": "3"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: [", "not YAML"),
        ("- data", "expected sections"),
        ("seed: 1\nseed: 2\n", '"seed" is given twice'),
        (
            "data:\n  dates: %d.%m.%Y %H:%M   # ours\n",
            r'line 2: a value that starts with % needs quotes, as in dates: "%d.%m.%Y %H:%M"$',
        ),
        ("data:\n  decimal: ,\n", r'line 2: a value that starts with , .* decimal: ","$'),
        ("data: {dates: %d.%m.%Y}\n", r'line 1: .* % needs quotes, as in dates: "%d.%m.%Y"$'),
        ("data:\n- dates:\n  - @x\n", 'line 3: .* @ needs quotes, as in dates: "%d.%m.%Y"$'),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, text, message):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        Config.read(file, environ={})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        Config.read(tmp_path / "none.yaml", environ={})


def test_a_folder_is_no_config(tmp_path):
    with pytest.raises(ConfigError, match="a folder; expected a config, a YAML file with sections"):
        Config.read(tmp_path, environ={})


def test_yaml_surprises_stay_text(tmp_path):
    file = tmp_path / "c.yaml"
    constants = "{country: NO, day: 2011-01-01, at: 12:30, zip: 01234}"
    tables = f"{{order_lines: {{path: x.csv, constants: {constants}}}}}"
    file.write_text(f"data: {{source: files, tables: {tables}}}\ntarget: {{name: churn}}\n")
    found = Config.read(file, environ={}).data.tables["order_lines"].constants
    assert found == {"country": "NO", "day": "2011-01-01", "at": "12:30", "zip": "01234"}


def test_nothing_can_be_changed():
    config = read()
    with pytest.raises(pydantic.ValidationError):
        config.tune.trials = 5


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
configs = st.builds(
    lambda seed, path, columns, constants, families, rate, until, lag: {
        "name": "n",
        "seed": seed,
        "data": {
            "source": "files",
            "tables": {"order_lines": {"path": path, "columns": columns, "constants": constants}},
            "known_lag": {"order_lines": lag},
            "until": until,
        },
        "target": {"name": "churn", "horizon": lag + 1},
        "features": {"families": families},
        "model": {"trees": {"learning_rate": rate}},
        "baselines": families,
    },
    seed=st.integers(0, 2**31 - 1),
    path=words,
    columns=st.dictionaries(words, words, max_size=3),
    constants=st.dictionaries(
        words,
        words | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    ),
    families=st.lists(words, min_size=1, max_size=3),
    rate=st.floats(1e-9, 1),
    until=st.none() | st.dates().map(str) | st.datetimes().map(str),
    lag=st.integers(0, 3000),
)


@settings(deadline=None)
@given(configs)
def test_writing_and_reading_gives_the_same_config(tmp_path_factory, values):
    config = Config.read(values, environ={})
    file = tmp_path_factory.getbasetemp() / "round.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8", newline="")
    assert Config.read(file, environ={}) == config
    assert Config.read(json.loads(json.dumps(config.to_dict())), environ={}) == config


@settings(deadline=None)
@given(words)
@example("\x85")
@example("a\u2028b\r\n")
@example("0o7")
@example("<<")
def test_any_text_survives_the_way_through_a_file(tmp_path_factory, text):
    config = Config.read({**LEAST, "data": {"source": "x", "path": text}}, environ={})
    file = tmp_path_factory.getbasetemp() / "text.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8", newline="")
    assert Config.read(file, environ={}).data.path == text


def test_every_setting_is_explained_in_the_schema():
    schema = json_schema()
    for section in [schema, *schema["$defs"].values()]:
        for name, setting in section["properties"].items():
            section_of_it = schema["$defs"].get(setting.get("$ref", "").rsplit("/", 1)[-1], {})
            assert setting.get("description") or section_of_it.get("description"), name


def test_the_schema_for_editors_is_current():
    stored = json.loads((ROOT / "configs/config.schema.json").read_text())
    assert stored == json_schema(), "run: make schema"
