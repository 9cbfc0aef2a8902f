"""A JupyterHub on one server with Docker: each user gets a paper's JupyterLab, and a database that nobody else reaches.

    pip install jupyterhub dockerspawner        (and configurable-http-proxy, from npm)
    jupyterhub --config jupyterhub_config.py

It reads a folder of unpacked bundles, the one that this bundle lies in unless the variable PAPERS names another. Each
is a choice on the page where users start their server, and a new one is there as soon as it is unpacked.

Whatever is not said here, such as who may log in, is JupyterHub's default. To change it, write a file of your own that
begins with `load_subconfig("/srv/papers/__PAPER_ID__/jupyterhub/jupyterhub_config.py")`, and start JupyterHub with it.
"""

import asyncio
import html
import os
import re
import secrets
from pathlib import Path

from docker.errors import APIError, ImageNotFound, NotFound
from dockerspawner import DockerSpawner
from tornado.web import HTTPError

import docker

FOLDER = Path(os.environ.get("PAPERS") or Path(__file__).resolve().parents[2])
RESTRICTED = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
STOP_SECONDS = 60


def read_bundle(folder):
    """Give what .env and the compose file of an unpacked bundle say, by name; raise ValueError where one is damaged."""
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    paper = dict(line.partition("=")[::2] for line in lines if "=" in line and not line.startswith("#"))
    compose = (folder / "docker-compose-collab.yml").read_text(encoding="utf-8")
    for name in ("DB_IMAGE", "HUB_IMAGE"):
        named = re.search(r"\$\{" + name + r":-([^\s}]+)\}", compose)
        if not paper.get(name) and not named:
            raise ValueError(f"no {name} in {folder}/docker-compose-collab.yml")
        paper[name] = paper.get(name) or named[1]
    for name in ("PAPER_ID", "DB_DATA_HASH", "CONDA_HASH"):
        if not paper.get(name):
            raise ValueError(f"no {name} in {folder}/.env")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    paper["TITLE"] = readme.partition("\n")[0].lstrip("# ")
    return paper


def read_papers(log):
    """Give every bundle that is unpacked now, by the name of its folder."""
    papers = {}
    for env_file in sorted(FOLDER.glob("*/.env")):
        try:
            papers[env_file.parent.name] = read_bundle(env_file.parent)
        except (OSError, ValueError) as error:
            log.warning("this bundle is left out, unpack it again: %s", error)
    return papers


def choices(spawner):
    """Word the page on which users choose a paper; there is none where there is no choice."""
    papers = read_papers(spawner.log)
    if len(papers) == 1:
        return ""
    if not papers:
        return f"<p>There is no paper in {html.escape(str(FOLDER))} on the server yet.</p>"
    lines = []
    for number, (folder, paper) in enumerate(papers.items()):
        checked = "" if number else " checked"
        label = html.escape(f"{paper['TITLE']} ({paper['PAPER_ID']})")
        lines.append(
            f'<p><label><input type="radio" name="paper" value="{html.escape(folder)}"{checked}> {label}</label></p>'
        )
    return "\n".join(lines)


