# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to files below directories that another account may write. PRIVATE to the collection.

Modules run as root, and the service user or a model's owner may put links, FIFOs or endless files where root looks. So
each component of a path is opened by a descriptor without following links, and everything is done relative to it:
nobody can put another thing in its place between a check and its use.

A directory is *exposed* where an account besides root and our own may change its entries, or those of a directory above
it. Links are followed in directories that are not exposed, and nowhere else, apart from what open_as says.

What only asks for metadata of a path (os.path.isdir, os.stat, os.statvfs) shows nobody anything and changes nothing, so
it may stay elsewhere. Anything that opens, lists to read, makes, changes or removes belongs here.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import itertools
import os
import shlex
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ansible.module_utils.basic import AnsibleModule

    Method = t.TypeVar("Method", bound=Callable[..., t.Any])

MIB = 1024**2
# A directory with more entries is refused where its names are needed: it is none of ours.
NAMES_MAXIMUM = 100_000
LINKS_MAXIMUM = 40
# Directories below each other that are looked through.
DEPTH_MAXIMUM = 32
# Rounds in which a directory that somebody refills meanwhile is emptied.
ROUNDS_MAXIMUM = 1_000_000
OURS = ".vllm-ray-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Enough to go through a directory that we may enter and not list.
_PASSED = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KERNEL = ("/proc/", "/sys/")
KERNEL_BLOCK = 64 * 1024


def shown(text: str, most: int = 400) -> str:
    """Return a name or path for messages and results: at most so many characters, none of which a terminal obeys."""
    cut = text if len(text) <= most else f"{text[:most]}..."
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)


class Unsafe(OSError):
    """What is at a path may not be used there. The message has the path, what was found, what was expected, a fix."""

    def __init__(self, path: str, found: str, wanted: str, fix: str = "") -> None:
        device = path.startswith("/dev/")
        aside = (
            "set another path"
            if device
            else f"move it away: mv -T {shlex.quote(shown(path))} {shlex.quote(shown(path) + '.aside')}"
        )
        self.path, self.found, self.wanted, self.fix = path, shown(found), wanted, fix or aside
        super().__init__(errno.EPERM, f"{shown(path)} is {self.found}; expected {wanted}. To fix it, {self.fix}")

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Account:
    """Who must be able to read what a link in an exposed directory leads to. uid: None where it does not exist yet:
    then only what everybody may read counts.
    """

    uid: int | None = None
    gids: frozenset[int] = frozenset()

    def may(self, status: os.stat_result, bits: int) -> bool:
        """Whether the mode of a file or directory gives it what bits say: 4 to read, 1 to enter."""
        if self.uid == 0:
            return True
        if self.uid is not None and status.st_uid == self.uid:
            return (status.st_mode >> 6) & bits == bits
        if status.st_gid in self.gids:
            return (status.st_mode >> 3) & bits == bits
        return status.st_mode & bits == bits


def trusted(uid: int) -> bool:
    """Whether an owner is root or the account that we run as."""
    return uid in (0, os.geteuid())


def kind_of(mode: int) -> str:
    """Return what a file's mode says that it is, for messages."""
    names = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFREG: "a file",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
    }
    return names.get(stat.S_IFMT(mode), "a device")


def _with_path(method: Method) -> Method:
    """Let the OSErrors of a method whose first argument is the name of an entry have its whole path."""

    @functools.wraps(method)
    def named(self: Directory, name: str, *args: t.Any, **options: t.Any) -> t.Any:
        try:
            return method(self, name, *args, **options)
        except OSError as error:
            if error.filename == name:
                error.filename = self.at(name)
            raise

    return t.cast("Method", named)


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
        names = self._some(NAMES_MAXIMUM + 1)
        if len(names) > NAMES_MAXIMUM:
            raise Unsafe(self.path, f"a directory with more than {NAMES_MAXIMUM} entries", "a directory with fewer")
        return sorted(names)

    def _some(self, most: int) -> list[str]:
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
            fd = os.open(name, _DIRECTORY, dir_fd=self.fd)
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
        return _all_of(self.open(name), self.at(name), limit)

    def read_end(self, name: str, limit: int = MIB) -> tuple[bytes, int]:
        """Return the last bytes of a regular file, at most `limit`, and how many were left out."""
        return _end_of(self.open(name), limit)

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
            names = self._some(NAMES_MAXIMUM)
            if not names:
                return
            for name in names:
                if not self._drop(name):
                    with contextlib.suppress(FileNotFoundError), self.enter(name) as inside:
                        for inner in inside._some(NAMES_MAXIMUM):
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


