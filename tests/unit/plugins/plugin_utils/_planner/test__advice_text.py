# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of layouts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_config import Model
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner import _advice_text, _weigh
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._hardware import ClusterHost, Gpu
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._planner._wishes import Wishes
from ansible_collections.vllm_ray.cluster.tests.unit.models import model
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_cases import TCP10
from ansible_collections.vllm_ray.cluster.tests.unit.plugins.plugin_utils.planner_models import H100, cluster

SHORT = Wishes(max_model_len=8192)
LLAMA = model("llama-3.1-8b")
# As of its class in vLLM, which has no SupportsPP (see _candidates.NO_STAGES).
WHOLE = replace(LLAMA, architecture="Gemma3nForCausalLM")
UNCUT = "Gemma3nForCausalLM can't be cut into pipeline stages"
NO_FASTER = "with them the engine would be no faster, by the estimate"


@pytest.mark.parametrize(
    ("what", "hosts", "wishes", "said"),
    [
        pytest.param(LLAMA, cluster((H100, 4)), SHORT, [], id="none"),
        pytest.param(
            LLAMA,
            cluster((H100, 5)),
            SHORT,
            [f"GPUs left over: gpu01 1; 32 attention heads can't be divided by 5, and {NO_FASTER}"],
            id="five-of-one-host",
        ),
        pytest.param(
            LLAMA,
            cluster((H100, 5)),
            replace(SHORT, tp=4),
            ["GPUs left over: gpu01 1; the sizes that are set (TP=4) leave no place for them"],
            id="no-whole-stage",
        ),
        pytest.param(
            LLAMA,
            cluster((H100, 8), (H100, 4)),
            replace(SHORT, tp=4, pp=1),
            ["GPUs left over: gpu01 4, gpu02 4; the sizes that are set (TP=4 PP=1) leave no place for them"],
            id="all-sizes-are-set",
        ),
        pytest.param(
            LLAMA,
            cluster((H100, 3)),
            replace(SHORT, partition=(16, 16)),
            ["GPUs left over: gpu01 1; the sizes that are set (PP=2) leave no place for them"],
            id="a-partition-is-set",
        ),
        pytest.param(
            WHOLE,
            cluster((H100, 5), (H100, 1)),
            SHORT,
            [
                f"GPUs left over: gpu01 1; 32 attention heads can't be divided by 5, and {UNCUT}",
                f"GPUs left over: gpu02 1; {UNCUT}",
            ],
            id="no-stages",
        ),
        pytest.param(
            model("llama-3.3-70b"),
            [*cluster((H100, 4)), ClusterHost("gpu02", (Gpu("some GPU", 4096),))],
            SHORT,
            ["GPUs left over: gpu02 1; no layout with them fits the memory"],
            id="too-small",
        ),
        pytest.param(
            model("llama-3.3-70b"),
            cluster((H100, 8), (H100, 8), (H100, 4)),
            Wishes(),
            [f"GPUs left over: gpu03 4; {NO_FASTER}"],
            id="not-worth-it",
        ),
    ],
)
def test_why_gpus_are_left_over(what: Model, hosts: list[ClusterHost], wishes: Wishes, said: list[str]) -> None:
    verdicts = _weigh.weigh(what, hosts, TCP10, wishes)
    assert verdicts[0].fits
    assert _advice_text.left_over(what, hosts, wishes, verdicts) == said


def test_hosts_that_there_are_no_layers_for() -> None:
    hosts = cluster(*[(H100, 1)] * 34)
    said = _advice_text.left_over(LLAMA, hosts, SHORT, _weigh.weigh(LLAMA, hosts, TCP10, SHORT))
    assert said[-1] == "GPUs left over: gpu33 1, gpu34 1; 32 layers are fewer than 34 stages"
    assert len(said) == 2


def test_gpus_that_are_held_alike_are_told_once() -> None:
    held = replace(H100, used_mib=30000)
    best = _weigh.weigh(LLAMA, [ClusterHost("gpu01", (held,) * 8)], TCP10, replace(SHORT, tp=8))[0]
    assert _advice_text.shortage(best) == ["a GPU of gpu01 has 49.8 GiB free, but vLLM needs 72.8"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1004, "1,000"), (1005.2, "1,010"), (43999, "44,000"), (262144, "262,000")],
)
def test_three_digits_are_all_that_an_estimate_has(number: float, text: str) -> None:
    assert _advice_text.thousands(number) == text
