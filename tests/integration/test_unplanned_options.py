# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that change the GPUs of an engine, and dangerous ones, held against the parser of the release."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils import _danger
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._wishes import UNPLANNED

ASK = """
import json
from vllm import envs
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = ServeSubcommand().subparser_init(FlexibleArgumentParser().add_subparsers())
options = [name for action in parser._actions for name in action.option_strings]
print(json.dumps([*envs.environment_variables, *options]))
"""
# What the world of an engine is made of, and where its parts run (config/parallel.py).
STARTS = ("--data-parallel", "--prefill-context-parallel", "--nnodes", "--node-rank", "--headless", "--device-ids")


@pytest.fixture(scope="module")
def known() -> set[str]:
    python = f"{os.environ['VLLM_RAY_TEST_RELEASE']}/bin/python"
    environment = {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([python, "-c", ASK], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_release_knows_every_option_that_is_refused(known: set[str]) -> None:
    assert sorted(name for name in UNPLANNED if f"--{name}" not in known) == []


def test_every_such_option_of_the_release_is_refused(known: set[str]) -> None:
    assert sorted(name for name in known if name.startswith(STARTS) and name[2:] not in UNPLANNED) == []


def test_the_release_knows_what_is_said_to_be_dangerous(known: set[str]) -> None:
    assert sorted(name for name in _danger.OPTIONS if f"--{name}" not in known) == []
    patterns = [pattern for pattern in _danger.ENVIRONMENT if pattern.startswith("VLLM_")]
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in known)] == []
    assert len(patterns) > 4
