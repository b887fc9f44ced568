# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hubs: Hugging Face, ModelScope and mirrors. PRIVATE to the collection.

To add a hub, add a class here and its instance to HUBS. The `choices` of documentation and argument specs repeat the
names, because Ansible reads them as text; tests/contract/test_hubs.py compares them with HUBS. Files of a hub without a
client of its own are downloaded as those of a mirror, by ranges.
"""

from __future__ import annotations

import abc
import hashlib
import re
import typing as t
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import (
    ClientProgram,
    Hub,
    Way,
    Wish,
    is_directory_name,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import (
    COMMIT,
    SHA1,
    SHA256,
    File,
    Listing,
    check_path,
    checked_hash,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# ModelScope lists no more files than that at once, and does not say so (modelscope_hub 0.5, constants.py).
MODELSCOPE_LISTS = 3000
MIRROR_URL = re.compile(r"https?://[^/\s?#@]+(/[^/\s?#]+)*/[^/\s?#]+/*")
SUMS = "SHA256SUMS"
FIX_SOURCE = "correct model_source (vllm_ray_model)"


class HubOfIds(Hub):
    """A hub that knows models by ids such as Qwen/Qwen3-32B, in revisions, behind terms. endpoint: its own URL."""

    endpoint: t.ClassVar[str]
    substitute = ", or model_hf_endpoint (vllm_ray_hf_endpoint) to a mirror"

    def url(self, wish: Wish) -> str:
        return (wish.endpoint or self.endpoint).rstrip("/")

    def page(self, wish: Wish) -> str:
        """Return the page of the model, for people."""
        return f"{wish.url}/{wish.model}"

    def parse_listing(self, wish: Wish, text: str) -> Listing:
        answer = _json.parse(text, dict)
        try:
            listing = self.read_answer(wish, answer)
        except KeyError as error:
            raise ValueError(f"the answer has no {error}") from error
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error
        for file in listing.files:
            check_path(file.path)
        return listing

    @abc.abstractmethod
    def read_answer(self, wish: Wish, answer: Mapping[str, t.Any]) -> Listing:
        """Return what an answer says. Raises as parse_listing, or what an answer of another form raises."""

    def problems(self, wish: Wish) -> list[dict[str, str]]:
        found = []
        if not MODEL_ID.fullmatch(wish.model) or ".." in wish.model or not is_directory_name(wish.model):
            what = f"{wish.model} is not the id of a model"
            found.append(problem("model", what, "an id such as Qwen/Qwen3-32B", FIX_SOURCE))
        if wish.revision.startswith("-") or not is_directory_name(wish.wanted_revision):
            fix = "correct model_revision (vllm_ray_model_revision)"
            found.append(problem("model", f"{wish.revision} is not a revision", "a branch, tag or commit", fix))
        return found

    def denied(self, wish: Wish, status: int, has_token: bool) -> dict[str, str]:
        token = "with the given token" if has_token else "without a token"
        found = f"{wish.url} refuses {wish.what} (HTTP {status}) {token}"
        fix = (
            f"check that {wish.model} is correct; if so, accept its terms on {self.page(wish)}, wait for its owner's "
            "approval if it is required, and set model_hf_token (vllm_ray_hf_token) to a token that may read it"
        )
        return problem("model", found, "permission to read the model", fix)

    def absent(self, wish: Wish) -> dict[str, str]:
        fix = (
            "correct model_source and model_revision (vllm_ray_model, vllm_ray_model_revision); if the model is "
            "private, set model_hf_token (vllm_ray_hf_token) to a token that may read it"
        )
        return problem("model", f"{wish.url} has no {wish.what}", "a model and a revision of the hub", fix)


class HuggingFace(HubOfIds):
    """huggingface_hub 2.4; the files of its client are the same as of its library."""

    name = "huggingface"
    title = "Hugging Face"
    endpoint = "https://huggingface.co"
    revision = "main"
    client = ClientProgram("huggingface_hub.cli.hf", "huggingface_hub", "HF_TOKEN", "HF_ENDPOINT", ("HF_HOME",))

    def listing_url(self, wish: Wish) -> str:
        return f"{wish.url}/api/models/{wish.model}/revision/{quote(wish.wanted_revision, safe='')}?blobs=true"

    def file_url(self, wish: Wish, name: str) -> str:
        return f"{wish.url}/{wish.model}/resolve/{quote(wish.wanted_revision, safe='')}/{name}"

    def read_answer(self, wish: Wish, answer: Mapping[str, t.Any]) -> Listing:
        """Of a file in LFS the SHA-256 is known; of any other only its blob in git, which is made of its bytes, too."""
        commit = answer.get("sha")
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            raise ValueError("no commit")
        files = (
            File(one["rfilename"], int(one["size"]), checked_hash(one["lfs"]["sha256"], SHA256))
            if one.get("lfs")
            else File(one["rfilename"], int(one["size"]), "", checked_hash(one["blobId"], SHA1))
            for one in answer["siblings"]
        )
        return Listing(commit, tuple(sorted(files)))


class ModelScope(HubOfIds):
    """modelscope_hub 0.5; the files of its client are the same as of its library."""

    name = "modelscope"
    title = "ModelScope"
    endpoint = "https://modelscope.cn"
    revision = "master"
    client = ClientProgram(
        "modelscope_hub.cli.main",
        "modelscope_hub",
        "MODELSCOPE_API_TOKEN",
        "MODELSCOPE_ENDPOINT",
        ("MODELSCOPE_HOME", "MODELSCOPE_CACHE"),
    )
    # Some of its answers go by it, and its client sends both.
    cookie = "m_session_id"

    def page(self, wish: Wish) -> str:
        return f"{wish.url}/models/{wish.model}"

    def listing_url(self, wish: Wish) -> str:
        revision = quote(wish.wanted_revision, safe="")
        return f"{wish.url}/api/v1/models/{wish.model}/repo/files?Revision={revision}&Recursive=True"

    def file_url(self, wish: Wish, name: str) -> str:
        revision = quote(wish.wanted_revision, safe="")
        return f"{wish.url}/api/v1/models/{wish.model}/repo?Revision={revision}&FilePath={quote(name, safe='')}"

    def patterns(self, exclude: Sequence[str]) -> list[str]:
        """Commas separate patterns, and what looks like a regular expression is tried as a pattern, too."""
        patterns = [part.strip() for pattern in exclude for part in pattern.split(",") if part.strip()]
        return patterns + [pattern.replace(".*", "*") for pattern in patterns if ".*" in pattern]

    def read_answer(self, wish: Wish, answer: Mapping[str, t.Any]) -> Listing:
        """It reports only the begin of the commit, and of each file the commit that changed it last: in full it is
        known where it changed a file that is still there. Otherwise the revision stays what it is called."""
        data = answer.get("Data") or {}
        if answer.get("Success") is False:
            raise ValueError(str(answer.get("Message")))
        if data.get("Files") is None:
            # So it answers, with HTTP 200, where there is no such revision.
            raise LookupError(wish.wanted_revision)
        if len(data["Files"]) >= MODELSCOPE_LISTS:
            raise ValueError(f"it lists at most {MODELSCOPE_LISTS} files")
        begin = (data.get("LatestCommitter") or {}).get("ShortId") or "-"
        commits = (one.get("Revision") or "" for one in data["Files"])
        commit = next((one for one in commits if one.startswith(begin) and COMMIT.fullmatch(one)), wish.wanted_revision)
        files = (
            File(
                one["Path"], int(one["Size"]), checked_hash(one["Sha256"].lower(), SHA256) if one.get("Sha256") else ""
            )
            for one in data["Files"]
            if one["Type"] != "tree"
        )
        return Listing(commit, tuple(sorted(files)))


class Mirror(Hub):
    """A directory on a web server, with a file SHA256SUMS, as sha256sum writes it, that names all files.

    Each model is a server of its own: its URL is that of the model. It must not see the token of a hub.
    """

    name = "mirror"
    title = "the mirror"
    revision = "now"
    has_revisions = lists_sizes = takes_token = False

    def is_meant_by(self, model: str) -> bool:
        return "://" in model

    def url(self, wish: Wish) -> str:
        return wish.model.rstrip("/")

    def model_name(self, wish: Wish) -> str:
        """Return the path of the URL, as the server reads it."""
        return unquote(urlsplit(wish.url).path).strip("/")

    def what(self, wish: Wish) -> str:
        return SUMS

    def listing_url(self, wish: Wish) -> str:
        return f"{wish.url}/{SUMS}"

    def file_url(self, wish: Wish, name: str) -> str:
        return f"{wish.url}/{quote(name)}"

    def parse_listing(self, wish: Wish, text: str) -> Listing:
        """Return what a mirror has, by its SHA256SUMS; the sizes are not listed there.

        A line is a hash, a space, a space or an asterisk, and a name. One with a backslash before it has a name in
        which backslashes, newlines and carriage returns are escaped (GNU coreutils, "md5sum invocation").
        """
        files = {}
        for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
            match = re.fullmatch(r"(\\?)([0-9a-fA-F]{64}) [ *](.+?)\r?", line)
            if not match:
                raise ValueError(f"line {number} is not as sha256sum writes it")
            name = match[3]
            if match[1]:
                name = re.sub(r"\\(.)", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), name)
            path = re.sub(r"^(\./)+", "", name)
            check_path(path)
            files[path] = File(path, 0, match[2].lower())
        files.pop(SUMS, None)
        if not files:
            raise ValueError("it lists no file")
        return Listing(hashlib.sha256(text.encode()).hexdigest()[:40], tuple(sorted(files.values())))

    def problems(self, wish: Wish) -> list[dict[str, str]]:
        found = []
        if not MIRROR_URL.fullmatch(wish.model) or ".." in wish.model or not is_directory_name(self.model_name(wish)):
            what = (
                f"{wish.model} is not the URL of a model" if "@" not in wish.model else "the URL of the model has an @"
            )
            good = "a URL without a password, such as https://mirror.example/models/Qwen3-32B"
            found.append(problem("model", what, good, FIX_SOURCE))
        if wish.revision:
            what = f"model_revision is {wish.revision}, but a mirror has no revisions"
            fix = (
                "remove model_revision (vllm_ray_model_revision). To serve a revision, set the model's URL to its "
                "directory"
            )
            found.append(problem("model", what, "no model_revision", fix))
        return found

    def denied(self, wish: Wish, status: int, has_token: bool) -> dict[str, str]:
        fix = "allow reading the mirror without a password"
        return problem("model", f"{wish.url} refuses {SUMS} (HTTP {status})", "permission to read the model", fix)

    def absent(self, wish: Wish) -> dict[str, str]:
        fix = f"run sha256sum on all files there, into a file {SUMS}, or {FIX_SOURCE}"
        return problem("model", f"{wish.url} has no {SUMS}", f"a directory with a model and its {SUMS}", fix)


HUBS: dict[str, Hub] = {hub.name: hub for hub in (HuggingFace(), ModelScope(), Mirror())}
# Of a model whose hub nobody names, and that none of them claims.
DEFAULT = HuggingFace.name
# Options of modules that ask a hub.
ARGUMENTS: dict[str, dict[str, object]] = {
    "model": {"type": "str", "required": True},
    "hub": {"type": "str", "choices": sorted(HUBS), "default": DEFAULT},
    "revision": {"type": "str", "default": ""},
    "endpoint": {"type": "str", "default": ""},
    "token": {"type": "str", "no_log": True},
    "proxy": {"type": "str", "no_log": True},
    "ca_certificate": {"type": "path"},
}


def hub_of(model: str, source: str = "auto") -> str:
    """Return the hub of a model that is no path. source: its name, or another word where nobody named a hub."""
    if source in HUBS:
        return source
    return next((hub.name for hub in HUBS.values() if hub.is_meant_by(model)), DEFAULT)


def wish(hub: str, model: str, revision: str = "", endpoint: str = "") -> Wish:
    """Return a request. hub: its name."""
    return Wish(HUBS[hub], model, revision, endpoint)


def wish_of(params: Mapping[str, object]) -> Wish:
    """Return what a module's parameters request. params: by ARGUMENTS."""
    hub, model, revision, endpoint = (str(params[name]) for name in ("hub", "model", "revision", "endpoint"))
    return wish(hub, model, revision, endpoint)


def way_of(params: Mapping[str, object]) -> Way:
    """Return how a module's parameters say that a hub is reached. params: by ARGUMENTS."""
    way = Way(*(str(params.get(name) or "") for name in Way._fields))
    return way if HUBS[str(params["hub"])].takes_token else way._replace(token="")
