"""`invoke dump`: what the export's script asks for, read from the lab's server by whoever may read the tables."""

import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pymysql

from spyglass_export import console
from spyglass_export.containers.docker import Docker
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.export.condition import parts_of
from spyglass_export.export.lock import only_one
from spyglass_export.export.proof import Proof, ProvenTable
from spyglass_export.export.script import Call, Script, require_script
from spyglass_export.files import sha256
from spyglass_export.servers.account import LOST, Account, connect, rows_of
from spyglass_export.servers.mysqldump import Start, program_for, run

ATTEMPTS = 3  # of a call that the network or the server broke off, and of tables whose rows change meanwhile
PAUSE_SECONDS = 2
STATEMENTS = Path("config") / "digests.sql"
_PARTS = ".invoke-dump"
# The words of a connection that was lost or refused, in the messages of mysqldump and mariadb-dump.
_LOST = re.compile("lost connection|gone away|not connect|can't connect|server shutdown|error: 20[01]3", re.IGNORECASE)

Name = tuple[str, str]  # schema and table
Digests = dict[Call, ProvenTable]
NO_ROWS = ProvenTable(0, "0")


def dump(root: Path, paper_dir: Path, account: Account, docker: Docker, image: str) -> Proof:
    """Run all calls of the export's scripts; write each script's dump, and beside it ``proof.json``, which is given.

    ``root`` is the project's folder, ``image`` has the `mysqldump` to run. What was there stays until all is complete.
    Raises UserError where a table is missing or may not be read, a call fails, or rows change again and again.
    """
    scripts = require_script(paper_dir)
    calls = list(dict.fromkeys(call for script in scripts for call in script.calls))
    with only_one(paper_dir, "invoke dump"):
        digests = _digests(root, account, calls)
        for call, found in digests.items():
            if not found.rows:
                what = f"no row of {_name(call)} meets the condition on line {call.line} any more"
                console.warn(f"{what}; Export names only tables that have some: were they deleted since?")
        folder = paper_dir / _PARTS
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir()
        parts = {call: folder / f"{number}.sql" for number, call in enumerate(calls)}
        try:
            with program_for(docker, image, account, [calls[0].schema, calls[0].table]) as start:
                digests = _dump_calls(root, account, parts, digests, start)
            files = [_join(script, parts, folder) for script in scripts]
            proof = _proof(account, digests, files)
            for written, target in files:
                written.replace(target)
            proof.write(paper_dir)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return proof


def _name(call: Call) -> str:
    return f"{call.schema}.{call.table}"


def digest_statements(connection: "pymysql.Connection[Any]", root: Path, tables: Iterable[Name]) -> dict[Name, str]:
    """The statement that digests each of these tables; a WHERE can be put after it. ``root`` is the project's folder.

    A table is missing where it is not there, or the account may not read it. The session is set to what the
    statements need.
    """
    settings, listing = (root / STATEMENTS).read_text(encoding="utf-8").rstrip().rstrip(";").split(";\n")
    rows_of(connection, settings)
    names, found = set(tables), {}
    for schema in sorted({schema for schema, _ in names}):
        # Old servers look into every file of the schemas that are not ruled out.
        own = listing.replace("WHERE ", f"WHERE c.table_schema = {connection.escape(schema)} AND ", 1)
        for (statement,) in rows_of(connection, own):
            found[schema, statement.rpartition("`.`")[2].removesuffix("`").replace("``", "`")] = statement
    return {name: found[name] for name in names & found.keys()}


def digest(connection: "pymysql.Connection[Any]", statement: str, where: str) -> ProvenTable:
    """Digest the rows that meet a condition, all where it is empty, as the server itself works it out."""
    [(_, rows, total)] = rows_of(connection, f"{statement} WHERE {where or 'TRUE'}")
    return ProvenTable(int(rows), str(int(total)))


