"""The conda part of an environment, solved with py-rattler for the image: Linux on x86-64 without a GPU."""

import re
import time
from collections.abc import Callable, Sequence
from functools import cache

from rattler import RepoDataRecord, Version
from rattler.exceptions import GatewayError, InvalidMatchSpecError, SolverError

from spyglass_export.environment.installable import OVERRIDE_FILE
from spyglass_export.environment.package_lists import GPU_ONLY
from spyglass_export.environment.parts import CondaPart
from spyglass_export.environment.problems import ENDED, SECONDS, Problem, at_fault, contradiction, lack
from spyglass_export.environment.repodata import Channels
from spyglass_export.environment.rules import is_gpu_build, matches, normalise, plain_name, spec_name, version_and_build
from spyglass_export.errors import some


def solve(channels: Channels, specs: Sequence[str], glibc: str) -> CondaPart:
    """Solve the specs; where that cannot be done, find every line that is missing or contradicts others.

    Where a channel fails that had answered, it is `unreachable` then, and nothing is known of the specs.
    """
    part = CondaPart([], {}, [], [*specs])
    try:
        part = _solve(channels, specs, glibc) if channels.addresses else part
    except GatewayError as error:
        channels.unreachable["a channel"] = str(error).splitlines()[0]
    lost = [Problem((), f"there is no channel at {one}", "correct `channels:`") for one in channels.lost]
    return part._replace(problems=[*lost, *part.problems])


def _solve(channels: Channels, specs: Sequence[str], glibc: str) -> CondaPart:
    problems, wanted, unknown = _missing(channels, specs)
    gpu = any(matches(spec_name(spec), GPU_ONLY) or is_gpu_build(version_and_build(spec)[1]) for spec in specs)
    excluded = [] if gpu else sorted(name for name in channels.names if matches(normalise(name), GPU_ONLY))
    deadline = time.monotonic() + SECONDS

    @cache
    def pick(*some: str) -> tuple[list[RepoDataRecord], str]:
        """The packages for some of the specs, or the reason why there are none."""
        try:
            return channels.solve(some, excluded, glibc), ""
        except SolverError as error:
            return [], str(error)

    while wanted and (why := pick(*wanted)[1]):
        if time.monotonic() > deadline:
            problems.append(ENDED)
            break
        core = at_fault(wanted, plain_name, why, lambda some: bool(pick(*some)[1]))
        out = next((spec for spec in reversed(core) if plain_name(spec) != "python"), core[-1])
        needed = re.findall(r"([\w.-]+) [^\n]*for which no candidates were found", pick(*core)[1])
        if channels.are_all_known or all(name in channels.names or name.startswith("__") for name in needed):
            problems.append(_contradiction(core, out, pick))
        else:
            unknown.append(out)
        wanted.remove(out)
    picked = [] if problems or unknown else pick(*wanted)[0]
    packages = [
        {
            "name": record.name.normalized,
            "version": str(record.version),
            "build": str(record.build),
            "url": record.url,
            "sha256": record.sha256.hex() if record.sha256 else "",
            "md5": record.md5.hex() if record.md5 else "",
        }
        for record in picked
    ]
    for one in packages if not gpu else ():
        if is_gpu_build(one["build"]):
            what = "{name} {version} can be had as a GPU build only ({build})".format(**one)
            problems.append(lack([one["name"]], one["name"], what, otherwise="name a version for a CPU"))
    of_python = [record for record in picked if any(one.split()[0] == "python" for one in record.depends)]
    brought = {record.name.normalized: str(record.version) for record in of_python}
    return CondaPart(packages, brought, problems, unknown)


def _missing(channels: Channels, specs: Sequence[str]) -> tuple[list[Problem], list[str], list[str]]:
    """The specs that no channel can serve, each with what there is; the others; and those nobody can tell of."""
    problems, wanted, unknown = [], [], []
    builds: dict[str, list[RepoDataRecord]] = {}
    for record in channels.records([plain_name(spec) for spec in specs if ":/" not in spec]):
        builds.setdefault(record.name.normalized, []).append(record)
    for spec in specs:
        there = builds.get(plain_name(spec), [])
        try:
            read = channels.spec(spec)
        except InvalidMatchSpecError as error:
            problems.append(Problem((spec,), f"'{spec}' cannot be read: {error}", "write it as `name=version`"))
            continue
        if ":/" in spec or any(record.matches(read) for record in there):
            wanted.append(spec)
        elif there or channels.are_all_known:
            problems.append(_lack(spec, there))
        else:
            unknown.append(spec)
    return problems, wanted, unknown


def _lack(spec: str, there: Sequence[RepoDataRecord]) -> Problem:
    name, (version, build) = plain_name(spec), version_and_build(spec)
    if not there:
        return lack([spec], name, f"no channel has {name} for Linux ('{spec}')", otherwise="name a channel that has it")
    versions = sorted({str(record.version) for record in there}, key=Version)
    if build and version in versions:
        builds = some(sorted({str(record.build) for record in there if str(record.version) == version}))
        what = f"no channel has {name} {version} in build {build} any more ('{spec}')"
        advice = f"write `{name}={version}` in export_data/{OVERRIDE_FILE}; its builds are {builds}"
        return Problem((spec,), what, advice)
    older = [one for one in versions if version and Version(one) < Version(version)]
    near = older[-1] if older else versions[0 if version else -1]
    return lack([spec], name, f"no channel has '{spec}': there are {some(versions[::-1])}", f"{name}={near}")


def _contradiction(core: Sequence[str], out: str, pick: Callable[..., tuple[list[RepoDataRecord], str]]) -> Problem:
    """Word a contradiction: its lines, the solver's reason, and a version of one line that fits the others."""
    why = pick(*core)[1].removeprefix("Cannot solve the request because of: ")
    lines = [line.strip(" │├└─\t") for line in why.splitlines() if line.strip()]
    name, others = plain_name(out), [spec for spec in core if spec != out]
    fitting = pick(*others, name)[0] if others else []
    spec = next((f"{name}={record.version}" for record in fitting if record.name.normalized == name), "")
    return contradiction(core, [f"'{line}'" for line in core], some(lines, 6, "; "), name, spec)
