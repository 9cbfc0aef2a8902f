"""The two ports on this machine: which are taken, and one for each that shall be chosen for the user."""

import errno
import json
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from spyglass_export.containers.docker import Docker
from spyglass_export.containers.project import containers_of
from spyglass_export.errors import UserError
from spyglass_export.files import write_text
from spyglass_export.settings import Settings

KEPT = ".ports.json"
Address = IPv4Address | IPv6Address
FIRST = {"hub_port": 8888, "db_port": 3306}


def settle(settings: Settings, *, dry: bool = False) -> Settings:
    """Give each port that is `auto` its number: the one this paper has had, or else one that is free.

    It is kept in `.ports.json`, because the address of a paper shall be the same tomorrow.
    """
    given = {name: port for name in FIRST if (port := getattr(settings, name))}
    if len(given) == len(FIRST):
        return settings
    file = settings.root / KEPT
    kept: dict[str, dict[str, int]] = {}
    with suppress(FileNotFoundError, ValueError, AttributeError, TypeError):  # a damaged one: ports are chosen anew
        papers = json.loads(file.read_text(encoding="utf-8"))
        kept = {paper: {name: int(port) for name, port in ports.items()} for paper, ports in papers.items()}
    ports = dict(kept.get(settings.paper_id, {}))
    for name in FIRST.keys() - given.keys() - ports.keys():
        taken = {*ports.values(), *given.values(), *(port for paper in kept.values() for port in paper.values())}
        ports[name] = _free_port(settings.bind_address, FIRST[name], taken)
    if kept.get(settings.paper_id) != ports and not dry:
        write_text(file, json.dumps({**kept, settings.paper_id: ports}, indent=1) + "\n")
    return replace(settings, **ports | given)


def _free_port(address: Address, first: int, taken: set[int]) -> int:
    return next(port for port in range(first, 65536) if port not in taken and _is_free(address, port))


def check_ports(settings: Settings, docker: Docker) -> None:
    """Raise UserError where a port is taken by anything but this paper's own containers, or open to who guesses."""
    if trouble := open_to_who_guesses(settings):
        raise trouble
    for problem in port_problems(settings, docker).values():
        raise problem


def open_to_who_guesses(settings: Settings) -> UserError | None:
    """Say that others reach a port whose password is the paper's ID; None where that is not so."""
    passwords = (settings.jupyter_server_app_password, settings.mysql_root_password)
    if settings.bind_address.is_loopback or settings.paper_id.lower() not in (one.lower() for one in passwords):
        return None
    what = f"BIND_ADDRESS {settings.bind_address} opens the ports to others, and a password is the paper's ID"
    hint = "set JUPYTER_SERVER_APP_PASSWORD and MYSQL_ROOT_PASSWORD in .env to your own, or BIND_ADDRESS=127.0.0.1"
    return UserError(what, hint)


def port_problems(settings: Settings, docker: Docker) -> dict[str, UserError]:
    """Give what is wrong with each port, by its setting's name; raise UserError where no port can be right."""
    held = _ports_held(docker, docker.project)
    wanted = {"HUB_PORT": settings.hub_port, "DB_PORT": settings.db_port}
    problems = {}
    for name, port in wanted.items():
        if docker.dry or port in held or _is_free(settings.bind_address, port):
            continue
        free = _free_port(settings.bind_address, port + 1, {*wanted.values()})
        mend, by = f"set {name}={free} in .env: port {free} is free", "another program"
        if port in _ports_held(docker, settings.project) | _ports_held(docker, f"reader-{settings.project}"):
            mend = f"remove those with `invoke down`, which keeps all volumes, or {mend}"
            by = "this paper's other containers"
        problems[name] = UserError(f"port {port} ({name}) is in use by {by}", mend)
    return problems


def _ports_held(docker: Docker, project: str) -> set[int]:
    return {int(port.rpartition(":")[2]) for one in containers_of(docker, project).values() for port in one.ports}


def _is_free(address: Address, port: int) -> bool:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform == "win32":
            # Windows lets a second program bind a port that is in use, unless asked not to.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # A port that was just given up may be bound again at once, as Docker does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(address), port))
        except PermissionError:
            return True  # a low port, which Docker Engine may open where this user may not
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                what = f"BIND_ADDRESS {address} is not an address of this machine"
                raise UserError(what, "set BIND_ADDRESS=127.0.0.1 in .env") from error
            return False
    return True
