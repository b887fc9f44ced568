# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the files of vllm_ray_tls=given on the controller, and tries them. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
import typing as t

from ansible.errors import AnsibleError

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._tls_checks import FILES, Files

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.parsing.dataloader import DataLoader

MEMORY = "/dev/shm"


def paths(settings: Mapping[str, object], inventory: str) -> dict[str, str]:
    """Return the files that settings name, by FILES. inventory: the directory from which relative paths count."""
    named = {name: settings.get(f"vllm_ray_tls_{name}") for name in FILES}
    return {name: os.path.join(inventory, str(path)) for name, path in named.items() if path}


def read(found: Mapping[str, str], loader: DataLoader, address: str) -> Files:
    """Read files as the lookup `file` does, which decrypts those of Ansible Vault. address: by which clients ask."""
    texts, why = {}, {}
    for name, path in found.items():
        try:
            # Whatever it holds: what is no PEM is found later.
            texts[name] = str(loader.get_text_file_contents(path, encoding="latin-1"))
        except AnsibleError as error:
            why[name] = str(error.message)[:200] if os.path.isfile(path) else "no such file"
    return Files(texts, why, *tried(texts, address)) if {"certificate", "key"} <= set(texts) else Files(texts, why)


def tried(texts: Mapping[str, str], address: str) -> tuple[str, str]:
    """Return Files.unfit and Files.untrusted; of the second, nothing without a CA among the texts."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # ssl reads a pair from files only. These are in memory where they can be, and for their owner alone.
    memory = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="vllm-ray-tls-", dir=memory) as folder:
        for name in ("certificate", "key"):
            with open(os.path.join(folder, name), "xb", opener=_private) as stream:
                stream.write(texts[name].encode("latin-1", "replace"))
        try:
            # Without a password it would ask for one on the terminal.
            server.load_cert_chain(os.path.join(folder, "certificate"), os.path.join(folder, "key"), password="-")
        except (OSError, ValueError) as error:
            return said(error), ""
    if "ca" not in texts:
        return "", ""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        client.load_verify_locations(cadata=texts["ca"].encode("ascii", "ignore").decode())
        shake_hands(client, server, address)
    except (OSError, ValueError) as error:
        return "", said(error)
    return "", ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, address: str) -> None:
    """Have a client and a server agree in memory. Raises ssl.SSLError where one of them refuses the other."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname=address), server.wrap_bio(there, back, server_side=True)]
    # Each end has a few turns. An end that waits for the other one raises SSLWantReadError.
    for end in ends * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()


def said(error: Exception) -> str:
    """Return what OpenSSL says is wrong, without where in its source."""
    return str(getattr(error, "verify_message", "") or getattr(error, "reason", "") or error)[:200]
