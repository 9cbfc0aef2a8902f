"""Hold the paper against a database: each row is new, the same already, in conflict, or cannot go."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.merging import external, make_tables, numbers, obstacles, values
from spyglass_export.merging.plan import MOST_LISTED, Comparison, Conflict, Plan, TablePlan
from spyglass_export.merging.rows import Part, Rows
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import Column, Table, in_order, read_tables


def compare(paper: Server, target: Server, say: Callable[[str], None] = lambda text: None) -> Plan:
    """Make the plan; changes nothing but temporary tables of the session on the paper's side."""
    plan = Plan(paper.name, target.name)
    all_ours = read_tables(paper)
    hidden = {name for name in all_ours if name.name.startswith("~") and not name.name.startswith(obstacles.EXTERNAL)}
    plan.stays = [f"{name}: DataJoint's own notes on the paper's database" for name in sorted(hidden)]
    plan.stays += make_tables.others(paper)
    ours = {name: table for name, table in all_ours.items() if name not in hidden}
    names = {name: TableId(target.folded(name.schema), target.folded(name.name)) for name in ours}
    theirs = read_tables(target, {name.schema for name in names.values()})
    comparison = Comparison(paper, target, plan, ours, theirs, names)
    make_tables.plan_definitions(comparison)
    for group in in_order(ours):
        for name in group:
            say(f"comparing {name}")
            table = _compare_table(comparison, name)
            table.in_circle = len(group) > 1 or any(key.parent == name for key in ours[name].references)
            plan.tables.append(table)
            comparison.done[name] = table
        _leave_out_children(comparison, group)
    for table in plan.tables:
        _count(table)
    plan.files = external.files(plan)
    return plan


def _compare_table(all_: Comparison, name: TableId) -> TablePlan:
    ours, theirs = all_.ours[name], all_.theirs[all_.names[name]]
    table = TablePlan(name, theirs.id, theirs.id in all_.plan.definitions)
    table.total = int(all_.paper.one(f"SELECT COUNT(*) FROM {name.sql}"))
    if not table.total:
        return table
    table.whole, columns = match_columns(ours, theirs, table)
    rows = table.rows = Rows(all_.paper, all_.target, ours, theirs, columns)
    if table.whole:
        if ours.key:
            rows.leave_out(f"SELECT {rows.key_columns()} FROM {rows.source()}")
        return table
    _renumber_as_parents(all_, rows)
    table.was_empty = table.is_new or not all_.target.rows(f"SELECT 1 FROM {theirs.id.sql} LIMIT 1")
    obstacles.find_misfits(table, rows)
    obstacles.find_orphans(all_, table, rows)
    obstacles.find_collisions(table, rows)
    if table.was_empty:
        table.parts = list(rows.parts())
        return table
    if ours.number and theirs.number:
        table.renumbered = numbers.renumber(rows)
        if table.renumbered:
            numbers.apply(rows, ours.number, table.renumbered)
    for part in list(rows.parts()):
        _classify(table, rows, part)
    for unique in theirs.uniques:
        if unique.name != "PRIMARY":
            obstacles.find_taken(table, rows, unique)
    return table


def _renumber_as_parents(all_: Comparison, rows: Rows) -> None:
    for reference in rows.ours.references:
        parent = all_.done.get(reference.parent)
        if not parent or not parent.rows:
            continue
        for column, parent_column in zip(reference.columns, reference.parent_columns, strict=True):
            if parent_column in parent.rows.renumbered and column not in rows.maps:
                numbers.apply(rows, column, parent.rows.renumbered[parent_column])


def match_columns(ours: Table, theirs: Table, table: TablePlan) -> tuple[str, list[tuple[Column, Column]]]:
    """Why no row of ours can go into theirs, or ''; and the columns that both store."""
    stored = [column for column in ours.columns.values() if not column.is_generated]
    lacking = [column.name for column in stored if column.name.lower() not in theirs.columns]
    columns = [(column, theirs.columns[column.name.lower()]) for column in stored if column.name not in lacking]
    reasons = [reason for pair in columns if (reason := values.differs(*pair))]
    extra = [column for name, column in theirs.columns.items() if name not in ours.columns and not column.is_generated]
    if lacking:
        reasons.append(f"your table has no column {', '.join(lacking)}")
    if needed := [column.name for column in extra if not column.has_default]:
        reasons.append(f"your table wants a value for {', '.join(needed)}, which the paper does not have")
    if extra and not reasons:
        table.notes.append(f"your columns {', '.join(column.name for column in extra)} get their default")
    if not ours.key:
        reasons.insert(0, "it has no primary key, so nothing tells its rows apart")
    elif set(ours.key) != set(theirs.key):
        reasons.append(f"its primary key is ({', '.join(ours.key)}), in your database ({', '.join(theirs.key)})")
    if theirs.engine != "innodb":
        reasons.append(f"your table is kept by {theirs.engine}, which cannot take back half a merge")
    return "; ".join(reasons), columns


