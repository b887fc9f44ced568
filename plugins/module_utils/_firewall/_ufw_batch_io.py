# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many commands of ufw in one process. PRIVATE to the collection.

A command of ufw costs a quarter of a second: it starts Python, and writes and loads all rules. ufw is itself a Python
package, and its command does little more than what run() does. Its package is no public interface, so nothing depends
on this: run() says what was in its way, and the caller does what is left with commands.
"""

from __future__ import annotations

import contextlib
import gettext
import importlib
import io
import sys
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


def run(program: str, commands: Sequence[Sequence[str]]) -> str:
    """Run commands of ufw that add and delete rules, under its lock, and load the rules into the kernel once.

    program: path of ufw. Return why it did not come to the end, empty where it did. The rules in the kernel may be old
    ones then.
    """
    argv = sys.argv
    try:
        # What ufw prints must not get into the module's own output.
        with contextlib.redirect_stdout(io.StringIO()):
            # ufw checks who may write to its program. That of a module is in an archive, where there is no such file.
            sys.argv = [program]
            gettext.install("ufw")
            frontend, util = (importlib.import_module(f"ufw.{name}") for name in ("frontend", "util"))
            lock = util.create_lock("/run/ufw.lock")
            try:
                _run(frontend, commands)
            finally:
                util.release_lock(lock)
    except (Exception, SystemExit) as error:  # SystemExit is how ufw ends on an error
        return f"{type(error).__name__}: {error}"
    finally:
        sys.argv = argv
    return ""


def _run(frontend: ModuleType, commands: Sequence[Sequence[str]]) -> None:
    ufw = frontend.UFWFrontend(False)
    # An AttributeError here, before anything is changed, where this ufw has another inside.
    load = ufw.backend._reload_user_rules
    ufw.backend._reload_user_rules = lambda: None
    try:
        for words in commands:
            parsed = frontend.parse_command(["ufw", *words])
            ufw.do_action(parsed.action, parsed.data["rule"], parsed.data["iptype"], True)
    finally:
        del ufw.backend._reload_user_rules
        load()
