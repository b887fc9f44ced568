# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._transfers import _peer_addresses

HOSTVARS = {
    "a": {"ansible_host": "192.0.2.1", "vllm_ray_address": "198.51.100.1"},
    "b": {"ansible_host": "192.0.2.2"},
    "c": {"ansible_host": "no-such-name.invalid"},
}


def unknown(_place: str) -> str:
    raise OSError("Name or service not known")


def test_what_is_given_comes_first_then_the_cluster_address_then_ansibles() -> None:
    given = [{"name": "b", "address": "203.0.113.2"}]
    assert _peer_addresses.peers(["a", "b"], given, HOSTVARS, "model_hosts", unknown) == [
        {"name": "a", "address": "198.51.100.1"},
        {"name": "b", "address": "203.0.113.2"},
    ]
    assert _peer_addresses.address("b", HOSTVARS, "model_hosts", unknown) == "192.0.2.2"


def test_a_name_is_resolved() -> None:
    book = {"no-such-name.invalid": "192.0.2.3"}
    assert _peer_addresses.address("c", HOSTVARS, "model_hosts", book.__getitem__) == "192.0.2.3"


def test_a_name_without_an_address_names_the_host_and_the_mend() -> None:
    wanted = r"^c: no-such-name\.invalid has no address: Name or service not known\. .* Give it in model_hosts"
    with pytest.raises(AnsibleActionFail, match=wanted):
        _peer_addresses.address("c", HOSTVARS, "model_hosts", unknown)
