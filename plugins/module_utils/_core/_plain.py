# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that others chose, for a terminal: names of processes, lines of logs. PRIVATE to the collection.

A terminal obeys what it is shown: escape sequences write its clipboard and title, a carriage return hides what stands
before it, and bidirectional overrides show text in another order.
"""

from __future__ import annotations

import re

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """Return text for one line: without colours, and what else is not printable as Python escapes it."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character in "\t\n" else _escaped(character)
        for character in COLOUR.sub("", text)
    )


def plain_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(plain, text.split("\n")))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
