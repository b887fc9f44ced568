# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download a model by its hub's own client. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils import _hub, _safe_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._folders_io import Folders
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hub_filler_io import Filler
from ansible_collections.vllm_ray.cluster.plugins.module_utils._manifest_io import Unusable

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOME = ".home"


class Call(t.NamedTuple):
    """How to call the client. run: AnsibleModule.run_command."""

    run: Callable[..., tuple[int, str, str]]
    python: str
    way: _hub.Way
    exclude: Sequence[str]


class Client(Filler):
    """A client that runs as a child. wish: its revision is what is downloaded."""

    def __init__(self, wish: _hub.Wish, files: Sequence[_hub.File], part: str, call: Call) -> None:
        super().__init__(wish, files, part)
        self.call = call
        self.child: t.Any = None

    def fetch(self) -> None:
        home, folders = os.path.join(self.part, HOME), t.cast(Folders, self.folders)
        with folders.at(HOME, make=True):
            pass
        self.forget_halves()
        try:
            rc, out, err = self.call.run(
                _hub.argv(self.wish, self.call.python, self.wish.wanted_revision, self.part, self.call.exclude),
                environ_update=_hub.environment(self.wish, self.call.way, home),
                cwd=self.part,
                expand_user_and_vars=False,
                handle_exceptions=False,
                before_communicate_callback=self.started,
            )
        except OSError as error:
            found = f"{self.call.python or 'no Python'} can't be started: {error.strerror}"
            raise Unusable(_hub.python_problem(self.wish, found)) from error
        finally:
            # The token may have been kept by the client: its home goes whatever happened.
            folders.forget()
            folders.root.remove(HOME)
        self.look()
        # A client may also end well without some files: Hugging Face's does so where it can't reach the hub.
        if (rc or self.wanted.keys() - self.right - self.wrong) and not self.stopped:
            raise Unusable(_hub.client_problem(self.wish, self.call.python, out + err, self.call.way))

    def forget_halves(self) -> None:
        """Remove what Hugging Face's client left of files that were not finished: it begins them again."""
        with contextlib.suppress(OSError):
            for directory, name in _safe_io.walk(os.path.join(self.part, ".cache")):
                if name.endswith(".incomplete"):
                    directory.unlink(name)

    def started(self, child: t.Any) -> None:
        self.child = child
        if self.stopped:
            child.kill()

    def stop(self) -> None:
        if self.child:
            self.child.kill()
