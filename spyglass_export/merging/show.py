"""A plan as a person reads it."""

from spyglass_export import console
from spyglass_export.errors import some
from spyglass_export.merging.plan import Conflict, Plan, TablePlan

MOST = 10  # of each list; --json has them all


def show(plan: Plan) -> None:
    """Print what a merge would do."""
    console.say(f"from {plan.source} into {plan.target}")
    rows = [
        [str(table.target) + " (made)" * table.is_new, *map(_number, _counts(table))]
        for table in plan.tables
        if table.total or table.is_new
    ]
    console.show_table("rows", ["table", "new", "same", "in conflict", "left out"], rows)
    if plan.schemas:
        console.say(f"schemas that would be made: {', '.join(plan.schemas)}")
    for table in plan.tables:
        for note in ([f"cannot go: {table.whole}"] if table.whole else []) + table.notes:
            console.say(f"{table.target}: {note}")
        if table.renumbered:
            changes = [f"{old} becomes {new}" for old, new in table.renumbered.items()]
            console.say(f"{table.target}: {table.rows.ours.number if table.rows else ''} {some(changes, MOST)}")
        for conflict in table.conflicts[:MOST]:
            console.say(f"conflict: {table.target} {_worded(conflict)}")
        if table.conflict > len(table.conflicts[:MOST]) and table.conflicts:
            console.say(f"conflict: {table.target}: {table.conflict:,} rows in all")
    for line in plan.stays[:MOST]:
        console.say(f"stays: {line}")
    if len(plan.stays) > MOST:
        console.say(f"stays: {len(plan.stays) - MOST} more; --json lists all")
    _show_files(plan)


def _counts(table: TablePlan) -> tuple[int, int, int, int]:
    return table.new, table.same, table.conflict, table.left_out


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _worded(conflict: Conflict) -> str:
    key = ", ".join(f"{name}={value}" for name, value in conflict.key.items())
    values = f": the paper has {conflict.ours}" if conflict.ours else ""
    values += f", yours has {conflict.theirs}" if conflict.theirs else ""
    column = f" {conflict.column}" if conflict.column else ""
    return f"({key}){column} {conflict.why}{values}" if key else f"{column.strip()} {conflict.why}{values}"


def _show_files(plan: Plan) -> None:
    expected, missing = plan.files["expected"], plan.files.get("missing")
    if not expected:
        return
    if missing is None:
        console.say(
            f"{len(expected)} files are expected beside the database; --data-dir FOLDER tells which are missing"
        )
        return
    console.say(f"{len(expected)} files are expected beside the database, {len(missing)} of them are missing")
    for file in missing[:MOST]:
        console.say(f"missing: {file['store']}/{file['path']}")
