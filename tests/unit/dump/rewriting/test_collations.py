"""Keys that are apart in the source stay apart, and text of another character set is not taken for utf8mb4."""

import pytest

from spyglass_export.dump.rewriting.collations import fold, is_known
from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"


def table(rows: str, options: str, columns: str = "`k` varchar(9) NOT NULL,\n  PRIMARY KEY (`k`)") -> str:
    return f"{USE}CREATE TABLE `t` (\n  {columns}\n) {options};\nINSERT INTO `t` VALUES {rows};\n"


@pytest.mark.parametrize("rows", ["('x','é')", "(0x78,0xC3A9)"])
def test_bytes_of_another_character_set_are_refused(clean: Clean, rows: str) -> None:
    columns = "`k` varchar(9),\n  `v` text"
    with pytest.raises(UserError, match=r"`d`\.`t`\.`v` was dumped as bytes"):
        clean("SET NAMES binary;\n" + table(rows, "CHARSET=latin1", columns))


def test_bytes_that_are_ascii_or_utf8_already_are_taken(clean: Clean) -> None:
    columns = "`k` varchar(9),\n  `v` text CHARACTER SET utf8mb3"
    cleaned = clean("SET NAMES binary;\n" + table("(0x78,0xC3A9)", "CHARSET=latin1", columns))

    assert b"(0x78,0xC3A9)" in cleaned.rows["t"]


def test_ascii_is_refused_where_its_bytes_are_not_those_of_utf8(clean: Clean) -> None:
    columns = "`v` varchar(9) CHARACTER SET utf16"
    with pytest.raises(UserError, match="was dumped as bytes"):
        clean("SET NAMES binary;\n" + table("(0x0078)", "CHARSET=utf8mb4", columns))


def test_keys_written_in_hex_are_compared_too(clean: Clean) -> None:
    keys = ",".join(f"(0x{key.encode().hex()})" for key in ("Bjorn", "Björn"))
    cleaned = clean("SET NAMES binary;\n" + table(keys, "CHARSET=utf8mb3"))

    assert "`k` varchar(9) COLLATE utf8mb4_bin NOT NULL" in cleaned.schema


@pytest.mark.parametrize(
    "options",
    [
        "CHARSET=utf8mb4 COLLATE=utf8mb4_ja_0900_as_cs_ks",
        "CHARSET=utf8mb4 COLLATE=utf8mb4_tr_0900_ai_ci",
        "CHARSET=utf8mb3 COLLATE=utf8mb3_turkish_ci",
        "CHARSET=latin5",
        "CHARSET=latin7",
        "CHARSET=cp866 COLLATE=cp866_general_ci",
    ],
)
@pytest.mark.parametrize("verb", ["INSERT", "INSERT IGNORE", "REPLACE"])
def test_collations_that_tell_a_letter_from_its_capital_go_on_to(clean: Clean, options: str, verb: str) -> None:
    cleaned = clean(table("('id'),('ID')", options).replace("INSERT", verb))

    assert cleaned.schema.endswith(") COLLATE=utf8mb4_bin;\n")


def test_a_column_of_a_character_set_that_tells_i_from_its_capital(clean: Clean) -> None:
    cleaned = clean(table("('id'),('ID')", "CHARSET=latin1", "`k` varchar(9) CHARACTER SET latin5 PRIMARY KEY"))

    assert "`k` varchar(9) COLLATE utf8mb4_bin PRIMARY KEY" in cleaned.schema


@pytest.mark.parametrize("keys", [("ぁ", "あ"), ("Г", "Ґ"), ("ם", "מ"), ("\uff11", "1"), ("\u0301", ""), ("日", "本")])
@pytest.mark.parametrize("verb", ["INSERT", "INSERT IGNORE", "REPLACE"])
def test_keys_in_other_scripts_are_kept_apart_at_once(clean: Clean, keys: tuple[str, str], verb: str) -> None:
    rows = "('{}'),('{}')".format(*keys)
    cleaned = clean(table(rows, "CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci").replace("INSERT", verb))

    assert "`k` varchar(9) COLLATE utf8mb4_bin NOT NULL" in cleaned.schema


@pytest.mark.parametrize("options", ["CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci", ""])
def test_keys_in_other_scripts_change_nothing_where_the_collation_may_be_the_same(clean: Clean, options: str) -> None:
    assert "COLLATE" not in clean(table("('日'),('本')", options)).schema


