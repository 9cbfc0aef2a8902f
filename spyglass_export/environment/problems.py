"""What keeps an environment from being solved, and the smallest set of its lines that does."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from spyglass_export.environment.package_lists import NEEDED


class Problem(NamedTuple):
    """Lines of environment.yml that cannot be had together, or one that cannot be had; and what to do about it."""

    lines: tuple[str, ...]
    what: str
    advice: str


SECONDS = 90.0  # after that, no further contradiction of a part is looked for
ENDED = Problem((), "there may be more: the search was ended after a minute", "")


def leaving_out(name: str, otherwise: str) -> str:
    """The advice to leave a package out, unless the hub needs it."""
    out = "" if name in (*NEEDED, "python") else f"leave it out: ENV_EXCLUDE={name}"
    return ", or ".join(filter(None, (otherwise, out)))


def smallest(lines: Sequence[str], fails: Callable[[list[str]], bool]) -> list[str]:
    """The lines that fail together and no longer do when any of them is left out; ``lines`` are known to fail."""
    kept = list(lines)
    step = len(kept)
    while step > 1:
        step = (step + 1) // 2
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + step :]
            if fewer and fails(fewer):
                kept = fewer
            else:
                start += step
    return kept
