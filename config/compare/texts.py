"""Compare texts: words must be equal, numbers within a tolerance, and what changes with every run is let pass."""

import difflib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

SAME, CLOSE, DIFFERS = "same", "close", "differs"
# Of a number; what adding up in another order changes is far less. Below the second, of the largest number beside it,
# there is nothing but rounding: a zero may come out as 1e-17. Whole numbers count something, and must be equal.
RELATIVE, OF_LARGEST = 1e-5, 1e-12
SHOWN = 60

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_UNIT = r"(?:[nµμum]?s|sec(?:ond)?s?|min(?:ute)?s?|h(?:ours?)?)\b"
# What no two runs have in common: addresses in memory, how long something took, what IPython calls a cell.
_CHANGES = re.compile(
    r"0x[0-9a-fA-F]{6,}"
    r"|/tmp/ipykernel_\d+/\d+\.py|<ipython-input-[\w-]+>"
    r"|CPU times:.*|Wall time:.*|[\d.]+ ?[nµμum]?s ± .*"
    r"|\[\d+:\d\d(?::\d\d)?(?:<[^\]]*|, [^\]]*/s|, [^\]]*/it)?\]|\[\?+[^\]]*\]"
    r"|[\d.]+ ?(?:it/s|s/it|[kMG]?i?B/s)"
    rf"|(?i:\b(?:took|(?:done|finished|completed|ran) in) *)[\d.:]+ ?{_UNIT}"
    r"|(?i:\b(?:run ?time|(?:execution|computing) time|(?:time )?elapsed(?: time)?|time taken)[ :=]*)[\d.:]+ ?\w*"
)
_TOKEN = re.compile(
    r"(?P<date>\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?)"
    r"|(?P<time>\b\d\d:\d\d:\d\d(?:[.,]\d+)?)"
    r"|(?P<path>(?<![\w/.])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+-]+){2,}[/\\]?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<sign>\S)"
)


class Token(NamedTuple):
    """A piece of a text: `date`, `time`, `path`, `word`, `number` or `sign`."""

    kind: str
    text: str


class Outcome(NamedTuple):
    """`same`, `close` or `differs`, and why in one line; empty where it is the same."""

    verdict: str
    why: str = ""


def compare(saved: str, new: str, now: datetime) -> Outcome:
    """Compare a new text with the saved one; ``now`` is when the new one was made, in the hub's time zone.

    White space does not count. A date or time of day that is the clock's, and paths that lead to a file of the same
    name, may differ.
    """
    saved, new = plain(saved), plain(new)
    before, after = tokens(saved), tokens(new)
    if before == after:
        return Outcome(SAME)
    if len(before) != len(after):
        return _other_text(saved, new)
    numbers, paths = [], 0
    for old, one in zip(before, after, strict=True):
        if old.text == one.text or (old.kind == one.kind in ("date", "time") and _is_clock(one, now)):
            continue
        if old.kind == one.kind == "number":
            numbers.append((old.text, one.text))
        elif old.kind == one.kind == "path" and re.split(r"[/\\]", old.text)[-1] == re.split(r"[/\\]", one.text)[-1]:
            paths += 1
        else:
            return _other_text(saved, new)
    if numbers:
        largest = max((abs(float(one.text)) for one in after if one.kind == "number"), default=0)
        outcome = _compare_numbers(numbers, sum(1 for one in after if one.kind == "number"), largest)
        return _other_text(saved, new, outcome) if outcome.verdict == DIFFERS else outcome
    return Outcome(CLOSE, "paths lead to the same names in other folders") if paths else Outcome(SAME)


def plain(text: str) -> str:
    """Leave out what no two runs have in common, and a terminal's colours."""
    return _CHANGES.sub("…", ANSI.sub("", text))


def tokens(text: str) -> list[Token]:
    """Split a text into words, numbers and signs."""
    return [Token(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(text)]


def lines_with_marks(text: str, other: str) -> list[tuple[str, bool]]:
    """Give the text's lines, each with whether the other text has none like it in its place."""
    mine, theirs = text.splitlines(), other.splitlines()
    marks = [True] * len(mine)
    matcher = difflib.SequenceMatcher(a=[plain(line) for line in mine], b=[plain(line) for line in theirs])
    for start, _, length in matcher.get_matching_blocks():
        marks[start : start + length] = [False] * length
    return list(zip(mine, marks, strict=True))


def _is_clock(token: Token, now: datetime) -> bool:
    """Whether a date or time of day is about that of the run: a time of the data would be an older one."""
    try:
        if token.kind == "date":
            return abs(datetime.fromisoformat(token.text[:10]) - now.replace(tzinfo=None)) < timedelta(days=2)
        hour, minute, second = (int(part) for part in token.text[:8].split(":"))
        of_day = now.replace(tzinfo=None, hour=hour, minute=minute, second=second)
    except ValueError:
        return False
    return abs(of_day - now.replace(tzinfo=None)) < timedelta(hours=1)


def _compare_numbers(pairs: Sequence[tuple[str, str]], count: int, largest: float) -> Outcome:
    apart = []
    for old, new in pairs:
        one, other = float(old), float(new)
        by = abs(one - other) / (max(abs(one), abs(other)) or 1)
        whole = old.lstrip("+-").isdigit() and new.lstrip("+-").isdigit() and one != other
        if whole or (by > RELATIVE and abs(one - other) > OF_LARGEST * largest):
            apart.append((by, old, new))
    if not apart:
        return Outcome(CLOSE, f"{len(pairs)} of {count} numbers differ, none by more than {RELATIVE:.3%}")
    by, old, new = max(apart)
    return Outcome(DIFFERS, f"{len(apart)} of {count} numbers differ, most of all {new}, was {old} (by {by:.2%})")


def _other_text(saved: str, new: str, otherwise: Outcome | None = None) -> Outcome:
    """Say where texts part; close where the lines, or what stands in the braces of a set, are only in another order."""
    mine, theirs = ([" ".join(line.split()) for line in text.splitlines() if line.strip()] for text in (saved, new))
    if sorted(mine) == sorted(theirs):
        return Outcome(CLOSE, "the same lines in another order")
    if saved.strip().startswith("{") and ":" not in saved and sorted(tokens(saved)) == sorted(tokens(new)):
        return Outcome(CLOSE, "a set, in another order")
    if otherwise:
        return otherwise
    at = next((index for index, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        at = min(len(mine), len(theirs))
        more = len(theirs) - len(mine)
        return Outcome(DIFFERS, f"{abs(more)} lines {'more' if more > 0 else 'less'}, from line {at + 1}")
    return Outcome(DIFFERS, f"line {at + 1} is {theirs[at][:SHOWN]!r}, was {mine[at][:SHOWN]!r}")
