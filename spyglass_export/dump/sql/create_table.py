"""What a ``CREATE TABLE`` says about columns, indexes and foreign keys, with the tokens that say it."""

import re
from bisect import bisect_left
from dataclasses import dataclass, field

from sqlparse import tokens as types

from spyglass_export.dump.sql.tokens import Token, Tokens, unquoted

_KEY_WORDS = {"PRIMARY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK"}
TEXT_TYPES = {"CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET", "NCHAR", "NVARCHAR"}
NUMBER = re.compile(r"[0-9]{1,10}")  # str.isdigit() takes ² for one, too


class NotUnderstoodError(Exception):
    """The statement is not one of the form that is read."""


@dataclass(slots=True)
class Column:
    """One column; ``length`` is that of its type, in characters for text, None where the type has none."""

    name: str
    type: str
    type_at: int  # index of the type's token
    first: int  # index of the definition's first token
    last: int  # index after the definition's last token
    arguments: list[int] = field(default_factory=list)  # tokens of the type's arguments
    words: list[str] = field(default_factory=list)  # after the name, without what is in parentheses
    character_set: str | None = None
    collation: str | None = None
    length: int | None = None
    binary: bool = False  # BINARY was said, or has to be, to keep its values apart

    @property
    def is_text(self) -> bool:
        """Whether the column has a character set."""
        return self.type in TEXT_TYPES and self.character_set != "binary" and self.collation != "binary"


@dataclass(slots=True)
class Index:
    """An index, or the columns of a foreign key; ``parts`` are names with the index of a prefix length's token."""

    name: str
    kind: str  # PRIMARY, UNIQUE, KEY, FULLTEXT, SPATIAL, FOREIGN
    parts: list[tuple[str, int | None]]


@dataclass(slots=True)
class ForeignKey:
    """Columns that refer to the columns of a parent, whose schema is None where it is the table's own."""

    columns: list[str]
    parent_schema: str | None
    parent: str
    parent_columns: list[str]


