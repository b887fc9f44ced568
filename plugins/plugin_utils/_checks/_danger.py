# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks for settings that disable protections, and for models that contain code. PRIVATE to the collection.

An error opens the API, Ray or a secret to others. A warning runs somebody's code or widens what the key allows, which
may be wanted. All of them are the check `protection`.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._redact import parsed
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CHECK = "protection"
# Files of a model that a problem names.
NAMED = 5
# Names of what is secret by any measure. `eos_token` is not.
SECRET_NAME = re.compile(
    r"passw|passphrase|secret|credential|(?:api|access|auth|private)[-_]?(?:key|token)", re.IGNORECASE
)


def is_off(value: object) -> bool:
    """Return whether a value of a switch leaves it off, as vLLM and Ray read it."""
    return str(value).strip().lower() in ("", "0", "false", "no", "none")


def is_never(_value: object) -> bool:
    """Return that no value is harmless."""
    return False


class Danger(t.NamedTuple):
    """A setting that removes a protection.

    why: what is wrong, behind the setting's name. fix: what to do. harmless: whether a value is harmless.
    expected: what the setting should be.
    """

    severity: t.Literal["error", "warning"]
    why: str
    fix: str
    harmless: Callable[[object], bool] = is_off
    expected: str = "not set"


REMOVE = "remove it"
OWN_CODE = "remove it, or make sure that only root can write what it names"
# {pattern of names: what is wrong}. The first that fits a name counts.
ENVIRONMENT: dict[str, Danger] = {
    "RAY_AUTH_MODE": Danger(
        "error",
        "switches Ray's token off: anyone who reaches Ray's ports runs code on all hosts",
        REMOVE,
        # Ray takes capital letters, and switches the token off for anything else: also with a space.
        lambda value: str(value).lower() == "token",
        "token, which the roles set",
    ),
    "RAY_AUTH_TOKEN.*|VLLM_API_KEY": Danger("error", "is a secret, which the roles store in a file", REMOVE, is_never),
    "HF_TOKEN|HUGGING_FACE_HUB_TOKEN": Danger(
        "error", "is a secret, and every rank would get it", "set vllm_ray_hf_token", is_never
    ),
    "VLLM_SERVER_DEV_MODE": Danger(
        "error", "adds routes by which API clients call any method on all ranks and replace the weights", REMOVE
    ),
    "VLLM_USE_RUST_FRONTEND": Danger(
        "error", "serves the API by a program that does not load the middleware that requires the key", REMOVE
    ),
    "VLLM_ALLOW_INSECURE_SERIALIZATION": Danger(
        "error", "lets vLLM's processes unpickle messages: anyone who sends one runs code", REMOVE
    ),
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": Danger(
        "warning", "lets API clients load adapters from any path and from the hub", "set lora-modules in its place"
    ),
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS": Danger(
        "warning", "lets an allowed media domain redirect the engine to any other, internal ones too", REMOVE
    ),
    "VLLM_DEBUG_LOG_API_SERVER_RESPONSE": Danger("warning", "writes all answers to the log", REMOVE),
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": Danger(
        "warning", "lets pickled weights run code when they are loaded", "remove it, and serve safetensors"
    ),
    "LD_PRELOAD|LD_AUDIT|LD_LIBRARY_PATH|PATH|PYTHONPATH|VLLM_(NCCL|CUDART)_SO_PATH": Danger(
        "warning",
        "makes all processes load programs or libraries from there",
        "remove it, or make sure that only root can write these directories",
        lambda value: not str(value).strip(),
    ),
    **dict.fromkeys(
        (
            *("RAY_(RUNTIME_ENV|START)_HOOK", "PYTHON(HOME|USERBASE|STARTUP)", "VLLM_PLUGINS"),
            *("VLLM_LOGGING_CONFIG_PATH", "NCCL_(NET|TUNER|PROFILER)_PLUGIN"),
        ),
        Danger("warning", "loads code from there", OWN_CODE, lambda value: not str(value).strip()),
    ),
    "CUSTOM_FASTAPI_.*|CUSTOM_(PRE|POST)_PROCESS|CUSTOM_SCRIPT_FILENAME|SAGEMAKER_MODEL_PATH": Danger(
        "warning", "runs your own code in the API server, some of it before the key is checked", OWN_CODE, is_never
    ),
    ".*_(SECRET|KEY|TOKEN|PASSWORD)": Danger(
        "warning",
        "is a secret that all processes of the engine can read, the model's code included",
        "remove it, or use one that allows only what the engine needs",
        lambda value: not str(value).strip(),
    ),
}


