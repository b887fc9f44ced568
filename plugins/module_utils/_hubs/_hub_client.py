# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a hub's own client is run, and what it says when it fails. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import PARALLEL_FILES
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_problems import refusal
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import ClientProgram, Way, Wish

# Runs a client as a module, and has the kernel end it when we die, whatever we die of: a client on its own would go on
# for hours, and the next run would start a second one beside it.
RUN_CLIENT = (
    "import ctypes, runpy, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
LINES_SHOWN = 3
# What huggingface_hub 2.4 and modelscope_hub 0.5 say of a model that they may not read, and of one that isn't there.
# Listings of models behind terms are open to all on Hugging Face, so that only the client finds it out.
REFUSED = re.compile(r"requires approval|\b40[13] (?:Client Error|Forbidden|Unauthorized)|\[40[13]\]")
ABSENT = re.compile(r"^(?:Error: )?(?:Model|Revision) .*not found|\b404 Client Error|\[404\]", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
HINT = re.compile(r"(?:Hint|Suggestion|For more information|Request|Response)\b.*:")


def argv(
    wish: Wish, program: ClientProgram, python: str, commit: str, directory: str, exclude: Sequence[str]
) -> list[str]:
    """Return the command that downloads a model."""
    command = [python, "-c", RUN_CLIENT, program.module, "download", wish.model]
    command += ["--revision", commit, "--local-dir", directory, "--max-workers", str(PARALLEL_FILES)]
    for pattern in exclude:
        command += ["--exclude", pattern]
    return command


def environment(wish: Wish, program: ClientProgram, way: Way, home: str) -> dict[str, str]:
    """Return the environment of the client: the token is only here. home: for what it keeps while it works."""
    values = {name: f"{home}/{name.lower()}" for name in program.home_variables}
    values.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_UPDATE_CHECK="1")
    # What is set on the host is meant for those who serve the model. Bars of progress would hide errors.
    values.update(HF_HUB_OFFLINE="0", TQDM_DISABLE="1")
    values[program.endpoint_variable] = wish.url
    # An empty one keeps the client from using a token that somebody stored on the host.
    values[program.token_variable] = way.token
    if not way.token:
        values["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
    if way.proxy:
        # Where both are set, Python takes the small ones and others the large ones.
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        values.update(dict.fromkeys(names, way.proxy))
    if way.ca_certificate:
        # Of httpx and Rust, and of requests.
        values.update(dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), way.ca_certificate))
    return values


def python_problem(wish: Wish, program: ClientProgram, found: str) -> dict[str, str]:
    """Return the problem of a client that can't be started."""
    fix = f"set model_hub_python to a Python that has {program.package}, or add it to the release's lock"
    return problem("model", found, f"the client of {wish.hub.title}", fix)


def client_problem(wish: Wish, program: ClientProgram, python: str, output: str, way: Way) -> dict[str, str]:
    """Return the problem of a client that failed, without secrets. output: what it said."""
    if re.search(rf"No module named '?{program.package}\b", output):
        return python_problem(wish, program, f"{python} has no {program.package}")
    text = COLOUR.sub("", way.without_secrets(output))
    if REFUSED.search(text):
        return refusal(wish, 403 if way.token else 401, "", bool(way.token))
    if ABSENT.search(text):
        return refusal(wish, 404, "", bool(way.token))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not HINT.match(line)] or lines
    found = f"the client of {wish.hub.title} failed: {' / '.join(lines[-LINES_SHOWN:]) or 'it said nothing'}"
    return problem(
        "model", found, f"{wish.model} downloaded", "see its message; downloaded files are kept for the next run"
    )
