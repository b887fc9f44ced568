# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import stat

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._audits import _audit
from ansible_collections.vllm_ray.cluster.plugins.module_utils._firewall._rules import Rule

SERVICE, GROUP = 997, 996


def status(mode: int, uid: int = 0, gid: int = 0) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


def faults_of(name: str, mode: int, uid: int = 0, gid: int = 0) -> list[str]:
    kind = 0 if stat.S_IFMT(mode) else stat.S_IFREG
    return _audit.file_faults(name, f"/c/{name}", status(kind | mode, uid, gid), {0}, SERVICE, {0, GROUP})


@pytest.mark.parametrize(
    ("name", "mode", "uid", "gid"),
    [
        ("ray.token", 0o400, SERVICE, GROUP),
        ("api.key", 0o400, SERVICE, GROUP),
        ("tls.key", 0o440, SERVICE, GROUP),
        ("secrets", stat.S_IFDIR | 0o700, 0, 0),
        ("secrets/api.key", 0o400, 0, 0),
        ("node.env", 0o640, 0, GROUP),
        ("node.env", 0o600, 0, 1),
        ("client.env", 0o644, 0, 0),
        ("serve-main.yaml", 0o640, 0, GROUP),
        ("vllm", stat.S_IFDIR | 0o755, 0, 0),
        ("node.sh", 0o755, 0, 0),
        ("current", stat.S_IFLNK | 0o777, 0, 0),
    ],
)
def test_files_as_the_roles_make_them(name: str, mode: int, uid: int, gid: int) -> None:
    assert faults_of(name, mode, uid, gid) == []


@pytest.mark.parametrize(
    ("name", "mode", "uid", "gid", "fault"),
    [
        ("ray.token", 0o440, SERVICE, GROUP, "/c/ray.token has the mode 0440, at most 0400 is expected"),
        ("ray.token", 0o400, 1000, 0, "/c/ray.token belongs to uid 1000"),
        ("node.env", 0o644, 0, GROUP, "/c/node.env has the mode 0644, at most 0640 is expected"),
        ("node.env", 0o640, SERVICE, GROUP, "/c/node.env belongs to uid 997"),
        ("node.env", 0o640, 0, 100, "/c/node.env is open to the group with gid 100"),
        ("node.sh", 0o775, 0, 0, "/c/node.sh has the mode 0775, at most 0755 is expected"),
        ("node.sh", 0o4755, 0, 0, "/c/node.sh has the mode 4755, at most 0755 is expected"),
        ("secrets", stat.S_IFDIR | 0o750, 0, 0, "/c/secrets has the mode 0750, at most 0700 is expected"),
        ("secrets/new", 0o644, 0, 0, "/c/secrets/new has the mode 0644, at most 0600 is expected"),
        ("other", stat.S_IFLNK | 0o777, 0, 0, "/c/other is a link"),
        ("current", stat.S_IFLNK | 0o777, SERVICE, 0, "/c/current is a link"),
        ("pipe", stat.S_IFIFO | 0o600, 0, 0, "/c/pipe is neither a file nor a directory"),
    ],
)
def test_files_as_they_must_not_be(name: str, mode: int, uid: int, gid: int, fault: str) -> None:
    assert faults_of(name, mode, uid, gid) == [fault]


def test_every_file_that_holds_a_secret_is_closed() -> None:
    names = ["ray.token", "api.key", "tls.key", "secrets/ca.key", "node.env", "serve-main.env", "serve-main.yaml"]
    assert [name for name in names if not _audit.holds_secret(name)] == []
    assert [name for name in names if _audit.allowed(name).mode & 0o007] == []
    assert [name for name in ("client.env", "node.sh", "record.json", "tls.crt") if _audit.holds_secret(name)] == []


@pytest.mark.parametrize(
    ("text", "good"), [("a" * 64, True), ("An-administrator's-own.-32-or-more", True), ("a" * 31, False), ("", False)]
)
def test_secrets_are_those_that_services_take(text: str, good: bool) -> None:
    assert (_audit.secret_fault("/c/api.key", text) == "") is good


