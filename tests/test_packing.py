"""A model and its files: what goes in comes out, and parts that do not fit are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.materials import material_of, plan_of, recipe_of

from ppi_ml import bundle as bundles
from ppi_ml import packing, recipe
from ppi_ml.errors import IntegrityError
from ppi_ml.models import hazard
from ppi_ml.models.boost import Trees
from ppi_ml.models.covariates import standing_names
from ppi_ml.recipe import HEDGED

WITH_TREES = "process+glm+trees"


@pytest.fixture(scope="module")
def model(trained):
    """The model of a bundle, with all that a mixture can hold in place of its own curve."""
    material, plan = material_of(trained[1]), plan_of(trained[1])
    curve = recipe.fit(replace(material, threads=1), plan.final, recipe_of(members=HEDGED))
    assert curve.staged.trees and curve.cox.trees and curve.settings.season
    assert set(curve.windows) == {"newest", "recent"}
    loaded = packing.unpack(bundles.load(trained[0].bundle), 1)
    seasonal = hazard.with_stages(replace(curve.staged, trees=None), hazard.STAGES[1])
    return replace(loaded, curve=replace(curve, processes=2, seasonal=seasonal))


@pytest.fixture(scope="module")
def curves(trained, model):
    """curves(model) -> cumulative hazards of all customers at the training end."""
    material, end = material_of(trained[1]), plan_of(trained[1]).final.end
    data = material.data.at([end])

    def of(any_model):
        return recipe.curves(any_model.curve, data, any_model.processes, end).cumulative

    return of


def again(model, config, folder):
    """The model after it went through the files of a bundle."""
    return packing.unpack(bundles.save(folder, packing.pack(model, config), {}), 1)


def mixture(model, members, stages=WITH_TREES, trees=True):
    """The curve cut down to some members beside `staged`, and to some of its stages."""
    full = model.curve
    staged = hazard.with_stages(full.staged, stages, "gaps" if stages == "process" else None)
    cox = full.cox if trees else replace(full.cox, trees=None)
    return replace(
        full,
        staged=staged,
        cox=cox if "cox" in members else None,
        newest=full.newest if "newest" in members else None,
        recent=full.recent if "recent" in members else None,
        processes=2 * ("processes" in members),
        seasonal=full.seasonal if "seasonal" in members else None,
    )


@pytest.mark.parametrize("trees", [True, False], ids=["trees", "no trees"])
@pytest.mark.parametrize("stages", hazard.STAGES)
@pytest.mark.parametrize(
    "members",
    [
        (),
        ("cox",),
        ("newest",),
        ("cox", "newest"),
        ("recent",),
        ("cox", "newest", "recent", "processes"),
        ("processes", "seasonal"),
        ("processes",),
    ],
    ids="+".join,
)
def test_every_mixture_goes_through_its_files_unchanged(
    model, curves, trained, tmp_path, members, stages, trees
):
    packed = replace(model, curve=mixture(model, members, stages, trees))
    back = again(packed, trained[0].config, tmp_path / "bundle")
    assert back.curve.weights == packed.curve.weights
    seen = {name: window.seen for name, window in packed.curve.windows.items()}
    assert {name: window.seen for name, window in back.curve.windows.items()} == seen
    one, other = curves(packed), curves(back)
    assert np.isfinite(one).all()
    assert other == pytest.approx(one, rel=1e-12, abs=1e-12)
    for name in ("edges", "stages", "alone", "season", "whole_days", "processes", "tree_names"):
        assert getattr(back.curve.settings, name) == getattr(packed.curve.settings, name), name


@pytest.mark.parametrize("stages", hazard.STAGES)
def test_a_model_goes_through_its_files_unchanged(model, trained, tmp_path, stages):
    cut = replace(model, curve=mixture(model, (), stages))
    back = again(cut, trained[0].config, tmp_path / "bundle")
    for name in ("dated", "families", "windows", "columns", "tables", "horizon", "active_within"):
        assert getattr(back, name) == getattr(model, name), name
    assert back.process_state == model.process_state
    assert back.family_states == model.family_states
    staged, whole = back.curve.staged, model.curve.staged
    assert (staged.glm is None) == (stages == hazard.STAGES[0])
    assert (staged.trees is None) == (stages != hazard.STAGES[2])
    alone = "gaps" if stages == hazard.STAGES[0] else None
    assert (staged.settings.stages, staged.settings.alone) == (stages, alone)
    assert packing.edges_of(back).tolist() == packing.edges_of(model).tolist()
    if staged.glm:
        columns = np.random.default_rng(0).normal(size=(5, len(staged.glm.names)))
        expected = whole.glm.log_hazard(columns)
        assert staged.glm.log_hazard(columns).tolist() == expected.tolist()
    if staged.trees:
        assert staged.trees.text == whole.trees.text


def test_the_bundle_holds_the_files_that_were_agreed(trained):
    assert {path.name for path in trained[0].bundle.iterdir()} == {
        "manifest.json", "model.txt", "cox.txt", "state.json", "glm.json", "calibration.json",
        "vocabulary.json", "features.json", "target.json", "config.yaml", "selftest.json",
        "scorecard.json", "explain.json",
    }  # fmt: skip


def test_no_file_names_a_customer(trained):
    run, log = trained
    told = [path.read_text(encoding="utf-8") for path in run.bundle.iterdir()]
    ids = [f'"{customer}"' for customer in log.customer_ids]
    assert not [customer for customer in ids if any(customer in text for text in told)]


def test_members_that_are_not_there_leave_no_files_behind(model, trained):
    files = packing.pack(replace(model, curve=mixture(model, (), "process")), trained[0].config)
    assert (files["model.txt"], files["cox.txt"]) == ("", "")
    assert files["glm.json"] == {"staged": None, "seasonal": None, "cox": None}
    assert files["target.json"]["curve"]["members"] == {"staged": 1.0}


def test_the_weights_of_the_members_can_be_read_in_the_bundle(model, trained):
    curve = packing.pack(model, trained[0].config)["target.json"]["curve"]
    every = ("staged", "cox", "newest", "recent", "processes", "seasonal")
    assert curve["members"] == {**dict.fromkeys(every, 1 / 7), "processes": 2 / 7}


@pytest.mark.parametrize("name", ["cox.txt", "model.txt"])
def test_damaged_trees_are_refused_before_they_are_read(
    model, trained, tmp_path, name, monkeypatch
):
    """LightGBM's parser may kill the process on what is not a model: hashes come first."""
    place = tmp_path / "bundle"
    again(model, trained[0].config, place)
    read = []
    monkeypatch.setattr(Trees, "read", lambda *_: read.append(1))
    text = (place / name).read_text()
    for damaged in (text[: len(text) // 2], text.replace("num_leaves=", "num_leaves=9", 1), ""):
        (place / name).write_text(damaged)
        with pytest.raises(IntegrityError, match=name):
            packing.unpack(bundles.load(place), 1)
    assert not read


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("state.json", lambda state: state.pop("processes")),
        ("target.json", lambda target: target.pop("curve")),
        ("features.json", lambda features: features["tree_columns"].reverse()),
        ("target.json", lambda target: target.update(horizon_days="soon")),
        ("target.json", lambda target: target["curve"].pop("windows")),
        ("glm.json", lambda glm: glm.pop("cox")),
        ("glm.json", lambda glm: glm["cox"].pop("baseline")),
        ("glm.json", lambda glm: glm["newest"].pop("names")),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(model, trained, tmp_path, name, change):
    files = packing.pack(model, trained[0].config)
    part = json.loads(json.dumps(files[name]))
    change(part)
    with pytest.raises(IntegrityError):
        packing.unpack(bundles.save(tmp_path / "b", {**files, name: part}, {}), 1)


def test_trees_of_one_member_are_not_those_of_another(model, trained, tmp_path):
    files = packing.pack(model, trained[0].config)
    assert model.curve.cox.trees.names == standing_names(model.curve.settings)
    swapped = {"model.txt": files["cox.txt"], "cox.txt": files["model.txt"]}
    for name, text in swapped.items():
        with pytest.raises(IntegrityError, match="different inputs"):
            packing.unpack(bundles.save(tmp_path / "b", {**files, name: text}, {}), 1)


def test_the_tables_of_a_log_are_described(trained):
    tables = packing.tables_of(trained[1])
    assert set(tables) == {"order_lines", "returns"}
    told = dict(tables["order_lines"])
    assert told.pop("filled").keys() == {
        "order_id", "line_id", "sku", "quantity", "unit_price", "order_type"
    }  # fmt: skip
    assert told == {"observed_from": "2018-01-01", "granularity": "instant"}
