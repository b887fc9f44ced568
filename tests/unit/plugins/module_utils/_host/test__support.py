# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of logs goes into a support bundle. The logs are captured ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _support

UNIT = "vllm-ray-serve@default-main.service"


def lines(fixtures: Path, name: str) -> list[str]:
    return (fixtures / name).read_text(encoding="utf-8").splitlines()


def test_the_end_of_a_file_begins_with_a_whole_line() -> None:
    data = b"token=first\nsecond\nthird\n"
    assert _support.whole_lines(data, 0) == data.decode()
    assert _support.whole_lines(data[9:], 9) == "[9 bytes and the rest of a line are left out]\nsecond\nthird\n"
    assert "en" not in _support.whole_lines(b"en", 9).partition("\n")[2]


def test_bytes_that_are_no_text_do_not_matter() -> None:
    assert _support.whole_lines(b"a\xff\n", 0) == "a\ufffd\n"


def test_a_journal_begins_with_the_start_before_the_last(fixtures: Path) -> None:
    # Two starts by somebody: with PP=2, and with PP=3 after a stop.
    journal = lines(fixtures, "vllm/restarted.log")
    begins = [number for number, line in enumerate(journal) if line.startswith(f"Started {UNIT}")]
    assert len(begins) == 2
    assert _support.last_starts(journal, UNIT) == journal
    assert _support.last_starts(journal, UNIT, 1) == journal[begins[1] :]


def test_a_restart_by_itself_belongs_to_the_start_before(fixtures: Path) -> None:
    journal = lines(fixtures, "systemctl/journal")
    assert _support.last_starts(journal, UNIT, 1) == journal


def test_lines_may_begin_with_a_time(fixtures: Path) -> None:
    journal = lines(fixtures, "systemctl/journal_short_iso")
    unit = "vllm-ray-node@test.service"
    found = _support.last_starts(journal, unit)
    assert len([line for line in journal if f": Started {unit}" in line]) == 6
    assert len([line for line in found if f": Started {unit}" in line]) == 4
    assert "echo start 2" in found[0]
    assert found == journal[-len(found) :]


def test_nothing_of_a_unit() -> None:
    assert _support.last_starts([], UNIT) == []


def test_logs_that_tell_most_come_first() -> None:
    names = ["events/event_GCS.log", "dashboard.log", "worker-1-2.err", "gcs_server.out", "raylet.out", "raylet.err"]
    wanted = ["raylet.err", "raylet.out", "gcs_server.out", "worker-1-2.err", "dashboard.log", "events/event_GCS.log"]
    assert sorted(names, key=_support.ray_order) == wanted


@pytest.mark.parametrize(("name", "count"), [("fallen_off", 5), ("boot", 2), ("xid", 3), ("oom", 2)])
def test_what_the_kernel_says_of_gpus_and_links(fixtures: Path, name: str, count: int) -> None:
    text = (fixtures / "kernel" / name).read_text(encoding="utf-8")
    found = _support.kernel_lines(text).splitlines()
    assert len(found) == count
    assert not [line for line in found if "systemd" in line or "EXT4" in line]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nccl_socket.log", "NET/Socket"),
        ("nccl_ib.log", "NET/IB"),
        ("nccl_p2p.log", "via P2P"),
        ("nccl_no_nic.log", "NCCL WARN"),
    ],
)
def test_what_nccl_says_of_its_transports(fixtures: Path, name: str, words: str) -> None:
    text = (fixtures / "collective" / name).read_text(encoding="utf-8")
    found = _support.nccl_lines("serve.log", text)
    assert words in "\n".join(found)
    assert "COLLECTIVE" not in "\n".join(found)
    assert all(line.startswith("serve.log: ") for line in found)


def test_only_the_last_lines_of_nccl() -> None:
    text = "".join(f"NCCL INFO Channel {number} via NET/Socket\n" for number in range(1000))
    found = _support.nccl_lines("serve.log", text)
    assert len(found) == _support.NCCL_LINES
    assert "Channel 999 " in found[-1]


@pytest.mark.parametrize("name", ["config/node.env", "ray/session_2026-01-01_1/a/worker-0f:1.out", "units/a@b.service"])
def test_plain_names_may_be_in_a_bundle(name: str) -> None:
    assert _support.MEMBER.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "/a", "a//b", ".a", "a\n", "a\x1b[2J", "a b", "", "a/" * 20 + "a", "x" * 201, "\xe9"]
)
def test_no_other_name_may(name: str) -> None:
    assert not _support.MEMBER.fullmatch(name)


def test_texts() -> None:
    assert _support.environment({"A": "b c"}) == "A='b c'\n"
    assert _support.release_text("/r", "3.11.2", {"b": "2", "a": "1"}) == "/r\nPython 3.11.2\na==1\nb==2\n"
    assert _support.missing_text([]) == "nothing\n"
    assert _support.missing_text(["a: gone"]) == "a: gone\n"
