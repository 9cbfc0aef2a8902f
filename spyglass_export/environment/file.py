"""A conda environment file: read with its lines' places, and written with only those lines changed that must.

PyYAML knows where in the text each value stands, so that a change is a splice: comments, order and quotes stay. A file
in flow style (``dependencies: [numpy, scipy]``) or with anchors cannot be edited so and is written anew.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from spyglass_export.changes import Change
from spyglass_export.environment import rules
from spyglass_export.environment.kinds import refuse_other_kinds
from spyglass_export.errors import UserError

_Edit = tuple[int, int, str]


@dataclass
class Line:
    """One dependency: ``node`` where the file has it (``None``: added), ``after`` its text now (``""``: out)."""

    part: str
    node: yaml.Node | None
    before: str
    after: str
    author: bool = False
    changes: list[Change] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The normalised name under which the file has the dependency, ``""`` for an option of pip."""
        named = rules.spec_name if self.part == "conda" else rules.requirement_name
        return named(self.before or self.after)

    def become(self, kind: str, after: str, reason: str) -> None:
        """Give the dependency another text, and note the change; to what it is already, do nothing."""
        if after != self.after:
            before, self.after = self.after, after
            self.changes.append(Change(kind, self.name or self.part, before, after, reason))


def contradictions(lines: list[Line]) -> list[tuple[Line, Line]]:
    """Two lines of one part that pin one package at two versions; what else contradicts, a solver finds."""
    found = []
    pins: dict[str, tuple[str, Line]] = {}
    for line in (line for line in lines if line.after):
        pinned = re.match(r"[\w.-]+(?:\[[^\]]*\])?\s*={1,3}\s*([\w.!+]+)(?=[=\s;]|$)", line.after)
        name = rules.plain_name(line.after) if line.part == "conda" else line.name
        if not pinned or ";" in line.after:
            continue
        version, first = pins.setdefault(name, (pinned[1], line))
        if not f"{version}.".startswith(f"{pinned[1]}.") and not f"{pinned[1]}.".startswith(f"{version}."):
            found.append((first, line))
    return found


@dataclass
class Document:
    """A parsed file: its text, data, top-level nodes by key, and dependencies in the order of each part."""

    text: str
    file: str
    data: dict[str, Any]
    root: yaml.MappingNode
    keys: dict[str, tuple[yaml.Node, yaml.Node]]
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


def read(text: str, file: str) -> Document:
    """Parse a file and check its structure; byte order mark and Windows line ends are gone afterwards."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text += "" if text.endswith("\n") else "\n"
    refuse_other_kinds(text, file)
    root, data = _parse_yaml(text, file)
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{file} is not a conda environment", "write it with `conda env export`")
    document = Document(text, file, data, root, {})
    for key, value in root.value:
        if key.value in document.keys:
            raise document.error(key, f"'{key.value}' comes a second time", "merge the two: YAML keeps only the last")
        document.keys[key.value] = (key, value)
    document.channel_nodes = [node for node in _items(document, "channels") if _text(document, node)]
    for node in _items(document, "dependencies"):
        if not isinstance(node, yaml.MappingNode):
            document.conda.append(Line("conda", node, _text(document, node), _text(document, node)))
        elif document.pip_item or [key.value for key, _ in node.value] != ["pip"]:
            hint = "write packages as `name=version`, and one `pip:` part for all that pip installs"
            raise document.error(node, "neither a package nor the one `pip:` part", hint)
        else:
            document.pip_item = node
            for item in _sequence(document, node.value[0][1], "pip"):
                document.pip.append(Line("pip", item, _text(document, item), _text(document, item)))
    return document


def _parse_yaml(text: str, file: str) -> tuple[yaml.Node | None, Any]:
    """Give the file's nodes, with their places, and its values; raise UserError where it is not YAML."""
    try:
        return yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        # What is no `name: value` is told where it begins; YAML finds it out at the next line.
        is_key = error.context == "while scanning a simple key"
        mark = error.context_mark if is_key else error.problem_mark or error.context_mark
        problem = error.problem or error.context or "cannot be read"
        hint = "correct the line in your export"
        if is_key and mark:
            hint = f"begin it with `- ` or remove it: {text.splitlines()[mark.line].strip()[:60]!r}"
        elif r"\t" in problem:
            hint = "indent with spaces: YAML allows no tabs"
        raise UserError(f"{file}{f', line {mark.line + 1}' if mark else ''}: broken YAML: {problem}", hint) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{file}, line {line}: a character that YAML does not allow", "remove it") from error
    except ValueError as error:  # a date such as 2024-13-45
        raise UserError(f"{file}: broken YAML: {error}", "put the value in quotes") from error


def _items(document: Document, key: str) -> list[yaml.Node]:
    return _sequence(document, document.keys[key][1], key) if key in document.keys else []


def _sequence(document: Document, node: yaml.Node, key: str) -> list[yaml.Node]:
    if node.tag == "tag:yaml.org,2002:null":
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


