"""The commands of a paper and a database that is there already; each parses, calls and prints."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invoke.context import Context

from spyglass_export import console
from spyglass_export.cli.commands import ROOT, command, this_stack
from spyglass_export.errors import UserError


@contextmanager
def _packages_of_merge() -> Iterator[None]:
    """Readers install what they need, and most do not need this one."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed", "pip install pymysql") from error


_SERVER = {
    "host": "the server of your lab; DataJoint's or ~/.my.cnf's where it is left out",
    "port": "its port, 3306 as a rule",
    "user": "your user there; the password is MYSQL_PWD, or DataJoint's or ~/.my.cnf's, or asked",
    "yes": "do not ask",
}


@command(
    help=_SERVER
    | {
        "plan": "show what would be done, and do nothing",
        "json": "print the plan as JSON",
        "skip_conflicts": "leave out what is in conflict with your rows, and all that depends on it",
        "data_dir": "a folder of NWB files: which of those that the rows expect are missing",
    }
)
def merge(
    context: Context,
    host: str = "",
    port: str = "",
    user: str = "",
    plan: bool = False,
    json: bool = False,
    yes: bool = False,
    skip_conflicts: bool = False,
    data_dir: str = "",
) -> None:
    """Put the paper's rows into a database of your own, beside yours: shows a plan, asks, all of it or nothing."""
    if data_dir and not Path(data_dir).expanduser().is_dir():
        raise UserError(f"there is no folder {data_dir}", "name the folder of the NWB files with --data-dir")
    settings, docker = this_stack(context)
    if docker.dry:
        console.say(f"# merges the rows of {settings.paper_id} into {host}")
        return
    with _packages_of_merge():
        from spyglass_export.merging.merge import Options, merge_paper
        from spyglass_export.servers.account import find_account

    folder = Path(data_dir).expanduser() if data_dir else None
    merge_paper(
        settings,
        docker,
        find_account(host, port, user, folder=ROOT),
        Options(plan_only=plan, as_json=json, yes=yes, skip_conflicts=skip_conflicts, data_dir=folder),
    )


@command(positional=["record"], help=_SERVER | {"record": "the file that `invoke merge` wrote"})
def unmerge(context: Context, record: str, host: str = "", port: str = "", user: str = "", yes: bool = False) -> None:
    """Take out again what a merge inserted, where nothing else depends on it."""
    if context.config.run.dry:
        console.say(f"# takes the rows of {record} out again")
        return
    with _packages_of_merge():
        from spyglass_export.merging.merge import unmerge_paper
        from spyglass_export.servers.account import find_account

    unmerge_paper(Path(record).expanduser(), find_account(host, port, user, folder=ROOT), yes=yes)
