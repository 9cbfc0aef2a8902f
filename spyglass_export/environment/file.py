"""A conda environment file: read with its lines' places, and written with only those lines changed that must.

Comments, order and quotes stay. A file in flow style (``dependencies: [numpy, scipy]``) is written anew.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from spyglass_export.changes import Change
from spyglass_export.environment import rules
from spyglass_export.errors import UserError

EXPORT_IT = "in the paper's environment, write `conda env export --file environment.yml`"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# What is in a file of each kind, what it is, and what to do.
_OTHER_KINDS = (
    (r"^@EXPLICIT\b", "is what `conda list --explicit` writes: addresses of packages for one system", EXPORT_IT),
    (r"^# packages in environment at ", "is what `conda list` writes", EXPORT_IT),
    (
        r"^\[(project|workspace|dependencies|feature\.|tool\.pixi)",
        "is a project file of pixi (TOML)",
        "write `pixi workspace export conda-environment environment.yml` in the folder of that project",
    ),
    (
        r"\Aversion: \d+\nenvironments:",
        "is a lock file of pixi",
        "write `pixi workspace export conda-environment environment.yml` in the folder of that project",
    ),
    (
        r"^metadata:\n(.*\n)*package:\s*\n",
        "is a lock file of conda-lock",
        f"take the environment.yml that it was made from, or install it and {EXPORT_IT}",
    ),
    (
        r"\A(\s*(#.*)?\n)*([A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?\s*([=<>!~]=|[<>;@]).*|-[er] .*|--\S+ .*)\n",
        "is a list of requirements for pip, not a conda environment",
        f"{EXPORT_IT}; or write `name:`, `dependencies:` with `- python=VERSION`, and these lines under `- pip:`",
    ),
)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The lines from one to below another, and the text that takes their place; where it is one line, stands above it.
_Edit = tuple[int, int, str]


@dataclass
class Line:
    """One dependency: ``node`` where the file has it (``None``: added), ``after`` its text now (``""``: out)."""

    part: str
    node: yaml.Node | None
    after: str = ""
    author: bool = False
    changes: list[Change] = field(default_factory=list)

    @property
    def before(self) -> str:
        """Its text in the file, ``""`` where it is added."""
        return str(self.node.value) if self.node else ""

    @property
    def name(self) -> str:
        """The normalised name under which the file has the dependency, ``""`` for an option of pip."""
        named = rules.spec_name if self.part == "conda" else rules.requirement_name
        return named(self.before or self.after)

    @property
    def key(self) -> str:
        """The name, or the whole text where there is none."""
        return self.name or self.after

    def become(self, kind: str, after: str, reason: str) -> None:
        """Give the dependency another text, and note the change; to what it is already, do nothing."""
        if after != self.after:
            before, self.after = self.after, after
            self.changes.append(Change(kind, self.name or self.part, before, after, reason))


def added(part: str, text: str, kind: str, reason: str, *, author: bool = False) -> Line:
    """A line that the file does not have."""
    line = Line(part, None, author=author)
    line.become(kind, text, reason)
    return line


def contradictions(lines: list[Line]) -> list[tuple[Line, Line]]:
    """Two lines of one part that pin one package at two versions; what else contradicts, a solver finds."""
    found = []
    pins: dict[str, tuple[str, Line]] = {}
    for line in lines:
        if ";" not in line.after and (version := rules.version_and_build(line.after)[0]):
            name = rules.plain_name(line.after) if line.part == "conda" else line.name
            other, first = pins.setdefault(name, (version, line))
            if not f"{other}.".startswith(f"{version}.") and not f"{version}.".startswith(f"{other}."):
                found.append((first, line))
    return found


@dataclass
class Document:
    """A parsed file: its text, data, top-level nodes by key, and dependencies in the order of each part."""

    text: str
    file: str
    data: dict[str, Any]
    start: int
    keys: dict[str, tuple[yaml.Node, yaml.Node]] = field(default_factory=dict)
    channel_nodes: list[yaml.Node] = field(default_factory=list)
    pip_item: yaml.MappingNode | None = None
    conda: list[Line] = field(default_factory=list)
    pip: list[Line] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """Every dependency, conda's part first."""
        return self.conda + self.pip

    def place(self, node: yaml.Node) -> str:
        """Name the file and the line that a node begins on."""
        return f"{self.file}, line {node.start_mark.line + 1}"

    def error(self, node: yaml.Node, problem: str, hint: str) -> UserError:
        """Make the error for a problem with one line of the file."""
        return UserError(f"{self.place(node)}: {problem}", hint)


