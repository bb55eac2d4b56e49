"""Why a CSV file cannot be read, and what to do: looked at only once reading it has failed.

What is said names the file's form, never a cell.
"""

from __future__ import annotations

import codecs
import csv
import shlex
from pathlib import Path

_CHUNK = 1 << 20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOTE_LENGTH = 20
_SAVE = "Save it as UTF-8 (a spreadsheet calls it CSV UTF-8)"


def trouble(file: Path, separator: str) -> str:
    """What is wrong with a CSV file of that separator and how to mend it; empty if not known."""
    with file.open("rb") as lines:
        start = lines.read(4)
    if not file.stat().st_size:
        return "the file is empty. Expected a header and a line per row: export it again"
    if start.startswith(_UTF16) or b"\0" in start:
        return f"it is written in UTF-16. {_SAVE}, or: {_converted(file, 'UTF-16')}"
    if not _is_utf8(file):
        return (
            "it holds bytes that are no UTF-8, as files in Windows-1252 or latin-1 do. "
            f"{_SAVE}, or: {_converted(file, 'CP1252')}"
        )
    return _note_to_excel(file) or _longer_row(file, separator)


def _converted(file: Path, encoding: str) -> str:
    return f"iconv -f {encoding} -t UTF-8 {_into(file, 'utf8')}"


def _into(file: Path, prefix: str) -> str:
    """From the file into one beside it, as a shell reads it."""
    return f"{shlex.quote(str(file))} > {shlex.quote(str(file.with_name(f'{prefix}-{file.name}')))}"


def _is_utf8(file: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as lines:
        try:
            while chunk := lines.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _note_to_excel(file: Path) -> str:
    """Excel writes, and reads, the separator on a line of its own above the header."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        first = lines.readline(_NOTE_LENGTH).strip().strip('"').lower()
    if not (first.startswith("sep=") and len(first) <= len("sep=;")):
        return ""
    return (
        "its first line is sep=, a note to Excel about the separator, and the header only comes "
        f"after it. Delete that line, or: tail -n +2 {_into(file, 'plain')}"
    )


def _longer_row(file: Path, separator: str) -> str:
    """Which row has more fields than the header."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, delimiter=separator)
        try:
            wanted = len(next(rows, []))
            for row in rows:
                if len(row) > wanted:
                    return (
                        f"line {rows.line_num:,} has {len(row)} fields and the header {wanted}; "
                        f'the separator was taken to be "{_shown(separator)}". A field that holds '
                        "the separator, such as 12,50 between commas, needs quotes: export with "
                        "quotes or with another separator (; , tab or |), or mend the rows longer "
                        "than its header"
                    )
        except csv.Error:
            return ""
    return ""


def _shown(separator: str) -> str:
    return "tab" if separator == "\t" else separator
