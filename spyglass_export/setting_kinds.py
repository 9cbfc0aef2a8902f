"""Kinds of settings: how the text in .env becomes a value, or a UserError that says what it should look like."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeVar

from spyglass_export.errors import UserError

# Compose normalises a project's name and Docker an image's in ways that differ for other characters, so
# that two papers could end up with one name. Spyglass itself keeps a paper's ID to 32 characters.
PAPER_ID = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
# Conda's own environment, and the kernel of the base image.
TAKEN_NAMES = ("base", "python3")
# https://pkg.go.dev/github.com/distribution/reference: [host[:port]/]path, without tag or digest.
IMAGE_NAME = re.compile(r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")

T = TypeVar("T")


@dataclass(frozen=True)
class Given:
    """What a parser knows beside the text: the setting's name, the project's folder, and the values above it."""

    name: str
    root: Path
    values: Mapping[str, Any]


Parser = Callable[[str, Given], T]


def any_text(text: str, given: Given) -> str:
    """Take any text as it is."""
    return text


def words(text: str, given: Given) -> tuple[str, ...]:
    """Take words with commas or spaces between them."""
    return tuple(text.replace(",", " ").split())


def path(text: str, given: Given) -> Path:
    """Take a path, which counts from the project's folder."""
    return given.root / Path(text).expanduser()


def existing_path(text: str, given: Given) -> Path | None:
    """Take a path of something that is there, or nothing."""
    found = path(text, given) if text else None
    if found and not found.exists():
        raise UserError(f"{given.name} does not exist: {found}", f"correct {given.name} in .env, or leave it empty")
    return found


def matching(pattern: str, hint: str) -> Parser[str]:
    """Take what matches a pattern, or nothing."""

    def parse(text: str, given: Given) -> str:
        if text and not re.fullmatch(pattern, text):
            raise UserError(f"{given.name} {text!r} is not valid", hint)
        return text

    return parse


def paper_name(text: str, given: Given) -> str:
    """Take what can name an environment, images and volumes alike."""
    if not PAPER_ID.fullmatch(text) or len(text) > 32 or text.lower() in TAKEN_NAMES:
        what = f"PAPER_ID {text!r} is not valid" if text else "PAPER_ID is not set"
        raise UserError(what, "use up to 32 letters and digits with single - or _ between them, such as Gu2026")
    return text


def password(text: str, given: Given) -> str:
    """Take ASCII: PyMySQL, and so DataJoint, sends a password in latin1, and is not let in with another."""
    if not text.isascii():
        raise UserError(f"{given.name} has a character that is not ASCII", "use letters, digits and signs")
    return text


def port(text: str, given: Given) -> int:
    """Take a port's number; `auto` is 0, for `ports.settle` to choose."""
    if text == "auto":
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        hint = f"set {given.name} to a number from 1 to 65535, or to auto, in .env"
        raise UserError(f"{given.name} {text!r} is not a port", hint)
    if given.values.get("hub_port") == int(text):
        raise UserError(f"HUB_PORT and {given.name} are both {text}", "give them different ports in .env")
    return int(text)


def address(text: str, given: Given) -> IPv4Address | IPv6Address:
    """Take an IP address."""
    try:
        return ip_address(text)
    except ValueError as error:
        hint = "use 127.0.0.1 for this machine alone, or an address of this machine"
        raise UserError(f"{given.name} {text!r} is not an IP address", hint) from error


def image_name(text: str, given: Given) -> str:
    """Take an image's name without a tag; Docker Hub's get DOCKER_HUB_USER in front."""
    user = given.values.get("docker_hub_user")
    image = f"{user}/{text}" if user and "/" not in text else text
    if not IMAGE_NAME.fullmatch(image):
        hint = "use lower case letters, digits and . _ - / (and a registry's host before the first /), no tag"
        raise UserError(f"{given.name} {text!r} is not an image's name", hint)
    return image


def yes_or_no(text: str, given: Given) -> bool:
    """Take yes or no in the words that people use."""
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise UserError(f"{given.name} {text!r} is neither yes nor no", f"set {given.name}=no in .env")
    return text.lower() in ("yes", "true", "1")


def command(text: str, given: Given) -> tuple[str, ...]:
    """Take a command's words, as a shell splits them."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        what = f"{given.name} {text!r} is not a command: {error}"
        raise UserError(what, f"set {given.name}=docker in .env") from error
