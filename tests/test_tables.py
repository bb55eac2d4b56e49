"""Tables and numbers for people."""

import pytest

from ppi_ml.tables import Table, loss, markdown, number, percent, signed, span

TABLE = Table("Losses", ["", "log-loss"], [["model", "0.5293"], ["a|b<i>", "10.0000"]])


def test_names_stand_left_and_numbers_right():
    title, rule, head, *body = TABLE.to_text().splitlines()
    assert title == "Losses" and set(rule) == {"-"}
    assert head == "        log-loss"
    assert body == ["model     0.5293", "a|b<i>   10.0000"]


def test_markup_in_a_cell_stays_a_cell():
    assert TABLE.to_markdown().splitlines()[-1] == "| a\\|b\\<i\\> | 10.0000 |"
    assert "a|b&lt;i&gt;" in TABLE.to_html() and "<i>" not in TABLE.to_html()
    assert markdown("`*x*`") == "\\`\\*x\\*\\`"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0.0000"), (-0.0247, "-0.0247"), (0.00002, "+2e-05"), (1.0, "+1.0000"),
     (-2e-7, "-2e-07"), (5e-10, "0.0000")],
)  # fmt: skip
def test_a_difference_is_rounded_to_zero_only_where_it_is_noise(value, text):
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0.0000"), (0.547812, "0.5478"), (0.0123456, "0.0123"),
     (0.00141, "0.00141"), (0.000098765, "0.0000988")],
)  # fmt: skip
def test_a_small_loss_keeps_three_digits_that_count(value, text):
    assert loss(value) == text


def test_numbers_shares_and_intervals():
    assert (number(0.12345), number(12.34, 1), number(None)) == ("0.1235", "12.3", "")
    assert (percent(0.02, 0), percent(0.0214)) == ("2 %", "2.1 %")
    assert span(-0.1, 0.25, signed) == "-0.1000 to +0.2500"
    assert span(None, 0.25, signed) == span(0.25, None, signed) == ""
