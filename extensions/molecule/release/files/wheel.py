# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a wheel of a package that says its version: wheel.py DIRECTORY VERSION."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

directory, version = sys.argv[1:]
info = f"vllm_ray_probe-{version}.dist-info"
files = {
    "vllm_ray_probe.py": f"VERSION = {version!r}\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\nName: vllm-ray-probe\nVersion: {version}\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
sums = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in files.items()}
lines = [f"{path},sha256={sums[path].decode().rstrip('=')},{len(text)}\n" for path, text in files.items()]
files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"])
with zipfile.ZipFile(Path(directory, f"vllm_ray_probe-{version}-py3-none-any.whl"), "w") as wheel:
    for path, text in files.items():
        # The same bytes whenever it is made.
        wheel.writestr(zipfile.ZipInfo(path), text)
