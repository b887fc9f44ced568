# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of releases and models that were built or downloaded by a trusted host, as text. PRIVATE to the collection.

Hosts say themselves which release or model they have. Their word is compared with these digests before anything of
theirs is given to other hosts.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree import FORMAT

if t.TYPE_CHECKING:
    from collections.abc import Mapping

SHA256 = re.compile(r"[0-9a-f]{64}")
# Enough for years of upgrades; a file of that many is some 60 KB long.
ENTRIES_MAXIMUM = 200


@dataclass(frozen=True)
class Digests:
    """What is known of one release or model.

    tree: digest by which tree_sync knows it. manifest: SHA-256 of a release's manifest, empty for a model. host: where
    it was built or downloaded, "the controller" among them. format: of the digest, `_tree.FORMAT`.
    """

    tree: str
    manifest: str = ""
    host: str = ""
    format: int = FORMAT

    @property
    def usable(self) -> bool:
        """Whether the tree can be compared with: another version of the collection may compute other digests."""
        return self.format == FORMAT and bool(SHA256.fullmatch(self.tree))


def parse(text: str) -> dict[str, Digests]:
    """Return the digests in a text by name. What can't be read is left out: then it counts as not known."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found = {}
    for name, entry in data.items() if isinstance(data, dict) else ():
        if isinstance(entry, dict) and set(entry) == set(Digests.__dataclass_fields__):
            texts = (entry["tree"], entry["manifest"], entry["host"])
            if all(isinstance(value, str) for value in texts) and isinstance(entry["format"], int):
                found[name] = Digests(*texts, entry["format"])
    return found


def render(known: Mapping[str, Digests]) -> str:
    """Return the text that holds digests, the ones that were noted first before the others."""
    return json.dumps({name: asdict(digests) for name, digests in known.items()}, indent=1) + "\n"


def noted(known: Mapping[str, Digests], name: str, digests: Digests) -> dict[str, Digests]:
    """Return the digests with one that was just noted. The oldest go where there are too many."""
    others = {other: entry for other, entry in known.items() if other != name}
    kept = list(others.items())[-(ENTRIES_MAXIMUM - 1) :]
    return {**dict(kept), name: digests}
