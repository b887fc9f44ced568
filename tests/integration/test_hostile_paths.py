# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every path that a module takes, with what another account may put there while the module runs as root: links to what
only root may read, FIFOs, endless files. Modules run in children of this process, so that a run costs milliseconds.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible.module_utils import basic

from ansible_collections.vllm_ray.cluster.tests.integration import run_module
from ansible_collections.vllm_ray.cluster.tests.integration.hostile_paths import NOBODY, OWN, TABLE, Case, X

MARK = "CANARY-5f2c3b0e"
# As JSON and as text, so that any reader would show it.
CANARY = json.dumps({"model": MARK, "models": [MARK], "host": MARK, MARK: MARK}) + f"\n{MARK}={MARK}\n"
STRANGE = "x\n\x1b]0;a\x07"


class Canary(NamedTuple):
    """What only root may read: a file, and a directory that holds the same."""

    file: Path
    folder: Path

    def state(self) -> list[tuple[str, int, int, int, int, str]]:
        """Return what must not change: mode, owner, time and content of each, and which there are."""
        found = []
        for path in [self.file, self.folder, *sorted(self.folder.rglob("*"))]:
            now = path.lstat()
            text = path.read_text() if path.is_file() and now.st_size < run_module.MIB else ""
            found.append((str(path), now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns, text))
        return found


def filled(value: Any, path: str, own: Path) -> Any:
    """Return arguments with the path that is tried, and root's directory."""
    if isinstance(value, str):
        return value.replace(X, path).replace(OWN, str(own))
    if isinstance(value, dict):
        return {key: filled(entry, path, own) for key, entry in value.items()}
    return [filled(entry, path, own) for entry in value] if isinstance(value, list) else value


# --- What is put at a path -------------------------------------------------------------------------------------------

Plant = Callable[[Path, Canary], None]


def sparse(place: Path, _canary: Canary) -> None:
    with place.open("wb") as stream:
        stream.truncate(4 << 30)


PLANTS: dict[str, Plant] = {
    "link-to-a-file": lambda place, canary: place.symlink_to(canary.file),
    "link-to-a-directory": lambda place, canary: place.symlink_to(canary.folder),
    "fifo": lambda place, _canary: os.mkfifo(place),
    "endless": lambda place, _canary: place.symlink_to("/dev/zero"),
    "hard-link": lambda place, canary: os.link(canary.file, place),
    "sparse": sparse,
    "deep": lambda place, _canary: (place.write_text("[" * 10**5), None)[1],
}


def give(place: Path) -> None:
    """Let another account own a path, and what was made above it."""
    os.chown(place, NOBODY, NOBODY, follow_symlinks=False)


def plant(place: Path, kind: str, canary: Canary, above: Path) -> None:
    """Put something at a path, in directories of the other account."""
    for folder in reversed([folder for folder in place.parents if folder.is_relative_to(above)]):
        if not os.path.lexists(folder):
            folder.mkdir()
            give(folder)
        if folder.is_symlink() or not folder.is_dir():
            return
    if os.path.lexists(place):
        return
    PLANTS[kind](place, canary)
    if kind != "hard-link":
        give(place)


