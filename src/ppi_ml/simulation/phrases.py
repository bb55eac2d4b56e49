"""What reviews say: words in line with the stars, with a few that are not."""

from __future__ import annotations

import numpy as np
import polars as pl

from ppi_ml.simulation import luck
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray
from ppi_ml.simulation.luck import Keys

GOOD = (
    "lovely", "great", "perfect", "excellent", "soft", "recommend", "happy", "favourite", "again",
    "wonderful", "reliable", "delicious", "best", "thanks",
)  # fmt: skip
BAD = (
    "disappointed", "broken", "bad", "leaking", "never", "poor", "refund", "worse", "stale",
    "useless", "terrible", "wrong", "waste", "cheap",
)  # fmt: skip
LATE = ("late", "waited", "delayed", "slow delivery", "still waiting", "where is it")
PLAIN = (
    "the", "product", "ordered", "box", "for", "my", "kitchen", "second time", "colour", "size",
    "weekend", "price", "family", "packaging", "it is", "as shown",
)  # fmt: skip

_LISTS = (PLAIN, GOOD, BAD, LATE)
_PLAIN, _GOOD, _BAD, _LATE = range(4)
_ALL_WORDS = pl.Series([word for words in _LISTS for word in words])
_STARTS = np.cumsum([0, *map(len, _LISTS)])[:-1]
_SIZES = np.array([len(words) for words in _LISTS])
_GOOD_SHARE = np.array([0.05, 0.15, 0.5, 0.8, 0.93])  # of the words with an opinion, by stars
_OPINION = 0.5  # share of words with one
_TELLS = 0.7  # of late parcels whose review says so
_FEWEST, _MOST = 4, 9


def text(keys: Keys, stars: IntArray, late: BoolArray) -> pl.Series:
    """The texts of reviews: their keys, stars from 1 to 5, and whether the parcel was late."""
    length = _FEWEST + np.floor((_MOST - _FEWEST + 1) * luck.uniform(keys, "length"))
    good = _GOOD_SHARE[stars - 1]
    tells = late & (luck.uniform(keys, "tells") < _TELLS)
    slots = [
        _word(luck.below(keys, "word", slot), good, tells if slot == 1 else None).set(
            pl.Series(slot >= length), None
        )
        for slot in range(_MOST)
    ]
    frame = pl.DataFrame({str(slot): words for slot, words in enumerate(slots)})
    return frame.select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)).to_series()


def _word(keys: Keys, good: FloatArray, tells: BoolArray | None) -> pl.Series:
    """One word of each text."""
    says = luck.uniform(keys, "opinion") < _OPINION
    praises = luck.uniform(keys, "good") < good
    kind = np.where(says, np.where(praises, _GOOD, _BAD), _PLAIN)
    if tells is not None:
        kind = np.where(tells, _LATE, kind)
    place = np.floor(_SIZES[kind] * luck.uniform(keys, "word")).astype(np.int64)
    return _ALL_WORDS.gather(pl.Series(_STARTS[kind] + place))
