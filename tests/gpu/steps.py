# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that unpack, deploy, look and kill. Each takes the place of the run, and returns what it found."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .place import ANSWERS, SERVE_ARGS, SUMS, Failed, Place

if TYPE_CHECKING:
    from collections.abc import Callable

# What vLLM's log says of a start, in seconds, GiB or tokens.
TOLD = {
    "weights_s": r"Loading weights took ([\d.]+) seconds",
    "model_gib": r"Model loading took ([\d.]+) GiB memory",
    "compile_s": r"torch\.compile took ([\d.]+) s in total",
    "graphs_s": r"Graph capturing finished in ([\d.]+) secs",
    "init_s": r"init engine \(profile, create kv cache, warmup model\) took ([\d.]+) s",
    "kv_tokens": r"KV cache size: ([\d,]+) tokens",
}
# Steps whose results hold as long as the services run, or the hosts.
OF_SERVICES = (
    "deploy", "again", "look", "kill", "rank", "large", "speed", "moe", "pair", "hosts", "spread", "spread_look",
    "spread_again", "spread_rank", "spread_tp", "spread_large", "spread_large_tp", "spread_freeze",
)  # fmt: skip


def release(place: Place) -> Path:
    """The environment that the deployed cluster runs, as its host sees it."""
    # By the link itself: what it leads to may exist on the host alone.
    return Path(os.readlink(next((place.services / ".vllm-ray" / "etc").iterdir()) / "current"))


