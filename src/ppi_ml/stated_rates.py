"""What money in other currencies is worth, as the shop states it: one constant rate for each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ppi_ml.errors import UsageError

_CODE = re.compile(r"[A-Z]{3}")  # ISO 4217
_EXAMPLE = "{USD: 0.92}"


def problem(rates: object, currency: str | None) -> str | None:
    """What is wrong with rates into the currency of the log; None where nothing is."""
    if not isinstance(rates, Mapping):
        return f"expected a rate for each currency, such as {_EXAMPLE}"
    if rates and currency is None:
        return (
            "the currency of the log is needed as well: a rate says what one unit of another is in "
            "it. Set data.currency, in Python currency=..."
        )
    for code, rate in rates.items():
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            return f'expected codes of three capital letters, as in {_EXAMPLE}, got "{code}"'
        if code == str(currency).upper():
            return f"{code} is the currency of the log, which needs no rate; leave it out"
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not number or not math.isfinite(rate) or rate <= 0:
            expected = f"{code}: expected a number above 0, what 1 {code} is in {currency}"
            return f'{expected}, got "{rate}"'
    return None


def checked(rates: Mapping[str, float], currency: str | None) -> dict[str, float]:
    """The rates by code, sorted; `UsageError` for a wrong one."""
    if wrong := problem(rates, currency):
        raise UsageError(f"rates: {wrong}")
    return {code: float(rates[code]) for code in sorted(rates)}


def named(rates: Mapping[str, float]) -> str:
    """Rates for a sentence; none where there are none."""
    return ", ".join(f"{code} {rates[code]!r}" for code in sorted(rates)) or "none"
