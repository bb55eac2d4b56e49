"""Who may know whom, and what an import may cost."""

import subprocess
import sys
from pathlib import Path

import pytest

from ppi_ml.shelf import names

ROOT = Path(__file__).parents[2]
HEAVY = ("mlflow", "lightgbm", "sklearn", "optuna", "polars", "pandas", "numpy", "scipy", "pyarrow")
LIGHT = ("", ".errors", ".instants", ".schema", ".settings", ".config", ".declare", ".shelf",
         ".bundle", ".progress", ".inputs", ".tracking", ".cli")  # fmt: skip


def loaded_after(statement):
    """The heavy libraries that a fresh process has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_the_layers_and_laws_hold():
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_light_modules_load_nothing_heavy():
    commands = [f".commands.{name}" for name in names("ppi_ml.commands")]
    modules = [f"ppi_ml{name}" for name in (*LIGHT, *commands)]
    assert loaded_after(f"import {', '.join(modules)}") == []


def test_help_loads_nothing_heavy():
    statement = """
from ppi_ml.cli import app
try:
    app()(["--help"])
except SystemExit as ended:
    assert not ended.code
"""
    assert loaded_after(statement) == []


@pytest.mark.parametrize("statement", ["import pandas", "import ppi_ml.events"])
def test_this_test_can_see_a_heavy_library(statement):
    assert loaded_after(statement)
