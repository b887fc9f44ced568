# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of a release all hosts get, and from which host. PRIVATE to the collection.

Root of any host can claim to have a release, and name any manifest. So a manifest counts only if a trusted source
confirms it: the controller if it builds, the record of trusted digests, or the builder. Hosts that have this manifest
may be a source for others. A host with another one only receives.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    # What release_info said of a host.
    Look = Mapping[str, object]
    Looks = Mapping[str, Look]

MANIFEST = re.compile(r"[0-9a-f]{1,64}")
# So much of a digest is shown.
SHOWN = 12


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

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "lacking": list(self.lacking)}


def whole(look: Look) -> str:
    """Return the manifest of a release that a host says it has whole, empty where it has none."""
    manifest = str(look.get("manifest") or "")
    return manifest if look.get("complete") and MANIFEST.fullmatch(manifest) else ""


def said_by(looks: Looks, builder: str, built: Look) -> dict[str, str]:
    """Return the manifests that hosts say they have whole, by host, the builder among them. Arguments: of choose()."""
    said = {name: whole(look) for name, look in looks.items()}
    if builder and built:
        # It may be outside of the play, and was probed first.
        said[builder] = whole(built)
    return {name: manifest for name, manifest in said.items() if manifest}


def agree(looks: Looks, built: Look) -> bool:
    """Return whether all hosts say that they have the same release whole, so that nobody takes it from another one.

    built: what release_info said of the builder. Where it has none, it does not disagree.
    """
    manifests = {whole(look) for look in looks.values()}
    return len(manifests) == 1 and "" not in manifests and (whole(built) or next(iter(manifests))) in manifests


def vouched(said: Mapping[str, str], builder: str, built: Look, known: str) -> str:
    """Return the manifest that all hosts are to have, empty where nobody vouches for any. Arguments: of choose().

    A record that no host has any more counts for nothing: then it is what the builder has, or builds.
    """
    own = said.get(builder, "") if builder else whole(built)
    if own and not builder:
        return own
    return known if known in said.values() else own


def choose(looks: Looks, builder: str, built: Look, known: str = "") -> Seed:
    """Choose the build of a release that all hosts get, and the host that the others get it from.

    looks: what release_info said of each host. builder: the host that builds, empty for the controller. built: what
    release_info said there, empty where nobody may build. known: the trusted record's SHA-256 of the manifest, empty
    where it has none.
    """
    said = said_by(looks, builder, built)
    wanted = next(iter(said.values())) if agree(looks, built) else vouched(said, builder, built, known)
    # A host outside of the play gives it only where none inside has it; the builder's is compared with nobody's.
    having = [name for name in (builder, *looks, *said) if said.get(name) == wanted and name in looks]
    having += [name for name, manifest in said.items() if manifest == wanted]
    if wanted and having:
        lacking = tuple(name for name in looks if said.get(name) != wanted)
        return Seed(having[0], lacking=lacking, wanted=wanted)
    host = builder or next(iter(looks), "")
    return Seed(
        host,
        builds=bool(built) and not wanted,
        copies=bool(built) and not builder,
        lacking=tuple(name for name in looks if name != host),
        wanted=wanted,
    )


def notes(looks: Looks, seed: Seed, builder: str, release: str) -> list[str]:
    """Return what users should know of hosts whose release is another one than that which all get."""
    said = {name: whole(look) for name, look in looks.items()}
    others = {name: manifest for name, manifest in said.items() if manifest not in ("", seed.wanted)}
    if not seed.builds:
        giver = "the controller" if seed.copies else seed.host
        return [
            f"{name} has another release {release} (manifest {manifest[:SHOWN]}) than the one that was built "
            f"({seed.wanted[:SHOWN]}): it is replaced from {giver}."
            for name, manifest in others.items()
        ]
    if not others:
        return []
    claims = ", ".join(f"{name} (manifest {manifest[:SHOWN]})" for name, manifest in others.items())
    why = "neither the builder nor the record of trusted digests knows this build"
    return [f"Release {release} is on {claims}. It isn't copied: {why}. {builder or 'The controller'} builds it."]


def damage(look: Look) -> str:
    """Return what a host has of a release instead of the whole one."""
    damaged = look.get("damaged")
    if isinstance(damaged, list) and damaged:
        return f"has {len(damaged)} damaged files, first: {damaged[0]}"
    return "does not have it"


def nobody(release: str, hosts: Looks) -> str:
    """Return the error where a release that nobody may build is nowhere whole, or nobody vouches for it."""
    claims = [f"{name} (manifest {whole(look)[:SHOWN]})" for name, look in hosts.items() if whole(look)]
    if claims:
        return (
            f"Release {release} is on {', '.join(claims)}. Expected: a manifest that the builder has or that is in the "
            "record of trusted digests. Set release_builder (vllm_ray_release_builder) to one of these hosts, if you "
            "trust it with the code of all hosts. Or remove release_id (vllm_ray_release_id) and use the lock that "
            "this release was built from: then it is built again."
        )
    found = "; ".join(f"{name} {damage(look)}" for name, look in hosts.items())
    return (
        f"No host has a complete copy of the release {release}: {found}. Expected: a release that at least one host "
        "has. releases.yml lists them; correct or remove release_id (vllm_ray_release_id)."
    )
