# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts may read a path, and which file system it is on. PRIVATE to the collection."""

from __future__ import annotations

import stat
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import problem

if t.TYPE_CHECKING:
    from collections.abc import Iterable

# Types of file systems that several hosts mount.
SHARED_TYPES = (
    "afs", "beegfs", "ceph", "cifs", "coda", "fhgfs", "gfs", "gfs2", "glusterfs", "gpfs", "ibrix", "lustre", "nfs",
    "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "quobyte", "smb3", "virtiofs", "wekafs", "9p",
)  # fmt: skip
# The same by way of FUSE: fuse.TYPE in mountinfo.
SHARED_FUSE = (
    "alluxio", "blobfuse", "ceph", "cvmfs", "dfs", "gcsfuse", "gluster", "goofys", "hdfs", "juicefs", "lizardfs",
    "moosefs", "mfs", "mount-s3", "quobyte", "rclone", "s3fs", "seaweedfs", "sshfs", "weed",
)  # fmt: skip


class Mount(t.NamedTuple):
    """A mounted file system. shared: hosts that mount the same source see the same files."""

    point: str
    type: str
    source: str
    shared: bool


class Step(t.NamedTuple):
    """A directory or file on the way to a file. acl: it has an access list, which the mode doesn't show."""

    path: str
    mode: int
    uid: int
    gid: int
    acl: bool = False


class Reader(t.NamedTuple):
    """The account that wants to read. uid: None if it does not exist yet: then only what everybody may read counts."""

    name: str
    uid: int | None = None
    gids: frozenset[int] = frozenset()


def is_shared(kind: str) -> bool:
    """Whether file systems of a type are shared between hosts."""
    base, _dot, sub = kind.partition(".")
    return kind in SHARED_TYPES or (base == "fuse" and sub.startswith(SHARED_FUSE))


def unescape(text: str) -> str:
    """Return a path of mountinfo with its octal escapes resolved."""
    head, *rest = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] if part[:3].isdigit() else "\\" + part for part in rest)


def mount_of(mountinfo: str, path: str) -> Mount:
    """Return the mount of a resolved path. mountinfo: the text of /proc/self/mountinfo."""
    best = Mount("/", "", "", False)
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not dash or len(fields) < 5 or len(tail) < 2:
            continue
        point = unescape(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of several mounts on one directory the last one is seen.
        if inside and len(point) >= len(best.point):
            best = Mount(point, tail[0], unescape(tail[1]), is_shared(tail[0]))
    return best


def allows(step: Step, reader: Reader, bits: int) -> bool:
    """Whether a mode lets somebody do what bits (4 read, 1 enter) say."""
    if reader.uid == 0 or step.acl:
        return True
    if reader.uid is not None and step.uid == reader.uid:
        return (step.mode >> 6) & bits == bits
    if step.gid in reader.gids:
        return (step.mode >> 3) & bits == bits
    return step.mode & bits == bits


def first_closed(steps: Iterable[Step], reader: Reader, target: str) -> Step | None:
    """Return the first step that keeps somebody from reading. target: the tree, inside which all must be readable.

    steps: parents first.
    """
    for step in steps:
        inside = step.path == target or step.path.startswith(target.rstrip("/") + "/")
        enter = 1 if stat.S_ISDIR(step.mode) else 0
        read = 4 if inside or not stat.S_ISDIR(step.mode) else 0
        if not allows(step, reader, enter | read):
            return step
    return None


def closed_problem(step: Step, reader: Reader, owner: str, group: str, target: str) -> dict[str, str]:
    """Return the problem of a closed step, with what would open it."""
    directory = stat.S_ISDIR(step.mode)
    inside = step.path == target or step.path.startswith(target.rstrip("/") + "/")
    bits = "r" if not directory else "rx" if inside else "x"
    needed = {"r": 4, "x": 1, "rx": 5}[bits]
    fixes = [f"chmod o+{bits} '{step.path}'", f"setfacl -m u:{reader.name}:{bits} '{step.path}'"]
    if (step.mode >> 3) & needed == needed and step.gid != 0:
        fixes.append(f"usermod -aG {group} {reader.name}")
    fixes.append("set model_path to a directory that everybody may enter; the model is then copied to it")
    what = "directory" if directory else "file"
    mode = f"{stat.S_IMODE(step.mode):04o}"
    found = f"the {what} {step.path} (mode {mode}, {owner}:{group}) keeps {reader.name} from reading {target}"
    return problem("model", found, f"{bits} for {reader.name}", "; or ".join(fixes))
