# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of a host: commands, /proc and small files. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _gpu, _listeners, _nic
from ansible_collections.vllm_ray.cluster.plugins.module_utils._http_io import Refused, read_secret, request_json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._ray import gcs_address
from ansible_collections.vllm_ray.cluster.plugins.module_utils._service_set_io import manager_for, read_text

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule


def run(module: AnsibleModule, argv: Sequence[str]) -> str:
    """Return what a command prints, or an empty text where it is missing or fails."""
    if not module.get_bin_path(argv[0]):
        return ""
    rc, out, _err = module.run_command(list(argv))
    return out if rc == 0 else ""


def processes() -> dict[int, _listeners.Process]:
    """Return all processes of the host."""
    result = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stream:
                head, _paren, rest = stream.read().rpartition(")")
            uid = os.stat(f"/proc/{entry}").st_uid
            cgroup = (read_text(f"/proc/{entry}/cgroup") or "").strip().splitlines()
        except (OSError, ValueError):
            continue
        units = [line.rsplit("/", 1)[-1] for line in cgroup]
        result[int(entry)] = _listeners.Process(
            pid=int(entry),
            parent=int(rest.split()[1]),
            name=head.split("(", 1)[1],
            user=user_name(uid),
            unit=next((unit for unit in units if unit.endswith(".service")), ""),
        )
    return result


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def resolve(name: str) -> str | None:
    """Return the first address that this host finds for a name, IPv4 before IPv6."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


def network(module: AnsibleModule) -> dict[str, t.Any]:
    """Return the cluster NIC, all addresses and the peers that could not be resolved or routed."""
    params = module.params
    addresses = _nic.parse_addresses(run(module, ["ip", "-j", "address"]))
    routes, unreachable = [], []
    for peer in params["peers"]:
        target = resolve(peer)
        route = _nic.parse_route(run(module, ["ip", "-j", "route", "get", target])) if target else None
        if route:
            routes.append(route)
        else:
            unreachable.append(peer)
    if not params["peers"]:
        route = _nic.parse_route(run(module, ["ip", "-j", "route", "get", "192.0.2.1"]))
        routes += [route] if route else []
    chosen = _nic.choose_cluster_nic(addresses, routes, params["nic"], params["address"])
    return {
        "cluster_nic": chosen.as_dict() if chosen else None,
        "addresses": [{"nic": a.nic, "address": a.address, "up": a.up} for a in addresses if a.scope == "global"],
        "peers_without_route": unreachable,
        "hostname_address": resolve(socket.gethostname()),
    }


def offered_gpus(pid: int) -> int | None:
    """Return how many GPUs the node of Ray with this process offers, None where it is no node."""
    words = (read_text(f"/proc/{pid}/cmdline") or "").split("\0")
    return next((int(word.split("=")[1]) for word in words if word.startswith("--num-gpus=")), None)


def usage(module: AnsibleModule) -> dict[str, t.Any]:
    """Return our services, what else listens on our ports and which Rays are not ours."""
    params = module.params
    states = manager_for(module).look(params["services"]) if params["services"] else {}
    own = {state.pid for state in states.values() if state.pid}
    table = processes()
    listeners = _listeners.parse_ss(run(module, _listeners.ARGV))
    taken = _listeners.foreign_listeners(listeners, params["ports"], own, table)
    return {
        "services": {name: state.state for name, state in states.items()},
        "ray_gpus": next((offer for offer in map(offered_gpus, own) if offer is not None), 0),
        "ports_taken": [
            {
                "port": listener.port,
                "address": listener.address,
                "pid": listener.pid,
                "process": listener.process,
                "user": table[listener.pid].user if listener.pid in table else "",
            }
            for listener in taken
        ],
        "foreign_ray": [
            {"pid": process.pid, "process": process.name, "user": process.user}
            for process in _listeners.foreign_ray(table, own)
        ],
    }


def disk_free(path: str) -> dict[str, t.Any]:
    """Return the free bytes of the filesystem that holds a path or would hold it."""
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    return {"path": path, "free": shutil.disk_usage(existing).free}


def os_release() -> dict[str, str]:
    """Return id and version of the distribution."""
    lines = (read_text("/etc/os-release") or "").splitlines()
    values = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    return {"id": values.get("ID", ""), "version": values.get("VERSION_ID", "")}


def host(module: AnsibleModule) -> dict[str, t.Any]:
    """Return what kind of machine this is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    record = read_text(module.params["record"]) if module.params["record"] else None
    return {
        "hostname": socket.gethostname(),
        "machine": os.uname().machine,
        "kernel": os.uname().release,
        "os": os_release(),
        "home": os.path.expanduser("~"),
        "user": user_name(os.getuid()),
        "pid1": (read_text("/proc/1/comm") or "").strip(),
        "cpus": os.cpu_count() or 1,
        "memory": memory,
        "gpus": _gpu.parse_nvidia_smi(run(module, _gpu.ARGV)),
        "disks": [disk_free(path) for path in module.params["paths"]],
        "present": [path for path in module.params["paths"] if os.path.isdir(path)],
        "record": json.loads(record) if record else None,
    }


def engine(module: AnsibleModule) -> dict[str, t.Any]:
    """Return whether an engine serves here: a completion of one token came, or would come from a busy engine."""
    text = read_text(module.params["engine_config"]) if module.params["engine_config"] else None
    if text is None:
        return {"serving": False, "why": "no engine here"}
    try:
        config = json.loads(text)
        address = {"0.0.0.0": module.params["address"] or "127.0.0.1", "::": "::1"}.get(config["host"], config["host"])
        serves = {
            "url": f"http://{gcs_address(address, config['port'])}",
            "model": config["served-model-name"],
            "tp": config["tensor-parallel-size"],
            "pp": config["pipeline-parallel-size"],
            "executor": config["distributed-executor-backend"],
        }
    except (ValueError, KeyError) as error:
        return {"serving": False, "why": f"{module.params['engine_config']}: {error!r}"}
    body = {"model": serves["model"], "prompt": "a", "max_tokens": 1}
    try:
        request_json(f"{serves['url']}/v1/completions", read_secret(module.params["engine_key_file"]), body, seconds=10)
    except Refused as error:
        # A busy engine answers late, and one that refuses our key or request answers, too.
        alive = "timed out" in str(error) or 400 <= error.status < 500
        return {"serving": alive, "why": str(error), **serves}
    return {"serving": True, "why": "", **serves}
