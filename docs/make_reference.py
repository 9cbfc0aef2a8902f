"""Write docs/reference.md from the code: every command and every setting.

Run as `python docs/make_reference.py` after a change of either; a test compares the page with the code.
"""

import sys
from pathlib import Path

from invoke.collection import Collection

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"


def commands() -> list[str]:
    """Describe each command: its help, and its options with theirs."""
    sys.path.insert(0, str(ROOT))
    import tasks

    lines = []
    collection = Collection.from_module(tasks)
    for name in sorted(collection.tasks):
        task = collection[name]
        other = [alias for alias in task.aliases if alias != name.replace("_", "-")]
        lines += [f"### {name}", ""]
        lines += [f"Also called {', '.join(f'`{alias}`' for alias in other)}.", ""] if other else []
        lines += [(task.__doc__ or "").strip(), ""]
        options = []
        for argument in task.get_arguments():
            flag = "--" + argument.name.strip("_").replace("_", "-")
            options.append(f"- `{argument.name if argument.positional else flag}`: {argument.help}")
        lines += [*options, ""] if options else []
    return lines


def settings() -> list[str]:
    """Describe each setting: what it is and its default."""
    from spyglass_export.settings import DECLARED

    lines = ["| setting | what it is | default |", "| --- | --- | --- |"]
    for name, declaration in DECLARED.items():
        default = f"`{declaration.default}`" if declaration.default else ""
        lines.append(f"| `{name}` | {declaration.help} | {default} |")
    return lines


def page() -> str:
    """Give the page's text."""
    lines = [
        "# Reference",
        "",
        "Made from the code by `python docs/make_reference.py`.",
        "",
        "## Commands",
        "",
        "`invoke COMMAND`, or several one after another. Commands of two words are known with `_` and with `-`.",
        "`--dry` shows the Docker commands and runs none; `--debug` shows where an error comes from.",
        "Exit status: 0 done; 1 a problem, told in a line `error:` and a line `hint:`; 2 a wrong option's value.",
        "",
        *commands(),
        "## Settings",
        "",
        "They are read from `.env`, and from the process environment, which overrides it.",
        "",
        *settings(),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
