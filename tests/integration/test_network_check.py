# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts test the network between them, on loopback, and one of them answers what it should not."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network, _network_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._nic import Route

MTU = 1500
NET = f"127.77.{os.getpid() % 250}"
ADDRESSES = {"a": f"{NET}.1", "b": f"{NET}.2"}


class Liar(_network_io.Meeting):
    """A host that sends something else instead of a rate and of the size of a packet."""

    rate = "1.5"
    size: tuple[str, ...] = ()

    async def serve(self, wire: _network_io.Wire) -> None:
        while True:
            said = await wire.line()
            if said not in ("ping", "transfer"):
                return
            await wire.send(said)
            if said == "transfer":
                await wire.swallow()
                await wire.send(self.rate)

    async def acknowledge(self) -> asyncio.BaseTransport | None:
        if not self.size:
            return await super().acknowledge()
        token, size = self.token, self.size

        class Answer(_network_io.Acknowledge):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                self.transport.sendto(_network.signed(token, *size).encode(), addr)

        made = await self.loop.create_datagram_endpoint(lambda: Answer(token, 28), local_addr=(self.address, self.port))
        return made[0]


def peer_of(name: str) -> _network_io.Peer:
    address = ADDRESSES[name]
    return _network_io.Peer(name, address, [], Route(nic="lo", source=""))


def meet(rate: str = "1.5", size: Sequence[str] = ()) -> _network.Path:
    """Return what the host a found about the host b."""
    token = secrets.token_hex(8)
    port = _network.random_port(token, [])
    honest = _network_io.Meeting("a", ADDRESSES["a"], MTU, [], port, token, [peer_of("b")])
    liar = Liar("b", ADDRESSES["b"], MTU, [], port, token, [peer_of("a")])
    liar.rate, liar.size = rate, tuple(size)

    async def both() -> None:
        await asyncio.gather(honest.hold(3, 0.05, True), liar.hold(3, 0.05, True))

    asyncio.run(both())
    assert honest.complete
    return honest.peers["b"].facts()


def test_right_answers() -> None:
    found = meet()
    assert (found["gbit_s"], found["wrong_answer"], found["heard"]) == (1.5, "", True)
    assert found["largest_packet"] == MTU


@pytest.mark.parametrize("rate", ["fast", "nan", "inf", "-1", "\x1b[2J"])
def test_a_wrong_rate_does_not_end_the_test(rate: str) -> None:
    found = meet(rate)
    assert (found["gbit_s"], found["wrong_answer"]) == (None, f"{rate!r} instead of a rate in Gbit/s")
    assert found["rtt_ms"] is not None


@pytest.mark.parametrize("size", [("size",), ("size", "0"), ("size", "0", "many")])
def test_a_wrong_size_does_not_end_the_test(size: tuple[str, ...]) -> None:
    found = meet(size=size)
    assert "instead of the size of a packet" in found["wrong_answer"]
    assert found["gbit_s"] == 1.5