def read_text(path: Path) -> str:
    """Read a file that must be UTF-8 text, with or without a byte order mark.

    :raises UserError: where it is another encoding, UTF-16 by name.
    """
    content = path.read_bytes()
    if content.startswith(_UTF16):
        what = f"{path.name} is UTF-16 text, as `>` of Windows PowerShell writes it"
        raise UserError(what, f"{EXPORT_IT} (without `>`), or save the file as UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        what = f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}"
        raise UserError(what, "save it as UTF-8") from error


def load(text: str) -> Any:
    """The values of a YAML text, by libyaml where PyYAML has it: a lock has thousands of lines."""
    return yaml.load(text, _Loader)  # noqa: S506 - both are safe


def read(text: str, file: str) -> Document:
    """Parse a file and check its structure; byte order mark and Windows line ends are gone afterwards."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text += "" if text.endswith("\n") else "\n"
    for pattern, what, hint in _OTHER_KINDS:
        if re.search(pattern, text, re.MULTILINE):
            raise UserError(f"{file} {what}", hint)
    root, data = _parse_yaml(text, file)
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{file} is not a conda environment", EXPORT_IT)
    document = Document(text, file, data, root.start_mark.line)
    for key, value in root.value:
        if key.value in document.keys:
            raise document.error(key, f"'{key.value}' comes a second time", "merge the two: YAML keeps only the last")
        document.keys[key.value] = (key, value)
    document.channel_nodes = [node for node in _items(document, root, "channels") if _text(document, node)]
    for node in _items(document, root, "dependencies"):
        if not isinstance(node, yaml.MappingNode):
            document.conda.append(Line("conda", node, _text(document, node)))
        elif document.pip_item or [key.value for key, _ in node.value] != ["pip"]:
            hint = "write packages as `name=version`, and one `pip:` part for all that pip installs"
            raise document.error(node, "neither a package nor the one `pip:` part", hint)
        else:
            document.pip_item = node
            document.pip = [Line("pip", item, _text(document, item)) for item in _items(document, node, "pip")]
    return document


def _parse_yaml(text: str, file: str) -> tuple[yaml.Node | None, Any]:
    """Give the file's nodes, with their places, and its values; raise UserError where it is not YAML."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return root, loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        # What is no `name: value` is told where it begins; YAML finds it out at the next line.
        is_key = error.context == "while scanning a simple key"
        mark = error.context_mark if is_key else error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be read"
        told = text.split("\n")[mark.line] if mark else ""
        hint = "indent with spaces: YAML allows no tabs" if "\t" in told else "correct the line in your export"
        hint = f"begin it with `- ` or remove it: {told.strip()[:60]!r}" if is_key else hint
        raise UserError(f"{file}{f', line {mark.line + 1}' if mark else ''}: broken YAML: {problem}", hint) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{file}, line {line}: a character that YAML does not allow", "remove it") from error
    except ValueError as error:  # a date such as 2024-13-45
        raise UserError(f"{file}: broken YAML: {error}", "put the value in quotes") from error


def _items(document: Document, mapping: yaml.MappingNode, key: str) -> list[yaml.Node]:
    node = next((value for name, value in mapping.value if name.value == key), None)
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise document.error(node, f"'{key}' must be a list", "write each entry on a line that begins with `- `")
    return list(node.value)


def _text(document: Document, node: yaml.Node) -> str:
    if node.tag != "tag:yaml.org,2002:str" or not node.value.strip():
        shown = repr(node.value) if isinstance(node, yaml.ScalarNode) and node.value else "an empty entry"
        raise document.error(node, f"{shown} is no name", "write packages as `name=version`, or remove the line")
    lines = document.text[node.start_mark.index : node.end_mark.index].splitlines()
    if len(lines) > 1 and isinstance(node, yaml.ScalarNode) and not node.style:
        place, text = f"{document.file}, line {node.start_mark.line + 2}", lines[1].strip()
        raise UserError(f"{place}: '{text}' has no `- ` before it", "begin each package with `- `, below the one above")
    return str(node.value)


def write(document: Document, header: Mapping[str, Any]) -> str:
    """Return the file's text with its dependencies as they are now; all else by its keys is in ``header``."""
    conda, pip = ([line.after for line in part if line.after] for part in (document.conda, document.pip))
    edited = _edited(document, header)
    with contextlib.suppress(yaml.YAMLError, TypeError, AttributeError):
        data = load(edited)
        if packages_of(data) == (conda, pip) and data == {**header, "dependencies": data["dependencies"]}:
            return edited
    return _dump({**header, "dependencies": [*conda, *([{"pip": pip}] if pip else [])]})


def packages_of(content: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The lines of conda's part and of pip's."""
    dependencies = content.get("dependencies") or []
    specs = [line for line in dependencies if isinstance(line, str)]
    return specs, [line for part in dependencies if isinstance(part, dict) for line in part.get("pip") or ()]


def _edited(document: Document, header: Mapping[str, Any]) -> str:
    """The text, edited line by line; not what it should be where a line holds more than one entry."""
    lines = document.text.splitlines(keepends=True)
    items = document.keys["dependencies"][1]
    indent = " " * items.start_mark.column
    edits = [*_header_edits(document, header)]
    edits += _part_edits(document.conda, lines, indent, items.value[0].start_mark.line)
    if document.pip_item:
        key, value = document.pip_item.value[0]
        edits += _part_edits(document.pip, lines, " " * value.start_mark.column, _below(value))
        if document.pip and not any(line.after for line in document.pip):
            edits.append((key.start_mark.line, key.start_mark.line + 1, ""))
    elif document.pip:
        edits.append((_below(items), _below(items), f"{indent}- pip:\n"))
        edits += _part_edits(document.pip, lines, f"{indent}    ", _below(items))
    # From the last to the first, so that the places of the others stay.
    edits.sort(key=itemgetter(0, 1))
    for start, end, text in reversed(edits):
        lines[start:end] = [text]
    return "".join(lines)


def _header_edits(document: Document, header: Mapping[str, Any]) -> Iterator[_Edit]:
    places = {"name": document.start, "channels": document.keys["dependencies"][0].start_mark.line}
    for key in dict.fromkeys((*document.data, *header)):
        text = _dump({key: header[key]}) if key in header else ""
        if key not in document.data:
            yield places[key], places[key], text
        elif key != "dependencies" and document.data[key] != header.get(key):
            first, last = document.keys[key]
            yield first.start_mark.line, _below(last), text


def _part_edits(part: list[Line], text: list[str], indent: str, place: int) -> Iterator[_Edit]:
    """The edits of one part; what is added stands below the line before it, or else at ``place``."""
    place = next((line.node.start_mark.line for line in part if line.node), place)
    for line in part:
        if line.node is None:
            yield place, place, f"{indent}- {_scalar(line.after)}\n" if line.after else ""
            continue
        start, end, place = line.node.start_mark, line.node.end_mark, _below(line.node)
        if not line.after:
            yield start.line, place, ""
        elif line.after != line.before:
            whole = text[start.line]
            yield start.line, place, f"{whole[: start.column]}{_scalar(line.after)}{whole[end.column :]}"


def _below(node: yaml.Node) -> int:
    """The line below a node; that of a list in block style is marked where the next entry of the file begins."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.line) + 1


def _dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=float("inf"))


def _scalar(value: str) -> str:
    """A string as YAML writes it on one line, in quotes where it needs them."""
    return _dump(value).removesuffix("...\n").rstrip("\n")
