# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on clusters, the layout that must be chosen for them, and why.

What follows from arithmetic says so: GiB of the published weights (SOURCES.md), divided, beside what vLLM may use of a
GPU, 0.92 of what torch has of it: 21.7 of an RTX 4090, 20.4 of an A10, 40.9 of an L40S, 72.8 of an H100, 73.1 of an
A100 with 80 GB, 128.5 of an H200. Three rules decide among what fits: stages stay on hosts (TP over a network costs two
waits in every layer), GPUs that make it faster by more than the estimate's tenth are used, and of what is as fast the
fewest hosts and stages win. If only the estimate of speed decides, the reason begins with "snapshot".
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Link
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils import planner_models

TCP10, TCP100, IB = Link(10), Link(100), Link(400, rdma=True)


class Case(t.NamedTuple):
    """hosts: GPUs of each host, serve host first. layout: TP, PP, GPUs used of each host."""

    model: str
    hosts: str
    link: Link
    wishes: Wishes
    layout: tuple[int, int, tuple[int, ...]]
    why: str

    @property
    def cluster(self) -> list[ClusterHost]:
        return cluster(self.hosts)


def cluster(text: str) -> list[ClusterHost]:
    """Return the hosts of "8 H100, 4 H100" or, without NVLink, of "2 RTX4090 pcie"."""
    hosts = []
    for number, entry in enumerate(text.split(", "), 1):
        count, kind, *inside = entry.split()
        gpus = (getattr(planner_models, kind),) * int(count)
        hosts.append(ClusterHost(f"gpu{number:02}", gpus, inside[0] if inside else "nvlink"))
    return hosts


FREE = Wishes()
LONG4, LONG8, LONG16, LONG32 = (Wishes(max_model_len=length) for length in (4096, 8192, 16384, 32768))

