"""Steps of a part that are kept one by one, so that a part that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def step(
    path: Path | None,
    asked: Mapping[str, object],
    work: Callable[[], DataclassInstance],
    *,
    fresh: bool = False,
) -> dict[str, Any]:
    """The fields of what a step found, read where it was kept, else found now and kept.

    Args:
        path: a JSON file; None keeps nothing.
        asked: what the step was asked to do; what was kept of another question is found anew.
        work: the step.
        fresh: find it anew even so.
    """
    question = json.loads(json.dumps(dict(asked)))
    if path is not None and path.is_file() and not fresh:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["asked"] == question:
            found: dict[str, Any] = stored["found"]
            return found
    found = asdict(work())
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial")
        text = json.dumps({"asked": question, "found": found}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    return found


def dates(measured: Iterable[str]) -> str:
    """The first and the last of some dates, in words."""
    known = sorted(measured)
    return " to ".join(dict.fromkeys((known[0], known[-1])))
