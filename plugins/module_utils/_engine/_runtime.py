# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM, Ray and their Python run in: a virtual environment. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Sequence

# Where services find the programs of the system.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Runtime(t.Protocol):
    """What has the programs python, ray, vllm and supervisord."""

    def python(self) -> str:
        """Return the path of its Python on the host."""

    def program(self, name: str) -> str:
        """Return the path of one of its programs on the host."""

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command of its own. command: the name of a program, and arguments."""

    def search_path(self) -> str:
        """Return the PATH in which its own programs come before those of the system."""

    @staticmethod
    def named(text: str) -> set[str]:
        """Return the ids of releases that a text names. Thus processes are recognised, by their command lines."""


@dataclass(frozen=True)
class Venv:
    """A virtual environment, or another directory with programs in bin. path: of the directory, or of a link to it."""

    path: str

    def python(self) -> str:
        return self.program("python")

    def program(self, name: str) -> str:
        return f"{self.path}/bin/{name}"

    def argv(self, command: Sequence[str]) -> list[str]:
        name, *arguments = command
        return [self.program(name), *arguments]

    def search_path(self) -> str:
        return f"{self.path}/bin:{SYSTEM_PATH}"

    @staticmethod
    def named(text: str) -> set[str]:
        """Return the ids by the paths of environments, whatever leads to the directory of releases."""
        return set(re.findall(r"/releases/([A-Za-z0-9][A-Za-z0-9._+-]*)", text))


def releases_of(root: str) -> str:
    """Return the directory of the releases that the collection makes. root: the role's release_root."""
    return f"{root}/releases"


def runtime_of(release: str) -> Runtime:
    """Return the runtime of a release, which has it for an environment of somebody else, too. release: its path."""
    return Venv(release)
