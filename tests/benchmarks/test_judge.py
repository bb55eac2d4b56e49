"""The judge benchmark on a made-up case of the real format, and on a real one where it is there."""

import json

import polars as pl
import pytest

import judge
import verdicts

TAU = 30


@pytest.mark.parametrize("daily", [False, True])
def test_a_case_is_its_events_up_to_the_origin(write_case, tmp_path, daily):
    folder = write_case(tmp_path, "made", daily=daily)
    for answer in ("truth", "peers", "entities"):  # must never be opened
        (folder / f"{answer}.parquet").write_bytes(b"")
    case = judge.Case.read(folder)
    case.check()
    log = case.log()
    assert (case.task, case.tau, case.daily) == ("churn", TAU, daily)
    assert list(log.tables) == ["order_lines"]
    assert log.tables["order_lines"].granularity == ("day" if daily else "instant")
    assert (str(log.observed_until), log.timezone) == ("2025-06-01", "UTC")
    assert case.days[-1] == TAU
    assert case.days == sorted(set(case.days))


@pytest.mark.parametrize(("task", "daily"), [("churn", False), ("churn", True), ("timing", False)])
def test_everybody_is_predicted(write_case, tmp_path, quick, task, daily):
    folder = write_case(tmp_path, "made", task=task, daily=daily)
    for answer in ("truth", "peers"):
        (folder / f"{answer}.parquet").write_bytes(b"")
    case = judge.Case.read(folder)
    table = pl.read_parquet(judge.predict(case, tmp_path / "out"))
    wanted = pl.read_parquet(folder / "entities.parquet")["customer_id"]
    assert sorted(table["customer_id"]) == sorted(wanted)
    assert table.columns == [
        "customer_id", "churn_probability", *(f"no_event_by_{d}d" for d in case.days),
    ]  # fmt: skip
    assert table[f"no_event_by_{TAU}d"].to_list() == table["churn_probability"].to_list()


def test_tasks_without_a_target_and_folders_that_are_no_case_are_listed(
    write_case, tmp_path, capsys
):
    write_case(tmp_path, "later", task="returns")
    broken = tmp_path / "public/broken"
    broken.mkdir()
    (broken / "case.json").write_text('{"name": "broken"}')
    cases = tmp_path / "public"
    (tmp_path / "judge.py").write_text("raise SystemExit('must not run')")
    assert judge.main(["--cases", str(cases), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "- later: not yet: no target answers returns" in shown
    assert "- broken: not a case: KeyError" in shown
    assert (tmp_path / "out/results.md").read_text() == shown


@pytest.mark.parametrize(
    ("names", "told"),
    [(["--cases", "PUBLIC", "ghost"], "no case.json of ghost"), ([], "say where the cases are")],
)
def test_wrong_arguments_end_with_2(write_case, tmp_path, capsys, monkeypatch, names, told):
    monkeypatch.delenv("JUDGE_CASES", raising=False)
    write_case(tmp_path, "made")
    (tmp_path / "judge.py").write_text("")
    given = [str(tmp_path / "public") if name == "PUBLIC" else name for name in names]
    with pytest.raises(SystemExit) as ended:
        judge.main(given)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_environment_stands_in_for_the_arguments(write_case, tmp_path, monkeypatch, capsys):
    write_case(tmp_path, "later", task="returns")
    (tmp_path / "elsewhere.py").write_text("")
    monkeypatch.setenv("JUDGE_CASES", str(tmp_path / "public"))
    monkeypatch.setenv("JUDGE", str(tmp_path / "elsewhere.py"))
    assert judge.main(["--out", str(tmp_path / "out")]) == 0
    assert "later" in capsys.readouterr().out


def verdict(name="made", ours=0.45, stored=0.5, **outcomes):
    """A judge's answer: peers with a loss of .6 but for the reference, and how we compare."""
    said = {"base_rate": "beats", "bg_nbd": "beats", "reference": "ties", **outcomes}
    losses = {"system": ours, **dict.fromkeys(said, 0.6), "reference": stored}
    return {
        "case": name, "headline": "log_loss", "entities": 90, "missing": 1,
        "metrics": {peer: {"log_loss": loss} for peer, loss in losses.items()},
        "comparisons": [{"peer": peer, "outcome": outcome} for peer, outcome in said.items()],
    }  # fmt: skip


def test_the_table_says_what_the_judge_said():
    result = verdicts.Result.of(verdict(cox="loses"), 12.3)
    assert result.cells == (
        "made", "90 (1 missing)", "0.4500", "reference 0.5000", "0.6000", "0.5000", "-10.00% ties",
        "2/1/1", "cox", "12",
    )  # fmt: skip
    table = verdicts.markdown([result], {"other": "not yet"})
    assert table.splitlines()[0].count("|") == table.splitlines()[2].count("|") == 11
    assert "mean relative change -10.00%, below it on 1 of 1 cases" in table
    assert table.endswith("- other: not yet\n")


def test_a_case_without_a_reference_is_not_compared_with_it():
    plain = verdict()
    plain["comparisons"] = [row for row in plain["comparisons"] if row["peer"] != "reference"]
    del plain["metrics"]["reference"]
    result = verdicts.Result.of(plain, 1.0)
    assert result.change is None
    assert result.cells[5:7] == ("-", "-")
    assert "Against the reference" not in verdicts.markdown([result], {})
    assert [check.passed for check in verdicts.checks([result])] == [True, True]


def test_the_mean_change_is_over_cases_not_over_losses():
    results = [
        verdicts.Result.of(verdict("a", 0.99, 1.0), 1.0),
        verdicts.Result.of(verdict("b", 0.0103, 0.01), 1.0),
    ]
    assert verdicts.mean_change(results) == pytest.approx(0.01)
    assert "+1.00%, below it on 1 of 2 cases, significantly worse on none" in verdicts.summary(
        results
    )


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, ""),
        ({"cox": "loses"}, "cases with a significantly better peer"),
        ({"bg_nbd": "ties"}, "not significantly better than a process that the reference beats"),
        ({"pareto_nbd": "ties"}, ""),  # the reference does not beat it either
        ({"ours": 0.51}, "mean relative change against the reference"),
    ],
)
def test_each_demand_can_fail_on_its_own(changed, failing):
    one = verdicts.Result.of(verdict(**changed), 1.0, ["bg_nbd"])
    other = verdicts.Result.of(verdict("other", 0.499), 1.0, ["bg_nbd"])
    found = {check.what: check.passed for check in verdicts.checks([one, other])}
    assert [what for what, passed in found.items() if not passed] == ([failing] if failing else [])


