# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download a model of a hub to all hosts: one host downloads it, the others copy finished files. PRIVATE to
the collection."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io, _http_io, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import (
    _hub,
    _hub_ask_io,
    _hub_client_io,
    _hub_filler_io,
    _hub_interface,
    _hub_listing,
    _hub_mirror_io,
    _hub_pin,
    _hub_problems,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import (
    _manifest,
    _manifest_io,
    _tree_io,
    _tree_sync,
    _tree_sync_io,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    class Peer(t.TypedDict):
        """A host that takes part."""

        name: str
        address: str

    class Options(t.TypedDict):
        """The options of model_download, besides those that _hub.wish_of() and way_of() read."""

        state: str
        commit: str
        update: bool
        path: str | None
        root: str
        exclude: list[str]
        python: str | None
        user: str
        hosts: list[Peer]
        name: str
        source: str
        run_token: str | None
        limit_mbit: float
        window: float
        grace: float
        patience: float
        record_directory: str
        reserve_gib: float


PART = ".vllm-ray-download"
# Results of tree_sync that the user gets.
TOLD = ("digest", "bytes", "received_bytes", "received_from", "sent_bytes", "absent", "seconds")


class Target(t.NamedTuple):
    """What is wanted, and where. listing: None where the hub need not be asked."""

    wish: _hub_interface.Wish
    pin_file: str
    commit: str
    directory: str
    listing: _hub_listing.Listing | None

    @property
    def pinned(self) -> _hub_interface.Wish:
        """Return `wish` for exactly this commit. A hub without commits keeps the name of the revision."""
        return replace(self.wish, revision=self.commit) if self.wish.hub.has_revisions else self.wish

    @property
    def part(self) -> str:
        """Return the directory of the download, on the file system of the model."""
        above, name = os.path.split(self.directory)
        return os.path.join(above, f".{name}{PART}")


def target_of(params: Options) -> Target:
    """Find out which commit is wanted, from the pin of an earlier run if there is one. Raises Unusable."""
    wish = _hub.wish_of(params)
    for problem in wish.hub.problems(wish):
        raise _manifest_io.Unusable(problem)
    pin_file = os.path.join(params["record_directory"], _hub_pin.pin_name(wish, params["path"] or ""))
    pin = None if params["update"] else read_pin(pin_file)
    commit, listing = params["commit"] or _hub_pin.known_commit(wish, pin), None
    if not commit:
        listing = _hub_ask_io.ask(wish, _hub.way_of(params))
        commit = listing.commit
    return Target(
        wish, pin_file, commit, params["path"] or _hub_interface.directory_of(wish, params["root"], commit), listing
    )


def read_pin(name: str) -> _hub_pin.Pin | None:
    return _hub_pin.parse_pin(_manifest_io.linked_text(name))


def write_pin(name: str, pin: _hub_pin.Pin) -> None:
    if read_pin(name) == pin:
        return
    _manifest_io.make_directories(os.path.dirname(name))
    _safe_io.write_file(name, _hub_pin.render_pin(pin).encode())


def perform(module: AnsibleModule) -> dict[str, object]:
    """Do what the module's parameters say, and return what it returns. Raises Unusable, Failed."""
    params: Options = module.params
    target = target_of(params)
    there = is_there(target, params)
    result: dict[str, object] = {
        "changed": False,
        "exists": there,
        "directory": target.directory,
        "commit": target.commit,
    }
    is_source = params["name"] == (params["source"] or params["name"])
    if params["state"] == "asked":
        done = tell(target, params, there, is_source)
    elif there and not (is_source and params["hosts"]):
        done = {"msg": f"{target.directory} is there"}
    else:
        done = download(module, target) if is_source else receive(module, target)
        result["exists"] = there or not module.check_mode
    if result["exists"] and not module.check_mode:
        write_pin(target.pin_file, _hub_pin.Pin(target.commit, target.directory))
    return {**result, **done}


def tell(target: Target, params: Options, there: bool, is_source: bool) -> dict[str, object]:
    """Return what is to be known before a download; the hub is asked by the host that downloads, and once."""
    files = ask(target, params) if is_source and not there and not params["commit"] else []
    return {
        "msg": f"{target.directory} is there" if there else summary(target),
        "filesystem": _manifest_io.mount_of(target.directory)._asdict(),
        "to_copy": [] if there else [target.directory],
        "to_copy_bytes": sum(file.size for file in files),
        "to_remove": [],
    }


def is_there(target: Target, params: Options) -> bool:
    """Return whether the wanted commit is there. Raises Unusable, where something else may be."""
    if not os.path.isdir(target.directory):
        return False
    held = read_pin(target.pin_file)
    # A directory that is named after its commit holds it: it got that name when it was whole.
    if params["path"] and (not held or (held.commit, held.directory) != (target.commit, target.directory)):
        raise _manifest_io.Unusable(_hub_problems.held_problem(target.directory, held, target.commit))
    return True


def download(module: AnsibleModule, target: Target) -> dict[str, object]:
    """Download a model here and let the other hosts have it, or let them have what is here."""
    params: Options = module.params
    if module.check_mode:
        there = is_there(target, params)
        if not there:
            ask(target, params)
        return {"changed": not there, "msg": summary(target)}
    with _tree_io.held(params["record_directory"], target.part, params["patience"]):
        # Another run may have been at work.
        if is_there(target, params):
            told = _tree_sync_io.describe(sync_params(params, target))
            return share(sync_params(params, target, digest=told["digest"]), None)
        try:
            filler = filler_of(module, target)
        except _manifest_io.Unusable:
            leave_word(params, target)
            raise
        try:
            done = share(sync_params(params, target, source=params["name"]), filler)
        except _folders_io.Failed:
            if filler.problem:
                raise _manifest_io.Unusable(filler.problem) from None
            raise
        finally:
            filler.close()
        # What can't be removed is seen by the next run.
        with contextlib.suppress(OSError):
            _safe_io.remove(target.part)
        renew_record(params["record_directory"], _folders_io.resolved(target.directory))
    return {**done, "msg": summary(target)}


def leave_word(params: Options, target: Target) -> None:
    """Write that the run has ended, for hosts that ask for its progress."""
    said = {"run": _tree_sync.run_name(params["run_token"] or ""), "bytes": 0, "at": time.time(), "hosts": {}}
    _tree_io.write_progress(params["record_directory"], _folders_io.resolved(target.directory), said)


def renew_record(directory: str, path: str) -> None:
    """Take note of the new ctime of files of which another link was removed, so that they are not hashed again."""
    record = _tree_io.read_record(directory, path)
    files = {}
    for name, known in record.files.items():
        state = _tree_io.state_of(os.lstat(os.path.join(path, name)))
        if state._replace(ctime_ns=known.state.ctime_ns) == known.state:
            files[name] = known._replace(state=state)
    _tree_io.write_record(directory, replace(record, files=files))


def filler_of(module: AnsibleModule, target: Target) -> _hub_filler_io.Filler:
    """Return what downloads the model, once it is asked to."""
    params: Options = module.params
    files, way, program = ask(target, params), _hub.way_of(params), target.wish.hub.client
    if not program:
        if not _http_io.may_have_secret(target.wish.url):
            module.warn(_hub_problems.PLAIN_MIRROR.format(url=target.wish.url))
        return _hub_mirror_io.Mirror(target.wish, files, target.part, way)
    python, exclude, user = params["python"] or "", params["exclude"], params["user"]
    call = _hub_client_io.Call(module.run_command, program, python, way, exclude, user)
    return _hub_client_io.Client(target.pinned, files, target.part, call)


def receive(module: AnsibleModule, target: Target) -> dict[str, object]:
    """Get a model from the host that downloads it."""
    params: Options = module.params
    if module.check_mode:
        return {"changed": True, "msg": f"{target.directory} from {params['source']}"}
    return share(sync_params(params, target, source=params["source"]), None)


def share(params: dict[str, object], filler: _hub_filler_io.Filler | None) -> dict[str, object]:
    """Take part in the run of all hosts."""
    told = _tree_sync_io.Host(params, filler).run()
    return {
        "changed": told["changed"],
        "msg": params["path"],
        **{name: value for name, value in told.items() if name in TOLD},
    }


def sync_params(params: Options, target: Target, digest: str = "", source: str = "") -> dict[str, object]:
    """Return the parameters of tree_sync. A host without others is a set of its own."""
    return {
        "record_directory": params["record_directory"],
        "limit_mbit": params["limit_mbit"],
        "reserve_gib": params["reserve_gib"],
        "window": params["window"],
        "grace": params["grace"],
        "patience": params["patience"],
        "path": target.directory,
        "hosts": params["hosts"] or [{"name": params["name"], "address": "127.0.0.1"}],
        "name": params["name"],
        "token": params["run_token"] or secrets.token_hex(),
        "digest": digest,
        "source": source,
        "depth": "quick",
        "replace": False,
        "plain": True,
        "copy_from": None,
    }


def ask(target: Target, params: Options) -> list[_hub_listing.File]:
    """Return the files that will come. Raises Unusable, also where there is no room for them."""
    listing = target.listing or _hub_ask_io.ask(target.pinned, _hub.way_of(params))
    if listing.commit != target.commit:
        raise _manifest_io.Unusable(_hub_problems.moved_problem(target.wish, listing.commit, target.commit))
    hub = target.wish.hub
    files = _hub_listing.chosen(listing.files, hub.patterns(params["exclude"]))
    if not hub.lists_sizes:
        files = _hub_ask_io.sized(target.wish, files, _hub.way_of(params))
    size = max(0, sum(file.size for file in files) - _hub_filler_io.bytes_in(target.part))
    if hub.client:
        size += _hub_client_io.copied_bytes(files, params["user"])
    free, reserve = _manifest_io.free_bytes(target.directory), int(params["reserve_gib"] * _manifest.GIB)
    for problem in _manifest.disk_problems(_manifest_io.existing(target.directory), free, size, reserve):
        raise _manifest_io.Unusable(problem)
    return files


def summary(target: Target) -> str:
    return f"{target.wish.model} at {target.commit[:12]} from {target.wish.hub.title} to {target.directory}"