def test_letters_that_are_alike_have_one_form() -> None:
    assert fold("ÆØ\u00ad") == fold("aeo")
    assert fold("ﬁ½".translate({ord("ﬁ"): "fi"})) == fold("FI1\u20442")
    assert is_known("Ærø €") and not is_known("Ґ") and not is_known("\x81")


SPACES = "('a'),('a ')"


@pytest.mark.parametrize(
    "collation", ["utf8mb4_0900_bin", "utf8mb4_0900_as_cs", "latin1_nopad_bin", "utf8mb4_tr_0900_ai_ci"]
)
def test_keys_that_differ_in_spaces_at_their_end_stay_apart(clean: Clean, collation: str) -> None:
    options = f"CHARSET={collation.split('_')[0]} COLLATE={collation}"

    assert "`k` varchar(9) COLLATE utf8mb4_0900_bin NOT NULL" in clean(table(SPACES, options)).schema
    assert clean(table("('a'),('b ')", options)).schema.endswith("`k`)\n) COLLATE=utf8mb4_bin;\n")


def test_keys_that_differ_in_accents_and_others_in_spaces(clean: Clean) -> None:
    options = "CHARSET=latin1 COLLATE=latin1_swedish_nopad_ci"
    cleaned = clean(table(SPACES + ",('o'),('ö')", options))

    assert "`k` varchar(9) COLLATE utf8mb4_0900_bin NOT NULL" in cleaned.schema
    assert "COLLATE" not in clean(table(SPACES, options)).schema


def test_spaces_count_in_prefixes_and_in_columns_that_are_tied(clean: Clean) -> None:
    options = "CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin"
    parent = "`k` varchar(9),\n  UNIQUE KEY `k` (`k`(2))"
    child = f"CREATE TABLE `c` (\n  `k` varchar(9),\n  FOREIGN KEY (`k`) REFERENCES `t` (`k`)\n) {options};\n"
    cleaned = clean(table("('a b'),('a')", options, parent) + child)

    assert cleaned.schema.count("`k` varchar(9) COLLATE utf8mb4_0900_bin") == 2


def test_names_in_another_character_set_tie_a_child_to_its_parent(clean: Clean) -> None:
    """As mysqldump writes them: definitions in UTF-8, the names before rows in the character set of the dump."""
    table = "SET character_set_client = utf8mb4;\nCREATE TABLE `{}` (\n  `größe` varchar(9){}\n) CHARSET=latin1;\n"
    parent = table.format("maß", " PRIMARY KEY,\n  UNIQUE KEY `größe` (`größe`)")
    child = table.format("kind", ",\n  FOREIGN KEY (`größe`) REFERENCES `maß` (`größe`)")
    rows = "SET character_set_client = latin1;\nINSERT INTO `maß` (`größe`) VALUES ('Bjorn'),('Björn');\n"
    cleaned = clean(f"{USE}SET NAMES latin1;\n".encode() + (child + parent).encode() + rows.encode("latin-1"))

    assert cleaned.schema.count("`größe` varchar(9) COLLATE utf8mb4_bin") == 2


def test_another_column_of_the_key_may_be_what_tells_keys_apart(clean: Clean) -> None:
    columns = "`a` varchar(9),\n  `b` varchar(9) COLLATE utf8mb4_0900_ai_ci,\n  PRIMARY KEY (`a`,`b`)"
    cleaned = clean(table("('Bjorn','x'),('Björn','X')", "CHARSET=latin1", columns))

    assert "`a` varchar(9) COLLATE utf8mb4_bin,\n  `b` varchar(9),\n" in cleaned.schema


def test_keys_of_which_rows_leave_out_a_column(clean: Clean) -> None:
    columns = "`a` varchar(9),\n  `b` int DEFAULT 1,\n  PRIMARY KEY (`a`,`b`)"
    cleaned = clean(table("('Bjorn'),('Björn')", "CHARSET=latin1", columns).replace("VALUES", "(`a`) VALUES"))

    assert "`a` varchar(9) COLLATE utf8mb4_bin" in cleaned.schema


def test_a_table_that_has_the_databases_character_set(clean: Clean) -> None:
    dump = table("('Bjorn'),('Björn')", "").replace("`d`;", "`d` CHARACTER SET latin1;", 1)

    assert "`k` varchar(9) COLLATE utf8mb4_bin NOT NULL" in clean(dump).schema


