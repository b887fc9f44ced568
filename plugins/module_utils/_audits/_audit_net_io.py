# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits firewall and listeners of a host, and what answers without token or key. PRIVATE to the collection.

No secret is sent.
"""

from __future__ import annotations

import json
import secrets
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit
from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit import Finding, Unknown
from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _account_io, _http_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backend, _rules
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _listeners

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit_io import Place

SECONDS = 15
# Asks services of Ray by gRPC, with Ray's own client library and no token. Both methods only read.
GRPC = """
import json, sys
import grpc
codes = {}
for name, address, method in json.loads(sys.argv[1]):
    try:
        grpc.insecure_channel(address).unary_unary(method)(b"", timeout=5)
        codes[name] = "OK"
    except grpc.RpcError as error:
        codes[name] = error.code().name
print(json.dumps(codes))
"""
GCS = "/ray.rpc.NodeInfoGcsService/CheckAlive"
RAYLET = "/ray.rpc.NodeManagerService/GetSystemConfig"
UNREACHED = ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def firewall(place: Place) -> Finding:
    """Audit that the firewall is in force in the kernel and closes what no rule is about."""
    tool, state = place.firewall
    if state.other:
        raise Unknown(f"{state.other} filters incoming packets, but only the rules of {tool.name} can be checked")
    if not state.readable:
        raise Unknown("the kernel's packet filter can't be read")
    faults = [_backend.why_open(tool, state), state.fault.text if state.fault else "", *state.past]
    return Finding(f"{tool.name} in the kernel, IPv4 and IPv6", [text for text in faults if text])


def open_rules(place: Place) -> Finding:
    """Audit that no rule besides ours lets others in to a port that a process of ours listens on."""
    _tool, state = place.firewall
    ports = {
        listener.port: listener.process
        for listener in place.listeners
        if not listener.is_local and place.is_ours(listener)
    }
    comment = _rules.comment_of(place.params["cluster"])
    faults = _audit.rule_faults(state.rules, comment, ports, place.params["public_ports"])
    return Finding(f"{len(state.rules)} rules for {len(ports)} ports", faults)


def listeners(place: Place) -> Finding:
    """Audit which processes hold our ports."""
    ports = place.params["ports"]
    foreign = [found for found in place.listeners if found.port in ports and not place.is_ours(found)]
    faults = []
    for found in [_listeners.describe(listener, place.processes) for listener in foreign]:
        faults.append(
            f"port {found['port']} is held by {found['process'] or '?'} (pid {found['pid']}, user {found['user']})"
        )
    return Finding(f"{len(ports)} ports", faults)


def ray(place: Place) -> Finding:
    """Ask the GCS and the raylet without a token, by the release's own gRPC, as the service account."""
    params, address = place.params, place.params["address"]
    at = f"[{address}]" if ":" in address else address
    asked = [["raylet", f"{at}:{params['raylet_port']}", RAYLET]]
    if params["gcs_port"]:
        asked.append(["GCS", f"{at}:{params['gcs_port']}", GCS])
    argv = runtime_of(place.release).argv(["python", "-I", "-c", GRPC, json.dumps(asked)])
    status, out, err = _account_io.run_as(place.module, params["user"], argv, handle_exceptions=False)
    try:
        codes = json.loads(out) if status == 0 else None
    except ValueError:
        codes = None
    if not isinstance(codes, dict):
        raise Unknown(f"the release's Python could not ask: {err.strip()[-200:]}")
    down = [name for name, code in codes.items() if code in UNREACHED]
    if down:
        raise Unknown(f"no answer from {', '.join(down)}")
    faults = [f"the {name} answers {code}" for name, code in codes.items() if code != "UNAUTHENTICATED"]
    return Finding(", ".join(f"{name} at {where}" for name, where, _method in asked), faults)


def dashboard(place: Place) -> Finding:
    """Ask the dashboard of Ray without a token."""
    url = place.params["dashboard"]
    faults = [_audit.route_fault(route, _status(f"{url}{route}")) for route in _audit.DASHBOARD_ROUTES]
    return Finding(f"{len(faults)} routes of {url}", list(filter(None, faults)))


def api(place: Place) -> Finding:
    """Ask all routes of the API without, with an empty and with a wrong key."""
    url, opened = place.params["api"], place.params["api_open"]
    keys = {
        "without a key": None,
        "with an empty key": "Bearer ",
        "with a wrong key": f"Bearer {secrets.token_hex(32)}",
    }
    health = _status(f"{url}/health")
    if health != 200:
        raise Unknown(f"{url}/health answers {health}")
    answers: dict[str, dict[str, int]] = {}
    silent = []
    for route in [route for route in _audit.ROUTES if route not in opened]:
        for method in ("GET", *(["POST"] if route in _audit.INFERENCE else [])):
            try:
                given = {what: _status(f"{url}{route}", method, header) for what, header in keys.items()}
                answers[f"{method} {route}"] = given
            except Unknown as error:
                silent.append(str(error))
    faults = _audit.api_faults(answers)
    if silent and not faults:
        raise Unknown("; ".join(silent))
    return Finding(f"{len(answers) * len(keys)} requests to {url}", faults)


def _status(url: str, method: str = "GET", authorization: str | None = None) -> int:
    try:
        return _http_io.status(url, method, authorization, SECONDS)
    except _http_io.Refused as error:
        raise Unknown(f"{url}: {error}") from error


def tls(place: Place) -> Finding:
    """Audit the certificate of the API: that clients with the cluster's CA accept it, and how long it is good for."""
    url, params = place.params["api"], place.params
    if not url.startswith("https:"):
        return Finding("off, so key and answers cross the network unencrypted")
    try:
        ends = _http_io.ends_of(url, params["ca_file"], params["server_name"], SECONDS)
    except _http_io.Refused as error:
        if error.kind == "untrusted":
            return Finding(url, [f"{url}: {error}"])
        raise Unknown(f"{url}: {error}") from error
    soon = _tls.ends_soon(ends, time.time())
    return Finding(
        f"the certificate is good until {_tls.date(ends)}", [f"of the certificate of {url}: {soon}"] if soon else []
    )


ROWS: Mapping[str, Callable[[Place], Finding]] = {
    "firewall": firewall,
    "open_rules": open_rules,
    "listeners": listeners,
    "ray": ray,
    "dashboard": dashboard,
    "api": api,
    "tls": tls,
}