def open_directory(path: str, make: int | None = None, account: Account | None = None) -> Directory:
    """Open a directory by its path. make: mode in which missing ones are made; None: raise FileNotFoundError.

    account: links in exposed directories are followed, too, to directories that it could list itself; None: they are
    refused.
    """
    walk = _Walk(account)
    try:
        walk.go(os.path.abspath(path), make)
        if walk.crossed and not walk.may(walk.stack[-1].status(), 5):
            raise Unsafe(path, f"a link to {walk.stack[-1].path}", "a directory that the service user can list itself")
        return walk.stack.pop()
    finally:
        walk.close()


def make_directories(path: str, mode: int = 0o755) -> None:
    """Make a directory and its missing parents in a mode, whatever the umask is; those that are there stay."""
    open_directory(path, make=mode).close()


@contextlib.contextmanager
def parent_of(path: str, make: int | None = None) -> Iterator[tuple[Directory, str]]:
    """Open the directory that holds a path; yield it with the last name. make: as of open_directory."""
    folder, name = os.path.split(os.path.abspath(path))
    if not name:
        raise Unsafe(path, "the root of all files", "something below it")
    with open_directory(folder, make) as directory:
        yield directory, name


def open_file(path: str, account: Account | None = None, inside: Collection[str] = ()) -> t.BinaryIO:
    """Open a regular file to read. account, inside: as of open_as; without an account no link of an exposed directory
    is followed. Raises OSError, Unsafe among them.
    """
    return os.fdopen(_open(path, account, inside), "rb")


def read_bytes(path: str, limit: int = MIB, account: Account | None = None, inside: Collection[str] = ()) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. The rest as of open_file. Raises OSError."""
    return _all_of(_open(path, account, inside), path, limit)


def read_text(path: str, limit: int = MIB) -> str | None:
    """Return the text of a file, None where there is none. Raises Unsafe where it is no file of at most `limit` bytes.

    Bytes that are no UTF-8 come as surrogate escapes.
    """
    try:
        return read_bytes(path, limit).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def read_json(path: str, kind: type[_json.T], limit: int = MIB) -> _json.T | None:
    """Return what a file of JSON holds, None where there is no file or an empty one. kind: dict or list.

    Raises Unsafe where it is no file of at most `limit` bytes, no JSON, nested too deeply, or of another kind.
    """
    try:
        data = read_bytes(path, limit)
        return _json.parse(data, kind) if data.strip() else None
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Unsafe(path, f"a file whose content can't be used ({error})", _json.KINDS[kind]) from None


def read_end(path: str, limit: int = MIB) -> tuple[bytes, int]:
    """Return the last bytes of a regular file, at most `limit`, and how many were left out."""
    return _end_of(_open(path), limit)


def _all_of(fd: int, path: str, limit: int) -> bytes:
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


def _end_of(fd: int, limit: int) -> tuple[bytes, int]:
    with os.fdopen(fd, "rb") as stream:
        left_out = max(0, stream.seek(0, os.SEEK_END) - limit)
        stream.seek(left_out)
        return stream.read(limit), left_out


def read_kernel(path: str, limit: int = 16 * MIB) -> str | None:
    """Return the text of a file of /proc or /sys, where nobody can put anything; None where it can't be read."""
    if not path.startswith(_KERNEL) or "/../" in path:
        raise Unsafe(path, "a path elsewhere", "a path below /proc or /sys")
    data = bytearray()
    try:
        with open(path, "rb") as stream:
            # By small blocks: the kernel refuses to be asked for megabytes of a setting.
            while len(data) < limit:
                block = stream.read(min(KERNEL_BLOCK, limit - len(data)))
                if not block:
                    break
                data += block
    except OSError:
        return None
    return data.decode("utf-8", "replace")


