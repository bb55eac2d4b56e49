"""What else of the same group was bought since: a substitute lengthens the wait."""

from __future__ import annotations

from ppi_ml.declare import Family, Feature
from ppi_ml.entities import PAIR

FAMILY = Family(
    name="substitutes",
    entity=PAIR,
    needs=("order_lines",),
    features=(
        Feature("days", "count", "substitutes", "purchase days of others of the group since",
                "never null"),
        Feature("last", "days_since", "substitutes", "days",
                "no other of the group was bought since, or the product has no group"),
    ),
)  # fmt: skip
