"""The running database against what was published, by table."""

import pytest

from spyglass_export.containers.seed import TableProof, differences, say_states

PUBLISHED = [TableProof("lab.mouse", 3, "111", "proven"), TableProof("lab.#team", 2, "22", "counted")]


def test_the_same_rows() -> None:
    assert differences(PUBLISHED, [TableProof("lab.#team", 2, "22"), TableProof("lab.mouse", 3, "111")]) == []


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ([TableProof("lab.mouse", 5, "9")], "2 rows added to 3"),
        ([TableProof("lab.mouse", 1, "9")], "2 of 3 rows are gone"),
        ([TableProof("lab.mouse", 3, "9")], "rows changed, of 3"),
        ([], "is gone, with 3 rows"),
    ],
)
def test_what_differs_in_a_table(now: list[TableProof], what: str) -> None:
    assert differences(PUBLISHED[:1], now) == [["lab.mouse", what]]


def test_a_table_that_was_made_since() -> None:
    assert differences(PUBLISHED, [*PUBLISHED, TableProof("lab.cat", 4, "4")]) == [["lab.cat", "is new, with 4 rows"]]


def test_logs_that_datajoint_makes_when_a_notebook_looks_are_no_difference_and_published_ones_are_compared() -> None:
    log = TableProof("lab.~log", 4, "4")

    assert differences(PUBLISHED, [*PUBLISHED, log]) == []
    assert differences([log], []) == [["lab.~log", "is gone, with 4 rows"]]


def test_how_the_tables_were_held_against_the_source() -> None:
    assert say_states(PUBLISHED) == "1 hold row by row what the source had; 1 have as many rows as the dump inserts"
