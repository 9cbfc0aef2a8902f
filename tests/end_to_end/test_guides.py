"""Each guide is followed from its first command to its last; what one builds, the next ones use.

What a guide tells in words between its commands, such as to write a file, stands here between the same commands.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.export.copy_files import copy_files
from spyglass_export.settings import Settings
from tests.end_to_end.paper import copy_project, free_ports
from tests.end_to_end.registry import Registry
from tests.end_to_end.walk import Terminal, Walk
from tests.guides import block
from tests.integration import dump_servers

pytestmark = pytest.mark.end_to_end

EXAMPLE = Path("examples/export/example")
NOTEBOOK = (
    '{"cells": [{"cell_type": "code", "execution_count": 1, "id": "a", "metadata": {}, "outputs": [], "source":'
    ' ["1;"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
)
OF_AUTHORS_STACK = "label=com.docker.compose.project=spyglass-gu2026"
OF_READERS_STACK = "label=com.docker.compose.project=reader-spyglass-gu2026"


@dataclass(frozen=True)
class World:
    """What is there before anybody reads a guide."""

    folder: Path
    settings: Settings
    repository: Path
    lab: dump_servers.Server
    export: Path
    environment: dict[str, str]
    registry: Registry

    def author(self, name: str, programs: Path) -> Terminal:
        """The terminal of an author, in a new clone; the folder of `invoke` comes before others."""
        clone = self.folder / name / "clone"
        subprocess.run(["git", "clone", "--quiet", self.repository, clone], check=True)
        hub_port, db_port = free_ports(2)
        settings = {
            "PAPER_ID": "Gu2026",
            "SPYGLASS_PAPER_DIR": str(EXAMPLE),
            "HUB_PORT": str(hub_port),
            "DB_PORT": str(db_port),
            "HUB_APT_PACKAGES": "git",
            "HUB_BASE_IMAGE": self.settings.hub_base_image,
            "DB_BASE_IMAGE": self.settings.db_base_image,
            "CA_BUNDLE": str(self.settings.ca_bundle or ""),
        }
        path = os.pathsep.join((str(programs), self.environment["PATH"]))
        return Terminal(clone, self.environment | settings | {"PATH": path})

    def reader(self, name: str, bundle: Path) -> Terminal:
        """The terminal of a reader, in a folder where a bundle was unpacked."""
        terminal = Terminal(self.folder / name / "a reader's folder", self.environment)
        unpack(bundle, self.folder / name / "a reader's folder")
        return terminal

    def forget(self, stack: str) -> None:
        """Remove the containers, volumes and network of a stack."""
        for kind, options in {"container": ["--all"], "volume": [], "network": []}.items():
            if listed := docker(kind, "ls", "--quiet", "--filter", stack, *options).split():
                docker(kind, "rm", "--force", *listed)

    def forget_images(self) -> None:
        listed = docker("image", "ls", "--quiet", "--filter", "label=spyglass-export.paper=Gu2026").split()
        if listed:
            docker("image", "rm", "--force", *dict.fromkeys(listed))


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def unpack(bundle: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(bundle) as file:
        file.extractall(folder)


def export_script(lab: dump_servers.Server) -> str:
    """What Spyglass' Export writes for all tables of a server."""
    calls = ["#!/bin/bash", "", "exec > _Populate_Gu2026.sql", "echo '-- SPYGLASS VERSION: 0.6.0 --'"]
    for name in sorted(lab.rows()):
        schema, table = name.split(".")
        escaped = table.replace("#", r"\#")
        calls.append(f'mysqldump --hex-blob {schema} {escaped} --where="\\\n\t1=1"\n')
    return "\n".join(calls)


