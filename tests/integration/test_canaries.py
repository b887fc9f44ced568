# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are in nothing that Ansible prints, logs, hands to callbacks or writes to a host's journal.

Modules and actions run by ansible-playbook on this machine, with -vvvv and --diff. What they would write to the journal
is kept in a file instead. The scenario `cluster` does the same with whole runs on hosts.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ansible_collections.vllm_ray.cluster.tests import canaries

ROOT = Path(__file__).resolve().parents[2]
MODULE = "vllm_ray.cluster"
# Of several lines, with what Python writes in another way inside a list.
SECRET = "canary-a-q7x2 'quoted' \\ \"twice\"\ncanary-b-q7x2\n"
NOWHERE = "http://127.0.0.1:9"
JOURNAL = """
import os, syslog
def write(*words):
    with open({file!r}, "a") as stream:
        stream.write(f"{{words[-1]}}\\n")
syslog.syslog = write
"""


# As vLLM's parser refuses an option: it repeats its value.
FAKE = """#!{python}
import json, sys
print('OPTIONS ["--additional-config"]')
value = json.load(open(sys.argv[3]))["additional-config"]
for form in (repr(value), json.dumps(value), value["note"]):
    print(f"vllm: error: argument --additional-config: Value {{form}} is wrong", file=sys.stderr)
sys.exit(2)
"""


class Run(NamedTuple):
    """What one run of ansible-playbook left: all it printed and logged, results, and lines for the journal."""

    status: int
    shown: str
    results: list[dict[str, Any]]
    journal: str

    def canaries(self) -> dict[str, set[bytes]]:
        places = {"shown": self.shown, "results": json.dumps(self.results), "journal": self.journal}
        found = {place: set(canaries.PATTERN.findall(text.encode())) for place, text in places.items()}
        return {place: names for place, names in found.items() if names}

    def result(self, task: str) -> dict[str, Any]:
        found = [line["result"] for line in self.results if line["task"] == f"TASK: {task}"]
        (result,) = [one for one in found if not one.get("skipped")]
        return dict(result)


def play(folder: Path, playbook: str | list[dict[str, Any]], variables: dict[str, Any], *hosts: str) -> Run:
    """Run a playbook of ours, or plays, on hosts that are all this machine."""
    (folder / "group_vars").mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (folder / "sitecustomize.py").write_text(JOURNAL.format(file=str(folder / "journal")))
    local = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump({**local, **variables}))
    first, *others = hosts
    (folder / "hosts.ini").write_text("\n".join(["[head]", first, "[workers]", *others, ""]))
    path = playbook
    if not isinstance(path, str):
        path = str(folder / "play.yml")
        Path(path).write_text(yaml.safe_dump(playbook))
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    env |= {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOG_PATH": str(folder / "log"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "results",
        "RESULTS_FILE": str(folder / "results"),
        "HOME": str(folder),
    }
    command = ["ansible-playbook", "-vvvv", "--diff", "-i", str(folder / "hosts.ini"), path]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)
    left = [path.read_text(errors="replace") for path in (folder / "home").rglob("*") if path.is_file()]
    results = [json.loads(line) for line in (folder / "results").read_text().splitlines()]
    shown = "\n".join([done.stdout, done.stderr, (folder / "log").read_text(), *left])
    return Run(done.returncode, shown, results, (folder / "journal").read_text())


def task(name: str, module: str, /, **more: Any) -> dict[str, Any]:
    return {"name": name, f"{MODULE}.{module}": more, "when": "inventory_hostname == 'a'", "ignore_errors": True}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canaries")


