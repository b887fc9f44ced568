# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of a cluster on a host: firewall, model. The states of ufw are captured ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule, State
from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _details

FILES = {
    _ufw.CONF: "ufw.conf",
    _ufw.DEFAULTS: "default_ufw",
    _ufw.RULES[False]: "user.rules",
    _ufw.RULES[True]: "user6.rules",
}


def state(fixtures: Path, name: str) -> State:
    folder = fixtures / "ufw" / name

    def read(path: str) -> str | None:
        return (folder / FILES[path]).read_text(encoding="utf-8")

    texts = {v6: (folder / f"{program}_S").read_text() for v6, program in ((False, "iptables"), (True, "ip6tables"))}
    filters = {v6: _ufw.parse_filter(text, v6) for v6, text in texts.items()}
    return _ufw.read_state(read, filters)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        pytest.param("mixed", "ufw is on", id="on"),
        pytest.param("fresh", "none, every port is open: ufw is off", id="off"),
        pytest.param("flushed", "ufw is on, but IPv4: no packet enters ufw's chains", id="flushed"),
    ],
)
def test_whether_something_filters(fixtures: Path, name: str, status: str) -> None:
    assert _details.firewall(_ufw.TOOL, state(fixtures, name), "vllm-ray default")["status"] == status


def test_other_firewalls_and_none_at_all() -> None:
    assert "not installed" in _details.firewall(_ufw.TOOL, State(), "c")["status"]
    assert (
        _details.firewall(_ufw.TOOL, State(other="firewalld"), "c")["status"]
        == "firewalld filters packets, which this collection does not manage"
    )
    assert "only root" in _details.firewall(_ufw.TOOL, None, "c")["status"]


def test_only_our_rules_each_with_all_its_sources(fixtures: Path) -> None:
    rules = state(fixtures, "mixed").rules
    own = [rule for rule in rules if rule.comment == "vllm-ray default"]
    shown = _details.firewall(_ufw.TOOL, state(fixtures, "mixed"), "vllm-ray default")["rules"]
    assert own
    assert shown == _details.short_rules(own)
    assert len(shown) <= len(own)
    both = [Rule(False, src="192.0.2.12", nic_in="eno1"), Rule(False, src="192.0.2.13", nic_in="eno1")]
    port = Rule(False, proto="tcp", dport="8000", src="198.51.100.0/24")
    assert _details.short_rules([*both, port]) == [
        "Anywhere on eno1 from 192.0.2.12, 192.0.2.13",
        "8000/tcp from 198.51.100.0/24",
    ]


def test_the_model_that_an_engine_was_started_with() -> None:
    path = "/var/lib/vllm-ray/models/Qwen--Qwen3-32B/9216db5781bf21249d130ec9da846c4624c16137"
    digest = "5f2c3b0e" * 8
    script = f"#!/bin/sh\n# Serves {path} with the manifest {digest}.\nset -eu\n"
    assert _details.model({"model": path}, script) == {
        "path": path,
        "revision": "9216db5781bf21249d130ec9da846c4624c16137",
        "digest": digest,
    }
    nothing = {"path": "/srv/demo", "revision": "", "digest": ""}
    assert _details.model({"model": "/srv/demo"}, "#!/bin/sh\n# Serves /srv/demo.\n") == nothing
