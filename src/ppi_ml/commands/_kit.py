"""What the commands share: options that are the same everywhere, and ways to print and write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppi_ml.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ppi_ml.runs import Run

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads at the same time.", metavar="N")
]

Memory = Annotated[
    str | None, typer.Option("--memory", help="Memory to stay within, such as 4GB.", metavar="SIZE")
]

FORMATS = ("parquet", "csv", "jsonl")
WORSE = 5
"""Exit code: done, and the model is worse than a baseline."""


def limit_threads(threads: int | None) -> None:
    """Hold the libraries to so many threads; before they are imported, or it has no effect."""
    if threads is not None:
        for variable in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[variable] = str(threads)


def say(value: object) -> None:
    """Print a result: text as it is, anything else as JSON."""
    typer.echo(value if isinstance(value, str) else json.dumps(value, indent=2, default=str))


def columns(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as aligned columns under their names."""
    if not rows:
        return ""
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = (
        (cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    )
    return "\n".join("  ".join(line).rstrip() for line in padded)


def near(path: Path) -> Path:
    """The path as seen from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def where(run: Run) -> str:
    """Where the parts of a run lie."""
    folder = Path(run.folder)
    parts = {
        "scorecard": folder / "scorecard.md",
        "predictions": folder / "predictions.parquet",
        "who, when": due if (due := folder / "run_outs.md").exists() else None,
        "bundle": folder / "bundle",
        "MLflow run": run.run_id,
    }
    return "\n".join(f"{name + ':':<13}{part}" for name, part in parts.items() if part)


def format_of(path: Path, asked: str | None) -> str:
    """The format to write: the one asked for, else the one that the file name ends in.

    `UsageError` if it is none, or if nothing can be written at that path.
    """
    found = asked or path.suffix.removeprefix(".")
    if found not in FORMATS:
        said = f'--format: got "{asked}"' if asked else f"--out: {path.name} ends in none of them"
        raise UsageError(f"{said}; expected one of {', '.join(FORMATS)}")
    if path.is_dir():
        raise UsageError(f"--out: {path} is a folder; expected the file to write")
    if path.exists() and not path.is_file():
        raise UsageError(f"--out: {path} is a device or a pipe; expected the file to write")
    there = next(folder for folder in path.parents if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise UsageError(f"--out: {there} is no folder that can be written to")
    return found


def write_table(frame: pd.DataFrame, path: Path, kind: str) -> None:
    """Write a table whole or not at all; `kind` is one of `FORMATS`.

    Columns of times are dates, as those of a score table are, and are written as such.
    """
    days = frame.select_dtypes("datetime").columns
    writers: dict[str, Any] = {
        "parquet": lambda to: frame.astype(dict.fromkeys(days, "date32[pyarrow]")).to_parquet(
            to, index=False
        ),
        "csv": lambda to: frame.to_csv(to, index=False),
        "jsonl": lambda to: frame.assign(
            **{day: frame[day].dt.strftime("%Y-%m-%d") for day in days}
        ).to_json(to, orient="records", lines=True, date_format="iso", double_precision=15),
    }
    with _whole(path) as temporary:
        writers[kind](temporary)


def write_parts(parts: Iterable[pl.DataFrame], path: Path, kind: str) -> dict[str, int]:
    """Write a table that comes part by part, whole or not at all; how many rows of each status.

    No more than one part is held in memory.
    """
    import pyarrow.parquet as pq

    counts: dict[str, int] = {}
    with _whole(path) as temporary, ExitStack() as stack:
        target: Any = None
        for part in parts:
            first, target = target is None, target or _opened(part, temporary, kind, stack, pq)
            if kind == "parquet":
                target.write_table(part.to_arrow().cast(target.schema))
            elif kind == "csv":
                part.write_csv(target, include_header=first)
            else:
                part.write_ndjson(target)
            for status, n in part["status"].value_counts().iter_rows():
                counts[status] = counts.get(status, 0) + n
    return counts


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write that becomes `path` when the block ends well, and vanishes if not.

    A link stays one, and what it points to is written.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename is not None:
            raise
        # a full disk: the writers do not say of which file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _opened(
    part: pl.DataFrame,
    path: Path,
    kind: str,
    stack: ExitStack,
    pq: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401  (a Parquet writer, or an open file)
    if kind == "parquet":
        return stack.enter_context(pq.ParquetWriter(path, part.to_arrow().schema))
    return stack.enter_context(path.open("wb"))


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """The numbers of an option such as 7,14,30."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f'{option}: expected whole numbers such as 7,14,30, got "{text}"')
    return tuple(map(int, parts))
