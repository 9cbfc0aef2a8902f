"""Wrong usage: one error line, one hint line, exit status 2, and nothing done."""

import signal

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.program import Program

import tasks
from spyglass_export.cli import commands


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["biuld"], "error: No idea what 'biuld' is!"),
        (["build", "--fast"], "error: No idea what '--fast' is!"),
        (["clean_sql"], "error: 'clean_sql' did not receive required positional arguments: 'source'"),
        (["enter", "--service", "web"], "error: there is no service 'web'"),
        (["test_notebooks", "--timeout", "ten"], "error: --timeout 'ten' is not a number"),
        (["bench", "sed"], "error: there is no benchmark 'sed'"),
    ],
)
def test_wrong_usage(words: list[str], error: str, capfd: pytest.CaptureFixture[str]) -> None:
    program = Program(namespace=Collection.from_module(tasks))

    with pytest.raises(SystemExit) as ended:
        program.run(["invoke", *words])

    printed = capfd.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    lines = printed.err.splitlines()
    assert lines[0] == error
    assert lines[1].startswith("hint: ")
    assert len(lines) == 2


def test_a_stop_is_an_interrupt_also_on_windows_which_has_one_signal_less(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        commands._take_a_stop_as_an_interrupt()

        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("module", "packages"), [("rattler", "py-rattler"), ("pymysql", "pymysql sqlparse")])
def test_a_package_that_is_missing_is_named_as_pip_knows_it(
    module: str, packages: str, capfd: pytest.CaptureFixture[str]
) -> None:
    @commands.command()
    def merge(context: Context) -> None:
        raise ModuleNotFoundError(name=module)

    with pytest.raises(SystemExit):
        merge(Context())

    assert capfd.readouterr().err == f"error: {module} is not installed\nhint: run `pip install {packages}`\n"
