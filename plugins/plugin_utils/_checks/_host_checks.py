# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the state of hosts: hardware, system, leftovers. PRIVATE to the collection.

Each check takes probed hosts. What belongs to our own services is never a problem.
"""

from __future__ import annotations

import statistics
import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import (
    is_active,
    may_use_gpus,
    ports,
    serve_args,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import gpu_of, others

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

GIB = 1024**3
MIB = 1024**2
# vLLM's queues between ranks and NCCL's buffers, beside Ray's object store.
SHARED_MEMORY_BESIDE_STORE = GIB
# Below this, logs and sessions fill a disk within days.
DISK_MINIMUM = 2 * GIB
# Clocks without NTP drift by seconds a day.
CLOCK_LIMIT = 5.0
# vLLM's default since 0.24: it refuses to start where less of a GPU's memory is free.
GPU_MEMORY_UTILIZATION = 0.92


def check_state(
    host: Host, serves: bool, needs: Mapping[str, int] | None = None, starts: bool = False
) -> list[Problem]:
    """Check one probed host.

    needs: bytes that will be written below each of its looked-at paths. starts: whether the engine is to be started on
    it, so that what runs there now says nothing.
    """
    return [
        *check_hostname(host),
        *check_driver(host),
        *check_gpus(host),
        *check_gpu_memory(host, starts),
        *check_nics(host),
        *check_rdma(host),
        *check_memlock(host),
        *check_shared_memory(host),
        *check_disks(host, needs or {}),
        *check_leftovers(host, serves),
    ]


def check_states(hosts: Sequence[Host]) -> list[Problem]:
    """Check what hosts must agree on."""
    return [*check_clocks(hosts), *check_mtu(hosts)]


def look_of(host: Host) -> dict[str, t.Any]:
    """Return the look of a probed host."""
    if host.look is None:
        raise ValueError(f"{host.name} was not probed")
    return host.look


def is_loopback(address: str) -> bool:
    """Return whether an address leads to the host itself."""
    return address.startswith("127.") or address == "::1"


def gib(size: float) -> str:
    """Return bytes in GiB."""
    return f"{size / GIB:.1f} GiB"


def check_hostname(host: Host) -> list[Problem]:
    """What asks for the host's own name, as Gloo does, would offer its peers a loopback address.

    Debian and Ubuntu write 127.0.1.1 to /etc/hosts.
    """
    network, name = look_of(host)["network"], look_of(host)["host"]["hostname"]
    address = network["hostname_address"]
    if address and not is_loopback(address):
        return []
    own = (network["cluster_nic"] or {}).get("address", "its cluster address")
    found = f"{name} resolves to {address} on itself" if address else f"{name} does not resolve on itself"
    fix = f"set `{own} {name}` in /etc/hosts" + (f" instead of {address}" if address else "")
    return [Problem(host.name, "hostname", "warning", found, own, fix)]


def check_driver(host: Host) -> list[Problem]:
    """Check that the driver offers all GPUs of the PCI bus."""
    seen, wish = look_of(host)["host"], host.settings["vllm_ray_accelerator"]
    error, nvidia, listed = seen["gpu_error"], seen["pci_gpus"]["nvidia"], len(seen["gpus"])
    if not may_use_gpus(host.settings):
        return []
    if error:
        fix = next((fix for sign, fix in DRIVER_FIXES.items() if sign in error), "reinstall the NVIDIA driver")
        return [Problem(host.name, "driver", "error", error, "a driver that works", fix.format(**seen))]
    if nvidia > listed:
        found = f"nvidia-smi lists {listed} of {nvidia} NVIDIA GPUs on the PCI bus"
        fix = "run `dmesg | grep -i nvrm`; ignore this if a container or VM is not meant to have all GPUs"
        return [Problem(host.name, "driver", "info", found, "all GPUs listed", fix)]
    if seen["pci_gpus"]["amd"] and not listed and wish == "auto":
        models = ", ".join(sorted({gpu["name"] for gpu in seen["amd_gpus"]}))
        found = f"{seen['pci_gpus']['amd']} GPUs of AMD" + f" ({models})" * bool(models)
        fix = "set vllm_ray_accelerator=cpu to confirm that they stay unused"
        return [Problem(host.name, "driver", "info", found, "NVIDIA GPUs, there is no release for others", fix)]
    return []


# Parts of what nvidia-smi says, and the fix. {kernel}: the running one.
DRIVER_FIXES = {
    "version mismatch": "reboot: the driver's libraries were upgraded under the running kernel module",
    "couldn't communicate": "build the driver's module for the running kernel {kernel} (dkms autoinstall), or reboot "
    "into the kernel that it was built for",
    "not installed": "install the NVIDIA driver (580 or newer for CUDA 13), or set vllm_ray_accelerator=cpu",
    "device handle": "reboot; if the GPU is lost again, see `dmesg | grep -i xid`, its power supply and its slot",
    "did not answer": "reboot; see `dmesg | grep -i xid` for the GPU that hangs",
}


def usable_gpus(host: Host) -> list[dict[str, t.Any]]:
    """Return the GPUs that the cluster may use."""
    wished = host.settings.get("vllm_ray_gpus")
    if not may_use_gpus(host.settings):
        return []
    return [gpu for gpu in look_of(host)["host"]["gpus"] if wished is None or gpu["index"] in wished]


def check_gpus(host: Host) -> list[Problem]:
    """Check how the GPUs are set, and whether their memory is sound."""
    gpus = usable_gpus(host)
    problems = []

    def add(severity: str, broken: list[dict[str, t.Any]], found: str, wanted: str, fix: str) -> None:
        if broken:
            indices = ",".join(str(gpu["index"]) for gpu in broken)
            which = f"GPU {indices}: {found}"
            problems.append(Problem(host.name, "gpu", severity, which, wanted, fix.format(gpus=indices)))

    leave = ", or leave it out by vllm_ray_gpus"
    add(
        "error",
        [gpu for gpu in gpus if gpu["mig"]],
        "MIG is on",
        "off, an engine takes whole GPUs",
        "nvidia-smi -i {gpus} -mig 0" + leave,
    )
    add(
        "error",
        [gpu for gpu in gpus if gpu["memory_failed"]],
        "bad memory that can't be replaced by spare rows",
        "sound memory",
        "have the GPU replaced" + leave,
    )
    add(
        "warning",
        [gpu for gpu in gpus if gpu["repair_pending"] and not gpu["memory_failed"]],
        "bad memory is replaced at the next reset",
        "no pending repair",
        "stop what uses it, then nvidia-smi -i {gpus} --gpu-reset, or reboot",
    )
    for gpu in gpus:
        count = gpu["ecc_uncorrected"] or 0
        fix = "nvidia-smi -i {gpus} --gpu-reset, or reboot; if they recur, have the GPU replaced"
        add("warning", [gpu] if count else [], f"{count} uncorrected memory errors", "none", fix)
    add(
        "info",
        [gpu for gpu in gpus if gpu["persistence"] is False],
        "persistence mode is off, so each start loads the driver again",
        "on",
        "systemctl enable --now nvidia-persistenced, or nvidia-smi -pm 1",
    )
    return problems


def check_gpu_memory(host: Host, starts: bool) -> list[Problem]:
    """Check who else holds memory of our GPUs, and whether they leave enough. starts: of check_state."""
    share = float(serve_args(host.settings).get("gpu-memory-utilization") or GPU_MEMORY_UTILIZATION)
    active, problems = is_active(host), []
    for seen in usable_gpus(host):
        gpu = gpu_of(seen, active)
        runs = active or any(process["ours"] for process in seen["processes"])
        full = gpu.crowded(share) and (starts or not runs)
        foreign = [process for process in others(seen, active) if "C" in process["kind"] or full]
        wanted = f"{share:.0%} of {gpu.usable // MIB} MiB free" if full else "no process except those of this cluster"
        fix = "or leave the GPU out by vllm_ray_gpus, or lower gpu-memory-utilization in vllm_ray_serve_args"
        for process in foreign:
            held = "?" if process["mib"] is None else process["mib"]
            who = f"pid {process['pid']}, user {process['user'] or '?'}"
            who += f", unit {process['unit']}" if process["unit"] else ""
            found = f"GPU {seen['index']}: {held} MiB held by {process['process'] or 'a process'} ({who})"
            severity = "error" if full else "warning"
            problems.append(Problem(host.name, "gpu_memory", severity, found, wanted, f"stop it, {fix}"))
        if full and not foreign:
            used = f"{seen['used_mib']} of {seen['memory_mib']} MiB in use by no visible process"
            fix = f"find the process with `fuser -v /dev/nvidia{seen['index']}` outside of containers, {fix}"
            problems.append(Problem(host.name, "gpu_memory", "error", f"GPU {seen['index']}: {used}", wanted, fix))
    return problems


def check_nics(host: Host) -> list[Problem]:
    """Check whether the cluster NIC is the right one."""
    network = look_of(host)["network"]
    problems = []
    chosen = network["cluster_nic"]

    def add(severity: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(host.name, "nic", severity, found, wanted, fix))

    for route in network["routes"]:
        if route["nic"] == "lo":
            found = f"{route['peer']} is {route['address']} here, which is this host itself"
            add("error", found, "the peer's address", "fix /etc/hosts or the DNS, or set ansible_host of the peer")
    ways = {route["nic"]: route["peer"] for route in network["routes"] if route["nic"] != "lo"}
    set_by_user = bool(chosen) and chosen["why"].startswith("set by")
    if len(ways) > 1 and not set_by_user:
        found = "peers are reached by several NICs: " + ", ".join(f"{peer} by {nic}" for nic, peer in ways.items())
        add("warning", found, "one NIC", "fix the routes, or set vllm_ray_nic on every host")
    nics = {nic["name"]: nic for nic in network["nics"]}
    mine = nics.get(chosen["nic"]) if chosen else None
    if not chosen or not mine:
        return problems
    if not mine["up"]:
        add("error", f"the cluster NIC {mine['name']} is down", "up", f"ip link set {mine['name']} up")
    usable = {entry["nic"] for entry in network["addresses"] if entry["up"]}
    faster = [
        nic
        for nic in network["nics"]
        if nic["name"] in usable
        and nic["kind"] != "virtual"
        and mine["kind"] != "virtual"
        and (nic["speed"] or 0) > (mine["speed"] or nic["speed"] or 0)
    ]
    if faster and not set_by_user:
        best = max(faster, key=lambda nic: nic["speed"])
        found = f"the cluster NIC {mine['name']} has {mine['speed']} Mbit/s, {best['name']} has {best['speed']}"
        fix = f"set vllm_ray_nic={best['name']} if it reaches the peers' NICs"
        add("warning", found, "the fastest NIC that reaches the peers", fix)
    return problems


def rdma_is_off(settings: Mapping[str, t.Any]) -> str:
    """Return which setting keeps NCCL from RDMA, empty where none does."""
    env = {name: str(value) for name, value in settings["vllm_ray_env"].items()}
    if env.get("NCCL_IB_DISABLE", "0") not in ("0", ""):
        return f"NCCL_IB_DISABLE={env['NCCL_IB_DISABLE']}"
    return f"NCCL_NET={env['NCCL_NET']}" if env.get("NCCL_NET", "").lower() == "socket" else ""


def check_rdma(host: Host) -> list[Problem]:
    """Check whether the RDMA devices work, and whether NCCL would use them."""
    network, wished = look_of(host)["network"], host.settings.get("vllm_ray_rdma_devices") or []
    rdma = network["rdma"]
    active = {port["device"] for port in rdma if port["state"] == "ACTIVE"}
    problems = []

    def add(severity: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(host.name, "rdma", severity, found, wanted, fix))

    # NCCL's own form: mlx5_0, or mlx5_0:1 for one port.
    for name in wished:
        if name.split(":")[0] not in {port["device"] for port in rdma}:
            have = ", ".join(sorted({port["device"] for port in rdma})) or "none"
            add("error", f"RDMA devices: {have}", f"vllm_ray_rdma_devices={name}", "correct vllm_ray_rdma_devices")
    named = {name.split(":")[0] for name in wished}
    for port in rdma:
        if port["state"] == "ACTIVE" or (port["device"] not in named and port["link_layer"] != "InfiniBand"):
            continue  # a RoCE port that nobody asked for is a NIC without a cable
        severity = "error" if port["device"] in named else "info" if active else "warning"
        found = f"{port['device']} port {port['port']} is {port['state']} ({port['physical']}), {port['link_layer']}"
        fix = "plug or enable the link" if port["physical"] in ("Disabled", "Polling") else "start a subnet manager"
        add(severity, found, "ACTIVE", f"{fix}; see `ibstat {port['device']}`")
    off = rdma_is_off(host.settings)
    if active and off:
        found = f"working RDMA devices ({', '.join(sorted(active))}), and {off}"
        add("warning", found, "RDMA between hosts", f"remove {off.split('=', maxsplit=1)[0]} from vllm_ray_env")
    elif active:
        for what in network["rdma_missing"]:
            fix = f"install the package {what}" if what.startswith("lib") else "load ib_uverbs, or pass the devices in"
            add("warning", f"no {what}, so NCCL uses TCP", "RDMA between hosts", fix)
    return problems


def check_memlock(host: Host) -> list[Problem]:
    """RDMA pins memory. Judged only where NCCL would use RDMA: elsewhere the limit does not matter."""
    look = look_of(host)
    if rdma_is_off(host.settings) or not any(port["state"] == "ACTIVE" for port in look["network"]["rdma"]):
        return []
    limits, system = look["host"]["memlock"], host.settings["vllm_ray_scope"] == "system"
    # Units of scope system set their own; supervisor passes on what the login may.
    limit = limits["services"] if limits["services"] is not None or system else limits["login"]
    if limit is None or limit < 0 or limit >= look["host"]["memory"]:
        return []
    fix = (
        "restart the services with -e vllm_ray_restart=true: their units set LimitMEMLOCK=infinity"
        if system
        else f"write `{look['host']['user']} - memlock unlimited` to /etc/security/limits.conf, log in again, restart"
    )
    found = f"the services may lock {limit // MIB} MiB of memory"
    return [Problem(host.name, "memlock", "warning", found, "no limit, RDMA pins memory", fix)]


def check_shared_memory(host: Host) -> list[Problem]:
    """Ray's object store and the queues between ranks lie in /dev/shm."""
    shared = look_of(host)["host"]["shared_memory"]
    need = int(float(host.settings["vllm_ray_object_store_gib"]) * GIB) + SHARED_MEMORY_BESIDE_STORE
    wanted = f"at least {gib(need)}"
    if shared["size"] < need:
        size = -(-need // GIB)
        fix = f"mount -o remount,size={size}G /dev/shm (a container: --shm-size={size}g)"
        fix += ", or lower vllm_ray_object_store_gib" * (need > 2 * SHARED_MEMORY_BESIDE_STORE)
        return [Problem(host.name, "shared_memory", "error", f"/dev/shm has {gib(shared['size'])}", wanted, fix)]
    if shared["free"] < need and not is_active(host):
        found = f"/dev/shm has {gib(shared['free'])} free of {gib(shared['size'])}"
        fix = "remove what dead processes left there: `ls -l /dev/shm`"
        return [Problem(host.name, "shared_memory", "warning", found, wanted, fix)]
    return []


def check_disks(host: Host, needs: Mapping[str, int]) -> list[Problem]:
    """Check that each filesystem that is written to can be, and has room. needs: {path: bytes} to be written there."""
    filesystems: dict[int, list[dict[str, t.Any]]] = {}
    for disk in look_of(host)["host"]["disks"]:
        # A model of the user's own is only read where it is: a share of it may well be full or read-only.
        if disk["path"] != host.settings["vllm_ray_model"] or disk["path"] in needs:
            filesystems.setdefault(disk["filesystem"], []).append(disk)
    elsewhere = "choose another filesystem by vllm_ray_root, vllm_ray_state_root or vllm_ray_model_root"
    problems = []
    for disks in filesystems.values():
        paths = ", ".join(disk["path"] for disk in disks)
        free = min(disk["free"] for disk in disks)
        need = sum(needs.get(disk["path"], 0) for disk in disks) + DISK_MINIMUM
        if disks[0]["read_only"]:
            found = f"the filesystem of {paths} is mounted read-only"
            fix = f"mount -o remount,rw (`dmesg` shows whether the disk failed), or {elsewhere}"
            problems.append(Problem(host.name, "disk", "error", found, "one that can be written", fix))
        elif free < need:
            found = f"{gib(free)} free for {paths}"
            problems.append(
                Problem(host.name, "disk", "error", found, f"at least {gib(need)}", f"free some, or {elsewhere}")
            )
    return problems


def check_leftovers(host: Host, serves: bool) -> list[Problem]:
    """Check what is in the way of a start and is nobody's: dead Rays, other engines, ports that are held unseen."""
    usage, problems = look_of(host)["usage"], []

    def add(check: str, severity: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(host.name, check, severity, found, wanted, fix))

    for process in usage["strays"]:
        where = f", unit {process['unit']}" if process["unit"] else ""
        who = f"pid {process['pid']}, user {process['user']}{where}"
        found = f"{process['process']} that this collection did not start ({who})"
        stop = f"systemctl stop {process['unit']}" if process["unit"] else f"kill {process['pid']}"
        add(
            "leftovers",
            "warning",
            found,
            "no engine and no rank except those of this cluster",
            f"{stop}, it may hold GPUs and ports",
        )
    if usage["stale_sockets"] and not is_active(host):
        found = f"{len(usage['stale_sockets'])} sockets of dead sessions, such as {usage['stale_sockets'][0]}"
        add("leftovers", "info", found, "none", "nothing to do: each node creates a new session when it starts")
    variables = ports(host.settings, host.is_head, serves)
    for entry in usage["bind_errors"]:
        variable = variables.get(entry["port"])
        if variable:
            found = f"port {entry['port']} can't be bound on {entry['address']}: {entry['error']}"
            reserve = f"sysctl -w net.ipv4.ip_local_reserved_ports={entry['port']}"
            fix = f"{reserve} keeps other connections off it, or set {variable}"
            add("port", "error", found, "a free port; no process listens on it", fix)
    return problems


def clock_offset(look: Mapping[str, t.Any]) -> float:
    """Return by how many seconds a host's clock is ahead of the controller's, 0 where both may agree.

    The host read its clock between two readings of the controller's, so anything between the two is no difference.
    """
    seen, asked = look["host"]["time"], look["asked"]
    return float(seen - min(max(seen, asked["sent"]), asked["received"]))


def clock_differences(looks: Mapping[str, Mapping[str, t.Any]]) -> tuple[float, dict[str, float]]:
    """Return by how many seconds the right clock is ahead of the controller's, and each host's ahead of the right one.

    The controller's is right, or the hosts' where all of them agree on another.
    """
    offsets = {name: clock_offset(look) for name, look in looks.items()}
    middle = statistics.median_low(offsets.values()) if len(offsets) > 1 else 0.0
    agree = sum(abs(offset - middle) <= CLOCK_LIMIT for offset in offsets.values())
    if agree < 2 or any(abs(offset) <= CLOCK_LIMIT for offset in offsets.values()):
        middle = 0.0
    return middle, {name: offset - middle for name, offset in offsets.items()}


def clock_row(looks: Mapping[str, Mapping[str, t.Any]]) -> dict[str, str]:
    """Return the row of the parity matrix with each host's clock, as check_clocks sees it: in whole seconds, so that
    clocks that are well agree.
    """
    _controller, differences = clock_differences(looks)
    return {name: f"{seconds:+.0f} s" if abs(seconds) >= 1 else "0 s" for name, seconds in differences.items()}


def check_clocks(hosts: Sequence[Host]) -> list[Problem]:
    """Check that clocks agree: with the controller's, or with each other's where the controller's differs."""
    controller, differences = clock_differences({host.name: host.look for host in hosts if host.look})
    fix = "timedatectl set-ntp true, or chronyc makestep"
    problems = []
    if controller:
        found = f"the controller's clock is {told(-controller)} the hosts'"
        problems.append(Problem("-", "clock", "warning", found, f"within {CLOCK_LIMIT:.0f} s", f"there: {fix}"))
    for name, seconds in differences.items():
        if abs(seconds) > CLOCK_LIMIT:
            found = f"its clock is {told(seconds)} the others'"
            problems.append(Problem(name, "clock", "warning", found, f"within {CLOCK_LIMIT:.0f} s", fix))
    return problems


def told(seconds: float) -> str:
    """Return a difference between clocks in words."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"


def check_mtu(hosts: Sequence[Host]) -> list[Problem]:
    """Packets that fit one host's MTU and not another's get lost, and NCCL hangs. The majority is right."""
    nics = {host.name: look_of(host)["network"]["cluster_nic"] for host in hosts if host.look}
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
