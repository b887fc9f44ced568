# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""uv and pip: where they get packages from, their command lines, and what they say. PRIVATE to the collection."""

from __future__ import annotations

import configparser
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.vllm_ray.cluster.plugins.module_utils._engine._runtime import Venv

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SOURCES_ADVICE = (
    "Packages come from release_index_url, release_extra_index_urls and release_find_links, by default those that pip "
    "is configured with on this host."
)
# pip's own order: a later file wins. ~ is the home of the user that builds.
PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")


# --- Sources of packages ---------------------------------------------------------------------------------------------


@dataclass
class Sources:
    """Where packages come from, in the words of pip."""

    index_url: str = ""
    extra_index_urls: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    proxy: str = ""
    ca_certificate: str = ""
    no_index: bool = False
    timeout: str = ""
    trusted_hosts: list[str] = field(default_factory=list)


class Given(t.TypedDict, total=False):
    """Options of modules that take packages from somewhere. wheels: a directory besides find_links."""

    no_index: bool
    index_url: str | None
    extra_index_urls: list[str] | None
    find_links: list[str] | None
    proxy: str | None
    ca_certificate: str | None
    wheels: str | None


TRUE_WORDS = ("1", "true", "yes", "on", "y", "t")


def parse_pip_file(text: str) -> dict[str, str]:
    """Return what a configuration file of pip says about installing. A broken file says nothing."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return values


def pip_sources(files: Iterable[str], environment: Mapping[str, str]) -> Sources:
    """Return the sources that pip would use: its files in pip's order, then its variables."""
    values: dict[str, str] = {}
    for text in files:
        values.update(parse_pip_file(text))
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    return Sources(
        index_url=values.get("index-url", "").strip(),
        extra_index_urls=values.get("extra-index-url", "").split(),
        find_links=values.get("find-links", "").split(),
        proxy=values.get("proxy", "").strip(),
        ca_certificate=values.get("cert", "").strip(),
        no_index=values.get("no-index", "").strip().lower() in TRUE_WORDS,
        timeout=values.get("default-timeout", values.get("timeout", "")).strip(),
        trusted_hosts=values.get("trusted-host", "").split(),
    )


def choose_sources(given: Given, configured: Sources) -> Sources:
    """Return the sources to use. What is given wins, value by value, over what pip is configured with.

    Where no index is to be used, nothing of pip's counts.
    """
    if given.get("no_index"):
        return Sources(find_links=list(given.get("find_links") or []), no_index=True)
    return Sources(
        index_url=given.get("index_url") or configured.index_url,
        extra_index_urls=list(given.get("extra_index_urls") or configured.extra_index_urls),
        find_links=list(given.get("find_links") or configured.find_links),
        proxy=given.get("proxy") or configured.proxy,
        ca_certificate=given.get("ca_certificate") or configured.ca_certificate,
        no_index=configured.no_index and not given.get("index_url"),
        timeout=configured.timeout,
        trusted_hosts=list(configured.trusted_hosts),
    )


def local_path(source: str) -> str:
    """Return the path that a source names, or an empty text for one that is reached by the network."""
    if source.startswith("file://"):
        return "/" + source[len("file://") :].split("/", 1)[-1]
    return "" if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source) else source


def drop_missing(sources: Sources, exists: t.Callable[[str], bool]) -> tuple[Sources, list[str]]:
    """Return the sources without directories that are not there (uv stops at them, pip doesn't), and those."""
    missing: list[str] = []

    def there(source: str) -> bool:
        path = local_path(source)
        if path and not exists(path):
            missing.append(redact(source))
            return False
        return True

    index = sources.index_url if not sources.index_url or there(sources.index_url) else ""
    kept = Sources(
        index_url=index,
        extra_index_urls=[url for url in sources.extra_index_urls if there(url)],
        find_links=[place for place in sources.find_links if there(place)],
        proxy=sources.proxy,
        ca_certificate=sources.ca_certificate,
        no_index=sources.no_index or (bool(sources.index_url) and not index),
        timeout=sources.timeout,
        trusted_hosts=sources.trusted_hosts,
    )
    return kept, missing


