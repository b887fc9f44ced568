# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users set."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings

GOOD: dict[str, Any] = {"vllm_ray_model": "/srv/demo", "ansible_host": "192.0.2.11", "other": 1}


def test_defaults_are_filled_in() -> None:
    settings = _settings.check("gpu01", GOOD)
    assert settings.problems == []
    assert settings.values["vllm_ray_model"] == "/srv/demo"
    assert settings.values["vllm_ray_api_port"] == 8000
    assert settings.values["vllm_ray_scope"] == "system"
    assert settings.values["vllm_ray_nic"] is None
    assert set(settings.values) == set(_settings.specification())


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("vllm_ray_modle", "did you mean vllm_ray_model?"),
        ("vllm_ray_serve_arg", "did you mean vllm_ray_serve_args?"),
        ("vllm_ray_apiport", "did you mean vllm_ray_api_port?"),
        ("vllm_ray_zzzzzzzzzzzzzzzzzzzzzzzzzzzz", "remove it; the README lists the variables"),
    ],
)
def test_an_unknown_variable(name: str, fix: str) -> None:
    (problem,) = _settings.check("gpu01", {**GOOD, name: 1}).problems
    assert problem.as_dict() == {
        "host": "gpu01",
        "check": "variable",
        "severity": "error",
        "found": f"unknown variable {name}",
        "wanted": "a known vllm_ray_* variable",
        "fix": fix,
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"vllm_ray_api_port": "many"}, ("vllm_ray_api_port", "many"), id="no-number"),
        pytest.param({"vllm_ray_scope": "root"}, ("vllm_ray_scope", "system, user", "root"), id="no-choice"),
        pytest.param({"vllm_ray_serve_args": "--port 1"}, ("vllm_ray_serve_args",), id="no-dict"),
        pytest.param({"vllm_ray_gpus": ["x"]}, ("vllm_ray_gpus",), id="no-list-of-numbers"),
        pytest.param({"vllm_ray_proof": [{"expect": "x"}]}, ("request", "vllm_ray_proof"), id="nested"),
    ],
)
def test_a_wrong_value(change: dict[str, Any], words: tuple[str, ...]) -> None:
    (problem,) = _settings.check("gpu01", {**GOOD, **change}).problems
    assert (problem.host, problem.severity) == ("gpu01", "error")
    for word in words:
        assert word in problem.found


def test_a_wrong_value_keeps_its_default_so_that_the_rest_is_planned() -> None:
    values = _settings.check("gpu01", {**GOOD, "vllm_ray_api_port": "many", "vllm_ray_gcs_port": 7000}).values
    assert (values["vllm_ray_api_port"], values["vllm_ray_gcs_port"]) == (8000, 7000)


@pytest.mark.parametrize("option", ["tensor-parallel-size", "tensor_parallel_size", "pipeline-parallel-size", "port"])
def test_an_option_that_the_plan_reckons_with_is_a_number(option: str) -> None:
    settings = _settings.check("gpu01", {**GOOD, "vllm_ray_serve_args": {option: "two", "dtype": "half"}})
    (problem,) = settings.problems
    assert problem.found == f"vllm_ray_serve_args: {option} is 'two'"
    assert settings.values["vllm_ray_serve_args"] == {"dtype": "half"}


@pytest.mark.parametrize("value", [2, "2", None])
def test_a_number_may_be_a_text_or_not_set(value: Any) -> None:
    assert _settings.check("gpu01", {**GOOD, "vllm_ray_serve_args": {"port": value}}).problems == []


@pytest.mark.parametrize("login", ["ann:s3cret@", "s3cret@"])
@pytest.mark.parametrize("name", ["vllm_ray_hf_endpoint", "vllm_ray_model", "vllm_ray_checks_off"])
def test_a_variable_that_results_show_has_no_password(name: str, login: str) -> None:
    url = f"https://{login}mirror.example/demo"
    settings = _settings.check("gpu01", {**GOOD, name: [url] if name.endswith("off") else url})
    assert f"{name} has a URL with a user name or password" in [problem.found for problem in settings.problems]
    assert "s3cret" not in str(settings)
    # A list of names can't have a URL anyway: it keeps its default.
    assert settings.values[name] == [] or "https://mirror.example/demo" in settings.values[name]


def test_where_secrets_may_be_passwords_stay_and_newlines_go() -> None:
    given = {"vllm_ray_proxy": "http://ann:s3cret@proxy.example:3128\n", "vllm_ray_hf_token": "hf_token\n"}
    settings = _settings.check("gpu01", {**GOOD, **given})
    assert settings.problems == []
    assert {name: settings.values[name] for name in given} == {name: value.strip() for name, value in given.items()}


def test_the_model_is_required() -> None:
    (problem,) = _settings.check("gpu01", {}).problems
    assert "vllm_ray_model" in problem.found


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"vllm_ray_gpus": "0,2"}, [0, 2]),
        ({"vllm_ray_gpus": [0]}, [0]),
        ({"vllm_ray_restart": "true"}, True),
        ({"vllm_ray_api_port": "8001"}, 8001),
        ({"vllm_ray_serve_args": '{"max-model-len": 512}'}, {"max-model-len": 512}),
    ],
)
def test_values_of_an_ini_file_or_a_command_line(given: dict[str, Any], value: Any) -> None:
    settings = _settings.check("gpu01", {**GOOD, **given})
    assert settings.problems == []
    assert settings.values[next(iter(given))] == value


class Lazy(dict[str, Any]):
    """As a dictionary among Ansible's variables, which takes all variables with it where it is copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Lazy:
        raise AssertionError("all variables are copied")


def test_values_of_ansible_are_not_copied_with_all_variables() -> None:
    """That was half of the computing of a run that changes nothing."""
    given = Lazy({"served-model-name": "demo", "hf-overrides": Lazy({"a": [1, "b"]})})
    values = _settings.check("gpu01", {**GOOD, "vllm_ray_serve_args": given}).values
    assert values["vllm_ray_serve_args"] == {"served-model-name": "demo", "hf-overrides": {"a": [1, "b"]}}
