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

Answer = Callable[[Mapping[str, Any], str], Mapping[str, Sequence[float]]]
"""(events of one customer, cutoff) -> what the model says: `CURVE`, and for pairs `RUN_OUT`."""

CURVE, RUN_OUT = "cumulative_hazard", "run_out"
"""The cumulative hazard at the edges of the curve, or the probabilities of what is open, which
bundles have always kept under the same name; and that of the run-out."""

_TOLERANCE = 1e-9
_BOUGHT = {"one": (40,), "steady": (155, 125, 95, 64, 35, 4), "lapsed": (171, 170, 166, 150)}
_DELIVERED_BEFORE = 10
"""Orders of the last days are still on their way."""
_RETURNED = {"steady": (60,), "lapsed": (149, 148)}
_USED = {"one": (("first_use", 20), ("telemetry", 6)), "steady": (("refill", 92), ("refill", 30))}
_ASKED = ("cutoff", "customers")
"""What a self-test asks; all else that is stored was answered."""


def record(answer: Answer, end: Cutoff, tables: Collection[str]) -> dict[str, Any]:
    """What a model says of the three; stored in its bundle as `selftest.json`.

    Args:
        answer: how the model answers.
        end: the training end, to which the customers are dated.
        tables: the tables that the model knows.
    """
    requests = [_events(name, end, tables) for name in _BOUGHT]
    answers = [answer(request, str(end)) for request in requests]
    return {
        "cutoff": str(end),
        "customers": requests,
        **{part: [list(said[part]) for said in answers] for part in answers[0]},
    }


def check(stored: Mapping[str, Any], answer: Answer, folder: Path) -> None:
    """`IntegrityError` unless the model still says the same of the three.

    Compared is what was stored: a bundle of an older version may have kept less.
    """
    answers = [answer(request, stored["cutoff"]) for request in stored["customers"]]
    for part in (name for name in stored if name not in _ASKED):
        for said, expected in zip(answers, stored[part], strict=True):
            found = said.get(part, ())
            same = len(found) == len(expected)
            if not same or not np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
                raise IntegrityError(
                    f"{folder}: this installation does not score the bundle as it was trained "
                    f"(self-test, {part.replace('_', ' ')}: {_worst(found, expected)}); install "
                    "the versions that its manifest names"
                )


def _worst(found: Sequence[float], expected: Sequence[float]) -> str:
    if len(found) != len(expected):
        return f"{len(found)} numbers instead of {len(expected)}"
    return f"off by up to {float(np.max(np.abs(np.asarray(found) - np.asarray(expected)))):.2g}"


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
    used = [
        {
            "customer_id": f"selftest-{name}",
            "usage_id": f"{name}-{kind}-{days}",
            "occurred_at": str(end.plus(-days))[:10],
            "sku": f"sku-{_BOUGHT[name][-1] % 3}",
            "kind": kind,
            "amount": 0.5,
        }
        for kind, days in _USED.get(name, ())
    ]
    parcels = [(f"{name}-{days}", days) for days in _BOUGHT[name]]
    further = {
        "returns": sent_back,
        "usage": used,
        "products": _products(),
        "shipments": [_parcel(name, order, end, days - 1, days) for order, days in parcels],
        "deliveries": [
            _parcel(name, order, end, days - 5, days)
            for order, days in parcels
            if days > _DELIVERED_BEFORE
        ],
    }
    known = {table: rows for table, rows in further.items() if table in tables and rows}
    return {"order_lines": order_lines} | known


def _parcel(name: str, order: str, end: Cutoff, days: int, ordered: int) -> dict[str, Any]:
    """A parcel of an order: what happened to it so many days ago, promised for the sixth day."""
    return {
        "customer_id": f"selftest-{name}",
        "shipment_id": order,
        "order_id": order,
        "occurred_at": str(end.plus(-days))[:10],
        "promised_at": str(end.plus(6 - ordered))[:10],
    }


def _products() -> list[dict[str, Any]]:
    """What the made-up skus are, whichever column tells what a product is."""
    columns = ("category", "category_group", "department", "brand")
    return [
        {"sku": f"sku-{i}", **dict.fromkeys(columns, f"selftest-{i % 2}"), "unit_size": 1.0 + i}
        for i in range(3)
    ]
