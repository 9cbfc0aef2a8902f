"""`invoke merge` and `invoke unmerge` from beginning to end."""

import json
from dataclasses import dataclass
from pathlib import Path

from spyglass_export import console
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError, some
from spyglass_export.merging import insert, source
from spyglass_export.merging.compare import compare
from spyglass_export.merging.plan import Conflict, Plan, find_missing
from spyglass_export.merging.server import Server
from spyglass_export.merging.unmerge import unmerge
from spyglass_export.servers.account import Account, connect
from spyglass_export.settings import Settings

_MOST = 10  # of each list that is shown; --json has them all


@dataclass(frozen=True)
class Options:
    """What the user said: show only the plan, as JSON, do not ask, leave conflicts out, where the files are."""

    plan_only: bool = False
    as_json: bool = False
    yes: bool = False
    skip_conflicts: bool = False
    data_dir: Path | None = None


def merge_paper(settings: Settings, docker: Docker, account: Account, options: Options) -> None:
    """Merge the paper of this folder into an account's server; merge.json goes into the project's folder."""
    with connect(account) as connection:
        target = Server(connection, str(account))
        with source.paper(settings, docker) as paper:
            merge(paper, target, settings.root, options)


def unmerge_paper(path: Path, account: Account, *, yes: bool) -> None:
    """Take out of an account's server what a merge inserted."""
    with connect(account) as connection:
        unmerge(Server(connection, str(account)), path, yes=yes)


def merge(paper: Server, target: Server, folder: Path, options: Options) -> Plan:
    """Show the plan, ask, carry it out and write merge.json into ``folder``; give the plan.

    Raises UserError where the plan cannot be carried out, with nothing changed.
    """
    if paper.identity == target.identity:
        raise UserError(f"{target.name} is the paper's own database", "name the server of your lab with --host")
    insert.lock(target)
    if done := insert.finish_earlier(target, folder):
        console.note(done)
    with console.status("comparing") as shown:
        plan = compare(paper, target, shown)
    if options.data_dir:
        find_missing(plan, options.data_dir)
    is_refused = plan.stuck and not options.skip_conflicts
    if not options.as_json:
        _show(plan)
    elif options.plan_only or plan.nothing_to_do or is_refused:
        console.say(json.dumps(plan.as_json(), indent=1, ensure_ascii=False))
    if options.plan_only:
        return plan
    if is_refused:
        hint = "the lines above say why; --skip-conflicts leaves them out, with all that depends on them"
        raise UserError(f"{plan.stuck:,} rows of the paper cannot go; nothing was changed", hint)
    insert.check_triggers(plan)
    insert.check_rights(plan)
    if plan.nothing_to_do:
        console.note("nothing to do: all of the paper that can go is there already")
        return plan
    made = f", make {len(plan.definitions)} tables" if plan.definitions else ""
    left = f", leave out {plan.stuck:,}" if plan.stuck else ""
    if not options.yes and not console.confirm(f"insert {plan.new:,} rows{made}{left} in {target.name}?"):
        console.note("nothing was changed")
        return plan
    with console.status("inserting") as shown:
        record = insert.carry_out(plan, folder, shown)
    if options.as_json:
        console.say(json.dumps(plan.as_json() | {"record": str(record)}, indent=1, ensure_ascii=False))
    console.note(
        f"inserted {plan.new:,} rows, and each was found there as it is in the paper; {record.name} lists them, and"
        f" `invoke unmerge {record.name}` takes them out again"
    )
    return plan


def _show(plan: Plan) -> None:
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
            console.say(f"{name}: {table.key[0]} {some(changes, _MOST)}")
        for conflict in table.conflicts[:_MOST]:
            console.say(f"conflict: {name} {_worded(conflict)}")
        if table.conflict > len(table.conflicts[:_MOST]) and table.conflicts:
            console.say(f"conflict: {name}: {table.conflict:,} rows in all")
    for line in plan.stays[:_MOST]:
        console.say(f"stays: {line}")
    if len(plan.stays) > _MOST:
        console.say(f"stays: {len(plan.stays) - _MOST} more; --json lists all")
    expected, missing = len(plan.files["expected"]), plan.files.get("missing")
    told = f"{len(missing)} of them are missing" if missing is not None else "--data-dir FOLDER tells which are missing"
    if expected:
        console.say(f"{expected} files are expected beside the database; {told}")
    for file in (missing or [])[:_MOST]:
        console.say(f"missing: {file['store']}/{file['path']}")


def _worded(conflict: Conflict) -> str:
    key = ", ".join(f"{name}={value}" for name, value in conflict.key.items())
    told = [f"({key})" if key else "", conflict.column, conflict.why]
    values = f": the paper has {conflict.ours}" if conflict.ours else ""
    values += f", yours has {conflict.theirs}" if conflict.theirs else ""
    return " ".join(filter(None, told)) + values
