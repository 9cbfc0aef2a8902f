"""What a plan is made of, without a server: order of tables, what fits, how values are written, and the record."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.errors import UserError
from spyglass_export.merging import insert, record, values
from spyglass_export.merging.compare import match_columns
from spyglass_export.merging.make_tables import plan_definitions
from spyglass_export.merging.plan import Plan
from spyglass_export.merging.server import Column, ForeignKey, Table, in_order, read_tables


def column(name: str, type_: str, *, nullable: bool = True, charset: str | None = None, length: int = 0) -> Column:
    return Column(name, type_.split("(")[0].split()[0], type_, nullable, nullable, charset, charset, length,
                  False, False)  # fmt: skip


def table(name: str, *columns: Column, key: str = "k", parents: tuple[str, ...] = (), engine: str = "innodb") -> Table:
    references = [ForeignKey(f"fk_{one}", ("k",), TableId("s", one), ("k",)) for one in parents]
    uniques: dict[str, tuple[str, ...]] = {"PRIMARY": (key,)} if key else {}
    return Table(TableId("s", name), engine, 0, {one.name: one for one in columns}, uniques, references)


def test_parents_come_first_and_circles_together() -> None:
    tables = [
        table("a", parents=("b",)), table("b", parents=("c", "elsewhere")), table("c"),
        table("x", parents=("y", "a")), table("y", parents=("x",)), table("z", parents=("z",)),
    ]  # fmt: skip

    groups = in_order({one.id: one for one in tables})

    assert [[one.name for one in group] for group in groups] == [["c"], ["z"], ["b"], ["a"], ["x", "y"]]


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

    reason, _, columns = match_columns(ours, theirs)

    assert why in reason
    assert bool(reason) is bool(why)
    assert list(columns) == (["k"] if "no column" in why else ["k", "v"])


def test_two_names_that_their_server_takes_for_one_are_refused() -> None:
    paper = Mock()
    paper.name = "paper"
    paper.rows.side_effect = [[("s", "Unit", "innodb", 0), ("s", "unit", "innodb", 0)], [], [], []]

    with pytest.raises(UserError, match=r"paper has s\.Unit and s\.unit, whose names are one"):
        read_tables(paper, folded=lambda name: TableId(name.schema.lower(), name.name.lower()))


@pytest.mark.parametrize(
    ("ours", "known", "planned"),
    [
        ("utf8mb4_0900_bin", ["utf8mb4_0900_bin", "utf8mb4_bin"], "utf8mb4_0900_bin"),
        ("utf8mb4_0900_bin", ["utf8mb4_nopad_bin", "utf8mb4_bin"], "utf8mb4_nopad_bin"),
        ("utf8mb4_0900_bin", ["utf8mb4_bin"], "utf8mb4_bin"),
        ("utf8mb4_0900_ai_ci", ["utf8mb4_nopad_bin"], "utf8mb4_unicode_520_ci"),
    ],
)
def test_a_missing_table_gets_the_nearest_collation(ours: str, known: list[str], planned: str) -> None:
    one = table("t", replace(column("k", "varchar(9)", charset="utf8mb4"), collation=ours))
    paper, lab = Mock(), Mock()
    paper.rows.return_value = [("t", f"CREATE TABLE `t` (\n  `k` varchar(9) COLLATE {ours}\n) ENGINE=InnoDB")]
    lab.rows.side_effect = [[(name,) for name in known], []]

    plan_definitions(plan := Plan(paper, lab), {one.id: one}, {})

    assert f"`k` varchar(9) CHARACTER SET utf8mb4 COLLATE {planned}\n" in plan.definitions[one.id]


def write_record(path: Path, *lines: str) -> None:
    path.write_text('{"format": 2, "tables_made": [["s", "t"]], "inserted": [\n' + "".join(lines))


def test_a_record_that_was_cut_short_is_told_from_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "merge.json"
    first = '{"table": "t", "rows": [["(1,\'a\\\\\'b\')", "00"], ["x\'00ff\'", "11"]]}\n'
    write_record(path, first, ',{"table": "t", "ro')
    assert not record.is_whole(path)
    assert [piece["rows"] for _, piece in record.read_rows(path)] == [[["(1,'a\\'b')", "00"], ["x'00ff'", "11"]]]
    write_record(path, first, ',{"table": "u", "rows": []}\n', "]}\n")
    assert record.is_whole(path)
    [_, (place, second)] = record.read_rows(path)
    assert next(record.read_rows(path, place)) == (place, second)
    assert second["table"] == "u"
    assert record.read_head(path)["tables_made"] == [TableId("s", "t")]
    path.write_text('{"format": 9}')
    with pytest.raises(UserError, match="is not what `invoke merge` writes"):
        record.read_head(path)


@pytest.mark.parametrize("name", ["merge.json", record.UNFINISHED])
def test_a_record_of_another_version_says_what_to_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text('{"format": 1, "tables_made": [], "inserted": [\n{"rows": [["1", "00"]]}\n]}\n')
    with pytest.raises(UserError, match="was written by another version of this project") as refused:
        record.read_head(path)
    assert refused.value.hint.startswith("take its rows out by that version's `invoke unmerge`")


@pytest.mark.parametrize("key", ["1) OR (1", "'a' OR 'b'", "('a','b') -- ", "SLEEP(9)", "'a\\'"])
def test_no_other_sql_gets_in_with_a_record(tmp_path: Path, key: str) -> None:
    path = tmp_path / "merge.json"
    write_record(path, json.dumps({"table": "t", "rows": [[key, "00"]]}) + "\n", "]}\n")
    with pytest.raises(UserError, match="no key looks like"):
        list(record.read_rows(path))


def test_a_record_with_a_long_beginning_is_not_taken_for_one_of_nothing(tmp_path: Path) -> None:
    """Its first line lists the numbers that became others, which may be many thousand."""
    path = tmp_path / record.UNFINISHED
    head = {"format": 2, "server": "lab", "identity": "1", "tables_made": [], "renumbered": {"x": "1" * 2_000_000}}
    path.write_text(json.dumps(head)[:-1] + ', "inserted": [\n')
    with pytest.raises(UserError, match="a merge into lab was broken off"):
        insert.finish_earlier(Mock(identity="2"), tmp_path)
    assert path.is_file()
    path.write_text('{"format": 2, "server": "la')
    assert insert.finish_earlier(Mock(identity="2"), tmp_path) == ""
    assert not path.exists()
