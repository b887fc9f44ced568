# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of the API: what is planned, and what is wrong with settings and certificates. PRIVATE to the collection.

Certificates are read by `cryptography`, which ansible-core needs itself. It is loaded only where there are any.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._certificates import _tls
from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._problem import Problem
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._checks._check import Need, check
from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import serve_args

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cryptography.x509 import Certificate as X509

    from ansible_collections.vllm_ray.cluster.plugins.module_utils._host import _look
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._cluster import Cluster
    from ansible_collections.vllm_ray.cluster.plugins.plugin_utils._cluster._host import Host

# Options of `vllm serve` that the roles set, or that would keep the checks from asking the API.
OPTIONS = ("ssl-certfile", "ssl-keyfile", "ssl-keyfile-password", "ssl-ca-certs", "ssl-cert-reqs", "enable-ssl-refresh")
FILES = ("certificate", "key", "ca")


@dataclass(frozen=True)
class Certificate:
    """What a certificate says. names: as of _tls.plain_name. starts, ends: seconds since 1970. public_key: DER."""

    names: frozenset[str]
    starts: float
    ends: float
    public_key: bytes

    def covers(self, name: str) -> bool:
        """Return whether it is one for a name or an address, by one of its names or by a wildcard of one label."""
        wanted = _tls.plain_name(name)
        return wanted in self.names or (not is_address(wanted) and f"*.{wanted.partition('.')[2]}" in self.names)


@dataclass(frozen=True)
class Files:
    """What is in the files of vllm_ray_tls=given, by FILES. why: why one could not be read.

    unfit: why a server can't start with the pair. untrusted: why a client that trusts the CA refuses the server. Both
    are OpenSSL's words, empty where it has none.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    unfit: str = ""
    untrusted: str = ""


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# --- What is planned -------------------------------------------------------------------------------------------------


def own_names(cluster: Cluster, bound: str) -> list[str]:
    """Return the names that a certificate of its own has. bound: the address that the API binds."""
    server = cluster.by_name[cluster.serve_host]
    own = cluster.addresses[cluster.serve_host].address
    names = [own, bound, server.name, *(server.settings.get("vllm_ray_tls_names") or [])]
    bound_to_all = ("0.0.0.0", "::")
    return [name for name in dict.fromkeys(names) if name not in bound_to_all and not _tls.unfit_names([name])]


def changes(cluster: Cluster, url: str) -> list[str]:
    """Return what the plan notes where the engine that serves is asked without TLS and would be with it, or vice versa.

    url: of the API as it will be.
    """
    now = next((host.look["engine"].get("url", "") for host in cluster.hosts if serves(host) and host.look), "")
    schemes = [text.partition(":")[0] for text in (now, url)]
    if not now or schemes[0] == schemes[1]:
        return []
    how = "" if cluster.may_change else ", which stops the engine: -e vllm_ray_restart=true"
    return [f"the API would change from {schemes[0]} to {schemes[1]} (vllm_ray_tls){how}"]


def serves(host: Host) -> bool:
    """Return whether an engine serves on a host, or may."""
    return bool((host.look or {}).get("engine", {}).get("serving"))


# --- Settings --------------------------------------------------------------------------------------------------------


@check("tls", needs=Need.PLAN)
def options(cluster: Cluster) -> list[Problem]:
    """Return the errors of options that the roles set themselves."""
    name, wanted = cluster.serve_host, "not set: the role sets what vllm_ray_tls needs"
    given = serve_args(cluster.by_name[name].settings)
    fix = "remove it, and set vllm_ray_tls"
    return [
        Problem(name, "tls", "error", f"vllm_ray_serve_args: {option} is set", wanted, fix)
        for option in OPTIONS
        if option in given
    ]


@check("tls", needs=Need.PLAN)
def in_clear(cluster: Cluster, clients: Sequence[str]) -> list[Problem]:
    """Return the warning of an API without TLS. clients: addresses besides the cluster's hosts that may reach it."""
    own = cluster.by_name[cluster.serve_host].settings
    peers = {nic.address for nic in cluster.addresses.values()}
    strangers = [client for client in clients if client not in peers and not is_loopback(client)]
    if not strangers or own["vllm_ray_tls"] != "off" or is_loopback(own.get("vllm_ray_api_host") or ""):
        return []
    found = f"the API key, prompts and answers go unencrypted to {', '.join(strangers)}"
    return [Problem(cluster.serve_host, "tls", "warning", found, "TLS", "set vllm_ray_tls=own or given")]


