"""`.env` and the process environment become one Settings."""

import re
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml

from spyglass_export.errors import UserError
from spyglass_export.settings import DECLARED, Settings, load, variables

ROOT = Path(__file__).resolve().parents[2]


def settings_of(folder: Path, text: str, **environment: str) -> Settings:
    (folder / ".env").write_text(text, encoding="utf-8")
    return load(folder, environment)


def test_a_paper_needs_nothing_but_its_id(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "PAPER_ID=Gu2026\nSPYGLASS_BASE_DIR=/lab/spyglass\n")

    assert settings.spyglass_paper_dir == Path("/lab/spyglass/export/Gu2026")
    assert settings.jupyter_server_app_password == "Gu2026"
    assert settings.project == "spyglass-gu2026"
    assert settings.hub_image_name == "spyglass-hub-gu2026"
    assert settings.url == "http://localhost:8888/lab"
    assert settings.bind_address == ip_address("127.0.0.1")


def test_the_process_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "PAPER_ID=one\nHUB_PORT=8888\n", PAPER_ID="two", HUB_PORT="9000")

    assert (settings.paper_id, settings.hub_port) == ("two", 9000)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SPYGLASS_PAPER_DIR=/lab/export/  # the trailing slash and this comment do no harm", "/lab/export"),
        ("SPYGLASS_PAPER_DIR='/lab/été 2026/export'", "/lab/été 2026/export"),
        ("export SPYGLASS_PAPER_DIR=/lab/export", "/lab/export"),
        ("LAB=/lab\nSPYGLASS_PAPER_DIR=${LAB}/export", "/lab/export"),
    ],
)
def test_a_folder_is_read_as_people_write_it(tmp_path: Path, line: str, expected: str) -> None:
    assert settings_of(tmp_path, f"PAPER_ID=a\n{line}\n").spyglass_paper_dir == Path(expected)


def test_relative_folders_count_from_the_project(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "PAPER_ID=a\nSPYGLASS_BASE_DIR=examples\n").spyglass_paper_dir == (
        tmp_path / "examples" / "export" / "a"
    )


def test_a_file_saved_by_windows_notepad_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPAPER_ID=a\r\nHUB_PORT=9000\r\n")

    assert load(tmp_path, {}).hub_port == 9000


def test_no_apt_package_is_a_choice_and_not_the_default(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "PAPER_ID=a\nHUB_APT_PACKAGES=\n").hub_apt_packages == ""
    assert "ffmpeg" in settings_of(tmp_path, "PAPER_ID=a\n").hub_apt_packages


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("DOCKER_HUB_USER=franklab", "franklab/spyglass-hub-a"),
        ("DOCKER_HUB_USER=franklab\nHUB_IMAGE_NAME=mine", "franklab/mine"),
        ("DOCKER_HUB_USER=franklab\nHUB_IMAGE_NAME=ghcr.io/lab/mine", "ghcr.io/lab/mine"),
        ("HUB_IMAGE_NAME=127.0.0.1:5000/mine", "127.0.0.1:5000/mine"),
    ],
)
def test_images_are_named_for_docker_hub_or_any_other_registry(tmp_path: Path, line: str, image: str) -> None:
    assert settings_of(tmp_path, f"PAPER_ID=a\n{line}\n").hub_image_name == image


