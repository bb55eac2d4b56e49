"""Sentiment: P(few stars | text), learned from the stars that a shop's own customers gave.

No dictionary and no language: a text is how many of its pieces of 3 to 5 characters fall into each
of 4,096 buckets, over the root of their number, and a logistic regression on these says how likely
few stars are. Signs that are words of their own (emoji, Chinese, kana) count alone and in pairs,
too. Pieces across words: Cavnar, Trenkle (1994), N-gram-based text categorization, SDAIR. Buckets
instead of a vocabulary: Weinberger et al. (2009), Feature hashing for large scale multitask
learning, ICML.

scikit-learn fits; what is fitted are whole numbers in JSON, and scoring needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ppi_ml.declare import State

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BUCKETS = 4_096
LEAST_TEXTS, LEAST_OF_EACH = 75, 10
"""Fewer texts, or fewer of them with few stars or with more, and nothing is learned. (75 reviews of
Olist taught enough for an AUC of .88 out of time, .85 at worst of twelve draws; 1,600 for .935.)"""
MOST_CHARACTERS = 1_000
"""What a text says beyond these is not read."""
_PIECES = (3, 4, 5)
_SIGN_PIECES = (1, 2)
_SIGNS_FROM = 0x2600
"""Unicode code points from here on are words of their own: symbols, emoji, kana, Chinese."""
_STRENGTH = 3.0
"""The C of scikit-learn: chosen on the reviews of Olist from before 2018."""
_UNIT = 1_000
"""Weights are kept in whole thousandths: sums of them are exact in any order."""
_AT_ONCE = 1_000_000
"""Characters that are taken apart at once, which bounds the memory."""
_PRIME = np.uint32(0x9E3779B1)
"""The base of the polynomial that a piece's number is: 2**32 over the golden ratio (Knuth)."""


@dataclass(frozen=True)
class TextModel:
    """A way to read texts: give your own to `features.reviews.texts_read_by`.

    `fit(texts, low)` learns from texts (n,), none of them null, and whether each came with few
    stars (n,); whatever the order of the rows, it gives the same state: what JSON can hold, small,
    and no customer's words, for it goes into the bundle. Where nothing could be learned the state
    is `{"why": a sentence}`, which training tells.
    `score(state, texts)` gives P(few stars) of texts (n,), NaN where nothing can be said, and for
    each text the same whatever other texts stand beside it. It is called again at every cutoff.
    """

    fit: Callable[[pl.Series, BoolArray], State]
    score: Callable[[State, pl.Series], FloatArray]


def normalised(texts: pl.Series) -> pl.Series:
    """Texts in small letters without accents, one space between words, one before and after.

    What is left empty stays empty. Vowel signs of Indic scripts are no accents and stay.
    """
    plain = (
        texts.str.normalize("NFKD")
        .str.replace_all("[\u0300-\u036f]", "")
        .str.to_lowercase()
        .str.replace_all(r"\s+", " ")
        .str.strip_chars(" ")
        .str.slice(0, MOST_CHARACTERS)
    )
    framed = pl.concat_str(pl.lit(" "), pl.col("text"), pl.lit(" "))
    said = pl.DataFrame({"text": plain.fill_null("")})
    return said.select(pl.when(pl.col("text") == "").then(pl.col("text")).otherwise(framed))["text"]


