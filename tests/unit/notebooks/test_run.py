"""Which notebooks are meant, what is kept of their results, and what the hub says; without Docker."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.parser import Parser
from invoke.parser.context import ParserContext

import tasks
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.notebooks import run as notebooks
from spyglass_export.notebooks.files import find, select
from spyglass_export.notebooks.results import Result, keep_result, read_results, sentence
from spyglass_export.settings import Settings, load
from tests.unit.docker_program import docker_that_runs

PASSED = Result("a.ipynb", "passed", None, "", 1.5, (), "0" * 64, "2026-01-01T00:00:00+00:00")


@pytest.fixture
def paper(tmp_path: Path) -> Settings:
    for name in ("a.ipynb", "figures/b c.ipynb", "executed/a.ipynb", ".ipynb_checkpoints/a.ipynb", "helper.py"):
        file = tmp_path / "notebooks" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}", encoding="utf-8")
    (tmp_path / ".env").write_text("PAPER_ID=Gu2026\n", encoding="utf-8")
    return load(tmp_path, {})


def test_all_notebooks_but_copies_are_meant_where_none_is_named(paper: Settings) -> None:
    assert select(paper, find(paper), []) == ["a.ipynb", "figures/b c.ipynb"]


@pytest.mark.parametrize("name", ["figures/b c", "figures/b c.ipynb", "notebooks/figures/b c.ipynb"])
def test_a_notebook_is_named_as_it_is_typed(paper: Settings, name: str) -> None:
    assert select(paper, find(paper), [name]) == ["figures/b c.ipynb"]
    assert select(paper, find(paper), [str(paper.notebooks / "a.ipynb"), name, name]) == [
        "a.ipynb",
        "figures/b c.ipynb",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("figures/bc", "did you mean figures/b c.ipynb?"), ("zzz", "there are: a.ipynb, figures/b c.ipynb")],
)
def test_a_name_that_no_notebook_has(paper: Settings, name: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"there is no notebook {name}") as error:
        select(paper, find(paper), [name])
    assert error.value.hint == hint


def test_no_notebook_at_all(paper: Settings) -> None:
    for file in paper.notebooks.rglob("*.ipynb"):
        file.unlink()

    with pytest.raises(UserError, match="there is no notebook in"):
        select(paper, find(paper), [])


def test_words_after_the_command_are_notebooks() -> None:
    parser = Parser(contexts=Collection.from_module(tasks).to_contexts(), initial=ParserContext())

    _, one, other = parser.parse_argv(["test_notebooks", "a.ipynb", "figures/b c", "--timeout", "60", "c", "report"])

    assert one.as_kwargs == {"names": ["a.ipynb", "figures/b c", "c"], "timeout": "60", "strict": False}
    assert other.name == "report"
    _, named = parser.parse_argv(["test-notebooks", "--names", "a", "--names", "b"])
    assert named.as_kwargs["names"] == ["a", "b"]


def test_results_of_other_notebooks_are_kept_as_long_as_these_are_there(paper: Settings) -> None:
    gone = Result("gone.ipynb", "failed", 2, "ValueError: x", 1, (), "0" * 64, PASSED.ran)
    failed = Result("figures/b c.ipynb", "failed", 2, "ValueError: é", 1, ("x.png",), "0" * 64, PASSED.ran)

    for result in (PASSED, gone, failed):
        keep_result(paper, result)

    assert read_results(paper) == {"a.ipynb": PASSED, "figures/b c.ipynb": failed}
    assert (PASSED.why, failed.why) == ("", "cell 2: ValueError: é")


@pytest.mark.parametrize("damaged", ["", "[", "{}", '[{"name": "a.ipynb"}]', "[1]"])
def test_damaged_results_are_no_results(paper: Settings, damaged: str) -> None:
    (paper.notebooks / "executed" / "results.json").write_text(damaged)

    assert read_results(paper) == {}


def hub_that_prints(folder: Path, *lines: str, status: int = 0) -> Docker:
    """A `docker` that prints these lines, whatever it is asked."""
    answer = f"print({chr(10).join(lines)!r}); sys.exit({status} if 'test' not in sys.argv else 0)"
    return docker_that_runs(folder, f"import sys\nif 'exec' in sys.argv:\n    {answer}\n")


def test_a_hub_that_stops_in_the_midst_is_a_failure_with_its_last_words(
    paper: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker = hub_that_prints(tmp_path, '{"cell": 1, "cells": 2}', "Killed", status=137)

    with pytest.raises(UserError, match=r"1 of 1 notebooks did not pass: a\.ipynb"):
        notebooks.run_notebooks(paper, docker, ["a.ipynb"], 10, strict=False, keep=True)

    assert "the hub stopped running it, perhaps for want of memory: Killed" in " ".join(capsys.readouterr().out.split())
    assert read_results(paper)["a.ipynb"].status == "failed"


def test_what_the_hub_reports_is_shown_and_kept(
    paper: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {"status": "passed", "cell": None, "error": "", "seconds": 2.5, "wrote": ["fig.png"], "notes": ["no HTML"]}
    docker = hub_that_prints(tmp_path, "[1, 2]", '{"cell": 1, "cells": 2}', json.dumps(report))

    notebooks.run_notebooks(paper, docker, ["a.ipynb"], 10, strict=False, keep=True)

    printed = capsys.readouterr()
    assert "passed: a.ipynb, 2.5 s" in printed.out
    assert "a.ipynb wrote fig.png: kept in notebooks/executed/a_files/" in printed.out
    assert "a.ipynb: no HTML" in printed.err
    assert read_results(paper)["a.ipynb"].wrote == ("fig.png",)


def test_what_was_saved_and_came_out_the_same_is_one_line_to_quote() -> None:
    shown = {"figure": {"same": 12}, "table": {"same": 30, "close": 1, "differs": 2}, "text": {"nothing saved": 3}}

    assert sentence([replace(PASSED, shown=shown)]) == "12 of 12 figures are the same, 30 of 33 tables (1 more close)"
    assert sentence([replace(PASSED, shown=shown), replace(PASSED, shown={"figure": {"differs": 1}})]).startswith(
        "12 of 13 figures are the same, "
    )
    assert sentence([PASSED]).startswith("no figure, table or text was saved")


def test_with_strict_a_difference_is_an_error_and_the_line_to_quote_comes_last(
    paper: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {
        **{"status": "passed", "cell": None, "error": "", "seconds": 2.5, "wrote": [], "notes": []},
        "shown": {"cell": {"same": 1, "differs": 1}, "figure": {"same": 1, "differs": 1}},
        "differences": ["cell 3: figure differs: another size"],
    }
    docker = hub_that_prints(tmp_path, json.dumps(report))

    notebooks.run_notebooks(paper, docker, ["a.ipynb"], 10, strict=False, keep=True)
    with pytest.raises(UserError, match=r"1 of 1 notebooks show something else than was saved: a\.ipynb"):
        notebooks.run_notebooks(paper, docker, ["a.ipynb"], 10, strict=True, keep=True)

    printed = capsys.readouterr().out.splitlines()
    assert "a.ipynb, cell 3: figure differs: another size" in printed
    assert printed[-1] == "1 of 2 figures are the same"
    assert read_results(paper)["a.ipynb"].differences == ("cell 3: figure differs: another size",)
