"""What Docker, Podman and registries say, as it was seen, and the kind of trouble that it is."""

import re
import sys

import pytest

from spyglass_export.containers.faults import (
    KINDS,
    DockerError,
    NoImage,
    NoPermission,
    NoPlugin,
    NoRegistry,
    NoSpace,
    NotAllowed,
    NotInRegistry,
    NotRunning,
    OtherVersion,
    Paused,
    PortTaken,
    RateLimited,
    UntrustedCertificate,
    explain,
    recognise,
)

SAID: list[tuple[type[DockerError], str]] = [
    # Docker 20 to 28
    (
        NotRunning,
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    ),
    (NotRunning, "unable to get image 'a': Cannot connect to the Docker daemon at unix:///run/podman/podman.sock."),
    (
        NotRunning,
        'error during connect: Get "http://%2F%2F.%2Fpipe%2FdockerDesktopLinuxEngine/v1.47/version": open '
        "//./pipe/dockerDesktopLinuxEngine: The system cannot find the file specified.",
    ),
    (
        NotRunning,
        "error during connect: This error may indicate that the docker daemon is not running.: Get "
        '"http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.24/version": open //./pipe/docker_engine: The system cannot find '
        "the file specified.",
    ),
    (
        NotRunning,
        "error during connect: In the default daemon configuration on Windows, the docker client must be run with "
        "elevated privileges to connect.: open //./pipe/docker_engine: The system cannot find the file specified.",
    ),
    # Docker 29
    (
        NotRunning,
        "failed to connect to the docker API at npipe:////./pipe/dockerDesktopLinuxEngine; check if the path is "
        "correct and if the daemon is running: open //./pipe/dockerDesktopLinuxEngine: The system cannot find the file "
        "specified.",
    ),
    (
        NotRunning,
        "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the "
        "daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
    ),
    # Docker Desktop while it starts
    (
        NotRunning,
        "request returned 500 Internal Server Error for API route and version "
        "http://%2FUsers%2Fada%2F.docker%2Frun%2Fdocker.sock/v1.51/version, check if the server supports the requested "
        "API version",
    ),
    (
        NotRunning,
        "request returned Internal Server Error for API route and version http://%2F%2F.%2Fpipe%2Fdocker_engine/_ping, "
        "check if the server supports the requested API version",
    ),
    (NotRunning, "Docker Desktop is unable to start"),
    (NotRunning, "Error response from daemon: Docker Desktop is not running"),
    (Paused, "Error response from daemon: Docker Desktop is manually paused. Unpause it through the Whale menu."),
    # Podman 4 and 5
    (
        NotRunning,
        "Cannot connect to Podman. Please verify your connection to the Linux system using `podman system connection "
        "list`, or try `podman machine init` and `podman machine start` to manage a new Linux VM\nError: unable to "
        "connect to Podman socket: failed to connect: dial tcp 127.0.0.1:52298: connect: connection refused",
    ),
    (NotRunning, "Error: unable to connect to Podman. failed to create sshClient: connection to bastion host failed"),
    (
        NoPermission,
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
        '"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/version": dial unix /var/run/docker.sock: connect: permission denied',
    ),
    (NoPermission, "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock"),
    (NoPermission, "error during connect: open //./pipe/docker_engine: Access is denied."),
    (NoPermission, "error during connect: open //./pipe/dockerDesktopLinuxEngine: Access is denied."),
    (NoPermission, "dial unix /run/podman/podman.sock: connect: permission denied"),
    (NoPermission, "dial unix /run/docker/docker.sock: connect: permission denied"),
    (NoPermission, "ada is not in the sudoers file."),
    (NoPermission, "sudo: a password is required"),
    (NoPermission, "sudo: a terminal is required to read the password; either use the -S option"),
    (
        OtherVersion,
        "Error response from daemon: client version 1.24 is too old. Minimum supported API version is 1.44, please "
        "upgrade your client to a newer version",
    ),
    (OtherVersion, "Error response from daemon: client version 1.52 is too new. Maximum supported API version is 1.43"),
    (OtherVersion, "Error response from daemon: client is newer than server (client API version: 1.24)"),
    (OtherVersion, "the minimum supported API version is 1.44"),
    (NoPlugin, "docker: 'compose' is not a docker command.\nSee 'docker --help'"),
    (NoPlugin, "docker: unknown command: docker compose\n\nRun 'docker --help' for more information"),
    (NoPlugin, "unknown flag: --detach\nSee 'docker --help'."),
    (NoPlugin, "unknown shorthand flag: 'd' in -d\n\nUsage:  docker [OPTIONS]\n\nRun 'docker --help' for more"),
    (NoPlugin, "ERROR: BuildKit is enabled but the buildx component is missing or broken."),
    (NoPlugin, "compose build requires buildx 0.17 or later"),
    (
        NoPlugin,
        "Error: looking up compose provider failed\n2 errors occurred:\n"
        '\t* exec: "docker-compose": executable file not found in $PATH',
    ),
    (NoPlugin, "Error: unrecognized command `podman compose`\nTry 'podman --help' for more information"),
    (NoSpace, "failed to copy: write /var/lib/docker/tmp/x: no space left on device"),
    (NoSpace, "write C:\\ProgramData\\x: There is not enough space on the disk."),
    (NoSpace, "write /home/ada/.local/share/docker/x: disk quota exceeded"),
    (NoSpace, "E: You don't have enough free space in /var/cache/apt/archives/."),
    (
        RateLimited,
        "Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit. "
        "https://www.docker.com/increase-rate-limit",
    ),
    (
        RateLimited,
        "failed to resolve source metadata for docker.io/library/mysql:9.7: unexpected "
        "status from HEAD request to https://registry-1.docker.io/v2/library/mysql/manifests: 429 Too Many Requests",
    ),
    (RateLimited, "ERROR: You have reached your pull rate limit as 'ada'"),
    (
        RateLimited,
        "Error: initializing source docker://mysql:9.7: reading manifest 9.7 in docker.io/library/mysql: "
        "toomanyrequests: You have reached your unauthenticated pull rate limit.",
    ),
    (NotAllowed, "Head https://registry.example/v2/a/manifests/latest: no basic auth credentials"),
    (NotAllowed, "unauthorized: access to the requested resource is not authorized"),
    (NotAllowed, "push access denied: authentication required"),
    (NotAllowed, "denied: requested access to the resource is denied"),
    (
        NotAllowed,
        "pull access denied for lab/hub, repository does not exist or may require 'docker login': denied: requested "
        "access to the resource is denied",
    ),
    (NotAllowed, "failed to resolve source metadata for a: insufficient_scope: authorization failed"),
    (NotAllowed, "denied: denied"),
    (NotAllowed, "denied: permission_denied: The token provided does not match expected scopes."),
    (NotAllowed, "denied: Your authorization token has expired. Reauthenticate and try again."),
    (NotAllowed, "Error response from daemon: Get https://registry-1.docker.io/v2/: incorrect username or password"),
    (NotAllowed, "unexpected status from POST request to https://ghcr.io/v2/lab/hub/blobs/uploads/: 403 Forbidden"),
    (NotInRegistry, "manifest for lab/hub:1 not found: manifest unknown: manifest unknown"),
    (NotInRegistry, "name unknown: repository name not known to registry"),
    (NotInRegistry, "ERROR: docker.io/library/mysql:99: not found"),
    (
        UntrustedCertificate,
        "failed to do request: tls: failed to verify certificate: x509: certificate has expired",
    ),
    (UntrustedCertificate, "certificate signed by unknown authority"),
    (UntrustedCertificate, "SSL: certificate verify failed"),
    (
        NoRegistry,
        "failed to solve: mysql:9.7: failed to resolve source metadata for docker.io/library/mysql:9.7: failed to do "
        'request: Head "https://registry-1.docker.io/v2/library/mysql/manifests/9.7": dial tcp: lookup '
        "registry-1.docker.io: no such host",
    ),
    (NoRegistry, "dial tcp: lookup quay.io on 127.0.0.11:53: server misbehaving"),
    (NoRegistry, "dial tcp: lookup quay.io: Temporary failure in name resolution"),
    (NoRegistry, 'Get "https://registry-1.docker.io/v2/": dial tcp 44.208.254.194:443: i/o timeout'),
    (NoRegistry, 'Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout'),
    (NoRegistry, "request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"),
    (NoRegistry, 'Get "https://quay.io/v2/": context deadline exceeded'),
    (NoRegistry, "dial tcp [2600:1f18::1]:443: connect: network is unreachable"),
    (NoRegistry, "dial tcp 10.0.0.1:443: connect: no route to host"),
    (NoRegistry, 'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused'),
    (NoRegistry, "read tcp 10.0.0.2:4->1.2.3.4:443: read: connection reset by peer"),
    (NoRegistry, "Error: initializing source: pinging container registry quay.io: StatusCode: 503"),
    (PortTaken, "Bind for 127.0.0.1:8888 failed: port is already allocated"),
    (
        PortTaken,
        "Ports are not available: exposing port TCP 127.0.0.1:8888 -> 127.0.0.1:0: listen tcp 127.0.0.1:8888: bind: An "
        "attempt was made to access a socket in a way forbidden by its access permissions.",
    ),
    (PortTaken, "failed to bind host port 127.0.0.1:8888/tcp: address already in use"),
    (PortTaken, "Error: rootlessport listen tcp 127.0.0.1:8888: bind: address already in use"),
    (PortTaken, "bind: Only one usage of each socket address (protocol/network address/port) is normally permitted."),
    (PortTaken, "bind: An attempt was made to access a socket in a way forbidden by its access permissions."),
    (NoImage, "Error response from daemon: No such image: spyglass-hub-a:latest"),
    (NoImage, "[]\nerror: no such object: spyglass-hub-a"),
    (NoImage, "Error: spyglass-hub-a: image not known"),
]


