"""What is changed in Invoke: one spelling for both, words after a command, and wrong usage in two lines."""

from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.parser import ParseMachine, Parser

# Invoke would turn copy_files into copy-files wherever it stands, an alias too, and then know that spelling only.
Collection.transform = lambda self, name: name  # type: ignore[method-assign]
_handle = ParseMachine.handle


def _take_words(machine: ParseMachine, token: str) -> None:
    """Give words that follow a command to its list, as in `test_notebooks a.ipynb b.ipynb`.

    Invoke takes a list as `--names a.ipynb --names b.ipynb` only, and has no other word for "any number of".
    """
    lists = [argument for argument in machine.context.args.values() if argument.kind is list]
    is_word = not (token.startswith("-") or token in machine.contexts or machine.waiting_for_flag_value)
    if lists and is_word and machine.current_state == "context":
        lists[0].value = token
    else:
        _handle(machine, token)


ParseMachine.handle = _take_words  # type: ignore[method-assign, assignment]
_parse = Parser.parse_argv


def wrong_usage(what: str, hint: str = "`invoke --list` has the commands, `invoke --help COMMAND` its options") -> Exit:
    """Wrong usage, as one error line, one hint line and exit status 2."""
    return Exit(f"error: {what}\nhint: {hint}", code=2)


def _parse_or_say_why(parser: Parser, words: list[str]) -> Any:
    """Parse the command line; Invoke itself ends with status 1 where it cannot."""
    try:
        return _parse(parser, words)
    except ParseError as error:
        raise wrong_usage(str(error)) from error


Parser.parse_argv = _parse_or_say_why  # type: ignore[method-assign, assignment]
