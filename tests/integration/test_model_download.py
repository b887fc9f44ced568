# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""model_download as processes, with the hubs' real clients, against hubs on loopback.

What goes well, and what doesn't. Clients mostly wait, so that those of all hubs run at the same time.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _folders_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree_io
from ansible_collections.vllm_ray.cluster.tests.integration.hub_server import COMMIT, Fault, Hub, Model

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.vllm_ray.cluster.plugins.modules.model_download"
LONGEST = 40
MIB = 1024**2
TOKEN = "hf_a-secret-of-the-test"
NOBODY = 65534
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
KINDS = sorted(_hub.HUBS)
# Each test has addresses of its own.
NETS = itertools.count(os.getpid() % 200)


def content(size: int = 300_000) -> dict[str, bytes]:
    """Return the files of a model. size: of the larger one of its weights."""
    chance = random.Random(size)
    return {
        "config.json": b'{"model_type": "llama"}',
        FIRST: chance.randbytes(size),
        SECOND: chance.randbytes(50_000),
        "tokenizer/größe 1.json": b"{}",
        "empty.txt": b"",
        "original/x.pth": chance.randbytes(5000),
        ".gitattributes": b"* text",
    }


def comes(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return those files of a model that a host gets."""
    return {name: text for name, text in files.items() if not name.startswith((".", "original/"))}


@cache
def modelscope_python() -> Path:
    """Return a Python with ModelScope's client that every account may run.

    The tests' own Python may be in a directory that only root may enter.
    """
    folder = Path(tempfile.mkdtemp(prefix="vllm-ray-test-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    packages, names = folder / "packages", ["modelscope_hub"]
    for name in names:
        found = metadata.distribution(name)
        for file in found.files or ():
            if ".." not in file.parts and not file.name.endswith(".pyc"):
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), packages / file)
        needed = [re.match(r"[\w.-]+", line) for line in found.requires or () if "extra ==" not in line]
        for match in needed:
            with contextlib.suppress(metadata.PackageNotFoundError):
                if match and match.group() not in names and metadata.distribution(match.group()):
                    names.append(match.group())
    script = f'#!/bin/sh\nPYTHONPATH={packages} exec /usr/bin/python3 "$@"\n'
    (folder / "python").write_text(script, encoding="utf-8")
    for path in (folder, folder / "python"):
        path.chmod(0o755)
    return folder / "python"


class Host:
    """A host, and the model of a hub that it is to have."""

    def __init__(self, folder: Path, hub: Hub, kind: str, name: str = "", user: str = "") -> None:
        self.folder, self.hub, self.kind, self.name = folder, hub, kind, name or f"acme/{kind}"
        self.user = user
        folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[str] | None = None

    @property
    def model(self) -> Model:
        return self.hub.models[self.name]

    def sent(self, file: str) -> int:
        return self.hub.sent(self.name, file)

    def start(self, **options: Any) -> None:
        """Start the module."""
        release = os.environ["VLLM_RAY_TEST_RELEASE"]
        given = {
            "hub": self.kind,
            "model": f"{self.hub.url}/mirror/{self.name}" if self.kind == "mirror" else self.name,
            "endpoint": self.hub.url,
            "root": str(self.folder / "models"),
            "record_directory": str(self.folder / "records"),
            "reserve_gib": 0,
            "exclude": ["original/*"],
            "user": self.user,
            "python": f"{release}/bin/python" if self.kind == "huggingface" else str(modelscope_python()),
            **options,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            cwd=ROOT,
            env={**os.environ, "HOME": str(self.folder), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        self.process.stdin.close()
        self.process.stdin = None

    def end(self) -> dict[str, Any]:
        """Wait for the module, and return what it says."""
        assert self.process
        output, errors = self.process.communicate(timeout=LONGEST)
        assert output, errors
        assert TOKEN not in output + errors
        assert not [path for path in self.folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
        return json.loads(output)

    def run(self, **options: Any) -> dict[str, Any]:
        self.start(**options)
        return self.end()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()

    def children(self) -> list[int]:
        """Return the processes that the module started."""
        assert self.process
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for thread in threads for child in thread.read_text().split()]

    def part(self) -> Path:
        """Return the directory of the download, also where there is none yet."""
        return next(self.folder.glob(f"models/*/.*{_hub_io.PART}"), self.folder / "none")

    def assert_whole(self, result: dict[str, Any]) -> None:
        """Look that all files are there, and nothing else."""
        assert not result.get("failed"), result
        tree = Path(result["directory"])
        found = {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}
        assert {name: path.read_bytes() for name, path in found.items()} == comes(self.model.files)
        assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o644}
        assert {(path.stat().st_uid, path.stat().st_nlink) for path in found.values()} == {(os.geteuid(), 1)}
        assert [path.name for path in tree.parent.iterdir()] == [tree.name]
        # Nothing need be hashed to know it.
        record = _tree_io.read_record(str(self.folder / "records"), str(tree))
        assert _tree_io.look(str(tree), record, plain=True).hashed == 0
        assert record.made

    def assert_refused(self, result: dict[str, Any], words: str) -> None:
        """Look that the problem is said, and that there is no model."""
        assert result.get("failed"), result
        assert set(result["problem"]) == {"check", "severity", "found", "wanted", "fix"}
        assert words in result["msg"], result["msg"]
        assert not [path for path in self.folder.glob("models/*/*") if not path.name.startswith(".")]


def run_all(hosts: list[Host], **options: Any) -> list[tuple[Host, dict[str, Any]]]:
    """Run the module on all hosts at the same time."""
    for host in hosts:
        host.start(**options)
    return [(host, host.end()) for host in hosts]


def wait(condition: Callable[..., Any], *given: Any) -> None:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition(*given):
                return
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


@pytest.fixture(scope="module")
def shared() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


@pytest.fixture
def hub(shared: Hub) -> Hub:
    """Return a hub with a model for each kind of client."""
    shared.models = {f"acme/{kind}": Model(content()) for kind in KINDS}
    shared.asked = []
    return shared


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a directory that everybody may enter: pytest's own is for root alone."""
    folder = Path(tempfile.mkdtemp(prefix="vllm-ray-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# Its clients run as root, where there is no service user, or as that.
as_both = pytest.mark.parametrize("each", ["", "nobody"], ids=["as root", "as the service user"], indirect=True)


@pytest.fixture
def each(hub: Hub, open_folder: Path, request: pytest.FixtureRequest) -> Iterator[list[Host]]:
    """Return a host for each kind of hub."""
    made = [Host(open_folder / kind, hub, kind, user=getattr(request, "param", "")) for kind in KINDS]
    yield made
    for host in made:
        host.kill()


# --- What goes well --------------------------------------------------------------------------------------------------


@as_both
def test_a_model_is_there_and_nobody_is_asked_again(each: list[Host], hub: Hub) -> None:
    asked = {host.kind: result for host, result in run_all(each, state="asked")}
    done = run_all(each)
    for host, result in done:
        host.assert_whole(result)
        assert (result["changed"], result["exists"]) == (True, True)
        told = asked[host.kind]
        assert (told["changed"], told["exists"], told["commit"]) == (False, False, result["commit"])
        assert told["to_copy_bytes"] == sum(map(len, comes(host.model.files).values()))
        assert host.kind == "mirror" or result["commit"] == COMMIT
    # Another commit is another directory, beside the first, and only an update finds it.
    directories = {host.kind: Path(result["directory"]) for host, result in done}
    for host in each:
        hub.models[host.name] = Model({**content(), "config.json": b"{}"}, commit="f" * 40)
    hub.asked = []
    for host, result in run_all(each):
        assert not result["changed"]
        assert result["directory"] == str(directories[host.kind])
    assert hub.asked == []
    for host, result in run_all(each, update=True):
        assert result["changed"]
        assert (directories[host.kind] / "config.json").read_bytes() == content()["config.json"]
        assert Path(result["directory"], "config.json").read_bytes() == b"{}"


@as_both
def test_a_token_reaches_the_client_by_its_environment_alone(each: list[Host], hub: Hub) -> None:
    gate = threading.Event()
    clients = [host for host in each if host.kind != "mirror"]
    for host in clients:
        hub.models[host.name] = Model(content(), token=TOKEN, faults={FIRST: Fault(gate=gate)})
        host.start(token=TOKEN)
    for host in clients:
        wait(lambda one: one.sent("config.json") and one.children(), host)
        (child,) = host.children()
        assert host.process
        owner = next(line for line in Path(f"/proc/{child}/status").read_text().splitlines() if line.startswith("Uid"))
        assert owner.split()[1:] == [str(NOBODY if host.user else os.geteuid())] * 4
        for pid in (child, host.process.pid):
            assert TOKEN.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert TOKEN.encode() in Path(f"/proc/{child}/environ").read_bytes()
        assert TOKEN.encode() not in Path(f"/proc/{host.process.pid}/environ").read_bytes()
    gate.set()
    for host in clients:
        host.assert_whole(host.end())
    # The server of large files is another one.
    assert {one.token for one in hub.asked if one.server == "127.0.0.2"} == {""}
    assert TOKEN in {one.token for one in hub.asked}


def test_a_server_that_is_slow_is_waited_for(each: list[Host]) -> None:
    for host in each:
        host.model.faults[FIRST] = Fault(rate=150_000)
    for host, result in run_all(each, patience=1):
        host.assert_whole(result)


def test_two_runs_at_once_download_once(hub: Hub, tmp_path: Path) -> None:
    both = [Host(tmp_path, hub, "huggingface"), Host(tmp_path, hub, "huggingface")]
    both[0].model.faults[FIRST] = Fault(rate=300_000)
    results = run_all(both)
    assert sorted(result["changed"] for _host, result in results) == [False, True]
    assert both[0].sent(FIRST) == len(both[0].model.files[FIRST])


# --- What is refused -------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A model that can't be downloaded. words: of the error; fix: words of its fix."""

    kind: str
    words: str
    fix: str = ""
    options: dict[str, Any] | None = None
    model: Model | None = None


TERMS, PRIVATE = Model(content(), token=TOKEN, gated=True), Model(content(), token=TOKEN)
TOKEN_FIX = "set model_hf_token (vllm_ray_hf_token)"
CASES = {
    "behind terms": Case("huggingface", "(HTTP 401) without a token", TOKEN_FIX, {}, TERMS),
    "behind terms, wrong token": Case(
        "huggingface", "(HTTP 403) with the given token", "accept its terms on http", {"token": "hf_other"}, TERMS
    ),
    "behind terms of ModelScope": Case("modelscope", "(HTTP 401) without a token", TOKEN_FIX, {}, TERMS),
    "behind terms of ModelScope, wrong token": Case(
        "modelscope", "(HTTP 403) with the given token", TOKEN_FIX, {"token": "hf_other"}, TERMS
    ),
    "private": Case("huggingface", "(HTTP 401) without a token", TOKEN_FIX, {}, PRIVATE),
    "private, wrong token": Case("huggingface", "has no ", TOKEN_FIX, {"token": "hf_other"}, PRIVATE),
    "private on ModelScope": Case("modelscope", "has no ", TOKEN_FIX, {}, PRIVATE),
    "unknown": Case("huggingface", "(HTTP 401) without a token", "is correct", {"model": "acme/none"}),
    "unknown to ModelScope": Case("modelscope", "has no acme/none at master", "correct", {"model": "acme/none"}),
    "a revision that is not there": Case("huggingface", " at v9", "vllm_ray_model_revision", {"revision": "v9"}),
    "a revision that ModelScope has not": Case("modelscope", " at v9", "vllm_ray_model_revision", {"revision": "v9"}),
    "no client": Case("huggingface", "has no huggingface_hub", "model_hub_python", {"python": "/usr/bin/python3"}),
    "no Python": Case("modelscope", "/none can't be started", "model_hub_python", {"python": "/none"}),
    "no room": Case("mirror", "GiB free", "make room", {"reserve_gib": 10**6}),
    "no mirror": Case("mirror", "has no SHA256SUMS", "run sha256sum", {"model": "URL/nothing"}),
    "a mirror that is another now": Case("mirror", "is now", "pass -e model_update=true", {"commit": "0" * 40}),
    # Hugging Face's client ends well where the hub refuses to answer, and something is in the directory.
    "a client that says that all is well": Case(
        "huggingface", "(HTTP 401) without", TOKEN_FIX, {}, Model(content(), listing=Fault(status=403, late=True))
    ),
}


@pytest.fixture(scope="module")
def refusals(shared: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Host, dict[str, Any]]]:
    """Return what comes of all cases."""
    shared.models = {f"acme/case{number}": case.model or Model(content()) for number, case in enumerate(CASES.values())}

    def run(number: int) -> tuple[Host, dict[str, Any]]:
        case = list(CASES.values())[number]
        host = Host(tmp_path_factory.mktemp("case"), shared, case.kind, f"acme/case{number}")
        options = {name: str(value).replace("URL", shared.url) for name, value in (case.options or {}).items()}
        return host, host.run(**options)

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(CASES, pool.map(run, range(len(CASES)))))


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused(refusals: dict[str, tuple[Host, dict[str, Any]]], name: str) -> None:
    host, result = refusals[name]
    host.assert_refused(result, CASES[name].words)
    assert CASES[name].fix in result["problem"]["fix"]


# --- What goes wrong on the way --------------------------------------------------------------------------------------


def test_an_error_of_the_hub_that_passes(each: list[Host]) -> None:
    for host in each:
        host.model.listing = Fault(status=503, times=1)
    for host, result in run_all(each):
        host.assert_whole(result)


def test_an_error_of_the_hub_that_stays(each: list[Host]) -> None:
    for host in each:
        host.model.faults[FIRST] = Fault(status=503)
    for host, result in run_all(each):
        host.assert_refused(result, "503")
        host.model.faults.clear()
    for host, result in run_all(each):
        host.assert_whole(result)
        # What came was kept.
        assert host.sent(SECOND) == len(host.model.files[SECOND])


def test_a_cut_connection_costs_no_more_than_the_rest(each: list[Host], hub: Hub) -> None:
    for host in each:
        # Hugging Face's client takes 10 MiB at a time.
        size = 12 * MIB if host.kind == "huggingface" else 300_000
        hub.models[host.name] = Model(content(size), faults={FIRST: Fault(cut=size * 9 // 10, times=1)})
    for host, result in run_all(each):
        host.assert_whole(result)
        assert [bool(one.span) for one in hub.parts(host.name, FIRST)] == [False, True]
        assert host.sent(FIRST) < 1.1 * len(host.model.files[FIRST])


def test_a_mirror_that_knows_no_ranges(hub: Hub, tmp_path: Path) -> None:
    host = Host(tmp_path, hub, "mirror")
    host.model.faults[FIRST] = Fault(cut=100_000, whole=True, times=1)
    host.assert_whole(host.run())


@as_both
def test_wrong_bytes_are_fetched_again(each: list[Host]) -> None:
    for host in each:
        host.model.faults[FIRST] = Fault(wrong=True, times=1)
    for host, result in run_all(each):
        host.assert_whole(result)
        assert host.sent(FIRST) == 2 * len(host.model.files[FIRST])
        assert host.sent(SECOND) == len(host.model.files[SECOND])


def test_bytes_that_stay_wrong_are_no_model(each: list[Host]) -> None:
    for host in each:
        host.model.faults[FIRST] = Fault(wrong=True)
    for host, result in run_all(each):
        host.assert_refused(result, FIRST)
        # ModelScope's client finds it out by itself.
        words = "Hash mismatch" if host.kind == "modelscope" else "content that does not match its hash"
        assert words in result["msg"]


@as_both
def test_after_a_kill_only_the_rest_is_fetched(each: list[Host], hub: Hub) -> None:
    gate, size = threading.Event(), 2 * MIB
    for host in each:
        hub.models[host.name] = Model(content(size), faults={FIRST: Fault(gate=gate, times=1)})
        host.start()
    others = [name for name, text in comes(content()).items() if text and name != FIRST]
    for host in each:
        wait(lambda one: all((one.part() / name).exists() for name in others), host)
    time.sleep(0.3)
    for host in each:
        children = host.children()
        assert len(children) == (host.kind != "mirror")
        host.kill()
        # The kernel ends the client, too.
        wait(lambda pids: not any(Path(f"/proc/{pid}").exists() for pid in pids), children)
    gate.set()
    for host, result in run_all(each):
        host.assert_whole(result)
        assert {name: host.sent(name) for name in others} == {name: len(host.model.files[name]) for name in others}
        # Hugging Face's client begins a file again that it did not finish.
        assert bool(hub.parts(host.name, FIRST)[-1].span) == (host.kind != "huggingface")


# --- A client that is not to be trusted ------------------------------------------------------------------------------


HOSTILE = """#!/bin/sh
# In place of a Python with a client: argv is -c SCRIPT MODULE download MODEL --revision COMMIT --local-dir FOLDER ...
while [ "$1" != --local-dir ]; do shift; done
cd "$2"
id -u > {seen}
ln -s {canary} config.json
mkfifo {second}
ln -s {outside} original
ln -s {outside} .cache
printf x > {outside}/mine
cp {good} {first}.part
mv {first}.part {first}
# It keeps the file open, and writes to it when it was checked.
exec 3<> {first}
i=0
while [ $i -lt 40 ]; do
    [ -e ../{first} ] && {{ printf EVIL >&3; rm -f {first}; printf EVIL > {first}; }}
    i=$((i + 1))
    sleep 0.05
done
"""


def test_a_hostile_client_gets_nothing_of_root(hub: Hub, open_folder: Path) -> None:
    """It plants links and a FIFO, and changes a file after it was checked."""
    host = Host(open_folder / "host", hub, "modelscope", user="nobody")
    canary, outside, seen, good = (open_folder / name for name in ("canary", "outside", "seen", "good"))
    canary.write_bytes(host.model.files["config.json"])
    canary.chmod(0o600)
    outside.mkdir(mode=0o755)
    (outside / "half.incomplete").write_text("keep me", encoding="utf-8")
    seen.touch(0o666)
    seen.chmod(0o666)
    good.write_bytes(host.model.files[FIRST])
    good.chmod(0o644)
    python = open_folder / "python"
    python.write_text(
        HOSTILE.format(first=FIRST, second=SECOND, canary=canary, outside=outside, seen=seen, good=good),
        encoding="utf-8",
    )
    python.chmod(0o755)
    result = host.run(python=str(python))
    assert result["failed"]
    assert seen.read_text(encoding="utf-8").strip() == str(NOBODY)
    # It is the hub's own bytes that were checked, and nobody could write to them since.
    taken = host.part() / FIRST
    assert taken.read_bytes() == host.model.files[FIRST]
    assert (taken.stat().st_uid, taken.stat().st_mode & 0o777) == (0, 0o644)
    assert not (host.part() / "config.json").exists()
    assert not (host.part() / SECOND).exists()
    assert canary.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in outside.iterdir()) == ["half.incomplete"]
    # What it planted does not keep the next run from going well.
    host.assert_whole(host.run())


# --- All hosts in one run --------------------------------------------------------------------------------------------


class Cluster:
    """Three hosts; the first one downloads."""

    def __init__(self, folder: Path, hub: Hub, kind: str) -> None:
        net = next(NETS) % 250
        self.names = ["h1", "h2", "h3"]
        self.addresses = [{"name": name, "address": f"127.97.{net}.{at}"} for at, name in enumerate(self.names, 1)]
        self.hosts = {name: Host(folder / name, hub, kind) for name in self.names}
        self.first = self.hosts["h1"]
        self.token = f"run {os.getpid()} {time.time()}"

    def start(self, commit: str, **options: Any) -> None:
        for name, host in self.hosts.items():
            # Only one of them knows the hub.
            given = {} if name == "h1" else {"python": "", "endpoint": "http://127.0.0.1:9"}
            common = {"hosts": self.addresses, "name": name, "source": "h1", "run_token": self.token, "commit": commit}
            host.start(**{**common, **given, "grace": 5, "patience": 5, **options})

    def end(self) -> dict[str, dict[str, Any]]:
        return {name: host.end() for name, host in self.hosts.items()}

    def staged(self, name: str, file: str) -> Path:
        """Return where a file is before the directory appears."""
        folder = self.hosts[name].folder
        return next(folder.glob(f"models/*/.*{_folders_io.STAGING}/tree"), folder / "none") / file


@pytest.fixture
def clusters(hub: Hub, tmp_path: Path) -> Iterator[list[Cluster]]:
    """Return a cluster for each kind of hub."""
    made = [Cluster(tmp_path / kind, hub, kind) for kind in KINDS]
    yield made
    for cluster in made:
        for host in cluster.hosts.values():
            host.kill()


def test_hosts_get_what_is_finished_while_the_rest_is_downloaded(clusters: list[Cluster], hub: Hub) -> None:
    gate = threading.Event()
    commits = {host.kind: result["commit"] for host, result in run_all([one.first for one in clusters], state="asked")}
    for cluster in clusters:
        cluster.first.model.faults[FIRST] = Fault(gate=gate)
        cluster.start(commits[cluster.first.kind])
    for cluster, name in itertools.product(clusters, ("h2", "h3")):
        wait(lambda one, at: one.staged(at, SECOND).read_bytes() == content()[SECOND], cluster, name)
        assert not cluster.staged(name, FIRST).exists()
        assert not list(cluster.hosts[name].folder.glob("models/*/[!.]*"))
    gate.set()
    for cluster in clusters:
        results = cluster.end()
        for name, host in cluster.hosts.items():
            host.assert_whole(results[name])
            assert results[name]["absent"] == []
        assert len({result["digest"] for result in results.values()}) == 1
        assert results["h1"]["received_bytes"] == 0
        for file, text in comes(cluster.first.model.files).items():
            assert cluster.first.sent(file) == len(text)


def test_a_download_that_is_refused_ends_all_hosts_with_its_reason(clusters: list[Cluster], hub: Hub) -> None:
    (cluster,) = (one for one in clusters if one.first.kind == "huggingface")
    hub.models[cluster.first.name] = TERMS
    cluster.start(COMMIT)
    results = cluster.end()
    cluster.first.assert_refused(results["h1"], "(HTTP 401) without a token")
    for name in ("h2", "h3"):
        assert "h1 could not download it" in results[name]["msg"]
        assert "accept its terms" in results[name]["msg"]


def test_a_host_that_has_it_gives_it_to_the_others_without_the_hub(clusters: list[Cluster], hub: Hub) -> None:
    cluster = clusters[0]
    commit = cluster.first.run()["commit"]
    hub.asked = []
    cluster.start(commit)
    results = cluster.end()
    assert [results[name]["changed"] for name in cluster.names] == [False, True, True]
    for name, host in cluster.hosts.items():
        host.assert_whole(results[name])
    assert hub.asked == []
