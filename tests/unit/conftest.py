# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests start no process, open no connection and wait for nothing: here, trying is a failure."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import Any, NoReturn

import pytest


@pytest.fixture(autouse=True)
def _pure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        def refused(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise AssertionError(f"a unit test called {name}: hand in a fake instead")

        return refused

    for owner, name in (
        (os, "system"),
        (socket.socket, "connect"),
        (socket, "getaddrinfo"),
        (subprocess, "Popen"),
        (time, "sleep"),
    ):
        monkeypatch.setattr(owner, name, refuse(f"{getattr(owner, '__name__', owner)}.{name}"))
