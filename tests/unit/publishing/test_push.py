"""What may be published, and what a push that fails says; `docker` is a small program that plays its part."""

import json
import sys
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker, login_arguments
from spyglass_export.containers.image import PUBLISHED, read_published
from spyglass_export.containers.labels import CREATED, REVISION
from spyglass_export.errors import UserError
from spyglass_export.export.manifest import Manifest
from spyglass_export.notebooks.files import HIDDEN_DATA, LEFT_OUT
from spyglass_export.publishing import provenance
from spyglass_export.publishing import push as publish
from spyglass_export.publishing.secrets import check_no_secret
from spyglass_export.settings import Settings, load

# Answers as docker does, from files: images by reference, and the error of a push.
DOCKER = """
import os, sys
arguments = sys.argv[1:]
with open("fake/calls", "a") as calls:
    calls.write(" ".join(arguments) + "\\n")
if arguments[:2] == ["image", "inspect"]:
    images = eval(open("fake/images").read())
    if arguments[2] not in images:
        sys.exit("Error: No such image")
    print(images[arguments[2]])
elif arguments[0] == "push":
    if os.path.exists("fake/error"):
        sys.exit(open("fake/error").read())
    print("latest: digest: sha256:" + "d" * 64 + " size: 1575")
elif arguments[0] == "login":
    sys.exit("Error: Cannot perform an interactive login from a non TTY device")
"""


def project(folder: Path, more: str = "", *, by_invoke: bool = True) -> tuple[Settings, Docker]:
    """A built paper: an export, a notebook, and images whose labels belong to them."""
    for name in ("notebooks", "export_data/sql/rows", "config", "docker", "fake"):
        (folder / name).mkdir(parents=True)
    (folder / ".env").write_text(f"PAPER_ID=Gu2026\nDOCKER_HUB_USER=lab\n{more}", encoding="utf-8")
    (folder / "notebooks" / "figure.ipynb").write_text("{}")
    Manifest("Gu2026", None, "e", "s", [], [], {}, []).write(folder / "export_data")
    (folder / "export_data" / "environment.yml").write_text("name: Gu2026\n")
    (folder / "export_data" / "sql" / "schema.sql").write_text("CREATE DATABASE x;\n")
    (folder / "fake" / "docker.py").write_text(DOCKER)
    settings = load(folder, {})
    images = {}
    for service, parts in provenance.ingredients(settings).items():
        labels = {f"spyglass-export.{part}": value for part, value in parts.items()}
        name = {"db": settings.db_image_name, "hub": settings.hub_image_name}[service]
        labels |= {CREATED: "2026-01-02T03:04:05Z", REVISION: "abc"}
        config = {"Labels": labels if by_invoke else None}
        image = {"Id": f"sha256:{service * 20}", "Config": config, "Os": "linux", "Architecture": "amd64"}
        images[f"{name}:latest"] = json.dumps([image])
    (folder / "fake" / "images").write_text(repr(images))
    return settings, Docker((sys.executable, "-I", "-S", str(folder / "fake" / "docker.py")), folder)


def calls(folder: Path) -> list[str]:
    return (folder / "fake" / "calls").read_text().splitlines()


def test_both_images_are_pushed_by_content_before_latest_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, docker = project(tmp_path)

    record = publish.push_images(settings, docker)

    assert [call for call in calls(tmp_path) if call.startswith("push")] == [
        "push lab/spyglass-db-gu2026:dbdbdbdbdbdb",
        "push lab/spyglass-hub-gu2026:hubhubhubhub",
        "push lab/spyglass-db-gu2026:latest",
        "push lab/spyglass-hub-gu2026:latest",
    ]
    assert record["db"].reference == f"lab/spyglass-db-gu2026@sha256:{'d' * 64}"
    assert read_published(settings) == record
    assert "anybody can guess" in capsys.readouterr().out


