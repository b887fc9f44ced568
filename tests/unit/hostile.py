# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that mean something else to a shell, systemd, sudo, supervisor, Jinja or a terminal, or lead elsewhere."""

from __future__ import annotations

HOSTILE = (
    *("a\nUser=root", "a\rb", "a\tb", "a\x1b[31mb", "a\x01b", "a\x7fb", "a\u2028b", "a\u202eb"),
    *("a%b", "a%%b", "%n", "%(here)s", "a$HOME", "a$(touch /tmp/vllm-ray-was-run)", "a`id`", "${A}"),
    *('a"b', "a'b", '"', "'", "a;b", "a ;b", "a #b", "#a", ";a", "a\\", "a\\nb", "a\\ b", "a&b", "a|b", "a>b"),
    *(
        "-a",
        "--a",
        "..",
        "../a",
        "a/../b",
        "/",
        "/a/..",
        ".a",
        "a b",
        " a",
        "a ",
        "a,b:c=d",
        "*",
        "[a]",
        "!a",
        "@a",
        "~a",
    ),
    *("gr\u00f6\u00dfe", "\u540d\u524d", "x" * 5000, "{{ 7 * 7 }}", "{% raw %}", "{#", "a\\\nb", "ALL", "root", "0"),
)
