"""Tracking: a real sqlite store, several processes at once, and silence on the terminal."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ppi_ml.config import TrackingSettings
from ppi_ml.errors import PpiError
from ppi_ml.tracking import MlflowTracker, NullTracker, tracker_for

RECORD = """
from pathlib import Path
from ppi_ml.tracking import MlflowTracker
tracker = MlflowTracker("churn")
tracker.start("a run", {"target": "churn"})
tracker.params({f"setting.{i}": "x" * 9_000 for i in range(150)})
tracker.metrics([("log_loss", 0.5 + step, step) for step in range(120)])
Path("files/sub").mkdir(parents=True, exist_ok=True)
Path("files/sub/scorecard.md").write_text("level")
tracker.folder(Path("files"))
tracker.finish()
print(tracker.run_id)
"""


def record(folder, environ=()):
    command = [sys.executable, "-W", "default", "-c", RECORD]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": "", **dict(environ)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def query(folder, sql):
    with closing(sqlite3.connect(folder / "mlruns/mlflow.db")) as store:
        return store.execute(sql).fetchall()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    out, err = record(folder).communicate(timeout=120)
    return folder, out.strip(), err


def test_a_run_is_recorded_in_the_store_of_this_folder(recorded):
    folder, run_id, _ = recorded
    assert query(folder, "select name, status from runs") == [("a run", "FINISHED")]
    assert query(folder, "select run_uuid from runs") == [(run_id,)]
    assert query(folder, "select count(*) from metrics where key = 'log_loss'") == [(120,)]
    assert query(folder, "select count(*) from params") == [(150,)]
    assert query(folder, "select value from tags where key = 'target'") == [("churn",)]


def test_artifacts_lie_beside_the_store(recorded):
    folder, run_id, _ = recorded
    kept = folder / "mlruns/artifacts" / run_id / "artifacts/sub/scorecard.md"
    assert kept.read_text() == "level"


def test_the_libraries_say_nothing_on_the_terminal(recorded):
    _, out, err = recorded
    assert (err, len(out.splitlines())) == ("", 1)


@pytest.mark.slow
def test_the_users_own_store_is_respected(tmp_path):
    environ = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/theirs/store.db"}
    _, err = record(tmp_path, environ).communicate(timeout=120)
    assert err == ""
    assert (tmp_path / "theirs/store.db").exists()
    assert (tmp_path / "theirs/artifacts").is_dir()
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.slow
def test_several_processes_may_open_a_fresh_store_at_once(tmp_path):
    writers = [record(tmp_path) for _ in range(4)]
    ended = [(w.communicate(timeout=300), w.returncode) for w in writers]
    assert [(err, code) for (_, err), code in ended] == [("", 0)] * 4
    assert query(tmp_path, "select count(*), min(status) from runs") == [(4, "FINISHED")]
    assert query(tmp_path, "select count(*) from experiments where name = 'churn'") == [(1,)]


def test_an_unreachable_store_is_told_with_advice_and_without_credentials(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = MlflowTracker("churn", "http://someone:secret@127.0.0.1:9")
    with pytest.raises(PpiError, match=r"tracking\.kind=none") as raised:
        tracker.start("a run", {})
    assert "secret" not in str(raised.value)


def test_the_settings_choose_the_tracker(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert isinstance(tracker_for(TrackingSettings(kind="none"), "churn"), NullTracker)
    assert tracker_for(TrackingSettings(), "churn").uri == "sqlite:///mlruns/mlflow.db"
    assert tracker_for(TrackingSettings(uri="sqlite:///x.db"), "churn").uri == "sqlite:///x.db"


def test_the_null_tracker_has_the_same_methods_and_does_nothing(tmp_path):
    tracker = NullTracker()
    tracker.start("a run", {})
    tracker.params({"a": 1})
    tracker.metrics([("log_loss", 0.5, 0)])
    tracker.folder(tmp_path)
    tracker.finish("FAILED")
    assert tracker.run_id == ""
    methods = {name for name in vars(MlflowTracker) if not name.startswith("_")}
    assert methods == {name for name in vars(NullTracker) if not name.startswith("_")} - {"run_id"}
