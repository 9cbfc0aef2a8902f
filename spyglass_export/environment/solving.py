"""From the export's environment.yml to one that is installable, solved and locked: the same for check and for build."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from rattler.exceptions import GatewayError

from spyglass_export.changes import Change
from spyglass_export.checksum import sha256_of
from spyglass_export.environment import conda_part, pip_part
from spyglass_export.environment.channels import channels_of, conda_configuration, gone
from spyglass_export.environment.conda_part import CondaPackage, CondaPart
from spyglass_export.environment.file import read as read_document
from spyglass_export.environment.installable import (
    FILE,
    NO_EVIDENCE,
    OVERRIDE_FILE,
    VERSION_FILE,
    Evidence,
    make_installable,
    packages_of,
)
from spyglass_export.environment.kinds import read_text
from spyglass_export.environment.lock import Lock
from spyglass_export.environment.lock import read as read_lock
from spyglass_export.environment.pip_indexes import pip_configuration
from spyglass_export.environment.pip_part import PipPart
from spyglass_export.environment.problems import Problem
from spyglass_export.environment.repodata import Channels, gather_evidence
from spyglass_export.environment.rules import spec_name, version_and_build
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings

# That of Ubuntu 22.04, the oldest that current Jupyter images are built on: for where the base image is not here yet.
OLDEST_GLIBC = "2.35"
# Where nothing tells the environment's Python.
USUAL_PYTHON = "3.12"
_CREDENTIAL = re.compile(r"//[^/\s]*@|/t/[^/\s]+/|[?&](token|sig|key)=")


@dataclass(frozen=True)
class Prepared:
    """What became of an environment: its text, each change, and the lock where all of it was solved."""

    text: str
    changes: list[Change]
    evidence: Evidence
    lock: Lock | None = None
    is_new: bool = False
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    unreachable: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    channels_answer: bool = True


def sources(settings: Settings) -> tuple[str, dict[str, Any]]:
    """The text of the export's environment.yml, and all else that `make_installable` takes for it but evidence."""
    file, override = settings.spyglass_paper_dir / FILE, settings.export_data / OVERRIDE_FILE
    version = file.with_name(VERSION_FILE)
    return read_text(file), {
        "name": settings.paper_id,
        "exclude": settings.env_exclude,
        "override": read_text(override) if override.is_file() else None,
        "spyglass_version": read_text(version).strip() if version.is_file() else "",
    }


def prepare(settings: Settings, glibc: str | None = None) -> Prepared:
    """Make the export's environment installable and solve it; a lock that is of today's is taken as it is.

    ``glibc`` is the version in the hub's base image, where that is known. Problems are given, not raised.

    :raises UserError: where environment.yml is missing or cannot be made installable.
    """
    if not (settings.spyglass_paper_dir / FILE).is_file():
        hint = "write it with `conda env export --file environment.yml` on the machine that the paper was made on"
        raise UserError(f"there is no {FILE} in {settings.spyglass_paper_dir}", hint)
    text, options = sources(settings)
    last = read_lock(settings.export_data)
    evidence = last.evidence if last else NO_EVIDENCE
    source = sha256_of(text, *(str(value) for value in options.values()))
    if last and last.source == source and glibc in (None, last.glibc):
        installable, changes = make_installable(text, **options, evidence=evidence)
        if sha256_of(installable) == last.environment:
            return Prepared(installable, changes, evidence, last)
    installable, _ = make_installable(text, **options)
    addresses = channels_of(yaml.safe_load(installable), conda_configuration())
    channels = Channels(addresses, _cache() / "repodata", settings.ca_bundle)
    lost = [Problem((), f"there is no channel at {one}", "correct `channels:`") for one in channels.missing()]
    evidence = gather_evidence(channels, [line.before for line in read_document(text, FILE).conda])
    installable, changes = make_installable(text, **options, evidence=evidence)
    return _solved(settings, channels, Prepared(installable, changes, evidence), source, glibc or OLDEST_GLIBC, lost)


def _solved(
    settings: Settings, channels: Channels, prepared: Prepared, source: str, glibc: str, lost: list[Problem]
) -> Prepared:
    specs, requirements = packages_of(yaml.safe_load(prepared.text))
    unreachable = dict(channels.unreachable)
    try:
        conda = conda_part.solve(channels, specs, glibc) if channels.addresses else CondaPart(unknown=tuple(specs))
    except GatewayError as error:
        conda, unreachable = CondaPart(unknown=tuple(specs)), unreachable | {"a channel": str(error).splitlines()[0]}
    pins = {spec_name(spec): version_and_build(spec)[0] for spec in specs}
    brought = {one.name: one.version for one in conda.packages if one.is_python} or {
        name: version for name, version in pins.items() if version and name != "python"
    }
    picked = next((one.version for one in conda.packages if one.name == "python"), "")
    python = picked or pins.get("python") or USUAL_PYTHON
    pip = PipPart()
    if requirements:
        configuration = pip_configuration(settings.ca_bundle)
        pip = pip_part.solve(requirements, brought, [*pins], python=python, glibc=glibc, pip=configuration)
    unreachable |= pip.unreachable
    problems = (*lost, *conda.problems, *pip.problems)
    lock = None
    if not problems and not unreachable and not conda.unknown:
        lock = _lock(prepared, conda.packages, pip, source, python, glibc)
    return replace(
        prepared,
        lock=lock,
        is_new=True,
        problems=problems,
        notes=tuple(pip.notes),
        unreachable=unreachable,
        unknown=conda.unknown,
        channels_answer=bool(channels.addresses),
    )


def _lock(
    prepared: Prepared, conda: tuple[CondaPackage, ...], pip: PipPart, source: str, python: str, glibc: str
) -> Lock | None:
    """Word the lock; None where an address in it holds a credential, which nobody else may see."""
    lock = Lock(
        source=source,
        environment=sha256_of(prepared.text),
        python=python,
        glibc=glibc,
        evidence=prepared.evidence,
        conda=tuple(
            {key: getattr(one, key) for key in ("name", "version", "build", "url", "sha256", "md5")} for one in conda
        ),
        pip=tuple({"requirement": one.requirement, "sha256": list(one.sha256)} for one in pip.packages),
        pip_options=tuple(pip.options),
    )
    addresses = [*(one["url"] for one in lock.conda), *lock.pip_options, *(one["requirement"] for one in lock.pip)]
    return None if any(_CREDENTIAL.search(address) for address in addresses) else lock


def vanished(lock: Lock, ca_bundle: Path | None) -> list[str]:
    """The names of the files of a lock that their channels no longer have."""
    return [address.rpartition("/")[2] for address in gone([one["url"] for one in lock.conda], ca_bundle)]


def require_solved(prepared: Prepared) -> None:
    """Raise UserError where the environment does not solve; every problem is named."""
    if prepared.problems:
        more = len(prepared.problems) > 1
        told = "; ".join(f"({number}) {one.what}" for number, one in enumerate(prepared.problems, 1)) if more else ""
        advice = dict.fromkeys(one.advice for one in prepared.problems if one.advice)
        raise UserError(
            f"{FILE} cannot be solved: {told or prepared.problems[0].what}",
            "; ".join(advice) or "correct it in export_data/environment.override.yml",
        )


def _cache() -> Path:
    """The folder in which this user's programs keep what they can fetch again."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "spyglass-export"
