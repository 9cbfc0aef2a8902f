"""environment.yml, made installable: by `rules`, by what the author wishes, and by what the hub needs."""

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from spyglass_export.changes import Change
from spyglass_export.environment import rules
from spyglass_export.environment.credentials import kind_of_credential
from spyglass_export.environment.file import EXPORT_IT, Document, Line, added, contradictions, read, read_text, write
from spyglass_export.environment.package_lists import BRINGS_TORCH, PYTORCH_CPU_INDEX, PYTORCH_WHEELS, exported_on
from spyglass_export.errors import UserError
from spyglass_export.files import text_of

FILE = "environment.yml"
OVERRIDE_FILE = "environment.override.yml"
VERSION_FILE = "spyglass_version"


class Evidence(NamedTuple):
    """What channels told: names that none has for Linux (``None``: one was silent), and the systems of builds."""

    absent: frozenset[str] | None
    systems: tuple[str, ...]


NO_EVIDENCE = Evidence(None, ())
_DUMPED_BY = re.compile(rb"^-- SPYGLASS VERSION: (?!None )(\S+) --", re.MULTILINE)
# Where an environment is, on one machine; a folder that every Linux has may stay.
_PATH = re.compile(
    r"(^|[:;=,\s'\"])(~|/(?!(tmp|dev|usr|etc|bin|proc)\b)\w|[A-Za-z]:[\\/]|\\\\|file:)|\$\{?HOME|%USERPROFILE%"
)
_SECRET = re.compile(r"key|token|secret|passw|passphrase|pwd|pass$|credential|auth(?!or)|cookie|dsn|session_?id", re.I)
# The beginnings that services give their keys, and long mixtures of letters and digits.
_SECRET_VALUE = re.compile(
    r"sk-|gh[pousr]_|hf_|xox[abp]-|AKIA|AIza|eyJ|glpat-|(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_-]{24,}\Z"
)
_GPU = re.compile(r"^(CUDA|CUDNN|NVIDIA|NCCL|ROCM|HIP|ROCR|GPU)_|VISIBLE_DEVICES$|^TF_FORCE_GPU|^JAX_CUDA", re.I)
_PLATFORM = re.compile(r"cuda|gpu|rocm|metal|tpu", re.I)
# What the hub is given when it starts, and how one machine reaches the network.
_HUB = re.compile(r"^(SPYGLASS|DJ|DANDI)_|^(PATH|HOME|USER|LOGNAME|HOSTNAME|SHELL|PWD|DISPLAY)$|_proxy$", re.I)


