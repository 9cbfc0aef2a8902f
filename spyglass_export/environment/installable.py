"""environment.yml, made installable: for the paper, without a GPU and away from the lab's machine.

`environment_file` reads and writes the file, `environment_rules` judges its lines; here the two meet, with what the
author wishes (``ENV_EXCLUDE``, environment.override.yml) and what the hub needs.
"""

import re
from collections.abc import Iterator, Sequence

from spyglass_export.changes import Change
from spyglass_export.environment import rules
from spyglass_export.environment.file import Document, Line, read, write
from spyglass_export.errors import UserError

FILE = "environment.yml"
OVERRIDE_FILE = "environment.override.yml"
# `conda env config vars` of the lab's machine that would win over what the hub is given when it starts.
HUB_VARIABLES = ("spyglass-*", "dj-*", "dandi-api-key")


def make_installable(
    text: str, *, name: str, exclude: Sequence[str] = (), override: str | None = None
) -> tuple[str, list[Change]]:
    """Return an environment.yml that installs on Linux without a GPU, and each change with its reason.

    ``name`` becomes the environment's name. ``exclude`` (``ENV_EXCLUDE``) takes packages out, by name or shell
    pattern (``jax*``), as PEP 503 compares names; ipykernel and pip stay, because the hub needs them.

    ``override`` is what the author wrote in environment.override.yml. It has ``dependencies``, ``channels`` or both,
    and wins over everything above: a package named there takes the place of those of its name in conda's and in pip's
    part, or is added at the end; a list of channels replaces the whole list. A path such as ``-e /home/me/tool`` goes
    by its last part, so ``tool`` replaces it. What the override holds is not changed, only checked for paths.

    The text returned has LF line ends. Applied to its own output, the function changes nothing and lists nothing.

    :raises UserError: for YAML that is broken (with its line) or is no conda environment, and for what cannot be
        installed elsewhere whatever is done: paths on the lab's disk, development versions of unknown origin.
    """
    document = read(text, FILE)
    if not document.lines:
        raise UserError(f"{FILE} names no dependencies", "write it anew with `conda env export`, in the environment")
    wish = read(override, OVERRIDE_FILE) if override and re.search(r"^\s*[^#\s]", override, re.MULTILINE) else None
    channels = None
    if wish:
        _check_override(wish)
        channels = [node.value for node in wish.channel_nodes] if "channels" in wish.keys else None
        _apply_override(document.conda, wish.conda, wish.pip, "conda")
        _apply_override(document.pip, wish.pip, wish.conda, "pip")
    around = _surroundings(document, exclude)
    for line in document.lines:
        _apply_rules(line, around)
    _add_needed(document, around)
    _check_places(document, channels)
    variables = _hub_variables(document)
    changes = [*_header_changes(document, name, channels, variables)]
    changes += [change for line in document.lines for change in line.changes]
    return write(document, name=name, channels=channels, dropped_variables=variables), changes


def _check_override(wish: Document) -> None:
    for key, (node, _) in wish.keys.items():
        if key not in ("channels", "dependencies"):
            hint = "it may hold `channels:` and `dependencies:`; the name is PAPER_ID"
            raise wish.error(node, f"'{key}' cannot be overridden", hint)
    for lines in (wish.conda, wish.pip):
        names = [line.name or line.after for line in lines]
        for line in lines[1:]:
            if line.node and names.index(line.name or line.after) < lines.index(line):
                raise wish.error(line.node, f"'{line.name}' comes a second time", "keep one of the two lines")


def _apply_override(lines: list[Line], wishes: list[Line], elsewhere: list[Line], part: str) -> None:
    """Put the author's lines in the place of those of the same name in this part; ``elsewhere`` is the other part's."""
    reason = f"{OVERRIDE_FILE} says so"
    waiting = {wish.name or wish.after: wish.after for wish in wishes}
    moved = {wish.name for wish in elsewhere if wish.name} - waiting.keys()
    placed = set()
    for line in lines:
        key = line.name or line.after
        if key in waiting:
            line.become("override", "" if key in placed else waiting[key], reason)
            line.author = True
            placed.add(key)
        elif line.name and line.name in moved:
            line.become("override", "", reason)
    for key, text in waiting.items():
        if key not in placed:
            line = Line(part, None, "", "", author=True)
            line.become("override", text, reason)
            lines.append(line)


