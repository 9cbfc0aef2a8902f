"""What a ``CREATE TABLE`` says about columns, indexes and foreign keys, and where in its tokens."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from spyglass_export.dump.sql.tokens import Tokens, unquoted

_KEY_WORDS = {"PRIMARY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK"}
_TEXT_TYPES = {"CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET"}
_ATTRIBUTES = {"AS", "BINARY", "CHARACTER", "CHARSET", "COLLATE", "DEFAULT", "GENERATED", "ON"}
NUMBER = re.compile(r"[0-9]{1,10}")  # str.isdigit() takes ² for one, too


class NotUnderstoodError(Exception):
    """The statement is not one of the form that is read."""


@dataclass(slots=True, eq=False)
class Column:
    """One column; ranges are those of its tokens."""

    name: str
    type: str  # in capitals
    type_at: int
    at: range = range(0)
    arguments: range = range(0)  # of the type, without parentheses
    length: int | None = None  # of the type, in characters for text
    character_set: str | None = None
    collation: str | None = None
    collation_at: tuple[range, ...] = ()  # all that says how text is written and compares
    kept_apart: str | None = None  # the collation that it gets to keep its values apart
    default: range = range(0)
    on_update: range = range(0)  # the time that is set
    generated: range = range(0)  # from what MySQL computes it

    @property
    def is_text(self) -> bool:
        """Whether the column has a character set."""
        return self.type in _TEXT_TYPES and self.character_set != "binary" and self.collation != "binary"


class Part(NamedTuple):
    """A column of an index: its name, and the tokens of that and of the prefix's length, or 0 where there is none."""

    name: str
    at: int
    prefix_at: int


class Index(NamedTuple):
    """An index, or the columns of a foreign key."""

    name: str
    kind: str  # PRIMARY, UNIQUE, KEY, FULLTEXT, SPATIAL, FOREIGN
    parts: list[Part]  # without expressions


class ForeignKey(NamedTuple):
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
    columns: list[Column] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    constraints: list[tuple[str, int]] = field(default_factory=list)  # FOREIGN or CHECK, and its name's token
    options_at: int = 0  # index of the first token after the columns
    engine: str = "INNODB"  # in capitals
    character_set: str | None = None  # the table's default
    collation: str | None = None
    by_name: dict[str, Column] = field(default_factory=dict)

    def collation_of(self, column: Column) -> tuple[str | None, str | None]:
        """The character set and collation of a text column, its own or the table's; None where nothing is said."""
        of = column if column.collation or column.character_set else self
        return of.character_set or (of.collation or "").split("_")[0] or None, of.collation

    def column(self, name: str) -> Column | None:
        """The column of this name, in any case."""
        return self.by_name.get(name.lower())


class Cursor:
    """Walks over tokens, as they were read."""

    def __init__(self, tokens: Tokens, at: int = 0) -> None:
        self.tokens = tokens
        self.words = tokens.words
        self.at = at

    def word(self, ahead: int = 0) -> str:
        """The coming token as a word in capitals, or as it is; '' at the end."""
        at = self.at + ahead
        return self.words[at] if at < len(self.words) else ""

    def take(self) -> int:
        """Step over a token; its index."""
        at = self.at
        if not self.words[at]:
            raise NotUnderstoodError
        self.at = at + 1
        return at

    def accept(self, *words: str) -> bool:
        """Step over these words if they come."""
        end = self.at + len(words)
        if self.words[self.at : end] != words:
            return False
        self.at = end
        return True

    def expect(self, *words: str) -> None:
        """Step over these words."""
        if not self.accept(*words):
            raise NotUnderstoodError

    def name(self) -> str:
        """Step over an identifier."""
        return unquoted(self.tokens.texts[self.take()])

    def qualified_name(self) -> tuple[str | None, str]:
        """Step over ``schema.table`` or ``table``."""
        name = self.name()
        return (name, self.name()) if self.accept(".") else (None, name)

    def plain(self) -> str:
        """Step over the value of an option, such as a collation, and the equals sign before it; in small letters."""
        self.accept("=")
        return self.tokens.texts[self.take()].strip("'\"`").lower()

    def parentheses(self) -> range:
        """Step over a ``(...)`` that comes; what is inside."""
        self.expect("(")
        first, depth = self.at, 1
        while depth:
            word = self.words[self.take()]
            depth += (word == "(") - (word == ")")
        return range(first, self.at - 1)

    def step(self) -> None:
        """Step over a token, or all that is in the parentheses that come."""
        if self.word() == "(":
            self.parentheses()
        else:
            self.take()