def made_of(paper_dir: Path, export_data: Path, paper_id: str, exclude: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The text of the export's environment.yml, and all else that `make_installable` takes for it but evidence.

    :raises UserError: where environment.yml is missing or no text.
    """
    if not (paper_dir / FILE).is_file():
        raise UserError(f"there is no {FILE} in {paper_dir}", f"Spyglass' Export writes it; or {EXPORT_IT}")
    override = export_data / OVERRIDE_FILE
    return read_text(paper_dir / FILE), {
        "name": paper_id,
        "exclude": exclude,
        "override": read_text(override) if override.is_file() else None,
        "spyglass_version": _spyglass_version(paper_dir),
    }


def _spyglass_version(paper_dir: Path) -> str:
    """What the first lines of the dump say, as they are written together with the rows, or else a file beside it."""
    for dump in sorted(paper_dir.glob("[!.]*.sql*")):
        try:
            with (gzip.open if dump.suffix.lower() == ".gz" else open)(dump, "rb") as content:
                if version := _DUMPED_BY.search(content.read(4096)):
                    return version[1].decode("utf-8", "replace")
        except (OSError, EOFError, zlib.error):
            continue  # what is wrong with it, is told where it is read
    return text_of(paper_dir / VERSION_FILE).strip()


def make_installable(
    text: str,
    *,
    name: str,
    exclude: Sequence[str] = (),
    override: str | None = None,
    spyglass_version: str = "",
    evidence: Evidence = NO_EVIDENCE,
) -> tuple[str, list[Change]]:
    """Return an environment.yml that installs on Linux without a GPU, and each change with its reason.

    ``exclude`` takes packages out, by names or shell patterns (``jax*``), but for what the hub needs. ``override`` is
    the text of environment.override.yml and wins over all else: a package in it takes the place of those of its name
    in both parts, or is added; a list of channels replaces the whole list. ``spyglass_version`` takes the place of
    Spyglass' own folder (``..``). Without ``evidence``, short lists decide what cannot exist on Linux.
    Applied to its own output, nothing changes.

    :raises UserError: for YAML that is broken (with its line) or is no conda environment, and for what cannot be
        installed elsewhere whatever is done: paths on the lab's disk, development versions of unknown origin.
    """
    document = read(text, FILE)
    if not document.lines:
        raise UserError(f"{FILE} names no dependencies", EXPORT_IT)
    channels = None
    if override and re.search(r"^\s*[^#\s]", override, re.MULTILINE):
        wish = read(override, OVERRIDE_FILE)
        _check_override(wish)
        channels = [node.value for node in wish.channel_nodes] if "channels" in wish.keys else None
        _apply_override(document.conda, wish.conda, wish.pip)
        _apply_override(document.pip, wish.pip, wish.conda)
    builds = [(line.name, rules.version_and_build(line.before)[1]) for line in document.conda]
    around = rules.Surroundings(
        conda={line.name: rules.version_and_build(line.before)[0] for line in document.conda if line.after},
        pip={line.name for line in document.pip if line.after},
        other_system=exported_on(builds, str(document.data.get("prefix") or ""), evidence.systems),
        exclude=tuple(rules.normalise(pattern.strip()) for pattern in exclude if pattern.strip()),
        spyglass_version=spyglass_version,
        absent=evidence.absent,
    )
    for line in document.lines:
        rulings = rules.spec_rulings if line.part == "conda" else rules.requirement_rulings
        # Until no rule changes it, so that a second run finds nothing to do.
        while line.after and not line.author and (ruling := next(rulings(line.after, around), None)):
            line.become(*ruling)
    _apply_hashes(document.pip)
    _add_needed(document)
    if faults := [*_faults(document, channels)]:
        hints = dict.fromkeys(hint for _, hint, _ in faults)
        if names := ",".join(name for *_, name in faults if name):
            hints[f"leave out what the paper can do without: ENV_EXCLUDE={names} in .env"] = None
        raise UserError("; ".join(what for what, *_ in faults), "; or ".join(hints))
    header, changes = _header(document.data, name, channels)
    changes += [change for line in document.lines for change in line.changes]
    return write(document, header), changes


def _check_override(wish: Document) -> None:
    for key, (node, _) in wish.keys.items():
        if key not in ("channels", "dependencies"):
            hint = "it may hold `channels:` and `dependencies:`; the name is PAPER_ID"
            raise wish.error(node, f"'{key}' cannot be overridden", hint)
    for first, second in (*combinations(wish.conda, 2), *combinations(wish.pip, 2)):
        if second.node and first.key == second.key:
            raise wish.error(second.node, f"'{second.name}' comes a second time", "keep one of the two lines")


def _apply_override(lines: list[Line], wishes: list[Line], elsewhere: list[Line]) -> None:
    """Put the author's lines in the place of those of the same name in this part; ``elsewhere`` is the other part's."""
    reason = f"{OVERRIDE_FILE} says so"
    waiting = {wish.key: wish for wish in wishes}
    named = {*waiting, *(wish.name for wish in elsewhere if wish.name)}
    for line in lines:
        if line.key in named:
            wish = waiting.pop(line.key, None)
            line.author = True
            line.become("override", wish.after if wish else "", reason)
    lines += [added(wish.part, wish.after, "override", reason, author=True) for wish in waiting.values()]


def _apply_hashes(lines: list[Line]) -> None:
    """Take hashes out where not all packages have one."""
    packages = [line for line in lines if line.after and not line.after.startswith("-")]
    hashed = [line for line in packages if "--hash=" in line.after]
    for line in hashed if len(hashed) < len(packages) else ():
        if not line.author:
            without = re.sub(r"\s+--hash=\S+", "", line.after)
            line.become("hash", without, "pip wants hashes of all packages or of none, and others here have none")


def _add_needed(document: Document) -> None:
    """Add what the hub needs and the export lacks: ipykernel, pip where pip installs something, an index."""
    pip = [line for line in document.pip if line.after]
    wheels = any(line.name in BRINGS_TORCH or (line.name in PYTORCH_WHEELS and not line.author) for line in pip)
    if wheels and not any("download.pytorch.org/whl/cpu" in line.after for line in pip):
        reason = "PyPI's torch for Linux is a GPU build; this index has the same versions for a CPU"
        document.pip.insert(0, added("pip", PYTORCH_CPU_INDEX, "GPU build", reason))
    names = {line.name for line in document.lines if line.after}
    if "pip" not in names and pip:
        document.conda.append(added("conda", "pip", "added", "it installs the `pip:` part"))
    if "ipykernel" not in names:
        document.conda.append(added("conda", "ipykernel", "added", "notebooks run on the environment through it"))


def _faults(document: Document, channels: list[str] | None) -> Iterator[tuple[str, str, str]]:
    """What only the lab's machine can install: the line, what to do, and the name by which it can be left out."""

    def place(line: Line) -> str:
        return document.place(line.node) if line.node and not line.author else OVERRIDE_FILE

    for node in document.channel_nodes if channels is None else ():
        if rules.spec_problem(node.value):
            hint = f"name the channels that everyone can reach under `channels:` in export_data/{OVERRIDE_FILE}"
            yield f"{document.place(node)}: the channel '{node.value}' {rules.DISK_ONLY}", hint, ""
    for line in document.lines:
        problem = (rules.spec_problem if line.part == "conda" else rules.requirement_problem)(line.after)
        if line.after and problem and not (line.author and problem != rules.DISK_ONLY):
            yield f"{place(line)}: '{line.after}' {problem}", _way_out(line), line.name
    for first, second in (*contradictions(document.conda), *contradictions(document.pip)):
        both = f"'{first.after}' and '{second.after}'"
        hint = f"keep one of {both}: write it alone in export_data/{OVERRIDE_FILE}"
        yield f"{place(second)}: {both} contradict each other", hint, ""


def _way_out(line: Line) -> str:
    """What the author can do about a line that no other machine can install, other than leave it out."""
    if files := re.match(r"(?:-r|--requirement|-c|--constraint)[=\s]*(\S+)", line.after):
        return f"write the lines of {files[1]} under `pip:` in export_data/{OVERRIDE_FILE}, and leave this one out"
    if re.match(r"-f|--find-links", line.after):
        return f"write `--find-links https://…` under `pip:` in export_data/{OVERRIDE_FILE}, and leave this one out"
    if line.after.startswith("-") and not line.name:
        return f"take '{line.after}' out of {FILE} in the export's folder"
    if line.part == "conda":
        return f"write `{line.name}=VERSION`, a version that a channel has, in export_data/{OVERRIDE_FILE}"
    return (
        f"write what installs {line.name} under `pip:` in export_data/{OVERRIDE_FILE}, a release"
        f" (`{line.name}==VERSION`) or a public commit (`{line.name} @ git+https://github.com/OWNER/REPOSITORY@COMMIT`)"
    )


def _header(data: dict[str, Any], name: str, channels: list[str] | None) -> tuple[dict[str, Any], list[Change]]:
    """What stands above the dependencies, as it is to be, and each change to it."""
    header = {"name": name} | data | {"name": name}
    changes = []
    if data.get("name") != name:
        before = "" if data.get("name") is None else str(data["name"])
        changes.append(Change("name", "name", before, name, "the environment and its kernel are called by PAPER_ID"))
    if "prefix" in data:
        changes.append(Change("prefix", "prefix", str(header.pop("prefix")), "", "it is a folder of the lab's machine"))
    if channels is not None and channels != data.get("channels"):
        before, header["channels"] = ", ".join(data.get("channels") or ()), channels
        changes.append(Change("override", "channels", before, ", ".join(channels), f"{OVERRIDE_FILE} says so"))
    if dropped := left_out(data.get("variables")):
        header["variables"] = {key: value for key, value in data["variables"].items() if key not in dropped}
        if not header["variables"]:
            del header["variables"]
    for variable, reason in dropped.items():
        changes.append(Change("variable", variable, "set by the lab's environment", "", reason))
    return header, changes


def left_out(variables: Any) -> dict[str, str]:
    """The names of the variables that do not belong to the paper, each with the reason; values are never told."""
    named = variables.items() if isinstance(variables, dict) else ()
    return {str(name): reason for name, value in named if (reason := _reason(str(name), str(value)))}


def _reason(name: str, value: str) -> str:
    if _SECRET.search(name) or _SECRET_VALUE.match(value) or kind_of_credential(value):
        return "it may be a key or a password"
    if _HUB.search(name):
        return "the hub is given its own value when it starts"
    if _PATH.search(value):
        return "it names a path of the lab's machine"
    if _GPU.search(name) or (name.upper() in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME") and _PLATFORM.search(value)):
        return "it is for a GPU, and the containers have none"
    return ""
