"""What the terminal shows: results on standard output, errors and warnings on standard error.

Parts of rich that few commands need are imported where they are used, so that the others start sooner.
"""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from invoke.exceptions import Exit
from rich.console import Console
from rich.markup import escape

from .errors import UserError

# Text is printed as it is: no colours from its content, no line breaks of our own where output is no terminal.
out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def say(text: str) -> None:
    """Print a result line."""
    out.print(text, markup=False)


def note(text: str) -> None:
    """Print a line beside the result, where standard output may be the result itself."""
    err.print(text, markup=False)


def warn(text: str) -> None:
    """Print a warning line."""
    err.print(f"[yellow]warning:[/] {escape(text)}")


def show_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print rows of text under their column names."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    # A table is laid out for the terminal's width; where there is none, next to nothing is folded.
    (out if out.is_terminal else Console(highlight=False, width=200)).print(table, soft_wrap=False)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of bytes on a terminal, nothing where the output is none; gives what to call with each more."""
    if not out.is_terminal:
        yield lambda more: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda more: bar.advance(task, more)


def confirm(question: str) -> bool:
    """Ask a question; anything but `y` or `yes` is a no. Raises UserError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UserError(f"nobody is here to answer: {question}", "say --yes to go ahead without being asked")
    return out.input(f"{escape(question)} [y/N] ").strip().lower() in ("y", "yes")


@contextmanager
def errors_as_lines(*, debug: bool = False) -> Iterator[None]:
    """Turn what goes wrong inside into one `error:` line, one `hint:` line and exit status 1.

    With ``debug`` the exception goes on, so that its traceback is seen.
    """
    try:
        yield
    except Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        what, hint = _explain(error)
        err.print(f"[bold red]error:[/] {escape(what)}\n[bold]hint:[/] {escape(hint)}")
        raise SystemExit(1) from None


def _explain(error: BaseException) -> tuple[str, str]:
    match error:
        case UserError():
            return error.what, error.hint
        case KeyboardInterrupt():
            return "interrupted", "nothing was lost; run the same command again to go on"
        case OSError(strerror=str(reason)):
            where = f"{error.filename}: " if error.filename else ""
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return (
                f"{where}{reason}",
                "free some space and run it again" if full else "check the path and your permission",
            )
        case _:
            return f"{type(error).__name__}: {error}", "run it again with `invoke --debug` and report what it prints"
