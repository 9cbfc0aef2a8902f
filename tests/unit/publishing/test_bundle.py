"""What a reader's zip and an archive hold, without Docker: `docker` is a small program that plays its part."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from spyglass_export.containers import reader
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import Image, Published
from spyglass_export.errors import UserError
from spyglass_export.publishing import archive, bundle, citation
from spyglass_export.settings import Settings, load
from tests.unit.docker_program import docker_that_runs

ROOT = Path(__file__).resolve().parents[3]
AUTHORS = """\
PAPER_ID=Gu2026
DOCKER_HUB_USER=lab
SPYGLASS_BASE_DIR=/stelmo/nwb
JUPYTER_SERVER_APP_PASSWORD=jupyter-secret
MYSQL_USER=edeno
MYSQL_ROOT_PASSWORD=mysql-secret
DANDI_API_KEY=dandi-secret
CA_BUNDLE=
"""
CITATION = """\
cff-version: 1.2.0
title: Ripples of rats that do not exist
authors:
  - {family-names: Lovelace, given-names: Ada, orcid: "https://orcid.org/0000-0000-0000-0001"}
  - {name: The Lab, affiliation: A University}
license: CC-BY-4.0
doi: 10.1000/xyz
"""
# `create` answers with a container, `cp` writes two lists, `save` a tar, `run` compresses nothing.
DOCKER = """
import sys
arguments = sys.argv[1:]
if arguments[0] == "create":
    print("c0ffee")
elif arguments[0] == "cp":
    for name in ("conda-explicit.txt", "pip-freeze.txt"):
        with open(f"{arguments[2]}/{name}", "w") as file:
            file.write(name)
elif arguments[0] == "version":
    print(open("version").read())
elif arguments[0] == "save":
    sys.stdout.write("images " * 1000)
elif arguments[0] == "run":
    sys.stdout.write(sys.stdin.read())
