"""Work on buckets on this machine, in threads: polars and LightGBM release the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_buckets(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> list[Result]:
    """`function` of every item, in the order of the items."""
    work = list(items)
    if threads <= 1 or len(work) <= 1:
        return [function(item) for item in work]
    results: list[Result] = Parallel(n_jobs=threads, prefer="threads")(
        delayed(function)(item) for item in work
    )
    return results