def pieces(
    texts: pl.Series, size: int = BUCKETS
) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.int64]]]:
    """The pieces of texts (n,), some texts at a time.

    Yields which texts they are, and of every piece (k,) its text, counted from the first of these,
    and its bucket below `size`, a power of two. The bucket depends on the piece alone.
    """
    framed = normalised(texts)
    length = framed.str.len_chars().to_numpy().astype(np.int64)
    cuts = np.flatnonzero(np.diff(length.cumsum() // _AT_ONCE)) + 1
    bounds = [0, *cuts.tolist(), len(length)]
    for start, stop in pairwise(bounds):
        part = slice(start, stop)
        text, number = _taken_apart("".join(framed[part].to_list()), length[part])
        yield part, text, (number & np.uint32(size - 1)).astype(np.int64)


def _taken_apart(
    characters: str, length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Text and number of every piece, of texts of these lengths (n,) written one after another."""
    code = np.frombuffer(characters.encode("utf-32-le"), dtype="<u4")
    text = np.repeat(np.arange(len(length)), length)
    rest = np.repeat(length.cumsum(), length) - np.arange(len(code))
    signs = np.zeros(len(code), dtype=np.int64)  # how many of the first k characters are signs
    rolled = np.zeros(len(code), dtype=np.uint32)
    texts, found = [], []
    for k in range(1, max(_PIECES) + 1):
        first = slice(max(len(code) - k + 1, 0))
        last = code[k - 1 :]
        signs, rolled = signs[first] + (last >= _SIGNS_FROM), rolled[first] * _PRIME + last
        counts = rest[first] >= k
        if k in _SIGN_PIECES:
            counts = counts & (signs == k)
        if k in (*_PIECES, *_SIGN_PIECES):
            texts.append(text[first][counts])
            found.append(_mixed(rolled[counts] + np.uint32(k)))
    return np.concatenate(texts), np.concatenate(found)


def _mixed(number: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """All bits of numbers (n,) stirred into each other: the finish of MurmurHash3 (Appleby)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        number = (number ^ (number >> np.uint32(shift))) * np.uint32(factor)
    return np.asarray(number ^ (number >> np.uint32(16)))


def fit(texts: pl.Series, low: BoolArray, size: int = BUCKETS) -> State:
    """The weights of the buckets, from texts (n,) and whether each came with few stars (n,).

    The state is `{"weights_e3": whole thousandths (size,), "intercept_e3", "texts", "low"}`, or
    `{"why": a sentence}` where the texts are too few.
    """
    rows = pl.DataFrame({"text": texts, "low": low}).sort("text", "low")  # sums in one order
    few = int(rows["low"].sum())
    if rows.height < LEAST_TEXTS or min(few, rows.height - few) < LEAST_OF_EACH:
        return {
            "why": f"too few texts with stars to learn from: {rows.height}, {few} of them with few "
            f"stars; at least {LEAST_TEXTS} are needed, {LEAST_OF_EACH} with few and "
            f"{LEAST_OF_EACH} with more stars"
        }
    from scipy.sparse import csr_matrix, vstack
    from sklearn.linear_model import LogisticRegression

    parts = []
    for part, text, bucket in pieces(rows["text"], size):
        of_text = np.bincount(text, minlength=part.stop - part.start)
        share = (1.0 / np.sqrt(np.maximum(of_text, 1)))[text]
        parts.append(csr_matrix((share, (text, bucket)), shape=(len(of_text), size)))
    model = LogisticRegression(C=_STRENGTH, max_iter=1_000, tol=1e-6)
    with threadpool_limits(1, "blas"):  # the same sums whatever the machine
        model.fit(vstack(parts).tocsr(), rows["low"].to_numpy())
    return {
        "weights_e3": [round(weight * _UNIT) for weight in model.coef_[0].tolist()],
        "intercept_e3": round(float(model.intercept_[0]) * _UNIT),
        "texts": rows.height,
        "low": few,
    }


def score(state: State, texts: pl.Series) -> FloatArray:
    """P(few stars) of texts (n,); NaN where a text is empty, or nothing could be learned.

    1 / (1 + exp(-(intercept + sum of the weights of its pieces / sqrt(their number)))).
    """
    found = np.full(len(texts), np.nan)
    if "why" in state:
        return found
    weights = np.array(state["weights_e3"], dtype=np.float64)
    for part, text, bucket in pieces(texts, len(weights)):
        many = part.stop - part.start
        number = np.bincount(text, minlength=many)
        total = np.bincount(text, weights=weights[bucket], minlength=many)
        said = state["intercept_e3"] + total / np.sqrt(np.maximum(number, 1))
        chance = 1.0 / (1.0 + np.exp(-said / _UNIT))
        found[part] = np.where(number > 0, chance, np.nan)
    return found


OWN_STARS = TextModel(fit, score)
"""What the family `reviews` reads texts with."""
