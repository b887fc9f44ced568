# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of a release all hosts get, and which host gives it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _seed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers._seed import Seed, choose, nobody, notes


def look(manifest: str = "", whole: bool = True) -> dict[str, Any]:
    """Return what release_info says of a host: without a manifest there is nothing."""
    return {"complete": bool(manifest) and whole, "manifest": manifest, "damaged": []}


NONE, A, B, E, BROKEN = look(), look("a"), look("b"), look("e"), look("a", whole=False)


@pytest.mark.parametrize(
    ("looks", "builder", "built", "known", "wanted"),
    [
        # Nobody has it.
        ({"h1": NONE, "h2": NONE}, "h1", NONE, "", Seed("h1", builds=True, lacking=("h2",))),
        ({"h1": NONE}, "h1", NONE, "", Seed("h1", builds=True)),
        ({"h2": NONE}, "h1", NONE, "", Seed("h1", builds=True, lacking=("h2",))),
        ({"h1": NONE, "h2": NONE}, "", NONE, "", Seed("h1", builds=True, copies=True, lacking=("h2",))),
        # The builder has it.
        ({"h1": A, "h2": NONE}, "h1", A, "", Seed("h1", lacking=("h2",), wanted="a")),
        ({"h2": NONE}, "h1", A, "", Seed("h1", lacking=("h2",), wanted="a")),
        ({"h1": NONE, "h2": NONE}, "", A, "", Seed("h1", copies=True, lacking=("h2",), wanted="a")),
        # All hosts have it, so none copies it from another host, whatever confirms it.
        ({"h1": A, "h2": A}, "h1", A, "", Seed("h1", wanted="a")),
        ({"h2": A}, "h1", A, "", Seed("h2", wanted="a")),
        ({"h2": A}, "h1", NONE, "", Seed("h2", wanted="a")),
        ({"h1": A, "h2": A}, "", NONE, "", Seed("h1", wanted="a")),
        ({"h1": A, "h2": A}, "", A, "", Seed("h1", wanted="a")),
        ({"h1": A, "h2": A}, "h1", {}, "", Seed("h1", wanted="a")),
        # Another host has the build that the record knows, so nothing is built or copied from the controller again.
        ({"h1": NONE, "h2": A, "h3": NONE}, "h1", NONE, "a", Seed("h2", lacking=("h1", "h3"), wanted="a")),
        ({"h1": A, "h2": NONE}, "", NONE, "a", Seed("h1", lacking=("h2",), wanted="a")),
        ({"h1": NONE, "h2": A}, "", A, "", Seed("h2", lacking=("h1",), wanted="a")),
        # If no digest is known, the builder or the controller builds.
        ({"h1": NONE, "h2": E, "h3": NONE}, "h1", NONE, "", Seed("h1", builds=True, lacking=("h2", "h3"))),
        ({"h2": E, "h3": NONE}, "h1", NONE, "", Seed("h1", builds=True, lacking=("h2", "h3"))),
        ({"h1": E, "h2": NONE}, "", NONE, "", Seed("h1", builds=True, copies=True, lacking=("h2",))),
        # A host that has another one than the known one is no source, and gets the right one.
        ({"evil": E, "w1": A, "w2": A}, "h1", NONE, "a", Seed("w1", lacking=("evil",), wanted="a")),
        ({"evil": E, "w1": A, "w2": A}, "h1", NONE, "", Seed("h1", builds=True, lacking=("evil", "w1", "w2"))),
        ({"h1": A, "evil": E}, "h1", A, "", Seed("h1", lacking=("evil",), wanted="a")),
        ({"h1": NONE, "evil": E}, "", A, "", Seed("h1", copies=True, lacking=("evil",), wanted="a")),
        ({"evil": E, "h2": NONE}, "", A, "", Seed("evil", copies=True, lacking=("h2",), wanted="a")),
        # The controller's own build counts more than the record, and the record more than what the builder has now.
        ({"h1": A, "h2": B}, "", B, "a", Seed("h2", lacking=("h1",), wanted="b")),
        ({"h1": A, "h2": B}, "h1", A, "b", Seed("h2", lacking=("h1",), wanted="b")),
        # A record of a build that nobody has any more counts for nothing.
        ({"h1": A, "h2": NONE}, "h1", A, "b", Seed("h1", lacking=("h2",), wanted="a")),
        ({"h1": NONE, "h2": E}, "h1", NONE, "b", Seed("h1", builds=True, lacking=("h2",))),
        # One that is broken is fixed from others that are known, and built again where nobody is.
        ({"h1": BROKEN, "h2": A}, "h1", BROKEN, "a", Seed("h2", lacking=("h1",), wanted="a")),
        ({"h1": BROKEN, "h2": A}, "h1", BROKEN, "", Seed("h1", builds=True, lacking=("h2",))),
        ({"h1": BROKEN}, "h1", BROKEN, "a", Seed("h1", builds=True)),
        # Where they differ, the builder's counts.
        ({"h1": A, "h2": B}, "h2", B, "", Seed("h2", lacking=("h1",), wanted="b")),
        ({"h1": A, "h2": B}, "h3", B, "", Seed("h2", lacking=("h1",), wanted="b")),
        # Nobody may build: a release by its id.
        ({"h1": NONE, "h2": A}, "h1", {}, "a", Seed("h2", lacking=("h1",), wanted="a")),
        ({"h1": A, "h2": NONE}, "h1", {}, "", Seed("h1", lacking=("h2",), wanted="a")),
        ({"h1": NONE, "h2": E}, "h1", {}, "", Seed("h1", lacking=("h2",))),
        ({"h1": NONE, "h2": NONE}, "h1", {}, "", Seed("h1", lacking=("h2",))),
    ],
)
def test_who_gives_it(looks: dict, builder: str, built: dict, known: str, wanted: Seed) -> None:
    assert choose(looks, builder, built, known) == wanted


