# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_info says of a healthy host, for the tests of what reads it. The GPUs are captured ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu

GIB = 1024**3
CAPTURED = Path(__file__).resolve().parents[1] / "fixtures" / "gpu" / "h200_free.xml"


def look(number: int, gpus: int = 1, **change: Any) -> Any:
    """Return the look at a host, with changes by PART_KEY. Tests change what it has, also to what no host reports."""
    nic, address = f"eno{number}", f"192.0.2.1{number}"
    gpu = _gpu.with_owners(_gpu.parse_gpus(CAPTURED.read_text(encoding="utf-8")), {}, ())[0]
    disk = {"size": 1000 * GIB, "free": 500 * GIB, "filesystem": 1, "read_only": False}
    result: dict[str, Any] = {
        "host": {
            "hostname": f"gpu0{number}",
            "machine": "x86_64",
            "kernel": "6.1.0-50-amd64",
            "python": "3.11.2",
            "glibc": "2.36",
            "pid1": "systemd",
            "os": {"id": "debian", "version": "12"},
            "home": "/root",
            "user": "root",
            "time": 1795273200.0,
            "cpus": 64,
            "memory": 2048 * GIB,
            "memlock": {"services": None, "login": 8388608},
            "shared_memory": {"size": 1024 * GIB, "free": 1024 * GIB},
            "disks": [{"path": path, **disk} for path in ("/opt/vllm-ray", "/var/lib/vllm-ray/models")],
            "gpus": [{**gpu, "index": index} for index in range(gpus)],
            "gpu_error": "",
            "amd_gpus": [],
            "pci_gpus": {"nvidia": gpus, "amd": 0},
            "present": ["/srv/demo"],
            "record": None,
            "worked": None,
            "rotation": None,
            "checked": "",
            "release": "",
            "accounts": {},
            "state_owner": "",
            "firewall": {"why_open": "", "manageable": False, "fix": ""},
            "client": "",
        },
        "network": {
            "cluster_nic": {"nic": nic, "address": address, "mtu": 1500, "why": "holds the route"},
            "why_not": {},
            "addresses": [{"nic": nic, "address": address, "up": True}],
            "nics": [
                {"name": nic, "kind": "physical", "up": True, "mtu": 1500, "speed": 25000, "driver": "", "rdma": []}
            ],
            "rdma": [],
            "rdma_missing": [],
            "routes": [],
            "error": "",
            "peers_without_route": [],
            "hostname_address": address,
        },
        "usage": {
            "services": {},
            "ray_gpus": 0,
            "ports_taken": [],
            "foreign_ray": [],
            "bind_errors": [],
            "ports_unknown": "",
            "strays": [],
            "stale_sockets": [],
        },
        "engine": {"serving": False, "why": "no engine here"},
        "model": None,
        "asked": {"sent": 1795273199.5, "received": 1795273200.5},
    }
    for key, value in change.items():
        part, _underscore, name = key.partition("_")
        result[part][name] = value
    return result
