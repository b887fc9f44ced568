#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_download
short_description: Download a model once and copy it to all hosts
description:
  - One host downloads one commit of a model, from Hugging Face or ModelScope with the hub's own client, or from a
    mirror.
  - Run the module on all hosts at the same time. The other hosts copy each file from the first host and from one
    another as soon as the file is complete and matches the hub's hash. Without O(hosts), the module only downloads.
  - On each host, the directory appears only when it is complete.
  - A branch or tag is resolved to its commit once. Later runs keep that commit and need no network access.
  - After an interruption, finished files are kept. Partial files from ModelScope and mirrors are continued. The client
    of Hugging Face continues a file after a lost connection, but starts it again after the client was stopped.
  - A mirror is a directory on a web server with a file C(SHA256SUMS) that lists all files in the format of
    C(sha256sum). The content of C(SHA256SUMS) takes the place of a commit.
  - With O(hosts), each host listens on its cluster address during the call, like M(vllm_ray.cluster.tree_sync).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
  - vllm_ray.cluster._hubs
attributes:
  check_mode:
    support: full
    details: In check mode, the hub is queried for the commit and the size of the files.
  diff_mode:
    support: none
    details: The message shows what is downloaded.
  idempotent:
    support: full
notes:
  - Ansible runs a task on at most C(forks) hosts at a time. With more hosts than forks, run it with C(async) and
    C(poll=0), and read the results with M(ansible.builtin.async_status).
options:
  state:
    description:
      - V(present) downloads or copies the model to the host.
      - V(asked) only returns the commit of O(revision) and whether the host has it. On the downloading host without
        O(commit), it also returns the size. An existing commit is kept for later runs.
      - The result of V(asked) is also input for M(vllm_ray.cluster.transfer_plan).
    type: str
    choices: [asked, present]
    default: present
  model:
    description: Id of the model, or the URL of its directory on a mirror.
    type: str
    required: true
  commit:
    description: RV(commit) that the downloading host returned for O(revision). Required on hosts that do not download.
    type: str
    default: ''
  update:
    description: Whether to resolve O(revision) again on the hub.
    type: bool
    default: false
  path:
    description: Absolute path of the model on the host. Default is a directory for each model and commit in O(root).
    type: path
  root:
    description: Directory for models.
    type: path
    default: /var/lib/vllm-ray/models
  exclude:
    description: Patterns of files that are not downloaded.
    type: list
    elements: str
    default: []
  python:
    description: Path of a Python with the hub's client, such as the release's. Required on the host that downloads from
      a hub.
    type: path
  user:
    description:
      - Account of the services. If the module runs as root, the hub's client runs as this account, or as C(nobody) if
        the account does not exist yet. Each downloaded file is then copied and checked. If empty, the client runs as
        the user who runs the module.
    type: str
    default: ''
  token:
    description: Access token for the hub, for the downloading host. It is passed in the environment of the client and
      not written anywhere.
    type: str
  hosts:
    description: All hosts that should get the model, including this one. The list must have the same order on all
      hosts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Cluster address of the host.
        type: str
        required: true
  name:
    description: Name of this host in O(hosts).
    type: str
    default: this host
  source:
    description: Name of the downloading host in O(hosts). If empty, this host.
    type: str
    default: ''
  run_token:
    description: Secret that is new for each run and the same on all O(hosts). Required with O(hosts).
    type: str
  limit_mbit:
    description: Maximum rate in Mbit/s at which this host sends to other hosts, and at which it receives from them.
      V(0) means no limit.
    type: float
    default: 0
  window:
    description: Seconds that another host may start later than this one.
    type: float
    default: 10
  grace:
    description: Seconds without a message after which a host that took part counts as lost. At least 5.
    type: float
    default: 30
  patience:
    description: Seconds after which a host gives up if it receives nothing and no host downloads, or if another run is
      active.
    type: float
    default: 60
  record_directory:
    description: Directory for the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
  reserve_gib:
    description: Space that must stay free on the file system, in GiB.
    type: float
    default: 1
