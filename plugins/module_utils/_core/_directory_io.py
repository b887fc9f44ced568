# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open directory, in which everything is done by names relative to its descriptor. PRIVATE to the collection.

So nobody can put another thing in the place of a directory between a check and its use. Links are not followed.

A directory is *exposed* where an account besides root and our own may change its entries, or those of a directory above
it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import stat
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Unsafe, kind_of

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Options = t.ParamSpec("Options")
    Result = t.TypeVar("Result")
    Method = Callable[t.Concatenate["Directory", str, Options], Result]

MIB = 1024**2
# A directory with more entries is refused where its names are needed: it is none of ours.
NAMES_MAXIMUM = 100_000
# Rounds in which a directory that somebody refills meanwhile is emptied.
ROUNDS_MAXIMUM = 1_000_000
OURS = ".vllm-ray-"
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Enough to go through a directory that we may enter and not list.
_PASSED = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def trusted(uid: int) -> bool:
    """Whether an owner is root or the account that we run as."""
    return uid in (0, os.geteuid())


def _with_path(method: Method[Options, Result]) -> Method[Options, Result]:
    """Let the OSErrors of a method whose first argument is the name of an entry have its whole path."""

    @functools.wraps(method)
    def named(self: Directory, name: str, /, *args: Options.args, **options: Options.kwargs) -> Result:
        try:
            return method(self, name, *args, **options)
        except OSError as error:
            if error.filename == name:
                error.filename = self.at(name)
            raise

    return named


