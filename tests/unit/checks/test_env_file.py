"""`invoke check` on `.env` files as people write them."""

from pathlib import Path

import pytest

from spyglass_export.checks.env_file import check_env_file

GOOD = "PAPER_ID=Gu2026\nSPYGLASS_BASE_DIR=/stelmo\n"


def checked(folder: Path, text: str, **environment: str) -> list[tuple[str, str, str]]:
    (folder / ".env").write_text(text, encoding="utf-8")
    return [(check.status, check.what, check.fix) for check in check_env_file(folder, environment)[0]]


def test_a_good_file(tmp_path: Path) -> None:
    [(status, what, _)] = checked(tmp_path, GOOD)

    assert status == "ok"
    assert what.startswith("paper Gu2026; ")


def test_no_file(tmp_path: Path) -> None:
    [check], settings = check_env_file(tmp_path, {})

    assert (check.status, settings) == ("failure", None)
    assert "invoke bootstrap" in check.fix


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("SPYGLAS_BASE_DIR=/stelmo", "did you mean SPYGLASS_BASE_DIR?"),
        ("paper_id=Gu2026", "did you mean PAPER_ID?"),
        ("JUPYTER_PASSWORD=secret", "did you mean JUPYTER_SERVER_APP_PASSWORD?"),
        ("COLOUR=blue", "take it out; env.example has every setting"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest_known_one(tmp_path: Path, line: str, fix: str) -> None:
    [(status, what, told)] = checked(tmp_path, f"{GOOD}{line}\n")

    assert status == "warning"
    assert what == f"{line.split('=')[0]} is not a setting, and nothing reads it"
    assert told == fix


def test_every_wrong_value_is_told_at_once(tmp_path: Path) -> None:
    found = checked(
        tmp_path, f"{GOOD}HUB_PORT=http\nBIND_ADDRESS=everywhere\nGRANT_SUDO=maybe\nCA_BUNDLE=nowhere.pem\n"
    )

    assert [status for status, *_ in found] == ["failure"] * 4
    assert [what.split()[0] for _, what, _ in found] == ["BIND_ADDRESS", "HUB_PORT", "GRANT_SUDO", "CA_BUNDLE"]
    assert all(fix for *_, fix in found)


def test_wrong_values_do_not_keep_the_rest_from_being_checked(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{GOOD}HUB_PORT=http\nDB_PORT=3307\n")

    _, settings = check_env_file(tmp_path, {})

    assert settings
    assert (settings.hub_port, settings.db_port) == (8888, 3307)


def test_without_a_paper_there_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SPYGLASS_BASE_DIR=/stelmo\n")

    [check], settings = check_env_file(tmp_path, {})

    assert (check.status, check.what, settings) == ("failure", "PAPER_ID is not set", None)


def test_where_the_export_is_must_be_said(tmp_path: Path) -> None:
    [(status, what, fix)] = checked(tmp_path, "PAPER_ID=Gu2026\n")

    assert (status, what) == ("failure", "it does not say where the export is")
    assert "SPYGLASS_BASE_DIR" in fix


def test_lines_that_cannot_be_read_have_their_number(tmp_path: Path) -> None:
    found = checked(
        tmp_path, f"# mine\n{GOOD}\n\nDB_PORT 'x\nHUB_PORT\nHUB_APT_PACKAGES=git\nHUB_APT_PACKAGES=ffmpeg\n"
    )

    assert [what for _, what, _ in found] == [
        'line 6 of .env cannot be read: "DB_PORT \'x"',
        "line 7: HUB_PORT has no value",
        "HUB_APT_PACKAGES is set twice, in lines 8 and 9; the last one holds",
    ]
    assert [status for status, *_ in found] == ["failure", "warning", "warning"]


def test_a_shell_that_overrides_the_file_is_told(tmp_path: Path) -> None:
    [(status, what, fix)] = checked(tmp_path, GOOD, SPYGLASS_BASE_DIR="/elsewhere", HOME="/home/ada")

    assert status == "warning"
    assert what == "SPYGLASS_BASE_DIR in the environment of this shell overrides the one in .env"
    assert fix.startswith("unset SPYGLASS_BASE_DIR")


def test_the_network_is_not_let_in_with_a_password_that_everyone_knows(tmp_path: Path) -> None:
    open_to_all = f"{GOOD}BIND_ADDRESS=0.0.0.0\nMYSQL_ROOT_PASSWORD=long-and-random\n"

    [(status, what, fix)] = checked(tmp_path, open_to_all)

    assert status == "failure"
    assert "opens the ports to others" in what
    assert "JUPYTER_SERVER_APP_PASSWORD" in fix
    assert checked(tmp_path, f"{open_to_all}JUPYTER_SERVER_APP_PASSWORD=another\n")[0][0] == "ok"


def test_no_password_is_shown(tmp_path: Path) -> None:
    found = checked(
        tmp_path, f"{GOOD}MYSQL_ROOT_PASSWORD=swordfish\nDANDI_API_KEY=sesame\n", MYSQL_ROOT_PASSWORD="tuna"
    )

    assert not any(secret in str(found) for secret in ("swordfish", "sesame", "tuna"))
