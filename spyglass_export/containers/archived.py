"""An archive of others, judged before Docker or anything else is given a byte of it."""

import hashlib
import json
import re
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from spyglass_export.containers import labels
from spyglass_export.errors import UserError
from spyglass_export.files import sha256

ARCHIVED_IMAGES, CHECKSUMS = "images.tar.zst", "SHA256SUMS"
# What systems leave behind in a folder that somebody opens.
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
COPY_AGAIN = "copy the whole archive again, into an empty folder, from where you have it"

# Bytes. Images of papers have some gigabytes, of which compression leaves a third.
_LARGEST_FILE, _LARGEST_IMAGES, _LARGEST_JSON = 1 << 30, 1 << 39, 1 << 20
_ALWAYS_ALLOWED, _RATIO = 1 << 30, 20
_WINDOW, _CHUNK = 1 << 27, 1 << 20
_MEMBERS, _NESTED = 10_000, 2
_NAME_KEYS = ("io.containerd.image.name", "containerd.io/image.name")
# An OCI layout, and what Docker adds: https://specs.opencontainers.org/image-spec/image-layout/
_MEMBER = re.compile(
    r"blobs/|blobs/sha256/|blobs/sha256/(?P<digest>[0-9a-f]{64})|"
    r"(?P<named>index\.json|manifest\.json|oci-layout|repositories)"
)


class ArchivedImage(NamedTuple):
    """An image in an archive: its digests (`sha256:…`, one of which is its ID in Docker), labels and names."""

    digests: tuple[str, ...]
    labels: dict[str, str]
    names: tuple[str, ...]

    @property
    def tags(self) -> set[str]:
        """The tags that name the content, and can never come to mean another image."""
        return {digest.removeprefix("sha256:")[:12] for digest in self.digests}


def judge(folder: Path, paper_id: str, services: set[str]) -> dict[str, ArchivedImage]:
    """Give the images of an archive by service, having looked at every byte, and given none to Docker.

    Raises UserError where the folder holds anything but the files that its checksums name, a file is damaged, too
    large or not plain, or the images are not one paper's two under names of their own.
    """
    _check_files(folder)
    images = folder / ARCHIVED_IMAGES
    try:
        found = list(_images(*_read_layout(images)))
    except ImportError:
        raise
    except Exception as error:  # whatever a library makes of bytes that somebody thought up
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UserError(f"{images} is not an archive of images: {why}", COPY_AGAIN) from error
    papers = sorted({image.labels.get(labels.PAPER, "none") for image in found})
    if papers != [paper_id]:
        what = f"{folder} is of the paper {' and '.join(papers) or 'none'}, not {paper_id}"
        raise UserError(what, "use the bundle that came with it")
    by_service = {image.labels.get(labels.SERVICE, ""): image for image in found}
    if len(found) != len(services) or set(by_service) != services:
        raise UserError(f"{images} does not hold the two images of a paper", COPY_AGAIN)
    if others := [name for image in found for name in image.names if name.rpartition(":")[2] not in image.tags]:
        hint = "`invoke archive` names images by their content: ask the authors for an archive of its making"
        raise UserError(f"{images} would replace what Docker has as {others[0]}", hint)
    return by_service


def _check_files(folder: Path) -> None:
    """Hold a folder against its checksums; no file is opened before its kind and size are known."""
    found = set()
    for path in folder.rglob("*"):
        status, name = path.lstat(), path.relative_to(folder).as_posix()
        if path.name in LITTER or stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{name} in {folder} is not a plain file", f"move it away, or {COPY_AGAIN}")
        if status.st_size > (_LARGEST_IMAGES if name == ARCHIVED_IMAGES else _LARGEST_FILE):
            raise UserError(f"{name} in {folder} is larger than any archive's", COPY_AGAIN)
        found.add(name)
    if ARCHIVED_IMAGES not in found:
        raise UserError(f"{folder} is not an archive: it has no {ARCHIVED_IMAGES}", "name a folder of `invoke archive`")
    if CHECKSUMS not in found:
        raise UserError(f"{folder} has no {CHECKSUMS}", COPY_AGAIN)
    with (folder / CHECKSUMS).open(encoding="utf-8", errors="replace") as file:
        lines = file.read(_LARGEST_JSON).splitlines()
    matches = [re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line) for line in lines]
    sums = {match[2]: match[1] for match in matches if match}
    if len(sums) != len(lines):
        raise UserError(f"{folder / CHECKSUMS} is damaged", COPY_AGAIN)
    if missing := sorted(sums.keys() - found):
        raise UserError(f"{missing[0]} is missing in {folder}", COPY_AGAIN)
    if others := sorted(found - sums.keys() - {CHECKSUMS}):
        raise UserError(f"{CHECKSUMS} does not name {others[0]} in {folder}", f"move it away, or {COPY_AGAIN}")
    for name, expected in sums.items():
        if sha256(folder / name) != expected:
            raise UserError(f"{folder / name} is damaged: its SHA-256 is not that of {CHECKSUMS}", COPY_AGAIN)


