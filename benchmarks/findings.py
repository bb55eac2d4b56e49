"""Numbers beside their bounds: what one part of a benchmark found, printed and kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_HEAD = ("number", "found", "asked for", "")


@dataclass(frozen=True)
class Check:
    """One number in words; `passed` is None where nothing is asked of it or nothing was found."""

    what: str
    found: str
    bound: str = ""
    passed: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        said = {True: "PASS", False: "**FAIL**", None: "-" if self.bound else ""}
        return (self.what, self.found, self.bound, said[self.passed])


def at_most(what: str, value: float, most: float, form: str = ".4f", why: str = "") -> Check:
    """A number that may not be above another, which `why` explains; NaN fails."""
    bound = f"at most {most:{form}}" + (f" ({why})" if why else "")
    return Check(what, f"{value:{form}}", bound, bool(value <= most))


def within(what: str, values: Sequence[float], low: float, high: float, form: str = ".3f") -> Check:
    """Numbers that may not leave a range; told by the least and the greatest. NaN fails."""
    ends = sorted({f"{least:{form}}" for least in (min(values), max(values))}, key=float)
    inside = all(low <= value <= high for value in values)
    return Check(what, " to ".join(ends), f"{low:{form}} to {high:{form}}", inside)


@dataclass(frozen=True)
class Part:
    """What one benchmark found: its numbers, and the tables that they were read from.

    `measured` is the date (UTC), `settings` what it was asked to do, `tables` Markdown.
    """

    title: str
    settings: Mapping[str, Any]
    checks: tuple[Check, ...]
    tables: str = ""
    measured: str = ""

    def to_markdown(self) -> str:
        """A section: heading, date and settings, numbers beside their bounds, tables."""
        asked = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        when = f"Measured {self.measured}" + (f"; {asked}." if asked else ".")
        rows = [check.cells for check in self.checks]
        numbers = [table(_HEAD, rows)] if rows else []
        blocks = [f"## {self.title}", when, *numbers, *([self.tables] if self.tables else [])]
        return "\n\n".join(block.strip() for block in blocks) + "\n"

    def save(self, path: Path) -> None:
        """Write the part as JSON; whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial")
        temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> Part:
        """A part that was saved."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**stored, "checks": tuple(Check(**check) for check in stored["checks"])})


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers are set to the right."""
    rule = ["---:" if _numeric([row[i] for row in rows]) else "---" for i in range(len(head))]
    plain = [[cell.replace("|", "\\|") for cell in cells] for cells in (head, rule, *rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in plain) + "\n"


def _numeric(cells: Sequence[str]) -> bool:
    plain = [cell.strip("*%+").replace(",", "") for cell in cells if cell not in ("", "-")]
    return bool(plain) and all(_is_number(cell) for cell in plain)


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def today() -> str:
    """The date of a measurement."""
    return datetime.now(UTC).date().isoformat()


def kept(
    path: Path, settings: Mapping[str, Any], measure: Callable[[], Part], *, fresh: bool = False
) -> Part:
    """The part at `path` if it was measured with these settings, else measured now and kept.

    Args:
        path: a JSON file.
        settings: what is asked for; a part of other settings is measured again.
        measure: the work.
        fresh: measure even so.
    """
    if path.is_file() and not fresh:
        part = Part.read(path)
        if part.settings == settings:
            return part
    part = measure()
    part.save(path)
    return part
