# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a small release that finds its packages in another one. Arguments: the other, the directory of releases, the id.

It has programs and the names of packages of its own; a .pth file leads to the rest. All hosts see the other one.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import sys

LARGEST = 1 << 20
source, releases, name = sys.argv[1:]
path = os.path.join(releases, name)
(site,) = glob.glob(os.path.join(source, "lib", "python3.*", "site-packages"))
inside = os.path.relpath(site, source)
wanted = ["pyvenv.cfg", *(f"bin/{program}" for program in os.listdir(os.path.join(source, "bin")))]
for package in glob.glob(f"{site}/*.dist-info"):
    wanted += [f"{inside}/{os.path.basename(package)}/{file}" for file in ("METADATA", "entry_points.txt")]
lines = []
for part in sorted(wanted):
    here, there = os.path.join(path, part), os.path.join(source, part)
    if not os.path.lexists(there) or os.path.isdir(there) or os.lstat(there).st_size > LARGEST:
        continue
    os.makedirs(os.path.dirname(here), mode=0o755, exist_ok=True)
    shutil.copy2(there, here, follow_symlinks=False)
    lines.append(part)
os.makedirs(os.path.join(path, inside), mode=0o755, exist_ok=True)
with open(os.path.join(path, inside, "thin.pth"), "w", encoding="utf-8") as stream:
    stream.write(f"{site}\n")
os.symlink("lib", os.path.join(path, "lib64"))
entries = []
for part in sorted([*lines, f"{inside}/thin.pth", "lib64"]):
    here = os.path.join(path, part)
    if os.path.islink(here):
        entries.append([part, "link", 0, 0, os.readlink(here)])
        continue
    os.chmod(here, os.stat(here).st_mode & 0o755)
    with open(here, "rb") as file:
        data = file.read()
    entries.append([part, "file", os.stat(here).st_mode & 0o7777, len(data), hashlib.sha256(data).hexdigest()])
manifest = "".join(json.dumps(entry) + "\n" for entry in entries)
with open(os.path.join(source, "release.json"), encoding="utf-8") as stream:
    record = json.load(stream)
record["id"] = name
size = sum(entry[3] for entry in entries)
record["manifest"] = {"sha256": hashlib.sha256(manifest.encode()).hexdigest(), "files": len(entries), "bytes": size}
for file, text in (("release.manifest", manifest), ("release.json", json.dumps(record))):
    with open(os.path.join(path, file), "w", encoding="utf-8") as stream:
        stream.write(text)
