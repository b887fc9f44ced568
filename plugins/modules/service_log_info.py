#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_log_info
short_description: Read the state and the last log lines of a service
description:
  - Returns whether a service runs, its number of automatic restarts, and facts from its log.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  name:
    description: Name of the unit without C(.service), or of the supervisor program.
    type: str
    required: true
  log_file:
    description: Log file of the program, if supervisor runs it. Default is the journal.
    type: path
  lines:
    description: Number of lines to read from the end of the log.
    type: int
    default: 400
  since:
    description:
      - Value of RV(restarts) when the caller started to wait for the service. Earlier starts are ignored.
      - By default, all starts count since the unit was started manually. For a supervisor program, the last start
        counts, and also the one before if the last one has no error.
    type: int
  config:
    description: Directory of the cluster's configuration. Its secrets are removed from the result, because vLLM logs
      its options. If unset, nothing is removed.
    type: path
  cache:
    description: Whether to read the KV cache size that the engine logged at its start, no matter how long ago.
    type: bool
    default: false
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Show why the engine does not start
  vllm_ray.cluster.service_log_info:
    name: vllm-ray-serve@default-main
    config: /etc/vllm-ray/default
"""

RETURN = r"""
state:
  description: State of the unit, V(unknown) for a supervisor program.
  returned: always
  type: str
restarts:
  description:
    - Number of automatic restarts since the service was started.
    - For a supervisor program, number of all starts, automatic and manual.
  returned: always
  type: int
first_error:
  description: First error of the first failing rank, from the first start with an error. Empty if there is none.
  returned: always
  type: str
kv_cache:
  description: KV cache as reported by the engine. Empty without O(cache), or if the log has no report.
  returned: always
  type: dict
  sample: {"tokens": 1986400, "context": 4096, "concurrency": 484.96}
progress:
  description: Last progress message in the log.
  returned: always
  type: str
tail:
  description: Last 20 lines of the log.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact_io import redactor
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._vllm import (
    first_failure,
    kv_cache,
    plain,
    progress,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_log_io import read, told_of_cache

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
