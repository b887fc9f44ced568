# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with the model's files: each fault alone, on one of three hosts with whole copies."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _model_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

PATH = "/srv/demo"
MODEL = {"source": "host", "source_host": "gpu01", "path": PATH}
FROM_CONTROLLER = {**MODEL, "source": "controller"}
FROM_HUB = {"source": "huggingface", "source_host": "gpu01", "path": ""}
FILES = {"config.json": 600, "model.safetensors": 4 * 1024**3, "tokenizer.json": 9000}
HASHES = {name: name[0] * 64 for name in FILES}
WEIGHTS = "model.safetensors"
CUT = f"{WEIGHTS} has 100 bytes instead of the 200 that its header declares"


def tree(**given: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"path": PATH, "made": False, "bytes": FILES, "piece_bytes": 2**20, "hashes": {}}
    return {**whole, "missing": [], "broken": {}, "touched": [], "silent": [], "problems": [], **given}


def seen(number: int, files: dict[str, Any] | None) -> Any:
    """Return the look at a host that has these files of the model."""
    return {**look(number), "model": {"directory": "", "model": None, "problem": None, "files": files}}


def check(*trees: dict[str, Any] | None, model: dict[str, Any] | None = None) -> list[tuple[str, str, str, str]]:
    settings = _settings.check("-", {"vllm_ray_model": PATH}).values
    hosts = [
        Host(
            f"gpu0{number}",
            ("workers",),
            settings,
            seen(number, one),
        )
        for number, one in enumerate(trees, 1)
    ]
    found = _model_checks.check_models([*hosts, Host("gone", (), settings)], model or MODEL)
    assert {problem.check for problem in found} <= {"model"}
    return [(p.host, p.severity, p.found, p.fix) for p in found]


def without(name: str, **more: int) -> dict[str, int]:
    return {**{key: size for key, size in FILES.items() if key != name}, **more}


def test_whole_copies() -> None:
    assert check(tree(), tree(), tree()) == []
    assert check(tree(hashes=HASHES), tree(hashes=HASHES)) == []
    assert check(None, None) == []


def test_hosts_without_it_get_it() -> None:
    fix = "nothing: site.yml copies 4.0 GiB from gpu01"
    assert check(tree(), None) == [("gpu02", "info", f"{PATH} is not there", fix)]


def test_several_commits_of_a_hub_are_each_compared_with_their_own() -> None:
    other = tree(path="/models/demo/b", bytes={"config.json": 601})
    assert check(tree(path="/models/demo/a"), other, model=FROM_HUB) == []


RUN = "run site.yml, which copies it from gpu01"


@pytest.mark.parametrize(
    ("damage", "severity", "found", "fix"),
    [
        pytest.param(
            {"bytes": without("tokenizer.json")}, "warning", f"{PATH} has no tokenizer.json", RUN, id="missing"
        ),
        pytest.param(
            {"broken": {WEIGHTS: CUT}, "bytes": without(WEIGHTS, **{WEIGHTS: 100})},
            "error",
            f"{PATH}: {CUT}",
            f"rm {PATH}/{WEIGHTS} on gpu02, then {RUN}",
            id="cut",
        ),
        pytest.param(
            {"broken": {WEIGHTS: CUT}, "bytes": without(WEIGHTS, **{WEIGHTS: 100}), "touched": [WEIGHTS]},
            "warning",
            f"{PATH}: {CUT}",
            RUN,
            id="cut-after-it-was-hashed",
        ),
        pytest.param(
            {"bytes": without("tokenizer.json", **{"tokenizer.json": 9001}), "made": True},
            "warning",
            f"{PATH}/tokenizer.json has 9001 bytes",
            RUN,
            id="another-size-in-a-copy-of-ours",
        ),
        pytest.param(
            {"touched": [WEIGHTS]},
            "warning",
            f"{PATH}: {WEIGHTS} has a new size or time of modification since it was hashed",
            "preflight.yml compares its content; site.yml restores it from gpu01",
            id="touched",
        ),
        pytest.param(
            {"touched": [WEIGHTS], "hashes": {WEIGHTS: "0"}},
            "warning",
            f"{PATH}: {WEIGHTS} changed since it was hashed",
            RUN,
            id="touched-and-hashed-again",
        ),
        pytest.param(
            {"touched": [WEIGHTS], "silent": [WEIGHTS], "hashes": {WEIGHTS: "0"}},
            "warning",
            f"{PATH}: {WEIGHTS} changed since it was hashed",
            "run site.yml -e vllm_ray_model_verify=full, which copies it from gpu01",
            id="silent-rot",
        ),
        pytest.param(
            {"bytes": {**FILES, "notes.txt": 7}},
            "warning",
            f"{PATH} has notes.txt, which most hosts do not have",
            "remove it on gpu02: site.yml makes all copies equal, but removes only files that it copied",
            id="extra",
        ),
    ],
)
def test_one_of_three_is_damaged(damage: dict[str, Any], severity: str, found: str, fix: str) -> None:
    assert check(tree(), tree(**damage), tree()) == [("gpu02", severity, found, fix)]
    # The damaged host is found, also if the others are copied from it.
    [(host, _severity, said, _fix)] = check(tree(**damage), tree(), tree(), model=FROM_CONTROLLER)
    assert (host, said) == ("gpu01", found)


