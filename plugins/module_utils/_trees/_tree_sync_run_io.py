# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host knows of a run that makes a tree equal everywhere. PRIVATE to the collection.

The threads of a run share it: those that answer the peers, those that ask them, and the one that waits for the end.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
import typing as t
import urllib.parse
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._network import RANDOM_PORTS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _store_io, _tree_sync
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import account_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Bytes, and seconds of the limit, that pass at a time where there is one.
PART, PART_SECONDS = 16 * 1024, 0.02


class Filler(t.Protocol):
    """What brings the files of a tree to the host from elsewhere, such as the client of a hub."""

    @property
    def files(self) -> Sequence[tuple[str, int]]:
        """Paths in the tree and sizes in bytes of all files that will come."""

    def poll(self) -> Sequence[tuple[str, str]]:
        """Return the files that are finished and right since the last call: path in the tree, and where it is."""

    @property
    def got(self) -> int:
        """How many bytes have come so far."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""

    @property
    def failure(self) -> str:
        """What went wrong, if something did."""

    def close(self) -> None:
        """End it, also before its time."""


class Throttle:
    """Lets so many bytes/s pass, for all threads together. rate: 0 = no limit."""

    def __init__(self, rate: float) -> None:
        self.bucket, self.lock = _tree_sync.Bucket(rate), threading.Lock()

    def part(self, size: int) -> int:
        """Return how many of so many bytes to pass at a time: with a limit few, or a peer would seem to be silent."""
        return min(size, max(PART, int(self.bucket.rate * PART_SECONDS))) if self.bucket.rate else size

    def take(self, size: int) -> None:
        with self.lock:
            seconds = self.bucket.take(size, time.monotonic())
        if seconds:
            time.sleep(seconds)


class Timed(t.Protocol):
    """A connection. until: when what is under way is broken off."""

    until: float

    def cut(self) -> None:
        """End what is under way."""


class Run:
    """What this host knows of one run."""

    def __init__(self, params: Mapping[str, t.Any], filler: Filler | None = None) -> None:
        self.params, self.name, self.token = params, params["name"], params["token"]
        # While the tree is downloaded: the host that downloads it, the hashes in the order in which they became known,
        # and when that host last reported that it continues.
        self.filler, self.source = filler, params.get("source") or ""
        self.plain, self.copy_from = bool(params.get("plain")), params.get("copy_from") or ""
        self.learned: list[tuple[int, str]] = []
        self.growing_at = self.told_at = -math.inf
        self.path, self.account = _folders_io.resolved(params["path"]), account_of(params.get("user") or "")
        self.order = [host["name"] for host in params["hosts"]]
        self.addresses = {host["name"]: str(ipaddress.ip_address(host["address"])) for host in params["hosts"]}
        if self.name not in self.addresses or len({*self.addresses.values()}) < len(params["hosts"]):
            raise Failed(
                f"{self.name}: the hosts are {', '.join(self.order)}. Expected: this host among them, and unique "
                "names and addresses. Correct the hosts."
            )
        self.address = self.addresses[self.name]
        self.names = {address: name for name, address in self.addresses.items() if name != self.name}
        rate = params["limit_mbit"] * 1e6 / 8
        self.up, self.down = Throttle(rate), Throttle(rate)
        self.ports = _tree_sync.ports(self.token, RANDOM_PORTS)
        self.ports_of: dict[str, int] = {}
        # Whether a peer is there: asked or asking; whether this host waits for the tree that is wanted.
        self.met = self.asks = False
        # When the last bytes came; how often a peer broke off within a piece.
        self.received_at = -math.inf
        self.broken: Counter[tuple[str, int]] = Counter()
        self.lock = threading.Lock()
        self.lines: set[Timed] = set()
        self.text = ""
        # Of its manifest: the number of each path.
        self.numbers: dict[str, int] = {}
        self.store: _store_io.Store | None = None
        self.schedule: _tree_sync.Schedule | None = None
        self.done = self.ended = False
        self.failure = ""
        self.workers: list[threading.Thread] = []
        self.sent = 0
        self.received = dict.fromkeys(self.order, 0)
        self.wrong: dict[str, set[str]] = {}

    def state(self, name: str, query: str) -> bytes:
        """Return what this host says of itself to a peer, and take note of what the peer says of itself."""
        said = urllib.parse.parse_qs(query)
        schedule, store, self.met = self.schedule, self.store, True
        with self.lock:
            if schedule:
                peer = schedule.peers[name]
                # Also of one that can't be asked itself.
                peer.heard_at = time.monotonic()
                if said.get("done") == ["1"]:
                    schedule.hear(name, schedule.everything, time.monotonic(), True, peer.shuns)
                    peer.told = peer.told or self.done
            return _tree_sync.render_said(
                _tree_sync.Said(
                    have=store.have if store else 0,
                    ready=store is not None,
                    reads=store is None and not self.asks,
                    done=self.done,
                    failed=self.failure,
                    shuns=frozenset(schedule.shunned() if schedule else []),
                    learned=len(self.learned),
                    growing=self.grows(),
                )
            )

    def grows(self) -> bool:
        """Return whether more comes from elsewhere, or is still hashed."""
        return bool(self.filler and not self.failure and not (self.schedule and self.schedule.complete))

    def name_of(self, number: int) -> str:
        manifest = t.cast(_store_io.Store, self.store).manifest
        return manifest.entries[manifest.pieces[number].entry].path
