# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle holds, for whom it is, and what follows from it. Locks are our own, wheels those that pip chose."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import CPU, CUDA
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle import (
    BundleError,
    File,
    Manifest,
    Target,
)
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit import looks

LOCKS = Path(__file__).parents[5] / "roles" / "release" / "files" / "locks"
DEBIAN = Target("3.11.2", 36, "x86_64")
GRACE = Target("3.12", 39, "aarch64")
SUM = "0" * 64


# --- For whom --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        ("", ""),
        ("3.12.9", "3.12.9"),
        ("/usr/bin/python3.12", "3.12"),
        ("/opt/python3.11/bin/python", ""),
        ("/usr/bin/python3", ""),
    ],
)
def test_a_python_tells_its_version_by_its_name(wish: str, wanted: str) -> None:
    assert _bundle.python_of(wish) == wanted


@pytest.mark.parametrize(
    ("python", "platform", "says"),
    [
        ("/usr/bin/python3", "manylinux_2_36_x86_64", "vllm_ray_bundle_python"),
        ("2.7", "manylinux_2_36_x86_64", "vllm_ray_bundle_python"),
        ("3.12", "linux_x86_64", "vllm_ray_bundle_platform"),
        ("3.12", "", "found nothing"),
    ],
)
def test_a_target_is_well_named(python: str, platform: str, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        _bundle.target(python, platform)


# --- Debian packages -------------------------------------------------------------------------------------------------


def test_only_what_roles_install_is_taken() -> None:
    system: dict[str, Any] = {"vllm_ray_scope": "system", "vllm_ray_firewall": "manage", "vllm_ray_tls": "off"}
    assert _bundle.package_names(CPU, system, "3.12") == ["libnuma1", "ufw"]
    assert _bundle.package_names(CPU, {**system, "vllm_ray_tls": "own"}, "3.12") == ["libnuma1", "ufw", "openssl"]
    assert _bundle.package_names(CPU, {**system, "vllm_ray_scope": "user"}, "3.12") == []
    compiles = ["gcc", "libc6-dev"]
    assert _bundle.package_names(CUDA, {**system, "vllm_ray_firewall": "off"}, "") == compiles
    assert _bundle.package_names(CUDA, system, "3.12.3") == [*compiles, "python3.12-dev", "ufw"]


def test_files_of_packages_have_names_that_apt_reads_as_they_are(fixtures: Path) -> None:
    names = (fixtures / "bundle" / "archives").read_text(encoding="utf-8").split()
    files = [_bundle.package_file(name) for name in names]
    assert len(set(files)) == len(names) > 50
    assert [file for file in files if "%" in file] == []
    assert "libcrypt1_4.4.33-2_amd64.deb" in files


def test_an_index_has_the_control_file_and_where_the_package_is(fixtures: Path) -> None:
    control = (fixtures / "bundle" / "control").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^(\S+): (.*)$", _bundle.stanza(control, "a.deb", 7, SUM), re.MULTILINE))
    assert fields["Version"] == "1:4.4.33-2"
    assert (fields["Filename"], fields["Size"], fields["SHA256"]) == ("./a.deb", "7", SUM)


# --- The manifest ----------------------------------------------------------------------------------------------------

MADE = Manifest(
    made_by="vllm_ray.cluster 1.0.0",
    accelerator="cuda",
    python="3.11",
    platform="manylinux_2_36_x86_64",
    uv="0.13.9",
    model_wish="Qwen/Qwen3-32B",
    model="model/Qwen3-32B",
    os="debian 12",
    packages=("ufw",),
    files=(File("wheels/a.whl", 1, SUM), File("tools/uv", 2, SUM)),
)


def test_a_manifest_comes_back_as_it_was() -> None:
    data = _bundle.dump_manifest(MADE)
    found = _bundle.parse_manifest(data, "b.tar")
    assert found == replace(MADE, files=tuple(sorted(MADE.files)))
    assert _bundle.dump_manifest(found) == data
    assert found.size == 3
    assert [file.path for file in found.part("tools")] == ["tools/uv"]


def broken(**change: Any) -> bytes:
    return json.dumps({**json.loads(_bundle.dump_manifest(MADE)), **change}).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "can't be read"),
        (b"[]", "can't be read"),
        (broken(files=[{"path": "a"}]), "can't be read"),
        (broken(format=2), "form 2"),
        (broken(strange=True), "can't be read"),
        (
            broken(files=[{"path": "../etc/passwd", "size": 1, "sha256": SUM}]),
            "would be written outside of the directory",
        ),
        (
            broken(files=[{"path": "/etc/passwd", "size": 1, "sha256": SUM}]),
            "would be written outside of the directory",
        ),
        (broken(files=[{"path": "a/../../b", "size": 1, "sha256": SUM}]), "would be written outside of the directory"),
        (
            broken(files=[{"path": "manifest.json", "size": 1, "sha256": SUM}]),
            "would be written outside of the directory",
        ),
    ],
)
def test_a_manifest_of_somebody_else_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        _bundle.parse_manifest(data, "b.tar")


