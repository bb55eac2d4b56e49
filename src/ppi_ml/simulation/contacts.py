"""What reached customers, what they allow, and who they are."""

from __future__ import annotations

import numpy as np
import polars as pl

from ppi_ml.simulation import luck
from ppi_ml.simulation.clock import instants
from ppi_ml.simulation.nudges import TAGS
from ppi_ml.simulation.people import REGIONS, SOURCES, UNKNOWN
from ppi_ml.simulation.story import Story, names, words

PURPOSE = "profiling"
_ACTIONS = ("sent", "opened", "clicked", "unsubscribed")
_SHOWN_ON, _VARIANTS = ("mail", "social", "web"), ("a", "b")
_QUARTER = 91.0  # days of a campaign


def exposures(story: Story) -> pl.DataFrame | None:
    """The content that customers were shown."""
    if not story.brand.exposures:
        return None
    shown = story.exposures
    rows, times = story.record("exposures", shown.keys, shown.shown)
    keys, tag = shown.keys[rows], shown.tag[rows]
    common = tag < len(TAGS)
    usual = words(TAGS, np.where(common, tag, UNKNOWN))
    number = story.people.number[shown.customer[rows]] * 10_000 + shown.number[rows]
    return pl.DataFrame(
        {
            "exposure_id": names("e", number, 11),
            "customer_id": story.customer_ids(shown.customer[rows]),
            **times,
            "content_tag": usual.zip_with(pl.Series(common), names("post-", tag - len(TAGS), 3)),
            "campaign": names("campaign ", (shown.shown[rows] // _QUARTER).astype(np.int64), 2),
            "variant": words(_VARIANTS, np.floor(2 * luck.uniform(keys, "v")).astype(np.int64)),
            "channel": words(_SHOWN_ON, np.floor(3 * luck.uniform(keys, "c")).astype(np.int64)),
        }
    )


def messages(story: Story) -> pl.DataFrame | None:
    """The brand's messages, and what their readers did."""
    if not story.brand.message_every:
        return None
    sent = story.messages
    when = np.concatenate([sent.sent, sent.opened, sent.clicked, sent.unsubscribed])
    message = np.tile(np.arange(len(sent.sent)), len(_ACTIONS))
    action = np.repeat(np.arange(len(_ACTIONS)), len(sent.sent))
    rows, times = story.record("messages", story.people.keys[sent.customer[message]], when)
    message = message[rows]
    customer, mailing = sent.customer[message], sent.mailing[message]
    return pl.DataFrame(
        {
            "message_id": names("m", story.people.number[customer] * 10_000 + mailing, 11),
            "customer_id": story.customer_ids(customer),
            **times,
            "action": words(_ACTIONS, action[rows]),
            "campaign": names("mailing ", mailing + 1, 2),
            "channel": pl.repeat("mail", len(rows), eager=True),
        }
    )


def consents(story: Story) -> pl.DataFrame:
    """What everybody allowed or denied on the first day, and who withdrew it later."""
    people = story.people
    at_once = people.denies == people.joined
    later = np.where(at_once, np.inf, people.denies)
    customer = np.tile(np.arange(len(people)), 2)
    granted = np.concatenate([~at_once, np.zeros(len(people), dtype=np.bool_)])
    time = np.concatenate([people.joined, later])
    rows, times = story.record("consents", people.keys[customer], time)
    return pl.DataFrame(
        {
            "customer_id": story.customer_ids(customer[rows]),
            **times,
            "purpose": pl.repeat(PURPOSE, len(rows), eager=True),
            "granted": words(("no", "yes"), granted[rows].astype(np.int64)),
        }
    )


def customers(story: Story) -> pl.DataFrame:
    """Who the customers are, as far as the brand knows; all have ordered by the end of the log."""
    people = story.people
    source = np.where(people.source_known, people.source, UNKNOWN)
    return pl.DataFrame(
        {
            "customer_id": story.customer_ids(np.arange(len(people))),
            "signed_up_at": instants(people.signed_up),
            "region": words(REGIONS, people.region),
            "acquisition_source": words(SOURCES, source),
        }
    )
