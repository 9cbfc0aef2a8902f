"""Checks of the paper's conda environment: that it can be made installable, and that its packages go together."""

import re
from collections.abc import Sequence
from typing import Any

from spyglass_export.changes import Change, say_kinds
from spyglass_export.checks.check import Check, failed, passed, warned
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import glibc_of
from spyglass_export.environment.credentials import find_credentials, private_addresses
from spyglass_export.environment.file import load, packages_of
from spyglass_export.environment.installable import FILE, OVERRIDE_FILE, made_of, make_installable
from spyglass_export.environment.lock import FILE as LOCK_FILE
from spyglass_export.environment.rules import matches, normalise, requirement_name, spec_name, version_and_build
from spyglass_export.environment.solving import prepare, vanished
from spyglass_export.errors import UserError
from spyglass_export.publishing.secrets import Find, hint_for
from spyglass_export.settings import Settings

NAME = "environment"
# The first version of each whose own files hold a front end that JupyterLab 4 can run; ipywidgets 7 has it in a package
# of its own (config/front_ends.py). Those before were compiled into JupyterLab, or need an older one.
WIDGETS = {
    **{"bqplot": "0.12.20", "ipyevents": "0.9.0", "ipyleaflet": "0.13.6", "ipympl": "0.6.0", "ipywidgets": "7.0"},
    **{"jupyter-bokeh": "4.0.0", "k3d": "2.11.0", "pythreejs": "2.3.0", "pyviz-comms": "3.0.0"},
}
PACKAGES = "packages"


def read_environment(settings: Settings) -> tuple[list[Check], dict[str, Any]]:
    """Make environment.yml installable as `copy_files` would, and give what was found and its content.

    The content is empty where the file is missing or cannot be used.
    """
    try:
        exported, options = made_of(
            settings.spyglass_paper_dir, settings.export_data, settings.paper_id, settings.env_exclude
        )
        text, changes = make_installable(exported, **options)
    except UserError as error:
        return [failed(NAME, error)], {}
    content = load(text)
    specs, requirements = packages_of(content)
    what = f"{len(specs)} conda and {sum(not line.startswith('-') for line in requirements)} pip packages"
    if changes:
        what += f"; changed, so that they install: {say_kinds(changes)}"
    found = [*_check_exclude(settings, changes), *_check_widgets(specs, requirements)]
    return [passed(NAME, what), *found, *_check_secrets(exported, text)], content


def _check_secrets(exported: str, installable: str) -> list[Check]:
    """Name lines that hold a credential or an address closed to readers, by number: as the author's file has them."""
    lines = exported.splitlines()

    def place(number: int) -> str:
        text = installable.splitlines()[number - 1]
        return f"line {lines.index(text) + 1}" if text in lines else f"line {number} of export_data/{FILE}"

    hint = hint_for(Find(f"export_data/{FILE}", "", ""))
    found = find_credentials(installable)
    checks = [warned(NAME, f"{place(one.line)} cannot be published: {one.kind}", hint) for one in found]
    for host, number in private_addresses(installable).items():
        what = f"{place(number)}: {host} is not among the public channels and indexes; readers may not reach it"
        hint = "images hold what was installed and run all the same; for readers to build anew, name a public address"
        checks.append(warned(NAME, what, hint))
    return checks


def _check_widgets(specs: Sequence[str], requirements: Sequence[str]) -> list[Check]:
    pinned = {spec_name(spec): version_and_build(spec)[0] for spec in specs}
    pinned |= {requirement_name(line): version_and_build(line)[0] for line in requirements}
    hint = "write `{}={}` or newer in export_data/" + OVERRIDE_FILE
    return [
        warned(NAME, f"{name} {pinned[name]} shows nothing in the hub: it has no front end for JupyterLab 4", fix)
        for name, oldest in WIDGETS.items()
        if pinned.get(name) and _numbers(pinned[name]) < _numbers(oldest) and (fix := hint.format(name, oldest))
    ]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _check_exclude(settings: Settings, changes: Sequence[Change]) -> list[Check]:
    excluded = [normalise(change.where) for change in changes if change.kind == "excluded"]
    idle = [one for one in settings.env_exclude if not any(matches(name, (normalise(one),)) for name in excluded)]
    if not idle:
        return []
    what = f"ENV_EXCLUDE names what is not in {FILE}, or what the hub needs: {', '.join(idle)}"
    return [warned(NAME, what, "correct it in .env; it takes names as in the file, and patterns such as jax*")]


def check_packages(settings: Settings, docker: Docker) -> list[Check]:
    """Solve both parts of the environment for the image, as far as channels and indexes answer."""
    prepared = prepare(settings, glibc_of(docker, settings.hub_base_image))
    checks = [failed(PACKAGES, one.what, one.advice) for one in prepared.problems]
    if prepared.unreachable:
        silent = "; ".join(f"{place} ({why})" for place, why in sorted(prepared.unreachable.items()))
        told = f"; {len(prepared.unknown)} conda packages were not looked up" if prepared.unknown else ""
        fix = "check the network; behind a proxy set HTTPS_PROXY and CA_BUNDLE"
        checks.append(warned(PACKAGES, f"could not look at {silent}{told}", fix))
    lost = vanished(prepared.lock, settings.ca_bundle) if prepared.lock and not prepared.is_new else []
    if lost:
        what = f"{LOCK_FILE} names what its channels no longer have: {', '.join(lost)}"
        hint = f"delete export_data/{LOCK_FILE}, then `invoke check` says what takes their place"
        checks.append(failed(PACKAGES, what, hint))
    notes = "".join(f"; {note}" for note in prepared.notes)
    if prepared.lock and not lost:
        size = f"{len(prepared.lock.conda)} conda and {len(prepared.lock.pip)} pip packages"
        how = "are there together" if prepared.is_new else f"are there, as {LOCK_FILE} has them"
        checks.append(passed(PACKAGES, f"{size} {how}, for Python {prepared.lock.python}{notes}"))
    elif not prepared.problems and not prepared.unreachable:
        what = "all can be had together, and nothing is locked: an address holds a user or a token"
        checks.append(warned(PACKAGES, what, "name public channels and indexes: readers cannot build from these"))
    return checks
