"""Discovery: by lying there, on demand, with help for wrong names."""

import hashlib
import sys

import pytest

from ppi_ml.errors import ConfigError
from ppi_ml.shelf import load_plugins, names, shelf


@pytest.fixture
def fruit(tmp_path, monkeypatch):
    """A shelf with two things and a kit; `pear` must not be imported unless it is asked for."""
    folder = tmp_path / "fruit_shelf"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "_kit.py").write_text("raise AssertionError('a kit is no thing')")
    (folder / "apple.py").write_text("FRUIT = 'green'")
    (folder / "pear.py").write_text("raise AssertionError('nobody asked for it')")
    monkeypatch.syspath_prepend(tmp_path)
    yield "fruit_shelf"
    for name in [name for name in sys.modules if name.startswith("fruit_shelf")]:
        del sys.modules[name]


def plugin(tmp_path, name, text):
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    return path


def test_names_are_known_without_an_import(fruit):
    assert names(fruit) == ("apple", "pear")
    assert "fruit_shelf.apple" not in sys.modules


def test_only_what_is_asked_for_is_imported(fruit):
    found = shelf(fruit, "FRUIT")
    assert (list(found), len(found), "pear" in found) == (["apple", "pear"], 2, True)
    assert found["apple"] == "green"
    assert "fruit_shelf.pear" not in sys.modules


def test_an_unknown_name_is_answered_with_the_names_there_are(fruit):
    with pytest.raises(ConfigError) as raised:
        shelf(fruit, "FRUIT")["aple"]
    expected = 'fruit_shelf: no "aple". Did you mean apple? Available: apple, pear'
    assert str(raised.value) == expected


def test_a_users_own_file_joins_and_is_recorded(fruit, tmp_path):
    path = plugin(tmp_path, "plum", "FRUIT = 'blue'")
    plugins = load_plugins([path])
    found = shelf(fruit, "FRUIT", plugins)
    assert found["plum"] == "blue"
    assert list(found) == ["apple", "pear", "plum"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert plugins[0].record() == {"name": "plum", "sha256": digest}


def test_a_file_of_another_shelf_stays_away(fruit, tmp_path):
    plugins = load_plugins([plugin(tmp_path, "carrot", "VEGETABLE = 'orange'")])
    assert "carrot" not in shelf(fruit, "FRUIT", plugins)


@pytest.mark.parametrize("asked", ["ripe", "plum3"])
def test_a_thing_that_is_not_named_after_its_file_is_refused_whatever_is_asked(
    fruit, tmp_path, asked
):
    text = "from types import SimpleNamespace\nFRUIT = SimpleNamespace(name='ripe')"
    plugins = load_plugins([plugin(tmp_path, "plum3", text)])
    with pytest.raises(ConfigError) as raised:
        shelf(fruit, "FRUIT", plugins)[asked]
    assert str(raised.value) == (
        'plugins: plum3.py: its FRUIT has name="ripe", and a thing is named after its file. Rename '
        'the file to ripe.py, or write name="plum3" in it, and use that name in the config'
    )


@pytest.mark.parametrize(
    ("package", "attribute"),
    [("features", "FAMILY"), ("targets", "TARGET"), ("baselines", "BASELINE"),
     ("sources", "SOURCE"), ("commands", "COMMAND")],
)  # fmt: skip
def test_whatever_ships_is_named_after_its_file(package, attribute):
    found = shelf(f"ppi_ml.{package}", attribute)
    assert [thing.name for thing in found.values()] == list(found)


def test_a_plugin_may_hold_a_dataclass(fruit, tmp_path):
    text = """
from __future__ import annotations
from dataclasses import dataclass
@dataclass(frozen=True)
class Plum:
    colour: str = "blue"
FRUIT = Plum()
"""
    assert load_plugins([plugin(tmp_path, "plum2", text)])[0].module.FRUIT.colour == "blue"


def test_a_name_can_be_taken_only_once(fruit, tmp_path):
    taken = load_plugins([plugin(tmp_path, "apple", "FRUIT = 'red'")])
    with pytest.raises(ConfigError, match="already has one called apple"):
        shelf(fruit, "FRUIT", taken)
    (tmp_path / "other").mkdir()
    twice = [plugin(tmp_path, "kiwi", ""), plugin(tmp_path / "other", "kiwi", "")]
    with pytest.raises(ConfigError, match="called kiwi already"):
        load_plugins(twice)


@pytest.mark.parametrize("text", ["1 / 0", "def (", "import no_such_module_anywhere"])
def test_a_plugin_that_fails_is_named(tmp_path, text):
    path = plugin(tmp_path, "broken", text)
    with pytest.raises(ConfigError, match=r"broken\.py"):
        load_plugins([path])
    assert "ppi_ml_plugin_broken" not in sys.modules


def test_a_missing_plugin_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.py: cannot be read"):
        load_plugins([tmp_path / "none.py"])
