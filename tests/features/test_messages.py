"""Messages by hand: what counts as opened, what is asked about, and the shop's own share."""

import numpy as np
import pytest
from tests.by_hand import built, log_of, says

from ppi_ml import dataset
from ppi_ml.instants import Cutoff


def mail(number, day, *acts, who="a"):
    """A message sent on a day, and (days later, action) of what came of it."""
    rows = [(who, day, {"message_id": f"m{number}", "action": "sent"})]
    return rows + [
        (who, day + later, {"message_id": f"m{number}", "action": action}) for later, action in acts
    ]


OPENED, CLICKED = (0.5, "opened"), (0.6, "clicked")
ORDER = [("a", 1)]


def test_opens_are_per_message_and_acts_are_counted():
    rows = [*mail(0, 50, OPENED, (1.5, "opened"), (2.5, "opened")), *mail(1, 60), *mail(2, 61),
            *mail(3, 62, OPENED, CLICKED)]  # fmt: skip
    said = says(log_of(ORDER, messages=rows), "messages", 100)
    assert said["sent__count__90d"] == 4
    assert said["opened__count__90d"] == 4
    assert said["clicked__count__90d"] == 1
    assert said["opens__share__90d"] == 0.5
    assert said["clicks__share__90d"] == 0.25
    assert said["clicks_per_open"] == 0.5


def test_who_clicked_has_opened():
    said = says(log_of(ORDER, messages=mail(0, 50, CLICKED)), "messages", 100)
    assert said["opens__share__90d"] == said["clicks__share__90d"] == 1
    assert said["opened__count__90d"] == 0
    assert said["last_opened__days_since"] is None


def test_messages_of_the_last_three_days_are_not_asked_about():
    log = log_of(ORDER, messages=[*mail(0, 50, OPENED), *mail(1, 97.5)])
    assert says(log, "messages", 100)["opens__share__90d"] == 1
    assert says(log, "messages", 100.5)["opens__share__90d"] == 0.5
    assert says(log, "messages", 100)["sent__count__90d"] == 2


def test_an_open_that_is_not_known_yet_is_none():
    rows = mail(0, 50, OPENED)
    rows[1][2]["known_at"] = "2018-04-20"  # day 109
    log = log_of(ORDER, messages=rows)
    assert says(log, "messages", 100)["opens__share__90d"] == 0
    assert says(log, "messages", 120)["opens__share__90d"] == 1


def test_what_was_sent_before_the_first_order_counts_in_no_window():
    log = log_of([("a", 40)], messages=[*mail(0, 20, OPENED), *mail(1, 30, OPENED), *mail(2, 45)])
    said = says(log, "messages", 100)
    assert said["sent__count__90d"] == 1
    assert said["opens__share__90d"] == 0
    assert said["last_opened__days_since"] == 69.5


def test_unheard_are_those_since_the_last_open():
    rows = [*mail(0, 30), *mail(1, 40, (25, "clicked")), *mail(2, 50), *mail(3, 70), *mail(4, 80)]
    assert says(log_of(ORDER, messages=rows), "messages", 100)["unheard__count__90d"] == 2
    never = [row for row in rows if row[2]["action"] == "sent"]
    assert says(log_of(ORDER, messages=never), "messages", 100)["unheard__count__90d"] == 5


def test_days_since_they_unsubscribed():
    log = log_of(ORDER, messages=mail(0, 50, OPENED, (1, "unsubscribed")))
    assert says(log, "messages", 51)["unsubscribed__days_since"] is None
    assert says(log, "messages", 100)["unsubscribed__days_since"] == 49


# ------------------------------------------------------------------ over the shop
CROWD = [row for i in range(40) for row in mail(100 + i, 50 + i, *([OPENED] * (i % 4 == 0)),
                                                who=f"c{i % 10}")]  # fmt: skip
CROWD_ORDERS = [(f"c{i}", 1) for i in range(10)]


def test_opens_over_the_shops_are_shrunk_to_one_by_ten_messages():
    rows = [*CROWD, *mail(0, 60, OPENED), *mail(1, 61, OPENED)]
    log = log_of([*ORDER, *CROWD_ORDERS], messages=rows)
    state = built(log, "messages", 100).states["2018-04-11"]["messages"]
    assert state == {"opened": 12 / 42}
    said = says(log, "messages", 100)
    assert said["opens_over_shop"] == pytest.approx((2 * 42 / 12 + 10) / 12, rel=1e-5)


def test_the_state_touches_only_those_who_opened_something():
    log = log_of([*ORDER, *CROWD_ORDERS], messages=[*CROWD, *mail(0, 60)])
    cutoff = Cutoff.parse("2018-04-11", log.timezone)
    one, other = (
        dataset.build(log, [cutoff], dataset.families("messages"),
                      states={"messages": {"opened": share}})
        for share in (0.1, 0.6)
    )  # fmt: skip
    unlike = (one.trees() != other.trees()) & ~np.isnan(one.trees())
    opened = one.column("messages__opens__share__365d") > 0
    assert 0 < opened.sum() < len(one)
    np.testing.assert_array_equal(unlike.any(axis=1), opened)


def test_where_nobody_opens_anything_nothing_is_said_of_it():
    log = log_of([*ORDER, ("b", 1)], messages=mail(0, 60))
    data = built(log, "messages", 100)
    assert data.states["2018-04-11"]["messages"] == {"opened": None}
    assert says(log, "messages", 100)["opens_over_shop"] is None
    assert says(log, "messages", 100, "b")["opens_over_shop"] == 1  # nothing was sent to b
