#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_host
short_description: Audit the protections of a cluster on a host, from inside
description:
  - Looks at files, trees, the service account, processes, logs, the firewall and what answers without token or key.
    M(vllm_ray.cluster.audit) judges the answers of all hosts.
  - Changes nothing. Secrets are compared on the host and are never returned. No secret is sent anywhere.
  - What can't be asked is not known, and never an error.
  - Time and size of each search are bounded.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  action:
    support: full
    details:
      - The action plugin takes O(plan), O(user), O(sudoers), O(unit_texts) and O(networks) alone, and fills in the
        others by the plan.
options:
  plan:
    description: What M(vllm_ray.cluster.plan) returned. For the action plugin alone.
    type: dict
    default: {}
  rows:
    description: Rows to ask.
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
    description: The service account. Default is whoever runs the module.
    type: str
    default: ''
  manager:
    description: What supervises the services.
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
    description: Names of the units that the host should have, without C(.service), or programs.
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
    description: Directory of what the services were started with.
    type: path
    default: /run/vllm-ray/default
  models:
    description: Directory of models.
    type: path
    default: /var/lib/vllm-ray/models
  model:
    description: The model that serves, where it lies elsewhere.
    type: path
  manifests:
    description: Directory of the records of models.
    type: path
    default: /var/lib/vllm-ray/manifests
  root:
    description: Directory of releases, none where the release is the user's own.
    type: path
  release:
    description: The release, or the link to it.
    type: path
    default: /etc/vllm-ray/default/current
  units:
    description: Directory of the units, or of the programs of supervisor.
    type: path
    default: /etc/systemd/system
  unit_texts:
    description: What the file of each unit should have, by the unit's name. Units that are not in it are not compared.
    type: dict
    default: {}
  command:
    description: The command C(vllm-ray).
    type: path
    default: /usr/local/bin/vllm-ray
  clusters:
    description: Directory in which the command finds the clusters of the host.
    type: path
    default: /etc/vllm-ray/.clusters
  sudoers:
    description: The rules that sudo should have for the operators of the cluster, none where it is empty.
    type: str
    default: ''
  sudoers_file:
    description: The file with these rules.
    type: path
    default: /etc/sudoers.d/vllm-ray-default
  address:
    description: The host's cluster address.
    type: str
    default: ''
  ports:
    description: Ports that only services of the cluster may hold.
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
    description: Port of the GCS, 0 where the host is not the head.
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
    description: Routes of the API that this host may ask without the key.
    type: list
    elements: str
    default: []
  ca_file:
    description: Certificates that the API's certificate is verified by. Default is those of the host.
    type: path
  server_name:
    description: Name that the API's certificate must have. Default is the host of O(api).
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
  description: What each row found.
  returned: always
  type: dict
  contains:
    checked:
      description: What was looked at.
      type: str
    faults:
      description: What is wrong, a sentence each. Empty where the row holds.
      type: list
      elements: str
    unknown:
      description: Why the row could not be asked, empty where it could.
      type: str
  sample: {"groups": {"checked": "1 groups", "faults": ["vllm-ray is in the group docker"], "unknown": ""}}
listeners:
  description: What listens on the host.
  returned: always
  type: list
  elements: dict
  contains:
    port:
      description: TCP port.
      type: int
    address:
      description: Address it is bound to.
      type: str
    process:
      description: Name of the process, empty where it can't be seen.
      type: str
    ours:
      description: Whether it is a process of our services.
      type: bool
    loopback:
      description: Whether only this host reaches it.
      type: bool
  sample: [{"port": 6379, "address": "*", "process": "gcs_server", "ours": true, "loopback": false}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audit_io import ROWS, look

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
