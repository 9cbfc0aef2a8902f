"""A program that dumps: `mysqldump` of the database's base image, or one on this machine.

The password reaches it by an option file that is a pipe, or by its environment, and so is in no list of processes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

from spyglass_export import console
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.faults import DockerError, explain
from spyglass_export.errors import UserError
from spyglass_export.export.script import PROGRAMS
from spyglass_export.servers.account import Account

# Starts the program with options, a condition (or none), and where its output and its errors go.
Start = Callable[[list[str], str, IO[bytes], IO[bytes]], "subprocess.Popen[bytes]"]

# A consistent view of each call without any privilege but SELECT. `loose` is for what one of MySQL and MariaDB lacks:
# 5.7 has no column statistics, MariaDB no GTIDs of this kind, and its newer clients refuse MySQL's own certificates.
OPTIONS = [
    "--single-transaction", "--no-tablespaces", "--skip-lock-tables", "--hex-blob", "--protocol=TCP",
    "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--loose-set-gtid-purged=OFF",
    "--loose-column-statistics=0", "--loose-ssl-verify-server-cert=0",
]  # fmt: skip
END = b"-- Dump completed"
# MySQL 9 programs no longer know how older accounts prove their password.
OLDER_IMAGE = "mysql:8.4"
_OLDER_ACCOUNT = "mysql_native_password"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_IN_CONTAINER = (
    'IFS= read -r -d "" options; IFS= read -r -d "" where; '
    'exec mysqldump --defaults-file=<(printf %s "$options") "$@" ${where:+"--where=$where"}'
)


def run(start: Start, arguments: list[str], where: str, output: IO[bytes]) -> str:
    """Dump into a file; what went wrong, in the program's words, or nothing where its last line is there."""
    with tempfile.TemporaryFile() as errors:
        process = start([*OPTIONS, *arguments], where, output, errors)
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        errors.seek(0)
        lines = errors.read().decode("utf-8", "replace").splitlines()
    output.seek(max(output.seek(0, os.SEEK_END) - 200, 0))
    if not status and END in output.read():
        return ""
    said = [line for line in lines if line.strip() and "[Warning]" not in line and "unknown" not in line]
    return said[-1].removeprefix("mysqldump: ").strip() if said else "it ended before its last line"


@contextmanager
def program_for(docker: Docker, image: str, account: Account, table: list[str]) -> Iterator[Start]:
    """A program that can dump from the account's server, tried on one table's definition.

    Raises UserError where none can, with what each said.
    """
    said: list[str] = []
    for name in [image, *(path for one in PROGRAMS if (path := shutil.which(one))), OLDER_IMAGE]:
        if name == OLDER_IMAGE != image and _OLDER_ACCOUNT not in "".join(said):
            continue
        with ExitStack() as stack, tempfile.TemporaryFile() as output:
            try:
                if name in (image, OLDER_IMAGE):
                    start = stack.enter_context(_in_container(docker, name, account))
                else:
                    start = _on_machine(name, account)
                problem = run(start, ["--no-data", *table], "", output)
            except (DockerError, OSError) as error:
                problem = str(error)
            if not problem:
                if said:
                    console.say(f"dumping with {name}, as {'; '.join(said)}")
                yield start
                return
            said.append(f"{name}: {problem}")
    hint = "install mysqldump (MySQL 8.4's client or MariaDB's) on this machine, or start Docker, and run it again"
    raise UserError(f"no program here can dump from {account}: {'; '.join(said)}", hint)


@contextmanager
def _in_container(docker: Docker, image: str, account: Account) -> Iterator[Start]:
    """One container for all calls; it ends when this process does, whatever ends that."""
    name = f"spyglass-export-dump-{os.getpid()}"
    # Docker Desktop's containers are in another machine, and find this one by that name.
    is_linux = sys.platform == "linux"
    host = account.host if is_linux or account.host not in _LOOPBACK else "host.docker.internal"
    known = {"host": host, "port": str(account.port), "user": account.user, "password": account.password}
    quoted = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in known.items()}
    options = "[client]\n" + "".join(f'{key}="{value}"\n' for key, value in quoted.items())
    network = ["--network", "host"] if is_linux else []
    arguments = ["run", "--rm", "--interactive", "--name", name, "--platform", "linux/amd64", *network]
    with tempfile.TemporaryFile() as errors:
        keeper = docker.start(*arguments, "--entrypoint", "cat", image, "-", stdout=errors, stderr=errors)
        try:
            while not docker.succeeds("exec", name, "true"):
                with suppress(subprocess.TimeoutExpired):
                    keeper.wait(0.3)
                    errors.seek(0)
                    raise explain(errors.read().decode("utf-8", "replace"), "docker run failed")

            def start(
                arguments: list[str], where: str, output: IO[bytes], errors: IO[bytes]
            ) -> "subprocess.Popen[bytes]":
                command = ["exec", "--interactive", name, "bash", "-c", _IN_CONTAINER, "mysqldump", *arguments]
                process = docker.start(*command, stdout=output, stderr=errors)
                if process.stdin:
                    with suppress(BrokenPipeError):  # it ended early, and says why
                        process.stdin.write(f"{options}\0{where}\0".encode())
                        process.stdin.close()
                return process

            yield start
        finally:
            if keeper.stdin:
                keeper.stdin.close()
            keeper.terminate()
            keeper.wait()
            docker.succeeds("rm", "--force", name)


def _on_machine(program: str, account: Account) -> Start:
    own = [f"--host={account.host}", f"--port={account.port}", f"--user={account.user}"]
    environment = os.environ | {"MYSQL_PWD": account.password}

    def start(arguments: list[str], where: str, output: IO[bytes], errors: IO[bytes]) -> "subprocess.Popen[bytes]":
        command = [program, *own, *arguments, *([f"--where={where}"] if where else [])]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)

    return start
