#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner says of layouts, beside what vLLM does with them, on GPUs.

  tests/bench/planner HOSTS MODEL LAYOUT ... [--eager] [--python PYTHON] [--on COMMAND] [--log PATH] [--more JSON]
                      [--longest N] [--seconds N]

  HOSTS    hosts as for vllm_ray_hosts_file; the engine runs on the first ones. A Ray over them runs already, where a
           layout takes several, and RAY_ADDRESS is set.
  MODEL    directory with a config.json; weights are random
  LAYOUT   TPxPP@HOSTS, such as 2x2@2: TP=2 PP=2 over two hosts
  --on     words in front of PYTHON, such as those that enter the serve host
  --log    where the engines' logs begin: PATH-2x1.log
  --more   further options of the engines, as JSON
  --longest  seconds after which an engine is given up
  --seconds  stop before a layout that would begin later than this

The last lines are the figures: weights and KV cache of each layout, and how fast the layout that the planner prefers
among these is beside the fastest of them. Run where nothing else uses the GPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import yaml

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import (
    _hosts_file,
    _memory,
    _speed,
    _weigh,
    _wishes,
)

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
LENGTH = 8192


class EngineError(RuntimeError):
    """An engine that did not come to its figures."""


def told(log: str, pattern: str) -> list[float]:
    """Return the numbers in the log of an engine."""
    return [float(number.replace(",", "")) for number in re.findall(pattern, log)]


def measure(layout: dict[str, int], given: argparse.Namespace, tokens: int, sequences: int) -> dict[str, float]:
    """Run one engine; return weights in GiB of the fullest GPU, tokens of the KV cache and tokens per second."""
    load = _speed.LOAD
    argv = [*shlex.split(given.on), given.python, str(ROOT / "tests" / "bench" / "planner_engine.py")]
    argv += [str(Path(given.model).resolve())]
    argv += ["--tp", str(layout["tp"]), "--pp", str(layout["pp"]), *["--eager"] * given.eager]
    argv += ["--more", given.more]
    argv += ["--executor", "ray" if layout["hosts"] > 1 else "mp", "--utilization", str(_wishes.UTILIZATION)]
    argv += ["--length", str(LENGTH), "--tokens", str(tokens), "--sequences", str(sequences)]
    argv += ["--requests", str(load.requests), "--prompt", str(load.prompt), "--output", str(load.output)]
    place = Path(f"{given.log}-{layout['tp']}x{layout['pp']}{'-eager' * given.eager}.log")
    with place.open("w") as stream:
        # Ray would show lines of several ranks that are equal but for numbers once.
        whole = {**os.environ, "RAY_DEDUP_LOGS": "0"}
        process = subprocess.Popen(argv, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, env=whole)
        try:
            process.wait(given.longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    log = place.read_text()
    figures = re.search(r'^\{"start_seconds".*\}$', log, re.MULTILINE)
    if process.returncode or not figures:
        raise EngineError(f"the engine failed: {shlex.join(argv)}\n{log[-1500:]}")
    found: dict[str, float] = json.loads(figures.group())
    weights = told(log, r"Model loading took ([\d.]+) GiB")
    if len(weights) != layout["tp"] * layout["pp"]:
        print(f"only {len(weights)} ranks told their weights: those of the fullest may be missing", flush=True)
    found["weights"] = max(weights)
    found["kv_tokens"] = min(told(log, r"GPU KV cache size: ([\d,]+) tokens"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("hosts")
    parser.add_argument("model")
    parser.add_argument("layouts", nargs="+")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--on", default="")
    parser.add_argument("--log", default="/tmp/engine")
    parser.add_argument("--more", default="{}", help="further options of the engines, as JSON")
    parser.add_argument("--longest", type=float, default=600, help="seconds of one engine")
    parser.add_argument("--seconds", type=float, default=3600)
    given = parser.parse_args()
    begin = time.monotonic()
    settings = _settings.check("-", {"vllm_ray_model": given.model}).values
    found = _hosts_file.parse(yaml.safe_load(Path(given.hosts).read_text()), settings)
    model = _model_config_io.info(_model_config_io.Query(str(Path(given.model).resolve()))).model
    rows: list[tuple[str, t.Any, dict[str, float]]] = []
    for text in given.layouts:
        tp, pp, count = map(int, re.fullmatch(r"(\d+)x(\d+)@(\d+)", text).groups())  # type: ignore[union-attr]
        each = tp * pp // count
        hosts = [replace(host, gpus=host.gpus[:each]) for host in found.hosts[:count]]
        wishes = _wishes.Wishes(tp=tp, pp=pp, eager=given.eager, max_model_len=LENGTH)
        verdict = _weigh.weigh(model, hosts, found.link, wishes)[0]
        if time.monotonic() - begin > given.seconds:
            print(f"{text}: not run, the time is up", flush=True)
            continue
        tokens, sequences = _memory.batch(model, wishes, hosts[0].gpus[0])
        try:
            real = measure({"tp": tp, "pp": pp, "hosts": count}, given, tokens, sequences)
        except EngineError as error:
            print(f"{text}: {error}", flush=True)
            continue
        rows.append((text, verdict, real))
        print(f"{text}: {real}", flush=True)
    name, mode = Path(given.model).name, "eager" if given.eager else "graphs"
    for text, verdict, real in rows:
        weights = max(memory.weights for memory in verdict.memory) / GIB
        figures = (
            ("weights GiB", weights, real["weights"]),
            ("KV tokens", verdict.cache.tokens, real["kv_tokens"]),
            ("tokens/s", verdict.rate, real["tokens_per_second"]),
        )
        for what, ours, theirs in figures:
            print(f"{name} {text} {mode} {what}: ours {ours:.6g}, reference {theirs:.6g}, ratio {ours / theirs:.3f}")
    best = _weigh.weigh(model, found.hosts, found.link, _wishes.Wishes(eager=given.eager, max_model_len=LENGTH))[0]
    choice = f"{best.candidate.tp}x{best.candidate.pp}@{len(best.candidate.gpus)}"
    rates = {text: real["tokens_per_second"] for text, _verdict, real in rows}
    if choice in rates:
        ours, fastest = rates[choice], max(rates.values())
        figures_of_choice = f"ours {ours:.6g}, reference {fastest:.6g}, ratio {ours / fastest:.3f} (aim >= 0.95)"
        print(f"{name} {mode} choice {choice}: {figures_of_choice}")
    else:
        print(f"{name} {mode}: the planner would choose {choice}, which was not run")


if __name__ == "__main__":
    main()
