"""Numbers beside their bounds, as they are told and kept."""

import pytest

from findings import Check, Part, at_most, kept, table, within

NAN = float("nan")


@pytest.mark.parametrize(("value", "passed"), [(0.5, True), (1.0, True), (1.01, False)])
def test_a_number_is_at_most_its_bound(value, passed):
    assert at_most("cost", value, 1.0, ".2f").passed is passed
    assert at_most("cost", NAN, 1.0).passed is False
    assert at_most("cost", 0.5, NAN).passed is False
    assert at_most("cost", 0.5, 1.0, ".2f", "the rival's").cells == (
        "cost", "0.50", "at most 1.00 (the rival's)", "PASS",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "found", "passed"),
    [
        ([0.9, 1.1], "0.900 to 1.100", True),
        ([0.8], "0.800", True),
        ([0.79, 1.0], "0.790 to 1.000", False),
        ([1.0, 1.21], "1.000 to 1.210", False),
    ],
)
def test_numbers_stay_within_a_range(values, found, passed):
    check = within("ratio", values, 0.8, 1.2)
    assert (check.found, check.passed) == (found, passed)
    assert within("ratio", [1.0, NAN], 0.8, 1.2).passed is False


def test_only_what_has_a_bound_can_pass_or_fail():
    assert Check("rows", "12").cells == ("rows", "12", "", "")
    assert Check("rows", "?", "12").cells[-1] == "-"
    assert Check("rows", "11", "12", False).cells[-1] == "**FAIL**"


def test_a_table_sets_numbers_to_the_right_and_keeps_its_columns():
    lines = table(("what", "|x|", "n"), [("a", "0.5", "1,200"), ("b", "-", "-3%")]).splitlines()
    assert lines[0] == r"| what | \|x\| | n |"
    assert lines[1] == "| --- | ---: | ---: |"
    assert len(lines) == 4


PART = Part("Small", {"samples": 2}, (Check("n", "3", "4", False),), "| a |\n", "2025-01-02")


def test_a_part_comes_back_as_it_was_saved(tmp_path):
    path = tmp_path / "new" / "part.json"
    PART.save(path)
    assert Part.read(path) == PART
    assert [file.name for file in path.parent.iterdir()] == ["part.json"]
    text = PART.to_markdown()
    assert text.startswith("## Small\n\nMeasured 2025-01-02; samples 2.\n\n| number |")
    assert text.endswith("| n | 3 | 4 | **FAIL** |\n\n| a |\n")


def test_a_part_is_kept_as_long_as_the_same_is_asked(tmp_path):
    path, runs = tmp_path / "part.json", []

    def ask(settings, **how):
        def measure():
            runs.append(settings)
            return Part("Small", settings, ())

        return kept(path, settings, measure, **how)

    assert ask({"samples": 2}) == ask({"samples": 2})
    assert len(runs) == 1
    assert ask({"samples": 3}).settings == {"samples": 3}
    ask({"samples": 3}, fresh=True)
    assert len(runs) == 3
