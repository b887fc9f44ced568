# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hub is asked about a model, and its answer: a commit, and files with hashes. PRIVATE to the collection."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import typing as t
from urllib.parse import quote

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import COMMIT, SUMS

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import Wish

SHA1, SHA256 = COMMIT, re.compile(r"[0-9a-f]{64}")
# ModelScope lists no more files than that at once, and does not say so (modelscope_hub 0.5, constants.py).
MODELSCOPE_LISTS = 3000


class File(t.NamedTuple):
    """A file of a revision. sha256: of its bytes; blob: its id in git, where the hub knows no other hash.

    Where it reports neither, as ModelScope may, only the size is known.
    """

    path: str
    size: int
    sha256: str = ""
    blob: str = ""


class Listing(t.NamedTuple):
    """What a revision is. commit: a mirror has none, so there it is made of the text of SHA256SUMS."""

    commit: str
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def listing_url(wish: Wish) -> str:
    """Return the URL of a revision's commit and files."""
    revision = quote(wish.wanted_revision, safe="")
    if wish.hub == "mirror":
        return f"{wish.url}/{SUMS}"
    if wish.hub == "modelscope":
        return f"{wish.url}/api/v1/models/{wish.model}/repo/files?Revision={revision}&Recursive=True"
    return f"{wish.url}/api/models/{wish.model}/revision/{revision}?blobs=true"


def file_url(wish: Wish, name: str) -> str:
    """Return the URL of one file of a revision."""
    revision = quote(wish.wanted_revision, safe="")
    if wish.hub == "mirror":
        return f"{wish.url}/{quote(name)}"
    if wish.hub == "modelscope":
        return f"{wish.url}/api/v1/models/{wish.model}/repo?Revision={revision}&FilePath={quote(name, safe='')}"
    return f"{wish.url}/{wish.model}/resolve/{revision}/{name}"


def parse_listing(wish: Wish, text: str) -> Listing:
    """Return what a hub's answer says of a revision. ValueError, where it is none; LookupError, where it says that
    there is no such revision."""
    if wish.hub == "mirror":
        return parse_sums(text)
    answer = _json.parse(text, dict)
    try:
        listing = parse_modelscope(answer, wish) if wish.hub == "modelscope" else parse_huggingface(answer)
    except KeyError as error:
        raise ValueError(f"the answer has no {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    for file in listing.files:
        check_path(file.path)
    return listing


def parse_huggingface(answer: dict[str, t.Any]) -> Listing:
    """Return a revision of Hugging Face.

    Of a file in LFS the SHA-256 is known; of any other only its blob in git, which is made of its bytes, too.
    """
    commit = answer.get("sha")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise ValueError("no commit")
    files = (
        File(one["rfilename"], int(one["size"]), _hash(one["lfs"]["sha256"], SHA256))
        if one.get("lfs")
        else File(one["rfilename"], int(one["size"]), "", _hash(one["blobId"], SHA1))
        for one in answer["siblings"]
    )
    return Listing(commit, tuple(sorted(files)))


def parse_modelscope(answer: dict[str, t.Any], wish: Wish) -> Listing:
    """Return a revision of ModelScope.

    It reports only the begin of the commit, and of each file the commit that changed it last: in full it is known where
    it changed a file that is still there. Otherwise the revision stays what it is called.
    """
    data = answer.get("Data") or {}
    if answer.get("Success") is False:
        raise ValueError(str(answer.get("Message")))
    if data.get("Files") is None:
        # So it answers, with HTTP 200, where there is no such revision.
        raise LookupError(wish.wanted_revision)
    if len(data["Files"]) >= MODELSCOPE_LISTS:
        raise ValueError(f"it lists at most {MODELSCOPE_LISTS} files")
    begin = (data.get("LatestCommitter") or {}).get("ShortId") or "-"
    commits = (one.get("Revision") or "" for one in data["Files"])
    commit = next((one for one in commits if one.startswith(begin) and COMMIT.fullmatch(one)), wish.wanted_revision)
    files = (
        File(one["Path"], int(one["Size"]), _hash(one["Sha256"].lower(), SHA256) if one.get("Sha256") else "")
        for one in data["Files"]
        if one["Type"] != "tree"
    )
    return Listing(commit, tuple(sorted(files)))


def _hash(text: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(text):
        raise ValueError(f"{text!r} is not a hash")
    return text


def parse_sums(text: str) -> Listing:
    """Return what a mirror has, by its SHA256SUMS; the sizes are not listed there.

    A line is a hash, a space, a space or an asterisk, and a name. One with a backslash before it has a name in which
    backslashes, newlines and carriage returns are escaped (GNU coreutils, "md5sum invocation").
    """
    files = {}
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        match = re.fullmatch(r"(\\?)([0-9a-fA-F]{64}) [ *](.+?)\r?", line)
        if not match:
            raise ValueError(f"line {number} is not as sha256sum writes it")
        name = match[3]
        if match[1]:
            name = re.sub(r"\\(.)", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), name)
        path = re.sub(r"^(\./)+", "", name)
        check_path(path)
        files[path] = File(path, 0, match[2].lower())
    files.pop(SUMS, None)
    if not files:
        raise ValueError("it lists no file")
    return Listing(hashlib.sha256(text.encode()).hexdigest()[:40], tuple(sorted(files.values())))


def check_path(path: str) -> None:
    """Raise ValueError where a name leads out of the directory, or is none."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"{path!r} is not a file name")


def wanted(wish: Wish, files: Iterable[File], exclude: Sequence[str]) -> list[File]:
    """Return the files of a model without hidden ones, which are of the hub's own tools, and without those left out.

    The patterns are taken as the client takes them: `*` is any text, slashes too.
    """
    patterns = list(exclude)
    if wish.hub == "modelscope":
        # Commas part patterns, and what looks like a regular expression is tried as a pattern, too.
        patterns = [part.strip() for pattern in patterns for part in pattern.split(",") if part.strip()]
        patterns += [pattern.replace(".*", "*") for pattern in patterns if ".*" in pattern]
    else:
        patterns = [pattern + "*" if pattern.endswith("/") else pattern for pattern in patterns]
    return [
        file
        for file in files
        if not re.search(r"(^|/)\.", file.path)
        and not any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)
    ]


def hasher(file: File) -> tuple[t.Any, str]:
    """Return what hashes a file as its hub does, and what has to come of it; nothing where the hub reports no hash."""
    if not file.blob:
        return hashlib.sha256(), file.sha256
    # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    return hashlib.sha1(b"blob %d\0" % file.size), file.blob
