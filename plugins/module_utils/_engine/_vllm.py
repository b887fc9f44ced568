# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vLLM engine: its proof and its log. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look

DEFAULT_PROOF = {
    "request": {
        "messages": [{"role": "user", "content": "What is vllm_ray.cluster?"}],
        "max_tokens": 16,
        "temperature": 0,
    },
    "expect": None,
    "seconds": 60,
}
# A line that reports an error: Python's own, argparse's, or the level of vLLM's and Ray's loggers.
_ERROR = re.compile(
    r"\bERROR\b|^(?:\([^)]*\)\s*)*(?:\w+\.)*\w*(?:Error|Exception)\b: |\bCRITICAL\b|\bFATAL\b|^vllm: error: "
)
_EXCEPTION = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception)\b: .+")
_TRACEBACK = "Traceback (most recent call last):"
_RANK = re.compile(r"^\((?:RayWorkerProc|Worker\w*)[^)]*\)")
_DEATH = re.compile(r"A worker died or was killed|rank=\S+ died unexpectedly")
# Ray colours the names of its processes, also where nobody looks, and counts what several ranks say alike.
_NOISE = re.compile(r"\x1b\[[0-9;]*m|(?<!\s)\s*\[repeated \d+x across cluster\]|(?<!\s)\s*\x1b?\r$")
_LOGGER = re.compile(
    r"(?:ERROR|CRITICAL|FATAL|INFO|WARNING|DEBUG) \d\S* \d\S* (?:\[[^\]]*\]\s*)?"
    # That of FlashInfer.
    r"|^\d{4}-\S+ \d\S* - [A-Z]+ - \S+ - "
)


# What uvicorn says when the API listens, which vLLM lets it do when the model is loaded.
READY = "Application startup complete"


@dataclass(frozen=True)
class Answer:
    """What came of one proof. final: whether asking again would give the same."""

    ok: bool
    text: str
    why: str
    final: bool = True

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def completion_request(request: Mapping[str, object], model: str) -> dict[str, object]:
    """Return the body of a chat completion with the model filled in."""
    return {"model": model, **request}


def model_names(answer: t.Any) -> list[str]:
    """Return the names of the models in an answer of /v1/models, none where it has another form."""
    try:
        return [entry["id"] for entry in answer["data"]]
    except (KeyError, TypeError):
        return []


def judge(answer: t.Any, expect: str | None) -> Answer:
    """Judge the answer to a chat completion: text or reasoning must be there, and be what is expected."""
    try:
        message = (answer.get("choices") or [{}])[0].get("message") or {}
        text = message.get("content") or ""
        reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
    except (AttributeError, KeyError, TypeError):
        return Answer(False, "", "the answer does not have the form of a chat completion")
    if expect is not None and text != expect:
        return Answer(False, text, f"the answer is {text!r} and {expect!r} is expected")
    if not text and not reasoning:
        return Answer(False, "", "the answer has neither text nor reasoning")
    return Answer(True, text or reasoning, "")


def plain(lines: Iterable[str]) -> list[str]:
    """Return lines of a log without colours."""
    return [_NOISE.sub("", line) for line in lines]


def this_start(lines: Sequence[str], unit: str) -> list[str]:
    """Return the lines of the journal since somebody started a unit, its restarts by itself included.

    Without that, the errors of an engine that was stopped would be reported as those of the one that starts.
    """
    begin, scheduled = 0, False
    for number, line in enumerate(lines):
        if line.startswith(f"{unit}: Scheduled restart job"):
            scheduled = True
        elif line.startswith(f"Started {unit}"):
            begin, scheduled = (begin if scheduled else number), False
    return list(lines[begin:])


def starts(lines: Sequence[str], name: str) -> list[list[str]]:
    """Cut the log of a program of supervisor by its starts, which its script marks. There is always one part."""
    return _cut(lines, lambda line: line == f"Start of {name}")


def restarts(lines: Sequence[str], unit: str) -> list[list[str]]:
    """Cut the journal of a unit where systemd counts a restart. There is always one part."""
    return _cut(lines, lambda line: line.startswith(f"{unit}: Scheduled restart job"))


def _cut(lines: Sequence[str], begins: Callable[[str], bool]) -> list[list[str]]:
    """Cut lines into parts, each of which begins with such a line; the first one may have none."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if begins(line):
            parts.append([])
        parts[-1].append(line)
    return parts


def first_failure(parts: Iterable[Sequence[str]]) -> str:
    """Return the first error of the first start that had one: later starts may fail of what it left behind.

    parts: the log of each start.
    """
    return next(filter(None, map(first_error, parts)), "")


def first_error(lines: Sequence[str]) -> str:
    """Return the first error of the first failing rank in the log of `vllm serve`, or an empty text.

    An error of a rank comes before its death, and that before an error of the engine, which only says that a rank
    failed. A traceback is shortened to its exception.
    """
    lines = plain(lines)
    # An error whose text is another's traceback only leads to that.
    told = [(number, line) for number, line in enumerate(lines) if not line.endswith(_TRACEBACK)]
    found = [number for number, line in told if _ERROR.search(line) or _DEATH.search(line)]
    ranks = [number for number in found if _RANK.search(lines[number])]
    exceptions = [number for number in found if _EXCEPTION.search(lines[number])]
    deaths = [number for number in found if _DEATH.search(lines[number])]
    order = ([n for n in ranks if n in exceptions], ranks, deaths, exceptions, found)
    first = next((group[0] for group in order if group), None)
    if first is None:
        return ""
    text = _LOGGER.sub("", lines[first]).strip()
    if re.search(r"\d+ validation errors? for ", text) and first + 1 < len(lines):
        text += f": {lines[first + 1].strip()}"
    return text[:600]


def kv_cache(lines: Iterable[str]) -> _look.KvCache:
    """Return what an engine logged about its KV cache when it started last. Empty where it logged nothing."""
    told: _look.KvCache = {}
    for line in lines:
        size = re.search(r"KV cache size: ([\d,]+) tokens", line)
        if size:
            told = {"tokens": int(size.group(1).replace(",", ""))}
        concurrency = re.search(r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x", line)
        if concurrency:
            told = {
                **told,
                "context": int(concurrency.group(1).replace(",", "")),
                "concurrency": float(concurrency.group(2)),
            }
    return told


def start_seconds(lines: Iterable[str], started: float) -> float | None:
    """Return how long an engine took until it was ready, None where its log does not show it.

    lines: of journalctl --output=short-unix. started: seconds since 1970.
    """
    for line in lines:
        stamp = re.match(r"\d+\.\d+(?= )", line)
        if stamp and READY in line and float(stamp.group()) >= started:
            return round(float(stamp.group()) - started, 1)
    return None


def progress(lines: Sequence[str]) -> str:
    """Return what the log says last, without its prefixes."""
    for line in reversed(plain(lines)):
        # A bar draws itself again and again on one line.
        line = line.rstrip().rpartition("\r")[2]
        text = _LOGGER.sub("", re.sub(r"^(?:\([^)]*\)\s*)*", "", line), count=1).strip()
        if text:
            return text[:100]
    return ""
