"""Forgetting customers: their rows out of everything that lies under `mlruns/`.

First everything is searched, then what was found is rewritten, one file at a time. A model cannot
forget: it holds sums over everybody and no id, so the bundles whose events held the customers are
listed, to be trained again. Nothing here prints an id.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ppi_ml import run_outs, spreadsheet
from ppi_ml.bundle import MANIFEST
from ppi_ml.customer_list import NAMES, Customers
from ppi_ml.errors import IntegrityError, UsageError
from ppi_ml.event_files import EventFiles, files_of, holds_nobody
from ppi_ml.progress import Progress
from ppi_ml.row_removal import PAGES, SUFFIXES, Found, encoding_of, remove, replaced, search
from ppi_ml.runs import PRIVATE

_LIST, _PAGE = "run_outs.csv", "run_outs.md"
_DATED = re.compile(r"^As known on (\S+)\. ", re.MULTILINE)
_NAMELESS = (".json", ".yaml", ".yml", ".journal", ".lock", ".png", ".svg", ".gitignore")
"""What is written without a customer in it, beside bundles and the store of MLflow."""
_STORE = "mlflow.db"
_MOST_LISTED = 20


@dataclass(frozen=True)
class Held:
    """A bundle that may have learned from the customers.

    `customers` is how many of them its events held, None where no file is left to tell; `why`
    says where that is known from.
    """

    bundle: str
    version: str
    sha256: str
    customers: int | None
    why: str


@dataclass(frozen=True)
class Forgotten:
    """What was done, or would be (`dry_run`), without an id.

    `asked` ids were given, `found` of them stand in a table; `files` path -> (rows removed, rows
    left). What may still name somebody: `damaged` cannot be read; `encoded` is no UTF-8, path ->
    how it is written and how to convert it; `unread` is of a kind that is not looked into;
    `nameless` are tables without a column that is called as one of customers is.
    """

    asked: int
    found: int
    files: Mapping[str, tuple[int, int]]
    bundles: tuple[Held, ...]
    damaged: tuple[str, ...]
    encoded: Mapping[str, str]
    unread: tuple[str, ...]
    nameless: tuple[str, ...]
    dry_run: bool

    @property
    def rows(self) -> int:
        """Rows removed from all files together."""
        return sum(gone for gone, _ in self.files.values())

    def to_dict(self) -> dict[str, Any]:
        """The answer of `ppi-ml forget --json`."""
        files = [{"path": p, "rows": r, "left": n} for p, (r, n) in self.files.items()]
        return {
            "dry_run": self.dry_run, "ids": self.asked, "found": self.found,
            "unknown": self.asked - self.found, "rows": self.rows, "files": files,
            "bundles": [asdict(held) for held in self.bundles], "damaged": list(self.damaged),
            "encoded": [{"path": p, "why": w} for p, w in self.encoded.items()],
            "unread": list(self.unread),
            "nameless": list(self.nameless),
            "not_looked_into": len(self.unread) + len(self.nameless),
        }  # fmt: skip

    def to_text(self) -> str:
        """The answer for people."""
        verb = "would be removed" if self.dry_run else "removed"
        lines = [
            f"{self.asked:,} ids: {self.found:,} found, {self.asked - self.found:,} in no table"
            f"{' that was looked into' if self._rest else ''}",
            f"{self.rows:,} rows {verb} from {len(self.files):,} files",
            *(f"  {p}: {r:,} rows, {n:,} left" for p, (r, n) in self.files.items()),
        ]
        for title, some in (
            ("bundles whose events held them, to be trained again",
             [held for held in self.bundles if held.customers is not None]),
            ("bundles of which nothing tells whether their events held them",
             [held for held in self.bundles if held.customers is None]),
        ):  # fmt: skip
            lines += [f"{title}:"] if some else []
            lines += [f"  {h.bundle} ({h.sha256[:12]}): {h.why}" for h in some]
        return "\n".join([*lines, *self._rest])

    @property
    def _rest(self) -> list[str]:
        """What may still name somebody, for people."""
        return [
            *_listed("not looked into", self.unread),
            *_listed(f"not looked into: no column {' or '.join(NAMES)}", self.nameless),
            *_listed("not in UTF-8", tuple(self.encoded), len(self.encoded)),
            *_listed("damaged", self.damaged, len(self.damaged)),
        ]


def _listed(title: str, paths: Sequence[str], most: int = _MOST_LISTED) -> list[str]:
    """Paths below a title; of many the first, and how many more there are."""
    more = [f"  and {len(paths) - most:,} more; --json lists all"] if len(paths) > most else []
    return [f"{title} ({len(paths):,}):", *(f"  {p}" for p in paths[:most]), *more] if paths else []


def forget(
    customers: Customers,
    root: str | Path = "mlruns",
    data: str | Path | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Forgotten:
    """Remove customers from all tables below a folder, and from events if they are named too.

    Args:
        customers: whom to forget.
        root: the folder with runs, artifacts and predictions.
        data: events, of which the rows are removed as well: a folder with a file per table, a file,
            or a config whose source is `files` or `flat`. None: no events are touched.
        dry_run: only say what would be done.
        progress: where to tell what is being done; None says nothing.

    Raises:
        UsageError: there is no such folder, or events that cannot be rewritten.
        DataError: a table of events has no column that says whose its rows are, or of a folder of
            events not one file could be looked into. Nothing is touched.
        OSError: the disk is full or refuses; what was rewritten so far stays so.
    """
    say = progress or Progress(quiet=True)
    below, links = _below(Path(root))
    events = EventFiles({}) if data is None else files_of(Path(data))
    named = {path.resolve() for path in events.columns}  # whatever way leads there
    below = {path: None for path in below if path.resolve() not in named}
    places = below | dict(events.columns)
    bundles, paths, unread = _sorted_out(p for p in places if not _is_list(p, customers))
    found, bad = _searched({path: places[path] for path in paths}, customers, say)
    events.check(found.keys() | set(bad))
    hits = {path: held for path, held in found.items() if held.rows}
    if not dry_run:
        bad += _removed({path: places[path] for path in hits}, customers, say)
        hits = {path: held for path, held in hits.items() if path not in bad}
    encoded = {str(path): why for path in bad if (why := encoding_of(path))}
    return Forgotten(
        asked=len(customers),
        found=len(frozenset[str]().union(*(held.ids for held in hits.values()))),
        files={str(path): (held.rows, held.left) for path, held in hits.items()},
        bundles=tuple(_held(bundles, hits)),
        damaged=tuple(str(path) for path in bad if str(path) not in encoded),
        encoded=encoded,
        unread=tuple(map(str, dict.fromkeys([*unread, *links, *events.others]))),
        nameless=tuple(
            str(path)
            for path in paths
            if path not in found and path not in bad and _may_name(path, events)
        ),
        dry_run=dry_run,
    )


def _searched(
    places: Mapping[Path, str | None], customers: Customers, say: Progress
) -> tuple[dict[Path, Found], list[Path]]:
    """(what each file holds of them, those that cannot be read); the rest says of nobody."""
    found, bad = dict[Path, Found](), list[Path]()
    with say.stage("looking for them", len(places)) as step:
        for path, column in places.items():
            try:
                if (held := search(path, customers, column)) is not None:
                    found[path] = held
            except IntegrityError:
                bad.append(path)
            step()
    return found, bad


def _removed(places: Mapping[Path, str | None], customers: Customers, say: Progress) -> list[Path]:
    """Rewrite files; returns those of which another column than that of the ids cannot be read."""
    bad = []
    with say.stage("rewriting files", len(places)) as step:
        for path, column in places.items():
            try:
                _rewrite(path, customers, column)
            except IntegrityError:
                bad.append(path)
            step()
    return bad


def _may_name(path: Path, events: EventFiles) -> bool:
    """Whether a file without a column of customers is a table that may name them in another."""
    is_page = path.suffix.lower() in PAGES  # what stands around tables is no table
    return not is_page and not holds_nobody(path, by_name=path in events.columns)


def _below(root: Path) -> tuple[dict[Path, str | None], list[Path]]:
    """Every file below a folder, and the links that lead out of it, which are not followed."""
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; --root names the one that holds the runs")
    every = [Path(at, name) for at, dirs, names in os.walk(root) for name in (*dirs, *names)]
    links = sorted(path for path in every if path.is_symlink())
    files = sorted(path for path in every if path.is_file() and not path.is_symlink())
    home = root.resolve()
    away = [link for link in links if not link.resolve().is_relative_to(home)]
    return dict.fromkeys(files), away


def _is_list(path: Path, customers: Customers) -> bool:
    """Whether this is the very file that says whom to forget; it is left to its owner."""
    return customers.origin is not None and path.resolve() == customers.origin.resolve()


def _sorted_out(
    places: Iterable[Path],
) -> tuple[dict[Path, dict[str, Any]], list[Path], list[Path]]:
    """(bundles with their manifests, files to search, files that are not looked into)."""
    every = list(places)
    bundles = {
        path.parent: manifest
        for path in every
        if path.name == MANIFEST and (manifest := _manifest(path)) is not None
    }
    rest = [path for path in every if path.parent not in bundles]
    tables = [path for path in rest if path.suffix.lower() in SUFFIXES]
    return bundles, tables, [p for p in rest if p.suffix.lower() not in SUFFIXES and not _dull(p)]


def _dull(path: Path) -> bool:
    """Whether what is written under such a name never names a customer."""
    return (path.suffix or path.name) in _NAMELESS or path.name.startswith(_STORE)


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, OSError):
        return None
    is_one = isinstance(found, dict) and {"content_sha256", "files"} <= found.keys()
    return found if is_one else None


def _rewrite(path: Path, customers: Customers, column: str | None) -> None:
    remove(path, customers, column)
    page = path.with_name(_PAGE)
    if path.name == _LIST and page.is_file():  # shows the first rows of the list
        dated = _DATED.search(page.read_text(encoding="utf-8"))
        if dated is not None:
            rows = pl.read_csv(path, infer_schema=False)
            meant = pl.all().map_elements(spreadsheet.meant, pl.String)
            first = run_outs.first(rows).with_columns(meant)
            text = run_outs.to_markdown(first, dated[1], rows.height)
            with replaced(page) as place:
                place.write_text(text, encoding="utf-8")


def _held(bundles: Mapping[Path, Mapping[str, Any]], hits: Mapping[Path, Found]) -> Iterator[Held]:
    """Every bundle, with what the files of its run, or of another of the same events, tell."""
    own = {place: _named_by_run(place, hits) for place in bundles}
    same: dict[object, frozenset[str]] = {}
    for place, manifest in bundles.items():
        events = _events_of(manifest)
        same[events] = same.get(events, frozenset()) | own[place]
    for place, manifest in bundles.items():
        events = _events_of(manifest)
        count: int | None = len(own[place])
        why = f"its run names {count:,} of them"
        if not count and events is not None and (count := len(same[events])):
            why = f"another run on the same events names {count:,} of them"
        if not count:
            count, why = None, "no file of its run names them"
        yield Held(
            str(place),
            str(manifest.get("version", "")),
            str(manifest["content_sha256"]),
            count,
            why,
        )


def _events_of(manifest: Mapping[str, Any]) -> object:
    """The fingerprint of the events that a bundle was trained on."""
    data = manifest.get("data")
    return data.get("fingerprint") if isinstance(data, Mapping) else None


def _named_by_run(bundle: Path, hits: Mapping[Path, Found]) -> frozenset[str]:
    files = [bundle.parent / name for name in PRIVATE]
    return frozenset[str]().union(*(hits[path].ids for path in files if path in hits))
