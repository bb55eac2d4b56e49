"""A small shop with a seed, and logs made by hand: what tests about time are written against.

The shop has times in a zone with summer time, lines and returns that became known days later,
one-time buyers, customers who lapse, orders that are no purchases, lines without a price, a return
table that began months after the first order, and orders in the hours in which the clock changes.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from ppi_ml import instants
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff

settings.register_profile("ppi_ml", deadline=None)  # a busy machine is no failure
settings.load_profile("ppi_ml")

ZONE = "Europe/London"
START, DAYS = datetime(2018, 1, 1), 730
RETURNS_AFTER_DAYS = 150
LATE_SHARE, MOST_LATE_DAYS = 0.12, 25
ORDER_TYPES = ("one_off", "subscription", "free")
ODD_HOURS = (  # UTC: around both clock changes of 2018, and around one midnight
    ("spring", "2018-03-25 00:59:59"),
    ("spring", "2018-03-25 01:00:00"),
    ("autumn", "2018-10-28 00:30:00"),
    ("autumn", "2018-10-28 01:30:00"),
    ("midnight", "2018-01-10 23:59:59"),
    ("midnight", "2018-01-11 00:00:01"),
)


PRESENT = "2030-01-01"


@pytest.fixture(scope="session", autouse=True)
def the_present():
    """The clock stands still: what is loaded does not depend on the day on which tests are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instants, "present", lambda: Cutoff.parse(PRESENT, "UTC").at)
        yield


@dataclass
class _Shop:
    """Writes the rows of one shop; `quitters`: who sends something back never buys again."""

    seed: int
    days: int
    quitters: bool
    lines: list[dict] = field(default_factory=list)
    returns: list[dict] = field(default_factory=list)

    def __post_init__(self):
        self.draw = np.random.default_rng(self.seed)
        self.start = START.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)

    def customer(self, name):
        """One customer's orders: a first day, an own pace, and a chance to lapse each time."""
        day = self.draw.uniform(0, 0.9 * self.days)
        pace = self.draw.lognormal(np.log(25), 0.6)
        lapse = 0.3 if self.quitters else 0.5
        while day < self.days:
            sent_back = self.order(name, self.start + timedelta(days=day))
            if self.draw.random() < (0.95 if self.quitters and sent_back else lapse):
                return
            lapse = 0.0 if self.quitters else 0.12
            day += max(pace * self.draw.gamma(2.0, 0.5), 0.01)

    def order(self, name, moment):
        """One order of one to three lines; whether any of it was sent back."""
        order_id, late = f"o{len(self.lines)}", self.draw.random() < LATE_SHARE
        kind = self.draw.choice(ORDER_TYPES, p=(0.9, 0.07, 0.03))
        numbers = range(self.draw.integers(1, 4))
        sent_back = [self.line(name, order_id, n, moment, kind, late) for n in numbers]
        return any(sent_back)

    def line(self, name, order_id, number, moment, kind, late):
        """One line, and now and then a return of it; whether it was sent back."""
        sku = f"s{self.draw.integers(0, 30)}"
        priced = self.draw.random() > 0.05
        self.lines.append({
            "customer_id": name, "order_id": order_id, "line_id": number, "sku": sku,
            "quantity": float(self.draw.integers(1, 5)),
            "unit_price": round(self.draw.lognormal(2, 0.5), 2) if priced else None,
            "order_type": kind, **self.told(moment, late),
        })  # fmt: skip
        if self.draw.random() > (1 / 16 if self.quitters else 1 / 8):
            return False
        when = moment + timedelta(days=self.draw.uniform(2, 20))
        self.returns.append({
            "customer_id": name, "return_id": f"r{len(self.returns)}", "order_id": order_id,
            "sku": sku, "quantity": 1.0, **self.told(when),
        })  # fmt: skip
        return True

    def told(self, moment, late=False):
        """When it happened, and when it became known: days later for some."""
        late = late or self.draw.random() < LATE_SHARE / 2
        lag = self.draw.uniform(1, MOST_LATE_DAYS) if late else 0.0
        moment = moment.replace(microsecond=0)
        return {"occurred_at": moment, "known_at": moment + timedelta(days=lag)}

    def tables(self):
        """The frames; returns before that table began were never written down."""
        began = self.start + timedelta(days=RETURNS_AFTER_DAYS)
        returns = [row for row in self.returns if row["occurred_at"] >= began]
        return {
            "order_lines": pl.DataFrame(self.lines, infer_schema_length=None),
            "returns": pl.DataFrame(returns),
        }


