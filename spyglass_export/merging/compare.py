"""Hold the paper against a database: each row is new, the same already, in conflict, or cannot go."""

from collections.abc import Callable

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.merging import make_tables, numbers, obstacles, values
from spyglass_export.merging.plan import EXTERNAL, Plan, TablePlan, expected_files
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import Column, Table, in_order, read_tables


def compare(paper: Server, target: Server, say: Callable[[str], None] = lambda text: None) -> Plan:
    """Make the plan; changes nothing but temporary tables of the session on the paper's side."""
    plan = Plan(paper, target)
    ours = read_tables(paper)
    for name in sorted(ours):
        if name.name.startswith("~") and not name.name.startswith(EXTERNAL):
            plan.stays.append(f"{name}: DataJoint's own notes on the paper's database")
            del ours[name]
    plan.stays += make_tables.others(paper)
    names = {name: TableId(target.folded(name.schema), target.folded(name.name)) for name in ours}
    in_paper = {names[name]: table for name, table in ours.items()}
    theirs = read_tables(target, {name.schema for name in in_paper})
    groups = in_order(ours)
    make_tables.plan_definitions(plan, [ours[name] for group in groups for name in group], theirs, names)
    done: dict[TableId, TablePlan] = {}
    for group in groups:
        for name in group:
            say(f"comparing {name}")
            whole, notes, columns = match_columns(ours[name], theirs[names[name]])
            if len(group) > 1 and any(ours[one].number for one in group):
                whole = whole or "it and other tables refer to one another, by numbers that the server counted up"
            done[name] = table = TablePlan(
                paper=paper, target=target, ours=ours[name], theirs=theirs[names[name]], columns=columns,
                is_new=names[name] in plan.definitions, whole=whole, notes=notes,
                in_circle=len(group) > 1 or any(key.parent == name for key in ours[name].references),
            )  # fmt: skip
            if table.key:
                table.list_rows()
            else:
                table.total = int(paper.one(f"SELECT COUNT(*) FROM {name.sql}"))
            if table.key and whole:
                table.mark("conflict")
            elif table.total and not whole:
                _follow_parents(done, table)
                if not table.is_new and table.ours.number and table.theirs.number:
                    table.renumbered = numbers.renumber(table)
                _find_there(table, "PRIMARY")
                obstacles.find_misfits(table)
                obstacles.find_orphans(table, in_paper, theirs)
                obstacles.find_collisions(table)
                for unique in set(table.theirs.uniques) - {"PRIMARY"}:
                    _find_there(table, unique)
        _leave_out_children(done, [done[name] for name in group])
    plan.tables = list(done.values())
    for one in plan.tables:
        one.count()
    plan.files = expected_files(plan)
    return plan


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
                numbers.follow(table, column, changes[parent_column])


def _find_there(table: TablePlan, unique: str) -> None:
    """Mark rows whose primary or unique key they have already: the same, or a conflict."""
    names, is_key = table.theirs.uniques[unique], unique == "PRIMARY"
    if table.is_new or not set(names) <= set(table.columns):
        return
    facts = f"{table.canonical(names)}, {table.digest()}, w.n, {table.row_of(names)}"
    their_facts = f"{table.canonical(names, theirs=True)}, {table.digest(theirs=True)}"
    for piece in table.pieces(table.row_of(names), skip_alone=is_key):
        found = dict(table.ask_theirs(their_facts, names, piece.texts[0]))
        ours = table.ask(facts, piece.where) if found else []
        # Where these are left, what differs to the last byte is equal to them in their collation.
        strange = set(found).difference(canonical for canonical, *_ in ours)
        same, taken = ["NULL"], ["NULL"]
        for canonical, digest, number, key in ours:
            if is_key and found.get(canonical) == digest:
                same.append(str(number))
            elif canonical in found or (strange and table.ask_theirs("1", names, key)):
                taken.append(str(number))
                if is_key:
                    _tell_difference(table, number, key)
                else:
                    why = f"another row of yours has this for the unique key {unique}"
                    table.add(number, why, ", ".join(names), key, key)
        for why, rows in (("same", same), ("conflict", taken)):
            table.mark(why, f"w.n IN ({','.join(rows)})")


def _tell_difference(table: TablePlan, number: int, key: str) -> None:
    for name, pair in table.columns.items():
        [(left,)] = table.ask(table.canonical([name]), f"w.n = {number}")
        [(right,), *_] = table.ask_theirs(table.canonical([name], theirs=True), table.theirs.key, key)
        if left != right:
            mark = "SHA-256 " if any(map(values.is_long, pair)) else ""
            table.add(number, "differs from yours", pair[0].name, f"{mark}{left}", f"{mark}{right}")


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
                    f" SELECT {parent.keys} FROM {parent.listed} WHERE why <> 'same'"
                )
                joins = f" JOIN {parent.ours.id.sql} AS p ON {reference.joins()}"
                joins += f" JOIN {lost} AS x ON {parent.on_key('x', 'p')}"
                added = table.mark("left out", joins=joins)
                more = more or (added > 0 and table.in_circle)
