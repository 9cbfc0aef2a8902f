"""Carry out a plan: make tables, insert in one transaction, verify by digest, commit; or leave nothing behind."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pymysql

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.merging import record as records
from spyglass_export.merging import values
from spyglass_export.merging.plan import Plan, TablePlan
from spyglass_export.merging.record import Record
from spyglass_export.merging.rows import Piece, Rows
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import read_tables, text_literal

LOCK = "spyglass_export merge"
LOCK_SECONDS = 60
_Item = TypeVar("_Item")


def lock(target: Server) -> None:
    """Be the only merge on a server; one that was killed holds it no longer once the server has undone it."""
    if target.one(f"SELECT GET_LOCK({text_literal(LOCK)}, {LOCK_SECONDS})") != 1:
        raise UserError(f"another merge into {target.name} is going on", "wait until it has ended")


def finish_earlier(target: Server, folder: Path) -> str:
    """Put in order what a merge left that was killed; say what was done, or ''. Call `lock` first."""
    path = folder / records.UNFINISHED
    if not path.is_file():
        return ""
    if not records.has_head(path):
        path.unlink()  # killed before it did anything
        return ""
    head = records.read_head(path)
    if head["identity"] != target.identity:
        raise UserError(
            f"a merge into {head['server']} was broken off, and its traces are still there",
            f"run `invoke merge` for that server once more; or, if it is gone, delete {path}",
        )
    if records.is_whole(path) and _was_committed(target, path):
        return f"the last merge was broken off after its end: all its rows are there. Wrote {records.finish(path)}"
    remove_tables(target, head["tables_made"], head["schemas_made"])
    path.unlink()
    return "the last merge was broken off: its rows were undone by the server, and its new tables are removed now"


def _was_committed(target: Server, path: Path) -> bool:
    _, first = next(records.read_rows(path), (0, None))
    if first is None:
        return True
    name = TableId(first["schema"], first["table"])
    table = read_tables(target, {name.schema}).get(name)
    if table is None:
        return False
    columns = values.columns_sql(first["key"], table)
    key = values.key_literal(table, first["key"], first["rows"][0])
    return bool(target.rows(f"SELECT 1 FROM {name.sql} AS t WHERE {columns} IN ({key})"))


def remove_tables(target: Server, tables: Sequence[TableId], schemas: Sequence[str]) -> list[str]:
    """Drop tables and schemas that a merge made, children first; what is not empty stays, and is given."""
    kept = []
    for name in reversed(tables):
        with suppress(pymysql.ProgrammingError, pymysql.OperationalError):  # it was not made, or is not there any more
            if target.rows(f"SELECT 1 FROM {name.sql} LIMIT 1"):
                kept.append(str(name))
                continue
            _drop(target, name)
    for schema in schemas:
        listed = f"SELECT 1 FROM information_schema.tables WHERE table_schema = {text_literal(schema)} LIMIT 1"
        if target.rows(listed):
            kept.append(schema)
        else:
            target.run(f"DROP DATABASE IF EXISTS {quoted(schema)}")
    return kept


def _drop(target: Server, name: TableId) -> None:
    try:
        target.run(f"DROP TABLE {name.sql}")
    except (pymysql.OperationalError, pymysql.IntegrityError):
        # Tables that refer to one another in a circle: both are empty, and both go.
        target.run("SET SESSION foreign_key_checks = 0")
        try:
            target.run(f"DROP TABLE {name.sql}")
        finally:
            target.run("SET SESSION foreign_key_checks = 1")


def carry_out(plan: Plan, target: Server, folder: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Do what a plan says, all of it or nothing; return the path of merge.json.

    Raises UserError with what the server said. Whatever goes wrong, rows are rolled back and new tables removed.
    """
    record = Record(folder, plan, target)
    try:
        _make_tables(plan, target)
        target.run("START TRANSACTION")
        for table, rows in plan.to_insert():
            say(f"inserting {table.new:,} rows into {table.target}")
            _insert_table(table, rows, target, record)
        for table, rows in plan.to_insert():
            _check_references(table, rows, target)
        record.close()
    except BaseException as error:
        _undo(plan, target, record)
        if isinstance(error, pymysql.MySQLError):
            raise _explain(error, target) from error
        raise
    try:
        target.run("COMMIT")
    except pymysql.MySQLError as error:
        raise UserError(
            f"the connection to {target.name} broke at the very end: {error.args[-1]}",
            "run `invoke merge` again: it finds out whether the rows are in, and puts all in order",
        ) from error
    return record.finish()


