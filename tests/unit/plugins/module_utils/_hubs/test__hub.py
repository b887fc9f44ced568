# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vllm_ray.cluster.plugins.module_utils._core._http_io import may_have_secret
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs import _hub
from ansible_collections.vllm_ray.cluster.plugins.module_utils._hubs._hub import File, Pin, Way, Wish
from ansible_collections.vllm_ray.cluster.plugins.module_utils._trees._manifest import sentence

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WISH = Wish("huggingface", "Qwen/Qwen3-32B")
MODELSCOPE = Wish("modelscope", "Qwen/Qwen3-32B")
MIRROR = Wish("mirror", "https://mirror.example/models/Qwen3%2032B/")


@pytest.mark.parametrize(
    ("wish", "pin", "commit"),
    [
        pytest.param(WISH, None, "", id="a branch for the first time"),
        pytest.param(WISH, Pin("abc", "/m"), "abc", id="a branch that is pinned"),
        pytest.param(replace(WISH, revision=COMMIT), None, COMMIT, id="a commit"),
        pytest.param(replace(WISH, revision="v1"), None, "", id="a tag"),
        pytest.param(MODELSCOPE, None, "", id="ModelScope"),
        pytest.param(MIRROR, Pin("abc", "/m"), "abc", id="a mirror"),
    ],
)
def test_known_commit(wish: Wish, pin: Pin | None, commit: str) -> None:
    assert _hub.known_commit(wish, pin) == commit


def test_a_pin_survives_writing_and_reading() -> None:
    pin = Pin(COMMIT, "/m/größe")
    assert _hub.parse_pin(_hub.render_pin(pin)) == pin


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"commit": "a"}'])
def test_no_pin(text: str) -> None:
    assert _hub.parse_pin(text) is None


def test_each_wish_and_path_has_its_own_pin() -> None:
    wishes = [
        WISH,
        MODELSCOPE,
        replace(WISH, revision="v1"),
        replace(WISH, endpoint="https://mirror.example"),
        replace(WISH, model="Qwen/Qwen3-8B"),
    ]
    names = {_hub.pin_name(wish, path) for wish in wishes for path in ("", "/m")}
    assert len(names) == 10
    assert _hub.pin_name(replace(WISH, revision="main"), "") == _hub.pin_name(WISH, "")


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
    assert _hub.file_url(wish, "config.json") == url


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
    assert _hub.listing_url(wish) == url


def test_a_file_of_a_mirror_may_have_any_name() -> None:
    assert _hub.file_url(MIRROR, "a b/größe#1?.json").endswith("/a%20b/gr%C3%B6%C3%9Fe%231%3F.json")


def test_a_revision_of_hugging_face(fixtures: Path) -> None:
    listing = _hub.parse_listing(WISH, (fixtures / "hub" / "huggingface_revision.json").read_text())
    assert listing.commit == "8b3861f6931c4026b0cd22b38dbc09e7668983ac"
    assert listing.bytes == 1175 + 304 + 66 + 70 + 70 + 22 + 31
    assert File("build_pickles.py", 304, "", "be98037f7c542112c15a1d2fc7e2a2427e42cb50") in listing.files
    sha256 = "f9343d7d7ec5c3d8bcced056c438fc9f1d3819e9ca3d42418a40857050e10e20"
    assert File("pytorch_model.bin", 22, sha256) in listing.files
    assert len(_hub.wanted(WISH, listing.files, [])) == 6


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
        _hub.parse_listing(WISH, json.dumps({**answer, **change}))


@pytest.mark.parametrize("text", ["", "[]", "<html>"])
def test_an_answer_of_somebody_else(text: str) -> None:
    with pytest.raises(ValueError):
        _hub.parse_listing(WISH, text)


def test_a_revision_of_modelscope(fixtures: Path) -> None:
    listing = _hub.parse_listing(MODELSCOPE, (fixtures / "hub" / "modelscope_files.json").read_text())
    sha256 = "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db"
    assert _hub.wanted(MODELSCOPE, listing.files, []) == [File("qwen2.5-0.5b-instruct-q4_k_m.gguf", 491400032, sha256)]
    # Nothing tells its commit.
    assert listing.commit == "master"


