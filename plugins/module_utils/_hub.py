# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of hubs: what to ask a hub for, and how to run its own client. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import asdict, dataclass
from urllib.parse import quote

from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Sequence

COMMIT = re.compile(r"[0-9a-f]{40}")
MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
LINES_SHOWN = 3


@dataclass(frozen=True)
class Hub:
    """What is particular about a hub. resolves: its API tells the commit of a branch and the sizes of files."""

    title: str
    endpoint: str
    revision: str
    client: tuple[str, ...]
    package: str
    token_variable: str
    endpoint_variable: str
    home_variables: tuple[str, ...]
    resolves: bool


HUBS = {
    # huggingface_hub 2.4 and modelscope_hub 0.5; the files of both clients are the same as of their libraries.
    "huggingface": Hub(
        title="Hugging Face",
        endpoint="https://huggingface.co",
        revision="main",
        client=("-m", "huggingface_hub.cli.hf"),
        package="huggingface_hub",
        token_variable="HF_TOKEN",
        endpoint_variable="HF_ENDPOINT",
        home_variables=("HF_HOME",),
        resolves=True,
    ),
    "modelscope": Hub(
        title="ModelScope",
        endpoint="https://modelscope.cn",
        revision="master",
        client=("-m", "modelscope_hub.cli.main"),
        package="modelscope_hub",
        token_variable="MODELSCOPE_API_TOKEN",
        endpoint_variable="MODELSCOPE_ENDPOINT",
        home_variables=("MODELSCOPE_HOME", "MODELSCOPE_CACHE"),
        resolves=False,
    ),
}


@dataclass(frozen=True)
class Wish:
    """A model of a hub. revision: branch, tag or commit; empty for the hub's own default."""

    hub: str
    model: str
    revision: str = ""
    endpoint: str = ""

    @property
    def particulars(self) -> Hub:
        return HUBS[self.hub]

    @property
    def wanted_revision(self) -> str:
        return self.revision or self.particulars.revision

    @property
    def url(self) -> str:
        return (self.endpoint or self.particulars.endpoint).rstrip("/")


class Way(t.NamedTuple):
    """How a hub is reached. proxy: its URL; ca_certificate: file with the certificates to trust.

    What is empty is as the host has it.
    """

    token: str = ""
    proxy: str = ""
    ca_certificate: str = ""

    def without_secrets(self, text: str) -> str:
        """Return a text without what is to stay on this way; a proxy's URL may hold a password."""
        for secret in filter(None, (self.token, self.proxy)):
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class Pin:
    """What a revision meant when its model was downloaded, and where that is."""

    commit: str
    directory: str


def pin_name(wish: Wish, path: str) -> str:
    """Return the name of the file that holds the pin of a model for a path, empty for the default path."""
    text = json.dumps([wish.hub, wish.url, wish.model, wish.wanted_revision, path])
    return f"hub-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def parse_pin(text: str) -> Pin | None:
    """Return a pin, or nothing where the text is none."""
    try:
        data = json.loads(text)
        return Pin(str(data["commit"]), str(data["directory"]))
    except (ValueError, KeyError, TypeError):
        return None


def render_pin(pin: Pin) -> str:
    return json.dumps(asdict(pin), sort_keys=True) + "\n"


def known_commit(wish: Wish, pin: Pin | None) -> str:
    """Return the commit that is known without asking the hub, or nothing."""
    if not wish.particulars.resolves or COMMIT.fullmatch(wish.wanted_revision):
        return wish.wanted_revision
    return pin.commit if pin else ""


def api_url(wish: Wish) -> str:
    """Return the URL that tells a revision's commit and files."""
    return f"{wish.url}/api/models/{wish.model}/revision/{quote(wish.wanted_revision, safe='')}?blobs=true"


def file_url(wish: Wish, name: str) -> str:
    """Return the URL of one file of a revision."""
    revision = quote(wish.wanted_revision, safe="")
    if wish.hub == "modelscope":
        return f"{wish.url}/api/v1/models/{wish.model}/repo?Revision={revision}&FilePath={quote(name, safe='')}"
    return f"{wish.url}/{wish.model}/resolve/{revision}/{name}"


