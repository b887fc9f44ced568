# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a lock goes into a bundle. Locks are our own, wheels those that pip chose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import normal
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle, _wheels
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles._bundle import Target

LOCKS = Path(__file__).parents[5] / "roles" / "release" / "files" / "locks"
DEBIAN = Target("3.11.2", 36, "x86_64")
GRACE = Target("3.12", 39, "aarch64")
SUM = "0" * 64


def lock(name: str) -> list[_wheels.Pin]:
    return _wheels.parse_lock((LOCKS / f"{name}.lock").read_text(encoding="utf-8"))


def test_tags_go_from_the_hosts_own_to_the_oldest() -> None:
    found = _wheels.tags(DEBIAN)
    assert found[0] == "manylinux_2_36_x86_64" == _bundle.target("3.11", found[0]).platform
    assert found[-3:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    assert found.index("manylinux2014_x86_64") == found.index("manylinux_2_17_x86_64") + 1
    # There is no older tag for ARM.
    assert _wheels.tags(GRACE)[-3:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"]


def test_pip_itself_took_wheels_with_these_tags(fixtures: Path) -> None:
    known = {*_wheels.tags(DEBIAN), "any"}
    names = (fixtures / "bundle" / "wheels").read_text(encoding="utf-8").split()
    assert len(names) > 150
    assert [name for name in names if not known & set(name.removesuffix(".whl").rpartition("-")[2].split("."))] == []


def test_what_is_chosen_of_a_lock_is_what_pip_chose(fixtures: Path) -> None:
    """pip evaluates markers for the Python that it runs on: on such a host, both must be the same."""
    names = (fixtures / "bundle" / "wheels").read_text(encoding="utf-8").split()
    downloaded = {normal(name.split("-")[0]) for name in names}
    of_ansible = {"ansible-core", "resolvelib"}
    found = {pin.name for pin in [*_wheels.chosen(lock("cpu"), DEBIAN), *lock("uv")]}
    assert found - downloaded == set()
    assert downloaded - found == of_ansible


def test_a_lock_has_each_package_once_for_a_host() -> None:
    for target in (DEBIAN, GRACE, replace(DEBIAN, python="3.14")):
        for name in ("cpu", "cuda"):
            pins = _wheels.chosen(lock(name), target)
            assert len({pin.name for pin in pins}) == len(pins) > 150
            assert [pin.name for pin in pins if not pin.hashes] == []


def test_lines_are_read_as_they_stand() -> None:
    torch = [pin for pin in lock("cpu") if pin.name == "torch"]
    assert [pin.requirement for pin in torch] == ["torch==2.13.0+cpu"]
    assert torch[0].text.startswith("torch==2.13.0+cpu --hash=sha256:0b8f7d04")
    marked = _wheels.parse_lock(f"a==1 ; python_version < '3' and os_name == 'nt' \\\n    --hash=sha256:{SUM}\n")
    assert (marked[0].marker, marked[0].hashes) == ("python_version < '3' and os_name == 'nt'", (SUM,))
    extra = _wheels.parse_lock(f"Ray[default]==2.60.0 \\\n    --hash=sha256:{SUM}\n")
    assert (extra[0].name, extra[0].requirement, extra[0].hashes) == ("ray", "Ray[default]==2.60.0", (SUM,))


def test_a_wheel_by_its_address_is_kept() -> None:
    pins = _wheels.parse_lock(
        f"my-plugin @ https://192.0.2.1/my_plugin-1.0-py3-none-any.whl \\\n    --hash=sha256:{SUM}\n"
    )
    assert pins[0].text == f"my-plugin @ https://192.0.2.1/my_plugin-1.0-py3-none-any.whl --hash=sha256:{SUM}"


def test_a_line_that_depends_on_the_patch_level_is_taken_along() -> None:
    pins = _wheels.parse_lock("a==1 ; python_full_version < '3.11.3'\nb==1 ; python_full_version >= '3.12'\n")
    assert [pin.name for pin in _wheels.chosen(pins, DEBIAN)] == ["a"]


def test_versions_of_a_lock_constrain_what_is_not_the_release() -> None:
    extra = _wheels.parse_lock(
        f"ray[default]==2.60.0 --hash=sha256:{SUM}\nmine @ https://192.0.2.1/mine-1-py3-none-any.whl\n"
    )
    assert _wheels.constraints(extra) == "ray==2.60.0\n"
    assert "huggingface-hub==2.4.0\n" in _wheels.constraints(_wheels.chosen(lock("cuda"), DEBIAN))


def test_wheels_for_others_are_told_apart() -> None:
    pins = lock("cpu")
    keys = [_wheels.key(pins, DEBIAN), _wheels.key(pins, GRACE), _wheels.key(pins[1:], DEBIAN)]
    assert len(set(keys)) == 3


def test_a_python_of_uv_lies_in_a_mirror_as_uv_looks_for_it(fixtures: Path) -> None:
    """uv 0.13.9 with --mirror=file:///m opened this path below /m."""
    listed = (fixtures / "bundle" / "uv_python_list.json").read_text(encoding="utf-8")
    url, inside = _wheels.python_archive(listed, "3.12.9", "x86_64")
    assert inside == "20250317/cpython-3.12.9+20250317-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    assert url.startswith("https://") and url.endswith(inside.replace("+", "%2B"))
    # PyPy is none, nor is another machine's.
    assert _wheels.python_archive(listed, "3.12.15", "x86_64")[1].startswith("20261021/cpython-")
    assert _wheels.python_archive(listed, "3.12.9", "aarch64") == ("", "")
    assert _wheels.python_archive("[]", "3.12.9", "x86_64") == ("", "")
