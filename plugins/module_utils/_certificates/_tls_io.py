# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA and the certificate that it signs, made by the host's openssl. PRIVATE to the collection.

All that openssl reads and writes is in a directory of the module's own, so that it is never led elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io, _unsafe

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule

LARGEST = 64 * 1024
PARTS = ("ca", "tls")
FILES = ("ca.key", "ca.crt", "tls.key", "tls.crt")
# A CA's new key, before its certificate is in place.
COMING = "ca.key.new"
NOTES = "tls.json"
WORKSHOP = ".openssl"
# What check mode gives in place of what it does not make.
PLACEHOLDER = "not made in check mode\n"


class Failed(Exception):
    """Nothing can be made; the message says why and what helps."""


class Workshop:
    """A directory with copies of the files in which openssl works. Nobody else can look into it."""

    def __init__(self, module: AnsibleModule, openssl: str, path: str) -> None:
        self.module, self.openssl, self.path = module, openssl, path

    def run(self, *argv: str) -> tuple[int, str]:
        """Run openssl; return its status and what it printed."""
        # No file of the system's configuration is read.
        settings = {"OPENSSL_CONF": f"{self.path}/openssl.cnf", "LC_ALL": "C"}
        rc, out, err = self.module.run_command([self.openssl, *argv], cwd=self.path, environ_update=settings)
        return rc, out if rc == 0 else err

    def must(self, *argv: str) -> None:
        rc, said = self.run(*argv)
        if rc:
            raise Failed(
                f"openssl {argv[0]} failed: {said.strip()[-400:]}. Install the package openssl, 1.1.1 or later."
            )

    def put(self, name: str, data: bytes) -> None:
        _safe_io.write_file(f"{self.path}/{name}", data, mode=0o600)

    def get(self, name: str) -> bytes:
        return _safe_io.read_bytes(f"{self.path}/{name}", LARGEST)

    def has(self, name: str) -> bool:
        return os.path.exists(f"{self.path}/{name}")

    def text(self, name: str, coming: bool) -> str:
        """Return the text of a file. coming: it is created again, and this is check mode."""
        return PLACEHOLDER if coming or not self.has(name) else self.get(name).decode("utf-8", "replace")

    def finish(self) -> bool:
        """Take the key of a CA whose certificate came to its place before a run was ended, and it did not."""
        ca = self.certificate("ca") if self.has(COMING) else None
        if ca is None or self.public_key(COMING) != ca.public_key:
            return False
        self.put("ca.key", self.get(COMING))
        return True

    def certificate(self, name: str) -> _tls.Certificate | None:
        """Return what a certificate says, None where it can't be read."""
        rc, said = self.run("x509", "-in", f"{name}.crt", "-noout", "-pubkey", "-enddate", "-ext", "subjectAltName")
        return None if rc else _tls.parse(said)

    def public_key(self, name: str) -> str:
        """Return the public key of a private one, empty where that can't be read."""
        rc, said = self.run("pkey", "-in", name, "-pubout")
        return "" if rc else _tls.public_key(said)

    def signed(self) -> bool:
        """Whether the CA signed the server's certificate, whatever the time is."""
        verify = ("verify", "-x509_strict", "-no_check_time", "-purpose", "sslserver", "-CAfile", "ca.crt", "tls.crt")
        return self.run(*verify)[0] == 0

    def make(self, name: str, cluster: str, days: int, now: float) -> None:
        """Make a key and a certificate: `ca`, or `tls`, which the CA signs."""
        self.put("index", b"")
        self.must("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")
        # A CA of another day has another name, so that a client never takes one for the other.
        title = f"vllm-ray {'CA' if name == 'ca' else 'API'} {_tls.openssl_time(now)}"
        self.must("req", "-new", "-key", f"{name}.key", "-subj", f"/O={cluster}/CN={title}", "-out", f"{name}.csr")
        signer = ("-selfsign",) if name == "ca" else ("-cert", "ca.crt")
        dates = (_tls.openssl_time(now - _tls.BACKDATED), _tls.openssl_time(now + days * _tls.DAY))
        self.must(
            *("ca", "-batch", "-notext", "-config", "openssl.cnf", "-extensions", f"{name}_extensions", *signer),
            *("-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.crt"),
            *("-startdate", dates[0], "-enddate", dates[1]),
        )


@contextlib.contextmanager
def workshop(module: AnsibleModule, openssl: str, folder: str, files: dict[str, bytes]) -> Iterator[Workshop]:
    """Yield a directory for openssl with some files, which is gone afterwards.

    It is in the folder of the keys, where the next run removes what one that was killed has left. Where check mode
    makes no such folder, or others could change it, it is one for temporary files.
    """
    with contextlib.ExitStack() as stack:
        path = os.path.join(folder, WORKSHOP)
        if closed(folder):
            _safe_io.remove(path)
            stack.callback(_safe_io.remove, path)
            _safe_io.make_directories(path, mode=0o700)
        else:
            path = stack.enter_context(tempfile.TemporaryDirectory(prefix="vllm-ray-tls-"))
        place = Workshop(module, openssl, path)
        for name, data in files.items():
            place.put(name, data)
        yield place