def anything(chance: random.Random, values: list[str]) -> dict[str, Any]:
    """Return what a host may say that root of it has changed: any value, any type, or nothing."""
    answer: dict[str, Any] = {
        "complete": chance.choice([True, False, "yes", 1, None, []]),
        "manifest": chance.choice([*values, "", "zz", 7, None, {"a": 1}, "e" * 64, "A", "a\n", "../a"]),
        "damaged": chance.choice([[], ["bin/ray"], None, "x"]),
        "id": chance.choice(["other", "../../etc", 3]),
    }
    return {name: value for name, value in answer.items() if chance.random() > 0.1}


@pytest.mark.parametrize("seed", range(40))
def test_no_host_takes_a_build_that_only_liars_know(seed: int) -> None:
    """Each host except the builder claims anything. Hosts copy only what a trusted source knows, or a new build."""
    chance = random.Random(seed)
    taken = 0
    for _round in range(250):
        values = ["a", "b", "c", "e"]
        hosts = [f"h{number}" for number in range(1, chance.randint(2, 6))]
        on_controller, pinned = chance.random() < 0.3, chance.random() < 0.2
        builder = "" if on_controller else chance.choice([*hosts, "outside"])
        honest = look(chance.choice(["", "a", "b"]), whole=chance.random() > 0.2)
        built = {} if pinned else honest
        looks = {name: anything(chance, values) for name in hosts}
        if builder in looks:
            looks[builder] = honest
        known = chance.choice(["", "a", "b"])
        trusted = {known, _seed.whole(honest) if not on_controller or built else ""} - {""}
        plan = choose(looks, builder, built, known)
        assert set(plan.lacking) <= set(hosts)
        if not plan.lacking and not plan.copies:
            continue
        assert plan.wanted in trusted or not plan.wanted
        # Where it is not known yet, it is built in this run, or the run ends with an error.
        assert plan.wanted or plan.builds or not built
        giver = looks.get(plan.host, built)
        if plan.wanted and not plan.copies:
            assert _seed.whole(giver) == plan.wanted
        if plan.builds:
            assert plan.host == builder or plan.copies
        taken += bool(plan.wanted)
        assert all(isinstance(line, str) and "\n" not in line for line in notes(looks, plan, builder, "cpu-1"))
    assert taken > 30


def test_where_nobody_has_it_hosts_and_their_faults_are_named() -> None:
    broken = {**BROKEN, "damaged": ["bin/ray is missing", "bin/vllm is missing"]}
    said = nobody("cpu-1", {"h1": NONE, "h2": broken})
    assert "h1 does not have it; h2 has 2 damaged files, first: bin/ray is missing" in said
    assert "vllm_ray_release_id" in said


def test_where_nobody_vouches_for_it_the_way_out_is_named() -> None:
    said = nobody("cpu-1", {"h1": NONE, "h2": E})
    assert said.startswith("Release cpu-1 is on h2 (manifest e). Expected: a manifest that the builder has")
    assert "vllm_ray_release_builder" in said


def test_hosts_that_differ_are_named() -> None:
    looks = {"h1": look("d" * 64), "gpu03": look("a" * 63 + "b"), "h4": NONE}
    other, right = "a" * 12, "d" * 12
    said = notes(looks, choose(looks, "h1", looks["h1"]), "h1", "X")
    what = f"gpu03 has another release X (manifest {other}) than the one that was built ({right})"
    assert said == [f"{what}: it is replaced from h1."]


def test_a_build_that_is_made_again_is_explained() -> None:
    looks = {"h1": NONE, "gpu03": look("e" * 64)}
    why = "It isn't copied: neither the builder nor the record of trusted digests knows this build. h1 builds it."
    said = notes(looks, choose(looks, "h1", NONE), "h1", "X")
    assert said == [f"Release X is on gpu03 (manifest {'e' * 12}). {why}"]
    assert notes({"h1": NONE, "h2": NONE}, choose({"h1": NONE, "h2": NONE}, "h1", NONE), "h1", "X") == []
