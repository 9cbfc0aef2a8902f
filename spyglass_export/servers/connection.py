"""Connections to a lab's server: MySQL 5.7 to 9.7 and MariaDB, by TLS where the server offers it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CR, ER

from spyglass_export.errors import UserError
from spyglass_export.servers.account import Account

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


@contextmanager
def connect(account: Account) -> Iterator["pymysql.Connection[Any]"]:
    """A connection in UTF-8, each statement a transaction of its own; closed at the end.

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