def write_file(path: str, data: bytes, mode: int = 0o644, uid: int = -1, gid: int = -1, sync: bool = False) -> None:
    """Put a file in place at once. Its directory must be there. uid, gid, sync: as of Directory.write."""
    with parent_of(path) as (directory, name):
        directory.write(name, data, mode, uid, gid, sync)


def open_plain(path: str) -> t.BinaryIO:
    """Open a regular file to read, without a look at the directories above it: for trees of many thousand files that
    only root may change, and where what is read gets nowhere. A link or FIFO is refused. Raises OSError.
    """
    fd = _plain(path)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        found = kind_of(os.fstat(fd).st_mode)
        os.close(fd)
        raise Unsafe(path, found, "a file")
    return os.fdopen(fd, "rb")


def set_mode(path: str, mode: int) -> None:
    """Set the mode of a file or directory, no link, in a tree that only root may change, as of open_plain."""
    fd = _plain(path)
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def own_open(
    fd: int, uid: int = -1, gid: int = -1, mode: int | None = None, times: tuple[int, int] | None = None
) -> None:
    """Set owner, group, mode and times (of the last use and change, in ns) of an open file; -1 and None leave them."""
    os.fchown(fd, uid, gid)
    if mode is not None:
        os.fchmod(fd, mode)
    if times is not None:
        os.utime(fd, ns=times)


