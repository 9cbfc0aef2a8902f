"""Checks of the machine: Docker, disk space, memory, ports and base images."""

import contextlib
import json
import os
import re
import shutil
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from spyglass_export.checks.check import Check, failed, passed, run_side_by_side, warned
from spyglass_export.containers import bootstrap, faults, ports
from spyglass_export.containers.docker import Docker
from spyglass_export.files import text_of
from spyglass_export.settings import Settings

PATIENCE = 8.0  # seconds for one answer of docker; it takes a tenth of one when it is well
INFO = ("info", "--format", "{{json .}}")
# BuildKit builds by default since Engine 23.0: https://docs.docker.com/engine/release-notes/23.0/
MINIMUM = {"Engine": (23, 0), "compose": (2, 20), "buildx": (0, 10)}
GB = 10**9
# Both base images, the hub's Debian packages and JupyterLab; measured, rounded up.
IMAGES_BYTES = 3 * GB
# A conda environment of Spyglass is 5 to 15 GB with some 400 packages, and the package cache of the build
# keeps them a second time.
PACKAGE_BYTES = 40 * 10**6
# What an export takes in all, in its own sizes: the seed in the image, the volume, the load during the build.
EXPORT_COPIES = 5


def check_machine(docker: Docker, settings: Settings | None) -> list[Check]:
    """Check Docker and what it has to work with; without settings only what needs none."""
    # A password that sudo asks for takes as long as it takes.
    docker = docker if docker.command[0] == "sudo" else replace(docker, patience=PATIENCE)
    if docker.dry:
        docker.ask(*INFO)
        return []
    info, checks = _ask_engine(docker)
    if not info or any(check.status == "failure" for check in checks):
        what = "disk space, memory, ports and base images: not checked, for want of Docker"
        return [*checks, warned("machine", what, "put Docker right, then run this again")]
    plugins = {one["Name"]: one.get("Version", "") for one in info["ClientInfo"]["Plugins"] or ()}
    checks += [
        _check_version(plugin, plugins[plugin])
        if plugins.get(plugin)  # a broken one has no version
        else failed(f"Docker {plugin}", f"`docker {plugin}` does not work", faults.INSTALL_HINT)
        for plugin in ("compose", "buildx")
    ]
    checks.append(_check_platform(info))
    if not settings:
        return [*checks, _check_memory(info)]
    images = {"DB_BASE_IMAGE": settings.db_base_image, "HUB_BASE_IMAGE": settings.hub_base_image}
    source = bootstrap.source_hash(settings.root / "docker")
    return checks + run_side_by_side(
        [
            ("disk space", lambda: _check_disk(docker, settings, info)),
            ("memory", lambda: [_check_memory(info)]),
            ("ports", lambda: _check_ports(docker, settings)),
            *((name, partial(_check_base_image, docker, name, image, source)) for name, image in images.items()),
        ]
    )


def _ask_engine(docker: Docker) -> tuple[dict[str, Any], list[Check]]:
    """What Docker says of itself, nothing where it does not answer; and what that means."""
    name = "Docker Engine"
    try:
        version = docker.check(to_build=False)
        info = json.loads(docker.ask(*INFO))  # without an Engine it succeeds, and says nothing of one
    except faults.DockerError as error:
        is_missing = isinstance(error, faults.NotInstalled | faults.OnlyForReaders)
        if (host := os.environ.get("DOCKER_HOST")) and not is_missing:
            error.hint += f"; or unset DOCKER_HOST in this shell, which sends you to {host}"
        return {}, [failed("permission" if isinstance(error, faults.NoPermission) else name, error)]
    return info, [passed("permission", "you may use Docker"), _check_version("Engine", version)]


def _check_version(part: str, text: str) -> Check:
    name, minimum = f"Docker {part}", MINIMUM[part]
    found = re.search(r"(\d+)\.(\d+)\S*", text)
    if not found:
        return warned(name, f"its version is not known: it says {text!r}", faults.INSTALL_HINT)
    if (int(found[1]), int(found[2])) >= minimum:
        return passed(name, f"version {found[0]}")
    what = f"version {found[0]} is too old: {minimum[0]}.{minimum[1]} or newer is needed"
    return failed(name, what, faults.INSTALL_HINT)


def _check_platform(info: dict[str, Any]) -> Check:
    name = "platform"
    if info["OSType"] != "linux":
        hint = "switch Docker Desktop to Linux containers, in the menu of its icon"
        return failed(name, f"Docker runs containers of {info['OSType']}, and these are Linux'", hint)
    if info["Architecture"] not in ("x86_64", "amd64"):
        what = f"this machine is {info['Architecture']}; the images are for amd64, and emulated, several times slower"
        return warned(name, what, "on a Mac turn on Rosetta in Docker Desktop's settings, or build on an x86 machine")
    return passed(name, f"{info['OperatingSystem']}, {info['Architecture']}, {info['NCPU']} processors")


