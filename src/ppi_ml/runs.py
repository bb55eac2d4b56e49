"""The folder of one training: written under a hidden name, renamed when whole."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ppi_ml.config import Config
from ppi_ml.errors import UsageError
from ppi_ml.load_report import LoadReport
from ppi_ml.scorecard import Scorecard, Verdict
from ppi_ml.settings import write

JOURNAL = "tuning.journal"
_PIN = "started_with.yaml"
_MAY_DIFFER = ("tune", "engine", "tracking", "output")
PRIVATE = ("predictions.parquet", "backtest.parquet", "run_outs.csv", "run_outs.md", "quarantine")
"""Parts of a run folder that name customers; they go to no tracking server."""


@dataclass(frozen=True)
class Run:
    """What a training leaves behind; everything lies in `folder`."""

    folder: Path
    bundle: Path
    scorecard: Scorecard
    report: LoadReport
    run_id: str | None
    config: Config
    target: str
    cutoffs: tuple[str, ...]
    n_train: int
    n_test: int

    @property
    def verdict(self) -> Verdict:
        """What the scorecard says."""
        return self.scorecard.verdict

    def to_json(self) -> dict[str, Any]:
        """The answer of `ppi-ml train --json`."""
        card = self.scorecard.to_dict()
        return {
            "target": self.target,
            "bundle": str(self.bundle),
            "run_id": self.run_id,
            "cutoffs": list(self.cutoffs),
            "n_train": self.n_train,
            "n_test": self.n_test,
            "verdict": card["verdict"],
            "scorecard": card["rows"],
        }

    def __repr__(self) -> str:
        horizon = self.config.target.horizon
        return f"Run({self.target} within {horizon} days, {self.verdict.status}, {self.folder})"

    def _repr_html_(self) -> str:
        return f"{self.scorecard._repr_html_()}<p>{self.folder}</p>"


class RunFolder:
    """The run folder: made under a hidden name, renamed when whole, kept for `--resume` if not."""

    def __init__(
        self, config: Config, resume: str | Path | None, tell: Callable[[str], None] | None = None
    ) -> None:
        """The folder of a config, or of an interrupted run; `tell` hears what of it was kept."""
        self._root, self._tell = Path(config.output.folder), tell
        self.resumed = resume is not None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.name = f"{config.name}-{stamp}-{secrets.token_hex(3)}"
        self.path = self._root / f".{self.name}.partial"
        if resume is not None:
            self.path = Path(resume)
            self.name = self.path.name.removeprefix(".").removesuffix(".partial")
            if not (self.path / _PIN).is_file() or not self.path.name.endswith(".partial"):
                raise UsageError(
                    f"--resume: expected the folder of an interrupted run, named "
                    f".<name>.partial in {self._root}, got {resume}"
                )

    def __enter__(self) -> RunFolder:
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        if not (self.resumed or (self.path / JOURNAL).exists()):
            shutil.rmtree(self.path, ignore_errors=True)
        elif self.path.is_dir() and self._tell is not None:
            self._tell(f"kept: {self.path}; --resume {self.path} goes on from there")

    def pin(self, config: Config, fingerprint: str) -> None:
        """Note what is being trained, or refuse to go on with something else.

        A resumed search may be given another budget, engine, tracker or place.

        Args:
            config: the filled config.
            fingerprint: that of the log.
        """
        asked = {k: v for k, v in config.to_dict().items() if k not in _MAY_DIFFER}
        about, place = f"{write(asked)}# log {fingerprint}\n", self.path / _PIN
        if not place.exists():
            place.write_text(about, encoding="utf-8")
        elif place.read_text(encoding="utf-8") != about:
            raise UsageError(
                f"--resume: {self.path} was started with other settings or other events; "
                "resume it with its own, or start anew without --resume"
            )

    def finish(self) -> Path:
        """Give the folder its name, and let `latest` point to it."""
        for name in (JOURNAL, _PIN):
            (self.path / name).unlink(missing_ok=True)
        place = self._root / self.name
        self.path.rename(place)
        latest = self._root / "latest"
        temporary = self._root / f".latest-{secrets.token_hex(3)}"
        temporary.symlink_to(place.name, target_is_directory=True)
        temporary.replace(latest)
        return place


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
