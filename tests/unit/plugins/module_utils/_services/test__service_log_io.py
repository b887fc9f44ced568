# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a service was started, and the log of which starts counts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._vllm import first_failure
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _service_log_io

NAME = "vllm-ray-serve@default-main"


def start(number: int, *lines: str) -> list[str]:
    return [f"Start of {NAME}", *lines, f"ValueError: of start {number}"]


class Module:
    """Answers systemctl and journalctl; notes how many lines were asked for."""

    def __init__(self, restarts: int, lines: list[str]) -> None:
        self.restarts, self.lines = restarts, lines
        self.asked = 0

    def run_command(self, argv: list[str], check_rc: bool = False) -> tuple[int, str, str]:
        if argv[0] == "systemctl":
            return 0, f"ActiveState=activating\nNRestarts={self.restarts}\n", ""
        self.asked = next(int(word.partition("=")[2]) for word in argv if word.startswith("--lines="))
        return 0, "\n".join(self.lines[-self.asked :]), ""


def test_the_first_start_of_a_unit_that_restarts_by_itself_is_found() -> None:
    lines = [f"Started {NAME}.service - vLLM."]
    for number in range(20):
        lines += start(number, *["INFO line"] * 100)
        lines += [
            f"{NAME}.service: Scheduled restart job, restart counter is at {number + 1}.",
            f"Started {NAME}.service",
        ]
    module: Any = Module(20, lines)
    log = _service_log_io.read(module, NAME, None, 400)
    assert (log.state, log.restarts) == ("activating", 20)
    assert first_failure(log.parts) == "ValueError: of start 0"
    # A wait that began after the fifth restart needs no older ones.
    assert first_failure(_service_log_io.read(module, NAME, None, 400, since=18).parts) == "ValueError: of start 18"


def test_a_unit_that_was_never_restarted_costs_few_lines() -> None:
    module: Any = Module(0, [f"Started {NAME}.service", *start(0)])
    _service_log_io.read(module, NAME, None, 400)
    assert module.asked == 400


def supervised(folder: Path, starts: int, lines: list[str]) -> str:
    (folder / "serve-main.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "serve-main.starts").write_text("." * starts, encoding="utf-8")
    return str(folder / "serve-main.log")


def test_a_crash_under_supervisor_is_counted_whatever_the_log_still_has(tmp_path: Path) -> None:
    """Three starts were there, a long load pushed their marks out of the end of the log, and then it crashed."""
    module: Any = None
    long_load = ["INFO loading"] * 3000
    before = supervised(tmp_path, 3, long_load)
    begun = _service_log_io.read(module, NAME, before, 400)
    after = supervised(tmp_path, 4, [*long_load, "ValueError: no memory", *start(4)[:1]])
    log = _service_log_io.read(module, NAME, after, 400, since=begun.restarts)
    assert (begun.restarts, log.restarts) == (3, 4)
    assert first_failure(log.parts) == "ValueError: no memory"


def test_errors_of_starts_before_the_wait_are_left_out(tmp_path: Path) -> None:
    module: Any = None
    path = supervised(tmp_path, 6, [line for number in range(1, 7) for line in start(number)])
    assert first_failure(_service_log_io.read(module, NAME, path, 400, since=5).parts) == "ValueError: of start 5"
    # Nobody waits: the last start that has an error.
    assert first_failure(_service_log_io.read(module, NAME, path, 400).parts) == "ValueError: of start 6"
    fresh = supervised(tmp_path, 7, [*start(6), f"Start of {NAME}", "INFO ok"])
    assert first_failure(_service_log_io.read(module, NAME, fresh, 400).parts) == "ValueError: of start 6"


def test_no_log_at_all(tmp_path: Path) -> None:
    module: Any = None
    assert _service_log_io.read(module, NAME, str(tmp_path / "none.log"), 400) == ("unknown", 0, [[]])


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert _service_log_io.read_tail(str(path), 2) == ["line 998", "line 999"]
    assert _service_log_io.read_tail(str(tmp_path / "none"), 2) == []


def test_lines_of_a_log_are_found_however_long_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"KV cache {number}\nother\n" for number in range(100)) + "x" * 9000 + "KV cache y")
    monkeypatch.setattr(_service_log_io, "SEARCHED", 9500)
    found = _service_log_io.lines_with(str(path), "KV cache", 3)
    assert found[:2] == ["KV cache 98", "KV cache 99"]
    assert len(found[2]) <= _service_log_io.LONGEST_LINE
    assert _service_log_io.lines_with(str(tmp_path / "none"), "KV cache") == []
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(_unsafe.Unsafe, match="fifo is a FIFO"):
        _service_log_io.lines_with(str(tmp_path / "fifo"), "KV cache")
    with pytest.raises(_unsafe.Unsafe, match="fifo is a FIFO"):
        _service_log_io.read_tail(str(tmp_path / "fifo"), 1)
