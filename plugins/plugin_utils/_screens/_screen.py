# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plan and its problems look on a terminal. PRIVATE to the collection."""

from __future__ import annotations

import json
import shlex
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._plain import plain
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._report import count, problem_lines

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._layout import Layout
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._advice import Advice, Part
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans._types import Plan, TlsPlan, Whole


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align columns of text; the last one is left as it is. A cell is one line, whatever is in it."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    return [
        "  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[-1]]).rstrip() for row in rows
    ]


def summary(errors: Sequence[Mapping[str, str]]) -> str:
    """Return the text of a run that ends because of errors."""
    return "\n".join([f"{count(errors)}, nothing was changed:", *problem_lines(errors)])


def render(plan: Plan) -> str:
    """Return the plan's screen."""
    planned = plan_lines(plan.whole) if plan.whole else []
    return "\n".join(["", *planned, *problem_lines([problem.as_dict() for problem in plan.problems])])


def plan_lines(plan: Whole) -> list[str]:
    """Return hosts, engine and what changes."""
    engine, endpoint, cluster = plan.engine, plan.engine.endpoint, plan.outline
    title = (
        f"PLAN of the cluster {cluster.cluster}: {endpoint.model} with {engine.layout}"
        f" ({engine.layout.executor} executor, {cluster.accelerator}) at {endpoint.client_url}"
    )
    rows = []
    for name, host in plan.hosts.items():
        roles = [role for role, here in (("head", host.is_head), ("serve", name == engine.serve_host)) if here]
        uses = f"engine uses {len(host.engine_gpus)} of {host.gpus} GPUs"
        part = engine.advice.get("hosts", {}).get(name)
        held = memory(part) if part else ""
        rows.append((name, host.address, host.nic, ", ".join(roles or ["worker"]), uses, held))
    labelled = [
        *advice_lines(engine.advice),
        *artefact_lines(plan),
        *access_lines(plan),
        *tls_lines(plan.tls),
        *(("note", note) for note in engine.notes),
    ]
    lines = [title, *table(rows), *table(labelled)]
    if cluster.serving:
        away = f" A restart takes about {engine.away:.0f} s." if engine.away else ""
        lines.append(f"  The engine serves. A change that would stop it requires -e vllm_ray_restart=true.{away}")
    if cluster.serving is None:
        text = "The state of the engine is unknown. A change that may stop it requires -e vllm_ray_restart=true."
        lines.append(f"  {text}")
    if cluster.serving is not False and plan.news == "":
        lines.append("  No host is new, so the network and the GPUs are not checked again.")
    return lines


def memory(part: Part) -> str:
    """Return what the fullest GPU of a host will hold."""
    layers = " + ".join(map(str, part["layers_per_stage"]))
    return (
        f"{layers} layers; per GPU {part['weights_gib']:.1f} GiB of weights, {part['reserve_gib']:.1f} for steps, "
        f"{part['kv_gib']:.1f} of KV cache, of {part['usable_gib']:.1f}"
    )


def advice_lines(advice: Advice) -> list[tuple[str, str]]:
    """Return what the planner says, each line with its label; nothing where it computed none, or has no layout."""
    if not advice.get("fits"):
        return []
    requests = f"{advice['concurrency']:g} requests of {advice['max_model_len']:,}"
    lines = [
        ("KV cache", f"{advice['kv_tokens']:,} tokens, {requests} at once"),
        *(("why", reason) for reason in advice["reasons"]),
        *(("else", f"TP={other['tp']} PP={other['pp']}: {other['why_not']}") for other in advice["alternatives"]),
        *(("better", text) for text in advice["better"]),
    ]
    several = advice["replicas"]
    if several:
        rate = f"about {several['tokens_per_second']:,} tokens/s together"
        sizes = f"TP={several['tp']} PP={several['pp']}"
        lines.append(("better", f"{several['engines']} engines of {sizes} each within a host: {rate}"))
    return [*lines, *(("note", note) for note in advice["notes"])]


def artefact_lines(plan: Whole) -> list[tuple[str, str]]:
    """Return what will be built, downloaded and copied: release and model."""
    release, model, lines = plan.release, plan.model, []
    lacking = [name for name, present in release.present.items() if not present]
    held = release.id and not release.path
    turned = [name for name, present in release.present.items() if held and present != release.id]
    if turned:
        lines.append(("release", f"{release.id} on {', '.join(turned)}, from hosts that have it"))
    if lacking and not held and not release.path:
        copied = [name for name in lacking if name != release.builder]
        steps = [f"built on {release.builder}"] * (release.builder in lacking)
        steps += [f"copied to {', '.join(copied)}"] * bool(copied)
        lines.append(("release", ", ".join(steps)))
    if model.missing:
        size = f"{model.bytes / 1e9:.1f} GB " if model.bytes else ""
        origin = {"host": model.source_host, "controller": "the controller"}.get(model.source, model.source)
        lines.append(("model", f"{size}from {origin} to {', '.join(model.missing)}"))
    return lines


