#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_info
short_description: Tell what a model is, from its configuration and the headers of its files
description:
  - Reads the sizes, quantisation, KV cache and bytes of a model as vLLM will see them, without loading it.
  - Of a directory only its configurations, the index, the headers of safetensors files and the names are read.
  - Of a hub only C(config.json), C(hf_quant_config.json) and the index are fetched.
  - What had to be assumed is told in RV(model.notes).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.actiongroup_cluster
options:
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
  token:
    description: Token of the hub. It is sent in a header, and to no other server.
    type: str
  proxy:
    description: URL of the proxy to the hub. Default is what the environment says.
    type: str
  ca_certificate:
    description: File with the certificates to trust. Default is the system's.
    type: path
seealso:
  - module: vllm_ray.cluster.model_download
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Look at a model before it is downloaded
  vllm_ray.cluster.model_info:
    model: Qwen/Qwen3-32B

- name: Look at a model on the host
  vllm_ray.cluster.model_info:
    model: /var/lib/vllm-ray/models/Qwen--Qwen3-32B/main
"""

RETURN = r"""
model:
  description: What the model is. Sizes are bytes, lengths tokens; lists have an entry for each layer.
  returned: success
  type: dict
  contains:
    architecture:
      description: The class that vLLM loads.
      returned: success
      type: str
      sample: Qwen3ForCausalLM
    model_type:
      description: Type of the text model.
      returned: success
      type: str
      sample: qwen3
    layers:
      description: Decoder layers.
      returned: success
      type: int
    hidden:
      description: Hidden size.
      returned: success
      type: int
    heads:
      description: Attention heads. A TP size must divide them.
      returned: success
      type: int
    kv_heads:
      description: Key-value heads, V(1) for MLA.
      returned: success
      type: int
    head_dim:
      description: Size of a key, or of what MLA caches of a token.
      returned: success
      type: int
    intermediates:
      description: Widths of MLPs and experts. A TP size must divide each of them.
      returned: success
      type: list
      elements: int
    vocabulary:
      description: Entries of the vocabulary.
      returned: success
      type: int
    context:
      description: Longest sequence.
      returned: success
      type: int
    usual_context:
      description: Length that vLLM takes where no C(max-model-len) is set.
      returned: success
      type: int
    dtype:
      description: Type of activations, of the KV cache, and of weights that are not quantised.
      returned: success
      type: str
    quantization:
      description: Method of quantisation, empty for none.
      returned: success
      type: str
    group_size:
      description: Input channels that share a scale, V(0) for none, all of a channel or all of a tensor.
      returned: success
      type: int
    experts:
      description: Routed experts, V(0) for a dense model.
      returned: success
      type: int
    experts_per_token:
      description: Experts that a token visits.
      returned: success
      type: int
    mla:
      description: Whether keys and values are cached as one compressed vector.
      returned: success
      type: bool
    tied_embeddings:
      description: Whether the head is the embedding.
      returned: success
      type: bool
    windows:
      description: Sliding windows, V(0) for full attention.
      returned: success
      type: list
      elements: int
    kv_bytes_per_token:
      description: KV cache of a token on one GPU without tensor parallelism.
      returned: success
      type: list
      elements: int
    layer_bytes:
      description: Weights of the layers.
      returned: success
      type: list
      elements: int
    embedding_bytes:
      description: Weights of the embedding.
      returned: success
      type: int
    head_bytes:
      description: Weights of the head, V(0) where it is the embedding.
      returned: success
      type: int
    other_bytes:
      description: All other weights, such as the last norm and parts for images. Layers for speculation are left out.
      returned: success
      type: int
    bytes_from:
      description: V(files) for headers, V(index) for shapes that were fitted to the size in the index, V(shapes).
      returned: success
      type: str
    query_rank:
      description: Rank of MLA's compressed queries, V(0) where they are not compressed and without MLA.
      returned: success
      type: int
    weight_bits:
      description: Bits of a weight of a linear layer, without its scales.
      returned: success
      type: float
    notes:
      description: What had to be assumed.
      returned: success
      type: list
      elements: str
place:
  description: Directory or URL of the model.
  returned: success
  type: str
commit:
  description: Commit of the hub, empty for a directory.
  returned: success
  type: str
code:
  description:
    - Files of code that the model brings, or that its configurations name.
    - vLLM runs them with C(trust-remote-code). Of a hub, only what C(config.json) names is known.
  returned: success
  type: list
  elements: str
  sample: [modeling_demo.py]
pickled:
  description: Files of weights that may run code when they are loaded. Empty where there are safetensors files.
  returned: success
  type: list
  elements: str
  sample: [pytorch_model.bin]
problem:
  description: What is wrong.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import Unusable


def main() -> None:
    module = AnsibleModule(_model_config_io.ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **_model_config_io.info(module.params))
    except Unusable as error:
        module.fail_json(msg=str(error), problem=error.problem)


if __name__ == "__main__":
    main()
