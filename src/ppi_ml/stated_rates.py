"""What money in other currencies is worth, as the shop states it: one constant rate for each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from numbers import Real

from ppi_ml.errors import UsageError

_CODE = re.compile(r"[A-Z]{3}")  # ISO 4217
_EXAMPLE = "{USD: 0.92}"


def code(currency: object) -> str | None:
    """A currency as it is compared: in capital letters; None where none is named.

    `UsageError` for what is no code, such as €: what is stated here is compared with other logs.
    """
    if not isinstance(currency, str | None):
        raise UsageError(f'currency: expected a code such as "EUR", got {currency!r}')
    found = (currency or "").strip().upper() or None
    if found and not _CODE.fullmatch(found):
        raise UsageError(f'currency: expected a code such as "EUR", got "{currency}"')
    return found


def problem(rates: object, currency: str | None) -> str | None:
    """What is wrong with rates into the currency of the log (`code`); None where nothing is."""
    if not isinstance(rates, Mapping):
        return f"expected a rate for each currency, such as {_EXAMPLE}"
    if rates and currency is None:
        return (
            "the currency of the log is needed as well: a rate says what one unit of another is in "
            "it. Set data.currency, in Python currency=..."
        )
    for other, rate in rates.items():
        if not isinstance(other, str) or not _CODE.fullmatch(other):
            return f'expected codes of three capital letters, as in {_EXAMPLE}, got "{other}"'
        if other == currency:
            return f"{other} is the currency of the log, which needs no rate; leave it out"
        if not _is_worth(rate):
            expected = f"{other}: expected a number above 0, what 1 {other} is in {currency}"
            return f'{expected}, got "{rate}"'
    return None


def _is_worth(rate: object) -> bool:
    """Whether it is a number above 0 that can be calculated with."""
    if isinstance(rate, bool) or not isinstance(rate, Real):
        return False
    try:
        return 0 < float(rate) < math.inf
    except OverflowError:  # a whole number of hundreds of digits
        return False


def checked(rates: Mapping[str, float], currency: str | None) -> dict[str, float]:
    """The rates by code, sorted; `UsageError` for a wrong one."""
    if wrong := problem(rates, currency):
        raise UsageError(f"rates: {wrong}")
    return {code: float(rates[code]) for code in sorted(rates)}


def named(rates: Mapping[str, float]) -> str:
    """Rates for a sentence; none where there are none."""
    return ", ".join(f"{code} {rates[code]!r}" for code in sorted(rates)) or "none"
