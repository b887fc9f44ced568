# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schedule, in a network that is simulated: links that are shared, peers that know each other's state late."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import count
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync import (
    Ask,
    Bucket,
    Peer,
    Said,
    Schedule,
    parse_learned,
    parse_said,
    parse_span,
    ports,
    render_said,
    seal,
    signature,
)

PIECE, LINK = 256 * 1024, 12.5e6
POLL, WAIT, WORKERS = 1.0, 1.0, 2


@dataclass
class Flow:
    """A request under way: what is still to come of the piece it is at, and what has come."""

    ask: Ask
    began: float
    at: int
    left: float
    got: int = 0
    wrong: int = 0


@dataclass
class Host:
    """A host of the simulation. link: bytes/s each way; until: when it dies; lies: its pieces are garbage."""

    have: int = 0
    link: float = LINK
    born: float = 0.0
    until: float = math.inf
    lies: bool = False
    resting: int = 0
    flows: list[Flow | None] = field(default_factory=lambda: [None] * WORKERS)
    ended: float = math.inf
    sent: float = 0.0
    schedule: Schedule | None = None

    def up(self, now: float) -> bool:
        return self.born <= now < self.until

    @property
    def pieces(self) -> int:
        return self.schedule.have if self.schedule else self.have


def shares(flows: list[tuple[Host, Host, Flow]]) -> dict[int, float]:
    """Return the rate of each flow, bytes/s: max-min fair shares of the links of both ends."""
    rates: dict[int, float] = {}
    room = {id(host): {"up": host.link, "down": host.link} for pair in flows for host in pair[:2]}
    open_flows = list(flows)
    while open_flows:
        ends = [(id(to), "down", flow) for _from, to, flow in open_flows]
        ends += [(id(source), "up", flow) for source, _to, flow in open_flows]
        users: dict[tuple[int, str], list[Flow]] = {}
        for host, way, flow in ends:
            users.setdefault((host, way), []).append(flow)
        (host, way), tight = min(users.items(), key=lambda item: room[item[0][0]][item[0][1]] / len(item[1]))
        rate = room[host][way] / len(tight)
        done = {id(flow) for flow in tight}
        for source, to, flow in open_flows:
            if id(flow) in done:
                rates[id(flow)] = rate
                room[id(source)]["up"] -= rate
                room[id(to)]["down"] -= rate
        open_flows = [one for one in open_flows if id(one[2]) not in done]
    return rates


def simulate(
    hosts: dict[str, Host], pieces: int = 400, limit: float = 400.0, later: tuple[float, int] = (0.0, 0)
) -> float:
    """Run until all hosts that live have all pieces, and return the seconds that it took.

    later: from when on there are so many of the last pieces, on the first host; it is downloading them until then.
    """
    sizes, order, now, poll = [PIECE] * pieces, list(hosts), 0.0, 0.0
    everything = (1 << pieces) - 1
    while now < limit:
        for name, host in hosts.items():
            if host.up(now) and not host.schedule:
                host.schedule = Schedule(sizes, order, name, host.have, now)
            elif not host.up(now):
                host.flows = [None] * WORKERS
        if now >= poll:
            poll = now + (POLL if now > POLL else POLL / 10)
            alive = {name: host.schedule for name, host in hosts.items() if host.up(now) and host.schedule}
            known = everything >> later[1] if now < later[0] else everything
            for name, schedule in alive.items():
                schedule.known = known
                schedule.have |= known if later[1] and name == order[0] else 0
                for other in alive.keys() - {name}:
                    schedule.hear(other, alive[other].have, now, shuns=name in alive[other].shunned())
        going = []
        for host in hosts.values():
            if host.up(now) and host.schedule:
                going += begin(host, hosts, now)
        rates = shares(going)
        # Until the next piece is whole, and long enough for time to go on.
        step = min([poll - now, *(flow.left / rates[id(flow)] for _source, _to, flow in going)]) + 0.0005
        now += step
        for source, to, flow in going:
            move(source, to, flow, rates[id(flow)] * step, now)
        for host in hosts.values():
            if host.pieces == everything and host.ended == math.inf:
                host.ended = now
        if all(host.pieces == everything for host in hosts.values() if host.until == math.inf):
            return now
    raise AssertionError({name: count(host.pieces) for name, host in hosts.items()})


def begin(host: Host, hosts: dict[str, Host], now: float) -> list[tuple[Host, Host, Flow]]:
    """Start what a host's workers ask for, end what has no more to come, and return the flows that move."""
    moving = []
    assert host.schedule
    for worker in range(WORKERS):
        flow = host.flows[worker]
        if flow and not hosts[flow.ask.peer].up(now):
            host.schedule.lose(flow.ask, now)
            flow = None
        if not flow:
            ask = host.schedule.ask(now, worker)
            flow = Flow(ask, now, ask.first, PIECE) if ask else None
        host.flows[worker] = flow
        if not flow:
            continue
        source = hosts[flow.ask.peer]
        if source.pieces >> flow.at & 1:
            moving.append((source, host, flow))
        elif flow.got or now - flow.began > WAIT:
            end(host, flow, now)
    return moving