@pytest.fixture(scope="session")
def make_shop():
    """make_shop(seed, customers, days, quitters) -> table name -> frame."""

    def make(seed=0, customers=150, days=DAYS, quitters=False):
        shop = _Shop(seed, days, quitters)
        for number in range(customers):
            shop.customer(f"c{number}")
        for name, moment in ODD_HOURS:
            shop.order(name, datetime.fromisoformat(f"{moment}+00:00"))
        return shop.tables()

    return make


@pytest.fixture(scope="session")
def as_log():
    """as_log(tables, days) -> the EventLog of a shop's frames, with the periods of the shop."""

    def load(tables, days=DAYS):
        began = {"order_lines": START, "returns": START + timedelta(days=RETURNS_AFTER_DAYS)}
        until = START + timedelta(days=days)
        raw = {
            name: RawTable(frame, observed_from=began[name], observed_until=until)
            for name, frame in tables.items()
        }
        return load_tables(raw, timezone=ZONE, currency="GBP")

    return load


@pytest.fixture(scope="session")
def shop(make_shop, as_log):
    """The log of the shop with the default seed: two years, 150 customers."""
    return as_log(make_shop())


@pytest.fixture(scope="session")
def log_of():
    """log_of(lines, returns, ...) -> a log made by hand.

    A line is (customer, occurred_at) or (customer, occurred_at, columns), a return likewise. Times
    are ISO texts on the clock of the zone, or with an offset; a line without `known_at` was known
    at once. Each line is an order of its own unless it says otherwise.
    """

    def build(lines, returns=None, *, zone=ZONE, granularity="instant", start=None, until=None):
        tables = {"order_lines": _by_hand(lines, "line")}
        if returns is not None:
            tables["returns"] = _by_hand(returns, "return")
        raw = {
            name: RawTable(frame, granularity, observed_from=start, observed_until=until)
            for name, frame in tables.items()
        }
        return load_tables(raw, timezone=zone, currency="GBP")

    return build


def _by_hand(events, kind):
    rows = [
        {
            "customer_id": customer,
            "occurred_at": moment,
            **({"order_id": f"o{i}", "line_id": "1"} if kind == "line" else {"return_id": f"r{i}"}),
            **(columns[0] if columns else {}),
        }
        for i, (customer, moment, *columns) in enumerate(events)
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if "known_at" in frame.columns:
        frame = frame.with_columns(pl.col("known_at").fill_null(""))
    return frame


@pytest.fixture
def looked_back(monkeypatch):
    """The predictions behind every scorecard of curves that `evaluate` makes, in order."""
    from ppi_ml import hindsight, judging

    found = []

    def judge(*args):
        card, table = judging.judge(*args)
        found.append(table)
        return card, table

    monkeypatch.setattr(hindsight, "judging", SimpleNamespace(judge=judge))
    return found


@pytest.fixture(scope="session")
def trained(make_shop, as_log, tmp_path_factory):
    """(run, log): a tiny bundle with all three stages, 400 customers who quit after a return."""
    from ppi_ml.training import train

    log = as_log(make_shop(seed=1, customers=400, quitters=True))
    run = train(
        log,
        target="churn",
        settings={
            "target.horizon": "60d",
            "tune.trials": 1,
            "folds.train_cutoffs": 4,
            "model.max_rows": 20_000,
            "model.processes": ["mbg_nbd", "gaps"],
            "model.stages": "process+glm+trees",
            "model.trees": {"num_leaves": 6, "learning_rate": 0.05, "min_data_in_leaf": 50,
                            "lambda_l2": 10.0},
            "baselines": ["base_rate"],
            "engine.threads": 1,
            "output.folder": str(tmp_path_factory.mktemp("runs")),
        },
        track=False,
    )  # fmt: skip
    return run, log
