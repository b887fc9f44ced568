# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks import _tls_checks
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster import _host, _settings
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._plans import _plan
from ansible_collections.vllm_ray.cluster.tests.unit.looks import look

NOW = 1_800_000_000.0
ADDRESS = "192.0.2.11"
UTC = datetime.timezone.utc


class Pair:
    """A certificate and its key, made here."""

    def __init__(self, *names: str, days: float = 397, start: float = -1) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        title = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
        builder = x509.CertificateBuilder().subject_name(title).issuer_name(title).serial_number(7)
        times = [datetime.datetime.fromtimestamp(NOW + day * _tls.DAY, UTC) for day in (min(start, days - 1), days)]
        builder = builder.not_valid_before(times[0]).not_valid_after(times[1]).public_key(self.private.public_key())
        if names:
            entries = [
                x509.IPAddress(ipaddress.ip_address(name)) if _tls_checks.is_address(name) else x509.DNSName(name)
                for name in names
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
        self.pem = builder.sign(self.private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def key(self, passphrase: str = "") -> str:
        how = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(pem, form, how).decode()


def settings(**given: Any) -> dict[str, Any]:
    """Return checked settings; names go without their prefix."""
    checked = _settings.check(
        "-", {"vllm_ray_model": "/srv/demo", **{f"vllm_ray_{key}": it for key, it in given.items()}}
    )
    assert checked.problems == []
    return checked.values


def hosts(engine: dict[str, Any] | None = None, **given: Any) -> list[_host.Host]:
    """Return a cluster of two hosts. engine: of the first one's look."""
    seen = [look(number, usage_ray_gpus=1 if engine else 0) for number in (1, 2)]
    seen[0]["engine"].update(engine or {})
    groups = [("head",), ("workers",)]
    return [
        _host.Host(f"gpu0{number + 1}", groups[number], settings(**given), seen[number]) for number in range(len(seen))
    ]


def planned(engine: dict[str, Any] | None = None, controllers: tuple[str, ...] = (), **given: Any) -> dict[str, Any]:
    return _plan.make_plan(hosts(engine, **given), controllers, None, "head", "workers").as_dict()


def of_tls(plan: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(p["severity"], p["found"], p["fix"]) for p in plan["problems"] if p["check"] == "tls"]


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.found) for problem in problems]


# --- The plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url", "name"),
    [
        ({}, "http://192.0.2.11:8000", None),
        ({"tls": "own"}, "https://192.0.2.11:8000", None),
        ({"tls": "own", "tls_names": ["llm.example.com"]}, "https://192.0.2.11:8000", None),
        ({"tls": "given", "tls_names": ["llm.example.com", "b"]}, "https://192.0.2.11:8000", "llm.example.com"),
        ({"tls": "given"}, "https://192.0.2.11:8000", None),
        ({"tls": "own", "api_host": "::"}, "https://192.0.2.11:8000", None),
    ],
)
def test_where_the_api_is(given: dict[str, Any], url: str, name: str | None) -> None:
    endpoint = planned(**given)["engine"]["endpoint"]
    assert (endpoint["url"], endpoint.get("name")) == (url, name)


def test_the_names_of_a_certificate() -> None:
    assert planned(tls="own")["tls"] == {"mode": "own", "names": [ADDRESS, "gpu01"]}
    more: dict[str, Any] = {
        "tls": "own",
        "tls_names": ["llm.example.com", "192.0.2.99"],
        "serve_host": "gpu02",
        "api_host": "0.0.0.0",
    }
    assert planned(**more)["tls"]["names"] == ["192.0.2.12", "gpu02", "llm.example.com", "192.0.2.99"]
    assert planned(tls="own", api_host="::1")["tls"]["names"] == [ADDRESS, "::1", "gpu01"]


def test_all_hosts_agree() -> None:
    first, second = hosts(tls="own")
    second.settings["vllm_ray_tls"] = "off"
    plan: Any = _plan.make_plan([first, second], (), None, "head", "workers").as_dict()
    assert [p["found"] for p in plan["problems"] if p["severity"] == "error"] == [
        "vllm_ray_tls: own on gpu01, off on gpu02"
    ]


