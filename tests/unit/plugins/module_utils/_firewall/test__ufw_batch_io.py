# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many commands of ufw in one process, with packages that look like ufw's, and like those of another version."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw_batch_io

UTIL = """
log = []
def create_lock(path): log.append("lock"); return "lock"
def release_lock(lock): log.append("unlock")
"""
FRONTEND = """
import os, sys
from types import SimpleNamespace
from ufw.util import log

class Backend:
    def {reload}(self):
        log.append("load")
        {fault}

class UFWFrontend:
    def __init__(self, dry):
        # As ufw does: it looks who may write to the program that it believes to be its own.
        os.stat(sys.argv[0])
        self.backend = Backend()
    def do_action(self, action, rule, kind, force):
        print("Rule added")
        if rule == "bad":
            raise SystemExit("ERROR: bad rule")
        log.append(rule)
        self.backend.{reload}()

def parse_command(words):
    return SimpleNamespace(action="allow", data={{"rule": words[-1], "iptype": "both"}})
"""


@pytest.fixture(autouse=True)
def no_other_ufw(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "ufw"]:
            del sys.modules[name]

    forget()
    yield
    forget()


def make(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reload: str = "_reload_user_rules", fault: str = "pass"
) -> None:
    package = folder / "ufw"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "util.py").write_text(UTIL, encoding="utf-8")
    (package / "frontend.py").write_text(FRONTEND.format(reload=reload, fault=fault), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))


def log() -> list[str]:
    return list(sys.modules["ufw.util"].log)


UFW = "/bin/sh"
COMMANDS = [("allow", "a"), ("allow", "b")]


def test_rules_are_loaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, monkeypatch)
    # The program of a module is in an archive.
    monkeypatch.setattr(sys, "argv", ["/tmp/payload.zip/plugins/modules/ufw_peers.py"])
    assert _ufw_batch_io.run(UFW, COMMANDS) == ""
    assert sys.argv == ["/tmp/payload.zip/plugins/modules/ufw_peers.py"]
    assert log() == ["lock", "a", "b", "load", "unlock"]
    assert capsys.readouterr().out == ""


def test_a_ufw_of_another_inside_is_left_alone_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, monkeypatch, reload="_load_rules")
    assert "_reload_user_rules" in _ufw_batch_io.run(UFW, COMMANDS)
    assert log() == ["lock", "unlock"]


def test_what_was_done_before_an_error_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, monkeypatch)
    assert _ufw_batch_io.run(UFW, [("allow", "a"), ("allow", "bad"), ("allow", "b")]) == "SystemExit: ERROR: bad rule"
    assert log() == ["lock", "a", "load", "unlock"]


def test_rules_that_can_not_be_loaded_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, monkeypatch, fault="raise OSError('iptables-restore failed')")
    assert _ufw_batch_io.run(UFW, COMMANDS) == "OSError: iptables-restore failed"
    assert log() == ["lock", "a", "b", "load", "unlock"]


def test_without_ufws_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert _ufw_batch_io.run(UFW, COMMANDS).startswith("ModuleNotFoundError: No module named 'ufw'")