@pytest.mark.parametrize("names", [["wheels/a.whl"], ["wheels/a.whl"] * 2, ["wheels/a.whl", "tools/uv", "x"]])
def test_members_are_those_of_the_manifest(names: list[str]) -> None:
    with pytest.raises(BundleError, match="other files"):
        _bundle.check_members("b.tar", MADE, names)
    _bundle.check_members("b.tar", MADE, ["tools/uv", "wheels/a.whl"])


def test_a_bundle_with_another_uv_says_what_to_install() -> None:
    with pytest.raises(BundleError, match=r"found uv 0\.13\.9, made by vllm_ray\.cluster 1\.0\.0\. Expected: uv 0\.14"):
        _bundle.check_uv("b.tar", MADE, "0.14.0")
    _bundle.check_uv("b.tar", MADE, "0.13.9")
    _bundle.check_uv("b.tar", replace(MADE, files=()), "0.14.0")


def test_progress_reads_well() -> None:
    said = "bundle | write b.tar: 25 % of 4.0 GB, 100 MB/s, 30 s left"
    assert _bundle.progress("write b.tar", 10**9, 4 * 10**9, 10) == said
    assert "100 % of 0.0 GB" in _bundle.progress("write b.tar", 0, 0, 0)


# --- What follows from it --------------------------------------------------------------------------------------------

OPENED: Any = {"directory": "/b/0f", **_bundle.told(MADE)}
OWN = {"vllm_ray_model": "Qwen/Qwen3-32B"}


def test_without_a_bundle_all_stays() -> None:
    for nothing in (None, {}, {"skipped": True, "changed": False}):
        assert _bundle.laid_over(OWN, nothing) == OWN


def test_lock_and_model_come_from_a_bundle() -> None:
    assert _bundle.laid_over(OWN, OPENED) == {
        "vllm_ray_model": "/b/0f/model/Qwen3-32B",
        "vllm_ray_model_source": "controller",
        "vllm_ray_release_lock": "/b/0f/locks/cuda.lock",
        "vllm_ray_serve_args": {"served-model-name": "Qwen/Qwen3-32B"},
    }


@pytest.mark.parametrize("name", ["served-model-name", "served_model_name", "--served-model-name"])
def test_the_users_own_name_of_the_model_stays(name: str) -> None:
    given = {**OWN, "vllm_ray_serve_args": {name: "demo", "port": 1}}
    assert _bundle.laid_over(given, OPENED)["vllm_ray_serve_args"] == {name: "demo", "port": 1}


@pytest.mark.parametrize("wish", ["/srv/models/Qwen3-32B", "https://192.0.2.1/models/Qwen3-32B"])
def test_a_path_and_a_mirror_need_no_name(wish: str) -> None:
    laid = _bundle.laid_over({"vllm_ray_model": wish}, {**OPENED, "model_wish": wish})
    assert laid["vllm_ray_model"] == "/b/0f/model/Qwen3-32B"
    assert "vllm_ray_serve_args" not in laid


def test_another_model_or_lock_than_the_bundles_stays() -> None:
    given = {"vllm_ray_model": "/srv/mine", "vllm_ray_release_lock": "/srv/mine.lock"}
    assert _bundle.laid_over(given, OPENED) == given


def test_a_bundle_with_packages_alone_changes_nothing() -> None:
    told = _bundle.told(Manifest("x", packages=("ufw",)))
    assert _bundle.laid_over(OWN, {"directory": "/b", **told}) == OWN


def test_a_bundle_counts_for_hosts_that_limit_leaves_out() -> None:
    """Only hosts of the play know it; the others would seem to be of another cluster."""
    hostvars: dict[str, dict[str, Any]] = {"gpu01": OWN, "gpu02": {**OWN, _bundle.REGISTERED: OPENED}}
    task_vars: TaskVariables = {"inventory_hostname": "gpu02", "hostvars": hostvars}
    left_out, own = (_settings.of_host(name, task_vars).values for name in hostvars)
    assert left_out == own
    assert left_out["vllm_ray_model"] == "/b/0f/model/Qwen3-32B"


