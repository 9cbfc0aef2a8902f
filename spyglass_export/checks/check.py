"""What a check found, and how checks run side by side."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from spyglass_export.errors import UserError


class Check(NamedTuple):
    """One precondition: a `failure` stops a command, a `warning` may; ``fix`` says what to do about either."""

    name: str
    status: Literal["ok", "warning", "failure"]
    what: str
    fix: str = ""


Probe = tuple[str, Callable[[], Iterable[Check]]]


def passed(name: str, what: str) -> Check:
    """A precondition that holds."""
    return Check(name, "ok", what)


def warned(name: str, what: str, fix: str) -> Check:
    """A precondition that may not hold, or that could not be looked at."""
    return Check(name, "warning", what, fix)


def failed(name: str, what: str | UserError, fix: str = "") -> Check:
    """A precondition that does not hold; a command would stop with the error."""
    error = what if isinstance(what, UserError) else UserError(what, fix)
    return Check(name, "failure", error.what, error.hint)


def run_side_by_side(probes: Sequence[Probe]) -> list[Check]:
    """Run probes at the same time and give what they found, in their order.

    A probe that breaks becomes a check that tells so, and the others go on.
    """
    with ThreadPoolExecutor(max_workers=max(len(probes), 1)) as pool:
        return [check for checks in pool.map(_guarded, probes) for check in checks]


def _guarded(named: Probe) -> list[Check]:
    name, probe = named
    try:
        return list(probe())
    except UserError as error:
        return [failed(name, error)]
    except OSError as error:
        what = f"{error.filename or name}: {error.strerror or error}"
        return [failed(name, what, "check the path and your permission")]
    except Exception as error:
        what = f"could not be checked: {type(error).__name__}: {error}"
        return [warned(name, what, "if this is not your machine's doing, report it")]