CASES = {
    # One host with one GPU: there is no choice, only a length that fits.
    "8b-1x1": Case("llama-3.1-8b", "1 H100", TCP10, FREE, (1, 1, (1,)), "15.0 GiB and 16.0 for 131072 tokens of 72.8"),
    "8b-1x1-24gb": Case("llama-3.1-8b", "1 RTX4090", TCP10, LONG16, (1, 1, (1,)), "15.0 and 2.0 for 16384 of 21.7"),
    "8b-fp8-1x1-24gb": Case("qwen3-8b-fp8", "1 RTX4090", TCP10, FREE, (1, 1, (1,)), "8.8 and 5.6 for 40960 of 21.7"),
    "32b-awq-1x1-24gb": Case("qwen3-32b-awq", "1 RTX4090", TCP10, LONG4, (1, 1, (1,)), "18.0 and 1.0 for 4096 of 21.7"),
    "13b-gptq-1x1-24gb": Case(
        "llama-2-13b-gptq", "1 RTX4090", TCP10, FREE, (1, 1, (1,)), "6.8 and 3.1 for 4096 of 21.7"
    ),
    "30b-a3b-1x1": Case("qwen3-30b-a3b", "1 H100", TCP10, FREE, (1, 1, (1,)), "56.9 and 3.8 for 40960 of 72.8"),
    "gpt-oss-1x1": Case(
        "gpt-oss-120b",
        "1 H100",
        TCP10,
        Wishes(utilization=0.95, batched_tokens=1024),
        (1, 1, (1,)),
        "60.8 in MXFP4, 65.8 in whole tiles, and 5.1 for 131072 of 75.2, if steps are small",
    ),
    "gemma2-1x1": Case("gemma-2-9b", "1 L40S", TCP10, FREE, (1, 1, (1,)), "17.2 of 40.9"),
    "gemma3-1x1": Case("medgemma-27b", "1 H100", TCP10, LONG32, (1, 1, (1,)), "51.1 of 72.8, images included"),
    "phi4-1x1": Case("phi-4", "1 L40S", TCP10, FREE, (1, 1, (1,)), "27.3 and 3.1 for 16384 of 40.9"),
    "v2-lite-1x1": Case("deepseek-v2-lite", "1 A100", TCP10, FREE, (1, 1, (1,)), "29.3 of 73.1"),
    # One host with several GPUs and NVLink: TP over all of them, where it divides.
    "8b-1x8": Case(
        "llama-3.1-8b", "8 H100", TCP10, FREE, (8, 1, (8,)), "as fast as any mix with stages, and fewer of them"
    ),
    "70b-1x8": Case("llama-3.3-70b", "8 H100", TCP10, FREE, (8, 1, (8,)), "131.4 / 8 = 16.4 of 72.8"),
    "70b-1x4": Case("llama-3.3-70b", "4 H100", TCP10, FREE, (4, 1, (4,)), "131.4 / 4 = 32.9; two would leave 7 for 20"),
    "70b-1x2-h200": Case("llama-3.3-70b", "2 H200", TCP10, FREE, (2, 1, (2,)), "131.4 / 2 = 65.7 of 128.5"),
    "405b-1x8-h200": Case("llama-3.1-405b", "8 H200", TCP10, FREE, (8, 1, (8,)), "756 / 8 = 94.5 of 128.5"),
    "405b-online-fp8-1x8": Case(
        "llama-3.1-405b",
        "8 H100",
        TCP10,
        Wishes(quantization="fp8_per_tensor"),
        (8, 1, (8,)),
        "(748 / 2 + 8) / 8 = 47.8 of 72.8",
    ),
    "v3-1x8-h200": Case(
        "deepseek-v3", "8 H200", TCP10, FREE, (8, 1, (8,)), "625 / 8 = 78.1 and what MLA repeats, of 128.5"
    ),
    "235b-1x8": Case(
        "qwen3-235b-a22b", "8 H100", TCP10, FREE, (8, 1, (8,)), "437.9 / 8 = 54.7; 4 KV heads are repeated"
    ),
    "235b-fp8-1x8": Case(
        "qwen3-235b-a22b-fp8", "8 H100", TCP10, FREE, (8, 1, (8,)), "220 / 8 = 27.5; experts of 1536 / 8 = 192 = 3 x 64"
    ),
    "235b-fp8-1x8-a100": Case(
        "qwen3-235b-a22b-fp8", "8 A100", TCP10, FREE, (4, 2, (8,)), "without FP8, blocks stay 128: 1536 / 4 = 3 x 128"
    ),
    "30b-a3b-fp8-1x2": Case("qwen3-30b-a3b-fp8", "2 H100", TCP10, FREE, (2, 1, (2,)), "29.0 / 2; 768 / 2 = 3 x 128"),
    "mixtral-1x2": Case("mixtral-8x7b", "2 H100", TCP10, FREE, (2, 1, (2,)), "87.0 / 2 = 43.5 of 72.8"),
    "8x22b-1x8": Case("wizardlm-2-8x22b", "8 H100", TCP10, FREE, (8, 1, (8,)), "261.9 / 8 = 32.7 of 72.8"),
    "gemma3-1x2": Case("medgemma-27b", "2 H100", TCP10, FREE, (2, 1, (2,)), "51.1 / 2 = 25.6 of 72.8"),
    "mistral-24b-1x4-24gb": Case(
        "dolphin-3.0-mistral-24b", "4 RTX4090", TCP10, LONG16, (4, 1, (4,)), "43.9 / 4 = 11.0"
    ),
    "gpt-oss-1x4": Case(
        "gpt-oss-120b", "4 H100", TCP10, FREE, (4, 1, (4,)), "2880 / 4 = 720 is padded to whole blocks"
    ),
    "32b-awq-1x2-24gb": Case("qwen3-32b-awq", "2 RTX4090", TCP10, FREE, (2, 1, (2,)), "9.0 and 5.0 for 40960 of 21.7"),
    # ... and stages of what divides, where that is not all of them.
    "phi4-1x4": Case(
        "phi-4", "4 A100", TCP10, FREE, (2, 2, (4,)), "10 KV heads divide by 2 and 5; 5 not the vocabulary"
    ),
    "7b-1x8": Case(
        "qwen2.5-7b", "8 A100", TCP10, FREE, (4, 1, (4,)), "28 heads: not by 8; a pipeline has 5.7 ms steps"
    ),
    "13b-gptq-1x8": Case("llama-2-13b-gptq", "8 A100", TCP10, FREE, (4, 2, (8,)), "13824 / 8 is 13.5 groups of 128"),
    # Several hosts with one GPU each: stages, because TP would wait for the network.
    "8b-2x1": Case(
        "llama-3.1-8b", "1 H200, 1 H200", TCP100, FREE, (1, 2, (1, 1)), "measured: 2.9 times as fast as TP=2"
    ),
    "70b-4x1": Case(
        "llama-3.3-70b", "1 H100, 1 H100, 1 H100, 1 H100", TCP10, FREE, (1, 4, (1,) * 4), "131.4 / 4 = 32.9"
    ),
    "70b-4x1-ib": Case(
        "llama-3.3-70b", "1 H100, 1 H100, 1 H100, 1 H100", IB, FREE, (1, 4, (1,) * 4), "TP stays on hosts"
    ),
    "32b-4x1-24gb": Case(
        "qwen3-32b",
        "1 RTX4090, 1 RTX4090, 1 RTX4090, 1 RTX4090",
        TCP10,
        LONG8,
        (1, 4, (1,) * 4),
        "61.0 / 4 = 15.3 of 21.7",
    ),
    "70b-awq-2x1-24gb": Case(
        "llama-3.3-70b-awq", "1 RTX4090, 1 RTX4090", TCP10, LONG8, (1, 2, (1, 1)), "37.0 / 2 = 18.5 and 1.3 for 8192"
    ),
    "70b-awq-1x2-24gb": Case(
        "llama-3.3-70b-awq",
        "2 RTX4090 pcie",
        TCP10,
        LONG8,
        (1, 2, (2,)),
        "TP=2 would make graphs of 80 layers, not of 40",
    ),
    "70b-awq-1x2-24gb-eager": Case(
        "llama-3.3-70b-awq",
        "2 RTX4090 pcie",
        TCP10,
        Wishes(max_model_len=8192, eager=True),
        (2, 1, (2,)),
        "37.0 / 2 = 18.5 and 1.3 for 8192 of 21.7, without graphs; each GPU reads half of all layers at once",
    ),
    "mixtral-4x1": Case(
        "mixtral-8x7b",
        "1 H100, 1 H100, 1 H100, 1 H100",
        TCP10,
        FREE,
        (1, 2, (1, 1)),
        "snapshot: by the estimate more stages add less than a tenth, since each step then visits fewer experts twice",
    ),
    # Several hosts with several GPUs: TP inside, a stage a host. The link hardly matters to stages.
    "70b-2x8-tcp": Case(
        "llama-3.3-70b", "8 H100, 8 H100", TCP10, FREE, (8, 2, (8, 8)), "half of the layers on each host"
    ),
    "70b-2x8-ib": Case("llama-3.3-70b", "8 H100, 8 H100", IB, FREE, (8, 2, (8, 8)), "half of the layers on each host"),
    "405b-2x8-tcp": Case("llama-3.1-405b", "8 H100, 8 H100", TCP10, FREE, (8, 2, (8, 8)), "756 / 16 = 47.2 of 72.8"),
    "405b-2x8-ib": Case("llama-3.1-405b", "8 H100, 8 H100", IB, FREE, (8, 2, (8, 8)), "756 / 16 = 47.2 of 72.8"),
    "v3-2x8-tcp": Case("deepseek-v3", "8 H100, 8 H100", TCP10, FREE, (8, 2, (8, 8)), "625 / 16 = 39.1 of 72.8"),
    "v3-2x8-ib": Case("deepseek-v3", "8 H100, 8 H100", IB, FREE, (8, 2, (8, 8)), "625 / 16 = 39.1 of 72.8"),
    "k2-4x8-h200": Case(
        "kimi-k2",
        "8 H200, 8 H200, 8 H200, 8 H200",
        IB,
        LONG32,
        (8, 4, (8,) * 4),
        "1912 / 16 = 119.5 leaves no step; / 32",
    ),
    "70b-awq-2x2-24gb": Case(
        "llama-3.3-70b-awq",
        "2 RTX4090 pcie, 2 RTX4090 pcie",
        TCP10,
        FREE,
        (2, 2, (2, 2)),
        "37.0 / 4 = 9.3, 10.0 for 131072",
    ),
    # Hosts that differ in their number of GPUs.
    "70b-2x8+1x4": Case(
        "llama-3.3-70b", "8 H100, 8 H100, 4 H100", TCP10, FREE, (8, 2, (8, 8)), "the third could only join with TP=4"
    ),
    "405b-fp8-2x8+1x4": Case(
        "llama-3.1-405b",
        "8 L40S pcie, 8 L40S pcie, 4 L40S pcie",
        TCP10,
        Wishes(quantization="fp8_per_tensor"),
        (4, 5, (8, 8, 4)),
        "382 / 16 = 23.9, 16 of cache for 131072 in 3 stages: over PCIe, small groups in many stages are faster",
    ),
    # GPUs that differ: together, layers by speed as far as memory allows.
    "32b-24+80": Case("qwen3-32b", "1 RTX4090, 1 A100", TCP10, LONG16, (1, 2, (1, 1)), "61.0 is more than 21.7 alone"),
    "32b-80+24": Case(
        "qwen3-32b", "1 A100, 1 RTX4090", TCP10, LONG16, (1, 2, (1, 1)), "alone it would hold a third of the requests"
    ),
    "70b-awq-24+80": Case(
        "llama-3.3-70b-awq", "1 RTX4090, 1 A100", IB, LONG8, (1, 2, (1, 1)), "37.0 is more than 21.7"
    ),
    "70b-4x24+2x80": Case(
        "llama-3.3-70b",
        "4 RTX4090 pcie, 2 A100",
        IB,
        LONG8,
        (2, 3, (4, 2)),
        "131.4 of 4 x 21.7 + 2 x 73.1; TP=2 is on both",
    ),
    # What the user sets is kept.
    "70b-tp16": Case("llama-3.3-70b", "8 H100, 8 H100", IB, Wishes(tp=16), (16, 1, (8, 8)), "TP over hosts when asked"),
    "70b-tp4": Case(
        "llama-3.3-70b", "8 H100, 8 H100", TCP10, Wishes(tp=4), (4, 2, (8,)), "four stages have steps of 4 x 5.7 ms"
    ),
    "8b-pp8": Case(
        "llama-3.1-8b", "8 A10 pcie", TCP10, Wishes(tp=1, pp=8), (1, 8, (8,)), "stages on one host when asked"
    ),
    "8b-partition": Case(
        "llama-3.1-8b", "2 H100", TCP10, Wishes(partition=(14, 18)), (1, 2, (2,)), "two stages are listed"
    ),
}


