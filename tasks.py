"""Every command of the project; each parses, calls and prints. `invoke --list` shows them.

A command imports its own feature, so that no other has to wait for it to load.
"""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from spyglass_export import console
from spyglass_export.cli.commands import SERVER, command, is_dry, print_url, read_settings
from spyglass_export.cli.commands import down as down
from spyglass_export.cli.commands import enter as enter
from spyglass_export.cli.commands import logs as logs
from spyglass_export.cli.commands import merge as merge
from spyglass_export.cli.commands import run as run
from spyglass_export.cli.commands import status as status
from spyglass_export.cli.commands import stop as stop
from spyglass_export.cli.commands import test_notebooks as test_notebooks
from spyglass_export.cli.commands import unmerge as unmerge
from spyglass_export.cli.commands import url as url
from spyglass_export.cli.commands import verify as verify
from spyglass_export.cli.invoke_patches import wrong_usage
from spyglass_export.containers import ports, stack
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings

if TYPE_CHECKING:
    from spyglass_export.environment.solving import Prepared

ROOT = Path(__file__).resolve().parent


def _authors_stack(context: Context) -> tuple[Settings, Docker]:
    settings = read_settings(context, ROOT)
    return settings, stack.authors_docker(settings, dry=is_dry(context))


@command()
def bootstrap(context: Context) -> None:
    """Make this machine ready: .env, Docker, base images. Quick when it already is."""
    from spyglass_export.containers.bootstrap import ensure_base_images, ensure_engine, make_env_file

    if not is_dry(context):
        make_env_file(ROOT)
    settings, docker = _authors_stack(context)
    ensure_engine(docker)
    ensure_base_images(settings, docker)
    if not docker.dry:
        console.say(f"this machine is ready to build {settings.paper_id}; `invoke check` looks at the paper")


@command(help={"json": "print what was found as JSON instead of a table"})
def check(context: Context, json: bool = False) -> None:
    """Look whether `invoke build` has all it needs, in seconds, and say how to fix what it lacks; changes nothing."""
    from spyglass_export.checks.run import require_no_failure, run_checks, show_as_json, show_as_table

    found = run_checks(ROOT, os.environ, dry=is_dry(context))
    (show_as_json if json else show_as_table)(found)
    require_no_failure(found)
    if not json:
        console.say("ready to build: `invoke build`; for readers without Docker: docs/elsewhere.md")


@command(help={name: SERVER[name] for name in ("host", "port", "user")})
def dump(context: Context, host: str = "", port: str = "", user: str = "") -> None:
    """Dump what the export's script asks for, from the lab's server, with a proof of each table's rows."""
    from spyglass_export.servers.account import find_account
    from spyglass_export.servers.dump import dump as dump_export

    settings, docker = _authors_stack(context)
    if docker.dry:
        console.say(f"# dumps what the script in {settings.spyglass_paper_dir} asks for, into the same folder")
        return
    account = find_account(host, port, user, folder=ROOT)
    proof = dump_export(ROOT, settings.spyglass_paper_dir, account, docker, settings.db_base_image)
    names, rows = " and ".join(proof.dumps), sum(table.rows for table in proof.tables.values())
    console.say(f"wrote {names} with {rows:,} rows of {len(proof.tables)} tables, and proof.json beside it")


@command()
def copy_files(context: Context) -> None:
    """Read the export in SPYGLASS_PAPER_DIR, clean it and write export_data/. Loses no row, or says why."""
    settings = read_settings(context, ROOT)
    _copy_files(settings, Docker(settings.docker, ROOT, dry=is_dry(context)))


def _copy_files(settings: Settings, docker: Docker) -> None:
    from spyglass_export.environment import lock
    from spyglass_export.environment.installable import Evidence
    from spyglass_export.export.copy_files import copy_files
    from spyglass_export.export.folder import sql_files
    from spyglass_export.export.unchanged import remember

    if docker.dry:
        console.say(f"# copies and cleans {settings.spyglass_paper_dir} to {settings.export_data}")
        return
    folder = settings.spyglass_paper_dir
    size = sum(file.stat().st_size for file in sql_files(folder))
    solved: list[Prepared] = []

    def evidence() -> Evidence:
        from spyglass_export.containers.build import solve_environment  # takes long, so rows are copied meanwhile

        solved.append(solve_environment(settings, docker))
        return solved[0].evidence

    with console.progress("cleaning the export, solving the environment", size) as advance:
        copied = copy_files(
            folder,
            settings.export_data,
            paper_id=settings.paper_id,
            exclude=settings.env_exclude,
            evidence=evidence,
            progress=advance,
        )
    lock.write(settings.export_data, solved[0].lock)
    remember(settings)
    for what, fix in copied.warnings:
        console.warn(f"{what}; {fix}")
    for line in copied.manifest.summary() if copied.changed else [f"export_data/ is up to date with {folder}"]:
        console.say(line)


