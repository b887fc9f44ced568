# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of what is shown to others, by their values and by the names they go by. PRIVATE to the collection.

It would rather take out too much.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from urllib.parse import quote

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MARK = "[redacted]"
# Token and key of a cluster, an administrator's own, too. Shorter ones, and an empty file above all, are none.
SECRET = re.compile(r"[!-~]{32,}")
# A shorter value would take ordinary words out of every log; where it has a name, it goes by that.
SHORTEST = 6
# Bytes per token are none, nor is what Ray says of a token that it refuses: "InvalidAuthToken: Authentication token".
WORDS = r"(?:(?<=[a-z0-9_-])key|(?<!per_)(?<!InvalidAuth)token|secrets?|password|passwd|passphrase|credentials?)"
NAME = re.compile(rf"(?:^key|{WORDS})$", re.IGNORECASE)
# Variables of Ray, vLLM and what they are built on, which our files have: their values help others. Any other variable
# is somebody's own, and may hold a secret under any name.
KNOWN_VARIABLE = re.compile(
    r"(?:VLLM|RAY|NCCL|GLOO|TP|UCX|UCC|FI|IBV|CUDA|NVIDIA|HIP|TORCH|TORCHDYNAMO|TORCHINDUCTOR|PYTORCH|TRITON|OMP|MKL|KMP|HF"
    r"|XDG|LC|LD|AUTOSCALER|DASHBOARD|PYTHON|CLOSED_API)_\w+|PATH|HOME|LANG|TZ|TMPDIR|PYTHONPATH"
)
# A list, a quoted text (also quoted twice), or what goes on to the next space; not what says that there is none.
VALUE = r"""(?!(?:None|null|True|False)\b|''|"")(?:\[[^\]]{0,2000}\]|\\?"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|["']?[^\s"']+)"""
# A private key, as text or in JSON. An RSA key of 16384 bits has 12,700 characters.
PRIVATE_KEY = r"-----{edge} [A-Z0-9 ]*PRIVATE KEY-----"
KEY_LENGTH = 16384
PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"""\b(authorization["']?\s*[:=]\s*["']?)(?:(?:bearer|basic|token)\s+)?[^\s"',]+""", re.I),
        rf"\1{MARK}",
    ),
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]{6,}", re.I), rf"\1{MARK}"),
    # Tokens of Hugging Face: hf_ and 34 letters; names such as hf_overrides stay.
    (re.compile(r"\bhf_[A-Za-z0-9]{16,}"), MARK),
    (re.compile(r"""\w://[^\s"']+"""), lambda found: url_without_account(found.group())),
    (re.compile(rf"""({WORDS}\\?["']?[ \t]*(?:=(?!=)|:)[ \t]*){VALUE}""", re.I), rf"\1{MARK}"),
    # Options of a command line, as words or as a list: --api-key x, ['--api-key', 'x'].
    (re.compile(rf"""((?<![\w-])--[\w-]{{0,60}}{WORDS}["']?(?:\s*,\s*|[ \t]+)){VALUE}""", re.I), rf"\1{MARK}"),
)


def url_without_account(url: str) -> str:
    """Return a URL, or several that are not parted, without names and passwords.

    What is behind the last @ is put aside first: with it, the time would grow with the square of the length.
    """
    head, at, tail = url.rpartition("@")
    return re.sub(r"(\w://)(?:[^/]+|[^/:@]+:.+)@", rf"\1{MARK}@", head + at) + tail if at else url


def is_secret(name: str) -> bool:
    """Return whether what goes by a name is a secret: it ends in key, token, secret, password or the like."""
    return bool(NAME.search(name))


def is_secret_variable(name: str) -> bool:
    """Return whether the value of an environment variable is to be taken out."""
    return is_secret(name) or not KNOWN_VARIABLE.fullmatch(name)


def private_keys(text: str) -> str:
    """Take private keys out, and the rest of one whose beginning or end was cut off."""
    begin, end = (PRIVATE_KEY.format(edge=edge) for edge in ("BEGIN", "END"))
    text = re.sub(rf"{begin}(?:.{{0,{KEY_LENGTH}}}?{end}|.{{0,{KEY_LENGTH}}})", MARK, text, flags=re.DOTALL)
    # What is left of END has lost its beginning, and so the file is cut there.
    last = next(re.finditer(end, text[:KEY_LENGTH]), None)
    return MARK + text[last.end() :] if last else text


def forms_of(value: str) -> tuple[str, ...]:
    """Return how a text may be written inside of another: as it is, as in a URL, as in JSON, and as Python does."""
    return (value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1])


class Redactor:
    """Takes out these values, wherever they stand, and whatever looks like a secret."""

    def __init__(self, values: Iterable[str]) -> None:
        # Also each line of a text of several lines, as messages are often cut into lines.
        texts_and_lines = {part.strip() for value in values for part in (value, *value.splitlines())}
        long = {part for part in texts_and_lines if len(part) >= SHORTEST}
        forms = {form for value in long for form in forms_of(value)}
        self.values = sorted(forms, key=len, reverse=True)

    def known(self, text: str) -> str:
        """Return a text without the values that are known."""
        for value in self.values:
            text = text.replace(value, MARK)
        return text

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        text = self.known(text)
        if "PRIVATE KEY-----" in text:
            text = private_keys(text)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def environment(self, variables: Mapping[str, object]) -> dict[str, object]:
        """Return an environment without secrets: variables that are nobody's we know keep only their names."""
        return {
            name: MARK if is_secret_variable(name) and hides(value) else self.tree(value)
            for name, value in variables.items()
        }

    def tree(self, value: object) -> object:
        """Return data as of JSON without secrets."""
        if isinstance(value, dict):
            return {
                key: MARK if is_secret(str(key)) and hides(entry) else self.tree(entry) for key, entry in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.tree(entry) for entry in value]
        return self.text(value) if isinstance(value, str) else value


def hides(value: object) -> bool:
    """Return whether there is something to hide in a value."""
    return not isinstance(value, bool) and value not in (None, "", [], {})


def parse_environment(text: str) -> dict[str, str]:
    """Return the variables that lines of a shell set. Raises ValueError where a quote stays open."""
    words = (word.partition("=") for word in shlex.split(text, comments=True))
    return {name: value for name, equals, value in words if equals}


def parsed(value: object) -> object:
    """Return what a text in JSON holds, as options of vLLM may be written, and anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def secrets_of(tree: object) -> list[str]:
    """Return the values of data as of JSON, or of an environment, that go by the name of a secret."""
    tree = parsed(tree)
    if isinstance(tree, dict):
        named = [value for key, value in tree.items() if is_secret(str(key)) and hides(value)]
        nested = [value for key, value in tree.items() if not is_secret(str(key))]
        return [text for value in named for text in texts(value)] + [s for value in nested for s in secrets_of(value)]
    if isinstance(tree, (list, tuple)):
        return [text for value in tree for text in secrets_of(value)]
    return []


def secrets_of_environment(variables: Mapping[str, object]) -> list[str]:
    """Return the values of environment variables that are to be taken out."""
    return [str(value) for name, value in variables.items() if is_secret_variable(name) and hides(value)]


def texts(value: object) -> list[str]:
    """Return all texts in a value."""
    if isinstance(value, dict):
        return [text for entry in value.values() for text in texts(entry)]
    if isinstance(value, (list, tuple)):
        return [text for entry in value for text in texts(entry)]
    return [str(value)]
