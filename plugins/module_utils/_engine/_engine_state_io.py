# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the engine of a host whether it serves. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._http_io import (
    Refused,
    Secret,
    certificate_in,
    certificate_of,
    read_secret,
    request,
    request_json,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import processes
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_text
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._vllm import READY, start_seconds
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net._listeners import is_descendant
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _systemd
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

# Seconds after a start in which its end is looked for.
LONGEST_START = 3600
# Seconds between two counts of tokens.
PAUSE = 1.0


def look(module: AnsibleModule, services: Mapping[str, Running]) -> _look.Engine:
    """Return state of the engine of this host, why, and what it was started with. services: as they run."""
    unit, running = unit_of(module, services)
    path = module.params["engine_config"] if unit.recorded else module.params["engine_next_config"]
    try:
        text = read_text(path) if path else None
        found = None if text is None else _engine_state.options(text, module.params["address"])
    except (OSError, ValueError) as error:
        state = _engine_state.UNKNOWN if unit.active else _engine_state.DOWN
        return answer(state, f"{path}: {error}")
    if found is None:
        runs = f"{unit.name} runs, but its options are not recorded"
        return answer(_engine_state.UNKNOWN, runs) if unit.active else answer(_engine_state.NONE, "no engine here")
    trust = {name: module.params[f"engine_{name}"] for name in ("ca_file", "server_name")}
    state, why = ask(found, read_secret(module.params["engine_key_file"]), unit, running, trust)
    result = answer(state, why)
    if state == _engine_state.SERVES:
        result["start_seconds"] = last_start(module)
    if found["url"].startswith("https:"):
        result["certificates"] = certificates(found["url"], module.params["engine_certificate_file"])
    return {**result, **found}


def certificates(url: str, path: str | None) -> _look.Certificates:
    """Return the certificate that an engine shows (`used`) and the one that it was given (`file`), in PEM.

    Each is empty where there is none or it can't be read.
    """
    used = ""
    with contextlib.suppress(Refused):
        used = certificate_of(url)
    return {"used": used, "file": certificate_in(path)}


def answer(state: str, why: str) -> _look.Engine:
    """Return a state with its meaning for consent: only an engine that is known not to serve may be stopped."""
    return {"state": state, "serving": state in _engine_state.SERVING, "why": why}


def unit_of(module: AnsibleModule, services: Mapping[str, Running]) -> tuple[_engine_state.Unit, Running]:
    """Return the engine's service."""
    name = next((name for name in services if "serve@" in name), "")
    running = services.get(name, Running())
    recorded = bool(module.params["engine_config"]) and os.path.lexists(module.params["engine_config"])
    return _engine_state.Unit(name, running.active if name else None, running.state, recorded), running


def ask(
    found: _look.EngineOptions,
    key: Secret,
    unit: _engine_state.Unit,
    running: Running,
    trust: Mapping[str, str | None],
) -> tuple[str, str]:
    """Ask an engine for one token. Return its state, and why. trust: ca_file and server_name, as of request()."""
    body = {"model": found["model"], "prompt": "a", "max_tokens": 1}
    try:
        request_json(f"{found['url']}/v1/completions", key, body, _engine_state.COMPLETION, **trust)
    except Refused as error:
        if error.kind == "timeout":
            return watch(found["url"], key, unit, trust)
        ours = bool(running.pid and error.pid) and is_descendant(error.pid, (running.pid,), processes())
        refused = _engine_state.Answer(False, str(error), error.status, error.kind, ours)
        return _engine_state.judge(refused, unit)
    return _engine_state.judge(_engine_state.Answer(True), unit)


def watch(url: str, key: Secret, unit: _engine_state.Unit, trust: Mapping[str, str | None]) -> tuple[str, str]:
    """See whether an engine computes that did not answer in time. Return its state, and why."""
    begin = time.monotonic()
    first = last = count(url, key, trust)
    while first and last and last.done == first.done and time.monotonic() - begin < _engine_state.WATCHED:
        time.sleep(PAUSE)
        last = count(url, key, trust)
    return _engine_state.judge_silence(unit, first, last or first, time.monotonic() - begin)


def count(url: str, key: Secret, trust: Mapping[str, str | None]) -> _engine_state.Tokens | None:
    """Return the counters of an engine, None where it gives none."""
    try:
        return _engine_state.tokens(request(f"{url}/metrics", key, seconds=5, **trust).decode(errors="replace"))
    except Refused:
        return None


def last_start(module: AnsibleModule) -> float | None:
    """Return how many seconds the engine took to start, None where the journal no longer has it."""
    units = [name for name in module.params["services"] if "serve@" in name]
    if module.params["manager"] != "systemd" or not units:
        return None
    try:
        started = os.stat(module.params["engine_config"]).st_mtime
    except OSError:
        return None
    window = [f"--since=@{started:.0f}", f"--until=@{started + LONGEST_START:.0f}"]
    argv = [
        "journalctl",
        "--no-pager",
        "--output=short-unix",
        f"--grep={READY}",
        f"--unit={_systemd.unit_of(units[0])}",
    ]
    _rc, out, _err = module.run_command([*argv, *window])
    return start_seconds(out.splitlines(), started)
