# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and staging directories below a directory that somebody else may write: what that account puts there leads
root nowhere, and gives nobody what only root may read. Needs root: the account is nobody's number."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_filler_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _install_io, _model_tree_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import (
    _manifest,
    _store_io,
    _tree,
    _tree_io,
    _tree_sync_io,
)

NOBODY = 65534
P = _tree.SMALLEST
CANARY = b"root alone may read this"
FILES = {"config.json": b"{}", "sub/weights": b"w" * (P + 1)}
DEFAULTS = {name: spec.get("default") for name, spec in _manifest.ARGUMENTS.items()}


def give(path: Path) -> Path:
    """Give a path and what is below it to nobody."""
    for place in (path, *path.rglob("*")):
        os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
    return path


def fill(path: Path) -> Path:
    """Make a model."""
    for name, content in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a directory that all accounts may enter, as pytest's own is for root alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory of nobody's."""
    (tmp_path / "home").mkdir()
    return give(tmp_path / "home")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """Return a directory of root's; look at the end that it is as it was."""
    path = tmp_path / "victim"
    (path / "deep").mkdir(parents=True)
    for name in ("canary", "deep/canary"):
        (path / name).write_bytes(CANARY)
        (path / name).chmod(0o600)
    path.chmod(0o700)

    def state() -> dict[str, Any]:
        found = {str(place): place.lstat() for place in (path, *sorted(path.rglob("*")))}
        return {
            name: (now.st_mode, now.st_uid, now.st_size, now.st_mtime_ns, now.st_nlink) for name, now in found.items()
        }

    before = state()
    yield path
    assert state() == before
    assert all(place.read_bytes() == CANARY for place in path.rglob("canary"))


def manifest(content: dict[str, bytes] = FILES) -> _tree.Manifest:
    files = [
        _tree.plain_file(name, len(data), _tree.hashes(data[at : at + P] for at in range(0, len(data), P)))
        for name, data in content.items()
    ]
    return _tree.Manifest(P, _tree.with_directories(files))


def store_of(path: Path, content: dict[str, bytes] = FILES) -> _store_io.Store:
    now = _tree_io.look(str(path), _tree.Record(""), P, plain=True)
    return _store_io.Store(str(path), manifest(content), now)


def make(path: Path, content: dict[str, bytes] = FILES) -> None:
    """Make the tree as tree_sync does when all pieces have come."""
    store = store_of(path, content)
    try:
        store.prepare(0)
        for number, piece in enumerate(store.manifest.pieces):
            data = content[store.manifest.entries[piece.entry].path]
            store.put(number, data[piece.start :][: piece.size])
        store.install()
    finally:
        store.release()


def made(path: Path) -> Path:
    path.mkdir()
    return path


PLANTS: dict[str, Callable[[Path, Path], Any]] = {
    "a link to root's": lambda staging, victim: staging.symlink_to(victim),
    "a directory of its own": lambda staging, _victim: staging.mkdir(),
    "one with a link in it": lambda staging, victim: os.symlink(victim, os.path.join(made(staging), "tree")),
    "a FIFO": lambda staging, _victim: os.mkfifo(staging),
    "a file": lambda staging, _victim: staging.touch(),
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("what", PLANTS)
def test_a_planted_staging_directory_is_an_error(home: Path, victim: Path, what: str, inside: bool) -> None:
    tree = home / "m"
    if inside:
        tree.mkdir()
        (tree / "config.json").write_bytes(b"old")
    staging = tree / _folders_io.STAGING if inside else home / f".m{_folders_io.STAGING}"
    PLANTS[what](staging, victim)
    give(home)
    with pytest.raises(Failed, match=r"vllm-ray-sync is .*; expected .*To fix it, move it away: mv -T "):
        make(tree)
    # As long as it is moved away, as the error says.
    staging.rename(home / "aside")
    make(tree)
    assert (tree / "sub" / "weights").read_bytes() == FILES["sub/weights"]


def test_what_root_staged_earlier_is_used_and_closed_to_others(home: Path, victim: Path) -> None:
    staging = home / f".m{_folders_io.STAGING}"
    (staging / "tree").mkdir(parents=True)
    (staging / "tree" / "config.json").write_bytes(FILES["config.json"])
    (staging / "tree" / "link").symlink_to(victim)
    (staging / "tree" / "sub").symlink_to(victim)
    store = store_of(home / "m")
    store.prepare(0)
    store.release()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (staging, staging / "tree")} == {0o700}
    assert sorted(path.name for path in (staging / "tree").iterdir()) == ["config.json"]
    assert store.have


def test_a_path_through_a_planted_link_is_refused(home: Path, victim: Path) -> None:
    (home / "models").symlink_to(victim)
    with pytest.raises(Unsafe, match=f"models is a symbolic link to {victim}; expected a directory"):
        make(Path(_folders_io.resolved(str(home / "models" / "m"))))
    with pytest.raises(Unsafe):
        _install_io.stage(str(home / "models" / "m"), {"config.json": 2}, "0")


