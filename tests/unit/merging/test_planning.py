"""What a plan is made of, without a server: order of tables, what fits, how values are written, and the record."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.errors import UserError
from spyglass_export.merging import insert, record, rights, values
from spyglass_export.merging.compare import match_columns
from spyglass_export.merging.plan import TablePlan
from spyglass_export.merging.tables import Column, ForeignKey, Table, Unique, in_order, text_literal


def column(name: str, type_: str, *, nullable: bool = True, charset: str | None = None, length: int = 0) -> Column:
    return Column(name, type_.split("(")[0].split()[0], type_, nullable, nullable, charset, charset, length,
                  length * 4, False, False)  # fmt: skip


def table(name: str, *columns: Column, key: str = "k", parents: tuple[str, ...] = (), engine: str = "innodb") -> Table:
    references = [ForeignKey(f"fk_{one}", ("k",), TableId("s", one), ("k",)) for one in parents]
    uniques = [Unique("PRIMARY", (key,))] if key else []
    return Table(TableId("s", name), engine, 0, {one.name: one for one in columns}, uniques, references)


def test_parents_come_first_and_circles_together() -> None:
    tables = [
        table("a", parents=("b",)), table("b", parents=("c", "elsewhere")), table("c"),
        table("x", parents=("y", "a")), table("y", parents=("x",)), table("z", parents=("z",)),
    ]  # fmt: skip

    groups = in_order({one.id: one for one in tables})

    assert [[one.name for one in group] for group in groups] == [["c"], ["b"], ["a"], ["x", "y"], ["z"]]


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"),
    [
        ("varchar(64)", "varchar(255)", True),
        ("varchar(64)", "text", True),
        ("int", "smallint unsigned", True),
        ("json", "longtext", True),
        ("blob", "longblob", True),
        ("longtext", "json", False),
        ("float", "double", False),
        ("decimal(10,3)", "decimal(10,2)", False),
        ("datetime", "datetime(6)", False),
        ("enum('a')", "varchar(9)", False),
        ("binary(16)", "binary(8)", False),
    ],
)
def test_which_types_may_hold_the_same_values(ours: str, theirs: str, fits: bool) -> None:
    assert (values.differs(column("v", ours), column("v", theirs)) is None) is fits


def test_single_values_that_do_not_fit() -> None:
    def reasons(ours: Column, theirs: Column) -> list[str]:
        return [reason for _, reason in values.misfits(ours, theirs, "t.`v`", 1 << 26)]

    long, short = (column("v", f"varchar({n})", charset="utf8mb4", length=n) for n in (9, 3))
    assert reasons(short, long) == []
    assert reasons(long, short) == ["is longer than your varchar(3) holds"]
    assert reasons(column("v", "int"), column("v", "smallint", nullable=False)) == [
        "is empty (NULL), which your database does not allow", "does not fit into smallint",
    ]  # fmt: skip
    assert reasons(column("v", "enum('a','b''c')"), column("v", "enum('a')"))
    assert values.members_of(column("v", "enum('a','b''c')")) == ["a", "b'c"]


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (table("t", column("k", "int"), column("v", "int")), ""),
        (table("t", column("v", "int"), column("k", "int"), column("w", "int")), ""),
        (table("t", column("k", "int")), "your table has no column v"),
        (table("t", column("k", "int"), column("v", "int"), column("w", "int", nullable=False)), "wants a value for w"),
        (table("t", column("k", "int"), column("v", "int"), key="v"), "its primary key is (k)"),
        (table("t", column("k", "int"), column("v", "int"), engine="myisam"), "kept by myisam"),
    ],
)
def test_which_tables_take_rows_at_all(theirs: Table, why: str) -> None:
    ours = table("t", column("k", "int"), column("v", "int"))
    reason, columns = match_columns(ours, theirs, TablePlan(ours.id, theirs.id, False))

    assert why in reason
    assert bool(reason) is bool(why)
    assert [one.name for one, other in columns if other.name == one.name] == (
        ["k"] if "no column" in why else ["k", "v"]
    )


def test_strings_are_written_as_mysql_quotes_them() -> None:
    assert text_literal("it's \\ \0 \x1a é") == "'it\\'s \\\\ \\0 \\Z é'"


@pytest.mark.parametrize(
    ("pattern", "schema", "matches"),
    [
        ("common\\_%", "common_lab", True),
        ("common\\_%", "commonXlab", False),
        ("c_m%", "common", True),
        ("%", "x", True),
    ],
)
def test_rights_are_for_patterns_of_schemas(pattern: str, schema: str, matches: bool) -> None:
    assert rights._has([({"ALL PRIVILEGES"}, pattern)], "CREATE", schema) is matches
    assert not rights._has([({"SELECT"}, pattern)], "CREATE", schema)


def test_a_record_that_was_cut_short_is_told_from_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "merge.json"
    head = '{"format": 1, "tables_made": [["s", "t"]], "inserted": [\n'
    path.write_text(head + '{"table": "t", "rows": [[1, "00"]]}\n,{"table": "t", "ro')
    assert not record.is_whole(path)
    assert [piece["rows"] for _, piece in record.read_rows(path)] == [[[1, "00"]]]
    path.write_text(head + '{"table": "t", "rows": [[1, "00"]]}\n,{"table": "u", "rows": []}\n]}\n')
    assert record.is_whole(path)
    assert [piece["table"] for _, piece in record.read_rows(path)] == ["t", "u"]
    assert record.read_head(path)["tables_made"] == [TableId("s", "t")]
    path.write_text('{"format": 9}')
    with pytest.raises(UserError, match="is not what `invoke merge` writes"):
        record.read_head(path)


def test_a_record_with_a_long_beginning_is_not_taken_for_one_of_nothing(tmp_path: Path) -> None:
    """Its first line lists the files that the rows expect, which may be many thousand."""
    path = tmp_path / record.UNFINISHED
    head = {"format": 1, "server": "lab", "identity": "1", "tables_made": [], "files": {"expected": ["x" * 2_000_000]}}
    path.write_text(json.dumps(head)[:-1] + ', "inserted": [\n')
    with pytest.raises(UserError, match="a merge into lab was broken off"):
        insert.finish_earlier(Mock(identity="2"), tmp_path)
    assert path.is_file()
    path.write_text('{"format": 1, "server": "la')
    assert insert.finish_earlier(Mock(identity="2"), tmp_path) == ""
    assert not path.exists()
