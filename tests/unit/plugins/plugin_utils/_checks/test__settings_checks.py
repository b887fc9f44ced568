# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong between a host and its settings: each problem names host, value found and fix."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _settings_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, Target
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.checks import run


def host(name: str, *groups: str, look: Any = None, **given: Any) -> Host:
    values = {f"vllm_ray_{key}": value for key, value in given.items()}
    settings = _settings.check(name, {"vllm_ray_model": "/srv/demo", **values}).values
    return Host(name, groups, settings, look)


def look(**change: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "host": {"home": "/root", "pid1": "systemd", "os": {"id": "debian", "version": "12"}, "gpus": [{"index": 0}]},
        "network": {"cluster_nic": {"nic": "eno1"}, "addresses": [], "peers_without_route": [], "error": ""},
        "usage": {"ports_taken": [], "ports_unknown": "", "foreign_ray": []},
    }
    for key, value in change.items():
        part, _underscore, name = key.partition("_")
        result[part][name] = value
    return result


PORT = {"port": 6379, "pid": 7, "process": "redis-server", "user": "redis"}
RAY = {"pid": 8, "process": "raylet", "user": "ann"}
UNGUARDED = "this collection manages no firewall rules (vllm_ray_{}); Ray binds all addresses"
GUARD = "allow only the peers and the API's clients in a firewall of the host or of the network"


@pytest.mark.parametrize(
    ("seen", "given", "problems"),
    [
        ({}, {}, []),
        (
            {"usage_ports_taken": [PORT, {**PORT, "address": "::"}]},
            {},
            [("error", "port 6379 is held by redis-server (pid 7, user redis)", "stop it, or set vllm_ray_gcs_port")],
        ),
        ({"usage_ports_taken": [{**PORT, "process": "gcs_server"}]}, {"take_over": True}, []),
        (
            {"usage_foreign_ray": [RAY]},
            {},
            [
                (
                    "warning",
                    "a Ray of ann that this collection did not start: raylet 8",
                    "stop it, because it may hold GPUs and ports; -e vllm_ray_take_over=true stops it",
                )
            ],
        ),
        ({"usage_foreign_ray": [RAY]}, {"take_over": True}, []),
        (
            {"usage_ports_unknown": "/proc/net/tcp: Permission denied"},
            {},
            [
                (
                    "warning",
                    "the listening processes are not known: /proc/net/tcp: Permission denied",
                    "allow the modules to read /proc/net there (SELinux, AppArmor, a container's settings)",
                )
            ],
        ),
        (
            {
                "network_cluster_nic": None,
                "network_error": "Not allowed",
                "network_peers_without_route": ["gpu02"],
            },
            {},
            [
                (
                    "error",
                    "the kernel does not report addresses and routes: Not allowed",
                    "allow processes there to open AF_NETLINK sockets (seccomp, SELinux, a container's settings)",
                )
            ],
        ),
        ({"host_pid1": "tini"}, {}, [("error", "PID 1 is tini", "set vllm_ray_scope=user for hosts without systemd")]),
        ({"host_pid1": "tini"}, {"scope": "user"}, [("warning", UNGUARDED.format("scope=user"), GUARD)]),
        ({}, {"firewall": "off"}, [("warning", UNGUARDED.format("firewall=off"), GUARD)]),
        (
            {"host_os": {"id": "fedora", "version": "40"}},
            {},
            [("warning", "fedora 40", "use a supported distribution, or continue at your own risk")],
        ),
        (
            {},
            {"gpus": [0, 5]},
            [
                (
                    "error",
                    "the host has no GPU 5, only 0",
                    "correct vllm_ray_gpus, or find out with nvidia-smi why the GPU is missing",
                )
            ],
        ),
        (
            {},
            {"env": {"NCCL_IB_DISABLE": "1"}},
            [("info", "vllm_ray_env: NCCL_IB_DISABLE leaves InfiniBand unused", "remove it unless there is none")],
        ),
        (
            {"network_peers_without_route": ["gpu02"]},
            {},
            [
                (
                    "warning",
                    "no route to gpu02",
                    "check that the name of gpu02 resolves to the right address, and add a route to it",
                )
            ],
        ),
    ],
)
def test_hosts(seen: dict[str, Any], given: dict[str, Any], problems: list[tuple[str, str, str]]) -> None:
    found = run(_settings_checks, Need.PROBE, Target(host("a", "head", look=look(**seen), **given), serves=True))
    assert [(problem.severity, problem.found, problem.fix) for problem in found] == problems


