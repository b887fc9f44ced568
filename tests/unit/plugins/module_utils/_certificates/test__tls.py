# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import calendar

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls

NOW = 1_800_000_000.0
# openssl x509 -noout -pubkey -enddate -ext subjectAltName, OpenSSL 3.0.19
SHOWN = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6/QZk62x/BNGgZsTygHH6puhAMTJ
NbUvlvWlXNG7CTcssARrG1wRt830nnfXe/E9fLjh3Eh9xtd2/s3RAoS/Qw==
-----END PUBLIC KEY-----
notAfter=Nov  1 00:00:00 2036 GMT
X509v3 Subject Alternative Name:
    DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:gpu_01
"""


def test_what_openssl_prints_is_read() -> None:
    found = _tls.parse(SHOWN)
    assert found is not None
    assert found.names == {"localhost", "127.0.0.1", "::1", "gpu_01"}
    assert found.ends == calendar.timegm((2036, 11, 1, 0, 0, 0))
    assert found.public_key.startswith("-----BEGINPUBLICKEY-----MFkw")


@pytest.mark.parametrize("text", ["", "notAfter=Xyz  1 00:00:00 2036 GMT", "unable to load certificate"])
def test_what_is_no_certificate_is_none(text: str) -> None:
    assert _tls.parse(text) is None


@pytest.mark.parametrize(
    ("days", "said"),
    [(31, ""), (30.5, ""), (30, "it expires on 2027-02-14"), (0, "it expired on 2027-01-15"), (-1, "it expired on")],
)
def test_thirty_days(days: float, said: str) -> None:
    found = _tls.ends_soon(NOW + days * _tls.DAY, NOW)
    assert found.startswith(said)
    assert bool(found) is bool(said)


def test_why_one_is_made_anew() -> None:
    good = _tls.Certificate("key", frozenset({"a", "::1"}), int(NOW + 100 * _tls.DAY))
    names = ["A", "0:0:0:0:0:0:0:1"]
    assert _tls.why_new(good, "key", names, signed=True, now=NOW) == ""
    assert _tls.why_new(None, "key", names, signed=True, now=NOW) == "no readable certificate exists"
    assert _tls.why_new(good, "", names, signed=True, now=NOW) == "its key does not belong to it"
    assert _tls.why_new(good, "other", names, signed=True, now=NOW) == "its key does not belong to it"
    assert _tls.why_new(good, "key", names, signed=False, now=NOW) == "another CA signed it"
    assert _tls.why_new(good, "key", ["b", "::1"], signed=True, now=NOW) == "its names changed: +b -a"
    assert _tls.why_new(good, "key", names, signed=True, now=NOW + 99 * _tls.DAY) == "it expires on 2027-04-25"


@pytest.mark.parametrize("name", ["gpu01", "gpu_01", "a.b-c.example", "*.example.com", "192.0.2.1", "2001:db8::1"])
def test_names_that_a_certificate_can_have(name: str) -> None:
    assert _tls.unfit_names([name]) == []


@pytest.mark.parametrize(
    "name", ["", "-a", "a b", "a,DNS:b", "a\nb", "$x", "${x}", "a/b", "fe80::1%eth0", "ä", "a" * 254]
)
def test_names_that_it_can_not(name: str) -> None:
    assert _tls.unfit_names([name]) == [name]


def test_the_file_for_openssl() -> None:
    assert "\nsubjectAltName = DNS:gpu01,IP:192.0.2.1,IP:::1\n" in _tls.config(["gpu01", "192.0.2.1", "::1"])


def test_the_first_certificate_of_a_chain() -> None:
    def pem(text: str) -> str:
        return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"

    chain = f"some words\n{pem('A' * 70)}{pem('BBBB')}"
    assert _tls.first_certificate(chain) == pem(f"{'A' * 64}\n{'A' * 6}")
    assert _tls.first_certificate("no certificate") == ""
