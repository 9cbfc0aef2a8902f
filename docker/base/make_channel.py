"""Make a conda channel of Debian's Python and of wheels from PyPI, for where no channel of conda can be reached.

It has what an environment of the hub needs before the paper's own packages: python, pip and ipykernel, with all
that these depend on. Packages follow https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html.
"""

import asyncio
import configparser
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler.index import index_fs

WANTED = ("ipykernel==6.29.5", "pip", "setuptools<81", "wheel")
VERSION = platform.python_version()
MINOR = ".".join(VERSION.split(".")[:2])
NEXT_MINOR = f"{VERSION.split('.')[0]}.{int(VERSION.split('.')[1]) + 1}"
SITE_PACKAGES = f"lib/python{MINOR}/site-packages"
# Debian's Python looks into dist-packages; site is frozen into it, so that a change of site.py has no effect.
SITE_CUSTOMIZE = """\
import os, site, sys
site.addsitedir(os.path.join(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages"))
"""


def write_package(channel: Path, files: Path, index: dict[str, Any], link: dict[str, Any] | None = None) -> None:
    """Pack a folder of files as a conda package of its subdirectory."""
    info = files / "info"
    info.mkdir()
    index = {"build": "stand_in_0", "build_number": 0, **index}
    (info / "index.json").write_text(json.dumps(index))
    if link:
        (info / "link.json").write_text(json.dumps(link))
    paths = []
    for path in sorted(files.rglob("*")):
        name = path.relative_to(files).as_posix()
        if name.startswith("info/") or (path.is_dir() and not path.is_symlink()):
            continue
        entry: dict[str, Any] = {"_path": name, "path_type": "softlink" if path.is_symlink() else "hardlink"}
        if path.is_file():
            content = path.read_bytes()
            entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size_in_bytes": len(content)}
        paths.append(entry)
    (info / "paths.json").write_text(json.dumps({"paths": paths, "paths_version": 1}))
    (info / "files").write_text("".join(f"{entry['_path']}\n" for entry in paths))
    folder = channel / index["subdir"]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{index['name']}-{index['version']}-{index['build']}.tar.bz2"
    with tarfile.open(target, "w:bz2", compresslevel=1) as archive:
        for path in sorted(files.rglob("*"), key=lambda path: not path.is_relative_to(info)):
            archive.add(path, arcname=path.relative_to(files).as_posix(), recursive=False)


def pack_python(channel: Path) -> None:
    """Pack Debian's Python as conda lays one out: bin/python, lib/pythonX.Y, site-packages."""
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        (files / "bin").mkdir()
        shutil.copy(f"/usr/bin/python{MINOR}", files / "bin")
        for name in ("python", "python3"):
            (files / "bin" / name).symlink_to(f"python{MINOR}")
        library = files / "lib" / f"python{MINOR}"
        left_out = shutil.ignore_patterns("__pycache__", "sitecustomize.py", "EXTERNALLY-MANAGED", "config-*", "test")
        shutil.copytree(f"/usr/lib/python{MINOR}", library, ignore_dangling_symlinks=True, ignore=left_out)
        (library / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
        schemes = library / "sysconfig.py"
        local, prefix = "prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'"
        schemes.write_text(schemes.read_text().replace(local, prefix))
        (library / "site-packages").mkdir()
        (library / "site-packages" / "README.txt").write_text("What conda and pip install.\n")
        write_package(channel, files, {"name": "python", "version": VERSION, "depends": [], "subdir": "linux-64"})


def pack_wheel(channel: Path, wheel: Path) -> None:
    """Pack a wheel: for every system where it is pure Python, else for this Python."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        files = Path(scratch)
        pure = wheel.stem.endswith("-none-any")
        site_packages = files / ("site-packages" if pure else SITE_PACKAGES)
        archive.extractall(site_packages)  # noqa: S202 - what pip downloaded and checked
        [information] = site_packages.glob("*.dist-info")
        metadata = HeaderParser().parsestr((information / "METADATA").read_text(encoding="utf-8"))
        (information / "INSTALLER").write_text("conda\n")
        needs = [Requirement(text) for text in metadata.get_all("Requires-Dist") or ()]
        depends = [
            f"{canonicalize_name(need.name)} {need.specifier}".strip()
            for need in needs
            if not need.marker or need.marker.evaluate({"extra": ""})
        ]
        index = {
            "name": canonicalize_name(metadata["Name"]),
            "version": metadata["Version"],
            "depends": [f"python >={MINOR},<{NEXT_MINOR}.0a0", *sorted(depends)],
            "subdir": "noarch" if pure else "linux-64",
        }
        link = None
        if pure:
            entries = configparser.ConfigParser(delimiters="=")
            entries.optionxform = str  # type: ignore[assignment,method-assign]
            if (information / "entry_points.txt").is_file():
                entries.read(information / "entry_points.txt")
            scripts = entries["console_scripts"].items() if "console_scripts" in entries else ()
            commands = [f"{name} = {target}" for name, target in scripts]
            link = {"noarch": {"type": "python", "entry_points": commands}, "package_metadata_version": 1}
            index["noarch"] = "python"
        write_package(channel, files, index, link)


def main(channel: Path) -> None:
    """Make the channel in a folder that is not there yet."""
    pack_python(channel)
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch)
        download = ["download", "--quiet", "--only-binary", ":all:", "--dest", str(wheels), *WANTED]
        subprocess.run([sys.executable, "-m", "pip", *download], check=True)
        for wheel in sorted(wheels.iterdir()):
            pack_wheel(channel, wheel)
    asyncio.run(index_fs(channel))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
