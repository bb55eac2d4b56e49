"""What reaches customers from outside: content that they are shown, and messages of the brand.

Neither depends on what customers do, nor on whether they still buy: so whoever was shown the one
thing is like whoever was shown the other, and what differs after it is its effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppi_ml.simulation import luck
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, whole_seconds
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.people import People

TAGS = ("refill-tips", "recipes", "unboxing", "behind-the-scenes")
"""The first is the one that may have an effect."""
MANY_TAGS = 500
"""Beside them so many tags that hardly anybody sees: post-000 and so on."""
_TAG_WEIGHTS = np.array([0.25, 0.25, 0.2, 0.15, 0.15])  # the last: one of the many
_YEAR = 365.0
_MAILED_AT = 0.375  # 9:00
_CLICKED, _UNSUBSCRIBED = 0.2, 0.01  # shares of the opened messages
_OPENED_AFTER, _CLICKED_AFTER = 0.4, 0.02  # mean days


@dataclass(frozen=True)
class Exposures:
    """Content shown, all (e,).

    Keys, row of the customer, running number, tag (index of `TAGS`, then of the many), and time.
    """

    keys: Keys
    customer: IntArray
    number: IntArray
    tag: IntArray
    shown: FloatArray


@dataclass(frozen=True)
class Messages:
    """Messages, all (m,): row of the customer and number of the mailing.

    And when it was sent, opened, clicked and answered with an unsubscription (inf: never).
    """

    customer: IntArray
    mailing: IntArray
    sent: FloatArray
    opened: FloatArray
    clicked: FloatArray
    unsubscribed: FloatArray


def exposures(brand: Brand, people: People, days: int) -> Exposures:
    """What the customers of a block are shown from the day they come on."""
    count = luck.poisson(people.keys, "exposures", brand.exposures * days / _YEAR)
    customer = np.repeat(np.arange(len(people)), count)
    slot = np.arange(len(customer)) - np.repeat(np.cumsum(count) - count, count)
    keys = luck.below(people.keys[customer], "exposure", slot)
    shown = whole_seconds(days * luck.uniform(keys, "shown"))
    tag = luck.chosen(keys, "tag", _TAG_WEIGHTS)
    rare = len(TAGS) + np.floor(MANY_TAGS * luck.uniform(keys, "which")).astype(np.int64)
    tag = np.where(tag == len(TAGS), rare, tag)
    seen = shown >= people.joined[customer]
    return Exposures(keys[seen], customer[seen], slot[seen], tag[seen], shown[seen])


def messages(brand: Brand, people: People, days: int) -> Messages:
    """The mailings to the customers of a block, until somebody has had enough."""
    every = brand.message_every
    dates = np.arange(every / 2 // 1, days, every) if every else np.zeros(0)
    mailing = np.arange(len(dates))
    keys = luck.below(people.keys[:, np.newaxis], "mailing", mailing[np.newaxis, :])
    # an hour of its own for everybody
    sent = whole_seconds(dates + _MAILED_AT + luck.uniform(keys, "sent") / 24)
    after = _OPENED_AFTER * luck.exponential(keys, "opened when")
    opens = luck.uniform(keys, "opened") < brand.opened
    reached = (sent >= people.joined[:, np.newaxis]) & ~people.holdout[:, np.newaxis]
    leaves = reached & opens & (luck.uniform(keys, "unsubscribed") < _UNSUBSCRIBED)
    subscribed: BoolArray = np.cumsum(leaves, axis=1) - leaves == 0
    customer, number = np.nonzero(reached & subscribed)
    at, leaves = (customer, number), leaves[customer, number]
    opened = np.where(opens[at], whole_seconds(sent[at] + after[at]) + _SECOND, np.inf)
    clicks = opens[at] & (luck.uniform(keys[at], "clicked") < _CLICKED)
    later = whole_seconds(_CLICKED_AFTER * luck.exponential(keys[at], "clicked when")) + _SECOND
    return Messages(
        customer=customer,
        mailing=number,
        sent=sent[at],
        opened=opened,
        clicked=np.where(clicks, opened + later, np.inf),
        unsubscribed=np.where(leaves, opened + later + _SECOND, np.inf),
    )


_SECOND = 1 / 86_400


class Boost:
    """By what the hazard of each customer of a block is multiplied because of what came."""

    def __init__(
        self, brand: Brand, size: int, shown: Exposures, sent: Messages, days: int
    ) -> None:
        effective = shown.tag == 0
        self.kinds = [
            _Kind(size, days, shown.customer[effective], shown.shown[effective],
                  brand.content_days, brand.content_effect),
            _Kind(size, days, sent.customer, sent.opened, brand.message_days,
                  brand.message_effect),
        ]  # fmt: skip

    def on(self, day: int) -> FloatArray:
        """The factor of every customer (n,); to be asked day after day."""
        first, second = (kind.on(day) for kind in self.kinds)
        return first * second


class _Kind:
    """One kind of nudge: it acts from the midnight after it on, for some days.

    Overlapping ones act once.
    """

    def __init__(
        self, size: int, days: int, customer: IntArray, time: FloatArray, length: int,
        effect: float,
    ) -> None:  # fmt: skip
        came = np.flatnonzero(np.isfinite(time))
        begins = np.floor(time[came]).astype(np.int64) + 1
        order = np.argsort(begins, kind="stable")
        self.customer, begins = customer[came][order], begins[order]
        self.edges = np.searchsorted(begins, np.arange(days + 1))
        self.until = np.zeros(size, dtype=np.int64)
        self.length, self.effect = length, effect

    def on(self, day: int) -> FloatArray:
        now = self.customer[self.edges[day] : self.edges[day + 1]]
        self.until[now] = day + self.length
        acts: BoolArray = self.until > day
        return np.where(acts, 1 + self.effect, 1.0)
