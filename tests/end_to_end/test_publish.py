"""From the author's machine through a registry, or an archive, to a reader who has Docker and nothing else."""

import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pytest
from playwright.sync_api import sync_playwright

from spyglass_export.containers import reader
from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings, load
from tests.end_to_end.paper import Paper, make_paper
from tests.end_to_end.registry import PASSWORD, USER, Line, Registry, find_program
from tests.end_to_end.test_browser import FLAGS
from tests.end_to_end.test_commands import JupyterLab

pytestmark = pytest.mark.end_to_end

REGISTRY, WITH_PASSWORD, LINE = 13600, 13601, 13602
SECRETS = {
    "JUPYTER_SERVER_APP_PASSWORD": "secret-of-jupyter-5b1f",
    "MYSQL_ROOT_PASSWORD": "secret-of-mysql-77c2",
    "DANDI_API_KEY": "secret-of-dandi-e0d9",
}
CITATION = "cff-version: 1.2.0\ntitle: Ripples\nauthors: [{name: The Lab}]\nlicense: CC-BY-4.0\n"
EMPTY_NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def fingerprint(port: int, password: str) -> dict[str, tuple[str, int]]:
    """Definition and checksum of every table."""
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", password=password)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            "AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')"
        )
        found = {}
        for schema, table in cursor.fetchall():
            name = f"`{schema}`.`{table}`"
            cursor.execute(f"SHOW CREATE TABLE {name}")
            definition = cursor.fetchone()
            cursor.execute(f"CHECKSUM TABLE {name} EXTENDED")
            checksum = cursor.fetchone()
            assert definition
            assert checksum
            found[name] = (definition[1], checksum[1])
    return found


@dataclass
class World:
    """What a test has before it: the author's paper, registries, and what was said on the way."""

    author: Paper
    registry: Registry
    with_password: Registry
    line: Line
    readers: Path
    printed: dict[str, str] = field(default_factory=dict)
    database: dict[str, tuple[str, int]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)

    @property
    def reader(self) -> Paper:
        """The reader's folder; what it needs is in there, so `invoke` uses nothing of this project."""
        return Paper(self.readers)

    @property
    def readers_settings(self) -> Settings:
        return load(self.readers, {})

    @property
    def readers_docker(self) -> Docker:
        return reader.readers_docker(self.readers_settings)

    def unpack(self, bundle: Path) -> None:
        with zipfile.ZipFile(bundle) as file:
            file.extractall(self.readers)

    def compose(self, *arguments: str) -> str:
        """What a reader types who has Docker alone."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.readers,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def forget_images(self) -> None:
        """Remove every image of this paper, as on a machine that never had it."""
        docker = Docker(("docker",), self.readers)
        listed = docker.ask("image", "ls", "--all", "--quiet", "--filter", "label=spyglass-export.paper=Share-2026")
        if images := sorted(set(listed.split())):
            docker.ask("image", "rm", "--force", *images)

    def forget_volumes(self) -> None:
        docker = Docker(("docker",), self.readers)
        for project in ("spyglass-share-2026", "reader-spyglass-share-2026"):
            label = f"label=com.docker.compose.project={project}"
            if containers := docker.ask("ps", "--all", "--quiet", "--filter", label).split():
                docker.ask("rm", "--force", *containers)
            if volumes := docker.ask("volume", "ls", "--quiet", "--filter", label).split():
                docker.ask("volume", "rm", *volumes)
            docker.succeeds("network", "rm", f"{project}_default")


@pytest.fixture(scope="module")
def world(
    settings: Settings, db_base_image: str, hub_base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A paper that was built, published over a line that broke once, and archived; then all of it was removed here."""
    folder = tmp_path_factory.mktemp("registry")
    program = find_program(folder)
    registry = Registry(program, folder, REGISTRY)
    with_password = Registry(program, folder, WITH_PASSWORD, asks_for_a_password=True)
    line = Line(LINE, REGISTRY)
    author = make_paper(tmp_path_factory.mktemp("author") / "un été à Paris", settings, "Share-2026")
    with (author.root / ".env").open("a", encoding="utf-8") as env:
        env.write(f"HUB_IMAGE_NAME=127.0.0.1:{LINE}/lab/hub\nDB_IMAGE_NAME=127.0.0.1:{LINE}/lab/db\n")
        env.writelines(f"{name}={value}\n" for name, value in SECRETS.items())
    (author.root / "CITATION.cff").write_text(CITATION, encoding="utf-8")
    readers = tmp_path_factory.mktemp("readers") / "a reader's folder"
    readers.mkdir()
    made = World(author, registry, with_password, line, readers)
    try:
        for service in (registry, with_password, line):
            service.start()
        made.forget_volumes()
        author.invoke("build")
        made.database = fingerprint(author.settings.db_port, SECRETS["MYSQL_ROOT_PASSWORD"])

        line.breaks_after = 60_000_000
        breaking = author.start("publish")
        while not line.is_cut and breaking.poll() is None:
            time.sleep(0.1)
        author.invoke("archive")  # Docker tries the broken line again for a minute
        made.printed["broken"] = breaking.communicate()[0]
        assert breaking.returncode == 1, made.printed["broken"]
        made.sent["broken"] = line.sent
        line.mend()
        made.printed["published"] = author.invoke("publish")
        made.sent["published"] = line.sent

        author.invoke("down")
        made.forget_volumes()
        made.forget_images()
        made.unpack(author.root / "Share-2026.zip")
        yield made
    finally:
        made.forget_volumes()
        made.forget_images()
        for service in (line, with_password, registry):
            service.stop()


