"""What becomes of views, triggers and routines."""

import pytest

from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

TABLE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\nCREATE TABLE `t` (`k` int);\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("`t`.`k` collate latin1_bin", "`t`.`k` collate utf8mb4_bin"),
        ("(`t`.`k` collate utf8mb3_general_ci)", "(`t`.`k` collate utf8mb4_0900_ai_ci)"),
        ("(lower(`t`.`k`) collate `latin5_turkish_ci`)", "(lower(`t`.`k`) collate utf8mb4_bin)"),
        ("concat(`k`,_latin1'x') collate latin1_bin", "concat(`k`,_latin1'x') collate utf8mb4_bin"),
        ("`k` collate utf8mb4_uca1400_as_cs", "`k` collate utf8mb4_0900_as_cs"),
        ("`k` collate utf8mb4_da_0900_as_cs", "`k` collate utf8mb4_da_0900_as_cs"),
        ("`k` collate binary", "`k` collate binary"),
        ("_latin1'x' collate latin1_bin", "_latin1'x' collate latin1_bin"),
        ("convert(`t`.`k` using latin1) collate latin1_bin", "convert(`t`.`k` using latin1) collate latin1_bin"),
        ("cast(1 as char charset latin1) collate latin1_bin", "cast(1 as char charset latin1) collate latin1_bin"),
        ("my_nopad_column = 'collate latin1_bin'", "my_nopad_column = 'collate latin1_bin'"),
    ],
)  # fmt: skip
def test_collations_in_expressions(clean: Clean, before: str, after: str) -> None:
    view = "CREATE VIEW `v` AS select 1 from `t` where {} = `x`;\n"

    assert view.format(after) in clean(TABLE + view.format(before)).after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CHARSET latin1 COLLATE latin1_bin", "CHARSET latin1 COLLATE latin1_bin"),
        ("CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci", "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci"),
        ("CHARSET utf8mb3 COLLATE utf8mb3_uca1400_ai_ci", "CHARSET utf8mb3"),
    ],
)
def test_collations_of_what_a_function_returns(clean: Clean, before: str, after: str) -> None:
    function = "CREATE FUNCTION `f`() RETURNS varchar(9) {}\nRETURN 'x';\n"

    assert function.format(after) in clean(TABLE + function.format(before)).after


def test_a_definer_is_taken_out_of_the_head_only(clean: Clean) -> None:
    head = "CREATE{} TRIGGER `r` BEFORE UPDATE ON `t` FOR EACH ROW "
    body = "begin declare definer int default 1; if definer = old.k then set new.k = 2; end if; end"
    cleaned = clean(f"{TABLE}DELIMITER ;;\n{head.format(' DEFINER=`me`@`%`')}{body};;\nDELIMITER ;\n")

    assert f"DELIMITER ;;\n{head.format('')}{body};;\n" in cleaned.after
    assert [change.before for change in cleaned.changes("definer")] == ["DEFINER=`me`@`%`"]


def test_a_definer_in_a_versioned_comment(clean: Clean) -> None:
    function = "/*!50003 CREATE*/{} /*!50003 FUNCTION `f`() RETURNS int RETURN 1 */;\n"

    assert function.format("") in clean(TABLE + function.format(" /*!50017 DEFINER=current_user()*/")).after


def test_views_come_after_those_that_they_are_made_of(clean: Clean) -> None:
    """mysqldump has other views stand in for them until all are there, which need not be made."""
    stand_ins = "".join(f"/*!50001 CREATE VIEW `{name}` AS SELECT 1 AS `k` */;\n" for name in "abc")
    a = "/*!50001 DROP VIEW IF EXISTS `a`*/;\n/*!50001 CREATE VIEW `a` AS select `k` from (`t` join `c`) */;\n"
    b = "/*!50001 CREATE VIEW `b` AS select extract(year from `t`.`k`) AS `k` from `t` */;\n"
    c = "/*!50001 CREATE VIEW `c` AS with `w` as (select `k` from `b`) select `k` from `w` */;\n"
    after = clean(TABLE + stand_ins + a + b + c).after

    assert [line.split("`")[1] for line in after.splitlines() if "VIEW" in line] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("part", "what"),
    [("`elsewhere`.`t`", "the database `elsewhere`"), ("`d`.`u`", "the table `d`.`u`"), ("(`t` join `x`)", "`d`.`x`")],
)
def test_a_view_of_what_the_export_lacks_is_refused(clean: Clean, part: str, what: str) -> None:
    with pytest.raises(UserError, match=r"the view `d`\.`v` needs the") as error:
        clean(f"{TABLE}CREATE VIEW `v` AS select `t`.`k` AS `k` from {part};\n")

    assert what in error.value.what
    assert "--ignore-table=d.v" in error.value.hint


@pytest.mark.parametrize("state", ["ENABLE ", "", "DISABLE "])
def test_an_event_does_not_run(clean: Clean, state: str) -> None:
    event = "CREATE EVENT `e` ON SCHEDULE EVERY (1 + 1) DAY {}COMMENT 'enable' DO DELETE FROM t;\n"

    assert event.format("DISABLE ") in clean(TABLE + event.format(state)).after


def test_a_body_that_ends_in_a_comment_keeps_its_end(clean: Clean) -> None:
    body = "CREATE PROCEDURE `p`() BEGIN SELECT 1; END -- of p"

    assert f"{body}\n;;\n" in clean(f"{TABLE}DELIMITER ;;\n{body}\n;;\nDELIMITER ;\n").after
