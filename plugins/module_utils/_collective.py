# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An all-reduce over the ranks of a plan: a rank's program, and what its output means. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MIB = 1024**2
# Small for the latency, large for the bandwidth.
SIZES = (MIB, 64 * MIB)
ROUNDS = 5

# Runs in the release, once per rank; tells each step in a line of JSON, so that a hang has a name. argv: a JSON object
# with backend, rank, world, device, master, port, seconds, sizes and rounds.
SCRIPT = """
import datetime, json, sys, time
task = json.loads(sys.argv[1])
def tell(**words):
    print("COLLECTIVE " + json.dumps({"rank": task["rank"], **words}), flush=True)
tell(step="import")
import torch, torch.distributed as dist
limit = datetime.timedelta(seconds=task["seconds"])
device = torch.device("cpu" if task["backend"] == "gloo" else f"cuda:{task['device']}")
if device.type == "cuda":
    torch.cuda.set_device(device)
tell(step="meet")
store = dist.TCPStore(task["master"], task["port"], task["world"], task["rank"] == 0, limit, wait_for_workers=False)
store.set(f"here/{task['rank']}", "1")
missing = set(range(task["world"]))
end = time.monotonic() + task["seconds"]
while missing and time.monotonic() < end:
    missing = {rank for rank in missing if not store.check([f"here/{rank}"])}
    time.sleep(0.05)
if missing:
    tell(step="meet", missing=sorted(missing))
    sys.exit(3)
tell(step="connect")
dist.init_process_group(task["backend"], store=store, rank=task["rank"], world_size=task["world"], timeout=limit)
tell(step="reduce")
wanted = task["world"] * (task["world"] + 1) / 2
seconds = {}
for size in task["sizes"]:
    tensor = torch.empty(size // 4, dtype=torch.float32, device=device)
    for round in range(task["rounds"] + 1):
        tensor.fill_(task["rank"] + 1)
        dist.barrier()
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        dist.all_reduce(tensor)
        if device.type == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - start
        # The first one makes the connections.
        seconds[size] = min(took, seconds.get(size, took)) if round else took
    if not bool((tensor == wanted).all()):
        tell(step="reduce", wrong=float(tensor.flatten()[0]), wanted=wanted)
        sys.exit(4)
tell(step="done", seconds=seconds)
dist.destroy_process_group()
"""


def rank_tasks(given: Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the argument of the script for each rank of a host. given: arguments of collective_check."""
    common = {name: given[name] for name in ("backend", "world", "master", "port", "seconds")}
    return [{**common, **rank, "sizes": list(SIZES), "rounds": ROUNDS} for rank in given["ranks"]]


def bus_bandwidth(size: int, seconds: float, ranks: int) -> float:
    """Return the bus bandwidth of an all-reduce in bytes per second: what each link carries, whatever the ranks.

    size: bytes of the tensor. Source: nccl-tests, doc/PERFORMANCE.md (2 (n - 1) / n times the algorithm's bandwidth).
    """
    return 2 * (ranks - 1) / ranks * size / seconds if seconds and ranks > 1 else 0.0


def told(output: str) -> list[dict[str, t.Any]]:
    """Return what a rank told of its steps."""
    return [json.loads(line[11:]) for line in output.splitlines() if line.startswith("COLLECTIVE ")]


def outcome(output: str, ranks: int) -> dict[str, t.Any]:
    """Return what came of one rank: step (where it ended), bandwidth per size in GB/s, transports, missing ranks and
    the first error.
    """
    steps = told(output)
    last: dict[str, t.Any] = steps[-1] if steps else {"step": "start"}
    seconds = {int(size): value for size, value in (last.get("seconds") or {}).items()}
    return {
        "step": last["step"],
        "missing": last.get("missing", []),
        "wrong": last.get("wrong"),
        "gbytes_per_second": {
            str(size): round(bus_bandwidth(size, took, ranks) / 1e9, 3) for size, took in seconds.items()
        },
        "transports": transports(output.splitlines()),
        "error": "" if last["step"] == "done" else first_error(output.splitlines()),
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


def first_error(lines: Sequence[str]) -> str:
    """Return the line that says why a rank failed: NCCL's first warning, or Python's last line."""
    warnings = [line.split("NCCL WARN", 1)[1].strip() for line in lines if "NCCL WARN" in line]
    if warnings:
        return f"NCCL: {warnings[0]}"
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return errors[-1] if errors else ""


def layout(hosts: Mapping[str, Sequence[int]]) -> dict[str, list[tuple[int, int]]]:
    """Return {host: [(rank, device)]} for the GPUs of each host, in the order of the hosts."""
    result: dict[str, list[tuple[int, int]]] = {}
    rank = 0
    for host, devices in hosts.items():
        result[host] = [(rank + offset, device) for offset, device in enumerate(devices)]
        rank += len(devices)
    return result
