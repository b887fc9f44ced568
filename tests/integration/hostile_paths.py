# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths that modules take: how each is tried with what another account may put there, or why it need not be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub, _hub_pin
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _revisions
from ansible_collections.vllm_ray.cluster.plugins.module_utils._releases import _bring
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees import _tree

# In arguments: the path that is tried, and a directory of root.
X, OWN = "{x}", "{own}"
NOBODY = 65534
SUM = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
BROUGHT = _bring.Item("a/b.whl", 1, SUM)
PIN = _hub_pin.pin_name(_hub.wish("huggingface", "o/m", "", "http://127.0.0.1:9"), "")
MODEL = ("config.json", "hf_quant_config.json", "model.safetensors", "model.safetensors.index.json", "sub/notes.txt")
_PARALLEL = {"tensor-parallel-size": 1, "pipeline-parallel-size": 1, "distributed-executor-backend": "ray"}
ENGINE = json.dumps({"host": "127.0.0.1", "port": 9, "served-model-name": "m", **_PARALLEL})
ENGINE_WITH_TLS = json.dumps({**json.loads(ENGINE), "ssl-certfile": "/r/tls.crt"})
ENDPOINT = {"url": "https://127.0.0.1:9", "model": "m", "key_file": f"{OWN}/none"}
# A service manager that does nothing.
SUPERVISOR: dict[str, Any] = {
    "manager": "supervisor",
    "supervisor_directory": f"{OWN}/none",
    "supervisor_bin": f"{OWN}/bin",
}
PROGRAMS = dict.fromkeys(("bin/supervisorctl", "bin/supervisord", "bin/python"), "#!/bin/sh\n")


@dataclass(frozen=True)
class Case:
    """One way to try a path. args: of the module; below: what is planted below the path, too (../NAME beside it).

    files, links: what is in the directory of root, {name: content} and {name: target}. without: kinds that say nothing
    here, as reading all of a large file is what the module is for.
    """

    args: dict[str, Any]
    below: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


def set_of(**args: Any) -> Case:
    """Return a case of service_set, whose service manager never runs."""
    return Case({**SUPERVISOR, **args}, ("a", "supervisord.conf"), PROGRAMS, {"link": "/r/one"})


def service(**given: str | list[str]) -> list[dict[str, Any]]:
    usual = {"name": "n", "unit_path": f"{OWN}/unit", "unit": "[Unit]\n", "record": f"{OWN}/record"}
    return [{**usual, **given}]


def look(*below: str, files: Mapping[str, str] = {}, **args: Any) -> Case:
    """Return a case of host_info."""
    return Case(args, below, {**PROGRAMS, **files})


def details(*below: str, **given: Any) -> Case:
    usual = {"cluster": "c", "release": f"{OWN}/none", "config": f"{OWN}/none", "started": f"{OWN}/none"}
    logs = {"log_files": [f"{OWN}/none", f"{OWN}/none"]}
    services = ["vllm-ray-node@c", "vllm-ray-serve@c-main"]
    files = {"serve-main.yaml": ENGINE, "key": "0" * 64}
    engine = {"engine_config": f"{OWN}/serve-main.yaml", "engine_key_file": f"{OWN}/key"}
    return look(*below, files=files, services=services, details={**usual, **logs, **given}, **SUPERVISOR, **engine)


def model_of(*below: str, without: tuple[str, ...] = (), **given: Any) -> Case:
    usual = {"model": "o/m", "endpoint": "http://127.0.0.1:9", "root": f"{OWN}/models", "user": "nobody"}
    return Case({"model": {**usual, "record_directory": f"{OWN}/records", **given}}, below, without=without)


def part(*below: str, **given: str) -> Case:
    services = ["vllm-ray-node@c", "vllm-ray-serve@c-main"]
    usual = dict.fromkeys(("config", "started", "state", "units", "release"), f"{OWN}/none")
    return Case({"services": services, "manager": "supervisor", "seconds": 1, **usual, **given}, below)


