# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets a run renews, what prevents it, and that an interrupted renewal goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan, _rotation
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

BEGAN, NOW = "2026-11-29T16:40:12Z", "2026-11-29T17:00:00Z"
BOTH = ["ray_token", "api_key"]
PP = "pipeline-parallel-size"


def host(number: int, seen: Any, **given: Any) -> Host:
    values = {f"vllm_ray_{name}": value for name, value in {"model": "/srv/demo", **given}.items()}
    checked = _settings.check("-", values)
    assert checked.problems == []
    absent = None if seen else "timed out"
    return Host(f"gpu0{number}", ("head",) if number == 1 else ("workers",), checked.values, seen, absent)


def make(*hosts: Host, rotate: str = "", nodes: bool = True) -> dict[str, Any]:
    return _plan.make_plan(hosts, ["192.0.2.1"], None, "head", "workers", nodes=nodes, rotate=rotate).as_dict()


def cluster(noted: Any = None, serving: bool = True, **given: Any) -> list[Host]:
    """Return three hosts after a run; the engine uses the first two. noted: what the head's note has."""
    given = {"serve_args": {PP: 2}, **given}
    before = make(*(host(number, look(number), **given) for number in (1, 2, 3)))
    head = look(1, host_record=before["record"], host_rotation=noted, engine_serving=serving)
    return [host(1, head, **given), host(2, look(2), **given), host(3, look(3), **given)]


