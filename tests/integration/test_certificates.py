# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA and the certificate of the API: made by the real openssl, and asked over real connections."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing import vault as vaultlib
from ansible.parsing.dataloader import DataLoader

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core import _http_io
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _tls_checks, _tls_files_io
from ansible_collections.vllm_ray.cluster.tests.integration import run_module
from ansible_collections.vllm_ray.cluster.tests.integration.fake_service import Service, free_port

ROOT = Path(__file__).resolve().parents[2]
MODULES = "ansible_collections.vllm_ray.cluster.plugins.modules"
NAMES = ["192.0.2.11", "gpu01", "LLM.example.com", "2001:db8::1"]
FILES = ("ca.key", "ca.crt", "tls.key", "tls.crt")
# A number without an account: the engine's.
OURS = 64123
SECRET = "a-secret-of-this-test-that-is-long-enough"
RELEASE = os.environ.get("VLLM_RAY_TEST_RELEASE", "")

Start = Callable[..., Service]


def make(folder: Path, **arguments: Any) -> dict[str, Any]:
    """Have the certificate made in a directory."""
    usual = {"directory": str(folder), "cluster": "default", "names": NAMES}
    folder.parent.mkdir(parents=True, exist_ok=True)
    result = run_module.run("tls_certificate", {**usual, **arguments}, folder.parent.parent, programs=True)
    assert result.answer, result.output
    return result.answer


