# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a model is: from its directory, or from a hub. PRIVATE to the collection.

Of a directory only small files and the headers of safetensors files are read; of a hub only the small files.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import socket
import typing as t
from dataclasses import replace
from urllib.error import HTTPError, URLError

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _http_io, _json, _safe_io, _unsafe
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import (
    _hub,
    _hub_interface,
    _hub_pin,
    _hub_problems,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import (
    _model_config,
    _safetensors,
    _safetensors_io,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import (
    Unusable,
    linked_text,
    reader_of,
    unusable,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
# Where ModelOpt before 0.31 keeps the quantisation.
QUANTIZATION = "hf_quant_config.json"
# Files besides config.json that may name code of the model.
CODE_CONFIGS = ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
# Formats that run code when they are loaded, and what a training leaves in them, which vLLM does not load.
PICKLED = re.compile(r"(?!(training_args|optimizer|scheduler|scaler)\.).*\.(bin|pt|pth|ckpt)", re.DOTALL)
LARGEST = 64 * _safe_io.MIB
SHOWN = 3
# Names of files in a result.
NAMES = 50
COPY = "copy the model again, or set vllm_ray_model to another one"


class Source(t.NamedTuple):
    """What was read. tensors: empty where only a listing is known, or not even that. commit: as the hub reports it.

    names: of the files, where they are known. code: files of code that configs name.
    """

    place: str
    config: Mapping[str, object]
    tensors: dict[str, _safetensors.Tensor]
    listing: _safetensors.Index
    commit: str = ""
    names: t.Sequence[str] = ()
    code: t.Collection[str] = ()


class Query(t.NamedTuple):
    """Which model is read, and how. wish: None where the model is the path of a directory.

    user: account that must be able to read a directory, empty for none in particular. root: of models;
    record_directory: as of model_download; fetch: whether to ask the hub if there is no directory.
    """

    model: str
    wish: _hub_interface.Wish | None = None
    way: _hub_interface.Way = _hub_interface.Way()
    user: str = ""
    root: str = ""
    record_directory: str = ""
    fetch: bool = False


class Info(t.NamedTuple):
    """What a model is, where that was read, and at which commit. code, pickled: names of files that may run."""

    model: _model_config.Model
    place: str
    commit: str
    code: list[str]
    pickled: list[str]

    def as_dict(self) -> dict[str, object]:
        return {**self._asdict(), "model": self.model.as_dict()}


class Found(t.NamedTuple):
    """What a host has of a model. directory: empty where it has none; pinned: whether it was downloaded there."""

    directory: str
    pinned: bool
    model: _model_config.Model | None = None
    code: t.Sequence[str] = ()
    pickled: t.Sequence[str] = ()
    problem: dict[str, str] | None = None

    def as_dict(self) -> _look.ModelFacts:
        return {
            "directory": self.directory,
            "pinned": self.pinned,
            "model": self.model.as_dict() if self.model else None,
            "code": list(self.code),
            "pickled": list(self.pickled),
            "problem": self.problem,
        }


class Access(t.NamedTuple):
    """How a model's files are read: for whom, and where links may lead besides, as of open_file."""

    account: _unsafe.Account
    inside: tuple[str, ...] = ()


def query_of(params: Mapping[str, object]) -> Query:
    """Return what a module's parameters ask: those of _hub.ARGUMENTS and what else of a Query is there."""
    model = str(params["model"])
    of_hub = not model.startswith("/")
    return Query(
        model,
        _hub.wish_of(params) if of_hub else None,
        _hub.way_of(params) if of_hub else _hub_interface.Way(),
        str(params.get("user") or ""),
        str(params.get("root") or ""),
        str(params.get("record_directory") or ""),
        bool(params.get("fetch")),
    )


def access(user: str, place: str) -> Access:
    """Return how files of a directory are read. user: as of a Query.

    The directory holds the model that was asked for, so its links may lead to what is in it, and in the cache of
    Hugging Face to the cache's blobs.
    """
    account = _unsafe.Account()
    if user:
        reader = reader_of(user)
        account = _unsafe.Account(reader.uid, reader.gids)
    elif os.geteuid():
        account = _unsafe.Account(os.geteuid(), frozenset(os.getgroups()))
    try:
        with _safe_io.open_directory(place) as directory:
            real = directory.path
    except OSError:
        return Access(account)
    above, name = os.path.split(os.path.dirname(real))
    return Access(account, (real, os.path.join(above, "blobs")) if name == "snapshots" else (real,))


def reader(user: str) -> _safetensors_io.ReadHeader:
    """Return what reads the headers of a model's files. user: as of a Query."""
    known = functools.lru_cache(maxsize=None)(functools.partial(access, user))
    return lambda place: _safetensors_io.read_header(place, *known(os.path.dirname(place)))


def info(query: Query, place: str = "", read: _safetensors_io.ReadHeader | None = None) -> Info:
    """Return what a model is, by its directory or by its hub. Raises Unusable.

    place: a directory that holds it, where that is known.
    """
    if query.wish and not place:
        source = fetch(query.wish, query.way)
    else:
        source = read_directory(place or query.model, query.user, read)
    try:
        model = _model_config.parse(source.config, source.tensors, source.listing.total_size, source.listing.files)
    except ValueError as error:
        raise unusable(f"{source.place}: {error}", "a config.json that vLLM can serve", COPY) from error
    return Info(model, source.place, source.commit, *brought(source))


def brought(source: Source) -> tuple[list[str], list[str]]:
    """Return the names of what may run: code of the model, and pickled weights where there are no others."""
    code = {*source.code, *(name for name in source.names if name.endswith(".py"))}
    safe = any(name.endswith(".safetensors") for name in source.names)
    pickled = [] if safe else [name for name in source.names if PICKLED.fullmatch(name)]
    return shown(code), shown(pickled)


def shown(names: t.Iterable[str]) -> list[str]:
    """Return names for a result: not too many, and printable."""
    return [_unsafe.shown(name) for name in sorted(names)[:NAMES]]


def code_of(config: Mapping[str, object]) -> set[str]:
    """Return the files of code that a config names in auto_map, those of other models of a hub with the model's id."""
    mapped = config.get("auto_map")
    entries = mapped.values() if isinstance(mapped, dict) else ()
    named = [name for entry in entries for name in (entry if isinstance(entry, list) else [entry])]
    return {f"{name.rpartition('.')[0]}.py" for name in named if isinstance(name, str)}


def look(query: Query, read: _safetensors_io.ReadHeader | None = None) -> Found:
    """Return where a host has a model, what it is, and what is wrong."""
    pin = pin_of(query)
    found = Found(directory(query, pin), bool(pin and os.path.isdir(pin.directory)))
    if not found.directory and not (query.wish and query.fetch):
        return found
    try:
        known = info(query, found.directory, read)
        return found._replace(model=known.model, code=known.code, pickled=known.pickled)
    except Unusable as error:
        return found._replace(problem=error.problem)


def pin_of(query: Query) -> _hub_pin.Pin | None:
    """Return what a host that downloaded a model of a hub noted."""
    if not query.wish:
        return None
    name = _hub_pin.pin_name(query.wish, "")
    return _hub_pin.parse_pin(linked_text(os.path.join(query.record_directory, name)) or "")


def directory(query: Query, pin: _hub_pin.Pin | None) -> str:
    """Return a host's directory of a model: the requested one, the downloaded one or a copy. Empty if it has none."""
    if not query.wish:
        places = [query.model, os.path.join(query.root, os.path.basename(query.model.rstrip("/")))]
    elif query.wish.hub.problems(query.wish):
        places = []
    else:
        copies = glob.glob(os.path.join(glob.escape(_hub_interface.commits_of(query.wish, query.root)), "*"))
        places = [pin.directory] if pin else sorted(filter(os.path.isdir, copies), key=os.path.getmtime, reverse=True)
    return next((os.path.normpath(place) for place in places if os.path.isdir(place)), "")


def parse_config(place: str, text: bytes, quantization: bytes) -> Mapping[str, object]:
    """Return a config, with the quantisation of a file of its own where it gives none. Raises Unusable."""
    config = _mapping(f"{place}/{CONFIG}", text)
    if quantization and config.get("quantization_config") is None:
        return {**config, "quantization_config": _mapping(f"{place}/{QUANTIZATION}", quantization)}
    return config


def _mapping(name: str, text: bytes) -> Mapping[str, object]:
    try:
        return _json.parse(text, dict)
    except ValueError as error:
        raise unusable(f"{name} can't be read: {error}", "JSON", COPY) from error


def read_directory(path: str, user: str, read: _safetensors_io.ReadHeader | None = None) -> Source:
    """Read a model's directory. user: as of a Query. Raises Unusable where it can't be one."""
    read = read or reader(user)
    way = access(user, path)
    if not os.path.isdir(path):
        raise unusable(f"{path} is not a directory", "a model's directory", "correct vllm_ray_model")
    if not os.path.isfile(os.path.join(path, CONFIG)):
        fix = "set vllm_ray_model to a directory with a model in Hugging Face's format"
        raise unusable(f"{path} has no {CONFIG}", CONFIG, fix)
    try:
        config = parse_config(path, _content(path, CONFIG, way), _content(path, QUANTIZATION, way))
        index = _content(path, INDEX, way)
        parsed = _safetensors.parse_index(index) if index else _safetensors.Index(0, {})
        tensors: dict[str, _safetensors.Tensor] = {}
        with _safe_io.open_directory(path, account=way.account) as directory:
            names = directory.names()
        code = code_of(config).union(*(code_of(_lenient(_content(path, name, way))) for name in CODE_CONFIGS))
        for name in weight_files(names, parsed):
            tensors.update(read(os.path.join(path, name)).tensors)
    except _unsafe.Unsafe as error:
        raise unusable(f"{_unsafe.shown(error.path)} is {error.found}", error.wanted, error.fix) from error
    except OSError as error:
        raise unusable(f"{error.filename or path}: {error.strerror}", "a file that can be read", COPY) from error
    except ValueError as error:
        raise unusable(f"{path}: {error}", "a complete model", COPY) from error
    return Source(path, config, tensors, parsed, names=names, code=code)


def _lenient(text: bytes) -> Mapping[str, object]:
    """Return a mapping in JSON, an empty one where there is none: vLLM's tokenizer will say so."""
    try:
        return _json.parse(text, dict)
    except ValueError:
        return {}


def _content(path: str, name: str, way: Access) -> bytes:
    """Return a small file, empty where there is none."""
    try:
        return _safe_io.read_bytes(os.path.join(path, name), LARGEST, *way)
    except FileNotFoundError:
        return b""


def weight_files(names: t.Iterable[str], index: _safetensors.Index) -> list[str]:
    """Return the names of the files that vLLM loads: those of the index, or all but Mistral's second copy.

    names: of all files.
    """
    there = {name for name in names if name.endswith(".safetensors")}
    if index.files:
        wanted = set(index.files.values())
        missing = sorted(wanted - there)
        if missing:
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            raise ValueError(f"missing files of {INDEX}: {', '.join(missing[:SHOWN])}{more}")
        return sorted(wanted)
    own = {name for name in there if not name.startswith("consolidated")}
    return sorted(own or there)


def fetch(wish: _hub_interface.Wish, way: _hub_interface.Way) -> Source:
    """Read a model's small files from its hub. Raises Unusable."""
    for problem in wish.hub.problems(wish):
        raise Unusable(problem)
    text, commit = get(wish, CONFIG, way)
    if not text:
        raise Unusable(_hub_problems.refusal(wish, 404, "", bool(way.token)))
    # The rest is of the same commit, even if the branch moves meanwhile.
    wish = replace(wish, revision=commit or wish.revision)
    config = parse_config(f"{wish.url}/{wish.model}", text, get(wish, QUANTIZATION, way)[0])
    index = get(wish, INDEX, way)[0]
    try:
        parsed = _safetensors.parse_index(index) if index else _safetensors.Index(0, {})
    except ValueError as error:
        raise unusable(f"{wish.file_url(INDEX)}: {error}", "an index", COPY) from error
    return Source(f"{wish.url}/{wish.model}", config, {}, parsed, commit or wish.wanted_revision, code=code_of(config))


def get(wish: _hub_interface.Wish, name: str, way: _hub_interface.Way) -> tuple[bytes, str]:
    """Return a file of a hub and the commit that it is from; empty where the hub has no such file. Raises Unusable."""
    try:
        with _http_io.download(wish.file_url(name), *way) as answer:
            return answer.read(LARGEST), answer.headers.get("X-Repo-Commit") or ""
    except HTTPError as error:
        error.close()
        if error.code == 404:
            return b"", ""
        raise Unusable(_hub_problems.refusal(wish, error.code, str(error.reason), bool(way.token))) from error
    except (URLError, socket.timeout, OSError) as error:
        reason = way.without_secrets(str(getattr(error, "reason", error)))
        raise Unusable(_hub_problems.refusal(wish, 0, reason, bool(way.token))) from error
