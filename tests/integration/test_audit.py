# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit against real files, listeners, servers, certificates and a real Ray, each in order and broken."""

from __future__ import annotations

import errno
import http.server
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit, _audit_net_io
from ansible_collections.vllm_ray.cluster.plugins.module_utils._net import _reach_io
from ansible_collections.vllm_ray.cluster.tests.integration import run_module
from ansible_collections.vllm_ray.cluster.tests.integration.test_ray_sockets import ALONE, RELEASE

TOKEN, KEY, SETTING = "0" * 64, "f" * 64, "a-secret-of-the-environment"
SERVICE = pwd.getpwnam("daemon").pw_uid
FILES = ("paths", "modes", "secrets", "release", "models", "state", "logs", "other_users", "service_user")


class Cluster:
    """The files of a cluster on a host, as the roles make them. Daemon, an account of each system, has its services."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config, self.state, self.release = root / "etc/default", root / "data/default", root / "opt/releases/r1"
        self.models = root / "data/models"
        self.write(self.config / "ray.token", TOKEN, 0o400, SERVICE)
        self.write(self.config / "api.key", KEY, 0o400, SERVICE)
        self.write(self.config / "secrets/ray.token", TOKEN, 0o400)
        (self.config / "secrets").chmod(0o700)
        self.write(self.config / "node.env", f"STORE_TOKEN='{SETTING}'\nNCCL_DEBUG=WARN\n", 0o640)
        self.write(self.config / "client.env", "RAY_ADDRESS=192.0.2.1:6379\n")
        self.write(self.config / "node.sh", "#!/bin/sh\n", 0o755)
        self.write(self.state / "log/node.log", "Start\n", 0o644, SERVICE)
        self.write(self.state / "ray/session_1/logs/raylet.out", "up\n", 0o666, SERVICE)
        (self.state / "ray/session_latest").symlink_to(self.state / "ray/session_1")
        self.state.chmod(0o750)
        self.write(self.release / "bin/python", "#!/bin/sh\n", 0o755)
        (self.release / "bin/sh").symlink_to("/bin/sh")
        self.write(self.models / "m/config.json", "{}")
        (self.models / "m/again.json").symlink_to("config.json")

    def write(self, path: Path, text: str, mode: int = 0o644, owner: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, owner, owner)
        return path

    def ask(self, folder: Path, rows: tuple[str, ...] = FILES, programs: bool = False, **args: Any) -> dict[str, Any]:
        """Return what the module finds, by row."""
        none = str(self.root / "none")
        paths = {name: str(getattr(self, name)) for name in ("config", "state", "models", "release")}
        paths.update(dict.fromkeys(("started", "clusters", "units", "command", "manifests", "root"), none))
        usual = {"rows": list(rows), "user": "daemon", "manager": "supervisor", "supervisor_directory": none}
        result = run_module.run("audit_host", {**paths, **usual, "supervisor_bin": none, **args}, folder, programs)
        assert "rows" in result.answer, result.output
        return dict(result.answer["rows"])


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """In a directory that only root may change, unlike those of other tests."""
    root = Path("/var/lib") / f"vllm-ray-audit-{os.getpid()}"
    root.mkdir(mode=0o755)
    yield Cluster(root)
    shutil.rmtree(root)
    Path(f"{root}-tool").unlink(missing_ok=True)


def failing(rows: dict[str, Any]) -> dict[str, str]:
    return {
        name: "; ".join(row["faults"]) or row["unknown"]
        for name, row in rows.items()
        if row["faults"] or row["unknown"]
    }


def test_what_is_in_order_holds(cluster: Cluster, tmp_path: Path) -> None:
    assert failing(cluster.ask(tmp_path)) == {}


def test_a_snapshot_may_lead_to_its_blobs(cluster: Cluster, tmp_path: Path) -> None:
    blob = cluster.write(cluster.root / "hub/blobs/b1", "{}")
    snapshot = cluster.root / "hub/snapshots/c1"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to(blob)
    assert failing(cluster.ask(tmp_path, ("models",), model=str(snapshot))) == {}
    (snapshot / "more.json").symlink_to(cluster.config / "ray.token")
    assert "more.json is a link to" in failing(cluster.ask(tmp_path, ("models",), model=str(snapshot)))["models"]


def test_a_model_that_is_not_there_is_not_known(cluster: Cluster, tmp_path: Path) -> None:
    none = cluster.root / "srv/model"
    assert cluster.ask(tmp_path, ("models",), models=str(none))["models"] == _audit.Finding("none").as_dict()
    assert failing(cluster.ask(tmp_path, ("models",), model=str(none))) == {"models": f"{none} is not there"}


BREAKS: dict[str, tuple[Callable[[Cluster], object], dict[str, str]]] = {
    "a script of the service account": (
        lambda c: os.chown(c.config / "node.sh", SERVICE, 0),
        {"modes": "node.sh belongs to uid 1", "service_user": "daemon can write"},
    ),
    "a file for a group": (lambda c: (c.config / "client.env").chmod(0o664), {"modes": "mode 0664"}),
    "a readable environment": (
        lambda c: (c.config / "node.env").chmod(0o644),
        {"modes": "node.env has the mode 0644", "other_users": "nobody can read"},
    ),
    "a link in the configuration": (
        lambda c: (c.config / "more").symlink_to("/etc/passwd"),
        {"modes": "more is a link"},
    ),
    "a directory above": (
        lambda c: os.chown(c.root / "etc", SERVICE, 0),
        {"paths": "etc can be written"},
    ),
    "a directory above the release": (
        lambda c: os.chown(c.root / "opt", SERVICE, 0),
        {"paths": "opt can be written"},
    ),
    "a short key": (lambda c: (c.config / "api.key").write_text("f" * 31), {"secrets": "api.key has 31 characters"}),
    "the token of another cluster": (
        lambda c: c.write(c.config.parent / "other/ray.token", TOKEN, 0o400),
        {"secrets": "ray.token is the same as"},
    ),
    "another cluster of the account": (
        lambda c: c.write(c.config.parent / "other/ray.token", "1" * 64, 0o400, SERVICE),
        {"service_user": "daemon can read"},
    ),
    "a set-uid program": (lambda c: (c.release / "bin/python").chmod(0o4755), {"release": "set-uid"}),
    "a file of the release for everybody": (
        lambda c: c.write(c.release / "a.py", "", 0o646),
        {"release": "written by everybody"},
    ),
    "a file of the release of another account": (
        lambda c: c.write(c.release / "a.py", "", 0o644, SERVICE),
        {"release": "belongs to uid 1"},
    ),
    "a file of the release for the group of the services": (
        lambda c: os.chown(c.write(c.release / "a.py", "", 0o664), 0, SERVICE),
        {"release": "written by the group with gid 1"},
    ),
    "a program of another account": (
        lambda c: (c.release / "bin/tool").symlink_to(c.write(Path(f"{c.root}-tool"), "", 0o755, SERVICE)),
        {"release": "leads to"},
    ),
    "a link out of the models": (lambda c: (c.models / "m/a").symlink_to("/etc/shadow"), {"models": "/etc/shadow"}),
    "a directory of a model for everybody": (lambda c: (c.models / "m").chmod(0o777), {"models": "everybody"}),
    "a FIFO": (lambda c: os.mkfifo(c.state / "pipe"), {"state": "is a FIFO"}),
    "a link out of the data": (lambda c: (c.state / "a").symlink_to("/etc/shadow"), {"state": "link to /etc/shadow"}),
    "a key in a log": (
        lambda c: c.write(c.state / "log/a.log", f"key {KEY}\n", 0o600, SERVICE),
        {"logs": "/log/a.log (mode 0600) has"},
    ),
    "a token in the script": (lambda c: c.write(c.config / "node.sh", f"T={TOKEN}\n", 0o755), {"logs": "ray.token"}),
    "a variable in a log of Ray": (
        lambda c: c.write(c.state / "ray/session_1/logs/a.err", SETTING, 0o600, SERVICE),
        {"logs": "STORE_TOKEN of"},
    ),
    "data that others can enter": (lambda c: c.state.chmod(0o755), {"other_users": "nobody can read"}),
    "no token": (lambda c: (c.config / "ray.token").unlink(), {"secrets": "ray.token is not there"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_protection_that_is_taken_away_is_named(cluster: Cluster, tmp_path: Path, name: str) -> None:
    spoil, expected = BREAKS[name]
    spoil(cluster)
    found = failing(cluster.ask(tmp_path))
    assert sorted(found) == sorted(expected), found
    assert [row for row, text in expected.items() if text not in found[row]] == [], found
    assert TOKEN not in str(found) and KEY not in str(found) and SETTING not in str(found)


def test_a_tree_without_an_end_is_not_known(cluster: Cluster, tmp_path: Path) -> None:
    path = cluster.state
    for _level in range(40):
        path /= "d"
    path.mkdir(parents=True)
    found = failing(cluster.ask(tmp_path, ("state", "logs")))
    assert {row: "directories deep" in text for row, text in found.items()} == {"state": True, "logs": True}


def test_command_lines_and_environments(cluster: Cluster, tmp_path: Path) -> None:
    rows = ("command_lines", "environments")
    assert failing(cluster.ask(tmp_path, rows)) == {}
    with subprocess.Popen(["sh", "-c", "sleep 60; true", KEY], env={"PATH": os.environ["PATH"], "A": TOKEN}) as process:
        try:
            found = failing(cluster.ask(tmp_path, rows))
        finally:
            process.kill()
    assert f"sh (pid {process.pid}, user root) shows {cluster.config}/api.key" in found["command_lines"]
    assert f"sh (pid {process.pid}, user root) has {cluster.config}/ray.token" in found["environments"]


JOURNAL = """#!/bin/sh
case "$*" in *--all*) text='\033[31mkey KEY' ;; *) text='[102B blob data]' ;; esac
printf 'Nov 29 01:02:03 h1 vllm-ray-serve[7]: %b\\nand its token is TOKEN now\\n' "$text"
[ ! -e "$0.long" ] || head -c 100000000 /dev/zero | tr '\\0' x
"""


@pytest.mark.parametrize("long", [False, True])
def test_the_journal(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool) -> None:
    program = cluster.write(cluster.root / "bin/journalctl", JOURNAL.replace("KEY", KEY).replace("TOKEN", TOKEN), 0o755)
    if long:
        cluster.write(Path(f"{program}.long"), "")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    row = cluster.ask(tmp_path, ("journal",), programs=True)["journal"]
    assert row["unknown"] == ""
    assert row["faults"] == [
        f"vllm-ray-serve wrote {cluster.config}/api.key (1 lines)",
        f"? wrote {cluster.config}/ray.token (1 lines)",
    ]
    assert ("3 lines of the last 8 MiB" if long else "2 lines of 7 days") in row["checked"]


def test_a_journal_that_fails_is_not_known(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = cluster.write(cluster.root / "bin/journalctl", "#!/bin/sh\necho No journal files >&2\nexit 3\n", 0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = failing(cluster.ask(tmp_path, ("journal",), programs=True))["journal"]
    assert "No journal files" in found and "it failed (3)" in found


# --- What listens ----------------------------------------------------------------------------------------------------


def test_ports_are_open_closed_or_silent() -> None:
    here = ("127.0.0.1", 0)
    with socket.create_server(here) as opened, socket.create_server(here) as full, socket.socket() as unused:
        unused.bind(here)
        # A listener that accepts nobody takes no more connections when its queue is full.
        full.listen(0)
        waiting = [socket.socket() for _number in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        ports = {"open": opened.getsockname()[1], "closed": unused.getsockname()[1], "silent": full.getsockname()[1]}
        begin = time.monotonic()
        found = _reach_io.reach([("127.0.0.1", port) for port in ports.values()], 1.0)
        for one in waiting:
            one.close()
    assert {name: found["127.0.0.1", port] for name, port in ports.items()} == {name: name for name in ports}
    assert time.monotonic() - begin < 2


def test_many_ports_take_bounded_time() -> None:
    begin = time.monotonic()
    found = _reach_io.reach([("127.0.0.1", port) for port in range(20000, 23000)], 1.0)
    assert len(found) == 3000
    assert time.monotonic() - begin < 15


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses the socket. Only one without the module does, which no test can take away."""

    def refuse(*_family: int) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(_reach_io.socket, "socket", refuse)
    assert _reach_io.reach([("2001:db8::1", 22)], 1.0) == {("2001:db8::1", 22): _reach_io.NO_WAY}


