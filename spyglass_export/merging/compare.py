"""Hold the paper against a database: each row is new, the same already, in conflict, or cannot go."""

from collections.abc import Callable

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging import make_tables, obstacles, values
from spyglass_export.merging.plan import EXTERNAL, MOST_LISTED, Plan, TablePlan, expected_files
from spyglass_export.merging.server import Column, Server, Table, in_order, read_tables

_STEP = 20_000  # numbers of theirs that are read at once, of some fifty bytes each


def compare(paper: Server, target: Server, say: Callable[[str], None] = lambda text: None) -> Plan:
    """Make the plan; changes nothing but temporary tables of the session on the paper's side."""
    plan = Plan(paper, target)
    ours = read_tables(paper, folded=target.folded)  # by their names there
    for name in sorted(ours):
        if name.name.startswith("~") and not name.name.startswith(EXTERNAL):
            plan.stays.append(f"{ours.pop(name).id}: DataJoint's own notes on the paper's database")
    plan.stays += make_tables.others(paper)
    theirs = read_tables(target, {name.schema for name in ours})
    groups = in_order(ours)
    make_tables.plan_definitions(plan, {name: ours[name] for group in groups for name in group}, theirs)
    done: dict[TableId, TablePlan] = {}
    for group in groups:
        for name in group:
            say(f"comparing {name}")
            whole, notes, columns = match_columns(ours[name], theirs[name])
            if len(group) > 1 and any(ours[one].number for one in group):
                whole = whole or "it and other tables refer to one another, by numbers that the server counted up"
            done[name] = table = TablePlan(
                paper=paper, target=target, ours=ours[name], theirs=theirs[name], columns=columns,
                is_new=name in plan.definitions, whole=whole, notes=notes,
                in_circle=len(group) > 1 or any(key.parent == name for key in ours[name].references),
            )  # fmt: skip
            if not table.total:
                table.whole, table.notes = "", []  # whether rows would fit says nothing where there are none
            elif table.key and whole:
                table.mark("conflict")
            elif not whole:
                _compare_rows(table, done, ours, theirs)
        _leave_out_children(done, [done[name] for name in group])
    plan.tables = list(done.values())
    for one in plan.tables:
        one.count()
    plan.files = expected_files(plan)
    return plan


def _compare_rows(
    table: TablePlan, done: dict[TableId, TablePlan], ours: dict[TableId, Table], theirs: dict[TableId, Table]
) -> None:
    _follow_parents(done, table)
    if not table.is_new and table.ours.number and table.theirs.number:
        table.renumbered = _renumber(table)
        _follow_parents(done, table)  # it may be its own parent
    _find_there(table, "PRIMARY")
    obstacles.find_misfits(table)
    obstacles.find_orphans(table, ours, theirs)
    obstacles.find_collisions(table)
    for unique in set(table.theirs.uniques) - {"PRIMARY"}:
        _find_there(table, unique)


def match_columns(ours: Table, theirs: Table) -> tuple[str, list[str], dict[str, tuple[Column, Column]]]:
    """Why no row of ours can go into theirs, or ''; what is to be noted; and the columns that both store."""
    stored = {name: column for name, column in ours.columns.items() if not column.is_generated}
    columns = {name: (column, theirs.columns[name]) for name, column in stored.items() if name in theirs.columns}
    extra = [column for name, column in theirs.columns.items() if name not in ours.columns and not column.is_generated]
    reasons = [reason for pair in columns.values() if (reason := values.differs(*pair))]
    if lacking := ", ".join(name for name in stored if name not in columns):
        reasons.append(f"your table has no column {lacking}")
    if needed := ", ".join(column.name for column in extra if not column.has_default):
        reasons.append(f"your table wants a value for {needed}, which the paper does not have")
    if not ours.key:
        reasons.insert(0, "it has no primary key, so nothing tells its rows apart")
    elif set(ours.key) != set(theirs.key):
        reasons.append(f"its primary key is ({', '.join(ours.key)}), in your database ({', '.join(theirs.key)})")
    if theirs.engine != "innodb":
        reasons.append(f"your table is kept by {theirs.engine}, which cannot take back half a merge")
    notes = [f"your columns {', '.join(column.name for column in extra)} get their default"] if extra else []
    return "; ".join(reasons), [] if reasons else notes, columns


