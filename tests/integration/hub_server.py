#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub on this machine's loopback: what the clients of Hugging Face and ModelScope ask to download a model, and a
mirror. Large files come from another server, as on the hubs, which must not see the token.

As a program: hub_server.py PORT DIRECTORY TOKEN. DIRECTORY holds OWNER/NAME/COMMIT/ and OWNER/NAME/main, a file with a
commit. Models of the owner `private` want TOKEN.

What they ask is taken from huggingface_hub 2.4.0 and modelscope_hub 0.5.1; what is answered from the captured answers
in tests/fixtures/hub.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import sys
import threading
import time
import typing as t
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

HUB, CDN = "127.0.0.1", "127.0.0.2"
COMMIT = "8b3861f6931c4026b0cd22b38dbc09e7668983ac"
LARGE = 1024
STEP = 16 * 1024
SUMS = "SHA256SUMS"
HF_LISTING = re.compile(r"/api/models/(?P<model>.+)/(?P<kind>revision|tree)/(?P<revision>[^/]+)")
HF_FILE = re.compile(r"/(?P<model>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
MS_LISTING = re.compile(r"/api/v1/models/(?P<model>[^/]+/[^/]+)/repo/files")
MS_FILE = re.compile(r"/api/v1/models/(?P<model>[^/]+/[^/]+)/repo")
MIRROR_FILE = re.compile(r"/mirror/(?P<model>[^/]+/[^/]+)/(?P<name>.+)")
CDN_FILE = re.compile(r"/lfs/(?P<model>[^/]+/[^/]+)/(?P<name>.+)")


@dataclass
class Fault:
    """What goes wrong with the bytes of a file. times: how often, then all is well.

    status: answer with that. cut: break off after so many bytes of the answer. wrong: change a byte. rate: bytes/s.
    gate: answer no byte more than half of the file before it is set. whole: know no ranges. late: of a listing, only to
    clients, which ask for it after our question.
    """

    status: int = 0
    cut: int = -1
    wrong: bool = False
    rate: float = math.inf
    gate: threading.Event | None = None
    whole: bool = False
    late: bool = False
    times: float = math.inf


@dataclass
class Model:
    """A model of the hub. token: which one may read it, empty for everybody. gated: its listing is open to all."""

    files: dict[str, bytes]
    token: str = ""
    gated: bool = False
    commit: str = COMMIT
    faults: dict[str, Fault] = field(default_factory=dict)
    listing: Fault | None = None


class Asked(t.NamedTuple):
    """One request. model, file: which file of which model was answered; sent: bytes of it."""

    server: str
    path: str
    span: str
    token: str
    model: str
    file: str
    sent: int


class Hub:
    """Both servers. asked: what they were asked, in the order of the ends of the answers. handler: for servers of one's
    own that are to answer like these."""

    def __init__(self, port: int = 0) -> None:
        self.models: dict[str, Model] = {}
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.handler = type("Bound", (Handler,), {"hub": self})
        self.servers = [ThreadingHTTPServer((address, port), self.handler) for address in (HUB, CDN)]
        for server in self.servers:
            server.daemon_threads = True
            server.block_on_close = False
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.url, self.cdn = (f"http://{name}:{one.server_port}" for name, one in zip((HUB, CDN), self.servers))

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def parts(self, model: str, file: str) -> list[Asked]:
        """Return the answers with bytes of a file."""
        return [one for one in list(self.asked) if (one.model, one.file) == (model, file) and one.sent]

    def sent(self, model: str, file: str) -> int:
        """Return how many bytes of a file were sent."""
        return sum(one.sent for one in self.parts(model, file))


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_words: t.Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.respond()

    def do_GET(self) -> None:
        self.respond()

    @property
    def token(self) -> str:
        return (self.headers.get("Authorization") or "").replace("Bearer ", "")

    def respond(self) -> None:
        self.sent, self.given = 0, ("", "")
        try:
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            server = self.connection.getsockname()[0]
            span = self.headers.get("Range", "")
            with self.hub.lock:
                self.hub.asked.append(Asked(server, unquote(self.path), span, self.token, *self.given, self.sent))

    def route(self) -> None:
        split = urlsplit(self.path)
        path, query = unquote(split.path), {key: values[0] for key, values in parse_qs(split.query).items()}
        ways = (
            (HF_LISTING, self.hf_listing),
            (HF_FILE, self.hf_file),
            (MS_LISTING, self.ms_listing),
            (MS_FILE, self.ms_file),
            (MIRROR_FILE, self.mirror_file),
            (CDN_FILE, self.cdn_file),
        )
        for pattern, way in ways:
            match = pattern.fullmatch(path)
            if match:
                groups = match.groupdict()
                self.given = groups["model"], query.get("FilePath") or groups.get("name", "")
                way(**{**groups, **query})
                return
        self.answer(404, {"error": "not found"})

    # --- Hugging Face ---

    def hf_listing(self, model: str, kind: str, revision: str, **_query: str) -> None:
        found = self.hub.models.get(model)
        if not found or (found.token not in ("", self.token) and not found.gated):
            code = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            self.answer(404 if self.token else 401, {"error": "Invalid username or password."}, code)
        elif revision not in ("main", found.commit):
            self.answer(404, {"error": f"Invalid rev id: {revision}"}, {"X-Error-Code": "RevisionNotFound"})
        elif not (found.listing and found.listing.late and kind == "revision") and self.broken(found.listing):
            return
        else:
            self.answer(200, hf_tree(found) if kind == "tree" else hf_revision(model, found))

    def hf_file(self, model: str, name: str, **_query: str) -> None:
        found = self.hub.models[model]
        if found.token not in ("", self.token):
            words = f"Access to model {model} is restricted"
            code = {"X-Error-Code": "GatedRepo", "X-Error-Message": words}
            self.answer(403 if self.token else 401, {"error": words}, code)
            return
        if name not in found.files:
            self.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        content = found.files[name]
        headers = {"X-Repo-Commit": found.commit, "Accept-Ranges": "bytes"}
        if len(content) < LARGE:
            self.give(found, name, {**headers, "ETag": f'"{blob(content)}"'})
            return
        headers["X-Linked-Size"], headers["X-Linked-Etag"] = str(len(content)), f'"{sha256(content)}"'
        headers["Location"] = f"{self.hub.cdn}/lfs/{model}/{quote(name)}"
        self.answer(302, {}, headers)

    # --- ModelScope ---

    def ms_listing(self, model: str, Revision: str = "master", **_query: str) -> None:
        found = self.hub.models.get(model)
        if not found or (found.token not in ("", self.token) and not found.gated):
            self.ms_answer(404, None, 10010205001, "record not found")
        elif Revision not in ("master", found.commit):
            self.ms_answer(200, {"Files": None, "IsVisual": 0, "LatestCommitter": None})
        elif not self.broken(found.listing):
            self.ms_answer(200, ms_files(found))

    def ms_file(self, model: str, FilePath: str = "", **_query: str) -> None:
        found = self.hub.models[model]
        if found.token not in ("", self.token):
            self.ms_answer(403, None, 10010205003, "access denied")
        elif FilePath not in found.files:
            self.ms_answer(404, None, 10990101007, "file not found")
        elif len(found.files[FilePath]) < LARGE:
            self.give(found, FilePath, {})
        else:
            self.answer(302, {}, {"Location": f"{self.hub.cdn}/lfs/{model}/{quote(FilePath)}"})

    def ms_answer(self, status: int, data: t.Any, code: int = 200, message: str = "success") -> None:
        envelope = {"Code": code, "Data": data, "Message": message, "RequestId": "r", "Success": code == 200}
        self.answer(status, envelope)

    # --- Files ---

    def mirror_file(self, model: str, name: str) -> None:
        found = self.hub.models.get(model)
        if found and name == SUMS:
            if not self.broken(found.listing):
                self.give(Model({SUMS: sums(found)}), SUMS, {})
        elif found and name in found.files:
            self.give(found, name, {"Accept-Ranges": "bytes"})
        else:
            self.answer(404, {})

    def cdn_file(self, model: str, name: str) -> None:
        found = self.hub.models[model]
        self.give(found, name, {"ETag": '"of the CDN"', "X-Linked-ETag": f'"{sha256(found.files[name])}"'})

    def fault(self, fault: Fault | None) -> Fault:
        """Return a fault that still happens, and count it; or one that is none."""
        with self.hub.lock:
            if not fault or fault.times <= 0:
                return Fault()
            fault.times -= 1
            return fault

    def broken(self, fault: Fault | None) -> bool:
        """Answer with the status of a fault. Return whether that was done."""
        status = self.fault(fault).status
        if status:
            self.answer(status, {"error": "Internal Error"}, {"Retry-After": "0"})
        return bool(status)

    def give(self, model: Model, name: str, headers: dict[str, str]) -> None:
        """Send a file, or a range of it, with what goes wrong."""
        content = model.files[name]
        fault = self.fault(model.faults.get(name)) if self.command == "GET" else Fault()
        if fault.status:
            self.answer(fault.status, {"error": "Internal Error"}, {"Retry-After": "0"})
            return
        start, stop = 0, len(content)
        match = not fault.whole and re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match:
            start, stop = int(match[1]), min(stop, int(match[2]) + 1) if match[2] else stop
            headers = {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
            if start >= stop:
                self.answer(416, {}, {"Content-Range": f"bytes */{len(content)}"})
                return
        if fault.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.begin(206 if match else 200, {**headers, "Content-Length": str(stop - start)})
        if self.command == "GET":
            self.send(content[start:stop], fault, len(content) // 2 - start)

    def send(self, content: bytes, fault: Fault, before_gate: int) -> None:
        end = fault.cut if 0 <= fault.cut < len(content) else len(content)
        step = STEP if fault.rate == math.inf else max(1, int(min(STEP, fault.rate / 10)))
        while self.sent < end:
            if fault.gate and self.sent + step > before_gate:
                fault.gate.wait(60)
            part = content[self.sent : min(end, self.sent + step)]
            self.wfile.write(part)
            self.sent += len(part)
            if fault.rate < math.inf:
                time.sleep(len(part) / fault.rate)
        if end < len(content):
            self.close_connection = True

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status: int, data: t.Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(data).encode()
        self.begin(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        if self.command == "GET":
            self.wfile.write(body)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob(content: bytes) -> str:
    """Return the id of a blob in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def hf_revision(name: str, model: Model) -> dict[str, t.Any]:
    siblings = []
    for path, content in sorted(model.files.items()):
        one: dict[str, t.Any] = {"rfilename": path, "size": len(content), "blobId": blob(content)}
        if len(content) >= LARGE:
            # The blob is that of the pointer.
            lfs = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
            one.update(blobId=blob(path.encode()), lfs=lfs)
        siblings.append(one)
    return {"id": name, "modelId": name, "sha": model.commit, "private": bool(model.token), "siblings": siblings}


def hf_tree(model: Model) -> list[dict[str, t.Any]]:
    entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in folders(model)]
    for path, content in sorted(model.files.items()):
        entry: dict[str, t.Any] = {"type": "file", "oid": blob(content), "size": len(content), "path": path}
        if len(content) >= LARGE:
            lfs = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
            entry.update(oid=blob(path.encode()), lfs=lfs)
        entries.append(entry)
    return entries


def ms_files(model: Model) -> dict[str, t.Any]:
    files: list[dict[str, t.Any]] = [
        {"Path": path, "Name": path, "Type": "tree", "Size": 0, "Sha256": "", "Revision": ""} for path in folders(model)
    ]
    files += [
        {
            "Path": path,
            "Name": path.rpartition("/")[2],
            "Type": "blob",
            "Size": len(content),
            "Sha256": sha256(content),
            "IsLFS": len(content) >= LARGE,
            "Revision": model.commit,
        }
        for path, content in sorted(model.files.items())
    ]
    return {"Files": files, "IsVisual": 0, "LatestCommitter": {"Id": "", "ShortId": model.commit[:8]}}


def folders(model: Model) -> list[str]:
    return sorted({path.rpartition("/")[0] for path in model.files} - {""})


def sums(model: Model) -> bytes:
    return "".join(f"{sha256(content)}  {path}\n" for path, content in sorted(model.files.items())).encode()


def main() -> None:
    port, directory, token = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    hub = Hub(port)
    for branch in directory.glob("*/*/main"):
        name, commit = branch.parent.relative_to(directory).as_posix(), branch.read_text().strip()
        folder = branch.parent / commit
        files = {
            place.relative_to(folder).as_posix(): place.read_bytes() for place in folder.rglob("*") if place.is_file()
        }
        hub.models[name] = Model(files, token=token if name.startswith("private/") else "", commit=commit)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    main()