@pytest.mark.parametrize(("kind", "said"), SAID)
def test_what_is_said_is_the_kind_of_trouble_that_it_is(kind: type[DockerError], said: str) -> None:
    trouble = explain(said, "docker version failed")

    assert type(trouble) is kind
    assert trouble.what
    assert trouble.hint


@pytest.mark.parametrize("kind", KINDS)
def test_each_wording_was_seen(kind: type[DockerError]) -> None:
    said = [text.lower() for of, text in SAID if of is kind]
    wordings = re.split(r"\|(?![^(]*\))", kind.wordings)

    assert [wording for wording in wordings if not any(re.search(wording, text) for text in said)] == []


@pytest.mark.parametrize(
    "said",
    [
        "exec /entrypoint.sh: permission denied: unknown",
        "Error response from daemon: network spyglass-a_default not found",
        "the container exited with 1",
    ],
)
def test_what_is_not_known_is_told_in_dockers_own_words(said: str) -> None:
    assert recognise(said) is None
    assert explain(f"{said}\n\n", "docker compose failed").what == f"docker compose failed: {said}"


@pytest.mark.parametrize(
    ("platform", "said", "hint"),
    [
        ("win32", "failed to connect to the docker API at npipe:////./pipe/docker_engine", "Docker Desktop"),
        (
            "win32",
            "error during connect: open //./pipe/docker_engine: The system cannot find the file",
            "Docker Desktop",
        ),
        ("darwin", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "Docker Desktop"),
        (
            "linux",
            "Cannot connect to the Docker daemon at unix:///home/ada/.docker/desktop/docker.sock.",
            "Docker Desktop",
        ),
        ("linux", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "systemctl start docker"),
        (
            "darwin",
            "Cannot connect to Podman. Please verify your connection to the Linux system",
            "podman machine start",
        ),
    ],
)
def test_who_has_not_started_docker_is_told_to_start_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, said: str, hint: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    trouble = explain(said, "docker version failed")

    assert trouble.what == "Docker is not running"
    assert hint in trouble.hint
    assert trouble.hint.startswith("start ")
