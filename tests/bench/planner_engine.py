#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start one engine with random weights, load it, and print its figures as the last line, in JSON.

tests/bench/planner runs it by a Python that has vLLM, on the serve host. What vLLM logs is shown.
"""

from __future__ import annotations

import argparse
import json
import random
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="directory with config.json")
    parser.add_argument("--tp", type=int, required=True)
    parser.add_argument("--pp", type=int, required=True)
    parser.add_argument("--executor", choices=["mp", "ray"], required=True)
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--utilization", type=float, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True, help="of the largest step")
    parser.add_argument("--sequences", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--output", type=int, required=True)
    parser.add_argument("--more", default="{}", help="further options of the engine, as JSON")
    given = parser.parse_args()
    from vllm import LLM, SamplingParams

    begin = time.monotonic()
    engine = LLM(
        model=given.model,
        load_format="dummy",
        skip_tokenizer_init=True,
        tensor_parallel_size=given.tp,
        pipeline_parallel_size=given.pp,
        distributed_executor_backend=given.executor,
        enforce_eager=given.eager,
        gpu_memory_utilization=given.utilization,
        max_model_len=given.length,
        max_num_batched_tokens=given.tokens,
        max_num_seqs=given.sequences,
        seed=0,
        **json.loads(given.more),
    )
    started = time.monotonic() - begin
    dice = random.Random(0)

    def seconds(requests: int, output: int) -> float:
        prompts = [
            {"prompt_token_ids": [dice.randrange(100, 30000) for _token in range(given.prompt)]}
            for _request in range(requests)
        ]
        wish = SamplingParams(max_tokens=output, ignore_eos=True, detokenize=False, temperature=0)
        begin = time.monotonic()
        answers = engine.generate(prompts, wish, use_tqdm=False)
        taken = time.monotonic() - begin
        lengths = {len(answer.outputs[0].token_ids) for answer in answers}
        if lengths != {output}:
            raise SystemExit(f"answers of {lengths} tokens instead of {output}")
        return taken

    # Requests of the same number and length first: Triton compiles a kernel for each kind of size that it meets, in
    # seconds, and vLLM logs only the first one.
    seconds(given.requests, min(32, given.output))
    taken = seconds(given.requests, given.output)
    rate = given.requests * given.output / taken
    print(json.dumps({"start_seconds": round(started, 1), "tokens_per_second": round(rate, 1)}), flush=True)


if __name__ == "__main__":
    main()
