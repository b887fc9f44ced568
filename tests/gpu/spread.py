# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps with several hosts: the engine over all of them, what it does where a rank dies, and its speed."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import time
from collections import Counter
from typing import Any

from . import hosts, models, steps
from .place import ANSWERS, SERVE_ARGS, Failed, Place
from .steps import ask, engine_log, outage, release, told

# How the names of ranks begin, by the executors mp and ray; the kernel cuts names to 15 characters.
RANKS = ("VLLM::Worker", "ray::RayWorkerP")


def gpus_of(place: Place) -> dict[str, dict[str, str]]:
    """Return {index: UUID} of the GPUs of each host, by the step that created them."""
    found = json.loads((place.results / "hosts.json").read_text())["found"]["hosts"]
    return {name: host["gpus"] for name, host in found.items()}


def over_hosts(place: Place, *, pipeline: bool) -> dict[str, int]:
    """Return the sizes of a layout over all hosts: stages between hosts and tensors inside them, or tensors alone."""
    count = len(hosts.known(place))
    each = len(next(iter(gpus_of(place).values()))) or 1
    tensor, stages = (each, count) if pipeline else (each * count, 1)
    return {"tensor-parallel-size": tensor, "pipeline-parallel-size": stages}


def ranks(place: Place) -> dict[str, list[dict[str, Any]]]:
    """Return the ranks of each host, and the GPU of each, as the machine sees them."""
    used = {}
    if not place.cpu:
        query = ("nvidia-smi", "--query-compute-apps=pid,gpu_uuid,used_memory", "--format=csv,noheader,nounits")
        rows = [line.split(", ") for line in place.run(*query)[1].splitlines() if line[:1].isdigit()]
        used = {int(pid): {"gpu": gpu, "mib": mib} for pid, gpu, mib in rows}
    return {
        host.name: [
            {"pid": pid, "name": name, **used.get(pid, {})}
            for pid, name in sorted(host.processes().items())
            if name.startswith(RANKS)
        ]
        for host in hosts.known(place)
    }


def placed(place: Place, plan: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return where the ranks are, which must be where the plan has them. A GPU that a CPU stands for has no UUID."""
    found, gpus = ranks(place), gpus_of(place)
    for name, host in plan["hosts"].items():
        planned = [gpus[name].get(str(index), "") for index in host["engine_gpus"]]
        seen = [rank.get("gpu", "") for rank in found[name]]
        if Counter(seen) != Counter(planned):
            raise Failed(f"{name} has ranks on {seen}, the plan says GPU {host['engine_gpus']}: {planned}")
    return found


def deployed(place: Place, **settings: Any) -> dict[str, Any]:
    """Deploy to the hosts; return what the engine says of itself beside the plan."""
    there, begin = hosts.cluster(place), time.monotonic()
    try:
        there.playbook("site.yml", restart=True, **settings)
    finally:
        text = kept_log(there)
    found: dict[str, Any] = {"site_s": round(time.monotonic() - begin, 1), "release": release(there).name}
    place.tell(found)
    plan = json.loads((hosts.folder(place) / "plan.json").read_text())
    found |= {
        "layout": {name: plan["engine"][name] for name in ("tp", "pp", "executor")},
        "planned": {name: plan["engine"]["advice"].get(name) for name in ("kv_tokens", "tokens_per_second")},
        **told(text),
        "transports": dict(Counter(re.findall(r"via ((?:NET|P2P|SHM)/[\w/]+)", text))),
        "ranks": placed(place, plan),
    }
    place.tell(found)
    return found


def kept_log(place: Place) -> str:
    """Return the engine's log of its last start, and keep it with the results, as hosts and machine may go."""
    try:
        text = engine_log(place).read_text(errors="replace")
    except (OSError, StopIteration):
        return ""
    text = text[max(0, text.rfind("Start of ")) :]
    place.log.with_suffix(".engine.log").write_text(text)
    return text


def exactly(place: Place, found: dict[str, Any]) -> dict[str, Any]:
    """Return what was found if the demo model gives its answer."""
    answer = ask(hosts.cluster(place))
    if answer != ANSWERS[0]["answer"]:
        raise Failed(f"it answers {answer!r}")
    return found


def spread(place: Place) -> dict[str, Any]:
    """The first run of site.yml over all hosts, a stage of the pipeline on each, to the exact answer."""
    return exactly(place, deployed(place))


def look(place: Place) -> dict[str, Any]:
    """What the playbooks for operators show of the hosts."""
    return steps.look(hosts.cluster(place))


def again(place: Place) -> dict[str, Any]:
    """The second run, which has nothing to do."""
    return steps.again(hosts.cluster(place))


def strike_last(kind: signal.Signals, place: Place, _name: str) -> None:
    """Send a signal to a rank on the last host."""
    name, found = list(ranks(place).items())[-1]
    if not found:
        raise Failed(f"{name} has no rank")
    os.kill(found[0]["pid"], kind)


def rank(place: Place) -> dict[str, Any]:
    """A rank on the last host dies, which is not the one that serves."""
    return outage(hosts.cluster(place), "", functools.partial(strike_last, signal.SIGKILL))


def freeze(place: Place) -> dict[str, Any]:
    """A rank on the last host stands still."""
    return outage(hosts.cluster(place), "", functools.partial(strike_last, signal.SIGSTOP))


def tensor(place: Place) -> dict[str, Any]:
    """One tensor-parallel group over all hosts."""
    args = {**SERVE_ARGS, **over_hosts(place, pipeline=False)}
    return exactly(place, deployed(place, serve_args=args))


def measured(place: Place, name: str, *, pipeline: bool) -> dict[str, Any]:
    """The dense model of 8B over all hosts, and its speed by vLLM's own client."""
    there = hosts.cluster(place)
    model = models.make_model(there, "large", *models.MODELS["large"])
    sizes: dict[str, Any] = dict(over_hosts(place, pipeline=pipeline))
    sizes |= {"max-model-len": 1024, "gpu-memory-utilization": 0.3} if place.cpu else {"max-model-len": 4096}
    found = deployed(place, model=str(model), serve_args={**SERVE_ARGS, **sizes}, proof=[])
    # The first round warms up.
    found["rounds"] = []
    for number in range(2):
        found["rounds"].append(models.bench(there, there.url, model, f"{name}-{number}"))
        place.tell(found)
    return found


def large(place: Place) -> dict[str, Any]:
    """A stage of the pipeline on each host."""
    return measured(place, "spread-pp", pipeline=True)


def large_tensor(place: Place) -> dict[str, Any]:
    """One tensor-parallel group over all hosts."""
    return measured(place, "spread-tp", pipeline=False)
