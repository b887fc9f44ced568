# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's decisions: names, addresses, commands and files, without a host. `lab selftest` has the hosts."""

from __future__ import annotations

import configparser
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vllm_ray.cluster.tests.lab import base, cgroups, cli, hosts, inventory, network, storage
from ansible_collections.vllm_ray.cluster.tests.lab.settings import LabError, Settings, keep, names, number, read

CHECKOUT = Path("/home/me/checkout")
V1 = """9:name=systemd:/
4:memory:/jobs/one
3:cpuset:/
2:cpu,cpuacct:/
0::/
"""
V2 = "0::/user.slice/me.scope\n"


def lab(**environment: str) -> Settings:
    return read({f"LAB_{name}": value for name, value in environment.items()}, CHECKOUT, "recipe")


class TestSettings:
    def test_labs_of_one_or_two_checkouts_share_nothing(self) -> None:
        labs = [lab(), lab(NAME="other"), read({}, Path("/home/me/second"), "recipe"), lab(DIR="/srv/lab")]
        for name in ("directory", "tag", "network", "network6", "bridge", "table"):
            assert len({getattr(one, name) for one in labs}) == len(labs), name
        assert len({one.base for one in labs}) == 1

    def test_settings_are_the_same_every_time(self) -> None:
        assert lab() == lab(NAME="", TAG="  ")

    def test_addresses_and_links(self) -> None:
        made = lab(TAG="abcdefgh", NET="10.231.0", NET6="fd42:1ab:")
        assert made.address("h1") == "10.231.0.11"
        assert made.address6("h200") == "fd42:1ab::d2"
        assert made.controller6 == "fd42:1ab::1"
        assert len(made.cable("h200")) <= 15
        assert len(made.bridge) <= 15

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("NAME", "A lab"),
            ("DIR", "here"),
            ("TAG", "too-long-tag"),
            ("NET", "10.1.2.0"),
            ("NET", "10.1.300"),
            ("NET6", "fd42::"),
            ("MTU", "600"),
            ("MTU", "jumbo"),
            ("CGROUP", "v3"),
            ("BIND", "/only/source"),
            ("BIND_RO", "relative:/there"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(LabError, match=f"LAB_{name}"):
            lab(**{name: value})

    @pytest.mark.parametrize("name", ["h0", "h01", "h201", "g1", "h1x", "", "../h1"])
    def test_no_host(self, name: str) -> None:
        with pytest.raises(LabError, match="no host of a lab"):
            number(name)

    @pytest.mark.parametrize("count", [0, -1, 201])
    def test_too_few_or_many(self, count: int) -> None:
        with pytest.raises(LabError, match="1 to 200"):
            names(count)

    def test_a_lab_goes_on_as_it_was_made(self) -> None:
        made = lab(NET="10.9.8", MTU="9000", BASE="/srv/base")
        recorded = json.dumps(made.fixed())
        assert keep(lab(), recorded, {}).fixed() == made.fixed()
        assert keep(lab(NET="10.9.8"), recorded, {"LAB_NET": "10.9.8"}).fixed() == made.fixed()

    def test_a_lab_cannot_be_changed_while_it_is_up(self) -> None:
        recorded = json.dumps(lab().fixed())
        with pytest.raises(LabError, match=r"LAB_MTU=9000.* made with 1500.*lab down"):
            keep(lab(MTU="9000"), recorded, {"LAB_MTU": "9000"})


class TestCgroups:
    def test_v1_controllers_beside_a_unified_hierarchy(self) -> None:
        mounted = {f"/sys/fs/cgroup/{name}" for name in ("systemd", "memory", "cpuset", "unified")}
        mounted.add("/sys/fs/cgroup/unified/cgroup.procs")
        assert cgroups.places(V1, "lab-x-h1", lambda path: str(path) in mounted) == {
            "systemd": Path("/sys/fs/cgroup/systemd/lab-x-h1"),
            "memory": Path("/sys/fs/cgroup/memory/jobs/one/lab-x-h1"),
            "cpuset": Path("/sys/fs/cgroup/cpuset/lab-x-h1"),
            "unified": Path("/sys/fs/cgroup/unified/lab-x-h1"),
        }

    def test_v2_only(self) -> None:
        mounted = {"/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs"}
        found = cgroups.places(V2, "lab-x-h1", lambda path: str(path) in mounted)
        assert found == {"unified": Path("/sys/fs/cgroup/lab-x-h1")}

    def test_no_v2_names_the_mend(self) -> None:
        with pytest.raises(LabError, match="mount -t cgroup2"):
            cgroups.places(V1, "lab-x-h1", lambda path: path.name in ("memory", "systemd"))

    @pytest.mark.parametrize(
        ("text", "populated", "frozen"),
        [("populated 1\nfrozen 0\n", True, False), ("populated 1\nfrozen 1\n", True, True), (None, False, False)],
        ids=["running", "frozen", "gone"],
    )
    def test_events(self, tmp_path: Path, text: str | None, populated: bool, frozen: bool) -> None:
        if text is not None:
            (tmp_path / "cgroup.events").write_text(text)
        assert cgroups.populated(tmp_path) is populated
        assert cgroups.frozen(tmp_path) is frozen

    def test_memory_of_either_version(self, tmp_path: Path) -> None:
        (tmp_path / "memory.stat").write_text("cache 1\nrss 2\ntotal_cache 30\ntotal_rss 40\n")
        assert cgroups.memory_use({"memory": tmp_path}) == (40, 30)
        (tmp_path / "memory.stat").write_text("anon 5\nfile 6\n")
        assert cgroups.memory_use({"unified": tmp_path}) == (5, 6)
        assert cgroups.memory_use({}) is None


class TestBase:
    def test_release(self) -> None:
        assert base.release('PRETTY_NAME="x"\nID=ubuntu\nVERSION_CODENAME="noble"\n') == ("ubuntu", "noble")
        assert base.release("NAME=other\n") == ("", "")

    def test_another_suite_is_another_base(self) -> None:
        assert base.recipe("bookworm") == base.recipe("bookworm") != base.recipe("trixie")

    def test_apt_keeps_how_sources_are_reached(self) -> None:
        dump = (
            'APT "";\nAPT::Install-Recommends "1";\nAcquire "";\nAcquire::http "";\n'
            'Acquire::http::Proxy "http://proxy:3128";\nAcquire::https::CAInfo "/etc/ssl/own.pem";\n'
            'Acquire::IndexTargets::deb::Packages::Optional "0";\nDPkg::Post-Invoke:: "rm -f /x";\n'
        )
        kept = base.apt_settings(dump)
        assert 'Acquire::http::Proxy "http://proxy:3128";\n' in kept
        assert 'Acquire::https::CAInfo "/etc/ssl/own.pem";\n' in kept
        assert "auth.conf.d" in kept
        for other in ("Install-Recommends", "IndexTargets", "DPkg", 'Acquire "";'):
            assert other not in kept

    def test_apt_sources_are_those_that_apt_reads(self, tmp_path: Path) -> None:
        folder = tmp_path / "sources.list.d"
        folder.mkdir()
        (tmp_path / "sources.list").write_text("\n")
        for name in ("b.sources", "a.list", "off.list.disabled", "c.list"):
            (folder / name).write_text("" if name == "c.list" else "deb x y z\n")
        assert base.apt_sources(tmp_path) == [folder / "a.list", folder / "b.sources"]

    def test_a_whole_base_is_not_built_again(self, tmp_path: Path) -> None:
        said: list[str] = []
        assert base.build(lab(BASE=str(tmp_path)), said.append) is False
        assert said == []


class TestStorage:
    def test_mounts_below_innermost_first(self) -> None:
        mounts = "\n".join(
            f"1 1 0:1 / {point} rw - overlay x rw"
            for point in ("/", "/lab", "/lab/h1", "/lab/h1/a\\040b", "/labs", "/x")
        )
        assert storage.mounts_below(mounts, Path("/lab")) == [Path("/lab/h1/a b"), Path("/lab/h1"), Path("/lab")]

    def test_write_makes_private_folders_for_private_files(self, tmp_path: Path) -> None:
        storage.write(tmp_path / "home/.ssh/keys", "k\n", mode=0o600, owner=os.getuid())
        assert (tmp_path / "home/.ssh/keys").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "home/.ssh").stat().st_mode & 0o777 == 0o700

    def test_write_replaces_a_link_instead_of_following_it(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_text("mine")
        (tmp_path / "link").symlink_to(outside)
        storage.write(tmp_path / "link", "new", owner=os.getuid())
        assert outside.read_text() == "mine"
        assert (tmp_path / "link").read_text() == "new"

    def test_overlay_keeps_folders_modes_and_replaces_files(self, tmp_path: Path) -> None:
        source, root = tmp_path / "source", tmp_path / "root"
        (source / "etc/new").mkdir(parents=True)
        (source / "etc/pip.conf").write_text("ours")
        (source / "etc/link").symlink_to("pip.conf")
        (root / "etc").mkdir(parents=True)
        (root / "etc").chmod(0o711)
        (root / "etc/pip.conf").write_text("old")
        storage.copy_over(source, root)
        storage.copy_over(source, root)
        assert (root / "etc").stat().st_mode & 0o777 == 0o711
        assert (root / "etc/link").readlink() == Path("pip.conf")
        assert (root / "etc/link").read_text() == "ours"
        assert (root / "etc/new").is_dir()

    def test_overlay_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(LabError, match="LAB_OVERLAY"):
            storage.copy_over(tmp_path / "nothing", tmp_path)

    def test_a_lock_may_be_removed_by_its_holder(self, tmp_path: Path) -> None:
        path = tmp_path / "lab/.lock"
        for _turn in range(2):
            with storage.locked(path):
                path.unlink()
                path.parent.rmdir()


class TestHosts:
    def test_boot_command(self) -> None:
        made = lab(
            DIR="/srv/my lab", TAG="t", BIND_RO="/wheels:/srv/wheels", BIND="/a:/b", NSPAWN_ARGS="--setenv='A=b c'"
        )
        words = shlex.split(hosts.boot_command(made, "h3"))
        assert words[:2] == ["exec", "systemd-nspawn"]
        assert words[-1] == "/usr/local/sbin/lab-init"
        for word in (
            *("--machine=th3", "--hostname=h3", "--network-bridge=labbrt", "--keep-unit", "--setenv=A=b c"),
            *("--directory=/srv/my lab/hosts/h3/root", "--bind-ro=/wheels:/srv/wheels", "--bind=/a:/b"),
        ):
            assert word in words

    def test_unified_is_told_by_environment(self) -> None:
        command = hosts.boot_command(lab(CGROUP="unified"), "h1")
        assert command.startswith("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn ")

    @pytest.mark.parametrize(
        ("status", "depth"),
        [("Name:\tx\nNSpid:\t7\n", (1, 7)), ("NSpid:\t700\t1\n", (2, 1)), ("NSpid:\t800\t90\t1\n", (3, 1))],
        ids=["ours", "a host's systemd", "a container's first process in a host"],
    )
    def test_namespace_depth(self, status: str, depth: tuple[int, int]) -> None:
        assert hosts.namespace_depth(status) == depth

    def test_hosts_are_known_by_number(self, tmp_path: Path) -> None:
        for name in ("h10", "h2", "h1"):
            (tmp_path / "hosts" / name).mkdir(parents=True)
        made = lab(DIR=str(tmp_path))
        assert hosts.known(made) == ["h1", "h2", "h10"]
        with pytest.raises(LabError, match="there are: h1 h2 h10"):
            hosts.need(made, "h3")

    def test_an_own_name_is_never_a_loopback_address(self) -> None:
        lines = hosts.names_file(lab(NET="10.1.2"), ["h1", "h2"])
        assert "10.1.2.11 h1" in lines
        assert not [line for line in lines if line.startswith("127.") and "h1" in line]

    def test_network_unit(self) -> None:
        unit = configparser.ConfigParser(strict=False)
        unit.read_string(network.units(lab(NET="10.1.2", MTU="9000"), "h2"))
        assert unit["Match"]["Name"] == "host0"
        assert unit["Link"]["MTUBytes"] == "9000"

    def test_rules_name_every_set(self) -> None:
        rules = network.rules("lab_t")
        for name in (network.CUT_ALL, network.CUT_PEERS, network.CUT_PAIRS):
            assert f"set {name} " in rules
            assert f"@{name} drop" in rules


class TestInventory:
    HOSTS = ("h1", "h2", "h3")

    def structure(self, *words: str) -> dict[str, Any]:
        made = lab(NET="10.1.2", NET6="fd00:1:")
        content: dict[str, Any] = inventory.structure(
            made, list(self.HOSTS), inventory.groups(list(words), list(self.HOSTS))
        )
        return content["all"]

    def test_groups_and_a_stranger(self) -> None:
        content = self.structure("head=h1", "workers=h2")
        assert content["children"] == {"head": {"hosts": {"h1": {}}}, "workers": {"hosts": {"h2": {}}}}
        assert content["hosts"]["h3"] == {"ansible_host": "10.1.2.13", "lab_ip6": "fd00:1::d"}

    def test_host_keys_are_checked_and_nobody_becomes_root(self) -> None:
        variables = self.structure()["vars"]
        assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]
        assert variables["ansible_user"] == "deploy"
        assert not [name for name in variables if "become" in name]

    def test_a_group_may_be_empty_or_given_twice(self) -> None:
        assert inventory.groups(["workers="], ["h1"]) == {"workers": []}
        assert inventory.groups(["workers=h1", "workers=h2"], ["h1", "h2"]) == {"workers": ["h1", "h2"]}

    @pytest.mark.parametrize("word", ["head", "a b=h1", "head=h9", "=h1"])
    def test_bad_groups(self, word: str) -> None:
        with pytest.raises(LabError, match=r"h9|NAME=HOST"):
            inventory.groups([word], ["h1"])

    def test_ini_says_the_same(self) -> None:
        made = lab(NET="10.1.2")
        text = inventory.ini(made, ["h1", "h2"], {"head": ["h1"], "workers": []})
        lines = text.splitlines()
        assert lines[0].startswith("h1 ansible_host=10.1.2.11 lab_ip6=")
        assert lines[lines.index("[head]") + 1] == "h1"
        assert lines[lines.index("[workers]") + 1] == ""
        assert "ansible_user=deploy" in lines[lines.index("[all:vars]") :]

    def test_script_lists_every_group_below_all(self) -> None:
        content = inventory.script_output(lab(), ["h1", "h2"], {"head": ["h1"]})
        assert content["all"]["children"] == ["head"]
        assert content["head"] == {"hosts": ["h1"]}
        assert set(content["_meta"]["hostvars"]) == {"h1", "h2"}

    def test_known_hosts(self) -> None:
        made = lab(NET="10.1.2", NET6="fd00:1:")
        assert (
            inventory.known_hosts(made, {"h1": "ssh-ed25519 AAAA h1\n"}) == "10.1.2.11,fd00:1::b,h1 ssh-ed25519 AAAA\n"
        )


class TestCommandLine:
    def test_help_names_every_command_and_setting(self) -> None:
        commands = cli.parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
        text = cli.parser().format_help()
        assert commands is not None
        for name in commands:
            assert name in text or name.startswith("_"), name
        readme = (Path(cli.__file__).parent / "README.md").read_text()
        for word in text.replace(",", " ").replace(".", " ").split():
            if word.startswith("LAB_"):
                assert f"`{word}`" in readme, word

    def test_a_command_for_a_host_keeps_its_own_options(self) -> None:
        asked = cli.parser().parse_args(["exec", "h1", "ls", "-l", "--all"])
        assert asked.words == ["ls", "-l", "--all"]
