# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to Ray's dashboard, to vLLM's API and to the internet. PRIVATE to the collection."""

from __future__ import annotations

import json
import socket
import typing as t
from urllib.error import HTTPError, URLError

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io

CERTIFICATES_MAXIMUM = 16 * _safe_io.MIB


class Refused(Exception):
    """No usable answer came; the message says why in one line. status: HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def bearer(secret: str) -> str:
    """Return the header that shows a secret. Raises ValueError, without the secret, where it can't be in a header.

    Python's own error would repeat it.
    """
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError("the token or key has a space, a line break or another character that no header can have")
    return f"Bearer {secret}"


def request_json(url: str, secret: str = "", body: t.Any = None, seconds: float = 10) -> t.Any:
    """Return the JSON that a URL answers with. secret: a bearer token. body: sent as JSON by POST."""
    # Loaded only here: it costs a host more than looking at it does, and most hosts have nobody to ask.
    from ansible.module_utils.urls import open_url

    headers = {"Accept": "application/json"}
    if secret:
        try:
            headers["Authorization"] = bearer(secret)
        except ValueError as error:
            raise Refused(str(error)) from error
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
    ask for; cookie: the name of one that shows the secret, too. Raises OSError.
    """
    import ssl
    from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

    request = Request(url, headers={"User-Agent": "vllm_ray.cluster"}, method=method)
    if span:
        request.add_header("Range", span)
    if secret:
        # A redirect leads to another server, which must not see it.
        try:
            request.add_unredirected_header("Authorization", bearer(secret))
        except ValueError as error:
            raise URLError(str(error)) from error
        if cookie:
            request.add_unredirected_header("Cookie", f"{cookie}={secret}")
    try:
        # Read here, as the library would read a FIFO or an endless file for ever. Comments need not be ASCII.
        certificates = _safe_io.read_bytes(ca_certificate, CERTIFICATES_MAXIMUM) if ca_certificate else b""
        context = ssl.create_default_context(cadata=certificates.decode("ascii", "ignore") or None)
    except OSError as error:
        raise URLError(f"no certificates can be read from {ca_certificate}: {error}") from error
    proxies = [ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
    return build_opener(HTTPSHandler(context=context), *proxies).open(request, timeout=seconds)


def read_secret(path: str) -> str:
    """Return the secret in a file, empty where it can't be read."""
    try:
        return (_safe_io.read_text(path) or "").strip()
    except OSError:
        return ""