def _check_memory(info: dict[str, Any]) -> Check:
    memory = int(info["MemTotal"])
    what = f"{memory / GB:.1f} GB for containers; 2 GB are needed, and large environments and notebooks want 6 GB"
    hint = "give Docker more: in Docker Desktop under Settings, Resources; elsewhere use a larger machine"
    return _check_amount("memory", what, memory, 2 * GB, 6 * GB, hint)


def _check_amount(name: str, what: str, amount: int, needed: int, wished: int, fix: str) -> Check:
    if amount < wished:
        return failed(name, what, fix) if amount < needed else warned(name, what, fix)
    return passed(name, what)


def _check_disk(docker: Docker, settings: Settings, info: dict[str, Any]) -> list[Check]:
    export = sum(file.stat().st_size for file in settings.spyglass_paper_dir.glob("*.sql*"))
    built = 0
    for image in (settings.hub_image_name, settings.db_image_name):
        with contextlib.suppress(faults.DockerError):  # it is not built yet
            built += int(docker.ask("image", "inspect", image, "--format", "{{.Size}}"))
    packages = text_of(settings.spyglass_paper_dir / "environment.yml").count("- ")
    needed = max(IMAGES_BYTES + packages * PACKAGE_BYTES + EXPORT_COPIES * export - built, GB)
    checks = [_check_room("disk of export_data", settings.root, export)]
    folders, note = _docker_folders(info)
    if not folders:
        what = f"the images need about {needed / GB:.0f} GB, and Docker runs on another machine ({info['Name']})"
        return [*checks, warned("disk of Docker", what, "see to it that it has that much free")]
    fullest = min(folders, key=lambda folder: shutil.disk_usage(folder).free)
    note = f"; the images need about {needed / GB:.0f} GB{note}"
    return [*checks, _check_room("disk of Docker", fullest, needed, note)]


def _check_room(name: str, folder: Path, needed: int, note: str = "") -> Check:
    free = shutil.disk_usage(folder).free
    what = f"{free / GB:.1f} GB free in {folder}{note or f'; {needed / GB:.1f} GB are needed'}"
    return _check_amount(name, what, free, needed // (2 if note else 1), needed, faults.FREE_SPACE)


def _docker_folders(info: dict[str, Any]) -> tuple[list[Path], str]:
    """Where Docker keeps images on this machine, and what to add to that; nothing where it is another machine."""
    root = Path(info["DockerRootDir"])
    if sys.platform == "linux" and "Docker Desktop" not in info["OperatingSystem"]:
        if info["Name"] != socket.gethostname() or not root.is_dir():
            return [], ""
        # With the containerd image store, images are not in Docker's own folder.
        containerd = Path("/var/lib/containerd")
        snapshots = "containerd" in json.dumps(info["DriverStatus"]) and containerd.is_dir()
        return [root, *([containerd] if snapshots else [])], ""
    return [Path.home()], ". Docker keeps them in a virtual disk with a limit of its own: Settings, Resources"


def _check_ports(docker: Docker, settings: Settings) -> list[Check]:
    problems = ports.port_problems(settings, docker)
    return [
        failed(f"port {name}", problems[name])
        if name in problems
        else passed(f"port {name}", f"{port} is free, or this paper's own")
        for name, port in (("HUB_PORT", settings.hub_port), ("DB_PORT", settings.db_port))
    ]


def _check_base_image(docker: Docker, name: str, image: str, source: str) -> list[Check]:
    if bootstrap.is_here(docker, image, source):
        return [passed(name, f"{image} is on this machine")]
    if bootstrap.is_stand_in(image):
        if docker.succeeds("image", "inspect", image):
            return [warned(name, f"the stand-in {image} is of older files than docker/base", "run `invoke bootstrap`")]
        return [failed(name, f"the stand-in {image} is not built", "run `invoke bootstrap`")]
    registry = bootstrap.registry(image)
    if not any(bootstrap.registries_answer([image])):
        what = f"{image} is not on this machine, and {registry} does not answer"
        if bootstrap.has_own_road(docker):
            return [warned(name, what, "Docker has a mirror or a proxy: `invoke bootstrap` tries it")]
        hint = "check the network; without a registry `invoke bootstrap` builds stand-ins for the base images"
        return [failed(name, what, hint)]
    try:
        docker.ask("buildx", "imagetools", "inspect", image)
    except (faults.NotAllowed, faults.NotInRegistry):
        hint = f"correct {name} in .env, or log in with `docker login`"
        return [failed(name, f"{registry} has no {image}, or keeps it from you", hint)]
    except faults.DockerError as error:
        return [warned(name, f"{image} could not be looked up: {error.what}", error.hint)]
    return [passed(name, f"{image} will be pulled; {registry} has it")]
