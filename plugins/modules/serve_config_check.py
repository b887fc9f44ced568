#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: serve_config_check
short_description: Check the options of vllm serve with its own parser
description:
  - Runs the parser of the installed vLLM on the options, and fails if it rejects them.
  - A check takes about ten seconds. A passed check is recorded and not repeated for the same options and release.
  - In check mode, nothing is recorded.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  release:
    description: Directory of the environment with vLLM.
    type: path
    required: true
  config:
    description:
      - Options to check, named as vLLM's long flags without the dashes.
      - Pass them as one string (filter P(ansible.builtin.to_json#filter)), which Ansible hides as a whole. In a
        mapping, Ansible would hide each value, and also equal values elsewhere in the result.
    type: json
    required: true
  environment:
    description:
      - Names of the environment variables of the engine. Names that start with C(VLLM_) and are unknown to this vLLM
        are rejected. vLLM itself would only warn.
    type: list
    elements: str
    default: []
  passed_file:
    description: File that records the last passed check.
    type: path
    required: true
  user:
    description:
      - Account of the services. If the module runs as root, the parser runs as this account, or as C(nobody) if the
        account does not exist yet. If empty, it runs as the user who runs the module.
    type: str
    default: ''
  known:
    description:
      - Content of O(passed_file), if known. A check that passed before then needs no connection to the host.
    type: str
    default: ''
seealso:
  - module: vllm_ray.cluster.host_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Check the options before any service is stopped
  vllm_ray.cluster.serve_config_check:
    release: /opt/vllm-ray/releases/cuda-0.32.0-2.60.0-0123456789ab
    config: "{{ {'model': '/var/lib/vllm-ray/models/demo', 'tensor-parallel-size': 2} | to_json }}"
    passed_file: /etc/vllm-ray/default/serve-main.checked
"""

RETURN = r"""
checked:
  description: Whether the parser was run. V(false) if the same options passed before.
  returned: success
  type: bool
refused:
  description:
    - Reasons of a rejection. C(options) is about O(config), C(environment) about O(environment). C(release) is the
      reason why vLLM cannot be loaded.
  returned: always
  type: dict
  sample: {"options": "unrecognized arguments: --max-model-length 512"}
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._safe_io import (
    make_directories,
    read_text,
    reported,
    write_file,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import runtime_of
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._serve_config import digest, sentences
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._serve_config_io import parse

ARGUMENTS = {
    "release": {"type": "path", "required": True},
    "config": {"type": "json", "required": True, "no_log": True},
    "environment": {"type": "list", "elements": "str", "default": []},
    "passed_file": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "known": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    wanted = digest(module.params["release"], json.loads(module.params["config"]), module.params["environment"])
    passed_file = module.params["passed_file"]
    with reported(module):
        passed = (read_text(passed_file) or "").strip()
    if passed == wanted:
        module.exit_json(changed=False, checked=False, refused={})
    if module.check_mode and not os.path.exists(runtime_of(module.params["release"]).python()):
        module.exit_json(changed=False, checked=False, refused={})
    refused = parse(module)
    if refused:
        module.fail_json(msg=sentences(refused, module.params["release"]), refused=refused)
    if not module.check_mode:
        # Before the first deploy there is no such directory, and the next run need not parse again.
        with reported(module):
            make_directories(os.path.dirname(passed_file))
            write_file(passed_file, f"{wanted}\n".encode())
    module.exit_json(changed=False, checked=True, refused={})


if __name__ == "__main__":
    main()
