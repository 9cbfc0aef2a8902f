"""A real registry on this machine, and a line to it that can be cut."""

import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.missing import missing

USER, PASSWORD = "reader", "open-sesame"
# bcrypt of the password, which is the only kind that the registry takes.
HTPASSWD = f"{USER}:$2b$04$Xei7ua0pi90aejQ9dLDPEencuUUY9OzIUA4qUGmd01hHmyHdOF39a\n"
CONFIGURATION = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
http: {{addr: "127.0.0.1:{port}"}}
"""
ASKS_FOR_A_PASSWORD = """\
auth:
  htpasswd: {{realm: test, path: "{htpasswd}"}}
"""


def find_program(folder: Path) -> Path:
    """The registry's program; where apt has the package, it is unpacked into the folder and nothing is installed."""
    if found := shutil.which("docker-registry"):
        return Path(found)
    if shutil.which("apt-get"):
        for command in (["apt-get", "update"], ["apt-get", "download", "docker-registry"]):
            subprocess.run(command, cwd=folder, capture_output=True, check=False)
        for package in folder.glob("docker-registry_*.deb"):
            subprocess.run(["dpkg", "--extract", str(package), str(folder)], check=True)
            return folder / "usr" / "bin" / "docker-registry"
    return missing("there is no docker-registry, Debian's package of a registry")


@dataclass
class Registry:
    """A registry on loopback, whose images are in a folder that others may serve as well."""

    program: Path
    folder: Path
    port: int
    asks_for_a_password: bool = False
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        text = CONFIGURATION + (ASKS_FOR_A_PASSWORD if self.asks_for_a_password else "")
        htpasswd = self.folder / "htpasswd"
        htpasswd.write_text(HTPASSWD)
        file = self.folder / f"{self.port}.yml"
        file.write_text(text.format(storage=self.folder / "storage", port=self.port, htpasswd=htpasswd))
        with (self.folder / f"{self.port}.log").open("wb") as log:
            self.process = subprocess.Popen([self.program, "serve", file], stdout=log, stderr=log)
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/")
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail((self.folder / f"{self.port}.log").read_text())

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def digest(self, repository: str, tag: str) -> str:
        """What the registry itself calls a tag's manifest."""
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", method="HEAD", headers={"Accept": kind}
        )
        digest: str = urllib.request.urlopen(request).headers["Docker-Content-Digest"]
        return digest

    def bytes(self) -> int:
        """How much it stores."""
        return sum(file.stat().st_size for file in (self.folder / "storage").rglob("*") if file.is_file())


@dataclass
class Line:
    """A TCP line to a registry that breaks after so many bytes, until it is mended."""

    port: int
    target: int
    breaks_after: int | None = None
    sent: int = 0
    _open: set[socket.socket] = field(default_factory=set)

    def start(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._server.close()
        self._cut()

    @property
    def is_cut(self) -> bool:
        return self.breaks_after is not None and self.sent >= self.breaks_after

    def mend(self) -> None:
        self.breaks_after, self.sent = None, 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                if counts:
                    self.sent += len(data)
                    if self.is_cut:
                        self._cut()
        except OSError:
            pass
        finally:
            for end in (source, sink):
                end.close()
                self._open.discard(end)

    def _cut(self) -> None:
        for end in list(self._open):
            end.close()
