"""From the export's environment.yml to one that is installable, solved and locked: the same for check and for build."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from spyglass_export.changes import Change
from spyglass_export.environment import pip_part
from spyglass_export.environment.channels import answering, channels_of, gone
from spyglass_export.environment.credentials import kind_of_credential
from spyglass_export.environment.file import load, packages_of
from spyglass_export.environment.installable import FILE, NO_EVIDENCE, Evidence, made_of, make_installable
from spyglass_export.environment.lock import Lock
from spyglass_export.environment.lock import read as read_lock
from spyglass_export.environment.parts import CondaPart, PipPart
from spyglass_export.environment.pip_part import pip_configuration
from spyglass_export.environment.problems import Problem
from spyglass_export.environment.rules import spec_name, version_and_build
from spyglass_export.errors import UserError
from spyglass_export.files import sha256_of
from spyglass_export.settings import Settings

if TYPE_CHECKING:
    from spyglass_export.environment.repodata import Channels

# That of Ubuntu 22.04, the oldest that current Jupyter images are built on: for where the base image is not here yet.
OLDEST_GLIBC = "2.35"
# Where nothing tells the environment's Python.
USUAL_PYTHON = "3.12"


@dataclass
class Prepared:
    """What became of an environment: its text, each change, and the lock where all of it was solved.

    ``unknown`` are the lines that nobody can tell of where a channel is ``unreachable``.
    """

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


def prepare(settings: Settings, glibc: str | None = None) -> Prepared:
    """Make the export's environment installable and solve it; a lock that is of today's is taken as it is.

    ``glibc`` is the version in the hub's base image, where that is known. Problems are given, not raised.

    :raises UserError: where environment.yml is missing or cannot be made installable.
    """
    text, options = made_of(settings.spyglass_paper_dir, settings.export_data, settings.paper_id, settings.env_exclude)
    last = read_lock(settings.export_data)
    source = sha256_of(text, *(str(value) for value in options.values()))
    if last and last.source == source and glibc in (None, last.glibc):
        installable, changes = make_installable(text, **options, evidence=last.evidence)
        if sha256_of(installable) == last.environment:
            return Prepared(installable, changes, last.evidence, last)
    content = load(make_installable(text, **options)[0])
    with ThreadPoolExecutor(1) as pool:
        # pip takes half a second to tell
        asked = pool.submit(pip_configuration, settings.ca_bundle) if packages_of(content)[1] else None
        addresses, silent = answering(channels_of(content), settings.ca_bundle)
        channels, evidence = None, NO_EVIDENCE
        if addresses:
            # They load py-rattler, which takes as long as copying 70 MB, and is good for nothing without a channel.
            from spyglass_export.environment.repodata import Channels, gather_evidence

            cache = user_cache_path("spyglass-export", appauthor=False) / "repodata"
            channels = Channels(addresses, silent, cache, settings.ca_bundle)
            evidence = gather_evidence(channels, packages_of(load(text))[0])
        installable, changes = make_installable(text, **options, evidence=evidence)
        prepared = Prepared(installable, changes, evidence, is_new=True, unreachable=silent)
        prepared.channels_answer = bool(channels and channels.addresses)
        _solve(channels, prepared, source, glibc or OLDEST_GLIBC, asked)
    return prepared


def _solve(
    channels: "Channels | None", prepared: Prepared, source: str, glibc: str, asked: Future[dict[str, str]] | None
) -> None:
    specs, requirements = packages_of(load(prepared.text))
    conda = CondaPart([], {}, [], specs)
    if channels:
        from spyglass_export.environment import conda_part

        conda = conda_part.solve(channels, specs, glibc)
        prepared.unreachable = channels.unreachable
    pins = {spec_name(spec): version_and_build(spec)[0] for spec in specs}
    picked = {one["name"]: one["version"] for one in conda.packages}
    python = picked.get("python") or pins.get("python") or USUAL_PYTHON
    brought = conda.brought or {name: version for name, version in pins.items() if version and name != "python"}
    pip = PipPart()
    if requirements and asked:
        pip = pip_part.solve(requirements, brought, [*pins], python=python, glibc=glibc, pip=asked.result())
    prepared.problems = (*conda.problems, *pip.problems)
    prepared.notes, prepared.unknown = tuple(pip.notes), tuple(conda.unknown)
    prepared.unreachable = {**prepared.unreachable, **pip.unreachable}
    # Nobody else may see a credential in an address.
    addresses = [one["url"] for one in conda.packages] + [one["requirement"] for one in pip.packages] + pip.options
    if not (prepared.problems or prepared.unreachable or conda.unknown or kind_of_credential("\n".join(addresses))):
        prepared.lock = Lock(
            source=source,
            environment=sha256_of(prepared.text),
            python=python,
            glibc=glibc,
            evidence=prepared.evidence,
            conda=conda.packages,
            pip=pip.packages,
            pip_options=pip.options,
        )


def vanished(lock: Lock, ca_bundle: Path | None) -> list[str]:
    """The names of the files of a lock that their channels no longer have."""
    return [address.rpartition("/")[2] for address in gone([one["url"] for one in lock.conda], ca_bundle)]


def require_solved(prepared: Prepared) -> None:
    """Raise UserError where the environment does not solve; every problem is named."""
    if prepared.problems:
        more = len(prepared.problems) > 1
        told = "; ".join(f"({number}) {one.what}" for number, one in enumerate(prepared.problems, 1)) if more else ""
        advice = dict.fromkeys(one.advice for one in prepared.problems if one.advice)
        hint = "; ".join(advice) or "correct it in export_data/environment.override.yml"
        raise UserError(f"{FILE} cannot be solved: {told or prepared.problems[0].what}", hint)
