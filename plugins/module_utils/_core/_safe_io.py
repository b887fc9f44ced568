# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to files below directories that another account may write. PRIVATE to the collection.

Modules run as root, and the service user or a model's owner may put links, FIFOs or endless files where root looks. So
each component of a path is opened by a descriptor without following links, and everything is done relative to it
(_directory_io): nobody can put another thing in its place between a check and its use. Links are followed in
directories that are not exposed, and nowhere else, apart from what open_as says.

What only asks for metadata of a path (os.path.isdir, os.stat, os.statvfs) shows nobody anything and changes nothing, so
it may stay elsewhere. Anything that opens, lists to read, makes, changes or removes belongs here.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._directory_io import (
    DIRECTORY,
    NAMES_MAXIMUM,
    Directory,
    all_of,
    end_of,
)
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._unsafe import Account, Unsafe, kind_of, shown

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ansible.module_utils.basic import AnsibleModule

MIB = 1024**2
LINKS_MAXIMUM = 40
# Directories below each other that are looked through.
DEPTH_MAXIMUM = 32
_KERNEL = ("/proc/", "/sys/")
KERNEL_BLOCK = 64 * 1024


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
    return all_of(_open(path, account, inside), path, limit)


def read_text(path: str, limit: int = MIB) -> str | None:
    """Return the text of a file, None where there is none. Raises Unsafe where it is no file of at most `limit` bytes.

    Bytes that are no UTF-8 come as surrogate escapes.
    """
    try:
        return read_bytes(path, limit).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def readable(path: str) -> str | None:
    """Return the text of a file, None where there is none or it can't be read, such as one of root alone."""
    try:
        return read_text(path)
    except OSError:
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
    return end_of(_open(path), limit)


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
                names = sorted(directory.some(most))
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
        self.stack = [Directory(os.open("/", DIRECTORY), "/", None)]

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