@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        (stat.S_IFREG | 0o755, ""),
        (stat.S_IFDIR | 0o2755, ""),
        (stat.S_IFLNK | 0o777, ""),
        (stat.S_IFREG | 0o4755, "set-uid"),
        (stat.S_IFREG | 0o2755, "set-gid"),
        (stat.S_IFREG | 0o646, "written by everybody"),
        (stat.S_IFDIR | 0o777, "written by everybody"),
        (stat.S_IFIFO | 0o600, "neither a file"),
        (stat.S_IFCHR | 0o600, "neither a file"),
    ],
)
def test_entries_of_releases_and_models(mode: int, fault: str) -> None:
    found = _audit.entry_fault("/m/a", status(mode))
    assert fault in found
    assert bool(fault) == bool(found)


@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        (stat.S_IFREG | 0o666, ""),
        (stat.S_IFSOCK | 0o777, ""),
        (stat.S_IFDIR | 0o777, ""),
        (stat.S_IFIFO | 0o600, "FIFO"),
        (stat.S_IFBLK | 0o600, "device"),
        (stat.S_IFREG | 0o4755, "set-uid"),
    ],
)
def test_entries_of_the_data(mode: int, fault: str) -> None:
    found = _audit.state_fault("/s/a", status(mode))
    assert fault in found
    assert bool(fault) == bool(found)


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("/m/hub/snapshots/1/a", "../../blobs/x", False),
        ("/m/a", "/m/b", False),
        ("/m/a", "/m", False),
        ("/m/a", "../etc/passwd", True),
        ("/m/a", "/m2/x", True),
        ("/m/a", "/m/../etc", True),
    ],
)
def test_links_that_lead_out(path: str, target: str, out: bool) -> None:
    assert bool(_audit.link_fault(path, target, ["/m"])) is out


STATUS = """Name:\traylet
Uid:\t997\t997\t997\t997
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
"""


@pytest.mark.parametrize(
    ("was", "now", "fault"),
    [
        ("", "", None),
        ("997\t997\t997\t997", "997\t0\t997\t997", "raylet (pid 7) runs as uid 0, 997"),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "raylet (pid 7) has NoNewPrivs 0"),
        ("CapEff:\t0000000000000000", "CapEff:\t0000000000000400", "raylet (pid 7) has CapEff 0000000000000400"),
        ("Seccomp:\t2", "Seccomp:\t0", "raylet (pid 7) has Seccomp 0"),
        ("NoNewPrivs:\t1\n", "", "raylet (pid 7) has NoNewPrivs ?"),
    ],
)
def test_rights_of_a_process(was: str, now: str, fault: str | None) -> None:
    text = STATUS.replace(was, now) if was else STATUS
    assert _audit.process_faults(7, "raylet", text, SERVICE) == ([fault] if fault else [])


UNIT_FILE = "/etc/systemd/system/n@c.service"
SHOWN = {
    "Id": "n@c.service",
    "User": "s",
    "FragmentPath": UNIT_FILE,
    "DropInPaths": f"{UNIT_FILE}.d/network.conf",
    "NeedDaemonReload": "no",
    **_audit.UNIT,
}


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("Id", "n@c.service", None),
        ("DropInPaths", "", None),
        ("User", "root", "n@c.service has User=root, 's' is expected"),
        ("FragmentPath", "/run/n@c.service", "n@c.service is as /run/n@c.service says"),
        ("DropInPaths", "/run/x.conf", "n@c.service is as /run/x.conf says"),
        ("NeedDaemonReload", "yes", "n@c.service has NeedDaemonReload=yes, 'no' is expected"),
        *(
            (name, "other", f"n@c.service has {name}=other, {value!r} is expected")
            for name, value in _audit.UNIT.items()
        ),
    ],
)
def test_a_unit_as_systemd_has_read_it(key: str, value: str, fault: str | None) -> None:
    text = "\n".join(f"{name}={found}" for name, found in {**SHOWN, key: value}.items())
    assert _audit.unit_faults(text, "s", [UNIT_FILE]) == ([fault] if fault else [])


UNIT_TEXT = "# Made\n[Service]\nUser=s\nProtectHome=read-only\nIPAddressDeny=any\n"


