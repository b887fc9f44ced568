#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vllm_endpoint_info
short_description: Query an engine for its models and for completions
description:
  - Tests an engine with real completions, because C(/health) and C(/v1/models) can still answer on a dead engine.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  url:
    description: URL of the API, without a path.
    type: str
    required: true
  key_file:
    description:
      - File with the API key.
      - If O(url) points to the host that runs the module, the key is sent only to a process of the account that owns
        this file. Otherwise nothing is sent, and RV(why) shows the owner of the port.
      - If O(url) points to another host, it is sent to any program that answers there, in plain text unless the URL is
        HTTPS.
      - Redirects are not followed.
    type: path
    required: true
  ca_file:
    description:
      - PEM file with the CA certificates to trust for an HTTPS O(url). The key is not sent if another CA signed the
        certificate, or if it has expired.
      - If unset, or if the file does not exist, the CAs that the host trusts.
    type: path
  server_name:
    description: Host name or address that the certificate must have. Default is the host in O(url).
    type: str
  certificate_file:
    description: File with the certificate that the engine should present, for RV(renewed).
    type: path
  model:
    description: Name of the served model.
    type: str
    required: true
  proof:
    description: Completions to request.
    type: list
    elements: dict
    default: []
    suboptions:
      request:
        description: Body of the request. C(model) is added if it is missing.
        type: dict
        required: true
      expect:
        description: Exact text of the expected answer. If unset, any text or reasoning is accepted.
        type: str
      seconds:
        description: Timeout of the complete answer, in seconds.
        type: int
        default: 60
  wait:
    description: Seconds to retry, once a second, while the engine does not answer yet.
    type: int
    default: 0
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Request one token
  vllm_ray.cluster.vllm_endpoint_info:
    url: http://192.0.2.11:8000
    key_file: /etc/vllm-ray/default/api.key
    model: Qwen3-32B
    proof:
      - request:
          messages: [{role: user, content: Hello}]
          max_tokens: 1
"""

RETURN = r"""
ready:
  description: Whether all completions had the expected result.
  returned: always
  type: bool
models:
  description: Names of the models that the API lists.
  returned: always
  type: list
  elements: str
answers:
  description: Result of each completion, with ok, text, why and final.
  returned: always
  type: list
  elements: dict
final:
  description: Whether a retry cannot help, because the engine refused a request or returned a different text than
    expected.
  returned: always
  type: bool
why:
  description: Why the engine is not ready. Empty if it is.
  returned: always
  type: str
untrusted:
  description: Whether the certificate of the engine was not accepted.
  returned: always
  type: bool
renewed:
  description: Whether the engine presents the certificate in O(certificate_file), or there is none to compare with.
  returned: always
  type: bool
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._http_io import (
    Refused,
    Secret,
    certificate_in,
    certificate_of,
    read_secret,
    request_json,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._vllm import (
    Answer,
    completion_request,
    judge,
    model_names,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    class Proof(t.TypedDict):
        """An entry of the option proof."""

        request: Mapping[str, object]
        expect: str | None
        seconds: int

    class Options(t.TypedDict):
        """The options that one question needs."""

        url: str
        key_file: str
        ca_file: str | None
        server_name: str | None
        certificate_file: str | None
        model: str
        proof: list[Proof]


ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "ca_file": {"type": "path"},
    "server_name": {"type": "str"},
    "certificate_file": {"type": "path"},
    "model": {"type": "str", "required": True},
    "proof": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "request": {"type": "dict", "required": True},
            "expect": {"type": "str"},
            "seconds": {"type": "int", "default": 60},
        },
    },
    "wait": {"type": "int", "default": 0},
}
# Seconds between two questions of one run.
PAUSE = 1


def ask(url: str, key: Secret, model: str, proof: Proof, trust: Mapping[str, str | None]) -> Answer:
    """Ask for one completion and judge it. trust: ca_file and server_name."""
    body = completion_request(proof["request"], model)
    try:
        return judge(request_json(f"{url}/v1/chat/completions", key, body, proof["seconds"], **trust), proof["expect"])
    except Refused as error:
        return Answer(False, "", str(error), final=400 <= error.status < 500)


def shows(url: str, certificate: str) -> bool:
    """Return whether a server shows a certificate, given in PEM. True if there is none to compare."""
    try:
        return not certificate or not url.startswith("https:") or certificate_of(url) == certificate
    except Refused:
        return False


def look(options: Options) -> dict[str, object]:
    """Ask an engine once. options: those of this module. Returns what it returns."""
    url, key, model = options["url"], read_secret(options["key_file"]), options["model"]
    ca_file, server_name = options["ca_file"], options["server_name"]
    certificate = certificate_in(options["certificate_file"])
    result = {"untrusted": False, "renewed": True}
    try:
        models = model_names(request_json(f"{url}/v1/models", key, ca_file=ca_file, server_name=server_name))
    except Refused as error:
        result["untrusted"] = error.kind == "untrusted"
        return {**result, "ready": False, "models": [], "answers": [], "final": False, "why": f"{url}: {error}"}
    trust = {"ca_file": ca_file, "server_name": server_name}
    answers = [ask(url, key, model, proof, trust) for proof in options["proof"]]
    result["renewed"] = shows(url, certificate)
    return {
        **result,
        "ready": all(answer.ok for answer in answers),
        "models": models,
        "answers": [answer.as_dict() for answer in answers],
        "final": any(answer.final and not answer.ok for answer in answers),
        "why": next((answer.why for answer in answers if not answer.ok), ""),
    }


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    end = time.monotonic() + module.params["wait"]
    while True:
        found = look(module.params)
        if found["ready"] or found["final"] or found["untrusted"] or time.monotonic() + PAUSE > end:
            module.exit_json(changed=False, **found)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
