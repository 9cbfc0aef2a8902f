"""The whole road of an author: build, look, change, stop, remove."""

import json
import os
import re
import subprocess
import time
import urllib.request
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

import pymysql
import pytest

from spyglass_export.containers.project import containers_of
from spyglass_export.export.manifest import seed_id
from tests.end_to_end.paper import Paper

pytestmark = pytest.mark.end_to_end


def inspect(paper: Paper, service: str) -> dict[str, Any]:
    container = paper.docker.ask("compose", "ps", "--quiet", service).strip()
    found: list[dict[str, Any]] = json.loads(paper.docker.ask("inspect", container))
    return found[0]


class JupyterLab:
    """A reader who has logged in with the paper's password."""

    def __init__(self, paper: Paper, password: str) -> None:
        self.server = f"http://127.0.0.1:{paper.settings.hub_port}"
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.opener.open(f"{self.server}/login").read()
        form = urlencode({"password": password, "_xsrf": self.token})
        self.opener.open(f"{self.server}/login", data=form.encode()).read()

    @property
    def token(self) -> str:
        return next(cookie.value or "" for cookie in self.cookies if cookie.name == "_xsrf")

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.server}/api/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"X-XSRFToken": self.token, "Content-Type": "application/json"},
        )
        return json.load(self.opener.open(request))


def test_build_says_where_jupyterlab_is_and_what_was_loaded(paper: Paper) -> None:
    printed = paper.invoke("build")

    assert f"http://localhost:{paper.settings.hub_port}/lab" in printed
    assert "password: Gu-2026" in printed
    assert re.search(r"the database has \d+ tables with [\d,]+ rows", printed)


def test_building_again_reinstalls_nothing_and_reloads_nothing(paper: Paper) -> None:
    paper.invoke("build")
    before = (paper.root / "build.log").stat().st_mtime_ns, paper.docker.ask("compose", "ps", "--quiet")

    assert "both images are up to date" in paper.invoke("build")
    assert ((paper.root / "build.log").stat().st_mtime_ns, paper.docker.ask("compose", "ps", "--quiet")) == before


def ids(paper: Paper) -> dict[str, str]:
    return {service: one.id for service, one in containers_of(paper.docker).items()}


def test_a_changed_setting_of_the_hub_builds_nothing_and_restarts_the_hub_alone(paper: Paper) -> None:
    before = ids(paper)

    assert "both images are up to date" in paper.invoke("build", HUB_SHM_SIZE="2g")

    assert ids(paper)["db"] == before["db"]
    assert ids(paper)["hub"] != before["hub"]
    assert inspect(paper, "hub")["HostConfig"]["ShmSize"] == 2 << 30
    paper.invoke("build")