@pytest.mark.parametrize(
    ("given", "controllers", "clients"),
    [
        ({}, ["198.51.100.7"], "198.51.100.7"),
        ({"api_clients": ["198.51.100.0/24", "any"]}, [], "198.51.100.0/24, any"),
        ({"api_clients": ["127.0.0.1", "::1", "192.0.2.12", "192.0.2.99"]}, [], "192.0.2.99"),
        ({}, ["127.0.0.1"], None),
        ({"api_clients": ["127.0.0.0/8", "192.0.2.12"]}, [], None),
        ({"api_clients": []}, ["198.51.100.7"], None),
        ({"tls": "own"}, ["198.51.100.7"], None),
        ({"api_host": "127.0.0.1"}, ["198.51.100.7"], None),
    ],
)
def test_clients_that_get_the_key_unencrypted(
    given: dict[str, Any], controllers: list[str], clients: str | None
) -> None:
    found = of_tls(planned(controllers=tuple(controllers), **given))
    text = f"the API key, prompts and answers go unencrypted to {clients}"
    assert found == ([("warning", text, "set vllm_ray_tls=own or given")] if clients else [])


@pytest.mark.parametrize("option", ["ssl-certfile", "ssl_keyfile", "--ssl-cert-reqs", "enable-ssl-refresh"])
def test_options_that_the_role_sets(option: str) -> None:
    found = of_tls(planned(serve_args={option: "x"}, tls="own"))
    name = option.lstrip("-").replace("_", "-")
    assert found == [("error", f"vllm_ray_serve_args: {name} is set", "remove it, and set vllm_ray_tls")]


SERVES = {"serving": True, "state": "serves", "model": "demo", "tp": 1, "pp": 2, "executor": "ray"}


@pytest.mark.parametrize(
    ("now", "given", "note"),
    [
        ("http", {"tls": "own"}, "from http to https (vllm_ray_tls), which stops the engine: -e vllm_ray_restart=true"),
        ("https", {}, "from https to http (vllm_ray_tls), which stops the engine: -e vllm_ray_restart=true"),
        ("http", {"tls": "own", "restart": True}, "from http to https (vllm_ray_tls)"),
        ("https", {"tls": "given"}, None),
        ("http", {}, None),
    ],
)
def test_what_would_change(now: str, given: dict[str, Any], note: str | None) -> None:
    plan = planned({**SERVES, "url": f"{now}://{ADDRESS}:8000"}, **given)
    notes = [text for text in plan["engine"]["notes"] if "vllm_ray_tls" in text]
    assert notes == ([f"the API would change {note}"] if note else [])


# --- Files that are given ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(ADDRESS, "llm.example.com", "*.wild.example.com")


OWN = {f"vllm_ray_tls_{name}": f"/tls/{name}" for name in _tls_checks.FILES}


def given(certificate: str, key: str, address: str = ADDRESS, **more: str) -> list[tuple[str, str]]:
    files = _tls_checks.Files({"certificate": certificate, "key": key, **more})
    return told(_tls_checks.given("gpu01", OWN, files, address, NOW))


@pytest.mark.parametrize("address", [ADDRESS, "LLM.example.com", "a.wild.example.com"])
def test_a_pair_that_fits(address: str, pair: Pair) -> None:
    assert given(pair.pem, pair.key(), address) == []
    # A chain, and words of openssl in between.
    assert given(f"subject=x\n{pair.pem}\nissuer=y\n{Pair('a').pem}", pair.key(), address, ca=pair.pem) == []


@pytest.mark.parametrize("address", ["192.0.2.12", "other.example.com", "a.b.wild.example.com", "wild.example.com"])
def test_a_certificate_for_others(address: str, pair: Pair) -> None:
    found = f"vllm_ray_tls_certificate: /tls/certificate is not for {address}, but for *.wild.example.com, {ADDRESS}, "
    assert given(pair.pem, pair.key(), address) == [("error", f"{found}llm.example.com")]


