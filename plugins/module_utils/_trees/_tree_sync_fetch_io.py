# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one host of a run asks the others, and fetches pieces of them. PRIVATE to the collection.

Pieces are believed only by their hash, and other answers only with a proof by the token of the run. So only members of
the run can say what is in a tree that is being downloaded, and of these only the one that downloads it is asked.
"""

from __future__ import annotations

import http.client
import math
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import (
    _store_io,
    _tree,
    _tree_sync,
    _tree_sync_line_io,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_line_io import Line, drain
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_run_io import Run

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._tree_sync_run_io import Filler

# Seconds: how often peers are asked for their state, and how often until they first answer.
POLL, FIRST_POLL = 1.0, 0.2
IDLE = 0.05
# Bytes that are read at a time.
READ = 64 * 1024
# So often may a peer break off within a piece, and what comes of it counts.
BREAKS = 3


class Fetching(Run):
    """A host that asks its peers."""

    def poll(self, name: str) -> None:
        """Ask a peer for its state again and again."""
        line, schedule = Line(self, name, _tree_sync_line_io.SHORT_SILENCE), t.cast(_tree_sync.Schedule, self.schedule)
        began, answered = time.monotonic(), False
        while not self.ended:
            done = self.done
            try:
                said = _tree_sync.parse_said(line.ask(f"/state?done={int(done)}", _tree_sync.SAID_MAXIMUM))
                answered = True
                if name == self.source:
                    self.follow(line, said)
                with self.lock:
                    peer = schedule.peers[name]
                    schedule.hear(name, said.have, time.monotonic(), said.done, self.name in said.shuns, said.ready)
                    peer.failed = bool(said.failed)
                    peer.told = peer.told or done
            except (OSError, http.client.HTTPException, ValueError):
                line.close()
                with self.lock:
                    schedule.peers[name].reachable = False
            soon = not answered or time.monotonic() - began < POLL
            self.pause(FIRST_POLL if soon else POLL)
        line.leave()

    def follow(self, line: Line, said: _tree_sync.Said) -> None:
        """Learn the hashes of files that were finished since the last time, of the host that downloads them."""
        store, schedule = t.cast(_store_io.Store, self.store), t.cast(_tree_sync.Schedule, self.schedule)
        if said.failed:
            self.failure = f"{self.source} could not download it: {said.failed}"
        if said.growing:
            self.growing_at = time.monotonic()
        if said.learned > len(self.learned):
            most = 2 * _tree.HEX * (len(store.manifest.pieces) + len(store.manifest.entries))
            for number, text in _tree_sync.parse_learned(line.ask(f"/hashes?{len(self.learned)}", most)):
                # It hashes what an earlier run left, which takes long for a large file.
                self.growing_at = math.inf
                try:
                    found = store.learn(number, text)
                except ValueError as error:
                    self.failure = f"{self.source} sent hashes that do not fit its manifest: {error}. Run again."
                    raise
                except OSError as error:
                    self.failure = f"{self.name} can't read what is in {store.staging}: {error}. Remove it."
                    raise
                finally:
                    self.growing_at = time.monotonic()
                with self.lock:
                    schedule.have |= found
                    schedule.known = store.manifest.known
                self.learned.append((number, text))

    def fill(self, filler: Filler) -> None:
        """Take over what has been downloaded since the last time, and let the others know of it. Failed, if it ended
        before all of it was there."""
        store, schedule = t.cast(_store_io.Store, self.store), t.cast(_tree_sync.Schedule, self.schedule)
        ended = filler.ended
        for path, place in filler.poll():
            number = self.numbers[path]
            text, pieces = store.adopt(number, place)
            with self.lock:
                schedule.have |= pieces
                schedule.known = store.manifest.known
            self.learned.append((number, text))
        if filler.failure or (ended and not schedule.complete):
            lacking = [entry.path for entry in store.manifest.entries if entry.size and not entry.text]
            raise Failed(filler.failure or f"{self.name}: the transfer ended, and {', '.join(lacking)} is missing")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the run lasts, and only until this host is done: peers learn that at once."""
        end, done = time.monotonic() + seconds, self.done
        while time.monotonic() < end and not self.ended and self.done == done:
            time.sleep(min(IDLE, seconds))

    def work(self, worker: int) -> None:
        """Get pieces until all are here."""
        store, schedule = t.cast(_store_io.Store, self.store), t.cast(_tree_sync.Schedule, self.schedule)
        lines: dict[str, Line] = {}
        try:
            while not (self.ended or self.failure or schedule.complete):
                with self.lock:
                    ask = schedule.ask(time.monotonic(), worker)
                if ask is None:
                    time.sleep(IDLE)
                    continue
                line = lines.setdefault(ask.peer, Line(self, ask.peer, _tree_sync_line_io.SILENCE))
                self.fetch(store, schedule, line, ask)
        finally:
            for line in lines.values():
                line.leave()

    def fetch(self, store: _store_io.Store, schedule: _tree_sync.Schedule, line: Line, ask: _tree_sync.Ask) -> None:
        """Make one request. What came counts, also if the peer breaks off."""
        began, got, lost = time.monotonic(), 0, False
        starts = store.manifest.starts
        try:
            answer = line.get("/tree", f"bytes={starts[ask.first]}-{starts[ask.last + 1] - 1}")
            if answer.status != 206:
                drain(answer)
            left = answer.length or 0
            for number in range(ask.first, ask.last + 1):
                size = store.manifest.pieces[number].size
                if left < size:
                    break
                data = self.read(line, answer, size, number)
                left -= size
                right = self.keep(store, number, data)
                got |= right
                with self.lock:
                    self.received[ask.peer] += size
                    if not right:
                        schedule.refuse(ask.peer, 1 << number)
                        self.wrong.setdefault(ask.peer, set()).add(self.name_of(number))
            if left:
                line.close()
        except (OSError, http.client.HTTPException, _store_io.Closed):
            line.close()
            lost = True
        line.allow()
        with self.lock:
            schedule.take(ask, got, time.monotonic() - began, time.monotonic())
            if lost:
                schedule.lose(ask, time.monotonic())

    def read(self, line: Line, answer: http.client.HTTPResponse, size: int, number: int) -> bytearray:
        """Return so many bytes of an answer, which are a piece."""
        data, piece = bytearray(size), (line.name, number)
        view, done = memoryview(data), 0
        try:
            while done < size:
                line.allow(_tree_sync_line_io.SLOWEST)
                part = answer.readinto(view[done : done + self.down.part(min(size - done, READ))])
                if not part:
                    raise ConnectionError("the peer closed the connection")
                self.down.take(part)
                # Of a disk that can't be read to its end, the same bytes would come for ever; and wrong ones of a peer
                # that gives such.
                if self.broken[piece] < BREAKS and line.name not in self.wrong:
                    self.received_at = time.monotonic()
                done += part
        except OSError:
            self.broken[piece] += bool(done)
            raise
        return data

    def keep(self, store: _store_io.Store, number: int, data: bytearray) -> int:
        """Put a piece where it belongs; an error of the disk is none of the network."""
        try:
            return store.put(number, data)
        except OSError as error:
            self.failure = (
                f"{self.name} can't write to {store.staging}: {error}. Expected: a writable disk. Make room, and "
                f"run again: {self.path} is unchanged."
            )
            raise
