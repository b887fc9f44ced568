#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that tests plant into every variable that may hold one, and search for afterwards.

canaries.py prints {variable: value} in JSON, for all variables that meta/argument_specs.yml marks by no_log.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

SPECIFICATION = Path(__file__).resolve().parents[1] / "meta" / "argument_specs.yml"
# What finds any of them, and is none itself.
PATTERN = re.compile(rb"canary-([a-z_]+)-q7x2")
# Where the name of a variable alone makes no value that a run accepts. {} is the canary.
LEGAL: dict[str, Any] = {
    "vllm_ray_hf_token": "{}\n",
    "vllm_ray_index_url": "https://reader:{}@packages.invalid/simple?token={}",
    "vllm_ray_extra_index_urls": ["https://{}@packages.invalid/simple"],
    "vllm_ray_find_links": ["https://reader:{}@packages.invalid/wheels", "https://packages.invalid/{}/wheels"],
    "vllm_ray_proxy": "http://user:{}@proxy.invalid:3128",
    "vllm_ray_env": {
        "SOMEBODYS_SETTING": "{}",
        "SOMEBODYS_URL": "https://user:{}@store.invalid",
        "AWS_SECRET_KEY": "{}",
    },
    "vllm_ray_serve_args": {"additional-config": {"note": "{}", "store_password": "{}"}},
}
BY_TYPE: dict[str, Any] = {"str": "{}", "path": "/nowhere/{}", "list": ["{}"], "dict": {"canary": "{}"}}


def canary(variable: str) -> str:
    """Return the secret that is planted into a variable."""
    return f"canary-{variable.removeprefix('vllm_ray_')}-q7x2"


def filled(value: Any, text: str) -> Any:
    """Return a value with a text in every place for it."""
    if isinstance(value, dict):
        return {name: filled(entry, text) for name, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, text) for entry in value]
    return value.replace("{}", text)


def variables() -> dict[str, Any]:
    """Return {variable: value with its canary} for every variable that may hold a secret."""
    options = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    return {
        name: filled(LEGAL.get(name, BY_TYPE[spec["type"]]), canary(name))
        for name, spec in options.items()
        if spec.get("no_log")
    }


if __name__ == "__main__":
    json.dump(variables(), sys.stdout)
