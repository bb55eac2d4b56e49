"""Discovery: a shelf is a folder of modules in which one file is one thing.

A file joins its shelf by lying there; its name is the name of the thing. Files that start with an
underscore are the shelf's kit. A user's own files join through `plugins:` in the config.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ppi_ml import own_tables
from ppi_ml.errors import ConfigError, IntegrityError


@dataclass(frozen=True)
class Plugin:
    """A user's own file: its name (without .py), the sha256 of its source, and its module."""

    name: str
    sha256: str
    module: ModuleType

    def record(self) -> dict[str, str]:
        """What a bundle notes of it."""
        return {"name": self.name, "sha256": self.sha256}


class Shelf(Mapping[str, object]):
    """The things of one shelf by name; a module is imported when its name is asked for."""

    def __init__(self, package: str, attribute: str, plugins: Iterable[Plugin] = ()) -> None:
        self._package = package
        self._attribute = attribute
        self._names = names(package)
        self._own = {p.name: p for p in plugins if hasattr(p.module, attribute)}
        for name in self._own.keys() & set(self._names):
            raise ConfigError(
                f"plugins: {name}.py: {self._title} already has one called {name}; rename it"
            )
        for name, plugin in self._own.items():
            _check_name(name, attribute, getattr(plugin.module, attribute))

    @property
    def _title(self) -> str:
        return self._package.rsplit(".", 1)[-1]

    def __getitem__(self, name: str) -> object:
        """The thing called `name`; `ConfigError` with the names there are if there is none."""
        if name in self._own:
            return getattr(self._own[name].module, self._attribute)
        if name in self._names:
            return getattr(importlib.import_module(f"{self._package}.{name}"), self._attribute)
        near = difflib.get_close_matches(name, list(self), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(f'{self._title}: no "{name}".{hint} Available: {", ".join(self)}')

    def __contains__(self, name: object) -> bool:
        return name in self._names or name in self._own

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._names, *self._own}))

    def __len__(self) -> int:
        return len({*self._names, *self._own})


def _check_name(file: str, attribute: str, thing: object) -> None:
    """`ConfigError` if a thing has another name than its file, by which alone it is found."""
    called = getattr(thing, "name", file)
    if called != file:
        raise ConfigError(
            f'plugins: {file}.py: its {attribute} has name="{called}", and a thing is named after '
            f'its file. Rename the file to {called}.py, or write name="{file}" in it, and use that '
            "name in the config"
        )


def shelf(package: str, attribute: str, plugins: Iterable[Plugin] = ()) -> Shelf:
    """The things on a shelf by name, such as `shelf("ppi_ml.features", "FAMILY")["orders"]`.

    Args:
        package: full name of the package that is the shelf.
        attribute: the variable in which each of its modules holds its thing.
        plugins: a user's own files; those without such a variable belong to other shelves.

    Raises:
        ConfigError: a file of the user's takes a name that is taken, or holds a thing of another.
    """
    return Shelf(package, attribute, plugins)


def names(package: str) -> tuple[str, ...]:
    """The names on a shelf in alphabetical order; none of its modules is imported."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load_plugins(
    paths: str | Path | Iterable[str | Path], hashes: Mapping[str, str] | None = None
) -> tuple[Plugin, ...]:
    """Run the user's own files; the hash is that of the very bytes that ran.

    A `TABLE` that one holds is a table of every log from then on.

    Args:
        paths: the files, or one of them.
        hashes: name -> sha256 that a bundle notes; a file of another hash is not run.

    Raises:
        ConfigError: a file is missing, is given twice under one name, fails when it runs, or
            declares a table that cannot be one.
        IntegrityError: a file is not the one that the hashes speak of.
    """
    plugins: dict[str, Plugin] = {}
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        if path.stem in plugins:
            raise ConfigError(f"plugins: {path}: there is a plug-in called {path.stem} already")
        plugins[path.stem] = _run(path, hashes)
    for name, plugin in plugins.items():
        if hasattr(plugin.module, "TABLE"):
            own_tables.declare(name, plugin.module.TABLE)
    return tuple(plugins.values())


def _run(path: Path, hashes: Mapping[str, str] | None) -> Plugin:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"plugins: {path}: cannot be read: {error.strerror}") from error
    sha256 = hashlib.sha256(source).hexdigest()
    if hashes is not None and hashes.get(path.stem) != sha256:
        raise IntegrityError(
            f"plugins: {path}: not the file that this bundle was trained with, so it was not run"
        )
    module = ModuleType(f"ppi_ml_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise ConfigError(f"plugins: {path}: {type(error).__name__}: {error}") from error
    return Plugin(path.stem, sha256, module)
