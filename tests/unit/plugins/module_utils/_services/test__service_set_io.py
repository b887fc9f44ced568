# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How files become as wanted, and in which order services are driven."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _service_set_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running, Service
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import Entry, Verdict
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._systemd_io import Systemd
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.module_utils._services.fake_module import Failed, Module


def tree(held: set[str] | None = None, check_mode: bool = False) -> _service_set_io.Tree:
    module: Any = Module(check_mode)
    return _service_set_io.Tree(module, held or set())


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def entry(path: Path, content: str = "new\n", wanted: str | None = "0640") -> Entry:
    attributes: Entry = {"owner": None, "group": None, "mode": wanted, "format": "text", "public": []}
    return {"path": str(path), "content": content, **attributes}


def test_a_file_is_made_and_then_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first, second = tree(), tree()
    first.file(entry(path))
    second.file(entry(path))
    assert (path.read_text(), mode(path)) == ("new\n", "0640")
    assert first.changed == [str(path)]
    assert first.diff == [{"before_header": str(path), "after_header": str(path), "before": "", "after": "new\n"}]
    assert (second.changed, second.diff) == ([], [])
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_without_a_mode_can_be_read_by_everybody(tmp_path: Path) -> None:
    tree().file(entry(tmp_path / "a", wanted=None))
    assert mode(tmp_path / "a") == "0644"


def test_an_edited_file_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("edited\n")
    path.chmod(0o640)
    it = tree()
    it.file(entry(path))
    assert path.read_text() == "new\n"
    assert (it.diff[0]["before"], it.diff[0]["after"]) == ("edited\n", "new\n")


def test_a_mode_alone_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("new\n")
    path.chmod(0o666)
    it = tree()
    it.file(entry(path))
    ids = f"owner {os.getuid()} group {path.stat().st_gid}"
    assert mode(path) == "0640"
    assert it.changed == [str(path)]
    assert (it.diff[0]["before"], it.diff[0]["after"]) == (f"{ids} mode 0666\n", f"{ids} mode 0640\n")


def test_a_secret_is_in_no_diff_and_never_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, modes = tmp_path / "key", []
    replace = os.replace

    def watched(source: str, target: str, **places: int) -> None:
        modes.append(mode(tmp_path / source))
        replace(source, target, **places)
        modes.append(mode(tmp_path / target))

    monkeypatch.setattr(os, "replace", watched)
    it = tree()
    it.file(entry(path, "s3cret", "0400"), secret=True)
    assert modes == ["0400", "0400"]
    assert "s3cret" not in str(it.diff)
    assert it.changed == [str(path)]


