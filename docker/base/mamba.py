#!/opt/conda/bin/python
"""Stand in for mamba and conda where conda-forge cannot be reached: real conda environments, by py-rattler.

Packages come from the channels of the call as far as these answer, and then from a channel of Debian's Python and
PyPI's wheels that lies in this image. What no channel has for Linux in the wanted version comes in another one; what
none has at all, and requirements of pip that no index here provides, are left out. Both are named on standard error,
a line each, and in `conda-meta/left-out.txt`.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rattler
import yaml
from rattler.exceptions import GatewayError, InvalidMatchSpecError, SolverError

CONDA = Path("/opt/conda")
OWN_CHANNEL = (CONDA / "channel").as_uri()
ALIAS = os.environ.get("CONDA_CHANNEL_ALIAS", "https://conda.anaconda.org")
# Environments of conda have these, and old packages count on both.
ALWAYS = ("python", "ipykernel", "pip", "setuptools", "wheel")
PLATFORMS = ("linux-64", "noarch")
# An index or a repository that is out of reach here shall fail at once, not after minutes of retries.
QUICK = {"UV_HTTP_TIMEOUT": "60", "UV_HTTP_RETRIES": "1", "UV_LINK_MODE": "copy", "GIT_TERMINAL_PROMPT": "0"}
# PyPI has these for Linux with gigabytes of CUDA only; their CPU builds are on an index of PyTorch's own.
PYTORCH = ("torch", "torchvision", "torchaudio")


class Told:
    """What was left out or replaced: said at once, and kept in the environment."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def skip(self, what: str, why: str) -> None:
        """Something of the environment is not there."""
        self.lines.append(f"{what}: {why}")
        print(f"stand-in: skipped {what}: {why}", file=sys.stderr)


def answers(address: str) -> bool:
    """Whether a package index or a channel can be reached at all."""
    try:
        urllib.request.urlopen(address, timeout=5)  # noqa: S310 - any scheme that an index may have
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
    return True


def solve(specs: list[str], named_channels: Sequence[str], told: Told) -> list[rattler.RepoDataRecord]:
    """Pick packages for the specs; what cannot be had as it is wanted comes otherwise, or is left out."""
    addresses = [name if "://" in name else f"{ALIAS.rstrip('/')}/{name}" for name in named_channels]
    reached = [address for address in addresses if answers(f"{address}/noarch/repodata.json")]
    channels = [rattler.Channel(address) for address in (*reached, OWN_CHANNEL)]
    gateway = rattler.Gateway(cache_dir=Path(tempfile.mkdtemp()))
    libc = os.confstr("CS_GNU_LIBC_VERSION") or "glibc 2.36"
    system = {"__unix": "0", "__linux": "5.10", "__glibc": libc.split()[-1]}
    virtual = [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0"))
        for name, version in system.items()
    ]

    def pick(some: list[str]) -> list[rattler.RepoDataRecord]:
        return asyncio.run(
            rattler.solve(
                channels,
                [rattler.MatchSpec(spec) for spec in some],
                gateway=gateway,
                platforms=PLATFORMS,
                virtual_packages=virtual,
                channel_priority=rattler.ChannelPriority.Disabled,
            )
        )

    def can(spec: str) -> bool:
        try:
            return bool(pick([spec]))
        except (SolverError, InvalidMatchSpecError, GatewayError):
            return False

    wanted = []
    for spec in specs:
        name = re.split(r"[\s=<>!~\[]", spec.rpartition("::")[2])[0]
        version = "=".join(spec.rpartition("::")[2].split("=")[:2])
        if found := next((one for one in (spec, version, name) if can(one)), ""):
            wanted.append(found)
            if found != spec:
                picked = next(one for one in pick([found]) if one.name.normalized == name.lower())
                print(f"stand-in: {spec} is {picked.version} here", file=sys.stderr)
        else:
            told.skip(spec, "no channel that can be reached has it")
    while True:
        try:
            return pick(wanted)
        except SolverError as error:
            # The last that is named in the reason goes; what every environment has stays.
            names = [spec for spec in wanted if re.split(r"[\s=<>!~\[]", spec)[0] in str(error)]
            out = next((spec for spec in reversed(names or wanted) if spec not in ALWAYS), None)
            if out is None:
                raise
            wanted.remove(out)
            told.skip(out, "it contradicts others that can be had here")


def install(prefix: Path, records: list[rattler.RepoDataRecord]) -> None:
    """Install packages into an environment of their own."""
    cache = CONDA / "pkgs"
    asyncio.run(rattler.install(records, target_prefix=prefix, cache_dir=cache, show_progress=False))


