# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides which host requests which pieces from which peer: all hosts get a tree in about the time of one transfer.
PRIVATE to the collection.

There is no coordinator: each host decides by what its peers report that they have.

- Hosts that are equally far form a ring, in the order of the set. Each takes the next pieces from the nearest one
  before it, which may still be receiving them. So each link carries each piece once in each direction: a chain.
- A host without an equal one before it takes from the one that is least ahead of it, whose link is idle or nearly so.
  So a host that comes late or is slow becomes the end of the chain, and an early one its begin.
- To find out whether a host is slow, the next one is tried now and then, with pieces that are needed anyway.
- A peer whose pieces differ from the manifest is not asked for them again, and soon not at all: it is shunned. A host
  that the next one shuns (its memory may be bad) takes from the last one, because no host takes from it.
- A host waits only for pieces of one that leads it. Leaders are in one direction, up to a host that has all that is
  known, so hosts never wait in a circle. If no host has all, waits are short, and a host that gives nothing is not
  asked.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import typing as t
from collections import deque
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._network import proof
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import count, lowest

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# One request: about a tenth of a second at 100 Mbit/s, and no more small files than are soon read.
ASK_BYTES, ASK_PIECES = 1024**2, 256
# Hosts are equally far, up to so many bytes or so many seconds of the rate: what is known of a peer is up to a second
# old.
APART_BYTES, APART_SECONDS = 8 * 1024**2, 2.0
# Seconds over which the rate is taken; between the first tries of another leader, and later ones; how long a leader
# that proved to be slow is passed over, at least and in times of its last request: that may have taken minutes.
RATE_SECONDS, FIRST_TRY, LAST_TRY, PASS_SECONDS, PASS_TIMES = 2.0, 1.0, 60.0, 5.0, 10
# A leader is passed over for one that is faster by so much, so many times in a row.
FASTER, WINS = 1.2, 2
# Seconds in which a peer that did not deliver is not asked, at first and at most; after how many answers without a
# piece that is so, if it got none itself: a chain takes some seconds to fill.
PAUSE, LONGEST_PAUSE = 1.0, 8.0
EMPTY_ANSWERS = 4
WRONG_PIECES = 3
# What a host does, as the progress shows it.
HAS_IT, RECEIVES, DOWNLOADS, FAILED, AWAY = "has it", "receives", "downloads", "failed", "away"
PORTS = 4
# Bytes of what a host says of itself at most: a bit for each piece, as text. And of its reason to end.
SAID_MAXIMUM, REASON_MAXIMUM = 1024**2, 4096


@dataclass
class Peer:
    """What a host knows of a peer. have, refused: sets of pieces; refused: which it gave with other bytes.

    heard_at: when it last answered, None if it never did. told: it was notified that this host is done.
    """

    have: int = 0
    refused: int = 0
    wrong: int = 0
    heard_at: float | None = None
    reachable: bool = False
    ready: bool = False
    done: bool = False
    failed: bool = False
    told: bool = False
    shuns: bool = False
    paused_until: float = 0.0
    pause: float = PAUSE
    empty: int = 0
    passed_until: float = 0.0
    # Seconds of the last request.
    took: float = 0.0

    def usable(self, now: float) -> bool:
        return self.reachable and self.ready and now >= self.paused_until and self.wrong < WRONG_PIECES

    def gone(self, now: float, began: float, window: float, grace: float) -> bool:
        """Return whether it is not waited for any more: it failed, never came, or has been silent for too long."""
        if self.failed:
            return True
        return now - began > window if self.heard_at is None else now - self.heard_at > grace


class Ask(t.NamedTuple):
    """A request for pieces first to last. known: what the peer had, as far as known; rate: in bytes/s, of a try."""

    peer: str
    first: int
    last: int
    known: int
    rate: float | None = None

    @property
    def pieces(self) -> int:
        return ((1 << self.last - self.first + 1) - 1) << self.first


