# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units as the roles write them, read by systemd: it knows every word of them, and rates what they leave open."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import (
    _confinement,
    _settings,
    _value_types,
)
from ansible_collections.vllm_ray.cluster.tests.unit.hostile import HOSTILE

# What systemd-analyze calls the exposure of a unit, from 0 to 10: with all steps, and with none.
LARGEST, LARGEST_WITHOUT = 3.0, 3.0
STEPS = [list(steps) for count in range(4) for steps in itertools.combinations(_confinement.STEPS, count)]


def render(given: list[dict[str, Any]], home: str = "/srv/home") -> list[dict[str, Any]]:
    """Return what the roles would write for each case."""
    command = [sys.executable, str(Path(__file__).with_name("render_roles.py")), home]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def with_accelerator(unit: str, accelerator: str) -> str:
    """Return a unit for cuda with the devices of another accelerator, as no plan has ROCm yet."""
    lines = [line for line in unit.splitlines() if not line.startswith("DeviceAllow=")]
    if "DevicePolicy=closed" in lines:
        lines.insert(
            lines.index("DevicePolicy=closed"),
            "\n".join(f"DeviceAllow={device}" for device in _confinement.DEVICES[accelerator]),
        )
    return "\n".join(lines) + "\n"


def exposure(file: Path) -> float:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if "Overall exposure level" in line]
    return float(line.partition(": ")[2].split()[0])


def verified(folder: Path, units: dict[str, str]) -> str:
    """Return what systemd says of units. Their programs are on no host here."""
    for name, text in units.items():
        (folder / name).write_text(text)
    files = [str(folder / name) for name in units]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    lines = [line for line in said.splitlines() if str(folder) in line or "vllm" in line]
    return "\n".join(line for line in lines if "is not executable" not in line)


def test_systemd_knows_every_word_and_rates_the_units(tmp_path: Path) -> None:
    given = [{"vllm_ray_confine": steps} for steps in STEPS]
    units: dict[str, str] = {}
    largest = {}
    for steps, answer in zip(STEPS, render(given), strict=True):
        for unit, accelerator in itertools.product(answer["units"], _confinement.DEVICES):
            name = f"vllm-{len(units)}-{unit['name']}.service"
            units[name] = with_accelerator(unit["unit"], accelerator)
            largest[name] = LARGEST if len(steps) == len(_confinement.STEPS) else LARGEST_WITHOUT
    assert len(units) == 8 * 2 * 3
    assert verified(tmp_path, units) == ""
    assert {name: rate for name in units if (rate := exposure(tmp_path / name)) > largest[name]} == {}


@pytest.mark.parametrize(
    "wrong", ["ProtectSistem=strict", "DeviceAllow=nvidia", "IPAddressAllow=gpu01", "SystemCallFilter=~@nothing"]
)
def test_systemd_complains_of_what_it_does_not_know(tmp_path: Path, wrong: str) -> None:
    """So that the test above would see a misspelt directive."""
    assert verified(tmp_path, {"vllm-x.service": f"[Service]\nExecStart=/bin/true\n{wrong}\n"}) != ""


def allowed(answer: dict[str, Any]) -> dict[str, list[str]]:
    """Return whom the drop-ins let a service reach: {node or serve: networks}."""
    return {
        entry["path"].partition("@")[0].rpartition("-")[2]: [
            line.partition("=")[2] for line in entry["content"].splitlines() if line.startswith("IPAddressAllow=")
        ]
        for entry in answer["files"]
        if entry["path"].endswith(".service.d/network.conf")
    }


def test_the_drop_in_has_whom_the_firewall_admits() -> None:
    given = {
        "vllm_ray_api_clients": ["198.51.100.0/24"],
        "vllm_ray_metrics_clients": ["203.0.113.7"],
        "vllm_ray_dashboard_clients": ["203.0.113.8"],
        "vllm_ray_confine_allow": ["203.0.113.64/26"],
        "vllm_ray_api_host": "192.0.2.99",
    }
    others: list[dict[str, Any]] = [{"vllm_ray_api_clients": ["any"]}, {"vllm_ray_api_host": "gpu01"}]
    answers = render([given, {**given, "vllm_ray_confine": ["files"]}, *others])
    full, off, open_, named = map(allowed, answers)
    node = ["192.0.2.11/32", "192.0.2.99/32", "203.0.113.64/26", "203.0.113.7/32", "203.0.113.8/32"]
    assert full == {"node": node, "serve": sorted([*node, "198.51.100.0/24"])}
    assert off == {"node": [], "serve": []}
    assert open_ == {"node": ["192.0.2.11/32"], "serve": ["any"]}
    # The host asks its own API by the address that the name has, which it alone knows.
    assert named["serve"] == ["192.0.2.1/32", "192.0.2.11/32"]


def test_units_have_hostile_paths_as_they_are(tmp_path: Path) -> None:
    """What the specification lets through is one word of its directive, in every place that hides and shows paths."""
    shapes = [f"/{folder}/{value}" for folder in ("srv", "tmp", "var/lib/vllm-ray") for value in HOSTILE]
    paths = [path for path in shapes if not _settings.wrong("vllm_ray_write_paths", [path])]
    assert 15 < len(paths) < 60
    cases = [{"vllm_ray_write_paths": paths, "vllm_ray_confine": steps} for steps in ([], ["files"])]
    units = {}
    for number, answer in enumerate(render(cases)):
        for unit in answer["units"]:
            words = [line.partition("=")[::2] for line in unit["unit"].splitlines()]
            written = [value for name, value in words if name in ("ReadWritePaths", "BindPaths")]
            assert set(written) >= set(map(_value_types.clean, paths))
            assert [value for name, value in words if name == "User"] == ["vllm-ray"]
            units[f"vllm-{number}-{unit['name']}.service"] = unit["unit"]
    assert verified(tmp_path, units) == ""


def test_units_wait_for_the_drivers_and_show_what_options_name() -> None:
    """Ranks run in the unit of Ray's node, so both units show the files."""
    options = {"chat-template": "/tmp/chat.jinja", "speculative-config": {"model": "/var/lib/vllm-ray/draft"}}
    (answer,) = render([{"vllm_ray_serve_args": options}])
    assert len(answer["units"]) == 2
    for unit in answer["units"]:
        lines = unit["unit"].splitlines()
        assert "Wants=modprobe@nvidia_uvm.service" in lines
        assert any(line.startswith("After=modprobe@nvidia_uvm.service ") for line in lines)
        for path in ("/tmp/chat.jinja", "/var/lib/vllm-ray/draft", "/tmp/nvidia-mps"):
            assert f"BindReadOnlyPaths=-{path}" in lines
