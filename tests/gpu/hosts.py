# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts on one machine: namespaces with an own network, hostname, /dev/shm, home and share of the GPUs.

They reach each other, and the machine reaches them, over a bridge. Everything that a host has ends with its first
process, the network included; its home stays in the directory of the run.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import steps
from .place import ROOT, SERVE_ARGS, Failed, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

BRIDGE = "gpuhosts"
NETWORK, PREFIX, CONTROLLER = "10.78.0", 24, 254
# {host}: its name. The end on the machine; the other one is eth0 of the host.
CABLE = "gpu-{host}"
INIT = Path(__file__).resolve().parent / "init.py"
# Counts the GPUs on which a program may run, and takes one.
COUNT = """
import ctypes
cuda, count, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_void_p()
if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
    raise SystemExit("no CUDA")
if cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0):
    raise SystemExit("no context")
print("GPUs:", count.value)
"""


@dataclass(frozen=True)
class Host:
    """A host. pid: its first process, as the machine sees it; started: when, in ticks, as PIDs are used again."""

    number: int
    pid: int
    started: str

    @property
    def name(self) -> str:
        return f"h{self.number}"

    @property
    def address(self) -> str:
        return f"{NETWORK}.{self.number}"

    @property
    def lives(self) -> bool:
        return ticks(self.pid) == self.started

    @property
    def enter(self) -> list[str]:
        """What stands before a command that is to run on the host."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]

    def processes(self) -> dict[int, str]:
        """Return {pid: name} of the host, with the PIDs that the machine sees."""
        own, found = os.readlink(f"/proc/{self.pid}/ns/pid"), {}
        for entry in Path("/proc").glob("[0-9]*"):
            # It may end meanwhile.
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns" / "pid") == own and int(entry.name) != self.pid:
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
        return found


def ticks(pid: int) -> str:
    """Return when a process started, empty where there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]


def folder(place: Place) -> Path:
    return place.work / "hosts"


def home(place: Place, host: Host) -> Path:
    """Return the home of a host, as a path on the machine."""
    return folder(place) / host.name / "home"


def note(place: Place, made: Iterable[Host]) -> None:
    """Write which hosts there are, so that a later run finds them. Without the file there is no bridge, either."""
    (folder(place) / "hosts.json").write_text(json.dumps([asdict(host) for host in made]))


def noted(place: Place) -> list[Host]:
    file = folder(place) / "hosts.json"
    return [Host(**entry) for entry in json.loads(file.read_text())] if file.is_file() else []


def known(place: Place) -> list[Host]:
    """Return the hosts, which must run."""
    found = noted(place)
    if not found or not all(host.lives for host in found):
        raise Failed("the hosts do not run: take the step hosts")
    return found


def cluster(place: Place) -> Place:
    """Return the run as the cluster of the hosts sees it: it is deployed to them, and h1 serves."""
    head, there = known(place)[0], copy.copy(place)
    there.enter, there.services = head.enter, home(place, head)
    there.url, there.key = f"http://{head.address}:8000", folder(place) / "key"
    there.inventory = folder(place) / "cluster.ini"
    return there


# --- Creating --------------------------------------------------------------------------------------------------------


def pyroute2(place: Place) -> Any:
    """Load what creates networks; it is carried, as this machine may not have ip(8)."""
    sys.path.insert(0, str(place.work / "ansible"))
    try:
        return importlib.import_module("pyroute2")
    finally:
        del sys.path[0]


def devices() -> list[str]:
    """Return the devices of the machine's GPUs, in their order."""
    found = [path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdecimal()]
    return [str(path) for path in sorted(found, key=lambda path: int(path.name[6:]))]


def shares(gpus: list[str], count: int) -> list[list[str]]:
    """Split GPUs evenly; what is left over belongs to no host."""
    each = len(gpus) // count
    return [gpus[number * each : (number + 1) * each] for number in range(count)]


