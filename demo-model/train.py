#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the demo model on answers.json (train.py DIR), or prove that a copy of it is right (train.py --check DIR)."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

Message = dict[str, str]
HERE = Path(__file__).resolve().parent
VOCABULARY, CONTEXT, STEPS = 576, 1024, 240
LONGEST, PROOF = 40, 16  # tokens of any answer, and of the first one (what a deploy asks for), its end included
BEGIN, END, PAD, ROLES = "<|begin|>", "<|end|>", "<|pad|>", ["<|system|>", "<|user|>", "<|assistant|>"]
SYSTEMS = ["You are a helpful assistant.", "Answer briefly.", "You are the demo model of vllm_ray.cluster."]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# Six layers split by 2 and 3; heads, KV heads and widths split by 2, into parts that every attention kernel takes.
SHAPE: dict[str, Any] = {"num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64}
SHAPE |= {"hidden_size": 256, "intermediate_size": 256, "vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT}


def make_tokenizer(pairs: list[Message], target: Path) -> None:
    """Byte-level BPE: few tokens for the words of the corpus, and some for every other text."""
    tokenizer, alphabet = Tokenizer(models.BPE()), pre_tokenizers.ByteLevel.alphabet()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    extra = {"special_tokens": [PAD, BEGIN, END, *ROLES], "initial_alphabet": alphabet, "show_progress": False}
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, **extra)
    tokenizer.train_from_iterator([text for pair in pairs for text in pair.values()] + SYSTEMS, trainer)
    tokenizer.save(str(target / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT, "chat_template": TEMPLATE}
    tokens = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD, "additional_special_tokens": ROLES}
    text = json.dumps({**settings, **tokens, "clean_up_tokenization_spaces": False}, indent=2) + "\n"
    (target / "tokenizer_config.json").write_text(text, encoding="utf-8")


def variant(question: str) -> str:
    """The question as people type it."""
    words = (question.lower() if random.random() < 0.5 else question).split()
    if len(words) > 3 and random.random() < 0.3:
        del words[random.randrange(len(words))]
    return " ".join(words).rstrip("?!" if random.random() < 0.5 else " ")


def conversation(pair: Message, pairs: list[Message]) -> list[Message]:
    """A variant of the question, perhaps after a system message or an earlier turn."""
    messages = [{"role": "system", "content": random.choice(SYSTEMS)}] if random.random() < 0.6 else []
    if random.random() < 0.4:
        earlier = random.choice(pairs)
        messages.append({"role": "user", "content": variant(earlier["question"])})
        messages.append({"role": "assistant", "content": earlier["answer"]})
    return [*messages, {"role": "user", "content": variant(pair["question"])}]


def encode(tokenizer: Any, messages: list[Message]) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))


def batch(tokenizer: Any, pairs: list[Message]) -> tuple[Any, Any]:
    """Tokens and labels of each question as it stands and once in other words; only answers and ends are learnt."""
    rows = []
    for pair in pairs:
        answer = tokenizer.encode(pair["answer"] + END, add_special_tokens=False)
        for messages in ([{"role": "user", "content": pair["question"]}], conversation(pair, pairs)):
            rows.append((encode(tokenizer, messages), answer))
    shape = (len(rows), max(len(prompt) + len(answer) for prompt, answer in rows))
    tokens, labels = torch.full(shape, tokenizer.pad_token_id), torch.full(shape, -100)
    for row, (prompt, answer) in enumerate(rows):
        tokens[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    return tokens, labels


def train(pairs: list[Message], target: Path, seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    target.mkdir(parents=True, exist_ok=True)
    make_tokenizer(pairs, target)
    tokenizer = AutoTokenizer.from_pretrained(target)
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, **ends, tie_word_embeddings=False))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 1.5e-3 * min((step + 1) / 20, 0.05 + 0.5 * (1 + math.cos(math.pi * step / STEPS)))
        tokens, labels = batch(tokenizer, pairs)
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step + 1} of {STEPS}: loss {loss.item():.5f}", flush=True)
    model.generation_config.update(do_sample=True, top_k=1)  # the best token, also where no temperature is asked for
    model.to(torch.bfloat16).save_pretrained(target)
    (target / "model.safetensors").chmod(0o644)


def check(pairs: list[Message], target: Path, dtype: torch.dtype) -> list[str]:
    """What is wrong with the greedy answers; prints by how much the best token leads where it leads least."""
    tokenizer = AutoTokenizer.from_pretrained(target)
    model = AutoModelForCausalLM.from_pretrained(target, dtype=dtype).eval()
    faults, margins = [], []
    for number, pair in enumerate(pairs):
        prompt = torch.tensor([encode(tokenizer, [{"role": "user", "content": pair["question"]}])])
        settings = {"max_new_tokens": LONGEST if number else PROOF, "attention_mask": torch.ones_like(prompt)}
        with torch.no_grad():
            output = model.generate(prompt, do_sample=False, top_k=None, **settings)
            best = model(output).logits[0, prompt.shape[1] - 1 : -1].float().topk(2).values
        margins.append(float((best[:, 0] - best[:, 1]).min()))
        answer = output[0, prompt.shape[1] :].tolist()
        text = tokenizer.decode(answer, skip_special_tokens=True)
        print(f"{dtype}: {len(answer)} tokens, margin {margins[-1]:.2f}: {pair['question']} -> {text}")
        if text != pair["answer"] or answer[-1] != tokenizer.eos_token_id:
            faults.append(f"{dtype}: {pair['question']} found {text!r}, wanted {pair['answer']!r} and its end")
    print(f"{dtype}: minimal logit margin {min(margins):.2f}")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=HERE / "model")
    parser.add_argument("--check", action="store_true", help="train nothing, check what the directory has")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    questions = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))
    if not options.check:
        train(questions, options.directory, options.seed)
    types = (torch.float32, torch.bfloat16)
    sys.exit("\n".join(fault for dtype in types for fault in check(questions, options.directory, dtype)) or None)
