"""Wrong usage: one error line, one hint line, exit status 2, and nothing done."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spyglass_export.cli import commands

ROOT = Path(__file__).resolve().parents[3]


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
def test_wrong_usage(words: list[str], error: str) -> None:
    command = [sys.executable, "-m", "invoke", *words]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
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
