# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is: services, nodes, GPUs and the engine, for people. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._report import problem_lines
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screen import table

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Answers = Mapping[str, Mapping[str, t.Any] | None]


def verdict(plan: Mapping[str, t.Any], looks: Answers) -> str:
    """Return whether the engine serves, judged by a completion of one token."""
    engines = {name: look["engine"] for name, look in looks.items() if look and look["engine"].get("url")}
    serving = {name: engine for name, engine in engines.items() if engine["serving"]}
    for name, engine in (serving or engines).items():
        what = f"{engine['model']} with TP={engine['tp']} PP={engine['pp']} at {engine['url']} on {name}"
        return f"serves {what}" if serving else f"does not serve {what}: {engine['why']}"
    return f"has no engine{'' if 'engine' in plan else ', and no plan: preflight.yml tells why'}"


def host_row(name: str, look: Mapping[str, t.Any] | None) -> tuple[str, ...]:
    """Return the row of one host: address, services, GPUs with their memory in use, and release."""
    if look is None:
        return (name, "-", "did not answer")
    services = ", ".join(
        f"{'serve' if 'serve@' in unit else 'node'} {state}"
        for unit, state in look["usage"]["services"].items()
        if state != "inactive" or "node@" in unit
    )
    gpus = look["host"]["gpus"]
    used, size = (sum(gpu[key] or 0 for gpu in gpus) / 1024 for key in ("used_mib", "memory_mib"))
    cards = f"{len(gpus)} GPUs, {used:.0f} of {size:.0f} GiB in use" if gpus else "no GPU"
    address = (look["network"]["cluster_nic"] or {}).get("address", "-")
    return (name, address, services, cards)


def engine_lines(log: Mapping[str, t.Any]) -> list[str]:
    """Return what the engine's log tells: the size of its cache, restarts and the first error since its start."""
    cache, lines = log.get("kv_cache") or {}, []
    if cache:
        text = f"  KV cache   {cache['tokens']:,} tokens"
        if "concurrency" in cache:
            text += f", {cache['concurrency']:g} requests of {cache['context']:,} tokens at once"
        lines.append(text)
    if log.get("restarts"):
        lines.append(f"  restarts   {log['restarts']}, by itself since it was started")
    if log.get("first_error"):
        lines.append(f"  error      {log['first_error']}")
    return lines


def screen(
    plan: Mapping[str, t.Any],
    names: Sequence[str],
    looks: Answers,
    nodes: Sequence[str],
    log: Mapping[str, t.Any],
    problems: Sequence[Mapping[str, str]],
) -> str:
    """Return what status.yml shows. nodes: lines of Ray's node table; log: of the engine's service."""
    lines = ["", f"The cluster {plan.get('cluster', '')} {verdict(plan, looks)}", *engine_lines(log)]
    lines += [f"  node       {line}" for line in nodes]
    rows = [host_row(name, looks.get(name)) for name in names]
    width = max(map(len, rows), default=0)
    lines += ["", *table([(*row, *[""] * (width - len(row))) for row in rows])]
    lines += ["", *problem_lines(problems)] if problems else []
    return "\n".join(lines)