def move(source: Host, to: Host, flow: Flow, size: float, now: float) -> None:
    """Let some bytes of a flow pass."""
    source.sent += size
    flow.left -= size
    while flow.left <= 0 and flow.at <= flow.ask.last:
        if source.lies:
            assert to.schedule
            to.schedule.refuse(flow.ask.peer, 1 << flow.at)
        else:
            flow.got |= 1 << flow.at
        flow.at += 1
        flow.left += PIECE
    if flow.at > flow.ask.last or (source.lies and flow.at > flow.ask.first):
        end(to, flow, now)


def end(host: Host, flow: Flow, now: float) -> None:
    assert host.schedule
    host.schedule.take(flow.ask, flow.got, now - flow.began, now)
    host.flows[host.flows.index(flow)] = None


def cluster(count_: int, pieces: int = 400, source: int = 1) -> dict[str, Host]:
    hosts = {f"h{number}": Host() for number in range(1, count_ + 1)}
    hosts[f"h{source}"].have = (1 << pieces) - 1
    return hosts


ONE = 400 * PIECE / LINK


@pytest.mark.parametrize(("hosts", "source"), [(2, 1), (4, 1), (8, 1), (8, 5), (16, 16)])
def test_all_hosts_take_about_one_transfer(hosts: int, source: int) -> None:
    # Each hop of the chain takes as long as some pieces do.
    assert simulate(cluster(hosts, source=source)) < 1.05 * ONE + 10 * hosts * PIECE / LINK


def test_the_source_sends_the_tree_about_once() -> None:
    hosts = cluster(8)
    simulate(hosts)
    assert hosts["h1"].sent < 1.2 * 400 * PIECE


@pytest.mark.parametrize("slow", ["h2", "h5", "h8"])
def test_a_host_on_a_quarter_of_the_link_holds_nobody_back(slow: str) -> None:
    hosts = cluster(8, 1200)
    hosts[slow].link = LINK / 4
    simulate(hosts, 1200)
    others = max(host.ended for name, host in hosts.items() if name != slow)
    # Some seconds go by until it is found out, however long the transfer is.
    assert others < 3 * ONE + 6
    assert hosts[slow].ended < 1.1 * 4 * 3 * ONE


@pytest.mark.parametrize("dead", ["h2", "h5", "h8"])
def test_a_host_that_dies_costs_little(dead: str) -> None:
    hosts = cluster(8)
    hosts[dead].until = ONE / 2
    assert simulate(hosts) < 1.3 * ONE


def test_without_its_only_source_the_parts_that_left_it_still_spread() -> None:
    hosts = cluster(4)
    hosts["h1"].until = ONE / 2
    with pytest.raises(AssertionError):
        simulate(hosts, limit=3 * ONE)
    assert hosts["h2"].pieces == hosts["h3"].pieces == hosts["h4"].pieces != 0


@pytest.mark.parametrize("liar", ["h2", "h5"])
def test_garbage_is_refused_and_comes_from_another(liar: str) -> None:
    hosts = cluster(8)
    hosts[liar].lies = True
    assert simulate(hosts) < 1.4 * ONE
    for host in hosts.values():
        assert host.schedule
        # Both workers may be at it when it is shunned.
        assert liar not in host.schedule.peers or host.schedule.peers[liar].wrong <= 4


@pytest.mark.parametrize("seed", range(200))
def test_nobody_waits_in_a_circle(seed: int) -> None:
    """Hosts with any pieces, behind a source: a request for pieces that a peer lacks goes towards the source."""
    chance = random.Random(seed)
    names = [f"h{number}" for number in range(1, 9)]
    everything = (1 << 400) - 1
    even = chance.getrandbits(400)
    have = {name: even ^ sum(1 << piece for piece in chance.sample(range(400), 3)) for name in names} | {
        "h1": everything
    }
    waits: dict[str, set[str]] = {name: set() for name in names}
    for name in names[1:]:
        schedule = Schedule([PIECE] * 400, names, name, have[name], 0.0)
        for peer in schedule.peers:
            # A host far from the one that shuns it. A host that shuns its neighbor requests nothing from it.
            schedule.hear(peer, have[peer], 0.0, shuns=(name, peer) == ("h2", "h5"))
        while ask := schedule.ask(0.0):
            if not ask.pieces & have[ask.peer]:
                waits[name].add(ask.peer)
    assert all(names.index(peer) < names.index(name) for name, peers in waits.items() for peer in peers)


def test_a_tree_that_is_still_downloaded_spreads_as_it_comes() -> None:
    hosts = cluster(8)
    hosts["h1"].have = 0
    half = ONE / 2
    # What comes later is known a poll later.
    assert simulate(hosts, later=(1.5 * half, 200)) < 1.5 * half + POLL + 1.4 * half


def test_a_host_that_comes_late_joins_at_the_end() -> None:
    hosts = cluster(8)
    hosts["h2"].born = ONE / 2
    simulate(hosts)
    assert max(host.ended for name, host in hosts.items() if name != "h2") < 1.2 * ONE
    assert hosts["h2"].ended < 1.7 * ONE


