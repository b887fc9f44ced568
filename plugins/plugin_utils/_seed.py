# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which host a release goes to all others. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    Looks = Mapping[str, Mapping[str, t.Any]]


@dataclass(frozen=True)
class Seed:
    """host: has the release, or will be the first to have it. builds: it is to be built. copies: from the controller.

    lacking: the hosts that are to get it from there. wanted: the SHA-256 of its manifest, empty until it is built.
    """

    host: str = ""
    builds: bool = False
    copies: bool = False
    lacking: tuple[str, ...] = ()
    wanted: str = ""

    def as_dict(self) -> dict[str, t.Any]:
        return {**asdict(self), "lacking": list(self.lacking)}


def choose(looks: Looks, builder: str, built: Mapping[str, t.Any]) -> Seed:
    """Choose the host that the others get a release from.

    looks: what release_info said of each host. builder: the host that builds, empty for the controller. built: what
    release_info said there, empty where nobody may build.

    Where a host has it whole, nothing is built or copied from the controller again. The builder's counts most: the same
    release can have other bytecode where another host built it.
    """
    whole = {name: look["manifest"] for name, look in looks.items() if look["complete"]}
    if builder and built.get("complete"):
        # A host outside of the play gives it only where none inside has it.
        whole = {**whole, builder: built["manifest"]}
    wanted = whole.get(builder) or next(iter(whole.values()), "")
    host = next((name for name, manifest in whole.items() if manifest == wanted), "")
    if host:
        return Seed(host, lacking=tuple(name for name in looks if whole.get(name) != wanted), wanted=wanted)
    host = builder or next(iter(looks), "")
    ready = bool(built.get("complete"))
    return Seed(
        host,
        builds=bool(built) and not ready,
        copies=bool(built) and not builder,
        lacking=tuple(name for name in looks if name != host),
        wanted=built["manifest"] if ready else "",
    )


def nobody(release: str, hosts: Looks) -> str:
    """Return the error where a release that nobody may build is nowhere whole."""
    found = "; ".join(
        f"{name} has {len(look['damaged'])} damaged files of it, first: {look['damaged'][0]}"
        if look["damaged"]
        else f"{name} lacks it"
        for name, look in hosts.items()
    )
    return (
        f"No host has the release {release} whole: {found}. Wanted: a release that one host at least has. releases.yml "
        "lists them; correct or remove release_id (vllm_ray_release_id)."
    )
