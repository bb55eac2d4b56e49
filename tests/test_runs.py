"""The run folder: whole under its name or not at all, and never a half one called latest."""

import json

import pytest

from ppi_ml.config import Config
from ppi_ml.errors import UsageError
from ppi_ml.runs import JOURNAL, RunFolder, write_json


@pytest.fixture
def config(tmp_path):
    return Config.read(
        {
            "name": "mine",
            "data": {"source": "dataframes"},
            "target": {"name": "churn"},
            "output": {"folder": str(tmp_path / "runs")},
        },
        environ={},
    )


def test_a_folder_gets_its_name_when_it_is_whole(config, tmp_path):
    with RunFolder(config, None) as folder:
        assert folder.path.name == f".{folder.name}.partial"
        (folder.path / JOURNAL).write_text("search")
        (folder.path / "scorecard.json").write_text("{}")
        place = folder.finish()
    root = tmp_path / "runs"
    assert place == root / folder.name
    assert [path.name for path in place.iterdir()] == ["scorecard.json"]
    assert (root / "latest").is_symlink()
    assert (root / "latest").resolve() == place.resolve()
    assert {path.name for path in root.iterdir()} == {"latest", folder.name}


def test_names_carry_the_config_the_time_and_a_random_part(config):
    one, two = RunFolder(config, None), RunFolder(config, None)
    assert one.name != two.name
    name, stamp, chance = one.name.split("-")
    assert (name, len(stamp), len(chance)) == ("mine", len("20260101T000000"), 6)


def test_the_newest_run_is_the_latest(config, tmp_path):
    for _ in range(2):
        with RunFolder(config, None) as folder:
            newest = folder.finish()
    assert (tmp_path / "runs/latest").resolve() == newest.resolve()


def test_a_failure_before_the_search_leaves_nothing(config, tmp_path):
    told = []
    with pytest.raises(OSError, match="full"), RunFolder(config, None, told.append) as folder:
        (folder.path / "half").write_text("x")
        raise OSError("the disk is full")
    assert told == []
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_failure_after_the_search_began_can_be_resumed(config, tmp_path, error):
    told = []
    with pytest.raises(error), RunFolder(config, None, told.append) as folder:
        folder.pin(config, "log 1")
        (folder.path / JOURNAL).write_text("search")
        raise error
    assert told == [f"kept: {folder.path}; --resume {folder.path} goes on from there"]
    (left,) = (tmp_path / "runs").iterdir()
    assert left == folder.path
    with RunFolder(config, left) as again:
        assert again.name == folder.name
        assert (again.path / JOURNAL).read_text() == "search"
        assert again.finish().name == folder.name


def test_a_run_of_something_else_is_not_resumed_and_not_lost(config, tmp_path):
    with pytest.raises(OSError), RunFolder(config, None) as folder:
        folder.pin(config, "log 1")
        (folder.path / JOURNAL).write_text("search")
        raise OSError
    other = pytest.raises(UsageError, match="other settings or other events")
    with other, RunFolder(config, folder.path) as again:
        again.pin(config, "log 2")
    assert (folder.path / JOURNAL).exists()


@pytest.mark.parametrize("given", ["nowhere", "whole", "precious.partial"])
def test_only_an_interrupted_run_can_be_resumed(config, tmp_path, given):
    (tmp_path / "whole").mkdir()
    (tmp_path / "precious.partial").mkdir()
    with pytest.raises(UsageError, match=r"--resume: expected .*\.partial"):
        RunFolder(config, tmp_path / given)


def test_json_is_written_for_people(tmp_path):
    write_json(tmp_path / "x.json", {"name": "Zoë", "values": [1.5, None]})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "Zoë" in text
    assert json.loads(text) == {"name": "Zoë", "values": [1.5, None]}


def test_a_run_tells_its_answer(trained):
    run, _ = trained
    answer = json.loads(json.dumps(run.to_json()))
    assert set(answer) == {
        "target", "bundle", "run_id", "cutoffs", "n_train", "n_test", "verdict", "scorecard",
    }  # fmt: skip
    assert answer["verdict"]["status"] == run.verdict.status
    assert answer["bundle"] == str(run.bundle)
    assert run.verdict.status in run._repr_html_()
