"""A paper in a folder of its own, as an author has it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from spyglass_export.containers import stack
from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings, load


@dataclass(frozen=True)
class Paper:
    """A copy of the project with its own .env; `invoke` runs in it as a user would run it."""

    root: Path

    @property
    def settings(self) -> Settings:
        return load(self.root, {})

    @property
    def docker(self) -> Docker:
        return stack.authors_docker(self.settings)

    def invoke(self, *arguments: str, status: int = 0, text: str = "", **environment: str) -> str:
        """Run `invoke ARGUMENTS`, see that it ends with `status` and give all that it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.root,
            env=os.environ | environment,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `invoke ARGUMENTS` as on a terminal of its own, to be interrupted."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell has what it starts in the background ignore Ctrl-C, and so all that this starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def in_hub(self, command: str) -> str:
        """Run a line of bash in the hub, with the paper's environment."""
        return self.docker.ask("compose", "exec", "-T", "hub", "bash", "-c", f". /opt/paper/activate.sh && {command}")

    def in_db(self, query: str) -> str:
        """Ask the database, as root."""
        return self.invoke("enter", "--service", "db", text=query)

    def remove(self) -> None:
        """Remove its containers, volumes and images."""
        self.invoke("clean", "--yes")
        self.docker.succeeds("image", "rm", self.settings.hub_image_name, self.settings.db_image_name)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def copy_project(source: Path, target: Path) -> None:
    """Copy what is in git, as it stands now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=source, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def make_paper(root: Path, settings: Settings, paper_id: str) -> Paper:
    """Copy the project to `root` and give it the example's export under another paper's ID."""
    copy_project(settings.root, root)
    hub_port, db_port = free_ports(2)
    (root / ".env").write_text(
        f"PAPER_ID={paper_id}\n"
        "SPYGLASS_PAPER_DIR=examples/export/example\n"
        f"HUB_PORT={hub_port}\nDB_PORT={db_port}\n"
        f"HUB_BASE_IMAGE={settings.hub_base_image}\nDB_BASE_IMAGE={settings.db_base_image}\n"
        f"HUB_APT_PACKAGES=git\nCA_BUNDLE={settings.ca_bundle or ''}\n"
        f"HOST_UID={os.getuid()}\nHOST_GID={os.getgid()}\n",
        encoding="utf-8",
    )
    return Paper(root)


def interrupt(process: "subprocess.Popen[str]") -> None:
    """Do what Ctrl-C does: interrupt the command and all that it started."""
    os.killpg(process.pid, signal.SIGINT)
