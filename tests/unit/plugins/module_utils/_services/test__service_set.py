# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set of services must do."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._services import _service_set
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._manager import Running, Service
from ansible_collections.vllm_ray.cluster.plugins.module_utils._services._service_set import Verdict

NODE, SERVE = "vllm-ray-node@default", "vllm-ray-serve@default-main"
UNIT, SCRIPT = "/etc/systemd/system/node.service", "/etc/vllm-ray/default/node.sh"
SERVICE = Service(NODE, UNIT, "[Unit]\n", "/var/lib/started/node", (UNIT, SCRIPT))
GONE = Service(NODE, UNIT, "", "/var/lib/started/node", (UNIT,), state="absent")
UP = Running(active=True, enabled=True, exists=True, pid=7, state="active")
WANTED = {UNIT: "a" * 64, SCRIPT: "b" * 64}
STALE = {UNIT: "a" * 64, SCRIPT: "c" * 64}
CHANGED = f"{SCRIPT} is not what {NODE} was started with"
UNKNOWN = f"{NODE} runs without a record of what it was started with"
ELSEWHERE = f"{NODE} runs here, but the plan places it on another host"


EMPTY: Any = {
    **{key: [] for key in ("directories", "files", "secret_files", "links", "absent", "services")},
    "account": None,
}
UNIT_OF = {"name": "a@b", "unit_path": "/u", "record": "/r"}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(
            {"files": [{"path": "/a b/ö", "owner": "x", "group": None}], "services": [UNIT_OF]}, [], id="good"
        ),
        pytest.param({"files": [{"path": "/a/../b"}]}, ["'/a/../b' has '..'"], id="parent"),
        pytest.param({"links": [{"path": "/a\nb"}]}, [r"'/a\nb' has '..' or a control character"], id="line-break"),
        pytest.param({"absent": ["/etc/sudoers.d/../x"]}, ["'/etc/sudoers.d/../x'"], id="absent"),
        pytest.param(
            {"directories": [{"path": "/a", "owner": "a\n", "group": ""}]}, [r"'a\n' is not a valid name"], id="owner"
        ),
        pytest.param(
            {"account": {"name": "-r", "home": "/../x"}}, ["'/../x'", "'-r' is not a valid name"], id="account"
        ),
        pytest.param({"services": [{**UNIT_OF, "name": "a/b"}]}, ["'a/b' is not a valid name"], id="service"),
        pytest.param({"services": [{**UNIT_OF, "unit_path": "/u/../x"}]}, ["'/u/../x'"], id="unit"),
    ],
)
def test_names_that_root_must_not_use(params: Any, words: list[str]) -> None:
    given: Any = {**EMPTY, **params}
    found = _service_set.unfit_names(given)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found))


@pytest.mark.parametrize(
    ("service", "running", "started", "may_stop", "verdict"),
    [
        pytest.param(SERVICE, UP, WANTED, False, Verdict("none"), id="runs-on-the-right-files"),
        pytest.param(SERVICE, UP, {**WANTED, "/x": "d" * 64}, False, Verdict("none"), id="other-files-do-not-matter"),
        pytest.param(SERVICE, UP, STALE, True, Verdict("restart", [CHANGED]), id="stale"),
        pytest.param(SERVICE, UP, STALE, False, Verdict("hold", [CHANGED]), id="stale-without-consent"),
        pytest.param(
            SERVICE, UP, {UNIT: "a" * 64}, False, Verdict("hold", [CHANGED]), id="started-before-there-was-the-file"
        ),
        pytest.param(SERVICE, UP, {}, False, Verdict("hold", [UNKNOWN]), id="no-record"),
        pytest.param(SERVICE, UP, {}, True, Verdict("restart", [UNKNOWN]), id="no-record-with-consent"),
        pytest.param(SERVICE, Running(), WANTED, False, Verdict("start", [f"{NODE} is inactive"]), id="down"),
        pytest.param(SERVICE, Running(state="failed"), {}, False, Verdict("start", [f"{NODE} is failed"]), id="failed"),
        pytest.param(GONE, Running(), WANTED, False, Verdict("none"), id="gone"),
        pytest.param(GONE, UP, WANTED, True, Verdict("stop", [ELSEWHERE]), id="to-go"),
        pytest.param(GONE, UP, WANTED, False, Verdict("hold", [ELSEWHERE]), id="to-go-without-consent"),
    ],
)
def test_decide(service: Service, running: Running, started: dict[str, str], may_stop: bool, verdict: Verdict) -> None:
    assert _service_set.decide(service, running, started, WANTED, may_stop) == verdict


NAMES = {SCRIPT: ["max-num-seqs", "port"]}
OTHER = {UNIT: "a" * 64, SCRIPT: "e" * 64}