@pytest.mark.parametrize(
    ("was", "now", "faults"),
    [
        ("# Made\n", "", []),
        ("IPAddressDeny=any\n", "", [f"{UNIT_FILE} does not have the line IPAddressDeny=any"]),
        (
            "read-only",
            "no",
            [
                f"{UNIT_FILE} does not have the line ProtectHome=read-only",
                f"{UNIT_FILE} has ProtectHome=no, which this collection does not write",
            ],
        ),
        ("User=s\n", "User=s\nUser=s\n", [f"{UNIT_FILE} has its lines in another order or twice"]),
    ],
)
def test_the_file_of_a_unit(was: str, now: str, faults: list[str]) -> None:
    assert _audit.unit_file_faults(UNIT_FILE, UNIT_TEXT.replace(was, now), UNIT_TEXT) == faults
    assert _audit.unit_file_faults(UNIT_FILE, None, UNIT_TEXT) == [f"{UNIT_FILE} is not there"]


def test_a_unit_that_was_changed_since_the_start() -> None:
    record = f"{hashlib.sha256(UNIT_TEXT.encode()).hexdigest()}  {UNIT_FILE}\n{'0' * 64}  /c/node.sh\n"
    assert _audit.started_fault("n@c", UNIT_FILE, UNIT_TEXT, record) == ""
    changed = f"n@c was started with another {UNIT_FILE}"
    assert _audit.started_fault("n@c", UNIT_FILE, f"{UNIT_TEXT}#\n", record) == changed
    assert _audit.started_fault("n@c", UNIT_FILE, UNIT_TEXT, "") == changed


def test_a_drop_in_has_addresses_alone() -> None:
    text = "# Made\n[Service]\nIPAddressAllow=192.0.2.1/32\nIPAddressAllow=any\nNoNewPrivileges=no\n"
    assert _audit.foreign_lines(text, ["192.0.2.1", ""]) == ["IPAddressAllow=any", "NoNewPrivileges=no"]
    assert _audit.foreign_lines(text, ["192.0.2.1", "any"]) == ["NoNewPrivileges=no"]


def test_a_line_of_a_private_key() -> None:
    assert _audit.line_of_key("-----BEGIN X-----\nMIGHAg\nabc\n-----END X-----\n") == "MIGHAg"
    assert _audit.line_of_key("") == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"shell": "/bin/sh"}, "s has the login shell /bin/sh"),
        ({"shell": ""}, "s has the login shell /bin/sh"),
        ({"password": "$6$x"}, "the password of s is not locked"),
        ({"password": ""}, "the password of s is not locked"),
        ({"password": None}, "the password of s is not locked"),
        ({"same_uid": ["s", "other"]}, "the uid 997 belongs to other, s"),
        ({"uid": 0}, "s is root"),
    ],
)
def test_the_account(change: dict[str, object], fault: str | None) -> None:
    usual = {"name": "s", "uid": SERVICE, "shell": "/usr/sbin/nologin", "password": "!", "same_uid": ["s"]}
    assert _audit.account_faults(**{**usual, **change}) == ([fault] if fault else [])  # type: ignore[arg-type]


def test_sudo() -> None:
    assert _audit.sudo_fault("s", "User s is not allowed to run sudo on h1.\n") == ""
    text = "User s may run the following commands on h1:\n    (root) NOPASSWD: /bin/true\n"
    assert _audit.sudo_fault("s", text) == "s may run by sudo: (root) NOPASSWD: /bin/true"
    assert _audit.sudo_fault("s", "") == "s may run by sudo: unknown commands"


def test_settings_of_the_kernel() -> None:
    good = {"dev/tty/legacy_tiocsti": "0\n", "fs/protected_symlinks": "1\n", "kernel/yama/ptrace_scope": None}
    assert _audit.kernel_faults(good) == []
    bad = {"dev/tty/legacy_tiocsti": "1\n", "fs/protected_regular": "0\n", "kernel/yama/ptrace_scope": "2\n"}
    assert _audit.kernel_faults(bad) == [
        "dev.tty.legacy_tiocsti is 1, 0 is expected",
        "fs.protected_regular is 0, 1 is expected",
    ]


