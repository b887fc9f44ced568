# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user set, checked against the one specification of variables. PRIVATE to the collection."""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._bundles import _bundle
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _accounts, _value_types
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._specification_io import specification

PREFIX = "vllm_ray_"
# Options of `vllm serve` that the plan models.
NUMBERS = ("tensor-parallel-size", "pipeline-parallel-size", "port")
# User name and password of a URL.
LOGIN = re.compile(r"(?<=://)[^/\s]*@")


if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._base._answers import TaskVariables


@dataclass(frozen=True)
class Settings:
    """The checked variables of one host, defaults included, and what is wrong with them."""

    values: dict[str, t.Any]
    problems: list[Problem] = field(default_factory=list)


def of_host(host: str, task_vars: TaskVariables) -> Settings:
    """Check the variables of a host of the inventory, with what follows from the bundle that the play has opened.

    task_vars: of a task of that play. Its own host has the bundle; hosts that --limit leaves out do not.
    """
    hostvars = task_vars["hostvars"]
    return check(host, hostvars[host], hostvars[task_vars["inventory_hostname"]].get(_bundle.REGISTERED))


def check(host: str, variables: Mapping[str, object], bundle: Mapping[str, t.Any] | None = None) -> Settings:
    """Check the vllm_ray_* variables of one host.

    variables: all variables of the host; others than vllm_ray_* are passed over. bundle: what bundle_open returned.
    """
    spec = specification()
    own = {name: own_copy(variables[name]) for name in variables if name.startswith(PREFIX)}
    given = _bundle.laid_over(own, bundle)
    problems = [unknown_variable(host, name) for name in sorted(given) if name not in spec]
    known = {name: value for name, value in given.items() if name in spec}
    public = {name: value for name, value in known.items() if not spec[name].get("no_log")}
    problems += [login_in_public(host, name) for name, value in public.items() if without_login(value) != value]
    known.update({name: without_login(value) for name, value in public.items()})
    # A file or a vault often ends in a newline, which is no part of a token or a URL.
    known.update(
        {name: value.strip() for name, value in known.items() if name not in public and isinstance(value, str)}
    )
    result = ArgumentSpecValidator(spec).validate(known)
    problems += [
        Problem(host, "variable", "error", message, "a value as in the documentation", "correct it in the inventory")
        for message in result.error_messages
    ]
    if result.error_messages:
        # So that looking and planning go on, and find what else is wrong: these keep their defaults.
        kept = {name: value for name, value in known.items() if is_right(name, value)}
        result = ArgumentSpecValidator(spec).validate(kept)
    unfit_values = [(name, one) for name, value in result.validated_parameters.items() for one in wrong(name, value)]
    problems += [wrong_value(host, name, one) for name, one in unfit_values]
    if unfit_values:
        refused = {name for name, _one in unfit_values}
        kept = {name: value for name, value in known.items() if name not in refused and is_right(name, value)}
        result = ArgumentSpecValidator(spec).validate(kept)
    values = dict(result.validated_parameters)
    options = values.get("vllm_ray_serve_args") or {}
    unfit = {name: value for name, value in options.items() if must_be_number(name) and not is_number(value)}
    problems += [not_a_number(host, name, value) for name, value in unfit.items()]
    if unfit:
        values["vllm_ray_serve_args"] = {name: options[name] for name in options if name not in unfit}
    values["vllm_ray_user"] = values.get("vllm_ray_user") or _accounts.account_of(values["vllm_ray_cluster"])
    return Settings(values, problems)


def own_copy(value: object) -> object:
    """Return a copy of a value in plain dicts, lists and strings.

    Ansible's lazy containers refer to all variables of the host. Its argument validator copies every value, and a copy
    of a lazy container copies all these variables, too.
    """
    if isinstance(value, Mapping):
        return {own_copy(name): own_copy(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [own_copy(entry) for entry in value]
    return str(value) if isinstance(value, str) else value


def without_login(value: object) -> object:
    """Return a text, or a list of texts, without user names and passwords of URLs; anything else as it is."""
    if isinstance(value, str):
        return LOGIN.sub("", value)
    return [without_login(entry) for entry in value] if isinstance(value, list) else value


def login_in_public(host: str, name: str) -> Problem:
    """Return the problem of a password in a variable that results and logs show."""
    found, fix = f"{name} has a URL with a user name or password", "remove it; vllm_ray_hf_token is for tokens of a hub"
    return Problem(host, "variable", "error", found, "a URL without them: results and logs show this variable", fix)


def is_right(name: str, value: object) -> bool:
    """Return whether the value of one variable is of its type and one of its choices."""
    return not ArgumentSpecValidator({name: specification()[name]}).validate({name: value}).error_messages


def wrong(name: str, value: object) -> list[object]:
    """Return which values of a variable are not of its type in _value_types. What has a default can't be empty."""
    if value == "" and specification()[name].get("default"):
        return [value]
    return _value_types.wrong_values(name, value)


def wrong_value(host: str, name: str, value: object) -> Problem:
    """Return the problem of a value that is not of its variable's type."""
    kind = _value_types.TYPES[_value_types.VARIABLES[name]]
    found = f"{name} is {_value_types.show(value)}" if kind.shown else f"{name} has a value that can't be used"
    return Problem(host, "variable", "error", found, kind.expected, f"correct {name} in the inventory")


def must_be_number(option: str) -> bool:
    """Return whether the plan models an option of `vllm serve`."""
    return str(option).lstrip("-").replace("_", "-") in NUMBERS


def is_number(value: object) -> bool:
    """Return whether an option is a whole number, or not set."""
    return value is None or str(value).isdecimal()


def not_a_number(host: str, option: str, value: object) -> Problem:
    """Return the problem of a size or a port that is no number."""
    found = f"vllm_ray_serve_args: {option} is {value!r}"
    return Problem(host, "variable", "error", found, "a whole number", "correct it in the inventory")


def unknown_variable(host: str, name: str) -> Problem:
    """Return the problem of a variable that nothing reads, with the nearest right name."""
    nearest = difflib.get_close_matches(name, specification(), n=1)
    fix = f"did you mean {nearest[0]}?" if nearest else "remove it; the README lists the variables"
    return Problem(host, "variable", "error", f"unknown variable {name}", "a known vllm_ray_* variable", fix)