class Schedule:
    """One host's part. sizes: bytes of each piece; order: the names of all hosts; have: pieces that are here; known:
    pieces that may be asked for, as their hashes are known.

    It has no clock: now is in seconds, of any clock that only goes forward.
    """

    def __init__(self, sizes: Sequence[int], order: Sequence[str], name: str, have: int = 0, now: float = 0.0) -> None:
        at = list(order).index(name)
        self.name = name
        self.sizes = sizes
        self.bytes = sum(sizes)
        self.mean = sum(sizes) / max(1, len(sizes))
        self.everything = self.known = (1 << len(sizes)) - 1
        self.have = have
        self.claimed = self.wins = 0
        self.preferred = ""
        # Nearest first, all around the ring.
        self.before = [*reversed(order[:at]), *reversed(order[at + 1 :])]
        self.peers = {other: Peer() for other in self.before}
        self.received: deque[tuple[float, int]] = deque()
        self.began = self.first = now
        self.next_try, self.pause_try = math.inf, FIRST_TRY

    @property
    def complete(self) -> bool:
        return self.have == self.everything

    def weight(self, pieces: int) -> float:
        """Return the bytes of a set of pieces, as if all were of one size: it is asked all the time, of large sets."""
        return count(pieces) * self.mean

    def rate(self, now: float) -> float:
        """Return what came in lately, in bytes/s."""
        while self.received and self.received[0][0] < now - RATE_SECONDS:
            self.received.popleft()
        return sum(size for _at, size in self.received) / max(0.1, min(RATE_SECONDS, now - self.first))

    # --- Choosing ---

    def ask(self, now: float, worker: int = 0) -> Ask | None:
        """Return what to ask whom for next, and take note of it. None where there is nothing to ask for now."""
        free = self.known & ~self.have & ~self.claimed
        if not free:
            return None
        leaders = self.leaders(now)
        for peer, is_try in self.choices(leaders, now, worker):
            wanted = self.obtainable(peer, free, peer in leaders)
            if wanted:
                return self.claim(peer, wanted, self.rate(now) if is_try else None)
        return None

    def obtainable(self, name: str, free: int, leads: bool) -> int:
        """Return the pieces that a peer has or, where it leads and has none of them, that it may soon have."""
        peer = self.peers[name]
        wanted = free & ~peer.refused
        return wanted & peer.have or (wanted if leads else 0)

    def claim(self, name: str, wanted: int, rate: float | None) -> Ask:
        first = last = lowest(wanted)
        rest, size = wanted >> first & (1 << ASK_PIECES) - 1, self.sizes[first]
        while rest >> last - first + 1 & 1 and size + self.sizes[last + 1] <= ASK_BYTES:
            last += 1
            size += self.sizes[last]
        ask = Ask(name, first, last, self.peers[name].have, rate)
        self.claimed |= ask.pieces
        return ask

    def choices(self, leaders: Sequence[str], now: float, worker: int) -> list[tuple[str, bool]]:
        """Return the peers to ask, best first, and whether it is to try them."""
        order = self.preference(leaders, now)
        whole = next((at for at, name in enumerate(order) if not self.is_whole(name)), len(order))
        if whole > 1:
            # Several sources of all pieces, and nobody else before them: each worker has its own.
            turn = worker % whole
            return [(name, False) for name in [*order[turn:whole], *order[:turn], *order[whole:]]]
        if now >= self.next_try and len(order) > 1 and self.lead(order[1]):
            self.pause_try = min(LAST_TRY, 2 * self.pause_try)
            self.next_try = now + self.pause_try
            self.preferred = order[0]
            order = [order[1], order[0], *order[2:]]
            return [(name, at == 0) for at, name in enumerate(order)]
        return [(name, False) for name in order]

    def usable(self, now: float) -> list[str]:
        """Return the peers that may be asked, nearest first."""
        return [name for name in self.before if self.peers[name].usable(now)]

    def leaders(self, now: float) -> list[str]:
        """Return the peers that may be asked for what they do not have yet, best first.

        They stand between this host and one that has all that is known, where there is one: so hosts do not wait for
        each other.
        """
        usable = self.usable(now)
        after = list(itertools.takewhile(lambda name: not self.is_whole(name), reversed(self.before)))
        follower = next((name for name in after if self.peers[name].reachable), None)
        if follower and self.peers[follower].shuns:
            return [name for name in reversed(after) if name in usable]
        apart = max(APART_BYTES, APART_SECONDS * self.rate(now))
        # If each of two hosts has much that the other lacks, neither is further than the other.
        return [
            name
            for name in itertools.takewhile(lambda name: not self.is_whole(name), self.before)
            if name in usable and (self.lead(name) > apart) == (self.weight(self.have & ~self.peers[name].have) > apart)
        ]

    def preference(self, leaders: Sequence[str], now: float) -> list[str]:
        """Return the peers that may be asked, best first: leaders, then the one that is least ahead."""
        others = {name: self.lead(name) for name in self.usable(now) if name not in leaders}
        ahead = sorted((name for name, lead in others.items() if lead > 0), key=others.__getitem__)
        rest = [name for name in others if name not in ahead]
        return sorted([*leaders, *ahead, *rest], key=lambda name: self.peers[name].passed_until > now)

    def lead(self, name: str) -> float:
        """Return the bytes that a peer has and this host has not."""
        return self.weight(self.peers[name].have & ~self.have)

    def is_whole(self, name: str) -> bool:
        """Return whether a peer has all that can be had by now, so that it waits for nobody."""
        return not self.known & ~self.peers[name].have

    def progress(self, now: float, window: float, grace: float) -> dict[str, tuple[int, str]]:
        """Return the bytes that each host has, about, and what it does."""
        far = {self.name: (round(self.weight(self.have)), HAS_IT if self.complete else RECEIVES)}
        for name, peer in self.peers.items():
            if peer.done or peer.have == self.everything:
                does = HAS_IT
            elif peer.failed:
                does = FAILED
            else:
                does = AWAY if peer.gone(now, self.began, window, grace) else RECEIVES
            far[name] = (round(self.weight(peer.have)), does)
        return far

    # --- What came of it ---

    def hear(
        self, name: str, have: int, now: float, done: bool = False, shuns: bool = False, ready: bool = True
    ) -> None:
        """Take note of what a peer says of itself: whether it shuns this host, and can already be asked for pieces."""
        peer = self.peers[name]
        peer.have, peer.done, peer.shuns = have & self.everything, peer.done or done, shuns
        peer.heard_at, peer.reachable, peer.ready = now, True, ready

    def take(self, ask: Ask, pieces: int, seconds: float, now: float) -> None:
        """Take note of what came of a request: the set of pieces that came and were right, and how long it took."""
        self.claimed &= ~ask.pieces
        fresh = pieces & ~self.have
        self.have |= fresh
        peer = self.peers[ask.peer]
        peer.took = seconds
        if not pieces:
            # A host that is still receiving may deliver the next time.
            peer.empty = peer.empty + 1 if peer.have == ask.known else 0
            if peer.empty >= EMPTY_ANSWERS or self.is_whole(ask.peer):
                self.rest(ask.peer, now)
            return
        peer.pause, peer.empty = PAUSE, 0
        size = sum(self.sizes[number] for number in range(ask.first, ask.last + 1) if fresh >> number & 1)
        if self.next_try == math.inf:
            self.first, self.next_try = now - seconds, now + FIRST_TRY
        self.received.append((now, size))
        if ask.rate is not None:
            self.wins = self.wins + 1 if size / max(seconds, 0.001) > FASTER * ask.rate else 0
            if self.wins == WINS:
                slow = self.peers[self.preferred]
                slow.passed_until = now + max(PASS_SECONDS, PASS_TIMES * slow.took)
            if self.wins:
                self.wins, self.next_try = self.wins % WINS, now + FIRST_TRY

    def rest(self, name: str, now: float) -> None:
        """Leave a peer alone for a while."""
        peer = self.peers[name]
        peer.paused_until = now + peer.pause
        peer.pause = min(LONGEST_PAUSE, 2 * peer.pause)

    def lose(self, ask: Ask, now: float) -> None:
        """Take note that a peer broke off. It is asked again once it has answered again."""
        self.claimed &= ~ask.pieces
        self.peers[ask.peer].reachable = False
        self.rest(ask.peer, now)

    def refuse(self, name: str, pieces: int) -> None:
        """Take note of pieces that were not what the manifest says."""
        peer = self.peers[name]
        if pieces & ~peer.refused:
            peer.refused |= pieces
            peer.wrong += 1

    def shunned(self) -> list[str]:
        """Return the peers that are asked for nothing any more."""
        return sorted(name for name, peer in self.peers.items() if peer.wrong >= WRONG_PIECES)

    def everybody_done(self, now: float, window: float, grace: float) -> bool:
        """Return whether no peer needs this host any more, and all peers that are there know that it needs none."""
        return all(
            (peer.done and peer.told) or peer.gone(now, self.began, window, grace) for peer in self.peers.values()
        )


