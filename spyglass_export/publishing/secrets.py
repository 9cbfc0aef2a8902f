"""What must not get to others: passwords, keys and tokens in what readers are given."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spyglass_export.environment.credentials import find_credentials
from spyglass_export.errors import UserError, some
from spyglass_export.files import text_of
from spyglass_export.notebooks.files import notebook_files
from spyglass_export.publishing.own_secrets import names_in, names_in_file, own_secrets
from spyglass_export.publishing.scanner import find_secrets
from spyglass_export.settings import Settings

# A cell with this tag holds nothing secret, its author says.
HARMLESS_TAG = "allowlist-secret"
# What this file names in notebooks/, a name a line, holds nothing secret either. It is hidden, and in no image.
HARMLESS_FILES = ".allowlist-secrets"
ENVIRONMENT = "export_data/environment.yml"
# Outputs of these kinds are figures, films and sounds.
_NO_TEXT = ("image/", "audio/", "video/", "application/pdf", "application/octet-stream")
_TEXT_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Find:
    """A secret: the file below the project's folder, where in it, what it is, and whether it is the author's own."""

    file: str
    place: str
    kind: str
    is_own: bool = False

    def __str__(self) -> str:
        return f"{self.file}{self.place and ', '}{self.place}: {self.kind}"


def check_no_secret(settings: Settings) -> None:
    """Raise UserError where readers would get a secret in notebooks, files beside them, environment or rows.

    Of rows only the author's own secrets are none of the data.
    """
    credentials = find_credentials(text_of(settings.root / ENVIRONMENT))
    found = [Find(ENVIRONMENT, f"line {line}", kind) for line, kind in credentials.items()]
    found += in_notebooks(settings)
    secrets = own_secrets(settings)
    for file in sorted(settings.export_data.glob("sql/**/*.sql")) if secrets else ():
        found += _own(file.relative_to(settings.root).as_posix(), "", names_in_file(file, secrets))
    if found:
        found.sort(key=lambda find: not find.is_own)
        told = some([str(find) for find in found], 6, "; ")
        raise UserError(f"readers would get a secret: {told}", hint_for(found[0]))


def hint_for(find: Find) -> str:
    """Say what to do about a find, and how to mark one that is harmless."""
    if find.file == ENVIRONMENT:
        instead = "name a public address in export_data/environment.override.yml"
        return f"{instead}, or take the line out of the export's environment.yml; then `invoke build`, and try again"
    if find.is_own:
        return "take it out, or choose another password in .env; then `invoke build`, and try again"
    mark = f"end its line with `# pragma: allowlist secret`, give the cell the tag `{HARMLESS_TAG}`"
    name = f"write the file's name into notebooks/{HARMLESS_FILES}"
    return f"take it out, with the cell's output, and `invoke build`; where it is harmless, {mark}, or {name}"


def in_notebooks(settings: Settings) -> Iterator[Find]:
    """Find secrets in the notebooks, their outputs, and all files beside them that are text.

    The author's own are looked for in all files; archives and compressed files are not unpacked.
    """
    secrets = own_secrets(settings)
    names = text_of(settings.notebooks / HARMLESS_FILES).splitlines()
    harmless = {(settings.notebooks / name.strip()) for name in names}
    for file in notebook_files(settings.notebooks):
        if file.is_file():
            yield from _in_file(file, settings, secrets, file in harmless)


def _own(file: str, place: str, names: list[str]) -> list[Find]:
    return [Find(file, place, f"the value of {name}", is_own=True) for name in names]


def _in_file(file: Path, settings: Settings, secrets: Mapping[str, str], is_harmless: bool) -> Iterator[Find]:
    name = file.relative_to(settings.root).as_posix()
    language = "cell.py" if file.suffix == ".ipynb" else file.name
    own: set[str] = set()
    for place, text, is_marked in _texts(file):
        names = names_in(text, secrets)
        own.update(names)
        yield from _own(name, place, names)
        if not (is_harmless or is_marked):
            for line, kind in find_secrets(text, language, frozenset({settings.paper_id})):
                yield Find(name, f"{place}{place and ', '}line {line}", kind)
    yield from _own(name, "", [secret for secret in names_in_file(file, secrets) if secret not in own])


def _texts(file: Path) -> Iterator[tuple[str, str, bool]]:
    """The texts of a file: where each stands, what it says, and whether its author marked it as harmless."""
    with file.open("rb") as content:
        start = content.read(8192)
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    if b"\0" in start and encoding == "utf-8":
        return  # no text
    if file.suffix == ".ipynb":
        try:
            yield from _notebook_texts(json.loads(file.read_text(encoding="utf-8")))
            return
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # a broken notebook is a text all the same
    with file.open(encoding=encoding, errors="replace") as lines:
        while text := "".join(lines.readlines(_TEXT_AT_ONCE)):
            yield "", text, False


def _notebook_texts(notebook: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    for number, cell in enumerate(notebook["cells"], 1):
        is_marked = HARMLESS_TAG in cell["metadata"].get("tags", ())
        yield f"cell {number}", "".join(cell["source"]), is_marked
        shown = _strings([cell.get("outputs", []), cell["metadata"], cell.get("attachments", {})])
        yield f"output of cell {number}", "\n".join(shown), is_marked
    yield "its metadata", "\n".join(_strings(notebook["metadata"])), False


def _strings(value: Any, key: str = "") -> Iterator[str]:
    """Every string below a value, with its key in front as JSON has it; figures are none."""
    match value:
        case str():
            yield f'"{key}": {json.dumps(value, ensure_ascii=False)}' if key else value
        case list() if value and all(isinstance(one, str) for one in value):
            yield "".join(value)
        case list():
            for one in value:
                yield from _strings(one)
        case dict():
            for name, one in value.items():
                if not name.startswith(_NO_TEXT) or name.startswith("image/svg"):
                    yield from _strings(one, "" if "/" in name or name == "text" else name)
