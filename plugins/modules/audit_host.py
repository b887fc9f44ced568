#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_host
short_description: Audit the protections of a cluster on a host
description:
  - Checks files, directories, the service account, processes, logs, the firewall, and which endpoints answer without
    token or key. M(vllm_ray.cluster.audit) evaluates the results of all hosts.
  - Changes nothing. Secrets are compared on the host. They are never returned or sent.
  - A check that cannot run is reported as unknown and does not fail the module.
  - Each search has a time limit and a size limit.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  action:
    support: full
    details:
      - The action plugin accepts only O(plan), O(user), O(sudoers), O(unit_texts) and O(networks). It sets the others
        from the plan.
options:
  plan:
    description: Result of M(vllm_ray.cluster.plan). Only for the action plugin.
    type: dict
    default: {}
  rows:
    description: Rows of the audit to check.
    type: list
    elements: str
    choices:
      - paths
      - modes
      - secrets
      - units
      - release
      - models
      - state
      - account
      - groups
      - jobs
      - service_user
      - other_users
      - sudoers
      - kernel
      - processes
      - command_lines
      - environments
      - journal
      - logs
      - firewall
      - open_rules
      - listeners
      - ray
      - dashboard
      - api
      - tls
    default: []
  cluster:
    description: Name of the cluster.
    type: str
    default: default
  user:
    description: Service account. If empty, the user who runs the module.
    type: str
    default: ''
  manager:
    description: Process manager of the services.
    type: str
    choices: [systemd, supervisor]
    default: systemd
  supervisor_directory:
    description: Directory of C(supervisord.conf).
    type: path
  supervisor_bin:
    description: Directory with C(supervisorctl).
    type: path
  services:
    description: Names of the units that the host should have, without C(.service), or of supervisor programs.
    type: list
    elements: str
    default: []
  config:
    description: Directory of the cluster's configuration.
    type: path
    default: /etc/vllm-ray/default
  state:
    description: Directory of the cluster's data.
    type: path
    default: /var/lib/vllm-ray/default
  started:
    description: Directory that records the files with which each service was started.
    type: path
    default: /run/vllm-ray/default
  models:
    description: Directory of models.
    type: path
    default: /var/lib/vllm-ray/models
  model:
    description: Path of the served model, if it is outside O(models).
    type: path
  manifests:
    description: Directory for the records of model manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
  root:
    description: Directory of releases. Unset if the user provides the environment.
    type: path
  release:
    description: Path of the release or of the link to it.
    type: path
    default: /etc/vllm-ray/default/current
  units:
    description: Directory of the unit files, or of the program files of supervisor.
    type: path
    default: /etc/systemd/system
  unit_texts:
    description: Expected content of each unit file, by unit name. Other units are not compared.
    type: dict
    default: {}
  command:
    description: Path of the command C(vllm-ray).
    type: path
    default: /usr/local/bin/vllm-ray
  clusters:
    description: Directory in which the clusters of the host are registered for the command.
    type: path
    default: /etc/vllm-ray/.clusters
  sudoers:
    description: Expected sudo rules for the operators of the cluster. If empty, no rules are expected.
    type: str
    default: ''
  sudoers_file:
    description: File with the sudo rules.
    type: path
    default: /etc/sudoers.d/vllm-ray-default
  address:
    description: Cluster address of the host.
    type: str
    default: ''
  ports:
    description: Ports on which only services of the cluster may listen.
    type: list
    elements: int
    default: []
  public_ports:
    description: Ports that everybody may reach.
    type: list
    elements: int
    default: []
  raylet_port:
    description: Port of the raylet.
    type: int
    default: 6380
  gcs_port:
    description: Port of the GCS. V(0) if the host is not the head.
    type: int
    default: 0
  dashboard:
    description: URL of Ray's dashboard.
    type: str
    default: ''
  api:
    description: URL of the API.
    type: str
    default: ''
  api_open:
    description: Routes of the API that this host may request without the key.
    type: list
    elements: str
    default: []
  ca_file:
    description: File with the CA certificates to verify the API's certificate with. Default is the host's CAs.
    type: path
  server_name:
    description: Host name that the API's certificate must have. If empty, the host in O(api).
    type: str
    default: ''
  networks:
    description: Addresses and networks that the services may reach, or V(any).
    type: list
    elements: str
    default: []
seealso:
  - module: vllm_ray.cluster.audit
  - module: vllm_ray.cluster.audit_reach
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Audit each host from inside
  vllm_ray.cluster.audit_host:
    plan: "{{ planned }}"
    user: vllm-ray
  become: true
  register: __vllm_ray_audit_host
"""

RETURN = r"""
rows:
  description: Result of each row.
  returned: always
  type: dict
  contains:
    checked:
      description: What was checked.
      type: str
    faults:
      description: Problems, one sentence each. Empty if the row passed.
      type: list
      elements: str
    unknown:
      description: Why the row could not be checked. Empty if it could.
      type: str
  sample: {"groups": {"checked": "1 groups", "faults": ["vllm-ray is in the group docker"], "unknown": ""}}
listeners:
  description: Listening ports of the host.
  returned: always
  type: list
  elements: dict
  contains:
    port:
      description: TCP port.
      type: int
    address:
      description: Address that it listens on.
      type: str
    process:
      description: Name of the process, empty if it is not visible.
      type: str
    ours:
      description: Whether the process belongs to a service of the cluster.
      type: bool
    loopback:
      description: Whether the port is reachable only from this host.
      type: bool
  sample: [{"port": 6379, "address": "*", "process": "gcs_server", "ours": true, "loopback": false}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits._audit_io import ROWS, look

ARGUMENTS = {
    "plan": {"type": "dict", "default": {}},
    "rows": {"type": "list", "elements": "str", "choices": list(ROWS), "default": []},
    "cluster": {"type": "str", "default": "default"},
    "user": {"type": "str", "default": ""},
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
    "supervisor_directory": {"type": "path"},
    "supervisor_bin": {"type": "path"},
    "services": {"type": "list", "elements": "str", "default": []},
    "config": {"type": "path", "default": "/etc/vllm-ray/default"},
    "state": {"type": "path", "default": "/var/lib/vllm-ray/default"},
    "started": {"type": "path", "default": "/run/vllm-ray/default"},
    "models": {"type": "path", "default": "/var/lib/vllm-ray/models"},
    "model": {"type": "path"},
    "manifests": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
    "root": {"type": "path"},
    "release": {"type": "path", "default": "/etc/vllm-ray/default/current"},
    "units": {"type": "path", "default": "/etc/systemd/system"},
    "unit_texts": {"type": "dict", "default": {}},
    "command": {"type": "path", "default": "/usr/local/bin/vllm-ray"},
    "clusters": {"type": "path", "default": "/etc/vllm-ray/.clusters"},
    "sudoers": {"type": "str", "default": ""},
    "sudoers_file": {"type": "path", "default": "/etc/sudoers.d/vllm-ray-default"},
    "address": {"type": "str", "default": ""},
    "ports": {"type": "list", "elements": "int", "default": []},
    "public_ports": {"type": "list", "elements": "int", "default": []},
    "raylet_port": {"type": "int", "default": 6380},
    "gcs_port": {"type": "int", "default": 0},
    "dashboard": {"type": "str", "default": ""},
    "api": {"type": "str", "default": ""},
    "api_open": {"type": "list", "elements": "str", "default": []},
    "ca_file": {"type": "path"},
    "server_name": {"type": "str", "default": ""},
    "networks": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, **look(module))


if __name__ == "__main__":
    main()