@pytest.fixture(scope="module")
def world(
    settings: Settings,
    docker_engine: Docker,
    db_base_image: str,
    hub_base_image: str,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """This checkout as a repository to clone, a lab's server with the example's rows, a registry, and `mysql`."""
    folder = tmp_path_factory.mktemp("guides")
    repository, export, programs = folder / "repository", folder / "export", folder / "programs"
    copy_project(settings.root, repository)
    shutil.copytree(repository / EXAMPLE, export, ignore=shutil.ignore_patterns("*.sql"))
    git = ["git", "-C", str(repository), "-c", "user.name=a test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *arguments], check=True)
    lab = dump_servers.start(db_base_image, "sgx-guides-lab", dump_servers.MYSQL, "mysql", "mysqldump")
    copy_files(repository / EXAMPLE, folder / "cleaned", paper_id="Gu2026")
    dump_servers.load_folder(lab, folder / "cleaned" / "sql")
    lab.load(b"CREATE USER ada@'%' IDENTIFIED BY 'of-the-lab'; GRANT ALL ON *.* TO ada@'%';")
    (export / "_ExportSQL_Gu2026.sh").write_text(export_script(lab), encoding="utf-8")
    programs.mkdir()
    mysql = programs / "mysql"
    mysql.write_text(
        "#!/bin/bash\n[ -t 0 ] && terminal=--tty\nexec docker run --rm --interactive $terminal --network host"
        f' --entrypoint mysql {db_base_image} "$@"\n'
    )
    mysql.chmod(0o755)
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    own = str(Path(sys.executable).parent)
    path = [str(programs), *(one for one in os.environ["PATH"].split(os.pathsep) if one != own)]
    environment = os.environ | {"PATH": os.pathsep.join(path), "TERM": "xterm"}
    made = World(folder, settings, repository, lab, export, environment, registry)
    try:
        yield made
    finally:
        made.forget(OF_AUTHORS_STACK)
        made.forget(OF_READERS_STACK)
        made.forget_images()
        dump_servers.stop(lab)


@pytest.fixture(scope="module")
def installed(world: World) -> Path:
    """Try the example as the README tells; give the folder with `invoke`."""
    terminal = world.author("readme", Path())
    terminal.enter(world.folder / "readme")
    walk = Walk("README.md", terminal, {"URL_OF_THIS_REPOSITORY": str(world.repository)})
    walk.until("invoke bootstrap build", "password: Gu2026")
    walk.until("invoke test_notebooks", "2 of 2 figures are the same")
    walk.to_the_end()
    return world.folder / "readme" / "spyglass-export" / ".venv" / "bin"


def test_the_readme(installed: Path) -> None:
    assert (installed / "invoke").is_file()


@pytest.fixture(scope="module")
def archive(world: World, installed: Path) -> Path:
    """Follow the road up to the archive."""
    terminal = world.author("road", installed)
    clone = world.folder / "road" / "clone"
    terminal.environment["SPYGLASS_PAPER_DIR"] = str(world.export)
    lab = f"127.0.0.1 --port {world.lab.port}"
    walk = Walk(
        "docs/from-export-to-journal.md", terminal, {"db.lab.org": lab, "PATH/TO": str(clone / "Gu2026-archive")}
    )

    walk.until("invoke dump --host db.lab.org --user ada", "proof.json beside it")
    walk.until("invoke check", "ready to build")
    walk.until("invoke build", "hold row by row what the source had")
    walk.until("invoke test_notebooks", "2 of 2 figures are the same")
    walk.until("invoke report")
    (clone / "CITATION.cff").write_text(block("docs/from-export-to-journal.md", "cff-version"), encoding="utf-8")
    walk.until("invoke archive", "Gu2026-archive")
    terminal.run("invoke down")

    world.forget_images()
    reader = world.reader("review", clone / "Gu2026-archive" / "Gu2026.zip")
    walk.terminal = reader
    walk.until("docker compose logs hub", "http://localhost:")
    walk.to_the_end("2 of 2 figures are the same")
    reader.run("docker compose down --volumes")
    return clone / "Gu2026-archive"


def test_from_export_to_journal(archive: Path) -> None:
    assert {"images.tar.zst", "Gu2026.zip", "CITATION.cff"} <= {file.name for file in archive.iterdir()}


def test_the_authors_guide(world: World, installed: Path) -> None:
    terminal = world.author("author", installed)
    notebooks = world.folder / "author" / "clone" / "notebooks"
    (notebooks / "extra").mkdir()
    (notebooks / "example.ipynb").unlink()
    for name in ("figure1", "extra/figure2"):
        (notebooks / f"{name}.ipynb").write_text(NOTEBOOK)
    walk = Walk("docs/author.md", terminal)

    walk.until("invoke check", "ready to build")
    walk.until("invoke copy_files", "is up to date")
    walk.until("invoke test_notebooks figure1 extra/figure2", "2 of 2 passed")
    walk.until("invoke enter --service db", "common_session")
    walk.to_the_end("removed")


@pytest.fixture(scope="module")
def bundle(world: World, installed: Path, archive: Path) -> Path:
    """Share the paper as the guide tells; the author's containers run on."""
    terminal = Terminal(archive.parent, world.author("sharing", installed).environment)
    terminal.environment["SPYGLASS_PAPER_DIR"] = str(world.export)
    places = {"PATH/TO/Gu2026-archive": str(archive)}
    walk = Walk("docs/sharing.md", terminal, places, done={"invoke archive"})  # the archive is the road's
    walk.until("invoke archive")
    walk.terminal = world.reader("tries it", archive / "Gu2026.zip")
    walk.terminal.environment["PATH"] = terminal.environment["PATH"]
    walk.until("invoke run --from PATH/TO/Gu2026-archive")
    walk.terminal = terminal
    for service in ("db", "hub"):
        terminal.environment[f"{service.upper()}_IMAGE_NAME"] = f"{world.registry.host}/lab/{service}"
    walk.until("invoke publish", "/lab/hub@sha256:")
    walk.to_the_end()
    return archive.parent / "Gu2026.zip"


def test_sharing(bundle: Path) -> None:
    assert bundle.is_file()


def test_what_others_get(world: World, bundle: Path) -> None:
    terminal = Terminal(world.folder / "published" / "folder", world.environment)

    shown = Walk("docs/published.md", terminal, {"IMAGE": f"{world.registry.host}/lab/hub"})

    shown.until("docker image inspect --format '{{json .Config.Labels}}' IMAGE", "CC-BY-4.0")
    shown.to_the_end()
    assert (world.folder / "published" / "folder" / "installed" / "pip-freeze.txt").is_file()


def test_the_administrators_guide(world: World, bundle: Path) -> None:
    """The author's stack and a reader's run, from the guide before."""
    volume = docker("volume", "ls", "--quiet", "--filter", OF_AUTHORS_STACK, "--filter", "name=_db_data_").split()[0]
    terminal = world.author("administrator", Path())
    places = {"VOLUME": volume, "IMAGE": f"{world.registry.host}/lab/db"}
    walk = Walk("docs/administrator.md", terminal, places)

    walk.until("invoke bootstrap", "is ready")
    walk.until("docker system df")
    last = "docker compose --project-name reader-spyglass-gu2026 exec --no-TTY hub tar -xzf - -C /home/jovyan/notebooks"
    walk.until(f"{last} < notebooks.tar.gz")
    assert "common_session" in (world.folder / "administrator" / "clone" / "gu2026.sql").read_text(encoding="utf-8")
    docker("compose", "--project-name", "spyglass-gu2026", "down")
    walk.until("docker run --detach --rm --name earlier --volume VOLUME:/var/lib/mysql --entrypoint mysqld IMAGE")
    terminal.run("until docker exec earlier mysqladmin --user=root ping --silent; do sleep 1; done")
    walk.until("docker exec --interactive --tty earlier mysql --user=root --password", " 4 ")
    walk.to_the_end()
    terminal.run("invoke down")


def test_the_readers_guide(world: World, archive: Path, bundle: Path) -> None:
    world.forget(OF_READERS_STACK)
    world.forget_images()
    terminal = world.reader("reader", bundle)
    with_bundle, with_archive = world.folder / "reader" / "a reader's folder", world.folder / "reader" / "archive"
    places = {
        "/path/to/Gu2026-archive": str(archive),
        "--user root --password <": f"--host 127.0.0.1 --port {world.lab.port} --user root --password= <",
        "20001": port_of(with_bundle, "DB_PORT"),
    }
    walk = Walk("docs/reader.md", terminal, places)

    walk.until("invoke run", "password: Gu2026")
    unpack(archive / "Gu2026.zip", with_archive)
    terminal.enter(with_archive)
    walk.until("invoke run --from /path/to/Gu2026-archive")
    terminal.enter(archive)
    walk.until("sha256sum --check SHA256SUMS")
    terminal.run("docker compose --project-name reader-spyglass-gu2026 down")
    with_repository = world.folder / "reader" / "repository"
    subprocess.run(["git", "clone", "--quiet", world.repository, with_repository], check=True)
    hub_port, db_port = free_ports(2)
    env = block("docs/reader.md", "PAPER_ID=").replace("lab/spyglass-", f"{world.registry.host}/lab/")
    env = env.replace("-gu2026", "") + f"HUB_PORT={hub_port}\nDB_PORT={db_port}\n"
    (with_repository / ".env").write_text(env, encoding="utf-8")
    terminal.enter(with_repository)
    walk.until("invoke run", f"http://localhost:{hub_port}/lab")
    terminal.run("invoke down")  # the guide has one or the other
    walk.until("docker compose --file docker-compose-collab.yml up")
    terminal.run("docker compose --project-name reader-spyglass-gu2026 down")
    terminal.enter(with_bundle)
    walk.until("invoke test_notebooks", "2 of 2 figures are the same")
    walk.until("invoke verify", "rows are as they were published")
    walk.until("mysql --host 127.0.0.1 --port 20001 --user root --password")
    shutil.copy(world.export / "_Populate_Gu2026.sql", with_repository)
    terminal.enter(with_repository)
    world.lab.empty()
    walk.until("mysql --user root --password < Gu2026.sql")
    assert "common_session._session" in world.lab.rows()
    terminal.enter(with_bundle)
    walk.to_the_end()
    assert not docker("volume", "ls", "--quiet", "--filter", OF_READERS_STACK)


def test_the_bundles_readme_and_merging(world: World, archive: Path, bundle: Path) -> None:
    world.lab.empty()
    terminal = world.reader("a bundle", bundle)
    readme = Walk("bundle/README.md", terminal, {"PATH/TO": str(archive)})
    readme.until("invoke run", "password: Gu2026")
    readme.until("invoke run")
    terminal.run("invoke down")  # the table's next column tells the same again
    readme.to_the_end()
    lab = f"127.0.0.1 --port {world.lab.port}"
    merging = Walk("docs/merging.md", terminal, {"db.example.org": lab})
    merging.until("invoke merge --host db.example.org --user ada")
    assert "common_session._session" in world.lab.rows()
    merging.to_the_end()
    assert not world.lab.schemas()
    world.forget(OF_READERS_STACK)


def port_of(folder: Path, name: str) -> str:
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))
