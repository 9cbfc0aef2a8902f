"""Packages looked up on indexes and channels: servers of this machine, laid out as PyPI's and conda's are."""

import base64
import gzip
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from spyglass_export.checks import indexes
from spyglass_export.checks.indexes import PipConfiguration, look_up_requirements, look_up_specs, pip_configuration

NOBODY = "http://127.0.0.1:1/simple"  # nothing answers there


@dataclass
class Server:
    """A web server of this test: what it has, by path, and what it was asked."""

    pages: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    status_otherwise: int = 404
    delay: float = 0.0
    address: str = ""

    def project(self, name: str, *files: str) -> None:
        """Add a project's page, in the JSON of the Simple API."""
        page = {"meta": {"api-version": "1.0"}, "name": name, "files": [{"filename": file} for file in files]}
        self.pages[f"/simple/{name}/"] = json.dumps(page)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            time.sleep(state.delay)
            if target := state.redirects.get(self.path):
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()
                return
            body = state.pages.get(self.path)
            self.send_response(state.status_otherwise if body is None else 200)
            is_json = (body or "").startswith("{")
            self.send_header("Content-Type", indexes.SIMPLE_JSON if is_json else "text/html")
            if "gzip" in self.headers.get("Accept-Encoding", ""):
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(gzip.compress((body or "").encode()))

        do_HEAD = do_GET  # noqa: N815 - the name that the library calls

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    state.address = f"http://127.0.0.1:{web.server_port}"
    yield state
    web.shutdown()
    web.server_close()


def pip_at(*addresses: str, find_links: tuple[str, ...] = ()) -> PipConfiguration:
    return PipConfiguration(indexes=addresses, find_links=find_links)


def test_pinned_versions_are_looked_for_on_the_index(server: Server) -> None:
    server.project("datajoint", "datajoint-0.14.1-py3-none-any.whl", "datajoint-0.14.2.tar.gz")
    server.project("ndx-franklab-novela", "ndx_franklab_novela-0.2.0-py2.py3-none-any.whl")

    found = look_up_requirements(
        ["datajoint==0.14.2", "datajoint==0.14.9", "ndx_franklab_novela==0.2", "nosuchthing==1.0"],
        pip_at(f"{server.address}/simple"),
    )

    assert found.found == ["datajoint==0.14.2", "ndx_franklab_novela==0.2"]
    assert found.missing == {
        "datajoint==0.14.9": "the index has no datajoint 0.14.9; its newest is 0.14.2",
        "nosuchthing==1.0": "the index has no nosuchthing",
    }
    assert not found.unreachable


@pytest.mark.parametrize(
    "requirement",
    [
        "torch==2.3.1",
        "torch == 2.3.1 ; python_version < '3.13'",
        "torch===2.3.1",
        "torch[opt]==2.3.1",
        "Torch==2.3.1 --hash=sha256:0123",
        "torch==2.3.*",
        "torch==2.3.1.0",
        "torch>=1.0",
        "torch",
    ],
)
def test_ways_to_ask_for_what_is_there(server: Server, requirement: str) -> None:
    server.project("torch", "torch-2.3.1+cpu-cp39-cp39-linux_x86_64.whl")

    assert look_up_requirements([requirement], pip_at(f"{server.address}/simple")).found == [requirement]


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        ("1.0rc1", "thing-1.0c1.tar.gz"),
        ("1.0.post1", "thing-1.0-1.tar.gz"),
        ("2024.07", "thing-2024.07.zip"),
        ("0.5.4a2.dev23", "thing-0.5.4a2.dev23-py3-none-any.whl"),
        ("1.0.0", "thing-1.0-py3-none-any.whl"),
    ],
)
def test_spellings_of_one_version(server: Server, wanted: str, file: str) -> None:
    server.project("thing", file)

    assert not look_up_requirements([f"thing=={wanted}"], pip_at(f"{server.address}/simple")).missing


def test_versions_that_only_begin_alike_are_not_taken_for_each_other(server: Server) -> None:
    server.project("thing", "thing-1.10.tar.gz", "thing-10.0.tar.gz", "thing-extra-1.1.tar.gz", "thing-1.0a1.tar.gz")

    found = look_up_requirements(["thing==1.1", "thing==1", "thing==1.*"], pip_at(f"{server.address}/simple"))

    assert [*found.missing] == ["thing==1.1", "thing==1"]


