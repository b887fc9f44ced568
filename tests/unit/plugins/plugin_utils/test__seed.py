# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host gives a release to the others."""

from __future__ import annotations

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._seed import Seed, choose, nobody


def look(manifest: str = "", whole: bool = True) -> dict[str, object]:
    """Return what release_info says of a host: without a manifest there is nothing."""
    return {"complete": bool(manifest) and whole, "manifest": manifest, "damaged": []}


NONE, A, B, BROKEN = look(), look("a"), look("b"), look("a", whole=False)


@pytest.mark.parametrize(
    ("looks", "builder", "built", "wanted"),
    [
        # Nobody has it.
        ({"h1": NONE, "h2": NONE}, "h1", NONE, Seed("h1", builds=True, lacking=("h2",))),
        ({"h1": NONE}, "h1", NONE, Seed("h1", builds=True)),
        ({"h2": NONE}, "h1", NONE, Seed("h1", builds=True, lacking=("h2",))),
        ({"h1": NONE, "h2": NONE}, "", NONE, Seed("h1", builds=True, copies=True, lacking=("h2",))),
        # The builder has it.
        ({"h1": A, "h2": NONE}, "h1", A, Seed("h1", lacking=("h2",), wanted="a")),
        ({"h2": NONE}, "h1", A, Seed("h1", lacking=("h2",), wanted="a")),
        ({"h1": NONE, "h2": NONE}, "", A, Seed("h1", copies=True, lacking=("h2",), wanted="a")),
        # Everybody has it.
        ({"h1": A, "h2": A}, "h1", A, Seed("h1", wanted="a")),
        ({"h2": A}, "h1", A, Seed("h2", wanted="a")),
        ({"h1": A, "h2": A}, "", NONE, Seed("h1", wanted="a")),
        # A host has it, so nothing is built or copied from the controller again.
        ({"h1": NONE, "h2": A, "h3": NONE}, "h1", NONE, Seed("h2", lacking=("h1", "h3"), wanted="a")),
        ({"h1": A, "h2": NONE}, "", NONE, Seed("h1", lacking=("h2",), wanted="a")),
        ({"h1": NONE, "h2": A}, "", A, Seed("h2", lacking=("h1",), wanted="a")),
        # One that is broken is mended from the others, and built again where all are.
        ({"h1": BROKEN, "h2": A}, "h1", BROKEN, Seed("h2", lacking=("h1",), wanted="a")),
        ({"h1": BROKEN}, "h1", BROKEN, Seed("h1", builds=True, wanted="")),
        # Where they differ, the builder's counts, or else the first one.
        ({"h1": A, "h2": B}, "h2", B, Seed("h2", lacking=("h1",), wanted="b")),
        ({"h1": A, "h2": B}, "h3", B, Seed("h2", lacking=("h1",), wanted="b")),
        ({"h1": A, "h2": B}, "", NONE, Seed("h1", lacking=("h2",), wanted="a")),
        # Nobody may build.
        ({"h1": NONE, "h2": A}, "h1", {}, Seed("h2", lacking=("h1",), wanted="a")),
        ({"h1": NONE, "h2": NONE}, "h1", {}, Seed("h1", lacking=("h2",))),
    ],
)
def test_who_gives_it(looks: dict, builder: str, built: dict, wanted: Seed) -> None:
    assert choose(looks, builder, built) == wanted


def test_where_nobody_has_it_hosts_and_their_faults_are_named() -> None:
    broken = {**BROKEN, "damaged": ["bin/ray is missing", "bin/vllm is missing"]}
    told = nobody("cpu-1", {"h1": NONE, "h2": broken})
    assert "h1 lacks it; h2 has 2 damaged files of it, first: bin/ray is missing" in told
    assert "vllm_ray_release_id" in told
