"""A MySQL or MariaDB server and one session on it, set so that both sides write and read values alike."""

from contextlib import suppress
from threading import Lock
from typing import Any

import pymysql

# No statement and no value that is read gets longer than this, in bytes, whatever the servers allow.
PIECE = 2_000_000
_SESSION = (
    # Zero dates and numbers of 0 are values like others; nothing is cut to fit.
    "time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,"
    f"NO_ENGINE_SUBSTITUTION', group_concat_max_len = {PIECE}",
    "wait_timeout = 28800, net_read_timeout = 600, net_write_timeout = 600",
    # These have other names, or none, in some releases.
    "transaction_isolation = 'REPEATABLE-READ'",
    "tx_isolation = 'REPEATABLE-READ'",
    # MySQL does not look into an index where a list of keys needs more memory than this; 0 is no limit.
    "range_optimizer_max_mem_size = 0",
    # MariaDB joins with a list of keys only from this length on, and reads the whole table below it.
    "in_predicate_conversion_threshold = 2",
)


class Server:
    """One session; ``name`` is what messages call the server."""

    def __init__(self, connection: "pymysql.Connection[Any]", name: str) -> None:
        self.connection = connection
        self.name = name
        self._one_at_a_time = Lock()  # one thread may read ahead while another asks
        self._set_session()
        self.is_mariadb = "mariadb" in str(self.one("SELECT VERSION()")).lower()
        self.max_packet = int(self.one("SELECT @@max_allowed_packet"))
        self._folds_names = int(self.one("SELECT @@lower_case_table_names")) != 0
        # MariaDB has no server_uuid.
        identity = "CONCAT_WS(' ', @@hostname, @@port, @@datadir)" if self.is_mariadb else "@@server_uuid"
        self.identity = str(self.one(f"SELECT {identity}"))

    def _set_session(self) -> None:
        for number, setting in enumerate(_SESSION):
            with suppress(*[pymysql.OperationalError] * (number > 1)):
                self.run(f"SET SESSION {setting}")

    def reopen(self) -> None:
        """Begin a new session: the server undoes what the earlier one did not commit."""
        with suppress(pymysql.MySQLError, OSError):
            self.connection.close()
        self.connection.connect()
        self._set_session()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a statement gives; ``%s`` in it stand for ``values``."""
        with self._one_at_a_time, self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def one(self, sql: str, *values: object) -> Any:
        """The first value of the first row; None where there is no row."""
        rows = self.rows(sql, *values)
        return rows[0][0] if rows else None

    def run(self, sql: Any) -> int:
        """Execute a statement; the number of rows that it changed."""
        with self._one_at_a_time, self.connection.cursor() as cursor:
            cursor.execute(sql)  # bytes are sent as they are
            return int(cursor.rowcount)

    def folded(self, name: str) -> str:
        """A schema's or table's name as this server would store it."""
        return name.lower() if self._folds_names else name
