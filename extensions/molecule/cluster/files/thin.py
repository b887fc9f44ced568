# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release of links to the parts of another one. Arguments: the other, the directory of releases, the id."""

from __future__ import annotations

import hashlib
import json
import os
import sys

source, releases, name = sys.argv[1:]
path = os.path.join(releases, name)
os.makedirs(path)
parts = sorted(part for part in os.listdir(source) if not part.startswith("release."))
for part in parts:
    os.symlink(os.path.join(source, part), os.path.join(path, part))
manifest = "".join(json.dumps([part, "link", 0, 0, os.path.join(source, part)]) + "\n" for part in parts)
with open(os.path.join(source, "release.json"), encoding="utf-8") as stream:
    record = json.load(stream)
record["id"] = name
record["manifest"] = {"sha256": hashlib.sha256(manifest.encode()).hexdigest(), "files": len(parts), "bytes": 0}
for file, text in (("release.manifest", manifest), ("release.json", json.dumps(record))):
    with open(os.path.join(path, file), "w", encoding="utf-8") as stream:
        stream.write(text)
