"""Follow what the ``SET`` statements of a dump say, so that each output file can say what it needs itself."""

import re
from dataclasses import dataclass

from sqlparse import tokens as types

from spyglass_export.dump.sql.create_table import Cursor, NotUnderstoodError
from spyglass_export.dump.sql.tokens import join, tokenize

_FOLLOWED = {
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "time_zone",
    "sql_mode",
}
# Of no meaning to a new server: they speed up the load, or keep it out of the binary log of the source's replicas.
SOURCE_ONLY = {
    "sql_log_bin",
    "gtid_purged",
    "gtid_next",
    "gtid_slave_pos",
    "sql_notes",
    "note_verbosity",
    "unique_checks",
    "foreign_key_checks",
    "autocommit",
    "check_constraint_checks",
    "system_versioning_insert_history",
    "sql_quote_show_create",
    "max_statement_time",
    "restrict_fk_on_non_standard_key",
    "log_bin_trust_function_creators",
}
_NAMES = ("character_set_client", "character_set_connection", "character_set_results")
_SCOPES = ("GLOBAL", "SESSION", "LOCAL", "PERSIST", "PERSIST_ONLY")
_USER_VARIABLE = re.compile(r"(?<!@)@(\w+)")
_OTHER_SETS = {"PASSWORD", "TRANSACTION", "ROLE", "DEFAULT", "RESOURCE", "STATEMENT"}
# In these a byte of a character may be a backslash or a quote, which neither this reader nor mysql's can tell.
_UNSAFE_CHARACTER_SETS = {"big5", "cp932", "gb18030", "gbk", "sjis"}
_UNSAFE_MODES = {"NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI", "ORACLE", "POSTGRESQL", "MSSQL", "DB2", "MAXDB"}
# https://dev.mysql.com/doc/refman/9.7/en/sql-mode.html
_MYSQL_MODES = {
    "ALLOW_INVALID_DATES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "HIGH_NOT_PRECEDENCE",
    "IGNORE_SPACE",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_DIR_IN_CREATE",
    "NO_ENGINE_SUBSTITUTION",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ONLY_FULL_GROUP_BY",
    "PAD_CHAR_TO_FULL_LENGTH",
    "PIPES_AS_CONCAT",
    "REAL_AS_FLOAT",
    "STRICT_ALL_TABLES",
    "STRICT_TRANS_TABLES",
    "TIME_TRUNCATE_FRACTIONAL",
}
# Strict, so that no value is ever cut; with the zero and odd dates that the source could hold.
LOADING_MODE = "NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ALLOW_INVALID_DATES"


# Python's names for MySQL's character sets; https://dev.mysql.com/doc/refman/9.7/en/charset-charsets.html
_CODECS = {
    "utf8mb4": "utf-8",
    "utf8mb3": "utf-8",
    "binary": "utf-8",
    "latin1": "cp1252",
    "latin2": "iso8859-2",
    "latin5": "iso8859-9",
    "latin7": "iso8859-13",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "greek": "iso8859-7",
    "hebrew": "iso8859-8",
    "ujis": "euc-jp",
    "eucjpms": "euc-jp",
    "euckr": "euc-kr",
    "gb2312": "gb2312",
}