def is_loopback(client: str) -> bool:
    """Return whether a client, an address or a network, is this host itself."""
    try:
        return ipaddress.ip_network(client, strict=False).is_loopback
    except ValueError:
        return False


# --- Certificates ----------------------------------------------------------------------------------------------------


def parse(pem: str) -> Certificate | None:
    """Return what the first certificate of a text in PEM says, None where there is none that can be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        found = x509.load_pem_x509_certificate(_tls.first_certificate(pem).encode())
        public_key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        try:
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return Certificate(frozenset(), *dates(found), public_key)
    except ValueError:
        return None
    texts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return Certificate(frozenset(map(_tls.plain_name, texts)), *dates(found), public_key)


def dates(found: X509) -> tuple[float, float]:
    """Return when a certificate starts and ends, in seconds since 1970."""
    if hasattr(found, "not_valid_after_utc"):
        return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    # Before cryptography 42: UTC, and without saying so.
    utc = datetime.timezone.utc
    ends = (found.not_valid_before, found.not_valid_after)
    return ends[0].replace(tzinfo=utc).timestamp(), ends[1].replace(tzinfo=utc).timestamp()


def public_key(pem: str) -> bytes | str:
    """Return the public key in DER of a private one in PEM, or why it can't be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        return "it has a passphrase"
    except (ValueError, UnsupportedAlgorithm):
        return "it is not a private key in PEM"
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def lifetime(ends: float, now: float) -> str:
    """Return when a certificate ends: the day, and in how many days that is."""
    days = int(abs(ends - now) // _tls.DAY)
    count = f"{days} {'day' if days == 1 else 'days'}"
    return f"expired on {_tls.date(ends)}, {count} ago" if ends <= now else f"expires on {_tls.date(ends)}, in {count}"


@check("tls", needs=Need.PLAN)
def given(host: str, own: Mapping[str, object], files: Files, address: str, now: float) -> list[Problem]:
    """Return what is wrong with the files of vllm_ray_tls=given. address: by which the API is asked.

    host: the serve host; own: its settings.
    """
    problems = []

    def report(name: str, severity: str, found: str, wanted: str, fix: str) -> None:
        path = own.get(f"vllm_ray_tls_{name}")
        problems.append(Problem(host, "tls", severity, f"vllm_ray_tls_{name}: {path} {found}", wanted, fix))

    for name in ("certificate", "key"):
        if not own.get(f"vllm_ray_tls_{name}"):
            found = f"vllm_ray_tls=given without vllm_ray_tls_{name}"
            fix = f"set vllm_ray_tls_{name} to a file on the controller, or vllm_ray_tls=own"
            problems.append(Problem(host, "tls", "error", found, "a certificate and its key", fix))
    for name, why in files.why.items():
        report(name, "error", f"can't be read: {why}", "a file on the controller", "correct the path")
    for name in ("certificate", "ca"):
        # These come to the serve host as files that everybody may read.
        if "PRIVATE KEY" in files.texts.get(name, ""):
            fix = "leave only certificates in it, and put the key into a separate file, vllm_ray_tls_key"
            report(name, "error", "has a private key, which all accounts of the host could read", "no private key", fix)
    if not {"certificate", "key"} <= set(files.texts):
        return problems
    certificate, key = parse(files.texts["certificate"]), public_key(files.texts["key"])
    if certificate is None:
        report("certificate", "error", "has no certificate in PEM", "a certificate in PEM", "convert it: openssl x509")
    if isinstance(key, str):
        fix = "openssl pkey -in KEY -out NEW makes one without a passphrase; ansible-vault can encrypt it"
        report("key", "error", f"can't be used: {key}", "a private key in PEM without a passphrase", fix)
    elif certificate and key != certificate.public_key:
        report(
            "key",
            "error",
            "does not belong to vllm_ray_tls_certificate",
            "the key of this certificate",
            "set both to the files of one pair",
        )
    if "ca" in files.texts and parse(files.texts["ca"]) is None:
        report("ca", "error", "has no certificate in PEM", "the CA that clients must trust", "correct the path")
    if certificate:
        if certificate.starts > now:
            found = f"is not valid before {_tls.date(certificate.starts)}"
            report("certificate", "error", found, "a valid certificate", "correct the controller's clock, or wait")
        if certificate.ends - now <= _tls.RENEWED * _tls.DAY:
            severity = "error" if certificate.ends <= now else "warning"
            fix = "put a new certificate and its key there"
            report("certificate", severity, lifetime(certificate.ends, now), f"more than {_tls.RENEWED} days", fix)
        if not certificate.covers(address):
            found = f"is not for {address}, but for {some(certificate.names)}"
            fix = "set vllm_ray_tls_names to the name in it by which clients reach the API, or get one with this name"
            report("certificate", "error", found, "the name or address by which clients reach the API", fix)
    if any(problem.severity == "error" for problem in problems):
        return problems
    if files.unfit:
        fix = "get one with a key of RSA 2048 or EC P-256, and check that each certificate in the file is complete"
        report("certificate", "error", f"and its key can't serve: {files.unfit}", "a pair that OpenSSL accepts", fix)
    elif files.untrusted:
        fix = "set it to the CA that signed the certificate, and append intermediate CAs to vllm_ray_tls_certificate"
        found = f"makes clients refuse vllm_ray_tls_certificate: {files.untrusted}"
        report("ca", "error", found, "the CA of a certificate for servers", fix)
    return problems


def some(names: Collection[str], most: int = 5) -> str:
    """Return names for a message, at most so many."""
    listed = sorted(names)
    return ", ".join([*listed[:most], *(["..."] if len(listed) > most else [])]) or "nobody"


@check("tls", needs=Need.PLAN)
def in_use(hosts: Sequence[Host], renews: bool, now: float) -> list[Problem]:
    """Return what is wrong with the certificates of engines, as hosts' looks have them.

    renews: whether this run makes or brings a new one, so that nothing of this stops it.
    """
    problems = []

    def add(host: Host, ends: float, found: str, wanted: str, fix: str) -> None:
        severity = "error" if ends <= now and not renews else "warning"
        problems.append(Problem(host.name, "tls", severity, found, wanted, fix))

    for host in hosts:
        look = certificates(host)
        used, there = parse(look["used"]), parse(look["file"])
        current = used or there
        if used and there and look["used"] != look["file"]:
            current = there
            found = f"vLLM still uses the previous certificate, which {lifetime(used.ends, now)}"
            fix = "-e vllm_ray_restart=true; vLLM itself reloads only one new certificate per start"
            add(host, used.ends, found, f"the one in {host.paths.config}/tls.crt", fix)
        if current and current.ends - now <= _tls.RENEWED * _tls.DAY:
            fix = "run site.yml, which makes a new one"
            if host.settings["vllm_ray_tls"] == "given":
                fix = "put a new one into the files of vllm_ray_tls_certificate and vllm_ray_tls_key, and run site.yml"
            found = f"the certificate of the API {lifetime(current.ends, now)}"
            add(host, current.ends, found, f"more than {_tls.RENEWED} days", fix)
    return problems


def certificates(host: Host) -> _look.Certificates:
    """Return the certificates that the engine of a host uses, and has on the disk; empty where there are none."""
    engine: _look.Engine = host.look["engine"] if host.look else {}
    return engine.get("certificates") or {"used": "", "file": ""}


def expires(hosts: Sequence[Host], now: float) -> str:
    """Return when the certificate that an engine uses ends, or else the one on the disk; empty where there is none."""
    looks = [certificates(host) for host in hosts]
    found = [parse(text) for text in [*(look["used"] for look in looks), *(look["file"] for look in looks)] if text]
    return next((lifetime(certificate.ends, now) for certificate in found if certificate), "")