def test_passwords_are_told_of_before_the_first_push_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, docker = project(tmp_path)
    publish.push_images(settings, docker)
    capsys.readouterr()

    publish.push_images(settings, docker)

    assert "passwords" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "older"),
    [
        ("notebooks/figure.ipynb", "hub-gu2026 is older than notebooks/"),
        ("notebooks/new.ipynb", "hub-gu2026 is older than notebooks/"),
        ("export_data/environment.yml", "hub-gu2026 is older than export_data/"),
        ("export_data/sql/rows/a.b.sql", "db-gu2026 is older than export_data/"),
        ("export_data/manifest.json", "db-gu2026 is older than export_data/"),
        ("config/mysqld.cnf", "db-gu2026 is older than what it is built by"),
    ],
)
def test_images_older_than_what_the_folders_hold_are_refused(tmp_path: Path, changed: str, older: str) -> None:
    settings, docker = project(tmp_path)
    (tmp_path / changed).write_text("another")

    with pytest.raises(UserError, match=older) as error:
        publish.push_images(settings, docker)

    assert "invoke build" in error.value.hint
    assert not any(call.startswith("push") for call in calls(tmp_path))


def test_a_hub_with_sudo_is_not_for_readers(tmp_path: Path) -> None:
    settings, docker = project(tmp_path, "GRANT_SUDO=yes\n")

    with pytest.raises(UserError, match="GRANT_SUDO=yes") as error:
        publish.push_images(settings, docker)

    assert "GRANT_SUDO=no" in error.value.hint


@pytest.mark.parametrize(
    "ignored", [".ipynb_checkpoints/figure.ipynb", "executed/figure.ipynb", "__pycache__/x.pyc", ".DS_Store"]
)
def test_what_the_image_does_not_get_makes_it_no_older(tmp_path: Path, ignored: str) -> None:
    settings, docker = project(tmp_path)
    (settings.notebooks / ignored).parent.mkdir(exist_ok=True)
    (settings.notebooks / ignored).write_text("x")

    assert provenance.images_as_tested(settings, docker).keys() == {"db", "hub"}


def test_dockerignore_agrees_on_what_the_image_does_not_get() -> None:
    ignored = (Path(__file__).parents[3] / ".dockerignore").read_text().splitlines()

    assert [f"notebooks/**/{name}" for name in LEFT_OUT] == [one for one in ignored if one.startswith("notebooks/**/")]
    assert [f"!notebooks/**/{name}" for name in HIDDEN_DATA] == ignored[-len(HIDDEN_DATA) :]
    assert {f"**/{name}" for name in provenance.NOT_RECIPE - {"base"}} == {x for x in ignored if x.startswith("**/")}
    assert "notebooks/executed" in ignored


def test_the_clock_makes_an_image_no_older(tmp_path: Path) -> None:
    settings, docker = project(tmp_path)
    (settings.notebooks / "figure.ipynb").touch()

    assert provenance.images_as_tested(settings, docker).keys() == {"db", "hub"}


def test_a_build_of_the_same_keeps_time_and_revision_and_another_does_not(tmp_path: Path) -> None:
    settings, docker = project(tmp_path)

    same = provenance.add_labels(settings, docker).environment
    (settings.notebooks / "figure.ipynb").write_text("{ }")
    changed = provenance.add_labels(settings, docker).environment

    assert same["LABEL_HUB_CREATED"] == same["LABEL_DB_CREATED"] == "2026-01-02T03:04:05Z"
    assert same["LABEL_HUB_REVISION"] == "abc"
    assert changed["LABEL_HUB_CREATED"] > "2026-01-02T03:04:05Z"
    assert changed["LABEL_DB_CREATED"] == "2026-01-02T03:04:05Z"
    assert changed["LABEL_SPYGLASS_VERSION"] == "unknown"


@pytest.mark.parametrize("name", ["DANDI_API_KEY", "MYSQL_ROOT_PASSWORD", "JUPYTER_SERVER_APP_PASSWORD"])
def test_a_notebook_that_quotes_a_secret_is_not_published(tmp_path: Path, name: str) -> None:
    settings, _ = project(tmp_path, f"{name}=very-secret\n")
    (settings.notebooks / "figure.ipynb").write_text('{"key": "very-secret"}')

    with pytest.raises(UserError, match=rf"notebooks.figure.ipynb: the value of {name}") as error:
        check_no_secret(settings)

    assert "very-secret" not in error.value.what + error.value.hint


def test_a_name_without_registry_or_user_is_refused(tmp_path: Path) -> None:
    settings, docker = project(tmp_path, "DOCKER_HUB_USER=\n")

    with pytest.raises(UserError, match="has neither a registry nor a user") as error:
        publish.push_images(settings, docker)

    assert "DOCKER_HUB_USER" in error.value.hint


def test_images_that_are_not_built_yet(tmp_path: Path) -> None:
    settings, docker = project(tmp_path)
    (tmp_path / "fake" / "images").write_text("{}")

    with pytest.raises(UserError, match="there is no image of db and hub yet"):
        publish.push_images(settings, docker)


