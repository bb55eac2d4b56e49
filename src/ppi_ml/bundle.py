"""The folder that is everything needed to score: written whole or not at all, read with care.

Reading goes manifest -> names -> sizes -> hashes, and only then hands out text: the parser of
tree models crashes or misreads damaged files, so nothing unverified may reach it. A hash shows
damage, not authorship: load bundles only from places you trust.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ppi_ml.errors import IntegrityError

FORMAT = 4
MANIFEST = "manifest.json"
_MANIFEST_LIMIT = 1_000_000  # bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle; its files were read into memory while they were verified."""

    folder: Path
    manifest: dict[str, Any]
    content_sha256: str
    """The identity of the model: sha256 over the lines `<sha256>  <path>` of all files."""
    _contents: Mapping[str, bytes] = field(repr=False)

    @property
    def version(self) -> str:
        """What the manifest calls its version; empty if it names none."""
        return str(self.manifest.get("version", ""))

    def text(self, name: str) -> str:
        """The text of a file; `IntegrityError` if the bundle has no such file, or it is no text."""
        if name not in self._contents:
            raise IntegrityError(f"{self.folder / name}: not in this bundle")
        try:
            return self._contents[name].decode("utf-8")
        except UnicodeDecodeError:
            raise IntegrityError(f"{self.folder / name}: not text in UTF-8") from None

    def json(self, name: str) -> Any:  # noqa: ANN401  (JSON is what it is)
        """The value of a JSON file; `IntegrityError` if there is no such file, or it is no JSON.

        Its objects say themselves what they lack: reading a name that is not there, now or when a
        state is replayed, is an `IntegrityError` too.
        """
        try:
            value = json.loads(self.text(name))
        except (ValueError, RecursionError):
            raise IntegrityError(f"{self.folder / name}: not JSON") from None
        return _with_places(value, (str(self.folder / name),), self.remedy)

    @property
    def remedy(self) -> str:
        """What to do where another version of ppi_ml made it, and that shows."""
        version = self.manifest.get("ppi_ml", "unknown")
        return f"train again, or install the version that made the bundle ({version})"


class _Part(dict[str, Any]):
    """An object of a bundle's JSON that knows where it stands."""

    def __init__(self, values: Mapping[str, Any], place: tuple[str, ...], remedy: str) -> None:
        super().__init__(values)
        self._place, self._remedy = place, remedy

    def __missing__(self, name: str) -> NoReturn:
        file, *inside = self._place
        raise IntegrityError(
            f"{file}: {'.'.join((*inside, name))} is missing, which this version of ppi_ml reads; "
            f"{self._remedy}"
        )


def _with_places(value: object, place: tuple[str, ...], remedy: str) -> object:
    """The value with every object in it as a `_Part`; `place` is the file and the names so far."""
    if isinstance(value, dict):
        inside = {k: _with_places(v, (*place, k), remedy) for k, v in value.items()}
        return _Part(inside, place, remedy)
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return [_with_places(v, (*place, str(i)), remedy) for i, v in enumerate(value)]
    return value


def save(folder: Path, files: Mapping[str, object], manifest: Mapping[str, Any]) -> Bundle:
    """Write a bundle at `folder`; if that fails, what was there before is still there, whole.

    Args:
        folder: where the bundle shall lie; an older bundle there is replaced.
        files: name -> bytes, text, or a value that is written as canonical JSON.
        manifest: what shall be known of the model; format, files and hashes are added.

    Raises:
        IntegrityError: a file name that is not plain, or a value that JSON cannot hold.
        OSError: the disk is full or refuses.
    """
    folder = Path(folder)
    contents = {name: _encode(name, value) for name, value in files.items()}
    for name in contents:
        if name == MANIFEST or not _NAME.fullmatch(name):
            raise IntegrityError(f"{name}: not a name for a file of a bundle")
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in sorted(contents.items())
    }
    sealed = _seal(
        {**manifest, "format": FORMAT, "files": listed, "content_sha256": _identity(listed)}
    )
    with _new_folder(folder) as temporary:
        for name, data in {**contents, MANIFEST: _encode(MANIFEST, sealed)}.items():
            _write(temporary / name, data)
    return Bundle(folder, sealed, sealed["content_sha256"], contents)


def load(path: str | Path) -> Bundle:
    """The bundle in a folder, verified in full before any of it is parsed.

    Raises:
        IntegrityError: missing, damaged, incomplete or foreign; the message names file and reason.
    """
    folder = _whole(Path(path))
    manifest = _read_manifest(folder)
    listed = _listing(folder, manifest)
    _check_names(folder, listed)
    contents = {name: _verified(folder / name, entry) for name, entry in listed.items()}
    if _identity(listed) != manifest.get("content_sha256"):
        raise IntegrityError(f"{folder / MANIFEST}: content_sha256 does not fit the files it lists")
    return Bundle(Path(path), manifest, manifest["content_sha256"], contents)


