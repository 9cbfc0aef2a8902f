"""Channels and indexes on this machine: small, laid out as conda's and PyPI's are."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

SUBDIRS = ("linux-64", "noarch", "osx-64", "win-64")


def package(name: str, version: str, build: str = "0", *depends: str, subdir: str = "linux-64") -> dict[str, Any]:
    """What a channel tells of one build; the file behind it is a few bytes."""
    return {"name": name, "version": version, "build": build, "depends": list(depends), "subdir": subdir}


def write_channel(folder: Path, packages: Sequence[Mapping[str, Any]]) -> None:
    """Write a channel's lists of packages, and a file for each build of Linux."""
    for subdir in SUBDIRS:
        records = {}
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        for one in (one for one in packages if one["subdir"] == subdir):
            file = f"{one['name']}-{one['version']}-{one['build']}.conda"
            (folder / subdir / file).write_text(file)
            digests = {kind: hashlib.new(kind, file.encode()).hexdigest() for kind in ("md5", "sha256")}
            records[file] = {"build_number": 0, "size": len(file), **one, **digests}
        data = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": records, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(data))


def write_wheel(
    folder: Path, name: str, version: str, *requires: str, tag: str = "py3-none-any", python: str = ""
) -> None:
    """Write a wheel into an index: a folder for each project, whose list of files is its index."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    metadata += f"Requires-Python: {python}\n" if python else ""
    with zipfile.ZipFile(folder / name / f"{stem}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
        wheel.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


@dataclass
class Server:
    """A web server of a folder, and the paths that it was asked for."""

    address: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def served(folder: Path, host: str = "127.0.0.1") -> Iterator[Server]:
    """Serve a folder on an address of this machine, also to those who take it for their proxy."""
    server = Server("")

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            """What a proxy is asked for has the host before it."""
            return super().translate_path(urlsplit(path).path)

        def log_message(self, *_: object) -> None:
            server.asked.append(self.path)

    web = ThreadingHTTPServer((host, 0), partial(Handler, directory=str(folder)))
    Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    server.address = f"http://{host}:{web.server_port}"
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