def test_a_changed_notebook_reinstalls_nothing_reloads_nothing_and_restarts_nothing(paper: Paper) -> None:
    before = ids(paper)
    (paper.root / "notebooks" / "new figure.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    paper.invoke("build")

    log = (paper.root / "build.log").read_text()
    steps = re.findall(r"#(\d+) \[(?:db|hub).*\] RUN ", log)
    assert steps
    assert all(f"#{step} CACHED" in log for step in steps)
    assert ids(paper) == before
    assert "new figure.ipynb" in paper.in_hub("ls ~/notebooks")


@pytest.mark.parametrize(("service", "port"), [("hub", "8888/tcp"), ("db", "3306/tcp")])
def test_each_container_is_healthy_on_loopback_and_without_privileges(paper: Paper, service: str, port: str) -> None:
    container = inspect(paper, service)

    assert container["State"]["Health"]["Status"] == "healthy"
    published = {name: to for name, to in container["NetworkSettings"]["Ports"].items() if to}
    assert list(published) == [port]
    assert [to["HostIp"] for to in published[port]] == ["127.0.0.1"]
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    assert container["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    status = paper.docker.ask("compose", "exec", "-T", service, "cat", "/proc/1/status")
    assert re.search(r"NoNewPrivs:\s+1", status)


def test_no_folder_of_this_machine_is_in_the_hub(paper: Paper) -> None:
    environment = paper.in_hub("env")

    assert "SPYGLASS_BASE_DIR=/home/jovyan/data\n" in environment
    assert str(paper.root) not in environment


def test_the_hub_has_the_folders_that_spyglass_expects_and_keeps_what_is_in_them(paper: Paper) -> None:
    spyglass = ["analysis", "export", "raw", "recording", "spikesorting", "tmp", "video", "waveforms"]
    assert paper.in_hub("ls ~/data").split() == sorted([*spyglass, "deeplabcut", "kachery_storage", "moseq"])

    paper.in_hub("echo mine > ~/data/analysis/mine.nwb")
    paper.invoke("build")

    assert paper.in_hub("cat ~/data/analysis/mine.nwb") == "mine\n"


def test_the_volume_is_named_by_what_the_database_was_loaded_from(paper: Paper) -> None:
    loaded_from = paper.docker.ask("compose", "exec", "-T", "db", "cat", "/opt/seed/seed_id")

    assert loaded_from == seed_id(paper.settings.export_data)


def test_datajoint_connects_with_no_argument(paper: Paper) -> None:
    printed = paper.in_hub("cd /tmp && python -c 'import datajoint as dj; dj.conn(); print(dj.list_schemas())'")

    assert "common_session" in printed
    config = json.loads(paper.in_hub("cat ~/.datajoint_config.json"))
    assert (config["database.host"], config["database.user"]) == ("db", "root")
    assert config["custom"]["spyglass_dirs"]["base"] == "/home/jovyan/data"


def test_the_database_answers_on_the_host(paper: Paper) -> None:
    settings = paper.settings
    connection = pymysql.connect(
        host="127.0.0.1", port=settings.db_port, user="root", password=settings.mysql_root_password
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM common_session._session")
        assert cursor.fetchone() == (4,)


def test_the_papers_environment_is_the_only_kernel_and_terminals_have_it(paper: Paper) -> None:
    lab = JupyterLab(paper, "Gu-2026")

    kernels = lab.ask("kernelspecs")
    assert kernels["default"] == "gu-2026"
    assert [kernel["spec"]["display_name"] for kernel in kernels["kernelspecs"].values()] == ["Gu-2026"]
    assert paper.in_hub("bash -ic 'which python' 2>/dev/null").strip() == "/opt/conda/envs/Gu-2026/bin/python"


def test_a_notebook_saved_with_another_kernel_opens_on_the_papers(paper: Paper) -> None:
    lab = JupyterLab(paper, "Gu-2026")

    notebook = lab.ask("contents/notebooks/example.ipynb")
    session = lab.ask(
        "sessions",
        "POST",
        {"path": "notebooks/x.ipynb", "name": "x", "type": "notebook", "kernel": {"name": "spyglass"}},
    )

    assert notebook["content"]["metadata"]["kernelspec"]["name"] == "gu-2026"
    assert '"name": "spyglass"' in (paper.root / "notebooks" / "example.ipynb").read_text()
    kernels = (
        "for kernel in $(grep --files-with-matches ipykernel_launcher /proc/[0-9]*/cmdline); do"
        " tr '\\0' '\\n' < ${kernel%cmdline}environ; done 2>/dev/null; true"
    )
    deadline = time.monotonic() + 30
    while "CONDA_PREFIX=/opt/conda/envs/Gu-2026\n" not in paper.in_hub(kernels):
        assert time.monotonic() < deadline
    lab.opener.open(
        urllib.request.Request(
            f"{lab.server}/api/sessions/{session['id']}", method="DELETE", headers={"X-XSRFToken": lab.token}
        )
    )


def test_an_edit_in_jupyterlab_is_an_edit_of_the_authors_file(paper: Paper) -> None:
    lab = JupyterLab(paper, "Gu-2026")

    lab.ask("contents/notebooks/note.txt", "PUT", {"type": "file", "format": "text", "content": "mine"})

    note = paper.root / "notebooks" / "note.txt"
    assert note.read_text() == "mine"
    assert (note.stat().st_uid, note.stat().st_gid) == (os.getuid(), os.getgid())


def test_a_wrong_password_does_not_get_in(paper: Paper) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        JupyterLab(paper, "wrong")
    assert error.value.code == 401


def test_what_pip_adds_in_the_hub_is_kept_over_down_and_up(paper: Paper) -> None:
    paper.in_hub("pip install --quiet cowsay")
    paper.invoke("down")
    paper.invoke("build")

    assert paper.in_hub("python -c 'import cowsay; print(cowsay.__file__)'").startswith("/opt/paper/packages/")


def test_what_is_written_to_the_database_is_kept_over_stop_down_and_up(paper: Paper) -> None:
    paper.in_db("CREATE DATABASE mine; CREATE TABLE mine.t (n INT); INSERT INTO mine.t VALUES (42);")
    paper.invoke("stop")
    assert "exited" in paper.invoke("status")
    paper.invoke("down")
    paper.invoke("up")

    assert "42" in paper.in_db("SELECT n FROM mine.t;")


def test_verify_says_which_tables_are_not_as_they_were_published(paper: Paper) -> None:
    paper.in_db("DROP DATABASE IF EXISTS mine;")
    assert "rows are as they were published" in paper.invoke("verify")
    paper.in_db("CREATE DATABASE mine; CREATE TABLE mine.t (n INT); INSERT INTO mine.t VALUES (42);")
    printed = paper.invoke("verify", status=1)
    assert re.search(r"mine\.t +is new, with 1 rows", printed)
    assert "error: 1 tables differ from what was published" in printed


def test_enter_gives_a_shell_with_the_papers_environment(paper: Paper) -> None:
    assert "/opt/conda/envs/Gu-2026" in paper.invoke("enter", text="python -c 'import sys; print(sys.prefix)'\n")


def test_status_logs_and_url_tell_of_the_paper(paper: Paper) -> None:
    status = paper.invoke("status")

    assert re.search(r"hub\s+running\s+healthy", status)
    assert paper.settings.db_image_name in status
    assert re.search(r"spyglass-gu-2026_db_data_\w{12}\s+db_data\s+[\d.]+[kMG]?B\s+in use", status)
    assert "ServerApp" in paper.invoke("logs", "--service", "hub", "--tail", "all")
    assert paper.settings.url in paper.invoke("url")


def test_enter_starts_what_is_down(paper: Paper) -> None:
    paper.invoke("down")

    assert "hello from the hub" in paper.invoke("enter", text="echo hello from the hub\n")


def test_plain_docker_compose_works_too(paper: Paper) -> None:
    paper.invoke("down")
    plain = Paper(paper.root).docker
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    try:
        subprocess.run(
            ["docker", "compose", "up", "--build", "--detach", "--wait"],
            cwd=paper.root,
            env=environment,
            capture_output=True,
            check=True,
        )
        assert plain.ask("compose", "ps", "--quiet", "hub")
        paper.in_hub("touch ~/notebooks/written")
        assert (paper.root / "notebooks" / "written").stat().st_uid == os.getuid()
    finally:
        subprocess.run(["docker", "compose", "down"], cwd=paper.root, env=environment, capture_output=True, check=False)
        paper.invoke("build")


def test_dry_shows_the_commands_and_runs_none(paper: Paper) -> None:
    before = inspect(paper, "hub")["Id"]

    printed = paper.invoke("--dry", "build")

    assert "docker compose --progress plain build\n" in printed
    assert "docker compose up --detach --no-build --no-recreate --pull never\n" in printed
    assert inspect(paper, "hub")["Id"] == before


def test_both_spellings_work(paper: Paper) -> None:
    assert paper.invoke("copy_files") == paper.invoke("copy-files")
