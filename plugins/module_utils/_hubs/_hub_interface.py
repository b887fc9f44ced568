# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every hub has: its interface, and a model that is requested from one. PRIVATE to the collection.

The hubs themselves are in _hub.py.
"""

from __future__ import annotations

import abc
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import Listing

# Names of files have at most 255 bytes; what is on its way to a directory has its name and some more.
LONGEST_NAME = 200
# Files that are downloaded at the same time. More of them end later, and others wait for the first one that ends.
PARALLEL_FILES = 4


class ClientProgram(t.NamedTuple):
    """A hub's own client. module: the one that is run; home_variables: name the directories that it writes to."""

    module: str
    package: str
    token_variable: str
    endpoint_variable: str
    home_variables: tuple[str, ...]


class Hub(abc.ABC):
    """A place that models are downloaded from. It says what to ask, reads the answers, and does no I/O.

    name: as users write it; title: in messages. revision: used if none is requested. client: None if files are
    downloaded from file_url(), by ranges. cookie: name of a cookie that also holds the token. substitute: end of the
    sentence that says what to set if the hub can't be reached.
    """

    name: t.ClassVar[str]
    title: t.ClassVar[str]
    revision: t.ClassVar[str]
    client: t.ClassVar[ClientProgram | None] = None
    cookie: t.ClassVar[str] = ""
    substitute: t.ClassVar[str] = ""
    # Whether it keeps older revisions, so that one of them can be requested.
    has_revisions: t.ClassVar[bool] = True
    # Whether listings have the sizes of the files.
    lists_sizes: t.ClassVar[bool] = True
    # Whether it may see the token that the user has for hubs.
    takes_token: t.ClassVar[bool] = True

    def is_meant_by(self, model: str) -> bool:
        """Return whether a model that is no path is of this hub where the user names none."""
        return False

    @abc.abstractmethod
    def url(self, wish: Wish) -> str:
        """Return the URL that is asked, without a slash at its end."""

    @abc.abstractmethod
    def listing_url(self, wish: Wish) -> str:
        """Return the URL of a revision's commit and files."""

    @abc.abstractmethod
    def file_url(self, wish: Wish, name: str) -> str:
        """Return the URL of one file of a revision."""

    @abc.abstractmethod
    def parse_listing(self, wish: Wish, text: str) -> Listing:
        """Return what the answer for listing_url() says. ValueError, where it is none; LookupError, where it says that
        there is no such revision."""

    def patterns(self, exclude: Sequence[str]) -> list[str]:
        """Return the user's patterns as this hub's client takes them; `*` is any text, slashes too."""
        return [pattern + "*" if pattern.endswith("/") else pattern for pattern in exclude]

    def model_name(self, wish: Wish) -> str:
        """Return the name of a model, from which its directory gets its name."""
        return wish.model

    def what(self, wish: Wish) -> str:
        """Return what is requested, in words."""
        return f"{wish.model} at {wish.wanted_revision}"

    @abc.abstractmethod
    def problems(self, wish: Wish) -> list[dict[str, str]]:
        """Return what is wrong with a request, before anybody is asked."""

    @abc.abstractmethod
    def denied(self, wish: Wish, status: int, has_token: bool) -> dict[str, str]:
        """Return the problem of a hub that lets nobody read the model. status: 401 or 403."""

    @abc.abstractmethod
    def absent(self, wish: Wish) -> dict[str, str]:
        """Return the problem of a hub that has no such model or revision."""


@dataclass(frozen=True)
class Wish:
    """A model of a hub: its id, or its URL on a mirror. revision: branch, tag or commit; empty for the default."""

    hub: Hub
    model: str
    revision: str = ""
    endpoint: str = ""

    @property
    def wanted_revision(self) -> str:
        return self.revision or self.hub.revision

    @property
    def url(self) -> str:
        """Return the hub's URL; of a mirror that of the model."""
        return self.hub.url(self)

    @property
    def what(self) -> str:
        """Return what is requested, in words."""
        return self.hub.what(self)

    def file_url(self, name: str) -> str:
        """Return the URL of one file of the revision."""
        return self.hub.file_url(self, name)


class Way(t.NamedTuple):
    """How a hub is reached. proxy: its URL; ca_certificate: file with the certificates to trust.

    What is empty is as the host has it.
    """

    token: str = ""
    proxy: str = ""
    ca_certificate: str = ""

    def without_secrets(self, text: str) -> str:
        """Return a text without what is to stay on this way; a proxy's URL may hold a password."""
        for secret in filter(None, (self.token, self.proxy)):
            text = text.replace(secret, "***")
        return text


def commits_of(wish: Wish, root: str) -> str:
    """Return the directory of all commits of a model. ValueError, where it can't have its name."""
    return f"{root}/{directory_name(wish.hub.model_name(wish))}"


def directory_of(wish: Wish, root: str, commit: str) -> str:
    """Return where a commit of a model is put. ValueError, where one of the directories can't have its name."""
    return f"{commits_of(wish, root)}/{directory_name(commit)}"


def directory_name(name: str) -> str:
    """Return the one directory for a name with slashes. Names that begin with a dot are for what is on its way."""
    flat = name.replace("/", "--")
    if not flat or flat.startswith(".") or not flat.isprintable() or len(flat.encode()) > LONGEST_NAME:
        raise ValueError(f"{name!r} can't be the name of a directory")
    return flat


def is_directory_name(name: str) -> bool:
    try:
        return bool(directory_name(name)) and ".." not in name.split("/")
    except ValueError:
        return False
