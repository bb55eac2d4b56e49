"""The settings of a simulated brand: how its customers order, and what follows an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from ppi_ml.errors import UsageError
from ppi_ml.simulation.shop import require


@dataclass(frozen=True)
class Brand:
    """How customers of a brand order, and what follows; the defaults are plausible, all effects on.

    A *spread* is the standard deviation of a natural logarithm (of log-odds, for chances). The
    dials of `EFFECTS` say how much one thing changes another: 0 is no effect, 0.5 is half as much
    again. The *hazard* is the chance of an order on a day of who has not ordered before that day. A
    `UsageError` names the setting that is out of its range.

    Customers
        joining: share of the simulated time over which customers come, evenly; each begins with
            an order.
        wait_days, wait_spread: mean days from an order to the next one of the middle customer,
            and how customers differ.
        regularity: shape of the Weibull law of the wait; at 1 it forgets how long it has lasted.
        lapse, lapse_spread: chance that the middle customer never orders again after an order.
        source_lapse: so much likelier is that for who came by a voucher.
        season: the hazard is exp(season) times the usual on 1 December, exp(-season) in June.
    Baskets
        categories, products_per_category: whole numbers, at least 1.
        lines_each: mean lines of an order, at least 1.
        loyalty: share of the lines that are one of the customer's three favourites.
        consumption: an order of twice the usual units makes the wait 2**consumption times as long.
        stock_outs, stock_out_days: share of time that a product cannot be sold, and mean length;
            who finds it missing takes another. The first product is never missing.
        cancelled: share of the orders called off within a day, before they are sent.
    Promotions
        promotions: share of the days with a code, in spells of promotion_days; 0: there are none.
        promotion_use: share of the orders of such days that use the code.
        promotion_depth: share of the price that it takes off.
        promotion_pull: so much higher is the hazard on such days.
        promotion_wait: so much longer is the wait after an order with a code.
    Parcels
        late_share: share of the parcels that miss their promise, on the middle lane, outside of
            December. Regions and carriers differ by lane_spread and carrier_spread.
        december_late: the odds of that are so much higher for orders of December.
        late_days: mean days by which a late parcel is late.
        lost: share of the late parcels that never arrive.
        late_wait: from the midnight after the promised day on, what remains of the wait is so much
            longer if the parcel is late; late_wait_first: by so much more after a first order.
        late_lapse: so much likelier is a lapse after a late parcel.
    Products and moods
        quality_spread: how products differ in what customers think of them, in stars.
        mood_spread: how orders differ beyond that, in stars.
        poor_lapse: so much likelier is a lapse after a poor order: more than a star below average,
            not counting how late it came.
        returned, return_spread: share of the lines of the middle product that are sent back.
        return_lapse: so much likelier is a lapse after something was sent back.
    Voices
        reviewed: share of the delivered orders that are reviewed; late_stars: stars that a late
            one loses.
        tickets: share of the delivered orders with a question; late_tickets: share of the late
            parcels whose customer asks where they are, unless they come first.
        surveyed: share of the delivered orders after which a survey is answered.
    Content
        exposures: pieces of content a customer is shown in a year, whoever the customer is.
        content_effect, content_days: one tag makes the hazard so much higher from the next midnight
            on, for so many days. All other tags do nothing.
    Messages
        message_every: days between two mailings; 0: there are none. Not to the holdout, a share of
            the customers drawn by chance, nor to who has unsubscribed.
        opened: share of the messages that are opened.
        message_effect, message_days: an opened one makes the hazard so much higher likewise.
    Records
        usage: share of the customers who register the first use and the refills of what they buy.
        denied: share of the customers who deny profiling, a third of them only later.
        known_late, known_late_days: share of the reported events (parcels, returns, refunds,
            reviews, surveys, usage) that become known later, and by how many days on average.
        begins: table -> day of the log on which it began to be recorded; others begin with the log.
    """

    joining: float = 0.7
    wait_days: float = 45.0
    wait_spread: float = 0.5
    regularity: float = 1.3
    lapse: float = 0.1
    lapse_spread: float = 0.5
    source_lapse: float = 0.5
    season: float = 0.2

    categories: int = 10
    products_per_category: int = 6
    lines_each: float = 1.7
    loyalty: float = 0.6
    consumption: float = 0.4
    stock_outs: float = 0.03
    stock_out_days: float = 10.0
    cancelled: float = 0.02

    promotions: float = 0.15
    promotion_days: float = 7.0
    promotion_use: float = 0.6
    promotion_depth: float = 0.15
    promotion_pull: float = 0.4
    promotion_wait: float = 0.2

    late_share: float = 0.12
    lane_spread: float = 0.6
    carrier_spread: float = 0.4
    december_late: float = 1.0
    late_days: float = 3.0
    lost: float = 0.02
    late_wait: float = 0.3
    late_wait_first: float = 0.4
    late_lapse: float = 0.6

    quality_spread: float = 0.4
    mood_spread: float = 0.9
    poor_lapse: float = 0.6
    returned: float = 0.06
    return_spread: float = 0.7
    return_lapse: float = 0.4

    reviewed: float = 0.35
    late_stars: float = 1.5
    tickets: float = 0.04
    late_tickets: float = 0.6
    surveyed: float = 0.12

    exposures: float = 8.0
    content_effect: float = 0.5
    content_days: int = 7

    message_every: int = 28
    holdout: float = 0.1
    opened: float = 0.4
    message_effect: float = 0.4
    message_days: int = 7

    usage: float = 0.15
    denied: float = 0.03
    known_late: float = 0.05
    known_late_days: float = 4.0
    begins: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            require(f"brand.{name}", getattr(self, name), least, most, whole=name in _WHOLE)
        for table, day in self.begins.items():
            if table not in RECORDED:
                raise UsageError(
                    f'brand.begins: "{table}" cannot begin later; expected one of '
                    f"{', '.join(RECORDED)}"
                )
            require(f"brand.begins.{table}", day, 0, 10_000, whole=True)

    @classmethod
    def without_effects(cls, **dials: Any) -> Brand:  # noqa: ANN401 (whatever the fields are)
        """A brand where everything happens and nothing has an effect, but for the dials given."""
        return cls(**{**dict.fromkeys(EFFECTS, 0.0), **dials})

    @classmethod
    def dialled(cls, dials: Mapping[str, float]) -> Brand:
        """The default brand with some dials set; `UsageError` names one that there is not."""
        for name in dials:
            if name not in _RANGES:
                near = get_close_matches(name, _RANGES, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise UsageError(f'brand: no dial "{name}".{hint} They are: {", ".join(_RANGES)}')
        whole = {name: int(dials[name]) for name in _WHOLE if float(dials.get(name, 0.5)) % 1 == 0}
        return cls(**{**dials, **whole})  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Every setting, as JSON can hold it."""
        found = {own.name: getattr(self, own.name) for own in fields(self)}
        return {**found, "begins": dict(self.begins)}


