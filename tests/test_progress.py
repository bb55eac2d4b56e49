"""Progress: one line per stage where nobody watches, live where somebody does, else silent."""

import io

from ppi_ml.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def work(progress):
    with progress.stage("building features", total=3) as step:
        step()
        step(2)
        progress.note("[bold] is text")
    with progress.stage("fitting"), progress.stage("trees", total=1) as step:
        step()


def test_a_stage_is_one_line_with_its_seconds():
    stream = io.StringIO()
    work(Progress(stream=stream))
    lines = stream.getvalue().splitlines()
    assert [line.rsplit(",", 1)[0] for line in lines] == [
        "[bold] is text",
        "building features 3/3",
        "trees 1/1",
        "fitting",
    ]
    assert all(line.endswith(" s") for line in lines[1:])


def test_quiet_says_nothing():
    for stream in (io.StringIO(), Terminal()):
        work(Progress(quiet=True, stream=stream))
        assert stream.getvalue() == ""


def test_what_is_insisted_on_is_said_even_when_quiet():
    for stream in (io.StringIO(), Terminal()):
        Progress(quiet=True, stream=stream).insist("kept: [this]")
        assert stream.getvalue() == "kept: [this]\n"


def test_a_terminal_sees_the_same_lines_and_a_bar_in_between():
    stream = Terminal()
    work(Progress(stream=stream))
    shown = stream.getvalue()
    assert "building features 3/3, " in shown
    assert "[bold] is text" in shown
    assert "\x1b[" in shown


def test_a_stage_that_fails_does_not_claim_to_be_done():
    stream = io.StringIO()
    try:
        with Progress(stream=stream).stage("fitting"):
            raise ValueError
    except ValueError:
        pass
    assert stream.getvalue() == ""
