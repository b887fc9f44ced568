# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes get a secret: services of the account that owns its file, and no other process on their port.

The modules run as processes, as root, against servers under accounts of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _http_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._http_io import Refused, read_secret, request
from ansible_collections.vllm_ray.cluster.tests.integration.fake_service import Service

ROOT = Path(__file__).resolve().parents[2]
MODULES = "ansible_collections.vllm_ray.cluster.plugins.modules"
# Numbers without accounts: the service's, and a stranger's.
OURS, ALIEN = 64123, 65534
SECRET = "a-secret-of-this-test-that-is-long-enough"
BEARER = f"Bearer {SECRET}"
# Whatever a server does, a module ends within this many seconds.
LONGEST = 30

Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a server; all of them end with the test."""
    with contextlib.ExitStack() as stack:

        def started(uid: int, mode: str = "serves", **more: Any) -> Service:
            service = Service(tmp_path, uid, mode, **more)
            stack.callback(service.end)
            return service

        yield started


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file of a secret, which belongs to the service's account."""
    return secret_file(tmp_path / "api.key")


def secret_file(path: Path, uid: int = OURS) -> Path:
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    os.chown(path, uid, uid)
    path.chmod(0o400)
    return path


def run(module: str, **arguments: Any) -> dict[str, Any]:
    """Run a module as Ansible does, and return its result."""
    done = subprocess.run(
        [sys.executable, "-m", f"{MODULES}.{module}"],
        cwd=ROOT,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.stdout, done.stderr
    assert SECRET not in done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert not result.get("failed"), result
    return result


def ask_endpoint(port: int, folder: Path) -> str:
    proof = [{"request": {"messages": []}, "seconds": 2}]
    key = secret_file(folder / "api.key")
    found = run("vllm_endpoint_info", url=f"http://127.0.0.1:{port}", key_file=str(key), model="demo", proof=proof)
    return "" if found["ready"] else str(found["why"])


def ask_ray(port: int, folder: Path) -> str:
    token = secret_file(folder / "ray.token")
    found = run("ray_cluster_info", url=f"http://127.0.0.1:{port}", token_file=str(token), seconds=2)
    return "" if found["exists"] else str(found["why"])


def ask_engine(port: int, folder: Path) -> str:
    config = engine_config(folder / "serve-main.yaml", port)
    found = run("host_info", engine_config=str(config), engine_key_file=str(secret_file(folder / "api.key")))
    return "" if found["engine"]["serving"] else str(found["engine"]["why"])


def ask_details(port: int, folder: Path) -> str:
    secret_file(folder / "ray.token")
    more = {
        "release": str(folder),
        "config": str(folder),
        "started": str(folder),
        "dashboard": f"http://127.0.0.1:{port}",
    }
    services, logs = ["vllm-ray-node@test", "vllm-ray-serve@test-main"], [str(folder / "none"), str(folder / "none")]
    found = run(
        "host_info",
        services=services,
        manager="supervisor",
        supervisor_directory=str(folder),
        supervisor_bin=str(folder),
        engine_config=str(folder / "none"),
        details={"cluster": "test", "log_files": logs, **more},
    )
    return str(found["details"]["nodes"]["why"])


# Every module that sends a secret to a service of ours, by the option that leads there. Each returns why there is no
# usable answer.
SENDERS: dict[str, Callable[[int, Path], str]] = {
    "vllm_endpoint_info.url": ask_endpoint,
    "ray_cluster_info.url": ask_ray,
    "host_info.engine_config": ask_engine,
    "host_info.details.dashboard": ask_details,
}
every_sender = pytest.mark.parametrize("ask", SENDERS.values(), ids=SENDERS)


def engine_config(path: Path, port: int, **change: Any) -> Path:
    """Write the options of an engine."""
    usual = {
        "host": "127.0.0.1",
        "port": port,
        "served-model-name": "demo",
        "tensor-parallel-size": 1,
        "pipeline-parallel-size": 1,
        "distributed-executor-backend": "mp",
    }
    path.write_text(json.dumps({**usual, **change}), encoding="utf-8")
    return path


# --- Which listeners get it ------------------------------------------------------------------------------------------


@every_sender
def test_our_own_service_gets_it(ask: Callable[[int, Path], str], start: Start, tmp_path: Path) -> None:
    ours = start(OURS)
    assert ask(ours.port, tmp_path) == ""
    assert set(ours.secrets()) == {BEARER}


@every_sender
def test_a_stranger_on_its_port_gets_nothing(ask: Callable[[int, Path], str], start: Start, tmp_path: Path) -> None:
    alien = start(ALIEN)
    why = ask(alien.port, tmp_path)
    assert alien.requests() == []
    assert f"port {alien.port} is held by " in why
    assert f"(pid {alien.process.pid}, user nobody), not by {OURS}: {tmp_path}/" in why
    assert why.endswith(" was not sent")


@every_sender
def test_a_redirect_is_not_followed(ask: Callable[[int, Path], str], start: Start, tmp_path: Path) -> None:
    other = start(OURS)
    ours = start(OURS, f"redirects:{other.url}")
    assert "redirects are not followed" in ask(ours.port, tmp_path)
    assert other.requests() == []


@every_sender
@pytest.mark.parametrize("mode", ["endless", "endless error", "deep", "list"])
def test_an_answer_without_end_or_form_ends(
    ask: Callable[[int, Path], str], mode: str, start: Start, tmp_path: Path
) -> None:
    begin = time.monotonic()
    why = ask(start(OURS, mode).port, tmp_path)
    assert time.monotonic() - begin < 10
    # Any JSON is an answer to the probe of an engine.
    assert why or (mode == "list" and ask is ask_engine)


# --- The same closely ------------------------------------------------------------------------------------------------


def refusal(url: str, key: Path, seconds: float = 10) -> Refused:
    with pytest.raises(Refused) as caught:
        request(f"{url}/v1/models", read_secret(str(key)), seconds=seconds)
    return caught.value


@pytest.mark.parametrize("mode", ["slow", "hangs"])
def test_all_of_an_answer_must_come_in_time(mode: str, start: Start, key: Path) -> None:
    ours = start(OURS, mode)
    begin = time.monotonic()
    with pytest.raises(Refused) as caught:
        request(f"{ours.url}/v1/completions", read_secret(str(key)), {}, seconds=0.7)
    assert time.monotonic() - begin < 2
    assert (caught.value.kind, str(caught.value)) == ("timeout", "timed out after 0.7 s")


def test_who_never_accepts_a_connection_is_told_from_a_stranger_who_does_not(start: Start, key: Path) -> None:
    assert refusal(start(OURS, "deaf").url, key, 0.5).kind == "timeout"
    assert refusal(start(ALIEN, "deaf").url, key, 0.5).kind == "stranger"


def test_nobody_listens(start: Start, key: Path) -> None:
    ours = start(OURS)
    ours.end()
    assert (refusal(ours.url, key).kind, str(refusal(ours.url, key))) == ("closed", "Connection refused")


@pytest.mark.parametrize(
    ("address", "host"), [("::", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", "127.0.0.2"), ("127.0.0.1", "localhost")]
)
@pytest.mark.parametrize("uid", [OURS, ALIEN])
def test_all_kinds_of_addresses(uid: int, address: str, host: str, start: Start, key: Path) -> None:
    server = start(uid, address=address)
    url = f"http://{host}:{server.port}"
    if uid == OURS:
        assert json.loads(request(f"{url}/v1/models", read_secret(str(key))))
        assert server.secrets() == [BEARER]
    else:
        assert refusal(url, key).kind == "stranger"
        assert server.requests() == []


def test_a_stranger_who_made_room_for_us_gets_nothing(start: Start, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the connection, and our service already listens when the listener is determined."""
    alien = start(ALIEN, "leaves")
    real = _http_io.check_peer

    def late(*given: Any) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", alien.port))
                break
            time.sleep(0.01)
        start(OURS, port=alien.port)
        real(*given)

    monkeypatch.setattr(_http_io, "check_peer", late)
    assert refusal(alien.url, key).kind == "stranger"
    alien.process.wait(5)
    assert alien.secrets() == []


def test_the_unprivileged_user_asks_services_of_his_own(start: Start, tmp_path: Path) -> None:
    """Scope user: file, service and module are one account's; what others hold is theirs."""
    mine = secret_file(tmp_path / "mine", os.geteuid())
    assert request(f"{start(os.geteuid()).url}/v1/models", read_secret(str(mine)))
    assert refusal(start(OURS).url, mine).kind == "stranger"


def test_a_request_without_a_secret_needs_no_owner(start: Start) -> None:
    alien = start(ALIEN)
    assert request(f"{alien.url}/v1/models")
    assert alien.secrets() == []


@pytest.mark.parametrize("text", ["two\nlines of a secret", "\x00", "schlüssel"])
def test_a_secret_that_no_header_carries_is_not_shown(text: str, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "odd.key"
    path.write_text(text, encoding="utf-8")
    ours = start(os.geteuid())
    said = str(refusal(ours.url, path))
    assert said.startswith(f"{path}: the token or key has a space, a line break or another character")
    assert ours.requests() == []


def test_on_another_host_it_goes_to_whoever_answers_there(start: Start, key: Path) -> None:
    """As documented: of a socket of another host, nothing can be known. That host is a network namespace here."""
    argv = ["unshare", "--net", "sh", "-c", "echo $$; exec sleep 60"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as sleeper:
        assert sleeper.stdout
        inside = sleeper.stdout.readline().strip()
        try:
            run_all(
                f"ip link add vrtest0 type veth peer name vrtest1 netns {inside}",
                "ip address add 198.51.100.1/30 dev vrtest0",
                "ip link set vrtest0 up",
                f"nsenter --net --target {inside} ip address add 198.51.100.2/30 dev vrtest1",
                f"nsenter --net --target {inside} ip link set vrtest1 up",
            )
            got: list[str] = []
            server = threading.Thread(target=answer_once, args=(f"/proc/{inside}/ns/net", got))
            server.start()
            end = time.monotonic() + 10
            while True:
                try:
                    assert request("http://198.51.100.2:8000/v1/models", read_secret(str(key)), seconds=5) == b"{}"
                    break
                except Refused:
                    assert time.monotonic() < end
                    time.sleep(0.05)
            server.join(5)
            assert f"Authorization: {BEARER}" in got[0]
        finally:
            sleeper.kill()


def run_all(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True)


def answer_once(namespace: str, got: list[str]) -> None:
    """Answer one request in another network namespace: a thread may enter one alone."""
    import ctypes

    with open(namespace, encoding="utf-8") as stream:
        assert ctypes.CDLL(None, use_errno=True).setns(stream.fileno(), 0) == 0
    with socket.create_server(("198.51.100.2", 8000)) as listener:
        listener.settimeout(10)
        connection, _address = listener.accept()
        with connection:
            got.append(connection.recv(65536).decode())
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
