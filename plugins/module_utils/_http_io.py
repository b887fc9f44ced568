# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to Ray's dashboard and to vLLM's API. PRIVATE to the collection."""

from __future__ import annotations

import json
import socket
import typing as t
from urllib.error import HTTPError, URLError


class Refused(Exception):
    """No usable answer came; the message says why in one line. status: HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def request_json(url: str, secret: str = "", body: t.Any = None, seconds: float = 10) -> t.Any:
    """Return the JSON that a URL answers with. secret: a bearer token. body: sent as JSON by POST."""
    # Loaded only here: it costs a host more than looking at it does, and most hosts have nobody to ask.
    from ansible.module_utils.urls import open_url

    headers = {"Accept": "application/json"}
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body)
    try:
        # Proxies of the environment are for downloads, never for the cluster itself.
        answer = open_url(url, data=data, headers=headers, timeout=seconds, use_proxy=False)
        return json.loads(answer.read())
    except HTTPError as error:
        text = error.read().decode(errors="replace").strip()
        raise Refused(f"HTTP {error.code} {error.reason}: {text[:400]}", error.code) from error
    except (URLError, socket.timeout, OSError) as error:
        raise Refused(str(getattr(error, "reason", error))) from error
    except ValueError as error:
        raise Refused(f"no JSON: {error}") from error


def read_secret(path: str) -> str:
    """Return the secret in a file, empty where it can't be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""
