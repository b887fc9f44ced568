# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps with models of real size and random weights: loading, restarts, and speed beside an engine by hand."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from .place import DEMO, ROOT, SERVE_ARGS, Failed, Place
from .steps import engine_log, outage, release, told

# Models of random weights, by the shapes of Llama 3.1 8B and Qwen3 30B A3B, and small ones for a rehearsal.
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", "hidden_act": "silu",
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256, "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
MOE = {
    **LLAMA, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048,
    "intermediate_size": 6144, "num_hidden_layers": 48, "num_key_value_heads": 4, "vocab_size": 151936,
    "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": True,
    "decoder_sparse_step": 1, "mlp_only_layers": [], "attention_bias": False,
}  # fmt: skip
SMALL = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 576, "max_position_embeddings": 1024}  # fmt: skip
SMALL_MOE = {**SMALL, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
MODELS = {"large": (LLAMA, SMALL), "moe": (MOE, SMALL_MOE)}
# Bytes of the large ones on a disk, with room to spare, and of the bundle with its release.
SIZES = {"large": 18 << 30, "moe": 58 << 30}
RELEASE = 30 << 30


def make_model(place: Place, name: str, config: dict[str, Any], small: dict[str, Any]) -> Path:
    """Write a model of random weights."""
    config = {**config, **(small if place.cpu else {})}
    folder = place.models / name
    if (folder / "model.safetensors.index.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    beside = place.models.stat().st_dev == place.work.stat().st_dev and not place.has("deploy")
    room, need = shutil.disk_usage(place.models).free, SIZES[name] + (RELEASE if beside else 0)
    if not place.cpu and room < need:
        raise Failed(
            f"{place.models} has {room >> 30} GiB free; {name} with what else comes needs {need >> 30}: set MODELS=DIR"
        )
    folder.mkdir(parents=True)
    for file in ("tokenizer_config.json", "generation_config.json"):
        shutil.copy(DEMO / file, folder)
    # Every number that the model may say is a token.
    tokenizer = json.loads((DEMO / "tokenizer.json").read_text())
    known = {*tokenizer["model"]["vocab"].values(), *(entry["id"] for entry in tokenizer["added_tokens"])}
    spare = sorted(set(range(config["vocab_size"])) - known)
    tokenizer["model"]["vocab"].update({f"<{number}>": number for number in spare})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    script = ROOT / "tests" / "gpu" / "weights.py"
    place.run(*place.enter, python_with_torch(place), script, folder, env=dict(os.environ))
    return folder


def python_with_torch(place: Place) -> Path:
    """This machine's own Python where it has what writes weights, else the release's."""
    own = all(importlib.util.find_spec(name) for name in ("torch", "safetensors"))
    return Path(sys.executable) if own else release(place) / "bin" / "python"


def weights(place: Place) -> dict[str, Any]:
    """Write the models of random weights. Where Python has torch, it needs nothing of what is carried here."""
    found = {}
    for name, shapes in MODELS.items():
        begin = time.monotonic()
        folder = make_model(place, name, *shapes)
        found[name] = {"bytes": size_of(folder), "seconds": round(time.monotonic() - begin, 1)}
    return found


def size_of(folder: Path) -> int:
    """Return the bytes of a model's weights."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def read_rate(folder: Path) -> float:
    """Return GB/s of reading the first file of weights with nothing of it in memory."""
    file = min(folder.glob("*.safetensors"))
    os.sync()
    with open(file, "rb", buffering=0) as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        begin, count = time.monotonic(), 0
        while block := stream.read(16 << 20):
            count += len(block)
    return round(count / (time.monotonic() - begin) / 1e9, 2)


def cold(folder: Path) -> None:
    """Let nothing of the weights be in memory."""
    os.sync()
    for file in folder.glob("*.safetensors"):
        with open(file, "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def served(place: Place, folder: Path, **args: Any) -> dict[str, Any]:
    """Serve a model in place of the one before; then kill the core, once with nothing of the weights in memory.

    site.yml hashes a model that it does not know, so the first start finds all in memory, and compiles.
    """
    size = size_of(folder)
    found: dict[str, Any] = {"bytes": size, "folder": str(folder), "disk_gb_s": read_rate(folder)}
    place.tell(found)
    begin = time.monotonic()
    length = 1024 if place.cpu else 4096
    # One GPU, whatever the machine has.
    sizes = {"tensor-parallel-size": 1, "pipeline-parallel-size": 1}
    settings = {**SERVE_ARGS, "max-model-len": length, **sizes, **args}
    place.playbook("site.yml", model=str(folder), serve_args=settings, restart=True, proof=[])
    found["site_s"] = round(time.monotonic() - begin, 1)
    found["first"] = told(engine_log(place).read_text(errors="replace"))
    place.tell(found)
    cold(folder)
    # The engine that dies reads nothing any more; the next one reads from the disk.
    found["cold"] = outage(place, "VLLM::EngineCor")
    if "weights_s" in found["cold"]:
        found["load_gb_s"] = round(size / found["cold"]["weights_s"] / 1e9, 2)
    place.tell(found)
    return {**found, "warm": outage(place, "VLLM::EngineCor")}


def large(place: Place) -> dict[str, Any]:
    """A dense model of 8B: loading beside the disk's own rate, and what caches save at the second start."""
    folder = make_model(place, "large", *MODELS["large"])
    # An engine by hand has to fit beside it.
    args = {"gpu-memory-utilization": 0.3 if place.cpu else 0.4}
    return served(place, folder, **args)


def moe(place: Place) -> dict[str, Any]:
    """A mixture of experts of 30B."""
    return served(place, make_model(place, "moe", *MODELS["moe"]))


# --- Speed -----------------------------------------------------------------------------------------------------------


def bench(place: Place, url: str, model: Path, name: str) -> dict[str, float]:
    """Measure an endpoint by vLLM's own client."""
    target = place.results / f"bench-{name}.json"
    target.unlink(missing_ok=True)
    count, size = (10, 32) if place.cpu else (400, 512)
    env = {**place.environment(), "OPENAI_API_KEY": place.key.read_text().strip()}
    env.pop("PYTHONPATH")
    options = {
        "backend": "openai", "base-url": url, "model": "demo", "tokenizer": model, "dataset-name": "random",
        "random-input-len": size, "random-output-len": size // 4, "num-prompts": count, "max-concurrency": 32,
        "seed": 1, "result-dir": target.parent, "result-filename": target.name,
    }  # fmt: skip
    words = [f"--{option}={value}" for option, value in options.items()]
    vllm = release(place) / "bin" / "vllm"
    place.run(*place.enter, vllm, "bench", "serve", "--ignore-eos", "--save-result", *words, env=env)
    found = json.loads(target.read_text())
    return {"tokens_s": round(found["output_throughput"], 1), "ttft_ms": round(found["median_ttft_ms"], 2)}


def by_hand(place: Place) -> Path:
    """Return the options of our engine, without where it listens and what closes it."""
    ours = next((place.home / ".vllm-ray" / "etc").glob("*/serve-main.yaml"))
    options = json.loads("".join(line for line in ours.read_text().splitlines() if not line.startswith("#")))
    hand = place.work / "hand.yaml"
    hand.write_text(json.dumps({key: value for key, value in options.items() if key not in ("host", "port")}))
    return hand


def speed(place: Place) -> dict[str, Any]:
    """Our endpoint beside the same engine started by hand with the same options, in turn."""
    model, other = place.models / "large", "http://127.0.0.1:8111"
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8111)) == 0:
            raise Failed("something answers at port 8111 already, perhaps an engine by hand of an earlier run: end it")
    env = {**place.environment(), "VLLM_API_KEY": place.key.read_text().strip()}
    env.pop("PYTHONPATH")
    variables = next((place.home / ".vllm-ray" / "etc").glob("*/serve-main.env"))
    vllm: list[str | Path] = [
        release(place) / "bin" / "vllm",
        "serve",
        "--config",
        by_hand(place),
        "--host=127.0.0.1",
        "--port=8111",
    ]
    command: list[str | Path] = ["sh", "-c", 'set -a; . "$0"; exec "$@"', variables, *vllm]
    with (place.results / "hand.log").open("w") as stream:
        engine = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            wait(place, engine, f"{other}/health")
            urls = {"ours": place.url, "hand": other}
            # The order changes with each round.
            rounds = [
                {
                    name: bench(place, urls[name], model, f"{name}-{number}")
                    for name in sorted(urls, reverse=number % 2 == 0)
                }
                for number in range(3)
            ]
        finally:
            end(engine)
    # The first round warms both up.
    best = {who: max(entry[who]["tokens_s"] for entry in rounds[1:]) for who in ("ours", "hand")}
    first = {who: min(entry[who]["ttft_ms"] for entry in rounds[1:]) for who in ("ours", "hand")}
    ratio = {"tokens": round(best["ours"] / best["hand"], 3), "ttft": round(first["ours"] / first["hand"], 3)}
    return {"ratio": ratio, "rounds": rounds}


def end(engine: subprocess.Popen[bytes]) -> None:
    """End an engine with all its processes."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(engine.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(30)
            return


def wait(place: Place, engine: subprocess.Popen[bytes], url: str) -> None:
    """Wait until an engine is healthy."""
    while not place.over and engine.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(1)
    raise Failed("the engine by hand does not start, see hand.log")