def test_directories_of_modelscope_are_no_files_and_capitals_no_other_hash(fixtures: Path) -> None:
    listing = _hub.parse_listing(MODELSCOPE, (fixtures / "hub" / "modelscope_files_committer.json").read_text())
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
    assert _hub.parse_listing(MODELSCOPE, modelscope(CONFIG, README)).commit == README["Revision"]
    assert _hub.parse_listing(MODELSCOPE, modelscope(CONFIG)).commit == "master"


def test_modelscope_answers_well_where_there_is_no_such_revision() -> None:
    with pytest.raises(LookupError):
        _hub.parse_listing(MODELSCOPE, json.dumps({"Success": True, "Data": {"Files": None}}))


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
        _hub.parse_listing(MODELSCOPE, text)


def test_the_sums_of_a_mirror() -> None:
    ones, twos = "1" * 64, "2" * 64
    # sha256sum (GNU coreutils 9.1) on names of all kinds, in text and binary mode, and by find.
    text = f"{ones}  config.json\n{twos} *a b/c\n\\{ones}  back\\\\slash\\nline\n{twos}  ./x\r\n{ones}  SHA256SUMS\n"
    listing = _hub.parse_listing(MIRROR, text)
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
        _hub.parse_listing(MIRROR, text)


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
    assert [file.path for file in _hub.wanted(wish, [File(name, 1) for name in names], exclude)] == left


