"""Settings: each is declared once; .env and the process environment give them values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from io import StringIO
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from string import Template
from typing import Any, Literal, cast

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from spyglass_export import setting_kinds as kinds
from spyglass_export.errors import UserError
from spyglass_export.setting_kinds import Given, Parser, T

Recipient = Literal["compose", "reader", "hub"]
# Who gets a setting: `compose`, to build and run the author's images; `reader`, in the bundle; `hub`, in JupyterLab's
# container.
EVERYWHERE: tuple[Recipient, ...] = ("compose", "reader", "hub")
BOTH_STACKS: tuple[Recipient, ...] = ("compose", "reader")
AUTHORS_HUB: tuple[Recipient, ...] = ("compose", "hub")
AUTHORS: tuple[Recipient, ...] = ("compose",)
READERS: tuple[Recipient, ...] = ("reader",)


@dataclass(frozen=True)
class Declaration:
    """All there is to know of a setting.

    ``${NAME}`` in a default is the text of a setting above it. ``secret`` values reach no image and no bundle.
    """

    help: str
    parse: Parser[Any]
    default: str = ""
    to: tuple[Recipient, ...] = ()
    may_be_empty: bool = False
    secret: bool = False

    def fill(self, texts: Mapping[str, str]) -> str:
        """Give the default, with the texts of other settings filled in."""
        return Template(self.default).safe_substitute(texts, paper_id=texts.get("PAPER_ID", "").lower())


def setting(help_text: str, parse: Parser[T], default: str = "", **more: Any) -> T:
    """Declare a setting; all else that knows of settings follows from it."""
    return cast(T, field(metadata={"declaration": Declaration(help_text, parse, default, **more)}))


@dataclass(frozen=True)
class Settings:
    """What `.env` and the process environment say, by names in lower case, checked and with defaults filled in."""

    root: Path
    paper_id: str = setting(
        "The paper's ID, as in Spyglass: names the conda environment, images and volumes",
        kinds.paper_name,
        to=EVERYWHERE,
    )
    docker_hub_user: str = setting(
        "Your Docker Hub user or organisation; needed only to publish",
        kinds.matching(r"[a-z0-9]+([._-]+[a-z0-9]+)*", "Docker Hub's names are in lower case; correct it in .env"),
    )
    spyglass_base_dir: Path = setting(
        "Spyglass' base directory on this machine; only used to find the export", kinds.path
    )
    spyglass_paper_dir: Path = setting(
        "The folder that Spyglass' Export wrote", kinds.path, "${SPYGLASS_BASE_DIR}/export/${PAPER_ID}"
    )
    bind_address: IPv4Address | IPv6Address = setting(
        "The address both ports listen on; 127.0.0.1 is this machine alone", kinds.address, "127.0.0.1", to=EVERYWHERE
    )
    hub_port: int = setting(
        "JupyterLab's port on this machine; `auto` finds a free one and keeps it", kinds.port, "8888", to=EVERYWHERE
    )
    db_port: int = setting(
        "MySQL's port on this machine; `auto` finds a free one and keeps it", kinds.port, "3306", to=BOTH_STACKS
    )
    jupyter_server_app_password: str = setting(
        "The password of JupyterLab; choose your own before you let others in",
        kinds.any_text,
        "${PAPER_ID}",
        to=EVERYWHERE,
        secret=True,
    )
    mysql_root_password: str = setting(
        "The password of MySQL's root and of MYSQL_USER; choose your own before you let others in",
        kinds.password,
        "${PAPER_ID}",
        to=EVERYWHERE,
        secret=True,
    )
    mysql_user: str = setting("The MySQL user that DataJoint connects as", kinds.any_text, "root", to=AUTHORS_HUB)
    mysql_host: str = setting("The database's host name as the hub sees it", kinds.any_text, "db", to=AUTHORS_HUB)
    mysql_root_host: str = setting("From which hosts MySQL lets root in; % is any", kinds.any_text, "%", to=AUTHORS)
    dj_support_filepath_management: str = setting(
        "DataJoint's switch for file paths; Spyglass needs TRUE", kinds.any_text, "TRUE", to=EVERYWHERE
    )
    spyglass_data_dir: Path | None = setting(
        "A folder with NWB files to mount at /home/jovyan/data", kinds.existing_path, to=BOTH_STACKS
    )
    hub_shm_size: str = setting(
        "Shared memory of the hub, for code that works in several processes, such as 512m or 2g",
        # https://docs.docker.com/reference/compose-file/extension/#specifying-byte-values
        kinds.matching(r"[1-9]\d*[bkmg]b?", "write it as a number and its unit, such as 512m or 2g, in .env"),
        "1g",
        to=BOTH_STACKS,
    )
    dandiset_version: str = setting(
        "The version of the Dandiset that Spyglass streams from; the latest when empty",
        # https://docs.dandiarchive.org/user-guide-sharing/publishing-dandisets/
        kinds.matching(r"\d+\.\d+\.\d+|draft", "copy it from the Dandiset's page, such as 0.220913.1400"),
        to=EVERYWHERE,
    )
    dandi_api_key: str = setting(
        "A DANDI API key, given to the running hub and to nothing else", kinds.any_text, to=AUTHORS_HUB, secret=True
    )
    grant_sudo: bool = setting("yes gives sudo in the hub: for debugging only", kinds.yes_or_no, "no")
    hub_image_name: str = setting(
        "Name of the hub's image, without tag", kinds.image_name, "spyglass-hub-${paper_id}", to=BOTH_STACKS
    )
    db_image_name: str = setting(
        "Name of the database's image, without tag", kinds.image_name, "spyglass-db-${paper_id}", to=BOTH_STACKS
    )
    hub_image: str = setting(
        "The hub's image that `invoke run` starts; the published one when empty", kinds.any_text, to=READERS
    )
    db_image: str = setting("The database's image that `invoke run` starts; likewise", kinds.any_text, to=READERS)
    hub_base_image: str = setting(
        "What the hub's image is built on", kinds.any_text, "quay.io/jupyter/base-notebook:python-3.12", to=AUTHORS
    )
    db_base_image: str = setting("What the database's image is built on", kinds.any_text, "mysql:9.7", to=AUTHORS)
    hub_apt_packages: str = setting(
        "Debian packages of the hub; fewer build faster, none is an empty value",
        kinds.any_text,
        "git ffmpeg libsm6 libxext6 libgl1 libglib2.0-0 build-essential g++",  # of Spyglass' position pipeline
        to=AUTHORS,
        may_be_empty=True,
    )
    env_exclude: tuple[str, ...] = setting("Packages to leave out of the environment, by name or pattern", kinds.words)
    ca_bundle: Path | None = setting(
        "A file of CA certificates, for builds behind a proxy that re-signs TLS", kinds.existing_path, to=BOTH_STACKS
    )
    docker: tuple[str, ...] = setting(
        "How to call Docker, e.g. `sudo docker` on a shared server", kinds.command, "docker"
    )

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
        host = _as_text(self.bind_address)
        local = host in ("127.0.0.1", "[::1]") or self.bind_address.is_unspecified
        return f"http://{'localhost' if local else host}:{self.hub_port}/lab"


DECLARED: Mapping[str, Declaration] = {
    one.name.upper(): one.metadata["declaration"] for one in fields(Settings) if one.metadata
}


def variables(settings: Settings, recipient: Recipient) -> dict[str, str]:
    """Give the settings that a recipient gets, as environment variables."""
    given = (name for name, declaration in DECLARED.items() if recipient in declaration.to)
    return {name: _as_text(getattr(settings, name.lower())) for name in given}


def _as_text(value: object) -> str:
    """Write a value as compose files take it: nothing for None, an IPv6 address in brackets before its port."""
    if isinstance(value, IPv6Address):
        return f"[{value}]"
    return "" if value is None else str(value)


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


def lines_of(env_file: Path) -> list[tuple[int, Binding]]:
    """The lines of .env as python-dotenv reads them, each with its number; a line may go over several."""
    read = parse_stream(StringIO(env_file.read_text(encoding="utf-8-sig", errors="replace")))
    texts = ((line, line.original.string) for line in read)
    return [(line.original.line + len(text) - len(text.lstrip("\n")), line) for line, text in texts]


def unreadable_lines(env_file: Path) -> list[UserError]:
    """Give a problem for each line that python-dotenv would leave out with no more than a warning."""
    hint = "write it as NAME=value; quote a value that holds quotes"
    return [
        UserError(f"line {number} of .env cannot be read: {line.original.string.strip()[:40]!r}", hint)
        for number, line in (lines_of(env_file) if env_file.is_file() else ())
        if line.error
    ]


def examine(root: Path, environment: Mapping[str, str]) -> tuple[Settings | None, dict[str, UserError]]:
    """Do as ``load``, but give every value's problem, by its setting's name; Settings where there is none.

    Raises UserError where there is no `.env` or it cannot be read.
    """
    env_file = root / ".env"
    if not env_file.is_file():
        hint = "run `invoke bootstrap`, or copy env.example to .env; as it stands it runs the example paper"
        raise UserError(f"no .env in {root}", hint)
    try:
        given = {name: value or "" for name, value in dotenv_values(env_file, encoding="utf-8-sig").items()}
    except UnicodeDecodeError as error:
        what = f"{env_file} is not UTF-8 text: {error.reason} at byte {error.start}"
        raise UserError(what, "save it as UTF-8") from error
    if not (root / "docker-compose.yml").is_file() and given.get("DOCKER") != "podman":
        given.pop("DOCKER", None)  # a bundle, which somebody else wrote, shall not say what runs here
    given |= {name: environment[name] for name in DECLARED if name in environment}

    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    problems: dict[str, UserError] = {}
    for name, declaration in DECLARED.items():
        text = given.get(name, "").strip()
        if not text and not (name in given and declaration.may_be_empty):
            text = declaration.fill(texts)
        texts[name] = text
        try:
            if any(character in text for character in "\0\r\n"):
                raise UserError(f"{name} holds more than one line", f"give {name} as one line in .env")
            values[name.lower()] = declaration.parse(text, Given(name, root, values))
        except UserError as problem:
            problems[name] = problem
    return (None if problems else Settings(root=root, **values)), problems
