"""What SET statements leave in force."""

import pytest

from spyglass_export.dump.sql.create_table import NotUnderstoodError
from spyglass_export.dump.sql.session import Session, UnsafeSettingError, parse_set


def test_an_assignment_is_a_literal_a_variable_or_an_expression() -> None:
    assignments = parse_set("SET @a = @@SESSION.time_zone, time_zone = '+00:00', @@GLOBAL.x := @b, sql_mode=1+(2)")

    assert assignments == (
        ("USER", "a", "SYSTEM", "time_zone"),
        ("SESSION", "time_zone", "LITERAL", "+00:00"),
        ("GLOBAL", "x", "USER", "b"),
        ("SESSION", "sql_mode", "EXPRESSION", ""),
    )


def test_what_is_saved_is_restored() -> None:
    session = Session()
    session.apply("/*!40101 SET NAMES latin1 */")
    assert session.apply("SET @saved_cs_client = @@character_set_client")
    assert session.to_set == {"character_set_client"}

    session.apply("/*!50503 SET character_set_client = utf8mb4 */")
    assert session.settings.names == "utf8mb4" and not session.to_set

    session.apply("SET character_set_client = @saved_cs_client")
    assert session.settings.decode("größe".encode("cp1252")) == "größe"


def test_a_restore_whose_save_was_lost_restores_what_set_names_said() -> None:
    session = Session()
    for statement in ("SET NAMES koi8r", "SET character_set_client = utf8mb4", "SET character_set_client = @lost"):
        session.apply(statement)

    assert session.settings.encode("ё") == b"\xa3"


@pytest.mark.parametrize(
    "statement", ["SET @@GLOBAL.GTID_PURGED='x'", "SET @x = 1", "SET PASSWORD = 'x'", "SET max_connections = 1"]
)
def test_what_is_none_of_the_dumps_business_is_to_be_listed(statement: str) -> None:
    assert not Session().apply(statement)


@pytest.mark.parametrize("statement", ["SET NAMES gbk", "SET sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES'"])
def test_strings_that_end_by_other_rules_are_refused(statement: str) -> None:
    with pytest.raises(UnsafeSettingError):
        Session().apply(statement)


@pytest.mark.parametrize(
    "statement", ["SET time_zone = (SELECT 1)", "SET x", "SET x = ", "/*!1 SET x = 1", "SET a=1 SET b=2"]
)
def test_what_is_no_list_of_assignments(statement: str) -> None:
    with pytest.raises(NotUnderstoodError):
        Session().apply(statement)