def tree(state: str = "described", **given: Any) -> Case:
    hosts = [{"name": "a", "address": "127.0.0.1"}]
    run = {
        "digest": SUM,
        "hosts": hosts,
        "name": "a",
        "token": "the token",
        "window": 0.1,
        "grace": 0.1,
        "patience": 0.1,
    }
    args = {"path": f"{OWN}/tree", "record_directory": f"{OWN}/records", "state": state, **run, **given}
    below = (*MODEL, "../.x.vllm-ray-sync/tree", _tree.record_name("/x"))
    return Case(args, below, {"tree/config.json": "{}"}, without=("sparse",))


def download(*below: str, **given: Any) -> Case:
    usual = {"model": "o/m", "endpoint": "http://127.0.0.1:9", "root": f"{OWN}/models", "state": "asked"}
    return Case({**usual, "record_directory": f"{OWN}/records", **given}, below)


def old(*below: str, **given: Any) -> Case:
    usual = {"path": f"{OWN}/models/b", "record_directory": f"{OWN}/records", "keep": 0}
    record = {f"records/{_tree.record_name('{own}/models/a')}": "{}"}
    return Case({**usual, **given}, below, {"models/a/config.json": "{}", "models/b/config.json": "{}", **record})


# What an audit reads of files. Rows that start a process, or read those of all others, take longer: they are asked
# where they say something.
AUDITED = ("paths", "modes", "secrets", "release", "models", "state", "sudoers", "logs")
SLOW = ("service_user", "other_users", "ray", "command_lines", "environments")


def audit(*below: str, **given: Any) -> Case:
    """Return a case of audit_host."""
    usual = dict.fromkeys(("config", "state", "started", "models", "clusters", "release", "units"), f"{OWN}/none")
    own = {"ray.token": "0" * 64, "node.env": "A_TOKEN=0123456789\n"}
    files = {**PROGRAMS, **{f"etc/{name}": text for name, text in own.items()}}
    paths = {**usual, "config": f"{OWN}/etc", "sudoers_file": f"{OWN}/none"}
    args = {**paths, "rows": list(AUDITED), "user": "nobody", "services": ["n"], **SUPERVISOR, **given}
    return Case(args, below, files)


