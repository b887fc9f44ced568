# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks for options and environment variables that no longer work or are harmful. PRIVATE to the collection.

What a release knows, its own parser says later (serve_config_check); this is what can be said before there is one, and
what no parser says. What removes a protection is in _danger.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

# Options of `vllm serve` that web pages still name, and what does the same in vLLM 0.32. A scenario asks the release's
# parser that it knows none of the former and all of the latter.
REMOVED_OPTIONS = {
    "disable-log-requests": "remove it: requests are logged only with enable-log-requests",
    "enable-reasoning": "set reasoning-parser alone",
    "engine-use-ray": "remove it: the plan sets distributed-executor-backend",
    "guided-decoding-backend": "set structured-outputs-config",
    "max-context-len-to-capture": "set cudagraph-capture-sizes",
    "max-seq-len-to-capture": "set cudagraph-capture-sizes",
    "num-lookahead-slots": "set speculative-config",
    "num-scheduler-steps": "remove it: several steps at once are no longer scheduled",
    "override-pooler-config": "set pooler-config",
    "preemption-mode": "remove it: preempted requests are recomputed",
    "rope-scaling": "set hf-overrides",
    "rope-theta": "set hf-overrides",
    "speculative-model": "set speculative-config",
    "swap-space": "remove it, or set kv-offloading-size",
    "use-v2-block-manager": "remove it",
    "worker-use-ray": "remove it: the plan sets distributed-executor-backend",
}
REMOVED_ENVIRONMENT = {
    "VLLM_ATTENTION_BACKEND": "set attention-backend in vllm_ray_serve_args",
    "VLLM_USE_RAY_COMPILED_DAG": "remove it",
    "VLLM_USE_RAY_SPMD_WORKER": "remove it",
    "VLLM_USE_V1": "remove it: there is no other engine",
}
# (pattern of names, severity, what is wrong with it, what fixes it)
HARMFUL_ENVIRONMENT = (
    ("RAY_EXPERIMENTAL_NOSET_.*", "warning", "hides the GPUs from Ray's own bookkeeping", "leave it to vLLM"),
    # Each host's unit has its own; one value for all hosts is wrong on all but one.
    (
        "VLLM_HOST_IP|RAY_ADDRESS|RAY_NODE_IP_ADDRESS",
        "error",
        "overrides the address that the plan sets for each host",
        "set vllm_ray_address",
    ),
    (
        "(NCCL|GLOO|TP)_SOCKET_IFNAME",
        "warning",
        "overrides the cluster NIC of each host",
        "set vllm_ray_nic, for hosts where it differs",
    ),
    ("VLLM_(RAY_)?DP_.*", "error", "spreads the engine over GPUs that are not planned", "remove it"),
    (
        "(LOCAL_)?RANK|WORLD_SIZE|MASTER_(ADDR|PORT)",
        "warning",
        "is for one rank, but every rank would get it",
        "remove it",
    ),
    ("(CUDA|HIP|ROCR)_VISIBLE_DEVICES", "error", "overrides what the plan gives a node", "set vllm_ray_gpus"),
    ("NCCL_P2P_DISABLE", "info", "makes GPUs of a host communicate through host memory", "remove it unless P2P hangs"),
    ("NCCL_IB_DISABLE", "info", "leaves InfiniBand unused", "remove it unless there is none"),
)


# Lists of network devices by name. Each host must have those that its value names.
DEVICES = ("NCCL_IB_HCA", "UCX_NET_DEVICES", "NVSHMEM_HCA_LIST", "GLOO_IB_DEVICE")
# The host's own address, which others connect to.
OWN_ADDRESS = ("VLLM_NIXL_SIDE_CHANNEL_HOST", "VLLM_EC_SIDE_CHANNEL_HOST")


def environments(hosts: Sequence[Host]) -> list[Problem]:
    """Return what is wrong with variables of vllm_ray_env that must differ from host to host, and do not."""
    seen = {host.name: host for host in hosts if host.look}
    owners = {address: name for name, host in seen.items() for address in addresses_of(host)}
    borrowed: dict[tuple[str, str, str], list[str]] = {}
    problems = []
    for name, host in seen.items():
        for variable, value in host.settings["vllm_ray_env"].items():
            owner = owners.get(str(value).strip().strip("[]").lower(), name)
            if owner != name and not any(re.fullmatch(pattern, variable) for pattern, *_rest in HARMFUL_ENVIRONMENT):
                borrowed.setdefault((variable, str(value), owner), []).append(name)
            if variable in DEVICES:
                problems += devices_of(host, variable, str(value))
    for (variable, value, owner), names in borrowed.items():
        severity = "error" if variable in OWN_ADDRESS else "warning"
        found = f"vllm_ray_env: {variable} is {value} on {', '.join(names)}, which is an address of {owner}"
        fix = f"set {variable} in vllm_ray_env of each host (host_vars), unless all hosts should use that address"
        problems.append(Problem("-", "env", severity, found, "an address of the host itself", fix))
    return problems


