# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads hosts from a file, to plan a cluster that does not exist yet. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import CUDA
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _engine
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu, Link

if t.TYPE_CHECKING:
    from collections.abc import Mapping

# The form to write by hand. A host stands for `count` hosts that are alike; memory_gib is one GPU's.
SPEC: dict[str, dict[str, object]] = {
    "hosts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "count": {"type": "int", "default": 1},
            "gpus": {"type": "int", "required": True},
            "gpu": {"type": "str", "required": True},
            "memory_gib": {"type": "float", "required": True},
            "inside": {"type": "str", "choices": ["nvlink", "pcie"], "default": "pcie"},
        },
    },
    "link": {
        "type": "dict",
        "options": {"gbit": {"type": "float", "default": 10.0}, "rdma": {"type": "bool", "default": False}},
    },
}
# The smallest numbers that a plan accepts; no GPU that vLLM runs on has less than a GiB.
LEAST = {"count": 1, "gpus": 0, "memory_gib": 1, "gbit": 0.1}


class HostsError(ValueError):
    """A hosts file that can't be used; the message says why."""


class Hosts(t.NamedTuple):
    """The content of a hosts file. note: what had to be assumed, empty where nothing had."""

    hosts: list[ClusterHost]
    link: Link
    note: str = ""


def parse(data: object, settings: Mapping[str, object]) -> Hosts:
    """Return the hosts of a file, the serve host first. settings: of the cluster. Raises HostsError."""
    if not isinstance(data, dict) or not data.get("hosts"):
        raise HostsError("it has no hosts")
    found = of_report(data["hosts"], settings) if isinstance(data["hosts"], dict) else of_short_form(data)
    silent = [host.name for host in found.hosts if any(not gpu.usable for gpu in host.gpus)]
    if silent:
        raise HostsError(
            f"GPUs of {', '.join(silent)} report no memory size: write the hosts file by hand, with memory_gib"
        )
    wished = settings.get("vllm_ray_serve_host")
    if wished and wished not in [host.name for host in found.hosts]:
        raise HostsError(f"vllm_ray_serve_host is {wished}, which it does not have")
    return found._replace(hosts=sorted(found.hosts, key=lambda host: wished is not None and host.name != wished))


def of_report(looks: Mapping[str, t.Any], settings: Mapping[str, object]) -> Hosts:
    """Return the hosts that preflight.yml probed."""
    try:
        hosts = [Host(name, ("workers",), dict(settings), look) for name, look in looks.items()]
        return Hosts([_engine.cluster_host(host, CUDA) for host in hosts], *_engine.slowest_link(hosts))
    except (KeyError, TypeError, AttributeError) as error:
        raise HostsError(f"it is not a report of preflight.yml: {error!r}") from error


def of_short_form(data: Mapping[str, object]) -> Hosts:
    """Return the hosts that somebody wrote down."""
    result = ArgumentSpecValidator(SPEC).validate(data)
    if result.error_messages:
        raise HostsError("; ".join(result.error_messages))
    link = result.validated_parameters["link"]
    hosts = []
    for entry in result.validated_parameters["hosts"]:
        for key in ("count", "gpus", "memory_gib"):
            at_least(entry[key], LEAST[key], f"{key} of {entry['name']}")
        gpus = (Gpu(entry["gpu"], int(entry["memory_gib"] * 1024)),) * entry["gpus"]
        names = [entry["name"]] if entry["count"] == 1 else [f"{entry['name']}-{n + 1}" for n in range(entry["count"])]
        hosts += [ClusterHost(name, gpus, entry["inside"]) for name in names]
    if len({host.name for host in hosts}) < len(hosts):
        raise HostsError("two hosts have the same name")
    if link is None:
        return Hosts(hosts, Link(_engine.USUAL_GBIT), f"no link is given: assumed {_engine.USUAL_GBIT:g} Gbit/s")
    at_least(link["gbit"], LEAST["gbit"], "gbit of the link")
    return Hosts(hosts, Link(link["gbit"], link["rdma"]))


def at_least(value: float, least: float, what: str) -> None:
    """Refuse a number that is too small for a plan. Raises HostsError."""
    if value < least:
        raise HostsError(f"{what} is {value:g}, and must be at least {least:g}")