class Refusal(t.NamedTuple):
    """A model on hosts, what must be reported, and a change that must be among those offered."""

    model: str
    hosts: list[ClusterHost]
    wishes: Wishes
    refusal: str
    change: str


H100 = planner_models.H100
REFUSALS = {
    # 748 GiB of layers and twice 3.9 of vocabulary; stages of 31 or 32 of 126 layers, two GPUs each.
    "weights": Refusal(
        "llama-3.1-405b",
        cluster("8 H100"),
        FREE,
        "TP=2 PP=4 on 1 host needs 97.8 GiB per GPU on gpu01 (weights 95.0, reserve 2.8), and vLLM may use 72.8",
        "1 host more like gpu01, 8 x NVIDIA H100 80GB HBM3",
    ),
    "quantised-it-would-fit": Refusal(
        "llama-3.1-405b",
        cluster("8 H100"),
        FREE,
        "TP=2 PP=4 on 1 host needs 97.8 GiB per GPU on gpu01 (weights 95.0, reserve 2.8), and vLLM may use 72.8",
        "quantization: fp8_per_tensor (halves the layers; compare its answers first)",
    ),
    # 15.0 GiB, and 131072 tokens of 128 KiB.
    "length": Refusal(
        "llama-3.1-8b",
        cluster("1 RTX4090"),
        FREE,
        "TP=1 PP=1 on 1 host needs 32.3 GiB per GPU on gpu01 (weights 15.0, reserve 1.3, one request of 131,072 tokens "
        "16.0), and vLLM may use 21.7",
        "max-model-len: 44032 instead of 131072",
    ),
    # 625 GiB in eight parts, and queries' and keys' first projections on every rank of a stage.
    "v3-1x8": Refusal(
        "deepseek-v3",
        cluster("8 H100"),
        FREE,
        "TP=4 PP=2 on 1 host needs 84.3 GiB per GPU on gpu01 (weights 81.3, reserve 3.0), and vLLM may use 72.8",
        "1 host more like gpu01, 8 x NVIDIA H100 80GB HBM3",
    ),
    # Made for one such GPU, but not with steps of 8192 tokens and 131072 tokens of cache.
    "gpt-oss-1x1": Refusal(
        "gpt-oss-120b",
        cluster("1 H100"),
        FREE,
        "TP=1 PP=1 on 1 host needs 74.1 GiB per GPU on gpu01 (weights 65.8, reserve 3.2, one request of 131,072 tokens "
        "5.1), and vLLM may use 72.8",
        "max-model-len: 92160 instead of 131072",
    ),
    "graphs": Refusal(
        "llama-3.3-70b-awq",
        cluster("2 RTX4090 pcie"),
        Wishes(max_model_len=8192, tp=2),
        "TP=2 PP=1 on 1 host needs 22.1 GiB per GPU on gpu01 (weights 18.5, reserve 2.3, one request of 8,192 tokens "
        "1.2), and vLLM may use 21.7",
        "enforce-eager: true (no CUDA graphs, so slower)",
    ),
    "sizes-of-the-user": Refusal(
        "llama-3.3-70b",
        cluster("8 H100"),
        Wishes(tp=2, pp=1),
        "TP=2 PP=1 on 1 host needs 89.5 GiB per GPU on gpu01 (weights 65.7, reserve 3.8, one request of 131,072 tokens "
        "20.0), and vLLM may use 72.8",
        "without the sizes that are set: TP=8 PP=1 on 1 host",
    ),
    "heads": Refusal(
        "llama-3.3-70b",
        cluster("8 H100"),
        Wishes(tp=6),
        "64 attention heads can't be divided by 6",
        "tensor-parallel-size: one of 1, 2, 4, 8",
    ),
    "fp8-blocks": Refusal(
        "qwen3-235b-a22b-fp8",
        cluster("8 A100"),
        Wishes(tp=8),
        "1536 / 8 = 192 is not a multiple of the quantisation's group of 128",
        "tensor-parallel-size: one of 1, 2, 4",
    ),
    "gptq-groups": Refusal(
        "llama-2-13b-gptq",
        cluster("8 H100"),
        Wishes(tp=8),
        "13824 / 8 = 1728 is not a multiple of the quantisation's group of 128",
        "tensor-parallel-size: one of 1, 2, 4",
    ),
    "kv-heads-that-are-not-repeated": Refusal(
        "gpt-oss-120b",
        cluster("8 H100, 8 H100"),
        Wishes(tp=16),
        "GptOssForCausalLM can't repeat its 8 KV heads for TP=16",
        "tensor-parallel-size: one of 1, 2, 4, 8",
    ),
    "bitsandbytes": Refusal(
        "llama-3.1-8b-bitsandbytes",
        cluster("1 H100"),
        FREE,
        "the model is quantised by bitsandbytes, which vLLM 0.32 does not know",
        "the model in a format that vLLM knows (AWQ, GPTQ, FP8), or unquantised with quantization: fp8_per_tensor",
    ),
    "a-quantisation-that-is-gone": Refusal(
        "llama-3.1-8b",
        cluster("1 H100"),
        Wishes(quantization="bitsandbytes"),
        "quantization is bitsandbytes, which vLLM 0.32 does not know",
        "quantization: fp8_per_tensor, or without it",
    ),
    "a-quantisation-that-is-going": Refusal(
        "llama-3.1-8b",
        cluster("1 H100"),
        Wishes(quantization="fp_quant"),
        "quantization is fp_quant, which vLLM 0.32 accepts only with allow-deprecated-quantization",
        "quantization: fp8_per_tensor, or without it",
    ),
    "two-quantisations": Refusal(
        "qwen3-32b-awq",
        cluster("1 H100"),
        Wishes(quantization="fp8_per_tensor"),
        "quantization is fp8_per_tensor, and the model is quantised by awq",
        "without quantization: vLLM finds it in the model's config.json",
    ),
    "too-few-gpus": Refusal(
        "llama-3.1-8b",
        cluster("2 H100, 1 H100"),
        Wishes(tp=2, pp=2),
        "TP=2 x PP=2 needs 4 GPUs and 3 are available (gpu01 2, gpu02 1)",
        "pipeline-parallel-size: at most 3",
    ),
    "no-whole-stage": Refusal(
        "llama-3.1-8b",
        cluster("3 H100, 1 H100"),
        Wishes(tp=2, pp=2),
        "TP=2 x PP=2 can't be placed on whole stages (gpu01 3, gpu02 1)",
        "tensor-parallel-size: one of 1, 2",
    ),
    "small-serve-host": Refusal(
        "llama-3.1-8b",
        cluster("1 H100, 4 H100"),
        Wishes(tp=4),
        "the serve host gpu01 has 1 GPU for a stage of 4",
        "tensor-parallel-size: one of 1, 2, 4",
    ),
    "partition": Refusal(
        "llama-3.1-8b",
        cluster("2 H100"),
        Wishes(partition=(10, 20)),
        "VLLM_PP_LAYER_PARTITION=10,20 has 30 layers, the model 32",
        "VLLM_PP_LAYER_PARTITION with a number for each stage, 32 in all; or without it",
    ),
    "longer-than-the-model": Refusal(
        "llama-3.1-8b",
        cluster("1 H100"),
        Wishes(max_model_len=200000),
        "max-model-len is 200000, and the model was made for 131072 tokens",
        "max-model-len: at most 131072",
    ),
    "somebody-elses-process": Refusal(
        "llama-3.1-8b",
        [ClusterHost("gpu01", (replace(H100, used_mib=30000),))],
        FREE,
        "a GPU of gpu01 has 49.8 GiB free, but vLLM needs 72.8",
        "gpu-memory-utilization: 0.62",
    ),
    "serve-host-without-gpus": Refusal(
        "llama-3.1-8b",
        [ClusterHost("head", ()), *cluster("1 H100")],
        FREE,
        "the serve host head offers no GPU",
        "vllm_ray_serve_host: a host with GPUs",
    ),
    "nothing-at-all": Refusal("llama-3.1-8b", [], FREE, "no host offers a GPU", "hosts with GPUs"),
}
