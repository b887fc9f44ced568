# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an engine is laid out over hosts. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Mapping

TP = "tensor-parallel-size"
PP = "pipeline-parallel-size"


class LayoutError(ValueError):
    """No layout fits; the message says why, with numbers."""


@dataclass(frozen=True)
class Layout:
    """The sizes of an engine and how many GPUs it uses on which host, serve host first.

    layers: of each stage of a host, where hosts differ; empty leaves the split to vLLM.
    """

    tp: int
    pp: int
    gpus: dict[str, int]
    layers: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"TP={self.tp} PP={self.pp}"

    @property
    def executor(self) -> str:
        """vLLM's distributed executor: mp on one host, ray over several."""
        return "mp" if len(self.gpus) == 1 else "ray"


def sizes(offer: Mapping[str, int], tp: int | None, pp: int | None) -> tuple[int, int]:
    """Return (TP, PP) for the GPUs on offer per host, in the order in which hosts are used.

    By default TP = GPUs per host and PP = hosts. Where the counts differ TP is the smallest one, and a host has as many
    stages as fit. Where one size is given the other is the largest that fits.
    """
    total = sum(offer.values())
    if tp and pp:
        return tp, pp
    if tp:
        return tp, max(1, total // tp)
    if pp:
        return max(1, total // pp), pp
    counts = [count for count in offer.values() if count > 0]
    return (min(counts), sum(count // min(counts) for count in counts)) if counts else (1, 1)


def place(offer: Mapping[str, int], tp: int, pp: int) -> Layout:
    """Place TP x PP ranks on hosts in the given order: the fewest GPUs beyond the demand, whole hosts first."""
    demand = tp * pp
    total = sum(offer.values())
    if demand > total:
        listed = ", ".join(f"{host} {count}" for host, count in offer.items())
        raise LayoutError(f"TP={tp} x PP={pp} needs {demand} GPUs and {total} are available ({listed})")
    gpus: dict[str, int] = {}
    # With a TP that fits a host, a stage stays on one host; the rest of its GPUs is left alone.
    whole = {host: count - count % tp for host, count in offer.items()}
    source = whole if sum(whole.values()) >= demand else dict(offer)
    for host, count in source.items():
        take = min(count, demand - sum(gpus.values()))
        if take > 0:
            gpus[host] = take
    return Layout(tp, pp, gpus)


def still_fits(layout: Layout, offer: Mapping[str, int], serve_host: str, tp: int | None, pp: int | None) -> str | None:
    """Return why a serving layout can't be kept, or None where it can."""
    if tp and tp != layout.tp:
        return f"{TP} is set to {tp}"
    if pp and pp != layout.pp:
        return f"{PP} is set to {pp}"
    if serve_host not in layout.gpus:
        return f"the serve host is {serve_host} now"
    for host, count in layout.gpus.items():
        if host not in offer:
            return f"{host} is no longer in the inventory"
        if offer[host] < count:
            return f"{host} offers {offer[host]} of {count} GPUs"
    return None
