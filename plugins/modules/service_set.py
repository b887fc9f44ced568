#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_set
short_description: Manage the files and services of one role in one call
description:
  - Manages an account, directories, files, links and services.
  - Restarts a service only if it was started with different files, and only if O(may_stop=true). Otherwise its files do
    not change, and RV(held) lists the service.
  - Does not follow links in directories that another account may write. Fails if a link, FIFO or device is in the place
    of a directory. Replaces it in the place of a file.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: For O(secret_files), the diff shows only names and the values of numbers and booleans.
  idempotent:
    support: full
options:
  manager:
    description: Process manager of the services.
    type: str
    choices: [systemd, supervisor]
    default: systemd
  supervisor_directory:
    description: Directory of C(supervisord.conf). Required for O(manager=supervisor).
    type: path
  supervisor_bin:
    description: Directory with the executables of supervisor. Required for O(manager=supervisor).
    type: path
  account:
    description: System account without a shell. It is created if it is missing.
    type: dict
    suboptions:
      name:
        description: Name of the account and of its group.
        type: str
        required: true
      home:
        description: Home directory of the account. It is not created.
        type: str
        required: true
      former_parent:
        description: The home of an existing account is changed to O(account.home) if it is directly in this directory.
        type: path
  directories:
    description: Directories to create, parents first.
    type: list
    elements: dict
    default: []
    suboptions: &entry
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Name of the owner. If unset, the owner does not change.
        type: str
      group:
        description: Name of the group. If unset, the group does not change.
        type: str
      mode:
        description: Mode in octal digits. If unset, the mode does not change. New files get V(0644), new directories
          V(0755).
        type: str
  files:
    description: Text files to write.
    type: list
    elements: dict
    default: []
    suboptions:
      <<: *entry
      content:
        description: Content of the file.
        type: str
        required: true
      validate:
        description: V(sudoers) checks O(files[].content) with C(visudo) before anything is changed. By default, the
          content is not checked.
        type: str
        choices: [sudoers]
  secret_files:
    description: Text files whose content is never shown. O(secrets) has the content.
    type: list
    elements: dict
    default: []
    suboptions:
      <<: *entry
      format:
        description:
          - Format of the content, which decides what a diff shows.
          - V(text) shows nothing. V(environment) shows the names of variables in lines C(NAME=value) of a shell.
          - V(json) shows the keys of a mapping, and values that are numbers, V(true), V(false) or V(null).
        type: str
        choices: [text, environment, json]
        default: text
      public:
        description: Keys in V(json) whose values are not secret, so that a diff shows them.
        type: list
        elements: str
        default: []
  secrets:
    description:
      - Contents of O(secret_files), in the same order.
      - It is a separate option because Ansible hides only whole options in the journal of the host.
    type: list
    elements: str
    default: []
  links:
    description: Symbolic links. They do not change while a service is held.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the link.
        type: path
        required: true
      target:
        description: Target of the link.
        type: str
        required: true
      former:
        description:
          - Absolute path of a second link. It gets the previous target of this link when this link changes to another
            name in the same directory.
        type: path
  absent:
    description: Files and links to remove.
    type: list
    elements: path
    default: []
  services:
    description: Services to manage.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the unit, or of the program.
          - A name that ends with C(.timer) is the name of a timer. C(.service) can be left out.
        type: str
        required: true
      unit_path:
        description: Path of the unit file or program file.
        type: path
        required: true
      unit:
        description: Content of O(services[].unit_path).
        type: str
        default: ''
      record:
        description: File in which the service records the C(sha256sum) of the files with which it was started.
        type: path
        required: true
      depends:
        description: Other files of this call that the service depends on. It must have been started with their current
          content.
        type: list
        elements: path
        default: []
      state:
        description: V(absent) stops the service and removes the unit file.
        type: str
        choices: [started, absent]
        default: started
  may_stop:
    description: Whether running services may be stopped or restarted.
    type: bool
    default: false
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Manage the files and the service of a Ray node
  vllm_ray.cluster.service_set:
    directories:
      - path: /etc/vllm-ray/default
        mode: "0755"
    files:
      - path: /etc/vllm-ray/default/node.sh
        mode: "0755"
        content: "{{ lookup('ansible.builtin.template', 'node.sh.j2') }}"
    services:
      - name: vllm-ray-node@default
        unit_path: /etc/systemd/system/vllm-ray-node@default.service
        unit: "{{ lookup('ansible.builtin.template', 'node.service.j2') }}"
        record: /var/lib/vllm-ray/default/started/node
        depends:
          - /etc/vllm-ray/default/node.sh
"""

RETURN = r"""
paths:
  description: Paths that were changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: ["/etc/vllm-ray/default/node.env"]
actions:
  description: Action for each service, one of V(none), V(start), V(restart), V(stop) or V(hold).
  returned: always
  type: dict
  sample: {"vllm-ray-node@default": "none"}