def test_a_certificate_without_names() -> None:
    nameless = Pair()
    found = f"vllm_ray_tls_certificate: /tls/certificate is not for {ADDRESS}, but for nobody"
    assert given(nameless.pem, nameless.key()) == [("error", found)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda pair: (pair.pem, Pair("a").key()), "key: /tls/key does not belong to vllm_ray_tls_certificate"),
        (lambda pair: (pair.pem, pair.key("secret")), "key: /tls/key can't be used: it has a passphrase"),
        (lambda pair: (pair.pem, "nonsense"), "key: /tls/key can't be used: it is not a private key in PEM"),
        (lambda pair: (pair.pem, pair.pem), "key: /tls/key can't be used: it is not a private key in PEM"),
        (lambda pair: ("nonsense", pair.key()), "certificate: /tls/certificate has no certificate in PEM"),
        (
            lambda pair: (pair.pem + pair.key(), pair.key()),
            "certificate: /tls/certificate has a private key, which all accounts of the host could read",
        ),
        (
            lambda pair: (pair.pem.replace("MII", "AAA"), pair.key()),
            "certificate: /tls/certificate has no certificate in PEM",
        ),
    ],
)
def test_a_pair_that_does_not_fit(change: Callable[[Pair], tuple[str, str]], found: str, pair: Pair) -> None:
    assert given(*change(pair)) == [("error", f"vllm_ray_tls_{found}")]


def test_a_ca_that_is_none(pair: Pair) -> None:
    assert given(pair.pem, pair.key(), ca="x") == [("error", "vllm_ray_tls_ca: /tls/ca has no certificate in PEM")]


def test_a_ca_with_its_key(pair: Pair) -> None:
    found = "vllm_ray_tls_ca: /tls/ca has a private key, which all accounts of the host could read"
    assert given(pair.pem, pair.key(), ca=pair.pem + pair.key()) == [("error", found)]


def test_what_openssl_says_of_files(pair: Pair) -> None:
    def told_of(**tried: str) -> list[tuple[str, str]]:
        files = _tls_checks.Files({"certificate": pair.pem, "key": pair.key(), "ca": pair.pem}, {}, **tried)
        return told(_tls_checks.given("gpu01", OWN, files, ADDRESS, NOW))

    assert told_of() == []
    unfit = "vllm_ray_tls_certificate: /tls/certificate and its key can't serve: EE_KEY_TOO_SMALL"
    assert told_of(unfit="EE_KEY_TOO_SMALL") == [("error", unfit)]
    untrusted = "vllm_ray_tls_ca: /tls/ca makes clients refuse vllm_ray_tls_certificate: unsuitable purpose"
    assert told_of(untrusted="unsuitable purpose") == [("error", untrusted)]
    # What is wrong for another reason is said once.
    files = _tls_checks.Files({"certificate": pair.pem, "key": Pair("a").key()}, {}, unfit="KEY_VALUES_MISMATCH")
    assert len(_tls_checks.given("gpu01", OWN, files, ADDRESS, NOW)) == 1


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (30.5, []),
        (30, [("warning", "expires on 2027-02-14, in 30 days")]),
        (1.5, [("warning", "expires on 2027-01-16, in 1 day")]),
        (-0.5, [("error", "expired on 2027-01-14, 0 days ago")]),
        (-9, [("error", "expired on 2027-01-06, 9 days ago")]),
    ],
)
def test_when_a_given_certificate_ends(days: float, found: list[tuple[str, str]]) -> None:
    old = Pair(ADDRESS, days=days)
    assert given(old.pem, old.key()) == [
        (severity, f"vllm_ray_tls_certificate: /tls/certificate {text}") for severity, text in found
    ]


def test_a_certificate_of_tomorrow() -> None:
    early = Pair(ADDRESS, start=1)
    assert given(early.pem, early.key()) == [
        ("error", "vllm_ray_tls_certificate: /tls/certificate is not valid before 2027-01-16")
    ]


