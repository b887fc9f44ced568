# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine without a network takes along."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .place import DEMO, ROOT, SETTINGS, SUMS

PART = 50 << 20


def prepare(folder: Path, python: str, machine: str, *, cpu: bool) -> None:
    """Make the bundle, its parts, and Ansible's packages. python, machine: of the other machine, as pip names them."""
    folder = folder.resolve()
    wheels, parts = folder / "wheels", folder / "parts"
    wheels.mkdir(parents=True, exist_ok=True)
    parts.mkdir(exist_ok=True)
    kind = "cpu" if cpu else "cuda"
    target: list[str] = []
    if not cpu:
        # pip takes a platform to the letter.
        known = [f"manylinux_2_{minor}_x86_64" for minor in range(17, 40)]
        target = [
            f"--python-version={python}",
            *(f"--platform={name}" for name in (machine, "manylinux2014_x86_64", *known)),
        ]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--require-hashes", *target]
    lists = [ROOT / "requirements.txt", Path(__file__).resolve().parent / "requirements.txt"]
    subprocess.run([*pip, f"--dest={wheels}", *(f"--requirement={name}" for name in lists)], check=True)
    inventory = folder / "bundle.ini"
    inventory.write_text("[head]\nh1 ansible_connection=local\n")
    settings: dict[str, Any] = {
        "accelerator": kind, "scope": "user", "firewall": "off", "model": str(DEMO),
        "bundle": str(folder / "bundle.tar"), "bundle_parts": ["release"],
    }  # fmt: skip
    if not cpu:
        settings |= {"bundle_python": python, "bundle_platform": machine}
    told = json.dumps({f"vllm_ray_{name}": value for name, value in settings.items()})
    command = ["ansible-playbook", "playbooks/bundle.yml", "-i", str(inventory), "-e", told]
    subprocess.run(command, cwd=ROOT, check=True)
    sums: list[str] = []
    with (folder / "bundle.tar").open("rb") as stream:
        while block := stream.read(PART):
            part = parts / f"part.{len(sums):03}"
            part.write_bytes(block)
            sums.append(f"{hashlib.sha256(block).hexdigest()}  {part.name}\n")
    (folder / "bundle.tar").unlink()
    (folder / SUMS).write_text("".join(sums))
    (folder / SETTINGS).write_text(json.dumps({"accelerator": kind, "parts": len(sums)}))
    print(f"{folder}: {len(sums)} parts; carry it over with this checkout, and there: tests/gpu/run {folder}")
