# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_interface import Way, Wish
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub_listing import File, chosen
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import sentence

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = _hub.wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = _hub.wish("modelscope", "Qwen/Qwen3-32B")
MIRROR = _hub.wish("mirror", "https://mirror.example/models/Qwen3%2032B/")


def test_what_a_name_means() -> None:
    assert _hub.hub_of("Qwen/Qwen3-32B") == "huggingface"
    assert _hub.hub_of("https://mirror.example/m") == "mirror"
    assert _hub.hub_of("https://mirror.example/m", "controller") == "mirror"
    assert _hub.hub_of("Qwen/Qwen3-32B", "modelscope") == "modelscope"


def test_a_request_by_the_options_of_a_module() -> None:
    params = {"hub": "modelscope", "model": "a/b", "revision": "", "endpoint": "https://e.example/", "token": None}
    wish = _hub.wish_of(params)
    assert (wish.hub.name, wish.model, wish.wanted_revision, wish.url) == (
        "modelscope",
        "a/b",
        "master",
        "https://e.example",
    )


def test_a_mirror_does_not_see_the_token_of_a_hub() -> None:
    given = {"token": "hf_x", "proxy": None, "ca_certificate": "/c.pem"}
    assert _hub.way_of({**given, "hub": "huggingface"}) == Way("hf_x", "", "/c.pem")
    assert _hub.way_of({**given, "hub": "mirror"}) == Way("", "", "/c.pem")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        pytest.param(WISH, [], id="right"),
        pytest.param(replace(WISH, model="gpt2"), [], id="without an owner"),
        pytest.param(replace(WISH, model="../etc"), ["../etc is not the id of a model"], id="a way up"),
        pytest.param(replace(WISH, model="a/b/c"), ["a/b/c is not the id of a model"], id="too many parts"),
        pytest.param(replace(WISH, model="-x"), ["-x is not the id of a model"], id="an option"),
        pytest.param(replace(WISH, revision="-x"), ["-x is not a revision"], id="an option as revision"),
        pytest.param(MIRROR, [], id="a mirror"),
        pytest.param(_hub.wish("mirror", "ftp://a.example/b"), ["is not the URL of a model"], id="no mirror"),
        pytest.param(
            _hub.wish("mirror", "https://a.example/"), ["is not the URL of a model"], id="a mirror of nothing"
        ),
        pytest.param(
            _hub.wish("mirror", "https://a.example/b/../c"), ["is not the URL of a model"], id="a mirror's way up"
        ),
        pytest.param(
            _hub.wish("mirror", "https://a.example/%2e%2e"), ["is not the URL of a model"], id="an escaped way up"
        ),
        pytest.param(
            _hub.wish("mirror", "https://a.example/b/%2e%2e/c"), ["is not the URL of a model"], id="escaped, inside"
        ),
        pytest.param(
            _hub.wish("mirror", "https://a.example/a%00b"), ["is not the URL of a model"], id="an escaped NUL"
        ),
        pytest.param(replace(WISH, revision=".."), [".. is not a revision"], id="a revision that leads up"),
        pytest.param(replace(MODELSCOPE, revision="a/../b"), ["a/../b is not a revision"], id="a way up in a revision"),
        pytest.param(replace(WISH, revision=".git"), [".git is not a revision"], id="a hidden revision"),
        pytest.param(replace(WISH, revision="refs/pr/1"), [], id="a pull request"),
        pytest.param(replace(MIRROR, revision="v1"), ["model_revision is v1"], id="a revision of a mirror"),
    ],
)
def test_wishes(wish: Wish, words: list[str]) -> None:
    problems = wish.hub.problems(wish)
    assert len(problems) == len(words)
    assert all(word in sentence(problem) for word, problem in zip(words, problems))


def test_a_password_is_not_said() -> None:
    (problem,) = _hub.HUBS["mirror"].problems(_hub.wish("mirror", "https://me:secret@a.example/b"))
    assert "secret" not in sentence(problem)


@pytest.mark.parametrize(
    ("wish", "url"),
    [
        (WISH, "https://huggingface.co/Qwen/Qwen3-32B/resolve/main/config.json"),
        (
            replace(WISH, revision="refs/pr/1"),
            "https://huggingface.co/Qwen/Qwen3-32B/resolve/refs%2Fpr%2F1/config.json",
        ),
        (
            MODELSCOPE,
            "https://modelscope.cn/api/v1/models/Qwen/Qwen3-32B/repo?Revision=master&FilePath=config.json",
        ),
        (MIRROR, "https://mirror.example/models/Qwen3%2032B/config.json"),
    ],
)
def test_file_url(wish: Wish, url: str) -> None:
    assert wish.file_url("config.json") == url


