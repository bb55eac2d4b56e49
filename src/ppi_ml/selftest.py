"""Three made-up customers that every bundle must score as it did when it was trained.

A bundle that passes its hashes may still meet another version of a library; this is the check that
the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ppi_ml.bundle import Bundle
from ppi_ml.errors import IntegrityError
from ppi_ml.instants import Cutoff

if TYPE_CHECKING:
    from ppi_ml.packing import Model
    from ppi_ml.scoring import Scorer

_TOLERANCE = 1e-9
_BOUGHT = {"one": (40,), "steady": (155, 125, 95, 64, 35, 4), "lapsed": (171, 170, 166, 150)}
_RETURNED = {"steady": (60,), "lapsed": (149, 148)}


def customers(model: Model, zone: str) -> list[dict[str, Any]]:
    """Requests of three made-up customers, dated relative to the training end."""
    end = Cutoff.parse(model.dated, zone)
    return [_events(name, end, "returns" in model.tables) for name in _BOUGHT]


def record(scorer: Scorer) -> dict[str, Any]:
    """What the bundle says of the three; stored in it as `selftest.json`."""
    zone = scorer.config.data.timezone
    requests = customers(scorer.model, zone)
    return {
        "cutoff": scorer.model.dated,
        "customers": requests,
        "cumulative_hazard": [_answer(scorer, r, scorer.model.dated) for r in requests],
    }


def check(bundle: Bundle, scorer: Scorer) -> None:
    """`IntegrityError` unless the bundle still says the same of the three."""
    stored = bundle.json("selftest.json")
    if stored is None:
        return
    for request, expected in zip(stored["customers"], stored["cumulative_hazard"], strict=True):
        found = _answer(scorer, request, stored["cutoff"])
        if not np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise IntegrityError(
                f"{bundle.folder}: this installation does not score the bundle as it was trained "
                f"(self-test off by up to {_worst(found, expected):.2g}); install the versions "
                "that its manifest names"
            )


def _answer(scorer: Scorer, request: Mapping[str, Any], cutoff: str) -> list[float]:
    found: list[float] = scorer.one(request, cutoff).curves.cumulative[0].tolist()
    return found


def _worst(found: Sequence[float], expected: Sequence[float]) -> float:
    return float(np.max(np.abs(np.asarray(found) - np.asarray(expected))))


def _events(name: str, end: Cutoff, returns: bool) -> dict[str, Any]:
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
    return {"order_lines": order_lines} | ({"returns": sent_back} if returns and sent_back else {})
