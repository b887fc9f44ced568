# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts agree on before they test the network between them."""

from __future__ import annotations

import errno
from itertools import combinations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _network


def names(count: int) -> list[str]:
    return [f"h{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 31, 32])
def test_every_pair_meets_once_and_nobody_is_in_two_places(count: int) -> None:
    rounds = _network.rounds(names(count), "run")
    met = [frozenset(pair) for pairs in rounds for pair in pairs]
    assert sorted(map(sorted, met)) == sorted(map(sorted, combinations(names(count), 2)))
    assert len(rounds) == count - 1 + count % 2
    for pairs in rounds:
        there = [name for pair in pairs for name in pair]
        assert len(there) == len(set(there))


@pytest.mark.parametrize("count", [33, 64, 101])
def test_of_many_hosts_a_sample_is_paired_and_everybody_with_the_first(count: int) -> None:
    everyone = names(count)
    partners = {name: _network.partners(everyone, name, "run") for name in everyone}
    assert set(partners["h1"]) == set(everyone) - {"h1"}
    for name, its in partners.items():
        assert len(its) == len(set(its))
        assert all(name in partners[peer] for peer in its)
        # With an odd number of hosts everyone rests in one of the rounds.
        assert name == "h1" or _network.SAMPLE - 2 <= len(its) <= _network.SAMPLE


def test_another_run_draws_another_sample() -> None:
    one, other = (set(_network.partners(names(101), "h2", seed)) for seed in ("a", "b"))
    assert one != other


def test_partners_come_in_the_order_of_the_rounds() -> None:
    # Everybody's first partner must be somebody whose first partner is he, or both would wait for a third.
    order = {name: _network.partners(names(6), name, "run") for name in names(6)}
    for turn in range(5):
        assert all(order[order[name][turn]][turn] == name for name in names(6))


def test_the_random_port_is_one_that_no_service_uses() -> None:
    port = _network.random_port("run", [])
    assert port in _network.RANDOM_PORTS
    assert _network.random_port("run", []) == port
    assert _network.random_port("run", [port]) != port
    assert len({_network.random_port(f"run{number}", []) for number in range(20)}) > 10


def test_only_who_knows_the_token_is_believed() -> None:
    line = _network.signed("token", "keep", "h1")
    assert _network.verified("token", line) == ["keep", "h1"]
    assert _network.verified("another", line) is None
    assert _network.verified("token", line.replace("h1", "h2")) is None


@pytest.mark.parametrize(
    "line", ["", " ", "HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7", "\x00\x00é\ufffd"]
)
def test_what_others_say_is_no_greeting(line: str) -> None:
    assert _network.verified("token", line) is None


@pytest.mark.parametrize(
    ("error", "seconds", "routed", "means"),
    [
        # As seen between network namespaces on Linux 6.18; the seconds are measured, too.
        (None, 3.6, True, "blocked"),
        (errno.ETIMEDOUT, 3.6, True, "blocked"),
        (errno.ECONNREFUSED, 0.0, True, "refused"),
        (errno.EHOSTUNREACH, 0.0, True, "refused"),
        (errno.EHOSTUNREACH, 3.07, True, "no answer"),
        (errno.EHOSTUNREACH, 0.0, False, "no route"),
        (errno.ENETUNREACH, 0.0, False, "no route"),
        (errno.EINVAL, 0.0, False, "no route"),
        (errno.EACCES, 0.0, False, "no route"),
    ],
    ids=[
        "dropped",
        "given up by the kernel",
        "nobody listens, REJECT",
        "REJECT with icmp-host-prohibited",
        "cable out",
        "route of type unreachable",
        "no NIC is up",
        "route of type blackhole",
        "route of type prohibit",
    ],
)
def test_what_a_failed_attempt_means(error: int | None, seconds: float, routed: bool, means: str) -> None:
    assert _network.outcome(error, seconds, routed) == means


def test_what_was_seen_once_outlasts_a_refusal() -> None:
    assert _network.stronger(None, "refused") == "refused"
    assert _network.stronger("refused", "open") == "open"
    assert _network.stronger("blocked", "refused") == "blocked"


@pytest.mark.parametrize(("limit", "full"), [(576, 1500), (1400, 9000), (1499, 1500), (8999, 9000), (1280, 65536)])
def test_the_largest_size_is_found_to_the_byte_in_few_steps(limit: int, full: int) -> None:
    passes, lost, steps = 576, full, 0
    while lost - passes > 1:
        sizes = _network.next_sizes(passes, lost)
        assert all(passes < size < lost for size in sizes)
        passes, lost = _network.narrowed(sizes, {size for size in sizes if size <= limit}, passes, lost)
        steps += 1
    assert passes == limit
    assert steps <= 5


def test_a_lost_answer_does_not_turn_sizes_around() -> None:
    # 1000 was lost by chance, 1200 passed.
    assert _network.narrowed([1000, 1200, 1400], {1200}, 576, 1500) == (1200, 1400)


@pytest.mark.parametrize(("line", "wanted"), [("", 0), ("0", 0), ("24.5", 24.5), ("1e2", 100)])
def test_a_rate(line: str, wanted: float) -> None:
    assert _network.read_rate(line) == wanted


@pytest.mark.parametrize("line", ["fast", "nan", "inf", "-1", "1e999", "1e6", "1 2", "\x1b[2J", "9" * 5000])
def test_what_is_no_rate_is_a_wrong_answer(line: str) -> None:
    with pytest.raises(_network.WrongAnswer, match="instead of a rate") as error:
        _network.read_rate(line)
    assert str(error.value).isprintable() and len(str(error.value)) < 100


def test_a_size() -> None:
    assert _network.read_size(["size", "0", "1500"]) == 1500


@pytest.mark.parametrize(
    "words",
    [["size"], ["size", "0"], ["size", "0", "x"], ["size", "0", "-1"], ["size", "0", "²"], ["size", "0", "9" * 5000]],
)
def test_what_is_no_size_is_a_wrong_answer(words: list[str]) -> None:
    with pytest.raises(_network.WrongAnswer, match="instead of the size"):
        _network.read_size(words)
