"""CITATION.cff, where the author has one: the paper's title, authors and licence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spyglass_export.errors import UserError

FILE = "CITATION.cff"


@dataclass(frozen=True)
class Citation:
    """What to cite; ``licence`` is an SPDX expression. All but the title is empty where nobody gave it.

    Authors, persons or institutions, have a ``name``, an ``orcid``, which is a URL, and an ``affiliation``.
    """

    title: str
    abstract: str = ""
    authors: tuple[dict[str, str], ...] = ()
    licence: str = ""
    doi: str = ""
    is_given: bool = False


def read(root: Path, paper_id: str) -> Citation:
    """Read CITATION.cff, or give the paper's ID as the title. Raises UserError where the file cannot be read."""
    file, title = root / FILE, f"Spyglass paper {paper_id}"
    if not file.is_file():
        return Citation(title)
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it does not consist of names and values")
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{FILE} cannot be read: {reason}", "check it, for instance with cffconvert") from error
    licences = found.get("license") or ""
    return Citation(
        title=str(found.get("title") or title),
        abstract=" ".join(str(found.get("abstract") or "").split()),
        authors=tuple(_author(entry) for entry in found.get("authors") or () if isinstance(entry, dict)),
        licence=" OR ".join(map(str, licences)) if isinstance(licences, list) else str(licences),
        doi=str(found.get("doi") or ""),
        is_given=True,
    )


def _author(entry: dict[str, Any]) -> dict[str, str]:
    names = (entry.get(part) for part in ("given-names", "name-particle", "family-names", "name-suffix"))
    name = " ".join(str(part) for part in names if part) or entry.get("name") or entry.get("alias") or "unknown"
    return {"name": str(name), **{part: str(entry.get(part) or "") for part in ("orcid", "affiliation")}}
