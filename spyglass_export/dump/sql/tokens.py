"""SQL text as tokens, by MySQL's rules for strings, names and comments.

The text is a whole statement, decoded so that encoding it again gives back each byte.
"""

import re
from functools import lru_cache
from operator import add

from sqlparse import tokens as types

_SPACE = r"[ \t-\r]+"
_COMMENT = r"/\*(?!!).*?\*/|(?:--(?=[\0- ]|\Z)|\#)[^\n]*"
_MARK = r"/\*!\d*|\*/"  # around code that depends on the server's version
_TOKEN = re.compile(
    rf"((?:{_SPACE}|{_COMMENT}|{_MARK})*)"
    r"""([0-9A-Za-z_$\x80-\U0010ffff]+|`(?:[^`]|``)*`"""
    r"""|(?:'[^'\\]*(?:\\.[^'\\]*)*')+|(?:"[^"\\]*(?:\\.[^"\\]*)*")+|.|\Z)""",
    re.S | re.A,
)
_TYPES = {"`": types.Name.Quoted, "'": types.String, '"': types.String}
_IN_SPACE = re.compile(rf"({_COMMENT}|{_MARK})|{_SPACE}", re.S | re.A)
_EMPTY_MARKS = re.compile(rf"({_COMMENT})|(?:{_SPACE})?/\*!\d*\s*\*/", re.S | re.A)
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Tokens:
    """The tokens of one statement, and an empty one at its end.

    ``texts`` may be edited, and are empty where they were taken out. ``words`` are the texts as they were read, in
    capitals where they are keywords or plain names of ASCII. ``spaces`` are what stands before each: white space,
    comments and the marks around versioned code. ``types`` are sqlparse's: a string, a name in backticks, or any other.
    Its lexer is not asked: it takes versioned code for a comment.
    """

    __slots__ = ("spaces", "texts", "types", "words")

    def __init__(self, sql: str) -> None:
        found = _TOKEN.findall(sql)
        if len(found) > 1 and not found[-2][1]:
            found.pop()  # after white space at the end, the end is found twice
        self.spaces: list[str] = [space for space, _ in found]
        self.texts: list[str] = [text for _, text in found]
        self.types = [_TYPES.get(text[:1], types.Token) for text in self.texts]
        pairs = zip(self.types, self.texts, strict=True)
        self.words = tuple([text.upper() if kind is types.Token and text.isascii() else text for kind, text in pairs])

    @property
    def outside_strings(self) -> list[str]:
        """The words, with '' in the place of each string."""
        return ["''" if kind is types.String else word for kind, word in zip(self.types, self.words, strict=True)]

    @property
    def has_client_command(self) -> bool:
        r"""Whether there is a backslash outside of strings and names, as in ``\! rm -rf``, also in comments."""
        return "\\" in self.texts or any("\\" in space for space in self.spaces)

    def sql(self) -> str:
        """The statement, without versioned comments that hold nothing any more."""
        sql = "".join(map(add, self.spaces, self.texts))
        if "/*!" not in sql:
            return sql
        parts: list[str] = []
        space = ""
        for before, text in zip(self.spaces, self.texts, strict=True):
            space += before
            if text:
                parts += _EMPTY_MARKS.sub(r"\1", space), text
                space = ""
        return "".join(parts) + _EMPTY_MARKS.sub(r"\1", space)

    def between(self, at: range) -> str:
        """What these tokens are, with single spaces."""
        parts = [self.spaces[index] + self.texts[index] for index in at[1:]]
        return " ".join((self.texts[at[0]] + "".join(parts)).split())

    def replace(self, at: range, text: str = "") -> str:
        """Put ``text`` in the place of these tokens, or nothing, also not the white space before; what stood there."""
        before = self.between(at)
        if not text:
            self.spaces[at[0]] = self.spaces[at[0]].rstrip()
        for index in at[1:]:
            self.texts[index] = ""
            self.spaces[index] = _IN_SPACE.sub(r"\1", self.spaces[index])
        self.texts[at[0]] = text
        return before


def split(sql: str) -> list[str]:
    """The tokens of a statement that is only looked at, as they are."""
    return [text for _, text in _TOKEN.findall(sql) if text]


def quoted(name: str) -> str:
    """The name as an identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def unquoted(identifier: str) -> str:
    """The name that an identifier, quoted or not, stands for."""
    return identifier[1:-1].replace("``", "`") if identifier.startswith("`") else identifier


def printable(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), " ".join(text.split()))


@lru_cache(maxsize=64)  # a dump names each table several times
def split_name(identifier: str) -> tuple[str | None, str]:
    """The schema, where there is one, and the table of ```schema`.`table```."""
    parts = [unquoted(text) for text in split(identifier) if text != "."]
    return (parts[0] if len(parts) > 1 else None), parts[-1]