def test_hashes_are_those_of_git_and_of_the_content() -> None:
    # git hash-object of a file with "hello\n" (git 2.39).
    for file in (
        File("a", 6, "", "ce013625030ba8dba906f756967f9e9ca394464a"),
        File("a", 6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
    ):
        total, wanted = _hub.hasher(file)
        total.update(b"hello\n")
        assert total.hexdigest() == wanted
    assert _hub.hasher(File("a", 6))[1] == ""


def test_each_commit_has_its_directory() -> None:
    assert _hub.directory_of(WISH, "/m", COMMIT) == f"/m/Qwen--Qwen3-32B/{COMMIT}"
    assert _hub.directory_of(MODELSCOPE, "/m", "feature/a") == "/m/Qwen--Qwen3-32B/feature--a"
    assert _hub.directory_of(MIRROR, "/m", COMMIT) == f"/m/models--Qwen3 32B/{COMMIT}"


@pytest.mark.parametrize(
    ("wish", "commit"),
    [
        pytest.param(Wish("mirror", "https://a.example/%2e%2e"), COMMIT, id="a mirror's escaped way up"),
        pytest.param(Wish("mirror", "https://a.example/"), COMMIT, id="a mirror without a name"),
        pytest.param(Wish("mirror", "https://a.example/.vllm-ray-sync"), COMMIT, id="a name of our own"),
        pytest.param(Wish("mirror", "https://a.example/a%0ab"), COMMIT, id="a line break"),
        pytest.param(Wish("mirror", "https://a.example/" + "x" * 201), COMMIT, id="too long"),
        pytest.param(MODELSCOPE, "..", id="a revision that leads up"),
        pytest.param(MODELSCOPE, "", id="no commit"),
        pytest.param(replace(MODELSCOPE, model=".."), COMMIT, id="an id that leads up"),
    ],
)
def test_no_directory_is_outside_of_the_root(wish: Wish, commit: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a directory"):
        _hub.directory_of(wish, "/m", commit)


def test_the_token_is_in_the_environment_alone() -> None:
    command = _hub.argv(WISH, "/r/bin/python", COMMIT, "/m/.part", ["original/*", "*.pth"])
    assert command == [
        *("/r/bin/python", "-c", _hub.RUN_CLIENT, "huggingface_hub.cli.hf", "download", "Qwen/Qwen3-32B"),
        *("--revision", COMMIT, "--local-dir", "/m/.part", "--max-workers", "4"),
        *("--exclude", "original/*", "--exclude", "*.pth"),
    ]
    environment = _hub.environment(WISH, Way("hf_x"), "/m/.part/.home")
    assert environment["HF_TOKEN"] == "hf_x"
    assert environment["HF_HOME"] == "/m/.part/.home/hf_home"
    assert environment["HF_ENDPOINT"] == "https://huggingface.co"


def test_without_a_token_none_of_the_host_is_used() -> None:
    assert _hub.environment(WISH, Way(), "/h")["HF_TOKEN"] == ""
    assert _hub.environment(WISH, Way(), "/h")["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
    assert _hub.environment(MODELSCOPE, Way(), "/h")["MODELSCOPE_API_TOKEN"] == ""


def test_the_client_takes_the_way_that_is_given() -> None:
    environment = _hub.environment(WISH, Way("", "http://proxy:3128", "/etc/own.pem"), "/h")
    assert {name: environment[name] for name in ("https_proxy", "HTTPS_PROXY")} == {
        "https_proxy": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    assert (environment["SSL_CERT_FILE"], environment["REQUESTS_CA_BUNDLE"]) == ("/etc/own.pem", "/etc/own.pem")
    # Otherwise it has what the host is configured with.
    assert not {"https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"} & _hub.environment(WISH, Way(), "/h").keys()


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
        pytest.param(Wish("mirror", "ftp://a.example/b"), ["is not the URL of a model"], id="no mirror"),
        pytest.param(Wish("mirror", "https://a.example/"), ["is not the URL of a model"], id="a mirror of nothing"),
        pytest.param(Wish("mirror", "https://a.example/b/../c"), ["is not the URL of a model"], id="a mirror's way up"),
        pytest.param(Wish("mirror", "https://a.example/%2e%2e"), ["is not the URL of a model"], id="an escaped way up"),
        pytest.param(
            Wish("mirror", "https://a.example/b/%2e%2e/c"), ["is not the URL of a model"], id="escaped, inside"
        ),
        pytest.param(Wish("mirror", "https://a.example/a%00b"), ["is not the URL of a model"], id="an escaped NUL"),
        pytest.param(replace(WISH, revision=".."), [".. is not a revision"], id="a revision that leads up"),
        pytest.param(replace(MODELSCOPE, revision="a/../b"), ["a/../b is not a revision"], id="a way up in a revision"),
        pytest.param(replace(WISH, revision=".git"), [".git is not a revision"], id="a hidden revision"),
        pytest.param(replace(WISH, revision="refs/pr/1"), [], id="a pull request"),
        pytest.param(replace(MIRROR, revision="v1"), ["revision v1 of a mirror"], id="a revision of a mirror"),
    ],
)
def test_wishes(wish: Wish, words: list[str]) -> None:
    problems = _hub.wish_problems(wish)
    assert len(problems) == len(words)
    assert all(word in sentence(problem) for word, problem in zip(words, problems))


def test_a_password_is_not_said() -> None:
    (problem,) = _hub.wish_problems(Wish("mirror", "https://me:secret@a.example/b"))
    assert "secret" not in sentence(problem)


@pytest.mark.parametrize(
    ("wish", "status", "has_token", "words"),
    [
        pytest.param(WISH, 401, False, "HTTP 401) without a token", id="gated"),
        pytest.param(WISH, 403, True, "HTTP 403) with the given token", id="the wrong token"),
        pytest.param(WISH, 403, True, "terms on https://huggingface.co/Qwen/Qwen3-32B, wait", id="its page"),
        pytest.param(MODELSCOPE, 403, True, "on https://modelscope.cn/models/Qwen/Qwen3-32B,", id="another page"),
        pytest.param(WISH, 404, False, "has no Qwen/Qwen3-32B at main", id="unknown"),
        pytest.param(WISH, 0, False, "no usable answer about Qwen/Qwen3-32B at main: timed out", id="unreachable"),
        pytest.param(MIRROR, 404, False, "Qwen3%2032B has no SHA256SUMS", id="no mirror"),
        pytest.param(MIRROR, 403, False, "reading the mirror without a password", id="a mirror with a password"),
    ],
)
def test_refusals(wish: Wish, status: int, has_token: bool, words: str) -> None:
    assert words in sentence(_hub.refusal(wish, status, "timed out", has_token))


@pytest.mark.parametrize(
    ("wish", "name", "words"),
    [
        (WISH, "hf_gated", "refuses Qwen/Qwen3-32B at main (HTTP 401) without a token"),
        (WISH, "hf_private", "has no Qwen/Qwen3-32B at main"),
        (WISH, "hf_revision", "has no Qwen/Qwen3-32B at main"),
        (WISH, "hf_forbidden", "refuses Qwen/Qwen3-32B at main"),
        (WISH, "hf_server_error", "Server error '503 Service Unavailable' for url 'http://cdn.example/lfs/"),
        (MODELSCOPE, "ms_gated", "refuses Qwen/Qwen3-32B at master (HTTP 401) without a token"),
        (MODELSCOPE, "ms_private", "has no Qwen/Qwen3-32B at master"),
        (MODELSCOPE, "ms_revision", "No files to download for a/ok@nope"),
        (MODELSCOPE, "ms_server_error", "model.safetensors: [E1002] [503] Internal Error"),
        (MODELSCOPE, "ms_wrong", "model.safetensors: [E2020] Hash mismatch for model.safetensors"),
    ],
)
def test_what_clients_say(fixtures: Path, wish: Wish, name: str, words: str) -> None:
    output = (fixtures / "hub" / f"{name}.log").read_text()
    text = sentence(_hub.client_problem(wish, "/p", output, Way()))
    assert words in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param(
            "ImportError: Error while finding module specification for 'huggingface_hub.cli.hf' (ModuleNotFoundError: "
            "No module named 'huggingface_hub')\n",
            "/p has no huggingface_hub",
            id="no client",
        ),
        pytest.param("No module named 'httpx2'\n", "failed: No module named 'httpx2'", id="half a client"),
        pytest.param(
            "a\n\nb\nc http://me:pw@proxy\nbad hf_x\n",
            "failed: b / c *** / bad ***.",
            id="the last lines, without secrets",
        ),
        pytest.param("", "it said nothing", id="silence"),
    ],
)
def test_clients_that_fail(output: str, words: str) -> None:
    text = sentence(_hub.client_problem(WISH, "/p", output, Way("hf_x", "http://me:pw@proxy")))
    assert words in text
    assert "hf_x" not in text
    assert "pw" not in text


