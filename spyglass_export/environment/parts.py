"""What became of the two parts of an environment: the packages that were picked, or what keeps them from it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spyglass_export.environment.problems import Problem


class CondaPart(NamedTuple):
    """The packages that were picked, Python's among them by version, and what is wrong.

    ``unknown`` are specs that a channel may have which is silent.
    """

    packages: list[dict[str, str]]
    brought: dict[str, str]
    problems: list[Problem]
    unknown: list[str]


@dataclass
class PipPart:
    """The packages as a lock has them, their indexes, and what did not answer and why."""

    packages: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    unreachable: dict[str, str] = field(default_factory=dict)