def parse_revision(answer: t.Any) -> tuple[str, int]:
    """Return the commit and the size of all files. Raises ValueError where the answer has no commit."""
    commit = answer.get("sha") if isinstance(answer, dict) else None
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise ValueError("no commit")
    files = answer.get("siblings") or []
    return commit, sum(int(one.get("size") or 0) for one in files)


def directory_of(wish: Wish, root: str, commit: str) -> str:
    """Return where a model is put: one directory for each of its commits."""
    return f"{root}/{wish.model.replace('/', '--')}/{commit.replace('/', '--')}"


def argv(wish: Wish, python: str, commit: str, directory: str, exclude: Sequence[str]) -> list[str]:
    """Return the command that downloads a model."""
    command = [python, *wish.particulars.client, "download", wish.model]
    command += ["--revision", commit, "--local-dir", directory]
    for pattern in exclude:
        command += ["--exclude", pattern]
    return command


def environment(wish: Wish, way: Way, home: str) -> dict[str, str]:
    """Return the environment of the client: the token is only here. home: for what it keeps while it works."""
    hub = wish.particulars
    values = {name: f"{home}/{name.lower()}" for name in hub.home_variables}
    values.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_UPDATE_CHECK="1")
    values[hub.endpoint_variable] = wish.url
    # An empty one keeps the client from using a token that somebody stored on the host.
    values[hub.token_variable] = way.token
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


def wish_problems(wish: Wish) -> list[dict[str, str]]:
    """Return what is wrong with a wish, before anybody is asked."""
    problems = []
    if not MODEL_ID.fullmatch(wish.model) or ".." in wish.model:
        fix = "correct model_source (vllm_ray_model)"
        problems.append(problem("model", f"{wish.model} is no id of a model", "an id such as Qwen/Qwen3-32B", fix))
    if wish.revision.startswith("-") or not wish.wanted_revision.isprintable():
        fix = "correct model_revision (vllm_ray_model_revision)"
        problems.append(problem("model", f"{wish.revision} is no revision", "a branch, tag or commit", fix))
    return problems


def refusal(wish: Wish, status: int, reason: str, has_token: bool) -> dict[str, str]:
    """Return the problem of a hub that does not answer as wanted. status: HTTP status, 0 where there was none."""
    what = f"{wish.model} at {wish.wanted_revision}"
    if status in (401, 403):
        found = f"{wish.url} refuses {what} (HTTP {status}) {'with the given' if has_token else 'without a'} token"
        fix = "accept the model's terms on its page, and set model_hf_token (vllm_ray_hf_token) to a token for it"
        return problem("model", found, "leave to read the model", fix)
    if status == 404:
        fix = "correct model_source and model_revision (vllm_ray_model, vllm_ray_model_revision)"
        return problem("model", f"{wish.url} has no {what} (HTTP 404)", "a model and a revision of the hub", fix)
    fix = (
        "give the host a way there, or set model_proxy and model_ca_certificate (vllm_ray_proxy, "
        "vllm_ray_ca_certificate), or model_hf_endpoint (vllm_ray_hf_endpoint) to a mirror, or download the model "
        "elsewhere and set model_source (vllm_ray_model) to its directory"
    )
    return problem("model", f"{wish.url} gives no answer about {what}: {reason}", "a hub that can be reached", fix)


def client_problem(wish: Wish, python: str, output: str, way: Way) -> dict[str, str]:
    """Return the problem of a client that failed, without secrets."""
    hub = wish.particulars
    if "No module named" in output:
        fix = f"name by model_hub_python a Python that has {hub.package}, or add it to the release's lock"
        return problem("model", f"{python} has no {hub.package}", f"the client of {hub.title}", fix)
    lines = [line.strip() for line in way.without_secrets(output).splitlines() if line.strip()]
    found = f"the client of {hub.title} failed: {' / '.join(lines[-LINES_SHOWN:]) or 'it said nothing'}"
    return problem(
        "model", found, f"{wish.model} downloaded", "see its message; what it has fetched is kept for the next run"
    )


def held_problem(directory: str, pin: Pin | None, commit: str) -> dict[str, str]:
    """Return the problem of a directory that holds another commit, or nobody knows which."""
    found = f"{directory} holds {f'commit {pin.commit}' if pin else 'files of an unknown commit'}"
    fix = "set model_path to another directory, or remove this one, or name it by model_source to use it as it is"
    return problem("model", found, f"commit {commit}", fix)
