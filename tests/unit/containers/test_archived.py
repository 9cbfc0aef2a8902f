"""Archives of strangers: what is wrong with one is said in one line, before Docker is given any of it."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from spyglass_export.containers.archived import judge
from spyglass_export.errors import UserError

SERVICES = {"db", "hub"}
Members = dict[str, bytes]


def layout(
    paper: str = "Gu2026", name: str = "lab/{service}:{tag}", services: tuple[str, ...] = ("db", "hub")
) -> Members:
    """The files of a `docker save`: one layer for both images, and a name for each that says its content."""
    members: Members = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        members[f"blobs/sha256/{digest}"] = content
        return digest

    layer, index, docker = blob(b"a layer"), [], []
    for service in services:
        labels = {"spyglass-export.paper": paper, "spyglass-export.service": service}
        config = blob(json.dumps({"config": {"Labels": labels}}).encode())
        manifest = blob(json.dumps({"config": {"digest": f"sha256:{config}"}}).encode())
        named = name.format(service=service, tag=config[:12])
        notes = {"io.containerd.image.name": f"docker.io/{named}", "org.opencontainers.image.ref.name": config[:12]}
        index.append({"digest": f"sha256:{manifest}", "annotations": notes})
        layers = [f"blobs/sha256/{layer}"]
        docker.append({"Config": f"blobs/sha256/{config}", "RepoTags": [named], "Layers": layers})
    return members | {
        "index.json": json.dumps({"manifests": index}).encode(),
        "manifest.json": json.dumps(docker).encode(),
    }


def packed(members: Members, *more: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in more:
            archive.addfile(member)
    return file.getvalue()


def write(folder: Path, tar: bytes, *, compressed: bytes | None = None) -> Path:
    """An archive whose checksums are right, as a stranger would take care that they are."""
    folder.mkdir(exist_ok=True)
    content = zstandard.compress(tar) if compressed is None else compressed
    (folder / "images.tar.zst").write_bytes(content)
    (folder / "LICENSE").write_text("MIT")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(folder.glob("[!S]*"))]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    return folder


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_papers_archive_is_read_without_docker(tmp_path: Path) -> None:
    found = judge(write(tmp_path / "a", packed(layout())), "Gu2026", SERVICES)

    assert set(found) == SERVICES
    assert all(digest.startswith("sha256:") for image in found.values() for digest in image.digests)
    assert all(name.rpartition(":")[2] in image.tags for image in found.values() for name in image.names)


def test_a_layout_of_containerd_has_an_index_in_its_index(tmp_path: Path) -> None:
    members = layout()
    index = json.loads(members["index.json"])
    for image in index["manifests"]:
        inner = json.dumps({"manifests": [{"digest": image["digest"]}, {"digest": f"sha256:{'0' * 64}"}]}).encode()
        image["digest"] = f"sha256:{hashlib.sha256(inner).hexdigest()}"
        members[f"blobs/sha256/{image['digest'].removeprefix('sha256:')}"] = inner
    members["index.json"] = json.dumps(index).encode()

    found = judge(write(tmp_path / "a", packed(members)), "Gu2026", SERVICES)

    assert all(len(image.digests) == 3 for image in found.values())


def changed(name: str, change: Callable[[Any], Any]) -> Members:
    members = layout()
    return members | {name: json.dumps(change(json.loads(members[name]))).encode()}


HOSTILE = {
    "of another paper": (packed(layout(paper="Other")), "is of the paper Other, not Gu2026"),
    "of no paper": (packed(layout(name="mysql:9.7", services=())), "is of the paper none"),
    "the name of a base image": (packed(layout(name="mysql:9.7")), "would replace what Docker has as .*mysql:9.7"),
    "latest": (packed(layout(name="lab/{service}:latest")), "would replace what Docker has as"),
    "one image": (packed(layout(services=("db",))), "does not hold the two images"),
    "two lists": (packed(changed("manifest.json", lambda images: images[:1])), "two lists name different images"),
    "a blob that is another": (
        packed({name: content + b" " * name.startswith("blobs") for name, content in layout().items()}),
        "is not what its name says",
    ),
    "a layer less": (packed({k: v for k, v in layout().items() if v != b"a layer"}), "KeyError"),
    "a link": (packed(layout(), entry("blobs/sha256/" + "0" * 64, tarfile.SYMTYPE, "/etc/passwd")), "no image needs"),
    "a hard link": (packed(layout(), entry("blobs/sha256/" + "0" * 64, tarfile.LNKTYPE, "x")), "no image needs"),
    "a device": (packed(layout(), entry("blobs/sha256/" + "0" * 64, tarfile.CHRTYPE)), "no image needs"),
    "a way out": (packed(layout(), entry("../../home/.bashrc")), "no image needs"),
    "an absolute name": (packed(layout(), entry("/etc/passwd")), "no image needs"),
    "a name twice": (packed(layout(), entry("index.json")), "holds index.json twice"),
    "no tar": (b"not a tar" * 1000, "is not an archive of images"),
    "a tar cut off": (packed(layout())[:3000], "is not an archive of images"),
    "nothing": (b"", "is not an archive of images"),
    "nested JSON": (packed(layout() | {"index.json": b"[" * 100_000}), "is not an archive of images"),
}


@pytest.mark.parametrize(("tar", "says"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_in_one_line(tmp_path: Path, tar: bytes, says: str) -> None:
    folder = write(tmp_path / "a", tar)

    with pytest.raises(UserError, match=says) as error:
        judge(folder, "Gu2026", SERVICES)

    assert len(error.value.what.splitlines()) == 1


@pytest.mark.parametrize(
    "compressed",
    [
        b"garbage" * 100,
        zstandard.compress(packed(layout()))[:-40],
        zstandard.compress(packed(layout())) + b"garbage",
        zstandard.ZstdCompressor().compress(b"\0" * (1 << 28)) * 8,
    ],
    ids=["garbled", "cut off", "more behind it", "without end"],
)
def test_a_compressed_file_that_is_damaged_ends_in_one_line(tmp_path: Path, compressed: bytes) -> None:
    folder = write(tmp_path / "a", b"", compressed=compressed)

    with pytest.raises(UserError, match="is not an archive of images"):
        judge(folder, "Gu2026", SERVICES)


def test_a_header_without_end_takes_no_memory(tmp_path: Path) -> None:
    header = entry("x", tarfile.XHDTYPE)
    header.size = 1 << 32
    folder = write(tmp_path / "a", header.tobuf() + b"\0" * (1 << 24))

    with pytest.raises(UserError, match="a header has no end"):
        judge(folder, "Gu2026", SERVICES)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "more.sh").write_text("x"), "does not name more.sh"),
        (lambda folder: write(folder / "sub", b""), "does not name sub/LICENSE"),
        (lambda folder: (folder / "LICENSE").unlink(), "LICENSE is missing"),
        (lambda folder: (folder / "LICENSE").write_text("GPL"), "LICENSE is damaged"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "has no SHA256SUMS"),
        (lambda folder: (folder / "SHA256SUMS").write_text("x\n"), "SHA256SUMS is damaged"),
        (lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../a/LICENSE\n"), "is missing"),
        (lambda folder: (folder / "images.tar.zst").unlink(), "is not an archive"),
    ],
)
def test_checksums_name_every_file_and_no_other(tmp_path: Path, spoil: Callable[[Path], Any], says: str) -> None:
    folder = write(tmp_path / "a", packed(layout()))
    spoil(folder)

    with pytest.raises(UserError, match=says):
        judge(folder, "Gu2026", SERVICES)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("name", ["images.tar.zst", "SHA256SUMS", "LICENSE"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "link"])
def test_what_is_not_a_plain_file_is_not_opened(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    folder = write(tmp_path / "a", packed(layout()))
    (folder / name).unlink()
    make(folder / name)

    with pytest.raises(UserError, match=f"{name} in .* is not a plain file"):
        judge(folder, "Gu2026", SERVICES)


def test_what_a_system_leaves_in_a_folder_is_no_matter(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", packed(layout()))
    (folder / ".DS_Store").write_text("x")

    assert set(judge(folder, "Gu2026", SERVICES)) == SERVICES
