"""Statements as tokens, to be looked at by their words and edited in place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyglass_export.dump.sql.tokens import Tokens, split, split_name


def test_words_are_in_capitals_and_names_and_strings_as_they_are() -> None:
    tokens = Tokens("create /* not */ table `größe` (a int default 'b''c') -- end")

    assert tokens.words == ("CREATE", "TABLE", "`größe`", "(", "A", "INT", "DEFAULT", "'b''c'", ")", "")
    assert tokens.spaces[-1] == " -- end"


@given(st.text(st.sampled_from("aß `'\"\\;()=,.-#/*!0\n\t@"), max_size=40))
@settings(max_examples=200, deadline=None)
def test_what_is_not_edited_stays_as_it_is(sql: str) -> None:
    tokens = Tokens(sql)

    assert "".join(space + text for space, text in zip(tokens.spaces, tokens.texts, strict=True)) == sql
    assert split(sql) == tokens.texts[:-1]


@pytest.mark.parametrize(
    ("sql", "out", "left"),
    [
        ("A B=1 C", range(1, 4), "A C"),
        ("A /*!40100 DEFAULT CHARSET=latin1 */ C", range(1, 5), "A C"),
        ("A /*!50100 X B=1 */ C", range(2, 5), "A /*!50100 X */ C"),
        ("A B /* why */ = 1 C '/*!1 */'", range(1, 4), "A/* why */ C '/*!1 */'"),
    ],
)
def test_what_is_taken_out_leaves_no_empty_comment(sql: str, out: range, left: str) -> None:
    tokens = Tokens(sql)
    tokens.replace(out)

    assert tokens.sql() == left


@pytest.mark.parametrize(
    ("identifier", "name"), [("`a`.`b``c`", ("a", "b`c")), ("größe", (None, "größe")), ("a . b", ("a", "b"))]
)
def test_names(identifier: str, name: tuple[str | None, str]) -> None:
    assert split_name(identifier) == name
