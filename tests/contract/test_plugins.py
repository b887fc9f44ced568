# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws over plugins."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.vllm_ray.cluster.tests.contract import walk

CODE = ("action", "callback", "filter", "lookup", "module_utils", "modules", "plugin_utils", "doc_fragments")
# What reaches out of the process; a file that does it says so in its name.
OUTSIDE = {
    *("subprocess", "socket", "ssl", "http", "urllib.request", "ansible.module_utils.urls"),
    *("pathlib", "shutil", "tempfile", "glob", "fcntl", "ansible.utils.display"),
}
# What a pure file may ask of the modules os and time: nothing that looks at files, the environment or the clock.
PURE = re.compile(
    r"os\.path(\.(join|dirname|basename|normpath|isabs|relpath|split|splitext|commonpath|sep))?|os\.(sep|fspath|strerror)"
    r"|time\.(strftime|gmtime|strptime|struct_time)"
)

PROCESSES = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> set[str]:
    """Return the full names of what a file imports when it runs (what only type checkers see is left out)."""
    names: set[str] = set()
    typing_only = {
        id(inner)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(parsed(path)):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def documented() -> dict[str, dict[str, Any]]:
    """Return what ansible-doc knows: {type: {name: documentation}}."""
    found = {}
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(walk.ROOT)}
    for kind, folder in (("module", "modules"), ("filter", "filter"), ("lookup", "lookup"), ("callback", "callback")):
        names = [f"vllm_ray.cluster.{path.stem}" for path in walk.plugins(folder)]
        if names:
            command = ["ansible-doc", "--type", kind, "--json", *names]
            done = subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            found[kind] = json.loads(done.stdout)
    return found


def test_the_walk_sees_the_plugins() -> None:
    for kind in ("modules", "module_utils", "plugin_utils"):
        assert len(walk.plugins(kind)) >= walk.MINIMUM[kind], kind


def test_every_module_is_in_the_action_group() -> None:
    group = walk.load_mapping(walk.ROOT / "meta" / "runtime.yml")["action_groups"]["cluster"]
    assert group == sorted(path.stem for path in walk.plugins("modules"))


def test_main_only_wires() -> None:
    offences = []
    for path in walk.plugins("modules"):
        mains = [node for node in parsed(path).body if isinstance(node, ast.FunctionDef) and node.name == "main"]
        # A documentation module of an action plugin has no code at all.
        for main in mains:
            length = (main.end_lineno or main.lineno) - main.lineno + 1
            if length > 25:
                offences.append(f"{path.name}: main() has {length} lines")
    assert not offences, "\n".join(offences)


def test_every_plugin_is_documented() -> None:
    offences = []
    for kind, entries in documented().items():
        for name, entry in entries.items():
            wanted = ("doc",) if kind == "callback" else ("doc", "examples", "return")
            offences += [f"{kind} {name}: no {part}" for part in wanted if not entry.get(part)]
    assert not offences, "\n".join(offences)
    for kind, folder in (("module", "modules"), ("filter", "filter"), ("lookup", "lookup"), ("callback", "callback")):
        assert len(documented().get(kind, {})) == len(walk.plugins(folder)), kind


def test_every_module_states_its_attributes() -> None:
    offences = []
    for name, entry in documented().get("module", {}).items():
        attributes = entry["doc"].get("attributes") or {}
        offences += [
            f"{name}: {key}"
            for key in ("check_mode", "diff_mode", "idempotent")
            if not (attributes.get(key) or {}).get("support") or not (attributes.get(key) or {}).get("description")
        ]
        if name.endswith("_info") and (attributes.get("check_mode") or {}).get("support") != "full":
            offences.append(f"{name}: an info module supports check mode fully")
    assert not offences, "\n".join(offences)


def test_every_action_plugin_has_a_module_that_documents_it() -> None:
    modules = {path.stem for path in walk.plugins("modules")}
    assert [path.stem for path in walk.plugins("action") if path.stem not in modules] == []


def test_no_process_but_by_the_runner() -> None:
    offences = []
    for path in [path for kind in ("modules", "module_utils") for path in walk.plugins(kind)]:
        if "subprocess" in imports(path):
            offences.append(f"{path.name}: subprocess")
        calls = (ast.unparse(node) for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute))
        offences += [f"{path.name}: {call}" for call in calls if call.startswith(PROCESSES)]
    assert not offences, "\n".join(offences)


def impurities(path: Path) -> list[str]:
    """Return by what a file reaches out of its process."""
    found = [f"imports {name}" for name in sorted(imports(path) & OUTSIDE)]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "open":
            found.append(f"line {node.lineno}: open()")
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith(("os.", "time.")) and not PURE.fullmatch(name):
                found.append(f"line {node.lineno}: {name}")
    return found


