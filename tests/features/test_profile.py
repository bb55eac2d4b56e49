"""Profile by hand: sign-ups that are still to come, words, and the way to the first order."""

import pytest
from tests.by_hand import built, log_of, says

DAY_50 = "2018-02-20T00:00:00"
CODES = [f"{word}_{which}__last" for word in ("region", "source", "both") for which in "ab"]


def of(signed=None, region="north", source="friends", order_day=60, day=200):
    who = [{"customer_id": "a", "signed_up_at": signed, "region": region,
            "acquisition_source": source}]  # fmt: skip
    return says(log_of([("a", order_day)], customers=who), "profile", day)


def test_days_from_the_sign_up():
    said = of(DAY_50)
    assert said["signed_up__days_since"] == 150
    assert said["first_order__last"] == 10


def test_a_sign_up_of_a_mere_date_is_over_with_its_day():
    said = of(DAY_50[:10], order_day=50.5)
    assert said["signed_up__days_since"] == 149
    assert said["first_order__last"] == -0.5


def test_who_ordered_as_a_guest_first_has_negative_days():
    assert of(DAY_50, order_day=45)["first_order__last"] == -5


@pytest.mark.parametrize(("day", "known"), [(49, False), (50, False), (50.5, True)])
def test_a_sign_up_that_is_still_to_come_is_unknown(day, known):
    """The table has no dates: only the sign-up itself says that it had not happened."""
    said = of(DAY_50, order_day=45, day=day)
    assert (said["signed_up__days_since"] is not None) == known
    assert (said["first_order__last"] is not None) == known


def test_the_order_before_an_old_sign_up_may_be_unknown():
    assert of("2017-03-03T00:00:00", order_day=60)["first_order__last"] == 364
    assert of("2017-03-01T00:00:00", order_day=60)["first_order__last"] is None
    assert of("2017-03-01T00:00:00", order_day=60)["signed_up__days_since"] == 506


def test_trees_do_not_see_how_long_ago_somebody_signed_up():
    data = built(log_of([("a", 1)]), "profile", 100)
    assert set(data.names) - set(data.tree_names) == {"profile__signed_up__days_since"}


def test_words_have_codes_of_their_own():
    one, same, other = of(), of(day=300), of(region="south")
    assert [one[name] for name in CODES] == [same[name] for name in CODES]
    assert len({one[name] for name in CODES}) == 6
    unlike = {name for name in CODES if one[name] != other[name]}
    assert unlike == {"region_a__last", "region_b__last", "both_a__last", "both_b__last"}


def test_an_unknown_word_has_none():
    said = of(region=None)
    assert {name for name in CODES if said[name] is None} == {
        "region_a__last", "region_b__last", "both_a__last", "both_b__last"
    }  # fmt: skip


def test_who_is_not_listed_is_unknown():
    who = [{"customer_id": "b", "region": "north", "signed_up_at": DAY_50}]
    log = log_of([("a", 1), ("b", 60)], customers=who)
    assert set(says(log, "profile", 200).values()) == {None}
    assert says(log, "profile", 200, "b")["first_order__last"] == 10
