"""Conditions of a dump: compared, and taken apart where they are longer than a program can be given."""

import re
from collections.abc import Iterator

from spyglass_export.dump.sql.tokens import Tokens

# Linux hands a program no argument of more than 131,072 bytes (MAX_ARG_STRLEN in its binfmts.h).
LONGEST = 120_000  # bytes
# `mariadb-dump` ends a comment after 1,023 bytes, `mysqldump` after 2,047.
_KEPT_OF_COMMENT = 1000  # bytes of a condition, at least
_OPENS, _CLOSES = {"(", "CASE"}, {")", "END"}
_NOT_TAKEN_APART = {"|", "XOR"}
_IN_LIST = re.compile(r"\s*([\w.`]+)\s+IN\s*\((.*)\)\s*", re.DOTALL | re.IGNORECASE)
_VALUES = re.compile(r"\s*('(?:[^'\\]|\\.|'')*'|-?[0-9.]+)\s*(?:,|\Z)", re.DOTALL)


def is_condition_of(comment: str, where: str) -> bool:
    """Whether a dump program wrote this comment for rows of that condition, of which it may keep the beginning only."""
    written, wanted = _squeezed(comment), _squeezed(where)
    if len(comment.encode()) < _KEPT_OF_COMMENT:
        return written == wanted
    return wanted.startswith(written.removesuffix("\ufffd"))  # half a character


def _squeezed(where: str) -> str:
    """Neither white space nor a backslash before `#` mean anything."""
    return "".join(where.replace("\\#", "#").split())


def parts_of(where: str) -> list[str]:
    """The condition itself, or where it is too long for an argument, conditions that are met by the same rows together.

    A row may meet two of them: whoever uses them counts the rows. A condition that cannot be taken apart stays whole.
    """
    if len(where.encode()) <= LONGEST:
        return [where]
    terms = list(dict.fromkeys(_terms(where)))
    if len(terms) == 1:
        return _parts_of_list(terms[0]) or [where]
    return [" OR ".join(part) for part in _grouped(terms)]


def _terms(where: str) -> list[str]:
    """What stands between the outermost ORs."""
    tokens = Tokens(where)
    if _NOT_TAKEN_APART.intersection(tokens.words) or "".join(tokens.spaces).strip():  # or has a comment
        return [where]
    depth = closed = 0
    terms: list[list[str]] = [[]]
    for space, text, word in zip(tokens.spaces, tokens.texts, tokens.words, strict=True):
        depth += (word in _OPENS) - (word in _CLOSES)
        closed += depth == 0 and word in _CLOSES
        if word == "OR" and depth == 0:
            terms.append([])
        else:
            terms[-1] += space, text
    if len(terms) == closed == 1 and tokens.words[0] == "(" and tokens.words[-2] == ")":
        return _terms(where.strip()[1:-1])
    return ["".join(term).strip() for term in terms]


def _parts_of_list(term: str) -> list[str]:
    """`column IN (…)`, with some of the values in each."""
    found = _IN_LIST.fullmatch(term)
    values = list(_VALUES.finditer(found[2])) if found else []
    if not found or sum(len(value[0]) for value in values) != len(found[2]):
        return []
    return [f"{found[1]} IN ({','.join(part)})" for part in _grouped(list(dict.fromkeys(v[1] for v in values)))]


def _grouped(items: list[str]) -> Iterator[list[str]]:
    """As many of the items each time as fit."""
    group: list[str] = []
    size = 0
    for item in items:
        more = len(item.encode()) + len(" OR ")
        if group and size + more > LONGEST:
            yield group
            group, size = [], 0
        group.append(item)
        size += more
    if group:
        yield group
