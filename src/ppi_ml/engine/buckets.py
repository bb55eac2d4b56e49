"""How many buckets a log is worked on in: by customer hash, so that any split is exact."""

from __future__ import annotations

from math import ceil

from ppi_ml.events import EventLog

ROWS_PER_BUCKET = 3_000_000
"""Order lines a bucket may hold; at some 200 bytes a line well under a gigabyte in work."""


def bucket_count(log: EventLog) -> int:
    """The number of buckets that keeps each within memory."""
    return max(1, ceil(log.tables["order_lines"].frame.height / ROWS_PER_BUCKET))


def split(log: EventLog, count: int) -> list[EventLog]:
    """The log by customers, every customer whole in one bucket."""
    return [log] if count == 1 else [log.bucket(index, count) for index in range(count)]