def told(plan: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (severity, host, what was found) of a rotation."""
    return [(p["severity"], p["host"], p["found"]) for p in plan["problems"] if p["check"] == "rotation"]


def note(*secrets: str) -> dict[str, Any]:
    return {"began": BEGAN, "secrets": list(secrets)}


def test_without_a_renewal_there_is_nothing_to_say() -> None:
    plan = make(*cluster())
    assert (told(plan), plan["rotation"], plan["renewals"]) == ([], None, {})


@pytest.mark.parametrize(
    ("chosen", "secrets", "title", "restarts"),
    [
        (None, BOTH, "Ray's token and the API key", "Ray on gpu01, gpu02, gpu03, and the engine on gpu01"),
        (["api_key", "ray_token"], BOTH, "Ray's token and the API key", "Ray on gpu01, gpu02, gpu03, and the engine"),
        (["ray_token"], ["ray_token"], "Ray's token", "Ray on gpu01, gpu02, gpu03, and the engine on gpu01"),
        (["api_key"], ["api_key"], "the API key", "the engine on gpu01"),
    ],
)
def test_it_needs_consent_and_says_what_restarts(
    chosen: list[str] | None, secrets: list[str], title: str, restarts: str
) -> None:
    given: dict[str, Any] = {"rotate": chosen} if chosen else {}
    # Consent is needed where nothing serves, too.
    for serving in (True, False):
        ((severity, _host, text),) = told(make(*cluster(serving=serving, **given), rotate=NOW))
        assert severity == "error"
        assert text.startswith(f"{title} would be renewed. It restarts {restarts}")
    plan = make(*cluster(restart=True, **given), rotate=NOW)
    ((severity, _host, text),) = told(plan)
    assert (severity, text.startswith(f"this run renews {title}. It restarts {restarts}")) == ("info", True)
    assert plan["rotation"]["note"] == {"began": NOW, "secrets": secrets}
    assert (plan["rotation"]["is_noted"], plan["rotation"]["completes"]) == (False, True)
    assert plan["renewals"] == {_rotation.FILES[name]: [NOW] for name in secrets}


def test_it_says_how_long_the_engine_took_to_start() -> None:
    hosts = cluster()
    assert hosts[0].look is not None
    hosts[0].look["engine"]["start_seconds"] = 94.2
    assert "Its last start took 94 s" in told(make(*hosts, rotate=NOW))[0][2]


def test_it_needs_all_hosts() -> None:
    head, second, third = cluster(restart=True)
    assert told(make(head, replace(second, limited=True), replace(third, limited=True), rotate=NOW))[0] == (
        "error",
        "-",
        "--limit leaves out gpu02, gpu03",
    )


def test_a_host_that_can_not_be_reached_is_named_whatever_else_would_go_on_without_it() -> None:
    head, second, third = cluster(restart=True, absent_ok=True)
    plan = make(head, second, replace(third, look=None, absent="timed out"), rotate=NOW)
    assert told(plan)[0] == ("error", "gpu03", "it can't be reached and would keep the old secrets: timed out")


def test_it_needs_all_roles_and_a_cluster() -> None:
    assert told(make(*cluster(restart=True), rotate=NOW, nodes=False))[0][::2] == (
        "error",
        "--tags or --skip-tags leave out the nodes of Ray or the engine",
    )
    fresh = make(*(host(number, look(number), restart=True) for number in (1, 2)), rotate=NOW)
    assert told(fresh)[0][::2] == ("error", "no cluster is there yet: the head has no record")


@pytest.mark.parametrize("rotate", ["", NOW])
def test_every_run_with_consent_continues_the_same_renewal(rotate: str) -> None:
    plan = make(*cluster(note(*BOTH), restart=True), rotate=rotate)
    assert plan["renewals"] == {"ray.token": [BEGAN], "api.key": [BEGAN]}
    assert (plan["rotation"]["is_noted"], plan["rotation"]["completes"]) == (True, True)
    ((severity, _host, text),) = told(plan)
    assert (severity, BEGAN in text) == ("info", True)


def test_where_nothing_serves_site_yml_finishes_it_without_consent() -> None:
    plan = make(*cluster(note(*BOTH), serving=False))
    assert (plan["rotation"]["completes"], told(plan)[0][0]) == (True, "info")
    assert all(part["may_stop"] for part in plan["hosts"].values())


def test_a_run_that_asks_for_more_adds_it_to_the_same_renewal() -> None:
    plan = make(*cluster(note("ray_token"), restart=True, rotate=["api_key"]), rotate=NOW)
    assert plan["rotation"]["note"] == note(*BOTH)
    assert plan["rotation"]["is_noted"] is False
    assert plan["renewals"] == {"ray.token": [BEGAN], "api.key": [BEGAN]}


def test_while_the_engine_serves_an_unfinished_renewal_stops_nothing() -> None:
    """A node that starts again, used by the engine or not, would come with a token that the others don't have yet."""
    plan = make(*cluster(note(*BOTH)))
    assert told(plan) == [
        ("warning", "-", f"the renewal of Ray's token and the API key that began at {BEGAN} is not finished")
    ]
    assert plan["rotation"]["completes"] is False
    assert not any(part["may_stop"] for part in plan["hosts"].values())
    # Without it the host that the engine does not use is free.
    assert make(*cluster())["hosts"]["gpu03"]["may_stop"] is True


def test_a_run_with_limit_does_not_continue_it() -> None:
    head, second, third = cluster(note(*BOTH), restart=True)
    plan = make(head, replace(second, limited=True), third)
    assert (told(plan)[0][0], plan["rotation"]["completes"]) == ("error", False)
    head, second, third = cluster(note(*BOTH))
    assert told(make(head, replace(second, limited=True), third))[0][0] == "warning"


def test_a_run_of_some_roles_does_not_complete_it() -> None:
    plan = make(*cluster(note(*BOTH), restart=True), nodes=False)
    assert (told(plan)[0][0], plan["rotation"]["completes"]) == ("warning", False)


def test_a_host_that_leaves_meanwhile_is_a_reason_of_its_own() -> None:
    plan = make(*cluster(note("api_key"), restart=True)[:2])
    assert plan["renewals"] == {"ray.token": ["gpu03"], "api.key": [BEGAN]}
    plan = make(*cluster(note(*BOTH), restart=True)[:2])
    assert plan["renewals"] == {"ray.token": ["gpu03", BEGAN], "api.key": [BEGAN]}


def test_the_own_ca_is_renewed_where_there_is_one() -> None:
    plan = make(*cluster(restart=True, tls="own"), rotate=NOW)
    assert told(plan)[0][2].startswith(
        "this run renews Ray's token, the API key and the CA of the API. It restarts Ray"
    )
    assert (plan["rotation"]["renews_ca"], plan["renewals"]) == (True, {"ray.token": [NOW], "api.key": [NOW]})
    plan = make(*cluster(restart=True, tls="own", rotate=["ca"]), rotate=NOW)
    assert told(plan)[0][2] == "this run renews the CA of the API. It restarts the engine on gpu01"
    assert (plan["rotation"]["note"]["secrets"], plan["renewals"]) == (["ca"], {})
    assert make(*cluster(note("api_key"), restart=True, tls="own"))["rotation"]["renews_ca"] is False


def test_a_run_without_consent_makes_no_ca_for_an_engine_that_serves() -> None:
    for given, renews in (({}, False), ({"restart": True}, True)):
        plan = make(*cluster(note("ca"), tls="own", **given))
        assert (plan["rotation"]["note"]["secrets"], plan["rotation"]["renews_ca"]) == (["ca"], renews)


@pytest.mark.parametrize("given", [["ca"], ["ray_token", "ca"]])
def test_there_is_no_ca_to_renew_without_tls(given: list[str]) -> None:
    found = told(make(*cluster(restart=True, rotate=given), rotate=NOW))
    assert found[0] == ("error", "-", "vllm_ray_rotate names ca, and vllm_ray_tls is off")


def test_a_ca_that_nobody_uses_any_more_holds_up_nothing_and_is_renewed_when_it_is_used_again() -> None:
    """TLS was switched off while a renewal was not finished."""
    waits = ("info", "-", "the CA of the API is still to be renewed, and vllm_ray_tls is off")
    plan = make(*cluster(note("ca")))
    assert (plan["rotation"], told(plan)) == (None, [waits])
    assert plan["hosts"]["gpu03"]["may_stop"] is True
    # What is renewed beside it leaves it in the note.
    plan = make(*cluster(note("ray_token", "ca"), restart=True))
    assert (plan["rotation"]["note"], plan["rotation"]["is_noted"]) == (note("ray_token", "ca"), True)
    assert plan["rotation"]["rest"] == note("ca")
    assert [told(plan)[0], "CA" in told(plan)[1][2]] == [waits, False]
    # Another rotation is one of its own: the secrets of the last one may have been renewed for its name.
    plan = make(*cluster(note("ca"), restart=True, rotate=["api_key"]), rotate=NOW)
    assert plan["rotation"]["note"] == {"began": NOW, "secrets": ["api_key", "ca"]}
    assert (plan["rotation"]["is_noted"], plan["renewals"]) == (False, {"api.key": [NOW]})
    plan = make(*cluster(note("ca"), restart=True, tls="own"))
    assert (plan["rotation"]["renews_ca"], plan["rotation"]["rest"]) == (True, None)


@pytest.mark.parametrize("noted", [{}, {"secrets": ["other"]}, {"began": BEGAN}])
def test_a_note_without_a_secret_of_ours_is_none(noted: dict[str, Any]) -> None:
    assert make(*cluster(noted))["rotation"] is None
