"""`invoke check`: whether all that a build needs is there, told before it starts, and without changing anything."""

import json
from collections.abc import Mapping
from pathlib import Path

from spyglass_export import console
from spyglass_export.checks.check import Check, Probe, run_side_by_side
from spyglass_export.checks.env_file import check_env_file
from spyglass_export.checks.environment import check_packages, read_environment
from spyglass_export.checks.export_folder import check_export
from spyglass_export.checks.machine import check_machine
from spyglass_export.checks.notebooks import check_notebooks, check_notebooks_secrets
from spyglass_export.containers import ports
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings


def run_checks(root: Path, environment: Mapping[str, str], *, dry: bool = False) -> list[Check]:
    """Check every precondition of `invoke build` in the project at ``root``; changes nothing, takes seconds.

    ``environment`` is the process environment, which overrides `.env`. With ``dry``, docker's commands are
    printed and not run.
    """
    checks, settings = check_env_file(root, environment)
    if settings is None:
        docker = Docker(tuple(environment.get("DOCKER", "docker").split()), root, dry=dry)
        return [*checks, *run_side_by_side([("Docker", lambda: check_machine(docker, None))])]
    settings = ports.settle(settings, dry=True)
    docker = Docker(settings.docker, root, project=settings.project, dry=dry)
    probes: list[Probe] = [
        ("Docker", lambda: check_machine(docker, settings)),
        ("export", lambda: check_export(settings)),
        ("environment", lambda: _check_environment_and_notebooks(settings, docker)),
    ]
    return [*checks, *run_side_by_side(probes)]


def _check_environment_and_notebooks(settings: Settings, docker: Docker) -> list[Check]:
    checks, content = read_environment(settings)
    probes: list[Probe] = [("packages", lambda: check_packages(settings, docker))] if content else []
    probes.append(("notebooks", lambda: check_notebooks(settings.notebooks, content)))
    probes.append(("secrets", lambda: check_notebooks_secrets(settings)))
    return [*checks, *run_side_by_side(probes)]


def show_as_table(found: list[Check]) -> None:
    """Print every check with what was found, and below it the fix where there is one."""
    rows = [[one.name, one.status, one.what + (f"\nfix: {one.fix}" if one.fix else "")] for one in found]
    console.show_table("checks", ["check", "", "what was found"], rows)


def show_as_json(found: list[Check]) -> None:
    """Print `{"checks": [{"name", "status", "what", "fix"}]}`."""
    console.say(json.dumps({"checks": [one._asdict() for one in found]}, indent=2))


def require_no_failure(found: list[Check]) -> None:
    """Raise UserError where a check found what would stop a build."""
    if names := dict.fromkeys(one.name for one in found if one.status == "failure"):
        hint = "the fix of each is above; then run `invoke check` again"
        raise UserError(f"`invoke build` would fail: {', '.join(names)}", hint)