@pytest.fixture(scope="module")
def modules(place: Path) -> Run:
    """A run of every module that gets a secret, on three hosts."""
    (place / "old.env").write_text("SAME='canary-old-q7x2'\nGONE='canary-old-q7x2'\n")
    (place / "old.yaml").write_text('{"max-num-seqs": 3, "note": "canary-old-q7x2"}')
    release = place / "release" / "bin" / "python"
    release.parent.mkdir(parents=True)
    release.write_text(FAKE.format(python=sys.executable))
    release.chmod(0o755)
    files = [
        {"path": str(place / "old.env"), "mode": "0600", "format": "environment"},
        {"path": str(place / "old.yaml"), "mode": "0600", "format": "json"},
        {"path": str(place / "new.key"), "mode": "0400"},
    ]
    texts = [f"SAME='canary-new-q7x2'\nADDED={shlex.quote(SECRET)}\n", json.dumps({"max-num-seqs": 4, "note": SECRET})]
    hub = {"hub_token": SECRET, "hub_proxy": "http://ann:canary-proxy-q7x2@127.0.0.1:9"}
    records = {"record_directory": str(place)}
    here = {"root": str(place), **records}
    wish = {"model": "example/model", "endpoint": NOWHERE}
    planted = canaries.variables()
    sources = {name: planted[f"vllm_ray_{name}"] for name in ("index_url", "extra_index_urls", "find_links")}
    tasks = [
        task("files", "service_set", secret_files=files, secrets=[*texts, SECRET]),
        task("one text for two files", "service_set", secret_files=files[:2], secrets=[SECRET]),
        task(
            "options", "serve_config_check", release=str(place / "release"), passed_file=str(place / "passed"),
            config=json.dumps({"additional-config": {"note": SECRET, "other": "canary-other-q7x2"}}),
        ),
        task("look", "host_info", model={**wish, **here, "fetch": True}, **hub),
        task(
            "download", "model_download", state="asked", name="a", python=sys.executable, token=SECRET,
            proxy=hub["hub_proxy"], **wish, **here,
        ),
        task(
            "resolve", "release_resolve", root=str(place), requirements="a==1", base="", excludes="", preferred="",
            header="", lock="cpu", uv_lock="", python="/nowhere/python", **sources,
        ),
        task("network", "network_check", hosts=[{"name": "a", "address": "127.0.0.1"}], name="a", token=SECRET),
        task("tree", "tree_sync", path=str(release.parent), state="described", token=SECRET, **records),
        {
            "name": "transfer", f"{MODULE}.transfer_plan": {
                "source": {"controller": False, "where": "a", "to_copy": [], "to_remove": []}, "compared": "nothing",
            },
            "run_once": True, "register": "transfer",
        },
        {
            "name": "token", f"{MODULE}.service_set": {
                "secret_files": [{"path": f"{place}/token-{{{{ inventory_hostname }}}}", "mode": "0600"}],
                "secrets": [f"{{{{ lookup('{MODULE}.run_token', transfer.run) }}}}"],
            },
        },
    ]  # fmt: skip
    folder = place / "run"
    folder.mkdir()
    return play(folder, [{"hosts": "all", "gather_facts": False, "tasks": tasks}], {}, "a", "b", "c")


def test_no_module_tells_a_secret(modules: Run) -> None:
    assert modules.status == 0
    assert modules.canaries() == {}
    # All of them were seen, by each way.
    ran = ["service_set", "serve_config_check", "host_info", "model_download", "release_resolve", "network_check"]
    for module in [*ran, "tree_sync"]:
        assert f"plugins/modules/{module}.py" in modules.shown
    assert modules.journal.count("Invoked with") >= 9
    assert "secrets=NOT_LOGGING_PARAMETER" in modules.journal


def test_diffs_have_names(modules: Run, place: Path) -> None:
    listed = modules.result("files")["diff"]
    diffs = {Path(diff["after_header"]).name: (diff["before"], diff["after"]) for diff in listed}
    assert diffs["old.env"] == (
        "GONE\nSAME: present value, not shown\n",
        "ADDED\nSAME: expected value, not shown\n",
    )
    assert diffs["old.yaml"] == (
        "max-num-seqs: 3\nnote: present value, not shown\n",
        "max-num-seqs: 4\nnote: expected value, not shown\n",
    )
    for line in ("-GONE", "+ADDED", "-max-num-seqs: 3", "+max-num-seqs: 4"):
        assert f"\n{line}\n" in modules.shown.replace("\r", "")
    assert (place / "new.key").read_text() == SECRET


def test_errors_name_what_failed(modules: Run) -> None:
    failed = ("options", "resolve", "download", "look", "one text for two files")
    said = {name: str(modules.result(name).get("msg") or modules.result(name)["model"]) for name in failed}
    assert "argument --additional-config: Value" in said["options"]
    assert "/nowhere/python" in said["resolve"]
    for name in ("download", "look"):
        assert "example/model" in said[name]
        assert "the token or key has a space, a line break" in said[name]
    assert "secret_files has 2 entries and secrets 1" in said["one text for two files"]


def test_hosts_of_a_run_share_a_token_that_no_result_has(modules: Run, place: Path) -> None:
    tokens = {(place / f"token-{host}").read_text() for host in "abc"}
    (token,) = tokens
    assert len(token) == 32
    assert token not in modules.shown + json.dumps(modules.results) + modules.journal
    assert modules.result("transfer")["run"] in modules.shown


def test_checks_and_a_plan_of_variables_with_secrets(tmp_path: Path) -> None:
    """Every variable that may hold one has a canary."""
    report = tmp_path / "report"
    variables = {
        **canaries.variables(),
        "vllm_ray_scope": "user",
        "vllm_ray_model": str(ROOT / "demo-model" / "model"),
        "vllm_ray_api_port": 18000,
        "vllm_ray_plan_file": str(tmp_path / "plan.json"),
        "vllm_ray_report": str(report),
        # A place whose path is short enough for Ray's sockets. Nothing is made there.
        "vllm_ray_state_root": "/nowhere",
    }
    run = play(tmp_path, "playbooks/preflight.yml", variables, "localhost")
    # What is wrong with this machine does not matter here.
    assert run.canaries() == {}
    assert run.result("Plan, to know the expected state")["plan"]["engine"]["tp"] == 1
    for path in (tmp_path / "plan.json", report / "preflight.json", report / "preflight.xml"):
        assert canaries.PATTERN.findall(path.read_bytes()) == []
