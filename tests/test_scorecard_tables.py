"""The tables of a scorecard, from rows alone."""

import pytest

from ppi_ml import segments
from ppi_ml.entities import CUSTOMER, PAIR
from ppi_ml.nouns import NOUNS
from ppi_ml.score_rows import LOSSES, ScoreRow, exceeds_tolerance, slips
from ppi_ml.scorecard_tables import TERMS, tables_of, terms_of


def row(model, value, difference=None, *, metric="log_loss", half=0.01, **place):
    """A row with an interval of +- `half` around the difference, none if that is None."""
    ends = (None, None)
    if difference is not None and half is not None:
        ends = (difference - half, difference + half)
    around = (None, None) if value is None else (value - 0.02, value + 0.02)
    cutoff, segment = place.get("cutoff", "pooled"), place.get("segment", "eligible")
    n = place.get("n", 2000 if segment == "all" else 1234)
    return ScoreRow(0, cutoff, segment, model, metric, value, *around, n, difference, *ends)


WHO = NOUNS[CUSTOMER]
JUNE, JULY = "2011-06-12", "2011-07-12"
PROBABILITY = (
    row("model", 0.5293),
    row("bg_nbd", 0.6, -0.0707),
    row("a|b<i>", 0.554, -0.0247),
    row("model", 0.81, metric="auc"),
    row("model", 0.52, cutoff=JUNE),
    row("bg_nbd", 0.5, 0.02, cutoff=JUNE),
    row("a|b<i>", 0.515, 0.005, cutoff=JUNE),
    row("model", 0.41, segment="all"),
    row("pareto_nbd", None),
)


def curve(model, loss, difference=None, **place):
    """The rows of a target judged on the whole curve."""
    beside = {"coverage": 0.791, "width": 61.234, "returner_ratio": 1.02}
    return [
        row(model, loss, difference, metric="ibs", half=0.001, **place),
        *(row(model, value, metric=metric, **place) for metric, value in beside.items()),
    ]


CURVES = (
    *curve("model", 0.15),
    *curve("bg_nbd", 0.16, -0.01),
    *curve("cox", 0.155, -0.005),
    row("model", 0.75, metric="c_index"),
    *curve("model", 0.14, cutoff=JUNE),
    row("model", 0.021, metric="d_calibration_excess", cutoff=JUNE),
    row("bg_nbd", 0.13, 0.01, metric="ibs", half=0.006, cutoff=JUNE),
    *curve("model", 0.16, cutoff=JULY),
    row("bg_nbd", 0.155, 0.005, metric="ibs", half=0.006, cutoff=JULY),
    *curve("model", 0.12, segment="one_time"),
    row("bg_nbd", 0.11, 0.01, metric="ibs", segment="one_time"),
    row("cox", 0.115, 0.005, metric="ibs", segment="one_time"),
    *curve("model", 0.13, segment="made_up"),
    *curve("model", 0.1, segment="all"),
)


def table(rows, metric, title):
    """Head and cells of one table, by the name of its row."""
    (found,) = [t for t in tables_of(rows, metric, WHO) if t.title.startswith(title)]
    return found.head, {line[0]: line[1:] for line in found.body}


def test_the_ranking_is_sorted_by_loss_and_ends_with_the_untrainable():
    head, body = table(PROBABILITY, "log_loss", "Eligible rows")
    assert list(body) == ["model", "a|b<i>", "bg_nbd", "pareto_nbd"]
    assert head[1:] == [
        "log-loss", "95 % interval", "model minus it", "95 % interval",
        "AUC", "lift", "pred/actual",
    ]  # fmt: skip
    assert body["model"] == ["0.5293", "0.5093 to 0.5493", "", "", "0.810", "", ""]
    assert body["a|b<i>"][2:4] == ["-0.0247", "-0.0347 to -0.0147"]
    assert body["pareto_nbd"] == ["not trainable", "", "", "", "", "", ""]


def test_the_ranking_of_curves_shows_coverage_and_width():
    head, body = table(CURVES, "ibs", "Eligible rows")
    assert list(body) == ["model", "cox", "bg_nbd"]
    assert head[1] == "IBS" and head[5:] == ["C-index", "coverage", "pred/actual", "width"]
    assert body["model"][4:] == ["0.750", "0.791", "1.020", "61.2"]
    assert body["cox"][4:] == ["", "0.791", "1.020", "61.2"]


def test_a_difference_above_two_percent_is_flagged_at_its_cutoff():
    _, body = table(PROBABILITY, "log_loss", "Model minus baseline")
    assert body["minus bg_nbd"] == ["+0.0200 !"] and body["minus a|b<i>"] == ["+0.0050  "]
    assert list(body)[-2:] == ["minus a|b<i>", "minus bg_nbd"]


