"""Who logs in to a lab's server, and where the password comes from.

A command that needs the server takes ``--host``, ``--port`` and ``--user``, and does

    account = find_account(host, port, user, folder=settings.root)
    with connect(account) as connection:          # spyglass_export.servers.connection
        for name, comment in rows_of(connection, "SELECT ... WHERE x = %s", (value,)):

so that what the options leave open comes from the places where Spyglass' users keep it already. No command has an
option for the password: everybody on the machine would see it in the list of processes.
"""

import configparser
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from getpass import getpass
from pathlib import Path

from pymysql.optionfile import Parser

from spyglass_export.errors import UserError

PORT = 3306
# DataJoint reads the first of these that is there: https://docs.datajoint.com/core/datajoint-python/0.14/client/settings/
DATAJOINT_FILES = ("dj_local_conf.json", "~/.datajoint_config.json")
MYSQL_FILE = "~/.my.cnf"


@dataclass(frozen=True)
class Account:
    """A user of a MySQL server; the password is in no text that Python makes of it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


@dataclass(frozen=True)
class _Known:
    """What one place says of an account; empty where it says nothing."""

    host: str = ""
    port: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    def fits(self, host: str, user: str) -> bool:
        """Whether it may be of this host and user: a password goes to no other server than its own."""
        return all(not one or not other or one == other for one, other in ((self.host, host), (self.user, user)))


def find_account(
    host: str = "",
    port: str = "",
    user: str = "",
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    ask: Callable[[str], str] = getpass,
) -> Account:
    """The account of a lab's server.

    What is left empty is taken from DataJoint (DJ_HOST, DJ_USER, DJ_PASS; dj_local_conf.json in ``folder``, or else
    ~/.datajoint_config.json) or from ``[client]`` in ~/.my.cnf; the password from MYSQL_PWD before these, and
    ``ask`` is called where nobody knows it. Raises UserError where host or user are unknown, or a file cannot be read.
    """
    environment = os.environ if environment is None else environment
    known = [_of_environment(environment), _of_datajoint(folder, environment), _of_mysql(environment)]
    host = host or _first(one.host for one in known if one.fits("", user))
    if not host:
        raise UserError(
            "which server holds the lab's database?", "say --host NAME, or set it in DataJoint's configuration"
        )
    user = user or _first(one.user for one in known if one.fits(host, ""))
    if not user:
        raise UserError(f"which user of {host} are you?", "say --user NAME, or set it in DataJoint's configuration")
    port = port or _first(one.port for one in known if one.fits(host, user) and one.host) or str(PORT)
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise UserError(f"the port {port!r} is not a number from 1 to 65535", f"MySQL answers on {PORT} as a rule")
    password = environment.get("MYSQL_PWD") or _first(one.password for one in known if one.fits(host, user))
    return Account(host, int(port), user, password or _asked(user, host, ask))


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


def _asked(user: str, host: str, ask: Callable[[str], str]) -> str:
    if ask is getpass and not (sys.stdin and sys.stdin.isatty()):
        raise UserError(
            f"there is no password for {user} at {host}, and nobody here to ask",
            "set MYSQL_PWD, or write it into ~/.my.cnf below [client]",
        )
    return ask(f"password of {user} at {host}: ")


def _of_environment(environment: Mapping[str, str]) -> _Known:
    return _split(*(environment.get(name, "") for name in ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS")))


def _of_datajoint(folder: Path, environment: Mapping[str, str]) -> _Known:
    files = (_place(name, folder, environment) for name in DATAJOINT_FILES)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return _Known()
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
        return _split(*(str(values.get(f"database.{name}") or "") for name in ("host", "port", "user", "password")))
    except (ValueError, AttributeError) as error:
        raise UserError(f"{file} is not the JSON that DataJoint writes", "correct it, or take it away") from error


def _of_mysql(environment: Mapping[str, str]) -> _Known:
    file = _place(MYSQL_FILE, Path(), environment)
    if not file.is_file():
        return _Known()
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    parser = Parser(strict=False, interpolation=None)
    try:
        parser.read_string("\n".join(line for line in lines if not line.lstrip().startswith("!")))
    except configparser.Error:  # it quotes the line, and so perhaps the password
        raise UserError(f"{file} cannot be read as MySQL's options", "correct it, or take it away") from None
    if not parser.has_section("client"):
        return _Known()
    names = ("host", "port", "user", "password")
    return _split(*(parser.get("client", name) if parser.has_option("client", name) else "" for name in names))


def _place(name: str, folder: Path, environment: Mapping[str, str]) -> Path:
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME") or str(Path.home())
    return Path(home, name[2:]) if name.startswith("~/") else folder / name


def _split(host: str, port: str, user: str, password: str) -> _Known:
    """DataJoint takes ``host:port`` for a host too."""
    name, colon, number = host.rpartition(":")
    return _Known(name, number, user, password) if colon and number.isdigit() else _Known(host, port, user, password)
