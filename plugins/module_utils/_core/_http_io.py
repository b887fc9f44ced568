# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to Ray's dashboard, to vLLM's API and to the internet. PRIVATE to the collection.

The module ssl, and what uses it, is loaded only where it is needed: that costs a host more than looking at it does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import typing as t
from urllib.error import URLError
from urllib.parse import SplitResult, urlsplit

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates._tls import first_certificate
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._probe_io import user_name
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import read_kernel
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _listeners, _port_io

if t.TYPE_CHECKING:
    import http.client
    import ssl
    from collections.abc import Iterator
    from http.client import HTTPMessage, HTTPResponse

MIB = 1024**2
LARGEST_ANSWER = 8 * MIB
LARGEST_ERROR = 64 * 1024
LARGEST_SECRET = 64 * 1024
# Seconds between two looks whether a server has accepted a connection.
ACCEPTED = 0.01
CERTIFICATES_MAXIMUM = 16 * MIB
LOOPBACK = re.compile(r"127(\.\d{1,3}){3}")


class Refused(Exception):
    """No usable answer came; the message says why in one line.

    status: HTTP status, 0 where there was none. kind: timeout, closed (nobody listens), stranger (an account listens
    that may not get the secret; pid: of its process, 0 where it can't be seen), unseen (the listener can't be
    determined); empty for everything else.
    """

    def __init__(self, message: str, status: int = 0, kind: str = "", pid: int = 0) -> None:
        super().__init__(message)
        self.status, self.kind, self.pid = status, kind, pid


def bearer(secret: str) -> str:
    """Return the header that shows a secret. Raises ValueError, without the secret, where it can't be in a header.

    Python's own error would repeat it.
    """
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError("the token or key has a space, a line break or another character that no header can have")
    return f"Bearer {secret}"


class Secret(t.NamedTuple):
    """A bearer token. path: of its file. owner: uid of the file's owner: whose services know the secret."""

    value: str = ""
    path: str = ""
    owner: int = -1


NO_SECRET = Secret()


class Limit:
    """Ends a connection when its time is up: a server that sends a byte now and then never lets a single read time
    out.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = threading.Event()
        self.connection: socket.socket | None = None
        self.timer = threading.Timer(seconds, self._end)
        self.timer.daemon = True

    def __enter__(self) -> Limit:
        self.timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.timer.cancel()

    def _end(self) -> None:
        self.over.set()
        if self.connection:
            with contextlib.suppress(OSError):
                # That of ssl would change the object while another thread uses it.
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def refused(self) -> Refused:
        return Refused(f"timed out after {self.seconds:g} s", kind="timeout")


def request_json(
    url: str,
    secret: Secret = NO_SECRET,
    body: object = None,
    seconds: float = 10,
    ca_file: str | None = None,
    server_name: str | None = None,
) -> t.Any:
    """Return the JSON that a service of ours answers with; the rest as of request()."""
    try:
        return json.loads(request(url, secret, body, seconds, ca_file, server_name))
    except (ValueError, RecursionError) as error:
        raise Refused(f"no JSON: {error}") from error


def request(
    url: str,
    secret: Secret = NO_SECRET,
    body: object = None,
    seconds: float = 10,
    ca_file: str | None = None,
    server_name: str | None = None,
) -> bytes:
    """Return what a service of ours answers. body: sent as JSON by POST. seconds: until all of the answer is here.

    On this host, the secret is sent only after the other end of this very connection proved to be a socket of the
    account that owns the secret's file. On another host nothing can be proven: it goes to any program that answers
    there. No redirect is followed, no proxy is used, and no more than LARGEST_ANSWER bytes are read.

    An https URL is asked only where a CA in ca_file signed the server's certificate and it has server_name; by default
    the CAs that the host trusts, which also count where there is no such file, and the URL's host. Raises Refused.
    """
    try:
        header = bearer(secret.value)
    except ValueError as error:
        raise Refused(f"{secret.path}: {error}") from error
    parts, connection = connection_to(url, seconds)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    headers = {"Accept": "application/json"}
    context = trusting(ca_file) if parts.scheme == "https" else None
    with Limit(seconds) as limit, contextlib.closing(connection), refusals(limit):
        connection.connect()
        limit.connection = connection.sock
        if secret.value:
            check_peer(connection.sock, secret, limit)
            headers["Authorization"] = header
        if context:
            connection.sock = encrypted(connection.sock, context, server_name or parts.hostname or "", limit)
        if body is None:
            connection.request("GET", target, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            connection.request("POST", target, json.dumps(body), headers)
        with connection.getresponse() as answer:
            return content_of(answer, limit)


def connection_to(url: str, seconds: float) -> tuple[SplitResult, http.client.HTTPConnection]:
    """Return the parts of a URL, and what can connect to its server without TLS. Raises Refused where it is none."""
    import http.client

    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return parts, http.client.HTTPConnection(parts.hostname or "", port, timeout=seconds)
    except (ValueError, http.client.HTTPException) as error:
        raise Refused(f"{url} is not a URL: {error}") from error


@contextlib.contextmanager
def refusals(limit: Limit) -> Iterator[None]:
    """Turn what goes wrong with a connection into Refused."""
    import http.client
    import ssl

    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        if limit.over.is_set() or isinstance(error, (TimeoutError, socket.timeout)):
            raise limit.refused() from error
        if isinstance(error, ssl.SSLError):
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise Refused(f"its certificate or its TLS is not accepted: {reason}", kind="untrusted") from error
        kind = "closed" if isinstance(error, ConnectionRefusedError) else ""
        raise Refused(getattr(error, "strerror", None) or str(error) or type(error).__name__, kind=kind) from error


def encrypted(connection: socket.socket, context: ssl.SSLContext, name: str, limit: Limit) -> ssl.SSLSocket:
    """Return a connection with TLS over another one. name: that the certificate must have. Raises OSError."""
    # The handshake by itself, so that the limit can end it.
    wrapped = context.wrap_socket(connection, server_hostname=name, do_handshake_on_connect=False)
    limit.connection = wrapped
    try:
        wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that accepts what a CA of a file signed; those of the system where there is none.

    Raises Refused where the file has no certificates or can't be read.
    """
    import ssl

    try:
        # Read here, as the library would read a FIFO or an endless file for ever. Comments need not be ASCII.
        given = _safe_io.read_bytes(ca_file, CERTIFICATES_MAXIMUM).decode("ascii", "ignore") if ca_file else None
    except FileNotFoundError:
        given = None
    except OSError as error:
        raise Refused(f"{ca_file}: {error.strerror}", kind="untrusted") from error
    try:
        # Without any, the library would load those of the system.
        return ssl.create_default_context(cadata=given if given is None else given.strip() or "-")
    except (OSError, ValueError) as error:
        raise Refused(f"{ca_file} has no certificates in PEM", kind="untrusted") from error