class _Stream:
    """What a compressed file holds, to be read once; raises ValueError where that is more than can be right."""

    def __init__(self, compressed: IO[bytes], size: int) -> None:
        import zstandard  # of readers only those with an archive have it

        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        self._reader = decompressor.stream_reader(compressed, read_across_frames=True)
        self._left = _ALWAYS_ALLOWED + _RATIO * size
        self.unseen = 0

    def read(self, size: int) -> bytes:
        """Read as tarfile does; ``unseen`` counts the bytes that it took for itself, as for an endless header."""
        data = self._reader.read(size)
        self._left -= len(data)
        self.unseen += len(data)
        if self._left < 0:
            raise ValueError("there is no end to what is unpacked")
        if self.unseen > 4 * _CHUNK:
            raise ValueError("a header has no end")
        return data


def _read_layout(images: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a layout to its end; give its JSON by digest, None for other blobs, and its JSON by name."""
    blobs: dict[str, Any] = {}
    named: dict[str, Any] = {}
    with images.open("rb") as compressed:
        stream = _Stream(compressed, images.stat().st_size)
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=_CHUNK) as archive:
            for number, member in enumerate(archive):
                match = _MEMBER.fullmatch(member.name + "/" * member.isdir())
                is_plain = member.isdir() or member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
                if not match or not is_plain or number > _MEMBERS:
                    raise ValueError(f"it holds {member.name[:100]!r}, which no image needs")
                key, into = (match["digest"], blobs) if match["digest"] else (match["named"], named)
                if key in into:
                    raise ValueError(f"it holds {member.name} twice")
                if key:
                    into[key] = _read_member(archive, member, stream, match["digest"])
                stream.unseen = 0
        while stream.read(_CHUNK):  # what follows the end
            stream.unseen = 0
    return blobs, named


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo, stream: _Stream, digest: str | None) -> Any:
    found, start = hashlib.sha256(), b""
    content = archive.extractfile(member)
    while content and (data := content.read(_CHUNK)):
        found.update(data)
        stream.unseen = 0
        if member.size <= _LARGEST_JSON:
            start += data
    if digest and found.hexdigest() != digest:
        raise ValueError(f"{member.name} is not what its name says")
    try:
        return json.loads(start) if start[:1] in (b"{", b"[") else None
    except (ValueError, RecursionError):
        return None  # a layer may begin like that


def _images(blobs: dict[str, Any], named: dict[str, Any]) -> Iterator[ArchivedImage]:
    """Every image that Docker would find, by either of its two lists; raises where these do not agree."""
    names: dict[str, set[str]] = {}
    for entry in named["manifest.json"]:
        names.setdefault(_digest(entry["Config"]), set()).update(entry["RepoTags"] or ())
        for layer in entry["Layers"]:
            blobs[_digest(layer)]  # has to be there
    listed = set(names)
    digests: dict[str, set[str]] = {}
    for entry in named["index.json"]["manifests"]:
        notes = entry.get("annotations") or {}
        for config, above in _configurations(_digest(entry["digest"]), blobs, _NESTED):
            digests.setdefault(config, set()).update([config, *above])
            names.setdefault(config, set()).update(notes[key] for key in _NAME_KEYS if key in notes)
    if digests.keys() != listed:
        raise ValueError("its two lists name different images")
    for config, own in digests.items():
        about = dict(blobs[config]["config"].get("Labels") or {})
        yield ArchivedImage(tuple(f"sha256:{digest}" for digest in sorted(own)), about, tuple(sorted(names[config])))


def _digest(text: str) -> str:
    """The hexadecimal digits of `sha256:…` and `blobs/sha256/…`."""
    return re.split("[:/]", text)[-1]


def _configurations(digest: str, blobs: dict[str, Any], depth: int) -> Iterator[tuple[str, list[str]]]:
    """The configurations below a manifest, or below an index as containerd writes it, with the digests above each."""
    if "config" in blobs[digest]:
        yield _digest(blobs[digest]["config"]["digest"]), [digest]
    for entry in blobs[digest].get("manifests", ()) if depth else ():
        if _digest(entry["digest"]) in blobs:  # of other processors there are names alone
            for config, above in _configurations(_digest(entry["digest"]), blobs, depth - 1):
                yield config, [digest, *above]