def test_wrong_bytes_are_named() -> None:
    text = sentence(_hub.wrong_problem(WISH, ["d", "c", "b", "a"]))
    assert "a, b, c and 1 more of Qwen/Qwen3-32B" in text


def test_a_mirror_that_changed() -> None:
    assert f"is now {'1' * 12}. Expected: that of {'2' * 12}." in sentence(
        _hub.moved_problem(MIRROR, "1" * 40, "2" * 40)
    )


def test_what_a_name_means() -> None:
    assert _hub.hub_of("Qwen/Qwen3-32B") == "huggingface"
    assert _hub.hub_of("https://mirror.example/m") == "mirror"


def test_a_directory_with_another_commit() -> None:
    assert "/m holds commit abc. Expected: commit def." in sentence(_hub.held_problem("/m", Pin("abc", "/m"), "def"))
    assert "/m holds files of an unknown commit." in sentence(_hub.held_problem("/m", None, "def"))


@pytest.mark.parametrize(
    ("endpoint", "token", "refused"),
    [
        ("", "hf_secret", False),
        ("https://hub.example", "hf_secret", False),
        ("http://hub.example", "", False),
        ("http://127.0.0.1:8080", "hf_secret", False),
        ("http://[::1]:8080", "hf_secret", False),
        ("http://hub.example", "hf_secret", True),
        ("http://127.0.0.1.example", "hf_secret", True),
        ("HTTP://hub.example", "hf_secret", True),
        ("ftp://hub.example", "hf_secret", True),
    ],
)
def test_a_token_is_sent_by_https_alone(endpoint: str, token: str, refused: bool) -> None:
    wish = _hub.Wish("huggingface", "acme/tiny", endpoint=endpoint)
    problems = _hub.way_problems(wish, _hub.Way(token), may_have_secret)
    assert bool(problems) is refused
    assert all("vllm_ray_hf_endpoint" in one["fix"] and "hf_secret" not in str(one) for one in problems)
