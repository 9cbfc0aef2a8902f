"""`invoke dump`: what the export's script asks for, read from the lab's server by whoever may read the tables."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CR

from spyglass_export import console
from spyglass_export.checksum import sha256
from spyglass_export.containers.docker import Docker
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.export.condition import parts_of
from spyglass_export.export.lock import only_one
from spyglass_export.export.proof import Proof, ProvenTable
from spyglass_export.export.script import Call, Script, require_script
from spyglass_export.servers.account import Account
from spyglass_export.servers.connection import connect, rows_of, snapshot
from spyglass_export.servers.digests import Digest, digest, digest_statements
from spyglass_export.servers.mysqldump import OPTIONS, Start, finish, program_for

ATTEMPTS = 3  # of a call that the network or the server broke off, and of tables whose rows change meanwhile
PAUSE_SECONDS = 2
_PARTS = ".invoke-dump"
# The words of a connection that was lost or refused, in the messages of mysqldump and mariadb-dump.
_LOST = (
    "lost connection",
    "gone away",
    "can't connect",
    "not connect",
    "server shutdown",
    "error: 2013",
    "error: 2003",
)


@dataclass(frozen=True)
class Dumped:
    """What `invoke dump` wrote: the dumps, and how many tables and rows are in them."""

    files: list[Path]
    tables: int
    rows: int


def dump(root: Path, paper_dir: Path, account: Account, docker: Docker, image: str) -> Dumped:
    """Run all calls of the export's scripts, and write each script's dump and ``proof.json`` beside it.

    ``root`` is the project's folder, ``image`` has the `mysqldump` to run. What was there stays until all is complete.
    Raises UserError where a table is missing or may not be read, a call fails, or rows change again and again.
    """
    scripts = require_script(paper_dir)
    calls = list(dict.fromkeys(call for script in scripts for call in script.calls))
    with only_one(paper_dir, "invoke dump"):
        digests = _digests(root, account, calls)
        _warn_of_empty(digests)
        parts = paper_dir / _PARTS
        shutil.rmtree(parts, ignore_errors=True)  # of a run that was killed
        parts.mkdir()
        try:
            with program_for(docker, image, account, (calls[0].schema, calls[0].table)) as start:
                digests = _dump_calls(root, account, calls, digests, start, parts)
            files = [_join(script, calls, parts) for script in scripts]
            proof = _proof(account, digests, files)
            for written, target in files:
                written.replace(target)
            proof.write(paper_dir)
        finally:
            shutil.rmtree(parts, ignore_errors=True)
    return Dumped([target for _, target in files], len(proof.tables), sum(one.rows for one in digests.values()))


def _digests(root: Path, account: Account, calls: Sequence[Call]) -> dict[Call, Digest]:
    """The digest of each call's rows, all as they are at one moment."""
    found, failed = {}, 0
    with snapshot(account) as connection, console.status("reading which rows there are") as show:
        statements = _statements(connection, root, calls, account)
        for number, call in enumerate(calls, 1):
            show(f"reading which rows there are: {number} of {len(calls)}, {call.schema}.{call.table}")
            try:
                found[call] = digest(connection, statements[call], call.where)
                _check_parts(connection, statements[call], call, found[call])
            except (pymysql.ProgrammingError, pymysql.OperationalError) as error:
                if error.args[0] in (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST):
                    raise
                failed += 1
                console.note(f"error: line {call.line}, {call.schema}.{call.table}: {error.args[-1]}")
    if failed:
        raise UserError(f"{failed} of {len(calls)} calls of the script fail", "each is above, with the script's line")
    return found


def _statements(
    connection: "pymysql.Connection[Any]", root: Path, calls: Sequence[Call], account: Account
) -> dict[Call, str]:
    found = digest_statements(connection, root, {(call.schema, call.table) for call in calls})
    absent = dict.fromkeys(f"{call.schema}.{call.table}" for call in calls if (call.schema, call.table) not in found)
    for name in absent:
        console.note(f"error: {name} is not there, or {account.user} may not read it")
    if absent:
        raise UserError(
            f"{len(absent)} of the tables that the script names cannot be dumped from {account}",
            "check that it is the lab's server, and ask its administrator for SELECT (Spyglass' role dj_guest has it)",
        )
    return {call: found[call.schema, call.table] for call in calls}