def _plain(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise Unsafe(path, "a symbolic link", "a file or a directory") from None
        raise


def create(path: str, mode: int = 0o600) -> t.BinaryIO:
    """Make a new file to write; what had its name goes. Its directory must be there."""
    with parent_of(path) as (directory, name):
        directory.unlink(name)
        return os.fdopen(directory.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def open_lock(path: str) -> t.BinaryIO:
    """Open a file to lock, made where it is missing. Its directory must be there."""
    with parent_of(path) as (directory, name):
        return os.fdopen(directory.open(name, os.O_RDWR | os.O_CREAT), "r+b")


def remove(path: str) -> bool:
    """Remove whatever is at a path, of a directory all that is in it; return whether there was something."""
    try:
        with parent_of(path) as (directory, name):
            return directory.remove(name)
    except FileNotFoundError:
        return False


def link(path: str, target: str) -> None:
    """Put a symbolic link in place at once, whatever had its name but a directory."""
    with parent_of(path) as (directory, name):
        directory.link(name, target)


def rename(path: str, new: str) -> None:
    """Give what is at a path another one, in the same file system. A file that is there goes."""
    with parent_of(path) as (source, name), parent_of(new) as (target, other):
        source.rename(name, target, other)


def find(root: str, *patterns: str) -> Iterator[tuple[Directory, str]]:
    """Yield what is below a directory, a pattern of names for each level, sorted: the open directory and a name.

    What can't be entered is left out, and so are links in exposed directories on the way to the last level.
    """
    try:
        directory = open_directory(root)
    except OSError:
        return
    with directory:
        try:
            names = fnmatch.filter(directory.names(), patterns[0])
        except OSError:
            return
        for name in names:
            if name.startswith(".") and not patterns[0].startswith("."):
                continue
            if len(patterns) == 1:
                yield directory, name
            else:
                yield from find(directory.at(name), *patterns[1:])


def walk(root: str, most: int = NAMES_MAXIMUM, directories: bool = False) -> Iterator[tuple[Directory, str]]:
    """Yield all that is no directory below a directory, links as themselves: the open directory and a name.

    directories: yield these, too, before what is in them. At most so many entries are read. What can't be entered
    is left out, and what is below DEPTH_MAXIMUM. Raises OSError for the root itself.
    """
    pending = [""]
    with open_directory(root) as top:
        while pending:
            folder = pending.pop()
            try:
                directory = _below(top, folder)
            except OSError:
                continue
            with directory:
                names = sorted(directory._some(most))
                most -= len(names)
                for name in names:
                    now = directory.lstat(name)
                    if now is None:
                        continue
                    if directories or not stat.S_ISDIR(now.st_mode):
                        yield directory, name
                    if stat.S_ISDIR(now.st_mode) and folder.count("/") < DEPTH_MAXIMUM:
                        pending.append(f"{folder}/{name}")


def _below(top: Directory, folder: str) -> Directory:
    """Open a directory below another one, by names that are parted by slashes, through no link."""
    here = Directory(os.dup(top.fd), top.path, None)
    here.exposed, here.sticky = top.exposed, top.sticky
    for name in folder.split("/")[1:]:
        with here:
            here = here.enter(name)
    return here


@contextlib.contextmanager
def reported(module: AnsibleModule) -> Iterator[None]:
    """Let a module end with one sentence, without a traceback, where files are not as they must be."""
    said = ""
    try:
        yield
    except Unsafe as error:
        said = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        said = f"{shown(os.fsdecode(error.filename))}: {error.strerror}"
    if said:
        module.fail_json(msg=said)


def open_as(path: str, account: Account, inside: Collection[str] = ()) -> int:
    """Open a regular file to read, through links in exposed directories, too; return its descriptor.

    Where such a link was followed, the file must be below one of the directories `inside`, or one that `account` could
    read itself: what only root may read never gets out by a link. Raises Unsafe and OSError.
    """
    return _open(path, account, inside)


def _open(path: str, account: Account | None = None, inside: Collection[str] = ()) -> int:
    walk = _Walk(account)
    try:
        folder, name = os.path.split(os.path.abspath(path))
        walk.go(folder)
        for _link in range(LINKS_MAXIMUM):
            directory = walk.stack[-1]
            target = directory.readlink(name)
            if target is None:
                break
            if directory.exposed and account is None:
                raise directory.unlike(name, "a file")
            walk.cross(directory)
            folder, name = os.path.split(target)
            walk.go(folder)
            if name in ("", ".", ".."):
                raise Unsafe(path, f"a link to {target}", "one to a file")
        directory = walk.stack[-1]
        fd = directory.open(name)
        try:
            real = directory.at(name)
            within = any(real.startswith(f"{root.rstrip('/')}/") for root in inside)
            if walk.crossed and not within and not walk.may(os.fstat(fd), 4):
                raise Unsafe(
                    path, f"a link to {real}, which the service user could not read itself", "a file of its own"
                )
        except BaseException:
            os.close(fd)
            raise
        return fd
    finally:
        walk.close()


class _Walk:
    """Goes through a path, component by component. stack: the directories from / on, open.

    account: who may be led by links of exposed directories; None: nobody. crossed: whether one was followed.
    """

    def __init__(self, account: Account | None = None) -> None:
        self.account, self.crossed = account, False
        self.links = 0
        self.stack = [Directory(os.open("/", _DIRECTORY), "/", None)]

    def close(self) -> None:
        for directory in self.stack:
            directory.close()

    def may(self, status: os.stat_result, bits: int) -> bool:
        """Whether the account could come here itself, and has the rights of bits to an entry of this place."""
        if self.account is None:
            return False
        way = all(self.account.may(directory.status(), 1) for directory in self.stack)
        return way and self.account.may(status, bits)

    def cross(self, directory: Directory) -> None:
        """Follow a link of a directory, if that may be."""
        self.links += 1
        if self.links > LINKS_MAXIMUM:
            raise Unsafe(directory.path, "a loop of links", "a path without a loop")
        self.crossed |= directory.exposed

    def go(self, path: str, make: int | None = None) -> None:
        """Go on from where we are, or from / on where the path is absolute."""
        pending = self._turn(path)
        while pending:
            name = pending.pop()
            here = self.stack[-1]
            if name == "..":
                if len(self.stack) > 1:
                    self.stack.pop().close()
                continue
            target = here.readlink(name)
            if target is None:
                self.stack.append(here.enter(name, make))
            elif here.exposed and self.account is None:
                raise here.unlike(name, "a directory")
            else:
                self.cross(here)
                pending += self._turn(target)

    def _turn(self, path: str) -> list[str]:
        """Return the components of a path in reverse; go back to / where it is absolute."""
        if path.startswith("/"):
            while len(self.stack) > 1:
                self.stack.pop().close()
        return [part for part in reversed(path.split("/")) if part not in ("", ".")]
