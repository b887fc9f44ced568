# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checking the options of `vllm serve` by the installed version's own parser. PRIVATE to the collection."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import Redactor, parsed, secrets_of, texts

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Runs in the release. argparse ends with 2 and says why on stderr; the names that vLLM reads from the environment, and
# of all options for hints, go to stdout. Without the latter there is no parser: vLLM can't be loaded.
SCRIPT = """
import json, sys
from vllm import envs
print("ENVIRONMENT " + json.dumps(list(envs.environment_variables)))
from vllm.entrypoints.cli.serve import cmd_init
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser(prog="vllm")
commands = parser.add_subparsers(required=True)
for command in cmd_init():
    serve = command.subparser_init(commands)
names = [name for action in serve._actions for name in action.option_strings if name.startswith("--")]
print("OPTIONS " + json.dumps(names))
parser.parse_args(["serve", "--config", sys.argv[1]])
"""
# What may be refused, and how it is said to somebody who runs a role.
RELEASE, OPTIONS, ENVIRONMENT = "release", "options", "environment"
SENTENCES = {
    RELEASE: "{why}. The vLLM in {release} can't be loaded.",
    OPTIONS: "vllm_ray_serve_args: {why}. The vLLM in {release} does not accept this.",
    ENVIRONMENT: "vllm_ray_env: {why}. The vLLM in {release} would ignore it.",
}


# Counts when more is refused than before, so that checks that passed are made again.
RULES = 2


def digest(release: str, config: Mapping[str, object], environment: Iterable[str] = ()) -> str:
    """Return what identifies a check that passed: the release, the options and the names in the environment."""
    return hashlib.sha256(
        json.dumps([RULES, release, config, sorted(environment)], sort_keys=True).encode()
    ).hexdigest()


def told(stdout: str, what: str) -> list[str]:
    """Return a list that the script printed behind a word."""
    lines = (line for line in stdout.splitlines() if line.startswith(f"{what} "))
    return next((json.loads(line[len(what) :]) for line in lines), [])


def refusals(rc: int, stdout: str, stderr: str, names: Iterable[str], config: Mapping[str, object]) -> dict[str, str]:
    """Return why a release refuses something, by what it refuses, of SENTENCES.

    names: of environment variables. config: the options.
    """
    if rc and not told(stdout, "OPTIONS"):
        return {RELEASE: explain(stdout, stderr)}
    unknown = unknown_environment(stdout, names)
    options = explain(stdout, stderr) if rc else disguised(told(stdout, "OPTIONS"), config)
    return {
        **({OPTIONS: options} if options else {}),
        **({ENVIRONMENT: unknown} if unknown else {}),
    }


def without_secrets(refused: Mapping[str, str], config: Mapping[str, object]) -> dict[str, str]:
    """Return refusals without what may be secret in the options: the parser repeats values.

    That is what goes by the name of a secret, and every text inside an option that is a mapping, such as
    kv-transfer-config. The option itself is still named.
    """
    nested = [text for value in map(parsed, config.values()) if isinstance(value, dict) for text in texts(value)]
    # As text, a mapping may be no JSON, and is hidden as a whole.
    written = [value for value in config.values() if isinstance(value, str) and value.lstrip()[:1] in ("{", "[")]
    redactor = Redactor([*secrets_of(config), *nested, *written])
    return {what: redactor.text(why) for what, why in refused.items()}


def sentences(refused: Mapping[str, str], release: str) -> str:
    """Return in words what a release refuses."""
    return " ".join(SENTENCES[what].format(why=why, release=release) for what, why in refused.items())


def unknown_environment(stdout: str, names: Iterable[str]) -> str:
    """Return what is wrong with names of the environment: vLLM reads no such VLLM_*, which it would only warn of."""
    known = told(stdout, "ENVIRONMENT")
    wrong = [name for name in names if name.startswith("VLLM_") and known and name not in known]
    nearest = {name: difflib.get_close_matches(name, known, n=1) for name in wrong}
    hints = [f"did you mean {match[0]} for {name}?" for name, match in nearest.items() if match]
    return " ".join([f"unknown: {', '.join(wrong)}", *hints]) if wrong else ""


def disguised(known: Sequence[str], config: Mapping[str, object]) -> str:
    """Return what is wrong with options that the parser takes for others, past every check of their names.

    argparse takes the beginning of a name, `name=value`, and a value that is an option itself.
    """
    plain = {str(name): f"--{str(name).partition('.')[0].replace('_', '-')}" for name in config}
    wrong = []
    for name, option in plain.items():
        if option not in known:
            full = [it[2:] for it in known if it.startswith(option.partition("=")[0])]
            wrong.append(
                f"{name} is not the full name of an option" + (f", write {' or '.join(full[:3])}" if full else "")
            )
    wrong += [
        f"{name} has a value that begins with a dash, which is an option itself"
        for name, value in config.items()
        if any(re.match(r"--|-[A-Za-z]", str(it)) for it in (value if isinstance(value, list) else [value]))
    ]
    return "; ".join(wrong)


def explain(stdout: str, stderr: str) -> str:
    """Return what the parser says is wrong, with the nearest right name of each unknown option."""
    complaints = [line.split("error: ", 1)[1] for line in stderr.splitlines() if "error: " in line]
    if not complaints:
        return stderr.strip().splitlines()[-1] if stderr.strip() else "the parser gave no reason"
    return "; ".join(complaints) + _hints(complaints, told(stdout, "OPTIONS"))


def _hints(complaints: Sequence[str], names: Sequence[str]) -> str:
    unknown = [word for text in complaints if text.startswith("unrecognized") for word in re.findall(r"--[\w-]+", text)]
    nearest = {word: difflib.get_close_matches(word, names, n=1) for word in unknown}
    found = [f"did you mean {match[0][2:]} for {word[2:]}?" for word, match in nearest.items() if match]
    return f" ({' '.join(found)})" if found else ""
