#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: support_part
short_description: Gather support information on a host
description:
  - Gathers configuration, logs and versions of a cluster on one host, with system information about GPUs and network,
    in one archive. M(vllm_ray.cluster.support_bundle) combines the archives of all hosts.
  - Removes secrets on the host, found by their values in files of the cluster and by their names.
    M(vllm_ray.cluster.support_bundle) removes secrets that only the controller knows.
  - Lists unreadable parts in the file C(MISSING) of the archive. They are not errors.
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
      - The action plugin sets the options from the C(vllm_ray_*) variables of the host. It keeps the archive on the
        controller until the run ends, and returns its path in place of RV(archive).
options:
  services:
    description: Names of the cluster's units, without C(.service), or of its supervisor programs.
    type: list
    elements: str
    default: []
  manager:
    description: Process manager of the services.
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
    description: Directory that records the files with which each service was started.
    type: path
    default: /run/vllm-ray/default
  units:
    description: Directory of the unit files, or of the program files of supervisor.
    type: path
    default: /etc/systemd/system
  release:
    description: Path of the release or of the link to it.
    type: path
    default: /etc/vllm-ray/default/current
  user:
    description: User of the services, who runs C(vllm collect-env). If empty, the user who runs the module.
    type: str
    default: ''
  file_mib:
    description: Maximum size taken from the end of each log, in MiB.
    type: int
    default: 2
  total_mib:
    description: Maximum total size before compression, in MiB.
    type: int
    default: 40
  seconds:
    description: Timeout of C(vllm collect-env), in seconds.
    type: int
    default: 60
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Gather support information on each host
  vllm_ray.cluster.support_part:
  register: __vllm_ray_part
"""

RETURN = r"""
archive:
  description: Archive (tar, gzip) in base64. The action plugin does not return it.
  returned: success
  type: str
path:
  description: Path of the archive on the controller, until the run ends.
  returned: success
  type: str
  sample: /home/me/.ansible/tmp/ansible-local-1/vllm-ray-support/gpu01.tar.gz
missing:
  description: Parts that are not in the archive, with the reasons.
  returned: success
  type: list
  elements: str
  sample: ["gpu/nvidia-smi.txt: nvidia-smi is not installed"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._host._support_io import Part

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
