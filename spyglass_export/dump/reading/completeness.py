"""What mysqldump and mariadb-dump write around rows: followed, because what is lost from a dump shows there first."""

import re
from collections.abc import Callable

from spyglass_export.dump.reading.rows import NUL_BYTES
from spyglass_export.dump.reading.statements import DUMP_FOOTER, DUMP_HEADER, DamagedDumpError
from spyglass_export.dump.sql.statement_forms import COMMIT, DISABLE_KEYS, ENABLE_KEYS, LOCK, TRANSACTION, UNLOCK
from spyglass_export.dump.sql.tokens import printable, quoted, split_name

_DATABASE = re.compile(rb"-- Host: .*?\bDatabase: ([^\r\n]+)")
_ANNOUNCED = re.compile(
    rb"-- (?:.* structure for (?!table )|(?:Table structure|Dumping data) for table"
    rb"(?: (?P<table>`(?:[^`\r\n]|``)+`|[^`\r\n]+)\s*$)?)"
)
_PAIRS = {
    "LOCK TABLES": (LOCK, "UNLOCK TABLES", UNLOCK),
    "DISABLE KEYS": (DISABLE_KEYS, "ENABLE KEYS", ENABLE_KEYS),
    "START TRANSACTION": (TRANSACTION, "COMMIT", COMMIT),
}


class Completeness:
    """What is open at one place of a dump, and announced: locks, disabled keys, transactions, tables, the database.

    Each method takes the offset, in bytes, of what it is told, and raises `DamagedDumpError` for what cannot be.
    """

    def __init__(self) -> None:
        self.database: str | None = None  # of the dump's header, until a USE follows
        self.is_inside = False
        self._open: dict[str, tuple[str, int]] = {}  # what is open: of which table, and since where
        self._announced: str | None = None

    def comment(self, text: bytes, decode: Callable[[bytes], str], offset: int) -> bool:
        """Follow a comment or white space; names are ``decode``d. True where a dump begins or ends."""
        self.refuse_nul_bytes(text, offset)
        was_inside = self.is_inside
        if DUMP_HEADER.match(text):
            self.is_inside = True
        elif text.startswith(DUMP_FOOTER):
            self.end()
            self.is_inside, self.database, self._announced = False, None, None
        elif found := _DATABASE.match(text):
            self.database = decode(found[1])
        elif found := _ANNOUNCED.match(text):
            self._announced = split_name(decode(found["table"]))[1] if found["table"] else None
        return self.is_inside is not was_inside

    def refuse_nul_bytes(self, text: bytes, offset: int) -> None:
        """Refuse what no dump program writes between its first and last line."""
        if self.is_inside and b"\0" in text:
            raise DamagedDumpError(NUL_BYTES, offset)

    def statement(self, words: str, offset: int) -> bool:
        """Follow a statement that opens or closes something; false for any other."""
        for opening, (opens, closing, closes) in _PAIRS.items():
            found = opens.fullmatch(words) or closes.fullmatch(words)
            if not found:
                continue
            identifier = found.groupdict().get("table", "")
            name = split_name(identifier)[1] if identifier else ""
            if found.re is opens:
                if name:
                    self.table(name, offset)
                self._open[opening] = name, offset
            else:
                opened, _ = self._open.pop(opening, (None, 0))
                # `--no-autocommit` writes COMMIT alone.
                if closes is not COMMIT and (opened is None or name not in ("", opened)):
                    what = f"has {closing} {printable(identifier)}".rstrip()
                    raise DamagedDumpError(f"{what} here, and no {opening} before it", offset)
            return True
        return False

    def table(self, name: str, offset: int) -> None:
        """Follow the definition of a table, or its rows."""
        for named in (self._announced, *(table for table, _ in self._open.values())):
            if named and named.lower() != name.lower():
                what = f"has {printable(quoted(name))} here, where {printable(quoted(named))} was to follow"
                raise DamagedDumpError(what, offset)

    def end(self) -> None:
        """Follow the end of the dump, or of the file."""
        for opening, (table, offset) in self._open.items():
            of_table = f" {printable(quoted(table))}" if table else ""
            raise DamagedDumpError(f"has {opening}{of_table} here, and no {_PAIRS[opening][1]} after it", offset)
