"""Say what is wrong with a file that mysqldump or mariadb-dump did not write, or not alone."""

import re

from spyglass_export.dump.reading.contents import Table
from spyglass_export.dump.reading.sources import Source
from spyglass_export.dump.sql.tokens import printable
from spyglass_export.errors import UserError

_LINE = 1 << 12  # bytes
_MESSAGE = re.compile(
    r"\s*(?P<line>(?:(?:mysqldump|mariadb-dump|mysql|docker)\b[^\n:]*: |Warning: A partial|Enter password)[^\n]*)"
)
_SHOWN = 100  # characters of a definition
_FAILED = "the dump failed there: mend what the message says, and dump again"
_WARNED = "take this line out of the file; dump with `2> messages.txt` to keep it out next time"


def refuse_message(source: Source, offset: int) -> None:
    """Raise `UserError` where a message of a program stands: it may have a quote in it that nothing closes."""
    with source.path.open("rb") as file:
        file.seek(offset)
        line = file.readline(_LINE).decode("utf-8", "replace")
    if message := _MESSAGE.match(line):
        what = f"{source.place(offset)}: this is a message of a program, not of the dump"
        failed = re.search(r"error|couldn't|unknown|denied", line, re.I)
        raise UserError(f"{what}: {printable(message['line'])[:120]!r}", _FAILED if failed else _WARNED)


def two_definitions(table: Table, place: str, text: str) -> UserError:
    """The error for a table with two definitions: the first lines that differ."""
    sides = [[line.strip(" \t\r,;") for line in sql.split("\n")] for sql in (table.definition.tokens.sql(), text)]
    first, second = (
        printable(next((line for line in one if line not in other), "nothing more"))[:_SHOWN]
        for one, other in (sides, sides[::-1])
    )
    return UserError(
        f"{table.where} is defined in two ways: {table.place} has {first}, {place} has {second}",
        "two exports are mixed here; keep the files of one",
    )
