"""How many buckets a log is worked on in: by customer hash, so that any split is exact."""

from __future__ import annotations

import re
from math import ceil

from ppi_ml.errors import UsageError
from ppi_ml.events import EventLog

BYTES_PER_EVENT = 250
"""Memory at the peak of a bucket's work, per event; 190 were measured with the four families."""
GIGABYTE = 10**9
_UNITS = {"MB": 10**6, "GB": GIGABYTE}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([MG]B)")


def bytes_of(memory: str) -> int:
    """The bytes of a size such as `4GB` or `500 MB`; `UsageError` for anything else."""
    match = _SIZE.fullmatch(memory)
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not size:
        raise UsageError(f'memory: expected a size such as 4GB or 500MB, got "{memory}"')
    return size


def bucket_count(log: EventLog, memory: int, threads: int) -> int:
    """The number of buckets with which as many at once as there are threads fit into `memory`.

    Args:
        log: the events.
        memory: bytes to stay within, besides the log itself.
        threads: buckets worked on at the same time.
    """
    events = sum(table.frame.height for table in log.tables.values())
    return max(1, ceil(events * BYTES_PER_EVENT * threads / memory))


def split(log: EventLog, count: int) -> list[EventLog]:
    """The log by customers, every customer whole in one bucket."""
    return [log] if count == 1 else [log.bucket(index, count) for index in range(count)]
