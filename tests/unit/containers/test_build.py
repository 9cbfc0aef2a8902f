"""What a build prints becomes steps on the screen, or one error."""

from pathlib import Path

import pytest

from spyglass_export.containers.build import build_images
from spyglass_export.errors import UserError
from tests.unit.docker_program import docker_that_runs


def build_that_prints(folder: Path, text: str, status: int) -> None:
    program = f"import sys\nsys.stdout.write({text!r})\nsys.exit({status})\n"
    build_images(folder, docker_that_runs(folder, program))


def test_each_step_that_runs_is_a_line_and_what_the_stand_in_left_out_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = (
        "#6 [hub stage-0 2/9] RUN apt-get update\n#6 CACHED\n"
        "#7 [hub stage-0 3/9] RUN --mount=type=secret,id=ca_bundle python /opt/paper/install_environment.py x\n"
        "#7 12.3 stand-in: skipped numpy=1.26\n#7 DONE 13.0s\n"
    )

    build_that_prints(tmp_path, log, 0)

    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "hub, step 3/9: installing the paper's environment, which takes longest"
    assert printed.out.splitlines()[1].startswith("built both images in ")
    assert printed.err == "warning: skipped numpy=1.26\n"
    assert (tmp_path / "build.log").read_text() == log


def test_our_own_scripts_have_the_word(tmp_path: Path) -> None:
    log = (
        "#9 [db load 4/5] RUN load\n#9 3.1 mysqld says a lot\n"
        "#9 3.2 error: rows/a.b.sql: Duplicate entry\n#9 3.2 hint: look at it\n"
        '#9 ERROR: process "/bin/bash" did not complete successfully: exit code: 1\n'
    )

    with pytest.raises(UserError) as error:
        build_that_prints(tmp_path, log, 17)

    assert (error.value.what, error.value.hint) == ("rows/a.b.sql: Duplicate entry", "look at it")


def test_another_failed_step_is_shown_with_its_last_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = (
        "#7 [hub stage-0 3/9] RUN mamba env create\n#7 1.0 Looking for nothing\n#7 2.0 package xyz is not there\n"
        '#7 ERROR: process "/bin/bash" did not complete successfully: exit code: 1\n'
    )

    with pytest.raises(UserError) as error:
        build_that_prints(tmp_path, log, 17)

    assert error.value.what == "the image of hub cannot be built: step 3/9 failed"
    assert "package xyz is not there" in capsys.readouterr().err


def test_a_base_image_out_of_reach(tmp_path: Path) -> None:
    log = "failed to solve: quay.io/x: failed to resolve source metadata for quay.io/x: dial tcp: i/o timeout\n"

    with pytest.raises(UserError, match="the registry does not answer") as error:
        build_that_prints(tmp_path, log, 1)

    assert "invoke bootstrap" in error.value.hint