def swapping(place: Path, aside: Path, victim: Path, ended: threading.Event) -> None:
    """Put a link in the place of a directory, and the directory back, again and again, whatever else happens to it."""
    while not ended.is_set():
        with contextlib.suppress(OSError):
            place.rename(aside)
        with contextlib.suppress(OSError):
            place.symlink_to(victim)
        with contextlib.suppress(OSError):
            place.unlink()
        with contextlib.suppress(OSError):
            aside.rename(place)


@pytest.mark.parametrize("swapped", ["m/sub", "m"])
def test_who_swaps_directories_leads_no_change_away(home: Path, victim: Path, swapped: str) -> None:
    """A tree of that account, in which files are made, replaced and removed."""
    ended, tree = threading.Event(), fill(home / "m")
    thread = threading.Thread(target=swapping, args=(home / swapped, home / "aside", victim, ended))
    thread.start()
    try:
        for number in range(25):
            with contextlib.suppress(OSError, Failed):
                make(tree, {**FILES, "sub/weights": bytes([number]), f"sub/{number}": b"", "canary": b"ours"})
    finally:
        ended.set()
        thread.join()
    make(tree)
    assert (tree / "sub" / "weights").read_bytes() == FILES["sub/weights"]


# --- What the controller brings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", PLANTS)
def test_a_staging_directory_is_lent_only_where_it_is_ours(home: Path, victim: Path, what: str) -> None:
    PLANTS[what](home / f".m{_folders_io.STAGING}", victim)
    give(home)
    with pytest.raises(Failed, match="vllm-ray-sync is"):
        _install_io.stage(str(home / "m"), {"config.json": 2}, "1")
    with pytest.raises(Failed, match="vllm-ray-sync is"):
        _install_io.install(str(home / "m"), "0" * 64, str(home.parent / "records"), "1")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".ssh/authorized_keys", "a\0", ""])
def test_only_names_of_a_model_are_staged(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is wrong"):
        _install_io.stage(str(tmp_path / "m"), {name: 1}, "0")
    assert list(tmp_path.iterdir()) == []


def test_what_an_account_plants_where_it_brings_files_leads_nowhere(tmp_path: Path, victim: Path) -> None:
    records, path = str(tmp_path / "records"), tmp_path / "m"
    files = {name: len(data) for name, data in FILES.items()}
    text = _tree.dump(manifest())
    tree = Path(_install_io.stage(str(path), files, str(NOBODY))[0]) / "tree"
    assert tree.parent.stat().st_uid == NOBODY
    (tree.parent / "manifest").write_text(text)
    (tree / "config.json").write_bytes(FILES["config.json"])
    (tree / "sub").rmdir()
    (tree / "sub").symlink_to(victim / "deep")
    (tree / "link").symlink_to(victim)
    (tree / "more").mkdir()
    (tree / "more" / "config.json").symlink_to(victim / "canary")
    os.mkfifo(tree / "fifo")
    give(tree.parent)
    assert _install_io.install(str(path), _tree.digest(text), records, str(NOBODY)) == ["sub/weights"]
    # The next round of the same transfer.
    staging, held = _install_io.stage(str(path), files, str(NOBODY))
    assert held == ["config.json"]
    (tree.parent / "manifest").write_text(text)
    (tree / "sub" / "weights").write_bytes(FILES["sub/weights"])
    (tree / "sub" / "weights").chmod(0o6777)
    give(Path(staging))
    assert _install_io.install(str(path), _tree.digest(text), records, str(NOBODY)) == []
    assert {(now.st_uid, stat.S_IMODE(now.st_mode)) for now in map(os.lstat, path.rglob("*"))} == {
        (0, 0o644),
        (0, 0o755),
    }


def test_a_planted_directory_of_a_download_is_an_error(home: Path, victim: Path) -> None:
    part = home / ".commit.vllm-ray-download"
    part.symlink_to(victim)
    wish = _hub.wish("mirror", "http://127.0.0.1:1/m")
    filler = _hub_filler_io.Filler(wish, [], str(part))
    filler.work()
    assert "download is a symbolic link to" in filler.failure
    assert filler.ended


# --- What models are read from ---------------------------------------------------------------------------------------


def look(path: Path, **params: Any) -> dict[str, Any]:
    given = {"path": str(path), "record_directory": str(path.parent.parent / "records"), "reserve_gib": 0.0}
    return dict(_model_tree_io.look(_model_tree_io.Options(**{**DEFAULTS, **given, **params})))


def why(found: dict[str, Any]) -> str:
    return " ".join(_manifest.sentence(problem) for problem in found["problems"])


def refused(path: Path) -> str:
    """Return why a model can't be read, neither for its manifest nor for other hosts."""
    params = {
        "path": str(path),
        "record_directory": str(path.parent.parent / "records"),
        "depth": "quick",
        "plain": True,
    }
    with pytest.raises((Failed, OSError)):
        _tree_sync_io.describe(params)
    return why(look(path))


def hard_link(place: Path, victim: Path) -> None:
    """A file of root's that has another name."""
    (victim.parent / "secret").write_bytes(CANARY)
    (victim.parent / "secret").chmod(0o600)
    os.link(victim.parent / "secret", place)


def chain(place: Path, victim: Path) -> None:
    place.with_name("hop").symlink_to(victim / "canary")
    place.symlink_to("hop")


LINKS: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "a file": (lambda place, victim: place.symlink_to(victim / "canary"), "notes.txt is a link to"),
    "a file by a chain": (chain, "is a link to"),
    "a directory": (lambda place, victim: place.symlink_to(victim), "notes.txt is a link to"),
    "a device": (lambda place, _victim: place.symlink_to("/dev/zero"), "is a device"),
    "a FIFO": (lambda place, _victim: os.mkfifo(place), "is a FIFO"),
    "a file by another name": (hard_link, "with 2 names"),
    "itself": (lambda place, _victim: place.symlink_to(place.name), "notes.txt"),
    "nothing": (lambda place, _victim: place.symlink_to("nowhere"), "is a link to nowhere, which does not exist"),
}


