# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How plan, problems and proof look on a terminal: whole texts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import TlsPlan, Whole, client_url
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens import _screen
from ansible_collections.vllm_ray.cluster.tests.unit import plans

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
        "gpus": {"gpu01": 4},
        "endpoint": ENDPOINT,
        "notes": ["gpu02 joins, unused by the engine"],
    },
    "hosts": {"gpu01": host(1, [0, 1, 2, 3]), "gpu02": host(2, [])},
    "release": {"builder": "gpu01", "path": "", "id": "", "present": {"gpu01": "cuda-1", "gpu02": "cuda-1"}},
    "model": {"wish": "/srv/demo", "source": "host", "source_host": "gpu01", "bytes": 0, "missing": []},
    "problems": [
        {
            "host": "gpu02",
            "check": "os",
            "severity": "warning",
            "found": "fedora 44",
            "wanted": "Debian 12 or later",
            "fix": "use a supported distribution, or continue at your own risk",
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


LAYOUT, URL = Layout(4, 1, {"gpu01": 4}), "http://192.0.2.11:8000"


def whole(told: dict[str, Any]) -> Whole:
    made = plans.plan(told).whole
    assert made
    return made


def test_the_screen_of_a_plan() -> None:
    assert _screen.render(plans.plan(PLAN)) == (
        """
PLAN of the cluster default: demo with TP=4 PP=1 (mp executor, cuda) at http://192.0.2.11:8000
  gpu01  192.0.2.11  eno1       head, serve  engine uses 4 of 4 GPUs
  gpu02  192.0.2.12  enp65s0f0  worker       engine uses 0 of 4 GPUs
  note  gpu02 joins, unused by the engine
  The engine serves. A change that would stop it requires -e vllm_ray_restart=true.
  ERROR    -      inventory  two heads
                             expected: exactly one
                             fix: remove one
  WARNING  gpu02  os         fedora 44
                             expected: Debian 12 or later
                             fix: use a supported distribution, or continue at your own risk"""
    )


def test_a_plan_that_does_not_know_whether_an_engine_serves() -> None:
    lines = _screen.render(plans.plan({**PLAN, "serving": None, "news": ""})).splitlines()
    assert lines[5:7] == [
        "  The state of the engine is unknown. A change that may stop it requires -e vllm_ray_restart=true.",
        "  No host is new, so the network and the GPUs are not checked again.",
    ]
    assert "serves" not in _screen.render(plans.plan({**PLAN, "serving": False, "news": "nothing"}))


def test_a_run_that_checks_nothing_between_hosts_says_so() -> None:
    said = "  No host is new, so the network and the GPUs are not checked again."
    assert said in _screen.render(plans.plan({**PLAN, "news": ""})).splitlines()
    assert said not in _screen.render(plans.plan({**PLAN, "news": "new, or with another address, NIC or MTU: gpu02"}))


MEMORY = "64 layers; per GPU 15.3 GiB of weights, 2.2 for steps, 55.3 of KV cache, of 79.1"
SERVES = "  The engine serves. A change that would stop it requires -e vllm_ray_restart=true."
HELD = {
    "gpus": 4,
    "layers": 64,
    "layers_per_stage": [64],
    "usable_gib": 79.1,
    "weights_gib": 15.31,
    "reserve_gib": 2.2,
    "kv_gib": 55.26,
}
ADVICE: Any = {
    "fits": True,
    "tp": 4,
    "pp": 1,
    "gpus": {"gpu01": 4},
    "executor": "mp",
    "hosts": {"gpu01": HELD},
    "kv_tokens": 905000,
    "concurrency": 22.1,
    "max_model_len": 40960,
    "reasons": ["it is the fastest", "it fits"],
    "alternatives": [{"tp": 2, "pp": 2, "why_not": "80% of the speed"}],
    "better": ["more of it"],
    "replicas": {"engines": 2, "tp": 4, "pp": 1, "tokens_per_second": 9000},
    "notes": ["a guess"],
}


def test_the_screen_explains_what_is_planned_and_what_will_move() -> None:
    fresh = {**PLAN["release"], "present": {"gpu01": "", "gpu02": ""}}
    plan = {
        **PLAN,
        "engine": {**PLAN["engine"], "advice": ADVICE, "away": 94.2},
        "release": fresh,
        "model": {**PLAN["model"], "source": "huggingface", "bytes": 65_000_000_000, "missing": ["gpu01", "gpu02"]},
        "problems": [],
    }
    assert _screen.render(plans.plan(plan)).splitlines()[2:] == [
        f"  gpu01  192.0.2.11  eno1       head, serve  engine uses 4 of 4 GPUs  {MEMORY}",
        "  gpu02  192.0.2.12  enp65s0f0  worker       engine uses 0 of 4 GPUs",
        "  KV cache  905,000 tokens, 22.1 requests of 40,960 at once",
        "  why       it is the fastest",
        "  why       it fits",
        "  else      TP=2 PP=2: 80% of the speed",
        "  better    more of it",
        "  better    2 engines of TP=4 PP=1 each within a host: about 9,000 tokens/s together",
        "  note      a guess",
        "  release   built on gpu01, copied to gpu02",
        "  model     65.0 GB from huggingface to gpu01, gpu02",
        "  note      gpu02 joins, unused by the engine",
        f"{SERVES} A restart takes about 94 s.",
    ]


def test_the_screen_of_a_plan_without_hosts() -> None:
    hosts = [ClusterHost(name, (Gpu("H100 80GB", 81920),) * 4) for name in ("gpu01", "gpu02")]
    assert _screen.layout("demo", hosts, ADVICE).splitlines()[:4] == [
        "",
        "PLAN for demo: TP=4 PP=1 (mp executor) on 1 of 2 hosts, 8 GPUs",
        f"  gpu01  engine uses 4 of 4 x H100 80GB  {MEMORY}",
        "  gpu02  engine uses 0 of 4 x H100 80GB",
    ]


def test_a_layout_of_a_plan_without_hosts_that_misses_narrowly() -> None:
    hosts = [ClusterHost("gpu01", (Gpu("H100 80GB", 81920),) * 4)]
    near: Any = {
        "fits": False,
        "close": "that is 0.1 GiB too much",
        "refusals": ["it needs 21.8 GiB"],
        "changes": ["less"],
    }
    assert _screen.layout("demo", hosts, {**ADVICE, **near, "notes": ["a guess"]}).splitlines() == [
        "",
        "PLAN for demo: TP=4 PP=1 (mp executor) on 1 of 1 hosts, 4 GPUs",
        f"  gpu01  engine uses 4 of 4 x H100 80GB  {MEMORY}",
        "  WARNING  it needs 21.8 GiB; that is 0.1 GiB too much",
        "  change   less",
        "  note     a guess",
    ]


def test_a_refusal() -> None:
    advice: Any = {"refusals": ["it needs more"], "changes": ["less of it", "more GPUs"], "notes": ["a guess"]}
    assert _screen.refusal("demo", advice) == (
        """No layout of demo fits:
  it needs more
Any one of these changes is enough:
  less of it
  more GPUs
  note: a guess"""
    )
    assert _screen.refusal("demo", {**advice, "changes": [], "notes": []}) == (
        "No layout of demo fits:\n  it needs more"
    )


LINES = """  ERROR  -  inventory  two heads
                       expected: exactly one
                       fix: remove one"""


def test_the_screen_of_problems_alone() -> None:
    assert _screen.render(plans.plan({"problems": PLAN["problems"][1:]})) == ("\n" + LINES)
    assert _screen.render(plans.plan({"problems": []})) == ""


def test_the_summary() -> None:
    error = PLAN["problems"][1]
    assert _screen.summary([error]) == f"1 error, nothing was changed:\n{LINES}"
    assert _screen.summary([error, error]) == f"2 errors, nothing was changed:\n{LINES}\n{LINES}"


def test_the_proof_and_how_to_use_it() -> None:
    answers = [{"ok": True, "text": "A collection.", "why": ""}]
    lines = ["gpu01  192.0.2.11  alive  4 of 4 GPUs in use by Ray"]
    assert _screen.proof(
        LAYOUT, URL, lines, ["demo"], answers, _screen.snippets(URL, "demo", "~/.config/vllm-ray/default.key")
    ) == (
        """
READY http://192.0.2.11:8000/v1 serves demo with TP=4 PP=1
  node    gpu01  192.0.2.11  alive  4 of 4 GPUs in use by Ray
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


def test_how_to_use_it_with_a_ca_of_its_own() -> None:
    ways = _screen.snippets("https://192.0.2.11:8000", "demo", "~/a.key", "~/a.ca.crt")
    assert ways["curl"].splitlines()[1] == (
        "  --cacert ~/a.ca.crt -H 'Content-Type: application/json' https://192.0.2.11:8000/v1/chat/completions \\"
    )
    assert ways["python"].splitlines()[:7] == [
        "import pathlib",
        "import ssl",
        "import openai",
        'key = pathlib.Path("~/a.key").expanduser().read_text().strip()',
        'tls = ssl.create_default_context(cafile=pathlib.Path("~/a.ca.crt").expanduser())',
        'client = openai.OpenAI(base_url="https://192.0.2.11:8000/v1", api_key=key,',
        "    http_client=openai.DefaultHttpxClient(verify=tls))",
    ]


def test_how_to_use_it_by_a_name() -> None:
    ways = _screen.snippets(client_url("https://192.0.2.11:8000", "llm.example.com"), "demo", "~/key")
    assert "--cacert" not in ways["curl"]
    assert all("https://llm.example.com:8000/v1" in way and "192.0.2.11" not in way for way in ways.values())


@pytest.mark.parametrize("ca_file", ["", "~/ca"])
def test_a_snippet_is_python(ca_file: str) -> None:
    compile(_screen.snippets(URL, "demo", "~/key", ca_file)["python"], "snippet", "exec")


@pytest.mark.parametrize(
    ("tls", "line"),
    [
        ({"mode": "off"}, None),
        ({"mode": "own", "expires": ""}, "its own CA and certificate (vllm_ray_tls=own)"),
        (
            {"mode": "own", "expires": "expires on 2027-12-31"},
            "its own CA and certificate (vllm_ray_tls=own); the certificate in use expires on 2027-12-31",
        ),
        ({"mode": "given", "files": {"certificate": "/a.crt"}}, "/a.crt (vllm_ray_tls=given)"),
    ],
)
def test_what_certificate_the_api_has(tls: dict[str, Any], line: str | None) -> None:
    assert _screen.tls_lines(TlsPlan(names=[], **tls)) == ([("TLS", line)] if line else [])


def test_what_waits_for_consent() -> None:
    assert _screen.held({}) == ""
    assert _screen.held({"gpu01": ["a is stale", "b is stale"], "worker-2": ["c"]}) == (
        """

PREPARED: the running engine was not touched. These changes need a restart (-e vllm_ray_restart=true):
  gpu01     a is stale
  gpu01     b is stale
  worker-2  c"""
    )


def test_a_table_of_nothing() -> None:
    assert _screen.table([]) == []


def test_a_run_in_check_mode_on_fresh_hosts_claims_nothing() -> None:
    assert _screen.proof(LAYOUT, URL, [], [], [], {}) == (
        "\nCHECKED, and nothing was changed. Nothing serves at http://192.0.2.11:8000 yet."
    )


@pytest.mark.parametrize(
    ("present", "lines"),
    [
        ({"gpu01": "cuda-0", "gpu02": "cuda-0"}, []),
        ({"gpu01": "cuda-0", "gpu02": "cuda-1"}, [("release", "cuda-0 on gpu02, from hosts that have it")]),
        ({"gpu01": "", "gpu02": ""}, [("release", "cuda-0 on gpu01, gpu02, from hosts that have it")]),
    ],
)
def test_a_release_that_is_held_is_not_built(present: dict[str, str], lines: list[tuple[str, str]]) -> None:
    plan = {**PLAN, "release": {**PLAN["release"], "id": "cuda-0", "present": present}}
    assert _screen.artefact_lines(whole(plan)) == lines


@pytest.mark.parametrize(
    ("settings", "clients", "wanted"),
    [
        ({"vllm_ray_scope": "system", "vllm_ray_firewall": "manage"}, ["203.0.113.7"], "and to 203.0.113.7"),
        ({"vllm_ray_scope": "system", "vllm_ray_firewall": "rules"}, [], "and to nobody else"),
        ({"vllm_ray_scope": "system", "vllm_ray_firewall": "off"}, ["203.0.113.7"], ""),
        ({"vllm_ray_scope": "user", "vllm_ray_firewall": "manage"}, ["203.0.113.7"], ""),
    ],
)
def test_who_may_reach_the_api(settings: dict[str, str], clients: list[str], wanted: str) -> None:
    hosts = {**PLAN["hosts"], "gpu01": {**PLAN["hosts"]["gpu01"], "settings": settings}}
    lines = [
        line
        for line in _screen.render(plans.plan({**PLAN, "hosts": hosts, "api_clients": clients})).splitlines()
        if "API" in line
    ]
    assert [wanted in line and "vllm_ray_api_clients" in line for line in lines] == ([True] if wanted else [])
