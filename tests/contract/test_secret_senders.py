# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom each module that knows a secret sends it to. What goes to a service of ours is tried in tests/integration."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.vllm_ray.cluster.tests.contract import walk
from ansible_collections.vllm_ray.cluster.tests.contract.test_plugins import documented, imports, parsed
from ansible_collections.vllm_ray.cluster.tests.integration.test_listeners import SENDERS

SECRET = re.compile(r"(^|[._])(tokens?|keys?|secrets?|passwords?)(_file)?$")
ADDRESS = re.compile(r"(^|[._])(urls?|endpoint|dashboard|engine_config)$")
# To a service of ours on a port: only after its process proved to be ours. Each is in SENDERS.
OURS = "ours"
# To a hub, by _http_io.download or the hub's own client: in a header that no redirect takes along.
HUB = "hub"
# To nobody: what is sent is signed with it.
SIGNS = "signs"
# By a module of those above.
ACTION = "action"
# It is a name, or stays on the host.
STAYS = "stays"
KNOWN = {
    "host_info.details.dashboard": OURS,
    "host_info.engine_config": OURS,
    "host_info.engine_key_file": OURS,
    "host_info.model.endpoint": HUB,
    "host_info.hub_token": HUB,
    "model_download.endpoint": HUB,
    "model_download.run_token": SIGNS,
    "model_download.token": HUB,
    "model_info.endpoint": HUB,
    "model_info.token": HUB,
    "network_check.token": SIGNS,
    "proof.endpoint": STAYS,
    "proof.key_file": STAYS,
    "ray_cluster_info.token_file": OURS,
    "ray_cluster_info.url": OURS,
    "service_set.secrets": STAYS,
    "tree_progress.token": SIGNS,
    "tree_sync.token": SIGNS,
    "vllm_endpoint_info.key_file": OURS,
    "vllm_endpoint_info.url": OURS,
    "wait_for_ray.token_file": ACTION,
    "wait_for_ray.url": ACTION,
    "wait_for_vllm.key_file": ACTION,
    "wait_for_vllm.url": ACTION,
}


def options(found: Mapping[str, Any] | None, prefix: str) -> Iterator[str]:
    """Return the names of options and of what is in them."""
    for name, option in (found or {}).items():
        yield f"{prefix}{name}"
        yield from options(option.get("suboptions"), f"{prefix}{name}.")


def test_each_module_with_a_secret_and_an_address_is_known() -> None:
    unknown = []
    for module, entry in documented()["module"].items():
        short = module.rpartition(".")[2]
        names = list(options(entry["doc"].get("options"), f"{short}."))
        if any(SECRET.search(name) for name in names):
            unknown += [name for name in names if SECRET.search(name) or ADDRESS.search(name)]
    assert [name for name in unknown if name not in KNOWN] == []
    assert "vllm_endpoint_info.url" in unknown


def test_what_goes_to_a_service_of_ours_is_tried() -> None:
    assert {name for name, how in KNOWN.items() if how == OURS and ADDRESS.search(name)} == set(SENDERS)


def test_no_other_code_talks_to_services_of_ours() -> None:
    """Requests with a secret of the cluster go through _http_io.request, which verifies the receiver."""
    usual = {"_http_io.py", "_tree_sync_line_io.py"}
    found = {
        path.name
        for kind in ("modules", "module_utils")
        for path in walk.plugins(kind)
        if path.name not in usual
        for name in imports(path)
        if name in ("http.client", "urllib.request", "requests") or name.endswith("urls.open_url")
    }
    # These name errors and types of http.client, and send nothing by it.
    assert found == {"_hub_mirror_io.py", "_tree_sync_fetch_io.py", "_tree_sync_io.py"}
    calls = [
        ast.unparse(node.func)
        for path in walk.plugins("module_utils")
        if path.name in found
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
    ]
    assert not [call for call in calls if call.startswith("http.client.HTTP")]
