"""What the terminal shows: results on standard output, errors and warnings on standard error.

Rich is imported where it is used: plain lines do without, so that most commands start sooner.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TextIO

from invoke.exceptions import Exit

from spyglass_export.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

_OVERWRITING = dict.fromkeys(map(ord, "\a\b\v\f\r"))  # would ring, or overwrite what stands there
# What a terminal obeys instead of showing it, what turns the direction of writing, and names that are no UTF-8.
_UNSHOWN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# Users, passwords and tokens in the address of a channel, an index or a repository.
_CREDENTIAL = re.compile(
    r"(?<=//)(?!git@)[^\s/'\"@:]*(?::(?!\d+/)[^\s'\"@]*)?@(?=[\w\[])|(?<=/t/)[^\s/'\"]+(?=/)"
    r"|(?<=[?&;])[\w-]*(?:token|sig|signature|key|secret|password|credential)=[^\s&'\"]+",
    re.IGNORECASE,
)


@cache
def _console(*, stderr: bool = False) -> "Console":
    """Text is printed as it is: no colours from its content, no line breaks of our own where output is no terminal."""
    from rich.console import Console

    force_terminal = None if stderr else is_terminal()
    return Console(highlight=False, soft_wrap=True, emoji=False, stderr=stderr, force_terminal=force_terminal)


def is_terminal() -> bool:
    """Whether somebody sees standard output while it is written."""
    return sys.stdout is not None and sys.stdout.isatty()


def printable(text: str) -> str:
    """Show control characters by their codes, so that no name can command the terminal, and no credential at all."""
    text = _CREDENTIAL.sub("…", text)
    return _UNSHOWN.sub(lambda one: one[0].encode("unicode_escape").decode(), text.translate(_OVERWRITING))


def say(text: str) -> None:
    """Print a result line."""
    _print(text, sys.stdout)


def note(text: str) -> None:
    """Print a line beside the result, where standard output may be the result itself."""
    # Below `status`, rich has put a stream in the place of standard error that leads to standard output.
    _print(text, getattr(sys.stderr, "rich_proxied_file", sys.stderr))


def _print(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed; print() would take standard output for it
        return
    try:
        print(printable(text), file=stream, flush=True)
    except BrokenPipeError:  # as of `| head`, which has what it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(1) from None


def _escaped(text: str) -> str:
    """Text for rich, which takes what stands in brackets for its own."""
    from rich.markup import escape

    return escape(printable(text))


def warn(text: str) -> None:
    """Print a warning line."""
    if sys.stderr is None or not sys.stderr.isatty():
        note(f"warning: {text}")
        return
    _console(stderr=True).print(f"[yellow]warning:[/] {_escaped(text)}")


def show_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print rows of text under their column names."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_escaped, row))
    # A table is laid out for the terminal's width; where there is none, next to nothing is folded.
    console = _console() if is_terminal() else Console(highlight=False, emoji=False, width=200)
    console.print(table, soft_wrap=False)


@contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what goes on; gives what to call with what goes on next."""
    with _console().status(_escaped(text)) as shown:
        yield lambda text: shown.update(_escaped(text))


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of bytes on a terminal, nothing where the output is none; gives what to call with each more."""
    if not is_terminal():
        yield lambda more: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda more: bar.advance(task, more)


def confirm(question: str) -> bool:
    """Ask a question; anything but `y` or `yes` is a no. Raises UserError where nobody can answer."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError(f"nobody is here to answer: {question}", "say --yes to go ahead without being asked")
    print(f"{question} [y/N] ", end="", flush=True)  # input() may ask on standard error
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


@contextmanager
def errors_as_lines(*, debug: bool = False) -> Iterator[None]:
    """Turn what goes wrong inside into an `error:` and a `hint:` line and exit status 1; with ``debug`` it goes on."""
    try:
        yield
    except Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        if isinstance(error, KeyboardInterrupt):
            # A second Ctrl-C ends it at once; Python would show where it was.
            signal.signal(signal.SIGINT, lambda *_: os._exit(1))
        what, hint = map(_escaped, _explain(error))
        _console(stderr=True).print(f"[bold red]error:[/] {what}\n[bold]hint:[/] {hint}")
        raise SystemExit(1) from None


def _explain(error: BaseException) -> tuple[str, str]:
    match error:
        case UserError():
            return error.what, error.hint
        case KeyboardInterrupt():
            return "interrupted", "nothing was lost; run the same command again to go on"
        case OSError(strerror=str(reason)):
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "free some space and run it again" if is_full else "check the path and your permission"
            return f"{error.filename}: {reason}" if error.filename else reason, hint
        case _:
            return f"{type(error).__name__}: {error}", "run it again with `invoke --debug` and report what it prints"
