"""The script that Spyglass' Export writes: which tables the paper needs, in which calls, under which conditions.

It is read as text and never executed. What bash would do is followed only where Spyglass means it: a backslash at the
end of a line joins lines, and one before `#` is no part of it. A `$`, a backquote or two backslashes in a condition
are SQL, though bash would change them. The forms are those of `spyglass/utils/sql_helper_fn.py` in spyglass-neuro
0.5.4 to 0.6.0, and of `RestrGraph._write_mysqldump` before it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spyglass_export.errors import UserError

PATTERN = "_ExportSQL*.sh"
PROGRAMS = ("mysqldump", "mariadb-dump")
# What stands beside the calls, and changes nothing about them.
_HARMLESS = {"echo", "printf", "exec", "set", "export", "cd", "umask", "exit", "true", "date"}
_WITH_VALUE = {
    "--user", "--host", "--port", "--socket", "--protocol", "--default-character-set", "--defaults-file",
    "--defaults-extra-file", "--ssl-mode", "--max-allowed-packet", "-u", "-h", "-P", "-S",
}  # fmt: skip
_ANOTHER_DUMP = re.compile(r"--(all-databases|databases|no-data|no-create-info|tab|xml|result-file)\b.*|-[ABdtTXr].*")
_VERSION = re.compile(r"SPYGLASS VERSION: (\S+) --")
_PIECE = r"""'[^']*' | "(?:[^"\\]|\\.)*" | \\[^\r\n] | [^\s'"\\;<>|&()\#]"""
_WORD = rf"(?:{_PIECE})(?:{_PIECE}|\#)*"
_SPACE = r"(?:[ \t]|\\\r?\n(?!\Z))"  # a script that ends in a backslash was cut
_TOKEN = re.compile(
    rf"""{_SPACE}+ | (?P<end>\r?\n|;|&&|\|\|) | \#[^\n]* | [0-9]?>>?(?:&[0-9-]|{_SPACE}*{_WORD})?
    | (?P<word>{_WORD}) | (?P<odd>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)""", re.DOTALL)
_CONTINUED = re.compile(r"\\(?:\r?\n|([#$`\"]))")
_EXPANDED = re.compile(r"\$[\w{(@*#?$!-]|`|\\\\")
# Releases before 0.5.4 wrote lookup tables without a backslash: `mysqldump common_region #brain_region --where=…`
_LOOKUP_TABLE = re.compile(rf"(?<=[ \t])#(?=\w+{_SPACE}+--\w)")


class ScriptNotUnderstoodError(Exception):
    """The script has something that Spyglass does not write; ``line`` is its number."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what = what
        self.line = line


@dataclass(frozen=True)
class Call:
    """One `mysqldump` of a table, on ``line`` of the script; ``where`` is as Spyglass means it, and may be empty."""

    schema: str
    table: str
    where: str
    line: int
    is_changed_by_bash: bool


@dataclass(frozen=True)
class Script:
    """A script: its file, the version of Spyglass that wrote it, and its calls in their order."""

    path: Path
    version: str | None
    calls: tuple[Call, ...]


def find_scripts(paper_dir: Path) -> list[Path]:
    """The scripts of an export, in the order of their names; also that of the DANDI table, ``_dandi.sh``."""
    return sorted(path for path in paper_dir.glob(PATTERN) if path.is_file())


def read_script(path: Path) -> Script:
    """Read a script. Raises `ScriptNotUnderstoodError` for any line that could mean something else than it seems to."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScriptNotUnderstoodError("it is not written in UTF-8", 1) from error
    calls: list[Call] = []
    for line, words in _commands(_LOOKUP_TABLE.sub(r"\\#", text)):
        if _name(words[0]) in _HARMLESS:
            continue
        program = next((at for at, word in enumerate(words) if _name(word) in PROGRAMS), None)
        if program is None:
            raise ScriptNotUnderstoodError(f"`{words[0][:40]}` is not a command that Spyglass writes", line)
        calls += _calls(words[program + 1 :], line)
    if not calls:
        raise ScriptNotUnderstoodError("it has no call of mysqldump", 1)
    version = _VERSION.search(text)
    return Script(path, version[1] if version and version[1] != "None" else None, tuple(calls))


def _commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each command with the number of its first line, its words as they are written; redirections are left out."""
    words: list[str] = []
    start = 0
    for token in _TOKEN.finditer(text + "\n"):
        if token["odd"]:
            what = f"{text[token.start() :][:20].splitlines()[0]!r} is left open"
            raise ScriptNotUnderstoodError(what, _line(text, token.start()))
        if token["word"]:
            start = start if words else token.start()
            words.append(token[0])
        elif token["end"] and words:
            yield _line(text, start), words
            words = []


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _meant(word: str) -> str:
    """A word as Spyglass means it."""

    def unquoted(piece: re.Match[str]) -> str:
        return _CONTINUED.sub(r"\1", piece["double"]) if piece["double"] else piece["single"] or piece["escaped"] or ""

    return _QUOTED.sub(unquoted, word)


def _is_changed_by_bash(word: str) -> bool:
    return bool(_EXPANDED.search(_QUOTED.sub(lambda piece: piece["double"] or "", word)))


def _name(word: str) -> str:
    return re.split(r"[/\\]", _meant(word))[-1].removesuffix(".exe")


def _calls(arguments: list[str], line: int) -> list[Call]:
    """What follows the program's name: options, the database, its tables."""
    names: list[str] = []
    where, changed = "", False
    left = iter(arguments)
    for written in left:
        word = _meant(written)
        if word in ("--where", "-w"):
            written = next(left, "")
            where, changed = _meant(written), _is_changed_by_bash(written)
        elif word.startswith(("--where=", "-w")):
            where, changed = re.sub(r"--where=|-w", "", word, count=1), _is_changed_by_bash(written)
        elif word in _WITH_VALUE:
            next(left, None)
        elif _ANOTHER_DUMP.fullmatch(word):
            raise ScriptNotUnderstoodError(f"mysqldump has the option {word[:40]}", line)
        elif not word.startswith("-"):
            names.append(word)
    if len(names) < 2:
        raise ScriptNotUnderstoodError("mysqldump names no table", line)
    return [Call(names[0], table, where.strip(), line, changed) for table in names[1:]]


def require_script(paper_dir: Path) -> list[Script]:
    """The scripts of an export, to be executed. Raises UserError where there is none, or one is not understood."""
    paths = find_scripts(paper_dir)
    if not paths:
        hint = "Spyglass' Export writes it: run `Export().populate_paper(PAPER_ID)`, or set SPYGLASS_PAPER_DIR in .env"
        raise UserError(f"there is no {PATTERN} in {paper_dir}", hint)
    try:
        return [read_script(path) for path in paths]
    except ScriptNotUnderstoodError as error:
        what = f"{', '.join(path.name for path in paths)}, line {error.line}: {error.what}"
        hint = "take out what was added to the script, or have it run by the database administrator"
        raise UserError(what, hint) from error
