"""Runs recorded in MLflow, or nowhere, through the same methods; the only module that knows MLflow.

Without a URI the store is the sqlite file mlruns/mlflow.db with artifacts beside it. MLflow keeps
the absolute path of the artifacts: a moved folder breaks old runs there (not the run folders).
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ppi_ml.config import TrackingSettings
from ppi_ml.errors import PpiError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]
Metric = tuple[str, float, int]  # name, value, step

_DEFAULT_STORE = "sqlite:///mlruns/mlflow.db"
_SQLITE = "sqlite:///"
_CREDENTIALS = re.compile(r"//[^/\s@]+@")
_LOCK_SECONDS = 120
_BATCH = 100  # MLflow takes 100 parameters and 1,000 metrics at once
_LONGEST = 500  # characters of a parameter; the filled config is an artifact anyway


class Tracker(Protocol):
    """Where a training tells its numbers; `run_id` is empty where nothing is recorded."""

    run_id: str

    def start(self, name: str, tags: Mapping[str, str]) -> None:
        """Open a run."""

    def params(self, values: Mapping[str, object]) -> None:
        """Record settings, by path."""

    def metrics(self, values: Iterable[Metric]) -> None:
        """Record numbers as (name, value, step)."""

    def folder(self, path: Path, without: Container[str] = ()) -> None:
        """Record all that is in a folder, but for the names in `without`."""

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run."""


class NullTracker:
    """Records nothing."""

    run_id = ""

    def start(self, name: str, tags: Mapping[str, str]) -> None:
        """Do nothing."""

    def params(self, values: Mapping[str, object]) -> None:
        """Do nothing."""

    def metrics(self, values: Iterable[Metric]) -> None:
        """Do nothing."""

    def folder(self, path: Path, without: Container[str] = ()) -> None:
        """Do nothing."""

    def finish(self, status: Status = "FINISHED") -> None:
        """Do nothing."""


class MlflowTracker:
    """Records one run in an MLflow experiment; `PpiError` where the store cannot be used."""

    def __init__(self, experiment: str, uri: str | None = None) -> None:
        self.run_id = ""
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_STORE
        self._experiment = experiment
        self._client: MlflowClient | None = None

    def start(self, name: str, tags: Mapping[str, str]) -> None:
        """Open a run; makes store and experiment on first use, one process at a time."""
        with self._quietly(), _lock(self.uri):
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            found = self._client.get_experiment_by_name(self._experiment)
            experiment = (
                found.experiment_id
                if found
                else self._client.create_experiment(self._experiment, _artifacts(self.uri))
            )
            run = self._client.create_run(experiment, run_name=name, tags=dict(tags))
            self.run_id = run.info.run_id

    def params(self, values: Mapping[str, object]) -> None:
        """Record settings, by path; long ones are cut."""
        with self._quietly() as client:
            from mlflow.entities import Param

            found = [Param(name, str(value)[:_LONGEST]) for name, value in values.items()]
            for start in range(0, len(found), _BATCH):
                client.log_batch(self.run_id, params=found[start : start + _BATCH])

    def metrics(self, values: Iterable[Metric]) -> None:
        """Record numbers as (name, value, step), in batches."""
        with self._quietly() as client:
            from mlflow.entities import Metric as Entry

            now = int(time.time() * 1000)
            found = [Entry(name, float(value), now, step) for name, value, step in values]
            for start in range(0, len(found), _BATCH):
                client.log_batch(self.run_id, metrics=found[start : start + _BATCH])

    def folder(self, path: Path, without: Container[str] = ()) -> None:
        """Record all that is in a folder as artifacts, but for the names in `without`."""
        with self._quietly() as client:
            for part in sorted(path.iterdir()):
                if part.name in without:
                    continue
                if part.is_dir():
                    client.log_artifacts(self.run_id, str(part), part.name)
                else:
                    client.log_artifact(self.run_id, str(part))

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run."""
        with self._quietly() as client:
            client.set_terminated(self.run_id, status)

    @contextmanager
    def _quietly(self) -> Iterator[MlflowClient]:
        """The client, without the noise of its libraries; its failures as ours, with advice."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine
        with _hushed():
            from mlflow.exceptions import MlflowException

            try:
                yield self._client  # type: ignore[misc]  # None only inside start, which makes it
            except (MlflowException, OSError, sqlite3.Error) as error:
                first = (str(error).splitlines() or [type(error).__name__])[0][:_LONGEST]
                text = f"tracking: the MLflow store {self.uri} cannot be used: {first}"
                advice = "--set tracking.kind=none trains without it"
                raise PpiError(f"{_CREDENTIALS.sub('//', text)} ({advice})") from error


def tracker_for(settings: TrackingSettings, experiment: str) -> Tracker:
    """The tracker that the settings ask for."""
    return NullTracker() if settings.kind == "none" else MlflowTracker(experiment, settings.uri)


def _artifacts(uri: str) -> str | None:
    """Where a local store keeps files: beside the database. A server decides for itself."""
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).resolve().parent / "artifacts").as_uri()


@contextmanager
def _lock(uri: str) -> Iterator[None]:
    """One process at a time: a fresh store that several open at once breaks in its migration."""
    if not uri.startswith(_SQLITE):
        yield
        return
    database = Path(uri.removeprefix(_SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    guard = database.with_name(database.name + ".lock")
    # sqlite's own locks work on every platform and die with their process
    with closing(sqlite3.connect(guard, timeout=_LOCK_SECONDS, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep warnings and log lines of MLflow, alembic and git away from the user's terminal."""
    root = logging.getLogger()
    before, handlers, level = logging.root.manager.disable, root.handlers[:], root.level
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.handlers[:] = handlers  # alembic adds its own
        root.setLevel(level)
