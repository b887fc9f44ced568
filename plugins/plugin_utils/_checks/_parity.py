# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts have in common, which hosts differ, and what changed since it worked. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

    # {row: {host: value}}; a host without a value is not compared in that row.
    Matrix = Mapping[str, Mapping[str, str]]

# How bad it is that hosts differ in a row, and what fixes it. Rows that are not here may differ.
# Ray refuses other versions and another Python, to the patch (ray#44063, ray#50511); a driver that differs makes NCCL
# fail or hang (vllm#4114, nccl#1257).
MUST_AGREE = {
    "python": ("error", "set vllm_ray_python, or let site.yml build the release"),
    "vllm": ("error", "run site.yml, or correct vllm_ray_release_path on the host that differs"),
    "ray": ("error", "run site.yml, or correct vllm_ray_release_path on the host that differs"),
    "torch": ("error", "run site.yml, or correct vllm_ray_release_path on the host that differs"),
    "nccl": ("error", "run site.yml, or correct vllm_ray_release_path on the host that differs"),
    "machine": ("error", "leave hosts of another architecture out of this cluster"),
    "driver": ("warning", "install the same NVIDIA driver on all hosts"),
    "cuda": ("warning", "install the same NVIDIA driver on all hosts"),
    "os": ("warning", "install the same release of the distribution on all hosts"),
    "glibc": ("warning", "install the same release of the distribution on all hosts"),
    "mtu": ("warning", "ip link set dev NIC mtu VALUE on the host that differs, and in its network configuration"),
    "kernel": ("info", "update and reboot the host that differs"),
    "gpu model": ("info", "compare the plan, because the layout depends on the GPUs of each host"),
    "gpu memory": ("info", "compare the plan, because the layout depends on the GPUs of each host"),
}


def majority(values: Mapping[str, str]) -> str:
    """Return the value of most hosts; of equally frequent ones that of the first host."""
    return Counter(values.values()).most_common(1)[0][0] if values else ""


def differing(values: Mapping[str, str]) -> dict[str, str]:
    """Return the hosts that differ from most, with their values."""
    usual = majority(values)
    return {host: value for host, value in values.items() if value != usual}


@check("parity", needs=Need.MATRIX)
def problems(matrix: Matrix, reported: Collection[tuple[str, str]] = ()) -> list[Problem]:
    """Return a problem for each host that differs in each row that must agree.

    reported: (host, check) of problems that were found before; such a check says more than that a host differs.
    """
    return [
        Problem(
            host,
            "parity",
            MUST_AGREE[row][0],
            f"{row} {value}",
            f"{majority(values)} as on most hosts",
            MUST_AGREE[row][1],
        )
        for row, values in matrix.items()
        if row in MUST_AGREE
        for host, value in differing(values).items()
        if (host, row) not in reported
    ]


def lines(matrix: Matrix, hosts: Sequence[str], width: int) -> list[str]:
    """Return the matrix for a terminal: hosts as columns, `*` marks hosts that differ; if too wide, a row
    says what most have and which hosts differ.
    """
    if not matrix:
        return []
    rows = [["", *hosts]]
    for name, values in matrix.items():
        differ = differing(values)
        rows.append([name, *(f"{values.get(host, '-')}{'*' if host in differ else ''}" for host in hosts)])
    sizes = [max(len(row[column]) for row in rows) for column in range(len(hosts) + 1)]
    if sum(sizes) + 2 * len(sizes) <= width:
        return ["  " + "  ".join(cell.ljust(size) for cell, size in zip(row, sizes)).rstrip() for row in rows]
    label = max(map(len, matrix))
    result = []
    for name, values in matrix.items():
        by_value: dict[str, list[str]] = {}
        for host, value in differing(values).items():
            by_value.setdefault(value, []).append(host)
        parts = [f"{majority(values)} on {len(values) - len(differing(values))} hosts"]
        parts += [f"* {value} on {', '.join(where)}" for value, where in by_value.items()]
        result.append(f"  {name.ljust(label)}  {'; '.join(parts)}")
    return result


