# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An all-reduce over the ranks of a plan: a rank's program, and what its output means. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MIB = 1024**2
# Small for the latency, large for the bandwidth.
SIZES = (MIB, 64 * MIB)
ROUNDS = 5


class Rank(t.TypedDict):
    """A rank, and its GPU on its host."""

    rank: int
    device: int


class Task(t.TypedDict, total=False):
    """Arguments of collective_check that a host's ranks need."""

    backend: str
    world: int
    master: str
    port: int
    seconds: int
    ranks: list[Rank]


class Step(t.TypedDict, total=False):
    """A line of the script: what a rank does, and what came of it."""

    rank: int
    step: str
    missing: list[int]
    wrong: float
    seconds: dict[str, float]
    error: str


class Outcome(t.TypedDict):
    """What came of a rank: the last step that it reported, and wrong is what came out instead of the sum."""

    step: str
    missing: list[int]
    wrong: float | None
    gbytes_per_second: dict[str, float]
    transports: list[str]
    error: str


# Names that change how ranks find each other and add up, of NCCL, its network plugins, RDMA, Gloo, CUDA and torch: none
# of them takes a secret (NCCL_IB_PKEY is a number). NCCL also reads .nccl.conf in the home.
MATTERS = re.compile(
    r"(NCCL|GLOO|UCX|UCC|SHARP|FI|OFI|IBV|RDMAV|MLX[45]|CUDA|TORCH|PYTORCH|OMP|MKL|KMP)_\w+"
    r"|LD_LIBRARY_PATH|LD_PRELOAD|HOME|PATH"
)

# What torch calls the devices of a backend, empty for the CPU.
TORCH_DEVICES = {accelerator.backend: accelerator.torch_device for accelerator in ACCELERATORS.values()}

# As the units have it: RDMA pins memory. Root raises the limit where it may, before the account changes.
MEMLOCK = ("/bin/sh", "-c", 'ulimit -l unlimited 2>/dev/null; exec "$@"', "sh")

# What a rank may take beyond its own limit, to import torch and to end.
SLACK = 30

