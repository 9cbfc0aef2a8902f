"""Conditions: compared, and taken apart where they are too long for a program's argument."""

import pytest

from spyglass_export.export.condition import LONGEST, is_condition_of, parts_of


def test_white_space_and_escaped_hashes_mean_nothing() -> None:
    assert is_condition_of("((a='\\#1') \tAND  b=2)", "((a='#1')\nAND b=2)")
    assert not is_condition_of("a=1", "a=12")


@pytest.mark.parametrize("kept", [1013, 1014, 2037])
def test_a_dump_keeps_the_beginning_of_a_long_condition(kept: int) -> None:
    where = " OR ".join(f"name='é{number}'" for number in range(300))
    comment = where.encode()[:kept].decode(errors="replace")
    assert is_condition_of(comment, where)
    assert not is_condition_of(comment, where.replace("é0", "é1"))


def test_a_short_condition_stays_whole() -> None:
    assert parts_of("a=1 OR b=2") == ["a=1 OR b=2"]


@pytest.mark.parametrize("around", ["{}", "(({}))", "( {} )"])
def test_a_long_one_is_taken_apart_between_its_outermost_ors(around: str) -> None:
    terms = [f"(name='it''s OR \\' {number}' AND (x={number} OR y=0))" for number in range(6000)]
    parts = parts_of(around.format(" OR ".join(terms)))
    assert len(parts) > 1
    assert max(len(part.encode()) for part in parts) <= LONGEST
    assert " OR ".join(parts) == " OR ".join(terms)


def test_the_same_term_twice_is_taken_once() -> None:
    terms = [f"name='{number % 4000:050}'" for number in range(8000)]
    assert sum(len(part.split(" OR ")) for part in parts_of(" OR ".join(terms))) == 4000


def test_a_long_list_is_taken_apart_between_its_values() -> None:
    values = [f"'raw/rat_{number}, (é).nwb'" for number in range(9000)]
    parts = parts_of(f"filepath in ({', '.join(values)})")
    assert len(parts) > 1
    assert all(part.startswith("filepath IN (") and len(part.encode()) <= LONGEST for part in parts)
    assert ",".join(part.removeprefix("filepath IN (").removesuffix(")") for part in parts) == ",".join(values)


@pytest.mark.parametrize("odd", ["a=1 XOR b=2", "a=1 /* or */", "(a=1) || (b=2)", "x REGEXP '1|2' AND (a=1 OR b=2)"])
def test_what_cannot_be_taken_apart_safely_stays_whole(odd: str) -> None:
    long = f"{odd} AND name='{'x' * LONGEST}'"
    assert parts_of(long) == [long]