def _follow_parents(done: dict[TableId, TablePlan], table: TablePlan) -> None:
    """Change the numbers that refer to parents as those of the parents change."""
    for reference in table.ours.references:
        changes = done[reference.parent].maps if reference.parent in done else {}
        for column, parent_column in zip(reference.columns, reference.parent_columns, strict=True):
            if parent_column in changes and column not in table.maps:
                _follow(table, column, changes[parent_column])


def _follow(table: TablePlan, column: str, changes: str) -> None:
    """Let a column's values change as a table of changes says, from here on."""
    table.maps[column] = table.temporary()  # a temporary table can be named once in a statement, so each has its own
    table.paper.run(f"CREATE TEMPORARY TABLE {table.maps[column]} (PRIMARY KEY (old)) SELECT * FROM {changes}")


def _renumber(table: TablePlan) -> dict[int, int]:
    """Change the numbers of rows that are there by another, or are new by a taken one; old numbers to new ones.

    Rows are the same where a unique key says so, else where all other columns are equal; of several equal rows the
    first goes to the first. A new row keeps its number where that is free. All of it is worked out by the paper's
    server, in temporary tables.
    """
    name = table.key[0]
    number = f"t.{quoted(name)}"
    stored = {other: theirs for other, (_, theirs) in table.columns.items() if other != name}
    uniques = (
        columns
        for columns in table.theirs.uniques.values()
        if all(column in stored and not stored[column].is_nullable for column in columns)
    )
    identity = next(uniques, tuple(stored))
    if not identity:
        return {}
    ours, theirs, changes = table.temporary(), table.temporary(), table.temporary()
    for one in (ours, theirs):
        table.paper.run(
            f"CREATE TEMPORARY TABLE {one}"
            " (digest BINARY(16), number BIGINT, PRIMARY KEY (digest, number), KEY (number))"
        )
    digest = f"UNHEX(LEFT(SHA2({table.canonical(identity)}, 256), 32))"
    table.paper.run(f"INSERT INTO {ours} SELECT {digest}, {number} FROM {table.source()}")
    _copy_theirs(table, number, table.canonical(identity, theirs=True), theirs)
    highest = max(
        int(server.one(f"SELECT COALESCE(MAX({number}), 0) FROM {one.id.sql} AS t"))
        for server, one in ((table.paper, table.ours), (table.target, table.theirs))
    )
    ranked = "SELECT digest, number, ROW_NUMBER() OVER (PARTITION BY digest ORDER BY number) AS place FROM"
    for statement in (
        f"USE {quoted(table.ours.id.schema)}",  # a DELETE from several tables wants a default
        f"DELETE o, t FROM {ours} AS o JOIN {theirs} AS t ON t.digest = o.digest AND t.number = o.number",
        f"CREATE TEMPORARY TABLE {changes} (old BIGINT PRIMARY KEY, new BIGINT NOT NULL) SELECT o.number AS old,"
        f" t.number AS new FROM ({ranked} {ours}) AS o JOIN ({ranked} {theirs}) AS t USING (digest, place)",
        f"DELETE o FROM {ours} AS o JOIN {changes} AS c ON c.old = o.number",
        f"INSERT INTO {changes} SELECT o.number, {highest} + ROW_NUMBER() OVER (ORDER BY o.number)"
        f" FROM {ours} AS o JOIN {theirs} AS t ON t.number = o.number",
        f"DROP TEMPORARY TABLE {ours}, {theirs}",
    ):
        table.paper.run(statement)
    _follow(table, name, changes)
    renumbered: dict[int, int] = {}
    above = f"SELECT old, new FROM {changes} WHERE old > %s ORDER BY old LIMIT {_STEP}"
    while page := dict(table.paper.rows(above, next(reversed(renumbered), -(2**63)))):
        renumbered |= page
    return renumbered