def hosts(bundle: Any, **own: str) -> list[Host]:
    """Return a head as the plan has it: its settings know of the bundle."""
    variables = {**OWN, **{f"vllm_ray_{name}": value for name, value in own.items()}}
    checked = _settings.check("gpu01", variables, bundle)
    assert checked.problems == []
    return [Host("gpu01", ("head",), checked.values, looks.look(1))]


def found(bundle: Any, **own: str) -> list[tuple[str, str, str, str]]:
    problems = _bundle.problems(bundle, hosts(bundle, **own), "cuda")
    assert all("bundle.yml" in problem.fix or "make the bundle" in problem.fix for problem in problems)
    return [(problem.host, problem.severity, problem.found, problem.wanted) for problem in problems]


def test_a_bundle_that_fits() -> None:
    assert found(OPENED) == []
    assert found(OPENED, python="/usr/bin/python3.11") == []
    # If the path does not show the version, the builder decides.
    assert found({**OPENED, "python": "3.12"}, python="/opt/mine/bin/python3") == []
    assert len(found({**OPENED, "python": "3.12"}, python="/usr/bin/python3")) == 1
    # A host with a newer C library runs what is made for an older one.
    assert found({**OPENED, "platform": "manylinux_2_28_x86_64"}) == []


def test_a_bundle_for_others() -> None:
    other = {
        **OPENED,
        "accelerator": "cpu",
        "python": "3.12",
        "platform": "manylinux_2_39_aarch64",
        "os": "ubuntu 24.04",
    }
    assert found(other) == [
        ("-", "error", "a bundle for cpu", "one for cuda"),
        ("gpu01", "error", "a bundle for Python 3.12", "one for Python 3.11"),
        ("gpu01", "error", "a bundle for manylinux_2_39_aarch64", "one for manylinux_2_36_x86_64"),
        ("gpu01", "warning", "packages of ubuntu 24.04 in the bundle", "packages of debian 12"),
    ]
    assert found(OPENED, python="3.12.9")[0] == ("gpu01", "error", "a bundle for Python 3.11", "one for Python 3.12")


def test_a_python_of_uv_must_be_in_it() -> None:
    missing = ("gpu01", "error", "a bundle for no Python in it", "one for Python 3.11.9 in it")
    assert found(OPENED, python="3.11.9") == [missing]
    assert found({**OPENED, "managed": "3.11.9"}, python="3.11.9") == []
    assert found({**OPENED, "managed": "3.11.8"}, python="3.11.9") != []


def test_a_host_with_an_environment_of_its_own_takes_no_release() -> None:
    assert found({**OPENED, "python": "3.12"}, release_path="/srv/env") == []


def test_a_lock_that_is_not_the_bundles() -> None:
    assert found(OPENED, release_lock="/srv/mine.lock") == [
        ("-", "error", "a bundle for the lock cuda", "one for /srv/mine.lock")
    ]
    made_for = {**OPENED, "lock_wish": "/srv/mine.lock"}
    assert found(made_for, release_lock="/srv/mine.lock") == []
    assert found(made_for, release_lock="/srv/other.lock")[0][2] == "a bundle for the lock /srv/mine.lock"


def test_requirements_became_the_lock_that_is_in_the_bundle() -> None:
    assert found({**OPENED, "lock_wish": "my.txt"}, requirements="my.txt") == []
    assert found(OPENED, requirements="my.txt") == [("-", "error", "a bundle for the lock cuda", "one for my.txt")]
    own = {**OWN, "vllm_ray_requirements": "my.txt"}
    assert _bundle.laid_over(own, {**OPENED, "lock_wish": "my.txt"}).get("vllm_ray_requirements") is None


def test_packages_are_for_hosts_with_their_distribution() -> None:
    assert _bundle.takes_packages(OPENED, hosts(OPENED)[0])
    assert not _bundle.takes_packages({**OPENED, "os": "ubuntu 24.04"}, hosts(OPENED)[0])
    assert not _bundle.takes_packages({**OPENED, "packages": []}, hosts(OPENED)[0])
    assert not _bundle.takes_packages(OPENED, replace(hosts(OPENED)[0], look=None))


def test_a_host_that_was_not_looked_at_has_no_problem() -> None:
    absent = [replace(hosts(OPENED)[0], look=None)]
    assert _bundle.problems({**OPENED, "python": "3.12"}, absent, "cuda") == []