@pytest.mark.parametrize(
    ("started", "present", "reasons"),
    [
        pytest.param(STALE, STALE, [f"{CHANGED}: max-num-seqs, port"], id="the-file-is-what-it-was-started-with"),
        pytest.param(STALE, OTHER, [CHANGED], id="the-file-has-changed-since"),
        pytest.param(
            {}, STALE, [UNKNOWN, f"{SCRIPT} differs from the planned one: max-num-seqs, port"], id="no-record"
        ),
        pytest.param({}, WANTED, [UNKNOWN], id="no-record-and-no-difference"),
        pytest.param({}, {}, [UNKNOWN], id="no-record-and-no-files"),
    ],
)
def test_reasons_name_what_would_change(started: dict[str, str], present: dict[str, str], reasons: list[str]) -> None:
    verdict = _service_set.decide(SERVICE, UP, started, WANTED, False, present, NAMES)
    assert verdict == Verdict("hold", reasons)


def test_names_in_which_files_differ() -> None:
    before, after = '{"port": 8000, "a": 1, "b": [1]}', '{"port": 8001, "b": [1], "c": null}'
    assert _service_set.changed_names("json", before, after) == ["a", "c", "port"]
    assert _service_set.changed_names("environment", "A='1'\nB=2\n", "B=2\nC=\n") == ["A", "C"]
    # What stands in a line without quotes is no name.
    assert _service_set.changed_names("environment", "export TOKEN=abc sk-proj-AAAA=BBBB\n", "B=2\n") == ["B", "TOKEN"]
    assert _service_set.changed_names("json", '{"a\\u001b": 1, "port": 1}', '{"port": 2}') == ["port"]
    # Text that can't be read or has no names gives no names.
    assert _service_set.changed_names("text", "A=1", "A=2") == []
    assert _service_set.changed_names("json", "[", "[]") == []


def test_the_sum_of_what_is_no_text() -> None:
    data = b"\xff\x00"
    assert _service_set.sha256(data.decode("utf-8", "surrogateescape")) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("action", "held"), [("hold", {UNIT, SCRIPT}), ("restart", set()), ("none", set()), ("start", set())]
)
def test_files_of_a_held_service_stay_and_what_tells_of_its_release(action: str, held: set[str]) -> None:
    assert _service_set.held_paths([SERVICE], {NODE: Verdict(action)}) == held
    assert _service_set.held_paths([SERVICE], {NODE: Verdict(action)}, ["/current"]) == held.union(
        ["/current"] if held else []
    )


def sides(kind: str, before: str, after: str, public: tuple[str, ...] = ()) -> tuple[str, str]:
    return _service_set.secret_sides({"format": kind, "public": public}, before, after)


def test_the_diff_of_an_environment_has_names_alone() -> None:
    before = "GONE='s3cret'\nCHANGED='s3cret-old'\nSAME='s3cret'\n"
    after = "ADDED='s3cret'\nCHANGED='s3cret-new'\nSAME='s3cret'\n"
    assert sides("environment", before, after) == (
        "CHANGED: present value, not shown\nGONE\nSAME\n",
        "ADDED\nCHANGED: expected value, not shown\nSAME\n",
    )


def test_the_diff_of_options_has_names_numbers_and_what_is_public() -> None:
    before = json.dumps({"model": "/a", "max-num-seqs": 3, "config": {"a": "s3cret"}, "pass": "s3cret", "password": 7})
    after = json.dumps({"model": "/b", "max-num-seqs": 4, "config": {"a": "other"}, "eager": True, "password": 8})
    shown = [side.splitlines() for side in sides("json", before, after, ("model",))]
    was, now = (f"{side} value, not shown" for side in ("present", "expected"))
    assert shown == [
        [f"config: {was}", "max-num-seqs: 3", 'model: "/a"', "pass", f"password: {was}"],
        [f"config: {now}", "eager: true", "max-num-seqs: 4", 'model: "/b"', f"password: {now}"],
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        pytest.param("text", "s3cret-old", "s3cret", id="text"),
        pytest.param("text", "", "s3cret", id="new-text"),
        pytest.param("environment", "A='s3cret'\n", "A=s3cret\n", id="quotes"),
        pytest.param("environment", "A='s3cret", "s3cret'", id="no-environment"),
        pytest.param("json", "[" * 100_000, '["s3cret"]', id="no-mapping"),
        pytest.param("json", '{"a": "s3cret"}', '{ "a": "s3cret"}', id="spaces"),
    ],
)
def test_a_change_that_has_no_names_is_shown_as_one(kind: str, before: str, after: str) -> None:
    assert sides(kind, before, after) == _service_set.SECRET


def test_sums() -> None:
    line = f"{_service_set.sha256('x')}  /etc/a file"
    assert _service_set.parse_sums(f"{line}\nsha256sum: /etc/b: No such file\n\n") == {
        "/etc/a file": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    }
