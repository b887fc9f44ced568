# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine's answers and its log show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _vllm

UNIT = "vllm-ray-serve@default-main.service"
ANSWER = "An Ansible collection that runs vLLM on Ray across your hosts."
REASONING = {"choices": [{"message": {"content": None, "reasoning": "Let me see."}}]}
OLD_REASONING = {"choices": [{"message": {"content": "", "reasoning_content": "Let me see."}}]}


def log(fixtures: Path, name: str) -> list[str]:
    return (fixtures / "vllm" / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("expect", "ok", "why"),
    [
        pytest.param(None, True, "", id="any-text"),
        pytest.param(ANSWER, True, "", id="the-text"),
        pytest.param("Yes.", False, f"the answer is {ANSWER!r} and 'Yes.' is expected", id="another-text"),
    ],
)
def test_a_completion(fixtures: Path, expect: str | None, ok: bool, why: str) -> None:
    answer = json.loads((fixtures / "vllm" / "completion.json").read_text(encoding="utf-8"))
    assert _vllm.judge(answer, expect) == _vllm.Answer(ok, ANSWER, why)


@pytest.mark.parametrize(
    ("answer", "expect", "ok", "text"),
    [
        pytest.param(REASONING, None, True, "Let me see.", id="reasoning-counts"),
        pytest.param(OLD_REASONING, None, True, "Let me see.", id="reasoning-by-its-old-name"),
        pytest.param(REASONING, "Yes.", False, "", id="reasoning-is-not-the-expected-text"),
        pytest.param({"choices": [{"message": {"content": ""}}]}, None, False, "", id="empty"),
        pytest.param({"choices": []}, None, False, "", id="no-choice"),
        pytest.param({}, None, False, "", id="nothing"),
    ],
)
def test_answers_of_other_forms(answer: dict[str, Any], expect: str | None, ok: bool, text: str) -> None:
    judged = _vllm.judge(answer, expect)
    assert (judged.ok, judged.text) == (ok, text)
    assert bool(judged.why) is not ok


def test_a_request_names_the_model_but_for_one_that_does() -> None:
    assert _vllm.completion_request({"max_tokens": 1}, "demo") == {"model": "demo", "max_tokens": 1}
    assert _vllm.completion_request({"model": "other"}, "demo") == {"model": "other"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("bad_option.log", "vllm: error: unrecognized arguments: --max-model-length 512", id="option"),
        pytest.param(
            "no_model.log",
            "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
            "'namespace/repo_name': '/srv/nothing-here'. Use `repo_type` argument if needed.",
            id="model-missing",
        ),
        pytest.param(
            "rank_memory.log",
            "(RayWorkerProc pid=19527) (Worker_PP0 pid=19527) ValueError: Available memory on node 0 (8.85/16.84 GiB) "
            "on kv cache allocation is less than requested memory for kv (100000.0 GiB). Decrease "
            "--kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE, or reduce CPU memory used by other processes.",
            id="a-rank-fails",
        ),
    ],
)
def test_the_first_error(fixtures: Path, name: str, error: str) -> None:
    assert _vllm.first_error(log(fixtures, name)) == error


def test_the_first_error_tells_what_did_not_validate(fixtures: Path) -> None:
    error = _vllm.first_error(log(fixtures, "bad_size.log"))
    assert error.startswith(
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig: Value error, "
        "Total number of attention heads (4) must be divisible by tensor parallel size (3)."
    )


def test_a_node_with_another_token_is_told_by_the_error_that_the_outer_one_quotes(fixtures: Path) -> None:
    lines = (fixtures / "ray" / "wrong_token.log").read_text(encoding="utf-8").splitlines()
    error = _vllm.first_error(lines)
    assert error.startswith("ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is")


def test_a_rank_that_was_killed_is_the_first_error_not_what_the_engine_says_of_it(fixtures: Path) -> None:
    error = _vllm.first_error(log(fixtures, "rank_killed.log"))
    assert error.startswith("(raylet) A worker died or was killed while executing a task")
    assert "Worker PID: 24131 " in error


def test_a_good_start_has_no_error_though_the_one_before_was_stopped(fixtures: Path) -> None:
    lines = log(fixtures, "restarted.log")
    assert "EngineDeadError" in _vllm.first_error(lines)
    started = _vllm.this_start(lines, UNIT)
    assert started[0].startswith(f"Started {UNIT}")
    assert len(started) == 115
    assert _vllm.first_error(started) == ""


def test_restarts_by_itself_belong_to_the_same_start(fixtures: Path) -> None:
    lines = (fixtures / "systemctl" / "journal").read_text(encoding="utf-8").splitlines()
    assert _vllm.this_start(lines, UNIT) == lines
    assert _vllm.this_start([*lines, f"Started {UNIT} - it.", "good"], UNIT) == [f"Started {UNIT} - it.", "good"]


