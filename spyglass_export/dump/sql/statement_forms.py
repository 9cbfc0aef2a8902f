"""Statements that are read and left out of the result: each is known to its last word, so that none hides another."""

import re

from spyglass_export.dump.sql.tokens import tokenize

_NAME = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|[^\s`'\"(),;=.]+)"
_TABLE = rf"{_NAME}(?: \. {_NAME})?"
_VALUE = r"(?:'(?:[^'\\]|\\.|'')*'|[^\s`'\"(),;=]+)"
_OPTION = rf"(?:DEFAULT )?(?:CHARACTER SET|CHARSET|COLLATE|ENCRYPTION|COMMENT|READ ONLY)(?: =)? (?:{_NAME}|{_VALUE})"
_LOCK = rf"{_TABLE}(?: AS {_NAME})? (?:READ(?: LOCAL)?|(?:LOW_PRIORITY )?WRITE)"
_SETTING = rf"\w+ = (?:{_VALUE}|\( (?:{_VALUE}(?: , )?)* \))"


def _whole(*forms: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{form})" for form in forms), re.S | re.I)


USE = _whole(rf"USE {_NAME}")
CREATE_DATABASE = _whole(rf"CREATE (?:DATABASE|SCHEMA)(?: IF NOT EXISTS)? {_NAME}(?: {_OPTION})*")
ALTER_DATABASE = _whole(rf"ALTER (?:DATABASE|SCHEMA)(?: {_NAME})??(?: {_OPTION})+")
DROP_TABLE = _whole(rf"DROP TABLES?(?: IF EXISTS)? (?P<tables>{_TABLE}(?: , {_TABLE})*?)(?: RESTRICT| CASCADE)?")
NAMES = re.compile(_TABLE)
# What is emptied, as some programs do before their INSERTs.
EMPTYING = _whole(rf"(?:TRUNCATE(?: TABLE)?|DELETE FROM) (?P<table>{_TABLE})(?: WHERE .*)?")
LOCK = _whole(rf"LOCK TABLES? (?P<table>{_TABLE}) (?:LOW_PRIORITY )?WRITE")
UNLOCK = _whole(r"UNLOCK TABLES?")
DISABLE_KEYS = _whole(rf"ALTER TABLE (?P<table>{_TABLE}) DISABLE KEYS")
ENABLE_KEYS = _whole(rf"ALTER TABLE (?P<table>{_TABLE}) ENABLE KEYS")
TRANSACTION = _whole(
    r"BEGIN(?: WORK)?", r"START TRANSACTION(?:(?: ,)? (?:WITH CONSISTENT SNAPSHOT|READ ONLY|READ WRITE))*"
)
COMMIT = _whole(r"COMMIT(?: WORK)?(?: AND(?: NO)? CHAIN)?(?:(?: NO)? RELEASE)?")
# Of no meaning but to the source server or its replicas, or while the source was read.
SOURCE_ONLY = _whole(
    LOCK.pattern,
    rf"LOCK TABLES? {_LOCK}(?: , {_LOCK})*",
    UNLOCK.pattern,
    TRANSACTION.pattern,
    COMMIT.pattern,
    rf"ALTER TABLE {_TABLE} (?:DIS|EN)ABLE KEYS",
    rf"DROP (?:DATABASE|SCHEMA)(?: IF EXISTS)? {_NAME}",
    rf"CHANGE (?:MASTER|REPLICATION SOURCE)(?: {_VALUE})? TO {_SETTING}(?: , {_SETTING})*(?: FOR CHANNEL {_VALUE})?",
    # Percona's mysqldump asks for RocksDB so. What it prepares is in user variables, which are not kept.
    r"SELECT .* INTO @ \w+(?: FROM .*)?",
    rf"PREPARE {_NAME} FROM @ {_NAME}",
    rf"EXECUTE {_NAME}",
    rf"(?:DEALLOCATE|DROP) PREPARE {_NAME}",
    rf"(?:START|STOP)(?: ALL)? (?:SLAVES?|REPLICAS?)(?: {_VALUE})?(?: FOR CHANNEL {_VALUE})?",
)
# How all of these begin that nothing else begins with.
BEGINNINGS = {"BEGIN", "CHANGE", "COMMIT", "LOCK", "START", "STOP", "UNLOCK", "USE"}
BEGINNINGS |= {f"{verb} {what}" for verb in ("CREATE", "ALTER", "DROP") for what in ("DATABASE", "SCHEMA")}


def words_of(sql: bytes) -> str:
    """The statement as its words with one space between, without comments and the marks of versioned code."""
    return " ".join(token.text for token in tokenize(sql) if token.matters)
