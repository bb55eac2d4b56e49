"""All parts on one page: what is kept, left out, failed, and how it is told."""

import pytest

import timing
from findings import Check, Part
from ppi_ml.errors import NotTrainableError


@pytest.fixture
def parts(monkeypatch):
    """Four parts in the place of the real ones, and the names of those that were measured."""
    runs = []

    def job(name, passed, **more):
        def measure():
            runs.append(name)
            return Part(name.title(), {"samples": 2}, (Check("n", "3", "4", passed),))

        return timing.Job(measure, **{"settings": {"samples": 2}, **more})

    def fail():
        raise NotTrainableError("too few")

    made = {
        "good": job("good", True),
        "bad": job("bad", False, settings=None),
        "absent": job("absent", True, missing="no data"),
        "broken": timing.Job(fail, {"samples": 2}),
    }
    monkeypatch.setattr(timing, "jobs", lambda asked: made)
    return runs


def test_one_page_says_it_all(parts, tmp_path, capsys):
    assert timing.main(["--out", str(tmp_path)]) == 1  # one part is broken
    text = (tmp_path / timing.PAGE).read_text()
    assert "1 of 2 numbers are within their bounds" in text
    assert "| Good | n | 3 | 4 | PASS |" in text
    assert "| Bad | n | 3 | 4 | **FAIL** |" in text
    assert "- absent: left out: no data\n- broken: failed: too few" in text
    assert text.index("## Good") < text.index("## Bad")
    assert "## Good" in capsys.readouterr().out


def test_what_is_there_is_not_measured_again(parts, tmp_path):
    assert timing.main(["--out", str(tmp_path), "good", "bad"]) == 0
    assert timing.main(["--out", str(tmp_path), "good", "bad"]) == 0
    assert parts == ["good", "bad", "bad"]  # what is kept elsewhere is read anew
    assert timing.main(["--out", str(tmp_path), "good", "--fresh"]) == 0
    assert parts[3:] == ["good"]


def test_a_part_alone_keeps_the_others_on_the_page(parts, tmp_path):
    timing.main(["--out", str(tmp_path), "good"])
    timing.main(["--out", str(tmp_path), "bad"])
    assert "## Good" in (tmp_path / timing.PAGE).read_text()


def test_an_unknown_part_ends_with_2(parts, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        timing.main(["--out", str(tmp_path), "ghost"])
    assert ended.value.code == 2
    assert "no part ghost; there are: good, bad" in capsys.readouterr().err


def asked(tmp_path, **more):
    given = {"out": tmp_path / "out", "cases": None, "judge": None, "samples": 40, "processes": 1,
             "origins": 6, "trials": None, "rows": 10**6, "threads": 2, "fresh": False}  # fmt: skip
    return timing.Asked(**{**given, **more})


def test_parts_without_their_data_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PPI_ML_DATA", str(tmp_path))
    found = timing.jobs(asked(tmp_path))
    assert list(found) == ["judge", "coverage", "rolling", "cdnow", "online_retail", "million"]
    assert [name for name, job in found.items() if job.missing] == ["judge", "coverage", "cdnow"]
    assert found["rolling"].settings["trials"] == "default"


def test_judge_and_coverage_of_a_made_up_case(write_case, tmp_path, monkeypatch):
    folder = write_case(tmp_path, "made", task="timing", reference=True)
    stored = timing.coverage.Answers.read(folder)
    options = asked(tmp_path, cases=tmp_path / "public")
    place = options.out / "judge"
    place.mkdir(parents=True)
    timing.judge.stored(folder, "reference").write_parquet(place / "made.parquet")
    verdict = {"case": "made", "headline": "ibs", "entities": 3, "missing": 0,
               "metrics": {"system": {"ibs": 0.1}, "reference": {"ibs": 0.2}},
               "comparisons": [{"peer": "reference", "outcome": "beats"}]}  # fmt: skip
    monkeypatch.setattr(timing.judge, "ask", lambda *_: verdict)
    monkeypatch.setattr(timing.judge, "predict", lambda case, out: place / "made.parquet")
    (tmp_path / "judge.py").write_text("")
    judged, covered = timing.judged(options), timing.covered(options)
    assert "-50.00% beats" in judged.tables
    assert [check.passed for check in judged.checks] == [True] * 6
    assert covered.checks[-1].passed is True  # its width is that of the reference
    assert len(stored.days) > 100
