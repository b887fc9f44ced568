# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what the cluster should be, as a pure function of hosts, settings and state. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _engine, _layout, _stages
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import (
    check_absent,
    check_addresses,
    check_host,
    check_inventory,
    check_paths,
    removed_while_it_serves,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._engine import Engine
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._host import (
    Host,
    accelerator,
    api_port,
    gpu_indices,
    metrics_ports,
    serve_args,
    serve_state,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._host_checks import check_state, check_states
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._model_checks import check_models
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._problem import Problem

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# On CPU hosts there is seldom a compiler (some layers call torch.compile in spite of eager mode), and vLLM takes half
# of the memory for its cache unless told otherwise.
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "TORCHDYNAMO_DISABLE": "1"}
CPU_SERVE_ARGS = {"enforce-eager": True}
# States of a service that does not run, as systemd and supervisor call them.
ENDED = ("inactive", "failed", "stopped", "fatal", "exited")


def api_clients(settings: Mapping[str, t.Any], controllers: Sequence[str]) -> list[str]:
    """Return who may reach the API besides the peers."""
    given = settings.get("vllm_ray_api_clients")
    if given is not None:
        return [str(client) for client in given]
    return [address for address in controllers if not ipaddress.ip_address(address).is_loopback]


def may_stop(host: Host, serving: bool, used: Mapping[str, int]) -> bool:
    """Tell whether a host's services may be stopped: with consent, or where nothing serves on them."""
    return bool(host.settings["vllm_ray_restart"]) or not serving or (host.name not in used and not host.is_head)


def host_part(
    host: Host,
    address: Mapping[str, t.Any],
    layout: _layout.Layout,
    kind: str,
    serves: bool,
    serving: bool,
    used: Mapping[str, int],
) -> dict[str, t.Any]:
    """Return the plan's part for one host, from which playbooks make role variables."""
    indices = gpu_indices(host, kind, address)
    engine_gpus = indices[: layout.gpus.get(host.name, 0)]
    # The placement group of vLLM's Ray executor takes any free GPU of the cluster. So that the plan decides where
    # ranks run, Ray is offered the engine's GPUs alone; beside an engine with the mp executor, all but its own.
    offered = engine_gpus if layout.executor == "ray" else [i for i in indices if i not in engine_gpus]
    environment = {**(CPU_ENVIRONMENT if kind == "cpu" else {}), **host.settings["vllm_ray_env"]}
    if host.settings.get("vllm_ray_nccl_debug"):
        environment["NCCL_DEBUG"] = host.settings["vllm_ray_nccl_debug"]
    return {
        "address": address["address"],
        "nic": address["nic"],
        "is_head": host.is_head,
        "reached": host.look is not None,
        "gpus": len(indices),
        "metrics_ports": metrics_ports(host.settings, host.is_head, serves),
        "ray_gpus": offered,
        "engine_gpus": engine_gpus,
        "env": {name: str(value) for name, value in environment.items()},
        "foreign_ray": (host.look or {}).get("usage", {}).get("foreign_ray", [])
        if host.settings["vllm_ray_take_over"]
        else [],
        "may_stop": may_stop(host, serving, used),
        "paths": host.paths.as_dict(),
        "settings": {name: value for name, value in host.settings.items() if "token" not in name},
    }


def model_plan(
    head: Host, hosts: Sequence[Host], on_controller: Mapping[str, t.Any]
) -> tuple[dict[str, t.Any], list[Problem]]:
    """Decide where the model comes from and where it lies on every host, and tell what it is.

    on_controller: what the controller has of it, as host_info tells it of a host.
    """
    wish, source = head.settings["vllm_ray_model"], head.settings["vllm_ray_model_source"]
    if not wish:
        return {}, []
    name = wish.rstrip("/").rsplit("/", 1)[-1] if wish.startswith("/") else wish
    here = [host.name for host in hosts if host.look and wish in host.look["host"]["present"]]
    if source == "auto":
        source = "huggingface" if not wish.startswith("/") else "host" if here else "controller"
    model = {"name": name, "source": source, "wish": wish, "source_host": here[0] if here else head.name}
    # Where a model of a hub lies depends on its commit, which only the download tells.
    path = {"host": wish, "controller": f"{head.paths.models}/{name}"}.get(source, "")
    problems = []
    if (source == "host" and not here) or (source == "controller" and not on_controller.get("directory")):
        where = "on the controller" if source == "controller" else "on any host"
        fix = "correct vllm_ray_model; a path is looked up on the hosts first, then on the controller"
        problems.append(Problem("-", "model", "error", f"{wish} is no directory {where}", "a model directory", fix))
    found = {host.name: host.look["model"] for host in hosts if host.look and host.look["model"]}
    origin = on_controller if source == "controller" else found.get(model["source_host"], {})
    if origin.get("problem"):
        where = "-" if source == "controller" else model["source_host"]
        told = {key: origin["problem"][key] for key in ("found", "wanted", "fix")}
        problems.append(Problem(where, "model", "error", **told))
    missing = [name for name, model_there in found.items() if not model_there["directory"]]
    facts = origin.get("model")
    size = _engine.model_of(facts).weight_bytes if facts else 0
    return {**model, "path": path, "facts": facts, "bytes": size, "missing": missing}, problems


def model_needs(host: Host, model: Mapping[str, t.Any]) -> dict[str, int]:
    """Return the bytes of the model by the path below which a host will get it; nothing where it has it.

    model: of model_plan.
    """
    if host.name not in model.get("missing", []):
        return {}
    return {model["path"] if model["source"] == "host" else host.paths.models: model["bytes"]}


def make_plan(
    hosts: Sequence[Host],
    controllers: Sequence[str],
    on_controller: Mapping[str, t.Any],
    head_group: str,
    worker_group: str,
) -> dict[str, t.Any]:
    """Make the plan. hosts: the head first, then the workers as in the inventory.

    controllers: the controller's own addresses towards the hosts. on_controller: what the controller has of the model.
    Returns a dict with `problems` (list of dicts); the rest is there only where no error stands in the way.
    """
    problems = check_inventory(hosts, head_group, worker_group)
    heads = [host for host in hosts if host.is_head]
    if len(heads) != 1:
        return {"problems": [problem.as_dict() for problem in problems]}
    head = heads[0]
    record = with_engine(((head.look or {}).get("host") or {}).get("record") or {}, hosts)
    serve_host = head.settings.get("vllm_ray_serve_host") or head.name
    if serve_host not in [host.name for host in hosts]:
        fix = "name a host of the cluster in vllm_ray_serve_host"
        problems.append(Problem("-", "inventory", "error", f"serve host {serve_host}", "a host of the cluster", fix))
        serve_host = head.name
    serving = any((host.look or {}).get("engine", {}).get("serving") for host in hosts)
    may_change = not serving or head.settings["vllm_ray_restart"]
    wished, serve_host = serve_host, serve_host if may_change else serves_now(record, hosts) or serve_host
    kind = accelerator(head)
    known = record.get("hosts", {})
    model, model_problems = model_plan(head, hosts, on_controller)
    for host in hosts:
        serves = host.name == serve_host
        problems += check_host(host, serves)
        problems += check_state(host, serves, model_needs(host, model)) if host.look else []
        problems += check_paths(host.paths, host.name)
    addresses: dict[str, t.Any] = {
        host.name: (host.look["network"]["cluster_nic"] if host.look else known.get(host.name)) for host in hosts
    }
    addresses = {name: value for name, value in addresses.items() if value}
    problems += check_states([host for host in hosts if host.look])
    problems += check_addresses({name: value["address"] for name, value in addresses.items()})
    old = _layout.from_record(record)
    offer = {
        host.name: len(gpu_indices(host, kind, known.get(host.name, {})))
        for host in hosts
        if host.name in addresses and not (may_be_absent(host) and not (old and host.name in old.gpus))
    }
    copies = check_models(hosts, model)
    told = {problem.host for problem in copies if problem.severity == "error"}
    problems += [*(problem for problem in model_problems if problem.host not in told), *copies]
    plan: dict[str, t.Any] = {"cluster": head.settings["vllm_ray_cluster"], "head": head.name, "accelerator": kind}
    engine = Engine(None)
    if serve_host in offer:
        what = _engine.model_of(model["facts"]) if model.get("facts") else None
        engine = _engine.choose(offer, hosts, head, serve_host, kind, what, record, may_change)
        problems += engine.problems
    used = engine.layout.gpus if engine.layout else {}
    problems += check_absent(hosts, {serve_host, *used}, known)
    gone = [name for name in used if name not in addresses]
    problems += [removed_while_it_serves(name) for name in gone]
    if serve_host != wished:
        note = f"the serve host would change to {wished}, which stops the engine: -e vllm_ray_restart=true"
        engine.notes.insert(0, note)
    if engine.layout and not gone:
        chosen = complete(hosts, head, serve_host, addresses, engine.layout, kind, model, record, controllers, serving)
        away = max((start_seconds(host) for host in hosts), default=0.0)
        chosen["engine"].update(kept=engine.kept, notes=engine.notes, advice=engine.advice, away=away)
        plan.update(chosen)
    plan["problems"] = [problem.as_dict() for problem in problems]
    return plan


def with_engine(record: Mapping[str, t.Any], hosts: Sequence[Host]) -> Mapping[str, t.Any]:
    """Return the record; where it was lost while an engine serves, with the engine as it runs."""
    server = next((host for host in hosts if (host.look or {}).get("engine", {}).get("serving")), None)
    if record.get("engine") or server is None or server.look is None:
        return record
    engine = server.look["engine"]
    offers = {host.name: host.look["usage"]["ray_gpus"] for host in hosts if host.look}
    gpus = {server.name: offers[server.name], **{name: count for name, count in offers.items() if count}}
    if engine["executor"] == "mp":
        gpus = {server.name: engine["tp"] * engine["pp"]}
    return {**record, "engine": {"tp": engine["tp"], "pp": engine["pp"], "gpus": gpus, "serve_host": server.name}}


def start_seconds(host: Host) -> float:
    """Return how long the engine that serves on a host took to start, 0 where none does or nobody knows."""
    return float((host.look or {}).get("engine", {}).get("start_seconds") or 0)


def serves_now(record: Mapping[str, t.Any], hosts: Sequence[Host]) -> str | None:
    """Return the serve host of the record, if it is still in the inventory."""
    name = (record.get("engine") or {}).get("serve_host")
    return name if name in [host.name for host in hosts] else None


def may_be_absent(host: Host) -> bool:
    """Tell whether a host did not answer and the user goes on without it."""
    return host.look is None and not host.limited and bool(host.settings["vllm_ray_absent_ok"])


def play_groups(host: Host, serves: bool, unchecked: bool) -> list[str]:
    """Return the groups by which plays find a host. unchecked: whether what is between hosts is to be checked."""
    groups = ["vllm_ray_planned"]
    if serves:
        groups.append("vllm_ray_serving")
    elif serve_state(host) != "inactive":
        groups.append("vllm_ray_retired")
    if unchecked:
        groups.append("vllm_ray_unchecked")
    return groups


def complete(
    hosts: Sequence[Host],
    head: Host,
    serve_host: str,
    addresses: Mapping[str, t.Any],
    layout: _layout.Layout,
    kind: str,
    model: Mapping[str, t.Any],
    record: Mapping[str, t.Any],
    controllers: Sequence[str],
    serving: bool,
) -> dict[str, t.Any]:
    """Return the part of the plan that needs a layout."""
    by_name = {host.name: host for host in hosts}
    old = _layout.from_record(record)
    used = {**(old.gpus if old else {}), **({serve_host: 0} if serving else {})}
    server = by_name[serve_host].settings
    args = serve_args(server)
    api_host = server.get("vllm_ray_api_host") or addresses[serve_host]["address"]
    reach = addresses[serve_host]["address"] if api_host in ("0.0.0.0", "::") else api_host
    port = api_port(server)
    served_name = args.get("served-model-name", model.get("name", ""))
    parts = {
        name: host_part(by_name[name], address, layout, kind, name == serve_host, serving, used)
        for name, address in addresses.items()
    }
    sizes = {"tp": layout.tp, "pp": layout.pp, "gpus": layout.gpus}
    news = _stages.news(record.get("hosts", {}), addresses, sum(layout.gpus.values()), serving)
    endpoint = {
        "host": api_host,
        "port": port,
        "url": f"http://{f'[{reach}]' if ':' in reach else reach}:{port}",
        "model": served_name[0] if isinstance(served_name, list) else served_name,
    }
    return {
        "serve_host": serve_host,
        "serving": serving,
        "news": news,
        "hosts": parts,
        "engine": {
            **sizes,
            "executor": layout.executor,
            "layers": {addresses[name]["address"]: list(counts) for name, counts in layout.layers.items()},
            "args": {**(CPU_SERVE_ARGS if kind == "cpu" else {}), **args},
            "endpoint": endpoint,
            # An engine that runs, or still starts, holds its GPUs itself, also where another host is to serve.
            "needs_free": all(serve_state(host) in ENDED for host in hosts),
            "wanted": {addresses[name]["address"]: len(parts[name]["ray_gpus"]) for name in layout.gpus},
            "unused": {
                address["address"]: len(parts[name]["ray_gpus"])
                for name, address in addresses.items()
                if name not in layout.gpus and parts[name]["reached"]
            },
        },
        "names": {address["address"]: name for name, address in addresses.items()},
        "release": {
            "builder": head.settings.get("vllm_ray_release_builder") or head.name,
            "path": head.settings.get("vllm_ray_release_path") or "",
            "present": {host.name: host.look["host"]["release"] for host in hosts if host.look},
        },
        "model": dict(model),
        "members": [
            {"name": name, "groups": play_groups(by_name[name], name == serve_host, bool(news))}
            for name, part in parts.items()
            if part["reached"]
        ],
        "peers": {name: address["address"] for name, address in addresses.items()},
        "api_clients": api_clients(head.settings, controllers),
        "record": {
            "hosts": {
                name: {**{k: address[k] for k in ("address", "nic", "mtu")}, "gpus": parts[name]["gpus"]}
                for name, address in addresses.items()
            },
            "engine": {
                **sizes,
                **({"layers": {name: list(counts) for name, counts in layout.layers.items()}} if layout.layers else {}),
                "wish": model.get("wish"),
                "serve_host": serve_host,
                "endpoint": endpoint,
            },
        },
    }