def access_lines(plan: Whole) -> list[tuple[str, str]]:
    """Return which clients may reach the API, if the firewall is managed."""
    server = plan.hosts.get(plan.engine.serve_host)
    if not server or server.settings["vllm_ray_scope"] != "system" or server.settings["vllm_ray_firewall"] == "off":
        return []
    clients = ", ".join(plan.api_clients) or "nobody else"
    return [("API", f"open to the hosts of the cluster and to {clients} (vllm_ray_api_clients)")]


def tls_lines(tls: TlsPlan) -> list[tuple[str, str]]:
    """Return what certificate the API has, where it has one."""
    if tls.mode == "off":
        return []
    what = tls.files["certificate"] if tls.files else "its own CA and certificate"
    used = f"; the certificate in use {tls.expires}" if tls.expires else ""
    return [("TLS", f"{what} (vllm_ray_tls={tls.mode}){used}")]


def layout(model: str, hosts: Sequence[ClusterHost], advice: Advice) -> str:
    """Return the screen of a plan for hosts of a file; with a warning where the layout misses narrowly."""
    total = sum(len(host.gpus) for host in hosts)
    title = f"PLAN for {model}: TP={advice['tp']} PP={advice['pp']} ({advice['executor']} executor)"
    rows = []
    for host in hosts:
        count, part = len(host.gpus), advice["hosts"].get(host.name)
        kind = host.gpus[0].model if host.gpus else "GPU"
        uses = f"engine uses {part['gpus'] if part else 0} of {count} x {kind}"
        rows.append((host.name, uses, memory(part) if part else ""))
    lines = ["", f"{title} on {len(advice['gpus'])} of {len(hosts)} hosts, {total} GPUs", *table(rows)]
    if not advice["fits"]:
        told = [("WARNING", f"{'; '.join(advice['refusals'])}; {advice['close']}")]
        told += [*(("change", change) for change in advice["changes"]), *(("note", note) for note in advice["notes"])]
        return "\n".join([*lines, *table(told)])
    return "\n".join([*lines, *table(advice_lines(advice))])


def refusal(model: str, advice: Advice) -> str:
    """Return the text about an engine that no layout fits."""
    lines = [f"No layout of {model} fits:", *(f"  {text}" for text in advice["refusals"])]
    lines += (
        ["Any one of these changes is enough:", *(f"  {text}" for text in advice["changes"])]
        if advice["changes"]
        else []
    )
    return "\n".join([*lines, *(f"  note: {text}" for text in advice["notes"])])


def snippets(url: str, model: str, key_file: str, ca_file: str = "") -> dict[str, str]:
    """Return how to ask the engine, ready to paste: by curl, and by the OpenAI client. No key stands in them.

    url: by which clients ask. ca_file: with the CA to trust, empty = those that the client trusts.
    """
    question = "What is vllm_ray.cluster?"
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": question}]})
    curl = (
        # By a pipe, so that the key is in no command line that others could see.
        f"printf 'Authorization: Bearer %s' \"$(cat {key_file})\" | curl -sS -H @- \\\n"
        f"  {f'--cacert {ca_file} ' if ca_file else ''}-H 'Content-Type: application/json' "
        f"{url}/v1/chat/completions \\\n"
        f"  -d {shlex.quote(body)}"
    )
    trust = (
        f'tls = ssl.create_default_context(cafile=pathlib.Path("{ca_file}").expanduser())\n'
        f'client = openai.OpenAI(base_url="{url}/v1", api_key=key,\n'
        "    http_client=openai.DefaultHttpxClient(verify=tls))\n"
    )
    python = (
        "import pathlib\n"
        f"{'import ssl' + chr(10) if ca_file else ''}import openai\n"
        f'key = pathlib.Path("{key_file}").expanduser().read_text().strip()\n'
        + (trust if ca_file else f'client = openai.OpenAI(base_url="{url}/v1", api_key=key)\n')
        + f'answer = client.chat.completions.create(model="{model}",\n'
        f'    messages=[{{"role": "user", "content": "{question}"}}])\n'
        "print(answer.choices[0].message.content)"
    )
    return {"curl": curl, "python": python}


def proof(
    layout: Layout,
    url: str,
    nodes: Sequence[str],
    models: Sequence[str],
    answers: Sequence[Mapping[str, object]],
    ways: Mapping[str, str],
) -> str:
    """Return the screen that ends a run: what was proved and how to use it. ways: of snippets()."""
    if not answers:
        return f"\nCHECKED, and nothing was changed. Nothing serves at {url} yet."
    served = f"{url}/v1 serves {', '.join(models)} with {layout}"
    lines = ["", f"READY {served}"]
    lines += [f"  node    {line}" for line in nodes]
    lines += [f"  answer  {answer['text']}" for answer in answers]
    lines += ["", *ways["curl"].splitlines(), "", *ways["python"].splitlines()]
    return "\n".join(lines)


def held(reasons: Mapping[str, Sequence[str]]) -> str:
    """Return the lines about what waits for consent; empty where nothing does."""
    if not reasons:
        return ""
    rows = [(host, reason) for host, listed in reasons.items() for reason in listed]
    title = "PREPARED: the running engine was not touched. These changes need a restart (-e vllm_ray_restart=true):"
    return "\n".join(["", "", title, *table(rows)])
