"""A simulated brand as a folder: one Parquet file per table, and the truth in a folder below."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from ppi_ml.errors import UsageError
from ppi_ml.simulation.brand import EFFECTS
from ppi_ml.simulation.clock import START
from ppi_ml.simulation.history import History
from ppi_ml.simulation.tables import CURRENCY

TRUTH, ABOUT = "truth", "truth.json"


def write(
    out: Path, history: History, customers: int, done: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Write a brand of so many customers; the folder is whole or not there.

    `done` is told how many customers more are done. Returns what `truth/truth.json` says.
    `UsageError` if the folder holds anything, or is none.
    """
    _require_empty(out)
    out = out.resolve()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with ExitStack() as stack:
            tables = _Files(temporary, stack)
            truth = _Files(temporary / TRUTH, stack)
            for file, frames in zip((tables, truth), history.shared(), strict=True):
                file.add(frames)
            for block in history.blocks(customers):
                for file, frames in zip((tables, truth), block, strict=True):
                    file.add(frames)
                if done is not None:
                    done(block[0]["customers"].height)
        about = _about(history, customers, tables.rows)
        text = json.dumps(about, indent=2) + "\n"
        (temporary / TRUTH / ABOUT).write_text(text, encoding="utf-8")
        _move(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return about


def _about(history: History, customers: int, rows: Mapping[str, int]) -> dict[str, Any]:
    """Size, period, rows and dials."""
    dials = history.brand.to_dict()
    return {
        "customers": customers,
        "days": history.days,
        "seed": history.seed,
        "from": str(START),
        "until": str(history.until),
        "timezone": "UTC",
        "currency": CURRENCY,
        "rows": dict(rows),
        "effects": {name: dials.pop(name) for name in EFFECTS},
        "dials": dials,
    }


class _Files:
    """One Parquet file per table; rows are added part by part."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack, self.rows = folder, stack, dict[str, int]()
        self.writers: dict[str, Any] = {}

    def add(self, frames: Mapping[str, pl.DataFrame]) -> None:
        import pyarrow.parquet as pq

        self.folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            arrow = frame.to_arrow()
            if name not in self.writers:
                writer = pq.ParquetWriter(self.folder / f"{name}.parquet", arrow.schema)
                self.writers[name] = self.stack.enter_context(writer)
            self.writers[name].write_table(arrow)
            self.rows[name] = self.rows.get(name, 0) + frame.height


def _require_empty(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: expected a folder that is new or empty, found a file")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out}: the folder is not empty and stays as it is; name a new one")


def _move(temporary: Path, out: Path) -> None:
    """Put the files where they belong; without order lines, which come last, it is no log."""
    if not out.exists():
        temporary.rename(out)
        return
    for part in sorted(temporary.iterdir(), key=lambda path: path.stem == "order_lines"):
        part.rename(out / part.name)
