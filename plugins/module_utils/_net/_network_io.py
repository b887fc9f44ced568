# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test of the network between hosts, as each of them runs it at the same time. PRIVATE to the collection.

1. Listen on all ports of this host. Each connection gets a signed line first.
2. Try every port of every peer at once, and repeat until the peer has answered or the window is over. If a peer has
   answered, all its ports are known to be listening: the next attempt on each is the last.
3. Find the largest packet that passes to each peer.
4. Test with one peer at a time, in the order of the tournament: round trips, and a short transfer each way. A host that
   waits for a peer tests with no other one meanwhile, so the transfers of different pairs share no NIC.

A host that has tested with all its peers is needed by none of them, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import socket
import statistics
import struct
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network, _nic
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._netlink_io import Network

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Seconds. Linux asks three times in 3 s for a link address, and repeats a SYN after 1 and 3 s.
CONNECT_SECONDS, LAST_SYN = 3.6, 2.9
# A peer that was heard of answers in this time; what is silent for so long on a port is no peer.
ANSWER_SECONDS = 2.0
PAUSE = 0.3
# A packet counts as lost when none of so many is answered, with a pause between them.
TRIES, TRY_PAUSE = 3, 0.05
PINGS = 10
# A slow transfer is made once more before it is believed.
SLICE_SECONDS, ATTEMPTS = 0.04, 2
CHUNK = bytes(1 << 18)

# include/uapi/linux/in.h and in6.h; Python has no names for them before 3.14. PROBE sets Don't Fragment and heeds no
# path MTU that the kernel remembers. Both need no privilege.
IP_MTU_DISCOVER, IP_MTU, IPV6_MTU_DISCOVER, IPV6_MTU, PMTUDISC_PROBE = 10, 14, 23, 24, 3


class Wire:
    """A TCP connection of lines, and of transfers: zeros that end with a line's end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # So that on a slow link little is still waiting to be sent when a transfer ends.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, len(CHUNK))
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.buffer = b""

    async def send(self, line: str) -> None:
        await self.loop.sock_sendall(self.sock, line.encode() + b"\n")

    async def line(self) -> str:
        """Return the next line, empty when the other end has closed or talks otherwise."""
        while b"\n" not in self.buffer and len(self.buffer) < 4096:
            with contextlib.suppress(OSError):
                received = await self.loop.sock_recv(self.sock, 4096)
                if received:
                    self.buffer += received
                    continue
            return ""
        line, _end, self.buffer = self.buffer.partition(b"\n")
        return line.decode("utf-8", "replace")

    async def pour(self, seconds: float) -> None:
        """Send as much as goes in some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.loop.sock_sendall(self.sock, CHUNK)
        await self.loop.sock_sendall(self.sock, b"\n")

    async def swallow(self) -> float:
        """Receive such a transfer and return the rate of its best slice in Gbit/s.

        The best, because on a busy host a process gets no processor for some of the time.
        """
        space = memoryview(bytearray(len(CHUNK)))
        size = await self.loop.sock_recv_into(self.sock, space)
        start, total, seconds, best = time.monotonic(), size, 0.0, 0.0
        while size and space[size - 1] != ord("\n"):
            size = await self.loop.sock_recv_into(self.sock, space)
            total += size
            seconds = time.monotonic() - start
            if seconds > SLICE_SECONDS:
                best = max(best, total / seconds)
                start, total = time.monotonic(), 0
        return (best or total / max(seconds, 0.001)) * 8 / 1e9

    def close(self) -> None:
        self.sock.close()


@dataclass
class Peer:
    """A peer and what was found out about the way to it.

    route: NIC and source address by the host's own table, None where it has no route.
    mine, theirs: the connections that stay open, by the host that opened them.
    chosen: the one of the two that the pair meets on.
    """

    name: str
    address: str
    ports: list[int]
    route: _nic.Route | None
    results: dict[int, str] = field(default_factory=dict)
    heard_at: float = math.inf
    seen_from: str | None = None
    mine: Wire | None = None
    theirs: Wire | None = None
    chosen: asyncio.Future[Wire | None] | None = None
    passes: int | None = None
    told: bool = False
    round_trips: list[float] = field(default_factory=list)
    gbit_s: float | None = None
    wrong_answer: str = ""

    @property
    def heard(self) -> bool:
        return self.heard_at < math.inf

    def hear(self) -> None:
        """Note that the peer is there, and so listens on all its ports."""
        self.heard_at = min(self.heard_at, time.monotonic())

    def facts(self) -> _network.Path:
        trips = self.round_trips
        return {
            "ports": {str(port): result for port, result in sorted(self.results.items())},
            "heard": self.heard,
            "nic": self.route.nic if self.route else None,
            "source": self.route.source if self.route else None,
            "seen_from": self.seen_from,
            "largest_packet": self.passes,
            "told_path_mtu": self.told,
            "rtt_ms": round(statistics.median(trips) * 1000, 3) if trips else None,
            "wrong_answer": self.wrong_answer,
            "gbit_s": None if self.gbit_s is None else round(self.gbit_s, 3),
        }