# Runs in the release, once per host; starts its ranks and ends those that hang. Each reports its steps in lines of
# JSON, so that a hang has a name. argv: the JSON of host_task().
SCRIPT = """
import json, os, signal, sys, time
task = json.loads(sys.argv[1])

def tell(rank, step, **more):
    # One write, so that the ranks' lines do not mix.
    os.write(1, ("COLLECTIVE " + json.dumps({"rank": rank, "step": step, **more}) + "\\n").encode())

def run(rank, number):
    import datetime
    tell(number, "import")
    import torch
    import torch.distributed as dist
    limit = datetime.timedelta(seconds=task["seconds"])
    # Such as torch.cuda.
    gpus = getattr(torch, task["device"]) if task["device"] else None
    device = torch.device(f"{task['device']}:{rank['device']}" if gpus else "cpu")
    if gpus:
        gpus.set_device(device)
    tell(number, "meet")
    store = dist.TCPStore(task["master"], task["port"], task["world"], number == 0, limit, wait_for_workers=False)
    store.set(f"here/{number}", "1")
    missing = list(range(task["world"]))
    end = time.monotonic() + task["seconds"]
    while missing and time.monotonic() < end:
        missing = [other for other in missing if not store.check([f"here/{other}"])]
        time.sleep(0.05)
    if missing:
        return tell(number, "meet", missing=missing)
    tell(number, "connect")
    options = {"device_id": device} if gpus else {}
    dist.init_process_group(
        task["backend"], store=store, rank=number, world_size=task["world"], timeout=limit, **options
    )
    dist.barrier()
    tell(number, "reduce")
    wanted = task["world"] * (task["world"] + 1) / 2
    seconds = {}
    for size in task["sizes"]:
        tensor = torch.empty(size // 4, dtype=torch.float32, device=device)
        # The first round makes the connections and does not count.
        for round in range(task["rounds"] + 1):
            tensor.fill_(number + 1)
            dist.barrier()
            if gpus:
                gpus.synchronize()
            start = time.perf_counter()
            dist.all_reduce(tensor)
            if gpus:
                gpus.synchronize()
            took = time.perf_counter() - start
            seconds[size] = min(took, seconds.get(size, took)) if round > 1 else took
        if not bool((tensor == wanted).all()):
            return tell(number, "reduce", wrong=float(tensor.flatten()[0]))
    tell(number, "done", seconds=seconds)
    dist.destroy_process_group()

running = {}
for rank in task["ranks"]:
    pid = os.fork()
    if not pid:
        try:
            run(rank, rank["rank"])
        except BaseException as error:
            tell(rank["rank"], "failed", error=f"{type(error).__name__}: {error}".splitlines()[0])
        # As it is: what NCCL left may stand still when it is taken down.
        os._exit(0)
    running[pid] = rank
end = time.monotonic() + 2 * task["seconds"] + task["slack"]
while running and time.monotonic() < end:
    pid, _status = os.waitpid(-1, os.WNOHANG)
    running.pop(pid, None)
    time.sleep(0 if pid else 0.05)
for pid in running:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def host_task(given: Mapping[str, object]) -> dict[str, object]:
    """Return the argument of the script: a Task and what is always the same. given: arguments of collective_check."""
    task = {name: given[name] for name in ("backend", "world", "master", "port", "seconds", "ranks")}
    return {
        **task,
        "device": TORCH_DEVICES[str(given["backend"])],
        "sizes": list(SIZES),
        "rounds": ROUNDS,
        "slack": SLACK,
    }


def environment(node: Mapping[str, str]) -> dict[str, str]:
    """Return the part of a node's environment that ranks need for an all-reduce.

    A host's journal keeps the arguments of modules, and users put secrets into the environment of a node.
    """
    return {name: value for name, value in node.items() if MATTERS.fullmatch(name)}


def bus_bandwidth(size: int, seconds: float, ranks: int) -> float:
    """Return the bus bandwidth of an all-reduce in bytes per second: what each link carries, whatever the ranks.

    size: bytes of the tensor. Source: nccl-tests, doc/PERFORMANCE.md (2 (n - 1) / n times the algorithm's bandwidth).
    """
    return 2 * (ranks - 1) / ranks * size / seconds if seconds and ranks > 1 else 0.0


def outcomes(output: str, given: Task) -> dict[str, Outcome]:
    """Return what came of each rank of a host, by its number as text."""
    lines = output.splitlines()
    told: dict[int, list[Step]] = {rank["rank"]: [] for rank in given["ranks"]}
    for line in lines:
        # NCCL may have left a line unended.
        _before, mark, text = line.partition("COLLECTIVE ")
        if mark:
            entry: Step = json.loads(text)
            told[entry["rank"]].append(entry)
    ways, complaint = transports(lines), nccl_warning(lines)
    return {str(rank): outcome(steps, given["world"], ways, complaint) for rank, steps in told.items()}


def outcome(steps: Sequence[Step], world: int, ways: list[str], complaint: str) -> Outcome:
    """Return what came of one rank, from the steps that it reported."""
    last: Step = steps[-1] if steps else {"step": "start"}
    # A rank that failed did so in the step before.
    step = steps[-2]["step"] if last["step"] == "failed" and len(steps) > 1 else last["step"]
    seconds = {int(size): took for size, took in (last.get("seconds") or {}).items()}
    return {
        "step": step,
        "missing": last.get("missing", []),
        "wrong": last.get("wrong"),
        "gbytes_per_second": {str(size): round(bus_bandwidth(size, s, world) / 1e9, 3) for size, s in seconds.items()},
        "transports": ways,
        # NCCL's own words say more than the exception that follows from them.
        "error": "" if step == "done" else complaint or last.get("error", ""),
    }


def transports(lines: Iterable[str]) -> list[str]:
    """Return the transports that NCCL's log names, without its numbers: NET/IB/GDRDMA, NET/Socket, P2P/CUMEM, SHM ...

    lines: with NCCL_DEBUG=INFO, such as `... Channel 00/0 : 0[0] -> 1[0] [send] via NET/IB/0/GDRDMA`.
    """
    found = {
        "/".join(part for part in match.group(1).split("/") if not re.fullmatch(r"[\d()]+", part))
        for match in (re.search(r"\bvia ([A-Z][\w/()]+)", line) for line in lines)
        if match
    }
    return sorted(found)


def nccl_warning(lines: Iterable[str]) -> str:
    """Return NCCL's first complaint, which says more than the error that follows from it."""
    return next((f"NCCL: {line.split('NCCL WARN', 1)[1].strip()}" for line in lines if "NCCL WARN" in line), "")


def layout(hosts: Mapping[str, Sequence[int]]) -> dict[str, list[tuple[int, int]]]:
    """Return {host: [(rank, device)]} for the GPUs of each host, in the order of the hosts."""
    result: dict[str, list[tuple[int, int]]] = {}
    rank = 0
    for host, devices in hosts.items():
        result[host] = [(rank + offset, device) for offset, device in enumerate(devices)]
        rank += len(devices)
    return result