held:
  description: Services that must be stopped but may not be, each with the reasons. Their files did not change. A reason
    names the options and variables of a file that would change, not their values.
  returned: always
  type: dict
  sample:
    vllm-ray-node@default:
      - "/etc/vllm-ray/default/node.env is not what vllm-ray-node@default was started with: NCCL_DEBUG"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Service
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager_io import manager_for
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import (
    Verdict,
    changed_names,
    decide,
    held_paths,
    parse_sums,
    sha256,
    unfit_names,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set_io import (
    Tree,
    act,
    check_account,
    check_sudoers,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import Entry

ENTRY = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
}
CONTENT = {"content": {"type": "str", "required": True}}
VALIDATE = {"validate": {"type": "str", "choices": ["sudoers"]}}
SERVICE = {
    "name": {"type": "str", "required": True},
    "unit_path": {"type": "path", "required": True},
    "unit": {"type": "str", "default": ""},
    "record": {"type": "path", "required": True},
    "depends": {"type": "list", "elements": "path", "default": []},
    "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
}
ARGUMENTS = {
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
    "supervisor_directory": {"type": "path"},
    "supervisor_bin": {"type": "path"},
    "account": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "home": {"type": "str", "required": True},
            "former_parent": {"type": "path"},
        },
    },
    "directories": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
    "files": {"type": "list", "elements": "dict", "default": [], "options": {**ENTRY, **CONTENT, **VALIDATE}},
    # AnsibleModule logs its arguments as Python writes them, and so does not find a text of several lines in a list.
    # An option that is no_log as a whole is left out.
    "secret_files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            **ENTRY,
            "format": {"type": "str", "choices": ["text", "environment", "json"], "default": "text"},
            "public": {"type": "list", "elements": "str", "default": []},
        },
        "no_log": False,
    },
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "links": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "target": {"type": "str", "required": True},
            "former": {"type": "path"},
        },
    },
    "absent": {"type": "list", "elements": "path", "default": []},
    "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE},
    "may_stop": {"type": "bool", "default": False},
}
RULES = [("manager", "supervisor", ["supervisor_directory", "supervisor_bin"])]


def with_secrets(module: AnsibleModule) -> list[Entry]:
    """Return the secret files, each with its content."""
    entries: list[Entry] = module.params["secret_files"]
    texts: list[str] = module.params["secrets"]
    if len(entries) != len(texts):
        module.fail_json(
            msg=f"secret_files has {len(entries)} entries and secrets {len(texts)}. Give each file its text."
        )
    return [{**entry, "content": text} for entry, text in zip(entries, texts)]


def judge(module: AnsibleModule, services: list[Service], running: Mapping[str, Running]) -> dict[str, Verdict]:
    """Return the verdict on each service."""
    params = module.params
    entries = [*params["files"], *with_secrets(module)]
    wanted = {entry["path"]: entry["content"] for entry in entries}
    wanted.update((service.unit_path, service.unit) for service in services)
    kinds = {entry["path"]: entry["format"] for entry in params["secret_files"]}
    found = {path: _safe_io.readable(path) for service in services for path in service.depends}
    present = {path: text for path, text in found.items() if text is not None}
    names = {path: changed_names(kinds.get(path, "text"), text, wanted.get(path, "")) for path, text in present.items()}
    started = {service.name: parse_sums(_safe_io.read_text(service.record) or "") for service in services}
    sums = [{path: sha256(text) for path, text in texts.items()} for texts in (wanted, present)]
    return {
        service.name: decide(
            service, running[service.name], started[service.name], sums[0], params["may_stop"], sums[1], names
        )
        for service in services
    }


def check(module: AnsibleModule) -> None:
    """End the module before it changes anything where a path, a name or a file of sudoers can't be used."""
    unfit = unfit_names(module.params)
    if unfit:
        module.fail_json(msg=f"{'; '.join(unfit)}. Correct the variables of the role that these are made of.")
    if module.params["account"]:
        check_account(module, module.params["account"]["name"])
    for entry in module.params["files"]:
        if entry["validate"]:
            check_sudoers(module, entry)


def write(module: AnsibleModule, services: list[Service], held: set[str]) -> Tree:
    """Make account, directories, files and links be as wanted, apart from what is held."""
    params = module.params
    tree = Tree(module, held)
    if params["account"]:
        tree.account(params["account"])
    for entry in params["directories"]:
        tree.directory(entry)
    for entry in params["files"]:
        tree.file(entry)
    for entry in with_secrets(module):
        tree.file(entry, secret=True)
    for entry in params["links"]:
        tree.link(entry)
    for service in services:
        if service.state == "started":
            tree.file({"path": service.unit_path, "content": service.unit, "mode": "0644"})
    for path in params["absent"]:
        tree.absent(path)
    return tree


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True, required_if=RULES)
    check(module)
    manager = manager_for(module)
    services = [
        Service(**{**entry, "depends": (entry["unit_path"], *entry["depends"])}) for entry in module.params["services"]
    ]
    running = manager.look([service.name for service in services]) if services else {}
    links = [entry["path"] for entry in module.params["links"]]
    with _safe_io.reported(module):
        verdicts = judge(module, services, running)
        tree = write(module, services, held_paths(services, verdicts, links))
        done = act(manager, tree, services, running, verdicts)
    module.exit_json(
        changed=bool(tree.changed or done),
        diff=tree.diff,
        paths=tree.changed,
        actions={name: verdict.action for name, verdict in verdicts.items()},
        held={name: verdict.reasons for name, verdict in verdicts.items() if verdict.action == "hold"},
    )


if __name__ == "__main__":
    main()
