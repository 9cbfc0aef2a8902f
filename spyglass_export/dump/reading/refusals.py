"""Say what is wrong with a file that mysqldump or mariadb-dump did not write, or not alone."""

import re

from spyglass_export.dump.reading.contents import Table
from spyglass_export.dump.reading.sources import COPY_AGAIN, Source
from spyglass_export.dump.sql.tokens import printable
from spyglass_export.errors import UserError

_BEGINNING = 1 << 12  # bytes in which programs say who they are
# By what their dumps begin with.
_PROGRAMS = {
    "phpMyAdmin": rb"phpMyAdmin",
    "HeidiSQL": rb"HeidiSQL",
    "mysqlpump": rb"MySQL pump utility",
    "mydumper": rb"mydumper|/\*!40101 SET NAMES binary\*/;\s*/\*!40014 SET FOREIGN_KEY_CHECKS=0\*/",
    "Adminer": rb"-- Adminer ",
    "Sequel": rb"Sequel (?:Pro|Ace)",
    "Navicat": rb"Navicat",
    "SQLyog": rb"SQLyog",
    "mysqldump-php": rb"mysqldump-php",
}
_MESSAGE = re.compile(
    r"\s*(?P<line>(?:(?:mysqldump|mariadb-dump|mysql|docker)\b[^\n:]*: |Warning: A partial|Enter password)[^\n]*)"
)
_SHOWN = 100  # characters of a definition
_FAILED = "the dump failed there: mend what the message says, and dump again"
_WARNED = "take this line out of the file; dump with `2> messages.txt` to keep it out next time"
_DUMP_AGAIN = "dump again with mysqldump or mariadb-dump, without --compact and --skip-comments"


def refuse_message(source: Source, offset: int) -> None:
    """Raise `UserError` where a message of a program stands: it may have a quote in it that nothing closes."""
    with source.path.open("rb") as file:
        file.seek(offset)
        line = file.readline(_BEGINNING).decode("utf-8", "replace")
    if message := _MESSAGE.match(line):
        what = f"{source.place(offset)}: this is a message of a program, not of the dump"
        failed = re.search(r"error|couldn't|unknown|denied", line, re.I)
        raise UserError(f"{what}: {printable(message['line'])[:120]!r}", _FAILED if failed else _WARNED)


def no_statement_here(source: Source, offset: int, text: str, place: str) -> UserError:
    """The error for a statement that is not of a dump; ``place`` is `inside` of one, `outside` or `no dump`."""
    refuse_message(source, offset)
    where, first = source.place(offset), printable(text)[:60]
    if place == "inside":
        return UserError(f"{where}: this is nothing that mysqldump writes: {first!r}", COPY_AGAIN)
    if place == "outside":
        what = f"{where}: this stands outside of a dump, which ends with '-- Dump completed': {first!r}"
        return UserError(what, f"take it out of the file, or {_DUMP_AGAIN}")
    with source.path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    for program, mark in _PROGRAMS.items():
        if re.search(mark, beginning):
            what = f"{source.name}: {program} wrote this, and nothing in it tells whether it is whole"
            return UserError(what, _DUMP_AGAIN)
    what = f"{where}: nothing tells that all is there, as no '-- MySQL dump' comes before {first!r}"
    return UserError(what, _DUMP_AGAIN)


def two_definitions(table: Table, place: str, text: str) -> UserError:
    """The error for a table with two definitions: the first lines that differ."""
    one, other = ([line.strip(" \t\r,;") for line in sql.split("\n")] for sql in (table.definition.tokens.sql(), text))
    first, second = (
        printable(next((line for line in lines if line not in others), "nothing more"))[:_SHOWN]
        for lines, others in ((one, other), (other, one))
    )
    return UserError(
        f"{table.where} is defined in two ways: {table.place} has {first}, {place} has {second}",
        "two exports are mixed here; keep the files of one",
    )