def test_the_cutoffs_of_curves_show_calibration_and_tell_chance_from_a_slip():
    head, body = table(CURVES, "ibs", "Model minus baseline")
    assert head == ["", JUNE, JULY]
    assert body["rows"] == ["1,234", "1,234"]
    assert body["IBS of the model"] == ["0.1400", "0.1600"]
    assert body["pred/actual of the model"] == ["1.020", "1.020"]
    assert body["coverage of the model"] == ["0.791", "0.791"]
    assert body["D-cal. excess of the model"] == ["0.021", ""]
    assert body["minus bg_nbd"] == ["+0.0100 !", "+0.0050 ?"]
    assert body["minus cox"] == ["", ""]


def test_segments_show_the_model_beside_the_best_baseline_there():
    head, body = table(CURVES, "ibs", "The model by segment")
    assert head == [
        "",
        "rows",
        "IBS",
        "best baseline",
        "its loss",
        "coverage",
        "width",
        "pred/actual",
    ]
    assert body["all eligible"] == ["1,234", "0.1500", "cox", "0.1550", "0.791", "61.2", "1.020"]
    assert body["one-time"][1:4] == ["0.1200", "bg_nbd", "0.1100"]
    assert body["made_up"][1:4] == ["0.1300", "", ""]
    assert len(body) == 3


def test_segments_of_a_probability_have_no_coverage():
    rows = [
        *PROBABILITY,
        row("model", 0.3, segment="new"),
        row("model", 1.1, metric="returner_ratio", segment="new"),
    ]
    head, body = table(rows, "log_loss", "The model by segment")
    assert head == ["", "rows", "log-loss", "best baseline", "its loss", "pred/actual"]
    assert body["new"] == ["1,234", "0.3000", "", "", "1.100"]


def test_parts_without_rows_have_no_table():
    assert tables_of((), "ibs", WHO) == []
    assert titles(PROBABILITY[-2:-1], WHO) == ["Everybody with a past"]


def titles(rows, noun):
    return [t.title.split(",")[0] for t in tables_of(rows, "log_loss", noun)]


def test_everybody_has_no_table_of_their_own_where_they_are_the_eligible():
    everybody = row("model", 0.41, segment="all", n=1234)
    assert "Everybody with a past" in titles(PROBABILITY, WHO)
    assert "Everybody with a past" not in titles((*PROBABILITY[:-2], everybody), WHO)


@pytest.mark.parametrize(("rows", "metric"), [(PROBABILITY, "log_loss"), (CURVES, "ibs")])
def test_every_word_of_a_head_is_explained(rows, metric):
    tables = tables_of(rows, metric, WHO)
    terms = terms_of(tables, WHO)
    heads = {cell for t in tables for cell in t.head} - {"", "rows", JUNE, JULY}
    assert heads <= set(terms) <= set(TERMS)
    assert ("coverage" in terms) == ("one-time" in terms) == (metric == "ibs")


@pytest.mark.parametrize("entity", NOUNS)
@pytest.mark.parametrize("question", ["when", "whether"])
def test_terms_speak_of_what_a_row_is_about(entity, question):
    rows = [*PROBABILITY, *CURVES]
    rows += [row("model", 1.1, metric="event_ratio")] if question == "whether" else []
    tables, noun = tables_of(rows, "ibs", NOUNS[entity]), NOUNS[entity]
    tables += tables_of(rows, "log_loss", noun)
    terms = terms_of(tables, noun, events=question == "whether")
    for name in ("AUC", "pred/actual", *(("C-index",) if question == "when" else ())):
        assert noun.one in terms[name]
        assert ("customer" in terms[name]) == (entity == CUSTOMER), terms[name]
    # whose rows are drawn again is the customer, whatever a row is about
    rest = [said for name, said in terms.items() if name != "95 % interval"]
    assert any("customer" in said for said in rest) == (entity == CUSTOMER)
    assert not any("{" in said for said in terms.values())


def test_terms_of_pairs_read_well():
    terms = terms_of(tables_of([*PROBABILITY, *CURVES], "log_loss", NOUNS[PAIR]), NOUNS[PAIR])
    assert terms["AUC"].startswith(
        "chance that a pair that was not bought again was given a higher risk than one that was "
        "bought again;"
    )
    assert terms["pred/actual"].startswith(
        "predicted number of pairs that are bought again over those that were;"
    )


def test_the_words_of_segments_hold_their_numbers():
    assert f"{segments.NEW_DAYS} days" in TERMS["new"]
    assert f"{segments.FREQUENT_DAYS} days" in TERMS["frequent"]
    assert set(LOSSES) == {"log_loss", "ibs"}


@pytest.mark.parametrize(
    ("value", "difference", "half", "exceeds", "slipped"),
    [
        (0.5, 0.0101, 0.01, True, True),
        (0.5, 0.0101, 0.0102, True, False),
        (0.5, 0.0101, None, True, False),
        (0.5, 0.0099, 0.001, False, False),
        (0.5, -0.2, 0.1, False, False),
        (None, None, None, False, False),
    ],
)
def test_a_slip_is_above_two_percent_of_the_baseline_and_above_chance(
    value, difference, half, exceeds, slipped
):
    judged = row("bg_nbd", value, difference, half=half, cutoff=JUNE)
    assert exceeds_tolerance(judged) is exceeds
    assert slips(judged) is slipped
