# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Ray's dashboard. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._http_io import Refused, read_secret, request_json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._ray import node_table, waiting_placements

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look


def look(url: str, token_file: str, seconds: float = 10) -> _look.Nodes:
    """Return the node table and how many placement groups wait, or why there is no answer. url: of the dashboard."""
    token = read_secret(token_file)
    none: _look.Nodes = {"exists": False, "nodes": [], "waiting": 0}
    try:
        nodes = request_json(f"{url}/api/v0/nodes?detail=1", token, seconds=seconds)
        status = request_json(f"{url}/api/cluster_status", token, seconds=seconds)
        table, waiting = node_table(nodes, status), waiting_placements(status)
    except Refused as error:
        return {**none, "why": f"{url}: {error}"}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return {**none, "why": f"{url}: an answer of an unknown form: {error!r}"}
    return {"exists": True, "nodes": table, "waiting": waiting, "why": ""}