def test_utils_are_private_and_pure() -> None:
    offences = []
    for path in [path for kind in ("module_utils", "plugin_utils") for path in walk.plugins(kind)]:
        if not path.stem.startswith("_"):
            offences.append(f"{path.name}: its name is public")
        if "PRIVATE" not in (ast.get_docstring(parsed(path)) or ""):
            offences.append(f"{path.name}: its docstring doesn't say PRIVATE")
        if not path.stem.endswith("_io"):
            offences += [f"{path.name}: {what}" for what in impurities(path)]
        if "ansible.module_utils.basic.AnsibleModule" in imports(path):
            offences.append(f"{path.name}: imports AnsibleModule")
    assert not offences, "\n".join(offences)


def test_action_plugins_show_and_fail_by_printable_text_alone() -> None:
    """Display and AnsibleActionFail write what they get to the terminal, names of processes and log lines included."""
    offences = []
    for path in walk.plugins("action"):
        shown = {"ansible.utils.display", "ansible.errors.AnsibleActionFail"}
        offences += [f"{path.name}: imports {name}" for name in sorted(imports(path) & shown)]
        for node in [node for node in ast.walk(parsed(path)) if isinstance(node, (ast.Dict, ast.Call, ast.Raise))]:
            keys = [ast.unparse(key) for key in getattr(node, "keys", []) if key] if isinstance(node, ast.Dict) else []
            if isinstance(node, ast.Call):
                keys = [repr(keyword.arg) for keyword in node.keywords]
            if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("AnsibleError"):
                offences.append(f"{path.name}:{node.lineno}: an error that is not ActionFailed")
            if "'failed'" in keys:
                offences.append(f"{path.name}:{node.lineno}: a failed result that is not made by failure()")
    assert not offences, "\n".join(offences)


def test_utils_lie_in_packages_of_their_domain() -> None:
    for kind in ("module_utils", "plugin_utils"):
        packages = Counter(
            path.relative_to(walk.ROOT / "plugins" / kind).parent.as_posix() for path in walk.plugins(kind)
        )
        assert len(packages) >= 10
        assert [name for name, count in packages.items() if not name.startswith("_") or "/" in name or count > 16] == []


def test_every_pure_file_has_a_unit_test() -> None:
    offences = []
    for kind in ("module_utils", "plugin_utils", "filter"):
        for path in walk.plugins(kind):
            folder = path.relative_to(walk.ROOT).parent
            test = walk.ROOT / "tests" / "unit" / folder / f"test_{path.stem}.py"
            if not path.stem.endswith("_io") and not test.is_file():
                offences.append(f"{path.relative_to(walk.ROOT)}: no {test.relative_to(walk.ROOT)}")
    assert not offences, "\n".join(offences)


def test_every_plugin_file_has_its_header() -> None:
    wanted = ("# Copyright (c) ", "# GNU General Public License v3.0+", "# SPDX-License-Identifier: GPL-3.0-or-later")
    offences = []
    for path in [path for kind in CODE for path in walk.plugins(kind)]:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines()[:6] if not line.startswith("#!")]
        if not all(line.startswith(start) for line, start in zip(lines, wanted)):
            offences.append(f"{path.relative_to(walk.ROOT)}: not the three lines of the licence")
        if "__future__.annotations" not in imports(path):
            offences.append(f"{path.relative_to(walk.ROOT)}: no `from __future__ import annotations`")
    assert not offences, "\n".join(offences)


def test_a_filter_file_has_one_filter_of_its_name() -> None:
    offences = []
    for path in walk.plugins("filter"):
        functions = [
            node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef) and node.name == "filters"
        ]
        returned = [
            ast.unparse(node.value)
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value
        ]
        if len(returned) != 1 or not returned[0].startswith(f"{{'{path.stem}': ") or returned[0].count("': ") != 1:
            offences.append(f"{path.name}: {returned}")
    assert not offences, "\n".join(offences)


# Hosts need not have them; a support bundle asks those that are there.
NOT_THERE = {"arp", "ethtool", "fuser", "ifconfig", "ip", "lsof", "lspci", "nc", "netstat", "nmap", "ping", "ss"}
BUNDLE = "_support.py"


def test_no_program_is_run_that_a_pod_lacks() -> None:
    """A command is a list that begins with it, or a call of run or run_command with it first."""
    found = []
    for path in sorted((walk.ROOT / "plugins").rglob("*.py")):
        for node in ast.walk(parsed(path)):
            words = node.elts if isinstance(node, ast.List) else []
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("run", "run_command"):
                words = node.args
            first = words[0] if words else None
            if isinstance(first, ast.Constant) and first.value in NOT_THERE and path.name != BUNDLE:
                found.append(f"{path.name}:{first.lineno} {first.value}")
    assert found == []
