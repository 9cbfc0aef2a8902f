"""Follow what the ``SET`` statements of a dump say, so that each output file can say what it needs itself."""

import codecs
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from spyglass_export.dump.sql.create_table import Cursor, NotUnderstoodError
from spyglass_export.dump.sql.tokens import Tokens, unquoted

# Of a session, and of no meaning for what is loaded: mysqldump and mariadb-dump set them to load faster.
_WITHOUT_MEANING = {
    "autocommit", "character_set_connection", "character_set_results", "foreign_key_checks", "note_verbosity",
    "restrict_fk_on_non_standard_key", "sql_notes", "sql_quote_show_create", "system_versioning_insert_history",
    "unique_checks",
}  # fmt: skip
_FOLLOWED = ("character_set_client", "time_zone", "collation_connection", "sql_mode")
_OTHER_SETS = {"PASSWORD", "TRANSACTION", "ROLE", "DEFAULT", "RESOURCE"}
_SESSION_SCOPES = ("SESSION", "LOCAL")
_SCOPES = (*_SESSION_SCOPES, "GLOBAL", "PERSIST", "PERSIST_ONLY")
# In these a byte of a character may be a backslash or a quote, which neither this reader nor mysql's can tell.
_UNSAFE_CHARACTER_SETS = {"big5", "cp932", "gb18030", "gbk", "sjis"}
_UNSAFE_MODES = {"NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI", "ORACLE", "POSTGRESQL", "MSSQL", "DB2", "MAXDB"}
# https://dev.mysql.com/doc/refman/9.7/en/sql-mode.html
_MYSQL_MODES = {
    "ALLOW_INVALID_DATES", "ERROR_FOR_DIVISION_BY_ZERO", "HIGH_NOT_PRECEDENCE", "IGNORE_SPACE", "NO_AUTO_VALUE_ON_ZERO",
    "NO_DIR_IN_CREATE", "NO_ENGINE_SUBSTITUTION", "NO_UNSIGNED_SUBTRACTION", "NO_ZERO_DATE", "NO_ZERO_IN_DATE",
    "ONLY_FULL_GROUP_BY", "PAD_CHAR_TO_FULL_LENGTH", "PIPES_AS_CONCAT", "REAL_AS_FLOAT", "STRICT_ALL_TABLES",
    "STRICT_TRANS_TABLES", "TIME_TRUNCATE_FRACTIONAL",
}  # fmt: skip
# Strict, so that no value is ever cut; with the zero and odd dates that the source could hold.
LOADING_MODE = "NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ALLOW_INVALID_DATES"
# https://dev.mysql.com/doc/refman/9.7/en/charset-charsets.html; Python has most others by MySQL's name.
_CODECS = {"utf8mb4": "utf-8", "utf8mb3": "utf-8", "binary": "utf-8", "latin1": "cp1252", "koi8r": "koi8-r",
           "koi8u": "koi8-u", "eucjpms": "euc-jp"}  # fmt: skip


class UnsafeSettingError(Exception):
    """The dump's settings, which are named, change how its bytes are read in a way that is not supported."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The session's settings that a statement was dumped under; None is the server's default."""

    character_set_client: str | None = None
    time_zone: str | None = None
    collation_connection: str | None = None
    sql_mode: str | None = None

    def for_loading(self) -> str:
        """The statements that rows and definitions need before them, in an otherwise fresh session."""
        time_zone = f"SET TIME_ZONE='{self.time_zone}';\n" if self.time_zone else ""
        return f"SET NAMES {self.names};\n{time_zone}SET SQL_MODE='{LOADING_MODE}';\nSET FOREIGN_KEY_CHECKS=0;\n"

    def for_program(self) -> str:
        """The statements that a view, trigger or routine needs before it."""
        collation = known_collation(self.collation_connection or "")
        collation = f"SET COLLATION_CONNECTION={collation};\n" if collation else ""
        known = (mode for mode in (self.sql_mode or "").upper().split(",") if mode in _MYSQL_MODES)
        modes = "DEFAULT" if self.sql_mode is None else f"'{','.join(known)}'"
        time_zone = f"SET TIME_ZONE='{self.time_zone or 'SYSTEM'}';\n"
        return f"SET NAMES {self.names};\n{collation}{time_zone}SET SQL_MODE={modes};\nSET FOREIGN_KEY_CHECKS=0;\n"

    @property
    def names(self) -> str:
        """The character set that the statements are written in, utf8mb4 where the dump says nothing."""
        return "utf8mb3" if self.character_set_client == "utf8" else self.character_set_client or "utf8mb4"

    def decode(self, text: bytes) -> str:
        """Text of the dump; what is none in its character set stays as it is, in surrogates."""
        return text.decode(_codec(self.names), "surrogateescape")

    def encode(self, text: str) -> bytes:
        """What `decode` was given."""
        return text.encode(_codec(self.names), "surrogateescape")


@lru_cache
def _codec(character_set: str) -> str:
    try:
        return codecs.lookup(_CODECS.get(character_set, character_set)).name
    except LookupError:
        return "latin-1"


def known_collation(name: str) -> str:
    """The collation, or MySQL's nearest to one that only MariaDB has."""
    if "uca1400" in name or "_nopad_" in name:
        if name.endswith("_bin"):
            return "utf8mb4_bin"
        return "utf8mb4_0900_as_cs" if name.endswith("_as_cs") else "utf8mb4_0900_ai_ci"
    return name


