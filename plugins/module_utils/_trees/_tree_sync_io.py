# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host's part in making a tree equal everywhere, as all hosts do it at the same time. PRIVATE to the collection.

For as long as the call lasts, the host answers the others (_tree_sync_server_io) and fetches from them what it lacks
(_tree_sync_fetch_io). It stays until nobody needs it any more.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
import time
import typing as t
from collections import Counter
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import (
    _store_io,
    _tree,
    _tree_io,
    _tree_sync,
    _tree_sync_fetch_io,
    _tree_sync_line_io,
    _tree_sync_server_io,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import (
    account_of,
    existing,
    free_bytes,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_run_io import Filler

WORKERS = 2
# So many manifests with a wrong digest may a peer give.
WRONG_MANIFESTS = 3
NAMES_SHOWN = 5


class Synced(t.TypedDict):
    """What the module returns after a run. bytes: of the tree; whole_seconds: until it was whole."""

    changed: bool
    digest: str
    bytes: int
    received_bytes: int
    received_from: dict[str, int]
    sent_bytes: int
    found_bytes: int
    hashed_bytes: int
    wrong: dict[str, list[str]]
    absent: list[str]
    whole_seconds: float
    seconds: float


class Host(_tree_sync_fetch_io.Fetching):
    """This host's part in one run."""

    def manifest_from_peers(self) -> str:
        """Return the text of the wanted tree's manifest from a peer that has it."""
        asked = [self.source] if self.source else [name for name in self.order if name != self.name]
        lines = {name: _tree_sync_line_io.Line(self, name, _tree_sync_line_io.SILENCE) for name in asked}
        since, heard, wrong, self.asks = time.monotonic(), set(), Counter[str](), True
        try:
            while time.monotonic() < since + self.params["patience"]:
                for name, line in lines.items():
                    if wrong[name] >= WRONG_MANIFESTS:
                        continue
                    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                        said = _tree_sync.parse_said(line.ask("/state", _tree_sync.SAID_MAXIMUM))
                        heard.add(name)
                        if said.reads and not said.failed:
                            # It may be the one that has it, and large trees take long.
                            since = time.monotonic()
                        if not said.ready:
                            continue
                        text = line.ask("/manifest", _tree.LARGEST_MANIFEST).decode("utf-8", "replace")
                        if name == self.source or _tree.digest(text) == self.params["digest"]:
                            return text
                        wrong[name] += 1
                time.sleep(4 * _tree_sync_fetch_io.IDLE)
        finally:
            self.asks = False
            for line in lines.values():
                line.leave()
        if self.source:
            raise Failed(
                f"{self.name} heard nothing from {self.source}, which downloads the tree, for "
                f"{self.params['patience']:.0f} s. Not reachable: {self.source}. Expected: its run, and connections "
                "between the hosts' addresses. Check its output and the firewall; then run again."
            )
        raise Failed(
            f"{self.name} knows no host that has the tree {(self.params['digest'] or '')[:12]}. It asked: "
            f"{', '.join(asked)}, and got answers from: {', '.join(sorted(heard)) or 'none'}. Expected: one host "
            f"or more whose {self.path} has this digest, and connections between the hosts' addresses. Describe the "
            "tree again, and check the firewall."
        )

    def skeleton(self, filler: Filler) -> str:
        """Return the text of a manifest of files that are still to come."""
        sizes = dict(filler.files)
        entries = _tree.with_directories(_tree.plain_file(path, size) for path, size in sizes.items())
        return _tree.dump(_tree.Manifest(_tree.piece_size(sum(sizes.values())), entries))

    def run(self) -> Synced:
        """Take part, and return what the module returns."""
        began, directory = time.monotonic(), self.params["record_directory"]
        server = _tree_sync_server_io.serve(self)
        threading.Thread(target=self.guard, daemon=True).start()
        try:
            record = _tree_io.read_record(directory, self.path)
            full = self.params["depth"] == "full"
            now = _tree_io.look(self.path, record, full=full, plain=self.plain, account=self.account)
            text = _tree.dump(now.manifest())
            changed = not now.exists or _tree.digest(text) != self.params["digest"]
            seen = now.record(self.path, record.made)
            if not changed:
                # A tree that is another one keeps its record until it is repaired: it says what was correct there.
                _tree_io.write_record(directory, seen)
            if self.filler:
                changed = self.bring(self.skeleton(self.filler), seen)
            elif changed:
                other = self.other_place()
                text = _tree.dump(other.manifest()) if other else self.manifest_from_peers()
                changed = self.bring(text, seen, other)
            else:
                self.start(_store_io.Store(self.path, now.manifest(), now), text)
            whole = time.monotonic() - began
            self.done = True
            self.wait_for_peers()
            return self.result(changed, now.hashed, whole, time.monotonic() - began)
        except BaseException as error:
            self.failure = self.failure or str(error) or "it was ended"
            # So that the peers hear of it, and do not wait.
            time.sleep(2 * _tree_sync_fetch_io.POLL if self.met else 0)
            raise
        finally:
            self.ended = True
            # Later requests for the progress get the answer that the run has ended.
            self.leave_word({})
            server.shutdown()
            server.server_close()

    def guard(self) -> None:
        """Break off what takes a peer too long."""
        while not self.ended:
            for line in [*self.lines]:
                if time.monotonic() > line.until:
                    line.cut()
            time.sleep(4 * _tree_sync_fetch_io.IDLE)

    def other_place(self) -> _tree_io.Look | None:
        """Return the wanted tree, where this host has it in another directory."""
        if not self.copy_from:
            return None
        place = _folders_io.resolved(self.copy_from)
        record = _tree_io.read_record(self.params["record_directory"], place)
        other = _tree_io.look(place, record, plain=self.plain, account=self.account)
        return other if _tree.digest(_tree.dump(other.manifest())) == self.params["digest"] else None

    def bring(self, text: str, seen: _tree.Record, other: _tree_io.Look | None = None) -> bool:
        """Make the tree that of a manifest. Return whether it was another.

        seen: what was just hashed of it; other: what other_place() returned.
        """
        directory, manifest = self.params["record_directory"], self.believed(text, seen)
        with _tree_io.held(directory, self.path, self.params["patience"]):
            # Another run may have been at work, and pieces may be of another size than this tree's own.
            record = _tree_io.read_record(directory, self.path)
            now = _tree_io.look(self.path, seen, manifest.piece, plain=self.plain, account=self.account)
            store = _store_io.Store(self.path, manifest, now)
            if store.diff:
                self.ask_consent(store, record)
                store.prepare(None if self.filler else int(self.params["reserve_gib"] * _tree_io.GIB))
                if other:
                    store.copy_known(_folders_io.resolved(self.copy_from), other)
            self.start(store, text)
            with contextlib.closing(store):
                self.wait_for_pieces()
            made = record.made or not now.entries
            if store.diff:
                # Before the tree appears, so that a cut after that leaves no tree that seems to be somebody else's.
                _tree_io.write_record(directory, replace(record, made=made))
                store.install()
            _tree_io.write_record(directory, store.record(made))
            return bool(store.diff)

    def believed(self, text: str, seen: _tree.Record) -> _tree.Manifest:
        """Return the manifest of a text. Failed, where root should not make such a tree here.

        What a filler brings was checked by the caller, and a part of it may be here already.
        """
        had = sum(known.state.size for known in seen.files.values())
        room = None if self.filler else _store_io.room_for(self.path) + had
        try:
            return _tree.parse(text, self.plain, growing=bool(self.source), room=room)
        except _tree.TooLarge as error:
            place, free = existing(self.path), free_bytes(self.path) / _tree_io.GIB
            raise Failed(f"{place} has {free:.1f} GiB free; {error}. Make room, or set another path.") from error
        except ValueError as error:
            raise Failed(
                f"{self.name} does not create {self.path}: {error}. Correct the tree at its source."
            ) from error

    def ask_consent(self, store: _store_io.Store, record: _tree.Record) -> None:
        """Raise Failed where names would be lost that this module did not make."""
        lost = [] if record.made or self.params["replace"] else _tree.foreign(store.diff, store.now.entries)
        if lost:
            more = f" and {len(lost) - NAMES_SHOWN} more" if len(lost) > NAMES_SHOWN else ""
            raise Failed(
                f"{self.path} on {self.name} was not made by this module and differs: {', '.join(lost[:NAMES_SHOWN])}"
                f"{more}. Expected: consent to replace or remove these. Set replace=true, or set another path."
            )

    def start(self, store: _store_io.Store, text: str) -> None:
        """Begin to answer from a store, to ask the peers for their state, and to fetch what is missing."""
        sizes = [piece.size for piece in store.manifest.pieces]
        self.schedule = _tree_sync.Schedule(sizes, self.order, self.name, store.have, time.monotonic())
        self.schedule.known = store.manifest.known
        self.numbers = {entry.path: number for number, entry in enumerate(store.manifest.entries)}
        self.text, self.store = text, store
        pollers = [threading.Thread(target=self.poll, args=(name,), daemon=True) for name in self.schedule.peers]
        self.workers = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(WORKERS)]
        for thread in [*pollers, *self.workers]:
            thread.start()

    def wait_for_pieces(self) -> None:
        """Return when all pieces are here. Failed, when none has come for too long."""
        schedule = t.cast(_tree_sync.Schedule, self.schedule)
        have, since = schedule.have, time.monotonic()
        while not schedule.complete:
            if self.failure:
                raise Failed(self.failure)
            if self.filler:
                self.fill(self.filler)
            self.tell(schedule)
            if schedule.have != have or self.grows() or max(self.growing_at, self.received_at) > since:
                have, since = schedule.have, time.monotonic()
            if time.monotonic() - since > self.params["patience"]:
                raise Failed(self.why_stuck(schedule))
            time.sleep(_tree_sync_fetch_io.IDLE)
        # A piece may still be on its way a second time. Nobody writes any more when files move to their places.
        for worker in self.workers:
            worker.join()

    def wait_for_peers(self) -> None:
        """Stay until nobody needs this host any more."""
        schedule, window = t.cast(_tree_sync.Schedule, self.schedule), self.params["window"]
        # A host that is well may have answered as long ago as that.
        grace = max(self.params["grace"], 2 * _tree_sync_fetch_io.POLL + _tree_sync_line_io.SHORT_SILENCE)
        while True:
            with self.lock:
                if schedule.everybody_done(time.monotonic(), window, grace):
                    return
            self.tell(schedule)
            time.sleep(_tree_sync_fetch_io.IDLE)

    def tell(self, schedule: _tree_sync.Schedule) -> None:
        """Leave word of how far all hosts are, about once a second."""
        if time.monotonic() < self.told_at + _tree_sync_fetch_io.POLL:
            return
        self.told_at = time.monotonic()
        with self.lock:
            far = schedule.progress(self.told_at, self.params["window"], self.params["grace"])
        if self.filler:
            far[self.name] = (max(far[self.name][0], self.filler.got), _tree_sync.DOWNLOADS)
        self.leave_word(far)

    def leave_word(self, far: Mapping[str, tuple[float, str]]) -> None:
        size = self.schedule.bytes if self.schedule else 0
        said = {"run": _tree_sync.run_name(self.token), "bytes": size, "at": time.time(), "hosts": far}
        _tree_io.write_progress(self.params["record_directory"], self.path, said)

    def why_stuck(self, schedule: _tree_sync.Schedule) -> str:
        """Return what keeps the last pieces from coming."""
        missing = schedule.everything & ~schedule.have
        names = sorted({self.name_of(number) for number in _tree.numbers(missing)})
        with_pieces = [name for name in self.order if name in schedule.peers and schedule.peers[name].have & missing]
        away = [name for name in self.order if name in schedule.peers and not schedule.peers[name].reachable]
        wrong = [f"{name}: {', '.join(sorted(paths)[:NAMES_SHOWN])}" for name, paths in sorted(self.wrong.items())]
        return (
            f"{self.name} is missing {_tree.count(missing)} of {len(schedule.sizes)} pieces, of {len(names)} files "
            f"such as {names[0]!r}, and received none for {self.params['patience']:.0f} s. Not reachable: "
            f"{', '.join(away) or 'none'}. Hosts with some of them: {', '.join(with_pieces) or 'none'}. Sent content "
            f"that does not match its hash: {'; '.join(wrong) or 'none'}. Expected: every piece on at least one host. "
            "Make the hosts reachable, or repair their files with a full verification; then run again: received data "
            "is kept."
        )

    def result(self, changed: bool, hashed: int, whole: float, seconds: float) -> Synced:
        schedule, store = t.cast(_tree_sync.Schedule, self.schedule), t.cast(_store_io.Store, self.store)
        return {
            "changed": changed,
            "digest": self.params["digest"] or _tree.digest(_tree.dump(store.manifest)),
            "bytes": store.manifest.bytes,
            "received_bytes": sum(self.received.values()),
            "received_from": {name: size for name, size in self.received.items() if size},
            "sent_bytes": self.sent,
            "found_bytes": store.found_bytes,
            "hashed_bytes": hashed,
            "wrong": {name: sorted(paths) for name, paths in sorted(self.wrong.items())},
            "absent": sorted(name for name, peer in schedule.peers.items() if not peer.done),
            "whole_seconds": round(whole, 2),
            "seconds": round(seconds, 2),
        }


class Described(t.TypedDict):
    """What the module returns of a tree that it was to describe."""

    changed: bool
    digest: str
    bytes: int
    files: int
    pieces: int
    piece_bytes: int
    hashed_bytes: int


def describe(params: Mapping[str, t.Any], dry: bool = False) -> Described:
    """Read a tree, write its record, and return its digest and sizes."""
    path, account = _folders_io.resolved(params["path"]), account_of(params.get("user") or "")
    if not os.path.isdir(path):
        raise Failed(f"{path} is not a directory. Expected: a tree. Correct the path.")
    record = _tree_io.read_record(params["record_directory"], path)
    full = params["depth"] == "full"
    now = _tree_io.look(path, record, full=full, plain=params["plain"], account=account)
    if not dry:
        _tree_io.write_record(params["record_directory"], now.record(path, record.made))
    manifest = now.manifest()
    try:
        _tree.check(manifest.entries, manifest.piece, params["plain"])
    except ValueError as error:
        raise Failed(f"{path} can't be copied to other hosts: {error}. Correct it on this host.") from error
    return {
        "changed": False,
        "digest": _tree.digest(_tree.dump(manifest)),
        "bytes": manifest.bytes,
        "files": len(now.states),
        "pieces": len(manifest.pieces),
        "piece_bytes": manifest.piece,
        "hashed_bytes": now.hashed,
    }


def perform(params: Mapping[str, t.Any], dry: bool = False) -> Mapping[str, object]:
    """Do what the module's parameters say."""
    if params["state"] == "described":
        return describe(params, dry)
    if not dry:
        return Host(params).run()
    path = _folders_io.resolved(params["path"])
    digest = describe(params, dry)["digest"] if os.path.isdir(path) else ""
    return {"changed": digest != params["digest"], "digest": params["digest"]}
