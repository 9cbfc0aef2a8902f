"""Rewrite views, triggers, routines and all else that is executed after the rows are there."""

import re

from spyglass_export.changes import Change
from spyglass_export.dump.rewriting.definitions import rewrite_collate, take_out
from spyglass_export.dump.sql.create_table import Cursor
from spyglass_export.dump.sql.tokens import join, shown, tokenize, without_empty_marks
from spyglass_export.errors import UserError

_SEQUENCE = re.compile(r"CREATE (?:OR REPLACE )?(?:TEMPORARY )?SEQUENCE ")
_KINDS = ("VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT")


def rewrite_late(text: bytes, where: str) -> tuple[bytes, list[Change]]:
    """The statement without its ``DEFINER`` and with collations that are there, and what was changed.

    Raises `UserError` for a sequence.
    """
    tokens = tokenize(text)
    if _SEQUENCE.match(" ".join(token.word for token in tokens if token.matters)):
        raise UserError(
            f"{where}: MySQL knows no sequences: {' '.join(shown(text).split())[:80]}",
            "leave them out: mariadb-dump --ignore-table=DATABASE.SEQUENCE",
        )
    changes = rewrite_collate(tokens, where)
    cursor = Cursor(tokens)
    while cursor.peek() is not None and cursor.word() not in _KINDS:  # after that, a definer is another name
        first = cursor.at
        if cursor.accept("DEFINER", "="):
            cursor.take()
            if cursor.accept("@"):
                cursor.take()
            elif cursor.accept("(", ")"):
                pass
            before = take_out(tokens, cursor.indexes[first : cursor.at])
            changes.append(Change("definer", where, before, "", "the account exists on the source server only"))
        else:
            cursor.take()
    result = join(list(without_empty_marks(tokens))).strip()
    summary = " ".join(shown(result).split())
    reason = "executed after all rows are there"
    changes.append(Change("kept for the end", where, summary[:200], "after.sql", reason))
    return result, changes
