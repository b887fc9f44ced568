# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every plugin of the collection says about itself, written once.

Note that this doc fragment is PRIVATE to the collection: its names and words can change at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    # The words of each attribute. A module adds `support` (and `details` where there is more to say).
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: In check mode, the module reports what would change and does not change the host.
  diff_mode:
    description: In diff mode, the module shows the state before and after its changes.
  idempotent:
    description: A second run with the same options changes nothing if the host was not changed in between.
"""

    # For modules and action plugins that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The module only reads, so check mode makes no difference.
  diff_mode:
    support: N/A
    details: The module only reads, so there is no diff.
  idempotent:
    support: full
    details: The module only reads, so it never reports a change.
"""

    # For modules that wait for something, or test something, and leave nothing behind.
    WAIT_MODULE = r"""
options: {}
attributes:
  diff_mode:
    support: N/A
    details: The module changes nothing, so there is no diff.
  idempotent:
    support: full
    details: The module never reports a change.
"""

    # For modules of the collection's action group (see C(meta/runtime.yml)).
    ACTIONGROUP_CLUSTER = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vllm_ray.cluster.cluster) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - vllm_ray.cluster.cluster
"""

    # For action plugins: they run on the controller and send modules to the hosts, if any.
    ACTION = r"""
options: {}
attributes:
  action:
    description: Part of the work runs on the controller.
    support: full
"""

    # For action plugins that send no module to a host.
    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Part of the work runs on the controller.
    support: full
    details: All of the work runs on the controller.
"""