def test_a_damaged_origin_would_be_copied() -> None:
    bad = tree(broken={WEIGHTS: CUT}, bytes=without(WEIGHTS, **{WEIGHTS: 100}))
    [(host, severity, _found, fix)] = check(bad, tree(), tree())
    assert (host, severity) == ("gpu01", "error")
    assert fix.startswith("copy it from gpu02, or remove /srv/demo")
    [(_host, severity, _found, fix)] = check(bad)
    assert (severity, fix[:32]) == ("error", "copy it from the origin of the m")


def test_a_copy_of_ours_is_mended_also_where_the_others_came_from() -> None:
    changed = tree(touched=[WEIGHTS], hashes={WEIGHTS: "0"}, made=True)
    found = f"{PATH}: {WEIGHTS} changed since it was hashed"
    assert check(changed, tree()) == [("gpu01", "warning", found, "run site.yml, which copies it from gpu02")]
    # Nobody else has it.
    assert check(changed, None)[0][1] == "error"
    # The owner of a directory that the role did not create may change it.
    assert check({**changed, "made": False}, tree())[0][1] == "error"
    touched = check(tree(touched=[WEIGHTS]), tree())
    assert touched[0][3] == "preflight.yml compares its content, before site.yml copies it to the others"


def test_hashes_of_other_pieces_are_not_compared() -> None:
    fewer = without("tokenizer.json")
    other = tree(bytes=fewer, piece_bytes=2**19, hashes=dict.fromkeys(fewer, "0"))
    assert [found for _host, _severity, found, _fix in check(tree(hashes=HASHES), tree(hashes=HASHES), other)] == [
        f"{PATH} has no tokenizer.json"
    ]


def test_a_changed_byte_is_told_by_the_hashes_of_most() -> None:
    other = {**HASHES, WEIGHTS: "0" * 64}
    assert check(tree(hashes=HASHES), tree(hashes=HASHES), tree(hashes=other)) == [
        ("gpu03", "error", f"{PATH}: different content in {WEIGHTS}", f"rm {PATH}/{WEIGHTS} on gpu03, then {RUN}")
    ]
    # Where it was hashed before, the role puts the old content back.
    known = tree(hashes=other, touched=[WEIGHTS])
    assert check(tree(hashes=HASHES), tree(hashes=HASHES), known)[0][1:] == (
        "warning",
        f"{PATH}: different content in {WEIGHTS}",
        RUN,
    )
    # One host alone has its own record to compare with.
    [(_host, severity, found, _fix)] = check(known)
    assert (severity, found) == ("error", f"{PATH}: {WEIGHTS} changed since it was hashed")


def test_each_host_lacks_another_file() -> None:
    """No copy is complete, but all are distinguished: each file is judged by itself."""
    copies = [tree(bytes=without(name)) for name in FILES]
    assert [(host, found) for host, _severity, found, _fix in check(*copies)] == [
        (f"gpu0{number}", f"{PATH} has no {name}") for number, name in enumerate(FILES, 1)
    ]


def test_what_a_host_itself_says() -> None:
    own = {"check": "model", "severity": "error", "found": "f", "wanted": "w", "fix": "x"}
    assert check(tree(), tree(bytes={}, problems=[own])) == [("gpu02", "error", "f", "x")]
