"""The judge benchmark on a made-up case of the real format, and on a real one where it is there."""

import hashlib
import importlib.util
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ppi_ml import training

ROOT = Path(__file__).parents[2]
ORIGIN = datetime(2025, 6, 1, tzinfo=UTC)
TAU = 30


@pytest.fixture(scope="module")
def judge():
    spec = importlib.util.spec_from_file_location("judge_benchmark", ROOT / "benchmarks/judge.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def quick(monkeypatch):
    """Trains as the benchmark asks, with a search of one trial."""
    real = training.train

    def train(log, *, settings, **more):
        few = {"tune.trials": 1, "folds.train_cutoffs": 3, "model.processes": ["mbg_nbd"],
               "baselines": ["base_rate"], "engine.threads": 1}  # fmt: skip
        return real(log, settings={**few, **settings}, **more)

    monkeypatch.setattr(training, "train", train)


def orders(customers=120, days=300):
    """Lines of customers who buy at their own pace until the origin and beyond."""
    draw = np.random.default_rng(4)
    rows = []
    for number in range(customers):
        day, pace = draw.uniform(0, 0.8 * days), draw.lognormal(3, 0.5)
        while day < days + TAU and draw.random() < 0.9:
            rows.append((f"c{number}", ORIGIN + timedelta(days=float(day) - days)))
            day += draw.exponential(pace)
    return pl.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(len(rows))],
            "line_id": [1] * len(rows),
            "customer_id": [who for who, _ in rows],
            "occurred_at": [when for _, when in rows],
            "sku": ["x"] * len(rows),
            "quantity": [1] * len(rows),
            "unit_price": [4.5] * len(rows),
            "discount": [0.0] * len(rows),
        }
    ).sort("occurred_at")