def test_a_table_that_has_the_databases_collation(clean: Clean) -> None:
    columns = "`k` varchar(9) PRIMARY KEY,\n  `i` varchar(9) COLLATE latin1_swedish_ci"
    dump = table("('Bjorn','x'),('Björn','x')", "", columns).replace("`d`;", "`d` COLLATE latin1_bin;", 1)

    assert "`k` varchar(9) PRIMARY KEY,\n  `i` varchar(9) COLLATE utf8mb4_0900_ai_ci\n" in clean(dump).schema


@pytest.mark.parametrize(("rows", "collate"), [("(1,'Bjorn'),(2,'Björn')", " COLLATE utf8mb4_bin"), ("(1,'x')", "")])
def test_a_unique_key_over_what_is_made_of_text(clean: Clean, rows: str, collate: str) -> None:
    columns = (
        "`id` int,\n  `a` varchar(9){0},\n  `g` varchar(9){1} GENERATED ALWAYS AS (concat(`a`,'x')) STORED,\n"
        "  UNIQUE KEY `g` (`g`)"
    )
    dump = table(rows, "CHARSET=latin1", columns.format("", "")).replace("VALUES", "(`id`,`a`) VALUES")

    assert columns.format("", collate) in clean(dump).schema


def test_spaces_count_in_what_is_made_of_text(clean: Clean) -> None:
    columns = "`a` varchar(9){0},\n  `g` varchar(9){1} AS (`a`),\n  UNIQUE KEY `g` (`g`)"
    source = columns.format(*2 * [" COLLATE utf8mb4_0900_as_cs"])
    dump = table("('x')", "CHARSET=utf8mb4", source).replace("VALUES", "(`a`) VALUES")

    assert columns.format(" COLLATE utf8mb4_bin", " COLLATE utf8mb4_0900_bin") in clean(dump).schema


OF_BYTES = [
    "`g` text GENERATED ALWAYS AS (hex(`k`)) STORED",
    "`g` text GENERATED ALWAYS AS (concat(md5(concat(`k`)),`n`)) VIRTUAL",
    "`g` varbinary(9) GENERATED ALWAYS AS (cast(`k` as char charset binary)) STORED",
    "CONSTRAINT `c` CHECK ((length(`k`) < 5))",
    "KEY `i` (`n`,(sha1(`k`)))",
]


@pytest.mark.parametrize("line", OF_BYTES)
def test_what_is_made_of_the_bytes_of_text_is_refused(clean: Clean, line: str) -> None:
    columns = f"`k` varchar(9),\n  `n` int,\n  {line}"
    dump = table("('é',1)", "CHARSET=latin1", columns).replace("VALUES", "(`k`,`n`) VALUES")
    with pytest.raises(UserError, match="is made of the bytes of text") as error:
        clean(dump)

    assert error.value.what.startswith("`d`.`t`: ")
    assert line in clean(dump.replace("é", "e")).schema
    assert line in clean(dump.replace("latin1", "utf8mb3")).schema


@pytest.mark.parametrize(("made_of", "names"), [("`n`", "(`k`,`n`)"), ("`k`", "(`k`,`n`,`g`)")])
def test_bytes_of_numbers_and_values_that_rows_hold_are_taken(clean: Clean, made_of: str, names: str) -> None:
    columns = f"`k` varchar(9),\n  `n` int,\n  `g` varchar(99) GENERATED ALWAYS AS (hex({made_of})) STORED"
    rows = "('é',1)" if names == "(`k`,`n`)" else "('é',1,'E9')"
    cleaned = clean(table(rows, "CHARSET=latin1", columns).replace("VALUES", f"{names} VALUES"))

    assert ("hex" in cleaned.schema) == (made_of == "`n`")


def test_a_table_that_ignores_case_in_a_database_that_does_not(clean: Clean) -> None:
    dump = table("('x')", "ENGINE=InnoDB CHARSET=latin1").replace("`d`;", "`d` COLLATE utf8_bin;", 1)

    assert ") COLLATE=utf8mb4_0900_ai_ci ENGINE=InnoDB;\n" in clean(dump).schema


@pytest.mark.parametrize(("rows", "is_exact"), [("('a'),('A')", True), ("('a'),('b')", False)])
def test_capitals_are_kept_apart_where_no_collation_is_said(clean: Clean, rows: str, is_exact: bool) -> None:
    """As `mariadb-dump --skip-opt` says none."""
    assert ("COLLATE utf8mb4_bin" in clean(table(rows, "ENGINE=InnoDB")).schema) is is_exact
