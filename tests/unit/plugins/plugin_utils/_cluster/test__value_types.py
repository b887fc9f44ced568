# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What values of variables may look like."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings, _value_types
from ansible_collections.vllm_ray.cluster.tests.unit.hostile import HOSTILE

GOOD: dict[str, list[Any]] = {
    "account": ["vllm-ray", "_svc", "Ann.B"],
    "address": ["192.0.2.11", "2001:db8::1"],
    "argument": ['--resources={"a": 1}', "-v", "", "%d"],
    "cluster": ["default", "a", "a.b_c-d", "x" * 63, "9"],
    "controller path": ["~/reports", "../wheels.txt", "/Users/Ann Smith/plan.json", "a"],
    "key file": ["~/.config/vllm-ray/default.key", "./default.key"],
    "count": [0, 3],
    "data": [{"request": {}}],
    "directory": ["/data/kv", "/var/lib/vllm-ray", "/var/tmp/x"],
    "environment": [{}, {"A": 1, "b_2": "x\ny'\"$`%", "_": 0.5, "C": True}],
    "group": ["mlops", "domain users", "Größe", "users@example.com", "DOM\\ops"],
    "host": ["0.0.0.0", "::", "gpu01.example.com", "localhost"],
    "host path": ["/opt/conda/envs/x", "/srv/cpu-vllm0.32.0+x@y=z,a", "/data//x/", "/größe"],
    "interface": ["eno1", "ib0.8001", "enp1s0f0np0", "br-0123456789ab"],
    "inventory name": ["gpu01", "10.0.0.1", "a b"],
    "kept port": ["all", "9100/tcp", "9100", "60000:61000/udp"],
    "limit": [0.0, 1.5],
    "lock": ["cuda", "/home/Ann Smith/my.lock"],
    "model": [
        "/srv/models/Qwen 3",
        "~/m",
        "Qwen/Qwen3-32B",
        "https://mirror.example/models/Qwen3-32B",
        "/a/../b",
        "a..b",
    ],
    "network": ["192.0.2.0/24", "198.51.100.7", "any", "2001:db8::/32"],
    "number or -1": [-1, 0],
    "options": [{"max-model-len": 1}, {"--port": 1, "tensor_parallel_size": 2}, {}],
    "port": [1, 65535, "8000"],
    "port range": ["10002-19999", "5-5"],
    "python": ["3.12", "cpython-3.12.1-linux-x86_64-gnu", "/usr/bin/python3"],
    "rdma device": ["mlx5_0", "mlx5_0:1", "=mlx5_1", "^mlx5", "bnxt_re-bond0"],
    "revision": ["main", "v1.0", "refs/pr/1", "0123456789abcdef0123456789abcdef01234567"],
    "root": ["/data/vllm", "/opt/vllm-ray", "/home/ann", "~/x", "/etc/vllm-ray", "/var/tmp/vllm-ray-1000"],
    "seconds": [1, 300],
    "sha256": ["0" * 64, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00A08"],
    "size": [0.5, 4],
    "token": ["hf_" + "a" * 34],
    "url": ["https://user:p%40ss@mirror.example:8443/simple", "http://192.0.2.1:3128", "socks5h://[2001:db8::1]:1080"],
    "wheel source": ["/srv/wheels", "/srv/my wheels", "https://mirror.example/wheels/", "file:///srv/wheels"],
    "word": ["3.12", "manylinux_2_39_x86_64", "cpu-vllm0.32.0-py3.11.2-118f1a0c01c5", "INFO", "mtu"],
}
BAD: dict[str, list[Any]] = {
    "account": ["root", "toor", "0", "1000", "a b", "-a", "a:b", "a" * 32, "ALL\n", "a%u"],
    "address": ["gpu01", "192.0.2.0/24", "fe80::1%eth0", "1"],
    "argument": ["a\nb", "\x1b[0m"],
    "cluster": [
        "lab.timer",
        "lab.service",
        "models",
        "manifests",
        "secrets",
        "releases",
        "etc",
        ".a",
        "-a",
        "a/b",
        "..",
        "a b",
        "x" * 64,
        "ä",
        "a@b",
    ],
    "controller path": ["a\nb", " a", "\t"],
    "key file": ["../default.key", "/a/../b"],
    "count": [-1],
    "directory": ["~/kv", "/", "/tmp", "/etc", "/dev/shm", "kv", "/data/a b", "/data/../etc", "/data/a:b"],
    "environment": [
        {"A;touch /tmp/x;B": 1},
        {"1A": 1},
        {"A B": 1},
        {"": 1},
        {"A": "\0"},
        {"A": None},
        {"A": ["x"]},
        {"Ä": 1},
    ],
    "group": ["1000", "#0", "%a", "a,b", "a:b", "-a", "a\nb", "a/b", "+a", "!a", "a*", 'a"b'],
    "host": ["-a", "a b", "a..b", "http://a", "a/b", "x" * 254, "a_b-"],
    "host path": [
        "x/y",
        "/a/../b",
        "/a b",
        "/a:b",
        "/a%b",
        "/a'b",
        '/a"b',
        "/a$b",
        "/a;b",
        "/a\nb",
        "/",
        "/a/.",
        "/" + "x" * 255,
    ],
    "interface": ["x" * 16, "a/b", "a b", "-a", "eth0:1", "a'b", ".."],
    "inventory name": ["a\nb", " a"],
    "kept port": ["0", "70000/tcp", "9100/sctp", "2:1/udp", "ssh", "9100/", "x"],
    "limit": [-0.1],
    "lock": ["../x", "a b", "-a", "/a\nb", "x/y"],
    "model": ["-x", "..", "/srv/..", "/srv/../", "https://m/..", "/srv/.", "a\nb", "/", "~", "~/", " a"],
    "network": ["gpu01", "192.0.2.0/33", "", "192.0.2.1 "],
    "number or -1": [-2],
    "options": [{"a b": 1}, {"---a": 1}, {"": 1}, {"a\n": 1}],
    "port": [0, 65536, -1, "x", ""],
    "port range": ["10002", "2-1", "0-5", "1-70000", "a-b", "1-2-3"],
    "python": ["../python", "-v", "a b", "/usr/bin/../x", ">=3.11"],
    "rdma device": ["mlx5 0", "a,b", "-a", "a/b", ""],
    "revision": ["..", "a/../b", ".git", "a/.b", "-x", "a b", "a\nb", "/a", "a//b", "x" * 201],
    "root": [
        *(
            "/",
            "//",
            "/etc",
            "/etc/",
            "//etc",
            "/usr",
            "/var",
            "/home",
            "/opt",
            "/root",
            "/tmp",
            "/srv",
            "/boot",
            "/dev",
        ),
        *("/proc", "/sys", "/run", "/var/lib", "/usr/local", "/usr/local/bin", "/etc/systemd/system", "/proc/self/x"),
        *(
            "/dev/shm/x",
            "/sys/x",
            "/boot/x",
            "/data/../etc",
            "/data/.",
            "~",
            "~/../x",
            "~root/x",
            "data",
            "/a b",
            "/a\n",
        ),
    ],
    "seconds": [0, -5, False],
    "sha256": ["", "0" * 63, "g" * 64, f"{'0' * 64}\n"],
    "size": [0, -1, False],
    "token": ["a b", "a\nb", "ä"],
    "url": [
        "mirror.example",
        "ftp://a",
        "http://",
        "https://a b",
        "https://a/\n",
        "javascript:x",
        "http://a:99999",
        "https://a/'x",
        "-x",
    ],
    "wheel source": ["wheels", "-f", "/a\nb", "~"],
    "word": ["", "-a", "a b", "a/b", "..", "a\n", "x" * 101, "a;b"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_what_fits(kind: str, value: Any) -> None:
    assert _value_types.TYPES[kind].fits(value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_what_does_not_fit(kind: str, value: Any) -> None:
    assert not _value_types.TYPES[kind].fits(value)


def test_every_type_has_examples() -> None:
    assert set(GOOD) == set(_value_types.TYPES)
    assert set(BAD) == set(_value_types.TYPES) - {"data"}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("vllm_ray_cluster", "a\nUser=root", r"vllm_ray_cluster is 'a\nUser=root'"),
        ("vllm_ray_cluster", "models", "vllm_ray_cluster is 'models'"),
        ("vllm_ray_cluster", "", "vllm_ray_cluster is ''"),
        ("vllm_ray_user", "root", "vllm_ray_user is 'root'"),
        ("vllm_ray_root", "/", "vllm_ray_root is '/'"),
        ("vllm_ray_config_root", "/etc", "vllm_ray_config_root is '/etc'"),
        ("vllm_ray_state_root", "/", "vllm_ray_state_root is '/'"),
        ("vllm_ray_root", "/srv", "vllm_ray_root is '/srv'"),
        ("vllm_ray_env", {"A;touch /tmp/x;B": 1}, "vllm_ray_env has a value that can't be used"),
        ("vllm_ray_api_clients", ["192.0.2.1", "gpu01"], "vllm_ray_api_clients is 'gpu01'"),
        ("vllm_ray_gcs_port", 70000, "vllm_ray_gcs_port is 70000"),
        ("vllm_ray_hf_token", "hf_x y", "vllm_ray_hf_token has a value that can't be used"),
        ("vllm_ray_index_url", "https://u:secret@a b", "vllm_ray_index_url has a value that can't be used"),
        ("vllm_ray_model_revision", "..", "vllm_ray_model_revision is '..'"),
    ],
)
def test_a_value_that_is_refused(name: str, value: Any, found: str) -> None:
    """It says where and what it found, what it expected and the fix; the rest is planned with the default."""
    settings = _settings.check("gpu01", {"vllm_ray_model": "/srv/demo", name: value, "vllm_ray_api_port": 8001})
    (problem,) = settings.problems
    assert (problem.host, problem.check, problem.severity, problem.found) == ("gpu01", "variable", "error", found)
    assert problem.wanted == _value_types.TYPES[_value_types.VARIABLES[name]].expected
    assert problem.fix == f"correct {name} in the inventory"
    default = {"vllm_ray_user": "vllm-ray"}.get(name) or _settings.specification()[name].get("default")
    assert settings.values[name] == default
    assert settings.values["vllm_ray_api_port"] == 8001


def test_two_variables_are_reported_at_once() -> None:
    given = {"vllm_ray_model": "/srv/demo", "vllm_ray_user": "root", "vllm_ray_root": "/", "vllm_ray_gcs_port": "x"}
    problems = _settings.check("gpu01", given).problems
    assert len(problems) == 3
    assert {word for problem in problems for word in ("user", "root", "gcs") if f"_ray_{word}" in problem.found} == {
        *("user", "root", "gcs")
    }


def test_a_long_value_is_cut_in_the_message() -> None:
    (problem,) = _settings.check("gpu01", {"vllm_ray_model": "/srv/demo", "vllm_ray_cluster": "x" * 5000}).problems
    assert len(problem.found) < 120


TEXTS = [
    name
    for name, spec in _settings.specification().items()
    if name in _value_types.VARIABLES and (spec["type"] in ("str", "path") or spec.get("elements") == "str")
]


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_taken_of_hostile_values_is_one_line_and_leads_nowhere_else(name: str) -> None:
    """tests/integration writes what is taken into scripts, units and sudoers, and reads it back."""
    is_list = _settings.specification()[name]["type"] == "list"
    values = [*HOSTILE, *(f"/srv/{value}" for value in HOSTILE)]
    taken = [value for value in values if not _settings.wrong(name, [value] if is_list else value)]
    assert len(taken) < len(values) - 15
    for value in taken:
        assert value.isprintable()
        if _value_types.VARIABLES[name] in ("root", "host path", "cluster", "account", "word", "interface", "python"):
            assert re.fullmatch(r"[\w/.+@=,~-]+", value)
            assert ".." not in value.split("/")
            assert value[0] != "-"


def test_the_tests_see_the_variables() -> None:
    assert len(TEXTS) > 40
