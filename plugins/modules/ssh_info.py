#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_info
short_description: See how the first contact with every host goes
description:
  - Logs in at all hosts at once, before any module can run there, and tells apart what is in the way, such as a name
    that nobody knows, a closed port, a host key that is unknown or has changed, a refused user, a private key that ssh
    ignores, sudo that asks for a password, or no Python. Each comes with its mend.
  - OpenSSH's own client is asked, with the options that Ansible would give it, so C(~/.ssh/config), jump hosts, agents
    and certificates count as they do for Ansible. Its words are judged.
  - Where O(ansible.builtin.ssh#connection:password) is set and keys don't log in, the password is tried by paramiko, if
    that is installed on the controller. Where it is not, or the host is behind a jump host, RV(hosts) says in
    C(not_told) what is left open.
  - Nothing is written to C(known_hosts), and an unknown key is taken only where the user's own settings take it.
  - Hosts that are not reached by SSH are passed over.
  - One call is for all hosts, so a task sets C(run_once).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.controller
options:
  hosts:
    description: Names of the hosts. Default is all hosts of the cluster.
    type: list
    elements: str
  timeout:
    description: Seconds that one host may take.
    type: int
    default: 10
seealso:
  - module: vllm_ray.cluster.look
  - module: vllm_ray.cluster.plan
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: See how the first contact with every host goes
  vllm_ray.cluster.ssh_info:
  run_once: true
  register: __vllm_ray_contacts
"""

RETURN = r"""
hosts:
  description: What the first contact came to, by host.
  returned: always
  type: dict
  contains:
    state:
      description:
        - V(ready) = logged in; V(passed_over) = not reached by SSH.
        - Otherwise what is in the way, such as V(name_unknown), V(resolver), V(no_route), V(timeout), V(refused),
          V(not_ssh), V(key_unknown), V(key_changed), V(user_refused), V(no_key), V(agent_missing), V(private_missing),
          V(private_open), V(private_locked), V(account) or V(password_wrong).
      returned: always
      type: str
    said:
      description: OpenSSH's or the host's own words about it.
      returned: always
      type: str
    jump:
      description: The jump host where it ended, empty where it was the host itself.
      returned: always
      type: str
    host_key:
      description: SHA-256 fingerprint of the key that the host showed, where it is in doubt.
      returned: always
      type: str
    known_key:
      description: SHA-256 fingerprint of the key that was expected. It stands at C(known_at), file and line.
      returned: always
      type: str
    add:
      description: The command that adds the key that the host showed to C(known_hosts), after it was compared.
      returned: always
      type: str
    remove:
      description: The command that removes the key that was expected.
      returned: always
      type: str
    methods:
      description: What the host lets users log in by, where it refused this one.
      returned: always
      type: str
    keys:
      description: Keys that were offered to it then.
      returned: always
      type: list
      elements: str
    agent:
      description: What the agent had to say then.
      returned: always
      type: str
    machine:
      description: What C(uname -m) says.
      returned: always
      type: str
      sample: x86_64
    python:
      description: The Python that Ansible would use. Its version is in C(python_version).
      returned: always
      type: str
      sample: /usr/bin/python3.11
    sudo:
      description:
        - V(ok), V(missing), V(password) where it asks for one, V(wrong_password), V(not_allowed), V(tty) or V(broken).
        - Empty where no task needs it.
      returned: always
      type: str
    not_told:
      description: What could not be told.
      returned: always
      type: list
      elements: str
problems:
  description: What is wrong, each with host, check, severity, found, wanted and fix.
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
  description: How long it took.
  returned: always
  type: float
"""
