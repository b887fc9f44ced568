#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Gather facts about a host in one call
description:
  - Returns the facts that the plan and the checks need, such as cluster NIC, GPUs, services, listeners on ports, clock,
    and files of earlier runs.
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
    description: Name of the cluster NIC. Default is the NIC with the route to the peers.
    type: str
  address:
    description: Cluster address. Default is the first address of the cluster NIC.
    type: str
  ports:
    description: Ports that the services of the cluster use.
    type: list
    elements: int
    default: []
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
  supervisor_directory:
    description: Directory of C(supervisord.conf).
    type: path
  supervisor_bin:
    description: Directory with the executables of supervisor.
    type: path
  paths:
    description: Directories whose free space is returned. They do not need to exist yet.
    type: list
    elements: path
    default: []
  ray_directory:
    description: Directory of the cluster's Ray node, to find sockets of ended sessions.
    type: path
  record:
    description: File with the record of the last run.
    type: path
  worked:
    description: File with the values of the last successful run, by row and host.
    type: path
  rotation:
    description: File that records an unfinished renewal of secrets.
    type: path
  release:
    description: Path of the symbolic link to the release.
    type: path
  checked:
    description: File that records the last check of the engine's options, as written by
      M(vllm_ray.cluster.serve_config_check).
    type: path
  model:
    description: Model to serve. The module returns its properties and whether the host has it. By default, no model is
      checked.
    type: dict
    suboptions:
      model:
        description: Absolute path of the model's directory, id of a model on a hub, or URL on a mirror.
        type: str
        required: true
      hub:
        description: Hub of a model id. Use V(mirror) for a URL.
        type: str
        choices: [huggingface, mirror, modelscope]
        default: huggingface
      revision:
        description: Branch, tag or commit. If empty, the hub's default, C(main) or C(master).
        type: str
        default: ''
      endpoint:
        description: URL of the hub or of a mirror. If empty, the hub's own URL.
        type: str
        default: ''
      ca_certificate:
        description: File with the CA certificates to trust. Default is the system's.
        type: path
      root:
        description: Directory for models.
        type: path
        default: /var/lib/vllm-ray/models
      record_directory:
        description: Directory for the records of manifests.
        type: path
        default: /var/lib/vllm-ray/manifests
      fetch:
        description: Whether to query the hub if the host does not have the model.
        type: bool
        default: false
      user:
        description: Account that must be able to read the model. If empty, this is not checked.
        type: str
        default: ''
      verify:
        description:
          - Files to hash, which takes about a second for each GiB. V(none) hashes no file, V(quick) hashes files that
            changed since their last hash, and V(full) hashes every file.
        type: str
        choices: [none, quick, full]
        default: none
  hub_token:
    description: Access token for the hub of O(model). It is sent in a header, only to the hub.
    type: str
  hub_proxy:
    description: URL of the proxy to the hub of O(model). Default is from the environment.
    type: str
  engine_config:
    description:
      - File with the options with which C(vllm serve) was started. Set it if an engine may serve on this host.
      - Only root or the user of this module may write it, because it determines where the API key is sent.
    type: path
  engine_next_config:
    description: File with the options of the next start. It is read if O(engine_config) does not exist.
    type: path
  engine_key_file:
    description:
      - File with the API key.
      - The key is sent only to a process of the account that owns this file, as with
        O(vllm_ray.cluster.vllm_endpoint_info#module:key_file).
    type: path
  engine_ca_file:
    description: File with the CA certificates to trust, as O(vllm_ray.cluster.vllm_endpoint_info#module:ca_file).
    type: path
  engine_server_name:
    description: Host name in the certificate, as O(vllm_ray.cluster.vllm_endpoint_info#module:server_name).
    type: str
  engine_certificate_file:
    description: File with the certificate that the engine should present.
    type: path
  details:
    description: Additional facts to read, for the status of a cluster. By default, none are read.
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
        description: Account of the services. The Python of O(details.release) runs as this account instead of root.
        type: str
        default: ''
      log_files:
        description: Log files of O(services), if supervisor runs them.
        type: list
        elements: path
        default: []
      config:
        description: Directory of the cluster's configuration. Secrets in it are removed from returned logs.
        type: path
        required: true
      started:
        description: Directory that records the files with which each service was started.
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
- name: Gather facts about the host
  vllm_ray.cluster.host_info:
    peers: [192.0.2.12]
    ports: [6379, 8000]
"""

RETURN = r"""
host:
  description: Facts about the machine. RV(host.gpus), RV(host.gpu_error), RV(host.amd_gpus) and RV(host.pci_gpus) are
    those of M(vllm_ray.cluster.gpu_info).
  returned: always
  type: dict
  contains:
    hostname: {description: Host name., returned: always, type: str}
    machine: {description: CPU architecture., returned: always, type: str, sample: x86_64}
    kernel: {description: Version of the kernel., returned: always, type: str}
    os:
      description: Id and version of the distribution.
      returned: always
      type: dict
      sample: {"id": "ubuntu", "version": "24.04"}
    python: {description: Version of the Python that Ansible uses., returned: always, type: str}
    glibc:
      description: Version of the GNU C library, empty for another C library.
      returned: always
      type: str
      sample: "2.39"
    time: {description: "Clock of the host, in seconds since 1970.", returned: always, type: float}
    home: {description: Home directory of the user., returned: always, type: str}
    user: {description: The user that this module runs as., returned: always, type: str}
    pid1: {description: Name of the first process., returned: always, type: str}
    cpus: {description: Number of CPUs., returned: always, type: int}
    memory: {description: "Memory, in bytes.", returned: always, type: int}
    memlock:
      description: Limit of locked memory in bytes, for the cluster's services (V(none) if none runs) and for a login.
        V(-1) means no limit.
      returned: always
      type: dict
      sample: {"services": -1, "login": 8388608}
    shared_memory: {description: Size and free bytes of C(/dev/shm)., returned: always, type: dict}
    disks:
      description: Size and free space in bytes for each of O(paths), and whether it is read-only. Paths on the same
        file system have the same C(filesystem) number.
      returned: always
      type: list
      elements: dict
      sample: [{"path": "/opt/vllm-ray", "size": 1000, "free": 500, "filesystem": 66306, "read_only": false}]
    present: {description: Those of O(paths) that exist., returned: always, type: list, elements: str}
    record: {description: Content of the record of the last run., returned: always, type: dict}
    worked:
      description: Values of the last successful run, by row and host. Will be V(none) if there was none.
      returned: always
      type: dict
    rotation:
      description: The unfinished renewal of secrets. Will be V(none) if there is none.
      returned: always
      type: dict
      sample: {"began": "2026-11-29T16:40:12Z", "secrets": ["ray_token", "api_key"]}
    checked: {description: "Content of the file O(checked), empty if there is none.", returned: always, type: str}
    release: {description: "Name of the release, empty if there is none.", returned: always, type: str}
    accounts:
      description: Account of the services, by cluster name, for all clusters of this host that systemd runs.
      returned: always
      type: dict
      sample: {"default": "vllm-ray"}
    state_owner:
      description: Owner of the parent directory of O(ray_directory), empty if it does not exist.
      returned: always
      type: str
      sample: vllm-ray
    firewall:
      description: C(why_open) is the reason why ufw closes no ports, empty if it does. C(manageable) shows whether
        C(firewall_mode=manage) would change that. C(fix) is what to do by hand.
      returned: always
      type: dict
      sample: {"why_open": "ufw is off", "manageable": true, "fix": "ufw default deny incoming"}
    client:
      description: Address of the SSH client as seen by this host, empty if Ansible does not connect by SSH.
      returned: always
      type: str
      sample: 192.0.2.5
    gpus:
      description: NVIDIA GPUs. C(ours) is V(true) for processes of O(services).
      returned: always
      type: list
      elements: dict
    gpu_error: {description: Why NVIDIA GPUs cannot be queried., returned: always, type: str}
    amd_gpus: {description: AMD GPUs., returned: always, type: list, elements: dict}
    pci_gpus: {description: Number of GPUs on the PCI bus by vendor., returned: always, type: dict}
network:
  description: Network facts, as returned by M(vllm_ray.cluster.nic_info).
  returned: always
  type: dict
  contains:
    cluster_nic:
      description: Selected cluster NIC and address, with the reason. V(none) if no NIC is suitable.
      returned: always
      type: dict
      sample: {"nic": "eno1", "address": "192.0.2.11", "mtu": 1500, "why": "holds the route to the other hosts"}
engine:
  description: State of the engine on this host, determined by a completion of one token.
  returned: always
  type: dict
  sample: {"state": "serves", "serving": true, "why": "", "start_seconds": 94.2, "path": "/srv/demo"}
  contains:
    state:
      description:
        - V(serves) = the completion succeeded. V(busy) = no completion within 10 s, but tokens for other requests.
        - V(refuses) = it answers with HTTP status 4xx, so it is alive. V(no_answer) = no completion, and no tokens for
          other requests.
        - V(loading) = the service runs but does not listen yet. V(fails) = it answers with another error.
        - V(down) = the service does not run, or another process uses its port. V(none) = there is no engine on this
          host.
        - V(unknown) = the service runs, but its state cannot be determined. For example, there is no record of its
          options, or its certificate is not accepted.
      returned: always
      type: str
    serving:
      description:
        - Whether the engine must be treated as serving. It is V(false) only if the engine is known not to serve.
        - It is V(true) for the states V(serves), V(busy), V(refuses), V(no_answer) and V(unknown).
      returned: always
      type: bool
    why: {description: "Reason for the state, empty for V(serves).", returned: always, type: str}
    start_seconds:
      description: Start time of the engine in seconds. V(none) if the journal does not show it.
      returned: it serves
      type: float
    url:
      description: URL of its API. Its options C(model), C(tp), C(pp), C(executor) and C(path) are also returned.
      returned: its options are known
      type: str
    certificates:
      description:
        - C(used) is the certificate that it presents, C(file) the one in O(engine_certificate_file), in PEM. Each is
          empty if there is none.
      returned: it has TLS
      type: dict
model:
  description: Facts about the model in O(model). V(none) if O(model) is not set.
  returned: always
  type: dict
  contains:
    directory:
      description: Directory of the model on the host, empty if the host does not have it.
      returned: always
      type: str
    pinned:
      description: Whether this host downloaded it from a hub and knows the commit.
      returned: always
      type: bool
    model:
      description: Properties of the model, as returned by M(vllm_ray.cluster.model_info). V(none) if unknown.
      returned: always
      type: dict
    code:
      description:
        - Code files that the model contains or that its configuration names.
        - vLLM runs them with C(trust-remote-code). For a model on a hub, only files named in C(config.json) are known.
      returned: always
      type: list
      elements: str
      sample: [modeling_demo.py]
    pickled:
      description: Weight files that may run code when they are loaded. Empty if there are safetensors files.
      returned: always
      type: list
      elements: str
      sample: [pytorch_model.bin]
    problem: {description: "Problem of the model, if there is one.", returned: always, type: dict}
    files:
      description: State of its files. V(none) if the host has none.
      returned: always
      type: dict
      contains:
        path: {description: Directory of the model., returned: always, type: str}
        made: {description: Whether this collection created it., returned: always, type: bool}
        bytes:
          description: Size of each file, in bytes.
          returned: always
          type: dict
          sample: {"config.json": 652}
        piece_bytes: {description: "Size of the hashed pieces of a file, in bytes.", returned: always, type: int}
        hashes:
          description: Hash of each hashed file, as returned by M(vllm_ray.cluster.model_manifest).
          returned: always
          type: dict
        missing:
          description: Missing files that the weight index or the record names.
          returned: always
          type: list
          elements: str
        broken:
          description: Why weight files are incomplete, according to their headers.
          returned: always
          type: dict
          sample: {"model.safetensors": "model.safetensors has 100 bytes instead of the 200 that its header tells"}
        touched:
          description: Files that changed since their last hash. Of the files in RV(model.files.hashes), only those with
            different content.
          returned: always
          type: list
          elements: str
        silent:
          description: Files with different content although their metadata did not change.
          returned: always
          type: list
          elements: str
        problems:
          description: Why the model cannot be read. Each problem has check, severity, found, wanted and fix.
          returned: always
          type: list
          elements: dict
usage:
  description: Services, processes and ports in use on the host.
  returned: always
  type: dict
  contains:
    services: {description: States of O(services)., returned: always, type: dict}
    ray_gpus: {description: Number of GPUs that the cluster's Ray node offers., returned: always, type: int}
    ports_taken:
      description: Other processes that listen on O(ports), as returned by M(vllm_ray.cluster.port_info).
      returned: always
      type: list
      elements: dict
    ports_unknown:
      description: Why the processes that listen cannot be read, empty if they can. Without them, RV(usage.ports_taken)
        and RV(usage.bind_errors) are empty.
      returned: always
      type: str
    bind_errors:
      description: Those of O(ports) that cannot be bound on the cluster address although no process listens on them.
      returned: always
      type: list
      elements: dict
    foreign_ray:
      description: Ray daemons that this collection did not start, with pid, process and user.
      returned: always
      type: list
      elements: dict
    strays:
      description: Other engines, and processes left by terminated Ray nodes and engines, with pid, process, user and
        unit.
      returned: always
      type: list
      elements: dict
    stale_sockets:
      description: Sockets in O(ray_directory) that no process has open.
      returned: always
      type: list
      elements: str
details:
  description: Additional facts about the cluster.
  returned: O(details) is given
  type: dict
  contains:
    services:
      description:
        - State, number of automatic restarts, first error since the start, and last log line of each of O(services).
        - Restarts are known only with systemd.
      returned: always
      type: dict
      sample: {"vllm-ray-node@default": {"state": "active", "restarts": 0, "first_error": "", "progress": ""}}
    kv_cache:
      description: KV cache as reported by the engine, see M(vllm_ray.cluster.service_log_info).
      returned: always
      type: dict
    firewall:
      description: Whether a firewall filters incoming traffic, and the rules of the cluster.
      returned: always
      type: dict
      sample: {"status": "ufw is on", "rules": ["Anywhere on eno1 from 192.0.2.12, 192.0.2.13"]}
    release:
      description: Path, Python and versions of the release, empty if there is none.
      returned: always
      type: dict
      sample: {"path": "/opt/vllm-ray/releases/cpu-1", "python": {"version": "3.11.2"}, "versions": {"ray": "2.60.0"}}
    model:
      description: Model that the engine was started with.
      returned: always
      type: dict
      sample: {"path": "/srv/demo", "revision": "", "digest": "5f2c3b0e"}
    nodes:
      description: Node table of Ray's dashboard on the head, as returned by M(vllm_ray.cluster.ray_cluster_info).
      returned: always
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host._host_io import ARGUMENTS, look


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    with _safe_io.reported(module):
        module.exit_json(changed=False, **look(module))


if __name__ == "__main__":
    main()
