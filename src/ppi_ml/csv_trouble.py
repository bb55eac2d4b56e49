"""The form of a CSV file, and why one cannot be read and what to do.

What is said names the file's form, never a cell.
"""

from __future__ import annotations

import codecs
import csv
import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_CHUNK = 1 << 20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KINDS = {
    b"PK\x03\x04": "an Excel workbook or a zip file, whatever its name says. Save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel workbook, whatever its name says. Save it as CSV UTF-8",
    b"\x1f\x8b": "compressed by gzip, whatever its name says. Unpack it",
    b"PAR1": "a Parquet file, whatever its name says. Give it one that ends in .parquet",
}
"""The first bytes of what is no text, and what to do."""
_TITLE_GAPS = 2
_NAME_LINES = 16
_MARK = re.compile(r'[^\w\s,;|"]')
_QUOTED = re.compile(r'"[^"]*"')
SEPARATORS = ",;\t|"
_SAVE = "Save it as UTF-8 (a spreadsheet calls it CSV UTF-8)"


def separator_of(lines: Iterable[str]) -> str:
    """What stands between the names of the header, the first line that is not blank.

    A name between quotes may go on in the lines below.
    """
    rest = iter(lines)
    head = next((line for line in rest if line.strip()), "")
    for more in islice(rest, _NAME_LINES):
        if head.count('"') % 2 == 0:
            break
        head += more
    return max(SEPARATORS, key=_QUOTED.sub("", head).count)


def trouble(file: Path, separator: str, encoding: str | None = None) -> str:
    """What is wrong with a CSV file of that separator and how to mend it; empty if not known.

    `encoding` is what was stated of files that are no UTF-8.
    """
    if not file.stat().st_size:
        return "the file is empty. Expected a header and a line per row: export it again"
    if kind := other_kind(file):
        return f"it is {kind}"
    if (written := _written(file)) is not None:
        if encoding is not None:
            return f"it holds bytes that are no {encoding} either. {_SAVE}"
        return f"{written.told}. {_stated(written.setting)}"
    return _odd_row(file, separator)


def other_encoding(file: Path) -> str:
    """How a text that is not in UTF-8 is written, and how to convert it in its place; or empty."""
    if (written := _written(file)) is None:
        return ""
    here, there = shlex.quote(str(file)), shlex.quote(f"{file}.utf8")
    command = f"iconv -f {written.setting.upper()} -t UTF-8 {here} > {there} && mv {there} {here}"
    return f"{written.told}. {_SAVE} in its place, or: {command}"


class _Written(NamedTuple):
    """What is told of an encoding, and its name."""

    told: str
    setting: str


def _written(file: Path) -> _Written | None:
    """The encoding that a text seems to be in; None if it is UTF-8, or no text at all."""
    if other_kind(file):
        return None
    if is_utf16(file):
        return _Written("it is written in UTF-16", "utf-16")
    if not is_utf8(file):
        told = "it holds bytes that are no UTF-8, as files in Windows-1252 or latin-1 do"
        return _Written(told, "cp1252")
    return None


def _stated(encoding: str) -> str:
    """The setting that reads the file, wherever it is written."""
    return (
        f"Say so: data.encoding: {encoding} in a config, --set data.encoding={encoding} at the "
        f'prompt, encoding="{encoding}" in Python. Or {_SAVE[0].lower()}{_SAVE[1:]}'
    )


def above_header(head: Sequence[str], file: Path) -> str:
    """What stands where the header should, and how to mend it; empty if the first line may be it.

    `head` are the first lines of the file; blank ones before all others count as nothing. Excel
    writes the separator on a line of its own; a title has fewer cells than the header that comes
    some lines below it.
    """
    place = next((i for i, line in enumerate(head) if line.strip()), None)
    if place is None or head[place].count('"') % 2:  # a name between quotes goes on in the next
        return ""
    top = head[place]
    first = top.strip().strip('"').lower()
    if first.startswith("sep=") and len(first) <= len("sep=;"):
        return (
            "its first line is sep=, a note to Excel about the separator, and the header only "
            f"comes then. {_delete(place + 1, file)}"
        )
    cells = _cells(top)
    filled = sum(map(bool, cells))
    if filled > 1 and cells.count("") < _TITLE_GAPS:
        return ""
    marks = set(_MARK.findall(top))
    # What separates the cells of a title separates those of its header; 1,5 is no two cells then.
    separators = separator_of([top]) if len(cells) > 1 else SEPARATORS
    for number, line in enumerate(head[place + 1 :], place + 2):
        below = _cells(line, separators)
        if any(top.count(mark) + 1 == len(below) for mark in marks):
            return ""  # a header between marks that separate nothing else, such as a/b/c
        if sum(map(bool, below)) > max(filled, 2):
            return (
                f"line {place + 1} looks like a title, and line {number} like the header. "
                f"{_delete(number - 1, file)}"
            )
    return ""


def _cells(line: str, separators: str = SEPARATORS) -> list[str]:
    """The cells of a line by the separator that makes the most of them outside of quotes."""
    plain = _QUOTED.sub(lambda quoted: "x" * bool(quoted[0].strip('"').strip()), line)
    return max(([c.strip() for c in plain.split(s)] for s in separators), key=len)


def _delete(lines: int, file: Path) -> str:
    """How to delete the first lines of a file where it lies."""
    which = "that line" if lines == 1 else f"the {lines} lines above it"
    span = "1d" if lines == 1 else f"1,{lines}d"
    return f"Delete {which}, or: sed -i.bak {span} {shlex.quote(str(file))}"


def other_kind(file: Path) -> str:
    """What a file is that is no text, and what to do; empty if it may be one."""
    with file.open("rb") as lines:
        start = lines.read(4)
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), "")


def is_utf16(file: Path) -> bool:
    """Whether a file begins as a text of two bytes a character does, with a mark or without."""
    with file.open("rb") as lines:
        start = lines.read(4)
    return start.startswith(_UTF16) or b"\0" in start


def is_utf8(file: Path) -> bool:
    """Whether all of a file is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as lines:
        try:
            while chunk := lines.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _odd_row(file: Path, separator: str) -> str:
    """Which row has quotes that do not fit, or more fields than the header."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, delimiter=separator, strict=True)
        wanted, begins = 0, 1
        try:
            for row in rows:
                wanted = wanted or len(row)
                if len(row) > wanted:
                    return (
                        f"line {rows.line_num:,} has {len(row)} fields and the header {wanted}; "
                        f'the separator was taken to be "{_shown(separator)}". A field that holds '
                        "the separator, such as 12,50 between commas, needs quotes: export with "
                        "quotes or with another separator (; , tab or |), or mend the rows longer "
                        "than its header"
                    )
                begins = rows.line_num + 1
        except csv.Error:
            return (
                f"the row that begins on line {begins:,} has a field whose quote is never closed, "
                'or a quote inside a quoted field that is not written twice, as "" is. Mend it, or '
                "export again with such quotes doubled"
            )
    return ""


def _shown(separator: str) -> str:
    return "tab" if separator == "\t" else separator
