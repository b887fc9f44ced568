# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes a host. PRIVATE to the collection."""

from __future__ import annotations

import functools
import os
import platform
import resource
import shutil
import socket
import stat
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io, _system, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import (
    processes,
    ssh_connection,
    user_name,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _engine_state_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _backend, _backends_io, _wanted
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _gpu_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io, _model_files_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _listeners, _nic_io, _port_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager_io import manager_for

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import Running

SHARED_MEMORY = "/dev/shm"
UNITS = "/etc/systemd/system"
# Options of the module host_info.
DETAILS = {
    "cluster": {"type": "str", "required": True},
    "release": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "log_files": {"type": "list", "elements": "path", "default": []},
    "config": {"type": "path", "required": True},
    "started": {"type": "path", "required": True},
    "dashboard": {"type": "str"},
}
ARGUMENTS = {
    "peers": {"type": "list", "elements": "str", "default": []},
    "nic": {"type": "str"},
    "address": {"type": "str"},
    "ports": {"type": "list", "elements": "int", "default": []},
    "services": {"type": "list", "elements": "str", "default": []},
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
    "supervisor_directory": {"type": "path"},
    "supervisor_bin": {"type": "path"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "ray_directory": {"type": "path"},
    "record": {"type": "path"},
    "worked": {"type": "path"},
    "rotation": {"type": "path"},
    "release": {"type": "path"},
    "checked": {"type": "path"},
    "model": {
        "type": "dict",
        "options": {
            **{name: how for name, how in _hub.ARGUMENTS.items() if not how.get("no_log")},
            "root": {"type": "path", "default": "/var/lib/vllm-ray/models"},
            "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
            "fetch": {"type": "bool", "default": False},
            "user": {"type": "str", "default": ""},
            "verify": {"type": "str", "choices": ["none", "quick", "full"], "default": "none"},
        },
    },
    # AnsibleModule hides only whole options in the journal, whatever their text is.
    "hub_token": {"type": "str", "no_log": True},
    "hub_proxy": {"type": "str", "no_log": True},
    "engine_config": {"type": "path"},
    "engine_next_config": {"type": "path"},
    "engine_key_file": {"type": "path", "no_log": False},
    "engine_ca_file": {"type": "path"},
    "engine_server_name": {"type": "str"},
    "engine_certificate_file": {"type": "path"},
    "details": {"type": "dict", "options": DETAILS},
}


def look(module: AnsibleModule) -> _look.Look:
    """Return all that the plan and the checks must know of a host."""
    params = module.params
    states = manager_for(module).look(params["services"]) if params["services"] else {}
    own = {state.pid for state in states.values() if state.pid}
    units = [f"{name}.service" for name in states]
    table = processes()
    network = _nic_io.look(params["peers"], params["nic"], params["address"])
    nic = network["cluster_nic"]
    address = nic["address"] if nic else "0.0.0.0"
    result: _look.Look = {
        "host": host(module, own, _gpu_io.look(module, table, own, units)),
        "network": network,
        "usage": usage(module, states, table, own, address),
        "engine": _engine_state_io.look(module, states),
        "model": model(with_hub(params)) if params["model"] else None,
    }
    if params["details"]:
        # Loaded only here: a look at a host costs less without it.
        from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _details_io

        result["details"] = _details_io.details(module, params["details"])
    return result


def offered_gpus(pid: int) -> int | None:
    """Return how many GPUs the node of Ray with this process offers, None where it is no node."""
    words = (read_kernel(f"/proc/{pid}/cmdline") or "").split("\0")
    counts = (word.partition("=")[2] for word in words if word.startswith("--num-gpus="))
    return next((int(count) for count in counts if count.isdecimal() and len(count) < 6), None)


def usage(
    module: AnsibleModule,
    states: Mapping[str, Running],
    table: Mapping[int, _listeners.Process],
    own: Collection[int],
    address: str,
) -> _look.Usage:
    """Return our services, what else listens on our ports, which of them can't be bound, and what is left of others and
    of us.
    """
    ports = module.params["ports"]
    found, why = [], ""
    try:
        found = _port_io.listeners(ports=ports) if ports else []
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
    blind = not all(_port_io.sees(pid) for pid in own)
    taken = _listeners.foreign_listeners(found, ports, own, table, blind)
    free = sorted(set(ports) - {listener.port for listener in found}) if not why else []
    return {
        "services": {name: state.state for name, state in states.items()},
        "ray_gpus": next((offer for offer in map(offered_gpus, own) if offer is not None), 0),
        "ports_taken": [_listeners.describe(listener, table) for listener in taken],
        "ports_unknown": why,
        "bind_errors": _port_io.bind_errors(address, free),
        "foreign_ray": [_listeners.facts(process) for process in _listeners.foreign_ray(table, own)],
        "strays": [{**_listeners.facts(process), "unit": process.unit} for process in _listeners.strays(table, own)],
        "stale_sockets": stale_sockets(module.params["ray_directory"]),
    }


def stale_sockets(ray_directory: str | None) -> list[str]:
    """Return the sockets below Ray's directory that nobody has open."""
    sockets = []
    for directory, name in _safe_io.find(ray_directory, "session_2*", "sockets", "*") if ray_directory else ():
        now = directory.lstat(name)
        if now is not None and stat.S_ISSOCK(now.st_mode):
            sockets.append(directory.at(name))
    stale = _system.stale_sockets(sockets, read_kernel("/proc/net/unix") or "") if sockets else []
    return [_unsafe.shown(path) for path in stale]


def disk(path: str) -> _look.Disk:
    """Return size and free bytes of the filesystem that holds a path or would hold it, and whether it is read-only.

    filesystem distinguishes filesystems.
    """
    existing = os.path.abspath(path)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    use = shutil.disk_usage(existing)
    return {
        "path": path,
        "size": use.total,
        "free": use.free,
        "filesystem": os.stat(existing).st_dev,
        "read_only": bool(os.statvfs(existing).f_flag & os.ST_RDONLY),
    }


def shared_memory() -> _look.Space:
    """Return size and free bytes of /dev/shm, zeros where there is none."""
    if not os.path.isdir(SHARED_MEMORY):
        return {"size": 0, "free": 0}
    use = shutil.disk_usage(SHARED_MEMORY)
    return {"size": use.total, "free": use.free}


def memlock(own: Collection[int]) -> _look.Memlock:
    """Return how many bytes our services may lock (the least of them) and what a login may: -1 = without a limit."""
    limits = [_system.parse_memlock(read_kernel(f"/proc/{pid}/limits") or "") for pid in own]
    told = [limit for limit in limits if limit is not None]
    login = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    least = min((limit for limit in told if limit >= 0), default=-1)
    return {"services": least if told else None, "login": -1 if login == resource.RLIM_INFINITY else login}


def glibc() -> str:
    """Return the version of the C library, empty where it is not the GNU one."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]
    except (ValueError, OSError):
        return ""


def host(module: AnsibleModule, own: Collection[int], gpus: _look.Gpus) -> _look.Machine:
    """Return what kind of machine this is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    checked = module.params["checked"]
    return {
        **gpus,
        "hostname": socket.gethostname(),
        "machine": os.uname().machine,
        "kernel": os.uname().release,
        "os": _system.parse_os_release(_safe_io.read_text("/etc/os-release") or ""),
        "python": platform.python_version(),
        "glibc": glibc(),
        "time": time.time(),
        "home": os.path.expanduser("~"),
        "user": user_name(os.getuid()),
        "pid1": (read_kernel("/proc/1/comm") or "").strip(),
        "cpus": os.cpu_count() or 1,
        "memory": memory,
        "memlock": memlock(own),
        "shared_memory": shared_memory(),
        "disks": [disk(path) for path in module.params["paths"]],
        "present": [path for path in module.params["paths"] if os.path.isdir(path)],
        "record": mapping(module.params["record"]),
        "worked": mapping(module.params["worked"]),
        "rotation": mapping(module.params["rotation"]),
        "checked": ((_safe_io.read_text(checked) if checked else "") or "").strip(),
        "release": release(module.params["release"]),
        "accounts": accounts(),
        "state_owner": owner(os.path.dirname(module.params["ray_directory"] or "")),
        "firewall": firewall(module),
        "client": (_wanted.parse_ssh_connection(ssh_connection()) or ("",))[0],
    }


def mapping(path: str | None) -> dict[str, object] | None:
    """Return what a file of JSON holds, None where there is none."""
    return _safe_io.read_json(path, dict) if path else None


def accounts() -> dict[str, str]:
    """Return {cluster: account of its services} for all clusters of this host whose services systemd runs."""
    units = [name for _directory, name in _safe_io.find(UNITS, "vllm-ray-node@?*.service")]
    clusters = {name[len("vllm-ray-node@") : -len(".service")]: f"{UNITS}/{name}" for name in units}
    return {name: _system.unit_user(_safe_io.readable(path) or "") for name, path in clusters.items()}


def owner(path: str) -> str:
    """Return the name of a path's owner, its number where it has no name, empty where nothing is there."""
    try:
        return user_name(os.stat(path).st_uid)
    except OSError:
        return ""


def firewall(module: AnsibleModule) -> _look.Firewall:
    """Return why the firewall closes no port, empty where it does; whether firewall_mode=manage would change that; and
    what to do by hand.
    """
    backend = _backends_io.backend(module)
    tool, state = backend.tool, backend.configured()
    manageable = not state.enabled and (state.installed or bool(module.get_bin_path("apt-get")))
    return {
        "why_open": _backend.why_open(tool, state),
        "manageable": manageable,
        "fix": _backend.by_hand(tool, state),
    }


def with_hub(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the option `model` with how the hub is reached, which are options of their own as they may be secret."""
    return {**params["model"], "token": params["hub_token"], "proxy": params["hub_proxy"]}


def model(params: Mapping[str, t.Any]) -> _look.Model:
    """Return what a host has of the model, and the state of its files where it has one."""
    # A model may have hundreds of files on a slow share. Only a header that can't be read is read again.
    query = _model_config_io.query_of(params)
    read = functools.lru_cache(maxsize=None)(_model_config_io.reader(query.user))
    found = _model_config_io.look(query, read)
    place = found.directory
    files = _model_files_io.look(place, query.record_directory, query.user, params["verify"], read) if place else None
    return {**found.as_dict(), "files": files}


def release(link: str | None) -> str:
    """Return the name of the release that a link leads to, empty where there is none."""
    return os.path.basename(os.path.realpath(link)) if link and os.path.isdir(link) else ""
