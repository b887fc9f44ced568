# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plan and its problems look on a terminal. PRIVATE to the collection."""

from __future__ import annotations

import json
import shlex
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._report import count, problem_lines

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align columns of text; the last one is left as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    return [
        "  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[-1]]).rstrip() for row in rows
    ]


def summary(errors: Sequence[Mapping[str, str]]) -> str:
    """Return the text of a run that ends because of errors."""
    return "\n".join([f"{count(errors)}, nothing was changed:", *problem_lines(errors)])


def render(plan: Mapping[str, t.Any]) -> str:
    """Return the plan's screen."""
    lines = [""]
    if "engine" in plan:
        engine, endpoint = plan["engine"], plan["engine"]["endpoint"]
        lines.append(
            f"PLAN of the cluster {plan['cluster']}: {endpoint['model']} with TP={engine['tp']} PP={engine['pp']}"
            f" ({engine['executor']} executor, {plan['accelerator']}) at {endpoint['url']}"
        )
        rows = []
        for name, host in plan["hosts"].items():
            roles = [role for role, here in (("head", host["is_head"]), ("serve", name == plan["serve_host"])) if here]
            uses = f"engine uses {len(host['engine_gpus'])} of {host['gpus']} GPUs"
            rows.append((name, host["address"], host["nic"], ", ".join(roles or ["worker"]), uses))
        lines += table(rows)
        lines += [f"  {note}" for note in engine["notes"]]
        if plan["serving"]:
            lines.append("  The engine serves. Whatever would stop it waits for -e vllm_ray_restart=true.")
            if plan.get("news") == "":
                lines.append("  No host is new, so the network and the GPUs are not checked again.")
    lines += problem_lines(plan["problems"])
    return "\n".join(lines)


def snippets(endpoint: Mapping[str, str], key_file: str) -> dict[str, str]:
    """Return how to ask the engine, ready to paste: by curl, and by the OpenAI client. No key stands in them.

    endpoint: url and model of what serves.
    """
    question = "What is vllm_ray.cluster?"
    body = json.dumps({"model": endpoint["model"], "messages": [{"role": "user", "content": question}]})
    curl = (
        # By a pipe, so that the key is in no command line that others could see.
        f"printf 'Authorization: Bearer %s' \"$(cat {key_file})\" | curl -sS -H @- \\\n"
        f"  -H 'Content-Type: application/json' {endpoint['url']}/v1/chat/completions \\\n"
        f"  -d {shlex.quote(body)}"
    )
    python = (
        "import pathlib\n"
        "import openai\n"
        f'key = pathlib.Path("{key_file}").expanduser().read_text().strip()\n'
        f'client = openai.OpenAI(base_url="{endpoint["url"]}/v1", api_key=key)\n'
        f'answer = client.chat.completions.create(model="{endpoint["model"]}",\n'
        f'    messages=[{{"role": "user", "content": "{question}"}}])\n'
        "print(answer.choices[0].message.content)"
    )
    return {"curl": curl, "python": python}


def proof(
    plan: Mapping[str, t.Any],
    endpoint: Mapping[str, str],
    nodes: Sequence[str],
    models: Sequence[str],
    answers: Sequence[Mapping[str, t.Any]],
    key_file: str,
) -> str:
    """Return the screen that ends a run: what was proved and how to use it."""
    if not answers:
        return f"\nCHECKED, and nothing was changed. Nothing serves at {endpoint['url']} yet."
    engine, ways = plan["engine"], snippets(endpoint, key_file)
    served = f"{endpoint['url']}/v1 serves {', '.join(models)} with TP={engine['tp']} PP={engine['pp']}"
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
    title = "PREPARED, and the engine serves on as before. -e vllm_ray_restart=true stops and changes it, because:"
    return "\n".join(["", "", title, *table(rows)])
