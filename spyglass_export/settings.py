"""One frozen Settings, read from .env and overridden by the process environment."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from spyglass_export.errors import UserError

POSITION_PIPELINE_PACKAGES = "git ffmpeg libsm6 libxext6 libgl1 libglib2.0-0 build-essential g++"

# Compose normalises a project's name and Docker an image's in ways that differ for other characters, so
# that two papers could end up with one name. Spyglass itself keeps a paper's ID to 32 characters.
PAPER_ID = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
# Conda's own environment, and the kernel of the base image.
TAKEN_NAMES = ("base", "python3")
# https://pkg.go.dev/github.com/distribution/reference: [host[:port]/]path, without tag or digest.
IMAGE_NAME = re.compile(r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
# https://docs.dandiarchive.org/user-guide-sharing/publishing-dandisets/
DANDISET_VERSION = re.compile(r"\d+\.\d+\.\d+|draft")
DOCKER_HUB_USER = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*")


def _setting(help_text: str, default: str = "", *, may_be_empty: bool = False) -> Any:
    return field(metadata={"help": help_text, "default": default, "may_be_empty": may_be_empty})


@dataclass(frozen=True)
class Settings:
    """What `.env` and the process environment say, checked and with every default filled in.

    A field's name in capitals is the setting's name. ``${NAME}`` in a default is the value of a setting
    above it. Relative paths count from the project's folder, ``root``. A port that is 0 was `auto`:
    `ports.settle` gives it its number.
    """

    root: Path
    paper_id: str = _setting("The paper's ID, as in Spyglass: names the conda environment, images and volumes")
    docker_hub_user: str = _setting("Your Docker Hub user or organisation; needed only to publish")
    spyglass_base_dir: Path = _setting("Spyglass' base directory on this machine; only used to find the export")
    spyglass_paper_dir: Path = _setting(
        "The folder that Spyglass' Export wrote", "${SPYGLASS_BASE_DIR}/export/${PAPER_ID}"
    )
    spyglass_data_dir: Path | None = _setting("A folder with NWB files to mount at /home/jovyan/data")
    jupyter_server_app_password: str = _setting("The password of JupyterLab", "${PAPER_ID}")
    mysql_user: str = _setting("The MySQL user that DataJoint connects as", "root")
    mysql_host: str = _setting("The database's host name as the hub sees it", "db")
    mysql_root_password: str = _setting("The password of MySQL's root and of MYSQL_USER", "${PAPER_ID}")
    mysql_root_host: str = _setting("From which hosts MySQL lets root in; % is any", "%")
    dj_support_filepath_management: str = _setting("DataJoint's switch for file paths; Spyglass needs TRUE", "TRUE")
    hub_image_name: str = _setting("Name of the hub's image, without tag", "spyglass-hub-${paper_id}")
    db_image_name: str = _setting("Name of the database's image, without tag", "spyglass-db-${paper_id}")
    grant_sudo: bool = _setting("yes gives sudo in the hub: for debugging only", "no")
    dandi_api_key: str = _setting("A DANDI API key, given to the running hub and to nothing else")
    dandiset_version: str = _setting("The version of the Dandiset that Spyglass streams from; the latest when empty")
    hub_port: int = _setting("JupyterLab's port on this machine; `auto` finds a free one and keeps it", "8888")
    db_port: int = _setting("MySQL's port on this machine; `auto` finds a free one and keeps it", "3306")
    bind_address: str = _setting("The address both ports listen on; 127.0.0.1 is this machine alone", "127.0.0.1")
    hub_base_image: str = _setting("What the hub's image is built on", "quay.io/jupyter/base-notebook:python-3.12")
    db_base_image: str = _setting("What the database's image is built on", "mysql:9.7")
    hub_apt_packages: str = _setting(
        "Debian packages of the hub; fewer build faster, none is an empty value",
        POSITION_PIPELINE_PACKAGES,
        may_be_empty=True,
    )
    env_exclude: tuple[str, ...] = _setting("Packages to leave out of the environment, by name or pattern")
    ca_bundle: Path | None = _setting("A file of CA certificates, for builds behind a proxy that re-signs TLS")
    docker: tuple[str, ...] = _setting("How to call Docker, e.g. `sudo docker` on a shared server", "docker")

    @property
    def project(self) -> str:
        """The Docker Compose project: prefix of the names of containers, networks and volumes."""
        return f"spyglass-{self.paper_id.lower()}"

    @property
    def notebooks(self) -> Path:
        """The folder of the paper's notebooks."""
        return self.root / "notebooks"

    @property
    def export_data(self) -> Path:
        """The folder that `copy_files` writes and the images are built from."""
        return self.root / "export_data"

    @property
    def url(self) -> str:
        """Where JupyterLab answers; an address that means "all of them" is shown as localhost."""
        local = self.bind_address in ("127.0.0.1", "0.0.0.0", "::", "::1")  # noqa: S104 - compared, not bound
        return f"http://{'localhost' if local else self.bind_host}:{self.hub_port}/lab"

    @property
    def bind_host(self) -> str:
        """The bind address as it stands before a port: IPv6 in brackets."""
        return f"[{self.bind_address}]" if ":" in self.bind_address else self.bind_address


def load(root: Path, environment: Mapping[str, str]) -> Settings:
    """Read ``root/.env``, let ``environment`` override it, fill in the defaults and check every value.

    Raises UserError where there is no `.env` or a value cannot be right.
    """
    for problem in unreadable_lines(root / ".env"):
        raise problem
    settings, problems = examine(root, environment)
    if settings is None:
        raise next(iter(problems.values()))
    return settings