def write_case(root, name, *, task="churn", daily=False, entity="customer_id"):
    """A case as it is laid out for the judge: events beside the case folders, hashes in it."""
    everything = orders()
    if daily:
        everything = everything.with_columns(pl.col("occurred_at").dt.truncate("1d"))
    past = everything.filter(pl.col("occurred_at") < ORIGIN)
    later = everything.filter(pl.col("occurred_at") >= ORIGIN)
    entities = past.select("customer_id").unique().sort("customer_id")
    first = later.group_by("customer_id").agg(when=pl.col("occurred_at").min())
    last = past.group_by("customer_id").agg(last=pl.col("occurred_at").max())
    truth = entities.join(first, on="customer_id", how="left", maintain_order="left").join(
        last, on="customer_id", how="left", maintain_order="left"
    )
    elapsed = (pl.col("when") - ORIGIN).dt.total_days() + 1
    truth = truth.select(
        "customer_id",
        active_180d=pl.col("last") >= ORIGIN - timedelta(days=180),
        event=pl.col("when").is_not_null(),
        days=elapsed.fill_null(TAU).clip(1, TAU).cast(pl.Int32),
    )
    share = 1 - truth["event"].mean()
    peers = entities.with_columns(
        base_rate__churn_probability=pl.lit(share), coin__churn_probability=pl.lit(0.5)
    )
    folder = root / "public" / name
    events = root / "public/events/made"
    for place in (folder, events):
        place.mkdir(parents=True, exist_ok=True)
    tables = {"order_lines": (events, past), "entities": (folder, entities),
              "truth": (folder, truth), "peers": (folder, peers)}  # fmt: skip
    files = {}
    for table, (place, frame) in tables.items():
        path = place / f"{table}.parquet"
        frame.write_parquet(path)
        files[table] = {
            "path": os.path.relpath(path, folder),
            "rows": frame.height,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    about = {
        "name": name, "task": task, "origin": ORIGIN.isoformat(), "tau_days": TAU,
        "entity": [entity], "n": truth.height, "base_rate": share, "files": files,
        "granularity": "day" if daily else "minute",
    }  # fmt: skip
    (folder / "case.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("daily", [False, True])
def test_a_case_is_its_events_up_to_the_origin(judge, tmp_path, daily):
    folder = write_case(tmp_path, "made", daily=daily)
    for answer in ("truth", "peers", "entities"):  # must never be opened
        (folder / f"{answer}.parquet").write_bytes(b"")
    case = judge.Case.read(folder)
    case.check()
    log = case.log()
    assert (case.task, case.tau, case.daily) == ("churn", TAU, daily)
    assert list(log.tables) == ["order_lines"]
    assert log.tables["order_lines"].granularity == ("day" if daily else "instant")
    assert (str(log.observed_until), log.timezone) == ("2025-06-01", "UTC")
    assert case.days[-1] == TAU
    assert case.days == sorted(set(case.days))


@pytest.mark.parametrize("daily", [False, True])
def test_everybody_is_predicted(judge, tmp_path, quick, daily):
    folder = write_case(tmp_path, "made", daily=daily)
    case = judge.Case.read(folder)
    table = pl.read_parquet(judge.predict(case, tmp_path / "out"))
    wanted = pl.read_parquet(folder / "entities.parquet")["customer_id"]
    assert sorted(table["customer_id"]) == sorted(wanted)
    assert table.columns == [
        "customer_id", "churn_probability", *(f"no_event_by_{d}d" for d in case.days),
    ]  # fmt: skip
    assert table[f"no_event_by_{TAU}d"].to_list() == table["churn_probability"].to_list()


def test_tasks_without_a_target_and_folders_that_are_no_case_are_listed(judge, tmp_path, capsys):
    write_case(tmp_path, "later", task="depletion")
    broken = tmp_path / "public/broken"
    broken.mkdir()
    (broken / "case.json").write_text('{"name": "broken"}')
    cases = tmp_path / "public"
    (tmp_path / "judge.py").write_text("raise SystemExit('must not run')")
    assert judge.main(["--cases", str(cases), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "- later: not yet: no target answers depletion" in shown
    assert "- broken: not a case: KeyError" in shown
    assert (tmp_path / "out/results.md").read_text() == shown


@pytest.mark.parametrize(
    ("names", "told"),
    [(["--cases", "PUBLIC", "ghost"], "no case.json of ghost"), ([], "say where the cases are")],
)
def test_wrong_arguments_end_with_2(judge, tmp_path, capsys, monkeypatch, names, told):
    monkeypatch.delenv("JUDGE_CASES", raising=False)
    write_case(tmp_path, "made")
    (tmp_path / "judge.py").write_text("")
    given = [str(tmp_path / "public") if name == "PUBLIC" else name for name in names]
    with pytest.raises(SystemExit) as ended:
        judge.main(given)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_environment_stands_in_for_the_arguments(judge, tmp_path, monkeypatch, capsys):
    write_case(tmp_path, "later", task="depletion")
    (tmp_path / "elsewhere.py").write_text("")
    monkeypatch.setenv("JUDGE_CASES", str(tmp_path / "public"))
    monkeypatch.setenv("JUDGE", str(tmp_path / "elsewhere.py"))
    assert judge.main(["--out", str(tmp_path / "out")]) == 0
    assert "later" in capsys.readouterr().out


VERDICT = {
    "case": "made", "headline": "log_loss", "entities": 90, "missing": 1,
    "metrics": {"system": {"log_loss": 0.45}, "base_rate": {"log_loss": 0.6},
                "cox": {"log_loss": 0.41}, "rfm": {"log_loss": 0.451}},
    "comparisons": [{"peer": "base_rate", "outcome": "beats"}, {"peer": "cox", "outcome": "loses"},
                    {"peer": "rfm", "outcome": "ties"}],
}  # fmt: skip


def test_the_table_says_what_the_judge_said(judge):
    result = judge.Result.of(VERDICT, 12.3)
    assert result.cells == (
        "made", "90 (1 missing)", "0.4500", "cox 0.4100", "0.6000", "1/1/1", "cox", "12",
    )  # fmt: skip
    table = judge.markdown([result], {"other": "not yet"})
    assert table.splitlines()[0].count("|") == table.splitlines()[2].count("|") == 9
    assert table.endswith("- other: not yet\n")


def real_judge():
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: the judge and its cases are not part of the repository")
    return Path(root).parent / "judge/judge.py"


@pytest.mark.real
def test_the_judge_accepts_our_predictions(judge, tmp_path, quick, capsys):
    cases = write_case(tmp_path, "made").parent
    given = ["--cases", str(cases), "--judge", str(real_judge()), "--out", str(tmp_path / "out")]
    assert judge.main(given) == 0
    row = capsys.readouterr().out.splitlines()[2].strip("| ").split(" | ")
    assert row[0] == "made"
    assert "missing" not in row[1]
    assert float(row[2]) < 0.7
    assert sum(map(int, row[5].split("/"))) == 2


@pytest.mark.real
@pytest.mark.slow
def test_a_real_case_beats_its_base_rate(judge, tmp_path, capsys):
    path = real_judge()
    given = ["--cases", str(path.parent / "public"), "--out", str(tmp_path)]
    assert judge.main([*given, "cdnow_39_39_churn273"]) == 0
    row = capsys.readouterr().out.splitlines()[2].strip("| ").split(" | ")
    assert float(row[2]) < float(row[4]) - 0.1
    assert "base_rate" not in row[6]
    assert "bg_nbd" not in row[6].split(", ")