def test_answers_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        found = _reach_io.reach([("127.0.0.1", port), ("127.0.0.1", 9)], 1.0)
    assert sorted(found.values()) == ["closed", "open"]
    assert [_reach_io.state_of(error) for error in (0, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH)] == [
        "open",
        "closed",
        "silent",
        "no route",
    ]


def test_own_addresses_are_left_out() -> None:
    targets: list[_reach_io.Target] = [{"name": "h1", "addresses": ["127.0.0.1", "::1", "192.0.2.1"], "ports": []}]
    found = _reach_io.look(targets, 1.0)
    assert {"127.0.0.1"} <= set(found["own"]) <= {"127.0.0.1", "::1"}
    assert found["hosts"]["h1"]["addresses"] == [
        address for address in targets[0]["addresses"] if address not in found["own"]
    ]


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers with a status by route, and keeps the headers that came."""

    statuses: dict[str, int] = {}
    keys: list[str | None] = []

    def answer(self) -> None:
        self.keys.append(self.headers.get("Authorization"))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.statuses.get(self.path, 401))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def server(statuses: dict[str, int], context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str | None]]]:
    handler = type("Handler", (Answer,), {"statuses": statuses, "keys": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        if context:
            httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{httpd.server_port}", handler.keys  # type: ignore[attr-defined]
        httpd.shutdown()


@pytest.mark.parametrize(
    ("statuses", "opened", "found"),
    [
        ({"/health": 200}, [], None),
        ({"/health": 200, "/docs": 404}, [], None),
        ({"/health": 200, "/metrics": 200}, ["/metrics"], None),
        ({"/health": 200, "/metrics": 200}, [], "GET /metrics without the key is answered with 200"),
        ({"/health": 200, "/invocations": 400}, [], "POST /invocations without the key is answered with 400"),
        ({"/health": 503}, [], "/health answers 503"),
    ],
)
def test_the_api(
    cluster: Cluster, tmp_path: Path, statuses: dict[str, int], opened: list[str], found: str | None
) -> None:
    with server(statuses) as (url, keys):
        rows = failing(cluster.ask(tmp_path, ("api",), api=url, api_open=opened))
    assert list(rows) == (["api"] if found else [])
    assert (found or "") in rows.get("api", "")
    # The real key was sent to nobody.
    assert KEY not in " ".join(filter(None, keys))
    if statuses["/health"] == 200:
        assert {None, "Bearer"} < {key and key.strip() for key in keys}
        assert len(keys) > 3 * len(_audit.ROUTES) - 3


def test_nobody_answers(cluster: Cluster, tmp_path: Path) -> None:
    none = "http://127.0.0.1:9"
    found = failing(cluster.ask(tmp_path, ("api", "dashboard", "tls"), api=none, dashboard=none))
    assert {row: "Connection refused" in text for row, text in found.items()} == {"api": True, "dashboard": True}


@pytest.mark.parametrize(("statuses", "found"), [({}, None), ({"/api/jobs/": 200}, "/api/jobs/ is answered with 200")])
def test_the_dashboard(cluster: Cluster, tmp_path: Path, statuses: dict[str, int], found: str | None) -> None:
    with server(statuses) as (url, _keys):
        assert failing(cluster.ask(tmp_path, ("dashboard",), dashboard=url)) == ({"dashboard": found} if found else {})


@pytest.mark.parametrize(
    ("days", "trusted", "found"),
    [(90, True, None), (10, True, "expires on"), (90, False, "not accepted"), (-1, True, "not accepted")],
)
def test_certificates(cluster: Cluster, tmp_path: Path, days: int, trusted: bool, found: str | None) -> None:
    key, request, certificate = (tmp_path / name for name in ("key", "request", "certificate"))
    start, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86400 * day)) for day in (-9, days))
    (tmp_path / "index").touch()
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "conf").write_text(
        f"[ca]\ndefault_ca=a\n[a]\nnew_certs_dir={tmp_path}\ndatabase={tmp_path}/index\nserial={tmp_path}/serial\n"
        "policy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n"
        "[e]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:true\n"
    )
    made = f"openssl req -new -newkey rsa:2048 -nodes -keyout {key} -subj /CN=c -out {request}"
    signed = f"openssl ca -selfsign -batch -notext -md sha256 -startdate {start} -enddate {end}"
    signed += f" -config {tmp_path}/conf -keyfile {key} -in {request} -out {certificate}"
    for command in (made, signed):
        subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with server({}, context) as (url, _keys):
        rows = failing(cluster.ask(tmp_path, ("tls",), api=url, ca_file=str(certificate) if trusted else ""))
    assert list(rows) == (["tls"] if found else [])
    assert (found or "") in rows.get("tls", "")


HEAD = """
ip link set lo up
"$0/bin/ray" start --head --block --disable-usage-stats --log-color=false --node-ip-address=127.0.0.1 --num-gpus=0 \\
  --port=6379 --node-manager-port=6380 --object-store-memory=100000000 --include-dashboard=false --temp-dir="$1" \\
  >"$1.out" 2>&1 &
for second in $(seq 60); do
  codes=$("$0/bin/python" -I -c "$2" "$3")
  case $codes in *UNAVAILABLE* | *DEADLINE*) sleep 1 ;; *) break ;; esac
done
echo "$codes"
"""


@pytest.mark.parametrize(("mode", "code"), [("token", "UNAUTHENTICATED"), ("disabled", "OK")])
def test_the_release_s_ray_refuses_requests_without_a_token(tmp_path: Path, mode: str, code: str) -> None:
    """And one without authentication answers them, which the row names."""
    folder = Path(f"/tmp/a{os.getpid()}")
    (tmp_path / "token").write_text(TOKEN)
    asked = [["raylet", "127.0.0.1:6380", _audit_net_io.RAYLET], ["GCS", "127.0.0.1:6379", _audit_net_io.GCS]]
    env = {**os.environ, "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    command = [*ALONE, "sh", "-c", HEAD, str(RELEASE), str(folder), _audit_net_io.GRPC, json.dumps(asked)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=240)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(f"{folder}.out").unlink(missing_ok=True)
    assert json.loads(done.stdout) == {"raylet": code, "GCS": code}, done.stdout + done.stderr
