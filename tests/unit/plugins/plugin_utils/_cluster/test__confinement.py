# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _confinement

FACTS: dict[str, Any] = {
    "steps": list(_confinement.STEPS),
    "accelerator": "cuda",
    "config_dir": "/etc/vllm-ray/c",
    "state_dir": "/var/lib/vllm-ray/c",
    "read_paths": ["/opt/vllm-ray/releases/r", "/var/lib/vllm-ray/models"],
    "write_paths": [],
    "env": {},
}
# What an engine needs, so that these must never be there.
NEEDED = ("MemoryDenyWriteExecute", "PrivateDevices", "PrivateIPC", "PrivateNetwork", "PrivateUsers", "ProcSubset")


def lines(**change: Any) -> list[str]:
    facts: Any = {**FACTS, **change}
    return _confinement.confinement(facts)


def values(directive: str, **change: Any) -> list[str]:
    """Return the values of a directive, in order."""
    pairs = [line.partition("=") for line in lines(**change)]
    return [value for name, _equals, value in pairs if name == directive]


@pytest.mark.parametrize("accelerator", list(_confinement.DEVICES))
@pytest.mark.parametrize("steps", [[], ["devices"], ["network"], ["files"], list(_confinement.STEPS)])
def test_the_first_step_is_always_on_and_takes_nothing_that_engines_need(accelerator: str, steps: list[str]) -> None:
    found = lines(accelerator=accelerator, steps=steps)
    assert found[: len(_confinement.ALWAYS)] == list(_confinement.ALWAYS)
    names = {line.partition("=")[0] for line in found}
    assert names.isdisjoint({*NEEDED, "RemoveIPC"})
    assert not any("@resources" in line for line in found)
    assert ("DevicePolicy" in names) == ("devices" in steps)
    # Each of them would make systemd close all other devices.
    assert ({"DeviceAllow", "ProtectClock"} <= names) == ("devices" in steps)
    assert names.isdisjoint({"DeviceAllow", "ProtectClock"}) == ("devices" not in steps)
    assert ("IPAddressDeny" in names) == ("network" in steps)
    assert ("TemporaryFileSystem" in names) == ("files" in steps)


@pytest.mark.parametrize(
    ("accelerator", "open_", "closed"),
    [
        ("cuda", "char-nvidia* rw", "/dev/kfd rw"),
        ("rocm", "/dev/kfd rw", "char-nvidia* rw"),
        ("cpu", "", "/dev/kfd rw"),
    ],
)
def test_an_accelerator_has_its_devices(accelerator: str, open_: str, closed: str) -> None:
    found = values("DeviceAllow", accelerator=accelerator)
    assert (not open_ or open_ in found) and closed not in found
    assert "char-infiniband_verbs rw" in found


def test_other_clusters_are_hidden_and_the_own_is_there() -> None:
    assert lines(accelerator="cpu")[-6:] == [
        "TemporaryFileSystem=/etc/vllm-ray:ro",
        "TemporaryFileSystem=/var/lib/vllm-ray:ro",
        "BindReadOnlyPaths=/etc/vllm-ray/c",
        "BindReadOnlyPaths=-/var/lib/vllm-ray/models",
        "BindPaths=/var/lib/vllm-ray/c",
        "InaccessiblePaths=-/etc/vllm-ray/c/secrets",
    ]
    assert lines(steps=[])[-2:] == [
        "ReadWritePaths=/var/lib/vllm-ray/c",
        "InaccessiblePaths=-/etc/vllm-ray/c/secrets",
    ]


@pytest.mark.parametrize("steps", [[], ["files"]])
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/srv/model", ""),
        ("/home/ann/models/m", ""),
        ("/tmpfs/m", ""),
        ("/tmp/m", "-/tmp/m"),
        ("/tmp//hub/snapshots/abc/", "-/tmp/hub"),
        ("/var/tmp/vllm-ray-test/releases/r", "-/var/tmp/vllm-ray-test"),
    ],
)
def test_what_a_service_reads_is_there_although_its_place_is_hidden(steps: list[str], path: str, shown: str) -> None:
    found = values("BindReadOnlyPaths", accelerator="cpu", steps=steps, read_paths=[path])
    assert found[len(steps) :] == ([shown] if shown else [])


@pytest.mark.parametrize(
    ("accelerator", "env", "shown"),
    [
        ("cuda", {}, ["-/tmp/nvidia-mps"]),
        ("cuda", {"CUDA_MPS_PIPE_DIRECTORY": ""}, ["-/tmp/nvidia-mps"]),
        ("cuda", {"CUDA_MPS_PIPE_DIRECTORY": "/tmp/mine/pipe"}, ["-/tmp/mine"]),
        ("cuda", {"CUDA_MPS_PIPE_DIRECTORY": "/run/mps"}, []),
        ("cpu", {}, []),
    ],
)
def test_a_pipe_of_mps_is_there(accelerator: str, env: dict[str, str], shown: list[str]) -> None:
    assert values("BindReadOnlyPaths", accelerator=accelerator, steps=[], env=env) == shown


