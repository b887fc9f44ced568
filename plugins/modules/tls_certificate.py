#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Create and read a CA and the certificate of the API
description:
  - Creates a CA for one cluster and a server certificate that it signs, with the host's C(openssl). Keys are EC P-256.
  - Renews the certificate with a new key if it expires within 30 days, if O(names) or the CA changed, or if it or its
    key is unusable. Also renews a CA that expires within 30 days.
  - Fails if key and certificate of the CA do not match. A new CA would lock out clients that trust the old one.
  - Returns the key of the certificate, so the task must set C(no_log). The key of the CA is not returned.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
    details: In check mode, a placeholder is returned instead of a new certificate.
  diff_mode:
    support: none
    details: RV(why) shows what is renewed.
  idempotent:
    support: full
options:
  directory:
    description:
      - Directory of C(ca.key), C(ca.crt), C(tls.key) and C(tls.crt), and of C(tls.json) with the values that they were
        created from. Only their owner may read them.
      - It is created with mode 0700 if it is missing. C(openssl) works in its subdirectory C(.openssl), which is
        removed afterwards.
    type: path
    required: true
  cluster:
    description: Name of the cluster. It is the organization in both certificates.
    type: str
    required: true
  names:
    description:
      - Names and IP addresses by which clients reach the server. C(localhost) and C(127.0.0.1) are always added.
    type: list
    elements: str
    required: true
  days:
    description: Validity of a new certificate, in days.
    type: int
    default: 397
  ca_days:
    description: Validity of a new CA, in days.
    type: int
    default: 3650
  renew:
    description:
      - What to renew because of O(reason). V(ca) also renews the certificate.
      - This happens once for each reason, even if a run ends before all hosts have the new files. An empty O(reason)
        renews nothing and forgets the last reason. An empty O(renew) with the same reason does not forget it.
    type: list
    elements: str
    choices: [ca, tls]
    default: []
  reason:
    description: Reason to renew O(renew). If empty, nothing is renewed for it.
    type: str
    default: ""
  refuse:
    description: Whether to fail if C(openssl) is not installed. Otherwise RV(missing) names its package.
    type: bool
    default: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Create and read the certificate
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
  description: Last valid day of the certificate, in UTC. Empty if check mode found none.
  returned: RV(missing) is empty
  type: str
  sample: "2027-12-31"
why:
  description: Why the CA (C(ca)) and the certificate (C(tls)) were renewed. Only renewed ones are listed.
  returned: RV(missing) is empty
  type: dict
  sample: {"tls": "it expires on 2026-12-24"}
missing:
  description: Packages that must be installed first.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls, _tls_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io

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