def test_an_index_in_html(server: Server) -> None:
    server.pages["/simple/torch/"] = (
        '<!DOCTYPE html><a class="x" href="../../whl/torch-2.3.1%2Bcpu-cp39-cp39-linux_x86_64.whl#sha256=0">torch</a>'
    )

    assert look_up_requirements(["torch==2.3.1+cpu"], pip_at(f"{server.address}/simple")).found


def test_lines_of_the_environment_say_where_to_look_too(server: Server) -> None:
    server.pages["/cpu/torch/"] = '<a href="torch-2.3.1+cpu-cp39-cp39-linux_x86_64.whl">x</a>'
    server.project("numpy", "numpy-1.26.4.tar.gz")

    found = look_up_requirements(
        [f"--extra-index-url {server.address}/cpu", "torch==2.3.1", "numpy==1.26.4"], pip_at(f"{server.address}/simple")
    )

    assert found.found == ["torch==2.3.1", "numpy==1.26.4"]
    assert not found.missing


def test_what_comes_from_an_address_is_not_looked_up(server: Server) -> None:
    lines = ["spyglass-neuro @ git+https://github.com/LorenFrankLab/spyglass@89e3be86", "git+https://example.org/x.git"]

    found = look_up_requirements(lines, pip_at(f"{server.address}/simple"))

    assert found.not_looked_up == lines
    assert server.asked == []


def test_an_index_that_does_not_answer_fails_no_package() -> None:
    found = look_up_requirements(["numpy==1.26.4", "scipy==1.12.0"], pip_at(NOBODY))

    assert not found.missing
    assert found.not_looked_up == ["numpy==1.26.4", "scipy==1.12.0"]
    assert found.unreachable == {"127.0.0.1"}


def test_what_one_index_lacks_may_be_on_the_other_that_does_not_answer(server: Server) -> None:
    server.project("numpy", "numpy-1.26.4.tar.gz")

    found = look_up_requirements(["numpy==1.26.4", "ours==1.0"], pip_at(f"{server.address}/simple", NOBODY))

    assert (found.found, found.missing, found.not_looked_up) == (["numpy==1.26.4"], {}, ["ours==1.0"])


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_an_index_that_answers_but_not_to_us_fails_no_package(server: Server, status: int) -> None:
    server.status_otherwise = status

    found = look_up_requirements(["numpy==1.26.4"], pip_at(f"{server.address}/simple"))

    assert not found.missing
    assert found.unreachable == {f"127.0.0.1 ({status})"}


def test_a_page_that_is_no_index_fails_no_package(server: Server) -> None:
    server.pages["/simple/numpy/"] = "{ not JSON"

    assert look_up_requirements(["numpy==1.26.4"], pip_at(f"{server.address}/simple")).unreachable == {"127.0.0.1"}


def test_credentials_of_an_index_are_sent_and_not_shown(server: Server) -> None:
    address = server.address.replace("://", "://ada:s%40crt@")

    found = look_up_requirements(["numpy==1.26.4"], pip_at(f"{address}/simple"))

    assert server.asked[0][2] == "Basic " + base64.b64encode(b"ada:s@crt").decode()
    assert "s%40crt" not in str(found)


def test_credentials_are_not_sent_to_where_an_index_redirects(server: Server) -> None:
    server.project("elsewhere", "elsewhere-1.0.tar.gz")
    server.redirects = {"/simple/numpy/": f"{server.address}/simple/elsewhere/"}
    address = server.address.replace("://", "://ada:secret@")

    look_up_requirements(["numpy==1.26.4"], pip_at(f"{address}/simple"))

    assert [bool(credentials) for *_, credentials in server.asked] == [True, False]


