# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vLLM engine: its proof and its log. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_PROOF = {
    "request": {
        "messages": [{"role": "user", "content": "What is vllm_ray.cluster?"}],
        "max_tokens": 16,
        "temperature": 0,
    },
    "expect": None,
    "seconds": 60,
}
# A line that tells of an error: Python's own, or the level of vLLM's and Ray's loggers.
_ERROR = re.compile(r"\bERROR\b|^(?:\([^)]*\)\s*)?(?:\w+\.)*\w*(?:Error|Exception)\b: |\bCRITICAL\b|\bFATAL\b")
_EXCEPTION = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception)\b: .+")
_RANK = re.compile(r"^\((?:RayWorkerProc|Worker\w*)[^)]*\)")


@dataclass(frozen=True)
class Answer:
    """What came of one proof."""

    ok: bool
    text: str
    why: str

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)


def completion_request(request: Mapping[str, t.Any], model: str) -> dict[str, t.Any]:
    """Return the body of a chat completion with the model filled in."""
    return {"model": model, **request}


def judge(answer: Mapping[str, t.Any], expect: str | None) -> Answer:
    """Judge the answer to a chat completion: text or reasoning must be there, and be what is expected."""
    choices = answer.get("choices") or [{}]
    message = choices[0].get("message") or {}
    text = message.get("content") or ""
    reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
    if expect is not None and text != expect:
        return Answer(False, text, f"the answer is {text!r} and {expect!r} is expected")
    if not text and not reasoning:
        return Answer(False, "", "the answer has neither text nor reasoning")
    return Answer(True, text or reasoning, "")


def first_error(lines: Sequence[str]) -> str:
    """Return the first error of the first failing rank in the log of `vllm serve`, or an empty text.

    An error of a rank comes before one of the engine, which only tells that a rank failed. A traceback is
    shortened to its exception.
    """
    errors = [line for line in lines if _ERROR.search(line)]
    of_ranks = [line for line in errors if _RANK.search(line)]
    for group in (of_ranks, errors):
        exceptions = [line for line in group if _EXCEPTION.search(line)]
        if exceptions:
            return exceptions[0].strip()
        if group:
            return group[0].strip()
    return ""


def progress(lines: Sequence[str]) -> str:
    """Return what the log says last, without its prefixes."""
    for line in reversed(lines):
        text = re.sub(r"^(?:\([^)]*\)\s*)*(?:INFO|WARNING|DEBUG)\s+\S+\s+\S+\s+(?:\[[^\]]*\]\s*)?", "", line).strip()
        if text:
            return text[:100]
    return ""
