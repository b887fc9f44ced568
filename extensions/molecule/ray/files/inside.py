# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try from a worker of each node of Ray what its unit must not allow. Prints {address: {attempt: what came of it}}.

Arguments: an address that is none of the cluster's, then those of its hosts.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@ray.remote(num_cpus=0)
def tries(stranger: str, peers: list[str], release: str) -> dict[str, str]:
    import ctypes
    import errno
    import os
    import socket
    import tempfile

    libc = ctypes.CDLL(None, use_errno=True)

    def call(number_or_name: Any, *arguments: Any) -> None:
        if getattr(libc, number_or_name)(*arguments):
            raise OSError(ctypes.get_errno(), "")

    def write(path: str) -> None:
        with open(path, "w"):
            os.unlink(path)

    def connect(address: str) -> None:
        socket.create_connection((address, 22), 3).close()

    def temporary() -> None:
        with tempfile.NamedTemporaryFile() as stream:
            stream.write(b"x")

    attempts = {
        "write /etc": lambda: write("/etc/probe"),
        "write /usr": lambda: write("/usr/local/bin/probe"),
        "write /srv": lambda: write("/srv/open/probe"),
        "write the release": lambda: write(f"{release}/probe"),
        "write the configuration": lambda: write("/etc/vllm-ray/test/probe"),
        "list secrets": lambda: os.listdir("/etc/vllm-ray/test/secrets"),
        "list another cluster's configuration": lambda: os.listdir("/etc/vllm-ray/other"),
        "list another cluster's state": lambda: os.listdir("/var/lib/vllm-ray/other"),
        "read the host's /tmp": lambda: os.stat("/tmp/probe"),
        "see other accounts' processes": lambda: os.stat("/proc/1"),
        "open a device": lambda: os.close(os.open("/srv/open/device", os.O_RDWR)),
        "become another user": lambda: os.setuid(0),
        "make a namespace": lambda: call("unshare", 0x10000000),
        "mount": lambda: call("mount", b"x", b"/mnt", b"tmpfs", 0, None),
        "trace": lambda: call("ptrace", 16, os.getppid(), 0, 0),
        "open a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "reach a stranger": lambda: connect(stranger),
        # What must work.
        "reach the peers": lambda: [connect(peer) for peer in peers],
        "write temporary files": temporary,
        "write shared memory": lambda: write("/dev/shm/probe"),
        "write the state": lambda: write("/var/lib/vllm-ray/test/probe"),
        "read the memory of the host": lambda: os.stat("/proc/meminfo"),
    }
    results = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            results[name] = "done"
        except TimeoutError:
            results[name] = "timeout"
        except OSError as error:
            results[name] = errno.errorcode.get(error.errno or 0, str(error))
    return results


ray.init(logging_level="error", log_to_driver=False)
stranger, peers = sys.argv[1], sys.argv[2:]
found = {
    node["NodeManagerAddress"]: tries.options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    ).remote(stranger, peers, sys.prefix)
    for node in ray.nodes()
    if node["Alive"]
}
print(json.dumps({address: ray.get(result, timeout=60) for address, result in found.items()}))
