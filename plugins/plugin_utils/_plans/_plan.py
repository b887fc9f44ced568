# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what the cluster should be, as a pure function of hosts, settings and state. PRIVATE to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import HUBS, hub_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _danger, _lint, _registry, _tls_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Target
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._inventory_checks import (
    check_absent,
    check_inventory,
    check_leaving,
    check_serving,
    removed_while_it_serves,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._model_checks import check_models
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._settings_checks import shut_out
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _layout, _members, _private, _value_types
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster, cluster_of
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import (
    Host,
    api_port,
    dashboard_url,
    gpu_indices,
    metrics_ports,
    serve_args,
    serve_state,
    server_name,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._record import (
    FILE,
    KnownEngine,
    KnownHost,
    Record,
    Unreadable,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _engine
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._engine import Engine
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _rotation, _stages
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import (
    Endpoint,
    EnginePlan,
    HostPlan,
    ModelPlan,
    Outline,
    Plan,
    RayPlan,
    ReleasePlan,
    TlsPlan,
    Whole,
)

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look


def api_clients(settings: Mapping[str, t.Any], controllers: Sequence[str]) -> list[str]:
    """Return the addresses that may reach the API besides the peers."""
    given = settings.get("vllm_ray_api_clients")
    if given is not None:
        return [str(client) for client in given]
    return [address for address in controllers if not ipaddress.ip_address(address).is_loopback]


def controllers_of(cluster: Cluster, controllers: Sequence[str]) -> Sequence[str]:
    """Return the addresses by which the controller comes to the serve host.

    That host's own view counts: behind NAT, the controller's own address is another machine's there. controllers: what
    the controller takes for its own, for a serve host that Ansible does not reach by SSH.
    """
    look = cluster.by_name[cluster.serve_host].look
    seen = look["host"]["client"] if look else ""
    try:
        return controllers if ipaddress.ip_address(seen).is_link_local else [seen]
    except ValueError:
        return controllers


def model_plan(
    head: Host, hosts: Sequence[Host], on_controller: _look.ModelFacts | None
) -> tuple[ModelPlan, list[Problem]]:
    """Decide where the model comes from and where it is on every host, and return it.

    on_controller: what the controller has of it, None where that is not asked.
    """
    wish, source = head.settings["vllm_ray_model"], head.settings["vllm_ray_model_source"]
    if not wish:
        return ModelPlan(), []
    name = wish.rstrip("/").rsplit("/", 1)[-1] if wish.startswith("/") or "://" in wish else wish
    found: dict[str, _look.ModelFacts] = {
        host.name: host.look["model"] for host in hosts if host.look and host.look["model"]
    }
    here = [host.name for host in hosts if host.look and wish in host.look["host"]["present"]]
    if source == "auto":
        source = hub_of(wish) if not wish.startswith("/") else "host" if here else "controller"
    source_host = hub_host(head, hosts, found) if source in HUBS else (here or [head.name])[0]
    # The directory of a model of a hub depends on its commit, which is known only after the download.
    path = {"host": wish, "controller": f"{head.paths.models}/{name}"}.get(source, "")
    problems = []
    brought = on_controller is not None and on_controller["directory"] != ""
    if (source == "host" and not here) or (source == "controller" and not brought):
        where = "on the controller" if source == "controller" else "on any host"
        fix = "correct vllm_ray_model; a path is looked up on the hosts first, then on the controller"
        problems.append(Problem("-", "model", "error", f"{wish} is not a directory {where}", "a model directory", fix))
    origin = on_controller if source == "controller" else found.get(source_host)
    problem = origin["problem"] if origin else None
    if problem:
        where = "-" if source == "controller" else source_host
        problems.append(Problem(where, "model", "error", problem["found"], problem["wanted"], problem["fix"]))
    # A host that has the model knows what it is, also where the source is left out by --limit.
    known = next((it for it in (origin, *found.values()) if it and it["model"]), None)
    facts = known["model"] if known else None
    plan = ModelPlan(
        wish=wish,
        name=name,
        source=source,
        source_host=source_host,
        # Other hosts are believed about the model only with a digest that is known.
        trusted=[head.name, first_host(head, hosts)],
        path=path,
        facts=facts,
        code=known["code"] if known else [],
        pickled=known["pickled"] if known else [],
        bytes=_engine.model_of(facts).weight_bytes if facts else 0,
        missing=[name for name, model_there in found.items() if not model_there["directory"]],
    )
    return plan, problems


def hub_host(head: Host, hosts: Sequence[Host], found: Mapping[str, _look.ModelFacts]) -> str:
    """Return the host that has a hub's model first: the previous one, because it knows the commit, or the downloader.

    found: what hosts have of the model.
    """
    first = first_host(head, hosts)
    return next((name for name in (first, *found) if name in found and found[name]["pinned"]), first)


def first_host(head: Host, hosts: Sequence[Host]) -> str:
    """Return the host that downloads a model from a hub."""
    there = [head.name, *(host.name for host in hosts if host.look or host.limited)]
    return _members.downloader(there, head.settings.get("vllm_ray_release_builder"))


def model_needs(host: Host, model: ModelPlan) -> dict[str, int]:
    """Return the bytes of the model by the path below which a host will get it; nothing where it has it."""
    if host.name not in model.missing:
        return {}
    return {model.path if model.source == "host" else host.paths.models: model.bytes}


def start_seconds(host: Host) -> float:
    """Return how long the engine that serves on a host took to start. 0 if none serves or the time is unknown."""
    return float((host.look["engine"].get("start_seconds") if host.look else 0) or 0)


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


def host_problems(cluster: Cluster, model: ModelPlan, starts: Collection[str]) -> list[Problem]:
    """Return what is wrong with probed hosts, each by itself and together.

    starts: hosts on which the engine is to be started.
    """
    problems = []
    if cluster.wished not in cluster.by_name:
        found, fix = f"serve host {cluster.wished}", "name a host of the cluster in vllm_ray_serve_host"
        problems.append(Problem("-", "inventory", "error", found, "a host of the cluster", fix))
    for host in cluster.hosts:
        target = Target(host, host.name == cluster.serve_host, host.name in starts, model_needs(host, model))
        problems += _registry.host_problems(target)
    problems += _registry.cluster_problems(cluster)
    return problems


def make_plan(
    hosts: Sequence[Host],
    controllers: Sequence[str],
    on_controller: _look.ModelFacts | None,
    head_group: str,
    worker_group: str,
    nodes: bool = True,
    rotate: str = "",
) -> Plan:
    """Make the plan. hosts: the head first, then the workers as in the inventory.

    controllers: the controller's own addresses towards the hosts. on_controller: what the controller has of the model.
    nodes: whether the run goes on to the nodes of Ray. rotate: the time in UTC if it is to renew secrets.
    """
    problems = check_inventory(hosts, head_group, worker_group)
    heads = [host for host in hosts if host.is_head]
    if len(heads) != 1:
        return Plan(problems)
    try:
        cluster = cluster_of(hosts, heads[0], nodes)
    except Unreadable as error:
        return Plan([*problems, record_problem(heads[0], error)])
    model, model_problems = model_plan(cluster.head, hosts, on_controller)
    engine = engine_of(cluster, model)
    used = engine.layout.gpus if engine.layout else {}
    problems += host_problems(cluster, model, () if engine.kept and not cluster.is_down else used)
    copies = check_models(hosts, model.as_dict())
    told = {problem.host for problem in copies if problem.severity == "error"}
    problems += [*(problem for problem in model_problems if problem.host not in told), *copies]
    gone = [name for name in used if name not in cluster.addresses and name not in cluster.leaving]
    if cluster.record.serve_host in cluster.leaving and not cluster.may_change:
        gone.append(cluster.record.serve_host)
    problems += [*engine.problems, *check_absent(hosts, {cluster.serve_host, *used}, cluster.known)]
    problems += [*check_serving(cluster), *check_leaving(cluster), *_tls_checks.options(cluster)]
    rotation = _rotation.rotation_of(cluster, rotate)
    cluster = replace(cluster, renews=rotation is not None)
    seconds = max((start_seconds(host) for host in hosts), default=0.0)
    problems += _rotation.problems(cluster, rotation, bool(rotate), seconds)
    problems += [removed_while_it_serves(name) for name in gone]
    args = serve_args(cluster.by_name[cluster.serve_host].settings)
    problems += _danger.model(model.code, model.pickled, args)
    settings = cluster.head.settings
    outline = Outline(
        settings["vllm_ray_cluster"], cluster.head.name, cluster.accelerator.name, cluster.serving, ray_of(cluster.head)
    )
    whole = None
    if engine.layout:
        problems += _lint.executor(args, engine.layout.executor, sum(used.values()))
    if engine.layout and not gone:
        clients = api_clients(settings, controllers_of(cluster, controllers))
        whole = complete(cluster, outline, engine, engine.layout, model, rotation, clients)
        problems += [*_tls_checks.in_clear(cluster, clients), *shut_out(cluster, clients)]
    return Plan(problems, outline, whole)


def record_problem(head: Host, error: Unreadable) -> Problem:
    """Return the problem of a record that can't be used: without it a run could stop what serves."""
    found = f"{head.paths.config}/{FILE} {error}"
    return Problem(head.name, "record", "error", found, error.wanted, error.fix)


def engine_of(cluster: Cluster, model: ModelPlan) -> Engine:
    """Return the layout of the engine, and what is to be said of it."""
    offer, notes = cluster.offer(), []
    if cluster.wished in cluster.by_name and cluster.wished != cluster.serve_host:
        how = "which stops the engine: -e vllm_ray_restart=true"
        if cluster.may_change:
            how = f"once a run without --limit reaches {cluster.serve_host}"
        notes = [f"the serve host would change to {cluster.wished}, {how}"]
    if cluster.serve_host not in offer:
        return Engine(None, notes=notes)
    what = _engine.model_of(model.facts) if model.facts else None
    engine = _engine.choose(cluster, offer, what)
    return replace(engine, notes=[*notes, *engine.notes])


def host_part(cluster: Cluster, host: Host, layout: _layout.Layout) -> HostPlan:
    """Return the part of the plan for one host."""
    nic = cluster.addresses[host.name]
    known = cluster.known.get(host.name)
    indices = gpu_indices(host, cluster.accelerator, known.gpus if known else 0)
    engine_gpus = indices[: layout.gpus.get(host.name, 0)]
    # The placement group of vLLM's Ray executor takes any free GPU of the cluster. So that the plan decides where
    # ranks run, Ray is offered the engine's GPUs alone; beside an engine with the mp executor, all but its own.
    offered = engine_gpus if layout.executor == "ray" else [i for i in indices if i not in engine_gpus]
    foreign = host.look["usage"]["foreign_ray"] if host.look else []
    return HostPlan(
        address=nic.address,
        nic=nic.nic,
        is_head=host.is_head,
        reached=host.look is not None,
        gpus=len(indices),
        metrics_ports=metrics_ports(host.settings, host.is_head, host.name == cluster.serve_host),
        own_addresses=own_addresses(host),
        ray_gpus=offered,
        engine_gpus=engine_gpus,
        env=_private.public_environment(host.settings, cluster.accelerator),
        foreign_ray=foreign if host.settings["vllm_ray_take_over"] else [],
        may_stop=cluster.may_stop(host.name),
        paths=host.paths,
        settings=_private.public(host.settings),
    )


def own_addresses(host: Host) -> list[str]:
    """Return the addresses by which a host asks its own API and dashboard, besides its cluster address.

    Where one of them binds all addresses, or a name of which only the host knows the address: all that the host has.
    """
    bound = [host.settings.get(name) for name in ("vllm_ray_api_host", "vllm_ray_dashboard_host")]
    given = [str(name) for name in bound if name not in (None, "", "localhost")]
    if all(_value_types.is_address(name) and name not in ("0.0.0.0", "::") for name in given):
        return given
    return sorted({entry["address"] for entry in host.look["network"]["addresses"]}) if host.look else []


def ray_of(head: Host) -> RayPlan:
    """Return how the cluster's Ray is asked on its head."""
    config = head.paths.config
    return RayPlan(head.settings["vllm_ray_gcs_port"], dashboard_url(head.settings), config, f"{config}/ray.token")


def endpoint_of(cluster: Cluster, model: ModelPlan) -> Endpoint:
    """Return where the engine answers, and by which name of the model."""
    server = cluster.by_name[cluster.serve_host].settings
    own = cluster.addresses[cluster.serve_host].address
    bound, port = server.get("vllm_ray_api_host") or own, api_port(server)
    reach = own if bound in ("0.0.0.0", "::") else bound
    name = serve_args(server).get("served-model-name", model.name)
    scheme = "http" if server["vllm_ray_tls"] == "off" else "https"
    url = f"{scheme}://{f'[{reach}]' if ':' in reach else reach}:{port}"
    return Endpoint(bound, port, url, name[0] if isinstance(name, list) else name, server_name(server))


def engine_part(
    cluster: Cluster,
    engine: Engine,
    layout: _layout.Layout,
    hosts: Mapping[str, HostPlan],
    addresses: Mapping[str, str],
    endpoint: Endpoint,
) -> EnginePlan:
    """Return the part of the plan for the engine. addresses: of all hosts, with those that left and stay for now."""
    return EnginePlan(
        serve_host=cluster.serve_host,
        layout=layout,
        endpoint=endpoint,
        needs_free=cluster.is_down,
        layers={addresses[name]: list(counts) for name, counts in layout.layers.items()},
        wanted={hosts[name].address: len(hosts[name].ray_gpus) for name in layout.gpus if name in hosts},
        unused={
            host.address: len(host.ray_gpus) for name, host in hosts.items() if name not in layout.gpus and host.reached
        },
        kept=engine.kept,
        notes=[*engine.notes, *_tls_checks.changes(cluster, endpoint.url)],
        advice=engine.advice,
        away=max((start_seconds(host) for host in cluster.hosts), default=0.0),
    )


def record_of(cluster: Cluster, hosts: Mapping[str, HostPlan], engine: EnginePlan, wish: str | None) -> Record:
    """Return what the head keeps of this plan for the next run. wish: the model as the user named it."""
    known = {
        name: KnownHost(nic.address, nic.nic, nic.mtu, hosts[name].gpus) for name, nic in cluster.addresses.items()
    }
    kept = KnownEngine(engine.layout, engine.serve_host, wish, engine.endpoint.as_dict())
    return Record({**cluster.leaving, **known}, kept)


def complete(
    cluster: Cluster,
    outline: Outline,
    engine: Engine,
    layout: _layout.Layout,
    model: ModelPlan,
    rotation: _rotation.Rotation | None,
    clients: list[str],
) -> Whole:
    """Return the part of the plan that needs a layout. clients: of the API."""
    by_name, settings = cluster.by_name, cluster.head.settings
    hosts = {name: host_part(cluster, by_name[name], layout) for name in cluster.addresses}
    news = _stages.news(cluster.known, cluster.addresses, sum(layout.gpus.values()), cluster.serving)
    # Hosts that left the inventory while the engine may not be stopped are left as they are.
    staying = {} if cluster.parts else {name: nic.address for name, nic in cluster.leaving.items()}
    peers = {**staying, **{name: host.address for name, host in hosts.items()}}
    endpoint = endpoint_of(cluster, model)
    part = engine_part(cluster, engine, layout, hosts, peers, endpoint)
    # They are forgotten when all others have the new token: a run that ends before is to be taken up again.
    leaving = list(cluster.leaving) if cluster.parts else []
    return Whole(
        outline=outline,
        hosts=hosts,
        engines=(part,),
        news=news,
        names={address: name for name, address in peers.items()},
        peers=peers,
        groups={
            name: play_groups(by_name[name], name == cluster.serve_host, bool(news))
            for name, host in hosts.items()
            if host.reached
        },
        leaving=leaving,
        held={} if cluster.free else {name: ["it left the inventory"] for name in cluster.leaving},
        release=ReleasePlan(
            builder=settings.get("vllm_ray_release_builder") or cluster.head.name,
            path=settings.get("vllm_ray_release_path") or "",
            id=settings.get("vllm_ray_release_id") or "",
            present={host.name: host.look["host"]["release"] for host in cluster.hosts if host.look},
        ),
        model=model,
        record=record_of(cluster, hosts, part, model.wish or None),
        rotation=rotation,
        renewals=_rotation.renewals(rotation, leaving),
        api_clients=clients,
        tls=TlsPlan(
            mode=by_name[cluster.serve_host].settings["vllm_ray_tls"],
            names=_tls_checks.own_names(cluster, endpoint.host),
        ),
    )