class UnsafeSettingError(Exception):
    """The dump's settings change how its bytes are read in a way that is not supported."""

    def __init__(self, setting: str) -> None:
        super().__init__(setting)
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Settings:
    """The session's settings that a statement was dumped under; None is the server's default."""

    character_set: str | None = None
    time_zone: str | None = None
    collation: str | None = None
    sql_mode: str | None = None

    def for_loading(self) -> bytes:
        """The statements that rows and definitions need before them, in an otherwise fresh session."""
        time_zone = f"SET TIME_ZONE='{self.time_zone}';\n" if self.time_zone else ""
        return (
            f"SET NAMES {self.names};\n{time_zone}SET SQL_MODE='{LOADING_MODE}';\nSET FOREIGN_KEY_CHECKS=0;\n"
        ).encode()

    def for_program(self) -> bytes:
        """The statements that a view, trigger or routine needs before it."""
        collation = "" if self.collation is None else f" COLLATE {known_collation(self.collation)}"
        if collation and not self.collation.startswith(f"{self.names}_"):  # type: ignore[union-attr]
            collation = f";\nSET COLLATION_CONNECTION={known_collation(self.collation or '')}"
        time_zone = self.time_zone or "SYSTEM"
        mode = "DEFAULT" if self.sql_mode is None else f"'{_known_modes(self.sql_mode)}'"
        return (
            f"SET NAMES {self.names}{collation};\nSET TIME_ZONE='{time_zone}';\nSET SQL_MODE={mode};\n"
            "SET FOREIGN_KEY_CHECKS=0;\n"
        ).encode()

    @property
    def names(self) -> str:
        """The character set that the statements are written in, utf8mb4 where the dump says nothing."""
        return {None: "utf8mb4", "utf8": "utf8mb3"}.get(self.character_set, self.character_set or "")

    def characters(self, text: bytes) -> int:
        """How many characters these bytes are, or, in character sets that are rarely met, at most are."""
        return len(self.decode(text)) if self.names in ("utf8mb4", "utf8mb3", "latin1") else len(text)

    def decode(self, text: bytes) -> str:
        """Text of the dump; what is none in its character set stays as it is, in surrogates."""
        return text.decode(_CODECS.get(self.names, "latin-1"), "surrogateescape")


def known_collation(name: str) -> str:
    """The collation, or MySQL's nearest to one that only MariaDB has."""
    if "uca1400" in name or "_nopad_" in name:
        if name.endswith("_bin"):
            return "utf8mb4_bin"
        return "utf8mb4_0900_as_cs" if name.endswith("_as_cs") else "utf8mb4_0900_ai_ci"
    return name


def _known_modes(sql_mode: str) -> str:
    return ",".join(mode for mode in sql_mode.upper().split(",") if mode in _MYSQL_MODES)


