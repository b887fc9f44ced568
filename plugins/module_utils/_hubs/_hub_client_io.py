# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download a model by its hub's own client. PRIVATE to the collection.

Where the module is root, the client runs as the service user, in a directory that is lent to it. What it has finished
is copied out of there, checked, and given back to it as root's file under a second name: so it finds it on a later run,
and can't change what was checked.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import (
    _account_io,
    _directory_io,
    _safe_io,
    _unsafe,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Folders, copy_file
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub_client
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_filler_io import (
    BLOCK,
    Filler,
    bytes_in,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest_io import Unusable

if t.TYPE_CHECKING:
    import pwd
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import ClientProgram, Way, Wish
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import File

HOME = ".home"
# The directory that is lent, and where a file is copied to. Models have no such names: hidden ones are left out.
LENT, TAKEN = ".client", ".taken"
WAYS = [
    *(form(name) for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for form in (str.lower, str.upper)),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
]


class RunCommand(t.Protocol):
    """AnsibleModule.run_command, as far as it is used here."""

    def __call__(
        self,
        args: Sequence[str],
        *,
        cwd: str,
        environ_update: Mapping[str, str] | None,
        data: str | None,
        expand_user_and_vars: bool,
        handle_exceptions: bool,
        before_communicate_callback: Callable[[subprocess.Popen[bytes]], None],
    ) -> tuple[int, str, str]: ...


class Call(t.NamedTuple):
    """How to call the client. user: as of _account_io.account()."""

    run: RunCommand
    program: ClientProgram
    python: str
    way: Way
    exclude: Sequence[str]
    user: str = ""


class Client(Filler):
    """A client that runs as a child. wish: its revision is what is downloaded.

    place: where it downloads to; who: the account that it runs as, None for our own.
    """

    def __init__(self, wish: Wish, files: Sequence[File], part: str, call: Call) -> None:
        super().__init__(wish, files, part)
        self.call = call
        self.child: subprocess.Popen[bytes] | None = None
        self.who = _account_io.account(call.user)
        self.place = os.path.join(part, LENT) if self.who else part
        self.taking = threading.Lock()

    def fetch(self) -> None:
        home, folders = os.path.join(self.place, HOME), t.cast(Folders, self.folders)
        if not os.access(self.call.python, os.X_OK):
            found = f"{self.call.python or 'no Python'} can't be started"
            raise Unusable(_hub_client.python_problem(self.wish, self.call.program, found))
        if self.who:
            self.lend()
        else:
            with folders.at(HOME, make=True):
                pass
        self.forget_halves()
        wanted = (self.wish.wanted_revision, self.place, self.call.exclude)
        argv = _hub_client.argv(self.wish, self.call.program, self.call.python, *wanted)
        environment = _hub_client.environment(self.wish, self.call.program, self.call.way, home)
        exports = None
        if self.who:
            # It starts with nothing of root's environment, but for how the host reaches the internet.
            ways = {name: os.environ[name] for name in WAYS if name in os.environ}
            exports = _account_io.exports({**ways, "HOME": home, **environment})
            argv = _account_io.argv_as(self.who, argv)
        try:
            rc, out, err = self.call.run(
                argv,
                cwd=self.place,
                environ_update=None if self.who else environment,
                data=exports,
                expand_user_and_vars=False,
                handle_exceptions=False,
                before_communicate_callback=self.started,
            )
        except OSError as error:
            found = f"{self.call.python} can't be started: {error.strerror}"
            raise Unusable(_hub_client.python_problem(self.wish, self.call.program, found)) from error
        finally:
            # The token may have been kept by the client: its home goes whatever happened.
            folders.forget()
            _safe_io.remove(home)
        self.look()
        # A client may also end well without some files: Hugging Face's does so where it can't reach the hub.
        if (rc or self.wanted.keys() - self.right - self.wrong) and not self.stopped:
            program, python, way = self.call.program, self.call.python, self.call.way
            raise Unusable(_hub_client.client_problem(self.wish, program, python, out + err, way))

    def forget_halves(self) -> None:
        """Remove what Hugging Face's client left of files that were not finished: it begins them again."""
        with contextlib.suppress(OSError):
            for folder, name in _safe_io.walk(os.path.join(self.place, ".cache")):
                if name.endswith(".incomplete"):
                    folder.unlink(name)

    def started(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        if self.stopped:
            child.kill()

    def stop(self) -> None:
        if self.child:
            self.child.kill()

    # --- As another account ---

    def lend(self) -> None:
        """Give the client's account a directory with the files that are here already."""
        who = t.cast("pwd.struct_passwd", self.who)
        with _safe_io.open_directory(self.part) as part:
            # The account may go through it to its own directory, and lists nothing.
            part.own(mode=0o711)
            now = part.lstat(LENT)
            if now and (not stat.S_ISDIR(now.st_mode) or now.st_uid != who.pw_uid):
                # Of an account that was not there yet, or of nobody who could write there now.
                part.remove(LENT)
            with part.enter(LENT, make=0o700) as lent:
                lent.own(who.pw_uid, who.pw_gid, 0o700)
        for folder, name in _safe_io.walk(self.place):
            found = folder.lstat(name)
            if found and not stat.S_ISREG(found.st_mode):
                # No client leaves links and the like.
                folder.unlink(name)
        for path, file in self.wanted.items():
            if self.size_of(path) == file.size:
                self.give_back(path)

    @contextlib.contextmanager
    def folder_of(self, path: str, lent: bool) -> Iterator[tuple[_directory_io.Directory, str]]:
        """Open the directory of a file, through no link; make it if need be. lent: where the client has it."""
        who = t.cast("pwd.struct_passwd", self.who)
        *folders, name = path.split("/")
        with contextlib.ExitStack() as stack:
            here = stack.enter_context(_safe_io.open_directory(self.place if lent else self.part))
            for folder in folders:
                is_new = here.lstat(folder) is None
                here = stack.enter_context(here.enter(folder, make=0o755))
                if is_new and lent:
                    here.own(who.pw_uid, who.pw_gid)
            yield here, name

    def give_back(self, path: str) -> None:
        """Let the client find a file that is here: it may read it, and not write to it."""
        with self.folder_of(path, lent=False) as (ours, name), self.folder_of(path, lent=True) as (theirs, _name):
            theirs.remove(name)
            if not ours.exposed:
                ours.hard_link(name, theirs, name)
                return
            # Where another account could put names for files of root, we read none with several names.
            target = theirs.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            _safe_io.own_open(target, mode=0o644)
            copy_file(ours.open(name), target)

    def look(self) -> None:
        if not self.who:
            super().look()
            return
        with self.taking:
            for path, file in self.wanted.items():
                here = self.size_of(path) == file.size
                if path not in self.right and not here and not self.stopped:
                    # A client that is at work may move files during the probe; the next probe finds them.
                    with contextlib.suppress(FileNotFoundError, _unsafe.Unsafe):
                        self.take(path, file)
            wrong = set(self.wrong)
            super().look()
            for path in self.wrong - wrong:
                with self.folder_of(path, lent=True) as (folder, name):
                    folder.remove(name)

    def take(self, path: str, file: File) -> None:
        """Copy a file that the client has finished, if it has: it may still be written to under its own name."""
        with self.folder_of(path, lent=True) as (theirs, name), _safe_io.open_directory(self.part) as part:
            now = theirs.lstat(name)
            if now is None or not stat.S_ISREG(now.st_mode) or now.st_size != file.size:
                return
            part.remove(TAKEN)
            handle = part.open(TAKEN, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(theirs.open(name), "rb") as source, os.fdopen(handle, "wb") as target:
                while not self.stopped and target.tell() <= file.size:
                    block = source.read(BLOCK)
                    if not block:
                        break
                    target.write(block)
                is_whole = target.tell() == file.size
                target.flush()
                # Clients compare times with those that they noted.
                _safe_io.own_open(handle, mode=0o644, times=(now.st_atime_ns, now.st_mtime_ns))
            if not is_whole:
                part.remove(TAKEN)
                return
            with self.folder_of(path, lent=False) as (ours, _name):
                part.rename(TAKEN, ours, name)
        self.give_back(path)

    @property
    def got(self) -> int:
        """Return the bytes that have come. What was given back has two names."""
        if not self.who:
            return super().got
        twice = sum(size for path, size in self.files if self.size_of(path) == size)
        return max(0, min(bytes_in(self.part) - twice, sum(size for _path, size in self.files)))


def copied_bytes(files: Sequence[File], user: str) -> int:
    """Return the bytes that are needed besides those of the files, while one of them is copied."""
    return max((file.size for file in files), default=0) if _account_io.account(user) else 0
