# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Details of a host for the status: firewall, model, release. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _rules

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._backend import Tool
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# The directory of a model of a hub: OWNER--NAME/COMMIT, as the role model names it.
HUB_PATH = re.compile(r"/[^/]+--[^/]+/([^/]+)/?$")
# The second line of the engine's script.
SERVES = re.compile(r"^# Serves .+ with the manifest ([0-9a-f]{64})\.$", re.MULTILINE)


def firewall(tool: Tool, state: _rules.State | None, comment: str) -> _look.FirewallDetails:
    """Return whether something filters what comes in, and our rules, those with the comment.

    state: None where we are not root, without which nothing can be said.
    """
    if state is None:
        return {"status": "unknown, only root can read it", "rules": []}
    if state.enabled:
        status = f"{tool.name} is on" + (f", but {state.fault.text}" if state.fault else "")
    elif state.other:
        status = f"{state.other} filters packets, which this collection does not manage"
    else:
        status = f"none, every port is open: {tool.name} is {'off' if state.installed else 'not installed'}"
    return {"status": status, "rules": short_rules(state.own(comment))}


def short_rules(rules: Iterable[_rules.Rule]) -> list[str]:
    """Return rules by what they let in, each with all its sources: `8000/tcp from 192.0.2.12, 192.0.2.13`."""
    sources: dict[tuple[str, str], list[str]] = {}
    for rule in rules:
        to = _rules.endpoint(rule.dst, rule.dport, rule.proto, rule.dapp, rule.v6, rule.nic_in)
        source = _rules.endpoint(rule.src, rule.sport, rule.proto, rule.sapp, rule.v6, rule.nic_out)
        sources.setdefault((rule.action, to), []).append(source)
    return [
        f"{'' if action == 'allow' else action + ' '}{to} from {', '.join(listed)}"
        for (action, to), listed in sources.items()
    ]


def model(config: Mapping[str, t.Any], script: str) -> _look.ServedModel:
    """Return which model an engine was started with: path, revision (empty where it is no hub's), digest of its
    manifest (empty where none was made).

    config: options of `vllm serve`. script: text of the script that started it.
    """
    path = str(config.get("model", ""))
    revision = HUB_PATH.search(path)
    digest = SERVES.search(script)
    return {
        "path": path,
        "revision": revision.group(1) if revision else "",
        "digest": digest.group(1) if digest else "",
    }