@contextmanager
def swapped(place: Path, target: Path) -> Iterator[None]:
    """Let a directory be replaced by a link, and back, as long as this lasts."""
    over, aside = threading.Event(), place.with_name("aside")

    def swap() -> None:
        # The module may put a file there meanwhile, or take the link away.
        steps = (
            lambda: place.rename(aside),
            lambda: place.symlink_to(target),
            place.unlink,
            lambda: aside.rename(place),
        )
        while not over.is_set():
            for step in steps:
                with suppress(OSError):
                    step()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Trial:
    """One case: directories for it, and what went wrong."""

    def __init__(self, folder: Path, module: str, case: Case) -> None:
        self.folder, self.module, self.case = folder, module, case
        self.faults: list[str] = []
        self.number = 0

    def fresh(self) -> tuple[Path, Path, Canary]:
        """Return a directory of the other account, one of root, and a canary."""
        self.number += 1
        top = self.folder / str(self.number)
        hostile, own, secret = top / "hostile", top / "own", top / "secret"
        for folder in (top, hostile, own, secret, secret / "folder"):
            folder.mkdir()
        secret.chmod(0o700)
        give(hostile)
        canary = Canary(secret / "canary", secret / "folder")
        inside = [name for name in self.case.below if not name.startswith("../")]
        for name in ("../canary", *sorted(inside, key=len, reverse=True)):
            place = canary.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.write_text(CANARY)
                place.chmod(0o600)
        for name, text in self.case.files.items():
            place = own / name.replace("{own}", str(own)).lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            place.chmod(0o755)
        for name, target in self.case.links.items():
            (own / name).symlink_to(target)
        return hostile, own, canary

    def check(self, what: str, path: Path, own: Path, canary: Canary, times: int = 1) -> None:
        """Run the module on a path, and note what it must not do."""
        before = canary.state()
        for _time in range(times):
            result = run_module.run(self.module, filled(self.case.args, str(path), own), own)
            faults = [
                (os.WIFSIGNALED(result.status), f"did not end within {run_module.SECONDS} s"),
                (MARK in result.output, "tells the canary"),
                (result.status not in (0, 1 << 8), "ends with a traceback"),
                (not result.answer or (result.answer.get("failed") and not result.answer.get("msg")), "has no answer"),
                (re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.output), "prints what a terminal obeys"),
                (result.memory > run_module.MEMORY, f"takes {result.memory // run_module.MIB} MiB"),
                (canary.state() != before, "changes the canary"),
            ]
            for wrong, sentence in faults:
                if wrong:
                    self.faults.append(f"{what}: {sentence}: {result.output[-700:]}")
                    return

    def at_the_path(self) -> None:
        for kind in [kind for kind in PLANTS if kind not in self.case.without]:
            hostile, own, canary = self.fresh()
            plant(hostile / "x", kind, canary, hostile)
            self.check(f"{kind} at the path", hostile / "x", own, canary)

    def below_the_path(self) -> None:
        for kind in [kind for kind in PLANTS if kind not in self.case.without and self.case.below]:
            hostile, own, canary = self.fresh()
            for name in self.case.below:
                place = Path(os.path.normpath(hostile / "x" / name))
                plant(place, kind, canary, hostile)
            self.check(f"{kind} below the path", hostile / "x", own, canary)

    def benign(self, place: Path) -> None:
        """Make a directory that has nothing wrong but its owner."""
        place.mkdir()
        give(place)
        inside = [name for name in self.case.below if not name.startswith("../")]
        for name in sorted(inside, key=len, reverse=True):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            if not (place / name).exists():
                (place / name).write_text("{}")
        for one in place.rglob("*"):
            give(one)

    def strange_names(self) -> None:
        hostile, own, canary = self.fresh()
        self.benign(hostile / STRANGE)
        self.check("a strange name of the path", hostile / STRANGE, own, canary)
        hostile, own, canary = self.fresh()
        self.benign(hostile / "x")
        for folder in [hostile / "x", *(one for one in (hostile / "x").rglob("*") if one.is_dir())]:
            (folder / f"{STRANGE}.log").write_text("{}")
        self.check("a strange name below the path", hostile / "x", own, canary)

    def swaps(self) -> None:
        hostile, own, canary = self.fresh()
        self.benign(hostile / "x")
        with swapped(hostile / "x", canary.folder):
            self.check("a directory and a link in turn", hostile / "x", own, canary, times=2)


@pytest.mark.parametrize(("module", "option"), [pytest.param(*key, id=".".join(key)) for key in sorted(TABLE)])
def test_what_another_account_puts_at_a_path(tmp_path: Path, module: str, option: str) -> None:
    faults = []
    for number, case in enumerate(TABLE[module, option]):
        folder = tmp_path / str(number)
        folder.mkdir()
        trial = Trial(folder, module, case)
        trial.at_the_path()
        trial.below_the_path()
        trial.strange_names()
        trial.swaps()
        faults += trial.faults
    assert not faults, "\n".join(faults[:20])
    shutil.rmtree(tmp_path)


def test_the_checks_see_what_a_module_must_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a module that follows links, as any that calls open() would: the faults are all found."""

    def careless() -> None:
        path = json.loads(basic._ANSIBLE_ARGS or b"")["ANSIBLE_MODULE_ARGS"]["log_file"]
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        os.utime(path, (0, 0))
        print(json.dumps({"text": text}))
        raise SystemExit

    monkeypatch.setattr(importlib.import_module(f"{run_module.MODULES}.service_log_info"), "main", careless)
    monkeypatch.setattr(run_module, "SECONDS", 1)
    trial = Trial(tmp_path, "service_log_info", Case({"log_file": X}))
    trial.at_the_path()
    found = [fault.partition(": ")[2].partition(":")[0] for fault in trial.faults]
    seen = dict(zip([kind for kind in PLANTS if kind != "deep"], found))
    assert seen == {
        "link-to-a-file": "tells the canary",
        "link-to-a-directory": "ends with a traceback",
        "fifo": "did not end within 1 s",
        "endless": "ends with a traceback",
        "hard-link": "tells the canary",
        "sparse": "ends with a traceback",
    }
    assert all("MemoryError" in fault for fault in trial.faults if fault.startswith(("endless", "sparse")))
