# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print VLLM_PP_LAYER_PARTITION for layers that go with hosts, in the order that ranks will have today.

The serve service runs it before each start, with {address of a host: layers of each of its stages} as JSON, in the
environment of the engine. vLLM gives the first ranks to the driver's node and the others by the ids of Ray's nodes
(v1/executor/ray_utils.py, get_bundles_sorted_by_node), and a node that starts again has another id.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SECONDS = 300


def nodes_by_address(nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the ids of the nodes that are alive, from what ray.nodes() returns."""
    return {node["NodeManagerAddress"]: node["NodeID"] for node in nodes if node["Alive"]}


def partition(layers: Mapping[str, Sequence[int]], ids: Mapping[str, str], driver: str) -> str:
    """Return the layers of all stages in the order of ranks. driver: id of the node on which the engine runs."""
    ordered = sorted(layers, key=lambda address: (ids[address] != driver, ids[address]))
    return ",".join(str(count) for address in ordered for count in layers[address])


def main() -> None:
    import ray

    layers = json.loads(sys.argv[1])
    ray.init(log_to_driver=False, logging_level="error")
    until = time.monotonic() + SECONDS
    while True:
        ids = nodes_by_address(ray.nodes())
        missing = sorted(set(layers) - set(ids))
        if not missing:
            break
        if time.monotonic() > until:
            sys.exit(f"Layers can't be given to ranks: no node of Ray at {', '.join(missing)} in {SECONDS} s")
        time.sleep(2)
    print(partition(layers, ids, ray.get_runtime_context().get_node_id()))


if __name__ == "__main__":
    main()
