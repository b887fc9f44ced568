# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases the hosts of a cluster have, and to which of them it goes back. PRIVATE to the collection."""

from __future__ import annotations

import time
import typing as t
from collections import Counter

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._report import problem_lines
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._screens._screen import table

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Release(t.TypedDict):
    """A release on one host, as releases_info returns it."""

    id: str
    versions: dict[str, str]
    python: dict[str, str]
    bytes: int
    since: int
    manifest: str
    damaged: list[str]
    current_of: list[str]
    previous_of: list[str]
    named_by: list[str]
    processes: int


if t.TYPE_CHECKING:
    # What releases_info said of each host, the newest release first; None where a host did not answer.
    Listed = Mapping[str, Sequence[Release] | None]


class Summary(t.TypedDict):
    """All that is shown, for programs."""

    cluster: str
    hosts: dict[str, list[Release] | None]
    current: dict[str, str]
    previous: dict[str, str]
    problems: list[dict[str, str]]


def by_release(listed: Listed) -> dict[str, dict[str, Release]]:
    """Return {release: {host: what it is there}}, in the order in which hosts name them."""
    found: dict[str, dict[str, Release]] = {}
    for host, releases in listed.items():
        for release in releases or ():
            found.setdefault(release["id"], {})[host] = release
    return found


def led_by(cluster: str, listed: Listed, link: t.Literal["current_of", "previous_of"]) -> dict[str, str]:
    """Return {host: release} where a link of the cluster leads to one. link: current_of or previous_of."""
    return {
        host: release["id"]
        for host, releases in listed.items()
        for release in releases or ()
        if cluster in release[link]
    }


def problems(cluster: str, listed: Listed) -> list[Problem]:
    """Return what is wrong: releases that are damaged or differ, and links that lead to different ones."""
    found = []
    for id_, hosts in by_release(listed).items():
        usual = Counter(release["manifest"] for release in hosts.values()).most_common(1)[0][0]
        for host, release in hosts.items():
            if release["damaged"]:
                text = f"{len(release['damaged'])} files of {id_} differ, first: {release['damaged'][0]}"
                fix = "run site.yml with -e vllm_ray_release_verify=full, which repairs it"
                found.append(Problem(host, "release", "error", text, "the files of its manifest", fix))
            if release["manifest"] != usual:
                text = f"{id_} has the manifest {release['manifest']}"
                fix = "run site.yml, which makes the release in use equal on all hosts"
                found.append(Problem(host, "release", "warning", text, f"{usual}, as on other hosts", fix))
    current = led_by(cluster, listed, "current_of")
    usual = Counter(current.values()).most_common(1)[0][0] if current else ""
    found += [
        Problem(host, "release", "error", f"current points to {id_}", f"{usual}, as on other hosts", "run site.yml")
        for host, id_ in current.items()
        if id_ != usual
    ]
    return found


def summary(cluster: str, listed: Listed) -> Summary:
    """Return all that is shown, for programs."""
    return {
        "cluster": cluster,
        "hosts": {host: None if releases is None else list(releases) for host, releases in listed.items()},
        "current": led_by(cluster, listed, "current_of"),
        "previous": led_by(cluster, listed, "previous_of"),
        "problems": [problem.as_dict() for problem in problems(cluster, listed)],
    }


def moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def uses(release: Release) -> str:
    """Return what uses a release on one host."""
    named = [name for name in release["named_by"] if name not in release["current_of"]]
    parts = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("current of", release["current_of"]),
            ("previous of", release["previous_of"]),
            ("named by files of", named),
        )
        if names
    ]
    if release["processes"] and not parts:
        parts = [f"used by {release['processes']} processes"]
    return "; ".join(parts) or "not in use"


def release_line(id_: str, hosts: Mapping[str, Release]) -> str:
    """Return what a release is, and whether it is the same everywhere."""
    one = next(iter(hosts.values()))
    versions = [f"{name} {version}" for name, version in one["versions"].items()]
    manifests = {release["manifest"] for release in hosts.values()}
    equal = f"manifest {one['manifest'][:12]}" if len(manifests) == 1 else "manifests differ"
    arrived = moment(min(release["since"] for release in hosts.values()))
    size = f"{one['bytes'] / 1e9:.1f} GB"
    return f"{id_}: {', '.join([*versions, 'Python ' + one['python']['version'], size, 'since ' + arrived, equal])}"


def screen(summary: Summary) -> str:
    """Return what releases.yml shows."""
    listed = summary["hosts"]
    lines = ["", f"Releases of the hosts of the cluster {summary['cluster']}"]
    for id_, hosts in by_release(listed).items():
        lines.append(plain(f"  {release_line(id_, hosts)}"))
        rows = [
            (host, f"since {moment(hosts[host]['since'])}", uses(hosts[host]))
            if host in hosts
            else (host, "not installed", "")
            for host, releases in listed.items()
            if releases is not None
        ]
        lines += [f"    {row}" for row in table(rows)]
    silent = [host for host, releases in listed.items() if releases is None]
    lines += [f"  none on {host}" for host, releases in listed.items() if releases is not None and not releases]
    lines += [f"  {', '.join(silent)} did not answer"] if silent else []
    lines += ["", *problem_lines(summary["problems"])] if summary["problems"] else []
    return "\n".join(lines)


def back_to(cluster: str, head: str, listed: Listed, given: str) -> tuple[str, str]:
    """Return the release to which a cluster goes back, and why there is none.

    head: name of the host whose link previous counts. given: the release that somebody named, if any.
    """
    have = sorted(by_release(listed))
    previous = led_by(cluster, listed, "previous_of").get(head, "")
    if given and given not in have:
        found = f"no host has the release {given}"
    elif given or previous in have:
        return given or previous, ""
    else:
        found = f"{head} has no release that was current before" if not previous else f"no host has {previous}"
    names = ", ".join(have) or "none"
    return "", f"{found}. Available: {names}. Select one with -e vllm_ray_release_id=ID; releases.yml shows details."


def turn(cluster: str, listed: Listed, id_: str) -> str:
    """Return the text about what a rollback changes."""
    current = led_by(cluster, listed, "current_of")
    leaving = {host: was for host, was in current.items() if was != id_}
    lacking = [host for host, there in listed.items() if there is not None and id_ not in [one["id"] for one in there]]
    lines = ["", f"The cluster {cluster} goes back to {id_}"]
    for was in dict.fromkeys(leaving.values()):
        lines.append(f"  from {was} on {', '.join(host for host in leaving if leaving[host] == was)}")
    lines += [f"  and {', '.join(lacking)} copy it from other hosts"] if lacking else []
    lines += ["  which it already uses"] if current and not leaving else []
    return "\n".join(lines)
