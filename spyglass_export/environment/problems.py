"""What keeps an environment from being solved, and the smallest set of its lines that does."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from spyglass_export.environment.installable import OVERRIDE_FILE
from spyglass_export.environment.package_lists import NEEDED


class Problem(NamedTuple):
    """Lines of environment.yml that cannot be had together, or one that cannot be had; and what to do about it."""

    lines: tuple[str, ...]
    what: str
    advice: str


SECONDS = 90.0  # after that, no further contradiction of a part is looked for
ENDED = Problem((), "there may be more: the search was ended after a minute", "")


def lack(lines: Sequence[str], name: str, what: str, spec: str = "", otherwise: str = "") -> Problem:
    """What is wrong, and the advice to write ``spec`` or to leave the package out, unless the hub needs it."""
    advice = [f"write `{spec}` in export_data/{OVERRIDE_FILE}{otherwise}"] if spec else [otherwise] if otherwise else []
    advice += [] if name in (*NEEDED, "python") else [f"leave it out: ENV_EXCLUDE={name}"]
    return Problem(tuple(lines), what, ", or ".join(advice))


def contradiction(lines: Sequence[str], quoted: Sequence[str], why: str, name: str, spec: str) -> Problem:
    """Lines that cannot be had together, by a solver's reason; ``spec`` fits the others in the place of one."""
    verb = "contradict each other" if len(quoted) > 1 else "cannot be installed"
    return lack(lines, name, f"{' and '.join(quoted)} {verb}: {why}", spec, ", which fits the others" if spec else "")


def at_fault(
    lines: Sequence[str], name: Callable[[str], str], why: str, fails: Callable[[Sequence[str]], bool]
) -> Sequence[str]:
    """The lines that fail together and no longer do when any of them is left out; ``lines`` are known to fail.

    They are sought first among those whose names are in a solver's reason.
    """
    named = [line for line in lines if re.search(rf"(?<![\w.-]){re.escape(name(line))}(?![\w-])", why)]
    kept = named if named and fails(named) else lines
    step = len(kept)
    while step > 1:
        step = (step + 1) // 2
        start = 0
        while start < len(kept):
            fewer = [*kept[:start], *kept[start + step :]]
            if fewer and fails(fewer):
                kept = fewer
            else:
                start += step
    return kept
