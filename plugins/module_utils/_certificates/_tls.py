# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the API: what one must have, and when it is created again. PRIVATE to the collection."""

from __future__ import annotations

import calendar
import ipaddress
import re
import time
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Collection, Sequence

DAY = 86400
# Days before its end in which a certificate is created again, and in which a run warns about one.
RENEWED = 30
CA_DAYS = 3650
# Clocks of hosts and clients differ, so a certificate is valid from a little earlier on.
BACKDATED = 3600
# The common name and the names of a certificate can't be longer.
NAME = re.compile(r"(?!-)[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,252}")
CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LOCAL = ("localhost", "127.0.0.1")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Certificate:
    """What openssl reads in a certificate. names: as of plain_name. ends: seconds since 1970. public_key: in PEM."""

    public_key: str
    names: frozenset[str]
    ends: int


def plain_name(name: str) -> str:
    """Return a name or an IP address as certificates are compared by it: lower case, addresses in their short form."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def unfit_names(names: Collection[str]) -> list[str]:
    """Return which names are no IP addresses or names of hosts: they stand in a file that openssl reads."""
    return [name for name in names if not NAME.fullmatch(name) and not _is_address(name)]


def _is_address(text: str) -> bool:
    try:
        return "%" not in str(ipaddress.ip_address(text))
    except ValueError:
        return False


def first_certificate(text: str) -> str:
    """Return the first certificate of a text in PEM, as ssl.DER_cert_to_PEM_cert writes it; empty where none is."""
    found = _PEM.search(text)
    if not found:
        return ""
    base64 = "".join(found.group().split("-----")[2].split())
    lines = [base64[at : at + 64] for at in range(0, len(base64), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def public_key(text: str) -> str:
    """Return the public key in PEM that openssl printed, empty where there is none."""
    found = _PUBLIC_KEY.search(text)
    return "".join(found.group().split()) if found else ""


def parse(text: str) -> Certificate | None:
    """Return what `openssl x509 -noout -pubkey -enddate -ext subjectAltName` printed; None where it printed no date."""
    # Locales don't matter, as openssl always prints English. Such as notAfter=Nov  1 00:00:00 2036 GMT
    date = re.search(r"^notAfter=(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d) (\d{4}) GMT$", text, re.MULTILINE)
    if not date or date.group(1) not in _MONTHS:
        return None
    month = _MONTHS.index(date.group(1)) + 1
    day, hour, minute, second, year = (int(number) for number in date.groups()[1:])
    names = re.findall(r"(?:DNS|IP Address):([^,\s]+)", text)
    ends = calendar.timegm((year, month, day, hour, minute, second))
    return Certificate(public_key(text), frozenset(map(plain_name, names)), ends)


def date(seconds: float) -> str:
    """Return a day as people read it, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def openssl_time(seconds: float) -> str:
    """Return a time as `openssl ca` takes it."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


def ends_soon(ends: float, now: float) -> str:
    """Return that a certificate ends within RENEWED days or has ended, empty where neither is so."""
    if ends - now > RENEWED * DAY:
        return ""
    return f"it expired on {date(ends)}" if ends <= now else f"it expires on {date(ends)}"


def why_new(found: Certificate | None, key: str, names: Collection[str] | None, signed: bool, now: float) -> str:
    """Return why a certificate is created again, empty where it stays.

    found: None where no readable certificate exists. key: public key of the private one beside it. names: that it must
    have, None = any. signed: by the CA that is there.
    """
    if found is None:
        return "no readable certificate exists"
    if not key or key != found.public_key:
        return "its key does not belong to it"
    if not signed:
        return "another CA signed it"
    expected = found.names if names is None else frozenset(map(plain_name, names))
    if found.names != expected:
        changes = [*(f"+{name}" for name in sorted(expected - found.names))]
        changes += [f"-{name}" for name in sorted(found.names - expected)]
        return f"its names changed: {' '.join(changes)}"
    return ends_soon(found.ends, now)


def config(names: Sequence[str]) -> str:
    """Return the file that openssl makes a CA, and the certificate of a server, by. names: of unfit_names() none."""
    entries = [f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names]
    return f"""[ca]
default_ca = here
[here]
database = index
new_certs_dir = .
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
[any]
organizationName = supplied
commonName = supplied
[req]
distinguished_name = no_questions
[no_questions]
[ca_extensions]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[tls_extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = {",".join(entries)}
"""
