"""Text that a spreadsheet would run as a formula, written so that it shows it instead.

Ids and names of products come from a shop's customers, and a cell such as `=HYPERLINK(...)` is run
by whoever opens the file. An apostrophe before it makes it text, and can be taken away again.
"""

from __future__ import annotations

import re

import polars as pl

_RUN = r"'*[=+\-@\t\r]"
_SHOWN = re.compile(f"'{_RUN}")


def shown(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would run."""
    return frame.with_columns(pl.col(pl.String).str.replace(f"^({_RUN})", "'$1"))


def meant(cell: str) -> str:
    """What a cell that `shown` made says."""
    return cell[1:] if _SHOWN.match(cell) else cell
