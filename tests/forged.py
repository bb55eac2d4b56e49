"""Bundles that somebody changed and sealed again: what no hash can show."""

import json

from ppi_ml import bundle as bundles
from ppi_ml.errors import IntegrityError
from ppi_ml.scoring import Scorer


def copy_of(bundle, folder, change, **manifest):
    """A bundle with other files but right hashes: what a hash cannot show."""
    loaded = bundles.load(bundle)
    names = loaded.manifest["files"]
    files = {name: loaded.text(name) for name in names}
    given = {k: v for k, v in loaded.manifest.items() if k not in ("files", "format")}
    change(files)
    bundles.save(folder, files, given | manifest)
    return folder


def changed(bundle, folder, name, change):
    """A bundle of which one JSON file was changed."""

    def rewrite(files):
        value = json.loads(files[name])
        change(value)
        files[name] = json.dumps(value)

    return copy_of(bundle, folder, rewrite)


def refused_without(bundle, folder):
    """The places in the state of a bundle without which it is refused, as names with points.

    Of families whose tables are not there nothing is read. Any error but the one that names the
    part is a failure.
    """
    state = bundles.load(bundle).json("state.json")
    parts = {"families": state["families"]}
    parts |= {"processes": state["processes"]} if "processes" in state else {}
    found = set()
    for number, place in enumerate(_places(parts)):
        name = ".".join(map(str, place))
        copy = folder / str(number)
        less = changed(bundle, copy, "state.json", lambda state, at=place: _drop(state, at))
        try:
            Scorer.load(less)
        except IntegrityError as error:
            assert f"state.json: {name} is missing" in str(error)
            assert "train again" in str(error)
            found.add(name)
    return found


def _drop(value, place):
    for name in place[:-1]:
        value = value[name]
    del value[place[-1]]


def _places(value, place=()):
    """The places of all parts of a JSON value that have a name, but for names of products."""
    if isinstance(value, dict) and place[-1:] not in (("lapse_of_groups",), ("lapse_of_products",)):
        for name, part in value.items():
            yield (*place, name)
            yield from _places(part, (*place, name))
    if isinstance(value, list):
        for number, part in enumerate(value):
            yield from _places(part, (*place, number))
