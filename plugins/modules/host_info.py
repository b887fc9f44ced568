#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Look at a host, in one call
description:
  - Tells what the plan and the checks must know of a host, such as its cluster NIC, GPUs, services, who listens on
    its ports, its clock, and what is left of earlier runs.
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
options:
  peers:
    description: Names or addresses of the other hosts.
    type: list
    elements: str
    default: []
  nic:
    description: Name of the cluster NIC, where it is not the one with the route to the peers.
    type: str
  address:
    description: Cluster address, where it is not the cluster NIC's first.
    type: str
  ports:
    description: Ports that our services use.
    type: list
    elements: int
    default: []
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
  supervisor_directory:
    description: Directory of C(supervisord.conf).
    type: path
  supervisor_bin:
    description: Directory of the programs of supervisor.
    type: path
  paths:
    description: Directories whose free space matters. They need not be there yet.
    type: list
    elements: path
    default: []
  ray_directory:
    description: Directory of our node of Ray, where sockets of sessions that ended may be left.
    type: path
  record:
    description: File with the record of the last run.
    type: path
  worked:
    description: File with the rows of the parity matrix of the last good run.
    type: path
  rotation:
    description: File that notes a renewal of secrets that is not finished.
    type: path
  release:
    description: Path of the link to the release.
    type: path
  checked:
    description: File that notes the last check of the engine's options, as of M(vllm_ray.cluster.serve_config_check).
    type: path
  model:
    description: The model to serve, of which is told what it is and whether the host has it.
    type: dict
    suboptions:
      model:
        description: Absolute path of a model's directory, or id of a model of a hub.
        type: str
        required: true
      hub:
        description: The hub of an id, or V(mirror) for a URL.
        type: str
        choices: [huggingface, mirror, modelscope]
        default: huggingface
      revision:
        description: Branch, tag or commit. Default is the hub's, C(main) or C(master).
        type: str
        default: ''
      endpoint:
        description: URL of the hub or of a mirror.
        type: str
        default: ''
      ca_certificate:
        description: File with the certificates to trust. Default is the system's.
        type: path
      root:
        description: Directory below which models are put.
        type: path
        default: /var/lib/vllm-ray/models
      record_directory:
        description: Directory of the records of manifests.
        type: path
        default: /var/lib/vllm-ray/manifests
      fetch:
        description: Whether to ask the hub where the host does not have the model.
        type: bool
        default: false
      user:
        description: Account that must be able to read it. Default is that nobody is meant.
        type: str
        default: ''
      verify:
        description:
          - What to hash, at about a second for each GiB. V(quick) = files that were touched since they were hashed,
            V(full) = every file.
        type: str
        choices: [none, quick, full]
        default: none
  hub_token:
    description: Token of the hub of O(model). It is sent in a header, and to no other server.
    type: str
  hub_proxy:
    description: URL of the proxy to the hub of O(model). Default is what the environment says.
    type: str
  engine_config:
    description:
      - File with the options that C(vllm serve) was started with, where an engine may serve on this host.
      - It decides where a request with the API key goes, so only root or the user of this module may write it.
    type: path
  engine_next_config:
    description: File with the options of the next start. It is read where O(engine_config) does not exist.
    type: path
  engine_key_file:
    description:
      - File with the API key.
      - The key is sent only to a process of the account that owns this file, as with
        O(vllm_ray.cluster.vllm_endpoint_info#module:key_file).
    type: path
  engine_ca_file:
    description: File with the CAs to trust, as O(vllm_ray.cluster.vllm_endpoint_info#module:ca_file).
    type: path
  engine_server_name:
    description: Name in the certificate, as O(vllm_ray.cluster.vllm_endpoint_info#module:server_name).
    type: str
  engine_certificate_file:
    description: File with the certificate that the engine was given.
    type: path
  details:
    description: What to read besides, for people who want to know how a cluster is. Default is nothing.
    type: dict
    suboptions:
      cluster:
        description: Name of the cluster.
        type: str
        required: true
      release:
        description: The release, or the link to it.
        type: path
        required: true
      user:
        description: Account of the services, which starts the Python of O(details.release) in place of root.
        type: str
        default: ''
      log_files:
        description: Log files of O(services), where supervisor runs them.
        type: list
        elements: path
        default: []
      config:
        description: Directory of the cluster's configuration. Secrets in it are taken out of what logs say.
        type: path
        required: true
      started:
        description: Directory of what its services were started with.
        type: path
        required: true
      dashboard:
        description:
          - URL of Ray's dashboard, on the head.
          - The cluster's token is sent only to a process of the account that owns the token's file, as with
            O(vllm_ray.cluster.ray_cluster_info#module:token_file).
        type: str
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at the host
  vllm_ray.cluster.host_info:
    peers: [192.0.2.12]
    ports: [6379, 8000]
"""

RETURN = r"""
host:
  description: What kind of machine it is, and RV(host.gpus), RV(host.gpu_error), RV(host.amd_gpus) and
    RV(host.pci_gpus) as of M(vllm_ray.cluster.gpu_info).
  returned: always
  type: dict
  contains:
    hostname:
      description: Its name.
      returned: always
      type: str
    machine:
      description: Its architecture.
      returned: always
      type: str
      sample: x86_64
    kernel:
      description: Version of its kernel.
      returned: always
      type: str
    os:
      description: Id and version of its distribution.
      returned: always
      type: dict
      sample: {"id": "ubuntu", "version": "24.04"}
    python:
      description: Version of the Python that Ansible uses.
      returned: always
      type: str
    glibc:
      description: Version of the GNU C library, empty where there is another one.
      returned: always
      type: str
      sample: "2.39"
    time:
      description: Its clock, in seconds since 1970.
      returned: always
      type: float
    home:
      description: Home of the user.
      returned: always
      type: str
    user:
      description: The user that this module runs as.
      returned: always
      type: str
    pid1:
      description: Name of the first process.
      returned: always
      type: str
    cpus:
      description: Number of CPUs.
      returned: always
      type: int
    memory:
      description: Memory, in bytes.
      returned: always
      type: int
    memlock:
      description: Bytes that our services (V(none) where none runs) and a login may lock, V(-1) = without a limit.
      returned: always
      type: dict
      sample: {"services": -1, "login": 8388608}
    shared_memory:
      description: Size and free bytes of C(/dev/shm).
      returned: always
      type: dict
    disks:
      description: Size and free bytes for each of O(paths), and whether nothing can be written there. Paths of the
        same filesystem have the same number.
      returned: always
      type: list
      elements: dict
      sample: [{"path": "/opt/vllm-ray", "size": 1000, "free": 500, "filesystem": 66306, "read_only": false}]
    present:
      description: Which of O(paths) are there.
      returned: always
      type: list
      elements: str
    record:
      description: The record of the last run.
      returned: always
      type: dict
    worked:
      description: Values by row and host of the last good run. Will be V(none) where there was none.
      returned: always
      type: dict
    rotation:
      description: The renewal of secrets that is not finished. Will be V(none) where there is none.
      returned: always
      type: dict
      sample: {"began": "2026-11-29T16:40:12Z", "secrets": ["ray_token", "api_key"]}
    checked:
      description: What the file O(checked) holds, empty where there is none.
      returned: always
      type: str
    release:
      description: Name of the release, empty where there is none.
      returned: always
      type: str
    accounts:
      description: The account of the services, by the name of each cluster of this host that systemd runs.
      returned: always
      type: dict
      sample: {"default": "vllm-ray"}
    state_owner:
      description: The owner of the directory that O(ray_directory) is in, empty where there is none.
      returned: always
      type: str
      sample: vllm-ray
    firewall:
      description: Why ufw closes no port, empty where it does, and whether enabling it (C(firewall_mode=manage)) would
        change that.
      returned: always
      type: dict
      sample: {"why_open": "ufw is off", "manageable": true}
    client:
      description: Address of the SSH client as this host sees it, empty where Ansible does not come by SSH.
      returned: always
      type: str
      sample: 192.0.2.5
    gpus:
      description: GPUs of NVIDIA. Processes on them are ours if they are of O(services).
      returned: always
      type: list
      elements: dict
    gpu_error:
      description: Why GPUs of NVIDIA can't be looked at.
      returned: always
      type: str
    amd_gpus:
      description: GPUs of AMD.
      returned: always
      type: list
      elements: dict
    pci_gpus:
      description: Number of GPUs on the PCI bus.
      returned: always
      type: dict
network:
  description: As of M(vllm_ray.cluster.nic_info).
  returned: always
  type: dict
  contains:
    cluster_nic:
      description: The cluster NIC and address, and why these. V(none) if nothing fits.
      returned: always
      type: dict
      sample: {"nic": "eno1", "address": "192.0.2.11", "mtu": 1500, "why": "holds the route to the other hosts"}
engine:
  description: The engine of this host, judged by a completion of one token.
  returned: always
  type: dict
  sample: {"state": "serves", "serving": true, "why": "", "start_seconds": 94.2, "path": "/srv/demo"}
  contains:
    state:
      description:
        - V(serves) = a completion came. V(busy) = none came within 10 s, but tokens of other requests did.
        - V(refuses) = it answers with an HTTP status 4xx, so it is alive. V(no_answer) = no completion came, and no
          token of other requests either.
        - V(loading) = its service runs and does not listen yet. V(fails) = it answers with another error.
        - V(down) = its service does not run, or somebody else holds its port. V(none) = there is no engine here.
        - V(unknown) = its service runs and can't be judged, for example because it left no record of its options, or
          because its certificate is not accepted.
      returned: always
      type: str
    serving:
      description:
        - Whether the engine must be taken for one that serves. It is V(false) only where it is known that it does not.
        - It is V(true) for the states V(serves), V(busy), V(refuses), V(no_answer) and V(unknown).
      returned: always
      type: bool
    why:
      description: The reason for the state, empty for V(serves).
      returned: always
      type: str
    start_seconds:
      description: Seconds that it took to start. V(none) where the journal does not tell.
      returned: it serves
      type: float
    url:
      description: URL of its API. Also C(model), C(tp), C(pp), C(executor) and C(path), its options.
      returned: its options are known
      type: str
    certificates:
      description:
        - The certificate that it shows (C(used)) and the one in O(engine_certificate_file) (C(file)), in PEM. Each is
          empty where there is none.
      returned: it has TLS
      type: dict
model:
  description: The model of O(model). V(none) where none is named.
  returned: always
  type: dict
  contains:
    directory:
      description: Where the host has it, empty where it has not.
      returned: always
      type: str
    pinned:
      description: Whether this host downloaded it from a hub, and knows the commit.
      returned: always
      type: bool
    model:
      description: What it is, as of M(vllm_ray.cluster.model_info). V(none) where that is not known.
      returned: always
      type: dict
    code:
      description:
        - Files of code that the model brings, or that its configurations name.
        - vLLM runs them with C(trust-remote-code). Of a hub, only what C(config.json) names is known.
      returned: always
      type: list
      elements: str
      sample: [modeling_demo.py]
    pickled:
      description: Files of weights that may run code when they are loaded. Empty where there are safetensors files.
      returned: always
      type: list
      elements: str
      sample: [pytorch_model.bin]
    problem:
      description: What is wrong with it.
      returned: always
      type: dict
    files:
      description: The state of its files. V(none) where the host has none.
      returned: always
      type: dict
      contains:
        path:
          description: The directory.
          returned: always
          type: str
        made:
          description: Whether this collection made it.
          returned: always
          type: bool
        bytes:
          description: Size of each file.
          returned: always
          type: dict
          sample: {"config.json": 652}
        piece_bytes:
          description: Size of the pieces of which the hashes are.
          returned: always
          type: int
        hashes:
          description: Hash of each file that was hashed, as of M(vllm_ray.cluster.model_manifest).
          returned: always
          type: dict
        missing:
          description: Files that the index of the weights or the record names, and that are not there.
          returned: always
          type: list
          elements: str
        broken:
          description: Why weights are not whole, by their own headers.
          returned: always
          type: dict
          sample: {"model.safetensors": "model.safetensors has 100 bytes instead of the 200 that its header tells"}
        touched:
          description: Files that were touched since they were hashed; of those in RV(model.files.hashes), whose content
            is another.
          returned: always
          type: list
          elements: str
        silent:
          description: Those whose content is another though nothing of the file system tells of a change.
          returned: always
          type: list
          elements: str
        problems:
          description: Why it can't be read, each with check, severity, found, wanted and fix.
          returned: always
          type: list
          elements: dict
usage:
  description: What runs on the host.
  returned: always
  type: dict
  contains:
    services:
      description: States of O(services).
      returned: always
      type: dict
    ray_gpus:
      description: Number of GPUs that our node of Ray offers.
      returned: always
      type: int
    ports_taken:
      description: Who else listens on O(ports), as of M(vllm_ray.cluster.port_info).
      returned: always
      type: list
      elements: dict
    bind_errors:
      description: Which of O(ports) can't be bound on the cluster address though nobody listens on them.
      returned: always
      type: list
      elements: dict
    foreign_ray:
      description: Ray daemons that are not ours, with pid, process and user.
      returned: always
      type: list
      elements: dict
    strays:
      description: Other engines, and processes that dead Rays and engines left behind, with pid, process, user and
        unit.
      returned: always
      type: list
      elements: dict
    stale_sockets:
      description: Sockets in O(ray_directory) that nobody has open.
      returned: always
      type: list
      elements: str
details:
  description: What there is of the cluster.
  returned: O(details) is given
  type: dict
  contains:
    services:
      description:
        - State, restarts by itself, first error since its start and last line of each of O(services).
        - Restarts are known of systemd alone.
      returned: always
      type: dict
      sample: {"vllm-ray-node@default": {"state": "active", "restarts": 0, "first_error": "", "progress": ""}}
    kv_cache:
      description: What the engine told of its KV cache, as of M(vllm_ray.cluster.service_log_info).
      returned: always
      type: dict
    firewall:
      description: Whether something filters what comes in, and the rules of the cluster.
      returned: always
      type: dict
      sample: {"status": "ufw is on", "rules": ["Anywhere on eno1 from 192.0.2.12, 192.0.2.13"]}
    release:
      description: Path, Python and versions of the release, empty where there is none.
      returned: always
      type: dict
      sample: {"path": "/opt/vllm-ray/releases/cpu-1", "python": {"version": "3.11.2"}, "versions": {"ray": "2.60.0"}}
    model:
      description: The model that the engine was started with.
      returned: always
      type: dict
      sample: {"path": "/srv/demo", "revision": "", "digest": "5f2c3b0e"}
    nodes:
      description: What Ray's dashboard says on the head, as of M(vllm_ray.cluster.ray_cluster_info).
      returned: always
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _host_io, _model_config_io, _safe_io

DETAILS = {
    "cluster": {"type": "str", "required": True},
    "release": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "log_files": {"type": "list", "elements": "path", "default": []},
    "config": {"type": "path", "required": True},
    "started": {"type": "path", "required": True},
    "dashboard": {"type": "str"},
}
ARGUMENTS = {
    "peers": {"type": "list", "elements": "str", "default": []},
    "nic": {"type": "str"},
    "address": {"type": "str"},
    "ports": {"type": "list", "elements": "int", "default": []},
    "services": {"type": "list", "elements": "str", "default": []},
    "manager": {"type": "str", "choices": ["systemd", "supervisor"], "default": "systemd"},
    "supervisor_directory": {"type": "path"},
    "supervisor_bin": {"type": "path"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "ray_directory": {"type": "path"},
    "record": {"type": "path"},
    "worked": {"type": "path"},
    "rotation": {"type": "path"},
    "release": {"type": "path"},
    "checked": {"type": "path"},
    "model": {
        "type": "dict",
        "options": {
            **{name: how for name, how in _model_config_io.ARGUMENTS.items() if not how.get("no_log")},
            "root": {"type": "path", "default": "/var/lib/vllm-ray/models"},
            "record_directory": {"type": "path", "default": "/var/lib/vllm-ray/manifests"},
            "fetch": {"type": "bool", "default": False},
            "user": {"type": "str", "default": ""},
            "verify": {"type": "str", "choices": ["none", "quick", "full"], "default": "none"},
        },
    },
    # AnsibleModule hides only whole options in the journal, whatever their text is.
    "hub_token": {"type": "str", "no_log": True},
    "hub_proxy": {"type": "str", "no_log": True},
    "engine_config": {"type": "path"},
    "engine_next_config": {"type": "path"},
    "engine_key_file": {"type": "path", "no_log": False},
    "engine_ca_file": {"type": "path"},
    "engine_server_name": {"type": "str"},
    "engine_certificate_file": {"type": "path"},
    "details": {"type": "dict", "options": DETAILS},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(changed=False, **_host_io.look(module))


if __name__ == "__main__":
    main()