@pytest.mark.parametrize(
    ("wish", "url"),
    [
        (
            replace(WISH, revision="refs/pr/1", endpoint="https://mirror.example/"),
            "https://mirror.example/api/models/Qwen/Qwen3-32B/revision/refs%2Fpr%2F1?blobs=true",
        ),
        (
            MODELSCOPE,
            "https://modelscope.cn/api/v1/models/Qwen/Qwen3-32B/repo/files?Revision=master&Recursive=True",
        ),
        (MIRROR, "https://mirror.example/models/Qwen3%2032B/SHA256SUMS"),
    ],
)
def test_where_files_are_listed(wish: Wish, url: str) -> None:
    assert wish.hub.listing_url(wish) == url


def test_a_file_of_a_mirror_may_have_any_name() -> None:
    assert MIRROR.file_url("a b/größe#1?.json").endswith("/a%20b/gr%C3%B6%C3%9Fe%231%3F.json")


def test_a_revision_of_hugging_face(fixtures: Path) -> None:
    listing = WISH.hub.parse_listing(WISH, (fixtures / "hub" / "huggingface_revision.json").read_text())
    assert listing.commit == "8b3861f6931c4026b0cd22b38dbc09e7668983ac"
    assert listing.bytes == 1175 + 304 + 66 + 70 + 70 + 22 + 31
    assert File("build_pickles.py", 304, "", "be98037f7c542112c15a1d2fc7e2a2427e42cb50") in listing.files
    sha256 = "f9343d7d7ec5c3d8bcced056c438fc9f1d3819e9ca3d42418a40857050e10e20"
    assert File("pytorch_model.bin", 22, sha256) in listing.files
    assert len(chosen(listing.files, [])) == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"sha": None}, "no commit", id="no commit"),
        pytest.param({"sha": "../../etc"}, "no commit", id="a path as commit"),
        pytest.param({"siblings": None}, "not iterable", id="no files"),
        pytest.param({"siblings": [{"rfilename": "a", "blobId": COMMIT}]}, "has no 'size'", id="without blobs=true"),
        pytest.param({"siblings": [{"rfilename": "a", "size": 1, "blobId": "x"}]}, "is not a hash", id="no hash"),
        pytest.param(
            {"siblings": [{"rfilename": "../a", "size": 1, "blobId": COMMIT}]},
            "is not a file name",
            id="a way out of it",
        ),
    ],
)
def test_an_answer_that_is_no_revision(fixtures: Path, change: dict[str, object], words: str) -> None:
    answer = json.loads((fixtures / "hub" / "huggingface_revision.json").read_text())
    with pytest.raises(ValueError, match=words):
        WISH.hub.parse_listing(WISH, json.dumps({**answer, **change}))


@pytest.mark.parametrize("text", ["", "[]", "<html>"])
def test_an_answer_of_somebody_else(text: str) -> None:
    with pytest.raises(ValueError):
        WISH.hub.parse_listing(WISH, text)


def test_a_revision_of_modelscope(fixtures: Path) -> None:
    listing = MODELSCOPE.hub.parse_listing(MODELSCOPE, (fixtures / "hub" / "modelscope_files.json").read_text())
    sha256 = "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db"
    assert chosen(listing.files, []) == [File("qwen2.5-0.5b-instruct-q4_k_m.gguf", 491400032, sha256)]
    # No answer contains its commit.
    assert listing.commit == "master"


def test_directories_of_modelscope_are_no_files_and_capitals_no_other_hash(fixtures: Path) -> None:
    listing = MODELSCOPE.hub.parse_listing(
        MODELSCOPE, (fixtures / "hub" / "modelscope_files_committer.json").read_text()
    )
    assert [file.path for file in listing.files] == ["Qwen3-8B-Q4_K_M.gguf", "config.json"]
    assert listing.files[1].sha256 == "044d62050d8fad299daf9f88cc37ed1b4e44c4b0ee7410c14699b71ab5538241"


def modelscope(*files: dict[str, object], begin: str = "932bc907") -> str:
    """Return an answer of ModelScope."""
    return json.dumps({"Success": True, "Data": {"Files": files, "LatestCommitter": {"Id": "", "ShortId": begin}}})


