# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what hosts must agree on or must not share. PRIVATE to the collection."""

from __future__ import annotations

import statistics
import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _lint
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster

# Clocks without NTP drift by seconds a day.
CLOCK_LIMIT = 5.0


def clock_offset(look: _look.Look) -> float:
    """Return by how many seconds a host's clock is ahead of the controller's, 0 where both may agree.

    The host read its clock between two readings of the controller's, so anything between the two is no difference.
    """
    seen, asked = look["host"]["time"], look["asked"]
    return float(seen - min(max(seen, asked["sent"]), asked["received"]))


def clock_differences(looks: Mapping[str, _look.Look]) -> tuple[float, dict[str, float]]:
    """Return by how many seconds the right clock is ahead of the controller's, and each host's ahead of the right one.

    The controller's is right, or the hosts' where all of them agree on another.
    """
    offsets = {name: clock_offset(look) for name, look in looks.items()}
    middle = statistics.median_low(offsets.values()) if len(offsets) > 1 else 0.0
    agree = sum(abs(offset - middle) <= CLOCK_LIMIT for offset in offsets.values())
    if agree < 2 or any(abs(offset) <= CLOCK_LIMIT for offset in offsets.values()):
        middle = 0.0
    return middle, {name: offset - middle for name, offset in offsets.items()}


def clock_row(looks: Mapping[str, _look.Look]) -> dict[str, str]:
    """Return the row of the parity matrix with each host's clock, as check_clocks sees it: in whole seconds, so that
    clocks that are well agree.
    """
    _controller, differences = clock_differences(looks)
    return {name: f"{seconds:+.0f} s" if abs(seconds) >= 1 else "0 s" for name, seconds in differences.items()}


@check("clock", needs=Need.PROBES)
def check_clocks(cluster: Cluster) -> list[Problem]:
    """Check that clocks agree: with the controller's, or with each other's where the controller's differs."""
    controller, differences = clock_differences({host.name: host.look for host in cluster.hosts if host.look})
    fix = "timedatectl set-ntp true, or chronyc makestep"
    problems = []
    if controller:
        found = f"the controller's clock is {in_words(-controller)} the hosts'"
        problems.append(Problem("-", "clock", "warning", found, f"within {CLOCK_LIMIT:.0f} s", f"there: {fix}"))
    for name, seconds in differences.items():
        if abs(seconds) > CLOCK_LIMIT:
            found = f"its clock is {in_words(seconds)} the others'"
            problems.append(Problem(name, "clock", "warning", found, f"within {CLOCK_LIMIT:.0f} s", fix))
    return problems


def in_words(seconds: float) -> str:
    """Return a difference between clocks in words."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"


@check("mtu", needs=Need.PROBES)
def check_mtu(cluster: Cluster) -> list[Problem]:
    """Packets that fit one host's MTU and not another's get lost, and NCCL hangs. The majority is right."""
    nics = {host.name: host.look["network"]["cluster_nic"] for host in cluster.hosts if host.look}
    found = {name: nic for name, nic in nics.items() if nic}
    counts = Counter(nic["mtu"] for nic in found.values())
    if len(counts) < 2:
        return []
    wanted = max(counts, key=lambda mtu: (counts[mtu], mtu))
    return [
        Problem(
            name,
            "mtu",
            "warning",
            f"MTU {nic['mtu']} on {nic['nic']}",
            f"{wanted}, as on {counts[wanted]} of {len(found)} hosts",
            f"ip link set {nic['nic']} mtu {wanted}, and the same in the network's configuration",
        )
        for name, nic in found.items()
        if nic["mtu"] != wanted
    ]


@check("env", needs=Need.PROBES)
def check_environments(cluster: Cluster) -> list[Problem]:
    """Check variables of vllm_ray_env that must differ from host to host."""
    return _lint.environments(cluster.hosts)


@check("gpu", needs=Need.PROBES)
def check_accelerator(cluster: Cluster) -> list[Problem]:
    """If the head has no GPU, the engine would run on CPUs even though workers have GPUs."""
    head, have = cluster.head, {host.name: len(host.look["host"]["gpus"]) for host in cluster.hosts if host.look}
    others = [f"{name} {count}" for name, count in have.items() if count]
    if head.settings["vllm_ray_accelerator"] != "auto" or have.get(head.name) != 0 or not others:
        return []
    found = f"the head has no GPUs, but other hosts have some ({', '.join(others)}): the engine would run on CPUs"
    fix = "make one of those the head, or set vllm_ray_accelerator=cpu to say that GPUs stay unused"
    return [Problem(head.name, "gpu", "error", found, "GPUs on the head, because the engine also runs there", fix)]


@check("address", needs=Need.PROBES)
def check_addresses(cluster: Cluster) -> list[Problem]:
    """Two hosts with one cluster address are one host, or a NIC that is wrong on both."""
    addresses = {name: nic.address for name, nic in cluster.addresses.items()}
    double = [address for address, count in Counter(addresses.values()).items() if count > 1]
    return [
        Problem(
            host,
            "address",
            "error",
            f"cluster address {address}, also of "
            + ", ".join(other for other, its in addresses.items() if its == address and other != host),
            "a unique address",
            "remove the double entry, or set vllm_ray_address or vllm_ray_nic for this host",
        )
        for host, address in addresses.items()
        if address in double
    ]
