"""The scorecard as data, text, markdown and HTML."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.errors import IntegrityError
from ppi_ml.score_rows import ScoreRow
from ppi_ml.scorecard import Scorecard, Verdict, unjudged
from ppi_ml.scorecard_tables import TERMS


def row(model, value, difference=None, cutoff="pooled", segment="eligible", metric="log_loss"):
    ends = (None, None) if difference is None else (difference - 0.01, difference + 0.01)
    around = (None, None) if value is None else (value - 0.02, value + 0.02)
    return ScoreRow(0, cutoff, segment, model, metric, value, *around, 1234, difference, *ends)


ROWS = (
    row("model", 0.5293),
    row("bg_nbd", 0.6, -0.0707),
    row("a|b<i>", 0.554, -0.0247),
    row("model", 0.81, metric="auc"),
    row("model", 0.52, cutoff="2011-06-12"),
    row("bg_nbd", 0.5, 0.02, cutoff="2011-06-12"),
    row("a|b<i>", 0.515, 0.005, cutoff="2011-06-12"),
    row("model", 0.41, segment="all"),
    row("pareto_nbd", None),
)
TEXT = "better: log-loss 0.5293 beats <every> baseline"
CARD = Scorecard(
    Verdict("better", "log_loss", "a|b<i>", -0.0247, -0.0347, -0.0147, TEXT),
    ROWS,
    ("pareto_nbd was not trainable: n < 5 & no repeats",),
    {"bg_nbd": "BG/NBD, Fader <2005>", "unused": "never shown"},
)


def test_data_and_back():
    data = json.loads(json.dumps(CARD.to_dict(), allow_nan=False))
    assert Scorecard.from_dict(data) == CARD
    assert list(data) == ["verdict", "rows", "notes", "labels", "entity"]
    ends = ["difference", "difference_low", "difference_high"]
    keys = ["fold", "cutoff", "segment", "model", "metric", "value", "low", "high", "n", *ends]
    assert list(data["rows"][0]) == keys


NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
SOME_ROWS = st.builds(
    ScoreRow,
    *(st.integers(), st.text(), st.text(), st.text(), st.text()),
    *(NUMBERS, NUMBERS, NUMBERS, st.integers(), NUMBERS, NUMBERS, NUMBERS),
)


@given(st.lists(SOME_ROWS, max_size=5), st.dictionaries(st.text(), st.text()), st.text())
def test_any_scorecard_survives_the_round_trip(rows, labels, note):
    card = Scorecard(CARD.verdict, tuple(rows), (note,), labels)
    assert Scorecard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"fold": 0}]}, "scorecard.rows: expected exactly fold, cutoff"),
        ({"verdict": {**CARD.to_dict()["verdict"], "status": "good"}}, 'got "good"'),
        ({"verdict": {**CARD.to_dict()["verdict"], "metric": "auc"}}, "log_loss or ibs, got"),
        ({"entity": "house"}, 'entity: expected one of customer, customer_product, .* "house"'),
        ({"verdict": "better"}, "scorecard.verdict: expected exactly"),
        ({"extra": 1}, "scorecard: expected exactly verdict, rows, notes, labels, entity; got"),
    ],
)
def test_foreign_data_is_refused(change, message):
    with pytest.raises(IntegrityError, match=message):
        Scorecard.from_dict({**CARD.to_dict(), **change})


def test_what_a_row_is_about_is_kept_and_said():
    pairs = replace(CARD, entity="customer_product")
    assert Scorecard.from_dict(json.loads(json.dumps(pairs.to_dict()))) == pairs
    assert "a customer who stayed away" in CARD.to_markdown()
    assert "a pair that was not bought again" in pairs.to_markdown()
    told = {part: value for part, value in CARD.to_dict().items() if part != "entity"}
    assert Scorecard.from_dict(told) == CARD  # as scorecards were written once


def test_the_verdict_comes_first_in_every_rendering():
    text = CARD.to_text().splitlines()
    assert set(text[0]) == {"="} and text[1].strip() == "B E T T E R"
    assert text[3].strip() == TEXT
    assert CARD.to_markdown().startswith("# Verdict: better\n")
    html = CARD._repr_html_()
    assert html.index("better") < html.index("<table>")


def test_markup_in_names_is_escaped():
    html, markdown = CARD._repr_html_(), CARD.to_markdown()
    assert "a|b&lt;i&gt;" in html and "<i>" not in html and "&lt;every&gt;" in html
    assert "n &lt; 5 &amp; no repeats" in html
    assert "a\\|b\\<i\\>" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| a")]
    assert all(len(line.replace("\\|", "").split("|")) in (5, 10) for line in rows) and rows


def test_markdown_explains_every_term_it_uses_and_no_other():
    markdown = CARD.to_markdown()
    head = next(line for line in markdown.splitlines() if "log-loss |" in line)
    used = {cell.strip() for cell in head.split("|")} - {""}
    assert used <= set(TERMS)
    assert {term for term in TERMS if f"**{term}**" in markdown} == used


def test_labels_are_said_only_for_names_in_the_rows():
    for rendered in (CARD.to_text(), CARD.to_markdown(), CARD._repr_html_()):
        assert "BG/NBD" in rendered and "never shown" not in rendered


def test_unjudged_says_why_and_needs_no_rows():
    card = unjudged("the log is 40 days long, 118 are needed", notes=("a note",))
    assert card.verdict.text == "unjudged: the log is 40 days long, 118 are needed"
    assert card.verdict.difference is None and Scorecard.from_dict(card.to_dict()) == card
    assert "U N J U D G E D" in card.to_text() and "- a note" in card.to_text()
    assert "Terms" not in card.to_markdown() and "<table>" not in card._repr_html_()


@pytest.mark.parametrize("status", ["better", "level", "worse", "unjudged"])
def test_every_verdict_says_what_to_do(status):
    card = replace(CARD, verdict=replace(CARD.verdict, status=status))
    for rendered in (card.to_text(), card.to_markdown(), card._repr_html_()):
        assert rendered.count("What to do: ") == 1


def test_a_long_verdict_is_wrapped_and_kept_whole():
    long = replace(CARD, verdict=replace(CARD.verdict, text="word " * 80))
    banner = long.to_text().split("\n\n")[1]
    assert max(map(len, long.to_text().splitlines()[:8])) <= 98
    assert banner.count("word") == 80
