# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over where secrets may go: not into results, journals, diffs, or files that others can read."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NoReturn

import pytest

from ansible_collections.vllm_ray.cluster.tests import canaries
from ansible_collections.vllm_ray.cluster.tests.contract import walk

# Variables of free text that results, logs and the plan show: names, paths, addresses, versions, and values that are
# on a command line or in an answer anyway. Passwords in URLs are refused there. All others say no_log.
PUBLIC = {
    *("api_clients", "api_host", "address", "bundle_parts", "bundle_platform", "bundle_python", "bundle_sha256"),
    *("audit_from", "checks_off", "confine_allow"),
    *("cluster", "config_root", "dashboard_clients", "dashboard_host", "firewall_keep", "gpus", "head_group"),
    *("hf_endpoint", "key_file", "metrics_clients", "model", "model_revision", "model_root", "nccl_debug", "nic"),
    *("operators_group", "proof", "python", "rdma_devices", "release_builder", "release_id", "release_lock", "root"),
    *("serve_host", "start_args", "state_root", "tls_names", "user", "worker_group", "worker_ports", "write_paths"),
}
# Options of modules that may be secret by their names, and why they are not. Paths and numbers never are.
OPEN = {
    "collective_check.environment": "has the variables of NCCL, Gloo, CUDA and torch alone",
    "host_info.model.endpoint": "a password in it is refused",
    "model_download.endpoint": "a password in it is refused",
    "model_info.endpoint": "a password in it is refused",
    "model_prune.configs": "patterns of paths",
    "ray_cluster_info.url": "an address of ours",
    "serve_config_check.environment": "names",
    "service_set.links": "paths",
    "service_set.secret_files": "paths, owners and modes",
    "vllm_endpoint_info.url": "an address of ours",
}
TELLING = re.compile(
    r"token|secret|key|passw|\benv|environment|url|endpoint|links|proxy|config|args|settings|credential", re.IGNORECASE
)


class Stop(Exception):
    """main() of a module got as far as its arguments."""


@cache
def arguments() -> dict[str, dict[str, Any]]:
    """Return {module: its argument spec}, as AnsibleModule gets it."""
    found = {}
    for path in walk.plugins("modules"):
        module = importlib.import_module(f"ansible_collections.vllm_ray.cluster.plugins.modules.{path.stem}")

        def caught(argument_spec: dict[str, Any], name: str = path.stem, **_more: Any) -> NoReturn:
            found[name] = argument_spec
            raise Stop

        if hasattr(module, "main"):
            with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
                patch.setattr(module, "AnsibleModule", caught)
                module.main()
    return found


def options(spec: dict[str, Any], stem: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Any], int]]:
    for name, how in spec.items():
        yield f"{stem}.{name}", how, depth
        yield from options(how.get("options") or {}, f"{stem}.{name}", depth + 1)


def test_every_variable_of_free_text_is_public_or_may_hold_a_secret() -> None:
    undecided, both = [], []
    for name, spec in walk.user_variables().items():
        words = spec["type"] in ("str", "dict", "list", "raw", "json") and "choices" not in spec
        if words and "no_log" not in spec and name.removeprefix("vllm_ray_") not in PUBLIC:
            undecided.append(name)
        if spec.get("no_log") and name.removeprefix("vllm_ray_") in PUBLIC:
            both.append(name)
    assert (undecided, both) == ([], [])
    assert len(canaries.variables()) >= 7


def test_every_option_that_may_be_secret_is_hidden() -> None:
    assert len(arguments()) >= 25
    offences = []
    for module, spec in arguments().items():
        for name, how, _depth in options(spec, module):
            is_text = how.get("type") not in ("path", "bool", "int", "float")
            if is_text and TELLING.search(name.rpartition(".")[2]) and not how.get("no_log") and name not in OPEN:
                offences.append(name)
    assert offences == []


def test_hidden_options_are_whole_options() -> None:
    """AnsibleModule logs a list or mapping as Python writes it, so its search misses a secret with a newline."""
    nested = [
        name
        for module, spec in arguments().items()
        for name, how, depth in options(spec, module)
        if depth and how.get("no_log")
    ]
    assert nested == []


def test_no_hidden_option_is_a_mapping() -> None:
    """Each value of one, such as 1, would be taken out of the result, wherever it stands there."""
    offences = [
        name for module, spec in arguments().items() for name, how, _depth in options(spec, module)
        if how.get("no_log") and how.get("type") == "dict"
    ]  # fmt: skip
    assert offences == []


def test_no_action_returns_a_token() -> None:
    offences = []
    for path in walk.plugins("action"):
        returned = [
            node
            for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(function, ast.FunctionDef) and function.name == "run"
            for statement in ast.walk(function)
            if isinstance(statement, ast.Return)
            for node in ast.walk(statement)
        ]
        keys = [key for node in returned if isinstance(node, ast.Dict) for key in node.keys]
        offences += [
            f"{path.name}:{key.lineno}"
            for key in keys
            if isinstance(key, ast.Constant) and key.value in ("token", "run_token", "env")
        ]
    assert offences == []


def test_arguments_go_to_hosts_by_the_connection() -> None:
    """Without pipelining, a module's arguments are in a file while the module runs."""
    on = {"ansible_pipelining": True, "ansible_ssh_pipelining": True}
    mapping = walk.load_mapping(walk.ROOT / "playbooks" / "vars" / "roles.yml")
    assert on.items() <= mapping.items()
    plays = [(path, play) for path, play in walk.plays() if path.is_relative_to(walk.ROOT / "playbooks")]
    without = [
        f"{path.name}: {play['name']}"
        for path, play in plays
        if "vars/roles.yml" not in str(play.get("vars_files"))
        # They gather hosts into groups, plan from a file, or show something: no module runs on a host.
        and not re.search(r"tasks/find\.yml|layout_plan|ansible\.builtin\.debug|bundle_write", str(play))
    ]
    assert (len(plays) >= 15, without) == (True, [])
    # The role is of use without our playbooks.
    (block,) = [item for item in walk.load(walk.ROOT / "roles" / "model" / "tasks" / "download.yml") if "block" in item]
    assert block["vars"] == on
    # In the background, a module's arguments are in a file until it ends, which only root and the connection's user can
    # read: the token of the run is there, which is worth nothing after it.
    offences = [
        task.place
        for task in walk.tasks()
        if "async" in task.keywords and re.search(r"hf_token|proxy|\bsecrets\b", str(task.args))
        if "model_hf_token" not in str(task.keywords["async"])
    ]
    assert offences == []


def test_secrets_are_given_to_hidden_options_alone() -> None:
    """What roles have of secrets is used in tasks of our modules, which hide it, or nowhere."""
    words = re.compile(r"\b(model_hf_token|model_proxy|release_(?:proxy|index_url|extra_index_urls|find_links)|"
                       r"ray_(?:token|env)|vllm_(?:api_key|tls_key|env|args)|__private|run_token)\b")  # fmt: skip
    offences = [
        task.place
        for task in walk.tasks()
        if words.search(str(task.args)) and not task.action.startswith("vllm_ray.cluster.")
    ]
    assert offences == []
