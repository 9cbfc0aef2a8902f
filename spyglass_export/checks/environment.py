"""Checks of the paper's conda environment: that it can be made installable, and that its packages are there."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from spyglass_export.changes import Change
from spyglass_export.checks.check import Check, failed, passed, run_side_by_side, warned
from spyglass_export.checks.indexes import Found, look_up_requirements, look_up_specs, pip_configuration
from spyglass_export.checks.secrets import check_environment_secrets
from spyglass_export.environment.installable import FILE, OVERRIDE_FILE, make_installable
from spyglass_export.environment.kinds import read_text
from spyglass_export.environment.rules import matches, normalise, requirement_name, spec_name
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings

NAME = "environment"
NAMED_AT_MOST = 5
# The base image's conda looks here too, whatever channels the file names.
HUB_CHANNEL = "conda-forge"


def read_environment(settings: Settings) -> tuple[list[Check], dict[str, Any]]:
    """Make environment.yml installable as `copy_files` would, and give what was found and its content.

    The content is empty where the file is missing or cannot be used.
    """
    file, override = settings.spyglass_paper_dir / FILE, settings.export_data / OVERRIDE_FILE
    if not file.is_file():
        hint = "write it with `conda env export > environment.yml` on the machine that the paper was made on"
        return [failed(NAME, UserError(f"there is no {FILE} in {settings.spyglass_paper_dir}", hint))], {}
    version = file.with_name("spyglass_version")
    try:
        text, changes = make_installable(
            read_text(file),
            name=settings.paper_id,
            exclude=settings.env_exclude,
            override=read_text(override) if override.is_file() else None,
            spyglass_version=read_text(version).strip() if version.is_file() else "",
        )
    except UserError as error:
        return [failed(NAME, error)], {}
    counts = Counter(change.kind for change in changes)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "none needed"
    content = yaml.safe_load(text)
    specs, requirements = packages_of(content)
    packages = [line for line in requirements if not line.startswith("-")]
    what = f"{len(specs)} conda and {len(packages)} pip packages; changes so that they install: {told}"
    secrets = check_environment_secrets(read_text(file), text)
    return [passed(NAME, what), *_check_exclude(settings, changes), *secrets], content


def _check_exclude(settings: Settings, changes: Sequence[Change]) -> list[Check]:
    excluded = [normalise(change.where) for change in changes if change.kind == "excluded"]
    idle = [one for one in settings.env_exclude if not any(matches(name, (normalise(one),)) for name in excluded)]
    if not idle:
        return []
    what = f"ENV_EXCLUDE names what is not in {FILE}, or what the hub needs: {', '.join(idle)}"
    return [warned(NAME, what, "correct it in .env; it takes names as in the file, and patterns such as jax*")]


def packages_of(content: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The lines of conda's part and of pip's."""
    dependencies = content.get("dependencies", [])
    specs = [line for line in dependencies if isinstance(line, str)]
    return specs, [line for part in dependencies if isinstance(part, dict) for line in part.get("pip") or ()]


def check_packages(settings: Settings, content: dict[str, Any]) -> list[Check]:
    """Look every package of an installable environment up on its channel or index, as far as they answer."""
    specs, requirements = packages_of(content)
    channels = list(dict.fromkeys([*(content.get("channels") or ()), HUB_CHANNEL]))
    bundle = str(settings.ca_bundle) if settings.ca_bundle else None

    def conda() -> list[Check]:
        return _told("conda packages", look_up_specs(specs, channels, bundle), spec_name)

    def pip() -> list[Check]:
        if not requirements:
            return []
        found = look_up_requirements(requirements, pip_configuration(settings.ca_bundle))
        return _told("pip packages", found, requirement_name)

    return run_side_by_side([("conda packages", conda), ("pip packages", pip)])


def _told(name: str, found: Found, named: Callable[[str], str]) -> list[Check]:
    checks = []
    total = len(found.found) + len(found.missing) + len(found.not_looked_up)
    if found.missing:
        what = f"{len(found.missing)} of {total} cannot be had: {_some([*found.missing.values()], '; ')}"
        names = ", ".join(named(line) for line in found.missing)
        hint = f"name a version that exists in export_data/{OVERRIDE_FILE}, or leave it out: ENV_EXCLUDE={names}"
        checks.append(failed(name, UserError(what, hint)))
    if found.unreachable:
        silent = ", ".join(sorted(found.unreachable))
        what = f"{len(found.not_looked_up)} of {total} were not looked up: {silent} could not be reached"
        checks.append(warned(name, what, "check the network; behind a proxy set HTTPS_PROXY and CA_BUNDLE"))
    elif found.not_looked_up and not found.missing:
        # What the solver chooses, what comes from an address, and what there was no time for.
        what = f"{len(found.found)} of {total} are there; {len(found.not_looked_up)} were not looked up"
        checks.append(passed(name, f"{what}: {_some(found.not_looked_up, ', ')}"))
    elif not found.missing:
        checks.append(passed(name, f"all {total} are there"))
    return checks


def _some(texts: Sequence[str], between: str) -> str:
    more = len(texts) - NAMED_AT_MOST
    return between.join(texts[:NAMED_AT_MOST]) + (f"{between}and {more} more" if more > 0 else "")
