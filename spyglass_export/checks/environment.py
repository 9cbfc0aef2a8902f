"""Checks of the paper's conda environment: that it can be made installable, and that its packages go together."""

import re
from collections.abc import Iterator, Sequence
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
    checks = [passed(NAME, what), *_check_exclude(settings, changes), *_check_widgets(specs, requirements)]
    return [*checks, *_check_secrets(exported, text)], content


def _check_secrets(exported: str, installable: str) -> Iterator[Check]:
    """Name lines that hold a credential or an address closed to readers, by number: as the author's file has them."""
    lines = exported.splitlines()

    def place(number: int) -> str:
        text = installable.splitlines()[number - 1]
        return f"line {lines.index(text) + 1}" if text in lines else f"line {number} of export_data/{FILE}"

    for number, kind in find_credentials(installable).items():
        hint = hint_for(Find(f"export_data/{FILE}", "", ""))
        yield warned(NAME, f"{place(number)} cannot be published: {kind}", hint)
    for host, number in private_addresses(installable).items():
        what = f"{place(number)}: {host} is not among the public channels and indexes; readers may not reach it"
        hint = "images hold what was installed and run all the same; for readers to build anew, name a public address"
        yield warned(NAME, what, hint)


def _check_widgets(specs: Sequence[str], requirements: Sequence[str]) -> Iterator[Check]:
    pinned = {spec_name(spec): version_and_build(spec)[0] for spec in specs}
    pinned |= {requirement_name(line): version_and_build(line)[0] for line in requirements}
    for name, oldest in WIDGETS.items():
        version = pinned.get(name, "")
        # `=0.12` is any 0.12.
        numbers, least = ([int(number) for number in re.findall(r"\d+", one)] for one in (version, oldest))
        if numbers < least[: len(numbers)]:
            what = f"{name} {version} shows nothing in the hub: it has no front end for JupyterLab 4"
            yield warned(NAME, what, f"write `{name}={oldest}` or newer in export_data/{OVERRIDE_FILE}")


def _check_exclude(settings: Settings, changes: Sequence[Change]) -> Iterator[Check]:
    excluded = [normalise(change.where) for change in changes if change.kind == "excluded"]
    if idle := [one for one in settings.env_exclude if not any(matches(name, (normalise(one),)) for name in excluded)]:
        what = f"ENV_EXCLUDE names what is not in {FILE}, or what the hub needs: {', '.join(idle)}"
        yield warned(NAME, what, "correct it in .env; it takes names as in the file, and patterns such as jax*")


def check_packages(settings: Settings, docker: Docker) -> Iterator[Check]:
    """Solve both parts of the environment for the image, as far as channels and indexes answer."""
    prepared = prepare(settings, glibc_of(docker, settings.hub_base_image))
    for one in prepared.problems:
        yield failed(PACKAGES, one.what, one.advice)
    if prepared.unreachable:
        silent = "; ".join(f"{place} ({why})" for place, why in sorted(prepared.unreachable.items()))
        told = f"; {len(prepared.unknown)} conda packages were not looked up" if prepared.unknown else ""
        fix = "check the network; behind a proxy set HTTPS_PROXY and CA_BUNDLE"
        yield warned(PACKAGES, f"could not look at {silent}{told}", fix)
    elif not prepared.problems and not prepared.lock:
        what = "all can be had together, and nothing is locked: an address holds a user or a token"
        yield warned(PACKAGES, what, "name public channels and indexes: readers cannot build from these")
    if not prepared.lock:
        return
    if lost := [] if prepared.is_new else vanished(prepared.lock, settings.ca_bundle):
        what = f"{LOCK_FILE} names what its channels no longer have: {', '.join(lost)}"
        yield failed(PACKAGES, what, f"delete export_data/{LOCK_FILE}, then `invoke check` says what takes their place")
        return
    notes = "".join(f"; {note}" for note in prepared.notes)
    size = f"{len(prepared.lock.conda)} conda and {len(prepared.lock.pip)} pip packages"
    how = "are there together" if prepared.is_new else f"are there, as {LOCK_FILE} has them"
    yield passed(PACKAGES, f"{size} {how}, for Python {prepared.lock.python}{notes}")