@command(
    positional=["source"],
    help={
        "source": "the export's SQL file, .sql or .sql.gz; - is standard input",
        "output": "the file to write; standard output when left out, or -",
    },
)
def clean_sql(context: Context, source: str, output: str = "-") -> None:
    """Clean one SQL file of an export, to be loaded into any MySQL 8 or newer with `mysql < OUTPUT`, without Docker."""
    from spyglass_export.dump import command_line

    if is_dry(context):
        console.say(f"# cleans {source} to {output}")
        return
    file = Path(source)
    with console.progress("cleaning", file.stat().st_size if file.is_file() else 0) as advance:
        cleaned = command_line.clean_sql(source, output, advance)
    console.note(f"{len(cleaned.tables)} tables, {len(cleaned.changes)} changes")


@command(aliases=("build",))
def up(context: Context) -> None:
    """Build both images from the export and start them; prints JupyterLab's URL and password."""
    from spyglass_export.containers import seed
    from spyglass_export.export.unchanged import is_as_remembered
    from spyglass_export.notebooks.files import check_links, tell_left_out
    from spyglass_export.publishing import provenance

    settings, docker = _authors_stack(context)
    is_copied = not docker.dry and is_as_remembered(settings)
    docker.check(to_build=not is_copied)
    stack.check_folder(settings, docker)
    ports.check_ports(settings, docker)
    check_links(settings.notebooks)
    if is_copied:
        console.say(f"export_data/ is up to date with {settings.spyglass_paper_dir}")
    else:
        _copy_files(settings, docker)
    if omitted := tell_left_out(settings.notebooks):
        console.say(omitted)
    docker = replace(docker, volume_hashes=stack.volume_hashes(settings))
    labelled = provenance.add_labels(settings, docker)
    if provenance.are_built(labelled):
        console.say("both images are up to date")
    else:
        from spyglass_export.containers.build import build_images

        build_images(ROOT, labelled)
    stack.start(settings, docker)
    if docker.dry:
        return
    loaded = seed.loaded(docker)
    rows, size = sum(table.rows for table in loaded.tables), sum(table.bytes for table in loaded.tables)
    console.say(f"the database has {len(loaded.tables)} tables with {rows:,} rows ({size / 1e6:,.1f} MB)")
    console.say(f"  of these tables, {seed.say_states(loaded.proof)}")
    for one in loaded.orphans:
        console.say(f"  {one.rows:,} rows of {one.table} refer to rows of {one.parent} that are not in the export")
    print_url(settings)
    console.say("next: open it and look; `invoke test_notebooks` runs all notebooks and compares what they show")


@command(
    help={
        "yes": "do not ask",
        "superseded": "only remove volumes of an earlier export or environment",
    }
)
def clean(context: Context, yes: bool = False, superseded: bool = False) -> None:
    """Remove this paper's containers and volumes: all that was written to the database and to ~/data is gone then."""
    from spyglass_export.containers.project import volumes_of

    settings, docker = _authors_stack(context)
    docker.check()
    stack.check_folder(settings, docker)
    volumes = volumes_of(docker)
    if superseded:
        if any(volume.is_current is None for volume in volumes):
            raise UserError(
                "export_data/ is empty, so nothing tells which are current", "run `invoke copy_files` first"
            )
        volumes = [volume for volume in volumes if not volume.is_current]
    if not volumes and not docker.dry:
        console.say("there is no volume to remove")
        return
    if docker.dry:
        console.say("# removes the containers, and the volumes that `invoke status` lists")
        return
    for volume in volumes:
        console.say(f"{volume.name}  {volume.size}")
    if not yes and not console.confirm("remove these volumes for good?"):
        console.say("nothing was removed")
        return
    if not superseded:
        stack.down(docker)
    docker.ask("volume", "rm", *(volume.name for volume in volumes))
    console.say(f"removed {len(volumes)} volume{'' if len(volumes) == 1 else 's'}")


@command()
def report(context: Context) -> None:
    """Write export_data/report.html: tables, changes, environment and notebooks, for co-authors to read offline."""
    from spyglass_export.report.write import FILE, write_report

    settings, docker = _authors_stack(context)
    if docker.dry:
        console.say(f"# writes {settings.export_data / FILE}")
        return
    console.say(f"wrote {write_report(settings, docker)}: it opens in any browser, and prints")


