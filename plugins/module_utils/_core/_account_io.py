# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs of a release as the service user. PRIVATE to the collection.

Root runs nothing of a release. Its files may belong to another account (release_path), and it runs code of packages and
models. What the service user can't run is of no use to the services either.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
import typing as t

from ansible.module_utils.common.process import get_bin_path

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _directory_io, _safe_io, _unsafe

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

NOBODY = "nobody"
LINKS_MAXIMUM = 40
# Reads the environment when the account has changed: what LD_PRELOAD and the like name is never loaded by root. It
# comes by standard input, as others can read command lines.
SCRIPT = 'eval "$(cat)" && exec "$@" </dev/null'


def account(user: str) -> pwd.struct_passwd | None:
    """Return the account that programs of a release run as, None for our own.

    user: name or number of the service user, empty for our own. Where it is not there yet it is nobody: the first
    deploy makes it.
    """
    if os.geteuid() != 0 or not user:
        return None
    try:
        found = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        found = pwd.getpwnam(NOBODY)
    return found if found.pw_uid else None


def exports(environment: Mapping[str, str]) -> str:
    """Return the commands of a shell that set an environment. What the shell can't name is left out."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n"
        for name, value in environment.items()
        if name.isidentifier() and name.isascii()
    )


def argv_as(who: pwd.struct_passwd, argv: Sequence[str]) -> list[str]:
    """Return the command that runs another one as an account, without root's environment, capabilities and terminal."""
    groups = "--clear-groups" if who.pw_name == NOBODY else "--init-groups"
    to = [f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", groups, "--no-new-privs", "--reset-env"]
    setsid, setpriv = map(get_bin_path, ("setsid", "setpriv"))
    return [setsid, "--wait", setpriv, *to, "/bin/sh", "-c", SCRIPT, "sh", *argv]


def run_as(
    module: AnsibleModule,
    user: str,
    argv: Sequence[str],
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    **how: object,
) -> tuple[int, str, str]:
    """Run a program as the service user; return its exit status and what it printed.

    user: as of account(). argv: the program by its absolute path. before: a command of the system that runs the rest of
    its command line, as root. how: options of AnsibleModule.run_command. The working directory is / by default.
    """
    who, variables = account(user), {name: str(value) for name, value in (environment or {}).items()}
    options = {"cwd": "/", **how}
    if who is None:
        return t.cast("tuple[int, str, str]", module.run_command([*argv], environ_update=variables, **options))
    command = [*before, *argv_as(who, argv)]
    return t.cast("tuple[int, str, str]", module.run_command(command, data=exports(variables), **options))


def exposed(path: str, links: int = LINKS_MAXIMUM) -> str:
    """Return the first file or directory of a path, or of what its links lead to, that an account besides root and our
    own may write; empty where there is none. OSError where the path is not there."""
    try:
        with _safe_io.parent_of(path) as (directory, name):
            target = directory.readlink(name)
            now = directory.lstat(name)
            if directory.exposed:
                return directory.path
            place = directory.at(name)
    except _unsafe.Unsafe as error:
        return error.path
    if target is not None:
        return exposed(os.path.join(os.path.dirname(place), target), links - 1) if links else place
    if now is None:
        raise FileNotFoundError(path)
    return "" if _directory_io.trusted(now.st_uid) and not stat.S_IMODE(now.st_mode) & 0o022 else place
