"""Carry out a plan: ask for rights, make tables, insert in one transaction, verify, commit; or leave nothing behind."""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce
from operator import xor
from pathlib import Path

import pymysql
from pymysql.constants import ER

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError, some
from spyglass_export.merging import record as records
from spyglass_export.merging import values
from spyglass_export.merging.plan import Plan, TablePlan
from spyglass_export.merging.record import Record
from spyglass_export.merging.server import Server, foreign_keys, read_tables

_NAME = r"(\*|`(?:[^`]|``)*`)"
_GRANT = re.compile(rf"GRANT (.+) ON (?:TABLE )?{_NAME}\.\* TO ")
_DENIED = (ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR)


def lock(target: Server) -> None:
    """Be the only merge on a server; one that was killed holds it no longer once the server has undone it."""
    if target.one("SELECT GET_LOCK('spyglass_export merge', 60)") != 1:
        raise UserError(f"another merge into {target.name} is going on", "wait until it has ended")


def finish_earlier(target: Server, folder: Path) -> str:
    """Put in order what a merge left that was killed; say what was done, or ''. Call `lock` first."""
    path = folder / records.UNFINISHED
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        is_begun = file.readline().endswith(b"\n")
    if not is_begun:
        path.unlink()
        return ""
    head = records.read_head(path)
    if head["identity"] != target.identity:
        hint = f"run `invoke merge` for that server once more; or, if it is gone, delete {path}"
        raise UserError(f"a merge into {head['server']} was broken off, and its traces are still there", hint)
    if records.is_whole(path) and _was_committed(target, path):
        return f"the last merge was broken off after its end: all its rows are there. Wrote {records.finish(path)}"
    remove_tables(target, head["tables_made"], head["schemas_made"])
    path.unlink()
    return "the last merge was broken off: its rows were undone by the server, and its new tables are removed now"


def _was_committed(target: Server, path: Path) -> bool:
    for _, piece in records.read_rows(path):
        table_id, key = TableId(piece["schema"], piece["table"]), piece["key"]
        table = read_tables(target, [table_id.schema]).get(table_id)
        if table and set(key) <= table.columns.keys():
            first = values.among(key, piece["rows"][0][0], map(table.columns.__getitem__, key))
            return bool(target.rows(f"SELECT 1 FROM {table_id.sql} AS t WHERE {first}"))
        return False
    return True


def remove_tables(target: Server, tables: Sequence[TableId], schemas: Sequence[str]) -> list[str]:
    """Drop tables and schemas that a merge made; what is not empty stays, or is referred to, and is given."""
    kept = []
    children = "referenced_table_schema = %s AND referenced_table_name = %s"
    target.run("SET SESSION foreign_key_checks = 0")  # tables may refer to one another in a circle
    for name in reversed(tables):
        with suppress(pymysql.ProgrammingError, pymysql.OperationalError):  # it was not made, or is not there any more
            users = {child for child, _ in foreign_keys(target, children, name.schema, name.name)} - set(tables)
            if users or target.rows(f"SELECT 1 FROM {name.sql} LIMIT 1"):
                kept.append(str(name))
            else:
                target.run(f"DROP TABLE {name.sql}")
    target.run("SET SESSION foreign_key_checks = 1")
    for schema in schemas:
        if target.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = %s LIMIT 1", schema):
            kept.append(schema)
        else:
            target.run(f"DROP DATABASE IF EXISTS {quoted(schema)}")
    return kept


def check_rights(plan: Plan) -> None:
    """Raise UserError that names every right which the merge needs and the user lacks."""
    target, lacking = plan.target, []
    for table in plan.to_insert():
        name, columns = table.theirs.id, ", ".join(map(quoted, table.columns))
        try:
            if not table.is_new:  # what an INSERT may do is asked without doing it
                target.rows(f"EXPLAIN INSERT INTO {name.sql} ({columns}) SELECT {columns} FROM {name.sql} WHERE FALSE")
        except pymysql.OperationalError as error:
            if error.args[0] not in _DENIED:
                raise
            lacking.append(f"INSERT on {name}")
    granted = _granted(target) if plan.definitions else []
    for schema in sorted({name.schema for name in plan.definitions}):
        rights = set().union(*(rights for rights, like in granted if target.one("SELECT %s LIKE %s", schema, like)))
        missing = [right for right in ("CREATE", "DROP", "INSERT", "REFERENCES") if right not in rights]
        if missing and not rights & {"ALL PRIVILEGES", "ALL"}:
            lacking.append(f"{', '.join(missing)} on {schema}.*")
    if lacking:
        hint = "ask its administrator; Spyglass' role dj_user has it on the shared schemas"
        raise UserError(f"you may not do on {target.name} what the merge needs: {some(lacking, separator='; ')}", hint)


def check_triggers(plan: Plan) -> None:
    """Raise UserError where a table that gets rows has a trigger: it would act on rows that are not the paper's."""
    for table in plan.to_insert():
        if trigger := plan.target.one(
            "SELECT trigger_name FROM information_schema.triggers WHERE event_manipulation = 'INSERT'"
            " AND event_object_schema = %s AND event_object_table = %s LIMIT 1",
            table.theirs.id.schema,
            table.theirs.id.name,
        ):
            hint = "take it away for the time of the merge, if it does nothing that you need; nothing was changed"
            raise UserError(f"{table.theirs.id} has the trigger {trigger}, which would act on each new row", hint)


