"""How many purchases lie how far back, for more than a year: what was done at this time last year.

For the smooth models alone, which make of it what the customer bought in the same weeks a year
before the days they are asked about (`covariates.year_ago`): these lie ahead of the cutoff, so no
window that ends at the cutoff says it.
"""

from __future__ import annotations

from ppi_ml.declare import Family, Feature

_AGES = tuple(range(30, 421, 30))
"""Windows in days, up to a year and the 30 days around it."""

FAMILY = Family(
    name="anniversary",
    entity="customer",
    needs=("order_lines",),
    features=(
        Feature("purchases", "count", "purchases", "purchase days", "never null",
                windows=_AGES, honest=False, trees=False),
    ),
)  # fmt: skip
