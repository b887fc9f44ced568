# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts take part in a transfer: three hosts, and what each has of the model."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers._transfer import Host, Transfer, decide

NFS = "nfs4 storage:/models"


def source(where: str = "", **given: Any) -> Any:
    """What model_manifest returns for a source; for the controller's, if no host is named."""
    whole: dict[str, Any] = {"controller": not where, "where": where or "the controller", "to_copy": []}
    return {**whole, "to_remove": [], "directory": "/m", "record": "/r/m.json", **given}


def host(number: int, lacks: int = 0, **given: Any) -> Host:
    return Host(f"h{number}", lacks > 0, lacks, **given)


@pytest.mark.parametrize(
    ("hosts", "found", "transfer"),
    [
        pytest.param([host(1), host(2)], source(), Transfer(), id="nothing to do"),
        pytest.param([host(1), host(2, 9)], source("h1"), Transfer(["h1", "h2"]), id="from a host"),
        pytest.param(
            [host(1, 9), host(2, 5), host(3, 9)],
            source(),
            Transfer(["h1", "h2", "h3"], seed="h2"),
            id="from the controller, to whom lacks least",
        ),
        pytest.param([host(1, 9)], source(), Transfer([], seed="h1"), id="one host alone"),
        pytest.param(
            [host(1), host(2, 9)], source(), Transfer(["h1", "h2"]), id="a host that has it spares the controller"
        ),
        pytest.param([host(2, 9)], source("h1"), Transfer(["h2", "h1"]), id="a source outside the play"),
        pytest.param(
            [host(1, 9, has_source=True), host(2, 9)], source("h1"), Transfer(["h1", "h2"]), id="to another path"
        ),
        pytest.param(
            [host(number, 9, shared=NFS) for number in (1, 2, 3)],
            source(),
            Transfer([], seed="h1", waiting=["h2", "h3"]),
            id="one writes to a shared file system",
        ),
        pytest.param(
            [host(1, 9, shared=NFS), host(2, 9, shared=NFS, has_source=True), host(3, 9)],
            source("h2"),
            Transfer(["h2", "h3"], waiting=["h1"]),
            id="the source writes to what it shares",
        ),
        pytest.param(
            [host(1, 9, has_source=True), host(2)],
            source("h1", to_copy=[{"path": "w"}]),
            Transfer(["h1", "h2"]),
            id="a damaged source is mended by who has it whole",
        ),
    ],
)
def test_who_takes_part(hosts: list[Host], found: Any, transfer: Transfer) -> None:
    assert decide(hosts, found) == transfer


def test_what_nobody_has_whole_is_an_error() -> None:
    damaged = source("h1", to_copy=[{"path": "w"}], to_remove=["x"])
    for hosts in ([host(1, 9, has_source=True), host(2, 9)], [host(2, 9)]):
        problem = decide(hosts, damaged).problem
        assert problem
        assert problem["found"].startswith("/m on h1: w, x changed since it was hashed")
        assert "/r/m.json on h1" in problem["fix"]
