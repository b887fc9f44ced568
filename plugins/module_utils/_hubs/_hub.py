# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of hubs: what to ask a hub for, what it answers, and how to run its own client. PRIVATE to the collection.

A mirror is a hub, too: a directory on a web server, with a file SHA256SUMS, as sha256sum writes it, that names all
files.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import typing as t
from dataclasses import asdict, dataclass
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA1, SHA256 = COMMIT, re.compile(r"[0-9a-f]{64}")
MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
MIRROR_URL = re.compile(r"https?://[^/\s?#@]+(/[^/\s?#]+)*/[^/\s?#]+/*")
SUMS = "SHA256SUMS"
# Names of files have at most 255 bytes; what is on its way to a directory has its name and some more.
LONGEST_NAME = 200
PLAIN_MIRROR = (
    "{url} is not encrypted: anyone on the network path can change the model and its SHA256SUMS. Use an https URL."
)
LINES_SHOWN = 3
NAMES_SHOWN = 3
# Files that a client fetches at the same time. More of them end later, and others wait for the first one that ends.
CLIENT_FILES = 4
# ModelScope lists no more files than that at once, and does not say so (modelscope_hub 0.5, constants.py).
MODELSCOPE_LISTS = 3000
# Runs a client as a module, and has the kernel end it when we die, whatever we die of: a client on its own would go on
# for hours, and the next run would start a second one beside it.
RUN_CLIENT = (
    "import ctypes, runpy, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


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


class File(t.NamedTuple):
    """A file of a revision. sha256: of its bytes; blob: its id in git, where the hub knows no other hash.

    Where it reports neither, as ModelScope may, only the size is known.
    """

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


class Listing(t.NamedTuple):
    """What a revision is. commit: a mirror has none, so there it is made of the text of SHA256SUMS."""

    commit: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


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


# --- What the hub says -----------------------------------------------------------------------------------------------


def listing_url(wish: Wish) -> str:
    """Return the URL of a revision's commit and files."""
    revision = quote(wish.wanted_revision, safe="")
    if wish.hub == "mirror":
        return f"{wish.url}/{SUMS}"
    if wish.hub == "modelscope":
        return f"{wish.url}/api/v1/models/{wish.model}/repo/files?Revision={revision}&Recursive=True"
    return f"{wish.url}/api/models/{wish.model}/revision/{revision}?blobs=true"


def file_url(wish: Wish, name: str) -> str:
    """Return the URL of one file of a revision."""
    revision = quote(wish.wanted_revision, safe="")
    if wish.hub == "mirror":
        return f"{wish.url}/{quote(name)}"
    if wish.hub == "modelscope":
        return f"{wish.url}/api/v1/models/{wish.model}/repo?Revision={revision}&FilePath={quote(name, safe='')}"
    return f"{wish.url}/{wish.model}/resolve/{revision}/{name}"


def parse_listing(wish: Wish, text: str) -> Listing:
    """Return what a hub's answer says of a revision. ValueError, where it is none; LookupError, where it says that
    there is no such revision."""
    if wish.hub == "mirror":
        return parse_sums(text)
    answer = _json.parse(text, dict)
    try:
        listing = parse_modelscope(answer, wish) if wish.hub == "modelscope" else parse_huggingface(answer)
    except KeyError as error:
        raise ValueError(f"the answer has no {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    for file in listing.files:
        check_path(file.path)
    return listing


def parse_huggingface(answer: dict[str, t.Any]) -> Listing:
    """Return a revision of Hugging Face.

    Of a file in LFS the SHA-256 is known; of any other only its blob in git, which is made of its bytes, too.
    """
    commit = answer.get("sha")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise ValueError("no commit")
    files = (
        File(one["rfilename"], int(one["size"]), _hash(one["lfs"]["sha256"], SHA256))
        if one.get("lfs")
        else File(one["rfilename"], int(one["size"]), "", _hash(one["blobId"], SHA1))
        for one in answer["siblings"]
    )
    return Listing(commit, tuple(sorted(files)))


def parse_modelscope(answer: dict[str, t.Any], wish: Wish) -> Listing:
    """Return a revision of ModelScope.

    It reports only the begin of the commit, and of each file the commit that changed it last: in full it is known where
    it changed a file that is still there. Otherwise the revision stays what it is called.
    """
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
        File(one["Path"], int(one["Size"]), _hash(one["Sha256"].lower(), SHA256) if one.get("Sha256") else "")
        for one in data["Files"]
        if one["Type"] != "tree"
    )
    return Listing(commit, tuple(sorted(files)))


def _hash(text: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(text):
        raise ValueError(f"{text!r} is not a hash")
    return text


def parse_sums(text: str) -> Listing:
    """Return what a mirror has, by its SHA256SUMS; the sizes are not listed there.

    A line is a hash, a space, a space or an asterisk, and a name. One with a backslash before it has a name in which
    backslashes, newlines and carriage returns are escaped (GNU coreutils, "md5sum invocation").
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


def check_path(path: str) -> None:
    """Raise ValueError where a name leads out of the directory, or is none."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"{path!r} is not a file name")


def wanted(wish: Wish, files: Iterable[File], exclude: Sequence[str]) -> list[File]:
    """Return the files of a model without hidden ones, which are of the hub's own tools, and without those left out.

    The patterns are taken as the client takes them: `*` is any text, slashes too.
    """
    patterns = list(exclude)
    if wish.hub == "modelscope":
        # Commas part patterns, and what looks like a regular expression is tried as a pattern, too.
        patterns = [part.strip() for pattern in patterns for part in pattern.split(",") if part.strip()]
        patterns += [pattern.replace(".*", "*") for pattern in patterns if ".*" in pattern]
    else:
        patterns = [pattern + "*" if pattern.endswith("/") else pattern for pattern in patterns]
    return [
        file
        for file in files
        if not re.search(r"(^|/)\.", file.path)
        and not any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)
    ]


def hasher(file: File) -> tuple[t.Any, str]:
    """Return what hashes a file as its hub does, and what has to come of it; nothing where the hub reports no hash."""
    if not file.blob:
        return hashlib.sha256(), file.sha256
    # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    return hashlib.sha1(b"blob %d\0" % file.size), file.blob


# --- Where it goes, and the client -----------------------------------------------------------------------------------


def commits_of(wish: Wish, root: str) -> str:
    """Return the directory of all commits of a model. ValueError, where it can't have its name."""
    return f"{root}/{_directory_name(_name_of(wish))}"


def directory_of(wish: Wish, root: str, commit: str) -> str:
    """Return where a commit of a model is put. ValueError, where one of the directories can't have its name."""
    return f"{commits_of(wish, root)}/{_directory_name(commit)}"


def _name_of(wish: Wish) -> str:
    """Return the name of a model: its id, or the path of its URL as the server reads it."""
    return unquote(urlsplit(wish.url).path).strip("/") if wish.hub == "mirror" else wish.model


def _directory_name(name: str) -> str:
    """Return the one directory for a name with slashes. Names that begin with a dot are for what is on its way."""
    flat = name.replace("/", "--")
    if not flat or flat.startswith(".") or not flat.isprintable() or len(flat.encode()) > LONGEST_NAME:
        raise ValueError(f"{name!r} can't be the name of a directory")
    return flat


def _is_directory_name(name: str) -> bool:
    try:
        return bool(_directory_name(name)) and ".." not in name.split("/")
    except ValueError:
        return False


def argv(wish: Wish, python: str, commit: str, directory: str, exclude: Sequence[str]) -> list[str]:
    """Return the command that downloads a model."""
    command = [python, "-c", RUN_CLIENT, wish.particulars.client, "download", wish.model]
    command += ["--revision", commit, "--local-dir", directory, "--max-workers", str(CLIENT_FILES)]
    for pattern in exclude:
        command += ["--exclude", pattern]
    return command


def environment(wish: Wish, way: Way, home: str) -> dict[str, str]:
    """Return the environment of the client: the token is only here. home: for what it keeps while it works."""
    hub = wish.particulars
    values = {name: f"{home}/{name.lower()}" for name in hub.home_variables}
    values.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_UPDATE_CHECK="1")
    # What is set on the host is meant for those who serve the model. Bars of progress would hide errors.
    values.update(HF_HUB_OFFLINE="0", TQDM_DISABLE="1")
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


