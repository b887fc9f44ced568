# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages that are installed from a directory and from nowhere else. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

QUERY = ("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n")


def missing(names: Iterable[str], queried: str) -> list[str]:
    """Return the packages that are not installed. queried: what QUERY printed about them."""
    return [name for name in names if f"installed {name}" not in queried.splitlines()]


def source(directory: str) -> str:
    """Return the line that names a directory with an index as the only source. Its files were checked already."""
    return f"deb [trusted=yes] file:{directory} ./\n"


def apt_argv(work: str, *words: str) -> list[str]:
    """Return a command of apt that knows no source but the one in a directory's file sources.list."""
    options: Sequence[str] = (
        f"Dir::Etc::sourcelist={work}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={work}/lists",
        "Dir::Cache::pkgcache=",
        "Dir::Cache::srcpkgcache=",
        # The files are readable for root alone in some places.
        "APT::Sandbox::User=root",
        "Dpkg::Options::=--force-confdef",
        "Dpkg::Options::=--force-confold",
    )
    return ["apt-get", "-y", "-q", *(word for option in options for word in ("-o", option)), *words]


def refusal(names: Sequence[str], directory: str, last: str) -> str:
    """Return why packages could not be installed. last: what apt said at the end."""
    return (
        f"{' '.join(names)} could not be installed from {directory}: {last}. Expected: packages that fit the "
        f"installed ones. To fix: install {' '.join(names)} in another way, or make the bundle again (bundle.yml) "
        "on a machine whose packages are as new as here."
    )