def certificate_in(path: str | None) -> str:
    """Return the first certificate in a file, in PEM; empty where there is none or it can't be read."""
    try:
        return first_certificate((_safe_io.read_text(path) if path else None) or "")
    except OSError:
        return ""


def certificate_of(url: str, seconds: float = 5) -> str:
    """Return the certificate that an https server shows, in PEM, by any CA. Nothing is sent. Raises Refused."""
    import ssl

    with handshake(url, unchecked(), "", seconds) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")


def ends_of(url: str, ca_file: str | None, server_name: str = "", seconds: float = 5) -> float:
    """Return when the certificate of an https server ends, in seconds since 1970. Nothing is sent.

    ca_file, server_name: as of request(). Raises Refused, of the kind `untrusted` where clients would refuse it.
    """
    import ssl

    with handshake(url, trusting(ca_file), server_name, seconds) as connection:
        return ssl.cert_time_to_seconds(str((connection.getpeercert() or {})["notAfter"]))


@contextlib.contextmanager
def handshake(url: str, context: ssl.SSLContext, server_name: str, seconds: float) -> Iterator[ssl.SSLSocket]:
    """Yield a connection with TLS to an https server, over which nothing was sent yet. Raises Refused."""
    parts, connection = connection_to(url, seconds)
    with Limit(seconds) as limit, contextlib.closing(connection), refusals(limit):
        connection.connect()
        limit.connection = connection.sock
        connection.sock = wrapped = encrypted(connection.sock, context, server_name or parts.hostname or "", limit)
        yield wrapped