# Of Qwen/Qwen3-8B-Base on 2026-09-21.
README = {
    "Path": "README.md",
    "Type": "blob",
    "Size": 2938,
    "Sha256": "0eb9f991baa4f92c9ef708d1e9c7a01ae5b19d05516d38f8833549aa8b06a07e",
    "Revision": "932bc907a0f908fd665867dec24af47c2f57e719",
}
CONFIG = {
    "Path": "config.json",
    "Type": "blob",
    "Size": 729,
    "Sha256": "3bd01d7ad7a2e203ecbbe84e24087a51c6d2a108ee4bcc42d0016bf49564983a",
    "Revision": "26fb095fa44e582c29507c6ec61cba1e2ed67bf6",
}


def test_a_commit_of_modelscope_is_known_by_the_file_that_it_changed() -> None:
    assert MODELSCOPE.hub.parse_listing(MODELSCOPE, modelscope(CONFIG, README)).commit == README["Revision"]
    assert MODELSCOPE.hub.parse_listing(MODELSCOPE, modelscope(CONFIG)).commit == "master"


def test_modelscope_answers_well_where_there_is_no_such_revision() -> None:
    with pytest.raises(LookupError):
        MODELSCOPE.hub.parse_listing(MODELSCOPE, json.dumps({"Success": True, "Data": {"Files": None}}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(json.dumps({"Success": False, "Message": "being indexed"}), "being indexed", id="not now"),
        pytest.param(modelscope(*[CONFIG] * 3000), "at most 3000", id="a listing that is cut"),
        pytest.param(modelscope({**CONFIG, "Sha256": "0f"}), "is not a hash", id="no hash"),
    ],
)
def test_answers_of_modelscope_that_are_of_no_use(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MODELSCOPE.hub.parse_listing(MODELSCOPE, text)


def test_the_sums_of_a_mirror() -> None:
    ones, twos = "1" * 64, "2" * 64
    # sha256sum (GNU coreutils 9.1) on names of all kinds, in text and binary mode, and by find.
    text = f"{ones}  config.json\n{twos} *a b/c\n\\{ones}  back\\\\slash\\nline\n{twos}  ./x\r\n{ones}  SHA256SUMS\n"
    listing = MIRROR.hub.parse_listing(MIRROR, text)
    assert listing.files == (
        File("a b/c", 0, twos),
        File("back\\slash\nline", 0, ones),
        File("config.json", 0, ones),
        File("x", 0, twos),
    )
    assert listing.commit == hashlib.sha256(text.encode()).hexdigest()[:40]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("<html>\n", "line 1 is not as", id="a page"),
        pytest.param("", "line 1 is not as", id="an empty file"),
        pytest.param("1" * 64 + "  ../x\n", "is not a file name", id="a way out of it"),
        pytest.param("1" * 64 + "  /etc/passwd\n", "is not a file name", id="an absolute path"),
        pytest.param("1" * 64 + "  SHA256SUMS\n", "lists no file", id="nothing but itself"),
    ],
)
def test_what_is_no_list_of_sums(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MIRROR.hub.parse_listing(MIRROR, text)


@pytest.mark.parametrize(
    ("wish", "exclude", "left"),
    [
        pytest.param(WISH, [], ["Model.PTH", "a.pth", "original/x.json", "x.json"], id="nothing"),
        pytest.param(WISH, ["*.pth"], ["Model.PTH", "original/x.json", "x.json"], id="by its end"),
        pytest.param(WISH, ["original/"], ["Model.PTH", "a.pth", "x.json"], id="a directory"),
        pytest.param(WISH, ["*x.json"], ["Model.PTH", "a.pth"], id="through slashes"),
        pytest.param(MODELSCOPE, ["*.pth,original/*"], ["Model.PTH", "x.json"], id="with a comma"),
        pytest.param(MODELSCOPE, [r".*\.pth"], ["Model.PTH", "a.pth", "original/x.json", "x.json"], id="an expression"),
        pytest.param(MODELSCOPE, [".*.pth"], ["Model.PTH", "original/x.json", "x.json"], id="half an expression"),
    ],
)
def test_what_is_left_out_is_as_the_client_does_it(wish: Wish, exclude: list[str], left: list[str]) -> None:
    names = [".gitattributes", "Model.PTH", "a.pth", "original/.x", "original/x.json", "x.json"]
    assert [file.path for file in chosen([File(name, 1) for name in names], wish.hub.patterns(exclude))] == left
