"""Read the SQL files of an export for what they hold, and refuse what cannot be a whole dump."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar

from spyglass_export.dump.reading.completeness import Completeness
from spyglass_export.dump.reading.contents import Export, Program, Rows, Table, column_names
from spyglass_export.dump.reading.sources import COPY_AGAIN, Hashed, Source
from spyglass_export.dump.reading.statements import DamagedDumpError, Kind, Statement, read_statements
from spyglass_export.dump.sql import statement_forms as forms
from spyglass_export.dump.sql.create_table import NotUnderstoodError, parse_table
from spyglass_export.dump.sql.session import Session, UnsafeSettingError, parse_set
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import Tokens, printable, quoted, split_name, unquoted
from spyglass_export.errors import UserError

# https://dev.mysql.com/doc/refman/9.7/en/system-schema.html and .../mysql-cluster-ndbinfo.html
SYSTEM_SCHEMAS = {"mysql", "sys", "information_schema", "performance_schema", "ndbinfo"}
_SET = re.compile(r"SET .*", re.S | re.I)
# At the beginning of a line within another statement: that one has lost its end.
_ANOTHER = re.compile(
    r"\n(?:(?:INSERT|REPLACE|CREATE|DROP|LOCK|UNLOCK|USE|SET)\s"
    r"|/\*!\d+ (?!(?:DEFINER|SQL|VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PARTITION)\b)|-- )",
    re.I | re.A,
)
# Of what follows a table's definition.
_BEGINNINGS = {"ALTER", "CREATE", "DROP", "INSERT", "LOCK", "REPLACE", "UNLOCK", "USE"}
_DELIMITERS = re.compile(rb";|;;\d*|//")  # that dump programs use
# Without them, what follows would be read by the server's own, which nobody knows.
_SETTINGS_OF_ROWS = {"character_set_client", "time_zone"}
_OF_SOURCE = "only makes sense on the source server, or while the source was read"
# Of programs that write to the same file.
_MESSAGE = re.compile(
    r"\s*((?:(?:mysqldump|mariadb-dump|mysql|docker)\b[^\n:]*: |Warning: A partial|Enter password)[^\n]*)"
)
_FAILED = "the dump failed there: mend what the message says, and dump again"
_WARNED = "take this line out of the file; dump with `2> messages.txt` to keep it out next time"
_TOLD_EVERY = 1 << 20  # bytes
OnRows = Callable[[Table, Rows, bytes], None]
OnText = Callable[[str, bytes], None]
Progress = Callable[[int], None]


def read_export(
    sources: Sequence[Source], progress: Progress | None, on_rows: OnRows | None = None, on_text: OnText | None = None
) -> Export:
    """Read the files of one export; raise `UserError` with file and line for what cannot be a whole dump.

    ``progress`` is called with the bytes of the users' files read since the last call, ``on_rows`` with each piece of
    a table's rows that was read and its text, ``on_text`` with a source's name and what stands between rows of it.
    """
    export = Export()
    waiting = list(sources)
    for source in waiting:
        try:
            _SourceReader(export, source, on_rows, on_text, may_wait=waiting.count(source) == 1).read(progress)
        except _DefinedLaterError:
            waiting.append(source)
    for key, table in list(export.tables.items()):
        if table.is_dropped and table.rows:
            raise UserError(f"{table.place}: {table.id.where} is dropped after its rows", COPY_AGAIN)
        if table.is_dropped:
            del export.tables[key]  # such as what stands in for a view until all tables are there
    if not export.tables:
        names = ", ".join(source.name for source in sources)
        raise UserError(f"{names}: no table is defined in it", "is it the export's _Populate_*.sql file?")
    return export


class _DefinedLaterError(Exception):
    """A file begins with rows of a table that another file may define, as `--no-create-info` has them written."""


class _SourceReader:
    def __init__(
        self, export: Export, source: Source, on_rows: OnRows | None, on_text: OnText | None, *, may_wait: bool
    ) -> None:
        self.export = export
        self.may_wait = may_wait  # until other files are read
        self.source = source
        self.on_rows = on_rows
        self.on_text = on_text
        self.text: list[bytes] = []  # since the last rows
        self.session = Session()
        self.completeness = Completeness()
        self.schema: str | None = None  # that USE named
        self.rows_of: tuple[bytes, Table | None] | None = None  # the last rows' table
        self.open_schema: Statement | None = None  # CREATE DATABASE or USE with no dump after it yet
        self.has_dump = False

    def read(self, progress: Progress | None) -> None:
        table = b""
        done = end = 0
        with self.source.path.open("rb", buffering=0) as file:
            stream = Hashed(file)
            try:
                for statement in read_statements(stream):
                    self.take(statement)
                    self.tell_text(statement)
                    table = statement.table or table
                    end = statement.end
                    if progress and end - done >= _TOLD_EVERY:
                        progress(round((end - done) * self.source.packed))
                        done = end
                self.completeness.end()
            except DamagedDumpError as error:
                _refuse_message(self.source, error.offset)
                near = f" (in or after the rows of {printable(self.decode(table))})" if table else ""
                raise self.error(error.offset, f"the dump {error.what}{near}") from error
            except UnsafeSettingError as error:
                what = f"{self.source.name}: a dump in {error} cannot be read safely"
                raise UserError(what, "dump again with --default-character-set=utf8mb4, no --compatible") from error
        self.tell_text(None)
        self.export.digests[self.source.path] = stream.digest.hexdigest()
        if progress:
            progress(round((end - done) * self.source.packed))
        if self.open_schema and self.has_dump:
            raise self.error(self.open_schema.start, "the file ends after this, before any table of the schema")

    def tell_text(self, statement: Statement | None) -> None:
        if not self.on_text:
            return
        if statement and statement.kind is not Kind.ROWS:
            self.text.append(statement.text)
        elif self.text:
            self.on_text(self.source.name, b"".join(self.text))
            self.text = []

    def error(self, offset: int, what: str, hint: str = COPY_AGAIN) -> UserError:
        return UserError(f"{self.source.place(offset)}: {what}", hint)

    def decode(self, text: bytes) -> str:
        """A dump may change its character set from statement to statement."""
        return self.session.settings.decode(text)

    def take(self, statement: Statement) -> None:
        if statement.kind is Kind.ROWS:
            self.take_rows(statement)
        elif statement.kind is Kind.OTHER:
            try:
                self.follow(statement)
            except NotUnderstoodError as error:
                raise self.refusal(statement) from error
        elif statement.kind is Kind.BLANK and self.completeness.comment(statement.text, self.decode, statement.start):
            self.open_schema, self.has_dump = None, True
            self.rows_of = None  # the next may be of another database

    def id_of(self, schema: str | None, name: str, offset: int) -> TableId:
        """The table by its schema; refuses one whose USE is lost, as it would go into another database than its own."""
        own = self.completeness.database
        if schema is None and own and self.schema and own.lower() != self.schema.lower():
            what = f"the dump is of database {own!r} by its header, and the last USE before it names {self.schema!r}"
            raise self.error(offset, what)
        schema = schema or self.schema or own
        if schema is None:
            what = f"no USE says which database {printable(quoted(name))} belongs to"
            raise self.error(offset, what, "dump with --databases, or put CREATE DATABASE and USE statements first")
        return TableId(schema, name)

    def is_of_server(self, schema: str) -> bool:
        """Whether the schema is one of the server's own, which every server has; what is left out is listed."""
        if schema.lower() not in SYSTEM_SCHEMAS:
            return False
        self.note("server's own schema", quoted(schema), "every server has its own")
        return True

    def require_place(self, name: str, offset: int) -> None:
        """Refuse a table where its dump program would not have written it, or not under these settings."""
        self.completeness.table(name, offset)
        if unset := self.session.to_set & _SETTINGS_OF_ROWS:
            what = f"has {printable(quoted(name))} here, and has saved but not set {min(unset)} before"
            raise DamagedDumpError(what, offset)

    def take_rows(self, statement: Statement) -> None:
        if self.rows_of is None or self.rows_of[0] != statement.table:
            self.rows_of = statement.table, self.table_of_rows(statement)
        table = self.rows_of[1]
        if table is None:
            return
        last = table.rows[-1] if table.rows and table.rows[-1].source is self.source else None
        gap = statement.start - last.end if last else None
        if gap != 0:
            self.require_place(table.id.name, statement.start)
            table.column_lists.add(None if statement.columns is None else column_names(self.decode(statement.columns)))
        table.may_have_late_year |= statement.may_have_late_year
        piece = Rows(self.source, self.session.settings, statement.start, statement.end)
        if self.on_rows:
            self.on_rows(table, piece, statement.text)
        if last and gap in (0, 1, 2):  # none in a block that goes on, a line end between two statements
            last.end = piece.end
        else:
            table.rows.append(piece)

    def table_of_rows(self, statement: Statement) -> Table | None:
        """The table of an INSERT; None for one of the server's own."""
        if not self.completeness.is_inside:
            raise self.refusal(statement)
        table_id = self.id_of(*split_name(self.decode(statement.table)), statement.start)
        self.completeness.table(table_id.name, statement.start)
        if self.is_of_server(table_id.schema):
            return None
        table = self.export.tables.get(table_id)
        if table is None and self.may_wait:
            raise _DefinedLaterError
        if table is None:
            what = f"rows of {printable(table_id.sql)}, which is defined nowhere before them"
            raise self.error(statement.start, what, "dump again without --no-create-info")
        self.may_wait = False
        return table

    def follow(self, statement: Statement) -> None:
        """Take a statement that has no rows for what it is, by its form."""
        raw = statement.text[: -len(statement.delimiter)]
        self.completeness.refuse_nul_bytes(raw, statement.start)
        text = self.decode(raw)
        # A definition as mysqldump writes it is known by its beginning, and read word by word later.
        words = text if text.startswith("CREATE TABLE `") else forms.words_of(text)
        is_inside = self.completeness.is_inside
        if not words:  # nothing but a comment, which MariaDB's ``/*M!...*/`` is to MySQL
            if "/*M!" in text:
                self.note("MariaDB only", text, _OF_SOURCE)
            return
        if is_inside and self.completeness.statement(words, statement.start):
            return
        for form, handle in self._HANDLERS if is_inside else self._HANDLERS_OUTSIDE:
            if found := form.fullmatch(words):
                handle(self, statement, text, found)
                return
        raise self.refusal(statement)

    def refusal(self, statement: Statement) -> UserError:
        _refuse_message(self.source, statement.start)
        first = repr(printable(self.decode(statement.text))[:60])
        if self.completeness.is_inside:
            return self.error(statement.start, f"this is nothing that mysqldump writes: {first}")
        what = "this stands outside of what '-- MySQL dump' begins and '-- Dump completed' ends"
        what = f"{what}, and nothing else tells whether all is there: {first}"
        hint = "dump again with mysqldump or mariadb-dump, without --compact and --skip-comments"
        return self.error(statement.start, what, hint)

    def note(self, kind: str, text: str, reason: str) -> None:
        self.export.note(kind, self.source.name, printable(text), "", reason)

    def leave_out(self, kind: str, text: str, shown: str, reason: str = _OF_SOURCE) -> None:
        if _ANOTHER.search(text):
            raise NotUnderstoodError
        self.note(kind, shown, reason)

    def set_session(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        if not self.session.apply(text.strip()):
            shown = text if parse_set(text.strip()) else f"{' '.join(found[0].split()[:2])} ..."
            self.leave_out("source server", shown, shown)

    def leave_out_of_server(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        what = " ".join(found[0].split()[:2]).upper()  # no more: there may be a password in it
        self.leave_out("server's own", text, f"{what} ...", "it belongs to a server, not to a paper")

    def use(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        self.schema = unquoted(found["schema"])
        self.rows_of = None
        self.completeness.database = None  # from now on, USE says what it is
        if self.schema.lower() not in SYSTEM_SCHEMAS:
            self.export.schemas.setdefault(self.schema, [])
        self.open_schema = statement

    def create_database(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        name = unquoted(found["schema"])
        if name != printable(name):
            raise NotUnderstoodError  # the `mysql` client reads no name that has a line end in it
        self.open_schema = statement
        if not self.is_of_server(name):
            statements = self.export.schemas.setdefault(name, [])
            statements += [text] * (text not in statements)

    def drop_database(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        schema = unquoted(found["schema"])
        if any(table.schema == schema for table in self.export.tables):
            raise self.error(statement.start, f"{printable(quoted(schema))} is dropped after its tables")
        self.leave_out("source server", text, text)

    def drop_table(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        for identifier in forms.NAMES.findall(found["tables"]):
            if table := self.export.tables.get(self.id_of(*split_name(identifier), statement.start)):
                table.is_dropped = True

    def create_table(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        self.may_wait = False
        tokens = Tokens(text + ";")
        definition = parse_table(tokens)
        options = tokens.words[definition.options_at :]
        if any(word in _BEGINNINGS or (word == "SET" and before != "CHARACTER") for before, word in pairwise(options)):
            raise NotUnderstoodError
        if tokens.has_client_command or forms.reaches_out(tokens):
            raise NotUnderstoodError
        table_id = self.id_of(definition.schema, definition.name, statement.start)
        self.require_place(table_id.name, statement.start)
        if self.is_of_server(table_id.schema):
            return
        self.export.schemas.setdefault(table_id.schema, [])
        at = self.source, statement.start
        new = Table(table_id, len(self.export.tables) + 1, at, definition, self.session.settings)
        table = self.export.tables.setdefault(table_id, new)
        if table is not new and _meaning(table.definition.tokens) != _meaning(tokens):
            raise _two_definitions(table, new.place, text)
        table.is_dropped = False

    def keep_program(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        """Keep a view, trigger, routine or event for the end, but none that reaches beyond the paper's databases."""
        tokens = Tokens(text)
        is_open = statement.delimiter == b";" and _ANOTHER.search(text)
        if is_open or tokens.has_client_command or not _DELIMITERS.fullmatch(statement.delimiter):
            raise NotUnderstoodError
        kind = found["kind"].upper()
        program_id = self.id_of(*split_name(found["name"]), statement.start)
        if self.is_of_server(program_id.schema):
            return
        if reaching := forms.reaches_out(tokens):
            reason = f"it has {reaching!r} in it, which reaches beyond the paper's databases"
            self.note("left out", f"{kind} {quoted(program_id.name)}", reason)
            return
        place = self.source.place(statement.start)
        # Every piece of a table has its triggers, and another view stands in for each view first: the last counts.
        self.export.programs.pop((kind, program_id), None)
        self.export.programs[kind, program_id] = Program(program_id, self.session.settings, tokens, kind, place)

    def refuse_change(self, statement: Statement, text: str, found: re.Match[str]) -> None:
        what = f"this would change rows or tables after they were written: {printable(text)[:60]!r}"
        raise self.error(statement.start, what, "dump again with mysqldump, or take that statement out of the file")

    # Spyglass' script writes USE and CREATE DATABASE between the dumps of its tables.
    _HANDLERS_OUTSIDE: ClassVar[list[tuple[re.Pattern[str], Callable[..., None]]]] = [
        (_SET, set_session),
        (forms.USE, use),
        (forms.CREATE_DATABASE, create_database),
    ]
    _HANDLERS: ClassVar = [
        *_HANDLERS_OUTSIDE,
        (forms.CREATE_TABLE, create_table),
        (forms.DROP_TABLE, drop_table),
        (forms.ALTER_DATABASE, lambda self, statement, text, found: self.leave_out("character set", text, text)),
        (forms.DROP_DATABASE, drop_database),
        (forms.SERVERS_OWN, leave_out_of_server),
        (forms.PROGRAM, keep_program),
        (forms.DROP_PROGRAM, lambda *_: None),  # of an empty database, nothing need be dropped
        (forms.CHANGING_ROWS, refuse_change),
    ]


def _meaning(tokens: Tokens) -> str:
    """The definition without what may differ between two dumps of one table: its next AUTO_INCREMENT value."""
    return re.sub(" AUTO_INCREMENT = [0-9]+ ", " ", " ".join(tokens.words))


def _refuse_message(source: Source, offset: int) -> None:
    """Raise `UserError` where a message of a program stands: it may have a quote in it that nothing closes."""
    with source.path.open("rb") as file:
        file.seek(offset)
        line = file.readline(1 << 12).decode("utf-8", "replace")
    if message := _MESSAGE.match(line):
        what = f"{source.place(offset)}: this is a message of a program, not of the dump"
        failed = re.search(r"error|couldn't|unknown|denied", line, re.I)
        raise UserError(f"{what}: {printable(message[1])[:120]!r}", _FAILED if failed else _WARNED)


def _two_definitions(table: Table, place: str, text: str) -> UserError:
    """The error for a table with two definitions: the first lines that differ."""
    sides = [[line.strip(" \t\r,;") for line in sql.split("\n")] for sql in (table.definition.tokens.sql(), text)]
    first, second = (
        printable(next((line for line in one if line not in other), "nothing more"))[:100]
        for one, other in (sides, sides[::-1])
    )
    what = f"{table.id.where} is defined in two ways: {table.place} has {first}, {place} has {second}"
    return UserError(what, "two exports are mixed here; keep the files of one")
