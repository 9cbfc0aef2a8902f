"""Look packages up where they would be installed from, one small request each, within a few seconds in all.

A package of PyPI is looked up in the index that pip is configured with, by its Simple API. A package of conda is asked
for by the address of its file, which a channel's layout and `name=version=build` give: a channel's list of all its
packages has some 50 MB, and is not read.
"""

import base64
import gzip
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from spyglass_export.environment.rules import normalise

# conda's defaults: https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/settings.html
CHANNEL_ALIAS = "https://conda.anaconda.org"
DEFAULT_CHANNELS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
# The API that is understood: https://packaging.python.org/en/latest/specifications/simple-repository-api/
SIMPLE_API = "simple.v1"
SIMPLE_JSON = f"application/vnd.pypi.{SIMPLE_API}+json"

SECONDS = 6.0  # for all of them together
ANSWER_SECONDS = 3.0
AT_ONCE = 24

# https://packaging.python.org/en/latest/specifications/version-specifiers/#pre-release-spelling
PRE_RELEASES = {"alpha": "a", "beta": "b", "preview": "rc", "pre": "rc", "c": "rc"}
_PINNED = re.compile(r"\s*={2,3}\s*(?P<version>[\w.!+*-]+)\s*")
_FULL_SPEC = re.compile(r"(?:(?P<channel>[^\s:]+)::)?(?P<name>[\w.-]+)=(?P<version>[\w.!+-]+)=(?P<build>[\w.]+)")


class UnreachableError(Exception):
    """An index or a channel that does not answer, or not as one should; its text is the host."""


@dataclass
class Found:
    """What became of the packages that were looked up; each is named as the environment names it."""

    found: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    not_looked_up: list[str] = field(default_factory=list)
    unreachable: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class PipConfiguration:
    """Where pip looks for packages: indexes, folders and pages of files, and the CA certificates it trusts."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    ca_bundle: str | None = None


def pip_configuration(ca_bundle: Path | None = None) -> PipConfiguration:
    """Ask pip how it is configured on this machine, in its files and its environment variables."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, errors="replace", check=False
    ).stdout
    values: dict[str, str] = {}
    # Later sections win, as they do in pip.
    for section in ("global.", "install.", ":env:."):
        for name, value in re.findall(rf"^{re.escape(section)}([\w-]+)='(.*)'$", listed, re.MULTILINE):
            values[name] = value
    return PipConfiguration(
        indexes=(
            values.get("index-url") or os.environ.get("PIP_INDEX_URL") or _default_index(),
            *values.get("extra-index-url", "").split(),
        ),
        find_links=tuple(values.get("find-links", "").split()),
        ca_bundle=values.get("cert") or (str(ca_bundle) if ca_bundle else None),
    )