def changes(before: Matrix, now: Matrix) -> list[str]:
    """Return what differs from the last good run: "worked yesterday". Both by row and host."""
    found = []
    for row in dict.fromkeys([*before, *now]):
        old, new = before.get(row, {}), now.get(row, {})
        moves: dict[tuple[str, str], list[str]] = {}
        for host in dict.fromkeys([*old, *new]):
            if old.get(host) != new.get(host):
                moves.setdefault((old.get(host, "nothing"), new.get(host, "nothing")), []).append(host)
        found += [f"{row}: {was} -> {is_now} on {', '.join(hosts)}" for (was, is_now), hosts in moves.items()]
    return found


def since(before: Matrix, now: Matrix, hosts: Sequence[str], looked: Sequence[str]) -> list[str]:
    """Return what changed since the last good run, a host that came or went as one line.

    hosts: of the inventory; looked: those that were probed. Of the others nothing can be said.
    """
    known = list(dict.fromkeys(host for values in before.values() for host in values))
    both = [host for host in looked if host in known]
    return [
        *(f"{host} is new" for host in looked if host not in known),
        *(f"{host} is no longer in the inventory" for host in known if host not in hosts),
        *changes(only(before, both), only(now, both)),
    ]


def only(rows: Matrix, hosts: Sequence[str]) -> Matrix:
    """Return the part of a matrix that is about some hosts."""
    part = {row: {host: values[host] for host in hosts if host in values} for row, values in rows.items()}
    return {row: values for row, values in part.items() if values}


@check("changes", needs=Need.GOOD_RUN)
def changed(lines: Sequence[str]) -> list[Problem]:
    """Return what changed since the last good run as notes among the problems."""
    fix = "nothing if the change was intended; if something fails since then, check this first"
    return [Problem("-", "changes", "info", line, "as in the last good run", fix) for line in lines]


def good_run(before: Matrix, now: Matrix, hosts: Sequence[str], looked: Sequence[str]) -> Matrix:
    """Return the rows to record of a good run: as they are, and as they were for hosts that it left out.

    hosts: of the cluster; looked: those that were probed.
    """
    left, seen = only(before, [host for host in hosts if host not in looked]), only(now, looked)
    return {row: {**left.get(row, {}), **seen.get(row, {})} for row in dict.fromkeys([*left, *seen])}


def matrix(looks: Mapping[str, _look.Look], releases: Mapping[str, _look.ReleaseDetails]) -> Matrix:
    """Return the rows of probed hosts. releases: what release_info said of those that have one.

    Source of each row: M(vllm_ray.cluster.host_info) and M(vllm_ray.cluster.release_info).
    """
    rows: dict[str, dict[str, str]] = {}

    def put(row: str, host: str, value: object) -> None:
        if value:
            rows.setdefault(row, {})[host] = str(value)

    for name, look in looks.items():
        host, nic = look["host"], look["network"]["cluster_nic"]
        put("os", name, " ".join(host["os"].values()).strip())
        put("kernel", name, host["kernel"])
        put("machine", name, host["machine"])
        put("glibc", name, host.get("glibc"))
        put("mtu", name, nic and nic["mtu"])
        gpus = host["gpus"]
        put("gpu model", name, ", ".join(dict.fromkeys(gpu["name"] for gpu in gpus)))
        put("gpu count", name, len(gpus))
        put("gpu memory", name, ", ".join(f"{size // 1024} GiB" for size in sorted({g["memory_mib"] for g in gpus})))
        put("driver", name, ", ".join(dict.fromkeys(gpu["driver"] for gpu in gpus)))
        put("cuda", name, ", ".join(dict.fromkeys(str(gpu["cuda"]) for gpu in gpus if gpu.get("cuda"))))
    for name, release in releases.items():
        python = release.get("python")
        put("python", name, python and python["version"])
        for package, version in (release.get("versions") or {}).items():
            put(package, name, version)
    return rows
