import subprocess
import sys

import pytest

from spyglass_export import console


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("[bold]:smile: /data/[x] 'a'")
    console.note("[/]")
    console.warn("[red] :x:")

    printed = capsys.readouterr()
    assert printed.out == "[bold]:smile: /data/[x] 'a'\n"
    assert printed.err == "[/]\nwarning: [red] :x:\n"


def test_text_does_not_ring_or_go_back(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("50 %\b\b\b\b100 %\a\r")

    assert capsys.readouterr().out == "50 %100 %\n"


def test_no_name_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("a\x1b]0;title\x9bname\u202egpj.exe\udcff")
    console.warn("b\x1b[2J")

    shown = capsys.readouterr()
    assert shown.out == "a\\x1b]0;title\\x9bname\\u202egpj.exe\\udcff\n"
    assert "b\\x1b[2J" in shown.err


@pytest.mark.parametrize(
    "address",
    [
        "https://ada:s3/cret@lab.example/conda",
        "https://s3cret@lab.example/conda",
        "https://conda.anaconda.org/t/s3cret/lab",
        "https://lab.example/simple?token=s3cret",
    ],
)
def test_no_credential_of_an_address_is_shown(capsys: pytest.CaptureFixture[str], address: str) -> None:
    console.say(f"could not look at {address} now")

    shown = capsys.readouterr().out
    assert "cret" not in shown
    assert shown.startswith("could not look at https://")
    assert shown.endswith(" now\n")


def test_a_public_address_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    line = "git+ssh://git@github.com/lab/tool, https://host:8080/lab/tool@v1.0 and https://conda.anaconda.org/pytorch"
    console.say(line)

    assert capsys.readouterr().out == f"{line}\n"


def test_a_note_below_a_status_is_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    console._console.cache_clear()

    with console.status("starting"):
        console.note("the last lines")

    console._console.cache_clear()
    printed = capsys.readouterr()
    assert "starting" in printed.out
    assert printed.err == "the last lines\n"


def test_a_note_does_not_end_up_in_the_result() -> None:
    """As with `2>&-`, where Python has no standard error."""
    code = "import sys; sys.stderr = None; from spyglass_export import console; console.note('1 table')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == ""


def test_nobody_listens() -> None:
    code = "from spyglass_export import console\nwhile True: console.say('x' * 1000)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout and program.stderr
        program.stdout.close()
        assert program.stderr.read() == b""

    assert program.returncode == 1
