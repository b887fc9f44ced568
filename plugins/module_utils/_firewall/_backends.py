# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tool keeps the firewall's rules; _backends_io.py has its Backend. Pure. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall import _ufw

# Hosts without a firewall get this one.
TOOL = _ufw.TOOL
