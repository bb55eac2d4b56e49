"""Which types of orders make a purchase: those that somebody decides upon."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from ppi_ml.errors import UsageError

PurchaseType = Literal["one_off", "subscription"]
DEFAULT: tuple[PurchaseType, ...] = ("one_off",)
_ALLOWED: tuple[PurchaseType, ...] = ("one_off", "subscription")
_EXPECTED = f"expected a list of {' or '.join(_ALLOWED)}"
_NEVER = {
    "exchange": "an exchange follows from an earlier purchase",
    "replacement": "a replacement follows from an earlier purchase",
    "free": "what is free is given, not bought",
}


def problem(types: object) -> str | None:
    """What is wrong with a list of types that shall make a purchase; None where nothing is."""
    if isinstance(types, str) or not isinstance(types, Collection):
        return f"{_EXPECTED}, such as [one_off, subscription]"
    names = list(types)
    if not names:
        return f"{_EXPECTED}; without a purchase there is nothing to predict"
    for name in names:
        if why := _NEVER.get(str(name)):
            return f"{name} is never a purchase: {why}; {_EXPECTED}"
        if name not in _ALLOWED:
            return f'{_EXPECTED}, got "{name}"'
    return None


def checked(types: Collection[str]) -> tuple[PurchaseType, ...]:
    """The types that make a purchase, each once and in one order; `UsageError` for a wrong one."""
    if wrong := problem(types):
        raise UsageError(f"purchases: {wrong}")
    named = set(types)
    return tuple(name for name in _ALLOWED if name in named)
