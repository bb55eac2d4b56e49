"""The words agree with the code: references, links, commands, configs and examples."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ppi_ml import cli, dataset, inputs, schema, settings
from ppi_ml.config import Config
from ppi_ml.instants import Cutoff
from ppi_ml.shelf import load_plugins, names
from ppi_ml.simulate import simulate_shop

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EVENTS = ROOT / "docs" / "events.md"
REFERENCE = ROOT / "docs" / "reference.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(path, language):
    """The fenced blocks of a page that say they are of this language."""
    return [text for kind, text in BLOCK.findall(path.read_text()) if kind == language]


def anchors(path):
    """What the headings of a page are called in links."""
    heads = re.findall(r"^#+ (.+)$", BLOCK.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(path):
    """Links of a page to files or headings that do not exist."""
    broken = []
    for link in LINK.findall(BLOCK.sub("", path.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def test_the_reference_is_current():
    build = runpy.run_path(str(ROOT / "tools" / "build_reference.py"))["build"]
    assert REFERENCE.read_text() == build(), "run: python tools/build_reference.py"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_relative_link_leads_somewhere(path):
    assert broken_links(path) == []


def test_this_test_can_see_a_broken_link(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One head\n[a](#one-head) [b](page.md) [c](none.md) [d](page.md#no) [e](#x)\n"
    )
    assert broken_links(page) == ["none.md", "page.md#no", "#x"]


def known_options():
    """Command -> its options, from the reference."""
    parts = re.split(r"^### `ppi-ml (\w+).*$", REFERENCE.read_text(), flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: set(re.findall(r"`(--[\w-]+)", text)) for name, text in pairs}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_that_is_shown_exists(path):
    options = known_options()
    assert set(options) == set(names("ppi_ml.commands"))
    plain = "".join(blocks(path, "")).replace("\\\n", "")
    for line in re.findall(r"^ppi-ml .*$", plain, re.MULTILINE):
        command = line.split()[1]
        assert command in options, line
        assert set(re.findall(r"--[\w-]+", line)) <= options[command], line


def test_every_make_target_that_is_shown_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {name for path in PAGES for name in re.findall(r"`make (\w+)`", path.read_text())}
    shown |= set(re.findall(r"^make (\w+)", "".join(blocks(README, "")), re.MULTILINE))
    assert {"demo", "test"} <= shown <= targets


def test_the_own_data_of_the_readme_can_be_read(tmp_path, monkeypatch):
    (config,) = blocks(README, "yaml")
    lines = next(text for text in blocks(README, "") if text.startswith("Order,"))
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "orders-2009.csv").write_text(lines)
    (exports / "returns.csv").write_text("id,Client,requested\n1,13085,2009-12-05 10:00:00\n")
    monkeypatch.chdir(tmp_path)
    log = inputs.load_log(Config.read(settings.parse(config), environ={}).data)
    assert {name: table.frame.height for name, table in log.tables.items()} == {
        "order_lines": 1,
        "returns": 1,
    }


def test_the_family_of_the_architecture_page_is_one(tmp_path):
    (source,) = (text for text in blocks(ROOT / "docs" / "architecture.md", "python"))
    path = tmp_path / "weekends.py"
    path.write_text(source)
    saturday, monday = "2021-05-01 10:00", "2021-05-03 10:00"
    lines = pl.DataFrame(
        {
            "order_id": ["1", "2", "3"],
            "line_id": "1",
            "customer_id": "a",
            "occurred_at": ["2021-01-04 10:00", saturday, monday],
        }
    )
    chosen = dataset.families(["weekends"], plugins=load_plugins([path]))
    built = dataset.build(inputs.load(lines), [Cutoff.parse("2021-05-10", "UTC")], chosen)
    assert built.names == ("weekends__purchases__count__90d", "weekends__purchases__count__365d")
    assert built.values.tolist() == [[1.0, 1.0]]


def test_the_text_model_of_the_events_page_reads_in_place_of_the_built_in_one(tmp_path):
    (source,) = (text for text in blocks(EVENTS, "python") if "texts_read_by" in text)
    (asked,) = (text for text in blocks(EVENTS, "yaml") if "my_reviews.py" in text)
    path = tmp_path / "my_reviews.py"
    path.write_text(source)
    config = settings.parse(asked)
    assert config["plugins"] == [path.name]
    plugins = load_plugins([path])
    every = {family.name for family in dataset.families("all", plugins=plugins)}
    assert set(config["features"]["families"]) == every - {"reviews"}
    chosen = dataset.families(config["features"]["families"], plugins=plugins)
    days = [f"2021-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 29)]
    tables = {
        "order_lines": [
            {"order_id": str(i), "line_id": "1", "customer_id": f"c{i:02}", "occurred_at": day}
            for i, day in enumerate(days)
        ],
        "reviews": [
            {"review_id": str(i), "customer_id": f"c{i:02}", "occurred_at": day,
             "text": ("Lovely, thanks", "Came LATE", "Hm")[i % 3], "rating": (5, 1, 4)[i % 3]}
            for i, day in enumerate(days)
        ],
    }  # fmt: skip
    log = inputs.load({name: pl.DataFrame(rows) for name, rows in tables.items()})
    built = dataset.build(log, [Cutoff.parse("2021-04-01", "UTC")], chosen)
    assert not any(name.startswith("reviews__") for name in built.names)
    lovely, late, other = np.nanmean(
        built.column("my_reviews__text_low__mean").reshape(-1, 3), axis=0
    )
    assert 0.05 < lovely < other < 0.5 < late < 0.95


def test_the_table_of_the_events_page_is_one_with_its_family(tmp_path, monkeypatch):
    (source,) = (text for text in blocks(EVENTS, "python") if "TABLE = Table" in text)
    (asked,) = (text for text in blocks(EVENTS, "yaml") if "warranty_claims.py" in text)
    path = tmp_path / settings.parse(asked)["plugins"][0]
    path.write_text(source)
    monkeypatch.setattr(inputs, "load_demo", lambda: simulate_shop(150, days=400, seed=3))
    told = CliRunner().invoke(cli.app(), ["features", "--check", str(path)])
    schema._TABLES.pop("warranty_claims")  # as it was, for other tests
    assert told.exit_code == 0
    assert "rows of warranty_claims are made up: the data lack them" in told.stderr
    assert told.stdout.count("ok  ") == 10


@pytest.mark.slow
def test_the_python_example_of_the_readme_runs_as_it_is(tmp_path):
    (example,) = blocks(README, "python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "customer_id" in done.stdout
    assert (tmp_path / "mlruns" / "runs" / "latest" / "scorecard.md").exists()
