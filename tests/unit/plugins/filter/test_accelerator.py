# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.vllm_ray.cluster.plugins.filter import accelerator as plugin
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._accelerator import ACCELERATORS

accelerator = plugin.FilterModule().filters()["accelerator"]


@pytest.mark.parametrize("name", ACCELERATORS)
def test_it_returns_what_it_documents(name: str) -> None:
    assert list(accelerator(name)) == list(yaml.safe_load(plugin.RETURN)["_value"]["contains"])


def test_units_that_load_drivers() -> None:
    assert accelerator("cuda")["wants"] == "modprobe@nvidia_uvm.service"
    assert (accelerator("cpu")["wants"], accelerator("cpu")["after"]) == ("", [])


@pytest.mark.parametrize("name", ["tpu", "", None, ["cuda"]])
def test_another_name_is_an_error_of_the_filter(name: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"is not an accelerator\. Expected: cuda or cpu"):
        accelerator(name)
