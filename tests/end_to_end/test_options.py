"""What an author can ask for in .env: sudo, a folder of data, a DANDI key, a Dandiset's version."""

from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from tests.end_to_end.paper import Paper

pytestmark = pytest.mark.end_to_end


def test_sudo_data_and_a_dandi_key_reach_the_running_hub_alone(unbuilt_paper: Paper, docker_engine: Docker) -> None:
    paper = unbuilt_paper
    (paper.root / "nwb files").mkdir()
    (paper.root / "nwb files" / "rat.nwb").write_text("not really")
    with (paper.root / ".env").open("a", encoding="utf-8") as env:
        env.write("GRANT_SUDO=yes\nSPYGLASS_DATA_DIR='nwb files'\nDANDI_API_KEY=a-secret-of-mine\nHUB_APT_PACKAGES=\n")
        env.write("DANDISET_VERSION=0.220913.1400\n")
        env.write("MYSQL_ROOT_PASSWORD='it\\'s \"quoted\"'\nMYSQL_USER=frank\n")
    try:
        paper.invoke("build")

        inside = paper.invoke("enter", text="sudo -n id --user; mysql --execute 'SHOW DATABASES'; ls ~/data; env\n")
        assert inside.splitlines()[0] == "0"
        assert "common_session" in inside
        assert "rat.nwb" in inside
        assert "DANDI_API_KEY=a-secret-of-mine" in inside
        assert "DANDISET_VERSION=0.220913.1400" in inside
        assert "PYTHONSTARTUP=/opt/paper/pin_dandiset.py" in inside
        assert "is not for readers" in paper.invoke("bundle", status=1)
        assert (paper.root / "nwb files" / "analysis").is_dir()
        image = paper.settings.hub_image_name
        history = paper.docker.ask("history", "--no-trunc", image) + paper.docker.ask("inspect", image)
        assert "a-secret-of-mine" not in history
    finally:
        paper.remove()


def test_folders_that_cannot_be_made_are_beside_the_data(paper: Paper, tmp_path: Path) -> None:
    data = tmp_path / "read only"
    (data / "raw").mkdir(parents=True)
    data.chmod(0o555)
    try:
        paper.invoke("build", SPYGLASS_DATA_DIR=str(data))

        found = paper.in_hub("ls ~/data; echo $SPYGLASS_TEMP_DIR $DLC_BASE_DIR ${SPYGLASS_RAW_DIR:-none}")
    finally:
        data.chmod(0o755)
        paper.invoke("build")

    scratch = "/home/jovyan/scratch"
    assert found.split() == ["raw", f"{scratch}/tmp", f"{scratch}/deeplabcut", "none"]
    assert "data: tmp cannot be made" not in paper.invoke("logs", "--service", "hub")
