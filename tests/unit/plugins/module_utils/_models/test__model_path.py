# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._models import _model_path
from ansible_collections.vllm_ray.cluster.plugins.module_utils._models._model_path import Mount, Reader, Step
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import sentence

DIRECTORY, FILE = stat.S_IFDIR, stat.S_IFREG
SERVICE = Reader("vllm-ray", 990, frozenset([990, 44]))
NOBODY_YET = Reader("vllm-ray")


@pytest.mark.parametrize(
    ("name", "path", "mount"),
    [
        pytest.param("debian12", "/var/lib/m", Mount("/", "overlay", "lab-h1", False), id="the root"),
        pytest.param("debian12", "/dev/shm/m", Mount("/dev/shm", "tmpfs", "tmpfs", False), id="a tmpfs"),
        pytest.param("debian12", "/dev/shmoo", Mount("/", "overlay", "lab-h1", False), id="a longer name"),
        pytest.param("debian12", "/srv/a b/x", Mount("/srv/a b", "tmpfs", "upper", False), id="the upper of two"),
        pytest.param(
            "debian12_sshfs",
            "/srv/models a",
            Mount("/srv/models a", "fuse.sshfs", "deploy@192.0.2.11:/srv", True),
            id="a shared one by FUSE",
        ),
        pytest.param("debian12_sshfs", "/srv", Mount("/", "ext4", "/dev/vda", False), id="above it"),
    ],
)
def test_mount_of(fixtures: Path, name: str, path: str, mount: Mount) -> None:
    assert _model_path.mount_of((fixtures / "mountinfo" / name).read_text(), path) == mount


def test_no_mountinfo_is_no_shared_file_system() -> None:
    assert _model_path.mount_of("rubbish\n1 2 - \n", "/m") == Mount("/", "", "", False)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "ceph", "fuse.ceph-fuse", "fuse.glusterfs", "beegfs", "9p"])
def test_shared_types(kind: str) -> None:
    assert _model_path.is_shared(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "zfs", "btrfs", "tmpfs", "overlay", "fuseblk", "fuse.ntfs", ""])
def test_types_of_one_host(kind: str) -> None:
    assert not _model_path.is_shared(kind)


def steps(home: int = 0o755, model: int = 0o755, file: int = 0o644, gid: int = 0) -> list[Step]:
    return [
        Step("/", DIRECTORY | 0o755, 0, 0),
        Step("/home/ann", DIRECTORY | home, 1000, gid),
        Step("/home/ann/m", DIRECTORY | model, 1000, gid),
        Step("/home/ann/m/config.json", FILE | file, 1000, gid),
    ]


@pytest.mark.parametrize(
    ("way", "reader", "closed"),
    [
        pytest.param(steps(), SERVICE, None, id="open"),
        pytest.param(steps(home=0o711), SERVICE, None, id="a parent that can only be entered"),
        pytest.param(steps(home=0o700), SERVICE, "/home/ann", id="a closed home"),
        pytest.param(steps(home=0o700, model=0o700), SERVICE, "/home/ann", id="the first of two"),
        pytest.param(steps(model=0o711), SERVICE, "/home/ann/m", id="a model that can't be listed"),
        pytest.param(steps(file=0o600), SERVICE, "/home/ann/m/config.json", id="a closed file"),
        pytest.param(steps(home=0o750, gid=44), SERVICE, None, id="open to its group"),
        pytest.param(steps(home=0o705, gid=44), SERVICE, "/home/ann", id="closed to its group alone"),
        pytest.param(steps(home=0o750, gid=44), NOBODY_YET, "/home/ann", id="an account to come has no groups"),
        pytest.param(steps(), NOBODY_YET, None, id="open to an account to come"),
        pytest.param(steps(home=0o700), Reader("ann", 1000), None, id="the owner"),
        pytest.param(steps(home=0o000), Reader("root", 0), None, id="root"),
        pytest.param(
            [step._replace(acl=True) for step in steps(home=0o700)], SERVICE, None, id="an access list decides"
        ),
    ],
)
def test_first_closed(way: list[Step], reader: Reader, closed: str | None) -> None:
    step = _model_path.first_closed(way, reader, "/home/ann/m")
    assert (step.path if step else None) == closed


@pytest.mark.parametrize(
    ("step", "words"),
    [
        pytest.param(
            Step("/home/ann", DIRECTORY | 0o750, 1000, 1000),
            "the directory /home/ann (mode 0750, ann:team) keeps vllm-ray from reading /home/ann/m. "
            "Expected: x for vllm-ray. To fix: chmod o+x '/home/ann'; or setfacl -m u:vllm-ray:x '/home/ann'; "
            "or usermod -aG team vllm-ray; or set model_path to a directory that everybody may enter; the "
            "model is then copied to it.",
            id="a home",
        ),
        pytest.param(
            Step("/home/ann/m/w", FILE | 0o600, 1000, 1000),
            "the file /home/ann/m/w (mode 0600, ann:team) keeps vllm-ray from reading /home/ann/m. "
            "Expected: r for vllm-ray. To fix: chmod o+r '/home/ann/m/w'; or setfacl -m u:vllm-ray:r '/home/ann/m/w'; "
            "or set model_path to a directory that everybody may enter; the model is then copied to it.",
            id="a file",
        ),
    ],
)
def test_the_error_of_a_closed_step(step: Step, words: str) -> None:
    assert sentence(_model_path.closed_problem(step, SERVICE, "ann", "team", "/home/ann/m")) == words
