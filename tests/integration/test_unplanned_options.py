# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that change the GPUs of an engine, and dangerous ones, held against the parser of the release."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine import _serve_config
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _danger
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import UNPLANNED

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


def test_what_the_parser_takes_for_another_option_is_refused(tmp_path: Path) -> None:
    """The parser itself takes all of it."""
    role = yaml.safe_load((Path(__file__).parents[2] / "roles/vllm/vars/main.yml").read_text())
    wrong = {"trust-remote": True, "served-model-name": ["a", "--enable-prompt-embeds"]}
    good = {"speculative_config.num_speculative_tokens": 2, "no-enable-prefix-caching": True, "max_model_len": 512}
    config = {"model": "/nowhere", **good, **wrong}
    (tmp_path / "serve.yaml").write_text(json.dumps(config))
    command = [f"{os.environ['VLLM_RAY_TEST_RELEASE']}/bin/python", "-c", _serve_config.SCRIPT]
    environment = {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(tmp_path / "serve.yaml")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert _serve_config.refusals(0, done.stdout, "", [], {**config, "api-k": "x"}) == {
        "options": "trust-remote is not the full name of an option, write trust-remote-code; "
        "api-k is not the full name of an option, write api-key; "
        "served-model-name has a value that begins with a dash, which is an option itself"
    }
    # What the role itself writes.
    assert _serve_config.refusals(0, done.stdout, "", [], {**role["__vllm_engine"], **role["__vllm_tls_options"]}) == {}
