"""What and how much the customer bought: purchases, money, units and breadth by window."""

from __future__ import annotations

from ppi_ml.declare import STANDARD_WINDOWS, Family, Feature
from ppi_ml.features._kit import MONEY, QUANTITY, trend

_UNSEEN = "less than a quarter of the window was observed"
_NONE = "no purchase in the window"
_UNPRICED = "no priced purchase in the window"

FAMILY = Family(
    name="orders",
    entity="customer",
    needs=("order_lines",),
    features=(
        Feature("purchases", "count", "purchases", "purchase days", _UNSEEN,
                windows=STANDARD_WINDOWS),
        Feature("purchases", "rate", "purchases", "per day", _UNSEEN, windows=STANDARD_WINDOWS),
        Feature(
            "value", "sum", "purchases", "currency", _UNPRICED,
            of="value_e4", windows=(90, 365), scale=MONEY,
        ),
        Feature(
            "value", "mean", "purchases", "currency", _UNPRICED,
            of="value_e4", windows=(90, 365), scale=MONEY,
        ),
        Feature("value", "max", "purchases", "currency", _UNPRICED,
                of="value_e4", windows=(365,), scale=MONEY),
        Feature("value", "last", "purchases", "currency", "no priced purchase",
                of="value_e4", scale=MONEY),
        Feature("units", "mean", "purchases", "units", _NONE,
                of="units_e3", windows=(365,), scale=QUANTITY),
        Feature("lines", "mean", "purchases", "order lines", _NONE, of="lines", windows=(365,)),
        Feature("orders", "mean", "purchases", "orders per purchase day", _NONE,
                of="orders", windows=(365,)),
        Feature("skus", "distinct", "lines", "products", _UNSEEN, of="sku", windows=(90, 365)),
    ),
    expressions=(
        trend("orders", "purchases", 30, 180, "purchases"),
        trend("orders", "purchases", 90, 365, "purchases"),
    ),
)  # fmt: skip
