"""What must not get to others: passwords, keys and tokens in what readers are given."""

import re

from spyglass_export.errors import UserError
from spyglass_export.notebooks.files import notebook_files
from spyglass_export.settings import DECLARED, Settings

# A user or token before a host; the token of a private channel, as conda writes it. `git@` is everybody.
CREDENTIAL = re.compile(rb"://(?!git@)[^/\s'\"@]+@[\w.-]+|/t/[^/\s]{6,}/")


def check_no_secret(settings: Settings) -> None:
    """Look through the notebooks and environment.yml.

    Raises UserError where a notebook quotes the DANDI key or a password of the author's own, or where an address of
    the environment has a user or a token in it.
    """
    secrets = {name: str(getattr(settings, name.lower())) for name, one in DECLARED.items() if one.secret}
    own = {name: value.encode() for name, value in secrets.items() if len(value) > 7 and value != settings.paper_id}
    for file in notebook_files(settings.notebooks):
        content = file.read_bytes() if own and file.is_file() else b""
        for name, value in own.items():
            if value in content:
                raise UserError(
                    f"{file.relative_to(settings.root)} holds the value of {name}, and readers would get it",
                    "take it out of the notebook and its outputs, run `invoke build`, and try again",
                )
    environment = settings.export_data / "environment.yml"
    lines = environment.read_bytes().splitlines() if environment.is_file() else []
    for number, line in enumerate(lines, 1):
        if CREDENTIAL.search(line):
            raise UserError(
                f"export_data/environment.yml, line {number}, has a user or a token in an address, for readers to see",
                "name a public address in export_data/environment.override.yml, run `invoke build`, and try again",
            )