def _granted(target: Server) -> list[tuple[set[str], str]]:
    """Rights, each with the pattern of schemas that it is for."""
    lines = target.rows("SHOW GRANTS")
    with suppress(pymysql.MySQLError):  # roles came with MySQL 8, and MariaDB lists theirs
        lines += target.rows(f"SHOW GRANTS FOR CURRENT_USER() USING {target.one('SELECT CURRENT_ROLE()')}")
    return [
        (set(re.sub(r"\([^)]*\)", "", grant[1]).upper().split(", ")), grant[2].replace("*", "%").strip("`"))
        for (line,) in lines
        if (grant := _GRANT.match(line))
    ]


def carry_out(plan: Plan, folder: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Do what a plan says, all of it or nothing; return the path of merge.json.

    Raises UserError with what the server said. Whatever goes wrong, rows are rolled back and new tables removed.
    """
    target, record = plan.target, Record(folder, plan)
    try:
        _make_tables(plan)
        target.run("START TRANSACTION")
        for table in plan.to_insert():
            say(f"inserting {table.new:,} rows into {table.theirs.id}")
            _insert_table(table, record)
        for table in plan.to_insert():
            _check_references(table)
        record.close()
    except BaseException as error:
        # Where the server is out of reach the record stays, for the next merge to leave nothing behind.
        with suppress(pymysql.MySQLError, OSError):
            target.reopen()
            remove_tables(target, list(plan.definitions), plan.schemas)
            record.remove()
        if isinstance(error, pymysql.MySQLError):
            what = f"{target.name}: {error.args[-1] if error.args else error}; nothing was inserted"
            hint = "run `invoke merge` again: it removes what is left of this one, and tells anew what fits"
            raise UserError(what, hint) from error
        raise
    try:
        target.run("COMMIT")
    except pymysql.MySQLError as error:
        hint = "run `invoke merge` again: it finds out whether the rows are in, and puts all in order"
        raise UserError(f"the connection to {target.name} broke at the very end: {error.args[-1]}", hint) from error
    return records.finish(record.path)


def _make_tables(plan: Plan) -> None:
    for schema in plan.schemas:
        plan.target.run(f"CREATE DATABASE IF NOT EXISTS {quoted(schema)}")
    plan.target.run("SET SESSION foreign_key_checks = 0")  # a parent may come later, or be in neither database
    for name, definition in plan.definitions.items():
        plan.target.run(f"USE {quoted(name.schema)}")
        plan.target.run(definition)
    plan.target.run("SET SESSION foreign_key_checks = 1")


def _insert_table(table: TablePlan, record: Record) -> None:
    target, is_unchecked = table.target, table.in_circle or bool(table.unchecked)
    if is_unchecked:
        target.run("SET SESSION foreign_key_checks = 0")
    # One number of 64 bits for the digests of any number of rows, in any order.
    facts = f"COUNT(*), BIT_XOR(CAST(CONV(LEFT({table.digest(theirs=True)}, 16), 16, 10) AS UNSIGNED))"
    inserted = 0
    for piece in table.to_insert():
        between = piece.where if table.is_alone(piece.where) else ""
        for statement in table.statements(piece):
            target.run(statement)
        record.add(table, piece.texts[1])
        noted = json.loads(f"[{piece.texts[1]}]")
        inserted += len(noted)
        keys, digest = ",".join(key for key, _ in noted), reduce(xor, (int(digest, 16) for _, digest in noted))
        if table.ask_theirs(facts, table.key, keys, between) != [(len(noted), digest)]:
            hint = "nothing was inserted; a trigger of that table may change what is written to it"
            raise UserError(f"rows of {table.theirs.id} came out other than they went in: all were taken back", hint)
    if inserted != table.new:
        what = f"{inserted:,} rows of {table.ours.id} went in where {table.new:,} were planned: all were taken back"
        hint = "nothing was inserted; run `invoke merge` again, when nobody writes to the paper's database"
        raise UserError(what, hint)
    if is_unchecked:
        target.run("SET SESSION foreign_key_checks = 1")


def _check_references(table: TablePlan) -> None:
    """Raise UserError where a row that went in without the server's own check has no parent; keeps parents locked."""
    for reference in table.theirs.references if table.in_circle or table.unchecked else ():
        if reference.name in table.unchecked:
            continue
        orphaned = "".join(f" AND t.{quoted(name)} IS NOT NULL" for name in reference.columns)
        for piece in table.pieces(table.row_of(table.key)):
            at = values.among(table.key, piece.texts[0], map(table.theirs.columns.__getitem__, table.key))
            if table.target.rows(
                f"SELECT 1 FROM {table.theirs.id.sql} AS t LEFT JOIN {reference.parent.sql} AS p ON {reference.joins()}"
                f" WHERE {at}{orphaned}"
                f" AND p.{quoted(reference.parent_columns[0])} IS NULL LIMIT 1 LOCK IN SHARE MODE"
            ):
                what = f"a row of {table.theirs.id} refers to one of {reference.parent} that is there no longer"
                raise UserError(what, "run `invoke merge --plan`: somebody changed the database in the meantime")