def test_paths_that_options_name() -> None:
    options = {
        "chat-template": "/tmp/chat.jinja",
        "lora-modules": ["a=/var/tmp/lora", '{"name": "b", "path": "/data/b"}'],
        "speculative-config": {"model": "/data/draft", "n": 3, "more": [{"path": "/data/more"}]},
        "kv-transfer-config": '{"kv_connector_extra_config": {"root": "/data/kv"}}',
        "port": 8000,
        "served-model-name": "org/name",
        # No paths: a template, one with a space, one that leads up.
        "other": ["{{ a }}", "/tmp/a b", "/tmp/../etc", None, True],
    }
    paths = ["/data/b", "/data/draft", "/data/kv", "/data/more", "/tmp/chat.jinja", "/var/tmp/lora"]
    assert _confinement.paths_in(options) == paths
    shown = values("BindReadOnlyPaths", accelerator="cpu", steps=[], read_paths=_confinement.paths_in(options))
    assert shown == ["-/tmp/chat.jinja", "-/var/tmp/lora"]


def test_paths_to_write() -> None:
    paths = ["/data/kv", "/tmp/kv", "/var/lib/vllm-ray/kv", "/var/lib/vllm-ray/c"]
    found = {
        name: values(name, write_paths=paths, read_paths=["/tmp/kv/x"]) for name in ("ReadWritePaths", "BindPaths")
    }
    assert found == {
        "ReadWritePaths": ["/data/kv"],
        "BindPaths": ["/tmp/kv", "/var/lib/vllm-ray/c", "/var/lib/vllm-ray/kv"],
    }
    assert "-/tmp/kv" not in values("BindReadOnlyPaths", write_paths=paths, read_paths=["/tmp/kv/x"])


def test_roots_in_each_other() -> None:
    found = {
        name: values(
            name,
            accelerator="cpu",
            config_dir="/data/etc/c",
            state_dir="/data/c",
            read_paths=["/data/models/m", "/data/etc/d"],
        )
        for name in ("TemporaryFileSystem", "BindReadOnlyPaths", "BindPaths")
    }
    assert found == {
        "TemporaryFileSystem": ["/data:ro", "/data/etc:ro"],
        "BindReadOnlyPaths": ["/data/etc/c", "-/data/etc/d", "-/data/models"],
        "BindPaths": ["/data/c"],
    }


@pytest.mark.parametrize(
    ("config", "state"), [("/etc/c", "/var/lib/c"), ("/srv/c", "/opt/c"), ("/usr/local/c", "/var/c")]
)
def test_no_directory_of_the_system_is_hidden(config: str, state: str) -> None:
    """Of a role that is used alone, with its directories in /etc and /var/lib."""
    assert values("TemporaryFileSystem", config_dir=config, state_dir=state) == []
    assert values("ReadWritePaths", config_dir=config, state_dir=state) == [state]


@pytest.mark.parametrize(
    "path", ["/tmp/a b", "/tmp/a:b", "/tmp/%h", "/tmp/a\nUser=root", "/tmp/..", "/tmp/a;b", '/tmp/"']
)
def test_a_path_that_systemd_reads_otherwise_is_an_error(path: str) -> None:
    for change in ({"read_paths": [path]}, {"write_paths": [path]}):
        with pytest.raises(ValueError, match="can't be used in a systemd unit"):
            lines(**change)
    # It is not named where nothing hides it.
    outside = path.replace("/tmp", "/srv")
    assert lines(read_paths=[outside]) == lines(read_paths=[])


@pytest.mark.parametrize(
    ("networks", "wanted"),
    [
        ([], []),
        (["192.0.2.12", "192.0.2.11", "192.0.2.12"], ["192.0.2.11/32", "192.0.2.12/32"]),
        (["192.0.2.7/24", "2001:DB8::1", "fe80::/10"], ["192.0.2.0/24", "2001:db8::1/128", "fe80::/10"]),
        (["127.0.0.1", "::1", ""], []),
        (["192.0.2.11", "any"], ["any"]),
    ],
)
def test_networks(networks: list[str], wanted: list[str]) -> None:
    assert _confinement.network_lines(networks) == [f"IPAddressAllow={network}" for network in wanted]


@pytest.mark.parametrize("network", ["gpu01", "192.0.2.11\nUser=root", "192.0.2.300", "192.0.2.0/33", "any "])
def test_what_is_no_network_is_an_error(network: str) -> None:
    with pytest.raises(ValueError):
        _confinement.network_lines([network])
