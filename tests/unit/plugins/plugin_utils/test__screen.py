# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How plan, problems and proof look on a terminal: whole texts."""

from __future__ import annotations

from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _screen

ENDPOINT: dict[str, Any] = {"host": "192.0.2.11", "port": 8000, "url": "http://192.0.2.11:8000", "model": "demo"}


def host(number: int, engine_gpus: list[int]) -> dict[str, Any]:
    return {
        "address": f"192.0.2.1{number}",
        "nic": "eno1" if number == 1 else "enp65s0f0",
        "is_head": number == 1,
        "gpus": 4,
        "engine_gpus": engine_gpus,
    }


PLAN: dict[str, Any] = {
    "cluster": "default",
    "accelerator": "cuda",
    "serve_host": "gpu01",
    "serving": True,
    "engine": {
        "tp": 4,
        "pp": 1,
        "executor": "mp",
        "endpoint": ENDPOINT,
        "notes": ["gpu02 joins, unused by the engine"],
    },
    "hosts": {"gpu01": host(1, [0, 1, 2, 3]), "gpu02": host(2, [])},
    "problems": [
        {
            "host": "gpu02",
            "check": "os",
            "severity": "warning",
            "found": "fedora 44",
            "wanted": "Debian 12 or later",
            "fix": "go on at your own risk",
        },
        {
            "host": "-",
            "check": "inventory",
            "severity": "error",
            "found": "two heads",
            "wanted": "exactly one",
            "fix": "remove one",
        },
    ],
}


def test_the_screen_of_a_plan() -> None:
    assert _screen.render(PLAN) == (
        """
PLAN of the cluster default: demo with TP=4 PP=1 (mp executor, cuda) at http://192.0.2.11:8000
  gpu01  192.0.2.11  eno1       head, serve  engine uses 4 of 4 GPUs
  gpu02  192.0.2.12  enp65s0f0  worker       engine uses 0 of 4 GPUs
  gpu02 joins, unused by the engine
  The engine serves. Whatever would stop it waits for -e vllm_ray_restart=true.
  ERROR    -      inventory  two heads
                             wanted: exactly one
                             to mend: remove one
  WARNING  gpu02  os         fedora 44
                             wanted: Debian 12 or later
                             to mend: go on at your own risk"""
    )


def test_a_run_that_checks_nothing_between_hosts_says_so() -> None:
    said = "  No host is new, so the network and the GPUs are not checked again."
    assert said in _screen.render({**PLAN, "news": ""}).splitlines()
    assert said not in _screen.render({**PLAN, "news": "new, or with another address: gpu02"})


LINES = """  ERROR  -  inventory  two heads
                       wanted: exactly one
                       to mend: remove one"""


def test_the_screen_of_problems_alone() -> None:
    assert _screen.render({"problems": PLAN["problems"][1:]}) == ("\n" + LINES)
    assert _screen.render({"problems": []}) == ""


def test_the_summary() -> None:
    error = PLAN["problems"][1]
    assert _screen.summary([error]) == f"1 error, nothing was changed:\n{LINES}"
    assert _screen.summary([error, error]) == f"2 errors, nothing was changed:\n{LINES}\n{LINES}"


def test_the_proof_and_how_to_use_it() -> None:
    answers = [{"ok": True, "text": "A collection.", "why": ""}]
    lines = ["gpu01  192.0.2.11  alive  4 of 4 GPUs in use"]
    assert _screen.proof(PLAN, ENDPOINT, lines, ["demo"], answers, "~/.config/vllm-ray/default.key") == (
        """
READY http://192.0.2.11:8000/v1 serves demo with TP=4 PP=1
  node    gpu01  192.0.2.11  alive  4 of 4 GPUs in use
  answer  A collection.

printf 'Authorization: Bearer %s' "$(cat ~/.config/vllm-ray/default.key)" | curl -sS -H @- \\
  -H 'Content-Type: application/json' http://192.0.2.11:8000/v1/chat/completions \\
  -d '{"model": "demo", "messages": [{"role": "user", "content": "What is vllm_ray.cluster?"}]}'

import pathlib
import openai
key = pathlib.Path("~/.config/vllm-ray/default.key").expanduser().read_text().strip()
client = openai.OpenAI(base_url="http://192.0.2.11:8000/v1", api_key=key)
answer = client.chat.completions.create(model="demo",
    messages=[{"role": "user", "content": "What is vllm_ray.cluster?"}])
print(answer.choices[0].message.content)"""
    )


def test_a_snippet_is_python() -> None:
    compile(_screen.snippets(ENDPOINT, "~/key")["python"], "snippet", "exec")


def test_what_waits_for_consent() -> None:
    assert _screen.held({}) == ""
    assert _screen.held({"gpu01": ["a is stale", "b is stale"], "worker-2": ["c"]}) == (
        """

PREPARED, and the engine serves on as before. -e vllm_ray_restart=true stops and changes it, because:
  gpu01     a is stale
  gpu01     b is stale
  worker-2  c"""
    )


def test_a_table_of_nothing() -> None:
    assert _screen.table([]) == []


def test_a_run_in_check_mode_on_fresh_hosts_claims_nothing() -> None:
    assert _screen.proof(PLAN, ENDPOINT, [], [], [], "~/key") == (
        "\nCHECKED, and nothing was changed. Nothing serves at http://192.0.2.11:8000 yet."
    )
