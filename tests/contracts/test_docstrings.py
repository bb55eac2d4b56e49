"""Everything public is explained, and no explanation names an argument that is not there."""

import importlib
import inspect
import pkgutil
import re

import pytest

import ppi_ml

MODULES = [
    module.name
    for module in pkgutil.walk_packages(ppi_ml.__path__, "ppi_ml.")
    if not any(part.startswith("_") for part in module.name.split("."))
]
ARGS = re.compile(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)
NAME = re.compile(r"^ {4}(\*{0,2}\w+)(?: \([^)]*\))?:", re.MULTILINE)


def public_things(module):
    """(name, function or class) of what a module defines itself, methods included."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            yield name, thing
            for inner, member in vars(thing).items():
                plain = getattr(member, "__func__", getattr(member, "fget", member))
                if not inner.startswith("_") and inspect.isfunction(plain):
                    yield f"{name}.{inner}", plain
        elif inspect.isfunction(thing):
            yield name, thing


def wrong_names(thing):
    """Documented argument names that the signature does not have."""
    section = ARGS.search(inspect.getdoc(thing) or "")
    documented = NAME.findall(section.group(1)) if section else []
    return [
        name for name in documented if name.lstrip("*") not in inspect.signature(thing).parameters
    ]


@pytest.mark.parametrize("name", ["ppi_ml", *MODULES])
def test_everything_public_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    silent = [what for what, thing in public_things(module) if not thing.__doc__]
    assert silent == []


@pytest.mark.parametrize("name", MODULES)
def test_documented_arguments_are_those_of_the_signature(name):
    things = public_things(importlib.import_module(name))
    wrong = {what: wrong_names(thing) for what, thing in things}
    assert {what: found for what, found in wrong.items() if found} == {}


def test_these_tests_can_see_a_wrong_name():
    def drifted(y_true):
        """Do something.

        Args:
            y_true: fine.
            y_pred (array): gone.
        """

    assert wrong_names(drifted) == ["y_pred"]
