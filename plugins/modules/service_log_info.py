#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_log_info
short_description: State and last log of one service
description:
  - Tells whether a service runs, how often it was restarted by itself, and what its log says.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  name:
    description: Name of the unit without C(.service), or of the program.
    type: str
    required: true
  log_file:
    description: Log file of the program, where supervisor runs it. Default is the journal.
    type: path
  lines:
    description: How many lines to read from the end.
    type: int
    default: 400
  since:
    description:
      - What RV(restarts) was when somebody began to wait for the service. Starts before that one are left out.
      - By default, all starts count since somebody started the unit. Of a program of supervisor it is the last start,
        and the one before where the last one has no error.
    type: int
  config:
    description: Directory of the cluster's configuration. Its secrets are taken out of what is returned, as vLLM writes
      its options to its log. Default is to take out nothing.
    type: path
  cache:
    description: Whether to read what the engine told of its KV cache when it started, however long ago.
    type: bool
    default: false
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: See why the engine does not come up
  vllm_ray.cluster.service_log_info:
    name: vllm-ray-serve@default-main
    config: /etc/vllm-ray/default
"""

RETURN = r"""
state:
  description: State of the unit, V(unknown) for a program of supervisor.
  returned: always
  type: str
restarts:
  description:
    - How often the service was restarted by itself since it was started.
    - For a program of supervisor, how often it was started, by itself or by somebody.
  returned: always
  type: int
first_error:
  description: The first error of the first failing rank, in the log of the first start that has an error. Empty where
    there is none.
  returned: always
  type: str
kv_cache:
  description: What the engine told of its KV cache. Empty without O(cache), and where it told nothing.
  returned: always
  type: dict
  sample: {"tokens": 1986400, "context": 4096, "concurrency": 484.96}
progress:
  description: The last thing that the log says.
  returned: always
  type: str
tail:
  description: The last 20 lines.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._redact_io import redactor
from ansible_collections.vllm_ray.cluster.plugins.module_utils._service_log_io import read, told_of_cache
from ansible_collections.vllm_ray.cluster.plugins.module_utils._vllm import first_failure, kv_cache, plain, progress

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "log_file": {"type": "path"},
    "lines": {"type": "int", "default": 400},
    "since": {"type": "int"},
    "config": {"type": "path"},
    "cache": {"type": "bool", "default": False},
}


def without_secrets(parts: list[list[str]], config: str | None) -> list[list[str]]:
    """Return the lines of starts without the secrets of a cluster. config: of the cluster; None: as they are."""
    known = redactor(config, config) if config else None
    # Before anything is cut: half a secret is not known any more.
    return [known.text("\n".join(part)).split("\n") for part in parts] if known else parts


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    name, log_file = module.params["name"], module.params["log_file"]
    with _safe_io.reported(module):
        log = read(module, name, log_file, module.params["lines"], module.params["since"])
        cache = kv_cache(told_of_cache(module, name, log_file)) if module.params["cache"] else {}
        parts = without_secrets(log.parts, module.params["config"])
    lines = [line for part in parts for line in part]
    module.exit_json(
        changed=False,
        state=log.state,
        restarts=log.restarts,
        first_error=first_failure(parts),
        kv_cache=cache,
        progress=progress(lines),
        tail=plain(lines[-20:]),
    )


if __name__ == "__main__":
    main()
