# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with what a hub answers or gives. PRIVATE to the collection.

What only one hub says is in its class in _hub.py.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import SUMS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Way, Wish
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_pin import Pin

PLAIN_MIRROR = (
    "{url} is not encrypted: anyone on the network path can change the model and its SHA256SUMS. Use an https URL."
)
NAMES_SHOWN = 3


def way_problems(wish: Wish, way: Way, may_have_secret: Callable[[str], bool]) -> list[dict[str, str]]:
    """Return why a token must not be sent to a hub. may_have_secret: of _http_io."""
    if not way.token or may_have_secret(wish.url):
        return []
    found = f"{wish.url} is not encrypted, and the token would be sent there"
    fix = (
        "set model_hf_endpoint (vllm_ray_hf_endpoint) to an https URL, or remove model_hf_token (vllm_ray_hf_token) if "
        "that server asks for none"
    )
    return [problem("model", found, "an https URL where a token is given", fix)]


def refusal(wish: Wish, status: int, reason: str, has_token: bool) -> dict[str, str]:
    """Return the problem of a hub that does not answer as wanted. status: HTTP status, 0 where there was none."""
    if status in (401, 403):
        return wish.hub.denied(wish, status, has_token)
    if status == 404:
        return wish.hub.absent(wish)
    found = f"{wish.url} gives no usable answer about {wish.what}: {reason}"
    fix = (
        "give the host network access to it, or set model_proxy and model_ca_certificate (vllm_ray_proxy, "
        f"vllm_ray_ca_certificate){wish.hub.substitute}, or download the model elsewhere and set model_source "
        "(vllm_ray_model) to its directory"
    )
    return problem("model", found, "a reachable hub", fix)


def wrong_problem(wish: Wish, names: Sequence[str]) -> dict[str, str]:
    """Return the problem of files that came with other bytes than they should."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    shown = ", ".join(sorted(names)[:NAMES_SHOWN]) + more
    found = f"{shown} of {wish.model} came from {wish.url} with content that does not match its hash"
    fix = "check proxies and mirrors, and run again: only these files are downloaded again"
    return problem("model", found, "files that match the hashes from the hub", fix)


def moved_problem(wish: Wish, found: str, pinned: str) -> dict[str, str]:
    """Return the problem of a mirror that changed since a host got its files."""
    fix = "pass -e model_update=true, so that all hosts get the new files, or restore the old files"
    return problem("model", f"the {SUMS} of {wish.url} is now {found[:12]}", f"that of {pinned[:12]}", fix)


def held_problem(directory: str, pin: Pin | None, commit: str) -> dict[str, str]:
    """Return the problem of a directory that has another commit, or an unknown one."""
    found = f"{directory} holds {f'commit {pin.commit}' if pin else 'files of an unknown commit'}"
    fix = "set model_path to another directory, or remove this one, or set model_source to it to use it unchanged"
    return problem("model", found, f"commit {commit}", fix)