EFFECTS = (
    "source_lapse", "season", "consumption", "promotion_pull", "promotion_wait", "december_late",
    "late_wait", "late_wait_first", "late_lapse", "poor_lapse", "return_lapse", "late_stars",
    "quality_spread", "late_tickets", "content_effect", "message_effect",
)  # fmt: skip
"""The dials that say how much one thing changes another; 0: not at all."""
RECORDED = (
    "cancellations", "shipments", "deliveries", "delivery_exceptions", "returns", "refunds",
    "reviews", "tickets_opened", "tickets_closed", "surveys", "exposures", "messages", "usage",
    "consents", "stock",
)  # fmt: skip
"""The tables that may begin later than the orders."""

_WHOLE = (
    "categories", "products_per_category", "content_days", "message_every", "message_days",
)  # fmt: skip
_SHARE, _TIMES, _SPREAD = (0.0, 1.0), (0.0, 20.0), (0.0, 2.0)
_DAYS = (0.1, 3_650.0)
_RANGES: Mapping[str, tuple[float, float]] = {
    "joining": _SHARE, "wait_days": (2.0, 3_650.0), "wait_spread": _SPREAD,
    "regularity": (0.3, 20.0), "lapse": (0.0, 0.9), "lapse_spread": _SPREAD,
    "source_lapse": _TIMES, "season": _SPREAD,
    "categories": (1, 1_000), "products_per_category": (1, 1_000), "lines_each": (1.0, 9.0),
    "loyalty": _SHARE, "consumption": (0.0, 1.0), "stock_outs": (0.0, 0.5),
    "stock_out_days": _DAYS, "cancelled": (0.0, 0.5),
    "promotions": (0.0, 0.5), "promotion_days": (1.0, 90.0), "promotion_use": _SHARE,
    "promotion_depth": (0.0, 0.9), "promotion_pull": _TIMES, "promotion_wait": _TIMES,
    "late_share": (0.0, 0.9), "lane_spread": _SPREAD, "carrier_spread": _SPREAD,
    "december_late": _TIMES, "late_days": _DAYS, "lost": _SHARE, "late_wait": _TIMES,
    "late_wait_first": _TIMES, "late_lapse": _TIMES,
    "quality_spread": _SPREAD, "mood_spread": _SPREAD, "poor_lapse": _TIMES,
    "returned": (0.0, 0.9), "return_spread": _SPREAD, "return_lapse": _TIMES,
    "reviewed": _SHARE, "late_stars": (0.0, 4.0), "tickets": _SHARE, "late_tickets": _SHARE,
    "surveyed": _SHARE,
    "exposures": (0.0, 200.0), "content_effect": _TIMES, "content_days": (1, 365),
    "message_every": (0, 365), "holdout": _SHARE, "opened": _SHARE, "message_effect": _TIMES,
    "message_days": (1, 365),
    "usage": _SHARE, "denied": _SHARE, "known_late": _SHARE, "known_late_days": _DAYS,
}  # fmt: skip
