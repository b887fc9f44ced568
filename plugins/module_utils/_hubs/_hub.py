# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hubs, the models that are wished for of them, and where these are put. PRIVATE to the collection.

A mirror is a hub, too: a directory on a web server, with a file SHA256SUMS, as sha256sum writes it, that names all
files.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import asdict, dataclass
from urllib.parse import unquote, urlsplit

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json

if t.TYPE_CHECKING:
    from collections.abc import Mapping

COMMIT = re.compile(r"[0-9a-f]{40}")
SUMS = "SHA256SUMS"
# Names of files have at most 255 bytes; what is on its way to a directory has its name and some more.
LONGEST_NAME = 200
# Files that a client fetches at the same time. More of them end later, and others wait for the first one that ends.
CLIENT_FILES = 4


@dataclass(frozen=True)
class Hub:
    """What is particular about a hub. client: the module of its client; a mirror has none. cookie: with the token."""

    title: str
    endpoint: str
    revision: str
    client: str = ""
    package: str = ""
    token_variable: str = ""
    endpoint_variable: str = ""
    home_variables: tuple[str, ...] = ()
    cookie: str = ""


HUBS = {
    # huggingface_hub 2.4 and modelscope_hub 0.5; the files of both clients are the same as of their libraries.
    "huggingface": Hub(
        title="Hugging Face",
        endpoint="https://huggingface.co",
        revision="main",
        client="huggingface_hub.cli.hf",
        package="huggingface_hub",
        token_variable="HF_TOKEN",
        endpoint_variable="HF_ENDPOINT",
        home_variables=("HF_HOME",),
    ),
    "modelscope": Hub(
        title="ModelScope",
        endpoint="https://modelscope.cn",
        revision="master",
        client="modelscope_hub.cli.main",
        package="modelscope_hub",
        token_variable="MODELSCOPE_API_TOKEN",
        endpoint_variable="MODELSCOPE_ENDPOINT",
        home_variables=("MODELSCOPE_HOME", "MODELSCOPE_CACHE"),
        # Some of its answers go by it, and its client sends both.
        cookie="m_session_id",
    ),
    "mirror": Hub(title="the mirror", endpoint="", revision="now"),
}


def hub_of(name: str) -> str:
    """Return the hub of a model that is no path, where nobody said which."""
    return "mirror" if "://" in name else "huggingface"


@dataclass(frozen=True)
class Wish:
    """A model of a hub: its id, or its URL on a mirror. revision: branch, tag or commit; empty for the default."""

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
        """Return the hub's URL; of a mirror that of the model, as each is a server of its own."""
        return (self.model if self.hub == "mirror" else self.endpoint or self.particulars.endpoint).rstrip("/")

    @property
    def page(self) -> str:
        """Return the page of the model, for people."""
        return f"{self.url}/{'models/' if self.hub == 'modelscope' else ''}{self.model}"

    @property
    def what(self) -> str:
        """Return what is wished for, in words."""
        return SUMS if self.hub == "mirror" else f"{self.model} at {self.wanted_revision}"


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


def way_of(params: Mapping[str, t.Any]) -> Way:
    """Return how a module's parameters say that a hub is reached. A mirror must not see a hub's token."""
    given = {name: params.get(name) or "" for name in Way._fields}
    return Way(**{**given, "token": ""} if params["hub"] == "mirror" else given)


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
        data = _json.parse(text, dict)
        return Pin(str(data["commit"]), str(data["directory"]))
    except (ValueError, KeyError, TypeError):
        return None


def render_pin(pin: Pin) -> str:
    return json.dumps(asdict(pin), sort_keys=True) + "\n"


def known_commit(wish: Wish, pin: Pin | None) -> str:
    """Return the commit that is known without asking the hub, or nothing."""
    if COMMIT.fullmatch(wish.wanted_revision):
        return wish.wanted_revision
    return pin.commit if pin else ""


def commits_of(wish: Wish, root: str) -> str:
    """Return the directory of all commits of a model. ValueError, where it can't have its name."""
    return f"{root}/{directory_name(name_of(wish))}"


def directory_of(wish: Wish, root: str, commit: str) -> str:
    """Return where a commit of a model is put. ValueError, where one of the directories can't have its name."""
    return f"{commits_of(wish, root)}/{directory_name(commit)}"


def name_of(wish: Wish) -> str:
    """Return the name of a model: its id, or the path of its URL as the server reads it."""
    return unquote(urlsplit(wish.url).path).strip("/") if wish.hub == "mirror" else wish.model


def directory_name(name: str) -> str:
    """Return the one directory for a name with slashes. Names that begin with a dot are for what is on its way."""
    flat = name.replace("/", "--")
    if not flat or flat.startswith(".") or not flat.isprintable() or len(flat.encode()) > LONGEST_NAME:
        raise ValueError(f"{name!r} can't be the name of a directory")
    return flat


def is_directory_name(name: str) -> bool:
    try:
        return bool(directory_name(name)) and ".." not in name.split("/")
    except ValueError:
        return False
