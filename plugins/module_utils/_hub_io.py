# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download a model of a hub by the hub's own client. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import typing as t
from urllib.error import HTTPError, URLError

from ansible_collections.vllm_ray.cluster.plugins.module_utils import (
    _http_io,
    _hub,
    _manifest,
    _manifest_io,
    _tree,
    _tree_io,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

PART = ".vllm-ray-download"


def ask(wish: _hub.Wish, way: _hub.Way) -> tuple[str, int]:
    """Return the commit of a revision, and the size of its files where the hub tells it."""
    if not wish.particulars.resolves:
        return wish.wanted_revision, 0
    try:
        with _http_io.download(_hub.api_url(wish), *way) as answer:
            return _hub.parse_revision(json.loads(answer.read()))
    except HTTPError as error:
        error.close()
        raise _manifest_io.Unusable(_hub.refusal(wish, error.code, str(error.reason), bool(way.token))) from error
    except (URLError, socket.timeout, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
        raise _manifest_io.Unusable(_hub.refusal(wish, 0, way.without_secrets(reason), bool(way.token))) from error


def open_to_all(path: str) -> None:
    """Let everybody read a tree, and nobody but its owner write to it."""
    for folder, _names, files in os.walk(path):
        os.chmod(folder, 0o755)
        for name in files:
            place = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(place).st_mode):
                os.chmod(place, 0o644)


def write_pin(name: str, pin: _hub.Pin) -> None:
    _manifest_io.make_directories(os.path.dirname(name))
    with open(name + ".new", "w", encoding="utf-8") as stream:
        stream.write(_hub.render_pin(pin))
    os.chmod(name + ".new", 0o644)
    os.replace(name + ".new", name)


def ensure(module: AnsibleModule) -> dict[str, t.Any]:
    """Make a model be there, and return where, at which commit, and whether something was done."""
    params = module.params
    wish = _hub.Wish(params["hub"], params["model"], params["revision"], params["endpoint"])
    for problem in _hub.wish_problems(wish):
        raise _manifest_io.Unusable(problem)
    pin_file = os.path.join(params["record_directory"], _hub.pin_name(wish, params["path"] or ""))
    pin = None if params["update"] else _hub.parse_pin(_manifest_io.read_text(pin_file))
    commit, size = _hub.known_commit(wish, pin), 0
    way = _hub.Way(params["token"] or "", params["proxy"] or "", params["ca_certificate"] or "")
    if not commit:
        commit, size = ask(wish, way)
    directory = params["path"] or _hub.directory_of(wish, params["root"], commit)
    result = {
        "changed": False,
        "exists": True,
        "directory": directory,
        "commit": commit,
        "msg": f"{directory} is there",
    }
    if os.path.isdir(directory):
        held = _hub.parse_pin(_manifest_io.read_text(pin_file))
        # A directory that is named after its commit holds it: it got that name when it was whole.
        if params["path"] and (not held or (held.commit, held.directory) != (commit, directory)):
            raise _manifest_io.Unusable(_hub.held_problem(directory, held, commit))
    else:
        result.update(
            changed=True, exists=not module.check_mode, msg=f"{wish.model} at {commit} from {wish.url} to {directory}"
        )
        size = size or ask(wish, way)[1]
        free, reserve = _manifest_io.free_bytes(directory), int(params["reserve_gib"] * _manifest.GIB)
        for problem in _manifest.disk_problems(_manifest_io.existing(directory), free, size, reserve):
            raise _manifest_io.Unusable(problem)
        if not module.check_mode:
            download(module, wish, commit, directory, way)
    if not module.check_mode:
        write_pin(pin_file, _hub.Pin(commit, directory))
    return result


def download(module: AnsibleModule, wish: _hub.Wish, commit: str, directory: str, way: _hub.Way) -> None:
    """Download into a directory beside the wanted one, and rename that when it is whole."""
    above, name = os.path.split(directory)
    part = os.path.join(above, f".{name}{PART}")
    home = os.path.join(part, ".home")
    _manifest_io.make_directories(part)
    rc, out, err = module.run_command(
        _hub.argv(wish, module.params["python"], commit, part, module.params["exclude"]),
        environ_update=_hub.environment(wish, way, home),
        cwd=part,
        handle_exceptions=False,
    )
    # The token may have been kept by the client: its home goes whatever happened.
    shutil.rmtree(home, ignore_errors=True)
    if rc:
        raise _manifest_io.Unusable(_hub.client_problem(wish, module.params["python"], out + err, way))
    shutil.rmtree(os.path.join(part, ".cache"), ignore_errors=True)
    open_to_all(part)
    os.rename(part, directory)
    _tree_io.write_record(module.params["record_directory"], _tree.Record(os.path.realpath(directory), made=True))
