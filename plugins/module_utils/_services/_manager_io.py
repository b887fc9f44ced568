# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service manager a host has. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._supervisor_io import Supervisor
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._systemd_io import Systemd

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Manager


def manager_for(module: AnsibleModule) -> Manager:
    """Return the driver of the service manager that the module's options name."""
    if module.params["manager"] == "systemd":
        return Systemd(module)
    return Supervisor(module, module.params["supervisor_directory"], module.params["supervisor_bin"])
