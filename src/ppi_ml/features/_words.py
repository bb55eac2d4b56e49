"""Words of a vocabulary as numbers that mean the same at every cutoff: tags, regions, sources.

A word has no order, and the slots of a learned vocabulary would mean other words at other cutoffs.
So the number of a word is a hash of the word itself (Weinberger et al. 2009, "Feature hashing"):
nothing is learned, so nothing leaks, a new word has its number on its first day, and a vocabulary
may be of any size. Two numbers per word, because a tree cuts a word out at either end of a scale
at once. What a number means is for the trees to find out.

Scores that were learned from the past of each cutoff (how often the customers of a word came back,
over the shop's own) were tried and left out. In a shop that never changes, a small tree told late
from early cutoffs by them with an AUC of up to .87, rounded or only where the evidence was strong:
everybody with the word changes their number on one day.
"""

from __future__ import annotations

from hashlib import blake2b

import polars as pl

CODES = ("a", "b")
"""The hashes of a word: `codes` of one are independent of those of the other."""
CODE = 1_000_000.0
"""Codes are stored in millionths of the range from 0 to 1."""
_BYTES = 8


def codes(words: pl.Series, name: str) -> list[pl.Series]:
    """`<name>_a` and `<name>_b` of each word (n,): Int64 in millionths, null where it is null."""
    distinct = words.drop_nulls().unique()
    return [
        words.replace_strict(distinct, [_code(word, which) for word in distinct])
        .cast(pl.Int64)  # without a word polars leaves the text it was
        .alias(f"{name}_{which}")
        for which in CODES
    ]


def _code(word: str, which: str) -> int:
    digest = blake2b(word.encode(), digest_size=_BYTES, person=which.encode()).digest()
    return int.from_bytes(digest, "big") * int(CODE) >> 8 * _BYTES