def test_images_of_plain_docker_compose_are_not_known_to_be_tested(tmp_path: Path) -> None:
    settings, docker = project(tmp_path, by_invoke=False)

    with pytest.raises(UserError, match="was not built by `invoke build`"):
        publish.push_images(settings, docker)


def test_a_push_that_breaks_off_changes_no_record(tmp_path: Path) -> None:
    settings, docker = project(tmp_path)
    (tmp_path / "fake" / "error").write_text("write tcp 127.0.0.1:5000: broken pipe")

    with pytest.raises(UserError, match=r"the push of lab/spyglass-db-gu2026:\w+ broke off: .*broken pipe") as error:
        publish.push_images(settings, docker)

    assert "again" in error.value.hint
    assert read_published(settings) == {}


@pytest.mark.parametrize(
    ("message", "login"),
    [
        ("no basic auth credentials", "docker.py login registry.lab:5000`"),
        ("denied: requested access to the resource is denied", "docker.py login`"),
        ("unauthorized: authentication required", "docker.py login`"),
    ],
)
def test_a_registry_that_asks_gets_docker_login_and_no_password_from_us(
    tmp_path: Path, message: str, login: str
) -> None:
    host = "registry.lab:5000/" if "5000" in login else ""
    settings, docker = project(tmp_path, f"DB_IMAGE_NAME={host}lab/db\nHUB_IMAGE_NAME={host}lab/hub\n")
    (tmp_path / "fake" / "error").write_text(message)

    with pytest.raises(UserError, match="was not logged in to") as error:
        publish.push_images(settings, docker)

    assert login in error.value.hint
    assert f"login {host.rstrip('/')}".strip() in calls(tmp_path)


def test_dry_shows_each_command_and_runs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, docker = project(tmp_path)

    publish.push_images(settings, Docker(docker.command, tmp_path, dry=True))

    printed = capsys.readouterr().out
    assert "push lab/spyglass-hub-gu2026:latest" in printed
    assert "anybody can guess" in printed
    assert not (tmp_path / "fake" / "calls").exists()
    assert read_published(settings) == {}


@pytest.mark.parametrize("text", ["", "{}", '{"db": {}, "hub": {}}', "[]"])
def test_a_damaged_record_is_an_error(tmp_path: Path, text: str) -> None:
    settings, _ = project(tmp_path)
    (tmp_path / PUBLISHED).write_text(text)

    with pytest.raises(UserError, match=r"published\.json is damaged"):
        read_published(settings)


def test_a_record_under_other_names_is_not_this_papers(tmp_path: Path) -> None:
    settings, docker = project(tmp_path)
    publish.push_images(settings, docker)

    assert read_published(load(tmp_path, {"DOCKER_HUB_USER": "another"})) == {}


@pytest.mark.parametrize(
    "address",
    [
        "https://conda.anaconda.org/t/ab-123-secret/lab",
        "tool @ git+https://ghp_SECRET@github.com/lab/tool@3f2c1d9",
        "--extra-index-url https://user:word@index.example.org/simple",
    ],
)
def test_an_environment_with_a_credential_is_not_published(tmp_path: Path, address: str) -> None:
    settings, _ = project(tmp_path)
    (settings.export_data / "environment.yml").write_text(f"name: Gu2026\ndependencies:\n- pip:\n  - {address}\n")

    with pytest.raises(UserError, match=r"environment\.yml, line 4: a"):
        check_no_secret(settings)


@pytest.mark.parametrize(
    "address", ["tool @ git+https://github.com/lab/tool@3f2c1d9", "git+ssh://git@github.com/lab/tool"]
)
def test_a_public_address_is_published(tmp_path: Path, address: str) -> None:
    settings, _ = project(tmp_path)
    (settings.export_data / "environment.yml").write_text(f"dependencies:\n- pip:\n  - {address}\n")

    check_no_secret(settings)


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        ("lab/hub:latest", ("login",)),
        ("localhost/hub", ("login", "localhost")),
        ("127.0.0.1:5000/lab/hub@sha256:0", ("login", "127.0.0.1:5000")),
        ("ghcr.io/lab/hub", ("login", "ghcr.io")),
    ],
)
def test_docker_logs_in_to_the_registry_of_an_image(image: str, arguments: tuple[str, ...]) -> None:
    assert login_arguments(image) == arguments
