# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that takes part while one of the hosts is given its files one by one: a download that the test plays.

  grow.py < PARAMETERS    prints what the run returns, or {"failed": REASON}

The host that is `source` takes files over as they appear in the folder `from`; sizes are those of `files`. A file
`.end` there says that no more come, and its text what went wrong. Hashing the file `slow` takes five seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._folders_io import Failed
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _store_io, _tree_sync_io

hash_file = _store_io.hash_file


class Folder:
    """Takes files over as they appear, by a rename."""

    def __init__(self, folder: Path, files: list[tuple[str, int]]) -> None:
        self.folder, self.files, self.told = folder, files, set[str]()

    def poll(self) -> list[tuple[str, str]]:
        new = [name for name, _size in self.files if name not in self.told and (self.folder / name).exists()]
        self.told.update(new)
        return [(name, str(self.folder / name)) for name in new]

    @property
    def got(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def ended(self) -> bool:
        return (self.folder / ".end").exists()

    @property
    def failure(self) -> str:
        return (self.folder / ".end").read_text() if self.ended else ""

    def close(self) -> None:
        pass


def main() -> None:
    params = json.load(sys.stdin)
    slow = params.get("slow") or "no file"

    def take_time(handle: int, piece: int) -> str:
        text = hash_file(handle, piece)
        time.sleep(5 * os.readlink(f"/proc/self/fd/{handle}").endswith(slow))
        return text

    _store_io.hash_file = take_time
    mine = params["name"] == params["source"]
    filler = Folder(Path(params["from"]), [tuple(one) for one in params["files"]]) if mine else None
    try:
        print(json.dumps(_tree_sync_io.Host(params, filler).run()))
    except (Failed, OSError, ValueError) as error:
        print(json.dumps({"failed": str(error)}))


if __name__ == "__main__":
    main()