# {(module, option): the ways in which it is tried}.
TABLE: dict[tuple[str, str], tuple[Case, ...]] = {
    ("audit_host", "ca_file"): (audit(rows=["tls"], api="https://127.0.0.1:9", ca_file=X),),
    ("audit_host", "clusters"): (audit("a", clusters=X),),
    ("audit_host", "config"): (
        audit("ray.token", "api.key", "node.env", "serve-main.yaml", "secrets/api.key", "a/b", "current", config=X),
        audit("ray.token", "secrets/a", config=X, rows=list(SLOW)),
    ),
    ("audit_host", "model"): (audit(*MODEL, model=X),),
    ("audit_host", "models"): (audit(*(f"o--m/{name}" for name in MODEL), models=X),),
    ("audit_host", "release"): (audit("bin/python", "lib/python3.11/a.py", release=X, rows=[*AUDITED, "ray"]),),
    ("audit_host", "started"): (audit("node", "serve-main.yaml", started=X),),
    ("audit_host", "state"): (audit("log/node.log", "ray/session_latest/logs/a.log", "cache/a/b/c", state=X),),
    ("audit_host", "sudoers_file"): (audit(sudoers_file=X), audit("a", sudoers_file=f"{X}/a")),
    ("audit_host", "supervisor_directory"): (audit("supervisord.conf", **dict(SUPERVISOR, supervisor_directory=X)),),
    ("bundle_install", "path"): tuple(
        Case({"step": step, "path": X, "files": [vars(BROUGHT)], "account": NOBODY}, (BROUGHT.path, staging))
        for step in ("stage", "install")
        for staging in (_bring.STAGING, f"{_bring.STAGING}/{BROUGHT.key}")
    ),
    ("cluster_secrets", "directory"): (Case({"directory": X, "names": ["ray.token"]}, ("ray.token", "ray.token.new")),),
    ("host_info", "checked"): (look(checked=X),),
    ("host_info", "details.config"): (
        details("ray.token", "api.key", "node.env", "a.yaml", "a.json", "secrets/a", "serve-main.sh", config=X),
    ),
    ("host_info", "details.log_files"): (details(log_files=[X, f"{OWN}/none"]),),
    ("host_info", "details.release"): (details("lib/python3.11/site-packages/vllm-1.dist-info", release=X),),
    ("host_info", "details.started"): (details("serve-main.yaml", started=X),),
    ("host_info", "engine_config"): (look(engine_config=X, engine_key_file=f"{OWN}/none"),),
    ("host_info", "engine_next_config"): (look(engine_config=f"{OWN}/none", engine_next_config=X),),
    ("host_info", "engine_ca_file"): (
        look(files={"engine": ENGINE_WITH_TLS}, engine_config=f"{OWN}/engine", engine_ca_file=X),
    ),
    ("host_info", "engine_certificate_file"): (
        look(files={"engine": ENGINE_WITH_TLS}, engine_config=f"{OWN}/engine", engine_certificate_file=X),
    ),
    ("host_info", "engine_key_file"): (
        look(files={"engine": ENGINE}, engine_config=f"{OWN}/engine", engine_key_file=X),
    ),
    ("host_info", "model.ca_certificate"): (model_of(fetch=True, endpoint="https://127.0.0.1:9", ca_certificate=X),),
    ("host_info", "model.model"): (model_of(*MODEL, model=X), model_of(*MODEL, model=X, user="")),
    ("host_info", "model.record_directory"): (model_of(PIN, record_directory=X),),
    ("host_info", "model.root"): (model_of("o--m/c", root=X), model_of(*(f"o--m/c/{name}" for name in MODEL), root=X)),
    ("host_info", "paths"): (look(paths=[X]),),
    ("host_info", "ray_directory"): (look("session_2026/sockets/raylet", ray_directory=X),),
    ("host_info", "record"): (look(record=X),),
    ("host_info", "release"): (look(release=X),),
    ("host_info", "rotation"): (look(rotation=X),),
    ("host_info", "supervisor_directory"): (
        look("supervisord.conf", services=["n"], **dict(SUPERVISOR, supervisor_directory=X)),
    ),
    ("host_info", "worked"): (look(worked=X),),
    ("model_download", "ca_certificate"): (download(endpoint="https://127.0.0.1:9", ca_certificate=X),),
    ("model_download", "path"): (download(*MODEL, "../.x.vllm-ray-download/a", path=X),),
    ("model_download", "record_directory"): (download(PIN, record_directory=X),),
    ("model_download", "root"): (download("o--m/c", root=X),),
    ("model_info", "ca_certificate"): (Case({"model": "o/m", "endpoint": "https://127.0.0.1:9", "ca_certificate": X}),),
    ("model_info", "model"): (Case({"model": X}, MODEL),),
    ("model_install", "path"): (
        Case(
            {"step": "stage", "path": X, "user": "nobody", "files": {"config.json": 2}, "record_directory": OWN},
            (*MODEL, "../.x.vllm-ray-sync/tree", ".vllm-ray-sync/tree"),
        ),
        Case(
            {"step": "install", "path": X, "digest": SUM, "record_directory": f"{OWN}/records"},
            (*MODEL, "../.x.vllm-ray-sync/tree", ".vllm-ray-sync/tree", ".vllm-ray-sync/manifest"),
        ),
    ),
    ("model_install", "record_directory"): (
        Case({"step": "install", "path": f"{OWN}/m", "digest": SUM, "record_directory": X}, (_tree.record_name("/m"),)),
    ),
    ("model_manifest", "path"): (Case({"path": X, "record_directory": f"{OWN}/records"}, MODEL, without=("sparse",)),),
    ("model_manifest", "record_directory"): (
        Case({"path": f"{OWN}/m", "record_directory": X}, (_tree.record_name("{own}/m"),), {"m/config.json": "{}"}),
    ),
    ("model_prune", "configs"): (old("a", configs=[X, f"{X}/*"]),),
    ("model_prune", "path"): (old("a", path=X), old("a", path=f"{X}/a")),
    ("model_prune", "record_directory"): (
        old(_revisions.uses_name("default"), _revisions.uses_name("b"), record_directory=X),
    ),
    ("ray_cluster_info", "token_file"): (Case({"url": "http://127.0.0.1:9", "token_file": X, "seconds": 1}),),
    ("release_info", "path"): (
        Case(
            {"path": X, "verify": True},
            ("release.json", "release.manifest", "bin/vllm", "lib/python3.11/site-packages"),
        ),
    ),
    ("release_prune", "config_root"): (
        Case(
            {"root": f"{OWN}/root", "config_root": X, "record_directory": f"{OWN}/records"},
            ("c/current", "c/previous", "c/node.env"),
        ),
    ),
    ("release_prune", "record_directory"): (
        Case(
            {"root": f"{OWN}/root", "config_root": f"{OWN}/none", "record_directory": X, "keep": 0},
            (f"{_tree.record_name('{own}/root/releases/r1')}.lock",),
        ),
    ),
    ("releases_info", "config_root"): (
        Case({"root": f"{OWN}/root", "config_root": X}, ("c/current", "c/previous", "c/node.env")),
    ),
    ("serve_config_check", "passed_file"): (
        Case({"release": f"{OWN}/none", "config": {}, "passed_file": X}, ("a",)),
        Case({"release": OWN, "config": {}, "passed_file": X}, files=PROGRAMS),
        Case({"release": OWN, "config": {}, "passed_file": f"{X}/a/b"}, ("a",), PROGRAMS),
    ),
    ("service_log_info", "config"): (
        Case({"name": "n", "log_file": f"{OWN}/log", "config": X}, ("a.env", "ray.token")),
    ),
    ("service_log_info", "log_file"): (Case({"name": "n", "log_file": X, "cache": True}),),
    ("service_set", "absent"): (set_of(absent=[X]), set_of(absent=[f"{X}/a"])),
    ("service_set", "directories.path"): (
        set_of(directories=[{"path": X, "mode": "0750", "owner": "nobody"}]),
        set_of(directories=[{"path": f"{X}/a", "mode": "0750", "owner": "nobody"}]),
    ),
    ("service_set", "files.path"): (
        set_of(files=[{"path": X, "content": "{}", "mode": "0644", "owner": "nobody"}]),
        set_of(files=[{"path": f"{X}/a", "content": "{}", "mode": "0644", "owner": "nobody"}]),
    ),
    ("service_set", "links.former"): (set_of(links=[{"path": f"{OWN}/link", "target": "/r/two", "former": X}]),),
    ("service_set", "links.path"): (
        set_of(links=[{"path": X, "target": "/r/two"}]),
        set_of(links=[{"path": f"{X}/a", "target": "/r/two"}]),
    ),
    ("service_set", "secret_files.path"): (
        set_of(secret_files=[{"path": X, "content": "{}", "mode": "0400", "owner": "nobody"}]),
        set_of(secret_files=[{"path": f"{X}/a", "content": "{}", "mode": "0400", "owner": "nobody"}]),
    ),
    ("service_set", "services.depends"): (set_of(services=service(depends=[X])),),
    ("service_set", "services.record"): (set_of(services=service(record=X)), set_of(services=service(record=f"{X}/a"))),
    ("service_set", "services.unit_path"): (
        set_of(services=service(unit_path=X)),
        set_of(services=service(unit_path=f"{X}/a", state="absent")),
    ),
    ("service_set", "supervisor_directory"): (set_of(services=service(), supervisor_directory=X),),
    ("support_part", "config"): (
        part("node.env", "a.sh", "a.yaml", "a.json", "a.conf", "vllm/a.json", "ray.token", "secrets/a", config=X),
    ),
    ("support_part", "release"): (part("bin/vllm", "bin/python", release=X),),
    ("support_part", "started"): (part("node", "serve-main.yaml", "a.env", started=X),),
    ("support_part", "state"): (
        part("log/node.log", "log/serve-main.log", state=X),
        part("ray/session_2026/logs/raylet.out", "ray/session_2026/logs/a/b.log", "ray/session_2027", state=X),
    ),
    ("support_part", "units"): (part("vllm-ray-node@c.service", "vllm-ray-serve@c-main.conf", units=X),),
    ("tls_certificate", "directory"): (
        Case(
            {"directory": X, "cluster": "c", "names": ["h"], "refuse": False},
            ("ca.key", "ca.crt", "tls.key", "tls.crt", "ca.key.new", "tls.json", ".openssl"),
        ),
    ),
    ("tree_progress", "path"): (Case({"path": X, "token": "the token", "record_directory": f"{OWN}/records"}, MODEL),),
    ("tree_progress", "record_directory"): (
        Case({"path": "/m", "token": "the token", "record_directory": X}, (f"{_tree.record_name('/m')}.progress",)),
    ),
    ("tree_sync", "copy_from"): (tree("synced", copy_from=X),),
    ("tree_sync", "path"): (tree(path=X), tree("synced", path=X)),
    ("tree_sync", "record_directory"): (tree(record_directory=X),),
    ("trusted_digest", "path"): (
        Case({"path": X, "name": "release a"}),
        Case({"path": X, "name": "release a", "tree": SUM, "manifest": SUM, "host": "a"}),
    ),
    ("vllm_endpoint_info", "ca_file"): (Case({**ENDPOINT, "ca_file": X}),),
    ("vllm_endpoint_info", "certificate_file"): (Case({**ENDPOINT, "certificate_file": X}),),
    ("vllm_endpoint_info", "key_file"): (Case({**ENDPOINT, "key_file": X}),),
}
# Options that are no paths by their type, and may hold one.
TEXTS = {("host_info", "model.model"), ("model_info", "model"), ("model_prune", "configs")}
_RUN = "root or the service user runs programs of it, so whoever may write there needs no link"
_UV = "handed to uv, which reads it when root builds a release from what is in it"
_RELEASES = "root runs programs below it, so whoever may write there needs no link"
_ASKED = "nothing at this path is opened: the kernel is asked for its metadata and who may write it"
# Options whose path only root may write above, and why.
ONLY_ROOT: dict[tuple[str, str], str] = {
    ("audit_host", "command"): _ASKED,
    ("audit_host", "manifests"): _ASKED,
    ("audit_host", "root"): _ASKED,
    ("audit_host", "supervisor_bin"): _RUN,
    ("audit_host", "units"): _ASKED,
    ("collective_check", "release"): _RUN,
    ("host_info", "supervisor_bin"): _RUN,
    ("model_download", "python"): _RUN,
    ("package_install", "directory"): "apt installs as root what is in it, so whoever may write there needs no link",
    (
        "release_archive",
        "archive",
    ): "a file in a directory of mode 0700 that the role makes for the account that sends it",
    ("release_archive", "root"): _RELEASES,
    ("release_build", "ca_certificate"): _UV,
    ("release_build", "cache_dir"): _UV,
    ("release_build", "recipe_dir"): "root builds what is in it, so whoever may write there needs no link",
    ("release_build", "root"): _RELEASES,
    ("release_build", "wheels"): _UV,
    ("release_info", "root"): _RELEASES,
    ("release_prune", "root"): _RELEASES,
    ("release_resolve", "ca_certificate"): _UV,
    ("release_resolve", "cache_dir"): _UV,
    ("release_resolve", "root"): _RELEASES,
    ("release_resolve", "wheels"): _UV,
    ("releases_info", "root"): _RELEASES,
    ("serve_config_check", "release"): _RUN,
    ("service_set", "account.former_parent"): "compared with the home of an account; nothing at this path is touched",
    ("service_set", "supervisor_bin"): _RUN,
}
_OPERATOR = "read on the controller, by the account that runs the playbook and chose the path"
# Options of action plugins that have no module on the hosts.
ON_THE_CONTROLLER: dict[tuple[str, str], str] = {
    ("bundle_copy", "bundle"): _OPERATOR,
    ("bundle_copy", "path"): "handed to bundle_install, which is tried",
    ("bundle_open", "path"): _OPERATOR,
    ("layout_plan", "hosts_file"): _OPERATOR,
    ("model_copy", "record_directory"): "handed to model_install, which is tried",
    ("wait_for_ray", "token_file"): "handed to ray_cluster_info, which is tried",
    ("wait_for_vllm", "ca_file"): "handed to vllm_endpoint_info, which is tried",
    ("wait_for_vllm", "certificate_file"): "handed to vllm_endpoint_info, which is tried",
    ("wait_for_vllm", "key_file"): "handed to vllm_endpoint_info, which is tried",
    ("wait_for_vllm", "log_file"): "handed to service_log_info, which is tried",
}
