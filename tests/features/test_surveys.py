"""Surveys by hand: who promotes, what changed, and surveys that nobody answered."""

import pytest
from tests.by_hand import log_of, says


def asked(*answers):
    """(day, kind, score) -> a log."""
    rows = [("a", day, {"kind": kind, "score": score}) for day, kind, score in answers]
    return log_of([("a", 1)], surveys=rows)


@pytest.mark.parametrize(
    ("score", "promoter", "detractor"),
    [(0.0, 0, 1), (6.0, 0, 1), (7.0, 0, 0), (8.0, 0, 0), (9.0, 1, 0), (10.0, 1, 0)],
)
def test_promoters_say_nine_or_ten_and_detractors_six_or_less(score, promoter, detractor):
    said = says(asked((10, "nps", score), (20, "csat", 1.0)), "surveys", 100)
    assert (said["promoter__last"], said["detractor__last"]) == (promoter, detractor)
    assert said["nps__last"] == score


def test_the_kinds_stay_apart():
    log = asked((10, "nps", 9.0), (20, "csat", 2.0), (30, "nps", 4.0), (40, "csat", 5.0))
    said = says(log, "surveys", 100)
    assert (said["nps_change__last"], said["csat_change__last"]) == (-5, 3)
    assert (said["nps__mean"], said["csat__mean"]) == (6.5, 3.5)
    assert (said["nps__days_since"], said["csat__days_since"]) == (70, 60)
    assert (said["promoter__last"], said["detractor__last"]) == (0, 1)
    assert said["nps__min__365d"] == 4


def test_a_survey_that_was_not_answered_is_no_score_and_no_change():
    log = asked((10, "nps", 9.0), (20, "nps", None), (30, "nps", 7.0), (95, "nps", None))
    said = says(log, "surveys", 100)
    assert said["nps_change__last"] == -2
    assert said["nps__days_since"] == 70
    assert said["last__days_since"] == 5
    assert said["surveys__count__90d"] == 4


def test_one_answer_is_no_change():
    assert says(asked((10, "nps", 9.0)), "surveys", 100)["nps_change__last"] is None


def test_nobody_else_is_the_answer_before():
    rows = [("a", 10, {"kind": "nps", "score": 2.0}), ("b", 20, {"kind": "nps", "score": 9.0})]
    log = log_of([("a", 1), ("b", 1)], surveys=rows)
    assert says(log, "surveys", 100, "b")["nps_change__last"] is None


def test_who_was_never_asked_has_no_scores():
    log = log_of([("a", 1), ("b", 1)], surveys=[("b", 10, {"kind": "nps", "score": 9.0})])
    said = says(log, "surveys", 100)
    counts = {"surveys__count__90d", "surveys__count__365d", "surveys__rate__90d",
              "surveys__rate__365d"}  # fmt: skip
    assert {name for name, value in said.items() if value is not None} == counts
    assert {said[name] for name in counts} == {0}
