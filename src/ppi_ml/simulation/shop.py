"""The settings of a simulated shop: how its customers live, and what disturbs their purchases."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from ppi_ml.errors import UsageError

_MOST_SPELL = 0.9  # more, and a product would hardly ever be as it usually is


@dataclass(frozen=True)
class Shop:
    """How customers consume and buy; the defaults are a plausible shop, every disturbance on.

    A *spread* is the standard deviation of a natural logarithm; medians are over whatever varies.
    A `UsageError` names the setting that is out of its range.

    Products and customers
        categories, products_per_category: whole numbers, at least 1.
        products_each: mean number of products a customer consumes (pairs), at least 1.
        joining: share of the simulated time over which customers join, evenly; 0: all on day one.
        adoption_days: mean days until a customer takes up each product after the first.
    Consumption
        pack_days: days that a pack of the usual size lasts in the middle household.
        category_spread, product_spread, customer_spread, pair_spread: how rates differ; the rate
            of a pair is constant in time.
        day_spread: day-to-day variation of what a pair consumes.
    Trips and decisions
        trip_days, trip_spread: median days between a customer's trips to the shop, over customers.
        trip_regularity: shape of the Gamma that the days between trips follow: 1 is a Poisson
            process, 50 nearly a clock.
        lead_days, lead_spread: a customer buys on the first trip on which the stock in the house is
            expected to last less than so many days (and the days of delivery), median over
            customers; 0: only once the house is empty.
        consumption_drives: share of the decisions that look at the stock. The rest buy by chance,
            as often as the consumption needs on average; with 0 nobody looks.
        pack_choice: chance that a refill is of two packs (or, a third of the time, three).
    Disturbances, each off at 0
        promotions: share of time a product is on promotion, in spells of promotion_days; then
            customers who look at their stock buy promotion_early_days before they would, and with
            chance promotion_extra two or three packs; the price falls by the share promotion_depth.
        other_shops: share of the refills bought in another shop: in the house, not in the log.
        stock_outs: share of time the shop cannot sell a product, in spells of stock_out_days on
            average; who finds it missing comes back on a later trip.
        lapse_per_year: how often a pair stops consuming for good, per pair and year.
        leave_per_year: how often a customer stops everything, per customer and year.
        delivery_days: mean days from order to delivery; 0: what is bought is at home at once, and
            there is no table of deliveries. Nobody orders a product again that is on its way.
    Reports
        usage: share of the pairs whose customer reports the first use and scans every refill after
            it on opening it.
        telemetry: share of the pairs with a device that reads once a week how much was used. With
            0 for both there is no such table.
    """

    categories: int = 12
    products_per_category: int = 8
    products_each: float = 4.0
    joining: float = 0.5
    adoption_days: float = 60.0

    pack_days: float = 30.0
    category_spread: float = 0.5
    product_spread: float = 0.2
    customer_spread: float = 0.4
    pair_spread: float = 0.3
    day_spread: float = 0.5

    trip_days: float = 7.0
    trip_spread: float = 0.3
    trip_regularity: float = 4.0
    lead_days: float = 4.0
    lead_spread: float = 0.5
    consumption_drives: float = 0.9
    pack_choice: float = 0.3

    promotions: float = 0.08
    promotion_days: float = 7.0
    promotion_early_days: float = 14.0
    promotion_extra: float = 0.5
    promotion_depth: float = 0.25
    other_shops: float = 0.2
    stock_outs: float = 0.03
    stock_out_days: float = 10.0
    lapse_per_year: float = 0.25
    leave_per_year: float = 0.15
    delivery_days: float = 2.0

    usage: float = 0.1
    telemetry: float = 0.05

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            require(f"shop.{name}", getattr(self, name), least, most, whole=name in _WHOLE)

    @classmethod
    def undisturbed(cls) -> Shop:
        """Consumption alone drives purchases: no disturbance, no delivery time, no reports."""
        off = dict.fromkeys(_DISTURBANCES, 0.0)
        return cls(**off, consumption_drives=1.0, usage=0.0, telemetry=0.0)  # type: ignore[arg-type]


def require(name: str, value: object, least: float, most: float, *, whole: bool = False) -> None:
    """`UsageError` unless the value is a number from `least` to `most` (whole, if it must be)."""
    number = isinstance(value, int if whole else Real) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # type: ignore[operator]
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name}: expected {kind} from {least:g} to {most:.10g}, got {value!r}")


_WHOLE = ("categories", "products_per_category")
_DISTURBANCES = (
    "promotions", "other_shops", "stock_outs", "lapse_per_year", "leave_per_year", "delivery_days",
)  # fmt: skip
_SHARE, _TIME, _SPREAD, _RATE = (0.0, 1.0), (0.0, _MOST_SPELL), (0.0, 2.0), (0.0, 100.0)
_DAYS, _DAYS_OR_NONE = (0.1, 3_650.0), (0.0, 3_650.0)
_RANGES = {
    "categories": (1, 10_000),
    "products_per_category": (1, 10_000),
    "products_each": (1.0, 10_000.0),
    "joining": _SHARE,
    "adoption_days": _DAYS_OR_NONE,
    "pack_days": _DAYS,
    "category_spread": _SPREAD,
    "product_spread": _SPREAD,
    "customer_spread": _SPREAD,
    "pair_spread": _SPREAD,
    "day_spread": _SPREAD,
    "trip_days": _DAYS,
    "trip_spread": _SPREAD,
    "trip_regularity": (0.1, 10_000.0),
    "lead_days": _DAYS_OR_NONE,
    "lead_spread": _SPREAD,
    "consumption_drives": _SHARE,
    "pack_choice": _SHARE,
    "promotions": _TIME,
    "promotion_days": _DAYS,
    "promotion_early_days": _DAYS_OR_NONE,
    "promotion_extra": _SHARE,
    "promotion_depth": _SHARE,
    "other_shops": _SHARE,
    "stock_outs": _TIME,
    "stock_out_days": _DAYS,
    "lapse_per_year": _RATE,
    "leave_per_year": _RATE,
    "delivery_days": _DAYS_OR_NONE,
    "usage": _SHARE,
    "telemetry": _SHARE,
}