seealso:
  - module: vllm_ray.cluster.tree_sync
  - module: vllm_ray.cluster.tree_progress
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Download a model
  vllm_ray.cluster.model_download:
    model: Qwen/Qwen3-32B
    python: /opt/vllm-ray/releases/cuda-2f1d/bin/python
    token: "{{ hf_token }}"

- name: Resolve the commit of a model
  vllm_ray.cluster.model_download:
    state: asked
    hub: mirror
    model: https://mirror.example/models/Qwen3-32B
  delegate_to: gpu01
  run_once: true
  register: asked

- name: Download the model to all hosts
  vllm_ray.cluster.model_download:
    hub: mirror
    model: https://mirror.example/models/Qwen3-32B
    commit: "{{ asked.commit }}"
    hosts:
      - {name: gpu01, address: 192.0.2.11}
      - {name: gpu02, address: 192.0.2.12}
    name: "{{ inventory_hostname }}"
    source: gpu01
    run_token: "{{ run_token }}"
"""

RETURN = r"""
exists:
  description: Whether the model exists now. May be V(false) in check mode.
  returned: success
  type: bool
directory:
  description: Directory of the model.
  returned: success
  type: str
commit:
  description: Commit of the model.
  returned: success
  type: str
filesystem:
  description: Mount point, type and source of the file system of the directory, and whether hosts share it.
  returned: O(state=asked)
  type: dict
  sample: {"point": "/models", "type": "nfs4", "source": "storage:/models", "shared": true}
to_copy:
  description: Directory of the model, if it is missing.
  returned: O(state=asked)
  type: list
  elements: str
to_copy_bytes:
  description: Size of all files to download, in bytes.
  returned: O(state=asked)
  type: int
to_remove:
  description: Always empty.
  returned: O(state=asked)
  type: list
  elements: str
bytes:
  description: Size of all files, in bytes.
  returned: when the host took part in a transfer
  type: int
digest:
  description: Digest of the model, as M(vllm_ray.cluster.tree_sync) computes it for a plain tree.
  returned: when the host took part in a transfer
  type: str
received_bytes:
  description: Bytes received from other hosts.
  returned: when the host took part in a transfer
  type: int
received_from:
  description: Bytes received, by host.
  returned: when the host took part in a transfer
  type: dict
sent_bytes:
  description: Bytes sent to other hosts.
  returned: when the host took part in a transfer
  type: int
absent:
  description: Hosts that were not seen to finish with the complete model.
  returned: when the host took part in a transfer
  type: list
  elements: str
seconds:
  description: Duration of the transfer in seconds. It ends when no other host needs this one.
  returned: when the host took part in a transfer
  type: float
problem:
  description: The problem that was found.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable

HOST = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
ARGUMENTS = {
    "state": {"type": "str", "choices": ["asked", "present"], "default": "present"},
    **_hub.ARGUMENTS,
    "commit": {"type": "str", "default": ""},
    "update": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "root": {"type": "path", "default": "/var/lib/vllm-ray/models"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "path"},
    "user": {"type": "str", "default": ""},
    "hosts": {"type": "list", "elements": "dict", "default": [], "options": HOST},
    "name": {"type": "str", "default": "this host"},
    "source": {"type": "str", "default": ""},
    "run_token": {"type": "str", "no_log": True},
    "limit_mbit": {"type": "float", "default": 0},
    "window": {"type": "float", "default": 10},
    "grace": {"type": "float", "default": 30},
    "patience": {"type": "float", "default": 60},
    "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
    "reserve_gib": {"type": "float", "default": 1},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**_hub_io.perform(module))
    except Unusable as error:
        module.fail_json(msg=str(error), problem=error.problem)
    except (Failed, ValueError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error}. The path is chosen by model_root or model_path.")


if __name__ == "__main__":
    main()
