# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of an audit: what must hold on each host, and how to fix what does not. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backends import TOOL

if t.TYPE_CHECKING:
    from collections.abc import Collection

# On which hosts a row is asked.
EVERY, HEAD, SERVE = "every", "head", "serve"
# What answers it: a probe on the host, its firewall rules, probes from outside or from the peers, the settings.
INSIDE, RULES, OUTSIDE, PEERS, SETTINGS = "inside", "rules", "outside", "peers", "settings"
_AGAIN = "run site.yml, which restores it"


@dataclass(frozen=True)
class Row:
    """One protection. group: of rows; expected, fix: texts for people.

    root: whether it needs root; asked: by what; severity: of a row that does not hold.
    """

    name: str
    group: str
    expected: str
    fix: str
    where: str = EVERY
    root: bool = True
    asked: str = INSIDE
    severity: str = "error"

    @property
    def switch(self) -> str:
        """What leaves the row out, in vllm_ray_checks_off."""
        return f"audit_{self.name}"


ROWS = (
    Row(
        "settings",
        "settings",
        "no setting opens the API, Ray or a secret to others, regardless of vllm_ray_checks_off",
        "change the named variables; preflight.yml describes each problem",
        root=False,
        asked=SETTINGS,
    ),
    Row(
        "paths",
        "files",
        "only root can write to the directories above configuration, units and release",
        "chown root and chmod go-w the directory; find out who could write there, and what they changed",
        root=False,
    ),
    Row(
        "modes",
        "files",
        "each file of the configuration belongs to root (secrets to the service account) with its own mode or less",
        f"{_AGAIN}; remove files that this collection did not create",
        root=False,
    ),
    Row(
        "secrets",
        "files",
        "token and key have 32 or more printable characters, and differ from those of other clusters",
        "remove the secret below secrets/ on the head and run site.yml -e vllm_ray_restart=true, which makes a new one",
        root=False,
    ),
    Row(
        "units",
        "files",
        "the services run with the planned unit files, and no drop-in changes them",
        "remove the drop-in, then systemctl daemon-reload; site.yml -e vllm_ray_restart=true restores the unit files",
    ),
    Row(
        "sudoers",
        "files",
        "sudo has exactly the rules for vllm_ray_operators_group, and visudo -c accepts all its files",
        _AGAIN,
    ),
    Row(
        "release",
        "trees",
        "root owns the release; nothing in it is set-uid or can be written by others or another group",
        "run site.yml -e vllm_ray_release_verify=full, which compares each file; chmod files outside of the manifest; "
        "with vllm_ray_release_path: chown -R root:root PREFIX, chmod -R go-w PREFIX",
        root=False,
    ),
    Row(
        "models",
        "trees",
        "nothing in a model is set-uid or can be written by everybody, and no link leads out",
        "remove it, or chmod it; playbooks/sync_model.yml -e vllm_ray_model_verify=full reads every byte",
        root=False,
    ),
    Row(
        "state",
        "trees",
        "no FIFO, device, set-uid file or link that leads out in the data of the services",
        "find out which process made it, then remove it",
        root=False,
    ),
    Row(
        "account",
        "account",
        "nobody can log in as the service account: no shell, no password, no SSH key",
        "usermod --shell /usr/sbin/nologin --lock --home /nonexistent ACCOUNT, and remove its authorized_keys",
    ),
    Row(
        "groups",
        "account",
        "the service account is in no group but its own and those of GPUs, and nobody else is in its group",
        "gpasswd --delete MEMBER GROUP, then restart the services by site.yml -e vllm_ray_restart=true",
    ),
    Row(
        "jobs",
        "account",
        "nothing is scheduled to run as the service account: no crontab, no at job, no lingering session",
        "crontab -r -u ACCOUNT; loginctl disable-linger ACCOUNT; atrm",
    ),
    Row(
        "service_user",
        "account",
        "the service account can't read secrets/ or other clusters, write configuration, release or units, or use sudo",
        "use a separate account for each cluster (vllm_ray_user); correct owner and mode of the named paths",
    ),
    Row(
        "other_users",
        "account",
        "other accounts can't read token, key, environments or data, or write anything of the cluster",
        f"{_AGAIN}; chmod 0750 the data directory",
    ),
    Row(
        "processes",
        "processes",
        "each process runs as the service account, without capabilities, with NoNewPrivileges and a system call filter",
        "run site.yml -e vllm_ray_restart=true; end a process that this collection did not start",
    ),
    Row(
        "command_lines",
        "processes",
        "no command line of any process shows a secret",
        "end the process; then rotate the secret, as every account could read it",
    ),
    Row(
        "environments",
        "processes",
        "the API key is in the environment of the engine alone, other secrets in those of the service account",
        "end the process; then rotate the secret",
    ),
    Row(
        "journal",
        "leaks",
        "no line of the journal has a secret",
        "rotate the secret; journalctl --rotate --vacuum-time=1s removes the lines",
    ),
    Row(
        "logs",
        "leaks",
        "no log, and no file of the cluster that others may read, has a secret",
        "remove the file and rotate the secret",
        root=False,
    ),
    Row(
        "firewall",
        "network",
        f"{TOOL.name} is in force in the kernel for IPv4 and IPv6, and closes what no rule allows",
        f"run site.yml with vllm_ray_firewall=manage; {TOOL.restore}",
    ),
    Row(
        "rules",
        "network",
        "the rules of this cluster are those of the plan",
        "run site.yml --tags firewall",
        asked=RULES,
    ),
    Row(
        "open_rules",
        "network",
        "no other rule opens a port that services of this cluster listen on",
        f"{TOOL.forget}; use vllm_ray_api_clients, vllm_ray_metrics_clients or vllm_ray_dashboard_clients",
    ),
    Row(
        "listeners",
        "network",
        "services of this cluster hold the ports of this cluster",
        "stop the process, or set another port (vllm_ray_*_port)",
        root=False,
    ),
    Row(
        "ray",
        "network",
        "raylet and GCS refuse requests without a token (UNAUTHENTICATED)",
        "remove RAY_AUTH_MODE from vllm_ray_env and run site.yml -e vllm_ray_restart=true",
        root=False,
    ),
    Row(
        "dashboard",
        "network",
        "the dashboard refuses requests without a token (401)",
        "remove RAY_AUTH_MODE from vllm_ray_env and run site.yml -e vllm_ray_restart=true",
        where=HEAD,
        root=False,
    ),
    Row(
        "api",
        "network",
        "every route but /health refuses requests without the key (401)",
        "run site.yml -e vllm_ray_restart=true, without your own option middleware",
        where=SERVE,
        root=False,
    ),
    Row(
        "tls",
        "network",
        "the API's certificate is accepted by the cluster's CA and good for 30 days or more; or TLS is off",
        "run site.yml, which renews its own certificate; replace a certificate of your own",
        where=SERVE,
        root=False,
    ),
    Row(
        "outside",
        "reach",
        "a host outside of the cluster reaches no port of the cluster except the API, if it is a client",
        "run site.yml --tags firewall; close the port in the network where vllm_ray_firewall is off",
        root=False,
        asked=OUTSIDE,
    ),
    Row(
        "peers",
        "reach",
        "the other hosts of the cluster reach all ports that they need",
        "run site.yml --tags firewall; playbooks/preflight.yml shows what blocks them",
        root=False,
        asked=PEERS,
    ),
    Row(
        "kernel",
        "kernel",
        "accounts can't type into each other's terminals, trace each other, or plant links and FIFOs",
        "set it by sysctl and in /etc/sysctl.d/",
        root=False,
        severity="warning",
    ),
)


def rows_of(is_head: bool, serves: bool, off: Collection[str]) -> list[Row]:
    """Return the rows of one host. off: of vllm_ray_checks_off, in which audit_ROW leaves out a row.

    Without that prefix it is a check of the same name, and no row.
    """
    here = {EVERY: True, HEAD: is_head, SERVE: serves}
    return [row for row in ROWS if here[row.where] and row.switch not in off]
