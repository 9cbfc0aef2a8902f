"""Make the example paper's export, the way a lab makes a real one.

Starts a throwaway MySQL server set up like an older lab server (GTIDs on, `latin1`), lets `spyglass-neuro` declare its
tables there by importing them, reads the made-up NWB files of `made_up_study.py` in, logs an export of what the paper
used, and runs the `mysqldump` calls that Spyglass writes. The result goes to `examples/export/example/`; the
`environment.yml` there is kept, as Spyglass keeps one that exists.

Needs a Docker Engine, and Python 3.11 with Spyglass (1.3 GB), best in an environment of its own:

    python -m pip install spyglass-neuro==0.6.0
    python -m examples.make_example

The rows come out the same each time. The dates, the server's UUID and the GTIDs that `mysqldump` notes do not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock
from uuid import UUID

import pymysql

from examples.made_up_study import SEED, SESSIONS, Session, epochs, ripple_times, write_nwb

if TYPE_CHECKING:
    from collections.abc import Iterator

PAPER_ID = "example"
EXPORT = Path(__file__).parent / "export" / PAPER_ID
SERVER_START_SECONDS = 60
# A throwaway server on the loopback interface: this guards nothing.
USER = PASSWORD = "spyglass"  # noqa: S105

# MySQL does not run init-connect for accounts with administrative rights, hence rights on schemas only. The fixed
# time makes the rows that hold the time of their entry the same in each run.
SERVER_SETUP = f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON `%`.* TO {USER}@'%';"
SERVER_OPTIONS = (
    "--server-id=1 --gtid-mode=ON --enforce-gtid-consistency=ON --character-set-server=latin1 "
    "--init-file=/tmp/setup.sql --init-connect='SET timestamp = 1767225600'"
)


def docker(*arguments: str, stdin: str = "") -> str:
    """Run docker and return what it printed.

    Raises:
        SystemExit: with docker's own words, where it failed.

    """
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"error: docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def mysql_server(image: str) -> Iterator[tuple[str, int]]:
    """A throwaway MySQL server from `image`: its container's id, and its port on 127.0.0.1."""
    start = f'mysqld --initialize-insecure && echo "$SETUP" > /tmp/setup.sql && exec mysqld {SERVER_OPTIONS}'
    container = docker(
        "run", "--detach", "--publish", "127.0.0.1::3306", "--env", f"SETUP={SERVER_SETUP}",
        "--entrypoint", "bash", image, "-c", start,
    ).strip()  # fmt: skip
    try:
        port = int(docker("port", container, "3306/tcp").rpartition(":")[2])
        wait_for_server(port)
        yield container, port
    finally:
        docker("rm", "--force", "--volumes", container)


def wait_for_server(port: int) -> None:
    """Return once the server takes the study's account.

    Raises:
        SystemExit: when it has not within `SERVER_START_SECONDS`.

    """
    give_up = time.monotonic() + SERVER_START_SECONDS
    while True:
        try:
            pymysql.connect(host="127.0.0.1", port=port, user=USER, password=PASSWORD).close()
            return
        except pymysql.err.OperationalError as problem:
            if time.monotonic() > give_up:
                sys.exit(f"error: the MySQL server did not start: {problem}")
            time.sleep(0.5)


def configure_spyglass(base: Path, port: int) -> None:
    """Point DataJoint and Spyglass at the server and the folder `base`, and keep them off the user's own files.

    DataJoint reads its settings when it is imported, so this comes first.
    """
    # Spyglass writes ~/.my.cnf, and DataJoint reads ~/.datajoint_config.json and ./dj_local_conf.json. Docker still
    # needs the user's own configuration, which says where its engine is.
    os.environ.setdefault("DOCKER_CONFIG", str(Path.home() / ".docker"))
    os.environ.update(HOME=str(base), USERPROFILE=str(base))
    os.chdir(base)
    os.environ.update(
        DJ_HOST=f"127.0.0.1:{port}",
        DJ_USER=USER,
        DJ_PASS=PASSWORD,
        DJ_SUPPORT_FILEPATH_MANAGEMENT="TRUE",
        SPYGLASS_BASE_DIR=str(base),
    )


