# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to Ray's dashboard, to vLLM's API and to the internet. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import socket
import typing as t
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

LOOPBACK = re.compile(r"127(\.\d{1,3}){3}")


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


def download(
    url: str,
    secret: str = "",
    proxy: str = "",
    ca_certificate: str = "",
    seconds: float = 30,
    method: str = "GET",
    span: str = "",
    cookie: str = "",
) -> t.Any:
    """Return the answer of a server in the internet, to read from. secret: a bearer token, for this server alone.

    proxy: its URL; ca_certificate: file with the certificates to trust; empty: as the host has them. span: the range to
    ask for; cookie: the name of one that shows the secret, too. A redirect from https to anything else is refused, and
    a secret for a server that is reached without encryption. Raises OSError.
    """
    import ssl
    from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

    class Redirects(HTTPRedirectHandler):
        """Follows redirects, but never to where others can read and change what is sent."""

        def redirect_request(self, req: t.Any, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str) -> t.Any:
            if req.full_url.startswith("https:") and not newurl.lower().startswith("https:"):
                asked = req.full_url.split("?")[0]
                raise URLError(f"{asked} redirects to {newurl.split('?')[0]}, which is not encrypted")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    if secret and not may_have_secret(url):
        raise URLError(f"{url.split('?')[0]} is not encrypted, so no token is sent there")
    request = Request(url, headers={"User-Agent": "vllm_ray.cluster"}, method=method)
    if span:
        request.add_header("Range", span)
    if secret:
        # A redirect leads to another server, which must not see it.
        request.add_unredirected_header("Authorization", f"Bearer {secret}")
        if cookie:
            request.add_unredirected_header("Cookie", f"{cookie}={secret}")
    try:
        context = ssl.create_default_context(cafile=ca_certificate or None)
    except OSError as error:
        raise URLError(f"no certificates can be read from {ca_certificate}: {error}") from error
    proxies = [ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
    return build_opener(HTTPSHandler(context=context), Redirects, *proxies).open(request, timeout=seconds)


def may_have_secret(url: str) -> bool:
    """Return whether a secret may be sent to a URL: it is encrypted, or nobody is on the way, as it is this host."""
    place = urlsplit(url)
    host = place.hostname or ""
    return place.scheme == "https" or host in ("localhost", "::1") or bool(LOOPBACK.fullmatch(host))


def read_secret(path: str) -> str:
    """Return the secret in a file, empty where it can't be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""
