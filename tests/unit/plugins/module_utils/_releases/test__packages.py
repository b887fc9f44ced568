# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages dpkg reports as missing, and how apt is limited to one source."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _packages


def test_what_is_missing(fixtures: Path) -> None:
    queried = (fixtures / "bundle" / "dpkg_query").read_text(encoding="utf-8")
    assert _packages.missing(["ufw", "libnuma1", "dpkg"], queried) == ["ufw"]
    assert _packages.missing(["ufw"], "") == ["ufw"]


def test_a_removed_package_whose_settings_are_left_is_missing() -> None:
    assert _packages.missing(["ufw"], "config-files ufw\n") == ["ufw"]


def test_apt_knows_one_source_alone() -> None:
    argv = _packages.apt_argv("/tmp/apt", "install", "ufw")
    assert "Dir::Etc::sourcelist=/tmp/apt/sources.list" in argv
    assert "Dir::Etc::sourceparts=-" in argv
    assert "Dir::State::lists=/tmp/apt/lists" in argv
    assert argv[-2:] == ["install", "ufw"]
    assert _packages.source("/opt/p") == "deb [trusted=yes] file:/opt/p ./\n"


def test_a_refusal_names_what_mends_it() -> None:
    said = _packages.refusal(["ufw"], "/opt/p", "E: Unable to correct problems, you have held broken packages.")
    assert "held broken packages" in said and "install ufw in another way" in said and "bundle.yml" in said