def closed(folder: str) -> bool:
    """Whether there is a folder, and nobody else can write in it or move it: openssl goes by its path."""
    try:
        with _safe_io.open_directory(folder) as directory:
            return not directory.exposed
    except FileNotFoundError:
        return False


def read(path: str) -> bytes | None:
    """Return a file of ours, None where there is none. Raises OSError, Unsafe where it is somebody else's."""
    try:
        with _safe_io.open_file(path) as stream:
            if not _directory_io.trusted(os.fstat(stream.fileno()).st_uid):
                raise _unsafe.Unsafe(
                    path, "a file of another account, which knows its content", "a file of this account"
                )
            return stream.read(LARGEST)
    except FileNotFoundError:
        return None


def ensure(module: AnsibleModule) -> dict[str, object]:
    """Have a CA and a certificate as the module's options say, and return its result. Raises Failed, OSError."""
    params, now, check = module.params, time.time(), module.check_mode
    folder, names = params["directory"], list(dict.fromkeys([*params["names"], *_tls.LOCAL]))
    if not check:
        _safe_io.make_directories(os.path.dirname(folder))
        _safe_io.make_directories(folder, mode=0o700)
    notes = _safe_io.read_json(f"{folder}/{NOTES}", dict) or {}
    wish = hashlib.sha256(params["reason"].encode()).hexdigest() if params["reason"] else ""
    # What was created again for this reason is not forgotten by a run that may not do that itself.
    wishes = {name: wish if name in params["renew"] or notes.get(name) == wish else "" for name in PARTS}
    found = {name: data for name in (*FILES, COMING) for data in [read(f"{folder}/{name}")] if data is not None}
    openssl = module.get_bin_path("openssl")
    if not openssl and params["refuse"]:
        raise Failed(
            "openssl is not installed. Run 'apt-get install openssl' as root, or set vllm_ray_tls=given with "
            "your own certificate."
        )
    if not openssl:
        texts = dict.fromkeys(("ca", "certificate", "key"), PLACEHOLDER) if check else {}
        return {"changed": check, "missing": ["openssl"], **texts}
    with workshop(module, openssl, folder, {**found, "openssl.cnf": _tls.config(names).encode()}) as place:
        finished = place.finish()
        if COMING in found and not check:
            if finished:
                _safe_io.rename(f"{folder}/{COMING}", f"{folder}/ca.key")
            _safe_io.remove(f"{folder}/{COMING}")
        why = reasons(place, folder, names, now)
        why.update({name: params["reason"] for name in PARTS if wishes[name] and wishes[name] != notes.get(name)})
        if "ca" in why:
            why["tls"] = "its CA is created again"
        for name, days in (("ca", params["ca_days"]), ("tls", params["days"])):
            if name in why and not check:
                place.make(name, params["cluster"], days, now)
        if not check:
            install(place, folder, why)
            wanted = {**wishes, "names": names}
            if wanted != notes:
                # Written last: a run that trusts a note written too early would keep the old files for ever.
                _safe_io.write_file(f"{folder}/{NOTES}", json.dumps(wanted).encode(), mode=0o600, sync=True)
        made = place.certificate("tls")
        texts = {
            "ca": place.text("ca.crt", check and "ca" in why),
            "certificate": place.text("tls.crt", check and "tls" in why),
            "key": place.text("tls.key", check and "tls" in why),
        }
    return {"changed": bool(why), "missing": [], "why": why, "expires": _tls.date(made.ends) if made else "", **texts}


def reasons(place: Workshop, folder: str, names: list[str], now: float) -> dict[str, str]:
    """Return why the CA (`ca`) and the certificate (`tls`) are created again; those that stay are not in it.

    Raises Failed where there is a CA that can't be used: clients that trust it would trust another one no more.
    """
    if not place.has("ca.key") and not place.has("ca.crt"):
        return {"ca": "there is none"}
    ca = place.certificate("ca")
    if ca is None or place.public_key("ca.key") != ca.public_key:
        raise Failed(
            f"{folder}: ca.key and ca.crt are not both there, can't be read, or don't belong together. Restore both "
            "from a backup. Or remove both and run again: then a new CA is created, which clients must install."
        )
    soon = _tls.ends_soon(ca.ends, now)
    why = _tls.why_new(place.certificate("tls"), place.public_key("tls.key"), names, place.signed(), now)
    return {name: text for name, text in (("ca", soon), ("tls", why)) if text}


def install(place: Workshop, folder: str, why: dict[str, str]) -> None:
    """Put what was made in place. Keys are for their owner alone."""

    def put(name: str, to: str) -> None:
        _safe_io.write_file(f"{folder}/{to}", place.get(name), mode=0o600, sync=True)

    if "ca" in why:
        # In this order, a run that ends in between leaves a pair, see finish().
        put("ca.key", COMING)
        put("ca.crt", "ca.crt")
        _safe_io.rename(f"{folder}/{COMING}", f"{folder}/ca.key")
    if "tls" in why:
        put("tls.key", "tls.key")
        put("tls.crt", "tls.crt")
