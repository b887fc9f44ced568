# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments of others, made of the release's own packages: what we say of them is what Ray says when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MODULES = "ansible_collections.vllm_ray.cluster.plugins.modules"
RELEASE = Path(os.environ["VLLM_RAY_TEST_RELEASE"])
# Ray's own test before it starts a head.
ASK_RAY = "from ray._private.utils import get_dashboard_dependency_error as error; print(error())"


def environment(folder: Path, *without: str) -> Path:
    """Make one by hand that has the release's packages by a .pth file's folder, but for some."""
    python = (RELEASE / "bin" / "python").resolve()
    subprocess.run([python, "-m", "venv", "--without-pip", folder / "env"], check=True)
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    kit = folder / "kit"
    kit.mkdir()
    for place in next((RELEASE / "lib").glob("python*/site-packages")).iterdir():
        if not place.name.lower().replace("-", "_").startswith(tuple(without or ("/",))):
            (kit / place.name).symlink_to(place)
    (site / "kit.pth").write_text(f"{kit}\n")
    for name in ("ray", "vllm"):
        (folder / "env" / "bin" / name).symlink_to(RELEASE / "bin" / name)
    return folder / "env"


def look(path: Path, *before: str, **options: Any) -> dict[str, Any]:
    """Return what release_info says. before: a command that runs it."""
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {"path": str(path), "lock": "cpu", **options}})
    argv = [*before, sys.executable, "-m", f"{MODULES}.release_info"]
    done = subprocess.run(argv, cwd=ROOT, input=given, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("without", "lacks"),
    [
        ((), ""),
        (("aiohttp_cors",), "aiohttp_cors"),
        (("aiohttp_cors", "opencensus", "prometheus_client"), "aiohttp_cors, opencensus, prometheus_client"),
        (("py_spy", "colorful"), ""),
    ],
    ids=["whole", "one", "bare ray", "what no start needs"],
)
def test_parts_of_ray_that_its_head_needs(without: tuple[str, ...], lacks: str, tmp_path: Path) -> None:
    path = environment(tmp_path, *without)
    found = look(path)
    assert found["versions"]["ray"] and found["versions"]["vllm"]
    told = [entry["found"] for entry in found["problems"]]
    assert told == ([f"ray {found['versions']['ray']} without {lacks}"] if lacks else [])
    assert found["complete"] is not bool(lacks)
    asked = subprocess.run([path / "bin/python", "-c", ASK_RAY], capture_output=True, text=True, check=True).stdout
    assert (asked.strip() == "None") is not bool(lacks)


def test_without_ray_at_all(tmp_path: Path) -> None:
    path = environment(tmp_path, "ray")
    (path / "bin" / "ray").unlink()
    found = look(path)
    assert [entry["found"] for entry in found["problems"]] == [f"no {path}/bin/ray"]
    assert "ray" not in found["versions"]


# A host as most are that only run programs.
BARE = """
for program in gcc clang; do
  for folder in /usr/local/bin /usr/bin /bin; do
    [ ! -e "$folder/$program" ] || mount --bind /dev/null "$folder/$program"
  done
done
[ ! -d /usr/include ] || mount -t tmpfs none /usr/include
mount -t tmpfs none /proc/driver
if [ -n "$0" ]; then
  mkdir /proc/driver/nvidia
  cp "$0" /proc/driver/nvidia/version
fi
exec "$@"
"""
DRIVER = str(ROOT / "tests" / "fixtures" / "release" / "nvidia_version")


def test_what_engines_on_gpus_compile_with() -> None:
    """Triton needs a C compiler and the headers of the Python when an engine starts."""
    if os.geteuid() != 0:
        pytest.fail("this test needs root")
    bare = ("unshare", "--mount", "sh", "-c", BARE, DRIVER)
    found = look(RELEASE, *bare, compiles=True)
    minor = ".".join(found["python"]["version"].split(".")[:2])
    assert found["missing_packages"] == ["gcc", "libc6-dev", f"python{minor}-dev"]
    assert look(RELEASE, *bare)["missing_packages"] == []
    without_gpu = ("unshare", "--mount", "sh", "-c", BARE, "")
    assert look(RELEASE, *without_gpu, compiles=True)["missing_packages"] == []


def test_a_compiler_of_the_environment_is_found_where_triton_looks(tmp_path: Path) -> None:
    """As of conda: it brings the headers of C, and those of the Python are the Python's own."""
    if os.geteuid() != 0:
        pytest.fail("this test needs root")
    path = environment(tmp_path)
    (path / "bin" / "gcc").symlink_to("/bin/true")
    found = look(path, "unshare", "--mount", "sh", "-c", BARE, DRIVER, compiles=True)
    assert [name for name in found["missing_packages"] if "python" not in name] == []