class Directory:
    """An open directory. path: where it was when it was opened, without links. exposed: see above."""

    def __init__(self, fd: int, path: str, above: Directory | None) -> None:
        self.fd, self.path = fd, path
        self.exposed, self.sticky = True, False
        try:
            now = os.fstat(fd)
            self.exposed = not trusted(now.st_uid) or bool(now.st_mode & 0o022)
            # In a sticky directory nobody else can rename or remove what is root's or ours.
            kept = above is not None and above.sticky and trusted(now.st_uid)
            reachable = above is not None and above.exposed and not kept
            self.exposed |= reachable
            self.sticky = not reachable and bool(now.st_mode & stat.S_ISVTX) and trusted(now.st_uid)
        except BaseException:
            os.close(fd)
            raise

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; what was opened below it stays open."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def at(self, name: str) -> str:
        """Return the path of an entry, for messages and results."""
        return os.path.join(self.path, name)

    def status(self) -> os.stat_result:
        """Return what the file system says of the directory itself."""
        return os.fstat(self.fd)

    def names(self) -> list[str]:
        """Return the names of its entries, sorted. Raises Unsafe where there are more than NAMES_MAXIMUM."""
        names = self.some(NAMES_MAXIMUM + 1)
        if len(names) > NAMES_MAXIMUM:
            raise Unsafe(self.path, f"a directory with more than {NAMES_MAXIMUM} entries", "a directory with fewer")
        return sorted(names)

    def some(self, most: int) -> list[str]:
        """Return the names of its entries, so many at most."""
        try:
            with os.scandir(self.fd) as inside:
                return [entry.name for entry in itertools.islice(inside, most)]
        except OSError as error:
            # One that we may only enter can't be listed by its descriptor.
            number = errno.EACCES if error.errno == errno.EBADF else error.errno
            raise OSError(number, os.strerror(number or 0), self.path) from None

    @_with_path
    def lstat(self, name: str) -> os.stat_result | None:
        """Return what the file system says of an entry, None where there is none. Links are not followed."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @_with_path
    def readlink(self, name: str) -> str | None:
        """Return what an entry points to, None where it is no link."""
        try:
            return os.readlink(name, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):
                return None
            raise

    @_with_path
    def enter(self, name: str, make: int | None = None) -> Directory:
        """Open a directory below. make: mode in which a missing one is made; None: raise FileNotFoundError."""
        made = False
        if make is not None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.fd)
                made = True
        try:
            fd = os.open(name, DIRECTORY, dir_fd=self.fd)
        except OSError as error:
            if error.errno == errno.EACCES:
                fd = os.open(name, _PASSED, dir_fd=self.fd)
            elif error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise self.unlike(name, "a directory") from None
            else:
                raise
        below = Directory(fd, self.at(name), self)
        if made:
            try:
                if not trusted(below.status().st_uid):
                    raise Unsafe(below.path, "a directory of another user", "the directory that was just created")
                os.fchmod(fd, t.cast("int", make))
            except BaseException:
                below.close()
                raise
        return below

    @_with_path
    def open(self, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
        """Open a regular file below and return its descriptor. Don't pass O_TRUNC: the file is checked after opening.

        In an exposed directory a file with further names is refused to be written, and to be read where it is root's
        or ours: somebody may have linked to it what only we may read. Raises Unsafe, and OSError as os.open.
        """
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR):
                raise self.unlike(name, "a file") from None
            raise
        try:
            now = os.fstat(fd)
            if not stat.S_ISREG(now.st_mode):
                raise Unsafe(self.at(name), kind_of(now.st_mode), "a file")
            writes = flags & (os.O_WRONLY | os.O_RDWR)
            if self.exposed and now.st_nlink > 1 and (writes or trusted(now.st_uid)):
                raise Unsafe(self.at(name), f"a file with {now.st_nlink} names", "a file with one name")
        except BaseException:
            os.close(fd)
            raise
        return fd

    def read(self, name: str, limit: int = MIB) -> bytes:
        """Return the content of a regular file of at most `limit` bytes. Raises Unsafe where it is larger."""
        return all_of(self.open(name), self.at(name), limit)

    def read_end(self, name: str, limit: int = MIB) -> tuple[bytes, int]:
        """Return the last bytes of a regular file, at most `limit`, and how many were left out."""
        return end_of(self.open(name), limit)

    def write(
        self, name: str, data: bytes, mode: int = 0o644, uid: int = -1, gid: int = -1, sync: bool = False
    ) -> None:
        """Put a file in place at once, whatever had its name but a directory. uid, gid: -1 = as they come.

        sync: have it on the disk before it gets its name.
        """
        temporary = f"{OURS}{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=self.fd)
            try:
                with os.fdopen(fd, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fchown(fd, uid, gid)
                    os.fchmod(fd, mode)
                    if sync:
                        os.fsync(fd)
                self._replace(temporary, name)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=self.fd)
                raise
            if sync:
                os.fsync(self.fd)
        except OSError as error:
            error.filename = self.at(name)
            raise

    def link(self, name: str, target: str) -> None:
        """Put a symbolic link in place at once, whatever had its name but a directory."""
        temporary = f"{OURS}{os.urandom(8).hex()}"
        os.symlink(target, temporary, dir_fd=self.fd)
        try:
            self._replace(temporary, name)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self.fd)
            raise

    def _replace(self, temporary: str, name: str) -> None:
        try:
            os.replace(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except IsADirectoryError:
            raise self.unlike(name, "a file or a link") from None

    @_with_path
    def rename(self, name: str, to: Directory, new: str) -> None:
        """Move an entry, also to another directory of the same file system."""
        os.replace(name, new, src_dir_fd=self.fd, dst_dir_fd=to.fd)

    @_with_path
    def hard_link(self, name: str, to: Directory, new: str) -> None:
        """Give an entry one more name, also in another directory of the same file system. Links are not followed."""
        os.link(name, new, src_dir_fd=self.fd, dst_dir_fd=to.fd, follow_symlinks=False)

    @_with_path
    def rmdir(self, name: str) -> bool:
        """Remove a directory below that is empty; return whether it was."""
        try:
            os.rmdir(name, dir_fd=self.fd)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        return True

    def own(self, uid: int = -1, gid: int = -1, mode: int | None = None) -> None:
        """Set owner, group and mode of the directory itself; -1 and None leave them."""
        try:
            os.fchown(self.fd, uid, gid)
            if mode is not None:
                os.fchmod(self.fd, mode)
        except OSError as error:
            error.filename = self.path
            raise

    @_with_path
    def own_file(self, name: str, uid: int = -1, gid: int = -1, mode: int | None = None) -> None:
        """Set owner, group and mode of a regular file below; -1 and None leave them."""
        fd = self.open(name, os.O_RDONLY)
        try:
            if self.exposed and os.fstat(fd).st_nlink > 1:
                raise Unsafe(self.at(name), "a file with several names", "a file with one name")
            os.fchown(fd, uid, gid)
            if mode is not None:
                os.fchmod(fd, mode)
        except OSError as error:
            error.filename = error.filename or name
            raise
        finally:
            os.close(fd)

    @_with_path
    def unlink(self, name: str) -> bool:
        """Remove a file, link or the like; return whether there was one. Raises Unsafe for a directory."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        except (IsADirectoryError, PermissionError):
            now = self.lstat(name)
            if now is not None and stat.S_ISDIR(now.st_mode):
                raise Unsafe(self.at(name), "a directory", "a file or a link") from None
            raise
        return True

    def remove(self, name: str) -> bool:
        """Remove whatever has a name, of a directory all that is in it; return whether there was something."""
        now = self.lstat(name)
        if now is None:
            return False
        if not stat.S_ISDIR(now.st_mode):
            return self.unlink(name)
        with self.enter(name) as inside:
            inside.clear()
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self.fd)
        return True

    def clear(self) -> None:
        """Remove all entries. What is deep below is moved up first, so neither depth nor descriptors run out."""
        for _round in range(ROUNDS_MAXIMUM):
            names = self.some(NAMES_MAXIMUM)
            if not names:
                return
            for name in names:
                if not self._drop(name):
                    with contextlib.suppress(FileNotFoundError), self.enter(name) as inside:
                        for inner in inside.some(NAMES_MAXIMUM):
                            if not inside._drop(inner):
                                inside.rename(inner, self, f"{OURS}{os.urandom(8).hex()}")
        raise Unsafe(
            self.path, "a directory in which entries keep appearing", "a directory that no other process fills"
        )

    def _drop(self, name: str) -> bool:
        """Remove an entry that is no directory with entries; return whether it is gone."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return True
        except (IsADirectoryError, PermissionError):
            try:
                os.rmdir(name, dir_fd=self.fd)
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return False
        return True

    def unlike(self, name: str, wanted: str) -> Unsafe:
        """Return the error that says what an entry is, and what was expected."""
        now = self.lstat(name)
        found = kind_of(now.st_mode) if now else "not there"
        target = self.readlink(name) if now and stat.S_ISLNK(now.st_mode) else None
        return Unsafe(self.at(name), f"{found} to {target}" if target else found, wanted)


def all_of(fd: int, path: str, limit: int) -> bytes:
    """Return the content of an open file, which is closed. Raises Unsafe where it is larger than `limit` bytes."""
    data = bytearray()
    with os.fdopen(fd, "rb") as stream:
        size = os.fstat(fd).st_size
        # By blocks: a read takes memory for all that it is asked for.
        while size <= limit and len(data) <= limit:
            block = stream.read(min(MIB, limit + 1 - len(data)))
            if not block:
                break
            data += block
    if size > limit or len(data) > limit:
        raise Unsafe(path, f"a file of more than {limit} bytes", "a smaller file")
    return bytes(data)


def end_of(fd: int, limit: int) -> tuple[bytes, int]:
    """Return the last bytes of an open file, which is closed, at most `limit`, and how many were left out."""
    with os.fdopen(fd, "rb") as stream:
        left_out = max(0, stream.seek(0, os.SEEK_END) - limit)
        stream.seek(left_out)
        return stream.read(limit), left_out
