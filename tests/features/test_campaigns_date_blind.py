"""A small tree cannot tell the cutoff from what campaigns, surveys, usage and profile say.

The shop never changes: customers come, live and leave at constant rates, and everything that
happens to them does, too. Tags, regions and sources are few, which is where words tell most.
"""

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from ppi_ml import dataset, splits
from ppi_ml.events import RawTable, load_tables

START, ALIVE, LIFE_DAYS, BEFORE = datetime(2018, 1, 1), 800, 600.0, 3_000
OLD_LOG, YOUNG_LOG = 1_000, 730
"""Days; the first cutoffs lie 580 and 310 days after the beginning."""
CHANCE, TOLD_WHILE_YOUNG, TOLD = 0.55, 0.60, 0.65
"""AUC: above chance; the most that a young log may tell; surely told."""
FAMILIES = ("content", "messages", "promotions", "surveys", "usage_of_customer", "profile")
ACTS = (("opened", 0.35, 0.0), ("clicked", 0.3, 1.0), ("unsubscribed", 0.05, 2.0))


class _Shop:
    """Draws customers and what happens to them, all at constant rates."""

    def __init__(self, days, seed=1):
        self.days, self.draw = days, np.random.default_rng(seed)
        born = self.draw.poisson(ALIVE / LIFE_DAYS * (BEFORE + days))
        self.born = self.draw.uniform(-BEFORE, days, born)
        self.lived = self.draw.exponential(LIFE_DAYS, born)

    def moments(self, per_day, beginning=False):
        """(who, day) of events at a rate per customer, in the log; one at the birth if asked."""
        number = self.draw.poisson(per_day * self.lived) + beginning
        who = np.repeat(np.arange(len(self.born)), number)
        share = self.draw.random(len(who))
        if beginning:
            share[np.cumsum(number) - 1] = 0.0
        day = self.born[who] + share * self.lived[who]
        inside = np.flatnonzero((day >= 0) & (day < self.days))
        return who[inside], day[inside]

    def events(self, key, who, day, **columns):
        names = {"customer_id": numbered("c", who), key: numbered("k", np.arange(len(who)))}
        frame = pl.DataFrame(names | {"occurred_at": stamps(day)})
        return frame.with_columns(**{n: pl.Series(list(v)) for n, v in columns.items()})

    def words(self, letter, kinds, number):
        return numbered(letter, self.draw.integers(0, kinds, number))

    def messages(self, mailings=False):
        """Each customer at a day of their own, or everybody on the same day of every fortnight."""
        who, day = self.moments(1 / 14)
        if mailings:
            day = day // 14 * 14 + 0.5
            who, day = np.unique(np.column_stack([who, day]), axis=0).T
            who = who.astype(int)
        name = np.array(numbered("m", np.arange(len(who))))
        parts, rows = [], np.arange(len(who))
        for action, share, later in (("sent", 1.0, 0.0), *ACTS):
            rows = rows[self.draw.random(len(rows)) < share]
            when = day[rows] + later + (action != "sent") * self.draw.random(len(rows))
            part = self.events("message_id", who[rows], when, action=[action] * len(rows))
            parts.append(part.with_columns(message_id=pl.Series(name[rows])))
        until = START + timedelta(days=self.days)
        return pl.concat(parts).filter(pl.col("occurred_at") < until)

    def tables(self):
        draw, size = self.draw, len(self.born)
        who, day = self.moments(draw.gamma(1.2, 1 / 30, size), beginning=True)
        worth = draw.lognormal(2, 0.5, len(who)).round(2)
        coded = draw.random(len(who)) < 0.25
        lines = self.events(
            "order_id", who, day, line_id=["1"] * len(who), sku=self.words("s", 30, len(who)),
            unit_price=worth, promo_code=np.where(coded, "SPRING", ""),
            discount=np.where(coded, (0.2 * worth).round(2), 0.0),
        )  # fmt: skip
        shown, asked, used = (self.moments(1 / every) for every in (15, 60, 20))
        kinds, uses = np.array(["nps", "csat"]), np.array(["first_use", "refill", "telemetry"])
        number = len(used[0])
        people = {
            "customer_id": numbered("c", range(size)),
            "region": self.words("r", 5, size),
            "acquisition_source": self.words("a", 4, size),
            "signed_up_at": stamps(self.born - draw.exponential(20, size)),
        }
        return {
            "order_lines": lines,
            "exposures": self.events(
                "exposure_id", *shown, content_tag=self.words("t", 6, len(shown[0]))
            ),
            "messages": self.messages(),
            "surveys": self.events(
                "survey_id", *asked, kind=draw.choice(kinds, len(asked[0])),
                score=draw.integers(0, 11, len(asked[0])) * 1.0,
            ),
            "usage": self.events(
                "usage_id", *used, sku=self.words("s", 30, number), amount=np.ones(number),
                kind=draw.choice(uses, number),
            ),
            "customers": pl.DataFrame(people),
        }  # fmt: skip


def stamps(days):
    return np.datetime64(START, "us") + (days * 86_400e6).astype("timedelta64[us]")


def numbered(letter, numbers):
    return [f"{letter}{number}" for number in numbers]


@cache
def training(days, mailings=False):
    """The training rows that a target asks about, of a log so old."""
    until, shop = START + timedelta(days=days), _Shop(days)
    tables = shop.tables()
    if mailings:
        tables["messages"] = shop.messages(mailings=True)
    raw = {name: RawTable(frame, observed_from=START, observed_until=until)
           for name, frame in tables.items()}  # fmt: skip
    log = load_tables(raw, timezone="UTC", currency="GBP")
    spacing = splits.Spacing(train_cutoffs=8)
    plan = splits.forward(log.observed_from, log.observed_until, 90, spacing)
    data = dataset.build(log, plan.outer.train, dataset.families(FAMILIES))
    return data.take(data.eligible(180))


def told(data, columns):
    """How well a small tree tells late cutoffs from early ones, of customers it has not seen."""
    late = data.cutoff_index >= len(data.cutoffs) // 2
    learn = np.unique(data.customers.to_numpy(), return_inverse=True)[1] % 2 == 0
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=50, random_state=0)
    tree.fit(columns[learn], late[learn])
    return roc_auc_score(late[~learn], tree.predict_proba(columns[~learn])[:, 1])


def inputs(data, family):
    return data.values[:, [data.names.index(n) for n in data.tree_names if n.startswith(family)]]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_tree_cannot_tell_the_cutoff(family):
    data = training(OLD_LOG)
    assert told(data, inputs(data, f"{family}__")) < CHANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_a_log_younger_than_its_windows_tells_little(family):
    data = training(YOUNG_LOG)
    assert told(data, inputs(data, f"{family}__")) < TOLD_WHILE_YOUNG


def test_mailings_to_everybody_on_one_day_do_not_tell_it():
    """How long ago the last one was sent would: it is the same for nearly everybody."""
    data = training(OLD_LOG, mailings=True)
    assert told(data, inputs(data, "messages__")) < CHANCE
    assert told(data, data.column("messages__last_sent__days_since")[:, None]) > TOLD


def test_a_score_of_a_region_that_is_learned_at_each_cutoff_tells_it():
    """Why words count by a hash: the share of a region in three digits is enough."""
    data = training(YOUNG_LOG)
    rows = pl.DataFrame({
        "cutoff": data.cutoff_index, "region": data.column("profile__region_a__last"),
        "share": data.column("promotions__coded__share"),
    })  # fmt: skip
    score = rows.select(pl.col("share").mean().over("cutoff", "region").round(3))
    assert told(data, score.to_numpy()) > TOLD