@pytest.mark.parametrize("what", LINKS)
def test_what_a_model_leads_to_is_no_part_of_it(home: Path, victim: Path, what: str) -> None:
    model = fill(home / "m")
    plant, words = LINKS[what]
    plant(model / "notes.txt", victim)
    os.chown(home / "m", NOBODY, NOBODY)
    said = refused(model)
    assert words in said, said
    assert "notes.txt" in said or "hop" in said
    (model / "notes.txt").unlink()
    (model / "hop").unlink(missing_ok=True)
    assert look(model)["problems"] == []


def test_the_error_says_what_to_do(home: Path, victim: Path) -> None:
    model = give(fill(home / "m"))
    (model / "notes.txt").symlink_to(victim / "canary")
    said = refused(model)
    assert f"{model}/notes.txt is a link to {victim}/canary" in said
    assert f"copy it to '{model}/notes.txt'" in said
    assert f"chmod o+r '{victim}/canary'" in said


def test_a_link_to_what_everybody_may_read_is_followed(home: Path) -> None:
    model, other = fill(home / "m"), home.parent / "open"
    (model / "config.json").unlink()
    other.write_bytes(FILES["config.json"])
    (model / "config.json").symlink_to(other)
    give(model)
    assert look(model)["digest"] == _tree.digest(_tree.dump(manifest()))


def test_a_link_to_what_the_service_user_may_read_is_followed_for_it(home: Path) -> None:
    model, other = fill(home / "m"), home.parent / "closed"
    (model / "config.json").unlink()
    other.write_bytes(FILES["config.json"])
    other.chmod(0o600)
    os.chown(other, NOBODY, NOBODY)
    (model / "config.json").symlink_to(other)
    give(model)
    assert "config.json is a link to" in refused(model)
    assert look(model, user=str(NOBODY))["problems"] == []


def test_a_snapshot_of_a_cache_is_read_whatever_the_modes_of_its_blobs_are(home: Path, victim: Path) -> None:
    """As Hugging Face's client leaves it."""
    repository = home / "hub" / "models--acme--m"
    snapshot = repository / "snapshots" / ("0" * 40)
    for name, content in FILES.items():
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        blob.chmod(0o600)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    give(home)
    assert look(snapshot)["digest"] == _tree.digest(_tree.dump(manifest()))
    # A store of blobs that leads elsewhere is none.
    (repository / "blobs").rename(repository / "kept")
    (repository / "blobs").symlink_to(victim)
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../blobs/canary")
    (snapshot / "sub" / "weights").unlink()
    assert "config.json is a link to" in refused(snapshot)


def test_a_model_behind_a_link_of_another_is_read_as_that_account_could(home: Path, victim: Path) -> None:
    (home / "m").symlink_to(victim)
    assert refused(home / "m")
    other = fill(home.parent / "shared")
    (home / "n").symlink_to(other)
    assert look(home / "n")["digest"] == _tree.digest(_tree.dump(manifest()))
    (other / "config.json").chmod(0o600)
    assert "config.json is a link to" in refused(home / "n") or "could not read itself" in refused(home / "n")


def test_a_file_that_becomes_a_link_is_not_given_to_others(home: Path, victim: Path) -> None:
    """After the look, while other hosts fetch it."""
    model = give(fill(home / "m"))
    store = store_of(model)
    assert not store.diff
    number = next(at for at, entry in enumerate(store.manifest.entries) if entry.path == "config.json")
    with store.open(number) as stream:
        assert stream.read() == FILES["config.json"]
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(victim / "canary")
    with pytest.raises(Failed, match=r"config.json is a link to"):
        store.open(number)
    store.release()


def test_links_of_our_own_are_followed_anywhere(tmp_path: Path, victim: Path) -> None:
    model = fill(tmp_path / "models" / "m")
    (model / "notes.txt").symlink_to(victim / "canary")
    assert look(model)["problems"] == []
