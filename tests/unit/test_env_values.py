from io import StringIO

import pytest
from dotenv import dotenv_values

from spyglass_export.env_values import as_written, is_read_alike
from spyglass_export.errors import UserError


@pytest.mark.parametrize(
    "value",
    ["plain", "two words", "a #b", "pa$word", "pa$$word", "it's", 'S3cr"et\\1', "$(id)", "C:\\data\\new", "é", ""],
)
def test_a_value_is_written_so_that_it_is_read_as_it_is(value: str) -> None:
    written = as_written("NAME", value)

    assert is_read_alike(written)
    assert dotenv_values(stream=StringIO(f"NAME={written}\n"))["NAME"] == value


@pytest.mark.parametrize("value", ["${HOME}", "it's \\\\ $HOME"])
def test_a_value_that_no_form_fits_is_refused(value: str) -> None:
    with pytest.raises(UserError, match="NAME cannot be written"):
        as_written("NAME", value)


@pytest.mark.parametrize("written", ["a$b", "a$$b", '"a$b"', "'a${HOME}'", "'a\\\\b'", "a${B-c}"])
def test_what_compose_reads_otherwise_is_told(written: str) -> None:
    assert not is_read_alike(written)


@pytest.mark.parametrize("written", ["a", "a${HOME}b", "${B:-c}", "'a$b'", '"a\\"b"', "a # it is $5 or $HOME"])
def test_what_both_read_alike(written: str) -> None:
    assert is_read_alike(written)
