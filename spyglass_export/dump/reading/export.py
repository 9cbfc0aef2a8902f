"""Read the SQL files of an export for what they hold, and refuse what cannot be a whole dump."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export, Late, Rows, Table
from spyglass_export.dump.reading.frame import Frame
from spyglass_export.dump.reading.sources import COPY_AGAIN, Source
from spyglass_export.dump.reading.statements import (
    DUMP_FOOTER,
    DUMP_HEADER,
    DamagedDumpError,
    Kind,
    Statement,
    read_statements,
)
from spyglass_export.dump.sql import statement_forms
from spyglass_export.dump.sql.create_table import Cursor, NotUnderstoodError, parse_table, with_keys
from spyglass_export.dump.sql.session import Session, UnsafeSettingError
from spyglass_export.dump.sql.tokens import join, meaning, quoted, shown, split_name, tokenize
from spyglass_export.errors import UserError

_FIRST_WORDS = re.compile(rb"(?P<mark>/\*!\d*\s*)?(?P<first>[A-Za-z]+)\b(?:\s|\*/|/\*!?\d*|\()*(?P<second>[A-Za-z]*)")
# Executed after all rows are there, these would meet rows that came after them.
_ROW_CHANGING = {"CALL", "DELETE", "INSERT", "LOAD", "REPLACE", "TRUNCATE", "UPDATE"}
_CREATE = re.compile(rb"(?:/\*!\d*\s*)?CREATE\b", re.I)
_MARIADB_ONLY = re.compile(rb"/\*M!(?:(?!\*/).)*\*/\s*", re.S)  # a comment to MySQL
# At the beginning of a line within another statement: that one has lost its end.
_SWALLOWED_ROWS = re.compile(
    rb"\n(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*INTO\s", re.I
)
_BEGINNINGS = {"ALTER", "CREATE", "DROP", "INSERT", "LOCK", "UNLOCK", "USE"}  # of what follows a table's definition
# fmt: off
_STATEMENTS = {
    "ALTER", "ANALYZE", "BEGIN", "CALL", "CHECK", "CHANGE", "COMMIT", "CREATE", "DEALLOCATE", "DELETE", "DO", "DROP",
    "EXECUTE", "FLUSH", "GRANT", "INSERT", "INSTALL", "LOAD", "LOCK", "OPTIMIZE", "PREPARE", "RENAME", "REPAIR",
    "REPLACE", "RESET", "REVOKE", "ROLLBACK", "SELECT", "SET", "SHOW", "START", "STOP", "TABLE", "TRUNCATE", "UNLOCK",
    "UPDATE", "USE", "VALUES", "WITH", "XA",
}
# fmt: on
# Without them, what follows would be read by the server's own, which nobody knows.
_SETTINGS_OF_ROWS = {"character_set_client", "time_zone"}


def read_export(
    sources: Sequence[Source],
    progress: Callable[[int], None] | None = None,
    on_rows: Callable[[Table, Rows, int, int], None] | None = None,
) -> Export:
    """Read the files of one export.

    ``progress`` is called with the bytes of the users' files read since the last call, ``on_rows`` with each span
    of rows that was read: their table, what they share, start and end in the source.

    Raises `UserError` with file, line and, where there is one, table for anything that cannot be a whole dump.
    """
    export = Export()
    for source in sources:
        _SourceReader(export, source, on_rows).read(progress)
    export.late = _each_created_once(export.late)
    for key, table in list(export.tables.items()):
        if table.is_dropped and not table.rows:
            del export.tables[key]  # such as what stands in for a view until all tables are there
        elif table.definition is None:
            raise UserError(f"{table.place}: rows of {table.where}, which no file defines", COPY_AGAIN)
    if not export.tables:
        names = ", ".join(source.name for source in sources)
        raise UserError(f"{names}: no table is defined in it", "is it the export's _Populate_*.sql file?")
    return export


class _SourceReader:
    def __init__(self, export: Export, source: Source, on_rows: Callable[[Table, Rows, int, int], None] | None) -> None:
        self.export = export
        self.source = source
        self.on_rows = on_rows
        self.session = Session()
        self.frame = Frame()
        self.schema: str | None = None
        self.last_rows: tuple[bytes, Table] | None = None
        self.open_schema: Statement | None = None  # CREATE DATABASE or USE with no dump after it yet
        self.has_header = False
        self.changing_rows: Statement | None = None

    def read(self, progress: Callable[[int], None] | None) -> None:
        table = b""
        done = 0
        with self.source.path.open("rb", buffering=0) as stream:
            try:
                for statement in read_statements(stream):
                    self.take(statement)
                    table = statement.table or table
                    if progress and statement.end - done >= 1 << 20:
                        progress(round((statement.end - done) * self.source.packed))
                        done = statement.end
                    end = statement.end
                self.end()
            except DamagedDumpError as error:
                near = f" (after the rows of {shown(table)})" if table else ""
                raise UserError(f"{self.place(error.offset)}: the dump {error.what}{near}", COPY_AGAIN) from error
            except UnsafeSettingError as error:
                raise UserError(
                    f"{self.source.name}: a dump in {error.setting} cannot be read safely",
                    "dump again with --default-character-set=utf8mb4 and no --compatible",
                ) from error
        if progress:
            progress(round((end - done) * self.source.packed))
        if self.open_schema and self.has_header:
            raise UserError(
                f"{self.place(self.open_schema.start)}: the file ends after this, before any table of the schema",
                COPY_AGAIN,
            )

    def place(self, offset: int) -> str:
        return self.source.place(offset)

    def take(self, statement: Statement) -> None:
        if statement.kind is Kind.ROWS:
            self.take_rows(statement)
        elif statement.kind is Kind.OTHER:
            self.take_other(statement)
        elif statement.kind is Kind.BLANK:
            if DUMP_HEADER.match(statement.text):
                self.has_header = True
                self.open_schema = None
                self.last_rows = None  # its tables may be of another database
            elif statement.text.startswith(DUMP_FOOTER):
                self.open_schema = None
            self.frame.comment(statement.text, statement.start)

    def decode(self, name: str) -> str:
        """A name in the statement's text as text: a dump may change its character set from statement to statement."""
        return self.session.settings.decode(name.encode("latin-1"))

    def end(self) -> None:
        """Refuse what is not closed at the end of the file."""
        self.frame.end()
        for variable, offset in self.session.to_restore.items():
            if variable.startswith("old_") and not self.has_header:
                raise DamagedDumpError(f"ends before it restores @{variable.upper()}, which it saved here", offset)

    @property
    def database(self) -> str | None:
        """The database that USE named, or else the dump's header."""
        return self.schema or self.frame.database

    def require_database(self, offset: int) -> None:
        """Refuse a dump that would go into another database than its own, as its USE is lost."""
        own = self.frame.database
        if own and self.schema and own.isascii() and own.lower() != self.schema.lower():
            raise UserError(
                f"{self.place(offset)}: the dump is of database {own!r} by its header,"
                f" and the last USE before it names {self.schema!r}",
                f"{COPY_AGAIN}; if it is to go there, say so in the header's 'Database:' too",
            )

    def require_frame(self, name: bytes, offset: int) -> None:
        """Refuse a table where its dump program would not have written it, or not under these settings."""
        self.frame.table(name, offset)
        unset = self.session.to_set & _SETTINGS_OF_ROWS
        if self.frame.is_inside and unset:
            raise DamagedDumpError(f"has {shown(name)} here, and has saved but not set {min(unset)} before", offset)

    def table(self, schema: str | None, name: str, offset: int) -> Table:
        if schema is None:
            self.require_database(offset)
            schema = self.database
        if schema is None:
            raise UserError(
                f"{self.place(offset)}: no USE says which database {quoted(name)} belongs to",
                "dump with --databases, or put CREATE DATABASE and USE statements first",
            )
        self.export.schemas.setdefault(schema, [])
        table = self.export.tables.get((schema, name))
        if table is None:
            table = self.export.tables[schema, name] = Table(
                schema, name, number=len(self.export.tables) + 1, defined_at=(self.source, offset)
            )
        return table

    def take_rows(self, statement: Statement) -> None:
        if self.changing_rows:
            text = shown(self.changing_rows.text[:60]).split("\n")[0]
            raise UserError(
                f"{self.place(statement.start)}: rows come after {text!r}, which is executed when all rows are there",
                "dump again with mysqldump, or take that statement out of the file",
            )
        if self.last_rows and self.last_rows[0] == statement.table:
            table = self.last_rows[1]
        else:
            schema, name = split_name(statement.table)
            table = self.table(schema and self.decode(schema), self.decode(name), statement.start)
            self.last_rows = statement.table, table
        self.require_frame(statement.table, statement.start)
        table.column_lists.add(statement.columns)
        settings = self.session.settings
        if not table.rows or table.rows[-1].source is not self.source or table.rows[-1].settings != settings:
            table.rows.append(Rows(self.source, settings))
        spans = table.rows[-1].spans
        start = statement.start
        if spans and start - spans[-1] <= 2:  # a line end between two statements
            start = spans[-1]
            spans[-1] = statement.end
        else:
            spans.extend((start, statement.end))
        if self.on_rows:
            self.on_rows(table, table.rows[-1], start, statement.end)

    def take_other(self, statement: Statement) -> None:
        try:
            self.follow(statement)
        except NotUnderstoodError as error:
            raise self.no_sql(statement) from error

    def follow(self, statement: Statement) -> None:
        text = statement.text[: -len(statement.delimiter)]
        self.frame.refuse_nul_bytes(text, statement.start)
        if _MARIADB_ONLY.fullmatch(text):
            self.drop(statement, "MariaDB only")
            return
        words = _FIRST_WORDS.match(text)
        if words is None and not statement_forms.words_of(text):
            return  # nothing but a comment, or not even that
        first = words["first"].decode().upper() if words else ""
        begins = f"{first} {words['second'].decode().upper()}" if words else ""
        # An INSERT of another form than mysqldump's has no place in what it wrote.
        if first not in _STATEMENTS or (first in ("INSERT", "REPLACE") and self.has_header):
            raise self.no_sql(statement)
        is_program = first == "CREATE" and begins not in ("CREATE TABLE", "CREATE DATABASE", "CREATE SCHEMA")
        if not is_program and statement.delimiter == b";" and _SWALLOWED_ROWS.search(text):
            raise self.no_sql(statement)
        versioned = words is not None and words["mark"] is not None
        if first == "SET":
            if not self.session.apply(text, statement.start):
                self.keep_for_later(statement)
            elif b"GTID_PURGED" in text or b"SQL_LOG_BIN" in text:
                self.drop(statement)
        elif begins == "CREATE TABLE" and not versioned:
            self.create_table(statement)
        elif self.is_left_out(statement, statement_forms.words_of(text), versioned=versioned):
            pass
        elif begins == "ALTER TABLE" and not versioned:
            self.add_keys(statement)
        elif (
            begins in statement_forms.BEGINNINGS
            or first in statement_forms.BEGINNINGS
            or (begins in ("DROP TABLE", "DROP TABLES") and not versioned)
        ):
            raise self.no_sql(statement)
        else:
            if first in _ROW_CHANGING:
                self.changing_rows = statement
            self.keep_for_later(statement)

    def is_left_out(self, statement: Statement, words: str, *, versioned: bool) -> bool:
        """Follow a statement that has no place in the result; false for one that has."""
        self.frame.statement(words, statement.start)
        if statement_forms.USE.fullmatch(words):
            self.use(statement)
        elif statement_forms.CREATE_DATABASE.fullmatch(words):
            self.create_database(statement)
        elif statement_forms.ALTER_DATABASE.fullmatch(words):
            self.drop(statement, kind="character set")
        elif (dropped := statement_forms.DROP_TABLE.fullmatch(words)) and not versioned:
            for name in statement_forms.NAMES.findall(dropped["tables"]):
                if table := self.known_table(name):
                    table.is_dropped = True
        elif statement_forms.SOURCE_ONLY.fullmatch(words) or self.is_emptying_what_is_empty(words):
            self.drop(statement)
        else:
            return False
        return True

    def is_emptying_what_is_empty(self, words: str) -> bool:
        """Whether rows are deleted of a table that has none yet, as some programs write before their INSERTs."""
        found = statement_forms.EMPTYING.fullmatch(words)
        if not found:
            return False
        table = self.known_table(found["table"])
        return table is None or not table.rows

    def known_table(self, identifier: str) -> Table | None:
        """The table of this name, if it was met before."""
        schema, name = split_name(identifier.encode("latin-1"))
        return self.export.tables.get((self.decode(schema) if schema else self.database or "", self.decode(name)))

    def no_sql(self, statement: Statement) -> UserError:
        found = shown(statement.text[:60]).split("\n")[0]
        return UserError(f"{self.place(statement.start)}: this is no SQL: {found!r}", COPY_AGAIN)

    def drop(self, statement: Statement, kind: str = "source server") -> None:
        text = " ".join(shown(statement.text).split())
        reason = "only makes sense on the source server, or while the source was read"
        self.export.changes[Change(kind, self.source.name, text, "", reason)] = None

    def use(self, statement: Statement) -> None:
        cursor = Cursor(tokenize(statement.text))
        cursor.expect("USE")
        self.schema = self.decode(cursor.name())
        self.last_rows = None
        self.frame.use()
        self.export.schemas.setdefault(self.schema, [])
        self.open_schema = statement

    def create_database(self, statement: Statement) -> None:
        cursor = Cursor(tokenize(statement.text))
        cursor.take()
        cursor.take()
        cursor.accept("IF", "NOT", "EXISTS")
        name = self.decode(cursor.name())
        self.export.schemas.setdefault(name, [])
        if statement.text not in self.export.schemas[name]:
            self.export.schemas[name].append(statement.text)
        self.open_schema = statement

    def create_table(self, statement: Statement) -> None:
        self.open_schema = None
        try:
            definition = parse_table(tokenize(statement.text))
        except NotUnderstoodError:
            self.keep_for_later(statement)
            return
        words = [token.word for token in definition.tokens[definition.options_at :] if token.matters]
        if any(word in _BEGINNINGS or (word == "SET" and before != "CHARACTER") for before, word in pairwise(words)):
            raise self.no_sql(statement)
        schema = definition.schema and self.decode(definition.schema)
        table = self.table(schema, self.decode(definition.name), statement.start)
        self.require_frame(quoted(definition.name).encode("latin-1"), statement.start)
        table.is_dropped = False
        says = meaning_of_definition(statement.text)
        if table.definition is None:
            table.definition, table.text, table.meaning = definition, statement.text, says
            table.settings, table.defined_at = self.session.settings, (self.source, statement.start)
        elif table.meaning != says:
            one, other = _lines_that_differ(table.text, statement.text)
            raise UserError(
                f"{table.where} is defined in two ways: {table.place} has {one},"
                f" {self.place(statement.start)} has {other}",
                "two exports are mixed here; keep the files of one",
            )

    def add_keys(self, statement: Statement) -> None:
        """Put keys that some programs add after the rows where the rows' other keys are, to be looked at with them."""
        tokens = tokenize(statement.text[: -len(statement.delimiter)])
        cursor = Cursor(tokens)
        cursor.take()
        cursor.take()
        first = cursor.indexes[cursor.at]
        cursor.qualified_name()
        name = join(tokens[first : cursor.indexes[cursor.at - 1] + 1])
        table = self.known_table(name.decode("latin-1"))
        if table is None or table.definition is None:
            self.keep_for_later(statement)
            return
        table.definition, keys, left = with_keys(table.definition, tokens)
        reason = "its rows are looked at for whether they fit"
        for key in keys:
            self.export.changes[Change("key", table.where, f"ADD {shown(key)}", "in CREATE TABLE", reason)] = None
        if left:
            rest = b"ALTER TABLE %b %b" % (name, ", ".join(left).encode("latin-1"))
            self.keep_for_later(replace(statement, text=rest + statement.delimiter))

    def keep_for_later(self, statement: Statement) -> None:
        self.open_schema = None
        text = statement.text[: -len(statement.delimiter)]
        self.export.late.append(Late(self.database, self.session.settings, text, statement.delimiter))


def _each_created_once(late: list[Late]) -> list[Late]:
    """The last of each: every piece of a table has its triggers, and `DROP TABLE` took the earlier ones with it."""
    last: list[Late] = []
    created: set[Late] = set()
    for one in reversed(late):
        if one not in created:
            last.append(one)
        if _CREATE.match(one.text):
            created.add(one)
    return last[::-1]


def meaning_of_definition(text: bytes) -> list[str]:
    """The definition without what may differ between two dumps of one table: its next AUTO_INCREMENT value."""
    words = meaning(text)
    for at in range(len(words) - 2):
        if words[at] == "AUTO_INCREMENT" and words[at + 1] == "=":
            return words[:at] + words[at + 3 :]
    return words


def _lines_that_differ(one: bytes, other: bytes) -> tuple[str, str]:
    """The lines of each definition that the other has not, each as one line."""
    lines = [[line.strip(b" \t\r,") for line in text.split(b"\n")] for text in (one, other)]
    first = [shown(line) for line in lines[0] if line not in lines[1]]
    second = [shown(line) for line in lines[1] if line not in lines[0]]
    return " ".join(first) or "nothing more", " ".join(second) or "nothing more"
