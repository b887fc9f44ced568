# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the state of hosts: hardware, system, leftovers. PRIVATE to the collection.

Each check takes probed hosts. What belongs to our own services is never a problem.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, Target, check
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import (
    is_active,
    may_use_gpus,
    ports,
    rdma_is_off,
    serve_args,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import gpu_of, others

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

GIB = 1024**3
MIB = 1024**2
# vLLM's queues between ranks and NCCL's buffers, beside Ray's object store.
SHARED_MEMORY_BESIDE_STORE = GIB
# Below this, logs and sessions fill a disk within days.
DISK_MINIMUM = 2 * GIB
# vLLM's default since 0.24: it refuses to start where less of a GPU's memory is free.
GPU_MEMORY_UTILIZATION = 0.92


def is_loopback(address: str) -> bool:
    """Return whether an address leads to the host itself."""
    return address.startswith("127.") or address == "::1"


def gib(size: float) -> str:
    """Return bytes in GiB."""
    return f"{size / GIB:.1f} GiB"


@check("hostname", needs=Need.PROBE)
def check_hostname(target: Target) -> list[Problem]:
    """What asks for the host's own name, as Gloo does, would offer its peers a loopback address.

    Debian and Ubuntu write 127.0.1.1 to /etc/hosts.
    """
    network, name = target.look["network"], target.look["host"]["hostname"]
    address = network["hostname_address"]
    if address and not is_loopback(address):
        return []
    own = network["cluster_nic"]["address"] if network["cluster_nic"] else "its cluster address"
    found = f"{name} resolves to {address} on itself" if address else f"{name} does not resolve on itself"
    fix = f"set `{own} {name}` in /etc/hosts" + (f" instead of {address}" if address else "")
    return [Problem(target.name, "hostname", "warning", found, own, fix)]


@check("driver", needs=Need.PROBE)
def check_driver(target: Target) -> list[Problem]:
    """Check that the driver offers all GPUs of the PCI bus."""
    seen, wish = target.look["host"], target.settings["vllm_ray_accelerator"]
    error, nvidia, listed = seen["gpu_error"], seen["pci_gpus"]["nvidia"], len(seen["gpus"])
    if not may_use_gpus(target.settings):
        return []
    if error:
        fix = next((fix for sign, fix in DRIVER_FIXES.items() if sign in error), "reinstall the NVIDIA driver")
        return [Problem(target.name, "driver", "error", error, "a driver that works", fix.format(**seen))]
    if nvidia > listed:
        found = f"nvidia-smi lists {listed} of {nvidia} NVIDIA GPUs on the PCI bus"
        fix = "run `dmesg | grep -i nvrm`; ignore this if a container or VM is not meant to have all GPUs"
        return [Problem(target.name, "driver", "info", found, "all GPUs listed", fix)]
    if seen["pci_gpus"]["amd"] and not listed and wish == "auto":
        models = ", ".join(sorted({gpu["name"] for gpu in seen["amd_gpus"]}))
        found = f"{seen['pci_gpus']['amd']} GPUs of AMD" + f" ({models})" * bool(models)
        fix = "set vllm_ray_accelerator=cpu to confirm that they stay unused"
        return [Problem(target.name, "driver", "info", found, "NVIDIA GPUs, there is no release for others", fix)]
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


def usable_gpus(target: Target) -> list[_look.Gpu]:
    """Return the GPUs that the cluster may use."""
    requested = target.settings.get("vllm_ray_gpus")
    if not may_use_gpus(target.settings):
        return []
    return [gpu for gpu in target.look["host"]["gpus"] if requested is None or gpu["index"] in requested]


@check("gpu", needs=Need.PROBE)
def check_gpus(target: Target) -> list[Problem]:
    """Check how the GPUs are set, and whether their memory is sound."""
    gpus = usable_gpus(target)
    problems = []

    def add(severity: str, broken: list[_look.Gpu], found: str, wanted: str, fix: str) -> None:
        if broken:
            indices = ",".join(str(gpu["index"]) for gpu in broken)
            which = f"GPU {indices}: {found}"
            problems.append(Problem(target.name, "gpu", severity, which, wanted, fix.format(gpus=indices)))

    leave = ", or leave it out by vllm_ray_gpus"
    add(
        "error",
        [gpu for gpu in gpus if gpu["mig"]],
        "MIG is on",
        "off, because an engine uses whole GPUs",
        "nvidia-smi -i {gpus} -mig 0" + leave,
    )
    add(
        "error",
        [gpu for gpu in gpus if gpu["memory_failed"]],
        "defective memory that row remapping can't repair",
        "memory without defects",
        "have the GPU replaced" + leave,
    )
    add(
        "warning",
        [gpu for gpu in gpus if gpu["repair_pending"] and not gpu["memory_failed"]],
        "row remapping is pending until the next reset",
        "no pending row remapping",
        "stop the programs that use it, then nvidia-smi -i {gpus} --gpu-reset, or reboot",
    )
    for gpu in gpus:
        count = gpu["ecc_uncorrected"] or 0
        fix = "nvidia-smi -i {gpus} --gpu-reset, or reboot; if they recur, have the GPU replaced"
        add("warning", [gpu] if count else [], f"{count} uncorrected memory errors", "no memory errors", fix)
    add(
        "info",
        [gpu for gpu in gpus if gpu["persistence"] is False],
        "persistence mode is off, so each start loads the driver again",
        "persistence mode is on",
        "systemctl enable --now nvidia-persistenced, or nvidia-smi -pm 1",
    )
    return problems


@check("gpu_memory", needs=Need.PROBE)
def check_gpu_memory(target: Target) -> list[Problem]:
    """Check which other programs hold memory of our GPUs, and whether they leave enough."""
    share = float(serve_args(target.settings).get("gpu-memory-utilization") or GPU_MEMORY_UTILIZATION)
    active, problems = is_active(target.host), []
    for seen in usable_gpus(target):
        gpu = gpu_of(seen, active)
        runs = active or any(process["ours"] for process in seen["processes"])
        full = gpu.crowded(share) and (target.starts or not runs)
        foreign = [process for process in others(seen, active) if "C" in process["kind"] or full]
        wanted = f"{share:.0%} of {gpu.usable // MIB} MiB free" if full else "no process except those of this cluster"
        fix = "or leave the GPU out by vllm_ray_gpus, or lower gpu-memory-utilization in vllm_ray_serve_args"
        for process in foreign:
            held = "?" if process["mib"] is None else process["mib"]
            who = f"pid {process['pid']}, user {process['user'] or '?'}"
            who += f", unit {process['unit']}" if process["unit"] else ""
            found = f"GPU {seen['index']}: {held} MiB held by {process['process'] or 'a process'} ({who})"
            severity = "error" if full else "warning"
            problems.append(Problem(target.name, "gpu_memory", severity, found, wanted, f"stop it, {fix}"))
        if full and not foreign:
            used = f"{seen['used_mib']} of {seen['memory_mib']} MiB in use, but no visible process uses them"
            fix = f"find the process with `fuser -v /dev/nvidia{seen['index']}` outside of containers, {fix}"
            problems.append(Problem(target.name, "gpu_memory", "error", f"GPU {seen['index']}: {used}", wanted, fix))
    return problems


@check("nic", needs=Need.PROBE)
def check_nics(target: Target) -> list[Problem]:
    """Check whether the cluster NIC is the right one."""
    network = target.look["network"]
    problems = []
    chosen = network["cluster_nic"]

    def add(severity: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(target.name, "nic", severity, found, wanted, fix))

    for route in network["routes"]:
        if route["nic"] == "lo":
            found = f"{route['peer']} is {route['address']}, which is this host itself"
            add("error", found, "the peer's address", "fix /etc/hosts or the DNS, or set ansible_host of the peer")
    ways = {route["nic"]: route["peer"] for route in network["routes"] if route["nic"] != "lo"}
    set_by_user = chosen is not None and chosen["why"].startswith("set by")
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
        best = max(faster, key=lambda nic: nic["speed"] or 0)
        found = f"the cluster NIC {mine['name']} has {mine['speed']} Mbit/s, {best['name']} has {best['speed']}"
        fix = f"set vllm_ray_nic={best['name']} if it reaches the peers' NICs"
        add("warning", found, "the fastest NIC that reaches the peers", fix)
    return problems


@check("rdma", needs=Need.PROBE)
def check_rdma(target: Target) -> list[Problem]:
    """Check whether the RDMA devices work, and whether NCCL would use them."""
    network, requested = target.look["network"], target.settings.get("vllm_ray_rdma_devices") or []
    rdma = network["rdma"]
    active = {port["device"] for port in rdma if port["state"] == "ACTIVE"}
    problems = []

    def add(severity: str, found: str, wanted: str, fix: str) -> None:
        problems.append(Problem(target.name, "rdma", severity, found, wanted, fix))

    # NCCL's own form: mlx5_0, or mlx5_0:1 for one port.
    for name in requested:
        if name.split(":")[0] not in {port["device"] for port in rdma}:
            have = ", ".join(sorted({port["device"] for port in rdma})) or "none"
            add("error", f"RDMA devices: {have}", f"vllm_ray_rdma_devices={name}", "correct vllm_ray_rdma_devices")
    named = {name.split(":")[0] for name in requested}
    for port in rdma:
        if port["state"] == "ACTIVE" or (port["device"] not in named and port["link_layer"] != "InfiniBand"):
            continue  # a RoCE port that nobody asked for is a NIC without a cable
        severity = "error" if port["device"] in named else "info" if active else "warning"
        found = f"{port['device']} port {port['port']} is {port['state']} ({port['physical']}), {port['link_layer']}"
        fix = "plug or enable the link" if port["physical"] in ("Disabled", "Polling") else "start a subnet manager"
        add(severity, found, "ACTIVE", f"{fix}; see `ibstat {port['device']}`")
    off = rdma_is_off(target.settings)
    if active and off:
        found = f"working RDMA devices ({', '.join(sorted(active))}), but {off}"
        add("warning", found, "RDMA between hosts", f"remove {off.split('=', maxsplit=1)[0]} from vllm_ray_env")
    elif active:
        for what in network["rdma_missing"]:
            fix = (
                f"install the package {what}"
                if what.startswith("lib")
                else "load ib_uverbs, or pass the devices into the container"
            )
            add("warning", f"no {what}, so NCCL uses TCP", "RDMA between hosts", fix)
    return problems


@check("memlock", needs=Need.PROBE)
def check_memlock(target: Target) -> list[Problem]:
    """RDMA pins memory. Judged only where NCCL would use RDMA: elsewhere the limit does not matter."""
    look = target.look
    if rdma_is_off(target.settings) or not any(port["state"] == "ACTIVE" for port in look["network"]["rdma"]):
        return []
    limits, system = look["host"]["memlock"], target.settings["vllm_ray_scope"] == "system"
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
    return [Problem(target.name, "memlock", "warning", found, "no limit, because RDMA locks memory", fix)]


@check("shared_memory", needs=Need.PROBE)
def check_shared_memory(target: Target) -> list[Problem]:
    """Ray's object store and the queues between ranks are in /dev/shm."""
    shared = target.look["host"]["shared_memory"]
    need = int(float(target.settings["vllm_ray_object_store_gib"]) * GIB) + SHARED_MEMORY_BESIDE_STORE
    wanted = f"at least {gib(need)}"
    if shared["size"] < need:
        size = -(-need // GIB)
        fix = f"mount -o remount,size={size}G /dev/shm (a container: --shm-size={size}g)"
        fix += ", or lower vllm_ray_object_store_gib" * (need > 2 * SHARED_MEMORY_BESIDE_STORE)
        return [Problem(target.name, "shared_memory", "error", f"/dev/shm has {gib(shared['size'])}", wanted, fix)]
    if shared["free"] < need and not is_active(target.host):
        found = f"/dev/shm has {gib(shared['free'])} free of {gib(shared['size'])}"
        fix = "remove what dead processes left there: `ls -l /dev/shm`"
        return [Problem(target.name, "shared_memory", "warning", found, wanted, fix)]
    return []


@check("disk", needs=Need.PROBE)
def check_disks(target: Target) -> list[Problem]:
    """Check that each filesystem that is written to can be, and has room."""
    filesystems: dict[int, list[_look.Disk]] = {}
    for disk in target.look["host"]["disks"]:
        # A model of the user's own is only read where it is: a share of it may well be full or read-only.
        if disk["path"] != target.settings["vllm_ray_model"] or disk["path"] in target.writes:
            filesystems.setdefault(disk["filesystem"], []).append(disk)
    elsewhere = "choose another filesystem by vllm_ray_root, vllm_ray_state_root or vllm_ray_model_root"
    problems = []
    for disks in filesystems.values():
        paths = ", ".join(disk["path"] for disk in disks)
        free = min(disk["free"] for disk in disks)
        need = sum(target.writes.get(disk["path"], 0) for disk in disks) + DISK_MINIMUM
        if disks[0]["read_only"]:
            found = f"the filesystem of {paths} is mounted read-only"
            fix = f"mount -o remount,rw (`dmesg` shows whether the disk failed), or {elsewhere}"
            problems.append(Problem(target.name, "disk", "error", found, "a writable filesystem", fix))
        elif free < need:
            found = f"{gib(free)} free for {paths}"
            problems.append(
                Problem(target.name, "disk", "error", found, f"at least {gib(need)}", f"free some, or {elsewhere}")
            )
    return problems


@check("leftovers", needs=Need.PROBE)
def check_leftovers(target: Target) -> list[Problem]:
    """Check for what an earlier run or somebody else left: engines, ranks, sockets of dead sessions."""
    usage, problems = target.look["usage"], []
    for process in usage["strays"]:
        where = f", unit {process['unit']}" if process["unit"] else ""
        who = f"pid {process['pid']}, user {process['user']}{where}"
        found = f"{process['process']} that this collection did not start ({who})"
        stop = f"systemctl stop {process['unit']}" if process["unit"] else f"kill {process['pid']}"
        wanted, fix = "no engine and no rank except those of this cluster", f"{stop}, because it may use GPUs and ports"
        problems.append(Problem(target.name, "leftovers", "warning", found, wanted, fix))
    if usage["stale_sockets"] and not is_active(target.host):
        sockets = usage["stale_sockets"]
        found = f"{len(sockets)} unused sockets of earlier Ray sessions, such as {sockets[0]}"
        fix = "nothing to do: each node creates a new session when it starts"
        problems.append(Problem(target.name, "leftovers", "info", found, "no unused sockets", fix))
    return problems


@check("port", needs=Need.PROBE)
def check_binding(target: Target) -> list[Problem]:
    """Check that our ports can be bound. A connection can hold one without a process that listens."""
    variables = ports(target.settings, target.host.is_head, target.serves)
    problems = []
    for entry in target.look["usage"]["bind_errors"]:
        variable = variables.get(entry["port"])
        if variable:
            found = f"port {entry['port']} can't be bound on {entry['address']}: {entry['error']}"
            reserve = f"sysctl -w net.ipv4.ip_local_reserved_ports={entry['port']}"
            fix = f"{reserve} keeps other connections off it, or set {variable}"
            wanted = "a free port; no process listens on it"
            problems.append(Problem(target.name, "port", "error", found, wanted, fix))
    return problems