def test_what_is_not_given() -> None:
    problems = _tls_checks.given("gpu01", {}, _tls_checks.Files(), ADDRESS, NOW)
    assert told(problems) == [
        ("error", "vllm_ray_tls=given without vllm_ray_tls_certificate"),
        ("error", "vllm_ray_tls=given without vllm_ray_tls_key"),
    ]
    files = _tls_checks.Files({"certificate": "x"}, {"key": "no such file"})
    problems = _tls_checks.given("gpu01", OWN, files, ADDRESS, NOW)
    assert told(problems) == [("error", "vllm_ray_tls_key: /tls/key can't be read: no such file")]


def test_no_problem_has_a_part_of_the_key(pair: Pair) -> None:
    secret = pair.key().splitlines()[1]
    for certificate, key in ((pair.pem, pair.key()[:-80]), (pair.key(), pair.key()), (Pair("a").pem, pair.key())):
        assert secret not in str(given(certificate, key))


# --- Certificates in use ----------------------------------------------------------------------------------------------


def used(certificate: str, file: str, renews: bool = False, **given: Any) -> list[tuple[str, str, str]]:
    engine = {**SERVES, "url": f"https://{ADDRESS}:8000", "certificates": {"used": certificate, "file": file}}
    problems = _tls_checks.in_use(hosts(engine, **{"tls": "own", **given}), renews, NOW)
    assert {(problem.host, problem.check) for problem in problems} <= {("gpu01", "tls")}
    return [(problem.severity, problem.found, problem.fix) for problem in problems]


def test_a_certificate_with_time_left(pair: Pair) -> None:
    assert used(pair.pem, pair.pem) == used(pair.pem, "") == used("", pair.pem) == used("", "") == []
    assert _tls_checks.in_use(hosts(), False, NOW) == []


@pytest.mark.parametrize(
    ("days", "renews", "severity", "text"),
    [
        (12.5, False, "warning", "expires on 2027-01-27, in 12 days"),
        (-3.5, False, "error", "expired on 2027-01-11, 3 days ago"),
        (-3.5, True, "warning", "expired on 2027-01-11, 3 days ago"),
    ],
)
def test_one_that_ends(days: float, renews: bool, severity: str, text: str) -> None:
    old = Pair(ADDRESS, days=days)
    expected = [(severity, f"the certificate of the API {text}", "run site.yml, which makes a new one")]
    assert used(old.pem, old.pem, renews) == used("", old.pem, renews) == used(old.pem, "", renews) == expected


def test_a_given_one_that_ends_is_the_users_to_replace() -> None:
    old = Pair(ADDRESS, days=3)
    ((_severity, _found, fix),) = used(old.pem, old.pem, tls="given")
    assert fix == "put a new one into the files of vllm_ray_tls_certificate and vllm_ray_tls_key, and run site.yml"


@pytest.mark.parametrize(
    ("days", "renews", "severity", "text"),
    [
        (12.5, False, "warning", "expires on 2027-01-27, in 12 days"),
        (-3.5, False, "error", "expired on 2027-01-11, 3 days ago"),
        (-3.5, True, "warning", "expired on 2027-01-11, 3 days ago"),
    ],
)
def test_one_that_was_renewed_and_is_not_used(days: float, renews: bool, severity: str, text: str, pair: Pair) -> None:
    ((found, why, fix),) = used(Pair(ADDRESS, days=days).pem, pair.pem, renews)
    assert (found, why) == (severity, f"vLLM still uses the previous certificate, which {text}")
    assert fix.startswith("-e vllm_ray_restart=true")


def test_when_it_expires(pair: Pair) -> None:
    found = {"used": Pair(days=9).pem, "file": pair.pem}
    engine = {**SERVES, "url": f"https://{ADDRESS}:8000", "certificates": found}
    assert _tls_checks.expires(hosts(engine, tls="own"), NOW) == "expires on 2027-01-24, in 9 days"
    found["used"] = ""
    assert _tls_checks.expires(hosts(engine, tls="own"), NOW) == "expires on 2028-02-16, in 397 days"
    assert _tls_checks.expires(hosts(tls="own"), NOW) == ""
