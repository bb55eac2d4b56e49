"""Bundles: whole or not at all, and nothing unverified is handed out."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml import bundle
from ppi_ml.errors import IntegrityError

FILES = {
    "model.txt": "tree\nversion=v4\n",
    "state.json": {"b": [1, 2.5, None], "a": "ü"},
    "config.yaml": b"name: x\n",
}
MANIFEST = {"name": "churn", "version": "7"}


@pytest.fixture
def saved(tmp_path):
    return bundle.save(tmp_path / "bundle", FILES, MANIFEST).folder


def reseal(folder, change):
    """Change the manifest and give it the hash that a forger would."""
    path = folder / bundle.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    del manifest["manifest_sha256"]
    text = bundle.canonical_json(manifest)
    manifest["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(bundle.canonical_json(manifest), encoding="utf-8")


def refused(folder, *parts):
    with pytest.raises(IntegrityError) as raised:
        bundle.load(folder)
    for part in parts:
        assert part in str(raised.value)


def test_what_was_saved_is_loaded(saved):
    loaded = bundle.load(saved)
    assert loaded.text("model.txt") == FILES["model.txt"]
    assert loaded.json("state.json") == FILES["state.json"]
    assert loaded.text("config.yaml") == "name: x\n"
    assert (loaded.version, loaded.manifest["name"]) == ("7", "churn")
    assert loaded.manifest["format"] == bundle.FORMAT


def test_the_identity_is_the_hash_of_the_sorted_lines(saved):
    lines = sorted(
        f"{hashlib.sha256((saved / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES
    )
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert bundle.load(saved).content_sha256 == expected


def test_the_same_content_has_the_same_bytes(tmp_path, saved):
    turned = dict(reversed(FILES.items())) | {"state.json": {"a": "ü", "b": [1, 2.5, None]}}
    again = bundle.save(tmp_path / "again", turned, dict(reversed(MANIFEST.items()))).folder
    for path in saved.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_a_file_that_is_not_there_is_named(saved):
    with pytest.raises(IntegrityError, match=r"glm\.json: not in this bundle"):
        bundle.load(saved).text("glm.json")


def test_what_a_state_lacks_is_named_when_it_is_read(tmp_path):
    """Another version may have called it otherwise; nobody shall meet a KeyError then."""
    state = {"families": {"refills": {"products": {"ln_gap": [1.0]}, "halves": [{"why": "few"}]}}}
    bundle.save(tmp_path / "b", {"state.json": state}, {"ppi_ml": "0.0.7"})
    read = bundle.load(tmp_path / "b").json("state.json")
    assert read == state
    refills = read["families"]["refills"]
    remedy = r" is missing.*train again, or install the version that made the bundle \(0\.0\.7\)"
    for part, name, place in (
        (read, "processes", r"state\.json: processes"),
        (refills["products"], "ln_rate", r"state\.json: families\.refills\.products\.ln_rate"),
        (refills["halves"][0], "weights", r"state\.json: families\.refills\.halves\.0\.weights"),
    ):
        with pytest.raises(IntegrityError, match=place + remedy):
            part[name]
        assert name not in part
        assert part.get(name) is None


@pytest.mark.parametrize("name", [*FILES, bundle.MANIFEST])
def test_every_truncation_and_extension_of_every_file_is_refused(saved, name):
    whole = (saved / name).read_bytes()
    for damaged in [whole[:cut] for cut in range(len(whole))] + [whole + b"\n"]:
        (saved / name).write_bytes(damaged)
        refused(saved, name)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_every_changed_byte_of_every_file_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("mutated") / "bundle"
    bundle.save(folder, FILES, MANIFEST)
    path = folder / data.draw(st.sampled_from([*FILES, bundle.MANIFEST]))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    refused(folder, path.name)


@pytest.mark.parametrize("name", [*FILES, bundle.MANIFEST])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    refused(saved, name, "missing")


def test_an_extra_file_is_named(saved):
    (saved / "payload.pkl").write_text("x")
    refused(saved, "payload.pkl", "not listed")


def test_an_extra_folder_is_named(saved):
    (saved / "sub").mkdir()
    refused(saved, "sub", "not listed")


@pytest.mark.parametrize("name", [*FILES, bundle.MANIFEST])
def test_a_link_is_refused_even_to_the_right_bytes(saved, tmp_path, name):
    outside = tmp_path / "outside"
    (saved / name).rename(outside)
    (saved / name).symlink_to(outside)
    refused(saved, name, "link")


def test_a_pipe_is_refused_and_not_waited_for(saved):
    (saved / "model.txt").unlink()
    os.mkfifo(saved / "model.txt")
    refused(saved, "model.txt", "expected a plain file")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/b", "..", "", ".hidden"])
def test_a_path_in_the_manifest_that_leads_elsewhere_is_refused(saved, name):
    entry = {"sha256": "0" * 64, "size": 1}
    reseal(saved, lambda manifest: manifest["files"].update({name: entry}))
    refused(saved, "not the name of a plain file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=99), "format 99"),
        (lambda m: m.pop("files"), "lists no files"),
        (lambda m: m["files"].update({"model.txt": 5}), "no size and sha256"),
        (lambda m: m["files"]["model.txt"].update(size=True), "no size and sha256"),
        (lambda m: m["files"]["model.txt"].update(size=3), "16 bytes; 3 were written"),
        (lambda m: m["files"]["model.txt"].update(sha256="0" * 64), "sha256 differs"),
        (lambda m: m.update(content_sha256="0" * 64), "content_sha256"),
        (lambda m: m.pop("content_sha256"), "content_sha256"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_with_the_reason(saved, change, message):
    reseal(saved, change)
    refused(saved, message)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", "null", "\xff", '{"a": NaN}', ""])
def test_a_manifest_that_is_none_is_refused(saved, text):
    (saved / bundle.MANIFEST).write_text(text, encoding="latin-1")
    refused(saved, bundle.MANIFEST, "damaged")


def test_a_huge_manifest_is_not_read(saved):
    (saved / bundle.MANIFEST).write_bytes(b" " * 1_000_001)
    refused(saved, bundle.MANIFEST, "larger than 1000000 bytes")


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    refused(tmp_path, bundle.MANIFEST, "missing")
    refused(tmp_path / "none", "no bundle there")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"x": b"bytes"}])
def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, value):
    with pytest.raises(IntegrityError, match=r"state\.json: cannot be written"):
        bundle.save(tmp_path / "b", {"state.json": {"v": value}}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", bundle.MANIFEST, ".x", ""])
def test_a_name_that_is_not_plain_is_not_written(tmp_path, name):
    with pytest.raises(IntegrityError, match="not a name"):
        bundle.save(tmp_path / "b", {name: "x"}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(IntegrityError, match="left alone"):
        bundle.save(tmp_path, FILES, MANIFEST)
    assert (tmp_path / "thesis.txt").exists()


def test_an_older_bundle_is_replaced_without_a_trace(saved):
    bundle.save(saved, {"model.txt": "new"}, MANIFEST)
    assert bundle.load(saved).text("model.txt") == "new"
    assert [path.name for path in saved.parent.iterdir()] == ["bundle"]


def full_disk(monkeypatch, at):
    """Writing fails at the `at`-th file, as it does on a full disk."""
    real, calls = os.fsync, iter(range(100))

    def fsync(descriptor):
        if next(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("at", range(5))
def test_a_full_disk_leaves_the_old_bundle_or_nothing(tmp_path, monkeypatch, saved, at):
    full_disk(monkeypatch, at)
    with pytest.raises(OSError, match="No space left"):
        bundle.save(saved, {**FILES, "model.txt": "new"}, MANIFEST)
    assert bundle.load(saved).text("model.txt") == FILES["model.txt"]
    monkeypatch.undo()
    full_disk(monkeypatch, at)
    with pytest.raises(OSError, match="No space left"):
        bundle.save(tmp_path / "fresh", FILES, MANIFEST)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("at", [0, 1])
def test_a_rename_that_fails_leaves_the_old_bundle(monkeypatch, saved, at):
    real, calls = Path.replace, iter(range(100))

    def replace(self, target):
        if next(calls) == at:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="Input/output error"):
        bundle.save(saved, {"model.txt": "new"}, MANIFEST)
    assert bundle.load(saved).text("model.txt") == FILES["model.txt"]
    assert [path.name for path in saved.parent.iterdir()] == ["bundle"]


KILLED = """
import os, sys
from pathlib import Path
from ppi_ml import bundle
real, at = Path.replace, int(sys.argv[2])
calls = iter(range(100))
def replace(self, target):
    if next(calls) == at:
        os._exit(9)
    return real(self, target)
Path.replace = replace
bundle.save(Path(sys.argv[1]), {"model.txt": "new"}, {})
"""


@pytest.mark.parametrize("at", [0, 1])
def test_a_kill_in_the_middle_leaves_the_old_bundle_and_the_next_save_works(saved, at):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(saved), str(at)], check=False)
    assert ended.returncode == 9
    assert bundle.load(saved).text("model.txt") == FILES["model.txt"]
    bundle.save(saved, {"model.txt": "newer"}, MANIFEST)
    assert bundle.load(saved).text("model.txt") == "newer"
