"""The one exception that reaches the user as a sentence instead of a traceback."""

from collections.abc import Sequence


class UserError(Exception):
    """A problem that the user can act on: ``what`` says in one line what is wrong, ``hint`` what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def some(texts: Sequence[str], most: int = 5, separator: str = ", ") -> str:
    """The first of the texts on one line, and how many there are besides."""
    told = separator.join(texts[:most])
    return f"{told}{separator.strip(', ')} and {len(texts) - most} more" if len(texts) > most else told


def spoken(lines: Sequence[str]) -> UserError | None:
    """Find the first `error:` line that a script of ours printed in a container, and the `hint:` after it."""
    for index, line in enumerate(lines):
        if line.startswith("error: "):
            hint = next((line for line in lines[index:] if line.startswith("hint: ")), "")
            return UserError(line.removeprefix("error: "), hint.removeprefix("hint: "))
    return None