# --- What is wrong ---------------------------------------------------------------------------------------------------


def wish_problems(wish: Wish) -> list[dict[str, str]]:
    """Return what is wrong with a wish, before anybody is asked."""
    problems = []
    fix = "correct model_source (vllm_ray_model)"
    if wish.hub == "mirror":
        if not MIRROR_URL.fullmatch(wish.model) or ".." in wish.model or not _is_directory_name(_name_of(wish)):
            found = (
                f"{wish.model} is not the URL of a model" if "@" not in wish.model else "the URL of the model has an @"
            )
            good = "a URL without a password, such as https://mirror.example/models/Qwen3-32B"
            problems.append(problem("model", found, good, fix))
        if wish.revision:
            fix = "leave out model_revision (vllm_ray_model_revision), or name the directory of a revision by the URL"
            problems.append(problem("model", f"revision {wish.revision} of a mirror", "no revision", fix))
        return problems
    if not MODEL_ID.fullmatch(wish.model) or ".." in wish.model or not _is_directory_name(wish.model):
        problems.append(problem("model", f"{wish.model} is not the id of a model", "an id such as Qwen/Qwen3-32B", fix))
    if wish.revision.startswith("-") or not _is_directory_name(wish.wanted_revision):
        fix = "correct model_revision (vllm_ray_model_revision)"
        problems.append(problem("model", f"{wish.revision} is not a revision", "a branch, tag or commit", fix))
    return problems


def way_problems(wish: Wish, way: Way, may_have_secret: Callable[[str], bool]) -> list[dict[str, str]]:
    """Return why a token must not be sent to a hub. may_have_secret: of _http_io."""
    if not way.token or may_have_secret(wish.url):
        return []
    found = f"{wish.url} is not encrypted, and the token would be sent there"
    fix = (
        "set model_hf_endpoint (vllm_ray_hf_endpoint) to an https URL, or remove model_hf_token (vllm_ray_hf_token) if "
        "that server asks for none"
    )
    return [problem("model", found, "an https URL where a token is given", fix)]


