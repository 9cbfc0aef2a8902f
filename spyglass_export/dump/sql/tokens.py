"""SQL text as tokens: sqlparse's lexer with MySQL's rules for strings, names and comments.

The text is any encoding decoded as Latin-1, so that joining the tokens gives back each byte.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlparse import tokens as types
from sqlparse.lexer import Lexer

_MARK = types.Comment.Special  # around code that depends on the server's version
_OPAQUE = re.compile(
    r"""(?P<string>(?:'[^'\\]*(?:\\[\s\S][^'\\]*)*')+|(?:"[^"\\]*(?:\\[\s\S][^"\\]*)*")+)"""
    r"|(?P<name>`(?:[^`]|``)*`)"
    r"|(?P<comment>/\*(?!!)[\s\S]*?\*/|(?:--(?=\s)|#)[^\n]*)"
    r"|(?P<mark>/\*!\d*|\*/)"
)
_TYPES = {"string": types.String, "name": types.Name.Quoted, "comment": types.Comment, "mark": _MARK}
_LEXER: Any = Lexer()  # without type hints
_LEXER.set_SQL_REGEX(
    [
        (r"\s+", types.Whitespace),
        (r"\d+(?![0-9A-Za-z_$\x80-\xff])", types.Number),
        (r"[0-9A-Za-z_$\x80-\xff]+", types.Name),
        (r"[\s\S]", types.Punctuation),
    ]
)


@dataclass(slots=True)
class Token:
    """One token; ``text`` may be edited, and is empty where it was taken out. More can be said around it."""

    type: types._TokenType
    text: str
    before: str = ""
    after: str = ""

    @property
    def word(self) -> str:
        """The text in capitals where it is a keyword or a plain name, else ''."""
        return self.text.upper() if self.type is types.Name else ""

    @property
    def matters(self) -> bool:
        """False for white space, comments and the marks around versioned code."""
        return self.type is not types.Whitespace and self.type not in types.Comment


def tokenize(sql: bytes) -> list[Token]:
    """The tokens of one statement.

    Strings, quoted names and comments are taken out first: sqlparse misses the end of a string that a backslash
    is the last character of, and knows no versioned comments.
    """
    text = sql.decode("latin-1")
    result: list[Token] = []
    position = 0
    for opaque in _OPAQUE.finditer(text):
        result += (Token(kind, part) for kind, part in _LEXER.get_tokens(text[position : opaque.start()]))
        result.append(Token(_TYPES[opaque.lastgroup or ""], opaque.group()))
        position = opaque.end()
    result += (Token(kind, part) for kind, part in _LEXER.get_tokens(text[position:]))
    return result


def join(tokens: Sequence[Token]) -> bytes:
    """The text of the tokens."""
    return "".join(token.before + token.text + token.after for token in tokens).encode("latin-1")


def meaning(sql: bytes) -> list[str]:
    """What a statement says, without its white space, comments and case of keywords: for comparison."""
    return [token.word or token.text for token in tokenize(sql) if token.matters and token.text]


def quoted(name: str) -> str:
    """The name as an identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def unquoted(identifier: str) -> str:
    """The name that an identifier, quoted or not, stands for."""
    if identifier[:1] in ("`", '"'):
        mark = identifier[0]
        return identifier[1:-1].replace(mark * 2, mark)
    return identifier


def shown(text: str | bytes) -> str:
    """Text of a statement as a person reads it: it is UTF-8 as a rule."""
    return (text.encode("latin-1") if isinstance(text, str) else text).decode("utf-8", "replace")


def split_name(identifier: bytes) -> tuple[str | None, str]:
    """The schema, where there is one, and the table of ```schema`.`table```."""
    parts = [token.text for token in tokenize(identifier) if token.matters and token.text != "."]
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
