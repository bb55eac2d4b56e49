"""Rule 3: leaks planted on purpose are caught by the checks that guard against real ones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ppi_ml import dataset
from ppi_ml.declare import Expression, Family
from ppi_ml.future import Future
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past

ROOT = Path(__file__).parents[2]
DAY = "2019-07-01"
LAW = "what scores never reaches what comes after the cutoff"


def looked_up(counts):
    """A family whose one column is looked up by customer, past the back of the snapshot."""
    mapping = dict(counts.rows())
    peek = Expression(
        "peek", "events", "never null", "purchases",
        lambda: pl.col("customer_id").replace_strict(mapping, default=0.0),
    )  # fmt: skip
    return Family("planted", "customer", ("order_lines",), features=(), expressions=(peek,))


def by_occurrence_only(log, cutoff):
    """Counts what occurred before the cutoff, whenever it became known."""
    at = Cutoff.parse(cutoff, log.timezone).at
    lines = log.tables["order_lines"].frame.filter(pl.col("at") < at)
    return [looked_up(lines.group_by("customer_id").agg(pl.len().cast(pl.Float64)))]


def with_the_future(log, cutoff):
    """Reads the days to the next purchase."""
    instant = Cutoff.parse(cutoff, log.timezone)
    return [looked_up(Future(log, instant, log.observed_until).next_purchase())]


@pytest.mark.parametrize("planted", [by_occurrence_only, with_the_future])
def test_a_leaking_family_is_found(found_by_poison, found_by_truncation, planted):
    assert found_by_poison(planted, DAY) == ["planted__peek"]
    assert found_by_truncation(planted, DAY) == ["planted__peek"]


def test_a_past_that_sorts_by_occurrence_alone_is_found(
    found_by_poison, found_by_truncation, monkeypatch
):
    def events(past, table):
        frame = past.log.tables[table].frame.filter(pl.col("at") < past.cutoff.at)
        return frame.with_columns(age_us=past.cutoff.wall - pl.col("wall"))

    monkeypatch.setattr(Past, "events", events)
    for check in (found_by_poison, found_by_truncation):
        found = check(lambda _log, _cutoff: dataset.families(), DAY)
        assert {"orders__purchases__count__90d", "returns__requests__count__90d",
                "state of returns", "state of gaps"} <= set(found)  # fmt: skip


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package with its import rules, to plant files in."""
    folder = tmp_path_factory.mktemp("copy")
    left_out = shutil.ignore_patterns("__pycache__", "*.parquet")
    shutil.copytree(ROOT / "src" / "ppi_ml", folder / "src" / "ppi_ml", ignore=left_out)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def import_rules(folder):
    """Whether the law on the future holds in a copy, and what the linter printed."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--contract", "no-future"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert LAW in done.stdout, done.stdout + done.stderr
    return done.returncode == 0, done.stdout


def test_the_law_holds_in_a_copy_without_a_leak(package):
    holds, printed = import_rules(package)
    assert holds, printed


@pytest.mark.parametrize(
    ("source", "chain"),
    [
        ("from ppi_ml.labels import durations", "ppi_ml.features.leak -> ppi_ml.labels"),
        ("def rows():\n    from ppi_ml import future\n    return future",
         "ppi_ml.features.leak -> ppi_ml.future"),
        ("from ppi_ml.problem import Problem", "ppi_ml.problem -> ppi_ml.labels"),
    ],
    ids=["at the top", "inside a function", "through another module"],
)  # fmt: skip
def test_a_family_that_imports_its_way_to_the_future_is_found(package, source, chain):
    leak = package / "src" / "ppi_ml" / "features" / "leak.py"
    leak.write_text(f'"""A leak."""\n{source}\n')
    try:
        holds, printed = import_rules(package)
    finally:
        leak.unlink()
    assert not holds
    assert chain in printed


SCORING = """
import sys
from ppi_ml.scoring import Scorer
order = {{"customer_id": "c", "order_id": "o", "line_id": "1", "occurred_at": "2019-11-01T10:00:00",
         "sku": "s1", "quantity": 1, "unit_price": 5.0}}
said = Scorer.load({bundle!r}).one({{"order_lines": [order]}}, "2020-01-01")
assert said.status == "scored"
{more}
print(*sorted(m for m in sys.modules if m.startswith(
    ("ppi_ml.future", "ppi_ml.labels", "ppi_ml.targets", "mlflow", "optuna"))))
"""


def loaded_by_scoring(bundle, more=""):
    """Forbidden modules that a fresh process holds after it has scored a customer."""
    code = SCORING.format(bundle=str(bundle), more=more)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_a_process_that_scores_never_loads_the_future(trained):
    assert loaded_by_scoring(trained[0].bundle) == []


def test_an_import_hidden_from_the_linter_is_seen_at_run_time(trained):
    hidden = "import importlib; importlib.import_module('ppi_ml.' + 'labels')"
    assert loaded_by_scoring(trained[0].bundle, hidden) == ["ppi_ml.future", "ppi_ml.labels"]
