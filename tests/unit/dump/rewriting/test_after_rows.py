"""What becomes of views, triggers and routines."""

import pytest

from spyglass_export.dump.rewriting.after_rows import rewrite_late
from spyglass_export.errors import UserError


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
def test_collations_in_expressions(before: str, after: str) -> None:
    view = "CREATE VIEW `v` AS select 1 from `t` where {} = `x`"
    text, _ = rewrite_late(view.format(before).encode(), "d")

    assert text.decode() == view.format(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CHARSET latin1 COLLATE latin1_bin", "CHARSET latin1 COLLATE latin1_bin"),
        ("CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci", "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci"),
        ("CHARSET utf8mb3 COLLATE utf8mb3_uca1400_ai_ci", "CHARSET utf8mb3"),
    ],
)
def test_collations_of_what_a_function_returns(before: str, after: str) -> None:
    function = "CREATE FUNCTION `f`() RETURNS varchar(9) {}\nRETURN 'x'"
    text, _ = rewrite_late(function.format(before).encode(), "d")

    assert text.decode() == function.format(after)


def test_a_definer_is_taken_out_of_the_head_only() -> None:
    head = "CREATE{} TRIGGER `r` BEFORE UPDATE ON `t` FOR EACH ROW "
    body = "begin declare definer int default 1; if definer = old.k then set new.k = 2; end if; end"
    text, changes = rewrite_late((head.format(" DEFINER=`me`@`%`") + body).encode(), "d")

    assert text.decode() == head.format("") + body
    assert [change.before for change in changes if change.kind == "definer"] == ["DEFINER=`me`@`%`"]


def test_a_definer_in_a_versioned_comment() -> None:
    text, _ = rewrite_late(b"/*!50003 CREATE*/ /*!50017 DEFINER=current_user()*/ /*!50003 FUNCTION `f` ... */", "d")

    assert text == b"/*!50003 CREATE*/ /*!50003 FUNCTION `f` ... */"


def test_sequences_are_refused() -> None:
    with pytest.raises(UserError, match=r"d: MySQL knows no sequences: CREATE SEQUENCE `s`"):
        rewrite_late(b"CREATE SEQUENCE `s` start with 1", "d")

    assert rewrite_late(b"GRANT SELECT ON sequence TO `x`", "d")
    assert rewrite_late(b"CREATE INDEX `i` ON `t` (sequence)", "d")
