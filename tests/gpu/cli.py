# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection with its own lock on a machine with NVIDIA GPUs and no network, and what it takes along.

  tests/gpu/run prepare DIR        here, with a network: a bundle of the lock, in parts of at most 50 MiB, and what
                                   Ansible needs. --python 3.12 and --platform manylinux_2_39_x86_64 are of that machine
  tests/gpu/run prepare DIR --cpu  the same for a rehearsal on this machine, without a GPU
  tests/gpu/run DIR [STEP...]      there, in this checkout: take the steps that are not done, or these again
  tests/gpu/run DIR --hosts N      the same, and the cluster is N hosts with a share of the GPUs each, which the step
                                   hosts creates on that machine as namespaces; it needs root
  tests/gpu/run show DIR           the results

DIR holds what was prepared (parts may arrive one by one; the first step waits for none). Each step has a limit. What it
found is in DIR/results/STEP.json as soon as it is known, what it printed in DIR/results/STEP.log. If it is interrupted,
call it again: steps that ended well are not repeated. Everything is made below DIR, the services included (the models
of random weights below the directory that the variable MODELS names, where the disk is too small for them):
`tests/gpu/run DIR stop` ends them and removes the hosts, and a later run deploys again.

Hosts and the services of the machine itself need the same GPUs: run stop between them. Steps that are named need no
--hosts, but for hosts itself, which takes 2 without.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import hosts, models, prepare, spread, steps
from .place import Failed, Place

if TYPE_CHECKING:
    from collections.abc import Callable

# {step: what takes it, and the most seconds that it takes}, in their order.
STEPS: dict[str, tuple[Callable[[Place], dict[str, Any]], int]] = {
    "machine": (steps.machine, 60),
    "join": (steps.join, 300),
    "ansible": (steps.ansible, 120),
    "deploy": (steps.deploy, 900),
    "again": (steps.again, 120),
    "look": (steps.look, 300),
    "kill": (steps.kill, 300),
    "rank": (steps.rank, 600),
    "weights": (models.weights, 900),
    "large": (models.large, 900),
    "speed": (models.speed, 600),
    "moe": (models.moe, 1200),
    "pair": (steps.pair, 600),
    "hosts": (hosts.hosts, 120),
    "spread": (spread.spread, 900),
    "spread_look": (spread.look, 300),
    "spread_again": (spread.again, 120),
    "spread_rank": (spread.rank, 600),
    "spread_tp": (spread.tensor, 600),
    "spread_large": (spread.large, 900),
    "spread_large_tp": (spread.large_tensor, 900),
    "spread_freeze": (spread.freeze, 900),
    "stop": (hosts.stop, 60),
}

# What is taken with hosts and without, and with hosts alone.
COMMON = ("machine", "join", "ansible")
OVER_HOSTS = tuple(name for name in STEPS if name == "hosts" or name.startswith("spread"))
# What is taken only by its name: it ends all, needs a second GPU, or takes long.
ON_DEMAND = ("pair", "spread_freeze", "stop")


def take(place: Place, name: str) -> bool:
    """Take one step and write what it found; return whether it ended well."""
    step, seconds = STEPS[name]
    print(f"{name} ...", end=" ", flush=True)
    begin = place.begin(name, seconds)
    result: dict[str, Any] = {"well": False}
    try:
        result |= {"found": step(place), "well": True}
    except (Failed, OSError, ValueError, KeyError, IndexError, StopIteration) as error:
        result["why"] = f"{type(error).__name__}: {error}"
    except subprocess.TimeoutExpired:
        result["why"] = f"not within {seconds} s"
    except KeyboardInterrupt:
        result["why"] = "interrupted"
    result["seconds"] = round(time.monotonic() - begin, 1)
    (place.results / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['seconds']} s  {json.dumps(result.get('found', result.get('why')))}", flush=True)
    return bool(result["well"])


def run_steps(place: Place, wanted: list[str], *, over_hosts: bool) -> bool:
    """Take the steps that are wanted, or all that have not ended well; return whether all did."""
    fitting = [name for name in STEPS if name in COMMON or (name in OVER_HOSTS) == over_hosts]
    names = wanted or [name for name in fitting if name not in ON_DEMAND and not place.has(name)]
    return all(take(place, name) for name in names)


def show(folder: Path) -> None:
    """Print the results, a line each."""
    for name in STEPS:
        file = folder / "results" / f"{name}.json"
        told = json.loads(file.read_text()) if file.is_file() else {"well": False, "why": "not taken"}
        print(f"{name:<15} {told.get('seconds', 0):7.1f} s  {json.dumps(told.get('found') or told['why'])}")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tests/gpu/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=" ".join(STEPS))
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--platform", default="manylinux_2_39_x86_64")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--hosts", type=int, metavar="N", help="2 to 200")
    options = parser.parse_intermixed_args(words)
    if options.folder in ("prepare", "show"):
        if len(options.steps) != 1:
            parser.error(f"{options.folder} takes one directory")
        folder = Path(options.steps[0])
        if options.folder == "show":
            show(folder)
        else:
            prepare.prepare(folder, options.python, options.platform, cpu=options.cpu)
        return 0
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, signal.default_int_handler)
    if options.hosts is not None and not 2 <= options.hosts <= 200:
        parser.error("--hosts takes a number from 2 to 200")
    place = Place(Path(options.folder), options.hosts or 2)
    there = len(hosts.noted(place))
    if options.hosts and there and options.hosts != there and "hosts" not in options.steps:
        parser.error(f"there are {there} hosts: take the step hosts, or stop, first")
    return 0 if run_steps(place, options.steps, over_hosts=bool(options.hosts)) else 1
