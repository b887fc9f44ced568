# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing in an environment that somebody else made. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import problem

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import Accelerator

# Run by the environment's own Python, which knows what its .pth files add. It imports none of its packages but those
# of namespaces. Ray decides by the imports of optional_deps.py whether its dashboard can start; no head starts without.
PROBE = """
import ast, importlib.metadata, importlib.util, json, os, re
def place(name):
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return spec and (spec.origin or "")
def source(package, *names):
    found = place(package)
    try:
        with open(os.path.join(os.path.dirname(found or "/-/-"), *names), encoding="utf-8") as stream:
            return ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return ast.parse("")
needs = []
for node in ast.walk(source("ray", "dashboard", "optional_deps.py")):
    needs += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    needs += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
lacks = set()
for name in needs:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        found = place(".".join(parts[:count]))
        if found is None:
            lacks.add(".".join(parts[:count]))
        if found or found is None:
            break
torch = {}
for node in ast.walk(source("torch", "version.py")):
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Constant):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        torch[getattr(target, "id", "")] = node.value.value
packages = {}
for entry in importlib.metadata.distributions():
    try:
        # Of two the first is imported.
        packages.setdefault(re.sub(r"[-_.]+", "-", entry.metadata["Name"]).lower(), entry.version)
    except Exception:
        continue  # pip leaves broken ones
print("\\n" + json.dumps({
    "packages": packages,
    "ray_lacks": sorted(lacks - {"__future__"}),
    "torch": {name: torch.get(name) or "" for name in ("cuda", "hip")} if torch else None,
}))
"""
# The smallest driver that runs programs made for a CUDA, by its major version: "Minor version compatibility" of
# docs.nvidia.com/deploy/cuda-compatibility.
CUDA_DRIVERS = {11: 450, 12: 525, 13: 580}
# What a version may consist of: the environment may belong to another account, and the version goes into a command.
VERSION = re.compile(r"[0-9A-Za-z.!+_-]{1,64}")


@dataclass(frozen=True)
class Environment:
    """What an environment has. packages: {name: version}, by normal names.

    ray_lacks: modules that Ray's dashboard imports and that are not there. torch: {cuda, hip}: for which versions it is
    made, empty texts where for none; None where there is no torch.
    """

    packages: t.Mapping[str, str] = field(default_factory=dict)
    ray_lacks: tuple[str, ...] = ()
    torch: t.Mapping[str, str] | None = None


def parse(printed: str) -> Environment | None:
    """Return what PROBE printed; None where it is not that."""
    try:
        # A .pth file may print something before it.
        told = json.loads(printed.strip().splitlines()[-1])
        packages = {name: version for name, version in told["packages"].items() if VERSION.fullmatch(version)}
        torch = None if told["torch"] is None else {name: str(told["torch"][name]) for name in ("cuda", "hip")}
        return Environment(packages, tuple(map(str, told["ray_lacks"])), torch)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def silent(path: str) -> dict[str, str]:
    """Return that an environment could not be asked."""
    text = f"{runtime_of(path).python()} can't list its packages, so its Ray and its CUDA are not checked"
    return problem("release", "warning", text, "a Python that lists its packages", "fix it, or use another environment")


def problems(
    path: str, found: Environment, accelerator: Accelerator | None, driver: str, compat: bool
) -> list[dict[str, str]]:
    """Return what would fail once something starts.

    accelerator: of the lock, None without one. driver: version of the NVIDIA driver, empty where there is none. compat:
    NVIDIA's package for newer CUDAs on older drivers is installed.
    """
    pip = shlex.join(runtime_of(path).argv(["python", "-m", "pip", "install"]))
    told = []
    ray = found.packages.get("ray")
    if ray and found.ray_lacks:
        lacks = f"ray {ray} without {', '.join(found.ray_lacks)}"
        wanted = "ray[default]: without it no head starts (Cannot include dashboard with missing packages)"
        told.append(problem("release", "error", lacks, wanted, f"{pip} 'ray[default]=={ray}'"))
    if found.torch is None or (accelerator and not accelerator.min_driver):
        return told
    version = found.packages.get("torch", "")
    if accelerator and driver and not found.torch["cuda"]:
        fix = "install a torch that is made for the driver's CUDA, or set vllm_ray_accelerator=cpu"
        kind = "for ROCm" if found.torch["hip"] else "without CUDA"
        told.append(problem("driver", "error", f"torch {version} is made {kind}", "one for CUDA", fix))
    major = found.torch["cuda"].split(".")[0]
    least = CUDA_DRIVERS.get(int(major)) if major.isdecimal() else None
    if driver and least and int(driver.split(".")[0]) < least:
        text = f"the driver is {driver}, and torch {version} is made for CUDA {found.torch['cuda']}"
        fix = f"install a newer driver, or a torch for an older CUDA in {path}"
        severity = "warning" if compat else "error"
        told.append(problem("driver", severity, text, f"driver >= {least}, or the package cuda-compat", fix))
    return told