class PaperSpawner(DockerSpawner):
    """Starts the hub's container of a paper, and beside it the user's database on a network of their own."""

    @property
    def database(self):
        """The name of the database's container."""
        return f"{self.object_name}-db"

    @property
    def private_network(self):
        """The name of the network that only this user's two containers are on."""
        return f"{self.object_name}-net"

    def chosen_paper(self):
        """Give the bundle that the user chose, or the only one."""
        papers = read_papers(self.log)
        folder = self.user_options.get("paper") or (next(iter(papers)) if len(papers) == 1 else "")
        if folder not in papers:
            raise HTTPError(400, f"Choose a paper: {', '.join(papers) or 'there is none yet'}.")
        return papers[folder]

    async def start(self):
        """Start both containers; leave nothing but volumes where one cannot start."""
        paper = self.chosen_paper()
        volumes = f"{self.object_name}-{paper['PAPER_ID'].lower()}"
        password = secrets.token_urlsafe(24)
        self.image = paper["HUB_IMAGE"]
        self.volumes = {
            f"{volumes}-notebooks": "/home/jovyan/notebooks",
            f"{volumes}-data": "/home/jovyan/data",
            f"{volumes}-packages-{paper['CONDA_HASH']}": "/opt/paper/packages",
        }
        if paper.get("SPYGLASS_DATA_DIR"):
            del self.volumes[f"{volumes}-data"]
            self.read_only_volumes = {paper["SPYGLASS_DATA_DIR"]: "/home/jovyan/data"}
        self.environment = {
            "READER": "yes",
            "PAPER_ID": paper["PAPER_ID"],
            "DJ_HOST": self.database,
            "DJ_PORT": "3306",
            "DJ_USER": "root",
            "DJ_PASS": password,
            "DJ_SUPPORT_FILEPATH_MANAGEMENT": "TRUE",
            "SPYGLASS_BASE_DIR": "/home/jovyan/data",
            "HDF5_USE_FILE_LOCKING": "FALSE",
            "DANDISET_VERSION": paper.get("DANDISET_VERSION", ""),
            # JupyterHub lets users in; JupyterLab's own password is never asked for.
            "JUPYTER_SERVER_APP_PASSWORD": secrets.token_urlsafe(24),
        }
        try:
            for image in (paper["DB_IMAGE"], paper["HUB_IMAGE"]):
                await self.fetch(image)
            await self.remove_database()
            await self.start_database(paper["DB_IMAGE"], f"{volumes}-db-{paper['DB_DATA_HASH']}", password)
            return await super().start()
        except BaseException:
            await self.remove_object_if_there()
            await self.remove_database()
            raise

    async def fetch(self, image):
        """Pull an image, which may be named by its digest, unless it is here."""
        try:
            await self.docker("inspect_image", image)
        except ImageNotFound:
            self.log.info("pulling %s", image)
            await self.docker("pull", image)

    async def start_database(self, image, volume, password):
        """Start the user's database and wait until it answers."""
        await self.docker("create_network", self.private_network, internal=True)
        created = await self.docker(
            "create_container",
            image,
            name=self.database,
            environment={"MYSQL_ROOT_PASSWORD": password},
            labels={"spyglass-export.user": self.user.name},
            host_config=self.client.create_host_config(
                binds={volume: {"bind": "/var/lib/mysql", "mode": "rw"}},
                network_mode=self.private_network,
                restart_policy={"Name": "unless-stopped"},
                **RESTRICTED,
            ),
        )
        await self.docker("start", created["Id"])
        while True:
            state = (await self.docker("inspect_container", created["Id"]))["State"]
            if state["Health"]["Status"] == "healthy":
                return
            if not state["Running"] or state["Restarting"]:
                log = (await self.docker("logs", created["Id"], tail=5)).decode("utf-8", "replace")
                raise RuntimeError(f"the database of {self.user.name} does not start: {log}")
            await asyncio.sleep(0.5)

    async def start_object(self):
        """Start JupyterLab, on the user's own network as well."""
        await self.docker("connect_container_to_network", self.container_id, self.private_network)
        await super().start_object()

    async def poll(self):
        """Tell whether JupyterLab runs; start a database again that was ended, and remove one that is left over."""
        status = await super().poll()
        if self._start_pending or self._stop_pending:
            return status
        if status is not None:
            await self.remove_database()
        else:
            try:
                await self.docker("start", self.database)  # nothing where it runs
            except NotFound:
                self.log.error("the database of %s is gone: their server has to be started again", self.user.name)
                await self.remove_object_if_there()
                return 1
        return status

    async def stop(self, now=False):
        """End both containers, JupyterLab first, and remove all but the volumes."""
        await super().stop(now)
        await self.remove_database()

    async def remove_object_if_there(self):
        """Remove JupyterLab's container."""
        if await self.get_object():
            await self.remove_object()

    async def remove_database(self):
        """Shut the user's database down and remove its container and the network."""
        for method, arguments in (
            ("stop", {"container": self.database, "timeout": STOP_SECONDS}),
            ("remove_container", {"container": self.database, "force": True}),
            ("remove_network", {"net_id": self.private_network}),
        ):
            try:
                await self.docker(method, **arguments)
            except NotFound:
                pass
            except APIError as error:
                self.log.warning("%s: %s", method, error)


c = get_config()  # noqa: F821 - JupyterHub gives it
# Containers reach JupyterHub by the address of Docker's bridge, which is no other machine's.
c.JupyterHub.hub_ip = docker.from_env().networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
c.JupyterHub.spawner_class = PaperSpawner
c.PaperSpawner.options_form = choices
c.PaperSpawner.options_from_form = lambda form: {"paper": form["paper"][0]} if form.get("paper") else {}
c.PaperSpawner.prefix = "paper"
c.PaperSpawner.cmd = ["jupyterhub-singleuser"]
c.PaperSpawner.default_url = "/lab/tree/notebooks"
c.PaperSpawner.network_name = "bridge"
c.PaperSpawner.use_internal_ip = True
c.PaperSpawner.remove = True
c.PaperSpawner.pull_policy = "skip"  # fetch() does it
c.PaperSpawner.extra_host_config = RESTRICTED
# The first start of a paper pulls gigabytes.
c.PaperSpawner.start_timeout = 1800
c.PaperSpawner.http_timeout = 120
