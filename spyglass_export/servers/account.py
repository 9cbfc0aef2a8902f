"""Who logs in to a lab's server, and where the password comes from.

A command that needs the server takes ``--host``, ``--port`` and ``--user``; what these leave open comes from the places
where Spyglass' users keep it already. No command has an option for the password: everybody on the machine would see
it in the list of processes.
"""

import configparser
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from getpass import getpass
from pathlib import Path

from pymysql.optionfile import Parser

from spyglass_export.errors import UserError

PORT = 3306
# DataJoint reads the first of these that is there: https://docs.datajoint.com/core/datajoint-python/0.14/client/settings/
DATAJOINT_FILES = ("dj_local_conf.json", "~/.datajoint_config.json")
MYSQL_FILE = "~/.my.cnf"
_NAMES = ("host", "port", "user", "password")


@dataclass(frozen=True)
class Account:
    """A user of a MySQL server; the password is in no text that Python makes of it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def find_account(
    host: str = "", port: str = "", user: str = "", *, folder: Path, ask: Callable[[str], str] = getpass
) -> Account:
    """The account of a lab's server.

    What is left empty is taken from DataJoint (DJ_HOST, DJ_USER, DJ_PASS; dj_local_conf.json in ``folder``, or else
    ~/.datajoint_config.json) or from ``[client]`` in ~/.my.cnf; the password from MYSQL_PWD before these, and
    ``ask`` is called where nobody knows it. Raises UserError where host or user are unknown, or a file cannot be read.
    """
    places = [_of_environment(), _of_datajoint(folder), _of_mysql()]
    known = {"host": host, "user": user, "port": port, "password": os.environ.get("MYSQL_PWD", "")}
    for name, value in known.items():
        # A place that is of another host or user is passed over: a password goes to no other server than its own.
        fitting = (
            place
            for place in places
            if all(not (place[one] and known[one]) or place[one] == known[one] for one in ("host", "user"))
        )
        known[name] = value or next((place[name] for place in fitting if place[name]), "")
    host, user, port = known["host"], known["user"], known["port"] or str(PORT)
    if not host:
        what = "which server holds the lab's database?"
        raise UserError(what, "say --host NAME, or set it in DataJoint's configuration")
    if not user:
        raise UserError(f"which user of {host} are you?", "say --user NAME, or set it in DataJoint's configuration")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise UserError(f"the port {port!r} is not a number from 1 to 65535", f"MySQL answers on {PORT} as a rule")
    if not known["password"] and ask is getpass and not (sys.stdin and sys.stdin.isatty()):
        hint = "set MYSQL_PWD, or write it into ~/.my.cnf below [client]"
        raise UserError(f"there is no password for {user} at {host}, and nobody here to ask", hint)
    return Account(host, int(port), user, known["password"] or ask(f"password of {user} at {host}: "))


def _of_environment() -> dict[str, str]:
    names = ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS")
    return _place(dict(zip(_NAMES, (os.environ.get(name, "") for name in names), strict=True)))


def _of_datajoint(folder: Path) -> dict[str, str]:
    files = [folder / Path(name).expanduser() for name in DATAJOINT_FILES]
    file = next((file for file in files if file.is_file()), None)
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig")) if file else {}
        return _place({name: str(values.get(f"database.{name}") or "") for name in _NAMES})
    except (ValueError, AttributeError) as error:
        raise UserError(f"{file} is not the JSON that DataJoint writes", "correct it, or take it away") from error


def _of_mysql() -> dict[str, str]:
    file = Path(MYSQL_FILE).expanduser()
    text = file.read_text(encoding="utf-8-sig", errors="replace") if file.is_file() else ""
    parser = Parser(strict=False, interpolation=None)
    try:
        parser.read_string("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("!")))
    except configparser.Error:  # it quotes the line, and so perhaps the password
        raise UserError(f"{file} cannot be read as MySQL's options", "correct it, or take it away") from None
    return _place({name: parser.get("client", name) if parser.has_option("client", name) else "" for name in _NAMES})


def _place(values: dict[str, str]) -> dict[str, str]:
    """What one place says of an account; empty where it says nothing. DataJoint takes ``host:port`` for a host too."""
    host, colon, number = values["host"].rpartition(":")
    if colon and number.isdigit():
        return values | {"host": host, "port": number}
    return values if values["host"] else values | {"port": ""}
