"""Base images, on a program that answers as Docker does where registries are reached by a mirror or a proxy."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_export.containers.bootstrap import STAND_INS, ensure_base_images, ensure_engine, make_env_file
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.faults import NotRunning
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings, load
from tests.unit.docker_program import docker_that_runs


def engine(folder: Path, *, own_road: str, pulls: bool) -> tuple[Settings, Docker]:
    """An engine without images; nothing listens where the registry of both base images should."""
    for name in ("docker/base", "notebooks"):
        (folder / name).mkdir(parents=True)
    (folder / "docker" / "with_ca_bundle.sh").touch()
    (folder / ".env").write_text("PAPER_ID=a\nDB_BASE_IMAGE=127.0.0.1:9/db\nHUB_BASE_IMAGE=127.0.0.1:9/hub\n")
    program = (
        "import sys\n"
        f"if sys.argv[1] == 'info': print({own_road!r})\n"
        f"elif not (sys.argv[1] == 'pull' and {pulls}): sys.exit('not here')\n"
        "else: open('pulled', 'a').write(sys.argv[2] + '\\n')\n"
    )
    return load(folder, {}), docker_that_runs(folder, program)


def test_a_registry_that_docker_alone_reaches_is_asked_by_docker(tmp_path: Path) -> None:
    settings, docker = engine(tmp_path, own_road="https://mirror.example/", pulls=True)

    ensure_base_images(settings, docker)

    assert (tmp_path / "pulled").read_text().split() == ["127.0.0.1:9/db", "127.0.0.1:9/hub"]


@pytest.mark.parametrize(("own_road", "pulls"), [("http://proxy.example:3128", False), ("", True)])
def test_a_registry_that_nobody_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_road: str, pulls: bool
) -> None:
    monkeypatch.setattr("spyglass_export.containers.bootstrap._debian_release", lambda: None)
    settings, docker = engine(tmp_path, own_road=own_road, pulls=pulls)

    with pytest.raises(UserError, match=r"no answer from the registry of 127\.0\.0\.1:9/db and 127\.0\.0\.1:9/hub"):
        ensure_base_images(settings, docker)


@pytest.mark.parametrize(("platform", "owner_is_written"), [("linux", True), ("darwin", False), ("win32", False)])
def test_env_names_the_owner_of_notebooks_where_docker_maps_no_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, owner_is_written: bool
) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "env.example").write_text("PAPER_ID=example\n")
    monkeypatch.setattr(sys, "platform", platform)

    make_env_file(tmp_path)

    assert (tmp_path / ".env").read_bytes().startswith(b"PAPER_ID=example\n")
    assert ("HOST_UID=" in (tmp_path / ".env").read_text()) is owner_is_written


@pytest.mark.parametrize(
    ("platform", "hint"),
    [
        ("darwin", "install and start Docker Desktop"),
        ("win32", "install and start Docker Desktop"),
        ("linux", "install Docker Engine 23 or newer"),
    ],
)
def test_who_has_no_docker_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, hint: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("spyglass_export.containers.bootstrap._debian_release", lambda: None)

    with pytest.raises(UserError, match="there is no program `no-such-docker`") as error:
        ensure_engine(Docker(("no-such-docker",), tmp_path))

    assert error.value.hint.startswith(hint)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_who_has_not_started_docker_desktop_is_not_told_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("spyglass_export.containers.bootstrap._debian_release", lambda: None)
    program = "import sys; sys.exit('Cannot connect to the Docker daemon at unix:///x.sock.')"

    with pytest.raises(NotRunning) as error:
        ensure_engine(docker_that_runs(tmp_path, program))

    assert error.value.hint.startswith("start Docker Desktop")


def test_a_stand_in_that_only_debian_builds_is_named_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, docker = engine(tmp_path, own_road="", pulls=False)
    monkeypatch.setattr("spyglass_export.containers.bootstrap._debian_release", lambda: None)
    db, hub = (STAND_INS[name][0] for name in ("DB_BASE_IMAGE", "HUB_BASE_IMAGE"))

    with pytest.raises(UserError, match=r"the stand-ins .*mysql.* and .*base-notebook.* are built on Debian, as root"):
        ensure_base_images(replace(settings, db_base_image=db, hub_base_image=hub), docker)
