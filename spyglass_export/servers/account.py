"""Who logs in to a lab's server (MySQL 5.7 to 9.7, MariaDB), where the password comes from, and the connection.

A command that needs the server takes ``--host``, ``--port`` and ``--user``; what these leave open comes from the places
where Spyglass' users keep it already. No command has an option for the password: everybody on the machine would see
it in the list of processes.
"""

import configparser
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from getpass import getpass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CR, ER
from pymysql.optionfile import Parser

from spyglass_export.errors import UserError

PORT = 3306
# DataJoint reads the first of these that is there: https://docs.datajoint.com/core/datajoint-python/0.14/client/settings/
DATAJOINT_FILES = ("dj_local_conf.json", "~/.datajoint_config.json")
MYSQL_FILE = "~/.my.cnf"
_NAMES = ("host", "port", "user", "password")

_CONNECT_SECONDS = 20
LOST = (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST)
# What the server said, by its number, and what to do about it:
# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
_HINTS = {
    ER.ACCESS_DENIED_ERROR: "check --user and the password; it may be allowed from other machines only",
    1698: "this account logs in without a password on its own machine only; use another",
    ER.HOST_NOT_PRIVILEGED: "this machine may not log in there; ask the administrator, or go through an ssh tunnel",
    ER.HOST_IS_BLOCKED: "too many attempts failed; ask the administrator for `FLUSH HOSTS`",
    CR.CR_CONN_HOST_ERROR: "check --host and --port, and the lab's network, VPN or ssh tunnel",
    **dict.fromkeys(LOST, "check the network and the server, and run it again"),
    **dict.fromkeys(
        (ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR),
        "ask the administrator for SELECT on it (Spyglass' role dj_guest has it)",
    ),
}


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


@contextmanager
def connect(account: Account) -> Iterator["pymysql.Connection[Any]"]:
    """A connection in UTF-8, by TLS where the server offers it, each statement a transaction; closed at the end.

    Raises UserError for whatever goes wrong with it inside, with what the server said.
    """
    try:
        connection = _open(account)
        try:
            yield connection
        finally:
            if connection.open:
                connection.close()
    except pymysql.MySQLError as error:
        number, *_, said = error.args if len(error.args) > 1 else (0, str(error))
        hint = _HINTS.get(number, "see what it says; run it again, or ask its administrator")
        raise UserError(f"{account}: {said}", hint) from error


def rows_of(connection: "pymysql.Connection[Any]", sql: str) -> list[tuple[Any, ...]]:
    """All rows that a statement gives."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _open(account: Account, *, tls: bool = True) -> "pymysql.Connection[Any]":
    try:
        return pymysql.connect(
            host=account.host,
            port=account.port,
            user=account.user,
            password=account.password.encode(),  # as MySQL's own programs send it; a str would go as latin1
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            ssl_disabled=not tls,
        )
    except pymysql.OperationalError as error:
        # As MySQL's own programs do: old servers offer TLS that today's OpenSSL does not speak.
        if not tls or "SSL" not in str(error.args[-1]):
            raise
        return _open(account, tls=False)