@dataclass(slots=True)
class TableDefinition:
    """A ``CREATE TABLE``: its tokens, to be edited, and where in them everything is."""

    tokens: Tokens
    schema: str | None
    name: str
    name_at: int
    columns: list[Column]
    indexes: list[Index]
    foreign_keys: list[ForeignKey]
    options_at: int  # index of the first token after the columns
    constraints: list[tuple[str, int]] = field(default_factory=list)  # FOREIGN or CHECK, and its name's token
    character_set: str | None = None  # the table's default
    collation: str | None = None

    @property
    def engine(self) -> str:
        """The storage engine, in capitals."""
        return self.option("ENGINE") or "INNODB"

    def option(self, *name: str) -> str:
        """The value of a table option, in capitals, or ''."""
        cursor = Cursor(self.tokens, self.options_at)
        while cursor.peek() is not None and cursor.word() != "PARTITION":
            if cursor.accept(*name):
                cursor.accept("=")
                return cursor.word().strip("'\"`")
            cursor.take()
        return ""

    def collation_of(self, column: "Column") -> tuple[str | None, str | None]:
        """The character set and collation of a text column, its own or the table's; None where nothing is said."""
        if column.collation:
            return column.character_set or column.collation.split("_")[0], column.collation
        if column.character_set:
            return column.character_set, None
        return self.character_set or (self.collation or "").split("_")[0] or None, self.collation

    def column(self, name: str) -> Column | None:
        """The column of this name; MySQL's column names do not depend on case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


class Cursor:
    """Walks over the tokens that matter."""

    def __init__(self, tokens: Tokens, start: int = 0, end: int | None = None) -> None:
        self.tokens = tokens
        all_of_them = tokens.significant
        last = len(all_of_them) if end is None else bisect_left(all_of_them, end)
        self.indexes = all_of_them[bisect_left(all_of_them, start) : last]
        self.at = 0

    def peek(self, ahead: int = 0) -> Token | None:
        """The token that comes, or None at the end."""
        return self.tokens[self.indexes[self.at + ahead]] if self.at + ahead < len(self.indexes) else None

    def word(self, ahead: int = 0) -> str:
        """The coming token as a word in capitals, or as it is, or ''."""
        if self.at + ahead >= len(self.indexes):
            return ""
        token = self.tokens[self.indexes[self.at + ahead]]
        text = token.text  # as Token.word says: this is asked five hundred times for each table
        return text.upper() if token.type is types.Name and text.isascii() else text

    def take(self) -> int:
        """Step over a token; its index."""
        if self.at >= len(self.indexes):
            raise NotUnderstoodError
        self.at += 1
        return self.indexes[self.at - 1]

    def since(self, first: int) -> list[int]:
        """The indexes of what was stepped over since the cursor was ``at`` ``first``."""
        return self.indexes[first : self.at]

    def accept(self, *words: str) -> bool:
        """Step over these words if they come."""
        for ahead, word in enumerate(words):
            if self.word(ahead) != word:
                return False
        self.at += len(words)
        return True

    def expect(self, word: str) -> int:
        """Step over this word; its index."""
        if self.word() != word:
            raise NotUnderstoodError
        return self.take()

    def name(self) -> str:
        """Step over an identifier."""
        return unquoted(self.tokens[self.take()].text)

    def qualified_name(self) -> tuple[str | None, str]:
        """Step over ``schema.table`` or ``table``."""
        name = self.name()
        if self.accept("."):
            return name, self.name()
        return None, name

    def skip_parentheses(self) -> list[int]:
        """Step over a ``(...)`` that comes; the indexes of what is inside."""
        inside: list[int] = []
        depth = 0
        while True:
            index = self.take()
            depth += {"(": 1, ")": -1}.get(self.tokens[index].text, 0)
            if depth == 0:
                return inside[1:]
            inside.append(index)


def parse_table(tokens: Tokens) -> TableDefinition:
    """Read a ``CREATE TABLE name (...) options``.

    Raises `NotUnderstoodError` for anything else, ``CREATE TABLE ... LIKE`` among it.
    """
    cursor = Cursor(tokens)
    cursor.expect("CREATE")
    cursor.expect("TABLE")
    cursor.accept("IF", "NOT", "EXISTS")
    schema, name = cursor.qualified_name()
    name_at = cursor.indexes[cursor.at - 1]
    cursor.expect("(")
    table = TableDefinition(tokens, schema, name, name_at, [], [], [], 0)
    start = cursor.at
    depth = 1
    while depth:
        text = cursor.word()
        if depth == 1 and text in (",", ")"):
            _read_definition(table, cursor, start, cursor.at)
            start = cursor.at + 1
        depth += {"(": 1, ")": -1}.get(text, 0)
        cursor.take()
    table.options_at = cursor.indexes[cursor.at - 1] + 1
    if not table.columns:
        raise NotUnderstoodError
    table.character_set = (table.option("CHARSET") or table.option("CHARACTER", "SET")).lower() or None
    table.collation = table.option("COLLATE").lower() or None
    return table


def _read_definition(table: TableDefinition, cursor: Cursor, start: int, end: int) -> None:
    if start == end:
        raise NotUnderstoodError
    first, last = cursor.indexes[start], cursor.indexes[end - 1] + 1
    inner = Cursor(table.tokens, first, last)
    word = table.tokens[first].word
    if word in _KEY_WORDS:
        _read_key(table, inner)
    else:
        table.columns.append(_read_column(inner, first, last))


def _read_column(cursor: Cursor, first: int, last: int) -> Column:
    tokens = cursor.tokens
    name = cursor.name()
    type_at = cursor.take()
    column = Column(name, tokens[type_at].word, type_at, first, last)
    if column.type == "NATIONAL":
        column.type_at = cursor.take()
        column.type = "N" + tokens[column.type_at].word
    if cursor.word() == "(":
        column.arguments = cursor.skip_parentheses()
        if len(column.arguments) == 1 and NUMBER.fullmatch(tokens[column.arguments[0]].text):
            column.length = int(tokens[column.arguments[0]].text)
    if column.length is None and column.type == "CHAR":
        column.length = 1
    while cursor.peek() is not None:
        column.words.append(word := cursor.word())
        if word == "(":
            cursor.skip_parentheses()
        elif cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET"):
            cursor.accept("=")
            column.character_set = _plain(cursor)
        elif cursor.accept("COLLATE"):
            cursor.accept("=")
            column.collation = _plain(cursor)
        else:
            column.binary = column.binary or (word == "BINARY" and column.type in TEXT_TYPES)
            cursor.take()
    return column


def _plain(cursor: Cursor) -> str:
    return cursor.tokens[cursor.take()].text.strip("'\"`").lower()


def _read_key(table: TableDefinition, cursor: Cursor) -> None:
    name = ""
    if cursor.accept("CONSTRAINT") and cursor.word() not in _KEY_WORDS:
        table.constraints.append((cursor.word(1), cursor.indexes[cursor.at]))
        name = cursor.name()
    kind = cursor.word()
    cursor.take()
    if kind == "CHECK":
        return
    if kind == "INDEX":
        kind = "KEY"
    cursor.accept("KEY") or cursor.accept("INDEX")
    if cursor.word() not in ("(", "USING"):
        name = cursor.name()
    if cursor.accept("USING"):
        cursor.take()
    parts = _read_parts(cursor)
    if kind == "FOREIGN":
        cursor.expect("REFERENCES")
        schema, parent = cursor.qualified_name()
        parent_columns = [column for column, _ in _read_parts(cursor)]
        table.foreign_keys.append(ForeignKey([column for column, _ in parts], schema, parent, parent_columns))
    table.indexes.append(Index(name or kind, kind, parts))


def _read_parts(cursor: Cursor) -> list[tuple[str, int | None]]:
    cursor.expect("(")
    parts: list[tuple[str, int | None]] = []
    while not cursor.accept(")"):
        if cursor.word() == "(":
            cursor.skip_parentheses()  # an expression, which has no column
        else:
            column = cursor.name()
            prefix = None
            if cursor.accept("("):
                prefix = cursor.take()
                if not NUMBER.fullmatch(cursor.tokens[prefix].text):
                    raise NotUnderstoodError
                cursor.expect(")")
            parts.append((column, prefix))
        cursor.accept("ASC") or cursor.accept("DESC")
        cursor.accept(",")
    return parts
