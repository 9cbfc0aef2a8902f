import pytest

from spyglass_export.changes import Change
from spyglass_export.environment.credentials import kind_of_credential


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("/home/ada/miniconda3/envs/spyglass", "(a path)"),
        (r"C:\Users\ada\envs\spyglass", "(a path)"),
        ("numpy @ file:///home/ada/numpy-1.26", "numpy @ (a path)"),
        ("DEFINER=`ada`@`10.2.3.4`", "DEFINER=(an account)"),
        ("CREATE USER `eve`@`%` IDENTIFIED BY 'word'", "(a statement on accounts)"),
        ("GRANT ALL ON *.* TO eve", "(a statement on accounts)"),
        ("https://conda.anaconda.org/t/ab-12/lab, conda-forge", "(a token in an address)"),
        ("CONNECTION='mysql://ada:word@lab.example/x'", "(a user or a token before the host of an address)"),
    ],
)
def test_what_must_not_leave_is_told_by_its_kind(before: str, told: str) -> None:
    assert Change("kind", "where", before, "", "reason").for_readers(kind_of_credential).before == told


@pytest.mark.parametrize(
    "before",
    [
        "DEFAULT CHARSET=latin1",
        "varchar(255)",
        "tool @ git+https://github.com/lab/tool@3f2c1d9",
        "KEY `a` (`b`(20))",
        "torch==2.3.1+cu121",
        "conda-forge/linux-64",
    ],
)
def test_all_else_is_told_as_it_stood_there(before: str) -> None:
    change = Change("kind", "where", before, "", "reason")

    assert change.for_readers(kind_of_credential) == change