def is_closed_list(value: object) -> bool:
    """Return whether domains of media are public names. vLLM takes names exactly; an empty list allows all."""
    names = parsed(value)
    names = names if isinstance(names, list) else [names]
    return bool(names) and not any(is_off(name) or is_internal(str(name)) for name in names)


def is_internal(name: str) -> bool:
    """Return whether a domain is a pattern, several, an address, or a name of no public host.

    The C library takes 127.1, 2130706433 and 0x7f000001 for addresses, too. No public name ends in a number.
    """
    plain = name.strip().lower().rstrip(".")
    return bool(re.search(r"[*,:\[\s]|(^|\.)(localhost|internal|local|\d+|0x[0-9a-f]*)$", plain))


OPTIONS: dict[str, Danger] = {
    "api-key": Danger(
        "error", "is a secret", "remove it: clients use the key in vllm_ray_key_file on the controller", is_never
    ),
    "hf-token": Danger(
        "error",
        "is a secret",
        "remove it, and set vllm_ray_hf_token: one host downloads, and engines work without the hub",
        is_never,
    ),
    "grpc": Danger("error", "serves by gRPC, which does not require the key", REMOVE),
    "grpc-port": Danger("error", "serves by gRPC, which does not require the key", REMOVE),
    "allowed-media-domains": Danger(
        "warning",
        "lets API clients choose any or internal addresses, or has a pattern, which vLLM does not support",
        "list the exact names of public hosts",
        is_closed_list,
        "names such as images.example.org",
    ),
    "allowed-local-media-path": Danger(
        "warning", "lets API clients read files below it", "remove it, or name a directory with nothing else in it"
    ),
    "allow-credentials": Danger(
        "warning", "lets web pages of allowed-origins use what a browser has stored", "remove it: clients send the key"
    ),
    "trust-remote-code": Danger(
        "warning",
        "runs code of the model on all hosts, as the service user",
        "remove it where vLLM knows the model; otherwise read the code and set vllm_ray_model_revision to a commit",
    ),
    "trust-request-chat-template": Danger("warning", "runs templates that API clients send", REMOVE),
    "trust-request-mm-kwargs": Danger("warning", "lets API clients set options of the model's processor", REMOVE),
    "enable-prompt-embeds": Danger(
        "warning", "takes tensors from API clients; wrong ones can end the engine", "remove it unless all are trusted"
    ),
    "enable-mm-embeds": Danger(
        "warning", "takes tensors from API clients; wrong ones can end the engine", "remove it unless all are trusted"
    ),
    "load-format": Danger(
        "warning",
        "loads pickled weights, which may run code",
        "serve safetensors, and remove the option",
        lambda value: str(value).lower() not in ("pt", "npcache"),
        "auto or safetensors",
    ),
}
RUNS_CODE = Danger(
    "warning", "runs your own code in the engine", OWN_CODE, lambda value: is_off(value) or value == "auto"
)
OPTIONS.update(
    dict.fromkeys(
        (
            *("io-processor-plugin", "logits-processors", "middleware", "model-class-overrides"),
            *("reasoning-parser-plugin", "scheduler-cls", "tool-parser-plugin", "worker-cls", "worker-extension-cls"),
        ),
        RUNS_CODE,
    )
)
# Names inside of options, at any depth. {pattern of names: what is wrong}
NESTED: dict[str, Danger] = {
    "trust-remote-code": OPTIONS["trust-remote-code"],
    "load-format": OPTIONS["load-format"],
    ".*-plugin|.*-cls|(.*-)?module-path": RUNS_CODE,
    # Of speculative-config and of compilation-config.
    "method": RUNS_CODE._replace(harmless=lambda value: value != "custom_class"),
    "backend": RUNS_CODE._replace(harmless=lambda value: "." not in str(value)),
}
# Options of `ray start`.
START_ARGUMENTS: dict[str, Danger] = {
    "--dashboard-host": Danger(
        "error",
        "opens Ray's dashboard, which the plan and the firewall rules do not cover",
        "set vllm_ray_dashboard_host and vllm_ray_dashboard_clients",
        lambda value: str(value) in ("127.0.0.1", "::1", "localhost"),
        "127.0.0.1",
    ),
    "--ray-debugger-external": Danger(
        "error", "lets anyone who reaches a host run code in its workers, without the token", REMOVE, is_never
    ),
    "--system-config": Danger(
        "error",
        "can switch Ray's token off",
        "remove it, and set its entries in vllm_ray_env with the prefix RAY_",
        is_never,
    ),
    "--tracing-startup-hook": Danger("warning", "loads code from there", OWN_CODE, lambda value: not str(value)),
}