def test_a_log_without_a_start_is_taken_whole() -> None:
    assert _vllm.this_start(["a", "b"], UNIT) == ["a", "b"]
    assert _vllm.this_start([], UNIT) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([], "", id="empty"),
        pytest.param(["", "   "], "", id="blank"),
        pytest.param(
            ["(APIServer pid=6) INFO 11-21 11:28:26 [model.py:733] Resolved architecture: LlamaForCausalLM", ""],
            "Resolved architecture: LlamaForCausalLM",
            id="logger",
        ),
        pytest.param(
            ["\x1b[36m(RayWorkerProc pid=2, ip=::1)\x1b[0m (Worker_PP1 pid=2) INFO 11-21 11:29:01 [x:1] Loading."],
            "Loading.",
            id="rank-in-colour",
        ),
        pytest.param(["x" * 300], "x" * 100, id="long"),
    ],
)
def test_progress(lines: list[str], said: str) -> None:
    assert _vllm.progress(lines) == said


def test_the_log_of_a_program_is_cut_by_its_starts() -> None:
    lines = ["old", "Start of serve", "one", "Start of serve", "two"]
    assert _vllm.starts(lines, "serve") == [["old"], ["Start of serve", "one"], ["Start of serve", "two"]]
    assert _vllm.starts([], "serve") == [[]]


def test_the_size_of_the_cache_is_that_of_the_last_start(fixtures: Path) -> None:
    lines = (fixtures / "vllm" / "restarted.log").read_text(encoding="utf-8").splitlines()
    assert _vllm.kv_cache(lines) == {"tokens": 1048576, "context": 1024, "concurrency": 1024.0}
    assert _vllm.kv_cache(lines[:60]) == {"tokens": 699008, "context": 1024, "concurrency": 682.62}
    assert _vllm.kv_cache([]) == {}


def test_a_start_on_a_gpu_that_compiles_has_no_error(fixtures: Path) -> None:
    """It warns of FlashInfer's missing kernels, and says for a minute what one that hangs says."""
    lines = (fixtures / "vllm" / "h200.log").read_text(encoding="utf-8").splitlines()
    assert _vllm.first_error(lines) == ""
    assert _vllm.kv_cache(lines) == {"tokens": 44782736, "context": 1024, "concurrency": 43733.14}
    building = next(number for number, line in enumerate(lines) if "Building JIT module" in line)
    told = "flashinfer.jit: Building JIT module sampling; this can take several minutes on first use."
    assert _vllm.progress(lines[: building + 1]) == told
    line = "Capturing CUDA graphs (FULL):   0%|          | 0/2\rCapturing CUDA graphs (FULL): 100%|##########| 2/2\n"
    assert _vllm.progress([line]) == "Capturing CUDA graphs (FULL): 100%|##########| 2/2"


@pytest.mark.parametrize(
    ("started", "seconds"),
    [(1795284542.8, 87.0), (1795284732.0, 52.5), (1795284785.0, None)],
    ids=["the-first-start", "the-second", "not-ready-yet"],
)
def test_how_long_a_start_took(fixtures: Path, started: float, seconds: float | None) -> None:
    assert _vllm.start_seconds(log(fixtures, "journal_short_unix.txt"), started) == seconds


def test_the_journal_of_a_unit_is_cut_where_systemd_counts_a_restart(fixtures: Path) -> None:
    lines = (fixtures / "systemctl" / "journal").read_text(encoding="utf-8").splitlines()
    parts = _vllm.restarts(lines, UNIT)
    assert [line for part in parts for line in part] == lines
    counts = [part[0].rpartition(" ")[2] for part in parts[1:]]
    assert counts == [f"{number}." for number in range(1, len(parts))]
    assert _vllm.restarts([], UNIT) == [[]]


def test_the_first_start_that_failed_counts() -> None:
    good, first, later = ["INFO ok"], ["x", "ValueError: no memory"], ["(Worker_PP0 pid=2) OSError: port in use"]
    assert _vllm.first_failure([good, first, later, good]) == "ValueError: no memory"
    # Together, the error of a rank would be taken first.
    assert _vllm.first_error([*first, *later]).startswith("(Worker_PP0 pid=2)")
    assert _vllm.first_failure([good, []]) == ""
    assert _vllm.first_failure([]) == ""


@pytest.mark.parametrize(
    "answer", [[], "x", None, {"choices": 1}, {"choices": {}}, {"choices": [[]]}, {"choices": [{"message": [1]}]}]
)
def test_an_answer_of_another_form_is_none(answer: Any) -> None:
    judged = _vllm.judge(answer, None)
    assert not judged.ok


@pytest.mark.parametrize(
    ("answer", "names"),
    [({"data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]), ({"data": [1]}, []), ({}, []), ([], []), (None, [])],
)
def test_names_of_models(answer: Any, names: list[str]) -> None:
    assert _vllm.model_names(answer) == names
