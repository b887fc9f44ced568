# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parses JSON that somebody else may have written. PRIVATE to the collection."""

from __future__ import annotations

import json
import typing as t

T = t.TypeVar("T", dict[str, t.Any], list[t.Any])

# What is expected, for messages.
KINDS: dict[object, str] = {dict: "a JSON object", list: "a JSON list"}
# No file of ours, of a model or of vLLM is nested deeper. Code that goes through such values may be recursive.
DEEPEST = 100
# More digits have no use, and some versions of Python take minutes for many.
LONGEST_INTEGER = 40


def parse(text: str | bytes, kind: type[T]) -> T:
    """Return what a text in JSON holds. kind: dict or list. Raises ValueError where it is something else.

    The message says why, and has nothing of the text.
    """
    value = parse_any(text)
    if not isinstance(value, kind):
        raise ValueError(f"it is not {KINDS[kind]}")
    return value


def parse_any(text: str | bytes) -> t.Any:
    """Return what a text in JSON holds, of any kind. Raises ValueError as parse()."""
    try:
        value = json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if _deeper_than(value, DEEPEST):
        raise ValueError("it is nested too deeply")
    return value


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError("an integer has too many digits")
    return int(digits)


def _deeper_than(value: object, levels: int) -> bool:
    """Return whether lists and objects are nested deeper than so many levels. Nothing here is recursive."""
    layer: list[object] = [value]
    for _level in range(levels + 1):
        inside = [value for value in layer if isinstance(value, (dict, list))]
        if not inside:
            return False
        layer = [inner for value in inside for inner in (value.values() if isinstance(value, dict) else value)]
    return True
