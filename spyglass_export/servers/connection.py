"""Connections to a lab's server: MySQL 5.7 to 9.7 and MariaDB, by TLS where the server offers it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CR, ER

from spyglass_export.errors import UserError
from spyglass_export.servers.account import Account

CONNECT_SECONDS = 20
# What the server said, by its number, and what to do about it:
# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
_HINTS = {
    ER.ACCESS_DENIED_ERROR: "check --user and the password; it may be allowed from other machines only",
    1698: "this account logs in without a password on its own machine only; use another",
    ER.HOST_NOT_PRIVILEGED: "this machine may not log in there; ask the administrator, or go through an ssh tunnel",
    ER.HOST_IS_BLOCKED: "too many attempts failed; ask the administrator for `FLUSH HOSTS`",
    CR.CR_CONN_HOST_ERROR: "check --host and --port, and the lab's network, VPN or ssh tunnel",
    CR.CR_SERVER_LOST: "check the network and the server, and run it again",
    CR.CR_SERVER_GONE_ERROR: "check the network and the server, and run it again",
    ER.DBACCESS_DENIED_ERROR: "ask the administrator for SELECT on it (Spyglass' role dj_guest has it)",
    ER.TABLEACCESS_DENIED_ERROR: "ask the administrator for SELECT on it (Spyglass' role dj_guest has it)",
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
        raise explain(error, account) from error


@contextmanager
def snapshot(account: Account) -> Iterator["pymysql.Connection[Any]"]:
    """A connection that sees all tables as they are at one moment."""
    with connect(account) as connection:
        rows_of(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows_of(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield connection


def explain(error: pymysql.MySQLError, account: Account) -> UserError:
    """What went wrong with the account's server, as a sentence."""
    number, said = (*error.args, "")[:2] if error.args else (0, str(error))
    hint = _HINTS.get(number, "see the server's message; run it again, or ask its administrator")
    return UserError(f"{account}: {said or error}", hint)


def rows_of(
    connection: "pymysql.Connection[Any]", sql: str, values: Sequence[object] | None = None
) -> list[tuple[Any, ...]]:
    """All rows that a statement gives; ``%s`` in it stand for ``values``."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _open(account: Account) -> "pymysql.Connection[Any]":
    try:
        return _log_in(account, tls=True)
    except pymysql.OperationalError as error:
        # As MySQL's own programs do: old servers offer TLS that today's OpenSSL does not speak.
        if "SSL" not in str(error.args[-1]):
            raise
        return _log_in(account, tls=False)


def _log_in(account: Account, *, tls: bool) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=account.host,
        port=account.port,
        user=account.user,
        password=account.password.encode(),  # as MySQL's own programs send it; a str would go as latin1
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        ssl_disabled=not tls,
    )
