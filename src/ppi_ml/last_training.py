"""The load report of an earlier training, and what its model reads: what drifts from what.

A report is compared with that of the newest training on the same data, or with one that is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ppi_ml import bundle as bundles
from ppi_ml import reads, settings
from ppi_ml.config import Config, DataSettings
from ppi_ml.conversion import NO_CURRENCY
from ppi_ml.declare import Family
from ppi_ml.errors import ConfigError, IntegrityError, UsageError
from ppi_ml.shelf import shelf
from ppi_ml.table_files import tables_in

REPORT, CONFIG = "load_report.json", "config.yaml"
_STAMP = re.compile(r"-(\d{8}T\d{6})-[0-9a-f]{6}$")


@dataclass(frozen=True)
class LastTraining:
    """Where a load report lies, what it says, and the tables its model reads; None: all of them.

    `settings` say how its events were read, so that others are read alike. A report without a run
    tells zone and currency alone. `unread` are the columns ("table.column") that it does not read;
    `plugins` are the paths of the files of one's own that it was trained with, `hashes` what its
    bundle notes of them by name.
    """

    place: Path
    report: dict[str, Any]
    reads: frozenset[str] | None
    unread: frozenset[str]
    settings: DataSettings
    plugins: tuple[str, ...] = ()
    hashes: Mapping[str, str] | None = None


def read(place: Path) -> LastTraining:
    """The load report in a run folder, or in a file of its own.

    `UsageError` if there is none, or one that cannot be compared; `IntegrityError` if the bundle
    beside it is damaged.
    """
    path = place / REPORT if place.is_dir() else place
    if not path.is_file():
        raise UsageError(f"--against: {place}: expected the folder of a run, or a load report")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        columns = [report["summaries"][name]["columns"] for name in report["tables"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        columns = []
    if not columns:
        raise UsageError(
            f"--against: {path}: not a load report that says what its columns looked like; train "
            "again, or write one with ppi-ml validate --out"
        )
    read_, unread = _reads(place / "bundle")
    config = _config(place)
    if config is None:
        return LastTraining(place, report, read_, unread, _as_told(report))
    hashes = _noted(place / "bundle")
    return LastTraining(place, report, read_, unread, config.data, config.plugins, hashes)


def _config(place: Path) -> Config | None:
    """The config of the run that a report lies in; None for a report alone, or an older run."""
    if place.is_dir():
        with suppress(ConfigError):
            return Config.read(place / CONFIG, environ={})
    return None


def _noted(bundle: Path) -> dict[str, str] | None:
    """The plug-ins of a bundle by name, with the hashes that it notes; None without a bundle."""
    if not bundle.is_dir():
        return None
    return {p["name"]: p["sha256"] for p in bundles.load(bundle).manifest.get("plugins", [])}


def _as_told(report: dict[str, Any]) -> DataSettings:
    """How the events were read, as far as a report says it."""
    told = list(report["summaries"].values())
    zone = next((summary["timezone"] for summary in told if summary.get("timezone")), "UTC")
    money = {summary.get("money") for summary in told} - {None, NO_CURRENCY}
    return DataSettings(source="dataframes", timezone=zone, currency=next(iter(money), None))


def newest(data: Path, like: DataSettings, sets: Sequence[str] = ()) -> Path | None:
    """The folder of the newest training on DATA; None if there is none.

    Args:
        data: what is to be compared: a config, a file or a folder.
        like: how it is read.
        sets: settings that stand above those of a config.

    Any data are known again by the place where they lie, a config also by its name, if it has one
    of its own: the name of the target, which is the default, is that of every shop's config. Of a
    file or folder that no training read alone, it is the newest that read it beside others.
    """
    config = Config.read(data, sets) if data.suffix in (".yaml", ".yml") else None
    root = Path(config.output.folder if config else "mlruns/runs")
    if not root.is_dir():
        return None
    runs = [(stamp[1], path) for path in root.iterdir() if (stamp := _STAMP.search(path.name))]
    wanted = _places(like.model_dump())
    own = config.name if config and config.name != config.target.name else None
    part_of = None
    for _, run in sorted(runs, reverse=True):
        told = _config_of(run)
        known = own is not None and told.get("name") == own
        places = _places(told.get("data") or {})
        if told and (known or places == wanted):
            return run
        if config is None and wanted < places:
            part_of = part_of or run
    return part_of


def _config_of(run: Path) -> dict[str, Any]:
    """The config of a run that is whole and has a load report; else nothing."""
    if run.name.startswith(".") or not all((run / name).is_file() for name in (CONFIG, REPORT)):
        return {}
    try:
        return settings.read_mapping(run / CONFIG)
    except ConfigError:  # an older run is named in its place
        return {}


def _places(data: dict[str, Any]) -> set[str]:
    """Where data lie: their paths, their database, or the source that has a copy of its own."""
    tables = (data.get("tables") or {}).values()
    paths = [*_at(data), *(table.get("path") for table in tables)]
    found = {str(Path(path).resolve()) for path in paths if path}
    found |= {str(data["url"])} if data.get("url") else set()
    return found or {str(data.get("source"))}


def _at(data: dict[str, Any]) -> list[object]:
    """What lies at data.path: of a folder with a file per table, each of them."""
    place = data.get("path")
    if data.get("source") == "files" and place and Path(place).expanduser().is_dir():
        with suppress(UsageError):  # no such folder any more
            return [*tables_in(Path(place).expanduser()).values()]
    return [place]


def _reads(bundle: Path) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The tables of the training that the model in a bundle needs, and columns that it does not.

    None, and no column, where there is no bundle to tell it.
    """
    if not bundle.is_dir():
        return None, frozenset()
    loaded = bundles.load(bundle)
    try:
        tables = frozenset(loaded.json("state.json")["tables"])
        names = loaded.json("features.json")["families"]
        target = loaded.json("target.json")
        entity, rows = target["entity"], target.get("rows", {})
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{bundle}: the parts of this bundle do not fit together") from error
    families = shelf("ppi_ml.features", "FAMILY")
    if not all(name in families for name in names):
        return tables, frozenset()  # a plug-in says nothing
    read_ = reads.tables([cast(Family, families[name]) for name in names], entity, tables)
    return read_, reads.unread((rows.get("product"), rows.get("group")))
