"""Three made-up customers that every bundle must score as it did when it was trained.

A bundle that passes its hashes may still meet another version of a library; this is the check that
the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppi_ml.errors import IntegrityError
from ppi_ml.instants import Cutoff

Answer = Callable[[Mapping[str, Any], str], Sequence[float]]
"""(events of one customer, cutoff) -> the cumulative hazard at the edges of the curve."""

_TOLERANCE = 1e-9
_BOUGHT = {"one": (40,), "steady": (155, 125, 95, 64, 35, 4), "lapsed": (171, 170, 166, 150)}
_RETURNED = {"steady": (60,), "lapsed": (149, 148)}


def record(answer: Answer, end: Cutoff, tables: Collection[str]) -> dict[str, Any]:
    """What a model says of the three; stored in its bundle as `selftest.json`.

    Args:
        answer: how the model answers.
        end: the training end, to which the customers are dated.
        tables: the tables that the model knows.
    """
    requests = [_events(name, end, tables) for name in _BOUGHT]
    return {
        "cutoff": str(end),
        "customers": requests,
        "cumulative_hazard": [list(answer(request, str(end))) for request in requests],
    }


def check(stored: Mapping[str, Any], answer: Answer, folder: Path) -> None:
    """`IntegrityError` unless the model still says the same of the three."""
    for request, expected in zip(stored["customers"], stored["cumulative_hazard"], strict=True):
        found = answer(request, stored["cutoff"])
        if not np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise IntegrityError(
                f"{folder}: this installation does not score the bundle as it was trained "
                f"(self-test off by up to {_worst(found, expected):.2g}); install the versions "
                "that its manifest names"
            )


def _worst(found: Sequence[float], expected: Sequence[float]) -> float:
    return float(np.max(np.abs(np.asarray(found) - np.asarray(expected))))


def _events(name: str, end: Cutoff, tables: Collection[str]) -> dict[str, Any]:
    order_lines = [
        {
            "customer_id": f"selftest-{name}",
            "order_id": f"{name}-{days}",
            "line_id": "1",
            "occurred_at": str(end.plus(-days))[:10],
            "sku": f"sku-{days % 3}",
            "quantity": 1 + days % 4,
            "unit_price": 2.5 + days % 7,
        }
        for days in _BOUGHT[name]
    ]
    sent_back = [
        {
            "customer_id": f"selftest-{name}",
            "return_id": f"{name}-{days}",
            "occurred_at": str(end.plus(-days))[:10],
            "sku": "sku-1",
            "quantity": 1,
        }
        for days in _RETURNED.get(name, ())
    ]
    further = {"returns": sent_back, "products": _products()}
    known = {table: rows for table, rows in further.items() if table in tables and rows}
    return {"order_lines": order_lines} | known


def _products() -> list[dict[str, Any]]:
    """What the made-up skus are, whichever column tells what a product is."""
    columns = ("category", "category_group", "department", "brand")
    return [
        {"sku": f"sku-{i}", **dict.fromkeys(columns, f"selftest-{i % 2}"), "unit_size": 1.0 + i}
        for i in range(3)
    ]
