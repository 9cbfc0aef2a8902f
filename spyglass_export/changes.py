"""What was changed on the way from the export to the containers, and why."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

_ABOUT_ACCOUNTS = re.compile(
    r"\b(IDENTIFIED|PASSWORD|AUTHENTICATION|(CREATE|ALTER|DROP)\s+(USER|ROLE|SERVER)|GRANT|REVOKE|CHANGE\s+(MASTER|REPL))",
    re.IGNORECASE,
)
_QUOTED = r"(?:`[^`]*`|'[^']*'|\"[^\"]*\")"
_ACCOUNT = re.compile(rf"{_QUOTED}\s*@\s*(?:{_QUOTED}|[\w.%:-]+)|(?<=DEFINER=)[^\s`'\"]+", re.IGNORECASE)
_PATH = re.compile(
    r"(?:file:/*)?(?<![\w/:.@-])(?:~?(?:/[^\s/'\"`,;)]+){2,}/?|[A-Za-z]:[\\/][^'\"`,;\n]+|\\\\[\w.-]+\\[^'\"`,;\n]+)"
    r"|file:/[^\s'\"`,;)]+"
)
# What users read in place of a kind's short name.
KINDS = {
    "source server": "settings of the server that the export was made on",
    "character set": "character sets",
    "column length": "lengths of columns",
    "GPU package": "packages for GPUs",
    "GPU build": "packages built for GPUs",
    "development version": "versions under development",
    "name": "the environment's name",
    "prefix": "the environment's folder",
}


@dataclass(frozen=True)
class Change:
    """One change made to what was exported; `copy_files` prints them counted, the manifest lists each.

    ``kind`` groups changes of one sort (``"character set"``), ``where`` names what was changed (a table, a
    column, a package), ``before`` and ``after`` quote it (``after`` is empty where it was taken out).
    """

    kind: str
    where: str
    before: str
    after: str
    reason: str

    def for_readers(self, kind_of_credential: Callable[[str], str]) -> "Change":
        """Tell accounts, paths and credentials (what ``kind_of_credential`` has a word for) by their kind alone."""

        def shown(text: str) -> str:
            if kind := kind_of_credential(text):
                return f"({kind})"
            if _ABOUT_ACCOUNTS.search(text):
                return "(a statement on accounts)"
            return _PATH.sub("(a path)", _ACCOUNT.sub("(an account)", text))

        return replace(self, where=shown(self.where), before=shown(self.before), after=shown(self.after))


def say_kinds(changes: Iterable[Change]) -> str:
    """Tell in one line what was changed how often."""
    counted = Counter(change.kind for change in changes)
    return ", ".join(f"{KINDS.get(kind, kind)} ({count})" for kind, count in sorted(counted.items()))
