"""A MySQL or MariaDB server and one session on it, set so that both sides write and read values alike."""

from contextlib import suppress
from threading import Lock
from typing import Any

import pymysql

from spyglass_export.errors import UserError

# Zero dates and numbers of 0 are values like others; nothing is cut to fit.
SQL_MODE = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
# No statement and no value that is read gets longer than this, in bytes, whatever the servers allow.
PIECE = 2_000_000
SYSTEM_SCHEMAS = ("information_schema", "mysql", "performance_schema", "sys", "ndbinfo")
# MySQL does not look into an index where a list of keys needs more memory than this; 0 is no limit.
_SESSION = (
    f"SET SESSION time_zone = '+00:00', sql_mode = '{SQL_MODE}', group_concat_max_len = {PIECE}",
    "SET SESSION transaction_isolation = 'REPEATABLE-READ'",
    "SET SESSION tx_isolation = 'REPEATABLE-READ'",
    "SET SESSION wait_timeout = 28800, net_read_timeout = 600, net_write_timeout = 600",
    "SET SESSION range_optimizer_max_mem_size = 0",
    # MariaDB joins with a list of keys only from this length on, and reads the whole table below it.
    "SET SESSION in_predicate_conversion_threshold = 2",
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
        self.folds_names = int(self.one("SELECT @@lower_case_table_names")) != 0
        try:
            self.identity = str(self.one("SELECT @@server_uuid"))
        except pymysql.OperationalError:  # MariaDB has none
            self.identity = str(self.one("SELECT CONCAT_WS(' ', @@hostname, @@port, @@datadir)"))

    def _set_session(self) -> None:
        self.run(_SESSION[0])
        for setting in _SESSION[1:]:
            with suppress(pymysql.OperationalError):  # a release does not know it
                self.run(setting)

    def reopen(self) -> None:
        """Begin a new session: the server undoes what the earlier one did not commit."""
        with suppress(pymysql.MySQLError, OSError):
            self.connection.close()
        self.connection.connect()
        self._set_session()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows that a statement gives."""
        with self._one_at_a_time, self.connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def one(self, sql: str) -> Any:
        """The first value of the first row; None where there is no row."""
        rows = self.rows(sql)
        return rows[0][0] if rows else None

    def run(self, sql: Any) -> int:
        """Execute a statement; the number of rows that it changed."""
        with self._one_at_a_time, self.connection.cursor() as cursor:
            cursor.execute(sql)  # bytes are sent as they are
            return int(cursor.rowcount)

    def folded(self, name: str) -> str:
        """A schema's or table's name as this server would store it."""
        return name.lower() if self.folds_names else name


def refuse_same_server(paper: Server, target: Server) -> None:
    """Raise UserError where both are one server: the paper would be merged into itself."""
    if paper.identity == target.identity:
        raise UserError(f"{target.name} is the paper's own database", "name the server of your lab with --host")
