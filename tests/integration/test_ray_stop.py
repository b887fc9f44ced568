# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a node of the release's own Ray takes to stop while ranks run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _ray
from ansible_collections.vllm_ray.cluster.tests.integration.test_ray_sockets import ALONE, RELEASE

RANK = """
import ray
ray.init(address="127.0.0.1:6379", namespace="test", log_to_driver=False)
@ray.remote
class Rank:
    def here(self):
        return True
rank = Rank.options(name="rank", lifetime="detached").remote()
assert ray.get(rank.here.remote())
"""
STOP = """
ip link set lo up
"$0" start --head --block --disable-usage-stats --log-color=false --node-ip-address=127.0.0.1 --num-gpus=0 \\
  --include-dashboard=false --object-store-memory=100000000 --temp-dir="$1" >"$1.output" 2>&1 &
node=$!
until grep -q "block forever" "$1.output"; do sleep 0.2; done
"${0%/*}/python" -c "$2" >&2 || exit
start=$(date +%s)
kill -TERM $node
wait $node
echo $(($(date +%s) - start))
"""
NODE: Any = {"release": RELEASE, "config_dir": "/nowhere", "address": "127.0.0.1", "nic": "lo", "accelerator": "cpu"}
PORTS: Any = {"autoscaler_metric_port": 44217, "dashboard_metric_port": 44227}


def test_a_node_does_not_wait_for_its_ranks() -> None:
    folder = Path(f"/tmp/r{os.getpid()}")
    folder.mkdir()
    ours = _ray.environment({**NODE, **PORTS, "state_dir": str(folder)})
    ours = {name: value for name, value in ours.items() if not name.startswith("RAY_AUTH_")}
    try:
        command = [*ALONE, "sh", "-c", STOP, f"{RELEASE}/bin/ray", str(folder / "ray"), RANK]
        done = subprocess.run(command, env=ours, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert int(done.stdout.splitlines()[-1]) < 10, done.stdout
    finally:
        shutil.rmtree(folder)