def test_a_push_that_breaks_is_one_error_and_goes_on_where_it_was(world: World) -> None:
    assert "error: the push of 127.0.0.1:13602/lab/" in world.printed["broken"]
    assert "hint: run `invoke publish` again" in world.printed["broken"]
    assert "Layer already exists" in world.printed["published"]
    assert world.sent["broken"] + world.sent["published"] < 1.3 * world.registry.bytes()


def test_the_digests_printed_and_in_the_bundle_are_the_registrys(world: World) -> None:
    compose = (world.readers / "docker-compose-collab.yml").read_text()
    for service in ("db", "hub"):
        digest = world.registry.digest(f"lab/{service}", "latest")
        assert f"127.0.0.1:{LINE}/lab/{service}@{digest}" in world.printed["published"]
        assert f"127.0.0.1:{LINE}/lab/{service}@{digest}" in compose


def test_readers_are_told_what_the_default_password_means_before_the_first_push(world: World) -> None:
    assert world.printed["broken"].index("anybody can guess") < world.printed["broken"].index("pushing")


def test_docker_alone_gives_the_same_database_and_the_same_notebooks(world: World) -> None:
    world.compose("up", "--detach", "--wait")

    settings = world.readers_settings
    assert fingerprint(settings.db_port, "Share-2026") == world.database
    lab = lab_of(settings)
    listed = {entry["name"] for entry in lab.ask("contents/notebooks")["content"]}
    assert listed == {"example.ipynb"}
    theirs = json.dumps(lab.ask("contents/notebooks/example.ipynb")["content"]["cells"])
    ours = json.loads((world.author.root / "notebooks" / "example.ipynb").read_text())
    assert [cell["source"] for cell in json.loads(theirs)] == ["".join(cell["source"]) for cell in ours["cells"]]
    log = world.compose("logs", "--no-color", "hub")
    assert f"http://localhost:{settings.hub_port}/lab" in log
    assert "127.0.0.1:8888" not in log


def lab_of(settings: Settings) -> JupyterLab:
    return JupyterLab(Paper(settings.root), "Share-2026")