def _default_index() -> str:
    """The index that pip takes where none is configured, as its help has it; empty where there is no pip."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "help", "install"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    ).stdout
    default = re.search(r"--index-url\b.*?\(default\s+([^\s)]+)\)", told, re.DOTALL)
    return default[1] if default else ""


def look_up_requirements(lines: Sequence[str], pip: PipConfiguration) -> Found:
    """Look each requirement of a `pip:` part up: that its name, and the version where it is pinned, are there.

    Lines that begin with ``--index-url`` or the like change where to look, as they do for pip.
    """
    indexes, find_links = list(pip.indexes), list(pip.find_links)
    wanted = []
    for line in lines:
        option = re.fullmatch(r"(-i|-f|--(?:index-url|extra-index-url|find-links))[=\s]\s*(\S+)", line.strip())
        if option and option[1] in ("-i", "--index-url"):
            indexes[0] = option[2]
        elif option:
            (find_links if option[1] in ("-f", "--find-links") else indexes).append(option[2])
        else:
            wanted.append(line)
    site = _Site(pip.ca_bundle)
    in_folders = {file.name for place in find_links if Path(place).is_dir() for file in Path(place).iterdir()}
    elsewhere = [place for place in find_links if not Path(place).is_dir()]

    def look_up(line: str) -> str | None:
        match = re.match(r"[A-Za-z0-9][\w.-]*[A-Za-z0-9]|[A-Za-z0-9]", line)
        rest = re.sub(r"^\s*\[[^\]]*\]", "", line[match.end() :]) if match else "@"
        if not match or rest.lstrip().startswith(("@", ":", "/", "+")):
            raise LookupError
        files, silent = set(in_folders), []
        for index in indexes:
            try:
                files |= site.files(f"{index.rstrip('/')}/{normalise(match[0])}/")
            except UnreachableError as error:
                silent.append(error)
        pinned = _PINNED.fullmatch(rest.partition(";")[0].partition(" --")[0])
        problem = _not_among(files, normalise(match[0]), pinned["version"] if pinned else "")
        if problem and (silent or elsewhere):
            raise silent[0] if silent else UnreachableError(elsewhere[0])
        return problem

    return _all_at_once(wanted, look_up)


def look_up_specs(specs: Sequence[str], channels: Sequence[str], ca_bundle: str | None = None) -> Found:
    """Look each conda spec that names version and build up in the channels, for Linux on x86-64.

    Other specs are not looked up: what they stand for is the solver's to find.
    """
    site = _Site(ca_bundle)

    def look_up(spec: str) -> str | None:
        match = _FULL_SPEC.fullmatch(spec.strip())
        if not match:
            raise LookupError
        file = f"{match['name']}-{match['version']}-{match['build']}"
        # Builds of Python packages for every platform begin with py and no version.
        folders = ("noarch", "linux-64") if re.match(r"py(h|_|\d_)", match["build"]) else ("linux-64", "noarch")
        silent = []
        for channel in [match["channel"]] if match["channel"] else channels:
            for place in _channel_addresses(channel):
                try:
                    if any(site.has(f"{place}/{f}/{file}{end}") for f in folders for end in (".conda", ".tar.bz2")):
                        return None
                except UnreachableError as error:
                    silent.append(error)
        if silent:
            raise silent[0]
        return f"no channel has {match['name']} {match['version']} in build {match['build']}"

    return _all_at_once(specs, look_up)


def _all_at_once(lines: Sequence[str], look_up: Callable[[str], str | None]) -> Found:
    """Look all up side by side; ``look_up`` gives a problem or None, or raises LookupError or UnreachableError."""
    found = Found()

    def attempt(line: str) -> tuple[str, str | Exception | None]:
        try:
            return line, look_up(line)
        except (LookupError, UnreachableError) as error:
            return line, error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line, outcome in pool.map(attempt, lines):
            if outcome is None:
                found.found.append(line)
            elif isinstance(outcome, str):
                found.missing[line] = outcome
            else:
                found.not_looked_up.append(line)
                if isinstance(outcome, UnreachableError):
                    found.unreachable.add(str(outcome))
    return found


class _Site:
    """Asks web servers until time is up, and asks none again that did not answer."""

    def __init__(self, ca_bundle: str | None) -> None:
        context = ssl.create_default_context(cafile=ca_bundle if ca_bundle and Path(ca_bundle).is_file() else None)
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        self._silent: set[str] = set()
        self._deadline = time.monotonic() + SECONDS

    def has(self, address: str) -> bool:
        """Whether there is a file at this address."""
        return self._open(address, "HEAD") is not None

    def files(self, address: str) -> set[str]:
        """The names of the files on a project's page in an index, none where there is no such page."""
        if address.startswith("file:"):
            folder = Path(urllib.request.url2pathname(urlsplit(address).path))
            page = folder / "index.html"
            if page.is_file():
                return _linked(page.read_text(encoding="utf-8"), address)
            return {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        answer = self._open(address, "GET")
        if answer is None:
            return set()
        kind, body = answer
        if "json" in kind:
            try:
                return {file["filename"] for file in json.loads(body)["files"]}
            except (ValueError, KeyError, TypeError) as error:
                raise UnreachableError(urlsplit(address).hostname) from error
        return _linked(body.decode("utf-8", "replace"), address)

    def _open(self, address: str, method: str) -> tuple[str, bytes] | None:
        """Give the answer's content type and body; None where the server says that there is nothing."""
        parts = urlsplit(address)
        host = parts.hostname or "pip's index"
        if host in self._silent or not parts.hostname:
            raise UnreachableError(host)
        if time.monotonic() > self._deadline:
            raise LookupError(host)
        headers = {"Accept": f"{SIMPLE_JSON}, text/html;q=0.5, */*;q=0.1", "Accept-Encoding": "gzip"}
        credentials = ""
        if parts.username:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            credentials = "Basic " + base64.b64encode(secret.encode()).decode()
            address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        request = urllib.request.Request(address, headers=headers, method=method)  # noqa: S310
        if credentials:
            # Another host that this one sends us to has no business with them.
            request.add_unredirected_header("Authorization", credentials)
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                # A redirected HEAD becomes a GET, and the body a package of megabytes.
                body = answer.read() if method == "GET" else b""
                packed = answer.headers.get("Content-Encoding") == "gzip" and method == "GET"
                return answer.headers.get("Content-Type", ""), gzip.decompress(body) if packed else body
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return None
            raise UnreachableError(f"{host} ({error.code})") from error
        except (OSError, ValueError, EOFError) as error:
            self._silent.add(host)
            raise UnreachableError(host) from error


def _linked(page: str, address: str) -> set[str]:
    links = re.findall(r"""<a\b[^>]*\bhref\s*=\s*["']?([^"'\s>]+)""", page, re.IGNORECASE)
    return {unquote(urlsplit(urljoin(address, link)).path).rpartition("/")[2] for link in links}


def _not_among(files: Iterable[str], name: str, version: str) -> str | None:
    """Say what is missing of a package, with its newest version where only the version is; None where nothing is."""
    versions: dict[str, None] = {}
    for file in sorted(files):
        if found := _file_version(file, name):
            versions[found] = None
    if not versions:
        return f"the index has no {name}"
    wanted = _comparable(version.removesuffix(".*"))
    for found in versions:
        if not version or _comparable(found) == wanted or _comparable(found).partition("+")[0] == wanted:
            return None
        if version.endswith(".*") and _comparable(found).startswith(f"{wanted}."):
            return None
    newest = max(versions, key=lambda text: [int(number) for number in re.findall(r"\d+", text)][:4])
    return f"the index has no {name} {version}; its newest is {newest}"


def _file_version(file: str, name: str) -> str:
    """The version in the name of a wheel or a source archive of this package, else an empty text."""
    stem = re.sub(r"\.(whl|tar\.gz|zip|tar\.bz2|tgz|egg)$", "", file)
    if stem == file:
        return ""
    if file.endswith((".whl", ".egg")):
        package, _, rest = stem.partition("-")
        return rest.partition("-")[0] if normalise(package) == name else ""
    for dash in (match.start() for match in re.finditer("-", stem)):
        if normalise(stem[:dash]) == name and stem[dash + 1 : dash + 2].isdigit():
            return stem[dash + 1 :]
    return ""


def _comparable(version: str) -> str:
    """A version in the form in which PEP 440 compares spellings of the same one, as far as pins need it."""
    public, plus, label = version.lower().removeprefix("v").partition("+")
    public = re.sub(r"-(\d+)$", r".post\1", public)
    public = re.sub(r"[-_.]?(post|rev|dev)[-_.]?(?=\d)", lambda word: f".{word[1].replace('rev', 'post')}", public)
    public = re.sub(
        r"[-_.]?(alpha|a|beta|b|preview|pre|rc|c)[-_.]?(?=\d)", lambda word: PRE_RELEASES.get(word[1], word[1]), public
    )
    return re.sub(r"(\.0+)+(?=$|[a-z]|\.(post|dev))", "", public) + plus + label


def _channel_addresses(channel: str) -> tuple[str, ...]:
    """The addresses of a channel as conda would ask them; of what is no channel, none."""
    if channel == "nodefaults":
        return ()
    if channel == "defaults":
        return DEFAULT_CHANNELS
    if "://" in channel:
        return (re.sub(r"/(linux-64|noarch)/?$", "", channel).rstrip("/"),)
    return (f"{os.environ.get('CONDA_CHANNEL_ALIAS', CHANNEL_ALIAS).rstrip('/')}/{channel}",)
