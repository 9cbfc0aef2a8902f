"""Where a paper's rows are read from: its running database, or a throw-away one of its image."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pymysql
from pymysql.constants import CR

from spyglass_export import console
from spyglass_export.containers import reader, stack
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.export.manifest import read_manifest
from spyglass_export.merging.server import Server
from spyglass_export.settings import Settings

_START_SECONDS = 600


@contextmanager
def paper(settings: Settings, docker: Docker) -> Iterator[Server]:
    """A session on the paper's database, which sees it as it is now; nothing of it is changed.

    Raises UserError where there is neither a running database nor an image or export_data/ to start one from.
    """
    with ExitStack() as at_the_end:
        if stack.is_running(docker, "db"):
            address, name = settings.bind_address, f"the running database of {settings.paper_id}"
            host = ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else str(address)
            port, password = settings.db_port, settings.mysql_root_password
        else:
            image, password = _image(settings, docker), secrets.token_hex(16)
            host, name = "127.0.0.1", f"the database of {settings.paper_id}"
            options = ["--detach", "--rm", "--publish", "127.0.0.1::3306", "--env", f"MYSQL_ROOT_PASSWORD={password}"]
            with console.status(f"starting {name} for the time of the merge"):
                container = docker.ask("run", *options, image).strip()
            at_the_end.callback(docker.succeeds, "rm", "--force", "--volumes", container)
            port = int(docker.ask("port", container, "3306").split()[0].rpartition(":")[2])
        server = Server(at_the_end.enter_context(_connect(host, port, password)), name)
        server.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield server


def _image(settings: Settings, docker: Docker) -> str:
    """The image of the paper's database, built where only export_data/ is there."""
    if not (settings.root / "docker-compose.yml").is_file() or reader.is_readers(settings):
        image = reader.images_to_run(docker)["db"]
        if not docker.succeeds("image", "inspect", image):
            raise UserError("this paper's database is not on this machine yet", "run `invoke run` first")
        return image
    if read_manifest(settings.export_data):
        with console.status("loading export_data/ into a database"):
            docker.ask("compose", "build", "--quiet", "db")
    elif not docker.succeeds("image", "inspect", settings.db_image_name):
        raise UserError("there is no paper to merge yet", "run `invoke copy_files`, or `invoke build`")
    return settings.db_image_name


def _connect(host: str, port: int, password: str) -> "pymysql.Connection[Any]":
    """Log in as root, as soon as the server has started."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return pymysql.connect(host=host, port=port, user="root", password=password.encode(), autocommit=True)
        except pymysql.OperationalError as error:
            if error.args[0] not in (CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST) or time.monotonic() > deadline:
                hint = "look at `invoke status`, and at MYSQL_ROOT_PASSWORD and DB_PORT in .env"
                raise UserError(f"the paper's database does not let us in: {error.args[-1]}", hint) from error
            time.sleep(0.2)