"""


def project(folder: Path) -> tuple[Settings, Docker]:
    """A paper's folder, and a `docker` that has both images."""
    files = (
        *("LICENSE", "docker-compose-collab.yml", "docs/elsewhere.md"),
        *("bundle/README.md", "bundle/tasks.py", "bundle/archive_tasks.py"),
    )
    for name in (".env", *files):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8") if name != ".env" else AUTHORS)
    for name in ("elsewhere", "spyglass_export"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("export_data", "notebooks"):
        (folder / name).mkdir()
    (folder / "export_data" / "environment.yml").write_text("name: Gu2026\n")
    (folder / "version").write_text("26.1.5")
    return load(folder, {}), docker_that_runs(folder, DOCKER)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return project(tmp_path)[0]


@pytest.fixture
def docker(settings: Settings) -> Docker:
    return docker_that_runs(settings.root, DOCKER)


@pytest.fixture(scope="module")
def images() -> dict[str, Image]:
    labels = {
        "org.opencontainers.image.created": "2026-11-22T21:26:37Z",
        "org.opencontainers.image.description": "an image",
        "spyglass-export.spyglass-version": "0.6.0",
        "spyglass-export.export-hash": "e" * 64,
        "spyglass-export.volume": "0123456789ab",
    }
    return {
        service: Image(f"lab/{service}", f"sha256:{service * 32}"[:71], labels, "linux/amd64")
        for service in ("db", "hub")
    }


@pytest.fixture(scope="module")
def unpacked(images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder, which no test changes; the author's is the one around it."""
    author, docker = project(tmp_path_factory.mktemp("author"))
    references = {service: f"lab/{service}@sha256:{'a' * 64}" for service in images}
    written = bundle.write(author, docker, author.root, images, references)
    assert written == author.root / "Gu2026.zip"
    assert written.stat().st_size < 1_000_000
    folder = author.root / "a reader's folder"
    with zipfile.ZipFile(written) as file:
        file.extractall(folder)
    return folder


def text_of_all(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


def test_nothing_of_the_author_gets_in(unpacked: Path) -> None:
    everything = text_of_all(unpacked)

    for secret in (
        "jupyter-secret",
        "mysql-secret",
        "dandi-secret",
        "edeno",
        "stelmo",
        str(unpacked.parent),
        str(ROOT),
    ):
        assert secret not in everything
    assert "DANDI_API_KEY" not in (unpacked / ".env").read_text()
    assert "DANDI_API_KEY" not in (unpacked / "docker-compose-collab.yml").read_text()


def test_the_compose_file_names_images_by_digest(unpacked: Path) -> None:
    services = yaml.safe_load((unpacked / "docker-compose-collab.yml").read_text())["services"]

    for service, variable in (("db", "DB_IMAGE"), ("hub", "HUB_IMAGE")):
        assert services[service]["image"] == f"${{{variable}:-lab/{service}@sha256:{'a' * 64}}}"
        assert services[service]["platform"] == "linux/amd64"
        assert "build" not in services[service]


def test_the_rest_of_the_compose_file_is_the_repositorys(unpacked: Path) -> None:
    theirs = (unpacked / "docker-compose-collab.yml").read_text().splitlines()
    ours = (ROOT / "docker-compose-collab.yml").read_text().splitlines()

    assert len(theirs) == len(ours)
    assert [line.strip()[:6] for line, other in zip(ours, theirs, strict=True) if line != other] == ["image:", "image:"]


def test_the_readers_settings_are_valid_and_their_own(unpacked: Path) -> None:
    theirs = load(unpacked, {})

    assert (theirs.jupyter_server_app_password, theirs.mysql_root_password) == ("Gu2026", "Gu2026")
    assert str(theirs.bind_address) == "127.0.0.1"
    assert {theirs.hub_port, theirs.db_port}.isdisjoint({8888, 3306})
    assert "DB_DATA_HASH=0123456789ab" in (unpacked / ".env").read_text()


def test_the_commands_run_with_what_is_in_the_zip_and_few_packages(unpacked: Path) -> None:
    # What the bundle's README tells to install, with what that asks for: an import of anything else fails.
    there = {"invoke", "dotenv", "rich", "zstandard", "markdown_it", "mdurl", "pygments", "spyglass_export", "tasks"}
    program = (
        "import importlib.abc, sys\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] not in {there} | sys.stdlib_module_names:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from invoke import program\n"
        "program.Program().run(['invoke', '--list'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=unpacked, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    commands = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line[2] != " "}
    assert commands == {
        "run",
        "stop",
        "down",
        "enter",
        "status",
        "url",
        "logs",
        "test_notebooks",
        "merge",
        "unmerge",
        "verify",
    }


def test_the_readme_names_paper_address_and_password(unpacked: Path) -> None:
    readme = (unpacked / "README.md").read_text()
    hub_port, _ = bundle.ports_of("Gu2026")

    assert "**Gu2026**" in readme
    assert f"http://localhost:{hub_port}/lab" in readme
    assert f"HUB_PORT={hub_port}\n" in (unpacked / ".env").read_text()
    assert "`Gu2026`" in readme
    assert "$" not in readme


def test_citation_names_the_paper(settings: Settings, docker: Docker, images: dict[str, Image], tmp_path: Path) -> None:
    (settings.root / "CITATION.cff").write_text(CITATION)

    written = bundle.write(settings, docker, tmp_path, images, {"db": "a", "hub": "b"})

    with zipfile.ZipFile(written) as file:
        assert file.read("CITATION.cff").decode() == CITATION
        assert "# Ripples of rats that do not exist\n" in file.read("README.md").decode()
        assert "Ada Lovelace, The Lab" in file.read("README.md").decode()


@pytest.mark.parametrize("text", ["title: [", "- a\n- b\n", "\x00"])
def test_a_citation_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "CITATION.cff").write_text(text)

    with pytest.raises(UserError, match=r"CITATION\.cff"):
        citation.read(tmp_path, "Gu2026")


def test_the_same_images_give_the_same_zip(
    settings: Settings, docker: Docker, images: dict[str, Image], tmp_path: Path
) -> None:
    written = [bundle.write(settings, docker, tmp_path, images, {"db": "a", "hub": "b"}).read_bytes() for _ in range(2)]

    assert written[0] == written[1]


def test_a_bundle_after_a_push_is_of_the_very_images_that_were_pushed(
    settings: Settings, docker: Docker, images: dict[str, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyglass_export.publishing.provenance.images_as_tested", lambda *_, **__: images)
    digest = f"sha256:{'a' * 64}"
    pushed = {service: Published(image.name, image.tag, digest, image.id) for service, image in images.items()}

    with zipfile.ZipFile(bundle.write_published(settings, docker, pushed)) as file:
        assert f"${{HUB_IMAGE:-lab/hub@{digest}}}" in file.read("docker-compose-collab.yml").decode()

    monkeypatch.setitem(images, "hub", replace(images["hub"], id=f"sha256:{'b' * 64}"))
    with pytest.raises(UserError, match="the image of hub was built anew"):
        bundle.write_published(settings, docker, pushed)


def test_two_papers_have_ports_of_their_own() -> None:
    assert bundle.ports_of("Gu2026") == bundle.ports_of("Gu2026")
    assert set(bundle.ports_of("Gu2026")).isdisjoint(bundle.ports_of("Lee2025"))
    for number in range(1000):
        hub_port, db_port = bundle.ports_of(f"paper{number}")
        # Linux hands out ports from 32768 by itself.
        assert 20000 <= hub_port < db_port < 30000


@pytest.mark.parametrize("paper_id", ["reader", "Reader_x", "a-reader", "spyglass"])
def test_no_author_can_have_a_readers_project(paper_id: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"PAPER_ID={paper_id}\n")

    assert load(tmp_path, {}).project.startswith("spyglass-")
    assert reader.project(paper_id) == f"reader-spyglass-{paper_id.lower()}"


@pytest.fixture(scope="module")
def first_archive(images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of images that count as tested, which no test changes."""
    author, docker = project(tmp_path_factory.mktemp("author"))
    (author.root / "CITATION.cff").write_text(CITATION)
    with pytest.MonkeyPatch.context() as patch:
        let_count_as_tested(patch, images)
        return archive.write_archive(author, docker)


def let_count_as_tested(monkeypatch: pytest.MonkeyPatch, images: dict[str, Image]) -> None:
    monkeypatch.setattr("spyglass_export.publishing.provenance.images_as_tested", lambda *_, **__: images)
    monkeypatch.setattr("spyglass_export.publishing.provenance.label_with_last_test", lambda *_: images)


@pytest.fixture
def archived(
    settings: Settings, images: dict[str, Image], first_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An archive in the author's folder, of images that count as tested."""
    (settings.root / "CITATION.cff").write_text(CITATION)
    let_count_as_tested(monkeypatch, images)
    return shutil.copytree(first_archive, settings.root / first_archive.name)


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_archive_is_whole_and_its_checksums_say_so(archived: Path) -> None:
    sums = dict(line.split("  ")[::-1] for line in (archived / "SHA256SUMS").read_text().splitlines())

    assert files_of(archived) == {*sums, "SHA256SUMS"}
    assert {"images.tar.zst", "Gu2026.zip", "ro-crate-metadata.json", "CITATION.cff", "README.md"} <= set(sums)
    assert os.access(archived / "apptainer" / "paper.sh", os.X_OK)
    for name, digest in sums.items():
        assert hashlib.sha256((archived / name).read_bytes()).hexdigest() == digest
    assert not archived.with_name(f"{archived.name}.tmp").exists()


def test_the_archives_bundle_asks_no_registry_by_digest(archived: Path) -> None:
    with zipfile.ZipFile(archived / "Gu2026.zip") as file:
        compose = file.read("docker-compose-collab.yml").decode()
        readme = file.read("README.md").decode()

    assert "${DB_IMAGE:-lab/db:dbdbdbdbdbdb}" in compose
    steps = [line for line in readme.splitlines() if line[:1].isdecimal()]
    assert [line.partition(".")[0] for line in steps] == ["1", "2", "3", "4", "5", "6"]
    assert "GB to download" in steps[2]
    assert "`docker load --input PATH/TO/images.tar.zst`" in steps[3]
    assert "`docker compose up`" in steps[4]


def test_invoke_in_the_archive_itself_says_where_the_commands_are(archived: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "run", "--from", "."],
        cwd=archived,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("error: this is the archive; the commands are in its zip")
    assert f'hint: unpack Gu2026.zip into an empty folder, and run there: invoke run --from "{archived}"' in done.stderr


def test_an_archive_is_an_ro_crate(archived: Path) -> None:
    crate = json.loads((archived / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    root = entities["./"]

    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    assert entities["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    assert (root["name"], root["datePublished"]) == ("Ripples of rats that do not exist", "2026-11-22")
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert [entities[author["@id"]]["name"] for author in root["author"]] == ["Ada Lovelace", "The Lab"]
    assert entities[entities[root["author"][1]["@id"]]["affiliation"]["@id"]]["name"] == "A University"
    parts = {part["@id"] for part in root["hasPart"]}
    assert parts == files_of(archived) - {"ro-crate-metadata.json"}
    for part in parts - {"SHA256SUMS"}:
        assert entities[part]["contentSize"] == str((archived / part).stat().st_size)
    named = [value["@id"] for entity in entities.values() for value in entity.values() if isinstance(value, dict)]
    assert all(name in entities or name.startswith("https://w3id.org") for name in named)


@pytest.mark.parametrize("said", [None, "cff-version: 1.2.0\ntitle: Ripples\n"])
def test_no_licence_is_claimed_that_nobody_gave(
    settings: Settings, archived: Path, docker: Docker, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (settings.root / "CITATION.cff").unlink()
    if said:
        (settings.root / "CITATION.cff").write_text(said)

    archive.write_archive(settings, docker)

    crate = (archived / "ro-crate-metadata.json").read_text()
    assert '"license"' not in crate
    assert "spdx.org" not in crate
    printed = " ".join(capsys.readouterr().err.split())
    assert ("CITATION.cff lacks authors or license" if said else "there is no CITATION.cff") in printed
    assert "run `invoke build`" in printed


def test_a_folder_that_is_no_archive_is_not_replaced(settings: Settings, docker: Docker) -> None:
    mine = settings.root / "Gu2026-archive" / "mine"
    mine.parent.mkdir()
    mine.touch()

    with pytest.raises(UserError, match="exists and is not an archive"):
        archive.write_archive(settings, docker)
    assert mine.exists()


def test_an_engine_that_saves_no_oci_layout_is_named(
    settings: Settings, docker: Docker, images: dict[str, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyglass_export.publishing.provenance.images_as_tested", lambda *_, **__: images)
    (settings.root / "version").write_text("24.0.7")

    with pytest.raises(UserError, match=r"Docker Engine 24\.0\.7"):
        archive.write_archive(settings, docker)
    assert not list(settings.root.glob("*-archive*"))


def test_an_archive_that_cannot_be_finished_leaves_the_last_one(archived: Path, settings: Settings) -> None:
    before = (archived / "SHA256SUMS").read_bytes()
    program = DOCKER.replace('print("c0ffee")', 'sys.exit("no space left on device")')
    docker = docker_that_runs(settings.root, program)

    with pytest.raises(UserError, match="the disk is full"):
        archive.write_archive(settings, docker)

    assert (archived / "SHA256SUMS").read_bytes() == before
    assert [path.name for path in settings.root.glob("*-archive*")] == ["Gu2026-archive"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "images.tar.zst").write_bytes(b"x"), "is damaged"),
        (lambda folder: (folder / "images.tar.zst").unlink(), "is not an archive"),
        (lambda folder: (folder / "LICENSE").unlink(), "LICENSE is missing"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "has no SHA256SUMS"),
    ],
)
def test_a_damaged_archive_is_not_started(archived: Path, settings: Settings, damage: object, says: str) -> None:
    assert callable(damage)
    damage(archived)

    with pytest.raises(UserError, match=says):
        reader.load_archive(load(settings.root, {"DOCKER": os.devnull}), archived, dry=True)
