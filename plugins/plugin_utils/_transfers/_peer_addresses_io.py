# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves names on the controller. PRIVATE to the collection."""

from __future__ import annotations

import socket


def resolve(place: str) -> str:
    """Return the first address of a name. Raises OSError."""
    return str(socket.getaddrinfo(place, None, type=socket.SOCK_STREAM)[0][4][0])