def unreadable_lines(env_file: Path) -> list[UserError]:
    """Give a problem for each line that python-dotenv would leave out with no more than a warning."""
    if not env_file.is_file():
        return []
    problems = []
    for line in parse_stream(StringIO(env_file.read_text(encoding="utf-8-sig", errors="replace"))):
        if line.error:
            text = line.original.string
            number = line.original.line + len(text) - len(text.lstrip("\n"))
            problems.append(
                UserError(
                    f"line {number} of .env cannot be read: {text.strip()[:40]!r}",
                    "write it as NAME=value; quote a value that holds quotes",
                )
            )
    return problems


def examine(root: Path, environment: Mapping[str, str]) -> tuple[Settings | None, dict[str, UserError]]:
    """Do as ``load``, but give every value's problem, by its setting's name; Settings where there is none.

    Raises UserError where there is no `.env` or it cannot be read.
    """
    env_file = root / ".env"
    if not env_file.is_file():
        raise UserError(
            f"no .env in {root}",
            "run `invoke bootstrap`, or copy env.example to .env; as it stands it runs the example paper",
        )
    try:
        given = {name: value or "" for name, value in dotenv_values(env_file, encoding="utf-8-sig").items()}
    except UnicodeDecodeError as error:
        raise UserError(
            f"{env_file} is not UTF-8 text: {error.reason} at byte {error.start}", "save it as UTF-8"
        ) from error
    known = [setting for setting in fields(Settings) if setting.metadata]
    given |= {name: environment[name] for name in (s.name.upper() for s in known) if name in environment}

    texts: dict[str, str] = {}
    problems: dict[str, UserError] = {}
    for setting in known:
        name, may_be_empty = setting.name.upper(), setting.metadata["may_be_empty"]
        text = given.get(name, "").strip()
        if not text and not (name in given and may_be_empty):
            text = Template(setting.metadata["default"]).safe_substitute(
                texts, paper_id=texts.get("PAPER_ID", "").lower()
            )
        if any(character in text for character in "\0\r\n"):
            problems[name] = UserError(f"{name} holds more than one line", f"give {name} as one line in .env")
        texts[name] = text
    values = {}
    for setting in known:
        name = setting.name.upper()
        try:
            values[setting.name] = _parse(name, texts, root)
        except UserError as problem:
            problems.setdefault(name, problem)
    return (None if problems else Settings(root=root, **values)), problems


def _parse(name: str, texts: Mapping[str, str], root: Path) -> Any:
    """Turn a setting's text into its value, or raise a UserError that says what it should look like."""
    text = texts[name]
    match name:
        case "PAPER_ID":
            if not PAPER_ID.fullmatch(text) or len(text) > 32 or text.lower() in TAKEN_NAMES:
                raise UserError(
                    f"PAPER_ID {text!r} is not valid" if text else "PAPER_ID is not set",
                    "use up to 32 letters and digits with single - or _ between them, such as Gu2026, in .env",
                )
            return text
        case "SPYGLASS_BASE_DIR" | "SPYGLASS_PAPER_DIR":
            return root / Path(text).expanduser()
        case "SPYGLASS_DATA_DIR" | "CA_BUNDLE":
            path = root / Path(text).expanduser() if text else None
            if path and not path.exists():
                raise UserError(f"{name} does not exist: {path}", f"correct {name} in .env, or leave it empty")
            return path
        case "HUB_PORT" | "DB_PORT":
            if text == "auto":
                return 0
            if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
                raise UserError(
                    f"{name} {text!r} is no port", f"set {name} to a number from 1 to 65535, or to auto, in .env"
                )
            if name == "DB_PORT" and text == texts["HUB_PORT"]:
                raise UserError(f"HUB_PORT and DB_PORT are both {text}", "give them different ports in .env")
            return int(text)
        case "BIND_ADDRESS":
            try:
                return str(ip_address(text))
            except ValueError as error:
                raise UserError(
                    f"BIND_ADDRESS {text!r} is no IP address",
                    "use 127.0.0.1 for this machine alone, or an address of this machine",
                ) from error
        case "MYSQL_ROOT_PASSWORD" if not text.isascii():
            # PyMySQL, and so DataJoint, sends it in latin1, and is not let in.
            raise UserError("MYSQL_ROOT_PASSWORD has a character that is not ASCII", "use letters, digits and signs")
        case "DOCKER_HUB_USER":
            if text and not DOCKER_HUB_USER.fullmatch(text):
                raise UserError(
                    f"DOCKER_HUB_USER {text!r} is not valid", "Docker Hub's names are in lower case; see .env"
                )
            return text
        case "HUB_IMAGE_NAME" | "DB_IMAGE_NAME":
            user = texts["DOCKER_HUB_USER"]
            image = f"{user}/{text}" if user and "/" not in text else text
            if not IMAGE_NAME.fullmatch(image):
                raise UserError(
                    f"{name} {text!r} is no image name",
                    "use lower case letters, digits and . _ - / (and a registry's host before the first /), no tag",
                )
            return image
        case "DANDISET_VERSION":
            if text and not DANDISET_VERSION.fullmatch(text):
                raise UserError(
                    f"DANDISET_VERSION {text!r} is no version of a Dandiset",
                    "copy it from the Dandiset's page, such as 0.220913.1400, or leave it empty for the latest",
                )
            return text
        case "GRANT_SUDO":
            if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
                raise UserError(f"GRANT_SUDO {text!r} is neither yes nor no", "set GRANT_SUDO=no in .env")
            return text.lower() in ("yes", "true", "1")
        case "ENV_EXCLUDE":
            return tuple(text.replace(",", " ").split())
        case "DOCKER":
            try:
                return tuple(shlex.split(text))
            except ValueError as error:
                raise UserError(f"DOCKER {text!r} is no command: {error}", "set DOCKER=docker in .env") from error
        case _:
            return text