def uv(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `uv pip install` for the environment whose interpreter is `python`."""
    command = ["uv", "pip", "install", "--quiet", "--python", str(python), *arguments]
    return subprocess.run(command, env=os.environ | QUICK, capture_output=True, text=True, check=False)


def install_requirements(python: Path, lines: list[str], told: Told) -> None:
    """Install what can be installed of a `pip:` part."""
    options = [line for line in lines if line.startswith("-")]
    requirements = [line for line in lines if not line.startswith("-")]
    out_of_reach = [
        option for option in options if "://" in option and not answers(option.replace("=", " ").split()[-1])
    ]
    for option in out_of_reach:
        options.remove(option)
        told.skip(option, "it cannot be reached")
    with tempfile.TemporaryDirectory() as scratch:
        listed, never = Path(scratch) / "requirements.txt", Path(scratch) / "never.txt"
        # A requirement that an override says applies nowhere is not installed, whoever asks for it.
        never.write_text("".join(f"{name} ; sys_platform == 'never'\n" for name in PYTORCH if out_of_reach))
        for requirement in list(requirements) if out_of_reach else ():
            if re.split(r"[^a-z]", requirement, maxsplit=1)[0] in PYTORCH:
                requirements.remove(requirement)
                told.skip(requirement, "its CPU build is on an index that cannot be reached")

        def attempt(wanted: list[str]) -> subprocess.CompletedProcess[str]:
            listed.write_text("".join(f"{line}\n" for line in [*options, *wanted]), encoding="utf-8")
            return uv(python, "--requirement", str(listed), "--override", str(never))

        if attempt(requirements).returncode:
            for requirement in requirements:
                done = attempt([requirement])
                if done.returncode:
                    told.skip(requirement, " ".join(done.stderr.split())[:200])


def create(file: Path, name: str | None) -> int:
    """`mamba env create`: the environment that a file describes; return the exit status."""
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    dependencies = environment.get("dependencies") or []
    prefix = CONDA / "envs" / (name or environment["name"])
    told = Told()
    specs = [one for one in dependencies if isinstance(one, str)]
    named = {re.split(r"[\s=<>!~\[]", spec.rpartition("::")[2])[0] for spec in specs}
    channels = [one for one in environment.get("channels") or () if one not in ("defaults", "nodefaults")]
    install(prefix, solve([*specs, *(one for one in ALWAYS if one not in named)], channels, told))
    for part in (one for one in dependencies if isinstance(one, dict)):
        install_requirements(prefix / "bin" / "python", part.get("pip") or [], told)
    if variables := environment.get("variables"):
        state = {"env_vars": {key: str(value) for key, value in variables.items()}}
        (prefix / "conda-meta" / "state").write_text(json.dumps(state))
    if told.lines:
        left_out = prefix / "conda-meta" / "left-out.txt"
        left_out.write_text("".join(f"{line}\n" for line in told.lines), encoding="utf-8")
    return 0


def create_explicit(file: Path, name: str) -> int:
    """`mamba create --file`: exactly the packages whose addresses a file lists, each held against its checksum."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    if "@EXPLICIT" not in lines:
        print("error: the file has no line @EXPLICIT", file=sys.stderr)
        return 1
    records = []
    with tempfile.TemporaryDirectory() as scratch:
        for line in (line for line in lines if "://" in line):
            address, _, digest = line.partition("#")
            package = Path(scratch) / address.rpartition("/")[2]
            try:
                with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - as the file has it
                    package.write_bytes(answer.read())
            except OSError as error:
                print(f"error: {address} cannot be had: {error}", file=sys.stderr)
                return 1
            found = hashlib.md5(package.read_bytes(), usedforsecurity=False).hexdigest()
            if digest and digest != found:
                print(f"error: {address} has the checksum {found}, not {digest}", file=sys.stderr)
                return 1
            record = asyncio.run(rattler.RepoDataRecord.from_package_archive(package))
            record.md5 = bytes.fromhex(found)
            record.url = address
            record.channel = address.rsplit("/", 2)[0]
            records.append(record)
        install(CONDA / "envs" / name, records)
    return 0


def list_explicit(name: str) -> int:
    """`conda list --explicit --md5`."""
    print("# platform: linux-64\n@EXPLICIT")
    for file in sorted((CONDA / "envs" / name / "conda-meta").glob("*.json")):
        one: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        print(f"{one['url']}#{one['md5']}" if one.get("md5") else one["url"])
    return 0


def main() -> int:
    """Take the calls that this project makes of mamba and conda."""
    parser = argparse.ArgumentParser(prog=Path(sys.argv[0]).name)
    parser.add_argument("--version", action="version", version="%(prog)s 0 (stand-in)")
    commands = parser.add_subparsers(dest="command", required=True)
    env = commands.add_parser("env").add_subparsers(dest="subcommand", required=True).add_parser("create")
    one = commands.add_parser("create")
    for command in (env, one):
        command.add_argument("--file", "-f", type=Path, required=True)
        command.add_argument("--name", "-n")
        command.add_argument("--yes", "-y", action="store_true")
    listing = commands.add_parser("list")
    listing.add_argument("--name", "-n", required=True)
    listing.add_argument("--explicit", action="store_true", required=True)
    listing.add_argument("--md5", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "list":
        return list_explicit(arguments.name)
    if arguments.command == "create":
        return create_explicit(arguments.file, arguments.name)
    return create(arguments.file, arguments.name)


if __name__ == "__main__":
    sys.exit(main())
