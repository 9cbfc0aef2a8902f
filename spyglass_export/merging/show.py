"""A plan as a person reads it."""

from spyglass_export import console
from spyglass_export.errors import some
from spyglass_export.merging.plan import Conflict, Plan

MOST = 10  # of each list; --json has them all


def show(plan: Plan) -> None:
    """Print what a merge would do."""
    console.say(f"from {plan.paper.name} into {plan.target.name}")
    rows = [
        [f"{table.theirs.id}{' (made)' * table.is_new}"]
        + [f"{rows:,}" if rows else "-" for rows in (table.new, table.same, table.conflict, table.left_out)]
        for table in plan.tables
        if table.total or table.is_new
    ]
    console.show_table("rows", ["table", "new", "same", "in conflict", "left out"], rows)
    if plan.schemas:
        console.say(f"schemas that would be made: {', '.join(plan.schemas)}")
    for table in plan.tables:
        name = table.theirs.id
        for note in [f"cannot go: {table.whole}"] * bool(table.whole) + table.notes:
            console.say(f"{name}: {note}")
        if table.renumbered:
            changes = [f"{old} becomes {new}" for old, new in table.renumbered.items()]
            console.say(f"{name}: {table.key[0]} {some(changes, MOST)}")
        for conflict in table.conflicts[:MOST]:
            console.say(f"conflict: {name} {_worded(conflict)}")
        if table.conflict > len(table.conflicts[:MOST]) and table.conflicts:
            console.say(f"conflict: {name}: {table.conflict:,} rows in all")
    for line in plan.stays[:MOST]:
        console.say(f"stays: {line}")
    if len(plan.stays) > MOST:
        console.say(f"stays: {len(plan.stays) - MOST} more; --json lists all")
    expected, missing = len(plan.files["expected"]), plan.files.get("missing")
    told = f"{len(missing)} of them are missing" if missing is not None else "--data-dir FOLDER tells which are missing"
    if expected:
        console.say(f"{expected} files are expected beside the database; {told}")
    for file in (missing or [])[:MOST]:
        console.say(f"missing: {file['store']}/{file['path']}")


def _worded(conflict: Conflict) -> str:
    key = ", ".join(f"{name}={value}" for name, value in conflict.key.items())
    told = [f"({key})" if key else "", conflict.column, conflict.why]
    values = f": the paper has {conflict.ours}" if conflict.ours else ""
    values += f", yours has {conflict.theirs}" if conflict.theirs else ""
    return " ".join(filter(None, told)) + values
