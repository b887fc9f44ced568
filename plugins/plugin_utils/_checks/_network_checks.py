# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reachability matrix: what all hosts found about the network between them. PRIVATE to the collection.

An answer is what the module network_check returned on a host, None (or a failed result) where the host took no part.
"""

from __future__ import annotations

import statistics
import typing as t
from collections import Counter
from dataclasses import dataclass, replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backends import TOOL
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Answers = Mapping[str, _network.Answer | None]
    Pair = tuple[str, str]

# What is the matter with a way from one host to another: {kind: (sign in the matrix, its meaning)}. A way is of the
# first kind that fits, because what comes later follows from it.
ABSENT, MISSED, UNROUTED, ASTRAY, TRANSLATED = "absent", "missed", "unrouted", "astray", "translated"
SILENT, CLOSED, REJECTED, LOSSY, STALLED, SLOW, OPEN = (
    "silent",
    "closed",
    "rejected",
    "lossy",
    "stalled",
    "slow",
    "open",
)
SIGNS = {
    OPEN: (".", "open"),
    ABSENT: ("?", "did not take part"),
    MISSED: ("?", "not running at the same time"),
    UNROUTED: ("R", "no route"),
    ASTRAY: ("N", "another NIC"),
    TRANSLATED: ("T", "another source address"),
    SILENT: ("L", "no answer on the link"),
    CLOSED: ("x", "blocked (dropped)"),
    REJECTED: ("r", "refused"),
    LOSSY: ("M", "large packets are lost"),
    STALLED: ("S", "transfers stall"),
    SLOW: ("s", "slow"),
}
# Seconds that two hosts must have been there together before their silence counts.
TOGETHER = 2
# A way is slow when it is slower than usual by this factor, and no faster than _network.FAST_ENOUGH.
SLOWER = 5


@dataclass(frozen=True)
class Way:
    """The way from one host to another.

    ports: the closed ones, where only some are. size: the largest packet that passes, in bytes. rate: in Gbit/s.
    """

    kind: str
    ports: tuple[int, ...] = ()
    every_port: bool = False
    size: int | None = None
    reported: bool = False
    rate: float | None = None
    rtt: float | None = None


def ways(answers: Answers) -> dict[Pair, Way]:
    """Return the matrix of what was tested: {(from, to): way}. Pairs that a sample left out are not in it."""
    there = taking_part(answers)
    matrix = {
        (source, target): _way(source, target, there)
        for source in answers
        for target in answers
        if source != target and (source not in there or target in there[source]["peers"])
    }
    least = min(usual_rate(matrix) / SLOWER, _network.FAST_ENOUGH)
    return {
        pair: replace(way, kind=SLOW) if way.kind == OPEN and way.rate and way.rate < least else way
        for pair, way in matrix.items()
    }


def taking_part(answers: Answers) -> dict[str, _network.Answer]:
    """Return the answers of the hosts that took part."""
    return {name: answer for name, answer in answers.items() if answer and "peers" in answer}


def usual_rate(matrix: Mapping[Pair, Way]) -> float:
    """Return the rate that the median of hosts reaches on its best way, in Gbit/s; 0 where nothing was measured."""
    best: dict[str, float] = {}
    for pair, way in matrix.items():
        for name in pair:
            best[name] = max(best.get(name, 0), way.rate or 0)
    return statistics.median(best.values()) if best else 0


def _way(source: str, target: str, there: Mapping[str, _network.Answer]) -> Way:
    if source not in there or target not in there:
        return Way(ABSENT)
    here, other = there[source], there[target]
    found, back = here["peers"][target], other["peers"][source]
    together = min(here["ended"], other["ended"]) - max(here["began"], other["began"])
    if not (found["heard"] or back["heard"]) and together < TOGETHER:
        return Way(MISSED)
    if found["nic"] is None:
        return Way(UNROUTED)
    if found["nic"] != here["nic"] or found["source"] not in ("", here["address"]):
        return Way(ASTRAY)
    if back["seen_from"] not in (None, here["address"]):
        return Way(TRANSLATED)
    # Where the target could not listen, a refusal is the port's own.
    closed = {
        int(port): result
        for port, result in found["ports"].items()
        if result not in _network.PASSES and (result != _network.REFUSED or int(port) in other["listened"])
    }
    if closed:
        worst = max(closed.values(), key=_network.EVIDENCE.index)
        kind = {_network.REFUSED: REJECTED, _network.BLOCKED: CLOSED, _network.NO_ROUTE: UNROUTED}.get(worst, SILENT)
        return Way(kind, tuple(sorted(closed)), len(closed) == len(found["ports"]))
    size, wanted = found["largest_packet"], min(here["mtu"], other["mtu"])
    rate, rtt = found["gbit_s"], found["rtt_ms"]
    if size is not None and size < wanted:
        return Way(LOSSY, size=size, reported=found["told_path_mtu"], rate=rate or None, rtt=rtt)
    return Way(STALLED if rate == 0 else OPEN, size=size, rate=rate or None, rtt=rtt)


def blame(pairs: Sequence[Pair], sides: Sequence[str]) -> list[tuple[str, str, list[Pair]]]:
    """Explain bad ways by as few hosts as a greedy choice finds: [(host, side, its ways)].

    sides: the ends that can be at fault, "in" and "out", or "" for either end alike. Of two choices that explain as
    many ways, the first side is taken.
    """
    left, result = list(pairs), []
    while left:
        counts = Counter((host, side) for side in sides for pair in left for host in _ends(pair, side))
        (host, side), _count = counts.most_common(1)[0]
        its = [pair for pair in left if host in _ends(pair, side)]
        result.append((host, side, its))
        left = [pair for pair in left if pair not in its]
    return result


def _ends(pair: Pair, side: str) -> tuple[str, ...]:
    return {"in": pair[1:], "out": pair[:1]}.get(side, pair)


@check("reachability", "link", "route", "firewall", "mtu", "bandwidth", needs=Need.NETWORK)
def network_problems(answers: Answers, managed: bool) -> list[Problem]:
    """Judge the network between hosts.

    managed: whether the firewalls of the hosts are yet to be opened by this run, so that closed ports are no fault.
    """
    there, matrix = taking_part(answers), ways(answers)
    problems = [
        Problem(
            name,
            "reachability",
            "warning",
            "did not take part in the test of the network"
            + (f": {answer['msg']}" if answer and "msg" in answer else ""),
            "an answer of every host",
            "fix the connection to it, and run again",
        )
        for name, answer in answers.items()
        if name not in there
    ]
    problems += _wrong_answers(there) + _packet_sizes(there) + _untested(matrix, list(answers))
    for kind, (sides, judge) in JUDGES.items():
        pairs = [pair for pair, way in matrix.items() if way.kind == kind and not _follows(pair, matrix)]
        problems += [judge(Fault(host, side, its, matrix, there)) for host, side, its in blame(pairs, sides)]
    return [_about_to_open(problem) if managed and problem.check == "firewall" else problem for problem in problems]


def matrix_lines(answers: Answers) -> list[str]:
    """Return the matrix for a terminal: a row for each host that sends, a column for each that receives."""
    names, matrix = list(answers), ways(answers)
    lines = []
    if len(names) <= _network.SAMPLE:
        numbers = [str(number) for number in range(1, len(names) + 1)]
        width = len(numbers[-1]) if numbers else 0
        longest = max((len(name) for name in names), default=0)
        lines.append("  " + " " * (longest + width + 4) + " ".join(f"{number:>{width}}" for number in numbers))
        for number, source in zip(numbers, names):
            row = " ".join(f"{_sign(matrix.get((source, target)), source == target):>{width}}" for target in names)
            lines.append(f"  {number:>{width}}  {source:<{longest}}  {row}")
    counts = Counter(way.kind for way in matrix.values())
    meanings = [f"{sign} {meaning} ({counts[kind]})" for kind, (sign, meaning) in SIGNS.items() if counts[kind]]
    lines.append("  from row to column: " + ", ".join(meanings))
    for title, unit, values in (
        ("one transfer", "Gbit/s", [way.rate for way in matrix.values() if way.rate is not None]),
        ("round trip", "ms", [way.rtt for way in matrix.values() if way.rtt is not None]),
    ):
        if values:
            least, usual, most = (f"{value:.3g}" for value in (min(values), statistics.median(values), max(values)))
            lines.append(f"  {title}: {least} to {most} {unit}, median {usual}")
    return lines


def _sign(way: Way | None, itself: bool) -> str:
    return "-" if itself else SIGNS[way.kind][0] if way else " "


# --- What to say of each kind ---


@dataclass(frozen=True)
class Fault:
    """Ways of one kind that have a host in common."""

    host: str
    side: str
    pairs: list[Pair]
    matrix: Mapping[Pair, Way]
    there: Mapping[str, _network.Answer]

    @property
    def own(self) -> _network.Answer:
        return self.there[self.host]

    @property
    def nic(self) -> str:
        return str(self.own["nic"])

    @property
    def peers(self) -> list[str]:
        ends = (source if target == self.host else target for source, target in self.pairs)
        return list(dict.fromkeys(ends))

    @property
    def directions(self) -> str:
        """The peers by direction: to h1, h2; from h1; to and from h1."""
        to = {target for _source, target in self.pairs}
        back = {source for source, _target in self.pairs}
        groups = {
            "to and from ": [peer for peer in self.peers if peer in to and peer in back],
            "to ": [peer for peer in self.peers if peer in to - back],
            "from ": [peer for peer in self.peers if peer in back - to],
        }
        return " and ".join(word + some(group) for word, group in groups.items() if group)

    def address(self, peer: str) -> str:
        return str(self.there[peer]["address"])


def some(words: Sequence[object], most: int = 8) -> str:
    """Join words, and only count those above a number."""
    more = [f"{len(words) - most} more"] if len(words) > most else []
    return ", ".join([*map(str, words[:most]), *more])


def _follows(pair: Pair, matrix: Mapping[Pair, Way]) -> bool:
    """Return whether answers cannot come back, so that the fault is that of the way back."""
    back = matrix.get((pair[1], pair[0]))
    return back is not None and back.kind in (UNROUTED, ASTRAY) and matrix[pair].kind in (CLOSED, SILENT)


def _about_to_open(problem: Problem) -> Problem:
    fix = "nothing: the role firewall admits the peers and the test runs again afterwards"
    return replace(problem, severity="info", fix=fix)


def _wrong_answers(there: Mapping[str, _network.Answer]) -> list[Problem]:
    """Report hosts that answered in another form than this version does."""
    wrong: dict[str, list[tuple[str, str]]] = {}
    for name, answer in there.items():
        for peer, found in answer["peers"].items():
            if found.get("wrong_answer"):
                wrong.setdefault(peer, []).append((name, found["wrong_answer"]))
    return [
        Problem(
            peer,
            "reachability",
            "error",
            "sent an answer to the network test that "
            f"{some([name for name, _answer in answers])} can't read: {answers[0][1]}",
            "the answer of the same collection version",
            "run again. If the error remains, stop the other program that listens on the port of the test",
        )
        for peer, answers in wrong.items()
    ]


def _packet_sizes(there: Mapping[str, _network.Answer]) -> list[Problem]:
    """Find the hosts whose NIC has another MTU than most."""
    counts = Counter(answer["mtu"] for answer in there.values())
    usual = max(counts, key=lambda mtu: (counts[mtu], mtu), default=0)
    peers = some([name for name, answer in there.items() if answer["mtu"] == usual])
    return [
        Problem(
            name,
            "mtu",
            "warning",
            f"MTU {answer['mtu']} on {answer['nic']}",
            f"{usual}, as on {peers}",
            f"ip link set dev {answer['nic']} mtu {usual} (and in its configuration), or change all other hosts",
        )
        for name, answer in there.items()
        if answer["mtu"] != usual
    ]


def _untested(matrix: Mapping[Pair, Way], names: Sequence[str]) -> list[Problem]:
    """Say which pairs were not tested, by chance or by intent."""
    problems = []
    missed = {frozenset(pair) for pair, way in matrix.items() if way.kind == MISSED}
    if missed:
        first = " and ".join(min(sorted(pair) for pair in missed))
        found = f"{len(missed)} pairs of hosts were not tested, such as {first}: Ansible ran them at different times"
        fix = f"run Ansible on all hosts at once: -f {len(names)}"
        problems.append(Problem("-", "reachability", "warning", found, "a test of every pair", fix))
    tested, everything = len({frozenset(pair) for pair in matrix}), len(names) * (len(names) - 1) // 2
    if tested < everything:
        found = f"a sample of {tested} of {everything} pairs of hosts was tested, among them all pairs with {names[0]}"
        wanted = f"with more than {_network.SAMPLE} hosts, a sample"
        problems.append(Problem("-", "reachability", "info", found, wanted, "nothing, each run tests another sample"))
    return problems


def _unrouted(fault: Fault) -> Problem:
    found, wanted = f"no route to {some(fault.peers)}", f"a route by {fault.nic}"
    address = fault.address(fault.peers[0])
    fix = f"`ip route show to match {address}` on {fault.host} shows a conflicting route or that no route exists"
    return Problem(fault.host, "route", "error", found, wanted, fix)


def _astray(fault: Fault) -> Problem:
    ways_out = {peer: fault.own["peers"][peer] for peer in fault.peers}
    packets = [
        f"to {peer} leave by {way['nic']} with the source address {way['source']}" for peer, way in ways_out.items()
    ]
    found, wanted = f"packets {some(packets)}", f"by {fault.nic} with the source address {fault.own['address']}"
    fix = (
        f"`ip route show to match {fault.address(fault.peers[0])}` on {fault.host} shows the route: remove it, "
        "or choose that network on all hosts by vllm_ray_nic or vllm_ray_address"
    )
    return Problem(fault.host, "route", "error", found, wanted, fix)


def _translated(fault: Fault) -> Problem:
    seen = [f"{peer} from {fault.there[peer]['peers'][fault.host]['seen_from']}" for peer in fault.peers]
    found, wanted = f"its packets reach {some(seen)}", f"the source address {fault.own['address']}"
    fix = f"remove the address translation on {fault.host} or between the hosts (`nft list ruleset`: snat, masquerade)"
    return Problem(fault.host, "route", "error", found, wanted, fix)


def _silent(fault: Fault) -> Problem:
    found = f"no answer on the link {fault.directions} (ARP or neighbour discovery)"
    wanted = f"{fault.own['address']} answers on the network of {fault.nic}"
    fix = f"check cable, switch port and VLAN of {fault.nic}: `ip -s link show {fault.nic}`, `ip neighbour`"
    return Problem(fault.host, "link", "error", found, wanted, fix)


def _shut(fault: Fault) -> Problem:
    shut = [fault.matrix[pair] for pair in fault.pairs]
    ports = sorted({port for way in shut for port in way.ports})
    what = "every port" if all(way.every_port for way in shut) else f"port {some(ports)}"
    word = "blocked (packets are dropped)" if shut[0].kind == CLOSED else "refused although it listens (a reject)"
    peers, host = some(fault.peers), fault.host
    found = f"{peers} -> {host}: {what} {word}" if fault.side == "in" else f"{host} -> {peers}: {what} {word}"
    if all(fault.matrix[target, source].kind in (OPEN, SLOW, LOSSY) for source, target in fault.pairs):
        found += ", while the way back is open"
    addresses = some([fault.address(peer) for peer in fault.peers])
    if fault.side == "in":
        fix = (
            f"allow {addresses} on {fault.nic} in the firewall of {host} or in one in front of it; "
            f"vllm_ray_firewall=manage adds the rules to {TOOL.name}, and `nft list ruleset` on {host} shows all rules"
        )
    else:
        fix = f"allow packets to {addresses} by {fault.nic} in the firewall of {host} or in one behind it"
    return Problem(host, "firewall", "error", found, "open between peers", fix)


def _lossy(fault: Fault) -> Problem:
    size = min(t.cast(int, fault.matrix[pair].size) for pair in fault.pairs)
    mtu = fault.own["mtu"]
    # TCP obeys the size that a router reports. Without one, it sends large packets again and again: connections hang.
    reported = all(fault.matrix[pair].reported for pair in fault.pairs)
    what = "refused by a router" if reported else "lost"
    found = f"packets of more than {size} bytes are {what} on the way {fault.directions}"
    fix = f"ip link set dev {fault.nic} mtu {size} on all hosts, or let switches and tunnels carry {mtu} bytes"
    return Problem(fault.host, "mtu", "warning" if reported else "error", found, f"{mtu}, the MTU of {fault.nic}", fix)


def _stalled(fault: Fault) -> Problem:
    found = f"connections succeed, but a transfer stalls {fault.directions}"
    fix = f"look for lost packets: `ip -s link show {fault.nic}`, `nstat -az TcpRetransSegs`"
    return Problem(fault.host, "bandwidth", "error", found, "a transfer that completes", fix)


def _slow(fault: Fault) -> Problem:
    best = max(t.cast(float, fault.matrix[pair].rate) for pair in fault.pairs)
    found, wanted = f"at most {best:.3g} Gbit/s {fault.directions}", f"about {usual_rate(fault.matrix):.3g} Gbit/s"
    fix = f"check speed, cable and errors of {fault.nic}: `ethtool {fault.nic}`, `ip -s link show {fault.nic}`"
    return Problem(fault.host, "bandwidth", "warning", found, wanted, fix)


# {kind: (the ends that can be at fault, what to say)}. Firewalls are mostly about what comes in, so "in" goes first.
JUDGES: dict[str, tuple[tuple[str, ...], t.Callable[[Fault], Problem]]] = {
    UNROUTED: (("out",), _unrouted),
    ASTRAY: (("out",), _astray),
    TRANSLATED: (("out",), _translated),
    SILENT: (("",), _silent),
    CLOSED: (("in", "out"), _shut),
    REJECTED: (("in", "out"), _shut),
    LOSSY: (("",), _lossy),
    STALLED: (("",), _stalled),
    SLOW: (("",), _slow),
}
