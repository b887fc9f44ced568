#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_install
short_description: Install Debian packages from a directory
description:
  - Installs packages and their missing dependencies with apt, only from a directory on the host.
  - Installed packages keep their version. In check mode, returns the missing packages.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The result lists the packages.
  idempotent:
    support: full
options:
  names:
    description: Names of the packages to install.
    type: list
    elements: str
    required: true
  directory:
    description: Directory with C(.deb) files and their index C(Packages), such as C(packages) of a bundle.
    type: path
    required: true
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Install a firewall
  vllm_ray.cluster.package_install:
    names: [ufw]
    directory: /opt/vllm-ray/packages
"""

RETURN = r"""
missing:
  description: Packages that were missing before.
  returned: success
  type: list
  elements: str
  sample: [ufw]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _packages_io

ARGUMENTS = {
    "names": {"type": "list", "elements": "str", "required": True},
    "directory": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    module.exit_json(**_packages_io.ensure(module))


if __name__ == "__main__":
    main()
