#!/usr/bin/python
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_info
short_description: Read the properties of a model from its configuration and file headers
description:
  - Reads sizes, quantisation, KV cache and bytes of a model as vLLM sees them, without loading the model.
  - In a directory, reads only configuration files, the weight index, headers of safetensors files, and file names.
  - From a hub, downloads only C(config.json), C(hf_quant_config.json) and the weight index.
  - Assumptions are listed in RV(model.notes).
extends_documentation_fragment:
  - vllm_ray.cluster._attributes
  - vllm_ray.cluster._attributes.info_module
  - vllm_ray.cluster._attributes.actiongroup_cluster
  - vllm_ray.cluster._hubs
options:
  model:
    description: Absolute path of the model's directory, id of a model on a hub, or URL on a mirror.
    type: str
    required: true
  token:
    description: Access token for the hub. It is sent in a header, only to the hub.
    type: str
seealso:
  - module: vllm_ray.cluster.model_download
author:
  - The vllm_ray.cluster authors (@vllm-ray)
"""

EXAMPLES = r"""
- name: Read the properties of a model before the download
  vllm_ray.cluster.model_info:
    model: Qwen/Qwen3-32B

- name: Read the properties of a model on the host
  vllm_ray.cluster.model_info:
    model: /var/lib/vllm-ray/models/Qwen--Qwen3-32B/main
"""

RETURN = r"""
model:
  description: Properties of the model. Sizes are in bytes, lengths in tokens. Lists have one entry for each layer.
  returned: success
  type: dict
  contains:
    architecture:
      description: Model class that vLLM loads.
      returned: success
      type: str
      sample: Qwen3ForCausalLM
    model_type:
      description: Type of the text model.
      returned: success
      type: str
      sample: qwen3
    layers:
      description: Number of decoder layers.
      returned: success
      type: int
    hidden:
      description: Hidden size.
      returned: success
      type: int
    heads:
      description: Number of attention heads. The tensor parallel size must divide it.
      returned: success
      type: int
    kv_heads:
      description: Number of key-value heads, V(1) for MLA.
      returned: success
      type: int
    head_dim:
      description: Size of a key, or of the vector that MLA caches for a token.
      returned: success
      type: int
    intermediates:
      description: Widths of MLPs and experts. The tensor parallel size must divide each of them.
      returned: success
      type: list
      elements: int
    vocabulary:
      description: Size of the vocabulary.
      returned: success
      type: int
    context:
      description: Maximum length of a sequence.
      returned: success
      type: int
    usual_context:
      description: Length that vLLM uses if C(max-model-len) is not set.
      returned: success
      type: int
    dtype:
      description: Data type of activations, KV cache, and weights that are not quantised.
      returned: success
      type: str
    quantization:
      description: Quantisation method, empty for none.
      returned: success
      type: str
    group_size:
      description: Number of input channels that share a scale. V(0) for no scale, or for one per channel or tensor.
      returned: success
      type: int
    experts:
      description: Number of routed experts, V(0) for a dense model.
      returned: success
      type: int
    experts_per_token:
      description: Number of experts per token.
      returned: success
      type: int
    mla:
      description: Whether keys and values are cached as one compressed vector.
      returned: success
      type: bool
    tied_embeddings:
      description: Whether the output head and the embedding share weights.
      returned: success
      type: bool
    windows:
      description: Sizes of the sliding windows, V(0) for full attention.
      returned: success
      type: list
      elements: int
    kv_bytes_per_token:
      description: KV cache of a token on one GPU, without tensor parallelism.
      returned: success
      type: list
      elements: int
    layer_bytes:
      description: Size of the weights of each layer.
      returned: success
      type: list
      elements: int
    embedding_bytes:
      description: Size of the weights of the embedding.
      returned: success
      type: int
    head_bytes:
      description: Size of the weights of the output head, V(0) if shared with the embedding.
      returned: success
      type: int
    other_bytes:
      description: Size of all other weights, such as the last norm and image encoders. Layers for speculative decoding
        are not counted.
      returned: success
      type: int
    bytes_from:
      description: Source of the sizes. V(files) means file headers, V(index) means shapes scaled to the size in the
        index, and V(shapes) means shapes only.
      returned: success
      type: str
    query_rank:
      description: Rank of MLA's compressed queries. V(0) if they are not compressed, or without MLA.
      returned: success
      type: int
    weight_bits:
      description: Bits per weight of a linear layer, without scales.
      returned: success
      type: float
    notes:
      description: Assumptions that were made.
      returned: success
      type: list
      elements: str
place:
  description: Directory or URL of the model.
  returned: success
  type: str
commit:
  description: Commit on the hub, empty for a directory.
  returned: success
  type: str
code:
  description:
    - Code files that the model contains or that its configuration names.
    - vLLM runs them with C(trust-remote-code). For a model on a hub, only files named in C(config.json) are known.
  returned: success
  type: list
  elements: str
  sample: [modeling_demo.py]
pickled:
  description: Weight files that may run code when they are loaded. Empty if there are safetensors files.
  returned: success
  type: list
  elements: str
  sample: [pytorch_model.bin]
problem:
  description: The problem that was found.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import ARGUMENTS
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_config_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **_model_config_io.info(_model_config_io.query_of(module.params)).as_dict())
    except Unusable as error:
        module.fail_json(msg=str(error), problem=error.problem)


if __name__ == "__main__":
    main()
