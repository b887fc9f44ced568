#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_info
short_description: Check the SSH connection to all hosts
description:
  - Logs in to all hosts in parallel, before any module runs there, and reports what fails.
  - Distinguishes, for example, an unknown host name, a closed port, an unknown or changed host key, a refused user, a
    private key that ssh ignores, sudo that requires a password, and a missing Python. Each problem has a fix.
  - Runs OpenSSH's own client with the options that Ansible would use, and evaluates its output. So C(~/.ssh/config),
    jump hosts, agents and certificates have the same effect as for Ansible.
  - If O(ansible.builtin.ssh#connection:password) is set and no key works, tries the password with paramiko, if it is
    installed on the controller. Without paramiko, or behind a jump host, C(not_told) in RV(hosts) lists what could not
    be checked.
  - Writes nothing to C(known_hosts). Accepts an unknown host key only if the user's own settings accept it.
  - Skips hosts that do not use an SSH connection.
  - One call covers all hosts, so set C(run_once) on the task.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  hosts:
    description: Inventory names of the hosts. Default is all hosts of the cluster.
    type: list
    elements: str
  timeout:
    description: Timeout for each host, in seconds.
    type: int
    default: 10
seealso:
  - module: vllm_ray.cluster.look
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Check the SSH connection to all hosts
  vllm_ray.cluster.ssh_info:
  run_once: true
  register: __vllm_ray_contacts
"""

RETURN = r"""
hosts:
  description: Result of the login by host.
  returned: always
  type: dict
  contains:
    state:
      description:
        - V(ready) = the login succeeded. V(passed_over) = the host does not use SSH.
        - Otherwise the cause of the failure, such as V(name_unknown), V(resolver), V(no_route), V(timeout), V(refused),
          V(not_ssh), V(key_unknown), V(key_changed), V(user_refused), V(no_key), V(agent_missing), V(private_missing),
          V(private_open), V(private_locked), V(account) or V(password_wrong).
      returned: always
      type: str
    said:
      description: Message of OpenSSH or the host.
      returned: always
      type: str
    jump:
      description: Jump host at which the connection failed, empty if it was the host itself.
      returned: always
      type: str
    host_key:
      description: SHA-256 fingerprint of the key that the host presented, if it is not trusted.
      returned: always
      type: str
    known_key:
      description: SHA-256 fingerprint of the expected key. C(known_at) has its file and line.
      returned: always
      type: str
    add:
      description: Command that adds the presented key to C(known_hosts). Compare the key first.
      returned: always
      type: str
    remove:
      description: Command that removes the expected key.
      returned: always
      type: str
    methods:
      description: Authentication methods that the host accepts, if it refused the user.
      returned: always
      type: str
    keys:
      description: Keys that were offered to the host then.
      returned: always
      type: list
      elements: str
    agent:
      description: Message of the SSH agent then.
      returned: always
      type: str
    machine:
      description: Architecture, the output of C(uname -m).
      returned: always
      type: str
      sample: x86_64
    python:
      description: Python that Ansible would use. Its version is in C(python_version).
      returned: always
      type: str
      sample: /usr/bin/python3.11
    sudo:
      description:
        - State of sudo. One of V(ok), V(missing), V(password) if it requires one, V(wrong_password), V(not_allowed),
          V(tty) or V(broken).
        - Empty if no task requires sudo.
      returned: always
      type: str
    not_told:
      description: Facts that could not be checked.
      returned: always
      type: list
      elements: str
problems:
  description: Problems, each with host, check, severity, found, wanted and fix.
  returned: always
  type: list
  elements: dict
  sample:
    - host: gpu02
      check: ssh
      severity: error
      found: 192.0.2.12 is up, but nothing listens on port 22 (Connection refused)
      wanted: sshd
      fix: "on the host's console: systemctl enable --now ssh; or set ansible_port to the port of its sshd"
seconds:
  description: Duration in seconds.
  returned: always
  type: float
"""
