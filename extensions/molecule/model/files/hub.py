#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of Hugging Face's API that its client needs to download models: hub.py PORT DIRECTORY.

DIRECTORY holds OWNER/NAME/COMMIT/ and OWNER/NAME/main, a file with a commit. Models of the owner `private` want TOKEN.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOKEN = "hf_scenario-token"
API = re.compile(r"/api/models/([^/]+/[^/]+)/(?:revision|tree)/([^/]+)")
FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class Hub(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_HEAD(self) -> None:
        self.respond(body=False)

    def do_GET(self) -> None:
        self.respond(body=True)

    def respond(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        api, file = API.fullmatch(path), FILE.fullmatch(path)
        match = api or file
        if not match:
            return self.send(404, b"{}", body)
        model, revision = match.group(1), match.group(2)
        if model.startswith("private/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send(401, b"{}", body, {"X-Error-Code": "GatedRepo"})
        branch = self.root / model / revision
        commit = branch.read_text().strip() if branch.is_file() else revision
        folder = self.root / model / commit
        if not folder.is_dir():
            return self.send(404, b"{}", body, {"X-Error-Code": "RevisionNotFound"})
        if api:
            return self.send(200, json.dumps(self.listing(model, commit, folder, "/tree/" in path)).encode(), body)
        place = folder / match.group(3)
        if not place.is_file():
            return self.send(404, b"{}", body, {"X-Error-Code": "EntryNotFound"})
        content = place.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        return self.send(200, content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": commit})

    def listing(self, model: str, commit: str, folder: Path, tree: bool) -> object:
        files = [place for place in sorted(folder.rglob("*")) if place.is_file()]
        names = [place.relative_to(folder).as_posix() for place in files]
        sizes = [place.stat().st_size for place in files]
        if tree:
            return [
                {"type": "file", "path": name, "size": size, "oid": hashlib.sha1(name.encode()).hexdigest()}
                for name, size in zip(names, sizes)
            ]
        siblings = [{"rfilename": name, "size": size} for name, size in zip(names, sizes)]
        return {"id": model, "modelId": model, "sha": commit, "private": False, "siblings": siblings}

    def send(self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        start, stop = 0, len(content)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and status == 200:
            status, start = 206, int(wanted.group(1))
            stop = int(wanted.group(2)) + 1 if wanted.group(2) else stop
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if body:
            self.wfile.write(content[start:stop])


if __name__ == "__main__":
    Hub.root = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hub).serve_forever()
