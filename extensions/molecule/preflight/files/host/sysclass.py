# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the /sys/class/infiniband that a captured `ibstatus` has read: sysclass.py CAPTURED FOLDER."""

from __future__ import annotations

import re
import sys
from pathlib import Path

captured, folder = map(Path, sys.argv[1:])
for block in captured.read_text(encoding="utf-8").split("Infiniband device ")[1:]:
    device, port = re.findall(r"'(\w+)' port (\d+)", block)[0]
    said = dict(re.findall(r"^\s+([\w ]+):\s+(.+)$", block, re.MULTILINE))
    here = folder / "infiniband" / device / "ports" / port
    (here / "gids").mkdir(parents=True)
    (here / "gids" / "0").write_text(said["default gid"] + "\n", encoding="utf-8")
    for name in ("state", "phys state", "rate", "link_layer"):
        (here / name.replace(" ", "_")).write_text(said[name] + "\n", encoding="utf-8")
