# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation: which secrets a run renews, and what prevents it. PRIVATE to the collection.

A rotation begins with a note on the head, before the first new secret is made. The note is removed after a completion
with the new secrets. Until then every run of site.yml continues the rotation of the note. A secret is made once for
each rotation, so a run that was interrupted can be repeated.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import last_server
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._problem import Problem

if t.TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import Cluster

TOKEN, KEY = "ray_token", "api_key"
# The names that vllm_ray_rotate takes: the secret's file on the head, and its name in messages.
FILES = {TOKEN: "ray.token", KEY: "api.key"}
TITLES = {TOKEN: "Ray's token", KEY: "the API key"}


@dataclass(frozen=True)
class Rotation:
    """A rotation that is not finished, or that this run begins.

    began: when, in UTC; it also names the rotation. secrets: of FILES. is_noted: whether the head has noted them.
    completes: whether this run gives the new secrets to all hosts, and may remove the note after its proof.
    """

    began: str
    secrets: tuple[str, ...]
    is_noted: bool
    completes: bool

    def as_dict(self) -> dict[str, t.Any]:
        """Return the plan's part. note: content of the head's note; title: the secrets in words."""
        return {
            "note": {"began": self.began, "secrets": list(self.secrets)},
            "title": self.title,
            "is_noted": self.is_noted,
            "completes": self.completes,
        }

    @property
    def title(self) -> str:
        return " and ".join(TITLES[name] for name in self.secrets)


def rotation_of(cluster: Cluster, now: str) -> Rotation | None:
    """Return the rotation that this run has to do with, None where there is none.

    now: the time in UTC where the run was asked to renew secrets, otherwise empty. It continues a rotation that is not
    finished; secrets that were not part of it are added.
    """
    noted = [name for name in FILES if name in cluster.rotation.get("secrets", ())]
    asked = (cluster.head.settings.get("vllm_ray_rotate") or list(FILES)) if now else []
    secrets = tuple(name for name in FILES if name in (*noted, *asked))
    if not secrets:
        return None
    began = str(cluster.rotation.get("began") or now)
    completes = cluster.free and cluster.nodes and not cluster.outside
    return Rotation(began, secrets, list(secrets) == noted, completes)


def renewals(rotation: Rotation | None, leaving: Collection[str]) -> dict[str, list[str]]:
    """Return {file of a secret: reasons to make it anew}, as the module cluster_secrets takes them.

    leaving: hosts that left the inventory, so that the others need a new token for Ray.
    """
    reasons: dict[str, list[str]] = {FILES[TOKEN]: [" ".join(sorted(leaving))]} if leaving else {}
    for name in rotation.secrets if rotation else ():
        reasons.setdefault(FILES[name], []).append(t.cast("Rotation", rotation).began)
    return reasons


def problems(cluster: Cluster, rotation: Rotation | None, asked: bool, seconds: float) -> list[Problem]:
    """Return what is to be said of a rotation. asked: whether the run was asked to renew secrets.

    seconds: that the engine took to start, 0 where that is not known.
    """
    if rotation is None:
        return []
    if not asked:
        return [unfinished(cluster, rotation)]
    found = list(obstacles(cluster))
    effect = restarts(cluster, rotation, seconds)
    if not cluster.consent:
        text, fix = f"{rotation.title} would be renewed. {effect}", "run it again with -e vllm_ray_restart=true"
        return [*found, problem("error", text, "your consent to the restart", fix)]
    verb = f"continues the renewal of {rotation.title} that began at {rotation.began}"
    if rotation.began != cluster.rotation.get("began"):
        verb = f"renews {rotation.title}"
    fix = "give clients the new key afterwards" if KEY in rotation.secrets else "nothing"
    return [*found, problem("info", f"this run {verb}. {effect}", "new secrets on all hosts, and a completion", fix)]


def obstacles(cluster: Cluster) -> Sequence[Problem]:
    """Return why a run can't renew the secrets of all hosts."""
    found = []
    wanted = "all hosts of the cluster in one run, as they share their secrets"
    left_out = [host.name for host in cluster.hosts if host.limited]
    if left_out:
        found.append(problem("error", f"--limit leaves out {', '.join(left_out)}", wanted, "run without --limit"))
    for host in cluster.hosts:
        if host.look is None and not host.limited:
            text = f"it can't be reached and would keep the old secrets: {host.absent}"
            fix = "fix the connection, or take the host out of the inventory"
            found.append(problem("error", text, wanted, fix, host.name))
    if not cluster.nodes:
        text = "the tags leave out the nodes of Ray"
        found.append(problem("error", text, "a run of all roles", "run without --tags and --skip-tags"))
    if cluster.head.look and not cluster.known:
        text = "no cluster is there yet: the head has no record"
        found.append(problem("error", text, "a cluster whose secrets can be renewed", "run site.yml"))
    return found


def unfinished(cluster: Cluster, rotation: Rotation) -> Problem:
    """Return what a run that was not asked to renew secrets says of a rotation that is not finished."""
    text = f"the renewal of {rotation.title} that began at {rotation.began} is not finished"
    severity, fix = "warning", "run site.yml or rotate_secrets.yml with -e vllm_ray_restart=true"
    if rotation.completes:
        severity, fix = "info", "site.yml finishes it"
    elif cluster.free and cluster.nodes:
        severity, fix = "error", f"run without --limit, which leaves out {', '.join(cluster.outside)}"
    elif cluster.free:
        fix = "run site.yml for all roles"
    return problem(severity, text, "the same secrets on all hosts, and a completion", fix)


def restarts(cluster: Cluster, rotation: Rotation, seconds: float) -> str:
    """Return in a sentence what restarts."""
    engine = f"the engine on {last_server(cluster.record) or cluster.serve_host}"
    nodes = f"Ray on {', '.join(host.name for host in cluster.hosts)}, and "
    last = f", which took {seconds:.0f} s to start the last time" if seconds else ""
    return f"It restarts {nodes if TOKEN in rotation.secrets else ''}{engine}{last}"


def problem(severity: str, found: str, wanted: str, fix: str, host: str = "-") -> Problem:
    return Problem(host, "rotation", severity, found, wanted, fix)