def test_folders_of_wheels_and_indexes_on_this_disk(tmp_path: Path, server: Server) -> None:
    (tmp_path / "simple" / "ours").mkdir(parents=True)
    (tmp_path / "simple" / "ours" / "index.html").write_text('<a href="../ours-1.0.tar.gz">ours-1.0.tar.gz</a>')
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "mine-2.0-py3-none-any.whl").touch()

    pip = pip_at(f"{server.address}/simple", (tmp_path / "simple").as_uri(), find_links=(str(tmp_path / "wheels"),))
    found = look_up_requirements(["ours==1.0", "mine==2.0", "mine==3.0"], pip)

    assert found.found == ["ours==1.0", "mine==2.0"]
    assert [*found.missing] == ["mine==3.0"]


def test_pip_says_where_it_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://mirror.test/simple\ncert = /etc/ours.pem\n[install]\nfind-links = /wheels\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    for name in ("PIP_INDEX_URL", "PIP_CERT", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.test/simple https://b.test/simple")

    pip = pip_configuration()

    assert pip.indexes == ("https://mirror.test/simple", "https://a.test/simple", "https://b.test/simple")
    assert pip.find_links == ("/wheels",)
    assert pip.ca_bundle == "/etc/ours.pem"


def test_full_specs_are_looked_for_as_files_of_the_channels(server: Server) -> None:
    server.pages = {
        "/forge/linux-64/numpy-1.26.4-py39h474f0d3_0.conda": "x",
        "/forge/noarch/pip-24.2-pyhd8ed1ab_0.conda": "x",
        "/lab/linux-64/old-1.0-0.tar.bz2": "x",
    }
    channels = [f"{server.address}/forge", f"{server.address}/lab/"]
    there = ["numpy=1.26.4=py39h474f0d3_0", "pip=24.2=pyhd8ed1ab_0", "old=1.0=0"]

    found = look_up_specs([*there, "numpy=1.26.4=py39hffffff_0"], channels)

    assert found.found == there
    assert found.missing == {
        "numpy=1.26.4=py39hffffff_0": "no channel has numpy 1.26.4 in build py39hffffff_0",
    }
    assert {method for method, *_ in server.asked} == {"HEAD"}


def test_a_channel_may_keep_its_files_elsewhere(server: Server) -> None:
    server.redirects = {"/forge/linux-64/numpy-1.26.4-py39h474f0d3_0.conda": "/store/1234"}
    server.pages = {"/store/1234": "x" * 10**6}

    assert look_up_specs(["numpy=1.26.4=py39h474f0d3_0"], [f"{server.address}/forge"]).found


def test_specs_that_leave_something_to_the_solver_are_not_looked_up(server: Server) -> None:
    specs = ["numpy", "numpy=1.26", "numpy>=1.20", "pytorch=2.3.1=*cpu*", "numpy=1.26.4"]

    found = look_up_specs(specs, [f"{server.address}/forge"])

    assert found.not_looked_up == specs
    assert server.asked == []


def test_a_channel_that_does_not_answer_fails_no_package() -> None:
    found = look_up_specs(["numpy=1.26.4=py39h474f0d3_0"], ["http://127.0.0.1:1/forge"])

    assert not found.missing
    assert found.unreachable == {"127.0.0.1"}


def test_channels_by_name_are_asked_where_conda_has_them(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", server.address)
    server.pages["/franklab/noarch/tool-1.0-pyh0_0.conda"] = "x"

    assert look_up_specs(["tool=1.0=pyh0_0"], ["nodefaults", "franklab"]).found
    assert look_up_specs(["franklab::tool=1.0=pyh0_0"], ["conda-forge"]).found


def test_slow_servers_do_not_hold_it_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "SECONDS", 0.3)
    server.delay = 0.2
    server.project("numpy", "numpy-1.26.4.tar.gz")
    started = time.monotonic()

    found = look_up_requirements(["numpy==1.26.4"] * 200, pip_at(f"{server.address}/simple"))

    assert time.monotonic() - started < 3
    assert found.found
    assert found.not_looked_up
    assert not found.missing


def test_where_none_is_configured_the_index_is_pips_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)

    index, *_ = pip_configuration().indexes

    assert re.fullmatch(r"https://[\w.]+/simple/?", index)


def test_without_an_index_nothing_is_called_missing() -> None:
    found = look_up_requirements(["six==1.16.0"], PipConfiguration(indexes=("",)))

    assert (found.missing, found.not_looked_up, found.unreachable) == ({}, ["six==1.16.0"], {"pip's index"})
