"""A model and its files: what goes in comes out, and parts that do not fit are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ppi_ml import bundle as bundles
from ppi_ml import packing
from ppi_ml.errors import IntegrityError
from ppi_ml.models import hazard


@pytest.fixture(scope="module")
def model(trained):
    return packing.unpack(bundles.load(trained[0].bundle), 1)


def again(model, config, folder):
    """The model after it went through the files of a bundle."""
    return packing.unpack(bundles.save(folder, packing.pack(model, config), {}), 1)


@pytest.mark.parametrize("stages", hazard.STAGES)
def test_a_model_goes_through_its_files_unchanged(model, trained, tmp_path, stages):
    cut = replace(model, hazard=hazard.with_stages(model.hazard, stages, "gaps"))
    back = again(cut, trained[0].config, tmp_path / "bundle")
    for name in ("dated", "families", "windows", "columns", "tables", "horizon", "active_within"):
        assert getattr(back, name) == getattr(model, name), name
    assert back.process_state == model.process_state
    assert back.family_states == model.family_states
    assert (back.hazard.glm is None) == (stages == hazard.STAGES[0])
    assert (back.hazard.trees is None) == (stages != hazard.STAGES[2])
    assert (back.hazard.settings.stages, back.hazard.settings.alone) == (stages, "gaps")
    assert packing.edges_of(back).tolist() == packing.edges_of(model).tolist()
    if back.hazard.glm:
        columns = np.random.default_rng(0).normal(size=(5, len(back.hazard.glm.names)))
        expected = model.hazard.glm.log_hazard(columns)
        assert back.hazard.glm.log_hazard(columns).tolist() == expected.tolist()
    if back.hazard.trees:
        assert back.hazard.trees.text == model.hazard.trees.text


def test_the_bundle_holds_the_files_that_were_agreed(trained):
    assert {path.name for path in trained[0].bundle.iterdir()} == {
        "manifest.json", "model.txt", "state.json", "glm.json", "calibration.json",
        "vocabulary.json", "features.json", "target.json", "config.yaml", "selftest.json",
        "scorecard.json",
    }  # fmt: skip


def test_no_file_names_a_customer(trained):
    run, log = trained
    told = [path.read_text(encoding="utf-8") for path in run.bundle.iterdir()]
    ids = [f'"{customer}"' for customer in log.customers]
    assert not [customer for customer in ids if any(customer in text for text in told)]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("state.json", lambda state: state.pop("processes")),
        ("target.json", lambda target: target.pop("curve")),
        ("features.json", lambda features: features["tree_columns"].reverse()),
        ("target.json", lambda target: target.update(horizon_days="soon")),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(model, trained, tmp_path, name, change):
    files = packing.pack(model, trained[0].config)
    part = json.loads(json.dumps(files[name]))
    change(part)
    with pytest.raises(IntegrityError):
        packing.unpack(bundles.save(tmp_path / "b", {**files, name: part}, {}), 1)


def test_the_tables_of_a_log_are_described(trained):
    tables = packing.tables_of(trained[1])
    assert set(tables) == {"order_lines", "returns"}
    assert tables["order_lines"] == {"observed_from": "2018-01-01", "granularity": "instant"}