def create(place: Place, ip: Any, bridge: int, number: int, names: str, hidden: list[str]) -> Host:
    """Create a host. ip: pyroute2's socket; bridge: the index of the bridge; names: /etc/hosts; hidden: devices."""
    base = folder(place) / f"h{number}"
    for name in ("home", "tmp", "spare"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "tmp").chmod(0o1777)
    (base / "hosts").write_text(names)
    binds = {str(place.home): str(base / "home"), "/etc/hosts": str(base / "hosts")}
    # What is carried must stay in sight.
    if not any(
        Path("/tmp") in path.parents for path in (ROOT, place.folder, place.models.resolve(), Path(sys.executable))
    ):
        binds["/tmp"] = str(base / "tmp")
    setup = {
        "name": f"h{number}", "address": f"{NETWORK}.{number}", "prefix": PREFIX, "binds": binds, "hidden": hidden,
    }  # fmt: skip
    with (base / "init.log").open("w") as log:
        init = subprocess.Popen(
            [sys.executable, INIT, json.dumps(setup), base / "spare"], cwd="/", text=True, start_new_session=True,
            env=place.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert init.stdin and init.stdout
    with init.stdin, init.stdout:
        pid = int(init.stdout.readline() or 0)
        init.wait()
        host = Host(number, pid, ticks(pid))
        if pid:
            note(place, [*noted(place), host])
            cable = CABLE.format(host=host.name)
            ip.link("add", ifname=cable, kind="veth", peer={"ifname": "eth0", "net_ns_pid": pid})
            (index,) = ip.link_lookup(ifname=cable)
            ip.link("set", index=index, master=bridge, state="up")
            print(file=init.stdin, flush=True)
        if init.stdout.readline() != "up\n":
            raise Failed(f"{host.name} does not start: {(base / 'init.log').read_text()[-600:]}")
    return host


def create_all(place: Place, ip: Any, hidden: list[list[str]]) -> list[Host]:
    """Create the bridge and the hosts. hidden: the devices that each host must not see."""
    if ip.link_lookup(ifname=BRIDGE):
        raise Failed(f"there is a bridge {BRIDGE} already; the run that made it ends it by its step stop")
    note(place, [])
    ip.link("add", ifname=BRIDGE, kind="bridge")
    (bridge,) = ip.link_lookup(ifname=BRIDGE)
    ip.addr("add", index=bridge, address=f"{NETWORK}.{CONTROLLER}", prefixlen=PREFIX)
    ip.link("set", index=bridge, state="up")
    lines = ["127.0.0.1 localhost", *(f"{NETWORK}.{number} h{number}" for number in range(1, len(hidden) + 1))]
    names = "\n".join(lines) + "\n"
    return [create(place, ip, bridge, number, names, own) for number, own in enumerate(hidden, start=1)]


def remove(place: Place) -> list[str]:
    """End the hosts and all that runs on them, and remove the bridge; return their names."""
    if not (folder(place) / "hosts.json").is_file():
        return []
    hosts = noted(place)
    for host in hosts:
        if host.lives:
            os.kill(host.pid, signal.SIGKILL)
    while any(host.lives for host in hosts):
        if place.over:
            raise Failed(f"still there: {[host.pid for host in hosts if host.lives]}")
        time.sleep(0.1)
    with pyroute2(place).IPRoute() as ip:
        # The other end of a cable may live a little longer than its host.
        names = [BRIDGE, *(CABLE.format(host=host.name) for host in hosts)]
        for index in [index for name in names for index in ip.link_lookup(ifname=name)]:
            with contextlib.suppress(pyroute2(place).NetlinkError):
                ip.link("del", index=index)
    (folder(place) / "hosts.json").unlink()
    return [host.name for host in hosts]


def visible(place: Place, host: Host) -> list[str]:
    """Return the UUIDs of the GPUs that a host sees, none where nvidia-smi and CUDA do not agree."""
    query = ("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")
    listed = place.run(*host.enter, *query, check=False)[1].splitlines()
    found = [line for line in listed if line.startswith("GPU-")]
    usable = place.run(*host.enter, sys.executable, "-c", COUNT, check=False)[1].splitlines()
    return found if f"GPUs: {len(found)}" in usable else []


def show_all(place: Place, hosts: list[Host], gpus: list[list[str]]) -> None:
    """Show all GPUs to all hosts again: then only vllm_ray_gpus says which ones are a host's."""
    for host, own in zip(hosts, gpus):
        for device in sorted(set(devices()) - set(own)):
            place.run(*host.enter, "umount", device)


def hosts(place: Place) -> dict[str, Any]:
    """Create the hosts anew, and their inventory. Homes of earlier hosts of the same names stay as they are."""
    if os.geteuid():
        raise Failed("hosts need root")
    if Path("/dev/shm") in place.models.resolve().parents:
        raise Failed(f"{place.models} can't be seen on hosts, which have a /dev/shm each: set MODELS=DIR")
    if steps.processes(place):
        raise Failed("a cluster of this machine itself runs: take the step stop")
    folder(place).mkdir(exist_ok=True)
    remove(place)
    all_gpus = [] if place.cpu else devices()
    gpus = shares(all_gpus, place.hosts)
    if not place.cpu and not gpus[0]:
        raise Failed(f"this machine has {len(all_gpus)} GPUs for {place.hosts} hosts")
    network = pyroute2(place)
    try:
        with network.IPRoute() as ip:
            made = create_all(place, ip, [sorted(set(all_gpus) - set(own)) for own in gpus])
    except network.NetlinkError as error:
        raise Failed(f"the kernel refuses the network of the hosts: {error}") from error
    seen = [{} if place.cpu else dict(enumerate(visible(place, host))) for host in made]
    apart = [len(found) for found in seen] == [len(own) for own in gpus]
    apart = apart and len({uuid for found in seen for uuid in found.values()}) == sum(map(len, seen))
    if not apart:
        show_all(place, made, gpus)
        listed = visible(place, made[0])
        if len(listed) != len(all_gpus):
            raise Failed("the GPUs can't be used on the hosts, see the log of this step")
        seen = [{index: listed[index] for index in map(all_gpus.index, own)} for own in gpus]
    write_inventory(place, made, len(gpus[0]) or 1, [] if apart else seen)
    place.run("ansible", "all", "-m", "ping", "-i", folder(place) / "cluster.ini")
    told = {host.name: {"address": host.address, "gpus": found} for host, found in zip(made, seen)}
    return {"hosts": told, "others_hidden": apart}


def write_inventory(place: Place, hosts: list[Host], each: int, gpus: list[dict[int, str]]) -> None:
    """Write the inventory and its variables: a stage of the pipeline on each host.

    each: how many GPUs a host has; gpus: those of each host, by index, where it sees those of others, too.
    """
    words = {host: f'{host.name} ansible_host={host.address} gpu_host_enter="{" ".join(host.enter)}"' for host in hosts}
    for host, own in zip(hosts, gpus):
        words[host] += f" vllm_ray_gpus=[{','.join(map(str, own))}]"
    head, *workers = words.values()
    common = ["ansible_connection=gpu_host", f"ansible_python_interpreter={sys.executable}"]
    lines = ["[head]", head, "", "[workers]", *workers, "", "[all:vars]", *common]
    (folder(place) / "cluster.ini").write_text("\n".join(lines) + "\n")
    place.write_variables(
        folder(place) / "group_vars",
        key_file=str(folder(place) / "key"),
        plan_file=str(folder(place) / "plan.json"),
        report=str(place.results / "spread-report"),
        nccl_debug="INFO",
        # Less than the limits of the steps, so that site.yml itself shows why an engine does not start.
        serve_timeout=400,
        serve_args={**SERVE_ARGS, "tensor-parallel-size": each, "pipeline-parallel-size": len(hosts)},
    )


def stop(place: Place) -> dict[str, Any]:
    """End the services of the machine, and the hosts with all that runs on them."""
    return {"hosts": remove(place), **steps.stop(place)}
