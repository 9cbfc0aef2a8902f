"""Names of foreign keys and checks that MySQL takes: up to 64 characters, and each once in a schema."""

import hashlib
import re

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export
from spyglass_export.dump.sql.tokens import printable, quoted, unquoted

LONGEST_NAME = 64  # https://dev.mysql.com/doc/refman/9.7/en/identifier-length.html
_NUMBERED = re.compile(r"(?:_ibfk|_chk)?_[0-9]{1,6}$")


def rename_constraints(export: Export) -> list[Change]:
    """Rename what has too long a name, as servers before MySQL 8 made of long names of tables, or one that is taken.

    MariaDB numbers the checks of each table anew: `CONSTRAINT_1`.
    """
    changes = []
    taken: set[tuple[str, str, str]] = set()
    for table in export.tables.values():
        texts = table.definition.tokens.texts
        for kind, at in table.definition.constraints:
            name = new = unquoted(texts[at])
            if len(name) > LONGEST_NAME or (table.schema, kind, name.lower()) in taken:
                digest = hashlib.sha256(f"{table.name}.{name}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
                number = _NUMBERED.search(name)
                end = f"_{digest}{number.group() if number else ''}"
                new = name.removesuffix(number.group() if number else "")[: LONGEST_NAME - len(end)] + end
                texts[at] = quoted(new)
                reason = f"MySQL takes {LONGEST_NAME} characters, and each name once in a schema"
                changes.append(Change("constraint name", table.where, printable(name), printable(new), reason))
            taken.add((table.schema, kind, new.lower()))
    return changes