class Session:
    """The settings at one place of a dump; user variables that save them are followed."""

    def __init__(self) -> None:
        self.values: dict[str, str | None] = {}
        self.saved: dict[str, str | None] = {}
        self.names: str | None = None  # what SET NAMES said last
        self.to_set: set[str] = set()  # system variables that were saved, as one does before setting them
        self.to_restore: dict[str, int] = {}  # user variables that one was saved in, and at which offset

    @property
    def settings(self) -> Settings:
        """The settings that are in force."""
        get = self.values.get
        return Settings(get("character_set_client"), get("time_zone"), get("collation_connection"), get("sql_mode"))

    def apply(self, statement: bytes, offset: int) -> bool:
        """Follow a ``SET`` statement that stands at ``offset``; false where it sets anything that is not known here.

        What was saved nowhere, as its line was lost, is restored to what mysqldump saves.

        Raises `UnsafeSettingError` for character sets and modes in which strings end by other rules, and
        `NotUnderstoodError` for what is no list of assignments.
        """
        tokens = tokenize(statement.rstrip(b"; \r\n\t"))
        cursor = Cursor(tokens)
        cursor.expect("SET")
        if cursor.word() in _OTHER_SETS or cursor.word(1) == "TRANSACTION":
            return False
        understood = self._assign(cursor, offset)
        while cursor.accept(","):
            understood = self._assign(cursor, offset) and understood
        marks = [token.text for token in tokens if token.text.startswith(("/*!", "*/"))]
        if cursor.peek() is not None or marks[::2].count("*/") or len(marks) % 2:
            raise NotUnderstoodError
        return understood

    def _assign(self, cursor: Cursor, offset: int) -> bool:
        if cursor.accept("NAMES"):
            self._set_names(_value(cursor))
            if cursor.accept("COLLATE"):
                self.values["collation_connection"] = _value(cursor)
            return True
        if cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET"):
            self._set_names(_value(cursor))
            return True
        is_user_variable = cursor.accept("@") and not cursor.accept("@")
        if cursor.word() in _SCOPES:
            cursor.take()
            cursor.accept(".")
        name = cursor.name().lower()
        if not cursor.accept(":", "=") and not cursor.accept("="):
            raise NotUnderstoodError
        is_variable, is_system = cursor.word() == "@", cursor.word(1) == "@"
        was_saved = not is_variable or is_system or cursor.word(1).lower() in self.saved
        start = cursor.at
        value = self._read(cursor)
        while is_user_variable and cursor.word() not in ("", ","):  # an expression, whose value nothing here needs
            if cursor.word() == "SET":
                raise NotUnderstoodError
            if cursor.word() == "(":
                cursor.skip_parentheses()
            else:
                cursor.take()
        if not is_user_variable:
            self.to_set.discard(name)
        elif is_variable and is_system:
            self.to_set.add(cursor.tokens[cursor.indexes[cursor.at - 1]].text.lower())
            self.to_restore[name] = offset
        used = cursor.tokens[cursor.indexes[start] : cursor.indexes[cursor.at - 1] + 1]
        for read in _USER_VARIABLE.findall(join(used).decode("latin-1")):
            self.to_restore.pop(read.lower(), None)
        if is_user_variable:
            self.saved[name] = value
        elif name in _FOLLOWED and not was_saved:
            self.values[name] = self.names if name in _NAMES else self.values.get(name)
        elif name in _FOLLOWED:
            self._set(name, value)
        else:
            return name in SOURCE_ONLY
        return True

    def _set_names(self, value: str | None) -> None:
        self.to_set.difference_update((*_NAMES, "collation_connection"))
        self.names = value
        self._set("character_set_client", value)
        self._set("character_set_results", value)
        self._set("collation_connection", None)

    def _set(self, name: str, value: str | None) -> None:
        if name == "character_set_client" and value and value.lower() in _UNSAFE_CHARACTER_SETS:
            raise UnsafeSettingError(f"character set {value}")
        if name == "sql_mode" and value:
            unsafe = _UNSAFE_MODES.intersection(value.upper().split(","))
            if unsafe:
                raise UnsafeSettingError(f"SQL mode {min(unsafe)}")
        self.values[name] = value

    def _read(self, cursor: Cursor) -> str | None:
        """The value on the right of an assignment; a variable's where it is one that is followed."""
        if cursor.accept("@"):
            is_system = cursor.accept("@")
            if is_system and cursor.word() in _SCOPES and cursor.word(1) == ".":
                cursor.take()
                cursor.take()
            name = cursor.name().lower()
            return (self.values if is_system else self.saved).get(name)
        start = cursor.at
        cursor.accept("-") or cursor.accept("+")
        token = cursor.tokens[cursor.take()]
        if token.type in types.String:
            while (following := cursor.peek()) is not None and following.type in types.String:
                cursor.take()
        elif token.text == "(":
            cursor.at -= 1
            cursor.skip_parentheses()
        elif token.type is types.Punctuation:
            raise NotUnderstoodError
        is_call = cursor.word() == "("
        if is_call:
            cursor.skip_parentheses()
        used = cursor.tokens[cursor.indexes[start] : cursor.indexes[cursor.at - 1] + 1]
        text = join(used).decode("latin-1")
        if is_call:  # as HeidiSQL restores: IFNULL(@OLD_TIME_ZONE, 'system')
            saved = _USER_VARIABLE.search(text)
            return self.saved.get(saved[1].lower()) if saved else None
        return None if text.upper() == "DEFAULT" else text.strip("'\"")


def _value(cursor: Cursor) -> str:
    return cursor.tokens[cursor.take()].text.strip("'\"").lower()