def test_check_mode_tells_and_touches_nothing(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("old\n")
    it = tree(check_mode=True)
    it.directory({"path": str(tmp_path / "d"), "mode": "0700"})
    it.file(entry(tmp_path / "d" / "a"))
    it.file(entry(old))
    it.link({"path": str(tmp_path / "l"), "target": "old"})
    it.absent(str(old))
    assert it.changed == [str(tmp_path / "d"), str(tmp_path / "d" / "a"), str(old), str(tmp_path / "l"), str(old)]
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert old.read_text() == "old\n"


def test_what_is_held_stays(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_text("as it runs\n")
    link.symlink_to("old")
    it = tree(held={str(kept), str(link)})
    it.file(entry(kept))
    it.link({"path": str(link), "target": "new"})
    it.absent(str(kept))
    assert (it.changed, kept.read_text(), os.readlink(link)) == ([], "as it runs\n", "old")


def test_directories_are_open_whatever_the_umask_is(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        it = tree()
        it.directory({"path": str(tmp_path / "a" / "b"), "mode": "0750"})
    finally:
        os.umask(umask)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == ("0755", "0750")
    assert it.changed == [str(tmp_path / "a" / "b")]


def test_a_directory_that_is_a_link_to_one_is_judged_by_that_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o750)
    (tmp_path / "state").symlink_to("disk")
    it = tree()
    it.directory({"path": str(tmp_path / "state"), "mode": "0750"})
    assert it.changed == []


def test_a_link_is_made_turned_and_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "current"
    changed = []
    for target in ("one", "two", "two"):
        it = tree()
        it.link({"path": str(link), "target": target})
        changed.append(it.changed)
    assert os.readlink(link) == "two"
    assert changed == [[str(link)], [str(link)], []]


def test_a_link_leaves_what_it_led_to_to_another(tmp_path: Path) -> None:
    link, former = tmp_path / "current", tmp_path / "previous"
    led = []
    for target in ("/r/one", "/r/two", "/r/two", "/opt", "/r/three", "/r/two", "/r/one"):
        it = tree()
        it.link({"path": str(link), "target": target, "former": str(former)})
        led.append(os.readlink(former) if former.is_symlink() else "")
    # Somebody's link to elsewhere is nothing to go back to.
    assert led == ["", "/r/one", "/r/one", "/r/one", "/r/one", "/r/three", "/r/two"]


def test_an_account_that_is_missing_is_an_error_with_its_path(tmp_path: Path) -> None:
    wanted: Entry = {**entry(tmp_path / "a"), "owner": "no-such-user"}
    with pytest.raises(Failed, match=r"/a: .*no-such-user.* Name an account that exists\."):
        tree().file(wanted)
    it = tree(check_mode=True)
    it.file(wanted)
    assert it.changed == [str(tmp_path / "a")]


NODE = "vllm-ray-node@default"


def service(path: Path, state: str = "started") -> Service:
    return Service(NODE, str(path), "[Unit]\n", "/nowhere", (str(path),), state=state)


def drive(
    path: Path,
    running: Running,
    verdict: Verdict,
    state: str = "started",
    check_mode: bool = False,
    wrote: bool = False,
) -> tuple[list[str], list[str]]:
    """Return what act() says was done, and the commands."""
    module: Any = Module(check_mode)
    it = _service_set_io.Tree(module, {str(path)} if verdict.action == "hold" else set())
    it.changed += [str(path)] if wrote else []
    manager = Systemd(module)
    done = _service_set_io.act(manager, it, [service(path, state)], {NODE: running}, {NODE: verdict})
    return done, module.commands


UP = Running(active=True, enabled=True, exists=True, state="active")
START = [f"systemctl reset-failed {NODE}.service", f"systemctl restart {NODE}.service"]


@pytest.mark.parametrize(
    ("running", "verdict", "wrote", "done", "commands"),
    [
        pytest.param(UP, Verdict("none"), False, [], [], id="nothing"),
        pytest.param(UP, Verdict("none"), True, [], ["systemctl daemon-reload"], id="unit-mended-while-it-runs"),
        pytest.param(UP, Verdict("hold", ["x"]), False, [], [], id="held"),
        pytest.param(UP, Verdict("restart", ["x"]), False, [f"restart {NODE}"], START, id="restart"),
        pytest.param(
            Running(),
            Verdict("start"),
            True,
            [f"enable {NODE}", f"start {NODE}"],
            ["systemctl daemon-reload", f"systemctl enable {NODE}.service", *START],
            id="first-start",
        ),
        pytest.param(
            Running(active=True, reload_needed=True),
            Verdict("none"),
            False,
            [f"enable {NODE}"],
            ["systemctl daemon-reload", f"systemctl enable {NODE}.service"],
            id="disabled-by-hand",
        ),
    ],
)
def test_services_are_driven(
    tmp_path: Path, running: Running, verdict: Verdict, wrote: bool, done: list[str], commands: list[str]
) -> None:
    assert drive(tmp_path / "unit", running, verdict, wrote=wrote) == (done, commands)
    assert drive(tmp_path / "unit", running, verdict, wrote=wrote, check_mode=True) == (done, [])


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("name", "commands"), [("a.service.d", ["systemctl daemon-reload"]), ("a.conf.d", []), ("a.service", [])]
)
def test_a_drop_in_counts_without_a_restart(tmp_path: Path, name: str, commands: list[str], alone: bool) -> None:
    """alone: written by a task that keeps no service."""
    module: Any = Module()
    it = _service_set_io.Tree(module, set())
    it.changed += [str(tmp_path / name / "network.conf")]
    manager, services = Systemd(module), [] if alone else [service(tmp_path / "a.service")]
    assert _service_set_io.act(manager, it, services, {NODE: UP}, {NODE: Verdict("none")}) == []
    assert module.commands == commands


def test_a_service_goes(tmp_path: Path) -> None:
    path = tmp_path / "unit"
    path.write_text("[Unit]\n")
    assert drive(path, UP, Verdict("stop", ["x"]), state="absent") == (
        [f"stop {NODE}", f"disable {NODE}"],
        [
            *(f"systemctl {verb} {NODE}.service" for verb in ("stop", "reset-failed", "disable")),
            "systemctl daemon-reload",
        ],
    )
    assert not path.exists()


def test_a_timer_is_driven_by_its_own_name(tmp_path: Path) -> None:
    timer = "vllm-ray-watch@default.timer"
    module: Any = Module()
    kept = Service(timer, str(tmp_path / timer), "[Timer]\n", "/nowhere", ())
    it = _service_set_io.Tree(module, set())
    done = _service_set_io.act(Systemd(module), it, [kept], {timer: Running()}, {timer: Verdict("start")})
    assert done == [f"enable {timer}", f"start {timer}"]
    assert module.commands == [f"systemctl {verb} {timer}" for verb in ("enable", "reset-failed", "restart")]


def test_a_service_that_should_go_and_is_held_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "unit"
    path.write_text("[Unit]\n")
    assert drive(path, UP, Verdict("hold", ["x"]), state="absent") == ([], [])
    assert path.exists()


def test_a_directory_at_the_place_of_a_file_is_an_error_in_check_mode_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for check in (False, True):
        for change in (
            lambda it: it.file(entry(tmp_path / "a")),
            lambda it: it.link({"path": str(tmp_path / "a"), "target": "b"}),
            lambda it: it.absent(str(tmp_path / "a")),
        ):
            with pytest.raises(_unsafe.Unsafe, match="a is a directory; expected a"):
                change(tree(check_mode=check))


def test_what_is_no_directory_is_an_error_in_check_mode_too(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for check in (False, True):
        with pytest.raises(_unsafe.Unsafe, match="a is a file; expected a directory"):
            tree(check_mode=check).directory({"path": str(tmp_path / "a" / "b"), "mode": "0755"})
