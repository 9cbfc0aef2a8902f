"""Rewrite views, triggers, routines and all else that is executed after the rows are there."""

from sqlparse import tokens as types

from spyglass_export.changes import Change
from spyglass_export.dump.ddl import take_out
from spyglass_export.dump.session import known_collation
from spyglass_export.dump.tables import Cursor
from spyglass_export.dump.tokens import join, shown, tokenize, without_empty_marks


def rewrite_late(text: bytes, where: str) -> tuple[bytes, list[Change]]:
    """The statement without its ``DEFINER`` and with collations that MySQL knows, and what was changed."""
    tokens = tokenize(text)
    changes = []
    cursor = Cursor(tokens)
    while cursor.peek() is not None:
        first = cursor.at
        if cursor.accept("DEFINER", "="):
            cursor.take()
            if cursor.accept("@"):
                cursor.take()
            elif cursor.accept("(", ")"):
                pass
            before = take_out(tokens, cursor.indexes[first : cursor.at])
            changes.append(Change("definer", where, before, "", "the account exists on the source server only"))
            continue
        token = tokens[cursor.take()]
        if token.type is types.Name and (known := known_collation(token.text.lower())) != token.text.lower():
            changes.append(Change("collation", where, token.text, known, "MySQL does not know it"))
            token.text = known
    result = join(list(without_empty_marks(tokens))).strip()
    summary = " ".join(shown(result).split())
    reason = "executed after all rows are there"
    changes.append(Change("kept for the end", where, summary[:200], "after.sql", reason))
    return result, changes