def test_answers_of_the_api() -> None:
    keys = ("without a key", "with an empty key", "with a wrong key")
    closed = {"GET /v1/models": dict.fromkeys(keys, 401), "GET /docs": dict.fromkeys(keys, 404)}
    assert _audit.api_faults(closed) == []
    opened = {
        "POST /invocations": dict.fromkeys(keys, 400),
        "GET /version": dict.fromkeys(keys, 404),
        "GET /v1/models": dict(zip(keys, (401, 200, 401))),
    }
    assert _audit.api_faults(opened) == [
        "POST /invocations without the key is answered with 400",
        "GET /version without the key is answered with 404",
        "GET /v1/models with an empty key is answered with 200",
    ]


OURS = "vllm-ray default"


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        (Rule(False, dport="6379"), True),
        (Rule(False, dport="6000:7000", src="192.0.2.0/24"), True),
        (Rule(False, src="192.0.2.9"), True),
        (Rule(True, dport="6379", action="limit"), True),
        (Rule(False, dport="6379", comment=OURS), True),
        (Rule(False, src="192.0.2.9", comment=OURS), False),
        # Peers of another cluster on this host, and what it opens to more than them.
        (Rule(False, src="192.0.2.9", comment="vllm-ray other"), False),
        (Rule(False, src="192.0.2.0/24", comment="vllm-ray other"), True),
        (Rule(False, dport="6379", comment="vllm-ray other"), True),
        (Rule(False, src="192.0.2.9", comment="backup"), True),
        (Rule(False, dport="6379", action="deny"), False),
        (Rule(False, dport="6379", proto="udp"), False),
        (Rule(False, dport="6379", direction="out"), False),
        (Rule(False, dport="6379", route=True), False),
        (Rule(False, dport="22", proto="tcp"), False),
        (Rule(False, dport="8000", proto="tcp"), False),
    ],
)
def test_rules_that_open_our_ports(rule: Rule, opens: bool) -> None:
    found = _audit.rule_faults([rule], OURS, {6379: "gcs_server", 8000: "python"}, [8000])
    assert ["6379 (gcs_server)" in fault for fault in found] == ([True] if opens else [])


@pytest.mark.parametrize(
    ("line", "who"),
    [
        ("Nov  9 01:02:03 h1 vllm-ray-serve[77]: key abc", "vllm-ray-serve"),
        ("Nov 29 01:02:03 h1 kernel: key abc", "kernel"),
        # Of a message of several lines, and of several words.
        ("and that is my abc of today", "?"),
        ("a b c d abc: f", "?"),
    ],
)
def test_who_wrote_a_line_of_the_journal(line: str, who: str) -> None:
    assert _audit.writer(line) == who


def test_no_row_returns_a_secret() -> None:
    values = {"/c/ray.token": "a" * 64, "short of /c/node.env": "a" * 8}
    found = _audit.Finding(f"x {'a' * 8}", [f"who {'a' * 64} wrote"], f"why {'a' * 64}").without(values).as_dict()
    assert found == {
        "checked": "x [short of /c/node.env]",
        "faults": ["who [/c/ray.token] wrote"],
        "unknown": "why [/c/ray.token]",
    }


@pytest.mark.parametrize(
    ("mode", "gid", "groups", "fault"),
    [
        (0o664, GROUP, (0,), f"/r/a can be written by the group with gid {GROUP} (mode 0664)"),
        (0o664, 0, (0,), ""),
        (0o664, GROUP, (0, GROUP), ""),
        (0o644, GROUP, (0,), ""),
        # Models may belong to a team.
        (0o664, GROUP, None, ""),
    ],
)
def test_a_group_that_can_write(mode: int, gid: int, groups: tuple[int, ...] | None, fault: str) -> None:
    assert _audit.entry_fault("/r/a", status(stat.S_IFREG | mode, 0, gid), groups) == fault


def test_many_faults_are_counted() -> None:
    found = _audit.Finding("x", [str(number) for number in range(25)]).as_dict()
    assert found["faults"] == [*map(str, range(_audit.FAULTS_MAXIMUM)), "15 more"]


def test_nothing_that_is_asked_changes_an_engine() -> None:
    """By POST only what refuses an empty request."""
    assert set(_audit.INFERENCE) < set(_audit.ROUTES)
    assert not set(_audit.INFERENCE) & {"/sleep", "/pause", "/collective_rpc", "/update_weights", "/scale_elastic_ep"}
