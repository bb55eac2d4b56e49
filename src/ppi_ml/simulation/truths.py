"""What the brand's log does not show: why customers ordered when they did."""

from __future__ import annotations

import numpy as np
import polars as pl

from ppi_ml.simulation.assortment import Assortment
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.calendar import Calendar
from ppi_ml.simulation.clock import instants
from ppi_ml.simulation.lanes import CARRIERS, Lanes
from ppi_ml.simulation.nudges import MANY_TAGS, TAGS
from ppi_ml.simulation.people import REGIONS, SOURCES
from ppi_ml.simulation.story import Story, names, words


def customers(story: Story) -> pl.DataFrame:
    """One row per customer.

    `customer_id`, `first_order_at`, `wait_days` (mean days from an order to the next where nothing
    changes it), `lapse` (chance of no further order where nothing raises it), `source` (also where
    the log does not know it), `holdout`, `denied_at` (null: never), `orders`, and `lapsed_at`: when
    the customer stopped for good; null: had not when the log ended, or does only after it.
    """
    people, orders = story.people, story.orders
    last = np.zeros(len(people), dtype=np.int64)
    last[orders.customer] = np.arange(len(orders))  # orders are sorted by day
    lapsed = orders.lapses[last]
    return pl.DataFrame(
        {
            "customer_id": story.customer_ids(np.arange(len(people))),
            "first_order_at": instants(people.joined),
            "wait_days": people.wait_days,
            "lapse": people.lapse,
            "source": words(SOURCES, people.source),
            "holdout": people.holdout,
            "denied_at": instants(np.where(people.denies < story.days, people.denies, np.inf)),
            "orders": np.bincount(orders.customer, minlength=len(people)),
            "lapsed_at": instants(np.where(lapsed < story.days, lapsed, np.inf)),
        }
    )


def orders(story: Story) -> pl.DataFrame:
    """One row per order, in the order of days.

    `order_id`, `customer_id`, `number` (1: the first), `ordered_at`, `next_at` (null: none in the
    log), `units`, `promotion`, `cancelled`; the parcel: `late_chance` (as it was when ordered),
    `due_at` (the midnight after the promised day), `arrived_at` (null: never, or cancelled; may lie
    after the log), `late`, `lost`; `mood`, `poor`, `returned`; what follows: `stretch` (how much
    longer the wait is from its start on), `slowed` (and from `due_at` on), `lapse_chance`,
    `lapses_at` (from when on no order follows any more, unless one came before; null: one does).
    """
    told = story.orders
    following = np.full(len(told), np.inf)
    by_customer = np.lexsort((told.number, told.customer))
    same = told.customer[by_customer][1:] == told.customer[by_customer][:-1]
    following[by_customer[:-1]] = np.where(same, told.ordered[by_customer][1:], np.inf)
    rows = np.arange(len(told))
    return pl.DataFrame(
        {
            "order_id": story.order_ids("o", rows),
            "customer_id": story.customer_ids(told.customer),
            "number": told.number,
            "ordered_at": instants(told.ordered),
            "next_at": instants(following),
            "units": told.units,
            "promotion": told.promotion >= 0,
            "cancelled": np.isfinite(told.cancelled),
            "late_chance": told.late_chance,
            "due_at": instants(told.due),
            "arrived_at": instants(told.arrived),
            "late": told.late,
            "lost": told.lost,
            "mood": told.mood,
            "poor": told.poor,
            "returned": told.returned,
            "stretch": told.stretch,
            "slowed": told.slowed,
            "lapse_chance": told.lapse_chance,
            "lapses_at": instants(told.lapses),
        }
    )


def products(assortment: Assortment) -> pl.DataFrame:
    """`sku`, `quality` (stars above the average product), `returned` (share of lines sent back)."""
    sku = names("p", np.arange(len(assortment.catalogue)), 4)
    return pl.DataFrame(
        {"sku": sku, "quality": assortment.quality, "returned": assortment.returned}
    )


def lanes(found: Lanes) -> pl.DataFrame:
    """`region`, `carrier`, `late_chance` and `late_chance_december`: of a parcel on that lane."""
    region = np.repeat(np.arange(len(REGIONS)), len(CARRIERS))
    carrier = np.tile(np.arange(len(CARRIERS)), len(REGIONS))
    return pl.DataFrame(
        {
            "region": words(REGIONS, region),
            "carrier": words(CARRIERS, carrier),
            "late_chance": found.chance(region, carrier, np.zeros(len(region), dtype=np.bool_)),
            "late_chance_december": found.chance(
                region, carrier, np.ones(len(region), dtype=np.bool_)
            ),
        }
    )


def tags(brand: Brand) -> pl.DataFrame:
    """`content_tag` and its `effect` on the hazard: 0.5 is half as high again, 0 nothing."""
    tag = pl.concat([pl.Series(TAGS), names("post-", np.arange(MANY_TAGS), 3)])
    effect = np.zeros(len(tag))
    effect[0] = brand.content_effect
    return pl.DataFrame({"content_tag": tag, "effect": effect})


def days(calendar: Calendar) -> pl.DataFrame:
    """`day` (its midnight), `season` and `pull` (factors of everybody's hazard), `promotion`."""
    return pl.DataFrame(
        {
            "day": instants(np.arange(len(calendar.season), dtype=np.float64)),
            "season": calendar.season,
            "pull": calendar.pull,
            "promotion": calendar.promotion >= 0,
        }
    )