def _digests(root: Path, account: Account, calls: list[Call]) -> Digests:
    """The digest of each call's rows, all as they are at one moment."""
    found, problems = {}, {}
    with connect(account) as connection, console.status("reading which rows there are") as show:
        rows_of(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows_of(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
        statements = digest_statements(connection, root, {(call.schema, call.table) for call in calls})
        if absent := {_name(call): None for call in calls if (call.schema, call.table) not in statements}:
            for name in absent:
                console.note(f"error: {name} is not there, or {account.user} may not read it")
            hint = "check that it is the lab's server, and ask its administrator for SELECT (role dj_guest has it)"
            raise UserError(f"{len(absent)} of the tables that the script names cannot be dumped from {account}", hint)
        for number, call in enumerate(calls, 1):
            show(f"reading which rows there are: {number} of {len(calls)}, {_name(call)}")
            try:
                found[call] = _digest_of(connection, statements[call.schema, call.table], call)
            except (pymysql.ProgrammingError, pymysql.OperationalError) as error:
                if error.args[0] in LOST:
                    raise
                problems[call] = str(error.args[-1])
    _raise_for(problems, f"{len(problems)} of {len(calls)} calls of the script fail")
    return found


def _digest_of(connection: "pymysql.Connection[Any]", statement: str, call: Call) -> ProvenTable:
    """A condition that is too long is taken apart; no row may meet two of its parts."""
    whole, parts = digest(connection, statement, call.where), parts_of(call.where)
    if len(parts) > 1 and sum((digest(connection, statement, part) for part in parts), NO_ROWS) != whole:
        hint = f"split that call of {_name(call)} in the script by hand, so that no row meets two conditions"
        raise UserError(f"the condition on line {call.line} is too long for a program and cannot be taken apart", hint)
    return whole


def _raise_for(problems: dict[Call, str], what: str) -> None:
    for call, problem in problems.items():
        console.note(f"error: line {call.line}, {_name(call)}: {problem}")
    if problems:
        raise UserError(what, "each is above, with the script's line")


def _dump_calls(root: Path, account: Account, parts: dict[Call, Path], digests: Digests, start: Start) -> Digests:
    """Dump until the rows are the same before and after, so that all calls show the same moment."""
    to_do = list(parts)
    for _ in range(ATTEMPTS):
        problems = {}
        with console.status("dumping") as show:
            for number, call in enumerate(to_do, 1):
                show(f"dumping {number} of {len(to_do)}: {_name(call)}")
                problem = _dump_call(call, parts[call], start)
                if _LOST.search(problem):
                    what = f"{account}: {problem}, {ATTEMPTS} times; no dump was written"
                    raise UserError(what, "check the network and the server, and run it again")
                if problem:
                    problems[call] = problem
        _raise_for(problems, f"{len(problems)} of {len(to_do)} calls failed, and no dump was written")
        after = _digests(root, account, list(parts))
        to_do = [call for call in parts if after[call] != digests[call]]
        digests = after
        if not to_do:
            return digests
        names = ", ".join(dict.fromkeys(map(_name, to_do)))
        console.warn(f"rows of {names} changed while they were dumped; dumping them again")
    raise UserError(f"rows of {names} change again and again", "run it when nobody writes to these tables")


def _dump_call(call: Call, file: Path, start: Start) -> str:
    """Dump one call into a file; what went wrong the last time, or nothing."""
    problem = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE_SECONDS * attempt)
        with file.open("w+b") as output:
            ran = (run(start, [call.schema, call.table], where, output) for where in parts_of(call.where))
            problem = next(filter(None, ran), "")
        if not _LOST.search(problem):
            break
    return problem


def _join(script: Script, parts: dict[Call, Path], folder: Path) -> tuple[Path, Path]:
    """All that the script would have written, in one file; gives it with the name it is to have."""
    target = script.path.with_name(script.path.stem.replace("_ExportSQL", "_Populate") + ".sql")
    schema = ""
    with (folder / target.name).open("xb") as file:
        if script.version:
            file.write(f"--\n-- SPYGLASS VERSION: {script.version} --\n--\n".encode())
        for call in script.calls:
            if call.schema != schema:
                schema = call.schema
                file.write(f"CREATE DATABASE IF NOT EXISTS {quoted(schema)}; USE {quoted(schema)};\n".encode())
            with parts[call].open("rb") as part:
                shutil.copyfileobj(part, file, 1 << 20)
    return folder / target.name, target


def _proof(account: Account, digests: Digests, files: list[tuple[Path, Path]]) -> Proof:
    tables: dict[str, ProvenTable] = {}
    for call, found in digests.items():
        tables[_name(call)] = tables.get(_name(call), NO_ROWS) + found
    with connect(account) as connection:
        [(server,)] = rows_of(connection, "SELECT VERSION()")
    return Proof(str(server), {target.name: sha256(written) for written, target in files}, tables)