def _surroundings(document: Document, exclude: Sequence[str]) -> rules.Surroundings:
    conda_names = frozenset(line.name for line in document.conda if line.after) - {""}
    return rules.Surroundings(
        conda_names=conda_names,
        pip_names=frozenset(line.name for line in document.pip if line.after) - {""},
        other_system=rules.other_system(conda_names),
        exclude=tuple(rules.normalise(pattern.strip()) for pattern in exclude if pattern.strip()),
    )


def _apply_rules(line: Line, around: rules.Surroundings) -> None:
    """Change a line until no rule changes it, so that a second run finds nothing to do."""
    rule = rules.spec_ruling if line.part == "conda" else rules.requirement_ruling
    while line.after and not line.author and (ruling := rule(line.after, around)):
        line.become(*ruling)


def _add_needed(document: Document, around: rules.Surroundings) -> None:
    """Add what the hub needs and the export lacks: ipykernel, pip where pip installs something, an index."""

    def add(lines: list[Line], at: int, text: str, kind: str, reason: str) -> None:
        line = Line("conda" if lines is document.conda else "pip", None, "", "")
        line.become(kind, text, reason)
        lines.insert(at, line)

    wheels = [line for line in document.pip if line.after and not line.author and line.name in rules.PYTORCH_WHEELS]
    gpu_marks = any(rules.matches(name, ("nvidia-*", "triton")) for name in around.pip_names)
    has_index = any("download.pytorch.org/whl/cpu" in line.after for line in document.pip)
    if wheels and not has_index and (gpu_marks or any(line.changes for line in wheels)):
        reason = "PyPI's torch for Linux is a GPU build; this index has the same versions for a CPU"
        add(document.pip, 0, rules.PYTORCH_CPU_INDEX, "GPU build", reason)
    names = {line.name for line in document.lines if line.after}
    if "pip" not in names and any(line.after for line in document.pip):
        add(document.conda, len(document.conda), "pip", "added", "it installs the `pip:` part")
    if "ipykernel" not in names:
        add(document.conda, len(document.conda), "ipykernel", "added", "notebooks run on the environment through it")


def _check_places(document: Document, channels: list[str] | None) -> None:
    """Refuse what only the lab's machine can install; one error names every such line."""
    found: list[tuple[str, str, str]] = []
    for node in document.channel_nodes if channels is None else ():
        if rules.spec_problem(node.value):
            found.append((document.place(node), f"the channel '{node.value}' {rules.DISK_ONLY}", ""))
    for line in document.lines:
        problem = (rules.spec_problem if line.part == "conda" else rules.requirement_problem)(line.after)
        if line.after and problem and not (line.author and problem != rules.DISK_ONLY):
            place = document.place(line.node) if line.node and not line.author else OVERRIDE_FILE
            found.append((place, f"'{line.after}' {problem}", line.name))
    if not found:
        return
    place, problem, name = found[0]
    more = f" (and {len(found) - 1} more: {'; '.join(other for other, *_ in found[1:])})" if found[1:] else ""
    hint = f"name the channels that everyone can reach under `channels:` in export_data/{OVERRIDE_FILE}"
    if name:
        hint = (
            f"write what installs it under `pip:` in export_data/{OVERRIDE_FILE}, a release (`{name}==1.0`) or a public"
            f" commit (`{name} @ git+https://github.com/OWNER/REPOSITORY@COMMIT`), or leave it out: ENV_EXCLUDE={name}"
        )
    raise UserError(f"{place}: {problem}{more}", hint)


def _header_changes(
    document: Document, name: str, channels: list[str] | None, variables: list[str]
) -> Iterator[Change]:
    data = document.data
    if data.get("name") != name:
        before = "" if data.get("name") is None else str(data["name"])
        yield Change("name", "name", before, name, "the environment and its kernel are called by PAPER_ID")
    if "prefix" in data:
        yield Change("prefix", "prefix", str(data["prefix"]), "", "it is a folder of the lab's machine")
    if channels is not None and channels != data.get("channels"):
        before = ", ".join(data.get("channels") or ())
        yield Change("override", "channels", before, ", ".join(channels), f"{OVERRIDE_FILE} says so")
    for variable in variables:
        reason = "the hub is given its own value when it starts"
        yield Change("variable", variable, "set by the lab's environment", "", reason)


def _hub_variables(document: Document) -> list[str]:
    variables = document.data.get("variables")
    names = [str(name) for name in variables] if isinstance(variables, dict) else []
    return [name for name in names if rules.matches(rules.normalise(name), HUB_VARIABLES)]
