# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a wished model, or with what a hub gives. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import SUMS, is_directory_name, name_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import Pin, Way, Wish

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
MIRROR_URL = re.compile(r"https?://[^/\s?#@]+(/[^/\s?#]+)*/[^/\s?#]+/*")
PLAIN_MIRROR = (
    "{url} is not encrypted: anyone on the network path can change the model and its SHA256SUMS. Use an https URL."
)
NAMES_SHOWN = 3


def wish_problems(wish: Wish) -> list[dict[str, str]]:
    """Return what is wrong with a wish, before anybody is asked."""
    problems = []
    fix = "correct model_source (vllm_ray_model)"
    if wish.hub == "mirror":
        if not MIRROR_URL.fullmatch(wish.model) or ".." in wish.model or not is_directory_name(name_of(wish)):
            found = (
                f"{wish.model} is not the URL of a model" if "@" not in wish.model else "the URL of the model has an @"
            )
            good = "a URL without a password, such as https://mirror.example/models/Qwen3-32B"
            problems.append(problem("model", found, good, fix))
        if wish.revision:
            fix = "leave out model_revision (vllm_ray_model_revision), or name the directory of a revision by the URL"
            problems.append(problem("model", f"revision {wish.revision} of a mirror", "no revision", fix))
        return problems
    if not MODEL_ID.fullmatch(wish.model) or ".." in wish.model or not is_directory_name(wish.model):
        problems.append(problem("model", f"{wish.model} is not the id of a model", "an id such as Qwen/Qwen3-32B", fix))
    if wish.revision.startswith("-") or not is_directory_name(wish.wanted_revision):
        fix = "correct model_revision (vllm_ray_model_revision)"
        problems.append(problem("model", f"{wish.revision} is not a revision", "a branch, tag or commit", fix))
    return problems


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
    what, mirror = wish.what, wish.hub == "mirror"
    if status in (401, 403) and mirror:
        fix = "allow reading the mirror without a password"
        return problem("model", f"{wish.url} refuses {what} (HTTP {status})", "permission to read the model", fix)
    if status in (401, 403):
        found = f"{wish.url} refuses {what} (HTTP {status}) {'with the given' if has_token else 'without a'} token"
        fix = (
            f"check that {wish.model} is correct; if so, accept its terms on {wish.page}, wait for its owner's "
            "approval if it is required, and set model_hf_token (vllm_ray_hf_token) to a token that may read it"
        )
        return problem("model", found, "permission to read the model", fix)
    if status == 404 and mirror:
        fix = f"run sha256sum on all files there, into a file {SUMS}, or correct model_source (vllm_ray_model)"
        return problem("model", f"{wish.url} has no {what}", f"a directory with a model and its {SUMS}", fix)
    if status == 404:
        fix = (
            "correct model_source and model_revision (vllm_ray_model, vllm_ray_model_revision); if the model is "
            "private, set model_hf_token (vllm_ray_hf_token) to a token that may read it"
        )
        return problem("model", f"{wish.url} has no {what}", "a model and a revision of the hub", fix)
    found = f"{wish.url} gives no usable answer about {what}: {reason}"
    fix = (
        "give the host network access to it, or set model_proxy and model_ca_certificate (vllm_ray_proxy, "
        "vllm_ray_ca_certificate)"
    )
    if not mirror:
        fix += ", or model_hf_endpoint (vllm_ray_hf_endpoint) to a mirror"
    fix += ", or download the model elsewhere and set model_source (vllm_ray_model) to its directory"
    return problem("model", found, "a reachable hub", fix)


def wrong_problem(wish: Wish, names: Sequence[str]) -> dict[str, str]:
    """Return the problem of files that came with other bytes than they should."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    shown = ", ".join(sorted(names)[:NAMES_SHOWN]) + more
    found = f"{shown} of {wish.model} came from {wish.url} with content that does not match its hash"
    fix = "check proxies and mirrors, and run again: only these files are downloaded again"
    return problem("model", found, "files with the hub's own hashes", fix)


def moved_problem(wish: Wish, found: str, pinned: str) -> dict[str, str]:
    """Return the problem of a mirror that changed since a host got its files."""
    fix = "pass -e model_update=true, so that all hosts get the new files, or restore the old files"
    return problem("model", f"the {SUMS} of {wish.url} is now {found[:12]}", f"that of {pinned[:12]}", fix)


def held_problem(directory: str, pin: Pin | None, commit: str) -> dict[str, str]:
    """Return the problem of a directory that holds another commit, or nobody knows which."""
    found = f"{directory} holds {f'commit {pin.commit}' if pin else 'files of an unknown commit'}"
    fix = "set model_path to another directory, or remove this one, or set model_source to it to use it unchanged"
    return problem("model", found, f"commit {commit}", fix)