# --- Proofs that a request or an answer is of this run ----------------------------------------------------------------


def ports(token: str, candidates: Iterable[int]) -> list[int]:
    """Return the ports that a run may use, the best first; all hosts find the same ones by its token."""
    return sorted(candidates, key=lambda port: proof(token, "tree_sync", str(port)))[:PORTS]


def signature(token: str, target: str, span: str = "") -> str:
    """Return what proves that a request is of this run, without revealing the token. span: the bytes it asks for."""
    return proof(token, "GET", target, span)


def seal(token: str, target: str, size: int, sha256: str) -> str:
    """Return what proves that an answer is of this run, and to this request, before its body is read.

    size: bytes of the body; sha256: of the body.
    """
    return proof(token, "answer", target, str(size), sha256)


class Said(t.NamedTuple):
    """What a host says of itself. have: the set of its pieces; reads: it looks at its tree before it can answer;
    failed: why it ended; shuns: hosts that it asks for nothing; learned: how many files' hashes it knows of a tree that
    is downloaded; growing: more of that comes.
    """

    have: int
    ready: bool
    reads: bool
    done: bool
    failed: str
    shuns: frozenset[str]
    learned: int
    growing: bool


def render_said(said: Said) -> bytes:
    return json.dumps({**said._asdict(), "have": f"{said.have:x}", "shuns": sorted(said.shuns)}).encode()