def refusal(wish: Wish, status: int, reason: str, has_token: bool) -> dict[str, str]:
    """Return the problem of a hub that does not answer as wanted. status: HTTP status, 0 where there was none."""
    what, mirror = wish.what, wish.hub == "mirror"
    if status in (401, 403) and mirror:
        fix = "allow reading the mirror without a password"
        return problem("model", f"{wish.url} refuses {what} (HTTP {status})", "permission to read the model", fix)
    if status in (401, 403):
        found = f"{wish.url} refuses {what} (HTTP {status}) {'with the given' if has_token else 'without a'} token"
        fix = (
            f"check that {wish.model} is correct; if so, accept its terms on {wish.page}, wait for its owner's "
            "approval if it is required, and set model_hf_token (vllm_ray_hf_token) to a token that may read it"
        )
        return problem("model", found, "permission to read the model", fix)
    if status == 404 and mirror:
        fix = f"run sha256sum on all files there, into a file {SUMS}, or correct model_source (vllm_ray_model)"
        return problem("model", f"{wish.url} has no {what}", f"a directory with a model and its {SUMS}", fix)
    if status == 404:
        fix = (
            "correct model_source and model_revision (vllm_ray_model, vllm_ray_model_revision); if the model is "
            "private, set model_hf_token (vllm_ray_hf_token) to a token that may read it"
        )
        return problem("model", f"{wish.url} has no {what}", "a model and a revision of the hub", fix)
    found = f"{wish.url} gives no usable answer about {what}: {reason}"
    fix = (
        "give the host network access to it, or set model_proxy and model_ca_certificate (vllm_ray_proxy, "
        "vllm_ray_ca_certificate)"
    )
    if not mirror:
        fix += ", or model_hf_endpoint (vllm_ray_hf_endpoint) to a mirror"
    fix += ", or download the model elsewhere and set model_source (vllm_ray_model) to its directory"
    return problem("model", found, "a reachable hub", fix)


# What huggingface_hub 2.4 and modelscope_hub 0.5 say of a model that they may not read, and of one that isn't there.
# Listings of models behind terms are open to all on Hugging Face, so that only the client finds it out.
REFUSED = re.compile(r"requires approval|\b40[13] (?:Client Error|Forbidden|Unauthorized)|\[40[13]\]")
ABSENT = re.compile(r"^(?:Error: )?(?:Model|Revision) .*not found|\b404 Client Error|\[404\]", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
HINT = re.compile(r"(?:Hint|Suggestion|For more information|Request|Response)\b.*:")


def python_problem(wish: Wish, found: str) -> dict[str, str]:
    """Return the problem of a client that can't be started."""
    hub = wish.particulars
    fix = f"set model_hub_python to a Python that has {hub.package}, or add it to the release's lock"
    return problem("model", found, f"the client of {hub.title}", fix)


def client_problem(wish: Wish, python: str, output: str, way: Way) -> dict[str, str]:
    """Return the problem of a client that failed, without secrets. output: what it said."""
    hub = wish.particulars
    if re.search(rf"No module named '?{hub.package}\b", output):
        return python_problem(wish, f"{python} has no {hub.package}")
    text = COLOUR.sub("", way.without_secrets(output))
    if REFUSED.search(text):
        return refusal(wish, 403 if way.token else 401, "", bool(way.token))
    if ABSENT.search(text):
        return refusal(wish, 404, "", bool(way.token))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not HINT.match(line)] or lines
    found = f"the client of {hub.title} failed: {' / '.join(lines[-LINES_SHOWN:]) or 'it said nothing'}"
    return problem(
        "model", found, f"{wish.model} downloaded", "see its message; downloaded files are kept for the next run"
    )


def wrong_problem(wish: Wish, names: Sequence[str]) -> dict[str, str]:
    """Return the problem of files that came with other bytes than they should."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    shown = ", ".join(sorted(names)[:NAMES_SHOWN]) + more
    found = f"{shown} of {wish.model} came from {wish.url} with content that does not match its hash"
    fix = "check proxies and mirrors, and run again: only these files are downloaded again"
    return problem("model", found, "files with the hub's own hashes", fix)


def moved_problem(wish: Wish, found: str, pinned: str) -> dict[str, str]:
    """Return the problem of a mirror that changed since a host got its files."""
    fix = "pass -e model_update=true, so that all hosts get the new files, or restore the old files"
    return problem("model", f"the {SUMS} of {wish.url} is now {found[:12]}", f"that of {pinned[:12]}", fix)


def held_problem(directory: str, pin: Pin | None, commit: str) -> dict[str, str]:
    """Return the problem of a directory that holds another commit, or nobody knows which."""
    found = f"{directory} holds {f'commit {pin.commit}' if pin else 'files of an unknown commit'}"
    fix = "set model_path to another directory, or remove this one, or set model_source to it to use it unchanged"
    return problem("model", found, f"commit {commit}", fix)