@command(help={"incomplete": "also where the hub's image lacks packages of the environment"})
def publish(context: Context, incomplete: bool = False) -> None:
    """Push both images as they were built and tested, print their digests, and write the readers' bundle."""
    from spyglass_export.publishing.bundle import write_published
    from spyglass_export.publishing.push import push_images

    settings, docker = _authors_stack(context)
    docker.check()
    record = push_images(settings, docker, incomplete=incomplete)
    for service, image in () if docker.dry else record.items():
        console.say(f"{service}: {image.name}:{image.tag} is {image.reference}")
    _say_written(write_published(settings, docker, record, incomplete=incomplete), docker)


def _say_written(path: Path, docker: Docker) -> None:
    if docker.dry:
        console.say(f"# writes {path}")
        return
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    console.say(f"wrote {path} ({size / 1e6:,.1f} MB)")
    console.say(
        "next: give it to your readers; its README.md tells how to start"
        if path.is_file()
        else "next: upload all its files to Zenodo or DANDI; docs/from-export-to-journal.md has the steps"
    )


@command(help={"incomplete": "also where the hub's image lacks packages of the environment"})
def bundle(context: Context, incomplete: bool = False) -> None:
    """Write PAPER_ID.zip for readers: with it and Docker they run what you published last."""
    from spyglass_export.publishing.bundle import write_published

    settings, docker = _authors_stack(context)
    docker.check()
    _say_written(write_published(settings, docker, incomplete=incomplete), docker)


@command(help={"incomplete": "also where the hub's image lacks packages of the environment"})
def archive(context: Context, incomplete: bool = False) -> None:
    """Write PAPER_ID-archive/ for Zenodo or DANDI: images, bundle and description, to run with no registry."""
    from spyglass_export.publishing.archive import write_archive

    settings, docker = _authors_stack(context)
    docker.check()
    _say_written(write_archive(settings, docker, incomplete=incomplete), docker)


def _run_python(*arguments: str) -> int:
    """Run Python, give its exit status, and where Ctrl-C stops both, let it remove what it has started."""
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            process.terminate()
            raise


@command(help={"select": "only tests whose names match, as for pytest's -k"})
def test(context: Context, select: str = "") -> None:
    """Run all tests that this machine can, and say which were skipped and why."""
    chosen = ["-k", select] if select else []
    statuses = []
    # The others share one Docker Engine, so they take turns.
    for tests in (["tests/unit", "--numprocesses=logical"], ["tests/integration", "tests/end_to_end"]):
        statuses.append(_run_python("-m", "pytest", *tests, *chosen))
        if statuses[-1] not in (0, 1, 5):  # pytest's own: all passed, some failed, none was chosen
            raise Exit(code=statuses[-1])
    if status := 1 if 1 in statuses else min(statuses):
        raise Exit(code=status)


@command()
def lint(context: Context) -> None:
    """Check code, types, imports, shell scripts, Dockerfiles, YAML and the links of the documentation."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    linters = (
        [sys.executable, "-m", "ruff", "check"],
        [sys.executable, "-m", "ruff", "format", "--check"],
        [sys.executable, "-m", "mypy"],
        ["lint-imports", "--no-logo"],
        ["shellcheck", "--external-sources", *(name for name in files if name.endswith((".sh", ".sbatch", ".ci/run")))],
        ["hadolint", *(name for name in files if name.endswith("Dockerfile"))],
        [sys.executable, "-m", "yamllint", "--strict", *(name for name in files if name.endswith((".yml", ".yaml")))],
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(ROOT / "build" / "site")],
    )
    # Tools of this Python's environment come first, whether it is activated or not.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    environment = os.environ | {"PATH": path, "NO_MKDOCS_2_WARNING": "1"}
    failed = []
    for linter in linters:
        name = next(word for word in linter if word not in (sys.executable, "-m"))
        if subprocess.run(linter, cwd=ROOT, env=environment, check=False).returncode:
            failed.append(name)
    if failed:
        raise Exit(f"{', '.join(failed)} found something", code=1)
    console.say("all clean")


@command(positional=["name"], help={"name": "clean, database, merge, publish or rebuild; see benchmarks/README.md"})
def bench(context: Context, name: str) -> None:
    """Measure how fast a part of this project is, against another way of doing the same."""
    names = sorted(file.stem for file in (ROOT / "benchmarks").glob("*.py"))
    if name not in names:
        raise wrong_usage(f"there is no benchmark {name!r}", f"it is one of {', '.join(names)}")
    if status := _run_python("-m", f"benchmarks.{name}"):
        raise Exit(code=status)
