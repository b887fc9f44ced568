# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Account, Unsafe

NOBODY = Account()


def test_a_file_is_read_and_written(tmp_path: Path) -> None:
    _safe_io.write_file(str(tmp_path / "a"), b"text\xff", 0o640, sync=True)
    assert _safe_io.read_bytes(str(tmp_path / "a")) == b"text\xff"
    assert _safe_io.read_text(str(tmp_path / "a")) == "text\udcff"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert _safe_io.read_text(str(tmp_path / "none" / "a")) is None
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_links_in_a_directory_of_our_own_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a").write_text("text")
    (tmp_path / "link").symlink_to("real/deep/../deep")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    assert _safe_io.read_text(str(tmp_path / "absolute" / "a")) == "text"
    with _safe_io.open_directory(str(tmp_path / "absolute")) as directory:
        assert directory.path == str(tmp_path / "real" / "deep")


def test_the_last_name_is_a_link_of_our_own_or_refused(tmp_path: Path, shared: Path, canary: Path) -> None:
    (tmp_path / "link").symlink_to(canary)
    assert _safe_io.read_text(str(tmp_path / "link")) == "canary"
    (shared / "link").symlink_to(canary)
    expected = f"link is a symbolic link to {canary}; expected a file. To fix it, move it away: mv -T "
    with pytest.raises(Unsafe, match=expected):
        _safe_io.read_text(str(shared / "link"))
    (tmp_path / "hop").symlink_to("shared/link")
    with pytest.raises(Unsafe, match=expected):
        _safe_io.read_text(str(tmp_path / "hop"))


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_links_in_exposed_directories_are_refused(shared: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").write_text("text")
    folder = Path(f"{shared}{below}")
    folder.mkdir(exist_ok=True)
    (folder / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(Unsafe, match=r"link is a symbolic link to .*victim; expected a directory"):
        _safe_io.read_text(str(folder / "link" / "a"))
    with pytest.raises(Unsafe):
        _safe_io.open_directory(str(folder / "link"), make=0o755)
    with pytest.raises(Unsafe), _safe_io.parent_of(str(folder / "link" / "new")):
        pass


def test_links_of_a_loop_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(Unsafe, match="a loop of links"):
        _safe_io.read_text(str(tmp_path / "a" / "x"))


def test_what_is_no_regular_file_is_refused_at_once(shared: Path) -> None:
    os.mkfifo(shared / "fifo")
    (shared / "folder").mkdir()
    with pytest.raises(Unsafe, match="fifo is a FIFO; expected a file"):
        _safe_io.read_text(str(shared / "fifo"))
    with pytest.raises(Unsafe, match="folder is a directory; expected a file"):
        _safe_io.read_text(str(shared / "folder"))
    with pytest.raises(Unsafe, match="fifo is a FIFO"), _safe_io.parent_of(str(shared / "fifo")) as (folder, name):
        folder.open(name, os.O_WRONLY)


def test_a_huge_sparse_file_costs_nothing(shared: Path) -> None:
    with (shared / "huge").open("wb") as stream:
        stream.truncate(1 << 42)
    with pytest.raises(Unsafe, match="more than 1048576 bytes"):
        _safe_io.read_text(str(shared / "huge"))
    end, left_out = _safe_io.read_end(str(shared / "huge"), 10)
    assert (end, left_out) == (b"\0" * 10, (1 << 42) - 10)


def test_a_hard_link_to_what_is_ours_is_refused(shared: Path, canary: Path) -> None:
    os.link(canary, shared / "hard")
    with pytest.raises(Unsafe, match="2 names"):
        _safe_io.read_text(str(shared / "hard"))
    with _safe_io.open_directory(str(shared)) as folder, pytest.raises(Unsafe, match="names"):
        folder.own_file("hard", mode=0o644)
    assert stat.S_IMODE(canary.stat().st_mode) == 0o600


def test_a_written_file_takes_the_place_of_a_link_and_not_of_its_target(shared: Path, canary: Path) -> None:
    (shared / "link").symlink_to(canary)
    _safe_io.write_file(str(shared / "link"), b"ours")
    assert (shared / "link").read_text() == "ours"
    assert not (shared / "link").is_symlink()
    assert canary.read_text() == "canary"


def test_directories_are_made_with_their_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with _safe_io.open_directory(str(tmp_path / "a" / "b"), make=0o755) as folder:
            assert folder.path == str(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    (tmp_path / "a").chmod(0o700)
    _safe_io.open_directory(str(tmp_path / "a" / "b"), make=0o755).close()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_a_swap_of_directory_and_link_never_leads_away(shared: Path, tmp_path: Path) -> None:
    victim, place = tmp_path / "victim", shared / "place"
    victim.mkdir()
    place.mkdir()
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(place, shared / "aside")
            os.symlink(victim, place)
            os.unlink(place)
            os.rename(shared / "aside", place)

    thread = threading.Thread(target=swap)
    thread.start()
    written = refused = 0
    try:
        end = time.monotonic() + 20
        while (written < 20 or refused < 20) and time.monotonic() < end:
            try:
                with _safe_io.open_directory(str(place)) as folder:
                    folder.write("a", b"text")
                    folder.own(mode=0o750)
                    written += 1
            except (Unsafe, FileNotFoundError):
                refused += 1
    finally:
        done.set()
        thread.join()
    assert written and refused
    assert list(victim.iterdir()) == []
    assert stat.S_IMODE(victim.stat().st_mode) != 0o750


def opened(path: Path, account: Account = NOBODY, inside: tuple[Path, ...] = ()) -> bytes:
    with os.fdopen(_safe_io.open_as(str(path), account, [str(root) for root in inside]), "rb") as stream:
        return stream.read()


def test_a_link_leads_to_what_the_reader_may_read_itself(shared: Path, tmp_path: Path, canary: Path) -> None:
    (shared / "link").symlink_to(canary)
    with pytest.raises(Unsafe, match=r"link is a link to .*canary, which the service user could not read itself"):
        opened(shared / "link")
    (shared / "passwd").symlink_to("/etc/passwd")
    assert b"root" in opened(shared / "passwd")
    (shared / "hop").symlink_to("link")
    with pytest.raises(Unsafe, match="could not read"):
        opened(shared / "hop")
    canary.chmod(0o644)
    tmp_path.chmod(0o700)
    with pytest.raises(Unsafe, match="could not read"):
        opened(shared / "link")


def test_a_link_that_stays_inside_is_followed(shared: Path) -> None:
    (shared / "blobs").mkdir()
    (shared / "blobs" / "1").write_text("weights")
    (shared / "blobs" / "1").chmod(0o600)
    (shared / "snapshot").mkdir()
    (shared / "snapshot" / "model").symlink_to("../blobs/1")
    assert opened(shared / "snapshot" / "model", inside=(shared,)) == b"weights"
    with pytest.raises(Unsafe):
        opened(shared / "snapshot" / "model", inside=(shared / "snapshot",))


def test_our_own_links_lead_anywhere(tmp_path: Path, canary: Path) -> None:
    (tmp_path / "link").symlink_to(canary)
    assert opened(tmp_path / "link") == b"canary"


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/../etc/passwd", "proc/self/stat"])
def test_kernel_files_are_those_of_the_kernel(path: str) -> None:
    with pytest.raises(Unsafe):
        _safe_io.read_kernel(path)
    assert (_safe_io.read_kernel("/proc/self/stat") or "").startswith(str(os.getpid()))
    assert _safe_io.read_kernel("/proc/none") is None
    # The kernel refuses to be asked for more than 4 MiB of a setting.
    assert (_safe_io.read_kernel("/proc/sys/kernel/ostype") or "").strip() == "Linux"


def test_a_name_that_a_terminal_would_obey_is_shown_and_not_sent(shared: Path) -> None:
    (shared / "a\n\x1b[2J").symlink_to("\x1b]0;" + "x" * 4000)
    with pytest.raises(Unsafe) as error:
        _safe_io.read_text(str(shared / "a\n\x1b[2J"))
    assert str(error.value).isprintable()
    assert r"a\n\x1b[2J is a symbolic link to \x1b]0;xxx" in str(error.value)
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("\xff", "not UTF-8 text"),
        ('{"a": ' + "9" * 5000 + "}", "too many digits"),
    ],
)
def test_what_is_no_json_of_the_kind_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a").write_bytes(text.encode("latin-1"))
    with pytest.raises(Unsafe, match=rf"a is a file whose content can't be used \(.*{why}.*\); expected a JSON object"):
        _safe_io.read_json(str(tmp_path / "a"), dict)


def test_json_is_read(tmp_path: Path) -> None:
    assert _safe_io.read_json(str(tmp_path / "a"), dict) is None
    (tmp_path / "a").write_text("\n")
    assert _safe_io.read_json(str(tmp_path / "a"), dict) is None
    (tmp_path / "a").write_text('{"a": [1]}')
    assert _safe_io.read_json(str(tmp_path / "a"), dict) == {"a": [1]}


def test_what_is_below_is_found_and_no_link_leads_on(shared: Path, tmp_path: Path) -> None:
    for name in ("session_1", "session_2", "other"):
        (shared / name / "sockets").mkdir(parents=True)
        (shared / name / "sockets" / "a").touch()
    (shared / "session_2" / "sockets" / ".hidden").touch()
    (shared / "session_3").symlink_to(tmp_path / "shared" / "other")
    found = [directory.at(name) for directory, name in _safe_io.find(str(shared), "session_*", "sockets", "*")]
    assert found == [f"{shared}/session_{number}/sockets/a" for number in (1, 2)]
    assert [name for _folder, name in _safe_io.find(str(shared), "session_*")] == [
        "session_1",
        "session_2",
        "session_3",
    ]
    assert list(_safe_io.find(str(shared / "none"), "*")) == []
    (tmp_path / "link").symlink_to("shared")
    assert len(list(_safe_io.find(str(tmp_path), "link", "session_1", "sockets", "*"))) == 1


def test_all_that_is_below_is_walked_through(shared: Path, tmp_path: Path) -> None:
    (shared / "a" / "b").mkdir(parents=True)
    for name in ("1", "a/2", "a/b/3"):
        (shared / name).touch()
    (shared / "a" / "out").symlink_to(tmp_path)
    (tmp_path / "victim").touch()
    found = [directory.at(name).removeprefix(f"{shared}/") for directory, name in _safe_io.walk(str(shared))]
    assert sorted(found) == ["1", "a/2", "a/b/3", "a/out"]
    assert len(list(_safe_io.walk(str(shared), most=2))) == 1
    with pytest.raises(FileNotFoundError):
        next(_safe_io.walk(str(shared / "none")))


def test_depth_ends_a_walk(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (_safe_io.DEPTH_MAXIMUM + 5))
    deep.mkdir(parents=True)
    (deep / "a").touch()
    (tmp_path / "b").touch()
    assert [name for _directory, name in _safe_io.walk(str(tmp_path))] == ["b"]


def test_a_directory_is_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(Unsafe, match="a is a directory; expected a file or a link"):
        _safe_io.write_file(str(tmp_path / "a"), b"text")
    with pytest.raises(Unsafe, match="a is a directory"), _safe_io.open_directory(str(tmp_path)) as folder:
        folder.link("a", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_paths_are_renamed_and_removed(tmp_path: Path) -> None:
    _safe_io.make_directories(str(tmp_path / "a" / "b"))
    _safe_io.rename(str(tmp_path / "a"), str(tmp_path / "c"))
    assert (tmp_path / "c" / "b").is_dir()
    assert _safe_io.remove(str(tmp_path / "c"))
    assert not _safe_io.remove(str(tmp_path / "c"))
    assert not _safe_io.remove(str(tmp_path / "none" / "c"))


def test_a_directory_is_opened_for_an_account_that_could_list_it(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "closed").mkdir(mode=0o700)
    (shared / "good").symlink_to(tmp_path / "open")
    (shared / "bad").symlink_to(tmp_path / "closed")
    with pytest.raises(Unsafe, match="good is a symbolic link"):
        _safe_io.open_directory(str(shared / "good"))
    with pytest.raises(Unsafe, match=r"bad is a link to .*closed; expected a directory that the service user can list"):
        _safe_io.open_directory(str(shared / "bad"), account=NOBODY)


class Module:
    """As much of a module as is needed to end it."""

    msg = ""

    def fail_json(self, msg: str) -> None:
        self.msg = msg


def test_a_module_ends_with_one_sentence(tmp_path: Path) -> None:
    module: Any = Module()
    os.mkfifo(tmp_path / "fifo")
    with _safe_io.reported(module):
        _safe_io.read_text(str(tmp_path / "fifo"))
    path = tmp_path / "fifo"
    assert module.msg == f"{path} is a FIFO; expected a file. To fix it, move it away: mv -T {path} {path}.aside"
    with _safe_io.reported(module):
        _safe_io.read_bytes(str(tmp_path / "none"))
    assert module.msg == f"{tmp_path}/none: No such file or directory"


def test_trees_that_only_root_may_change_are_read_without_a_look_above(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    os.link(tmp_path / "a", tmp_path / "b")
    with _safe_io.open_plain(str(tmp_path / "b")) as stream:
        assert stream.read() == b"text"
    _safe_io.set_mode(str(tmp_path / "b"), 0o640)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    for name, found in (("link", "a symbolic link"), ("fifo", "a FIFO")):
        with pytest.raises(Unsafe, match=found):
            _safe_io.open_plain(str(tmp_path / name))
    with pytest.raises(Unsafe, match="a symbolic link"):
        _safe_io.set_mode(str(tmp_path / "link"), 0o600)


def test_a_new_file_takes_the_place_of_a_link(shared: Path, canary: Path) -> None:
    (shared / "a").symlink_to(canary)
    with _safe_io.create(str(shared / "a")) as stream:
        stream.write(b"ours")
    assert (canary.read_text(), (shared / "a").read_text(), (shared / "a").is_symlink()) == ("canary", "ours", False)
    _safe_io.link(str(shared / "a"), "b")
    assert os.readlink(shared / "a") == "b"
    (shared / "lock").symlink_to(canary)
    with pytest.raises(Unsafe, match="a symbolic link"):
        _safe_io.open_lock(str(shared / "lock"))
    with _safe_io.open_lock(str(shared / "other")) as stream:
        assert stat.S_IMODE((shared / "other").stat().st_mode) == 0o600
