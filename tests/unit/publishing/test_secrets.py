"""What is found in notebooks, and in the files beside them, before others get them."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from spyglass_export.errors import UserError
from spyglass_export.publishing.secrets import HARMLESS_FILES, HARMLESS_TAG, check_no_secret
from spyglass_export.settings import Settings, load

OWN = 'S3cr"et\\1'
KEY = "0123456789abcdef0123456789abcdef01234567"
FIGURE = base64.b64encode(bytes(range(256)) * 40).decode()


def paper(folder: Path, source: str = "", outputs: list[Any] | None = None, **metadata: Any) -> Settings:
    """A paper with one notebook, whose second cell has this source and these outputs."""
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / ".env").write_text(f"PAPER_ID=Gu2026\nMYSQL_ROOT_PASSWORD='{OWN}'\n", encoding="utf-8")
    first = {"cell_type": "markdown", "metadata": {}, "source": ["# Figure 1"]}
    figure = {"output_type": "display_data", "data": {"image/png": FIGURE, "text/plain": "<Figure>"}, "metadata": {}}
    second = {
        "cell_type": "code",
        "metadata": metadata,
        "source": source.splitlines(keepends=True),
        "outputs": [figure, *(outputs or [])],
    }
    notebook = {"cells": [first, second], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notebooks" / "figure.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return load(folder, {})


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (f'dandi_api_key = "{KEY}"  # key connected to your account', "DANDI API key"),
        (f'import dandi\nclient.authenticate(\n  "{KEY}")', "DANDI API key"),
        ("dj.config['database.password'] = 'labsecret123'", "password"),
        ("dj.conn('lmf-db.example.edu', 'ada', 'labsecret123')", "password"),
        ("os.environ['DJ_PASS'] = 'labsecret123'", "password"),
        ("%env DJ_PASS=labsecret123", "password"),
        ("!mysql -h lab -u ada -plabsecret123", "password"),
        ("create_engine('mysql+pymysql://ada:labsecret123@lab/x')", "Basic Auth"),
        ("token = 'ghp_" + "a1B2c3D4e5" * 4 + "'", "GitHub"),
        ("aws = 'AKIAIOSFODNN7EXAMPLZ'", "AWS"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "Private Key"),
        ("# password: labsecret123", "password"),
    ],
)
def test_a_secret_in_a_cell_is_refused_by_file_and_cell_and_not_quoted(tmp_path: Path, source: str, kind: str) -> None:
    settings = paper(tmp_path, f"import datajoint as dj\n{source}\n")

    with pytest.raises(UserError, match=f"notebooks/figure.ipynb, cell 2, line .*{kind}") as error:
        check_no_secret(settings)

    assert "labsecret123" not in error.value.what
    assert KEY not in error.value.what
    assert "pragma: allowlist secret" in error.value.hint


@pytest.mark.parametrize(
    "source",
    [
        'dj.config["database.password"] = os.environ["DJ_PASS"]',
        'password = getpass("Password: ")',
        'dandi_api_key = "<your key>"',
        f"!pip install git+https://github.com/dandi/dandi-cli@{KEY}",
        f"figure = 'sha1://{KEY}'",
        'dj.config["database.password"] = "Gu2026"',
        "tokenizer = 'bert-base-uncased'",
        "# see https://neurostars.org/t/some-long-title/1234",
        "https://dandiarchive.s3.amazonaws.com/blobs/a?X-Amz-Credential=b&X-Amz-Signature=c",
    ],
)
def test_what_only_looks_like_a_secret_is_published(tmp_path: Path, source: str) -> None:
    check_no_secret(paper(tmp_path, source))


def test_a_secret_in_an_output_is_refused(tmp_path: Path) -> None:
    printed = {
        "output_type": "stream",
        "name": "stdout",
        "text": ["{'database.user': 'ada',\n", " 'database.password': "],
    }
    printed["text"] = [*printed["text"], "'labsecret123'}\n"]

    with pytest.raises(UserError, match="output of cell 2"):
        check_no_secret(paper(tmp_path, "dj.config", [printed]))


@pytest.mark.parametrize(
    "form",
    [
        OWN,
        json.dumps(OWN),
        json.dumps(json.dumps(OWN)),
        repr(OWN),
        repr(OWN.encode()),
        quote(OWN, safe=""),
        "".join(f"\\u{ord(one):04x}" for one in OWN),
        "".join(f"\\x{ord(one):02x}" for one in OWN),
        "".join(f"&#{ord(one)};" for one in OWN),
        base64.b64encode(OWN.encode()).decode(),
        base64.b64encode(f"ada:{OWN}".encode()).decode(),
        base64.urlsafe_b64encode(f"root:{OWN}\n".encode()).decode(),
        OWN.encode().hex(),
    ],
)
@pytest.mark.parametrize("file", ["cell", "script.py", "rats.csv"])
def test_the_authors_own_password_is_found_in_every_form(tmp_path: Path, form: str, file: str) -> None:
    settings = paper(tmp_path, f"x = {form}" if file == "cell" else "")
    if file != "cell":
        (settings.notebooks / file).write_text(f"rat,{form},1\n", encoding="utf-8")

    with pytest.raises(UserError, match="the value of MYSQL_ROOT_PASSWORD") as error:
        check_no_secret(settings)

    assert "choose another password" in error.value.hint


def test_the_labs_password_of_datajoints_configuration_is_the_authors_own(tmp_path: Path) -> None:
    settings = paper(tmp_path, "print('xyzzy-4711')")
    (settings.notebooks / "dj_local_conf.json").write_text('{"database.password": "xyzzy-4711"}')

    with pytest.raises(UserError, match=r"cell 2: the value of the password in dj_local_conf\.json"):
        check_no_secret(settings)


def test_the_authors_own_password_is_found_in_rows_and_in_files_that_are_no_text(tmp_path: Path) -> None:
    settings = paper(tmp_path)
    (settings.notebooks / "rats.bin").write_bytes(b"\0" * 100 + OWN.encode() + b"\0")
    with pytest.raises(UserError, match=r"notebooks/rats\.bin: the value of"):
        check_no_secret(settings)
    (settings.notebooks / "rats.bin").unlink()
    (settings.export_data / "sql").mkdir(parents=True)
    (settings.export_data / "sql" / "a.sql").write_text(f"INSERT INTO `a` VALUES ('{quote(OWN, safe='')}');\n")
    with pytest.raises(UserError, match=r"export_data/sql/a\.sql: the value of"):
        check_no_secret(settings)


def test_a_password_that_is_a_word_counts_only_where_it_stands_as_one(tmp_path: Path) -> None:
    settings = paper(tmp_path, "# a tutorial on rats")
    (tmp_path / ".env").write_text("PAPER_ID=Gu2026\nMYSQL_ROOT_PASSWORD=tutorial\n")
    settings = load(tmp_path, {})
    check_no_secret(settings)

    (settings.notebooks / "script.py").write_text("dj.conn(host, 'root', 'tutorial')\n")
    with pytest.raises(UserError, match="the value of MYSQL_ROOT_PASSWORD"):
        check_no_secret(settings)


def test_what_its_author_marked_as_harmless_is_published(tmp_path: Path) -> None:
    check_no_secret(paper(tmp_path, "password = 'labsecret123'  # pragma: allowlist secret"))
    check_no_secret(paper(tmp_path, "# pragma: allowlist nextline secret\npassword = 'labsecret123'"))
    check_no_secret(paper(tmp_path, "password = 'labsecret123'", tags=[HARMLESS_TAG]))
    settings = paper(tmp_path, "password = 'labsecret123'")
    (settings.notebooks / HARMLESS_FILES).write_text("figure.ipynb\n")
    check_no_secret(settings)


def test_a_secret_in_a_script_or_a_configuration_is_refused_by_line(tmp_path: Path) -> None:
    settings = paper(tmp_path)
    (settings.notebooks / "lab.yml").write_text("host: lab\npassword: labsecret\n")

    with pytest.raises(UserError, match=r"notebooks/lab\.yml, line 2: a password or key"):
        check_no_secret(settings)
