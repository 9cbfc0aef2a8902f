"""SQL text as tokens, by MySQL's rules for strings, names and comments.

The text is a whole statement, decoded so that encoding it again gives back each byte.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlparse import tokens as types

_MARK = types.Comment.Special  # around code that depends on the server's version
_TOKEN = re.compile(
    r"(?P<space>[ \t-\r]+)"
    r"|(?P<name>[0-9A-Za-z_$\x80-\U0010ffff]+)"
    r"|(?P<quoted>`(?:[^`]|``)*`)"
    r"""|(?P<string>(?:'[^'\\]*(?:\\.[^'\\]*)*')+|(?:"[^"\\]*(?:\\.[^"\\]*)*")+)"""
    r"|(?P<comment>/\*(?!!).*?\*/|(?:--(?=[\0- ]|\Z)|\#)[^\n]*)"
    r"|(?P<mark>/\*!\d*|\*/)"
    r"|(?P<other>.)",
    re.S | re.A,
)
_TYPES: dict[str | None, Any] = {
    "space": types.Whitespace,
    "name": types.Name,
    "quoted": types.Name.Quoted,
    "string": types.String,
    "comment": types.Comment,
    "mark": _MARK,
    "other": types.Punctuation,
}
_WITHOUT_MEANING = ("space", "comment", "mark")
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(slots=True)
class Token:
    """One token; ``text`` may be edited, and is empty where it was taken out. More can be said around it."""

    type: types._TokenType
    text: str
    before: str = ""
    after: str = ""

    @property
    def word(self) -> str:
        """The text in capitals where it is a keyword, a number or a plain name, else ''."""
        return self.text.upper() if self.type is types.Name and self.text.isascii() else ""

    @property
    def matters(self) -> bool:
        """False for white space, comments and the marks around versioned code."""
        return self.type is not types.Whitespace and self.type not in types.Comment


class Tokens(list[Token]):
    """The tokens of one statement, and the places of those that matter."""

    def __init__(self, sql: str) -> None:
        super().__init__()
        self.significant: list[int] = []
        for at, found in enumerate(_TOKEN.finditer(sql)):
            kind = found.lastgroup
            self.append(Token(_TYPES[kind], found.group()))
            if kind not in _WITHOUT_MEANING:
                self.significant.append(at)

    @property
    def words(self) -> list[str]:
        """The tokens that matter, keywords in capitals; those that were taken out are missing."""
        return [self[at].word or self[at].text for at in self.significant if self[at].text]


def join(tokens: Sequence[Token]) -> str:
    """The text of the tokens."""
    return "".join([f"{token.before}{token.text}{token.after}" for token in tokens])


def quoted(name: str) -> str:
    """The name as an identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def unquoted(identifier: str) -> str:
    """The name that an identifier, quoted or not, stands for."""
    if identifier[:1] in ("`", '"'):
        mark = identifier[0]
        return identifier[1:-1].replace(mark * 2, mark)
    return identifier


def printable(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), " ".join(text.split()))


@lru_cache(maxsize=64)  # a dump names each table several times
def split_name(identifier: str) -> tuple[str | None, str]:
    """The schema, where there is one, and the table of ```schema`.`table```."""
    tokens = Tokens(identifier)
    parts = [tokens[at].text for at in tokens.significant if tokens[at].text != "."]
    return (unquoted(parts[0]) if len(parts) > 1 else None), unquoted(parts[-1])


def without_empty_marks(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens without versioned comments that hold nothing any more."""
    empty = re.compile(r"/\*!\d*\s*\*/")
    pending: list[Token] = []
    for token in tokens:
        pending.append(token)
        if token.type is _MARK and token.text == "*/":
            opening = next((i for i in range(len(pending) - 2, -1, -1) if pending[i].type is _MARK), None)
            if opening is not None and empty.fullmatch("".join(t.text for t in pending[opening:])):
                del pending[opening:]
                if pending and pending[-1].type is types.Whitespace:
                    pending.pop()
    yield from pending
