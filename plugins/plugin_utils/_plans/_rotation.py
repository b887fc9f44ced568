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

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster

TOKEN, KEY, CA = "ray_token", "api_key", "ca"
# The names that vllm_ray_rotate takes, each with the secret's name in messages.
TITLES = {TOKEN: "Ray's token", KEY: "the API key", CA: "the CA of the API"}
# The files of those that the module cluster_secrets makes. The CA and its certificate are made by tls_certificate.
FILES = {TOKEN: "ray.token", KEY: "api.key"}


@dataclass(frozen=True)
class Rotation:
    """A rotation that is not finished, or that this run begins.

    began: when, in UTC; it also names the rotation. secrets: of TITLES. is_noted: whether the head has noted them.
    completes: whether this run gives the new secrets to all hosts, and may remove the note after its proof.
    waiting: what stays noted, as of `waiting`.
    """

    began: str
    secrets: tuple[str, ...]
    is_noted: bool
    completes: bool
    waiting: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the plan's part.

        note: content of the head's note; rest: what is left of it after the proof, None where it is removed; title: the
        secrets in words; renews_ca: whether this run makes a new CA, which counts at once for the engine that serves.
        """
        return {
            "note": {"began": self.began, "secrets": [*self.secrets, *self.waiting]},
            "rest": {"began": self.began, "secrets": list(self.waiting)} if self.waiting else None,
            "title": self.title,
            "renews_ca": CA in self.secrets and self.completes,
            "is_noted": self.is_noted,
            "completes": self.completes,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, t.Any]) -> Rotation:
        waiting = tuple(told["rest"]["secrets"]) if told["rest"] else ()
        secrets = tuple(name for name in told["note"]["secrets"] if name not in waiting)
        return cls(told["note"]["began"], secrets, told["is_noted"], told["completes"], waiting)

    @property
    def title(self) -> str:
        *others, last = (TITLES[name] for name in self.secrets)
        return f"{', '.join(others)} and {last}" if others else last


def rotation_of(cluster: Cluster, now: str) -> Rotation | None:
    """Return the rotation that this run has to do with, None where there is none.

    now: the time in UTC where the run was asked to renew secrets, otherwise empty. It continues a rotation that is not
    finished; secrets that were not part of it are added.
    """
    there, later = possible(cluster), waiting(cluster)
    noted = [name for name in there if name in cluster.rotation.secrets]
    asked = (cluster.head.settings.get("vllm_ray_rotate") or there) if now else []
    secrets = tuple(name for name in there if name in (*noted, *asked))
    if not secrets:
        return None
    # A rotation of which only the rest waits is finished for all others: this is another one.
    began = (cluster.rotation.began if noted else "") or now
    completes = cluster.free and cluster.nodes and not cluster.outside
    return Rotation(began, secrets, list(secrets) == noted, completes, later)


def possible(cluster: Cluster) -> list[str]:
    """Return the secrets that a run can renew."""
    return [name for name in TITLES if name != CA or cluster.head.settings["vllm_ray_tls"] == "own"]


def waiting(cluster: Cluster) -> tuple[str, ...]:
    """Return what the head has noted and can't be renewed now: the CA, where vllm_ray_tls is no longer `own`.

    It holds up nothing, as nobody uses that CA. It stays noted, so that it is not used again when `own` comes back.
    """
    there = possible(cluster)
    return tuple(name for name in TITLES if name in cluster.rotation.secrets and name not in there)


def renewals(rotation: Rotation | None, leaving: Collection[str]) -> dict[str, list[str]]:
    """Return {file of a secret: reasons to create it again}, as the module cluster_secrets takes them.

    leaving: hosts that left the inventory, so that the others need a new token for Ray.
    """
    reasons: dict[str, list[str]] = {FILES[TOKEN]: [" ".join(sorted(leaving))]} if leaving else {}
    for name, file in FILES.items():
        if rotation and name in rotation.secrets:
            reasons.setdefault(file, []).append(rotation.began)
    return reasons


def problems(cluster: Cluster, rotation: Rotation | None, asked: bool, seconds: float) -> list[Problem]:
    """Return what is to be said of a rotation. asked: whether the run was asked to renew secrets.

    seconds: that the engine took to start, 0 where that is not known.
    """
    later = [still_noted(cluster)] if waiting(cluster) else []
    if not asked:
        return [*later, *([unfinished(cluster, rotation)] if rotation else [])]
    found = [*later, *obstacles(cluster)]
    if rotation is None:
        return found
    effect = restarts(cluster, rotation, seconds)
    if not cluster.consent:
        text, fix = f"{rotation.title} would be renewed. {effect}", "run it again with -e vllm_ray_restart=true"
        return [*found, problem("error", text, "your consent to the restart", fix)]
    verb = f"continues the renewal of {rotation.title} that began at {rotation.began}"
    if rotation.began != cluster.rotation.began:
        verb = f"renews {rotation.title}"
    given = [what for name, what in ((KEY, "key"), (CA, "CA")) if name in rotation.secrets]
    fix = f"after the run, give the new {' and '.join(given)} to the clients" if given else "nothing"
    wanted = "all hosts have the new secrets, and a test completion succeeds"
    return [*found, problem("info", f"this run {verb}. {effect}", wanted, fix)]


def obstacles(cluster: Cluster) -> list[Problem]:
    """Return why a run can't renew the secrets of all hosts."""
    found = []
    wanted = "all hosts of the cluster in one run, as they share their secrets"
    left_out = [host.name for host in cluster.hosts if host.limited]
    if left_out:
        found.append(problem("error", f"--limit leaves out {', '.join(left_out)}", wanted, "run without --limit"))
    for host in cluster.hosts:
        if host.look is None and not host.limited:
            text = f"it can't be reached and would keep the old secrets: {host.absent}"
            fix = "fix the connection, or remove the host from the inventory"
            found.append(problem("error", text, wanted, fix, host.name))
    if not cluster.nodes:
        text = "--tags or --skip-tags leave out the nodes of Ray or the engine"
        found.append(problem("error", text, "a run of all roles", "run without --tags and --skip-tags"))
    if cluster.head.look and not cluster.known:
        text = "no cluster is there yet: the head has no record"
        found.append(problem("error", text, "a cluster whose secrets can be renewed", "run site.yml"))
    tls = cluster.head.settings["vllm_ray_tls"]
    if tls != "own" and CA in (cluster.head.settings.get("vllm_ray_rotate") or ()):
        text, fix = f"vllm_ray_rotate names ca, and vllm_ray_tls is {tls}", "remove it, or set vllm_ray_tls=own"
        found.append(problem("error", text, "a CA that is made on the head", fix))
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


def still_noted(cluster: Cluster) -> Problem:
    """Return what a run says of the CA that waits for its renewal."""
    text = f"{TITLES[CA]} is still to be renewed, and vllm_ray_tls is {cluster.head.settings['vllm_ray_tls']}"
    return problem("info", text, "a new CA before it is used again", "nothing: it is renewed with vllm_ray_tls=own")


def restarts(cluster: Cluster, rotation: Rotation, seconds: float) -> str:
    """Return in a sentence what restarts."""
    engine = f"the engine on {cluster.record.serve_host or cluster.serve_host}"
    nodes = f"Ray on {', '.join(host.name for host in cluster.hosts)}, and "
    last = f". Its last start took {seconds:.0f} s" if seconds else ""
    return f"It restarts {nodes if TOKEN in rotation.secrets else ''}{engine}{last}"


def problem(severity: str, found: str, wanted: str, fix: str, host: str = "-") -> Problem:
    return Problem(host, "rotation", severity, found, wanted, fix)
