# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host noted when it downloaded a model of a hub. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _json
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import COMMIT

if t.TYPE_CHECKING:
    from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Wish


@dataclass(frozen=True)
class Pin:
    """What a revision meant when its model was downloaded, and where that is."""

    commit: str
    directory: str


def pin_name(wish: Wish, path: str) -> str:
    """Return the name of the file that holds the pin of a model for a path, empty for the default path."""
    text = json.dumps([wish.hub.name, wish.url, wish.model, wish.wanted_revision, path])
    return f"hub-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def parse_pin(text: str) -> Pin | None:
    """Return a pin, or nothing where the text is none."""
    try:
        data = _json.parse(text, dict)
        return Pin(str(data["commit"]), str(data["directory"]))
    except (ValueError, KeyError, TypeError):
        return None


def render_pin(pin: Pin) -> str:
    return json.dumps(asdict(pin), sort_keys=True) + "\n"


def known_commit(wish: Wish, pin: Pin | None) -> str:
    """Return the commit that is known without asking the hub, or nothing."""
    if COMMIT.fullmatch(wish.wanted_revision):
        return wish.wanted_revision
    return pin.commit if pin else ""
