"""Publishing and running a paper: bytes pushed again, seconds to the first query, size of the archive.

Run as `python -m benchmarks.publish` where `invoke bootstrap` has been run and `docker-registry` (Debian's package) is
installed. It works on a copy of the project with the example paper under another ID, and removes the copy, its
containers, volumes and images afterwards. Baselines of the same run: all bytes of the first push, starting the database
image with plain `docker run`, and `docker save | gzip`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from pathlib import Path

from benchmarks.rebuild import EMPTY_NOTEBOOK, copy_of_project, invoke

PORT = 13605


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def docker(*arguments: str) -> str:
    """Run docker and return what it printed."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def seconds_to_first_query(container: str, password: str) -> float:
    """Wait until a database answers, asking through its container."""
    started = time.perf_counter()
    query = ("exec", "--env", f"MYSQL_PWD={password}", container, "mysql", "--user=root", "--execute=SHOW DATABASES")
    while subprocess.run(["docker", *query], capture_output=True, check=False).returncode:
        time.sleep(0.1)
    return time.perf_counter() - started


def start_registry(folder: Path) -> "subprocess.Popen[bytes]":
    """Serve a folder as a registry."""
    configuration = folder / "registry.yml"
    configuration.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{PORT}'}}\n"
        f"storage:\n  filesystem: {{rootdirectory: '{folder / 'storage'}'}}\n",
        encoding="utf-8",
    )
    (folder / "storage").mkdir()
    null = subprocess.DEVNULL
    return subprocess.Popen(["docker-registry", "serve", str(configuration)], stdout=null, stderr=null)


def measure(folder: Path, paper_id: str) -> list[tuple[str, str, str, str]]:
    """Give rows of what, figure, baseline and their ratio."""
    project, storage = copy_of_project(folder / "author", paper_id), folder / "storage"
    with (project / ".env").open("a", encoding="utf-8") as env:
        env.write(f"HUB_IMAGE_NAME=127.0.0.1:{PORT}/bench/hub\nDB_IMAGE_NAME=127.0.0.1:{PORT}/bench/db\n")
    images = [f"127.0.0.1:{PORT}/bench/{service}:latest" for service in ("db", "hub")]
    invoke(project, "build")
    invoke(project, "publish")
    first = size_of(storage)
    (project / "notebooks" / "another.ipynb").write_text(EMPTY_NOTEBOOK, encoding="utf-8")
    invoke(project, "build")
    invoke(project, "publish")
    again = size_of(storage) - first

    archive_seconds = invoke(project, "archive")
    archive = (project / f"{paper_id}-archive" / "images.tar.zst").stat().st_size
    started = time.perf_counter()
    with (
        subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving,
        subprocess.Popen(["gzip", "--stdout"], stdin=saving.stdout, stdout=subprocess.PIPE) as zipping,
    ):
        assert zipping.stdout
        gzipped = 0
        while block := zipping.stdout.read(1 << 20):
            gzipped += len(block)
    gzip_seconds = time.perf_counter() - started
    invoke(project, "down")

    reader = folder / "reader"
    with zipfile.ZipFile(project / f"{paper_id}.zip") as bundle:
        bundle.extractall(reader)
    name = f"{paper_id}-plain"
    started = time.perf_counter()
    docker("run", "--detach", "--name", name, "--env", f"MYSQL_ROOT_PASSWORD={paper_id}", images[0])
    seconds_to_first_query(name, paper_id)
    plain = time.perf_counter() - started
    docker("rm", "--force", "--volumes", name)
    started = time.perf_counter()
    running = subprocess.Popen([sys.executable, "-m", "invoke", "run"], cwd=reader, stdout=subprocess.DEVNULL)
    container = f"reader-spyglass-{paper_id}-db-1"
    seconds_to_first_query(container, paper_id)
    query = time.perf_counter() - started
    running.wait()
    whole = time.perf_counter() - started
    return [
        (
            "bytes pushed after a change to one notebook",
            f"{again:,}",
            f"{first:,} of the first push",
            f"{again / first:.5f}",
        ),
        (
            "seconds from `run` to the first query",
            f"{query:.1f}",
            f"{plain:.1f} of `docker run`",
            f"{query / plain:.2f}",
        ),
        (
            "seconds from `run` to JupyterLab's address",
            f"{whole:.1f}",
            f"{plain:.1f} of `docker run`",
            f"{whole / plain:.2f}",
        ),
        (
            "bytes of the archive's images",
            f"{archive:,}",
            f"{gzipped:,} of `docker save` with gzip",
            f"{archive / gzipped:.2f}",
        ),
        (
            "seconds of `archive`",
            f"{archive_seconds:.0f}",
            f"{gzip_seconds:.0f} of `docker save` with gzip",
            f"{archive_seconds / gzip_seconds:.2f}",
        ),
    ]


def main() -> None:
    """Print the table, and remove all that was made."""
    if not shutil.which("docker-registry"):
        sys.exit("docker-registry is missing; it is a package of Debian")
    paper_id = f"bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry = start_registry(folder)
        try:
            rows = measure(folder, paper_id)
        finally:
            for project in (f"spyglass-{paper_id}", f"reader-spyglass-{paper_id}"):
                label = f"label=com.docker.compose.project={project}"
                for container in docker("ps", "--all", "--quiet", "--filter", label).split():
                    docker("rm", "--force", container)
                for volume in docker("volume", "ls", "--quiet", "--filter", label).split():
                    docker("volume", "rm", volume)
                for network in docker("network", "ls", "--quiet", "--filter", label).split():
                    docker("network", "rm", network)
            listed = docker("image", "ls", "--quiet", "--filter", f"label=spyglass-export.paper={paper_id}")
            for image in sorted(set(listed.split())):
                docker("image", "rm", "--force", image)
            registry.terminate()
            registry.wait()
    print("| what | figure | baseline | ratio |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    os.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)
    main()
