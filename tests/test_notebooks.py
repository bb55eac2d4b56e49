"""Every notebook is stored without outputs and runs from a clean kernel."""

import inspect
import json
from pathlib import Path

import pytest

from ppi_ml import plots

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SECONDS = 300


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(path):
    left = [cell["source"] for cell in code_cells(path) if cell["outputs"]]
    counted = [cell["source"] for cell in code_cells(path) if cell["execution_count"]]
    assert (left, counted) == ([], [])


def test_every_figure_is_shown_in_one():
    shown = "".join("".join(cell["source"]) for path in NOTEBOOKS for cell in code_cells(path))
    figures = [name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))]
    assert len(figures) == 4
    drawn = {name: f"plots.{name}(" for name in figures} | {"customer_curves": "curves.plot("}
    assert [name for name, call in drawn.items() if call not in shown] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_a_clean_kernel(path, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert shown
    assert not list(folder.iterdir()), "a notebook writes into mlruns/, not beside itself"