def _copy_theirs(table: TablePlan, number: str, canonical: str, copy: str) -> None:
    """Bring the digests and numbers of all their rows into a temporary table of the paper's session."""
    last: int | None = -(2**63)
    while True:
        [(last, text)] = table.target.rows(
            "SELECT MAX(number), GROUP_CONCAT('(x''', digest, ''',', number, ')') FROM (SELECT"
            f" LEFT(SHA2({canonical}, 256), 32) AS digest, {number} AS number FROM {table.theirs.id.sql} AS t"
            f" WHERE {number} > {last} ORDER BY {number} LIMIT {_STEP}) AS x"
        )
        if last is None:
            return
        table.paper.run(f"INSERT INTO {copy} VALUES {text}")


def _find_there(table: TablePlan, unique: str) -> None:
    """Mark rows whose primary or unique key they have already: the same, or a conflict."""
    names, is_key = table.theirs.uniques[unique], unique == "PRIMARY"
    if table.is_new or not set(names) <= set(table.columns):
        return
    facts = f"{table.canonical(names)}, {table.digest()}, {table.row_of(names)}, {table.own_key()}"
    their_facts = f"{table.canonical(names, theirs=True)}, {table.digest(theirs=True)}"
    for piece in table.pieces(table.row_of(names), skip_alone=is_key):
        found = dict(table.ask_theirs(their_facts, names, piece.texts[0], by_key=is_key))
        ours = table.ask(facts, piece.where) if found else []
        # Where these are left, what differs to the last byte is equal to them in their collation.
        strange = set(found).difference(canonical for canonical, *_ in ours)
        same, taken = [], []
        for canonical, digest, key, own_key in ours:
            if is_key and found.get(canonical) == digest:
                same.append(own_key)
            elif canonical in found or (strange and table.ask_theirs("1", names, key, by_key=is_key)):
                taken.append(own_key)
                if len(table.conflicts) >= MOST_LISTED:
                    continue
                if is_key:
                    _tell_difference(table, own_key, key)
                else:
                    why = f"another row of yours has this for the unique key {unique}"
                    table.add(own_key, why, ", ".join(names), key, key)
        for why, keys in (("same", same), ("conflict", taken)):
            if keys:
                table.mark(why, table.at(keys))


def _tell_difference(table: TablePlan, own_key: str, key: str) -> None:
    ours, theirs = (", ".join(table.canonical([name], theirs=side) for name in table.columns) for side in (False, True))
    [lefts] = table.ask(ours, table.at([own_key]))
    [rights, *_] = table.ask_theirs(theirs, table.theirs.key, key)
    for pair, left, right in zip(table.columns.values(), lefts, rights, strict=True):
        if left != right:
            mark = "SHA-256 " if any(map(values.is_long, pair)) else ""
            table.add(own_key, "differs from yours", pair[0].name, f"{mark}{left}", f"{mark}{right}")


def _leave_out_children(done: dict[TableId, TablePlan], group: list[TablePlan]) -> None:
    """Leave out, over and over, the rows of a group that refer to rows that cannot go."""
    more = True
    while more:
        more = False
        for table in group:
            for reference in table.ours.references if table.key else ():
                parent = done.get(reference.parent)
                if parent is None or set(parent.marked()) <= {"same"}:
                    continue
                lost = table.temporary()  # a temporary table can be named once in a statement, and this may be its own
                table.paper.run(
                    f"CREATE TEMPORARY TABLE {lost} (PRIMARY KEY ({parent.keys}))"
                    f" SELECT {parent.keys} FROM {parent.marks} WHERE why <> 'same'"
                )
                joins = f" JOIN {parent.ours.id.sql} AS p ON {reference.joins()}"
                joins += f" JOIN {lost} AS x ON {parent.on_key('x', 'p')}"
                added = table.mark("left out", joins=joins)
                more = more or (added > 0 and table.in_circle)