def environment(host: str, given: Mapping[str, object]) -> list[Problem]:
    """Return the problems of variables in vllm_ray_env. Values are not shown: they may be secret."""
    found = {
        name: next((danger for pattern, danger in ENVIRONMENT.items() if re.fullmatch(pattern, name)), None)
        for name in given
    }
    return [problem(host, f"vllm_ray_env: {name}", danger) for name, danger in applied(found, given)]


def options(host: str, given: Mapping[str, object]) -> list[Problem]:
    """Return the problems of options of `vllm serve`. given: named without dashes in front."""
    found = {name: OPTIONS.get(name) for name in given}
    fix = "give it by a file or by vllm_ray_env, which vLLM does not log"
    logged = [
        Problem(
            host,
            CHECK,
            "warning",
            f"vllm_ray_serve_args: {name} contains a secret, and vLLM logs its options",
            "no secrets in options",
            fix,
        )
        for name, value in given.items()
        if not found[name] and any(map(SECRET_NAME.search, [name, *dict(entries_in(value))]))
    ]
    inside = [
        problem(host, f"vllm_ray_serve_args: {option}: {name}", danger)
        for option, value in given.items()
        for name, inner in [*dotted(option, value), *entries_in(value)]
        for danger in [nested(name)]
        if danger and not danger.harmless(inner)
    ]
    direct = [problem(host, f"vllm_ray_serve_args: {name}", danger) for name, danger in applied(found, given)]
    return direct + inside + logged


def nested(name: str) -> Danger | None:
    """Return what is wrong with a name inside of an option."""
    plain = name.replace("_", "-").lower()
    return next((danger for pattern, danger in NESTED.items() if re.fullmatch(pattern, plain)), None)


def dotted(option: str, value: object) -> list[tuple[str, object]]:
    """Return the last name of an option such as speculative-config.model, which has what that name has in a mapping."""
    _outer, dot, inner = option.rpartition(".")
    return [(inner.rstrip("+"), value)] if dot else []


def start_arguments(host: str, given: Sequence[object]) -> list[Problem]:
    """Return the problems of arguments of `ray start`, as --name=value or as two words."""
    words = [word for argument in given for word in str(argument).split("=", 1)]
    values = {name: value for name, value in zip(words, [*words[1:], ""]) if name in START_ARGUMENTS}
    found = applied(dict(START_ARGUMENTS), values)
    return [problem(host, f"vllm_ray_start_args: {name}", danger) for name, danger in found]


@check(CHECK, needs=Need.PLAN)
def model(code: Sequence[str], pickled: Sequence[str], args: Mapping[str, object]) -> list[Problem]:
    """Return what a model brings that may run. code, pickled: of model_info. args: options of vLLM."""
    trusted = not is_off(args.get("trust-remote-code"))
    problems = []
    if code:
        what = "run on all hosts, as the service user" if trusted else "are not run, as trust-remote-code is not set"
        fix = "review them, and set vllm_ray_model_revision to the reviewed commit" if trusted else "nothing"
        severity = "warning" if trusted else "info"
        problems.append(Problem("-", CHECK, severity, f"the model's {named(code)} {what}", "a model without code", fix))
    if pickled:
        found = f"the model has only pickled weights, which may run code when they are loaded: {named(pickled)}"
        fix = "serve a revision with safetensors, or convert the weights in a sandbox"
        problems.append(Problem("-", CHECK, "warning", found, "weights in safetensors", fix))
    return problems


def named(files: Sequence[str]) -> str:
    """Return the names of a few files, and how many more there are."""
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return f"{', '.join(files[:NAMED])}{more}"


def applied(found: Mapping[str, Danger | None], given: Mapping[str, object]) -> Iterator[tuple[str, Danger]]:
    """Return the settings whose values do harm."""
    return ((name, it) for name, value in given.items() if (it := found[name]) and not it.harmless(value))


def problem(host: str, what: str, danger: Danger) -> Problem:
    """Return the problem of a setting."""
    return Problem(host, CHECK, danger.severity, f"{what} {danger.why}", danger.expected, danger.fix)


def entries_in(value: object) -> list[tuple[str, object]]:
    """Return names and values in the value of an option, at any depth, also where it is text in JSON."""
    value = parsed(value)
    if isinstance(value, dict):
        return [(str(name), it) for name, it in value.items()] + [e for it in value.values() for e in entries_in(it)]
    return [entry for it in value for entry in entries_in(it)] if isinstance(value, list) else []