def write(document: Document, *, name: str, channels: list[str] | None, dropped_variables: Collection[str]) -> str:
    """Return the file's text with its lines as they are now, this name, these channels, and no ``prefix``.

    ``channels`` is ``None`` where they stay as they are.
    """
    wanted = _wanted(document, name, channels, dropped_variables)
    edited = _spliced(document.text, sorted(_edits(document, name, channels, dropped_variables)))
    try:
        if yaml.safe_load(edited) == wanted:
            return edited
    except yaml.YAMLError:
        pass
    return yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=float("inf"))


def _wanted(
    document: Document, name: str, channels: list[str] | None, dropped_variables: Collection[str]
) -> dict[str, Any]:
    """What the file written must hold."""
    data = {"name": name} | document.data | {"name": name}
    data.pop("prefix", None)
    if channels is not None:
        data["channels"] = channels
    if dropped_variables:
        data["variables"] = {key: value for key, value in data["variables"].items() if key not in dropped_variables}
        if not data["variables"]:
            del data["variables"]
    texts = {id(line.node): line.after for line in document.conda if line.node}
    dependencies: list[Any] = []
    pip = [line.after for line in document.pip if line.after]
    at = 0
    for node in document.keys["dependencies"][1].value:
        if node is document.pip_item:
            dependencies += [{"pip": pip}] if pip else [] if document.pip else [{"pip": None}]
        else:
            dependencies += [texts[id(node)]] if texts[id(node)] else []
            at = len(dependencies)
    dependencies[at:at] = [line.after for line in document.conda if not line.node and line.after]
    if pip and not document.pip_item:
        dependencies.append({"pip": pip})
    return {**data, "dependencies": dependencies}


def _edits(
    document: Document, name: str, channels: list[str] | None, dropped_variables: Collection[str]
) -> Iterator[_Edit]:
    """Where the text changes, as start, end and the new text between them."""
    text, keys = document.text, document.keys

    def lines_of(first: yaml.Node, last: yaml.Node) -> tuple[int, int]:
        start = text.rfind("\n", 0, first.start_mark.index) + 1
        return start, text.find("\n", last.end_mark.index) + 1

    if "name" not in keys:
        start = text.rfind("\n", 0, document.root.start_mark.index) + 1
        yield start, start, f"name: {_scalar(name)}\n"
    elif document.data["name"] != name:
        value = keys["name"][1]
        blank = " " if value.start_mark.index == value.end_mark.index else ""
        yield value.start_mark.index, value.end_mark.index, blank + _scalar(name)
    if "prefix" in keys:
        yield *lines_of(*keys["prefix"]), ""
    if channels is not None and channels != document.data.get("channels"):
        listed = "".join(f"  - {_scalar(channel)}\n" for channel in channels)
        if "channels" in keys:
            yield *lines_of(*keys["channels"]), f"channels:\n{listed}"
        else:
            start, _ = lines_of(*keys["dependencies"])
            yield start, start, f"channels:\n{listed}"
    if dropped_variables:
        pairs = keys["variables"][1].value
        dropped = [pair for pair in pairs if pair[0].value in dropped_variables]
        for pair in dropped if len(dropped) < len(pairs) else [keys["variables"]]:
            yield *lines_of(*pair), ""

    items = keys["dependencies"][1]
    indent = " " * items.start_mark.column
    end = lines_of(items.value[-1], items.value[-1])[1]
    if document.pip and document.pip_item:
        key, value = document.pip_item.value[0]
        if not any(line.after for line in document.pip):
            start, _ = lines_of(key, key)
            yield start, text.find("\n", start) + 1, ""
        yield from _line_edits(document.pip, lines_of, " " * value.start_mark.column, end)
    elif document.pip:
        added = "".join(f"{indent}    - {_scalar(line.after)}\n" for line in document.pip)
        yield end, end, f"{indent}- pip:\n{added}"
    yield from _line_edits(document.conda, lines_of, indent, lines_of(items.value[0], items.value[0])[0])


def _line_edits(
    lines: list[Line], lines_of: Callable[[yaml.Node, yaml.Node], tuple[int, int]], indent: str, start: int
) -> Iterator[_Edit]:
    """The edits of one part; what is added stands after the line before it, or else at ``start``."""
    added: dict[int, str] = {}
    place = min((lines_of(line.node, line.node)[0] for line in lines if line.node), default=start)
    for line in lines:
        if not line.node:
            added[place] = added.get(place, "") + (f"{indent}- {_scalar(line.after)}\n" if line.after else "")
            continue
        line_start, place = lines_of(line.node, line.node)
        if not line.after:
            yield line_start, place, ""
        elif line.after != line.before:
            yield line.node.start_mark.index, line.node.end_mark.index, _scalar(line.after)
    yield from ((place, place, text) for place, text in added.items())


def _spliced(text: str, edits: list[_Edit]) -> str:
    pieces, done = [], 0
    for start, end, replacement in edits:
        pieces += [text[done:start], replacement]
        done = end
    return "".join(pieces) + text[done:]


def _scalar(value: str) -> str:
    """A string as YAML writes it on one line, in quotes where it needs them."""
    return yaml.safe_dump(value, allow_unicode=True, width=float("inf")).removesuffix("...\n").rstrip("\n")
