"""All parts on one page: what is kept, left out, failed, and how it is told."""

import pytest

import depletion
import depletion_kept
import judge
from depletion_cases import GAMMA, GAPS
from findings import Check, Part
from ppi_ml.errors import NotTrainableError

RULES = (GAMMA, *GAPS)


def asked(tmp_path, **more):
    given = {
        "out": tmp_path / "out", "cases": None, "judge": None, "customers": 10, "origins": 1,
        "trials": 1, "pairs": (100,), "memory": "1GB", "threads": 1, "fresh": False,
    }  # fmt: skip
    return depletion.Asked(**{**given, **more})


@pytest.fixture
def parts(monkeypatch):
    """Four parts in the place of the real ones, and the names of those that were measured."""
    runs = []

    def job(name, passed, **more):
        def measure():
            runs.append(name)
            return Part(name.title(), {"pairs": 2}, (Check("n", "3", "4", passed),))

        return depletion.Job(measure, **{"settings": {"pairs": 2}, **more})

    def fail():
        raise NotTrainableError("too few")

    made = {
        "good": job("good", True),
        "bad": job("bad", False, settings=None),
        "absent": job("absent", True, missing="no data"),
        "broken": depletion.Job(fail, {"pairs": 2}),
    }
    monkeypatch.setattr(depletion, "jobs", lambda asked: made)
    return runs


def test_one_page_says_it_all(parts, tmp_path, capsys):
    assert depletion.main(["--out", str(tmp_path)]) == 1  # one part is broken
    text = (tmp_path / depletion.PAGE).read_text()
    assert "1 of 2 numbers are within their bounds" in text
    assert "| Bad | n | 3 | 4 | **FAIL** |" in text
    assert "- absent: left out: no data\n- broken: failed: too few" in text
    assert "## Good" in capsys.readouterr().out


def test_what_is_there_is_not_measured_again(parts, tmp_path):
    assert depletion.main(["--out", str(tmp_path), "good", "bad"]) == 0
    assert depletion.main(["--out", str(tmp_path), "good", "bad"]) == 0
    assert parts == ["good", "bad", "bad"]  # what is kept elsewhere is read anew
    assert depletion.main(["--out", str(tmp_path), "good", "--fresh"]) == 0
    assert parts[3:] == ["good"]


def test_an_unknown_part_ends_with_2(parts, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        depletion.main(["--out", str(tmp_path), "ghost"])
    assert ended.value.code == 2
    assert "no part ghost; there are: good, bad" in capsys.readouterr().err


def test_cases_that_are_not_there_are_left_out(tmp_path):
    found = depletion.jobs(asked(tmp_path))
    assert list(found) == ["judge", "intervals", "recovery", "retail", "scale"]
    assert [name for name, job in found.items() if job.missing] == ["judge", "intervals"]
    assert depletion.run(asked(tmp_path), ["judge"]) == 0
    text = (tmp_path / "out/depletion.md").read_text()
    assert "- judge: left out: say where the cases are" in text


def test_the_judge_is_asked_about_pairs_alone(pair_case, tmp_path, monkeypatch):
    measured = {"ibs": 0.17, "c_index": 0.6, "within_3d": 0.4, "within_7d": 0.6,
                "mae_median": 30.0, "d_cal": 0.1}  # fmt: skip
    answer = {"case": "made", "headline": "ibs", "entities": 3, "missing": 0,
              "metrics": dict.fromkeys(("system", "reference", *RULES), measured),
              "comparisons": [{"peer": "reference", "outcome": "beats"}]}  # fmt: skip
    monkeypatch.setattr(judge, "ask", lambda *_: answer)
    stored = judge.stored(pair_case.folder, "reference")

    def predict(case, out):
        stored.write_parquet(out / "made.parquet")
        return out / "made.parquet"

    monkeypatch.setattr(judge, "predict", predict)
    (tmp_path / "judge.py").write_text("")
    options = asked(tmp_path, cases=pair_case.folder.parent, judge=tmp_path / "judge.py")
    options.folder.mkdir(parents=True)
    assert depletion.run(options, ["judge", "intervals"]) == 0
    text = (tmp_path / "out/depletion.md").read_text()
    assert "| The judge's cases about pairs | IBS below the reference | 0 of 1 |" in text
    assert "| made | system | 0.1700 |" in text
    assert "## Intervals on the judge's cases about pairs" in text


def test_steps_are_kept_one_by_one(tmp_path):
    runs = []

    def work():
        runs.append(1)
        return Check("n", "3")

    place = tmp_path / "below/step.json"
    first = depletion_kept.step(place, {"pairs": (1, 2)}, work)
    assert depletion_kept.step(place, {"pairs": [1, 2]}, work) == first
    assert Check(**first) == Check("n", "3")
    assert len(runs) == 1
    depletion_kept.step(place, {"pairs": (1, 3)}, work)
    depletion_kept.step(place, {"pairs": (1, 3)}, work, fresh=True)
    depletion_kept.step(None, {}, work)
    assert len(runs) == 4


def test_dates_are_told_once():
    assert depletion_kept.dates(["2026-01-02", "2026-01-01"]) == "2026-01-01 to 2026-01-02"
    assert depletion_kept.dates(["2026-01-01"] * 2) == "2026-01-01"
