"""Checks of what readers would get to see: secrets in environment and notebooks, and addresses closed to readers."""

from itertools import groupby

from spyglass_export.checks.check import Check, passed, warned
from spyglass_export.environment.credentials import find_credentials, private_addresses
from spyglass_export.errors import some
from spyglass_export.publishing.secrets import Find, hint_for, in_notebooks
from spyglass_export.settings import Settings

NAME = "secrets"


def check_notebooks_secrets(settings: Settings) -> list[Check]:
    """Look for what `publish`, `bundle` and `archive` would refuse in notebooks/, a warning for each file."""
    checks = []
    for file, finds in groupby(in_notebooks(settings), lambda find: find.file):
        found = list(finds)
        places = some([f"{find.place}: {find.kind}".removeprefix(": ") for find in found], separator="; ")
        checks.append(warned(NAME, f"{file} cannot be published: {places}", hint_for(found[0])))
    return checks or [passed(NAME, "none found in notebooks/: cells, outputs, and files of text beside them")]


def check_environment_secrets(exported: str, installable: str) -> list[Check]:
    """Name the lines of environment.yml that hold a credential or an address closed to readers, by number alone.

    ``exported`` is the text as Spyglass wrote it, whose lines its author knows; ``installable`` is what readers get.
    """
    lines = exported.splitlines()

    def place(number: int) -> str:
        text = installable.splitlines()[number - 1]
        return f"line {lines.index(text) + 1}" if text in lines else f"line {number} of export_data/environment.yml"

    checks = [
        warned(
            "environment",
            f"{place(one.line)} cannot be published: {one.kind}",
            hint_for(Find("export_data/environment.yml", "", "")),
        )
        for one in find_credentials(installable)
    ]
    for host, number in private_addresses(installable).items():
        what = f"{place(number)}: {host} is not among the public channels and indexes; readers may not reach it"
        hint = "images hold what was installed and run all the same; for readers to build anew, name a public address"
        checks.append(warned("environment", what, hint))
    return checks