def machine(place: Place) -> dict[str, Any]:
    """What machine it is, and which tools it lacks."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version,compute_cap", "--format=csv,noheader"]
    gpus = [] if place.cpu else place.run(*query)[1].strip().splitlines()[1:]
    names = ("ip", "ss", "nc", "systemctl", "sudo", "ufw", "nvcc", "gcc", "ninja")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {
        "gpus": gpus,
        "os": release.get("PRETTY_NAME", "").strip('"'),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "glibc": os.confstr("CS_GNU_LIBC_VERSION"),
        "cpus": os.cpu_count(),
        "pid1": Path("/proc/1/comm").read_text().strip(),
        "lacks": [name for name in names if not shutil.which(name)],
        "commit": commit(place),
    }


def commit(place: Place) -> str:
    """Return the commit of this checkout, with a + where files differ from it; empty where there is no git."""
    try:
        said = place.run("git", "describe", "--always", "--dirty=+", check=False)
    except OSError:
        return ""
    return said[1].split()[-1] if said[0] == 0 else ""


def join(place: Place) -> dict[str, Any]:
    """Put the bundle together again."""
    sums = [line.split() for line in (place.folder / SUMS).read_text().splitlines()]
    whole, begin = place.work / "bundle.tar", time.monotonic()
    with whole.open("wb") as stream:
        for digest, name in sums:
            part = place.folder / "parts" / name
            if not part.is_file():
                raise Failed(f"{part} has not arrived")
            data = part.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise Failed(f"{part} is not as it was sent; remove it, and carry it again")
            stream.write(data)
    return {"bytes": whole.stat().st_size, "seconds": round(time.monotonic() - begin, 1)}


def ansible(place: Place) -> dict[str, Any]:
    """Unpack Ansible, and write the inventory."""
    target = place.work / "ansible"
    shutil.rmtree(target, ignore_errors=True)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        target,
    ]
    place.run(*pip, *sorted((place.folder / "wheels").glob("*.whl")), env=dict(os.environ))
    lines = ["[head]", f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}"]
    (place.work / "cluster.ini").write_text("\n".join(lines) + "\n")
    place.write_variables(
        place.work / "group_vars", api_host="127.0.0.1", key_file=str(place.key), report=str(place.results / "report")
    )
    return {"ansible": place.run("ansible-playbook", "--version")[1].split("\n")[2]}


def engine_log(place: Place) -> Path:
    return next((place.services / ".vllm-ray").glob("*/log/serve-main.log"))


def ask(place: Place, model: str = "demo") -> str:
    """Ask the first question of the demo model's; return the answer."""
    messages = [{"role": "user", "content": ANSWERS[0]["question"]}]
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 32}
    headers = {
        "Authorization": f"Bearer {place.key.read_text().strip()}",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{place.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def processes(place: Place) -> dict[int, str]:
    """Return {pid: name} of what comes from our supervisor."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            head, _paren, rest = (entry / "stat").read_text().rpartition(")")
        except OSError:
            continue
        parents[int(entry.name)], names[int(entry.name)] = int(rest.split()[1]), head.partition("(")[2]
    ours = {int(file.read_text()) for file in (place.home / ".vllm-ray").glob("*/supervisord.pid")}
    for _generation in range(10):
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    return {pid: names[pid] for pid in ours if pid in names}


def told(text: str) -> dict[str, float]:
    """Return what the last start in a log says of itself."""
    text = text[max(0, text.rfind("Start of ")) :]
    found = {name: re.findall(pattern, text) for name, pattern in TOLD.items()}
    return {name: float(values[-1].replace(",", "")) for name, values in found.items() if values}


def deploy(place: Place) -> dict[str, Any]:
    """The first run of site.yml, from the bundle to the exact answer."""
    begin = time.monotonic()
    text = place.playbook("site.yml")[1]
    if ask(place) != ANSWERS[0]["answer"]:
        raise Failed(f"it answers {ask(place)!r}")
    versions = re.findall(r"^\s+(?:release|vllm|ray)\b.*$", text, re.MULTILINE)
    start = told(engine_log(place).read_text(errors="replace"))
    return {
        "site_s": round(time.monotonic() - begin, 1),
        "release": release(place).name,
        "shown": versions[:4],
        **start,
    }


def again(place: Place) -> dict[str, Any]:
    """The second run, which has nothing to do."""
    begin = time.monotonic()
    text = place.playbook("site.yml")[1]
    if set(re.findall(r"changed=(\d+)", text)) != {"0"}:
        raise Failed("the second run changed something, see its log")
    return {"site_s": round(time.monotonic() - begin, 1)}


def look(place: Place) -> dict[str, Any]:
    """What the playbooks for operators show of this machine; their texts are in the log, to be read line by line."""
    found = {}
    for name in ("status", "preflight", "audit", "support_bundle"):
        begin = time.monotonic()
        status, text = place.playbook(f"playbooks/{name}.yml", check=False)
        problems = re.findall(r"^ *(?:ERROR|WARNING) .*$", text, re.MULTILINE)
        # Without root, many rows of an audit are not known, and such rows do not hold.
        if status not in ((0, 2) if name == "audit" else (0,)):
            raise Failed(f"{name}.yml ended with {status}: {problems[:5]}")
        found[name] = {"rc": status, "seconds": round(time.monotonic() - begin, 1), "problems": problems[:30]}
    return found


def kill_one(place: Place, name: str) -> None:
    """Kill a process of the engine by its name."""
    pids = [pid for pid, known in processes(place).items() if known.startswith(name)]
    if not pids:
        raise Failed(f"no process {name} among {sorted(set(processes(place).values()))}")
    os.kill(pids[0], signal.SIGKILL)


def outage(place: Place, name: str, strike: Callable[[Place, str], None] = kill_one) -> dict[str, Any]:
    """Kill a process of the engine; return how long there was no answer, and what the next start logged.

    strike: what kills it, or harms it otherwise.
    """
    right, begin, gone = ask(place), time.monotonic(), False
    strike(place, name)
    while not place.over:
        try:
            same = ask(place) == right
            if gone:
                seconds = round(time.monotonic() - begin, 1)
                start = told(engine_log(place).read_text(errors="replace"))
                return {"back_s": seconds, "same_answer": same, **start}
        except (OSError, ValueError, KeyError):
            gone = True
        time.sleep(0.5)
    raise Failed(f"no answer after {name} was killed")


def kill(place: Place) -> dict[str, Any]:
    """The engine's core dies."""
    return outage(place, "VLLM::EngineCor")


def rank(place: Place) -> dict[str, Any]:
    """A rank dies."""
    return outage(place, "VLLM::Worker")


def pair(place: Place) -> dict[str, Any]:
    """With two GPUs: the engine over both, and one of its ranks dies."""
    gpus = json.loads((place.results / "machine.json").read_text())["found"]["gpus"]
    if len(gpus) < 2:
        raise Failed(f"this machine has {len(gpus)} GPU")
    args = {**SERVE_ARGS, "tensor-parallel-size": 2}
    begin = time.monotonic()
    place.playbook("site.yml", serve_args=args, restart=True)
    return {"site_s": round(time.monotonic() - begin, 1), **outage(place, "VLLM::Worker")}


def stop(place: Place) -> dict[str, Any]:
    """End the services."""
    for conf in (place.home / ".vllm-ray" / "etc").glob("*/supervisord.conf"):
        place.run(release(place) / "bin" / "supervisorctl", "-c", conf, "shutdown", check=False)
    while processes(place) and not place.over:
        time.sleep(0.5)
    if processes(place):
        raise Failed(f"still there: {sorted(processes(place).values())}")
    # What was found of services that run is to be found anew.
    names = [name for name in OF_SERVICES if place.has(name)]
    for name in names:
        (place.results / f"{name}.json").rename(place.results / f"{name}.before.json")
    return {"found": names}
