"""The commands that the guides show, in the order in which a reader meets them."""

import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDES = (
    "README.md",
    "docs/from-export-to-journal.md",
    "docs/author.md",
    "docs/sharing.md",
    "docs/published.md",
    "docs/administrator.md",
    "docs/reader.md",
    "bundle/README.md",
    "docs/merging.md",
    "docs/elsewhere.md",
)
PROGRAMS = {
    *("invoke", "docker", "podman", "kubectl", "helm", "sbatch", "scancel", "mysql", "jupyterhub", "npm"),
    *("git", "cd", ".", "bash", "python3", "pip", "sha256sum", "ssh", "usermod", "loginctl"),
}
# How blocks begin that are files, or Python.
NO_SHELL = ("cff-version:", "dependencies:", "DANDISET_VERSION=", "PAPER_ID=", "from ", "import ")
# Commands that no machine of a test can run, with the reason.
NOT_RUN = {
    "docker pull mysql:9.7 && invoke build": "asks a public registry",
    "pip install PACKAGE": "stands for any package; test_commands.py installs one in the hub",
    "kubectl apply -f kubernetes/": "asks for a cluster; tests/integration/test_kubernetes.py validates the files",
    "kubectl wait --for condition=Ready --timeout 30m pod/spyglass-gu2026": "asks for a cluster",
    "kubectl port-forward pod/spyglass-gu2026 20000": "asks for a cluster",
    "invoke merge": "runs with its options in merging.md",
    "invoke unmerge": "runs with its options in merging.md",
}
# Steps of the bundle's README are numbered when it is filled in.
_STEP = re.compile(r"(\d+|\$\w+)\. |   ")


def commands(guide: str, heading: str = "") -> Iterator[str]:
    """Give the commands that a guide, or a part of it, tells to run: in blocks, steps and tables of commands."""
    block: list[str] = []
    is_table = is_step = False
    for line in [*_text(guide, heading).splitlines(), ""]:
        if line.startswith("    "):
            block.append(line)
            continue
        yield from _of_block(block)
        block = []
        is_table = line.startswith("| command |") or (is_table and line.startswith("|"))
        is_step = bool(_STEP.match(line)) and (is_step or not line.startswith(" "))
        if is_table or is_step:
            yield from _inline(line)


def mentions(guide: str) -> Iterator[str]:
    """Give all commands that a guide names between its blocks, whether it tells to run them or not."""
    for line in _text(guide).splitlines():
        if not line.startswith("    "):
            yield from _inline(line)


def block(guide: str, beginning: str) -> str:
    """Give the block of a guide that begins so, such as a file that it tells to write."""
    found = re.search(rf"(?m)^ +{re.escape(beginning)}.*\n(?: +.*\n)*", _text(guide))
    assert found, f"{guide} has no block that begins with {beginning}"
    return textwrap.dedent(found[0])


def _text(guide: str, heading: str = "") -> str:
    text = (ROOT / guide).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] if heading else text


def _inline(line: str) -> Iterator[str]:
    assert line.count("`") % 2 == 0, f"a command is broken in two: {line}"
    for code in re.findall(r"(?<!\[)`([^`]+)`", line):
        if " " in code and code.split()[0] in PROGRAMS:
            yield code


def _of_block(block: list[str]) -> Iterator[str]:
    lines = textwrap.dedent("\n".join(block)).splitlines()
    if not lines or lines[0].startswith(NO_SHELL):
        return
    assert lines[0].split()[0] in PROGRAMS, f"neither a command nor one of NO_SHELL: {lines[0]}"
    command = ""
    for line in lines:
        command = f"{command}\n{line}" if command else re.sub(r"\s{2,}#.*", "", line)
        if command and subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0:
            yield command
            command = ""
    assert not command, f"no whole command: {command}"
