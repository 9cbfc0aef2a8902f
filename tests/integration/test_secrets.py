"""Every layer of an image, searched for what must not be in it."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.notebooks.files import notebook_files
from tests.integration.database_container import ROOT, ask, run

pytestmark = pytest.mark.integration
LEFT_OUT = (
    *(".env", ".env.local", "lab.env", ".netrc", ".my.cnf", ".ssh/id_rsa", ".aws/credentials", ".git/config", "a.pem"),
    *(".bash_history", "figure.ipynb~", ".figure.ipynb.swp", "#figure.ipynb#", "dj_local_conf.json", "code/id_ed25519"),
    *(".datajoint_config.json", "code/.ssh/config", "code/dj_local_conf.json", "executed/figure.ipynb"),
)
TAKEN = ("figure.ipynb", "code/load.py", "x.zarr/.zgroup", "x.zarr/0/.zarray")


def held(image: str, *texts: bytes) -> set[bytes]:
    """Which of these texts are in a file of any layer, or in what the image says of itself."""
    found: set[bytes] = set()
    longest = max(map(len, texts))
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                content, before = archive.extractfile(member), b""
                while content and (block := content.read(1 << 20)):
                    found |= {text for text in texts if text in before + block}
                    before = block[-longest:]
        if process.stdout:
            process.stdout.read()
    return found


def test_docker_leaves_out_of_notebooks_what_we_say_that_it_does(docker_engine: Docker, tmp_path: Path) -> None:
    for name in (*LEFT_OUT, *TAKEN):
        (tmp_path / "notebooks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notebooks" / name).write_text("planted" if name in LEFT_OUT else "needed")
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY notebooks /notebooks\n")
    image = f"sgx-secrets-{tmp_path.parent.name}"
    try:
        ask("build", "--quiet", "--tag", image, str(tmp_path))

        assert held(image, b"needed", b"planted") == {b"needed"}
        container = ask("create", image, "none")
        ask("cp", f"{container}:/notebooks", str(tmp_path / "out"))
        ask("rm", container)
    finally:
        run("image", "rm", "--force", image)
    inside = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert inside == [path.relative_to(tmp_path / "notebooks") for path in notebook_files(tmp_path / "notebooks")]
    assert {path.as_posix() for path in inside} == set(TAKEN)


def test_the_databases_image_has_no_account_of_the_lab(odd_image: str) -> None:
    assert b"`someone`@`elsewhere`" in (ROOT / "tests/fixtures/odd_export/_Populate_odd.sql").read_bytes()
    assert held(odd_image, b"`someone`@`elsewhere`", b"someone@elsewhere", b"CREATE TABLE") == {b"CREATE TABLE"}


def test_the_databases_image_has_no_path_of_the_lab(example_image: str) -> None:
    assert b"/miniforge3/envs/" in (ROOT / "examples/export/example/environment.yml").read_bytes()
    assert held(example_image, b"common_session", b"/miniforge3/envs/") == {b"common_session"}
