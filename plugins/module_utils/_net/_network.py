# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts that test the network between them agree on, and what an attempt means. PRIVATE to the collection."""

from __future__ import annotations

import errno
import hashlib
import hmac
import math
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence

# Every host is paired with every other up to this number of hosts; above it with so many others, and the first.
SAMPLE = 32

# What became of the attempts on a port, from the weakest evidence to the strongest. A port that refuses may belong to
# a peer that has not come yet or has left; a dropped packet is a dropped packet at any time.
REFUSED, NO_ROUTE, NO_ANSWER, BLOCKED, SERVICE, OPEN = "refused", "no route", "no answer", "blocked", "service", "open"
EVIDENCE = (REFUSED, NO_ROUTE, NO_ANSWER, BLOCKED, SERVICE, OPEN)
PASSES = (SERVICE, OPEN)

# Above Ray's usual worker ports and below Linux's ephemeral ones, so that it is free on nearly every host.
RANDOM_PORTS = range(20000, 32768)

# Gbit/s, a link of 1 Gbit/s. Above it, a busy host makes more of a difference to one short transfer than a cable does.
FAST_ENOUGH = 1.0

# Bytes of an IP and a UDP header, by version of IP.
HEADERS = {4: 20 + 8, 6: 40 + 8}
# The smallest packet that every IPv4 host takes, and the smallest MTU of an IPv6 link (RFC 791, RFC 8200).
SMALLEST = {4: 576, 6: 1280}


# Gbit/s that no NIC reaches.
FASTEST = 1e5


class Path(t.TypedDict):
    """What a host found about the path to a peer. The documentation of network_check describes it."""

    ports: dict[str, str]
    heard: bool
    nic: str | None
    source: str | None
    seen_from: str | None
    largest_packet: int | None
    told_path_mtu: bool
    rtt_ms: float | None
    wrong_answer: str
    gbit_s: float | None


class Answer(t.TypedDict, total=False):
    """What network_check returns on a host. msg: why it has nothing else."""

    nic: str
    address: str
    mtu: int
    random_port: int
    listened: list[int]
    taken: dict[str, str]
    began: float
    ended: float
    complete: bool
    peers: dict[str, Path]
    msg: str


class WrongAnswer(Exception):
    """What a peer said and this version never says. The message is for people."""


def read_rate(line: str) -> float:
    """Return the rate in Gbit/s that a peer reports after a transfer; 0 where it gives none. Raises WrongAnswer."""
    try:
        rate = float(line or 0)
    except ValueError:
        rate = math.nan
    # Python reads "nan" and "inf", too.
    if not 0 <= rate <= FASTEST:
        raise WrongAnswer(f"{line[:40]!r} instead of a rate in Gbit/s")
    return rate


def read_size(words: Sequence[str]) -> int:
    """Return the size in bytes that a peer reports for a packet: `size ATTEMPT BYTES`. Raises WrongAnswer."""
    if len(words) != 3 or not (words[2].isascii() and words[2].isdecimal()) or len(words[2]) > 5:
        raise WrongAnswer(f"{' '.join(words)[:40]!r} instead of the size of a packet in bytes")
    return int(words[2])


def rounds(names: Sequence[str], seed: str) -> list[list[tuple[str, str]]]:
    """Return a tournament: rounds of disjoint pairs, in which every pair of hosts meets once.

    The circle method: the first host stays, all others move on by one place each round. Chance comes from hashes,
    because Python's own random numbers may differ between versions.
    Above SAMPLE hosts, SAMPLE - 1 rounds drawn by the seed are whole, the others hold only the pair of the first host.
    All hosts that are given the same names in the same order and the same seed make the same rounds.
    """
    circle: list[str | None] = list(names)
    if len(circle) % 2:
        circle.append(None)
    result = []
    for _round in range(len(circle) - 1):
        opposite = zip(circle[: len(circle) // 2], reversed(circle))
        result.append([(one, other) for one, other in opposite if one is not None and other is not None])
        circle[1:] = [circle[-1], *circle[1:-1]]
    if len(names) <= SAMPLE:
        return result
    whole = sorted(range(len(result)), key=lambda number: proof(seed, str(number)))[: SAMPLE - 1]
    return [[pair for pair in pairs if number in whole or names[0] in pair] for number, pairs in enumerate(result)]


def partners(names: Sequence[str], name: str, seed: str) -> list[str]:
    """Return the peers that a host meets, in the order of the rounds."""
    return [
        one if name == other else other for pairs in rounds(names, seed) for one, other in pairs if name in (one, other)
    ]


def random_port(token: str, taken: Sequence[int]) -> int:
    """Return the port beside the pinned ones, which all hosts of a run find by its token."""
    return min((port for port in RANDOM_PORTS if port not in taken), key=lambda port: proof(token, str(port)))


def proof(token: str, *words: str) -> str:
    """Return a value that only a host with the token can compute."""
    return hmac.new(token.encode(), " ".join(words).encode(), hashlib.sha256).hexdigest()[:32]


def signed(token: str, *words: str) -> str:
    """Return a line of words that ends in their proof."""
    return " ".join([*words, proof(token, *words)])


def verified(token: str, line: str) -> list[str] | None:
    """Return the words of a line that signed() made with this token, None for any other line."""
    *words, last = line.split(" ")
    return words if hmac.compare_digest(last.encode(), proof(token, *words).encode()) else None


def outcome(error: int | None, seconds: float, routed: bool) -> str:
    """Return what a failed attempt to connect means.

    error: the errno, None where the time was over; seconds: how long it took;
    routed: whether the host has a route to the address.
    Linux gives EHOSTUNREACH for two things that only time distinguishes: after 3 s, nobody on the link answers for the
    address (ARP and neighbour discovery ask three times, a second apart); at once, a machine said no by ICMP, as
    firewalls do that reject. A blackhole route gives EINVAL, a prohibiting one EACCES.
    """
    if error in (None, errno.ETIMEDOUT):
        return BLOCKED
    if error == errno.ECONNREFUSED:
        return REFUSED
    if error == errno.EHOSTUNREACH and routed:
        return REFUSED if seconds < 1 else NO_ANSWER
    return NO_ROUTE


def stronger(one: str | None, other: str) -> str:
    """Return the stronger evidence of two attempts on one port."""
    return other if one is None else max(one, other, key=EVIDENCE.index)


def next_sizes(passes: int, lost: int, count: int = 12) -> list[int]:
    """Return the packet sizes to try next, in bytes, when one size passes and a larger one is lost."""
    between = lost - passes - 1
    if between <= count:
        return list(range(passes + 1, lost))
    return [passes + between * step // count for step in range(1, count + 1)]


def narrowed(sizes: Sequence[int], answered: set[int], passes: int, lost: int) -> tuple[int, int]:
    """Return the largest size that passes and the smallest that is lost, after some were tried."""
    passes = max([passes, *(size for size in sizes if size in answered)])
    return passes, min([lost, *(size for size in sizes if size > passes)])