@pytest.mark.parametrize("seed", range(5))
def test_parts_that_lie_anywhere_come_together(seed: int) -> None:
    chance = random.Random(seed)
    hosts = {f"h{number}": Host() for number in range(1, 6)}
    for piece in range(400):
        for name in chance.sample(list(hosts), chance.randint(1, 3)):
            hosts[name].have |= 1 << piece
    assert simulate(hosts) < 1.5 * ONE


def test_a_repair_comes_from_several_hosts() -> None:
    hosts = {f"h{number}": Host(have=(1 << 400) - 1) for number in range(1, 5)}
    hosts["h3"].have = 0
    simulate(hosts)
    assert sum(host.sent > 100 * PIECE for host in hosts.values()) == 2


def test_pieces_that_only_a_liar_has_are_asked_for_no_more() -> None:
    schedule = Schedule([10] * 4, ["a", "b"], "b")
    schedule.hear("a", 0b1111, 0)
    schedule.refuse("a", 0b0001)
    ask = schedule.ask(0)
    assert ask and (ask.peer, ask.pieces) == ("a", 0b1110)
    schedule.take(ask, 0b1110, 1, 1)
    assert schedule.ask(1) is None
    assert not schedule.complete


def test_a_leader_that_took_a_minute_is_passed_over_for_ten() -> None:
    schedule = Schedule([8 * 1024**2] * 100, ["a", "b", "c"], "c")
    schedule.hear("a", schedule.everything, 0)
    schedule.hear("b", 0b1111, 0)
    now, asked = 0.0, ""
    for _turn in range(8):
        ask = schedule.ask(now)
        assert ask
        seconds = 60 if ask.peer == "b" else 0.1
        now += seconds
        asked += ask.peer
        schedule.take(ask, ask.pieces, seconds, now)
        schedule.hear("b", (1 << count(schedule.have) + 4) - 1, now)
    # The one that leads, another one now and then to see whether that is faster, and from then on that.
    assert asked == "bbabaaaa"
    assert [schedule.preference(["b"], now + seconds)[0] for seconds in (590, 610)] == ["a", "b"]


def test_nobody_leaves_before_all_know_that_all_are_done() -> None:
    schedule = Schedule([1], ["a", "b"], "a", 1)
    assert not schedule.everybody_done(1, window=10, grace=20)
    schedule.hear("b", 1, 5, done=True)
    assert not schedule.everybody_done(5, window=10, grace=20)
    schedule.peers["b"].told = True
    assert schedule.everybody_done(5, window=10, grace=20)


@pytest.mark.parametrize(
    ("peer", "now", "gone"),
    [
        (Peer(), 9, False),
        (Peer(), 11, True),
        (Peer(heard_at=5), 24, False),
        (Peer(heard_at=5), 26, True),
        (Peer(heard_at=5, failed=True), 6, True),
    ],
)
def test_who_is_waited_for(peer: Peer, now: float, gone: bool) -> None:
    assert peer.gone(now, began=0, window=10, grace=20) is gone


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes=0-9", (0, 0)),
        ("bytes=0-14", (0, 1)),
        ("bytes=10-14", (1, 1)),
        ("bytes=10-", None),
        ("bytes=0-8", None),
        ("bytes=1-9", None),
        ("bytes=10-99", None),
        ("bytes=10-9", None),
        ("items=0-9", None),
        ("bytes=-5", None),
        (None, None),
    ],
)
def test_a_span_is_of_whole_pieces(text: str | None, span: tuple[int, int] | None) -> None:
    assert parse_span(text, [0, 10, 15]) == span


def test_all_hosts_find_the_same_ports_and_runs_differ() -> None:
    assert ports("one", range(20000, 20100)) == ports("one", reversed(range(20000, 20100)))
    assert ports("one", range(20000, 20100)) != ports("two", range(20000, 20100))


def test_a_signature_is_of_one_request_of_one_run() -> None:
    made = {signature("t", "/tree", "bytes=0-1"), signature("t", "/tree", "bytes=0-2"), signature("u", "/tree", "")}
    assert len(made) == 3


def test_a_bucket_lets_its_rate_pass() -> None:
    bucket, now = Bucket(1000), 100.0
    for _piece in range(50):
        now += bucket.take(100, now)
    assert now == pytest.approx(105, abs=0.2)
    assert Bucket(0).take(10**9, 0) == 0


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"7", b"[" * 100_000, b'{"have": 5}', b'{"have": "xyz"}'])
def test_what_is_no_state_of_a_host_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_said(data)


def test_what_a_host_says_of_itself_comes_back() -> None:
    said = Said(0b1011, True, False, True, "no room", frozenset(["gpu02"]), 3, True)
    assert parse_said(render_said(said)) == said


@pytest.mark.parametrize("data", [b"7", b"[7]", b"[[1]]", b'{"a": 1}', b"[" * 100_000, b'[["x", "y"]]'])
def test_what_are_no_hashes_of_files_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_learned(data)


def test_a_seal_covers_the_length() -> None:
    assert seal("token", "/state", 1, "0") != seal("token", "/state", 11, "0")
