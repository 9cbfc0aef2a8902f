"""The script of Spyglass' Export, read as text: which calls it has, and what of it is not understood."""

from pathlib import Path

import pytest

from spyglass_export.export.script import Call, Script, ScriptNotUnderstoodError, find_scripts, read_script

HEAD = """#!/bin/bash

exec > /stelmo/nwb/export/Gu2026/_Populate_Gu2026.sql

echo '--'
echo '-- SPYGLASS VERSION: 0.6.0 --'
echo '--'

echo 'CREATE DATABASE IF NOT EXISTS common_lab; USE common_lab;'

"""
PLAIN = HEAD + (
    'mysqldump --hex-blob common_lab \\#team --where="\\\n'
    "\t((team=\\#1) \\\n\tAND (name='a b') \\\n\tOR  (name='c'))\"\n\n"
    'mysqldump --hex-blob common_lab lab --where="\\\n\t1"\n\n'
)
DOCKER = HEAD.replace("/stelmo/nwb/export/Gu2026/", "") + (
    "docker exec -i 0123abc \\\n\tmysqldump --hex-blob -u ada --password=s3cret#1 \\\n\t"
    "common_lab lab --where=\"\\\n\tlab_name in ('O''Keefe', '$5 `x` \\\\n')\"\n\n"
)


def script_of(tmp_path: Path, text: str) -> Script:
    file = tmp_path / "_ExportSQL_Gu2026.sh"
    file.write_bytes(text.encode())
    return read_script(file)


def test_the_plain_form(tmp_path: Path) -> None:
    script = script_of(tmp_path, PLAIN)
    assert script.version == "0.6.0"
    assert script.calls == (
        Call("common_lab", "#team", "((team=#1) \tAND (name='a b') \tOR  (name='c'))", 11, False),
        Call("common_lab", "lab", "1", 16, False),
    )


def test_the_form_for_a_server_in_a_container_keeps_what_bash_would_change(tmp_path: Path) -> None:
    [call] = script_of(tmp_path, DOCKER).calls
    assert (call.schema, call.table) == ("common_lab", "lab")
    assert call.where == "lab_name in ('O''Keefe', '$5 `x` \\\\n')"
    assert call.is_changed_by_bash


def test_line_ends_of_windows(tmp_path: Path) -> None:
    assert script_of(tmp_path, PLAIN.replace("\n", "\r\n")).calls == script_of(tmp_path, PLAIN).calls


def test_older_releases_wrote_lookup_tables_without_a_backslash(tmp_path: Path) -> None:
    script = script_of(tmp_path, HEAD + 'mysqldump common_region #brain_region --where="\\\n\tregion_id=1"\n')
    assert [(call.schema, call.table, call.where) for call in script.calls] == [
        ("common_region", "#brain_region", "region_id=1")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "mysqldump -u ada -h db.lab.org --port 3306 common_lab lab",
        "/usr/bin/mysqldump common_lab lab >> more.sql 2> errors.txt || exit 1",
        "set -e; MYSQL_PWD=x mysqldump.exe --single-transaction --no-tablespaces common_lab lab # the first",
    ],
)
def test_what_an_administrator_may_add(tmp_path: Path, line: str) -> None:
    assert [(call.schema, call.table, call.where) for call in script_of(tmp_path, line).calls] == [
        ("common_lab", "lab", "")
    ]


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("", "no call of mysqldump", 1),
        (PLAIN + "for table in a b; do mysqldump d $table; done\n", "`for`", 19),
        (PLAIN + "mysqldump d t | gzip > t.gz\n", "'| gzip", 19),
        (PLAIN + 'mysqldump d t --where="a\n', "left open", 19),
        (PLAIN + "mysqldump --all-databases\n", "the option --all-databases", 19),
        (PLAIN + "mysqldump common_lab\n", "names no table", 19),
        (PLAIN + "./dump_more.sh\n", "`./dump_more.sh`", 19),
    ],
)
def test_what_is_not_understood_is_said_with_its_line(tmp_path: Path, text: str, what: str, line: int) -> None:
    with pytest.raises(ScriptNotUnderstoodError) as caught:
        script_of(tmp_path, text)
    assert what in caught.value.what
    assert caught.value.line == line


def test_a_script_that_was_cut_within_a_call_is_not_understood(tmp_path: Path) -> None:
    with pytest.raises(ScriptNotUnderstoodError, match="is left open") as error:
        script_of(tmp_path, PLAIN + "mysqldump d b \\")

    assert error.value.line == PLAIN.count("\n") + 1


def test_where_the_output_goes_may_be_on_the_next_line(tmp_path: Path) -> None:
    assert (
        script_of(tmp_path, PLAIN + 'mysqldump d b >> \\\n\t"out.sql"\n').calls[2:]
        == script_of(tmp_path, PLAIN + "mysqldump d b\n").calls[2:]
    )


def test_the_script_of_the_dandi_table_too(tmp_path: Path) -> None:
    for name in ("_ExportSQL_a.sh", "_ExportSQL_a_dandi.sh", "other.sh"):
        (tmp_path / name).touch()
    assert [path.name for path in find_scripts(tmp_path)] == ["_ExportSQL_a.sh", "_ExportSQL_a_dandi.sh"]
