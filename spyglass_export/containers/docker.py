"""The one door to docker and docker compose."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from spyglass_export import console
from spyglass_export.errors import UserError

INSTALL_HINT = "run `invoke bootstrap`; it installs Docker where it can, and says what to install elsewhere"

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

# What Docker's error contains, and what to tell the user instead. In lower case, first match wins.
KNOWN_TROUBLES = (
    (
        "permission denied while trying to connect",
        "you have no permission to use Docker",
        "ask to be added to the group `docker` and log in again, or set DOCKER=sudo docker in .env",
    ),
    (
        "cannot connect to the docker daemon",
        "Docker is not running",
        "start Docker; `invoke bootstrap` does it on Debian",
    ),
    ("error during connect", "Docker is not running", "start Docker Desktop and wait until it says that it runs"),
    ("is not a docker command", "Docker Compose v2 or buildx is missing", INSTALL_HINT),
    (
        "no space left on device",
        "the disk is full",
        "free some space: `docker system prune` removes what Docker can spare",
    ),
    ("no such image", "this paper has no images yet", "run `invoke build`"),
    (
        "already allocated",
        "a port is in use by another program",
        "set HUB_PORT or DB_PORT in .env to a free port; `invoke build` names one",
    ),
    (
        "failed to resolve source metadata",
        "a base image cannot be fetched: its registry does not answer",
        "check the network; without a registry `invoke bootstrap` builds stand-ins for the base images",
    ),
)


@dataclass(frozen=True)
class Docker:
    """Runs docker as the settings say; with ``dry`` it prints the commands and runs none.

    ``environment`` is what docker compose fills its variables from, on top of this process' own. Extra
    ``compose_files`` are read after docker-compose.yml.
    """

    command: tuple[str, ...]
    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    compose_files: tuple[str, ...] = ()
    dry: bool = False
    patience: float | None = None

    def ask(self, *arguments: str) -> str:
        """Run docker, show nothing and return what it printed; raise UserError where it fails."""
        if self.dry:
            self._print(arguments)
            return ""
        done = self._run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise explain(done.stderr, f"docker {arguments[0]} failed")
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Run docker, show nothing and tell whether it ended with exit status 0."""
        if self.dry:
            self._print(arguments)
            return True
        null = subprocess.DEVNULL
        return self._run(arguments, stdout=null, stderr=null, stdin=null).returncode == 0

    def attach(self, *arguments: str) -> int:
        """Run docker on the user's terminal and return its exit status."""
        if self.dry:
            self._print(arguments)
            return 0
        return self._run(arguments).returncode

    def show(self, *arguments: str) -> str:
        """Run docker with its progress on the user's terminal; return its error message, empty where it succeeded."""
        if self.dry:
            self._print(arguments)
            return ""
        done = self._run(arguments, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return (done.stderr.strip() or f"docker {arguments[0]} failed") if done.returncode else ""

    def pipe(self, source: Sequence[str], sink: Sequence[str], path: Path) -> None:
        """Feed what one docker command prints to another, and write what that one prints to a new file.

        Raises UserError where either fails; what is in the file is worth nothing then.
        """
        if self.dry:
            console.say(
                f"{shlex.join(self._command(tuple(source)))} | {shlex.join(self._command(tuple(sink)))} > {path}"
            )
            return
        with path.open("xb") as file, tempfile.TemporaryFile() as errors:
            self._pipe(self._command(tuple(source)), self._command(tuple(sink)), file, errors)

    def _pipe(self, source: list[str], sink: list[str], file: IO[bytes], errors: IO[bytes]) -> None:
        where, environment, pipe = self.root, self._environment(), subprocess.PIPE
        with (
            subprocess.Popen(
                source, cwd=where, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=errors
            ) as first,
            subprocess.Popen(
                sink, cwd=where, env=environment, stdin=first.stdout, stdout=file, stderr=errors
            ) as second,
        ):
            try:
                if first.stdout:
                    first.stdout.close()  # so that the first is told when the second ends early
                statuses = second.wait(), first.wait()
            except BaseException:
                first.terminate()
                second.terminate()
                raise
            if any(statuses):
                errors.seek(0)
                raise explain(errors.read().decode("utf-8", "replace"), "one of two docker commands failed")

    def follow(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[str]:
        """Run docker and yield its lines, of output and errors alike, as they come; ``stdin`` is a file descriptor.

        Raises CalledProcessError at the end where docker failed.
        """
        if self.dry:
            self._print(arguments)
            return
        command = self._command(arguments)
        with subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                yield from (line.rstrip("\n") for line in process.stdout or ())
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)

    def check(self, *, to_build: bool = True) -> None:
        """Raise UserError unless Docker Engine answers and has compose v2 and, for builds, buildx."""
        if self.dry:
            return
        if not shutil.which(self.command[0]):
            raise UserError(f"Docker is not installed: there is no program `{self.command[0]}`", INSTALL_HINT)
        self.ask("version", "--format", "{{.Server.Version}}")
        if not self.succeeds("compose", "version"):
            raise UserError("Docker Compose v2 is missing: `docker compose` does not work", INSTALL_HINT)
        if to_build and not self.succeeds("buildx", "version"):
            raise UserError("Docker buildx is missing: `docker buildx` does not work", INSTALL_HINT)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        # sudo drops the environment unless it is told what to keep.
        names = [*self.environment, *(name for name in PROXY_VARIABLES if name in os.environ)]
        kept = [f"--preserve-env={','.join(names)}"] if self.command[0] == "sudo" else []
        if arguments[0] == "compose" and self.compose_files:
            files = [part for name in ("docker-compose.yml", *self.compose_files) for part in ("--file", name)]
            arguments = ("compose", *files, *arguments[1:])
        return [self.command[0], *kept, *self.command[1:], *arguments]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def _print(self, arguments: tuple[str, ...]) -> None:
        console.say(shlex.join(self._command(arguments)))

    def _run(
        self, arguments: tuple[str, ...], stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                self._command(arguments),
                cwd=self.root,
                env=self._environment(),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=self.patience,
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"`docker {arguments[0]}` gave no answer in {self.patience:g} s",
                "wait until Docker has started, or start it anew; then run this again",
            ) from error


def registry_of(image: str) -> str:
    """The host of an image's registry; empty where it is Docker Hub.

    A first part with a dot, a colon, or `localhost` is a host:
    https://pkg.go.dev/github.com/distribution/reference
    """
    host = image.split("/")[0] if "/" in image else ""
    return host if "." in host or ":" in host or host == "localhost" else ""


def known_trouble(message: str) -> UserError | None:
    """Recognise what docker printed, if it is one of the troubles that users meet."""
    for sign, what, hint in KNOWN_TROUBLES:
        if sign in message.lower():
            return UserError(what, hint)
    return None


def explain(message: str, otherwise: str) -> UserError:
    """Turn what docker printed into an error that says what to do."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return known_trouble(message) or UserError(
        f"{otherwise}: {lines[-1]}" if lines else otherwise, "`invoke status` and `invoke logs` tell more"
    )
