"""The account of a lab's server: from options, DataJoint's and MySQL's files, and the environment."""

import json
from pathlib import Path

import pytest

from spyglass_export.errors import UserError
from spyglass_export.servers.account import find_account


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home; the environment says nothing of an account."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS", "MYSQL_PWD"):
        monkeypatch.delenv(name, raising=False)
    return folder


def nobody(question: str) -> str:
    raise AssertionError(question)


def datajoint(file: Path, host: str, user: str, password: str | None) -> None:
    values = {"database.host": host, "database.user": user, "database.password": password, "database.port": 3307}
    file.write_text(json.dumps(values), encoding="utf-8")


def test_options_alone_and_the_password_is_asked_for(home: Path, tmp_path: Path) -> None:
    account = find_account("db.lab.org", "3310", "ada", folder=tmp_path, ask=lambda question: "s3 ret")
    assert (account.host, account.port, account.user, account.password) == ("db.lab.org", 3310, "ada", "s3 ret")
    assert "s3 ret" not in f"{account} {account!r}"


def test_datajoint_local_before_global(home: Path, tmp_path: Path) -> None:
    datajoint(home / ".datajoint_config.json", "old.lab.org", "ada", "old")
    datajoint(tmp_path / "dj_local_conf.json", "db.lab.org", "ada", "new")
    account = find_account(folder=tmp_path, ask=nobody)
    assert (account.host, account.port, account.user, account.password) == ("db.lab.org", 3307, "ada", "new")


def test_a_host_with_its_port_in_the_environment(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DJ_HOST": "db.lab.org:3308", "DJ_USER": "ada", "DJ_PASS": "x"}.items():
        monkeypatch.setenv(name, value)
    account = find_account(folder=tmp_path, ask=nobody)
    assert (account.host, account.port, account.password) == ("db.lab.org", 3308, "x")


def test_what_spyglass_writes_into_my_cnf(home: Path, tmp_path: Path) -> None:
    (home / ".my.cnf").write_text(
        '!includedir /etc/my.cnf.d\n[client]\nuser=ada\npassword="a#b%c"\nhost=db.lab.org\n[mysqldump]\nquick\n',
        encoding="utf-8",
    )
    account = find_account(folder=tmp_path, ask=nobody)
    assert (account.host, account.port, account.user, account.password) == ("db.lab.org", 3306, "ada", "a#b%c")


def test_mysql_pwd_wins(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datajoint(tmp_path / "dj_local_conf.json", "db.lab.org", "ada", "file")
    monkeypatch.setenv("MYSQL_PWD", "given")
    assert find_account(folder=tmp_path, ask=nobody).password == "given"


@pytest.mark.parametrize(("host", "user"), [("other.org", "ada"), ("db.lab.org", "bob")])
def test_a_password_goes_to_no_other_server_or_user(home: Path, tmp_path: Path, host: str, user: str) -> None:
    datajoint(tmp_path / "dj_local_conf.json", "db.lab.org", "ada", "secret")
    account = find_account(host, user=user, folder=tmp_path, ask=lambda question: "asked")
    assert (account.host, account.user, account.password) == (host, user, "asked")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "which server"),
        ({"host": "db.lab.org"}, "which user of db.lab.org"),
        ({"host": "db.lab.org", "user": "ada", "port": "many"}, "the port 'many'"),
        ({"host": "db.lab.org", "user": "ada"}, "no password for ada at db.lab.org, and nobody here"),
    ],
)
def test_what_is_not_known_is_said(home: Path, tmp_path: Path, given: dict[str, str], what: str) -> None:
    with pytest.raises(UserError, match=what):
        find_account(**given, folder=tmp_path)  # type: ignore[arg-type]


def test_a_broken_file_is_named_and_not_quoted(home: Path, tmp_path: Path) -> None:
    (home / ".my.cnf").write_text("password=secret\n[client\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"\.my\.cnf cannot be read") as caught:
        find_account("db.lab.org", folder=tmp_path)
    assert "secret" not in caught.value.what + caught.value.hint
    (home / ".my.cnf").unlink()
    (tmp_path / "dj_local_conf.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"dj_local_conf\.json is not the JSON"):
        find_account("db.lab.org", folder=tmp_path)
