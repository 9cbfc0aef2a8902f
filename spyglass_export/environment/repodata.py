"""What channels have, asked by py-rattler: names, builds, and what can be picked for the image."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import rattler
from rattler.exceptions import GatewayError, SolverError
from rattler.platform import SubdirLiteral

from spyglass_export.environment.channels import without_platform
from spyglass_export.environment.credentials import without_user
from spyglass_export.environment.installable import NO_EVIDENCE, Evidence
from spyglass_export.environment.rules import normalise, plain_name, spec_name, version_and_build

PLATFORMS: tuple[SubdirLiteral, ...] = ("linux-64", "noarch")
# Which system a build is for that Linux does not have.
OTHER_PLATFORMS: dict[SubdirLiteral, str] = {
    **{"osx-64": "macOS", "osx-arm64": "macOS"},
    **{"win-64": "Windows", "linux-aarch64": "Linux on ARM"},
}
LINUX_KERNEL = "5.10"


class Channels:
    """The channels that can be read, by priority, and the names of all that they have for Linux.

    ``lost`` are those where a server says that there is none, ``unreachable`` the ``silent`` ones and those that do
    not answer after all, and why.
    """

    def __init__(
        self, addresses: Sequence[str], silent: Mapping[str, str], cache: Path, ca_bundle: Path | None
    ) -> None:
        if ca_bundle:
            os.environ["SSL_CERT_FILE"] = str(ca_bundle)  # where py-rattler looks
        # py-rattler 0.28 takes "not modified" for a failure where a channel has its list in pieces.
        for index in cache.glob("*.shards-cache-*"):
            with suppress(OSError):  # another check reads it
                index.unlink()
        self._gateway = rattler.Gateway(cache_dir=cache, client=rattler.Client.default_client(max_retries=1))
        self.addresses: list[str] = []
        self.lost: list[str] = []
        self.unreachable = dict(silent)
        self.names: frozenset[str] = frozenset()
        for address in addresses:
            shown = without_user(address)
            try:
                found = asyncio.run(self._gateway.names([rattler.Channel(address)], PLATFORMS))
                self.names |= {name.normalized for name in found}
                self.addresses.append(address)
            except GatewayError as error:
                if "404" in str(error):
                    self.lost.append(shown)
                else:
                    self.unreachable[shown] = str(error).splitlines()[0]

    @property
    def are_all_known(self) -> bool:
        """Whether every channel that the environment names was looked at."""
        return not self.unreachable and not self.lost

    def records(
        self, names: Sequence[str], platforms: Sequence[SubdirLiteral] = PLATFORMS
    ) -> list[rattler.RepoDataRecord]:
        """All builds of the packages of these names."""
        sources = [rattler.Channel(address) for address in self.addresses]
        try:
            found = asyncio.run(self._gateway.query(sources, platforms, names, recursive=False))
        except GatewayError:
            return []
        return [record for records in found for record in records]

    def spec(self, text: str) -> rattler.MatchSpec:
        """Read a line of environment.yml; a channel named in it is the one of that name that answers."""
        channel, double_colon, rest = text.rpartition("::")
        if double_colon:
            name = without_platform(channel)
            text = next((f"{one}::{rest}" for one in self.addresses if f"/{one}".endswith(f"/{name}")), text)
        return rattler.MatchSpec(text)

    def solve(self, specs: Sequence[str], excluded: Sequence[str], glibc: str) -> list[rattler.RepoDataRecord]:
        """Pick packages for the specs and none that is excluded by name.

        :raises rattler.exceptions.SolverError: where there is no solution, with the reason.
        """
        # No __cuda and no __archspec: what needs a GPU or a certain processor cannot be picked.
        virtual = [
            rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), rattler.BuildString("0"))
            for name, version in (("__unix", "0"), ("__linux", LINUX_KERNEL), ("__glibc", glibc))
        ]

        error = SolverError("there is no channel")
        # The base image's conda has flexible priority: a later channel serves where an earlier one cannot.
        for priority in (rattler.ChannelPriority.Strict, rattler.ChannelPriority.Disabled)[: len(self.addresses)]:
            solving = rattler.solve(
                [rattler.Channel(address) for address in self.addresses],
                [self.spec(spec) for spec in specs],
                gateway=self._gateway,
                platforms=PLATFORMS,
                virtual_packages=virtual,
                constraints=[f"{name} <0a0" for name in excluded],
                channel_priority=priority,
            )
            try:
                return asyncio.run(solving)
            except SolverError as failure:
                error = failure
        raise error


def gather_evidence(channels: Channels, specs: Sequence[str]) -> Evidence:
    """Ask the channels which packages Linux does not have, and for which system the builds are that it lacks."""
    if not channels.addresses:
        return NO_EVIDENCE
    absent = frozenset(spec_name(spec) for spec in specs) - {normalise(name) for name in channels.names} - {""}
    builds = {spec: one for spec in specs if all(one := (spec_name(spec), *version_and_build(spec)))}
    found = _builds(channels, [*builds], PLATFORMS)
    lacking = {spec: one for spec, one in builds.items() if one not in found}
    systems = ["Linux"] * (len(builds) - len(lacking))
    for platform, system in OTHER_PLATFORMS.items() if lacking else ():
        elsewhere = _builds(channels, [*lacking], [platform])
        systems += [system for one in lacking.values() if one in elsewhere]
    return Evidence(None if channels.unreachable else absent, tuple(sorted(systems)))


def _builds(channels: Channels, specs: Sequence[str], platforms: Sequence[SubdirLiteral]) -> set[tuple[str, str, str]]:
    records = channels.records([plain_name(spec) for spec in specs], platforms)
    return {(normalise(one.name.normalized), str(one.version), str(one.build)) for one in records}
