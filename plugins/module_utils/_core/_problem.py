# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of everything that is wrong. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong on one host. severity: error, warning or info. Its texts are printable.

    host: its name in the inventory. A host does not know its own: what finds a problem there leaves it empty, and the
    controller adds it.
    """

    host: str
    check: str
    severity: str
    found: str
    wanted: str
    fix: str

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, plain(value))

    def as_dict(self) -> dict[str, str]:
        """Return it as modules and action plugins return it."""
        return {name: text for name, text in asdict(self).items() if text or name != "host"}
