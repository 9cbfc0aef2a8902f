"""The one door to docker and docker compose."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import IO, Any

from spyglass_export import console
from spyglass_export.containers.faults import DockerError, NoAnswer, NoPlugin, NotInstalled, OnlyForReaders, explain

# By which compose knows its own; Podman's pods and volumes have the same.
PROJECT_LABEL, VOLUME_LABEL = "com.docker.compose.project", "com.docker.compose.volume"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
Stream = IO[bytes] | int | None


@dataclass(frozen=True)
class Docker:
    """Runs docker as the settings say; with ``dry`` it prints the commands and runs none.

    ``environment`` is what docker compose fills its variables from, on top of this process' own and of what the next
    fields give it. Extra ``compose_files`` are read after docker-compose.yml. ``project`` is compose's, ``owner`` the
    user and group id by which the hub writes (None: the image's own), ``volume_hashes`` say by the role of a volume
    which export or environment it belongs to. ``patience`` is how many seconds an answer may take.
    """

    command: tuple[str, ...]
    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    compose_files: tuple[str, ...] = ()
    project: str = ""
    owner: tuple[int, int] | None = None
    volume_hashes: Mapping[str, str] = field(default_factory=dict)
    dry: bool = False
    patience: float | None = None

    def ask(self, *arguments: str) -> str:
        """Run docker, show nothing and return what it printed; raise DockerError where it fails."""
        done = self._run(arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        if done.returncode:
            raise explain(done.stderr, f"docker {arguments[0]} failed")
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Run docker, show nothing and tell whether it ended with exit status 0."""
        return not self._run(arguments, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL).returncode

    def attach(self, *arguments: str) -> int:
        """Run docker on the user's terminal and return its exit status."""
        return self._run(arguments).returncode

    def show(self, *arguments: str) -> DockerError | None:
        """Run docker with its progress on the user's terminal; return what went wrong, None where it succeeded."""
        done = self._run(arguments, stdin=DEVNULL, stderr=PIPE)
        return explain(done.stderr, f"docker {arguments[0]} failed") if done.returncode else None

    def save(self, images: Sequence[str], path: Path, level: int, progress: Callable[[int], None]) -> None:
        """Write images to a new file, as Docker saves them, compressed with zstd; raise DockerError where it fails.

        ``progress`` is called with each number of bytes more, before they are compressed.
        """
        if self.dry:
            self._run(("save", *images))
            return
        import zstandard  # of readers only those with an archive have it

        with path.open("xb") as file, tempfile.TemporaryFile() as errors:
            with self.start("save", *images, stdin=DEVNULL, stdout=PIPE, stderr=errors) as process:
                try:
                    compressor = zstandard.ZstdCompressor(level=level, threads=-1)
                    with compressor.stream_writer(file, closefd=False) as writer:
                        while process.stdout and (block := process.stdout.read(1 << 20)):
                            writer.write(block)
                            progress(len(block))
                except BaseException:
                    process.terminate()
                    raise
            if process.returncode:
                errors.seek(0)
                raise explain(errors.read().decode("utf-8", "replace"), "docker save failed")

    def follow(self, *arguments: str, stdin: int = DEVNULL) -> Iterator[str]:
        """Run docker and yield its lines, of output and errors alike, as they come; ``stdin`` is a file descriptor.

        Raises CalledProcessError at the end where docker failed.
        """
        if self.dry:
            self._run(arguments)
            return
        with self.start(*arguments, stdin=stdin, stdout=PIPE, stderr=STDOUT) as process:
            try:
                if process.stdout:
                    for line in TextIOWrapper(process.stdout, encoding="utf-8", errors="replace"):
                        yield line.rstrip("\n")
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)

    def start(self, *arguments: str, stdin: Stream = PIPE, stdout: Stream, stderr: Stream) -> "Popen[bytes]":
        """Start docker, with a pipe as its input where nothing else is given; whoever calls closes that and waits."""
        command, environment = self._command(arguments), os.environ | self.variables
        return Popen(command, cwd=self.root, env=environment, stdin=stdin, stdout=stdout, stderr=stderr)

    def check(self, *, to_build: bool = True) -> str:
        """Give Docker Engine's version; raise DockerError unless it answers and, for builds, has compose v2 and buildx.

        Each plugin takes a tenth of a second to ask; where one is missing, the first call of it says the same.
        """
        if self.dry:
            return ""
        if not shutil.which(self.command[0]):
            raise NotInstalled(what=f"{NotInstalled.problem}: there is no program `{self.command[0]}`")
        if is_podman(self.command):
            raise OnlyForReaders
        version = self.ask("version", "--format", "{{.Server.Version}}").strip()
        for plugin, name in {"compose": "Compose v2", "buildx": "buildx"}.items() if to_build else ():
            if not self.succeeds(plugin, "version"):
                raise NoPlugin(what=f"Docker {name} is missing: `docker {plugin}` does not work")
        return version

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        # sudo drops the environment unless it is told what to keep.
        names = [*self.variables, *(name for name in PROXY_VARIABLES if name in os.environ)]
        kept = [f"--preserve-env={','.join(names)}"] if self.command[0] == "sudo" else []
        if arguments[0] == "compose" and self.compose_files:
            files = [part for name in ("docker-compose.yml", *self.compose_files) for part in ("--file", name)]
            arguments = ("compose", *files, *arguments[1:])
        return [self.command[0], *kept, *self.command[1:], *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """What docker compose is given to fill its files from."""
        project = {"COMPOSE_PROJECT_NAME": self.project} if self.project else {}
        owner = dict(zip(("HOST_UID", "HOST_GID"), map(str, self.owner or ()), strict=False))
        hashes = {f"{role.upper()}_HASH": one for role, one in self.volume_hashes.items()}
        return project | owner | hashes | dict(self.environment)

    def _run(self, arguments: tuple[str, ...], **streams: int) -> "subprocess.CompletedProcess[str]":
        command = self._command(arguments)
        if self.dry:
            console.say(shlex.join(command))
            return subprocess.CompletedProcess(command, 0, "", "")
        options: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "timeout": self.patience, **streams}
        try:
            return subprocess.run(command, cwd=self.root, env=os.environ | self.variables, check=False, **options)
        except subprocess.TimeoutExpired as error:
            raise NoAnswer(what=f"`docker {arguments[0]}` gave no answer in {self.patience:g} s") from error


def registry_of(image: str) -> str:
    """The host of an image's registry; empty where it is Docker Hub.

    A first part with a dot, a colon, or `localhost` is a host:
    https://pkg.go.dev/github.com/distribution/reference
    """
    host = image.split("/")[0] if "/" in image else ""
    return host if "." in host or ":" in host or host == "localhost" else ""


def full_name(image: str) -> str:
    """Give an image's name with its registry's host, as Podman and Kubernetes want it; an ID stays as it is."""
    if registry_of(image) or image.startswith("sha256:"):
        return image
    return f"docker.io/{image if '/' in image else f'library/{image}'}"


def is_podman(command: tuple[str, ...]) -> bool:
    """Whether a setting DOCKER means Podman."""
    return Path(command[-1]).name in ("podman", "podman.exe")


def of_project(name: str) -> tuple[str, str]:
    """What lists of containers and volumes are called with, for those of one project of compose."""
    return "--filter", f"label={PROJECT_LABEL}={name}"


def login_arguments(image: str) -> tuple[str, ...]:
    """What docker is called with to log in to an image's registry."""
    return ("login", *filter(None, (registry_of(image),)))
