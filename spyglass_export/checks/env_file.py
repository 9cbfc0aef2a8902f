"""Checks of `.env`: lines, names and values."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from spyglass_export.checks.check import Check, failed, passed, warned
from spyglass_export.containers.ports import open_to_who_guesses
from spyglass_export.env_values import is_read_alike
from spyglass_export.errors import UserError
from spyglass_export.settings import DECLARED, Settings, examine, lines_of, unreadable_lines

NAME = ".env"
# The last two are read by docker compose alone.
KNOWN = [*DECLARED, "HOST_UID", "HOST_GID"]


def check_env_file(root: Path, environment: Mapping[str, str]) -> tuple[list[Check], Settings | None]:
    """Check `.env` in ``root``; give what was found, and settings with defaults in place of wrong values.

    There are no settings where a value is wrong that has no default.
    """
    try:
        settings, problems = examine(root, environment)
    except UserError as error:
        return [failed(NAME, error)], None
    if problems:
        settings, _ = examine(root, {**environment, **dict.fromkeys(problems, "")})
    told, values = _check_lines(root / NAME)
    # A default that is wrong, as an image's name without PAPER_ID, is wrong for what it is made of.
    given = {"PAPER_ID", *values, *environment}
    checks = [failed(NAME, problem) for name, problem in problems.items() if name in given]
    checks += [*(failed(NAME, problem) for problem in unreadable_lines(root / NAME)), *told]
    for name in (name for name in values if name not in KNOWN):
        nearest = difflib.get_close_matches(name.upper(), KNOWN, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "take it out; env.example has every setting"
        checks.append(warned(NAME, f"{name} is not a setting, and nothing reads it", hint))
    if not any(values.get(name) or environment.get(name) for name in ("SPYGLASS_BASE_DIR", "SPYGLASS_PAPER_DIR")):
        hint = "set SPYGLASS_BASE_DIR, or SPYGLASS_PAPER_DIR to the folder that Spyglass' Export wrote, in .env"
        checks.append(failed(NAME, "it does not say where the export is", hint))
    for name, value in values.items():
        if name in KNOWN and environment.get(name, value) != value:
            what = f"{name} in the environment of this shell overrides the one in .env"
            checks.append(warned(NAME, what, f"unset {name} in the shell where .env is right"))
    if settings and (trouble := open_to_who_guesses(settings)):
        checks.append(failed(NAME, trouble))
    if not checks and settings:
        checks.append(passed(NAME, f"paper {settings.paper_id}; all settings can be used"))
    return checks, settings


def _check_lines(env_file: Path) -> tuple[list[Check], dict[str, str | None]]:
    """What is wrong with lines, and the values by name."""
    checks, values, seen = [], dict[str, str | None](), dict[str, int]()
    for number, line in lines_of(env_file):
        if line.key is None:
            continue
        values[line.key] = line.value
        if line.error:
            continue
        if line.value is None:
            checks.append(warned(NAME, f"line {number}: {line.key} has no value", f"write {line.key}=, or take it out"))
        if line.key in seen:
            what = f"{line.key} is set twice, in lines {seen[line.key]} and {number}; the last one holds"
            checks.append(warned(NAME, what, "keep one of the two lines"))
        seen[line.key] = number
        if line.key in KNOWN and not is_read_alike(line.original.string.partition("=")[2].strip()):
            what = f"line {number}: plain `docker compose` reads {line.key} otherwise than `invoke`"
            checks.append(warned(NAME, what, "put it in single quotes; with both $ and ', or \\\\, choose another"))
    return checks, values
