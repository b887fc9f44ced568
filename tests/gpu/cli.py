# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection with its own lock on a machine with one NVIDIA GPU and no network, and what it takes along.

  tests/gpu/run prepare DIR        here, with a network: a bundle of the lock, in parts of at most 50 MiB, and what
                                   Ansible needs. --python 3.12 and --platform manylinux_2_39_x86_64 are of that machine
  tests/gpu/run prepare DIR --cpu  the same for a rehearsal on this machine, without a GPU
  tests/gpu/run DIR [STEP...]      there, in this checkout: take the steps that are not done, or these again
  tests/gpu/run show DIR           the results

DIR holds what was prepared (parts may arrive one by one; the first step waits for none). Each step has a limit. What it
found is in DIR/results/STEP.json as soon as it is known, what it printed in DIR/results/STEP.log. Who is interrupted
calls it again: steps that ended well are not taken twice. Everything is made below DIR, the services included (the
models of random weights below the directory that the variable MODELS names, where the disk is too small for them):
`tests/gpu/run DIR stop` ends them, and a later run deploys again.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import models, prepare, steps
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
    "stop": (steps.stop, 60),
}

# What is taken only by its name: it ends all, or needs a second GPU.
ON_DEMAND = ("pair", "stop")


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


def run_steps(place: Place, wanted: list[str]) -> bool:
    """Take the steps that are wanted, or all that have not ended well; return whether all did."""
    names = wanted or [name for name in STEPS if name not in ON_DEMAND and not place.has(name)]
    return all(take(place, name) for name in names)


def show(folder: Path) -> None:
    """Print the results, a line each."""
    for name in STEPS:
        file = folder / "results" / f"{name}.json"
        told = json.loads(file.read_text()) if file.is_file() else {"well": False, "why": "not taken"}
        print(f"{name:<10} {told.get('seconds', 0):7.1f} s  {json.dumps(told.get('found') or told['why'])}")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tests/gpu/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=" ".join(STEPS))
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--platform", default="manylinux_2_39_x86_64")
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args(words)
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
    return 0 if run_steps(Place(Path(options.folder)), options.steps) else 1