def test_docker_may_need_sudo_but_not_because_a_bundle_says_so(tmp_path: Path) -> None:
    assert settings_of(tmp_path, 'PAPER_ID=a\nDOCKER="sudo docker"\n').docker == ("docker",)
    assert settings_of(tmp_path, "PAPER_ID=a\nDOCKER=/tmp/podman\n").docker == ("docker",)
    assert settings_of(tmp_path, "PAPER_ID=a\nDOCKER=podman\n").docker == ("podman",)
    (tmp_path / "docker-compose.yml").touch()  # a bundle has nothing to build
    assert settings_of(tmp_path, 'PAPER_ID=a\nDOCKER="sudo docker"\n').docker == ("sudo", "docker")


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("", "PAPER_ID is not set"),
        ("PAPER_ID=a\n\nMYSQL_ROOT_PASSWORD='it's'", "line 3 of .env cannot be read: \"MYSQL_ROOT_PASSWORD='it's'\""),
        ("PAPER_ID=Gu 2026", "PAPER_ID 'Gu 2026' is not valid"),
        ("PAPER_ID=../x", "PAPER_ID '../x' is not valid"),
        ("PAPER_ID=-x", "PAPER_ID '-x' is not valid"),
        ("PAPER_ID=a\nMYSQL_ROOT_PASSWORD=né", "MYSQL_ROOT_PASSWORD has a character that is not ASCII"),
        ("PAPER_ID=base", "PAPER_ID 'base' is not valid"),
        (f"PAPER_ID={'x' * 33}", f"PAPER_ID '{'x' * 33}' is not valid"),
        ("PAPER_ID=a\nHUB_PORT=88888", "HUB_PORT '88888' is not a port"),
        ("PAPER_ID=a\nDB_PORT=mysql", "DB_PORT 'mysql' is not a port"),
        ("PAPER_ID=a\nDB_PORT=8888", "HUB_PORT and DB_PORT are both 8888"),
        ("PAPER_ID=a\nBIND_ADDRESS=localhost", "BIND_ADDRESS 'localhost' is not an IP address"),
        ("PAPER_ID=a\nDOCKER_HUB_USER=Frank Lab", "DOCKER_HUB_USER 'Frank Lab' is not valid"),
        ("PAPER_ID=a\nHUB_IMAGE_NAME=Hub:latest", "HUB_IMAGE_NAME 'Hub:latest' is not an image's name"),
        ("PAPER_ID=a\nGRANT_SUDO=maybe", "GRANT_SUDO 'maybe' is neither yes nor no"),
        ('PAPER_ID=a\nMYSQL_ROOT_PASSWORD="two\nlines"', "MYSQL_ROOT_PASSWORD holds more than one line"),
    ],
)
def test_a_value_that_cannot_be_right_is_named(tmp_path: Path, lines: str, what: str) -> None:
    with pytest.raises(UserError) as error:
        settings_of(tmp_path, lines)

    assert error.value.what == what
    assert error.value.hint


def test_without_env_file_the_hint_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.env in") as error:
        load(tmp_path, {})

    assert "invoke bootstrap" in error.value.hint


def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="SPYGLASS_DATA_DIR does not exist"):
        settings_of(tmp_path, "PAPER_ID=a\nSPYGLASS_DATA_DIR=nowhere\n")


def test_env_example_runs_the_example_paper(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, (ROOT / "env.example").read_text(encoding="utf-8"))

    assert (ROOT / settings.spyglass_paper_dir.relative_to(tmp_path) / "environment.yml").is_file()


# A variable of compose: its name, and what it is without a value.
VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?+]([^{}]*))?")


def used_in(*files: str) -> set[str]:
    """The settings that compose files use."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    return {name for name, _ in VARIABLE.findall(text) if name in DECLARED}


def declared_for(recipient: str) -> set[str]:
    return {name for name, declaration in DECLARED.items() if recipient in declaration.to}


def test_compose_files_use_the_settings_that_are_declared_for_them() -> None:
    assert used_in("docker-compose.yml", "docker/compose.data.yml") == declared_for("compose")
    # Its user is in the names of images that a reader gets.
    assert used_in("docker-compose-collab.yml") - {"DOCKER_HUB_USER"} == declared_for("reader")


def test_the_hub_gets_the_settings_that_are_declared_for_it() -> None:
    hub = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["hub"]["environment"]

    assert {name for value in hub.values() for name, _ in VARIABLE.findall(value)} == declared_for("hub")


def test_compose_alone_falls_back_to_the_declared_defaults() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    fallbacks = {name: value for name, value in VARIABLE.findall(text) if name in DECLARED and value}
    del fallbacks["PAPER_ID"], fallbacks["CA_BUNDLE"]  # an error message; an empty file, since compose needs one

    assert {"HUB_PORT", "DB_BASE_IMAGE", "HUB_APT_PACKAGES"} <= set(fallbacks)
    for name, value in fallbacks.items():
        assert value == DECLARED[name].default or "$" in DECLARED[name].default


def test_env_example_has_every_setting() -> None:
    text = (ROOT / "env.example").read_text(encoding="utf-8")

    assert set(re.findall(r"^#? ?([A-Z_]+)=", text, re.MULTILINE)) == set(DECLARED)


def test_what_compose_gets_is_text_that_it_can_use(tmp_path: Path) -> None:
    given = variables(settings_of(tmp_path, "PAPER_ID=a\nBIND_ADDRESS=::1\nDB_PORT=3307\n"), "compose")

    assert (given["BIND_ADDRESS"], given["DB_PORT"], given["CA_BUNDLE"]) == ("[::1]", "3307", "")