class Acknowledge(asyncio.DatagramProtocol):
    """Sends the size of a signed packet back to its sender."""

    def __init__(self, token: str, overhead: int) -> None:
        self.token, self.overhead = token, overhead

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        words = _network.verified(self.token, data.rstrip(b"\0").decode("utf-8", "replace"))
        if words and len(words) == 2:
            answer = _network.signed(self.token, "size", words[1], str(len(data) + self.overhead))
            self.transport.sendto(answer.encode(), addr)


def send(sock: socket.socket, packet: bytes) -> None:
    """Send a packet, also where the socket has yet to report an error of the one before."""
    for _attempt in range(2):
        with contextlib.suppress(OSError):
            sock.send(packet)
            return


class Meeting:
    """One host's part in the test."""

    def __init__(self, name: str, address: str, mtu: int, ports: list[int], port: int, token: str, peers: list[Peer]):
        self.name, self.address, self.mtu, self.token = name, address, mtu, token
        self.ports, self.port = ports, port
        self.peers = {peer.name: peer for peer in peers}
        self.version = ipaddress.ip_address(address).version
        self.family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        self.listeners: dict[int, socket.socket] = {}
        self.taken: dict[int, str] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.wires: list[Wire] = []
        self.complete = False

    async def hold(self, window: float, seconds: float, measure: bool) -> None:
        """Take part. window: how long a peer may be late; seconds: length of a transfer."""
        self.loop = asyncio.get_running_loop()
        self.end = time.monotonic() + window
        for peer in self.peers.values():
            peer.chosen = self.loop.create_future()
        limit = 2 * (window + CONNECT_SECONDS + 2 * ANSWER_SECONDS) + len(self.peers) * 2 * (ATTEMPTS * seconds + 1)
        datagrams = None
        try:
            for port in [*self.ports, self.port]:
                self.listen(port)
            datagrams = await self.acknowledge()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.go_through(seconds, measure), limit)
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            for sock in [*self.listeners.values(), *(wire.sock for wire in self.wires)]:
                sock.close()
            if datagrams:
                datagrams.close()

    async def go_through(self, seconds: float, measure: bool) -> None:
        await asyncio.gather(*(self.reach(peer) for peer in self.peers.values()))
        for peer in self.peers.values():
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                try:
                    await self.meet(peer, seconds, measure)
                except _network.WrongAnswer as error:
                    # Nothing is known of the rate then, not even that nothing got through.
                    peer.wrong_answer, peer.gbit_s = str(error), None
        self.complete = True

    def spawn(self, work: t.Coroutine[object, None, None]) -> None:
        self.tasks.add(self.loop.create_task(work))

    # --- Listening ---

    def listen(self, port: int) -> None:
        """Listen on a port of the cluster address; a port that somebody else holds is left alone."""
        listener = socket.socket(self.family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.address, port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            self.taken[port] = error.strerror or str(error)
            return
        listener.setblocking(False)
        self.listeners[port] = listener
        self.spawn(self.accept(listener))

    async def accept(self, listener: socket.socket) -> None:
        while True:
            sock, address = await self.loop.sock_accept(listener)
            # A reset leaves no TIME_WAIT behind, which would keep a service from this port for a minute.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.spawn(self.greet(Wire(sock), address[0]))

    async def greet(self, wire: Wire, address: str) -> None:
        self.wires.append(wire)
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await wire.send(_network.signed(self.token, "vllm-ray", self.name))
            words = _network.verified(self.token, await asyncio.wait_for(wire.line(), ANSWER_SECONDS))
            if words and len(words) == 2 and words[0] in ("keep", "try") and words[1] in self.peers:
                peer = self.peers[words[1]]
                peer.hear()
                peer.seen_from = address
                if words[0] == "keep":
                    peer.theirs = wire
                    await self.wait_for_use(peer, wire)
                    return
                # The other end closes first.
                await asyncio.wait_for(wire.line(), ANSWER_SECONDS)
        wire.close()

    async def acknowledge(self) -> asyncio.BaseTransport | None:
        """Answer packets of any size, where the port is free."""
        overhead = _network.HEADERS[self.version]
        try:
            made = await self.loop.create_datagram_endpoint(
                lambda: Acknowledge(self.token, overhead), local_addr=(self.address, self.port)
            )
        except OSError:
            return None
        return made[0]

    # --- Reaching a peer ---

    async def reach(self, peer: Peer) -> None:
        await asyncio.gather(*(self.knock(peer, port) for port in [*peer.ports, self.port]))
        if peer.heard:
            try:
                await self.find_size(peer)
            except _network.WrongAnswer as error:
                peer.wrong_answer = str(error)

    async def knock(self, peer: Peer, port: int) -> None:
        """Try a port until it is clear what it does."""
        while True:
            start = time.monotonic()
            result = await self.try_port(peer, port)
            peer.results[port] = _network.stronger(peer.results.get(port), result)
            asked = start + (LAST_SYN if result == _network.BLOCKED else 0)
            if result in _network.PASSES or asked > min(peer.heard_at, self.end):
                return
            await asyncio.sleep(PAUSE)

    async def try_port(self, peer: Peer, port: int) -> str:
        start = time.monotonic()
        wire = Wire(socket.socket(self.family, socket.SOCK_STREAM))
        try:
            await asyncio.wait_for(self.loop.sock_connect(wire.sock, (peer.address, port)), CONNECT_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            wire.close()
            number = None if isinstance(error, asyncio.TimeoutError) else error.errno
            return _network.outcome(number, time.monotonic() - start, peer.route is not None)
        words = None
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            # A service is sent nothing at all: most wait for the first word, and others' words are not ours.
            words = _network.verified(self.token, await asyncio.wait_for(wire.line(), ANSWER_SECONDS))
            if words == ["vllm-ray", peer.name]:
                peer.hear()
                keep = peer.mine is None
                if keep:
                    peer.mine = wire
                    self.wires.append(wire)
                await wire.send(_network.signed(self.token, "keep" if keep else "try", self.name))
                if keep:
                    self.spawn(self.wait_for_use(peer, wire))
                    return _network.OPEN
        wire.close()
        return _network.OPEN if words == ["vllm-ray", peer.name] else _network.SERVICE

    # --- Packet sizes ---

    async def find_size(self, peer: Peer) -> None:
        """Find the largest packet that passes, up to the NIC's MTU. It stays unknown where nothing can be said."""
        passes, lost, sizes = _network.SMALLEST[self.version], self.mtu + 1, [self.mtu]
        while lost - passes > 1:
            answered = await self.try_sizes(peer, sizes)
            if answered is None:
                return
            passes, lost = _network.narrowed(sizes, answered, passes, lost)
            sizes = _network.next_sizes(passes, lost)
        peer.passes = passes

    async def try_sizes(self, peer: Peer, sizes: list[int]) -> set[int] | None:
        """Send packets that no router may cut, and return the sizes that were answered.

        Each time the smallest goes last, and packets of two ports keep their order: once it is answered, what was
        not is lost, however long a busy peer takes. None where it is not answered, because UDP does not pass.
        """
        sock = socket.socket(self.family, socket.SOCK_DGRAM)
        level, discover, known = (
            (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU)
            if self.version == 4
            else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU)
        )
        answered: set[int] = set()
        try:
            sock.setblocking(False)
            sock.setsockopt(level, discover, PMTUDISC_PROBE)
            sock.connect((peer.address, self.port))
            for attempt in map(str, range(TRIES)):
                packet = _network.signed(self.token, "packet", attempt).encode()
                for size in [*sorted(set(sizes) - answered), _network.SMALLEST[self.version]]:
                    send(sock, packet.ljust(size - _network.HEADERS[self.version], b"\0"))
                if not await self.collect(sock, attempt, answered):
                    return None
                if answered.issuperset(sizes):
                    break
                await asyncio.sleep(TRY_PAUSE)
            peer.told = peer.told or sock.getsockopt(level, known) < self.mtu
        except OSError:
            return None
        finally:
            sock.close()
        return answered

    async def collect(self, sock: socket.socket, attempt: str, answered: set[int]) -> bool:
        """Note the sizes that are answered until the smallest of an attempt is, and return whether it is."""
        end = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end:
            try:
                data = await asyncio.wait_for(self.loop.sock_recv(sock, 4096), end - time.monotonic())
            except asyncio.TimeoutError:
                break
            except OSError:
                # ICMP came in: a router or a firewall said no to one of the packets.
                await asyncio.sleep(0.01)
                continue
            words = _network.verified(self.token, data.decode("utf-8", "replace"))
            if words and words[0] == "size":
                answered.add(_network.read_size(words))
                if words[1:] == [attempt, str(_network.SMALLEST[self.version])]:
                    return True
        return False

    # --- Meeting a peer ---

    def leads(self, peer: Peer) -> bool:
        """Return whether this host, and not the peer, chooses the connection and begins."""
        return self.name < peer.name

    async def wait_for_use(self, peer: Peer, wire: Wire) -> None:
        """Let a peer that leads choose this connection."""
        chosen = t.cast("asyncio.Future[Wire | None]", peer.chosen)
        if not self.leads(peer):
            said = await wire.line()
            if not chosen.done():
                chosen.set_result(wire if said == "use" else None)

    async def meet(self, peer: Peer, seconds: float, measure: bool) -> None:
        """Measure both ways. Each wait ends when the peer is gone, or with the whole meeting's limit."""
        wire = peer.mine or peer.theirs
        if not wire:
            return
        if self.leads(peer):
            await wire.send("use")
            if await wire.line() != "here":
                return
        else:
            wire = await t.cast("asyncio.Future[Wire | None]", peer.chosen)
            if not wire:
                return
            await wire.send("here")
        for drives in (self.leads(peer), not self.leads(peer)):
            work = self.drive(peer, wire, seconds, measure) if drives else self.serve(wire)
            await asyncio.wait_for(work, ANSWER_SECONDS + ATTEMPTS * seconds)

    async def drive(self, peer: Peer, wire: Wire, seconds: float, measure: bool) -> None:
        for _ping in range(PINGS):
            start = time.monotonic()
            await wire.send("ping")
            if not await wire.line():
                return
            peer.round_trips.append(time.monotonic() - start)
        for _attempt in range(ATTEMPTS if measure else 0):
            # Until the peer has reported the rate, nothing has come through.
            peer.gbit_s = peer.gbit_s or 0.0
            await wire.send("transfer")
            await wire.line()
            await wire.pour(seconds)
            peer.gbit_s = max(peer.gbit_s, _network.read_rate(await wire.line()))
            if peer.gbit_s > _network.FAST_ENOUGH:
                break
        await wire.send("done")

    async def serve(self, wire: Wire) -> None:
        while True:
            said = await wire.line()
            if said not in ("ping", "transfer"):
                return
            await wire.send(said)
            if said == "transfer":
                await wire.send(str(await wire.swallow()))


def check(module: AnsibleModule) -> _network.Answer:
    """Take part in the test as the module's parameters say, and return what was found."""
    params = module.params
    name, token, began = params["name"], params["token"], time.monotonic()
    hosts = {host["name"]: host for host in params["hosts"]}
    own = hosts.get(name) or module.fail_json(msg=f"{name} is not one of the hosts: {', '.join(hosts)}")
    partners = _network.partners(list(hosts), name, token)
    try:
        network = Network()
        addresses = {entry.address: entry for entry in network.addresses()}
        routes = {peer: network.route(hosts[peer]["address"]) for peer in partners}
    except (OSError, ValueError, struct.error) as error:
        module.fail_json(msg=f"{name}: the kernel does not report its addresses and routes by rtnetlink: {error}")
    nic = addresses.get(own["address"]) or module.fail_json(
        msg=f"{name} has no address {own['address']}, it has: {', '.join(addresses)}"
    )
    peers = [Peer(peer, hosts[peer]["address"], hosts[peer]["ports"], routes[peer]) for peer in partners]
    port = _network.random_port(token, [port for host in hosts.values() for port in host["ports"]])
    meeting = Meeting(name, own["address"], nic.mtu, own["ports"], port, token, peers)
    asyncio.run(meeting.hold(params["window"], params["seconds"], params["measure"]))
    return {
        "nic": nic.nic,
        "address": own["address"],
        "mtu": nic.mtu,
        "random_port": port,
        "listened": sorted(meeting.listeners),
        "taken": {str(port): why for port, why in sorted(meeting.taken.items())},
        "began": params["now"],
        "ended": params["now"] + time.monotonic() - began,
        "complete": meeting.complete,
        "peers": {peer.name: peer.facts() for peer in peers},
    }
