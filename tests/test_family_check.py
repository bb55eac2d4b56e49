"""The checks that a family of one's own must pass: they hold for good ones and catch bad ones."""

from dataclasses import replace

import polars as pl
import pytest

from ppi_ml import dataset, family_check
from ppi_ml.declare import Expression


def failed(family, log):
    return [finding for finding in family_check.check(family, log) if not finding.holds]


@pytest.mark.parametrize("name", [family.name for family in dataset.families()])
def test_the_families_of_the_shelf_say_and_do_what_they_must(name, shop):
    (family,) = dataset.families([name])
    constant = {f.where for f in failed(family, shop)}  # a small shop may lack variety
    assert all("no tree input" in f.check for f in failed(family, shop)), constant


def test_a_column_that_is_the_same_for_everybody_is_found(shop):
    (family,) = dataset.families(["calendar"])
    one = Expression("one", "none", "never null", "purchases", lambda: pl.lit(1.0))
    found = failed(replace(family, expressions=(one,)), shop)
    assert {"calendar__one"} == {f.where for f in found}


def test_a_column_that_says_nothing_of_itself_is_found(shop):
    (family,) = dataset.families(["calendar"])
    mute = replace(family, features=(replace(family.features[0], unit=""), *family.features[1:]))
    found = failed(mute, shop)
    assert {"calendar__weekend__share"} == {f.where for f in found}
