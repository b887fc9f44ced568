#!/usr/bin/env python3
# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find canaries (tests/canaries.py) where others than root and the service user could read them, as root.

leaks.py host [SKIPPED...]   in the journal, and as nobody: in readable files below PLACES, and what /proc shows of
                             processes; and in what Ansible leaves in homes. SKIPPED are directories to leave out
leaks.py files PATH...       in files, and below directories
leaks.py watch STOP          in the command lines of all processes, as nobody, until the file STOP is there

Prints {where: [variables]} in JSON. Needs Python's own library alone.
"""

from __future__ import annotations

import glob
import json
import os
import re
import stat
import subprocess
import sys
import time

PATTERN = re.compile(rb"canary-([a-z_]+)-q7x2")
PLACES = ("/etc", "/opt", "/var", "/tmp", "/run", "/srv", "/usr/local", "/home", "/root")
NOBODY = 65534
# vLLM itself writes its options to its log, apart from its key and tokens.
ENGINE, OPTIONS = "vllm-ray-serve@", b"serve_args"

Found = "dict[str, list[str]]"


def add(found: Found, where: str, data: bytes) -> None:
    names = {match.decode() for match in PATTERN.findall(data)}
    if names:
        found[where] = sorted(names.union(found.get(where, [])))


def files(found: Found, place: str, skipped: tuple[str, ...] = ()) -> None:
    """Read all regular files that can be read at or below a path."""
    paths = [place]
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in skipped]
        paths += [os.path.join(folder, name) for name in names]
    for path in paths:
        try:
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as stream:
                    add(found, path, stream.read())
        except OSError:
            continue


def processes(found: Found) -> None:
    """Read what /proc shows of processes."""
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as stream:
                add(found, path, stream.read())
        except OSError:
            continue


def journal(found: Found) -> None:
    """Read the whole journal."""
    argv = ["journalctl", "--no-pager", "--all", "--output=json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        for line in process.stdout or []:
            if not PATTERN.search(line):
                continue
            entry = json.loads(line)
            unit, name = str(entry.get("_SYSTEMD_UNIT", "")), str(entry.get("SYSLOG_IDENTIFIER", ""))
            allowed = OPTIONS if unit.startswith(ENGINE) else b""
            kept = [match[0] for match in PATTERN.finditer(line) if match[1] != allowed]
            add(found, f"journal of {unit} {name}", b" ".join(kept))


def as_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def main(what: str, *words: str) -> None:
    found: Found = {}
    if what == "host":
        journal(found)
        for place in glob.glob("/home/*/.ansible*") + glob.glob("/root/.ansible*"):
            files(found, place)
        as_nobody()
        processes(found)
        for place in PLACES:
            files(found, place, words)
    elif what == "files":
        for place in words:
            if not os.path.exists(place):
                raise SystemExit(f"{place} is not there")
            files(found, place)
    else:
        as_nobody()
        while not os.path.exists(words[0]):
            processes(found)
            time.sleep(0.05)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
