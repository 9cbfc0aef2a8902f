"""environment.lock.yml: what the environment was solved to, and what its image is installed from."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spyglass_export.environment.file import load
from spyglass_export.environment.installable import Evidence
from spyglass_export.files import write_text

FILE = "environment.lock.yml"
FORMAT = 1
_HEADER = """\
# What environment.yml was solved to: the image is installed from this. `invoke copy_files` writes it; delete it to
# have the environment solved anew.
"""


@dataclass(frozen=True)
class Lock:
    """The packages for Linux on x86-64, in the order to install them in, and the indexes that pip's come from.

    ``source`` is a hash of all that the environment was made of, ``environment`` of environment.yml's text.
    """

    source: str
    environment: str
    python: str
    glibc: str
    evidence: Evidence
    conda: list[dict[str, str]]
    pip: list[dict[str, Any]]
    pip_options: list[str]


def read(export_data: Path) -> Lock | None:
    """Read the lock; None where there is none that can be used."""
    try:
        data = load((export_data / FILE).read_text(encoding="utf-8"))
        if data["version"] != FORMAT:
            return None
        names = {name: data[name] for name in Lock.__dataclass_fields__ if name != "evidence"}
        absent = None if data["absent"] is None else frozenset(data["absent"])
        return Lock(**names, evidence=Evidence(absent, tuple(Counter(data["systems"]).elements())))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return None


def write(export_data: Path, lock: Lock | None) -> None:
    """Keep the lock beside environment.yml; without one, remove what is there of an earlier environment."""
    if not lock:
        (export_data / FILE).unlink(missing_ok=True)
    elif read(export_data) != lock:
        own = {name: value for name, value in vars(lock).items() if name != "evidence"}
        absent, systems = lock.evidence
        told = {"absent": None if absent is None else sorted(absent), "systems": dict(sorted(Counter(systems).items()))}
        data = {"version": FORMAT, "platform": "linux-64"} | own | told
        write_text(export_data / FILE, _HEADER + yaml.safe_dump(data, sort_keys=False, width=1000))