class Assignment(NamedTuple):
    """One assignment of a ``SET`` statement; ``scope`` is ``USER`` for ``@variable``, ``NAMES``, or a system's.

    ``source`` says what ``value`` is: a ``LITERAL``, a ``USER`` or ``SYSTEM`` variable, or '', for a ``DEFAULT`` or an
    ``EXPRESSION``.
    """

    scope: str
    name: str
    source: str
    value: str


@lru_cache(maxsize=256)  # mysqldump writes the same twenty for every table
def parse_set(statement: str) -> tuple[Assignment, ...]:
    """Read a ``SET`` statement; empty for ``SET PASSWORD`` and its like. Raises `NotUnderstoodError` for any other."""
    tokens = Tokens(statement)
    spaces = "".join(tokens.spaces)
    if spaces.count("/*") != spaces.count("*/"):
        raise NotUnderstoodError
    cursor = Cursor(tokens)
    cursor.expect("SET")
    if cursor.word() in _OTHER_SETS or cursor.word(1) == "TRANSACTION":
        return ()
    assignments: list[Assignment] = []
    while not assignments or cursor.accept(","):
        if cursor.accept("NAMES"):
            assignments.append(Assignment("NAMES", "", "LITERAL", cursor.plain()))
            if cursor.accept("COLLATE"):
                assignments.append(Assignment("SESSION", "collation_connection", "LITERAL", cursor.plain()))
        else:
            assignments.append(_parse_assignment(cursor))
    cursor.expect("")
    return tuple(assignments)


def _parse_assignment(cursor: Cursor) -> Assignment:
    scope = "USER"
    if not cursor.accept("@") or cursor.accept("@"):
        scope = cursor.word() if cursor.word() in _SCOPES else "SESSION"
        cursor.accept(scope)
        cursor.accept(".")
    name = cursor.name().lower()
    cursor.accept(":")
    cursor.expect("=")
    first = cursor.at
    while cursor.word() not in ("", ","):
        if cursor.word() in ("SET", ":"):  # of the next statement, where a semicolon is lost
            raise NotUnderstoodError
        cursor.step()
    match cursor.tokens.texts[first : cursor.at]:
        case [] | ["=" | ")", *_] | ["@"]:
            raise NotUnderstoodError
        case ["@", variable]:
            return Assignment(scope, name, "USER", unquoted(variable).lower())
        case ["@", "@", variable] | ["@", "@", _, ".", variable]:
            return Assignment(scope, name, "SYSTEM", unquoted(variable).lower())
        case [word] if word.upper() != "DEFAULT":
            return Assignment(scope, name, "LITERAL", word.strip("'\""))
        case texts:
            return Assignment(scope, name, "EXPRESSION" if len(texts) > 1 else "DEFAULT", "")


@dataclass(slots=True)
class Session:
    """The settings at one place of a dump; user variables that save them are followed."""

    settings: SessionSettings = field(default_factory=SessionSettings)
    to_set: set[str] = field(default_factory=set)  # system variables that were saved, as one does before setting them
    _saved: dict[str, str | None] = field(default_factory=dict)
    _names: str | None = None  # what SET NAMES said last

    def apply(self, statement: str) -> bool:
        """Follow a ``SET`` statement; false where it sets anything that has to be listed as left out.

        Raises `UnsafeSettingError` where strings end by other rules, and `NotUnderstoodError` as `parse_set` does.
        """
        understood = [self._assign(assignment) for assignment in parse_set(statement)]
        return bool(understood) and all(understood)

    def _assign(self, assignment: Assignment) -> bool:
        name = assignment.name
        if assignment.scope == "USER":  # which saves something, or is listed, as what is left out with it
            if assignment.source == "SYSTEM":
                self.to_set.add(assignment.value)
            self._saved[name] = self._read(name, assignment)
            return assignment.source in ("SYSTEM", "USER") and assignment.value != "sql_log_bin"
        if assignment.scope == "NAMES":
            name, self._names = "character_set_client", assignment.value
            self._set("collation_connection", None)
        elif assignment.scope not in _SESSION_SCOPES:
            return False
        self.to_set.discard(name)
        if name in _FOLLOWED:
            if assignment.source == "EXPRESSION":
                raise NotUnderstoodError
            self._set(name, self._read(name, assignment))
            return True
        return name in _WITHOUT_MEANING

    def _in_force(self, name: str) -> str | None:
        return getattr(self.settings, name) if name in _FOLLOWED else None

    def _read(self, name: str, assignment: Assignment) -> str | None:
        """What a variable gets; from one that was saved nowhere, as that line was lost, what mysqldump saves."""
        if assignment.source == "USER":
            lost = self._names if name == "character_set_client" else self._in_force(name)
            return self._saved.get(assignment.value, lost)
        return assignment.value if assignment.source == "LITERAL" else self._in_force(assignment.value)

    def _set(self, name: str, value: str | None) -> None:
        if value is not None:
            if not re.fullmatch(r"[\w/+:, -]*", value, re.A):  # it goes into statements of our own
                raise NotUnderstoodError
            if name in ("character_set_client", "collation_connection"):
                value = value.lower()
                if value in _UNSAFE_CHARACTER_SETS:
                    raise UnsafeSettingError(f"character set {value}")
            if name == "sql_mode" and (unsafe := _UNSAFE_MODES.intersection(value.upper().split(","))):
                raise UnsafeSettingError(f"SQL mode {min(unsafe)}")
        if self._in_force(name) != value:
            self.settings = replace(self.settings, **{name: value})