def _check_parts(connection: "pymysql.Connection[Any]", statement: str, call: Call, whole: Digest) -> None:
    """A condition that is too long is taken apart; no row may meet two of its parts."""
    parts = parts_of(call.where)
    if len(parts) > 1 and sum((digest(connection, statement, part) for part in parts), Digest()) != whole:
        raise UserError(
            f"the condition on line {call.line} is too long for a program and cannot be taken apart",
            f"split that call of {call.schema}.{call.table} in the script by hand, so that no row meets two conditions",
        )


def _warn_of_empty(digests: dict[Call, Digest]) -> None:
    for call, found in digests.items():
        if not found.rows:
            what = f"no row of {call.schema}.{call.table} meets the condition on line {call.line} any more"
            console.warn(f"{what}; Export names only tables that have some: were they deleted since?")


def _dump_calls(
    root: Path, account: Account, calls: list[Call], digests: dict[Call, Digest], start: Start, parts: Path
) -> dict[Call, Digest]:
    """Dump until the rows are the same before and after, so that all calls show the same moment."""
    to_do = calls
    for _ in range(ATTEMPTS):
        _dump_each(to_do, calls, start, parts, account)
        after = _digests(root, account, calls)
        to_do = [call for call in calls if after[call] != digests[call]]
        digests = after
        if not to_do:
            return digests
        names = ", ".join(dict.fromkeys(f"{call.schema}.{call.table}" for call in to_do))
        console.warn(f"rows of {names} changed while they were dumped; dumping them again")
    raise UserError(f"rows of {names} change again and again", "run it when nobody writes to these tables")


def _dump_each(to_do: list[Call], calls: list[Call], start: Start, parts: Path, account: Account) -> None:
    failed = 0
    with console.status("dumping") as show:
        for number, call in enumerate(to_do, 1):
            show(f"dumping {number} of {len(to_do)}: {call.schema}.{call.table}")
            problem = _dump_call(call, _part(parts, calls, call), start)
            if problem and _is_lost(problem):
                what = f"{account}: {problem}, {ATTEMPTS} times; no dump was written"
                raise UserError(what, "check the network and the server, and run it again")
            if problem:
                failed += 1
                console.note(f"error: line {call.line}, {call.schema}.{call.table}: {problem}")
    if failed:
        raise UserError(
            f"{failed} of {len(to_do)} calls failed, and no dump was written", "each is above, with the script's line"
        )


def _dump_call(call: Call, file: Path, start: Start) -> str:
    """Dump one call into a file; what went wrong the last time, or nothing."""
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS * attempt)
        with file.open("w+b") as output:
            for where in parts_of(call.where):
                with tempfile.TemporaryFile() as errors:
                    process = start([*OPTIONS, call.schema, call.table], where, output, errors)
                    problem = finish(process, output, errors)
                if problem:
                    break
        if not problem or not _is_lost(problem):
            break
    return problem


def _is_lost(problem: str) -> bool:
    return any(words in problem.lower() for words in _LOST)


def _part(parts: Path, calls: list[Call], call: Call) -> Path:
    return parts / f"{calls.index(call)}.sql"


def _join(script: Script, calls: list[Call], parts: Path) -> tuple[Path, Path]:
    """All that the script would have written, in one file; gives it with the name it is to have."""
    target = script.path.with_name(script.path.stem.replace("_ExportSQL", "_Populate") + ".sql")
    joined = parts / target.name
    schema = ""
    with joined.open("xb") as file:
        if script.version:
            file.write(f"--\n-- SPYGLASS VERSION: {script.version} --\n--\n".encode())
        for call in script.calls:
            if call.schema != schema:
                schema = call.schema
                name = quoted(schema)
                file.write(f"CREATE DATABASE IF NOT EXISTS {name}; USE {name};\n".encode())
            with _part(parts, calls, call).open("rb") as part:
                shutil.copyfileobj(part, file, 1 << 20)
    return joined, target


def _proof(account: Account, digests: dict[Call, Digest], files: list[tuple[Path, Path]]) -> Proof:
    tables: dict[str, Digest] = {}
    for call, found in digests.items():
        name = f"{call.schema}.{call.table}"
        tables[name] = tables.get(name, Digest()) + found
    with connect(account) as connection:
        [(server,)] = rows_of(connection, "SELECT VERSION()")
    return Proof(
        str(server),
        {target.name: sha256(written) for written, target in files},
        {name: ProvenTable(one.rows, str(one.sum)) for name, one in tables.items()},
    )