def _undo(plan: Plan, target: Server, record: Record) -> None:
    """Leave nothing behind; where the server is out of reach the record stays, for the next merge to do it."""
    with suppress(pymysql.MySQLError, OSError):
        target.reopen()
        remove_tables(target, list(plan.definitions), plan.schemas)
        record.remove()


def _explain(error: pymysql.MySQLError, target: Server) -> UserError:
    number, said = (*error.args, "", "")[:2]
    lost = number in (2006, 2013)
    return UserError(
        f"{target.name}: {said}; nothing was inserted",
        "run `invoke merge` again once it answers; what is left of this one is removed then"
        if lost
        else "run `invoke merge --plan`: it tells anew what fits; your database is as it was",
    )


def _make_tables(plan: Plan, target: Server) -> None:
    for schema in plan.schemas:
        target.run(f"CREATE DATABASE IF NOT EXISTS {quoted(schema)}")
    target.run("SET SESSION foreign_key_checks = 0")  # a parent may come later, or be in neither database
    for name, definition in plan.definitions.items():
        target.run(f"USE {quoted(name.schema)}")
        target.run(definition)
    target.run("SET SESSION foreign_key_checks = 1")


def _insert_table(table: TablePlan, rows: Rows, target: Server, record: Record) -> None:
    unchecked = table.in_circle or bool(table.unchecked)
    if unchecked:
        target.run("SET SESSION foreign_key_checks = 0")
    all_rows = all_digest = 0
    for piece in _ahead(piece for part in table.parts for piece in rows.pieces(part)):
        changed = sum(target.run(statement) for statement in rows.statements(piece))
        if changed < piece.rows:
            raise UserError(
                f"{target.name} took {changed} of {piece.rows} rows of {table.target}",
                "nothing was inserted; report it",
            )
        record.add(table, rows, piece)
        all_rows, all_digest = all_rows + piece.rows, all_digest ^ piece.digest
        if not table.was_empty:
            _verify(table, rows, piece)
    if unchecked:
        target.run("SET SESSION foreign_key_checks = 1")
    if table.was_empty and rows.their_digest("TRUE") != (all_rows, all_digest):
        raise _not_as_given(table)


def _verify(table: TablePlan, rows: Rows, piece: Piece) -> None:
    """Raise UserError unless a piece's rows are there, each value as it is in the paper."""
    wanted = piece.rows, piece.digest
    if piece.part.is_alone and rows.their_digest(rows.where(piece.part, theirs=True)) == wanted:
        return
    found_rows = found_digest = 0
    for _, _, keys in rows.lists(piece.part, rows.key):
        number, digest = rows.their_digest(rows.in_theirs(rows.key, keys))
        found_rows, found_digest = found_rows + number, found_digest ^ digest
    if (found_rows, found_digest) != wanted:
        raise _not_as_given(table)


def _not_as_given(table: TablePlan) -> UserError:
    return UserError(
        f"rows of {table.target} came out other than they went in: all were taken back",
        "nothing was inserted; a trigger of that table may change what is written to it",
    )


def _check_references(table: TablePlan, rows: Rows, target: Server) -> None:
    """Raise UserError where a row that went in without the server's own check has no parent; keeps parents locked."""
    if not (table.in_circle or table.unchecked):
        return
    references = rows.ours.references if table.is_new else rows.theirs.references
    for reference in references:
        if reference.name in table.unchecked:
            continue
        orphaned = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in reference.columns)
        orphaned += f" AND p.{quoted(reference.parent_columns[0])} IS NULL"
        for part in table.parts:
            for _, _, keys in rows.lists(part, rows.key):
                if target.rows(
                    f"SELECT 1 FROM {table.target.sql} AS t"
                    f" LEFT JOIN {reference.parent.sql} AS p ON {reference.joins()}"
                    f" WHERE {rows.in_theirs(rows.key, keys)} AND {orphaned}"
                    " LIMIT 1 LOCK IN SHARE MODE"
                ):
                    raise UserError(
                        f"a row of {table.target} refers to one of {reference.parent} that is there no longer",
                        "run `invoke merge --plan`: somebody changed the database in the meantime",
                    )


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Give items one after another, and have the next made meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = worker.submit(next, items, end)
            yield item  # type: ignore[misc]
