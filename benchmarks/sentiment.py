"""Stars from texts alone, out of time: the Portuguese reviews of Olist.

    python benchmarks/sentiment.py [--data DIR]

At each of three dates the text model learns from the reviews answered before it and says of those
answered in the 90 days after it how likely two stars or fewer are. Told beside its AUC: what the
family `reviews` makes of it (two halves, each read by what the other taught, in twentieths), what
the texts that it learned from would look like if the model read them itself, and a regression of
scikit-learn on every piece of 3 to 5 characters, without buckets. Then AUC against the size of the
state, and seconds. The strength of the prior was chosen on reviews from before the first date.
Olist is not part of the repository: `DIR/order_reviews.parquet`, else `PPI_ML_DATA/olist`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from findings import Check, Part, at_most, table, today
from ppi_ml.bundle import canonical_json
from ppi_ml.declare import State
from ppi_ml.models import sentiment

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DATES = (datetime(2018, 1, 1), datetime(2018, 4, 1), datetime(2018, 7, 1))
AHEAD = timedelta(days=90)
SIZES = (512, 1_024, 2_048, 4_096, 8_192, 16_384)
MOST_BYTES = 200_000
LEAST_AUC = 0.92
TIMED_TEXTS = 20_000
MOST_SECONDS = 3.0


@dataclass(frozen=True)
class Reviews:
    """n texts: what was written, whether the stars are few, when it was answered, which half."""

    text: pl.Series
    low: BoolArray
    answered: pl.Series
    half: NDArray[np.int64]

    def where(self, rows: BoolArray) -> Reviews:
        """Some of them."""
        mask = pl.Series(rows)
        return Reviews(
            self.text.filter(mask), self.low[rows], self.answered.filter(mask), self.half[rows]
        )

    def __len__(self) -> int:
        return len(self.text)


def read(folder: Path) -> Reviews:
    """Every review with a title or a message, once."""
    rows = pl.read_parquet(folder / "order_reviews.parquet").unique("review_id").sort("review_id")
    said = pl.concat_str("review_comment_title", "review_comment_message", separator="\n",
                         ignore_nulls=True)  # fmt: skip
    rows = rows.with_columns(text=said.str.strip_chars()).filter(pl.col("text") != "")
    half = np.array([crc32(name.encode()) % 2 for name in rows["review_id"]])
    low = (rows["review_score"] <= 2).to_numpy()
    return Reviews(rows["text"], low, rows["review_answer_timestamp"], half)


def crossed(past: Reviews, asked: Reviews) -> FloatArray:
    """P(few stars) of the asked (n,), each read by what the other half of the past taught."""
    found = np.empty(len(asked))
    for half in (0, 1):
        other = past.where(past.half != half)
        mask = pl.Series(asked.half == half)
        found[asked.half == half] = sentiment.score(
            sentiment.fit(other.text, other.low), asked.text.filter(mask)
        )
    return found


def every_piece(past: Reviews, asked: Reviews) -> FloatArray:
    """What scikit-learn says of the asked (n,) with a vocabulary of its own."""
    vectors = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), strip_accents="unicode", sublinear_tf=True, min_df=2
    )
    model = LogisticRegression(C=3.0, max_iter=1_000)
    model.fit(vectors.fit_transform(past.text.to_list()), past.low)
    said = model.predict_proba(vectors.transform(asked.text.to_list()))
    return np.asarray(said[:, 1], dtype=np.float64)


@dataclass(frozen=True)
class Judged:
    """What was found at one date; `auc` of the model itself, out of time."""

    auc: float
    cells: tuple[str, ...]
    inside: tuple[str, ...]


def at(date: datetime, reviews: Reviews) -> Judged:
    """Learn before a date, ask about the days after it."""
    past = reviews.where((reviews.answered < date).to_numpy())
    asked = reviews.where(reviews.answered.is_between(date, date + AHEAD, closed="left").to_numpy())
    state = sentiment.fit(past.text, past.low)
    said, cross = sentiment.score(state, asked.text), crossed(past, asked)
    steps = np.round(cross * 20) / 20
    base = np.full(len(asked), past.low.mean())
    auc = float(roc_auc_score(asked.low, said))
    cells = (
        f"{date:%Y-%m-%d}", f"{len(past):,}", f"{past.low.mean():.3f}", f"{len(asked):,}",
        f"{asked.low.mean():.3f}", f"{auc:.4f}", _auc(asked, cross), _auc(asked, steps),
        _auc(asked, every_piece(past, asked)), f"{log_loss(asked.low, said):.4f}",
        f"{log_loss(asked.low, base):.4f}", f"{said.mean() / asked.low.mean():.2f}",
    )  # fmt: skip
    own = sentiment.score(state, past.text)
    inside = (f"{date:%Y-%m-%d}", _auc(past, own), _auc(past, crossed(past, past)), f"{auc:.4f}")
    return Judged(auc, cells, inside)


def _auc(rows: Reviews, said: FloatArray) -> str:
    return f"{roc_auc_score(rows.low, said):.4f}"


def sizes(reviews: Reviews) -> list[tuple[str, ...]]:
    """AUC at every date for states of several sizes, and their bytes as a bundle writes them."""
    rows = []
    for size in SIZES:
        found, state = list[str](), State()
        for date in DATES:
            past = reviews.where((reviews.answered < date).to_numpy())
            ahead = reviews.answered.is_between(date, date + AHEAD, closed="left")
            asked = reviews.where(ahead.to_numpy())
            state = sentiment.fit(past.text, past.low, size)
            found.append(_auc(asked, sentiment.score(state, asked.text)))
        rows.append((f"{size:,}", f"{2 * _bytes(state) / 1e3:.0f}", *found))
    return rows


def _bytes(state: State) -> int:
    """Of a state as `state.json` holds it."""
    held = {"families": {"reviews": {"halves": [state]}}}
    return len(canonical_json(held).encode())


def measure(folder: Path) -> Part:
    """Every number."""
    reviews = read(folder)
    judged = [at(date, reviews) for date in DATES]
    many = pl.concat([reviews.text] * (TIMED_TEXTS // len(reviews) + 1)).head(TIMED_TEXTS)
    low = np.resize(reviews.low, TIMED_TEXTS)
    began = time.perf_counter()
    state = sentiment.fit(many, low)
    fitted = time.perf_counter()
    sentiment.score(state, many)
    scored = time.perf_counter()
    least = min(one.auc for one in judged)
    checks = (
        Check("least AUC of the dates", f"{least:.4f}", f"at least {LEAST_AUC}", least > LEAST_AUC),
        at_most("bytes of the two halves of a state", 2 * _bytes(state), MOST_BYTES, ",.0f"),
        at_most(f"seconds to read {TIMED_TEXTS:,} texts", scored - fitted, MOST_SECONDS, ".2f"),
        Check(f"seconds to learn from {TIMED_TEXTS:,} texts", f"{fitted - began:.2f}"),
    )
    head = ("date", "texts before", "few stars", "texts in 90 days", "few stars there", "AUC",
            "AUC, halves", "AUC, halves, twentieths", "AUC, every piece", "log-loss",
            "log-loss of the base rate", "predicted / actual")  # fmt: skip
    own = ("date", "AUC on its own texts", "own texts, halves", "later texts")
    dates = tuple(f"AUC {date:%Y-%m-%d}" for date in DATES)
    blocks = [
        "Learned before a date, asked about the reviews of the 90 days from it on:",
        table(head, [one.cells for one in judged]),
        "What a model says of the very texts that it learned from, beside what it says of others:",
        table(own, [one.inside for one in judged]),
        "Buckets, and the size of the state (two halves, as a bundle writes it):",
        table(("buckets", "kB", *dates), sizes(reviews)),
    ]
    asked = {"data": "Olist", "reviews with text": len(reviews)}
    return Part(
        "Stars from texts alone", asked, checks, "\n\n".join(b.strip() for b in blocks), today()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(os.environ.get("PPI_ML_DATA", "../shared/data")) / "olist"
    parser.add_argument("--data", type=Path, default=default, help="folder of the files of Olist")
    folder = parser.parse_args(arguments).data
    if not (folder / "order_reviews.parquet").is_file():
        print(f"{folder}: no order_reviews.parquet there; say --data DIR", file=sys.stderr)
        return 2
    print(measure(folder).to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