def copy_name(session: Session) -> str:
    """Name of Spyglass's own copy of a session's NWB file, the key of nearly all of its tables."""
    return session.file_name.replace(".nwb", "_.nwb")


def ingest(session: Session, raw: Path) -> None:
    """Read a session into Spyglass's `common_` tables, with its ripples as intervals."""
    # Importing these declares their tables on the server.
    from spyglass import common
    from spyglass.common.populate_all_common import single_transaction_make
    from spyglass.data_import.insert_sessions import copy_nwb_link_raw_ephys

    write_nwb(session, raw)
    nwb_file_name = copy_name(session)
    copy_nwb_link_raw_ephys(session.file_name, nwb_file_name)
    common.Nwbfile().insert_from_relative_file_name(nwb_file_name)
    # `insert_sessions` would also declare the spike sorting and decoding tables, which need more packages.
    tables = [
        common.Institution, common.Lab, common.LabMember, common.Subject, common.CameraDevice,
        common.Session, common.Session.Experimenter, common.ElectrodeGroup, common.IntervalList,
        common.TaskEpoch, common.Electrode,
    ]  # fmt: skip
    single_transaction_make(tables, nwb_file_name, raise_err=True)
    ripples = [
        {
            "nwb_file_name": nwb_file_name,
            "interval_list_name": f"ripples {epoch.interval_name}",
            "valid_times": ripple_times(session, epoch),
            "pipeline": "made_up_ripples",
        }
        for epoch in epochs()
    ]
    common.IntervalList.insert(ripples)


def log_and_export() -> None:
    """Let Spyglass log what the paper's analysis fetches, then write the export of it and of all it depends on."""
    from spyglass import common
    from spyglass.common.common_usage import Export, ExportSelection

    selection = ExportSelection()
    selection.start_export(paper_id=PAPER_ID, analysis_id="ripple rates")
    for session in SESSIONS:
        for table in (
            common.Session,
            common.Session.Experimenter,
            common.TaskEpoch,
            common.IntervalList,
            common.Electrode,
        ):
            (table & {"nwb_file_name": copy_name(session)}).fetch()
    selection.stop_export()
    Export().populate_paper(PAPER_ID)


def dump(container: str, paper: Path) -> None:
    """Run the script of `mysqldump` calls that Spyglass wrote, where the server is, and fetch what it dumped."""
    script = (paper / f"_ExportSQL_{PAPER_ID}.sh").read_text(encoding="utf-8")
    docker("exec", container, "mkdir", "-p", paper.as_posix())
    docker("exec", "--interactive", container, "bash", "-e", stdin=script)
    sql = paper / f"_Populate_{PAPER_ID}.sql"
    sql.write_text(docker("exec", container, "cat", sql.as_posix()), encoding="utf-8", newline="\n")


def main() -> None:
    """Make the export anew and put it in its place."""
    parser = argparse.ArgumentParser(description="Make the example paper's export.")
    parser.add_argument("--image", default="mysql:9.7", help="image of the MySQL server (default: %(default)s)")
    image = parser.parse_args().image
    identifiers = iter(range(SEED * 10**6, (SEED + 1) * 10**6))
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        mysql_server(image) as (container, port),
        # Each NWB object gets a random id, which the checksum of its file in the database depends on.
        mock.patch("hdmf.container.uuid4", lambda: UUID(int=next(identifiers), version=4)),
    ):
        base = Path(folder).resolve()
        paper = base / "export" / PAPER_ID
        paper.mkdir(parents=True)
        (base / "raw").mkdir()
        shutil.copy(EXPORT / "environment.yml", paper)
        export = EXPORT.resolve()
        configure_spyglass(base, port)
        for session in SESSIONS:
            ingest(session, base / "raw")
        log_and_export()
        dump(container, paper)
        for name in (f"_Populate_{PAPER_ID}.sql", "spyglass_version"):
            shutil.copy(paper / name, export)


if __name__ == "__main__":
    main()