@pytest.mark.parametrize(
    ("bytes_", "problems"),
    [
        (39, []),
        (40, ["shorten vllm_ray_state_root or vllm_ray_cluster: 1 bytes too many"]),
        (43, ["shorten vllm_ray_state_root or vllm_ray_cluster: 4 bytes too many"]),
    ],
)
@pytest.mark.parametrize("letter", ["x", "\u00fc"], ids=["ascii", "two bytes a letter"])
@pytest.mark.parametrize("scope", ["system", "user"])
def test_a_directory_that_is_too_long_for_sockets(bytes_: int, problems: list[str], letter: str, scope: str) -> None:
    """It is `STATE_ROOT/default/ray`."""
    count, rest = divmod(bytes_ - len("/data//default/ray"), len(letter.encode()))
    given = f"/data/{letter * count}{'x' * rest}"
    found = _settings_checks.check_paths(Target(host("a", "head", state_root=given, scope=scope)))
    assert [(problem.check, problem.severity, problem.fix) for problem in found] == [
        ("path", "error", fix) for fix in problems
    ]


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ("/home/" + "x" * 14, []),
        ("/home/" + "x" * 15, ["40 bytes"]),
        ("/home/" + "x" * 18, ["43 bytes"]),
        ("/home/ann smith", ["'/home/ann smith/.vllm-ray', which is in the user's home"]),
        ("/home/a:b", ["'/home/a:b/.vllm-ray', which is in the user's home"]),
    ],
)
def test_a_home_that_can_not_be_used(home: str, words: list[str]) -> None:
    asked = look(host_home=home)
    found = _settings_checks.check_paths(Target(host("a", "head", look=asked, scope="user", cluster="demo")))
    assert len(found) == len(words)
    assert all(word in problem.found for word, problem in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({}, [], id="defaults"),
        pytest.param({"scope": "user"}, [], id="defaults of scope user"),
        pytest.param({"config_root": "/d", "state_root": "/d"}, ["vllm_ray_config_root: /d/default is in"], id="equal"),
        pytest.param({"state_root": "/d", "root": "/d/default/r"}, ["vllm_ray_root: /d/default/r is in"], id="inside"),
        pytest.param({"state_root": "/d", "model_root": "/d//default/"}, ["vllm_ray_model_root:"], id="slashes"),
        pytest.param(
            {"config_root": "/d", "model_root": "/d/default"}, ["/d/default is the directory of both"], id="models"
        ),
        pytest.param({"model_root": "/tmp/models"}, ["vllm_ray_model_root: /tmp/models is in a directory"], id="tmp"),
        pytest.param({"model_root": "/tmp/models", "scope": "user"}, [], id="tmp without root"),
        pytest.param({"state_root": "/var/tmp/x"}, ["vllm_ray_state_root", "vllm_ray_model_root"], id="var-tmp"),
    ],
)
def test_directories_that_are_not_kept_apart(given: dict[str, Any], words: list[str]) -> None:
    found = _settings_checks.check_paths(Target(host("a", "head", **given)))
    assert len(found) == len(words), found
    assert all(word in problem.found for word, problem in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("name", "version", "supported"),
    [
        ("debian", "12", True),
        ("debian", "11", False),
        ("ubuntu", "24.04", True),
        ("arch", "", False),
        ("x", "y", False),
    ],
)
def test_distributions(name: str, version: str, supported: bool) -> None:
    assert _settings_checks.is_supported({"id": name, "version": version}) is supported


@pytest.mark.parametrize(("process", "answer"), [("raylet", True), ("ray::IDLE", True), ("nc", False)])
def test_processes_of_ray(process: str, answer: bool) -> None:
    assert _settings_checks.is_of_ray(process) is answer


DENY = "ufw default deny incoming"
OFF = {"why_open": "ufw is off", "manageable": True, "fix": DENY}
ABSENT = {"why_open": "ufw is not installed", "manageable": True, "fix": "install ufw"}
NO_APT = {**ABSENT, "manageable": False}
ADMITS = "ufw admits packets that no rule covers (DEFAULT_INPUT_POLICY=ACCEPT)"
ACCEPTS = {"why_open": ADMITS, "manageable": False, "fix": DENY}
CLOSED = {"why_open": "", "manageable": False, "fix": ""}


@pytest.mark.parametrize(
    ("mode", "firewall", "fix"),
    [
        ("manage", CLOSED, None),
        ("manage", OFF, None),
        ("manage", ABSENT, None),
        ("manage", NO_APT, "install ufw"),
        ("manage", ACCEPTS, "ufw default deny incoming"),
        ("rules", CLOSED, None),
        ("rules", OFF, "set vllm_ray_firewall=manage"),
        ("rules", ABSENT, "set vllm_ray_firewall=manage"),
        ("rules", NO_APT, "install ufw"),
        ("rules", ACCEPTS, "ufw default deny incoming"),
        ("off", CLOSED, GUARD),
        ("off", OFF, GUARD),
    ],
)
def test_a_host_whose_ports_stay_open_is_reported(mode: str, firewall: dict[str, Any], fix: str | None) -> None:
    target = Target(host("a", "head", look=look(host_firewall=firewall), firewall=mode), serves=True)
    found = run(_settings_checks, Need.PROBE, target)
    assert [(problem.check, problem.severity, problem.fix) for problem in found] == (
        [("firewall", "warning", fix)] if fix else []
    )