def canonical_json(value: object) -> str:
    """JSON with sorted keys that is the same for equal values; `ValueError` for NaN or infinity."""
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def _encode(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return (value if isinstance(value, str) else canonical_json(value)).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise IntegrityError(f"{name}: cannot be written as JSON: {error}") from error


def _identity(listed: Mapping[str, Mapping[str, Any]]) -> str:
    lines = sorted(f"{entry['sha256']}  {name}\n" for name, entry in listed.items())
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def _seal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with a hash of the rest of itself, so that its own damage shows."""
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return {**rest, "manifest_sha256": hashlib.sha256(_encode(MANIFEST, rest)).hexdigest()}


# --- writing ------------------------------------------------------------------------------------


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that becomes `folder` when the block ends well, and vanishes if not."""
    place = folder.resolve()
    if place.exists() and not (place / MANIFEST).exists() and any(place.iterdir()):
        raise IntegrityError(f"{folder}: holds something that is no bundle; it is left alone")
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        _sync_folder(temporary)
        _exchange(temporary, place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(place.parent)


def _exchange(temporary: Path, place: Path) -> None:
    """Put `temporary` where the old bundle is; a kill in between leaves that under `_aside`."""
    aside = _aside(place)
    if not place.exists():
        temporary.replace(place)
    else:
        shutil.rmtree(aside, ignore_errors=True)
        place.replace(aside)
        try:
            temporary.replace(place)
        except BaseException:
            aside.replace(place)
            raise
    shutil.rmtree(aside, ignore_errors=True)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- reading ------------------------------------------------------------------------------------


def _whole(path: Path) -> Path:
    """The folder to read: if a save was killed between its two renames, the old bundle's."""
    folder = path.resolve()
    if not folder.exists() and _aside(folder).is_dir():
        return _aside(folder)
    if not folder.is_dir():
        raise IntegrityError(f"{path}: no bundle there; expected the bundle/ folder of a run")
    return folder


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        raise IntegrityError(f"{path}: missing; is {folder} a bundle?")
    data = _read(path, _MANIFEST_LIMIT)
    try:
        manifest = json.loads(data)
        intact = isinstance(manifest, dict) and _encode(MANIFEST, _seal(manifest)) == data
    except (ValueError, RecursionError, IntegrityError) as error:
        raise IntegrityError(f"{path}: damaged: not the JSON that was written") from error
    if not intact:
        raise IntegrityError(f"{path}: damaged: its own hash does not fit")
    if manifest.get("format") != FORMAT:
        found = manifest.get("format")
        raise IntegrityError(f"{path}: format {found}; this version of ppi_ml reads {FORMAT}")
    return dict(manifest)


def _listing(folder: Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The `files` of the manifest, checked for form: a foreign one may seal anything."""
    listed, path = manifest.get("files"), folder / MANIFEST
    if not isinstance(listed, dict):
        raise IntegrityError(f"{path}: lists no files")
    for name, entry in listed.items():
        if name == MANIFEST or not _NAME.fullmatch(name):
            raise IntegrityError(f"{path}: lists {name!r}, which is not the name of a plain file")
        size = entry.get("size") if isinstance(entry, dict) else None
        if type(size) is not int or not isinstance(entry.get("sha256"), str):
            raise IntegrityError(f"{path}: gives no size and sha256 for {name}")
    return listed


def _check_names(folder: Path, listed: Mapping[str, Mapping[str, Any]]) -> None:
    with os.scandir(folder) as entries:
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    for name in sorted(found.keys() | listed.keys()):
        if name not in found:
            raise IntegrityError(f"{folder / name}: missing")
        if name not in listed and name != MANIFEST:
            raise IntegrityError(f"{folder / name}: not listed in the manifest")
        if not found[name]:
            raise IntegrityError(f"{folder / name}: a link or a folder; expected a plain file")
    for name, entry in listed.items():
        size = (folder / name).lstat().st_size
        if size != entry["size"]:
            raise IntegrityError(f"{folder / name}: {size} bytes; {entry['size']} were written")


def _verified(path: Path, entry: Mapping[str, Any]) -> bytes:
    data = _read(path, entry["size"])
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise IntegrityError(f"{path}: damaged: sha256 differs from the manifest")
    return data


def _read(path: Path, limit: int) -> bytes:
    """At most `limit` bytes of a plain file; never through a link, never from a pipe."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise IntegrityError(f"{path}: a link or a folder; expected a plain file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise IntegrityError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise IntegrityError(f"{path}: larger than {limit} bytes")
    return data