def _classify(table: TablePlan, rows: Rows, part: Part) -> None:
    """Tell for one part what is new, and keep that for inserting."""
    if rows.same_order and not rows.has_row_between(part):
        table.parts.append(replace(part, is_alone=True))
        return
    for piece, number, keys in rows.lists(part, rows.key, whole=True):
        found, digest = rows.their_digest(rows.in_theirs(rows.key, keys))
        if not found:
            table.parts.append(piece)
            continue
        if found == number:
            folded = values.fold_digests(rows.digest())
            where = rows.where(piece, whole=True)
            if rows.paper.one(f"SELECT {folded} FROM {rows.source(whole=True)} WHERE {where}") == digest:
                table.same += number
                continue
        _classify_rows(table, rows, piece, keys)


def _classify_rows(table: TablePlan, rows: Rows, part: Part, keys: str) -> None:
    where = rows.where(part, whole=True)
    found = dict(
        rows.target.rows(
            f"SELECT {rows.canonical_of(rows.key, theirs=True)}, {rows.digest(theirs=True)}"
            f" FROM {rows.theirs.id.sql} AS t WHERE {rows.in_theirs(rows.key, keys)}"
        )
    )
    ours = rows.paper.rows(
        f"SELECT {rows.raw_key()}, {rows.row_of(rows.key)}, {rows.canonical_of(rows.key)}, {rows.digest()}"
        f" FROM {rows.source(whole=True)} WHERE {where}"
    )
    matched = sum(canonical in found for _, _, canonical, _ in ours)
    new, conflicts = [], []
    for raw, key, canonical, digest in ours:
        if canonical in found:
            if found[canonical] == digest:
                table.same += 1
            else:
                conflicts.append(str(raw))
                if len(table.conflicts) < MOST_LISTED:
                    _tell_difference(table, rows, raw, key)
        elif matched < len(found) and rows.target.rows(
            f"SELECT 1 FROM {rows.theirs.id.sql} AS t WHERE {rows.in_theirs(rows.key, key)}"
        ):
            conflicts.append(str(raw))
            _tell_difference(table, rows, raw, key)
        else:
            new.append(str(raw))
    if new:
        table.parts.append(Part(keys=tuple(new)))
    obstacles.leave_out_keys(table, rows, conflicts)


def _tell_difference(table: TablePlan, rows: Rows, raw: str, key: str) -> None:
    where = rows.where(Part(keys=(raw,)), whole=True)
    ours = ", ".join(rows.canonical(*pair) for pair in rows.columns)
    theirs = ", ".join(rows.canonical(*pair, theirs=True) for pair in rows.columns)
    [one] = rows.paper.rows(f"SELECT {ours} FROM {rows.source(whole=True)} WHERE {where}")
    [other] = rows.target.rows(
        f"SELECT {theirs} FROM {rows.theirs.id.sql} AS t WHERE {rows.in_theirs(rows.key, key)} LIMIT 1"
    )
    shown = obstacles.shown_key(rows, raw)
    for (column, their_column), left, right in zip(rows.columns, one, other, strict=True):
        if left != right:
            is_long = values.is_long(column) or values.is_long(their_column)
            mark = "SHA-256 " if is_long else ""
            table.add(Conflict(shown, "differs from yours", column.name, mark + str(left)[:80], mark + str(right)[:80]))


def _leave_out_children(all_: Comparison, group: Sequence[TableId]) -> None:
    """Leave out, over and over, the rows of a group that refer to rows that cannot go."""
    more = True
    while more:
        more = False
        for name in group:
            table = all_.done[name]
            rows = table.rows
            if not rows or not rows.key:
                continue
            for reference in rows.ours.references:
                parent = all_.done.get(reference.parent)
                if not parent or not parent.rows or not parent.rows.left_out:
                    continue
                added = rows.leave_out(
                    f"SELECT DISTINCT {rows.key_columns()} FROM {parent.rows.left_out} AS x"
                    f" JOIN {parent.id.sql} AS p ON {parent.rows.on_key('x', 'p')}"
                    f" JOIN {name.sql} AS t ON {reference.joins()}",
                )  # fmt: skip
                more = more or (added > 0 and len(group) + (reference.parent == name) > 1)


def _count(table: TablePlan) -> None:
    if table.rows and not table.whole:
        has_left_out = bool(table.rows.left_out)
        if table.was_empty and not has_left_out:
            table.new = table.total
        else:
            table.new = sum(table.rows.count(part) for part in table.parts)
        stuck = table.total - table.new - table.same  # a row may be in the way of another, and be there itself
        table.conflict = min(table.conflict, stuck)
        table.left_out = stuck - table.conflict
    elif table.rows:
        table.conflict = table.total
