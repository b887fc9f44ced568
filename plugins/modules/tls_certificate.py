#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Make and read a CA and the certificate of the API
description:
  - Makes a CA for one cluster, and a certificate for a server that it signs, by the host's C(openssl). Keys are of the
    kind EC P-256.
  - The certificate is made anew, with a new key, where it expires within 30 days, where O(names) or the CA changed, and
    where it or its key can't be used. A CA that expires within 30 days is made anew, too.
  - A CA whose key and certificate don't belong together is an error. A new one would lock out clients that trust it.
  - The key of the certificate is returned, so a task that calls this must set C(no_log). That of the CA is not.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
    details: In place of what would be made, a text is returned that is no certificate.
  diff_mode:
    support: none
    details: RV(why) says what is made anew.
  idempotent:
    support: full
options:
  directory:
    description:
      - Directory of C(ca.key), C(ca.crt), C(tls.key) and C(tls.crt), and of C(tls.json) with what they were made from.
        Only their owner may read them.
      - It is made with mode 0700. C(openssl) works in C(.openssl) below it, which is gone afterwards.
    type: path
    required: true
  cluster:
    description: Name of the cluster, which is the organization in both certificates.
    type: str
    required: true
  names:
    description:
      - Names and IP addresses by which clients reach the server. C(localhost) and C(127.0.0.1) are always among them.
    type: list
    elements: str
    required: true
  days:
    description: Days that a new certificate is valid.
    type: int
    default: 397
  ca_days:
    description: Days that a new CA is valid.
    type: int
    default: 3650
  renew:
    description:
      - What is made anew because of O(reason). With a new V(ca) comes a new certificate.
      - That is done once as long as the reason stays the same, also where a run ends before all hosts have the new
        files. An empty reason makes nothing anew, and forgets the last one. While it stays the same, an empty
        O(renew) does not forget it.
    type: list
    elements: str
    choices: [ca, tls]
    default: []
  reason:
    description: Why O(renew) is made anew.
    type: str
    default: ""
  refuse:
    description: Whether to fail where C(openssl) is not installed. Otherwise RV(missing) names its package.
    type: bool
    default: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Make and read the certificate
  vllm_ray.cluster.tls_certificate:
    directory: /etc/vllm-ray/default/secrets
    cluster: default
    names: [192.0.2.11, llm.example.com]
  no_log: true
  register: tls
"""

RETURN = r"""
ca:
  description: Certificate of the CA, in PEM, for clients.
  returned: RV(missing) is empty, or check mode
  type: str
certificate:
  description: Certificate of the server, in PEM.
  returned: RV(missing) is empty, or check mode
  type: str
key:
  description: Private key of the server, in PEM.
  returned: RV(missing) is empty, or check mode
  type: str
expires:
  description: Last day of the certificate, in UTC. Empty where check mode found none.
  returned: RV(missing) is empty
  type: str
  sample: "2027-12-31"
why:
  description: Why the CA (C(ca)) and the certificate (C(tls)) were made anew. What stayed is not in it.
  returned: RV(missing) is empty
  type: dict
  sample: {"tls": "it expires on 2026-12-24"}
missing:
  description: Packages that have to be installed first.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _safe_io, _tls, _tls_io

ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "cluster": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "days": {"type": "int", "default": 397},
    "ca_days": {"type": "int", "default": _tls.CA_DAYS},
    "renew": {"type": "list", "elements": "str", "choices": ["ca", "tls"], "default": []},
    "reason": {"type": "str", "default": ""},
    "refuse": {"type": "bool", "default": True},
}


def check(module: AnsibleModule) -> None:
    """End the module where a name can't stand in a certificate."""
    unfit = _tls.unfit_names(module.params["names"])
    if not _tls.CLUSTER.fullmatch(module.params["cluster"]):
        module.fail_json(msg=f"cluster is {module.params['cluster']!r}: expected letters, digits, '.', '_' and '-'")
    if unfit:
        module.fail_json(msg=f"names has {', '.join(map(repr, unfit))}: expected IP addresses and names of hosts")


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    check(module)
    try:
        with _safe_io.reported(module):
            result = _tls_io.ensure(module)
    except _tls_io.Failed as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
