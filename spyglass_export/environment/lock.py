"""environment.lock.yml: what the environment was solved to, and what its image is installed from."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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
    """The packages of an environment for Linux on x86-64.

    ``source`` is a hash of all that the environment was made of, ``environment`` of environment.yml's text.
    ``conda`` has name, version, build, url, sha256 and md5 of each package in the order to install them in, ``pip``
    requirement and sha256 (of each file there is), ``pip_options`` the indexes that these come from.
    """

    source: str
    environment: str
    python: str
    glibc: str
    evidence: Evidence
    conda: tuple[dict[str, str], ...]
    pip: tuple[dict[str, Any], ...]
    pip_options: tuple[str, ...]

    def text(self) -> str:
        """Word the file."""
        data = {
            "version": FORMAT,
            "platform": "linux-64",
            "glibc": self.glibc,
            "python": self.python,
            "source": self.source,
            "environment": self.environment,
            "absent": None if self.evidence.absent is None else sorted(self.evidence.absent),
            "systems": dict(sorted(Counter(self.evidence.systems).items())),
            "conda": list(self.conda),
            "pip_options": list(self.pip_options),
            "pip": list(self.pip),
        }
        return _HEADER + yaml.safe_dump(data, sort_keys=False, width=1000)


def read(export_data: Path) -> Lock | None:
    """Read the lock; None where there is none that can be used."""
    file = export_data / FILE
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        if not isinstance(data, dict) or data["version"] != FORMAT:
            return None
        absent = data["absent"]
        systems = tuple(system for system, count in data["systems"].items() for _ in range(count))
        return Lock(
            source=data["source"],
            environment=data["environment"],
            python=data["python"],
            glibc=data["glibc"],
            evidence=Evidence(None if absent is None else frozenset(absent), systems),
            conda=tuple(data["conda"]),
            pip=tuple(data["pip"]),
            pip_options=tuple(data["pip_options"]),
        )
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return None


def write(export_data: Path, lock: Lock | None) -> None:
    """Keep the lock beside environment.yml; without one, remove what is there of an earlier environment."""
    file = export_data / FILE
    text = lock.text() if lock else ""
    if not text:
        file.unlink(missing_ok=True)
    elif not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)