def parse_table(tokens: Tokens) -> TableDefinition:
    """Read a ``CREATE TABLE name (...) options``; raise `NotUnderstoodError` for anything else."""
    cursor = Cursor(tokens)
    cursor.expect("CREATE", "TABLE")
    cursor.accept("IF", "NOT", "EXISTS")
    table = TableDefinition(tokens, *cursor.qualified_name())
    cursor.expect("(")
    while cursor.word(-1) != ")":
        if cursor.word() in _KEY_WORDS:
            _read_key(table, cursor)
        else:
            column = _read_column(cursor)
            table.columns.append(column)
            table.by_name.setdefault(column.name.lower(), column)
        while cursor.word() not in (",", ")"):
            cursor.step()
        cursor.take()
    table.options_at = cursor.at
    if not table.columns:
        raise NotUnderstoodError
    while cursor.word() not in ("", "PARTITION"):
        if cursor.accept("ENGINE"):
            table.engine = cursor.plain().upper()
        elif cursor.accept("CHARSET") or cursor.accept("CHARACTER", "SET"):
            table.character_set = cursor.plain()
        elif cursor.accept("COLLATE"):
            table.collation = cursor.plain()
        else:
            cursor.take()
    return table


def _read_column(cursor: Cursor) -> Column:
    first = cursor.at
    if not {cursor.word(), cursor.word(1)}.isdisjoint({",", ")"}):
        raise NotUnderstoodError
    column = Column(cursor.name(), cursor.word(), cursor.take())
    if cursor.word() == "(":
        column.arguments = cursor.parentheses()
        if len(column.arguments) == 1 and (number := NUMBER.fullmatch(cursor.word(-2))):
            column.length = int(number.group())
    elif column.type == "CHAR":
        column.length = 1
    while (word := cursor.word()) not in (",", ")", ""):
        if word in _ATTRIBUTES:
            _read_attribute(column, cursor)
        else:
            cursor.step()
    column.at = range(first, cursor.at)
    return column


def _read_attribute(column: Column, cursor: Cursor) -> None:
    first = cursor.at
    if cursor.accept("DEFAULT"):
        column.default = _read_default(cursor)
    elif cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET"):
        column.character_set = cursor.plain()
        column.collation_at += (range(first, cursor.at),)
    elif cursor.accept("COLLATE"):
        column.collation = cursor.plain()
        column.collation_at += (range(first, cursor.at),)
    elif cursor.accept("BINARY"):  # of people who write definitions themselves
        column.kept_apart = "utf8mb4_bin"
        column.collation_at += (range(first, cursor.at),)
    elif cursor.accept("ON", "UPDATE"):
        column.on_update = _read_default(cursor)
    elif cursor.accept("GENERATED", "ALWAYS", "AS", "(") or cursor.accept("AS", "("):
        cursor.at -= 1
        cursor.parentheses()
        cursor.accept("VIRTUAL") or cursor.accept("STORED") or cursor.accept("PERSISTENT")
        column.generated = range(first, cursor.at)
    else:
        cursor.step()


def _read_default(cursor: Cursor) -> range:
    """A literal, with the character set or the sign before it, a call, or an expression in parentheses."""
    first = cursor.at
    word = cursor.word()
    cursor.step()
    if cursor.word() == "(" or word.startswith("_") or word in "-+":
        cursor.step()
    return range(first, cursor.at)


def _read_key(table: TableDefinition, cursor: Cursor) -> None:
    name = ""
    if cursor.accept("CONSTRAINT") and cursor.word() not in _KEY_WORDS:
        table.constraints.append((cursor.word(1), cursor.at))
        name = cursor.name()
    kind = cursor.words[cursor.take()].replace("INDEX", "KEY")
    if kind == "CHECK":
        return
    cursor.accept("KEY") or cursor.accept("INDEX")
    if cursor.word() not in ("(", "USING"):
        name = cursor.name()
    if cursor.accept("USING"):
        cursor.take()
    parts = _read_parts(cursor)
    table.indexes.append(Index(name or kind, kind, parts))
    if kind == "FOREIGN":
        cursor.expect("REFERENCES")
        schema, parent = cursor.qualified_name()
        parent_columns = [part.name for part in _read_parts(cursor)]
        table.foreign_keys.append(ForeignKey([part.name for part in parts], schema, parent, parent_columns))


def _read_parts(cursor: Cursor) -> list[Part]:
    cursor.expect("(")
    parts: list[Part] = []
    while not cursor.accept(")"):
        if cursor.word() == "(":
            cursor.parentheses()
        else:
            at, name = cursor.at, cursor.name()
            has_prefix = cursor.accept("(")
            parts.append(Part(name, at, cursor.at if has_prefix else 0))
            if has_prefix:
                if not NUMBER.fullmatch(cursor.word()):
                    raise NotUnderstoodError
                cursor.expect(cursor.word(), ")")
        cursor.accept("ASC") or cursor.accept("DESC")
        cursor.accept(",")
    return parts
