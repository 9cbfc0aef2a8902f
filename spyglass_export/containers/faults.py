"""What Docker, Podman and registries say when something is wrong, told apart by type.

Wordings are those of Docker Engine 20 to 29, Docker Desktop on macOS and Windows, Podman 4 and 5, and the registries
that papers use; each has a test. They are regular expressions, looked for in any case.
"""

import re
import sys
from typing import ClassVar

from spyglass_export.errors import UserError

INSTALL_HINT = "run `invoke bootstrap`; it installs Docker where it can, and says what to install elsewhere"
FREE_SPACE = "free some space: `docker system prune` removes what Docker can spare"


class DockerError(UserError):
    """Docker failed; ``said`` is the last line that it printed. Each kind that is known has a class of its own."""

    wordings: ClassVar[str] = ""
    problem: ClassVar[str] = "Docker failed"
    fix: ClassVar[str] = "`invoke status` and `invoke logs` tell more"

    def __init__(self, message: str = "", what: str = "", hint: str = "") -> None:
        super().__init__(what or self.problem, hint or self.fix)
        self.said = (message.strip().splitlines() or ["no reason was given"])[-1].strip()

    @classmethod
    def fits(cls, message: str) -> bool:
        """Whether Docker's words mean this kind."""
        return bool(cls.wordings and re.search(cls.wordings, message, re.IGNORECASE))


class NotInstalled(DockerError):
    problem = "Docker is not installed"
    fix = f"{INSTALL_HINT}; to run a published paper without Docker, see docs/elsewhere.md"


class OnlyForReaders(DockerError):
    problem = "with Podman you can run, enter and remove what others published, but not build, test or publish"
    fix = "install Docker and set DOCKER=docker in .env; with Podman there are run, stop, down, enter, status and logs"


class NoAnswer(DockerError):
    fix = "wait until Docker has started, or start it anew; then run this again"


# Those that Docker's words tell, in the order in which they are tried: what a registry says stands inside of what
# Docker says around it.


class Paused(DockerError):
    problem, fix = "Docker Desktop is paused", "unpause it in the menu of its icon, the whale, and run this again"
    wordings = "docker desktop is manually paused"


class NoPermission(DockerError):
    problem = "you have no permission to use Docker"
    fix = "ask to be added to the group `docker` and log in again, or set DOCKER=sudo docker in .env"
    wordings = (
        r"permission denied while trying to connect|engine: access is denied|\.sock: connect: permission denied|"
        "is not in the sudoers file|sudo: a password is required|sudo: a terminal is required"
    )


class NotRunning(DockerError):
    problem = "Docker is not running"
    # The last line: Docker Desktop while it starts, or when it is stuck.
    wordings = (
        "(cannot|unable to) connect to (the docker daemon|podman)|failed to connect to the docker api|"
        "error during connect|docker daemon (is not )?running|docker desktop is (not running|unable to start)|"
        "check if the server supports the requested api version"
    )

    def __init__(self, message: str = "") -> None:
        if re.search("podman", message, re.IGNORECASE):
            hint = "start it: `podman machine start` on macOS and Windows, else `systemctl --user start podman.socket`"
        elif sys.platform in ("darwin", "win32") or re.search(r"desktop|\.docker/run|docker_engine", message, re.I):
            hint = "start Docker Desktop and wait until it says that the engine is running; then run this again"
        else:
            hint = "start it: `sudo systemctl start docker`; on Debian and Ubuntu `invoke bootstrap` as root does it"
        super().__init__(message, hint=hint)


class OtherVersion(DockerError):
    problem, fix = "the program `docker` and Docker Engine are of versions too far apart", "update the older of the two"
    wordings = "client is newer than server|client version|minimum supported api version"


class NoPlugin(DockerError):
    problem, fix = "Docker Compose v2 or buildx is missing", INSTALL_HINT
    # Without a plugin, docker takes the options of its commands for its own, and refers to its help.
    wordings = (
        "is not a docker command|unknown command: docker|(see|run) 'docker --help'|buildx component is missing|"
        "requires buildx|looking up compose provider failed|unrecognized command `podman"
    )


class NoSpace(DockerError):
    problem, fix = "the disk is full", FREE_SPACE
    wordings = "no space left on device|not enough space on the disk|disk quota exceeded|don't have enough free space"


class RateLimited(DockerError):
    problem = "the registry lets this machine pull no more for now: its limit of downloads is reached"
    fix = "log in with `docker login`, which raises the limit, or try again in some hours"
    wordings = "toomanyrequests|too many requests|pull rate limit"


class PortTaken(DockerError):
    problem = "a port is in use by another program"
    fix = "set HUB_PORT or DB_PORT in .env to a free port; `invoke build` names one"
    wordings = (
        "port is already allocated|ports are not available|address already in use|"
        "forbidden by its access permissions|only one usage of each socket address"
    )


class NoImage(DockerError):
    problem, fix = "this paper has no images yet", "run `invoke build`"
    wordings = "no such image|no such object|image not known"


class NotAllowed(DockerError):
    problem = "the registry does not let you in"
    fix = "log in with `docker login` as a user who may, or correct the image's name in .env"
    wordings = (
        "no basic auth credentials|unauthorized|authentication required|authorization failed|pull access denied|"
        "access to the resource is denied|denied: denied|permission_denied|authorization token has expired|"
        "incorrect username or password|403 forbidden"
    )


class UntrustedCertificate(DockerError):
    problem = "Docker does not trust the certificate that the registry or a proxy before it shows"
    fix = "give your institution's CA certificate to this system and restart Docker; its administrator knows both"
    wordings = "x509: |certificate signed by unknown authority|certificate verify failed"


class NotInRegistry(DockerError):
    problem, fix = "the registry has no such image", "correct the image's name in .env"
    wordings = "manifest unknown|name unknown|repository name not known|not found: manifest|: not found"


class NoRegistry(DockerError):
    problem = "the registry does not answer"
    fix = "check the network; without a registry `invoke bootstrap` builds stand-ins for the base images"
    wordings = (
        "failed to resolve source metadata|no such host|server misbehaving|temporary failure in name resolution|"
        r"i/o timeout|tls handshake timeout|client\.timeout exceeded|context deadline exceeded|network is unreachable|"
        "no route to host|connect: connection refused|connection reset by peer|pinging container registry"
    )


KINDS = tuple(kind for kind in DockerError.__subclasses__() if kind.wordings)


def recognise(message: str) -> DockerError | None:
    """Tell what kind of trouble Docker's words mean; None where they are not known."""
    return next((kind(message) for kind in KINDS if kind.fits(message)), None)


def explain(message: str, otherwise: str) -> DockerError:
    """Turn what Docker printed into an error that says what to do; ``otherwise`` begins one that is not known."""
    return recognise(message) or DockerError(message, f"{otherwise}: {DockerError(message).said}")