def unchecked() -> ssl.SSLContext:
    """Return a context that accepts any certificate: for requests without a secret."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def status(url: str, method: str = "GET", authorization: str | None = None, seconds: float = 10) -> int:
    """Return the status by which a server answers a request that has no secret. Raises Refused where none comes.

    authorization: a header that is known to be wrong. POST sends an empty object. The body of the answer is not read,
    no redirect is followed, and a certificate is not checked: nobody gets anything by this.
    """
    parts, connection = connection_to(url, seconds)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    headers = {"Content-Type": "application/json"} if method == "POST" else {}
    if authorization is not None:
        headers["Authorization"] = authorization
    with Limit(seconds) as limit, contextlib.closing(connection), refusals(limit):
        connection.connect()
        limit.connection = connection.sock
        if parts.scheme == "https":
            connection.sock = encrypted(connection.sock, unchecked(), parts.hostname or "", limit)
        connection.request(method, target, "{}" if method == "POST" else None, headers)
        return int(connection.getresponse().status)


def content_of(answer: HTTPResponse, limit: Limit) -> bytes:
    """Return the content of a good answer. Raises Refused for all others."""
    good = 200 <= answer.status < 300
    largest = LARGEST_ANSWER if good else LARGEST_ERROR
    content = answer.read(largest + 1)
    if limit.over.is_set():
        raise limit.refused()
    if good and len(content) > largest:
        raise Refused(f"an answer of more than {largest // MIB} MiB")
    if good:
        return content
    text = content.decode(errors="replace").strip()[:400]
    if 300 <= answer.status < 400:
        text = f"redirects are not followed (to {(answer.headers.get('Location') or '?')[:200]})"
    raise Refused(f"HTTP {answer.status} {answer.reason}: {text}", answer.status)


def check_peer(connection: socket.socket, secret: Secret, limit: Limit) -> None:
    """Raise Refused where the other end of a connection is a socket of this host that may not get a secret.

    The other end of an open connection can't be swapped, so nobody can get in between the check and the use.
    """
    peer = _port_io.peer_of(connection)
    # A connection belongs to nobody until the server's process has accepted it.
    while peer and not peer.inode and peer.state == _listeners.ESTABLISHED and not limit.over.wait(ACCEPTED):
        peer = _port_io.peer_of(connection)
    if peer is None and not _port_io.is_local(connection):
        return
    address, port = connection.getpeername()[:2]
    if peer is None:
        raise Refused(f"the process on port {port} can't be determined: {secret.path} was not sent", kind="unseen")
    if not peer.inode:
        # No process has accepted it: the listener shows which one should have.
        listener = _listeners.listener_of(_port_io.sockets(port), _listeners.plain_address(address))
        if listener is None or (peer.state != _listeners.ESTABLISHED and not limit.over.is_set()):
            raise Refused("the connection was closed")
        if listener.uid == secret.owner:
            raise limit.refused()
        peer = listener
    if peer.uid != secret.owner:
        pid = _port_io.holders({peer.inode}).get(peer.inode, 0)
        raise Refused(stranger_text(port, peer.uid, pid, secret), kind="stranger", pid=pid)


def stranger_text(port: int, uid: int, pid: int, secret: Secret) -> str:
    """Return which process holds a port instead of our service. pid: 0 if the process can't be seen."""
    name = (read_kernel(f"/proc/{pid}/comm") or "").strip() if pid else ""
    who = f"{name} (pid {pid}, user {user_name(uid)})" if name else f"a process of the user {user_name(uid)}"
    return f"port {port} is held by {who}, not by {user_name(secret.owner)}: {secret.path} was not sent"


def download(
    url: str,
    secret: str = "",
    proxy: str = "",
    ca_certificate: str = "",
    seconds: float = 30,
    method: str = "GET",
    span: str = "",
    cookie: str = "",
) -> HTTPResponse:
    """Return the answer of a server in the internet, to read from. secret: a bearer token, for this server alone.

    proxy: its URL; ca_certificate: file with the certificates to trust; empty: as the host has them. span: the range to
    ask for; cookie: the name of one that shows the secret, too. A redirect from https to anything else is refused, and
    a secret for a server that is reached without encryption. Raises OSError.
    """
    import ssl
    from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

    class Redirects(HTTPRedirectHandler):
        """Follows redirects, but never to where others can read and change what is sent."""

        def redirect_request(
            self, req: Request, fp: t.IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> Request | None:
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
    opener = build_opener(HTTPSHandler(context=context), Redirects, *proxies)
    answer: HTTPResponse = opener.open(request, timeout=seconds)
    return answer


def may_have_secret(url: str) -> bool:
    """Return whether a secret may be sent to a URL: it is encrypted, or nobody is on the way, as it is this host."""
    place = urlsplit(url)
    host = place.hostname or ""
    return place.scheme == "https" or host in ("localhost", "::1") or bool(LOOPBACK.fullmatch(host))


def read_secret(path: str | None) -> Secret:
    """Return the secret in a file, none where it can't be read."""
    try:
        with _safe_io.open_file(path or "") as stream:
            text = stream.read(LARGEST_SECRET).decode()
            return Secret(text.strip(), str(path), os.fstat(stream.fileno()).st_uid)
    except (OSError, ValueError):
        return NO_SECRET
