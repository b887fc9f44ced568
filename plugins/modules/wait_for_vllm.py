#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wait_for_vllm
short_description: Wait until an engine answers with completions
description:
  - Sends requests with M(vllm_ray.cluster.vllm_endpoint_info) until all completions have the expected result. Shows the
    progress from the log meanwhile.
  - Fails as soon as the service restarts automatically, with the first error of the first failing rank of the first
    failed start.
  - Also fails as soon as an answer differs from the expected one, after its certificate was rejected for 10 s, and at
    the timeout.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.wait_module
  - vllm_ray.cluster._attributes.action
attributes:
  check_mode:
    support: full
    details: In check mode, it sends the requests once and does not wait.
options:
  url:
    description: URL of the API, without a path.
    type: str
    required: true
  key_file:
    description: File with the API key, as O(vllm_ray.cluster.vllm_endpoint_info#module:key_file).
    type: path
    required: true
  ca_file:
    description: File with the CA certificates to trust, as O(vllm_ray.cluster.vllm_endpoint_info#module:ca_file).
    type: path
  server_name:
    description: Host name in the certificate, as O(vllm_ray.cluster.vllm_endpoint_info#module:server_name).
    type: str
  certificate_file:
    description:
      - File with the certificate that the engine should present. A ready engine gets up to 10 s to load it. RV(renewed)
        shows whether it did.
    type: path
  model:
    description: Name of the served model.
    type: str
    required: true
  proof:
    description:
      - Completions to request, as O(vllm_ray.cluster.vllm_endpoint_info#module:proof).
      - Default is one greedy chat of 16 tokens.
    type: list
    elements: dict
  service:
    description: Name of the engine's unit without C(.service), or of the supervisor program.
    type: str
    required: true
  log_file:
    description: Log file of the program, if supervisor runs it. Default is the journal.
    type: path
  timeout:
    description: Seconds to wait for the completions.
    type: int
    default: 1800
  interval:
    description:
      - Seconds between two calls of M(vllm_ray.cluster.vllm_endpoint_info). Each call except the first retries once a
        second for up to 10 s.
    type: float
    default: 2
  fail:
    description: Whether to fail at the timeout. With V(false), RV(ready) shows the result.
    type: bool
    default: true
seealso:
  - module: vllm_ray.cluster.service_log_info
  - module: vllm_ray.cluster.vllm_endpoint_info
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Wait for a completion
  vllm_ray.cluster.wait_for_vllm:
    url: http://192.0.2.11:8000
    key_file: /etc/vllm-ray/default/api.key
    model: Qwen3-32B
    service: vllm-ray-serve@default-main
  register: proof
"""

RETURN = r"""
ready:
  description: Whether all completions had the expected result.
  returned: always
  type: bool
  sample: true
seconds:
  description: Seconds until the engine was ready.
  returned: success
  type: float
  sample: 31.4
models:
  description: Names of the models that the API lists.
  returned: always
  type: list
  elements: str
  sample: [Qwen3-32B]
answers:
  description: Result of each completion, with ok, text and why.
  returned: always
  type: list
  elements: dict
  sample: [{"ok": true, "text": "A collection.", "why": ""}]
why:
  description: Why the engine is not ready. Empty if it is.
  returned: always
  type: str
  sample: ""
renewed:
  description: Whether the engine presents the certificate in O(certificate_file), or there is none to compare with.
  returned: always
  type: bool
  sample: true
final:
  description: Whether waiting longer cannot help, because an answer differs from the expected one.
  returned: always
  type: bool
  sample: false
tail:
  description: Last lines of the log.
  returned: failure
  type: list
  elements: str
"""