def parse_said(data: bytes) -> Said:
    """Return what a host says in an answer. ValueError where it says nothing of the kind."""
    try:
        said = json.loads(data)
        return Said(
            have=int(said["have"], 16),
            ready=bool(said["ready"]),
            reads=bool(said["reads"]),
            done=bool(said["done"]),
            failed=str(said["failed"])[:REASON_MAXIMUM],
            shuns=frozenset(str(name) for name in said["shuns"]),
            learned=int(said["learned"]),
            growing=bool(said["growing"]),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"this is not the state of a host: {error}") from error


def parse_learned(data: bytes) -> list[tuple[int, str]]:
    """Return the files of which a host knows the hashes: number in the manifest, hashes. ValueError as above."""
    try:
        return [(int(number), str(text)) for number, text in json.loads(data)]
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"these are not hashes of files: {error}") from error


def run_name(token: str) -> str:
    """Return a name of a run that doesn't reveal its token."""
    return proof(token, "run")


def parse_span(text: str | None, starts: Sequence[int]) -> tuple[int, int] | None:
    """Return the first and last piece of `bytes=FIRST-LAST`; None where these are not whole pieces of the stream."""
    unit, _equals, span = (text or "").partition("=")
    first, _dash, last = span.partition("-")
    if unit != "bytes" or not (first.isdecimal() and last.isdecimal()):
        return None
    begin, end = (bisect.bisect_left(starts, place) for place in (int(first), int(last) + 1))
    whole = begin < end < len(starts) and (starts[begin], starts[end]) == (int(first), int(last) + 1)
    return (begin, end - 1) if whole else None


class Bucket:
    """A limit of bytes/s, of which a tenth of a second may be used at once. rate: 0 = no limit."""

    def __init__(self, rate: float) -> None:
        self.rate, self.free_at = rate, 0.0

    def take(self, size: int, now: float) -> float:
        """Use some bytes, and return how many seconds to wait for them."""
        if not self.rate:
            return 0.0
        self.free_at = max(self.free_at, now - 0.1) + size / self.rate
        return max(0.0, self.free_at - now)