def made(folder: Path, **arguments: Any) -> dict[str, Any]:
    """Have the certificate made, which must go well."""
    result = make(folder, **arguments)
    assert not result.get("failed"), result["msg"]
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def states(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {path.name: path.stat() for path in folder.iterdir()}
    return {name: (status.st_ino, status.st_mtime_ns, status.st_mode) for name, status in found.items()}


def says(certificate: Path, *options: str) -> str:
    """Return what openssl says of a certificate."""
    argv = ["openssl", "x509", "-in", str(certificate), "-noout", *options]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the directory of the secrets of a cluster, which does not exist yet."""
    return tmp_path / "default" / "secrets"


# --- What is made -----------------------------------------------------------------------------------------------------


def test_what_is_made(folder: Path) -> None:
    result = made(folder)
    assert result["changed"]
    assert {path.name for path in folder.iterdir()} == {*FILES, "tls.json"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (*FILES, "tls.json")} == {0o600}
    names = says(folder / "tls.crt", "-ext", "subjectAltName")
    assert "IP Address:192.0.2.11, DNS:gpu01, DNS:LLM.example.com, IP Address:2001:DB8:0:0:0:0:0:1" in names
    assert "DNS:localhost, IP Address:127.0.0.1" in names
    assert "CA:FALSE" in says(folder / "tls.crt", "-ext", "basicConstraints")
    assert "CA:TRUE, pathlen:0" in says(folder / "ca.crt", "-ext", "basicConstraints")
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=397)
    assert abs(datetime.date.fromisoformat(result["expires"]) - ends.date()) <= datetime.timedelta(days=1)
    # As strict as the Python of the future.
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(folder / "ca.crt")]
    subprocess.run([*verify, str(folder / "tls.crt")], check=True, capture_output=True)
    # What is returned is what is there, and nothing has the key of the CA.
    assert (result["ca"], result["certificate"], result["key"]) == tuple(
        (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")
    )
    assert (folder / "ca.key").read_text().splitlines()[1] not in json.dumps(result)


def test_a_second_run_changes_nothing(folder: Path) -> None:
    made(folder)
    before = states(folder)
    again = made(folder)
    assert (again["changed"], again["why"]) == (False, {})
    assert states(folder) == before
    assert not made(folder, names=[*reversed(NAMES)])["changed"]


def test_check_mode_makes_nothing(folder: Path) -> None:
    result = made(folder, _ansible_check_mode=True)
    assert result["changed"]
    assert not folder.exists()
    made(folder)
    before = contents(folder)
    same = made(folder, _ansible_check_mode=True)
    assert (same["changed"], same["certificate"]) == (False, before["tls.crt"].decode())
    other = made(folder, names=["192.0.2.12"], _ansible_check_mode=True)
    assert other["changed"]
    assert (other["ca"], other["certificate"] != same["certificate"]) == (same["ca"], True)
    assert contents(folder) == before


# --- When it is made anew ---------------------------------------------------------------------------------------------


def test_changed_names(folder: Path) -> None:
    made(folder)
    before = contents(folder)
    result = made(folder, names=["192.0.2.12", "gpu01"])
    assert result["why"] == {"tls": "its names changed: +192.0.2.12 -192.0.2.11 -2001:db8::1 -llm.example.com"}
    now = contents(folder)
    assert (now["ca.crt"], now["ca.key"]) == (before["ca.crt"], before["ca.key"])
    assert now["tls.crt"] != before["tls.crt"]
    assert now["tls.key"] != before["tls.key"]
    assert not made(folder, names=["192.0.2.12", "gpu01"])["changed"]


@pytest.mark.parametrize(
    ("days", "why"), [(31, ""), (30, "it expires on "), (2, "it expires on "), (0, "it expired on ")]
)
def test_what_ends_soon_is_renewed(days: int, why: str, folder: Path) -> None:
    made(folder, days=days)
    before = contents(folder)
    result = made(folder)
    assert result["why"].get("tls", "").startswith(why)
    assert (contents(folder)["tls.crt"] != before["tls.crt"]) is bool(why)
    assert contents(folder)["ca.crt"] == before["ca.crt"]
    assert not made(folder)["changed"]


def test_a_ca_that_ends_soon_is_renewed_with_the_certificate(folder: Path) -> None:
    made(folder, ca_days=20)
    before = contents(folder)
    result = made(folder)
    assert result["why"]["ca"].startswith("it expires on ")
    assert result["why"]["tls"] == "its CA is created again"
    assert not [name for name, data in contents(folder).items() if data == before[name]]
    assert says(folder / "ca.crt", "-subject_hash", "-subject") != ""
    assert not made(folder)["changed"]


@pytest.mark.parametrize("renew", [["tls"], ["ca"], ["ca", "tls"]])
def test_a_reason_renews_once(renew: list[str], folder: Path) -> None:
    made(folder)
    before = contents(folder)
    result = made(folder, renew=renew, reason="leaked")
    assert set(result["why"]) == {*renew, "tls"}
    now = contents(folder)
    assert (now["ca.crt"] != before["ca.crt"], now["tls.crt"] != before["tls.crt"]) == ("ca" in renew, True)
    assert not made(folder, renew=renew, reason="leaked")["changed"]
    # Nor does it after a run that may not renew, while the reason is the same.
    assert not made(folder, reason="leaked")["changed"]
    assert not made(folder, renew=renew, reason="leaked")["changed"]
    assert made(folder, renew=renew, reason="leaked again")["changed"]
    # Without a reason nothing is made anew, and the last one is forgotten.
    assert not made(folder)["changed"]
    assert made(folder, renew=renew, reason="leaked again")["changed"]


@pytest.mark.parametrize("damage", [b"", b"no PEM\n", None], ids=["empty", "corrupted", "missing"])
@pytest.mark.parametrize("name", ["tls.key", "tls.crt"])
def test_a_certificate_that_is_damaged_is_made_anew(name: str, damage: bytes | None, folder: Path) -> None:
    made(folder)
    before = contents(folder)
    (folder / name).write_bytes(damage) if damage is not None else (folder / name).unlink()
    assert set(made(folder)["why"]) == {"tls"}
    assert contents(folder)["ca.key"] == before["ca.key"]
    assert not made(folder)["changed"]


def test_a_key_or_a_certificate_of_another_is_made_anew(folder: Path, tmp_path: Path) -> None:
    made(folder)
    made(tmp_path / "other")
    (folder / "tls.key").write_bytes((tmp_path / "other" / "tls.key").read_bytes())
    assert made(folder)["why"] == {"tls": "its key does not belong to it"}
    for name in ("tls.key", "tls.crt"):
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert made(folder)["why"] == {"tls": "another CA signed it"}


@pytest.mark.parametrize("damage", [b"", b"no PEM\n", None], ids=["empty", "corrupted", "missing"])
@pytest.mark.parametrize("name", ["ca.key", "ca.crt"])
def test_a_ca_that_is_damaged_is_an_error(name: str, damage: bytes | None, folder: Path) -> None:
    made(folder)
    (folder / name).write_bytes(damage) if damage is not None else (folder / name).unlink()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = make(folder)
    assert result["failed"]
    assert result["msg"].startswith(f"{folder}: ca.key and ca.crt are not both there, can't be read, or don't belong")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_that_ended_while_the_ca_came_to_its_place_is_taken_up(folder: Path, tmp_path: Path) -> None:
    made(folder)
    made(tmp_path / "new")
    # The new key and the new certificate are there, and the old key has not been replaced yet.
    (folder / "ca.key.new").write_bytes((tmp_path / "new" / "ca.key").read_bytes())
    (folder / "ca.crt").write_bytes((tmp_path / "new" / "ca.crt").read_bytes())
    assert made(folder)["why"] == {"tls": "another CA signed it"}
    assert (folder / "ca.key").read_bytes() == (tmp_path / "new" / "ca.key").read_bytes()
    assert not (folder / "ca.key.new").exists()
    # Only the new key was there.
    (folder / "ca.key.new").write_bytes(b"half")
    before = contents(folder)
    assert not made(folder)["changed"]
    assert contents(folder) == before
    assert not (folder / "ca.key.new").exists()


def test_lost_notes_change_nothing(folder: Path) -> None:
    made(folder)
    (folder / "tls.json").unlink()
    assert not made(folder)["changed"]


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "a,DNS:evil", "a\nb", "$HOME", "", "-a", "fe80::1%eth0", "${x}"])
def test_names_that_openssl_would_read_otherwise(name: str, folder: Path) -> None:
    result = make(folder, names=[name])
    assert result["failed"]
    assert "expected IP addresses and names of hosts" in result["msg"]
    assert not folder.exists()


@pytest.mark.parametrize("cluster", ["a/CN=b", "", "a\nb"])
def test_names_of_clusters_that_openssl_would_read_otherwise(cluster: str, folder: Path) -> None:
    assert make(folder, cluster=cluster)["failed"]
    assert not folder.exists()


@pytest.mark.parametrize("name", [*FILES, "tls.json"])
def test_a_planted_link_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    made(folder)
    canary = tmp_path / "canary"
    canary.write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to(canary)
    folder.chmod(0o777)
    before = canary.stat()
    result = make(folder)
    assert result["failed"]
    assert "is a symbolic link to" in result["msg"]
    assert (canary.stat().st_mtime_ns, canary.stat().st_mode) == (before.st_mtime_ns, before.st_mode)


def test_a_key_of_another_account_is_refused(folder: Path) -> None:
    made(folder)
    os.chown(folder / "ca.key", 65534, 65534)
    result = make(folder)
    assert result["failed"]
    assert "a file of another account" in result["msg"]


def test_without_openssl(folder: Path) -> None:
    def run(**more: Any) -> dict[str, Any]:
        arguments = {"directory": str(folder), "cluster": "default", "names": NAMES, **more}
        return run_module.run("tls_certificate", arguments, folder.parent.parent).answer

    folder.parent.mkdir()
    assert run()["msg"].startswith("openssl is not installed. Run 'apt-get install openssl' as root")
    assert run(refuse=False)["missing"] == ["openssl"]


def test_nothing_of_a_key_is_in_a_command_line_or_left_behind(folder: Path, tmp_path: Path) -> None:
    """openssl is a program here that notes how it is called."""
    tools, seen = tmp_path / "tools", tmp_path / "seen"
    tools.mkdir()
    real = subprocess.run(["which", "openssl"], capture_output=True, text=True, check=True).stdout.strip()
    (tools / "openssl").write_text(f'#!/bin/sh\necho "$@" >> {seen}\npwd >> {seen}\nexec {real} "$@"\n')
    (tools / "openssl").chmod(0o755)
    arguments = {"directory": str(folder), "cluster": "default", "names": NAMES}
    subprocess.run(
        [sys.executable, "-m", f"{MODULES}.tls_certificate"],
        cwd=ROOT,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    text = seen.read_text()
    assert "genpkey" in text
    keys = [line for name in ("ca.key", "tls.key") for line in (folder / name).read_text().splitlines()[1:-1]]
    assert [line for line in keys if line in text] == []
    assert [path for path in text.splitlines() if path.startswith("/") and Path(path).exists()] == []


def test_a_run_that_is_killed_leaves_no_key_but_below_the_secrets(folder: Path, tmp_path: Path) -> None:
    """openssl is a program here that kills the module once the key of the CA is there."""
    tools, temporary = tmp_path / "tools", tmp_path / "temporary"
    for place in (tools, temporary):
        place.mkdir()
    real = subprocess.run(["which", "openssl"], capture_output=True, text=True, check=True).stdout.strip()
    (tools / "openssl").write_text(f'#!/bin/sh\n{real} "$@"\n[ "$1" != genpkey ] || kill -9 $PPID\n')
    (tools / "openssl").chmod(0o755)
    arguments = {"directory": str(folder), "cluster": "default", "names": NAMES}
    done = subprocess.run(
        [sys.executable, "-m", f"{MODULES}.tls_certificate"],
        cwd=ROOT,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    left = [path for path in tmp_path.rglob("ca.key") if "PRIVATE KEY" in path.read_text()]
    assert [path.parent.parent for path in left] == [folder]
    assert stat.S_IMODE(left[0].parent.stat().st_mode) == 0o700
    assert list(temporary.rglob("*.key")) == []
    made(folder)
    assert {path.name for path in folder.iterdir()} == {*FILES, "tls.json"}


# --- Over real connections --------------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return what starts an engine with the certificate of a directory; all of them end with the test."""
    with contextlib.ExitStack() as stack:

        def started(tls: Path, uid: int = OURS, mode: str = "serves", **more: Any) -> Service:
            service = Service(tmp_path, uid, mode, tls=tls, **more)
            stack.callback(service.end)
            return service

        yield started


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file of a secret, which belongs to the engine's account."""
    path = tmp_path / "api.key"
    path.write_text(f"{SECRET}\n")
    os.chown(path, OURS, OURS)
    path.chmod(0o400)
    return path


def asked(url: str, key: Path, ca: Path | None, name: str | None = None, seconds: float = 5) -> bytes:
    return _http_io.request(
        f"{url}/v1/models", _http_io.read_secret(str(key)), seconds=seconds, ca_file=str(ca), server_name=name
    )


def refused(url: str, key: Path, ca: Path | None, name: str | None = None, seconds: float = 5) -> _http_io.Refused:
    with pytest.raises(_http_io.Refused) as caught:
        asked(url, key, ca, name, seconds)
    return caught.value


def test_the_certificate_is_taken_and_the_key_is_sent(folder: Path, start: Start, key: Path) -> None:
    made(folder)
    engine = start(folder)
    assert b"demo" in asked(engine.url, key, folder / "ca.crt")
    assert b"demo" in asked(engine.url, key, folder / "ca.crt", "llm.example.com")
    assert b"demo" in asked(f"https://localhost:{engine.port}", key, folder / "ca.crt")
    assert engine.secrets() == [f"Bearer {SECRET}"] * 3


def test_a_certificate_of_another_ca_gets_no_key(folder: Path, start: Start, key: Path, tmp_path: Path) -> None:
    made(folder)
    made(tmp_path / "other" / "secrets")
    engine = start(folder)
    error = refused(engine.url, key, tmp_path / "other" / "secrets" / "ca.crt")
    assert error.kind == "untrusted"
    assert "unable to get local issuer certificate" in str(error)
    # Nor does one that the system does not know, where no CA is given.
    assert refused(engine.url, key, tmp_path / "none").kind == "untrusted"
    assert engine.requests() == []


def test_a_certificate_of_another_name_gets_no_key(folder: Path, start: Start, key: Path) -> None:
    made(folder)
    engine = start(folder)
    error = refused(f"https://127.0.0.2:{start(folder, address='127.0.0.2').port}", key, folder / "ca.crt")
    assert (error.kind, "IP address mismatch" in str(error)) == ("untrusted", True)
    error = refused(engine.url, key, folder / "ca.crt", "other.example.com")
    assert (error.kind, "Hostname mismatch" in str(error)) == ("untrusted", True)
    assert engine.requests() == []


def test_a_certificate_that_expired_gets_no_key(folder: Path, start: Start, key: Path) -> None:
    made(folder, days=0)
    engine = start(folder)
    error = refused(engine.url, key, folder / "ca.crt")
    assert (error.kind, "certificate has expired" in str(error)) == ("untrusted", True)
    assert engine.requests() == []
    # What it shows can be read all the same, to say when it expired.
    assert _http_io.certificate_of(engine.url) == (folder / "tls.crt").read_text()
    assert engine.requests() == []


def test_a_stranger_with_a_good_certificate_gets_no_key(folder: Path, start: Start, key: Path) -> None:
    made(folder)
    alien = start(folder, 65534)
    error = refused(alien.url, key, folder / "ca.crt")
    assert (error.kind, f"port {alien.port} is held by" in str(error)) == ("stranger", True)
    assert alien.requests() == []


@pytest.mark.parametrize("damage", ["", "no PEM", "link"])
def test_a_file_of_cas_that_has_none_trusts_nobody(damage: str, folder: Path, start: Start, key: Path) -> None:
    made(folder)
    engine = start(folder)
    hostile = folder.parent.parent / "hostile"
    hostile.mkdir(mode=0o777)
    hostile.chmod(0o777)
    (hostile / "ca").symlink_to(folder / "ca.crt") if damage == "link" else (hostile / "ca").write_text(damage)
    assert refused(engine.url, key, hostile / "ca").kind == "untrusted"
    assert engine.requests() == []


def test_a_server_without_tls_gets_no_key(folder: Path, key: Path, tmp_path: Path) -> None:
    made(folder)
    with contextlib.closing(Plain(tmp_path)) as plain:
        assert refused(plain.service.url.replace("http:", "https:"), key, folder / "ca.crt").kind == "untrusted"
        assert plain.service.requests() == []


class Plain:
    """An engine without TLS."""

    def __init__(self, folder: Path) -> None:
        self.service = Service(folder, OURS)

    def close(self) -> None:
        self.service.end()


@pytest.mark.parametrize("mode", ["deaf", "slow"])
def test_the_limit_of_time_holds(mode: str, folder: Path, start: Start, key: Path) -> None:
    made(folder)
    engine = start(folder, mode=mode)
    begin = time.monotonic()
    assert refused(engine.url, key, folder / "ca.crt", seconds=0.7).kind == "timeout"
    assert time.monotonic() - begin < 2


def test_a_handshake_that_never_ends_is_ended(folder: Path, tmp_path: Path) -> None:
    """A server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with pytest.raises(_http_io.Refused) as caught:
            _http_io.request(f"https://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.7)
        assert (caught.value.kind, time.monotonic() - begin < 2) == ("timeout", True)


def test_the_module_that_asks_an_engine(folder: Path, start: Start, key: Path) -> None:
    made(folder)
    engine = start(folder)

    def ask(**more: Any) -> dict[str, Any]:
        proof: list[dict[str, Any]] = [{"request": {"messages": []}}]
        usual = {"url": engine.url, "key_file": str(key), "model": "demo", "proof": proof}
        files = {"ca_file": str(folder / "ca.crt"), "certificate_file": str(folder / "tls.crt")}
        return run_module.run("vllm_endpoint_info", {**usual, **files, **more}, key.parent).answer

    found = ask()
    assert (found["ready"], found["untrusted"], found["renewed"]) == (True, False, True)
    # The one on disk differs from the one that it has loaded.
    made(folder, names=["192.0.2.12"])
    found = ask()
    assert (found["ready"], found["renewed"]) == (True, False)
    made(folder, renew=["ca"], reason="x")
    found = ask()
    assert (found["ready"], found["untrusted"], found["final"]) == (False, True, False)
    assert "its certificate or its TLS is not accepted: " in found["why"]


def test_the_module_that_asks_an_engine_waits_for_it(key: Path, tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    usual = {"url": f"http://127.0.0.1:{port}", "key_file": str(key), "model": "demo", "proof": []}
    early = run_module.run("vllm_endpoint_info", usual, tmp_path)
    assert not early.answer["ready"]
    began: list[Service] = []
    starter = threading.Timer(1, lambda: began.append(Service(tmp_path, OURS, port=port)))
    starter.start()
    try:
        waited = run_module.run("vllm_endpoint_info", {**usual, "wait": 15}, tmp_path)
    finally:
        starter.join()
        began[0].end()
    assert waited.answer["ready"]
    # It gives up in time, with the reason of the last question.
    late = run_module.run("vllm_endpoint_info", {**usual, "wait": 2}, tmp_path)
    assert (late.answer["ready"], late.answer["untrusted"], late.seconds > 0.9) == (False, False, True)
    assert "refused" in late.answer["why"]


@pytest.mark.parametrize(("days", "state"), [(397, "serves"), (0, "unknown")])
def test_an_engine_is_judged_over_tls(days: int, state: str, folder: Path, start: Start, key: Path) -> None:
    made(folder, days=days)
    engine = start(folder)
    config = key.parent / "serve-main.yaml"
    options = {"host": "127.0.0.1", "port": engine.port, "served-model-name": "demo", "tensor-parallel-size": 1}
    options |= {"pipeline-parallel-size": 1, "distributed-executor-backend": "mp", "ssl-certfile": "/a/tls.crt"}
    config.write_text(json.dumps(options))
    files = {"engine_ca_file": str(folder / "ca.crt"), "engine_certificate_file": str(folder / "tls.crt")}
    arguments = {"engine_config": str(config), "engine_key_file": str(key), **files}
    found = run_module.run("host_info", arguments, key.parent).answer["engine"]
    assert (found["state"], found["serving"], found["url"]) == (state, True, engine.url)
    assert found["certificates"] == dict.fromkeys(("used", "file"), (folder / "tls.crt").read_text())


# --- Files that are given ---------------------------------------------------------------------------------------------


def test_given_files_are_read_as_ansible_reads_files(folder: Path, tmp_path: Path) -> None:
    """A key may be encrypted by Ansible Vault; paths count from the inventory."""
    made(folder)
    vault = vaultlib.VaultLib([("default", vaultlib.VaultSecret(b"the passphrase"))])
    (tmp_path / "vaulted.key").write_bytes(vault.encrypt((folder / "tls.key").read_bytes()))
    settings = {
        "vllm_ray_tls_certificate": "default/secrets/tls.crt",
        "vllm_ray_tls_key": str(tmp_path / "vaulted.key"),
        "vllm_ray_tls_ca": "none.crt",
    }
    paths = _tls_files_io.paths(settings, str(tmp_path))
    assert paths["certificate"] == str(folder / "tls.crt")
    loader = DataLoader()
    closed = _tls_files_io.read(paths, loader, "llm.example.com")
    assert set(closed.texts) == {"certificate"}
    assert "vault" in closed.why["key"].lower()
    loader.set_vault_secrets(vault.secrets)
    found = _tls_files_io.read(paths, loader, "llm.example.com")
    assert found.why == {"ca": "no such file"}
    assert _tls_checks.given("gpu01", settings, found, "llm.example.com", time.time())[0].found == (
        "vllm_ray_tls_ca: none.crt can't be read: no such file"
    )
    found = _tls_files_io.read({name: paths[name] for name in ("certificate", "key")}, loader, "llm.example.com")
    assert _tls_checks.given("gpu01", settings, found, "llm.example.com", time.time()) == []


def test_given_files_are_tried_by_openssl(folder: Path, tmp_path: Path) -> None:
    made(folder)
    texts = {name: (folder / file).read_text() for name, file in GIVEN.items()}

    def tried(address: str = "llm.example.com", **others: str) -> tuple[str, str]:
        return _tls_files_io.tried({**texts, **others}, address)

    before = set(os.listdir(_tls_files_io.MEMORY)) | set(os.listdir(tempfile.gettempdir()))
    assert tried() == tried("192.0.2.11") == tried("2001:db8::1") == ("", "")
    assert "not valid for 'other.example.com'" in tried("other.example.com")[1]
    # A second certificate that is cut off, and a short key.
    assert tried(certificate=f"{texts['certificate']}{texts['ca'][:300]}")[0]
    short = openssl_pair(tmp_path, "rsa:1024", "serverAuth")
    assert tried(**short) == ("EE_KEY_TOO_SMALL", "")
    # Another CA of the same name, and a certificate for clients.
    made(folder.parent.parent / "other" / "secrets")
    other = (folder.parent.parent / "other" / "secrets" / "ca.crt").read_text()
    assert tried(ca=other)[0] == "" and tried(ca=other)[1] != ""
    client = openssl_pair(tmp_path, "rsa:2048", "clientAuth")
    assert tried(**client, ca=client["certificate"]) == ("", "unsuitable certificate purpose")
    # A passphrase is not asked for.
    command = ["openssl", "pkey", "-in", str(folder / "tls.key"), "-aes128", "-passout", "pass:of a test"]
    assert tried(key=subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)[0]
    after = set(os.listdir(_tls_files_io.MEMORY)) | set(os.listdir(tempfile.gettempdir()))
    assert [name for name in after - before if name.startswith("vllm-ray-tls-")] == []


GIVEN = {"certificate": "tls.crt", "key": "tls.key", "ca": "ca.crt"}


def openssl_pair(folder: Path, key: str, use: str) -> dict[str, str]:
    """Return a certificate that signed itself, and its key."""
    files = {"certificate": folder / "own.crt", "key": folder / "own.key"}
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", key, "-nodes", "-subj", "/CN=a test", "-days", "400"),
            *("-addext", "subjectAltName=DNS:llm.example.com", "-addext", f"extendedKeyUsage={use}"),
            *("-keyout", str(files["key"]), "-out", str(files["certificate"])),
        ],
        check=True,
        capture_output=True,
    )
    return {name: path.read_text() for name, path in files.items()}


# --- What vLLM does with it ------------------------------------------------------------------------------------------


REFRESHER = """
import asyncio, os, ssl, sys
from vllm.entrypoints.launchers.utils.ssl import SSLCertRefresher
folder, made = sys.argv[1:]

async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = (folder + "/tls.key", folder + "/tls.crt")
    context.load_cert_chain(files[1], files[0])
    refresher = SSLCertRefresher(context, *files)
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    await asyncio.sleep(1)

    async def shown():
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))

    for number in ("1", "2"):
        for name in ("tls.crt", "tls.key"):
            new = f"{folder}/.new"
            with open(f"{made}/{number}/{name}", "rb") as source, open(new, "wb") as target:
                target.write(source.read())
            os.replace(new, f"{folder}/{name}")
        wanted = open(f"{folder}/tls.crt").read()
        loaded = False
        for _time in range(12):
            await asyncio.sleep(0.5)
            loaded = await shown() == wanted
            if loaded:
                break
        print("RESULT", number, loaded)

asyncio.run(main())
"""


def test_vllm_loads_one_new_certificate_a_start(folder: Path, tmp_path: Path) -> None:
    """What docs and problem texts say of vLLM: it loads the first new certificate, and no later one."""
    made(folder)
    for number in ("1", "2"):
        made(tmp_path / number)
    done = subprocess.run(
        [f"{RELEASE}/bin/python", "-c", REFRESHER, str(folder), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("RESULT")] == [
        "RESULT 1 True",
        "RESULT 2 False",
    ], done.stderr
