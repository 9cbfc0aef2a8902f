"""Bring a reader's notebooks up to the image's, and touch none that the reader changed.

usage: sync_notebooks.py IMAGE_FOLDER READER_FOLDER

A hidden file in the reader's folder keeps the hash of each file as it was delivered. A file that still has
that hash is the image's to replace; any other is the reader's. Nothing is ever removed.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

DELIVERED = ".delivered.json"


def hash_of(path: Path) -> str | None:
    """Hash a file, or where a link points to; None where there is neither."""
    if path.is_symlink():
        return hashlib.sha256(b"link to " + os.fsencode(path.readlink())).hexdigest()
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_of(folder: Path) -> list[str]:
    """List every file and link below a folder, as sorted relative names with `/`."""
    found = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in [*files, *links]]
    return sorted(found)


def write(path: Path, source: Path) -> None:
    """Put a copy of `source` at `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".incoming-") as scratch:
        incoming = Path(scratch) / "file"
        shutil.copy(source, incoming, follow_symlinks=False)
        if not incoming.is_symlink():
            # The author may have protected the file; its reader is to edit it.
            incoming.chmod(incoming.stat().st_mode | 0o660)
        incoming.replace(path)


def sync(image: Path, reader: Path) -> list[str]:
    """Deliver what is new in `image` to `reader`; return a line for each thing that the reader should know."""
    state = reader / DELIVERED
    try:
        delivered: dict[str, str] = json.loads(state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        delivered = {}  # whatever is here and differs is taken for the reader's
    offered = files_of(image)
    brought, said = [], []
    for name in offered:
        new, mine, before = hash_of(image / name), hash_of(reader / name), delivered.get(name)
        try:
            if mine != new and mine == before:
                write(reader / name, image / name)
                brought.append(name)
            elif mine is None and new == before:
                continue  # the reader removed it, and there is no newer one
            elif mine != new:
                if new != before:
                    done = "changed" if mine else "removed"
                    said.append(f"left {name} alone, because you {done} it; the new one is {image / name}")
                continue
        except OSError as error:
            said.append(f"left {name} alone, because it cannot be written: {error.strerror}")
            continue
        delivered[name] = str(new)
    gone = [name for name in delivered if name not in offered and (reader / name).exists()]
    said += [f"left {name} here, though this version of the paper has it no more" for name in gone]
    with tempfile.TemporaryDirectory(dir=reader, prefix=".incoming-") as scratch:
        incoming = Path(scratch) / "file"
        incoming.write_text(json.dumps(delivered, indent=1, sort_keys=True), encoding="utf-8")
        incoming.replace(state)
    return ([f"brought {len(brought)} new: {', '.join(brought)}"] if brought else []) + said


if __name__ == "__main__":
    try:
        lines = sync(Path(sys.argv[1]), Path(sys.argv[2]))
    except OSError as error:
        lines = [f"they cannot be brought up to date: {error}"]
    for line in lines:
        # A name of a file may hold what a terminal obeys.
        shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
        print(f"notebooks: {shown}", flush=True)
