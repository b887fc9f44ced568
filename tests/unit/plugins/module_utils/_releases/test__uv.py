# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where packages come from, and how uv and pip are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _uv
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._uv import Sources

ROOT = Path(__file__).parents[5]
FIXTURES = ROOT / "tests" / "fixtures" / "release"


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


PIP = """
[global]
cert = /etc/ssl/certs/ca-certificates.crt
extra-index-url = file:///opt/a/simple file:///opt/b/simple
find-links =
    /srv/wheels
    /srv/more
timeout = 60
"""


def test_sources_are_what_pip_is_configured_with() -> None:
    found = _uv.pip_sources([PIP, "[install]\nindex_url = https://example.net/simple\n", ""], {"PIP_FIND_LINKS": "/w"})
    assert found == Sources(
        index_url="https://example.net/simple",
        extra_index_urls=["file:///opt/a/simple", "file:///opt/b/simple"],
        find_links=["/w"],
        ca_certificate="/etc/ssl/certs/ca-certificates.crt",
        timeout="60",
    )


@pytest.mark.parametrize(
    ("configuration", "no_index"),
    [("no-index = true", True), ("no-index = false", False), ("no_index=1", True), ("", False)],
)
def test_an_index_can_be_off(configuration: str, no_index: bool) -> None:
    assert _uv.pip_sources([f"[global]\n{configuration}\n"], {}).no_index is no_index


@pytest.mark.parametrize("broken", ["no section = 1", "[global\n", "\x00"])
def test_a_broken_configuration_says_nothing(broken: str) -> None:
    assert _uv.parse_pip_file(broken) == {}


def test_what_is_given_wins_over_what_is_configured() -> None:
    configured = Sources(index_url="https://a", find_links=["/a"], proxy="http://p", no_index=True)
    found = _uv.choose_sources({"index_url": "https://b", "find_links": [], "extra_index_urls": None}, configured)
    assert (found.index_url, found.find_links, found.proxy, found.no_index) == ("https://b", ["/a"], "http://p", False)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/srv/wheels", "/srv/wheels"),
        ("file:///srv/wheels", "/srv/wheels"),
        ("file://localhost/srv/wheels", "/srv/wheels"),
        ("https://example.net/simple", ""),
    ],
)
def test_which_sources_are_directories(source: str, path: str) -> None:
    assert _uv.local_path(source) == path


def test_directories_that_are_not_there_are_left_out() -> None:
    sources = Sources(extra_index_urls=["file:///a", "https://b"], find_links=["/c", "/d"])
    kept, missing = _uv.drop_missing(sources, lambda path: path == "/c")
    assert (kept.extra_index_urls, kept.find_links, missing) == (["https://b"], ["/c"], ["file:///a", "/d"])


def test_a_missing_local_index_does_not_become_a_public_one() -> None:
    kept, missing = _uv.drop_missing(Sources(index_url="file:///gone"), lambda _path: False)
    assert kept.no_index
    assert missing == ["file:///gone"]


def test_uv_gets_urls_by_its_environment_only() -> None:
    sources = Sources(
        "https://u:secret@a/s", ["https://b", "https://c"], ["/d", "/e"], "http://p:1", "/ca", timeout="60"
    )
    found = _uv.uv_environment(sources, "/cache", "https://mirror")
    assert found["UV_DEFAULT_INDEX"] == "https://u:secret@a/s"
    assert found["UV_INDEX"] == "https://b https://c"
    assert found["UV_FIND_LINKS"] == "/d,/e"
    assert found["HTTPS_PROXY"] == "http://p:1"
    assert found["SSL_CERT_FILE"] == "/ca"
    assert found["UV_CACHE_DIR"] == "/cache"
    assert found["UV_PYTHON_INSTALL_MIRROR"] == "https://mirror"
    assert "UV_DEFAULT_INDEX" not in _uv.uv_environment(Sources())
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert _uv.uv_environment(sources, resolves=True)["UV_INDEX_STRATEGY"] == "first-index"
    assert _uv.pip_environment(sources)["PIP_INDEX_URL"] == "https://u:secret@a/s"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("see https://user:pa%20ss@host/simple now", "see https://***@host/simple now"),
        ("https://token@host", "https://***@host"),
        ("not found: https://host/simple?token=secret&a=b.", "not found: https://host/simple?***"),
        ("https://host/a.whl?secret#sha256=0f", "https://host/a.whl?***#sha256=0f"),
        ("https://host/a@b", "https://host/a@b"),
        ("no url", "no url"),
    ],
)
def test_passwords_are_not_shown(said: str, shown: str) -> None:
    assert _uv.redact(said) == shown


def test_the_last_lines_of_what_a_tool_said() -> None:
    assert _uv.last_lines("a\n\nb\nc\n", 2) == "b\nc"
    assert _uv.last_lines("") == ""


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("uv_sync_no_cpu_torch", True), ("uv_sync_wrong_hash", False)],
)
def test_when_torch_comes_from_its_own_index(name: str, lacks: bool) -> None:
    assert _uv.lacks_cpu_torch(text(name)) is lacks


@pytest.mark.parametrize(("name", "advised"), [("uv_sync_no_hash", True), ("uv_sync_wrong_hash", False)])
def test_a_lock_without_hashes_gets_the_command_that_makes_them(name: str, advised: bool) -> None:
    assert ("uv pip compile --generate-hashes" in _uv.hash_advice(text(name))) is advised


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (
            _uv.venv_argv("/uv", "/usr/bin/python3.11", "/t"),
            "/uv venv --quiet --relocatable --no-project --python /usr/bin/python3.11 /t",
        ),
        (
            _uv.sync_argv("/uv", "/t", "/l"),
            "/uv pip sync --no-build --require-hashes --python /t/bin/python /l",
        ),
        (
            _uv.sync_argv("/uv", "/t", "/l", "cpu", no_index=True),
            "/uv pip sync --no-build --require-hashes --torch-backend cpu --no-index --python /t/bin/python /l",
        ),
        (
            _uv.sync_argv("/uv", "/t", "/l", again=["a", "b"]),
            (
                "/uv pip sync --no-build --require-hashes --reinstall-package=a --reinstall-package=b "
                "--python /t/bin/python /l"
            ),
        ),
        (
            _uv.compile_argv("/t", "lib/site"),
            "/t/bin/python -B -I -S -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -s /t /t/lib/site",
        ),
        (_uv.python_install_argv("/uv", "3.11.9", "/p"), "/uv python install --no-bin --install-dir /p 3.11.9"),
        (_uv.tool_venv_argv("/python", "/v"), "/python -m venv --clear /v"),
        (
            _uv.tool_install_argv("/v", "/l"),
            "/v/bin/python -m pip install --quiet --require-hashes --no-deps -r /l",
        ),
        (_uv.cache_clean_argv("/uv", ["a", "b"]), "/uv cache clean a b"),
    ],
)
def test_command_lines(argv: list[str], wanted: str) -> None:
    assert " ".join(argv) == wanted


def test_a_logged_command_is_not_read_by_a_shell() -> None:
    argv = _uv.logged(["echo", "$(id)"], "/log")
    assert argv[0] == "/bin/sh"
    assert argv[-3:] == ["/log", "echo", "$(id)"]