def addresses_of(host: Host) -> set[str]:
    """Return the names and addresses by which a host is known, its loopback left out."""
    look = host.look or {}
    found = {str(entry["address"]).lower() for entry in look["network"]["addresses"]}
    found |= {host.name.lower(), str(look["host"]["hostname"]).lower()}
    return {text for text in found if text and not text.startswith(("127.", "localhost")) and text != "::1"}


def devices_of(host: Host, variable: str, value: str) -> list[Problem]:
    """Return the problem of a list of network devices of which the host does not have one."""
    network = (host.look or {})["network"]
    have = {nic["name"] for nic in network["nics"]} | {port["device"] for port in network["rdma"]}
    # NCCL: ^ leaves out, = means the whole name, otherwise its beginning. UCX: all, and DEVICE:PORT.
    names = [part.split(":")[0] for part in value.lstrip("^=").split(",") if part.strip()]
    missing = [name for name in names if name != "all" and not any(it.startswith(name) for it in have)]
    if not missing or value.startswith("^"):
        return []
    found = f"vllm_ray_env: {variable} names {', '.join(missing)}, but the host has {', '.join(sorted(have)) or 'none'}"
    own = "vllm_ray_rdma_devices" if variable == "NCCL_IB_HCA" else f"{variable} in vllm_ray_env"
    return [Problem(host.name, "env", "warning", found, "devices of this host", f"set {own} for each host (host_vars)")]


@check("option", needs=Need.PLAN)
def executor(given: Mapping[str, object], planned: str, gpus: int) -> list[Problem]:
    """Return the error of an executor that contradicts the layout. given: options; gpus: how many the engine uses.

    Which GPUs a host offers to Ray depends on it.
    """
    requested = str(given.get("distributed-executor-backend") or planned)
    if requested == planned or (requested == "uni" and planned == "mp" and gpus == 1):
        return []
    found = f"vllm_ray_serve_args: distributed-executor-backend is {requested}, but the layout needs {planned}"
    return [Problem("-", "option", "error", found, planned, "remove it: the plan sets it")]


def options(host: str, given: Mapping[str, object]) -> list[Problem]:
    """Return warnings of options that are gone. given: without dashes.

    They are warnings because a release of the user's own may be old enough; its parser decides.
    """
    return [
        Problem(
            host, "option", "warning", f"vllm_ray_serve_args: {name} was removed from vLLM", "an option it knows", fix
        )
        for name, fix in REMOVED_OPTIONS.items()
        if name in given
    ]


@check("parser", "release", needs=Need.PARSER)
def refused(host: str, release: str, reasons: Mapping[str, str]) -> list[Problem]:
    """Return what the release's own parser refuses. release: its path; reasons: RV(refused) of serve_config_check."""
    problems = []

    def add(check: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(host, check, "error", found, wanted, fix))

    for what, why in reasons.items():
        if what == "release":
            fix = "let site.yml build the release, or correct vllm_ray_release_path"
            add("release", f"vLLM can't be loaded: {why}", f"a vLLM in {release} that can be loaded", fix)
            continue
        known = REMOVED_OPTIONS if what == "options" else REMOVED_ENVIRONMENT
        variable = "vllm_ray_serve_args" if what == "options" else "vllm_ray_env"
        words = re.findall(r"[\w-]+", why)
        fixes = [f"{name}: {fix}" for name, fix in known.items() if {name, f"--{name}"}.intersection(words)]
        wanted = f"a value that the vLLM in {release} accepts"
        add("parser", f"{variable}: {why}", wanted, "; ".join(fixes) or f"correct {variable}")
    return problems


def environment(host: str, given: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with names in vllm_ray_env. NCCL_IB_DISABLE=0 and the like do no harm."""
    problems = [
        Problem(
            host, "env", "warning", f"vllm_ray_env: {name} was removed from vLLM, which ignores it", "a known name", fix
        )
        for name, fix in REMOVED_ENVIRONMENT.items()
        if name in given
    ]
    for name, value in given.items():
        for pattern, severity, why, fix in HARMFUL_ENVIRONMENT:
            if re.fullmatch(pattern, name) and not (name.endswith("_DISABLE") and str(value) == "0"):
                problems.append(Problem(host, "env", severity, f"vllm_ray_env: {name} {why}", "not set", fix))
    return problems
