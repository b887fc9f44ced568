#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_download
short_description: Download a model once and have it on all hosts
description:
  - One host downloads one commit of a model from Hugging Face or ModelScope by the hub's own client, or from a mirror.
    Run on all hosts at the same time, the others fetch each file from it, and from one another, as soon as the file is
    finished and has the hash that the hub says. Without O(hosts) it only downloads.
  - On every host the directory appears when all of it is there.
  - A branch or tag is resolved to its commit once. Later runs keep that commit, and need no network.
  - A download that was interrupted goes on. Finished files are kept. Of files that were under way, those of ModelScope
    and of mirrors go on where they were; the client of Hugging Face goes on after a lost connection, but begins them
    again after it was ended.
  - A mirror is a directory of a web server with a file C(SHA256SUMS) that names all files, as C(sha256sum) writes it.
    What C(SHA256SUMS) says is what it has in place of a commit.
  - While it runs on O(hosts), each of them listens on its cluster address, as M(vllm_ray.cluster.tree_sync) does.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.actiongroup_cluster
attributes:
  check_mode:
    support: full
    details: The hub is asked for the commit and the size of the files.
  diff_mode:
    support: none
    details: The message says what is downloaded.
  idempotent:
    support: full
notes:
  - Ansible starts a task on as many hosts at a time as it has forks. Where there are more hosts than forks, run it with
    C(async) and C(poll=0) and gather the results by M(ansible.builtin.async_status).
options:
  state:
    description:
      - V(present) has the model on the host.
      - V(asked) only tells which commit is wanted, whether the host has it, and, if it is the one that downloads and
        O(commit) is not known yet, how large it is. A commit that is there is kept for later runs.
      - What V(asked) returns is also for M(vllm_ray.cluster.transfer_plan).
    type: str
    choices: [asked, present]
    default: present
  hub:
    description: The hub, or V(mirror).
    type: str
    choices: [huggingface, mirror, modelscope]
    default: huggingface
  model:
    description: Id of the model, or the URL of its directory on a mirror.
    type: str
    required: true
  revision:
    description: Branch, tag or commit. Default is the hub's, C(main) or C(master).
    type: str
    default: ''
  commit:
    description: RV(commit) that the host which downloads found for O(revision). Needed on hosts that don't download.
    type: str
    default: ''
  update:
    description: Whether to ask the hub again which commit O(revision) is.
    type: bool
    default: false
  path:
    description: Absolute path of the model. Default is a directory for each model and commit in O(root).
    type: path
  root:
    description: Directory of models.
    type: path
    default: /var/lib/vllm-ray/models
  exclude:
    description: Patterns of files that are not downloaded.
    type: list
    elements: str
    default: []
  python:
    description: Path of a Python that has the hub's client, such as the release's. Needed on the host that downloads
      from a hub.
    type: path
  user:
    description:
      - Account of the services. Where the module is root, the hub's client runs as this account, or as C(nobody) as
        long as there is no such account, and what it downloads is copied and checked file by file. Empty = as who runs
        the module.
    type: str
    default: ''
  token:
    description: Token of the hub, for the host that downloads. It reaches the client by its environment and is not
      written anywhere.
    type: str
  proxy:
    description: URL of the proxy to the hub. Default is what the environment says.
    type: str
  ca_certificate:
    description: File with the certificates to trust. Default is the system's.
    type: path
  endpoint:
    description: URL of the hub, or of a server that answers in its stead.
    type: str
    default: ''
  hosts:
    description: All hosts that are to have it, this one too; the same list in the same order on all of them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      address:
        description: Its cluster address.
        type: str
        required: true
  name:
    description: Which of O(hosts) this one is.
    type: str
    default: this host
  source:
    description: Which of O(hosts) downloads. Default is this one.
    type: str
    default: ''
  run_token:
    description: A secret text that is new for each run and the same on all O(hosts). Needed with them.
    type: str
  limit_mbit:
    description: Mbit/s that this host sends to others, and that it receives from them, at most. V(0) = no limit.
    type: float
    default: 0
  window:
    description: Seconds that a host may come later than this one.
    type: float
    default: 10
  grace:
    description: Seconds that a host that was there may be silent before the others leave without it; 5 at least.
    type: float
    default: 30
  patience:
    description: Seconds after which a host gives up if nothing comes and nobody downloads, or another run is at work.
    type: float
    default: 60
  record_directory:
    description: Directory of the records of manifests.
    type: path
    default: /var/lib/vllm-ray/manifests
  reserve_gib:
    description: What must stay free on the file system, in GiB.
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

- name: Find out which commit of a model is wanted
  vllm_ray.cluster.model_download:
    state: asked
    hub: mirror
    model: https://mirror.example/models/Qwen3-32B
  delegate_to: gpu01
  run_once: true
  register: asked

- name: Have it on all hosts
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
  description: Whether the model is there now; in check mode it may not be.
  returned: success
  type: bool
directory:
  description: Where the model is.
  returned: success
  type: str
commit:
  description: The commit that it is.
  returned: success
  type: str
filesystem:
  description: Mount point, type and source of the file system, and whether it is shared between hosts.
  returned: O(state=asked)
  type: dict
  sample: {"point": "/models", "type": "nfs4", "source": "storage:/models", "shared": true}
to_copy:
  description: The directory, if it is not there.
  returned: O(state=asked)
  type: list
  elements: str
to_copy_bytes:
  description: Size of all files that will be downloaded.
  returned: O(state=asked)
  type: int
to_remove:
  description: Always empty.
  returned: O(state=asked)
  type: list
  elements: str
bytes:
  description: Size of all files.
  returned: when the host took part in a transfer
  type: int
digest:
  description: That of M(vllm_ray.cluster.tree_sync), of a plain tree.
  returned: when the host took part in a transfer
  type: str
received_bytes:
  description: What came from other hosts.
  returned: when the host took part in a transfer
  type: int
received_from:
  description: What came from which host, in bytes.
  returned: when the host took part in a transfer
  type: dict
sent_bytes:
  description: What was sent to other hosts.
  returned: when the host took part in a transfer
  type: int
absent:
  description: Hosts that were not seen to end with the whole model.
  returned: when the host took part in a transfer
  type: list
  elements: str
seconds:
  description: How long the transfer took; it lasts until no other host needs this one.
  returned: when the host took part in a transfer
  type: float
problem:
  description: What is wrong.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _hub_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hub import HUBS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import Unusable

HOST = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
ARGUMENTS = {
    "state": {"type": "str", "choices": ["asked", "present"], "default": "present"},
    "hub": {"type": "str", "choices": sorted(HUBS), "default": "huggingface"},
    "model": {"type": "str", "required": True},
    "revision": {"type": "str", "default": ""},
    "commit": {"type": "str", "default": ""},
    "update": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "root": {"type": "path", "default": "/var/lib/vllm-ray/models"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "path"},
    "user": {"type": "str", "default": ""},
    "token": {"type": "str", "no_log": True},
    "proxy": {"type": "str", "no_log": True},
    "ca_certificate": {"type": "path"},
    "endpoint": {"type": "str", "default": ""},
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
