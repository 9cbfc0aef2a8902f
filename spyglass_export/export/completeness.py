"""The dump, held against what the export itself says: its script, its versions, its foreign keys, its folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import InvalidVersion, Version

from spyglass_export.environment.installable import VERSION_FILE
from spyglass_export.errors import UserError, some
from spyglass_export.export.condition import is_condition_of, parts_of
from spyglass_export.export.folder import unread
from spyglass_export.export.outline import AbsentParent, Name, Outline, Piece, read_outline
from spyglass_export.export.script import Call, Script, ScriptNotUnderstoodError, find_scripts, read_script
from spyglass_export.files import text_of

DUMP_AGAIN = "dump it again: `invoke dump` does; or the administrator runs the script and reads what it prints"
_NAMED_AT_MOST = 5
_SECOND = 10**9  # files that are copied together are seldom copied in the order of their age
_PINNED = re.compile(r"^\s*-\s*['\"]?spyglass-neuro\s*={1,3}\s*([^\s;'\"=]+)", re.MULTILINE | re.IGNORECASE)


@dataclass
class Completeness:
    """What was found: ``version`` is Spyglass' own; a warning has what and what to do."""

    version: str | None = None
    lost: UserError | None = None
    warnings: list[tuple[str, str]] = field(default_factory=list)
    absent_parents: list[AbsentParent] = field(default_factory=list)


def examine_export(
    paper_dir: Path, dumps: Sequence[Path], environment: str, outline: Outline | None = None
) -> Completeness:
    """Look at all that the export says of itself; ``environment`` is the text of its environment.yml.

    The dumps are read for their ``outline`` where it is not given.

    Raises UserError where a dump is empty or its packing broken.
    """
    outline = outline or read_outline(dumps)
    found = Completeness(absent_parents=outline.absent_parents())
    if scripts := _scripts(paper_dir, dumps, found.warnings):
        _hold_against(scripts, outline, found)
    suspect: dict[str, list[str]] = {}
    for key in found.absent_parents:
        if not key.is_by_design:
            suspect.setdefault(".".join(key.parent), []).append(".".join(key.table))
    for parent, children in suspect.items():
        what = f"the table {parent} is not in the export, and every row of {some(children)} refers to it"
        found.warnings.append((what, "Spyglass exports parents too, so its dump may have failed: dump it again"))
    found.version = _version(paper_dir, outline, environment, found.warnings)
    if names_left := unread(paper_dir):
        what = f"in {paper_dir.name}/ and not read: {some(names_left)}"
        found.warnings.append((what, "only .sql and .sql.gz files of the folder itself are read, as one export"))
    return found


def _scripts(paper_dir: Path, dumps: Sequence[Path], warnings: list[tuple[str, str]]) -> list[Script]:
    scripts = []
    for path in find_scripts(paper_dir):
        try:
            scripts.append(read_script(path))
        except ScriptNotUnderstoodError as error:
            what = f"{path.name}, line {error.line}: {error.what}; so nothing tells whether the dump has all tables"
            warnings.append((what, "compare them by eye, or let Spyglass write the script again"))
        own = [dump for dump in dumps if dump.name.split(".")[0] == path.stem.replace("_ExportSQL", "_Populate")]
        if any(path.stat().st_mtime_ns > dump.stat().st_mtime_ns + _SECOND for dump in own):
            what = f"{path.name} is newer than its dump {own[0].name}"
            warnings.append((what, "if Spyglass wrote it anew since, dump again: `invoke dump`"))
    return scripts


def _hold_against(scripts: Sequence[Script], outline: Outline, found: Completeness) -> None:
    """Note what the dump lacks of the scripts' calls, what it has in their place, and what nothing asks for."""
    calls: dict[Name, dict[str, Call]] = {}
    for call in (call for script in scripts for call in script.calls):
        calls.setdefault((call.schema.lower(), call.table.lower()), {}).setdefault(call.where, call)
    dumped = {(schema.lower(), table.lower()): pieces for (schema, table), pieces in outline.tables.items()}
    problems = []
    for name, asked in calls.items():
        call = next(iter(asked.values()))
        if problem := _difference(list(asked.values()), dumped.get(name)):
            problems.append(f"{call.schema}.{call.table} {problem}")
    if problems:
        names = " and ".join(script.path.name for script in scripts)
        found.lost = UserError(f"the dump is not what {names} asks for: {some(problems, separator='; ')}", DUMP_AGAIN)
    if extra := [".".join(name) for name in outline.tables if (name[0].lower(), name[1].lower()) not in calls]:
        what = f"the script does not ask for {some(extra)}"
        found.warnings.append((what, "see that the paper needs them: they are kept"))


def _difference(asked: Sequence[Call], pieces: Sequence[Piece] | None) -> str:
    if pieces is None:
        is_long = any(parts_of(call.where) != [call.where] for call in asked)
        return "is missing" + " (no program takes so long a condition)" * is_long
    left = [piece.where for piece in pieces]
    lacking = [call for call in asked if not _taken(left, call)]
    if not lacking:
        return f"has {len(left)} piece{'s' * (len(left) > 1)} more than the script dumps" if left else ""
    if len(lacking) > len(left):
        lines = ", ".join(str(call.line) for call in lacking[:_NAMED_AT_MOST])
        return f"has {len(pieces)} of {len(asked)} pieces: nothing of the call on line {lines}"
    if any(call.is_changed_by_bash for call in lacking):
        return f"was dumped by another condition: bash changed that of line {lacking[0].line}, which has a $, ` or \\"
    if not all(piece.where for piece in pieces):
        return "was dumped whole, without the script's condition"
    return f"was dumped by another condition than that of line {lacking[0].line}"


def _taken(left: list[str], call: Call) -> bool:
    """Whether the call's piece is there, or the pieces that its condition is taken apart into; taken away then."""
    for wanted in (parts_of(call.where), [call.where]):
        found = list(left)
        for where in wanted:
            piece = next((one for one in found if is_condition_of(one, where)), None)
            if piece is None:
                break
            found.remove(piece)
        else:
            left[:] = found
            return True
    return False


def _version(paper_dir: Path, outline: Outline, environment: str, warnings: list[tuple[str, str]]) -> str | None:
    """Spyglass' version: what the dump says counts, as it is written together with the rows."""
    written = text_of(paper_dir / VERSION_FILE).strip()
    dumped = next((version for version in outline.versions.values() if version != "None"), "")
    if written and dumped and written != dumped:
        what = f"the dump was written by Spyglass {dumped}, and {VERSION_FILE} says {written[:40]}"
        again = f"remove {VERSION_FILE} and environment.yml, which may be of an earlier export, and export again"
        warnings.append((what, again))
    version = dumped or written
    pinned = _PINNED.search(environment)
    if version and pinned and not _are_one_release(version, pinned[1]):
        what = f"the dump was written by Spyglass {version[:40]}, and environment.yml has spyglass-neuro {pinned[1]}"
        warnings.append((what, "export the environment again, from where the paper's notebooks run"))
    return version or None


def _are_one_release(one: str, other: str) -> bool:
    """A development version is named after the release that comes next, or the one before."""
    try:
        first, second = Version(one), Version(other)
    except InvalidVersion:
        return True
    counted = 2 if first.is_devrelease or second.is_devrelease else None
    return first.release[:counted] == second.release[:counted]
