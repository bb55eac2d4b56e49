"""The scorecard as data, text, markdown and HTML."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.errors import IntegrityError
from ppi_ml.scorecard import (
    TERMS,
    Scorecard,
    ScoreRow,
    Verdict,
    exceeds_tolerance,
    signed,
    unjudged,
)


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
    assert list(data) == ["verdict", "rows", "notes", "labels"]
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
        ({"verdict": "better"}, "scorecard.verdict: expected exactly"),
        ({"extra": 1}, "scorecard: expected exactly verdict, rows, notes, labels; got"),
    ],
)
def test_foreign_data_is_refused(change, message):
    with pytest.raises(IntegrityError, match=message):
        Scorecard.from_dict({**CARD.to_dict(), **change})


def test_the_verdict_comes_first_in_every_rendering():
    text = CARD.to_text().splitlines()
    assert set(text[0]) == {"="} and text[1].strip() == "B E T T E R"
    assert text[3].strip() == TEXT
    assert CARD.to_markdown().startswith("# Verdict: better\n")
    html = CARD._repr_html_()
    assert html.index("better") < html.index("<table>")


def test_the_table_is_sorted_by_loss_and_ends_with_the_untrainable():
    body = CARD.to_text().split("Eligible customers")[1].split("\n\n")[0].splitlines()[3:]
    assert [line.split()[0] for line in body] == ["model", "a|b<i>", "bg_nbd", "pareto_nbd"]
    assert "not trainable" in body[-1]
    assert body[0].split() == ["model", "0.5293", "0.5093", "to", "0.5493", "0.810"]
    assert "-0.0247  -0.0347 to -0.0147" in body[1]


def test_columns_of_the_text_are_aligned():
    table = CARD.to_text().split("Eligible customers")[1].split("\n\n")[0].splitlines()[2:]
    end = table[0].index("log-loss") + len("log-loss")
    assert all(
        line[end - 6 : end] == f"{r:.4f}" for line, r in zip(table[1:4], LOSSES, strict=True)
    )


LOSSES = (0.5293, 0.554, 0.6)


def test_a_difference_above_two_percent_is_flagged_at_its_cutoff():
    lines = CARD.to_text().split("at each test cutoff")[1].splitlines()
    by_name = {line.split()[1]: line for line in lines if line.startswith("minus")}
    assert by_name["bg_nbd"].endswith("+0.0200 !") and by_name["a|b<i>"].endswith("+0.0050")
    assert list(by_name) == ["a|b<i>", "bg_nbd"]


def test_markup_in_names_is_escaped():
    html, markdown = CARD._repr_html_(), CARD.to_markdown()
    assert "a|b&lt;i&gt;" in html and "<i>" not in html and "&lt;every&gt;" in html
    assert "n &lt; 5 &amp; no repeats" in html
    assert "a\\|b\\<i\\>" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| a")]
    assert all(len(line.replace("\\|", "").split("|")) in (5, 10) for line in rows) and rows


def test_markdown_explains_every_term_it_uses():
    markdown = CARD.to_markdown()
    for term in TERMS:
        assert f"**{term}**" in markdown
    head = next(line for line in markdown.splitlines() if "log-loss |" in line)
    assert {cell.strip() for cell in head.split("|")} - {""} == set(TERMS)


def test_labels_are_said_only_for_names_in_the_rows():
    for rendered in (CARD.to_text(), CARD.to_markdown(), CARD._repr_html_()):
        assert "BG/NBD" in rendered and "never shown" not in rendered


def test_unjudged_says_why_and_needs_no_rows():
    card = unjudged("the log is 40 days long, 118 are needed", notes=("a note",))
    assert card.verdict.text == "unjudged: the log is 40 days long, 118 are needed"
    assert card.verdict.difference is None and Scorecard.from_dict(card.to_dict()) == card
    assert "U N J U D G E D" in card.to_text() and "- a note" in card.to_text()
    assert "Terms" not in card.to_markdown() and "<table>" not in card._repr_html_()


def test_a_long_verdict_is_wrapped_and_kept_whole():
    long = replace(CARD, verdict=replace(CARD.verdict, text="word " * 80))
    banner = long.to_text().split("\n\n")[1]
    assert max(map(len, long.to_text().splitlines()[:8])) <= 98
    assert banner.count("word") == 80


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0.0000"), (-0.0247, "-0.0247"), (0.00002, "+2e-05"), (1.0, "+1.0000")],
)
def test_a_difference_is_never_rounded_to_zero(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "difference", "exceeds"),
    [(0.5, 0.0101, True), (0.5, 0.0099, False), (0.5, -0.2, False), (None, None, False)],
)
def test_the_tolerance_is_two_percent_of_the_baseline(value, difference, exceeds):
    assert exceeds_tolerance(row("bg_nbd", value, difference)) is exceeds
