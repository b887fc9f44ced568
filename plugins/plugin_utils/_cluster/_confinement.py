# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directives that confine both units, in one place. PRIVATE to the collection.

Code of a model, or an attacker who takes over Ray or vLLM, runs as the service user. The first step is always on: no
privileges, no new ones, a read-only file system. The second step depends on the site. Its parts (STEPS) can be switched
off one by one.

Some directives are left out because engines need what they close:

- MemoryDenyWriteExecute: Triton and Inductor compile and run what they compiled
- PrivateDevices, PrivateIPC, PrivateNetwork, PrivateUsers: GPUs, /dev/shm between ranks, peers, RDMA
- ProcSubset=pid: Ray reads /proc/meminfo
- RemoveIPC: it would remove the shared memory of the cluster's other service, too
- SystemCallFilter=~@resources: NUMA; ~@privileged: tar and pip call chown, which has no effect anyway
"""

from __future__ import annotations

import ipaddress
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import parsed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _value_types
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._value_types import clean

if t.TYPE_CHECKING:
    from collections.abc import Iterable

STEPS = ("devices", "network", "files")
# In the order of systemd.exec(5). Only what systemd 247 knows: older versions warn of names that they do not know.
ALWAYS = (
    "UMask=0077",
    "LimitCORE=0",
    "LimitMEMLOCK=infinity",
    "LimitNOFILE=1048576",
    "TasksMax=infinity",
    "KeyringMode=private",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "RestrictSUIDSGID=yes",
    "ProtectSystem=strict",
    # To read: models may be there.
    "ProtectHome=read-only",
    # Also hides /tmp and /var/tmp of the host. /dev/shm stays shared: ranks and Ray's object store meet there.
    "PrivateTmp=yes",
    "ProtectProc=invisible",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap",
    # Of @debug, what ranks of one user use to share memory (torch, UCX).
    "SystemCallFilter=pidfd_getfd process_vm_readv process_vm_writev",
    "SystemCallErrorNumber=EPERM",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
)
# Always open.
LOOPBACK = ("127.0.0.1/32", "::1/128")
# Names of /proc/devices, or paths. Those that a host does not have are passed over.
RDMA = ("char-infiniband_verbs rw", "/dev/infiniband/rdma_cm rw")
DEVICES = {
    # There is no release for it yet.
    "rocm": ("/dev/kfd rw", "char-drm rw", *RDMA),
    **{name: (*accelerator.devices, *RDMA) for name, accelerator in ACCELERATORS.items()},
}
TEMPORARY = ("/tmp", "/var/tmp")
# What connects an engine with a running MPS server, and where it looks without it.
MPS = "CUDA_MPS_PIPE_DIRECTORY"
MPS_DEFAULTS = {name: accelerator.sockets for name, accelerator in ACCELERATORS.items()}


class Facts(t.TypedDict):
    """What the confinement of a service depends on.

    steps: some of STEPS. accelerator: one of DEVICES. config_dir, state_dir: of the cluster, absolute paths.
    read_paths, write_paths: further absolute paths that the service needs; read_paths may not be there. env: the
    environment of the service.
    """

    steps: list[str]
    accelerator: str
    config_dir: str
    state_dir: str
    read_paths: list[str]
    write_paths: list[str]
    env: dict[str, str]


def confinement(facts: Facts) -> list[str]:
    """Return the directives of a unit's section [Service].

    ValueError: a path that the unit must name has characters that systemd takes for its own.
    """
    steps = facts["steps"]
    lines = [*ALWAYS]
    if "devices" in steps:
        # ProtectClock names a device. With DevicePolicy=auto, systemd would close all others, GPUs among them.
        lines += ["DevicePolicy=closed", "ProtectClock=yes"]
        lines += [f"DeviceAllow={device}" for device in DEVICES[facts["accelerator"]]]
    if "network" in steps:
        # All other addresses are in a file of their own, which is applied without a restart: network_lines.
        lines += ["IPAddressDeny=any", "IPAddressAllow=localhost"]
    return [*lines, *file_lines(facts, "files" in steps)]


def file_lines(facts: Facts, apart: bool) -> list[str]:
    """Return the directives about files. apart: whether to hide the files of other clusters."""
    config, state = clean(facts["config_dir"]), clean(facts["state_dir"])
    written = {state, *map(clean, facts["write_paths"])}
    roots = {os.path.dirname(path) for path in (config, state)} - _value_types.SYSTEM_DIRECTORIES if apart else set()
    hidden = (*TEMPORARY, *roots)
    mps = (facts.get("env") or {}).get(MPS) or MPS_DEFAULTS.get(facts["accelerator"], "")
    read = {entry_below(path, hidden) for path in (*facts["read_paths"], mps) if path} - {"", config} - written
    return [
        *(f"TemporaryFileSystem={fit(root)}:ro" for root in sorted(roots)),
        *(f"BindReadOnlyPaths={fit(path)}" for path in [entry_below(config, hidden)] if path),
        *(f"BindReadOnlyPaths=-{fit(path)}" for path in sorted(read)),
        *(f"{'BindPaths' if entry_below(path, hidden) else 'ReadWritePaths'}={fit(path)}" for path in sorted(written)),
        f"InaccessiblePaths=-{fit(config)}/secrets",
    ]


def entry_below(path: str, directories: Iterable[str]) -> str:
    """Return the entry of the innermost of these directories that leads to a path; empty where the path is in none.

    The entry, not the path: links of a release or a model may lead to what is beside it.
    """
    path = clean(path)
    around = [place for place in map(clean, directories) if path != place and _value_types.is_below(path, place)]
    if not around:
        return ""
    inner = max(around, key=len)
    return f"{inner}/{path[len(inner) + 1 :].partition('/')[0]}"


def paths_in(value: object) -> list[str]:
    """Return the absolute paths in options, sorted: values at any depth, also in JSON and behind the `=` of NAME=PATH.

    What is no path that a unit can name is left out.
    """
    value = parsed(value)
    if isinstance(value, (dict, list)):
        entries = value.values() if isinstance(value, dict) else value
        return sorted({path for entry in entries for path in paths_in(entry)})
    text = str(value)
    path = text if text.startswith("/") else text.partition("=")[2]
    return [path] if _value_types.is_host_path(path) else []


def fit(path: str) -> str:
    """Return a path for a unit. ValueError: it has characters that systemd takes for its own."""
    if not _value_types.is_host_path(path):
        wanted = _value_types.TYPES["host path"].expected
        raise ValueError(f"{path!r} can't be used in a systemd unit. Move it or make a link to it: {wanted}")
    return path


def network_lines(networks: Iterable[str]) -> list[str]:
    """Return the directives that let a unit with IPAddressDeny=any reach addresses and networks, or `any`.

    ValueError: one of them is none.
    """
    given = {str(network) for network in networks if network}
    if "any" in given:
        return ["IPAddressAllow=any"]
    found = {ipaddress.ip_network(network, strict=False) for network in given}
    return [f"IPAddressAllow={network}" for network in sorted(map(str, found)) if network not in LOOPBACK]
