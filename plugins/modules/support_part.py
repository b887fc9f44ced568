#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: support_part
short_description: Gather what others need to know of a host to help
description:
  - Gathers configuration, logs and versions of a cluster on one host, and what the system says of its GPUs and its
    network, as one archive. M(vllm_ray.cluster.support_bundle) joins the archives of all hosts.
  - Takes secrets out on the host, by the values in files of the cluster there and by the names they go by.
    M(vllm_ray.cluster.support_bundle) takes out those that only the controller knows.
  - What can't be read is named in the file C(MISSING) of the archive. It is never an error.
  - Writes nothing on the host.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.action
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  action:
    support: full
    details:
      - The action plugin fills in the options from the C(vllm_ray_*) variables of the host, keeps the archive on the
        controller until the run ends, and returns its path in place of RV(archive).
options:
  services:
    description: Names of our units, without C(.service), or programs.
    type: list
    elements: str
    default: []
  manager:
    description: What supervises them.
    type: str
    choices: [systemd, supervisor]
    default: systemd
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
  units:
    description: Directory of the units, or of the programs of supervisor.
    type: path
    default: /etc/systemd/system
  release:
    description: The release, or the link to it.
    type: path
    default: /etc/vllm-ray/default/current
  user:
    description: User of the services, as whom C(vllm collect-env) runs. Default is whoever runs the module.
    type: str
    default: ''
  file_mib:
    description: How much of the end of a log is taken, in MiB.
    type: int
    default: 2
  total_mib:
    description: How much is taken of all, in MiB, before it is compressed.
    type: int
    default: 40
  seconds:
    description: Seconds that C(vllm collect-env) may take.
    type: int
    default: 60
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Gather on every host
  vllm_ray.cluster.support_part:
  register: __vllm_ray_part
"""

RETURN = r"""
archive:
  description: The archive (tar, gzip) in base64. The action plugin does not return it.
  returned: success
  type: str
path:
  description: The archive on the controller, until the run ends.
  returned: success
  type: str
  sample: /home/me/.ansible/tmp/ansible-local-1/vllm-ray-support/gpu01.tar.gz
missing:
  description: What is not in the archive, and why.
  returned: success
  type: list
  elements: str
  sample: ["gpu/nvidia-smi.txt: nvidia-smi is not installed"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._support_io import Part

ARGUMENTS = {
    "services": {"type": "list", "elements": "str", "default": []},
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
    "config": {"type": "path", "default": "/etc/vllm-ray/default"},
    "state": {"type": "path", "default": "/var/lib/vllm-ray/default"},
    "started": {"type": "path", "default": "/run/vllm-ray/default"},
    "units": {"type": "path", "default": "/etc/systemd/system"},
    "release": {"type": "path", "default": "/etc/vllm-ray/default/current"},
    "user": {"type": "str", "default": ""},
    "file_mib": {"type": "int", "default": 2},
    "total_mib": {"type": "int", "default": 40},
    "seconds": {"type": "int", "default": 60},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, **Part(module)())


if __name__ == "__main__":
    main()