def uv_environment(
    sources: Sources, cache: str = "", python_mirror: str = "", resolves: bool = False
) -> dict[str, str]:
    """Return the variables that set where uv gets packages: URLs may hold passwords, argv is public.

    resolves: whether it chooses versions. Then a package comes from the first index that has it, so that nobody can
    publish a higher version of a private package elsewhere. Otherwise the lock's hashes say what it must be.
    """
    values = {
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_LINK_MODE": "hardlink",
        "UV_DEFAULT_INDEX": sources.index_url,
        "UV_INDEX": " ".join(sources.extra_index_urls),
        "UV_INDEX_STRATEGY": "first-index" if resolves else "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(sources.find_links),
        "UV_HTTP_TIMEOUT": sources.timeout,
        "UV_INSECURE_HOST": " ".join(sources.trusted_hosts),
        "UV_CACHE_DIR": cache,
        "UV_PYTHON_INSTALL_MIRROR": python_mirror,
        "SSL_CERT_FILE": sources.ca_certificate,
        "HTTP_PROXY": sources.proxy,
        "HTTPS_PROXY": sources.proxy,
        "ALL_PROXY": sources.proxy,
    }
    return {name: value for name, value in values.items() if value}


def pip_environment(sources: Sources) -> dict[str, str]:
    """Return the variables that set the same for pip. What is empty stays as pip is configured."""
    values = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_INDEX_URL": sources.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(sources.extra_index_urls),
        "PIP_FIND_LINKS": " ".join(sources.find_links),
        "PIP_NO_INDEX": "1" if sources.no_index else "",
        "PIP_PROXY": sources.proxy,
        "PIP_CERT": sources.ca_certificate,
    }
    return {name: value for name, value in values.items() if value}


# --- Command lines ---------------------------------------------------------------------------------------------------


def logged(argv: Sequence[str], log: str) -> list[str]:
    """Return a command line that appends what the command prints to a file, which can be read while it runs."""
    return ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', log, *argv]


def venv_argv(uv: str, python: str, tree: str) -> list[str]:
    return [uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", python, tree]


def sync_argv(
    uv: str, tree: str, lock: str, torch_backend: str = "", no_index: bool = False, again: Iterable[str] = ()
) -> list[str]:
    """Return the command that makes an environment hold exactly the packages of a lock, with its hashes.

    again: packages to install again where they are there.
    """
    options = ["--torch-backend", torch_backend] if torch_backend else []
    options += ["--no-index"] if no_index else []
    options += [f"--reinstall-package={name}" for name in again]
    return [uv, "pip", "sync", "--no-build", "--require-hashes", *options, "--python", Venv(tree).python(), lock]


def compile_argv(tree: str, site: str) -> list[str]:
    """Return the command that makes bytecode without the name of the directory that it was made in.

    So trees that were built in different places are equal; Python puts the true name in when it imports.
    """
    options = ["-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", tree]
    # Without site, which runs what packages bring as .pth files.
    return Venv(tree).argv(["python", "-B", "-I", "-S", "-m", "compileall", *options, f"{tree}/{site}"])


def python_install_argv(uv: str, version: str, directory: str) -> list[str]:
    return [uv, "python", "install", "--no-bin", "--install-dir", directory, version]


def tool_venv_argv(python: str, directory: str) -> list[str]:
    return [python, "-m", "venv", "--clear", directory]


def tool_install_argv(directory: str, lock: str) -> list[str]:
    install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", lock]
    return Venv(directory).argv(["python", *install])


def cache_clean_argv(uv: str, packages: Sequence[str]) -> list[str]:
    return [uv, "cache", "clean", *packages]


# --- What they say ---------------------------------------------------------------------------------------------------


def redact(text: str) -> str:
    """Return a text without the user, password and values of the query of the URLs in it."""
    text = re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@]+@", r"\1***@", text)
    return re.sub(r"""(://[^\s?#"']*\?)[^\s#"']+""", r"\1***", text)


def last_lines(text: str, count: int = 15) -> str:
    """Return the last lines of what a tool said, without passwords."""
    return redact("\n".join([line for line in text.splitlines() if line.strip()][-count:]))


# uv's name for PyTorch's own index with builds for the CPU.
CPU_TORCH = "cpu"


def lacks_cpu_torch(said: str) -> bool:
    """Return whether uv found no build of torch for the CPU in the sources that it was given."""
    return bool(re.search(r"torch==\S*\+cpu|torch \(v\S*\+cpu\)", said)) and "satisf" in said


def hash_advice(said: str) -> str:
    """Return what to do where uv refused packages without hashes, empty where it did not."""
    if "--require-hashes" not in said:
        return ""
    return (
        "Every package of a lock needs a hash. Make the lock with 'uv pip compile --generate-hashes requirements.in -o "
        "NAME.lock', or set release_requirements (vllm_ray_requirements), so that the builder resolves it."
    )