def test_losing_to_the_reference_fails_both_demands():
    lost = verdicts.Result.of(verdict(ours=0.52, reference="loses"), 1.0)
    assert lost.change == pytest.approx(0.04)
    assert [check.passed for check in verdicts.checks([lost])] == [False, True, False, False, False]


def fake_judge(folder):
    """A judge that knows the shape of an answer, and beats and ties by the name of the file."""
    program = folder / "judge.py"
    program.write_text(
        "import json, sys, pathlib\n"
        "case, file = sys.argv[1], pathlib.Path(sys.argv[2])\n"
        "assert file.is_file()\n"
        "won = 'reference' in file.name\n"
        "peers = {'bg_nbd': 'beats' if won else 'ties', 'reference': 'ties'}\n"
        "print(json.dumps({'case': pathlib.Path(case).name, 'headline': 'log_loss',\n"
        "    'entities': 3, 'missing': 0,\n"
        "    'metrics': {p: {'log_loss': .5} for p in ('system', *peers)},\n"
        "    'comparisons': [{'peer': p, 'outcome': o} for p, o in peers.items()]}))\n"
    )
    return program


def test_what_the_reference_beats_is_asked_of_the_judge_too(write_case, tmp_path, monkeypatch):
    folder = write_case(tmp_path, "made", reference=True)
    monkeypatch.setattr(judge, "predict", lambda case, out: folder / "entities.parquet")
    out = tmp_path / "out"
    judged = judge.run([folder], fake_judge(tmp_path), out)
    assert judged.results[0].not_beaten == ("bg_nbd",)
    stored = pl.read_parquet(out / "made.reference.parquet")
    assert stored.columns == ["customer_id", "churn_probability"]


def test_judged_cases_are_kept_if_that_is_asked_for(write_case, tmp_path, monkeypatch):
    folder, out, runs = write_case(tmp_path, "made"), tmp_path / "out", []

    def predict(case, out):
        runs.append(case.name)
        return folder / "entities.parquet"

    monkeypatch.setattr(judge, "predict", predict)
    program = fake_judge(tmp_path)
    first = judge.run([folder], program, out, keep=True)
    assert judge.run([folder], program, out, keep=True) == first
    assert len(runs) == 1
    judge.run([folder], program, out)
    assert len(runs) == 2
    assert json.loads((out / "made.json").read_text())["measured"] == first.results[0].measured


@pytest.mark.real
def test_the_judge_accepts_our_predictions(write_case, tmp_path, quick, capsys, real_judge):
    cases = write_case(tmp_path, "made", reference=True).parent
    write_case(tmp_path, "later", task="timing", reference=True)
    given = ["--cases", str(cases), "--judge", str(real_judge), "--out", str(tmp_path / "out")]
    assert judge.main(given) == 0
    shown = capsys.readouterr().out
    for line in shown.splitlines()[2:4]:
        row = [cell.strip() for cell in line.strip("|").split("|")]
        assert "missing" not in row[1]
        assert float(row[2]) < float(row[4])
        assert sum(map(int, row[7].split("/"))) == 3
    assert "of 2 cases, significantly worse on none" in shown


@pytest.mark.real
@pytest.mark.slow
def test_a_real_case_beats_its_base_rate(tmp_path, capsys, real_judge):
    given = ["--cases", str(real_judge.parent / "public"), "--out", str(tmp_path)]
    assert judge.main([*given, "cdnow_39_39_churn273"]) == 0
    row = capsys.readouterr().out.splitlines()[2].strip("| ").split(" | ")
    assert float(row[2]) < float(row[4]) - 0.1
    assert "base_rate" not in row[8]
    assert "bg_nbd" not in row[8].split(", ")
