"""The statements that a dump may hold, each known to its last word, so that none hides another.

All that mysqldump and mariadb-dump write is here, with any of their options. A statement of no form is refused, whoever
wrote it. Forms are of a statement's words, with one space between: versioned comments are statements like all others.
"""

import re
from functools import lru_cache

from spyglass_export.dump.sql.tokens import Tokens, split

_NAME = r"(?:`(?:[^`]|``)*`|[^\s`'\"(),;=.@]+)"
_TABLE = rf"{_NAME}(?: \. {_NAME})?"
_VALUE = r"(?:'(?:[^'\\]|\\.|'')*'|[^\s`'\"(),;=]+)"
_OPTION = rf"(?:DEFAULT )?(?:CHARACTER SET|CHARSET|COLLATE|ENCRYPTION|COMMENT|READ ONLY)(?: =)? (?:{_NAME}|{_VALUE})"
_SETTING = rf"\w+ = (?:{_VALUE}|\( (?:{_VALUE}(?: , )?)* \))"
_ACCOUNT = rf"(?:{_NAME}|'[^']*')(?: @ (?:{_NAME}|'[^']*'))?(?: \( \))?"


def _whole(*forms: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{form})" for form in forms), re.S | re.I | re.A)


CREATE_TABLE = _whole(r"CREATE TABLE (?:IF NOT EXISTS )?.*")
USE = _whole(rf"USE (?P<schema>{_NAME})")
CREATE_DATABASE = _whole(rf"CREATE (?:DATABASE|SCHEMA)(?: IF NOT EXISTS)? (?P<schema>{_NAME})(?: {_OPTION})*")
# Around triggers and routines of a database that has another character set than the server.
ALTER_DATABASE = _whole(rf"ALTER (?:DATABASE|SCHEMA)(?: {_NAME})??(?: {_OPTION})+")
DROP_DATABASE = _whole(rf"DROP (?:DATABASE|SCHEMA)(?: IF EXISTS)? (?P<schema>{_NAME})")  # --add-drop-database
DROP_TABLE = _whole(rf"DROP TABLES?(?: IF EXISTS)? (?P<tables>{_TABLE}(?: , {_TABLE})*?)(?: RESTRICT| CASCADE)?")
NAMES = re.compile(_TABLE)
LOCK = _whole(rf"LOCK TABLES? (?P<table>{_TABLE}) WRITE")
UNLOCK = _whole(r"UNLOCK TABLES?")
DISABLE_KEYS = _whole(rf"ALTER TABLE (?P<table>{_TABLE}) DISABLE KEYS")
ENABLE_KEYS = _whole(rf"ALTER TABLE (?P<table>{_TABLE}) ENABLE KEYS")
TRANSACTION = _whole(r"BEGIN", r"START TRANSACTION")  # --no-autocommit
COMMIT = _whole(r"COMMIT")
# What has its place after the rows.
PROGRAM = _whole(
    rf"CREATE (?:OR REPLACE )?(?:ALGORITHM = \w+ )?(?:DEFINER = {_ACCOUNT} )?(?:SQL SECURITY \w+ )?"
    rf"(?P<kind>VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT) (?:IF NOT EXISTS )?(?P<name>{_TABLE})(?= ).*"
)
DROP_PROGRAM = _whole(rf"DROP (?:VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT)(?: IF EXISTS)? {_TABLE}")
# What belongs to a server and not to a paper: accounts, replication, plugins, tablespaces, statistics.
SERVERS_OWN = _whole(
    # --flush-privileges; mariadb-dump --system=all; other programs
    r"(?:CREATE(?: OR REPLACE)?|ALTER|DROP|RENAME) (?:USER|ROLE|SERVER|RESOURCE GROUP|LOGFILE GROUP)\b.*",
    r"(?:CREATE|ALTER|DROP) (?:UNDO )?TABLESPACE\b.*",  # --all-tablespaces
    r"(?:GRANT|REVOKE|FLUSH|RESET|INSTALL|UNINSTALL|PURGE)\b.*",
    r"CREATE (?:OR REPLACE )?(?:AGGREGATE )?FUNCTION (?:IF NOT EXISTS )?\S+ RETURNS \w+ SONAME .*",
    # --source-data, --dump-replica --apply-replica-statements
    rf"CHANGE (?:MASTER|REPLICATION SOURCE)(?: {_VALUE})? TO {_SETTING}(?: , {_SETTING})*(?: FOR CHANNEL {_VALUE})?",
    rf"(?:START|STOP)(?: ALL)? (?:SLAVES?|REPLICAS?)(?: {_VALUE})?(?: FOR CHANNEL {_VALUE})?",
    rf"ANALYZE TABLE {_TABLE} UPDATE HISTOGRAM ON .*",  # --column-statistics
)
# Executed after all rows are there, these would leave other rows than the export has.
CHANGING_ROWS = _whole(
    r"(?:CALL|DELETE|EXECUTE|DO|HANDLER|IMPORT|LOAD|PREPARE|RENAME|TRUNCATE|UPDATE|VALUES|WITH)\b.*",
    r"(?:ALTER|REPAIR|OPTIMIZE) TABLE\b.*",
    r"(?:CREATE|DROP) (?:\w+ )?INDEX\b.*",
)
# Anywhere in what is kept, this reaches beyond the paper's databases. Words in capitals, each after a space.
_REACHING_OUT = re.compile(
    r" (?:"
    r"(?:CREATE|ALTER|DROP|RENAME)(?: OR REPLACE)? (?:USER|ROLE|SERVER|TABLESPACE|DATABASE|SCHEMA|RESOURCE)(?!\S)"
    r"|SET (?:PASSWORD|ROLE|DEFAULT ROLE)(?!\S)|(?:SET|,) (?:GLOBAL|PERSIST|PERSIST_ONLY) "
    r"|@ @ (?:GLOBAL|PERSIST|PERSIST_ONLY) \. \S+ (?:: )?= |SONAME |LOAD (?:DATA|XML) |INTO (?:OUTFILE|DUMPFILE) "
    r"|LOAD_FILE \(|CHANGE (?:MASTER|REPLICATION) |PREPARE \S+ FROM |EXECUTE IMMEDIATE |(?:MYSQL|`(?i:mysql)`) \. "
    r"|(?:; |BEGIN |THEN |ELSE |DO )(?:GRANT|REVOKE|INSTALL|UNINSTALL|FLUSH|RESET|PURGE|KILL|SHUTDOWN|RESTART|CLONE) "
    r")",
    re.A,
)


@lru_cache(maxsize=256)  # most statements come once for every table
def words_of(sql: str) -> str:
    """The statement as its words with one space between, without comments and the marks of versioned code."""
    return " ".join(split(sql))


def reaches_out(tokens: Tokens) -> str:
    """The words that reach beyond the paper's databases, or ''; what stands in strings does not count."""
    found = _REACHING_OUT.search(" " + " ".join(tokens.outside_strings))
    return found.group().strip(" ;") if found else ""
