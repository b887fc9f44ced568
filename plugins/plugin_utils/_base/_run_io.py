# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tokens by which hosts of one run know one another. PRIVATE to the collection.

A task returns only the name of what it plans (a transfer, a check). Its token follows from that name and a secret of
the run, so no result, log or callback has it. The secret is in a file that only the user of the controller can read,
because Ansible's workers are processes of their own. Ansible removes the file's directory when it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile

from ansible import constants as C

FILE = "vllm-ray-run"
BYTES = 32


def secret(directory: str) -> bytes:
    """Return the secret of a run. The first call creates it. directory: of this run alone, with mode 0700."""
    path = os.path.join(directory, FILE)
    if not os.path.exists(path):
        # A file has its name only once it is whole, and the first one stays.
        with tempfile.NamedTemporaryFile(dir=directory) as made:
            made.write(secrets.token_bytes(BYTES))
            made.flush()
            with contextlib.suppress(FileExistsError):
                os.link(made.name, path)
    with open(path, "rb") as stream:
        return stream.read()


def new_name() -> str:
    """Return a new name of a transfer or check. It is no secret."""
    return secrets.token_hex(8)


def token(name: str) -> str:
    """Return the token of what this run calls by a name, as hexadecimal digits."""
    return hmac.new(secret(C.DEFAULT_LOCAL_TMP), name.encode(), hashlib.sha256).hexdigest()[:32]