def test_a_reader_logs_in_with_a_browser(world: World, chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{world.readers_settings.hub_port}/lab/tree/notebooks/example.ipynb")
        page.get_by_label("Password").fill("Share-2026")
        page.keyboard.press("Enter")
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        page.get_by_text("Share-2026 | Idle").wait_for(timeout=60_000)
        browser.close()


def test_datajoint_connects_in_the_readers_hub(world: World) -> None:
    program = "import datajoint as dj; print(dj.list_schemas())"

    assert "common_session" in world.reader.invoke("enter", text=f"cd /tmp && python -c '{program}'\n")


def test_images_say_what_they_are_and_what_is_installed_without_being_started(world: World, tmp_path: Path) -> None:
    docker = world.readers_docker
    for service, image in reader.images_to_run(docker).items():
        found = json.loads(docker.ask("image", "inspect", image))[0]
        labels = found["Config"]["Labels"]
        assert (found["Os"], found["Architecture"]) == ("linux", "amd64")
        for name in ("title", "description", "created", "revision", "base.name"):
            assert labels[f"org.opencontainers.image.{name}"]
        assert labels["org.opencontainers.image.licenses"] == "CC-BY-4.0"
        assert labels["spyglass-export.paper"] == "Share-2026"
        assert labels["spyglass-export.service"] == service
        assert labels["spyglass-export.spyglass-version"] == "0.6.0"
        manifest = json.loads((world.author.root / "export_data" / "manifest.json").read_text())
        assert labels["spyglass-export.export-hash"] == manifest["export_hash"]
    container = docker.ask("create", reader.images_to_run(docker)["hub"]).strip()
    docker.ask("cp", f"{container}:/opt/paper/installed/.", str(tmp_path))
    docker.ask("rm", container)
    freeze = (tmp_path / "pip-freeze.txt").read_text()
    assert freeze.strip() == world.reader.invoke("enter", text="python -m pip freeze --all\n").strip()
    assert (world.readers / "environment" / "pip-freeze.txt").read_text() == freeze
    assert (tmp_path / "conda-explicit.txt").stat().st_size


def test_no_secret_of_the_author_is_in_any_layer_or_in_the_zip(world: World) -> None:
    secrets = [*(value.encode() for value in SECRETS.values()), bytes(world.author.root), b"un \xc3\xa9t\xc3\xa9"]
    with zipfile.ZipFile(world.author.root / "Share-2026.zip") as file:
        content = b"".join(file.read(name) for name in file.namelist())
        assert not [secret for secret in secrets if secret in content]
    assert (world.author.root / "Share-2026.zip").stat().st_size < 1_000_000
    images = reader.images_to_run(world.readers_docker).values()
    layers = 0
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
        assert saving.stdout
        with tarfile.open(fileobj=saving.stdout, mode="r|") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                rest = b""
                while stream and (block := stream.read(1 << 22)):
                    assert not [secret for secret in secrets if secret in rest + block], member.name
                    rest = block[-100:]
                layers += stream is not None
    assert layers > 10


def test_a_busy_port_is_named_with_a_free_one(world: World) -> None:
    world.reader.invoke("down")
    with socket.create_server(("127.0.0.1", world.readers_settings.hub_port)):
        printed = world.reader.invoke("run", status=1)

    assert f"error: port {world.readers_settings.hub_port} (HUB_PORT) is in use by another program" in printed


def test_edits_and_rows_survive_down_and_a_new_version_that_brings_new_notebooks(world: World) -> None:
    world.reader.invoke("run")
    lab = lab_of(world.readers_settings)
    lab.ask("contents/notebooks/example.ipynb", "PUT", {"type": "file", "format": "text", "content": "mine"})
    lab.ask("contents/notebooks/own.txt", "PUT", {"type": "file", "format": "text", "content": "my own"})
    world.reader.invoke(
        "enter",
        "--service",
        "db",
        text="CREATE DATABASE mine; CREATE TABLE mine.t (n INT); INSERT INTO mine.t VALUES (42);",
    )
    world.reader.invoke("stop")
    world.reader.invoke("down")

    # The author's own stack runs at the same time, and both are of one paper.
    notebooks = world.author.root / "notebooks"
    (notebooks / "second figure.ipynb").write_text(EMPTY_NOTEBOOK)
    example = json.loads((notebooks / "example.ipynb").read_text())
    example["cells"].append({"cell_type": "markdown", "id": "new", "metadata": {}, "source": ["new"]})
    (notebooks / "example.ipynb").write_text(json.dumps(example))
    world.author.invoke("build")
    stored = world.registry.bytes()
    try:
        world.author.invoke("publish")
        assert world.registry.bytes() - stored < 1_000_000
        world.unpack(world.author.root / "Share-2026.zip")
        printed = world.reader.invoke("run")
        assert "healthy" in world.author.invoke("status")
    finally:
        world.author.invoke("down")

    assert "notebooks: brought 1 new: second figure.ipynb" in printed
    assert "notebooks: left example.ipynb alone, because you changed it" in printed
    mine = world.reader.invoke("enter", text="cat ~/notebooks/example.ipynb ~/notebooks/own.txt\n")
    assert mine.strip() == "minemy own"
    assert "42" in world.reader.invoke("enter", "--service", "db", text="SELECT n FROM mine.t;")


def test_it_starts_again_with_no_registry(world: World) -> None:
    world.registry.stop()
    try:
        world.reader.invoke("down")
        assert "JupyterLab: http://localhost" in world.reader.invoke("run")
        world.reader.invoke("down")
        world.compose("up", "--detach", "--wait")
    finally:
        world.reader.invoke("down")
        world.registry.start()


def test_someone_with_the_repository_and_env_runs_it_too(world: World, settings: Settings, tmp_path: Path) -> None:
    other = make_paper(tmp_path / "repository", settings, "Share-2026")
    with (other.root / ".env").open("a") as env:
        env.write(f"HUB_IMAGE_NAME=127.0.0.1:{REGISTRY}/lab/hub\nDB_IMAGE_NAME=127.0.0.1:{REGISTRY}/lab/db\n")

    printed = other.invoke("run")

    assert f"http://localhost:{other.settings.hub_port}/lab" in printed
    assert "42" in other.invoke("enter", "--service", "db", text="SELECT n FROM mine.t;")
    assert "reader-spyglass-share-2026_notebooks" in other.invoke("status")
    other.invoke("down")


def test_another_export_begins_afresh_and_the_earlier_database_is_kept(world: World, tmp_path: Path) -> None:
    earlier = world.readers_docker.volume_hashes["db_data"]
    world.author.invoke("bundle")
    shutil.copy(world.author.root / "Share-2026.zip", tmp_path / "earlier.zip")
    export = shutil.copytree(world.author.settings.spyglass_paper_dir, tmp_path / "export")
    dump = export / "_Populate_example.sql"
    dump.write_text(dump.read_text().replace("INSERT INTO `lab` VALUES ('Example Lab');\n", ""))

    built = world.author.invoke("build", SPYGLASS_PAPER_DIR=str(export))
    world.author.invoke("publish", SPYGLASS_PAPER_DIR=str(export))
    world.author.invoke("down")
    world.unpack(world.author.root / "Share-2026.zip")
    ran = world.reader.invoke("run")

    for printed, project in ((built, "spyglass-share-2026"), (ran, "reader-spyglass-share-2026")):
        kept = f"{project}_db_data_{earlier}"
        assert f"all that was written to the earlier one is kept in the volume {kept}\n" in printed
    assert "rows of common_session._session refer to rows of common_lab.lab that are not in the export\n" in built
    assert "mine" not in world.reader.invoke("enter", "--service", "db", text="SHOW DATABASES;")
    world.unpack(tmp_path / "earlier.zip")
    world.reader.invoke("run")
    assert "42" in world.reader.invoke("enter", "--service", "db", text="SELECT n FROM mine.t;")
    world.reader.invoke("down")


def test_an_archive_runs_on_a_machine_that_reaches_no_registry(world: World, tmp_path: Path) -> None:
    world.forget_volumes()
    world.forget_images()
    world.registry.stop()
    archive = shutil.move(world.author.root / "Share-2026-archive", tmp_path / "a deposit")
    shutil.rmtree(world.readers)
    world.readers.mkdir()
    world.unpack(Path(archive) / "Share-2026.zip")
    try:
        assert "cannot be pulled" in world.reader.invoke("run", status=1)
        world.reader.invoke("run", "--from", str(archive))

        assert fingerprint(world.readers_settings.db_port, "Share-2026") == world.database
        assert world.reader.invoke("enter", text="ls ~/notebooks\n").split() == ["example.ipynb"]
        world.reader.invoke("down")
        world.compose("up", "--detach", "--wait")
        world.reader.invoke("down")
    finally:
        world.registry.start()


def test_a_registry_that_asks_is_logged_in_to_by_docker(world: World, tmp_path: Path) -> None:
    world.author.invoke("build")
    world.author.invoke("down")
    docker = world.author.docker
    for service in ("db", "hub"):
        docker.ask("tag", f"127.0.0.1:{LINE}/lab/{service}:latest", f"127.0.0.1:{WITH_PASSWORD}/lab/{service}:latest")

    def publish(status: int) -> str:
        return world.author.invoke(
            "publish",
            status=status,
            HUB_IMAGE_NAME=f"127.0.0.1:{WITH_PASSWORD}/lab/hub",
            DB_IMAGE_NAME=f"127.0.0.1:{WITH_PASSWORD}/lab/db",
            DOCKER_CONFIG=str(tmp_path),
        )

    refused = publish(1)
    subprocess.run(
        ["docker", "login", "--username", USER, "--password-stdin", f"127.0.0.1:{WITH_PASSWORD}"],
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
        input=PASSWORD,
        text=True,
        check=True,
    )
    printed = publish(0)

    assert f"docker login 127.0.0.1:{WITH_PASSWORD}" in refused
    assert f"127.0.0.1:{WITH_PASSWORD}/lab/hub@sha256:" in printed


def test_a_licence_that_the_images_do_not_have_yet_is_not_published(world: World) -> None:
    citation = world.author.root / "CITATION.cff"
    citation.write_text(CITATION.replace("CC-BY-4.0", "CC0-1.0"))

    printed = world.author.invoke("publish", status=1)
    citation.write_text(CITATION)

    assert "/lab/db is CC-BY-4.0, and in CITATION.cff it is CC0-1.0" in printed
    assert "hint: run `invoke build`" in printed


def test_images_older_than_the_notebooks_are_not_published(world: World) -> None:
    (world.author.root / "notebooks" / "third.ipynb").write_text(EMPTY_NOTEBOOK)

    printed = world.author.invoke("publish", status=1)

    assert "lab/hub is older than notebooks/" in printed


def test_dry_shows_what_publish_would_do(world: World) -> None:
    printed = world.author.invoke("--dry", "publish")

    assert f"docker push 127.0.0.1:{LINE}/lab/hub:latest" in printed
