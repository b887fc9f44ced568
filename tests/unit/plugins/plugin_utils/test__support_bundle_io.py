# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of the parts of all hosts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from ansible_collections.vllm_ray.cluster.plugins.module_utils._redact import Redactor
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _support_bundle_io


def test_what_a_host_must_not_know_is_taken_out_here(tmp_path: Path) -> None:
    part, bundle = tmp_path / "h1.tar.gz", tmp_path / "bundle.tar.gz"
    with tarfile.open(part, "w:gz") as archive:
        data = "a header with planted-token, \N{EM DASH}\n".encode()
        entry = tarfile.TarInfo("log/node.log")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    redactor = Redactor(["planted-token"])
    _support_bundle_io.join(str(bundle), "name", {"MISSING": "nothing\n"}, {"h1": str(part)}, redactor)
    assert bundle.stat().st_mode & 0o777 == 0o600
    with tarfile.open(bundle) as archive:
        texts = {member.name: (archive.extractfile(member) or io.BytesIO()).read().decode() for member in archive}
        assert {member.mode for member in archive} == {0o600}
    assert texts == {
        "name/MISSING": "nothing\n",
        "name/hosts/h1/log/node.log": "a header with [redacted], \N{EM DASH}\n",
    }
