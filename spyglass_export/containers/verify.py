"""The running database, held against what was published."""

from collections.abc import Sequence

from spyglass_export import console
from spyglass_export.containers import seed
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.seed import TableProof
from spyglass_export.errors import UserError

_NAMED_AT_MOST = 20
# DataJoint makes them in each schema as soon as a notebook looks into it.
_DATAJOINTS_OWN = (".~log", ".~jobs")


def differences(published: Sequence[TableProof], now: Sequence[TableProof]) -> list[tuple[str, str]]:
    """Each table that is not as it was published, with what differs; tables that were made since come last.

    Logs that DataJoint has made since are no difference.
    """
    there = {table.name: table for table in now}
    found = []
    for table in published:
        one = there.pop(table.name, None)
        if one is None:
            found.append((table.name, f"is gone, with {table.rows:,} rows"))
        elif one.rows > table.rows:
            found.append((table.name, f"{one.rows - table.rows:,} rows added to {table.rows:,}"))
        elif one.rows < table.rows:
            found.append((table.name, f"{table.rows - one.rows:,} of {table.rows:,} rows are gone"))
        elif one.digest != table.digest:
            found.append((table.name, f"rows changed, of {table.rows:,}"))
    made = [one for one in there.values() if not one.name.endswith(_DATAJOINTS_OWN)]
    return found + [(one.name, f"is new, with {one.rows:,} rows") for one in made]


def verify(docker: Docker) -> None:
    """Print how the running database differs from what was published. Raises UserError where it does."""
    published = seed.proof(docker)
    with console.status("reading every row"):
        now = seed.digests_now(docker)
    if docker.dry:
        return
    found = differences(published, now)
    console.say(f"published: {len(published)} tables; {seed.say_states(published)}")
    if not found:
        console.say(f"all {sum(table.rows for table in published):,} rows are as they were published")
        return
    console.show_table("tables that differ", ["table", "now"], [[name, what] for name, what in found[:_NAMED_AT_MOST]])
    more = f", {len(found) - _NAMED_AT_MOST} more than are shown" if len(found) > _NAMED_AT_MOST else ""
    raise UserError(
        f"{len(found)} tables differ from what was published{more}; {len(published)} were published",
        "where you wrote to the database yourself, nothing is wrong; a fresh volume has the published rows",
    )
