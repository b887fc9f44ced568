# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which account runs the services of a cluster, and what may be wrong with it. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

ACCOUNT = "vllm-ray"
# The account of a cluster without a name of its own.
DEFAULT_CLUSTER = "default"
# useradd takes 32 characters, other tools take 31.
LONGEST = 31
DIGITS = 8


def account_of(cluster: str) -> str:
    """Return the account of a cluster's services: vllm-ray, or vllm-ray-CLUSTER for a cluster with another name.

    A name that would be too long ends with the first digits of its SHA-256 instead.
    """
    if cluster == DEFAULT_CLUSTER:
        return ACCOUNT
    name = f"{ACCOUNT}-{cluster}"
    if len(name) <= LONGEST:
        return name
    digits = hashlib.sha256(cluster.encode()).hexdigest()[:DIGITS]
    return f"{name[: LONGEST - DIGITS - 1]}-{digits}"


def account_problems(host: Host, units: t.Sequence[str]) -> list[Problem]:
    """Return what is wrong with the account of a host that was probed. units: names of the cluster's services."""
    if host.settings["vllm_ray_scope"] == "user":
        return []
    return [*shared_account(host), *foreign_state(host, units)]


def shared_account(host: Host) -> list[Problem]:
    """Report clusters of one host that run as one account, which can read the keys and tokens of all of them."""
    settings, accounts = host.settings, (host.look or {})["host"].get("accounts") or {}
    own, account = settings["vllm_ray_cluster"], settings["vllm_ray_user"]
    others = [name for name, its in accounts.items() if its == account and name != own]
    if not others:
        return []
    found = (
        f"the cluster {', '.join(others)} runs as {account}, too: code and operators of one can read the API key and "
        "Ray's token of the other"
    )
    name = next(name for name in (own, *others) if account_of(name) != account)
    fix = f"set vllm_ray_user={account_of(name)} for the cluster {name}"
    return [Problem(host.name, "account", "warning", found, "an account for each cluster", fix)]


def foreign_state(host: Host, units: t.Sequence[str]) -> list[Problem]:
    """Report a state directory of another account: the services could not write there. units: of the cluster."""
    owner = (host.look or {})["host"].get("state_owner") or "root"
    account, state = host.settings["vllm_ray_user"], host.paths.state
    if owner in ("root", account):
        return []
    stop = " ".join(reversed(units))
    fix = (
        f"keep the account by vllm_ray_user={owner}; or, to use {account}, run as root: systemctl stop {stop} && "
        f"mv {state} {state}.{owner} (it has caches and logs only)"
    )
    found = f"{state} belongs to {owner}, and the services of this cluster are to run as {account}"
    return [Problem(host.name, "account", "error", found, f"a directory of {account} or root, or none", fix)]
