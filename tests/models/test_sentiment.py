"""Texts taken apart once more in plain Python, and what scikit-learn says of the same numbers."""

import json
import os
import re
import subprocess
import sys
import unicodedata
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ppi_ml.models import sentiment
from ppi_ml.models.sentiment import BUCKETS

ODD = [
    *("", " ", "\n\t", "\u0301", "\x00", "a", "  A \n\nb  ", "=1+1", "x" * 3_000),
    *("Péssimo!!! NÃO CHEGOU", "e\u0301té", "ﬁn", "İstanbul ΣΑΣ ẞ", "खराब", "ปรับปรุง"),
    *("😡", "👍🏽 ok", "很差，不推荐", "ひどい"),
]
SPACE = "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
"""What Unicode calls white space."""
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40)


# ------------------------------------------------------------------ the oracle
def plain(text):
    """Small letters without accents, one space between words and around them; 1,000 characters."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not "\u0300" <= c <= "\u036f")
    text = re.sub(SPACE, " ", text.lower()).strip(" ")[:1_000]
    return text and f" {text} "


def bucket_of(piece):
    """One piece as a number below 4,096: a polynomial of its characters, stirred."""
    number = 0
    for character in piece:
        number = (number * 0x9E3779B1 + ord(character)) % 2**32
    number = (number + len(piece)) % 2**32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        number = (number ^ (number >> shift)) * factor % 2**32
    return (number ^ (number >> 16)) % 4_096


def pieces_of(text):
    """Every piece: 3 to 5 characters, and 1 or 2 that are signs of their own."""
    framed = plain(text)
    every = [framed[i : i + k] for k in range(1, 6) for i in range(len(framed) - k + 1)]
    return [p for p in every if len(p) >= 3 or all(ord(c) >= 0x2600 for c in p)]


def features_of(texts):
    """The inputs of the regression (n, 4096): pieces per bucket over the root of their number."""
    rows = np.zeros((len(texts), BUCKETS))
    for row, text in zip(rows, texts, strict=True):
        pieces = pieces_of(text)
        for piece in pieces:
            row[bucket_of(piece)] += 1 / np.sqrt(len(pieces))
    return rows


# ------------------------------------------------------------------ material
GOOD = ("otimo produto", "chegou antes do prazo", "recomendo a loja", "muito bom", "perfeito")
BAD = ("nao chegou", "produto com defeito", "pessimo atendimento", "veio errado", "quero devolver")


def material(n=300, seed=0, good=GOOD, bad=BAD, glue=" e "):
    """n texts of two or three phrases, and whether their stars are few; one in ten disagrees."""
    draw = np.random.default_rng(seed)
    low = draw.random(n) < 0.35
    mood = low ^ (draw.random(n) < 0.1)
    said = [glue.join(draw.choice(bad if m else good, draw.integers(2, 4))) for m in mood]
    return pl.Series(said), low


@pytest.fixture(scope="module")
def learned():
    return sentiment.fit(*material())


def taken_apart(texts):
    """(text, bucket) of every piece, sorted."""
    series, found = pl.Series(texts, dtype=pl.String), []
    for part, text, bucket in sentiment.pieces(series):
        found += zip((text + part.start).tolist(), bucket.tolist(), strict=True)
    return sorted(found)


def by_hand(texts):
    return sorted((i, bucket_of(p)) for i, text in enumerate(texts) for p in pieces_of(text))


# ------------------------------------------------------------------ pieces
@given(st.lists(ANY_TEXT, max_size=6))
@example(ODD)
def test_texts_are_taken_apart_as_by_hand(texts):
    assert sentiment.normalised(pl.Series(texts, dtype=pl.String)).to_list() == [
        plain(text) for text in texts
    ]
    assert taken_apart(texts) == by_hand(texts)


@pytest.mark.parametrize("at_once", [1, 7, 50])
def test_how_much_is_taken_apart_at_once_changes_nothing(learned, monkeypatch, at_once):
    texts = [*ODD, *GOOD, *BAD]
    whole = taken_apart(texts), sentiment.score(learned, pl.Series(texts))
    monkeypatch.setattr(sentiment, "_AT_ONCE", at_once)
    assert len(list(sentiment.pieces(pl.Series(texts)))) > 3
    assert taken_apart(texts) == whole[0]
    np.testing.assert_array_equal(sentiment.score(learned, pl.Series(texts)), whole[1])


def test_case_accents_and_space_do_not_matter(learned):
    texts = pl.Series(["Não  chegou\n", "nao chegou", "NA\u0303O\u2003CHEGOU"])
    assert len(set(sentiment.score(learned, texts))) == 1


def test_signs_are_words_but_letters_are_not():
    assert {len(piece) for piece in pieces_of("😡😡 ok")} == {1, 2, 3, 4, 5}
    assert {len(piece) for piece in pieces_of("nada")} == {3, 4, 5}


# ------------------------------------------------------------------ the regression
def test_replay_is_what_scikit_learn_says_of_the_same_numbers(learned):
    state = json.loads(json.dumps(learned))
    texts = [text for text in [*ODD, *material(60, seed=1)[0]] if plain(text)]
    judge = LogisticRegression()
    judge.classes_ = np.array([False, True])
    judge.coef_ = np.array([state["weights_e3"]]) / 1_000
    judge.intercept_ = np.array([state["intercept_e3"]]) / 1_000
    expected = judge.predict_proba(features_of(texts))[:, 1]
    found = sentiment.score(state, pl.Series(texts))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert np.ptp(found) > 0.5


def test_what_is_fitted_is_what_scikit_learn_fits(learned):
    texts, low = material()
    rows = features_of(texts.to_list())
    judge = LogisticRegression(C=3.0, max_iter=5_000, tol=1e-8).fit(rows, low)
    np.testing.assert_allclose(learned["weights_e3"], judge.coef_[0] * 1_000, atol=2.0)
    said = sentiment.score(learned, texts)
    np.testing.assert_allclose(said, judge.predict_proba(rows)[:, 1], atol=2e-3)
    assert (learned["texts"], learned["low"]) == (300, low.sum())


CHINESE = ("很好", "满意", "推荐", "不错"), ("太差", "坏了", "退货", "生气")
FACES = ("😀", "👍", "❤", "🎉"), ("😡", "👎", "💔", "🤮")


@pytest.mark.parametrize(
    ("good", "bad", "glue"),
    [(GOOD, BAD, " e "), (*CHINESE, ""), (*FACES, "")],
    ids=["words", "chinese", "emoji"],
)
def test_a_planted_mood_is_found_in_any_script(good, bad, glue):
    state = sentiment.fit(*material(good=good, bad=bad, glue=glue))
    later, low = material(seed=1, good=good, bad=bad, glue=glue)
    said = sentiment.score(state, later)
    assert said[low].mean() > said[~low].mean() + 0.5
    alone = sentiment.score(state, pl.Series([*good, *bad]))
    assert alone[: len(good)].max() < alone[len(good) :].min()


def test_stars_that_have_nothing_to_do_with_the_text_teach_little():
    texts, low = material(600)
    unrelated = np.random.default_rng(5).permutation(low)
    said = sentiment.score(sentiment.fit(texts, unrelated), material(200, seed=1)[0])
    assert abs(said.mean() - unrelated.mean()) < 0.1
    assert np.std(said) < 0.2


# ------------------------------------------------------------------ the same, always
def test_the_order_of_the_rows_is_irrelevant(learned):
    texts, low = material()
    mixed = np.random.default_rng(9).permutation(len(texts))
    again = sentiment.fit(texts.gather(mixed), low[mixed])
    assert json.dumps(again) == json.dumps(learned)


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
@example(ODD)
def test_a_text_alone_scores_as_among_others(learned, texts):
    together = sentiment.score(learned, pl.Series(texts))
    alone = [sentiment.score(learned, pl.Series([text]))[0] for text in texts]
    np.testing.assert_array_equal(together, alone)
    said = np.array([plain(text) != "" for text in texts])
    np.testing.assert_array_equal(np.isnan(together), ~said)
    assert ((together[said] > 0) & (together[said] < 1)).all()


def test_no_text_at_all(learned):
    assert len(sentiment.score(learned, pl.Series([], dtype=pl.String))) == 0
    assert np.isnan(sentiment.score(learned, pl.Series([None], dtype=pl.String))).all()


def test_the_state_is_small_and_json(learned):
    """Also as the bundle writes it: one number to a line."""
    assert json.loads(json.dumps(learned, allow_nan=False)) == learned
    assert len(json.dumps(learned, indent=1)) < 60_000
    assert all(isinstance(weight, int) for weight in learned["weights_e3"])


def test_nothing_is_read_beyond_a_thousand_characters(learned):
    long = "muito bom, " * 91
    one, other = sentiment.score(learned, pl.Series([long, long + "nao chegou " * 500]))
    assert one == other


# ------------------------------------------------------------------ too little to learn from
@pytest.mark.parametrize(
    ("n", "few"), [(74, 30), (300, 9), (300, 291), (300, 0), (0, 0)],
    ids=["few texts", "few bad", "few good", "one kind", "none"],
)  # fmt: skip
def test_too_few_texts_are_said_to_be_too_few(n, few):
    texts, low = material(300)[0].head(n), np.arange(n) < few
    state = sentiment.fit(texts, low)
    assert list(state) == ["why"]
    assert f"too few texts with stars to learn from: {n}, {few} of them" in state["why"]
    assert np.isnan(sentiment.score(state, texts)).all()


def test_just_enough_is_enough():
    texts = material(300)[0].head(75)
    assert "why" not in sentiment.fit(texts, np.arange(75) < 10)


SCORING = """
import json, sys
import polars as pl
from ppi_ml.models import sentiment
print(sentiment.score(json.load(sys.stdin), pl.Series(["nao chegou"]))[0])
print(*sorted(m for m in sys.modules if m.split(".")[0] in ("sklearn", "scipy")))
"""


def test_scoring_loads_no_scikit_learn(learned):
    done = subprocess.run(
        [sys.executable, "-c", SCORING], input=json.dumps(learned), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    said, loaded = done.stdout.splitlines()
    assert loaded == ""
    assert float(said) == sentiment.score(learned, pl.Series(["nao chegou"]))[0]


# ------------------------------------------------------------------ real texts
@pytest.mark.real
def test_portuguese_reviews_out_of_time():
    """Stars of Olist from their texts alone; benchmarks/sentiment.py tells more."""
    root = os.environ.get("PPI_ML_DATA")
    if root is None:
        pytest.skip("PPI_ML_DATA is unset: Olist is not part of the repository")
    rows = pl.read_parquet(Path(root) / "olist" / "order_reviews.parquet").filter(
        pl.col("review_comment_message").str.strip_chars() != ""
    )
    low = (rows["review_score"] <= 2).to_numpy()
    before = (rows["review_answer_timestamp"] < datetime(2018, 4, 1)).to_numpy()
    texts = rows["review_comment_message"]
    state = sentiment.fit(texts.filter(before), low[before])
    said = sentiment.score(state, texts.filter(~before))
    assert roc_auc_score(low[~before], said) > 0.94
    assert abs(said.mean() - low[~before].mean()) < 0.03
