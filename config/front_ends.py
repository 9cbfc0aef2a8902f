"""Let JupyterLab see the front ends of the paper's packages, such as widgets; runs once, while the image is built.

JupyterLab runs in the base environment and looks for front ends there; ipywidgets, ipympl and their like bring theirs
in the paper's. Those that JupyterLab 4 can run are linked to where jupyter_server_config.py has it look. Where the one
of ipywidgets is of an older JupyterLab, a newer one that speaks with the same ipywidgets takes its place:
jupyterlab_widgets 1.1 and 3.0 are those of ipywidgets 7 and 8.

Prints `JupyterLab: ` and what does not work.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENVIRONMENT = Path("/opt/conda/envs") / os.environ["PAPER_ID"]
EXTENSIONS = Path("share/jupyter/labextensions")
LAB = Path("/opt/paper/lab")
WIDGETS = "@jupyter-widgets/jupyterlab-manager"
FRONT_ENDS_OF_WIDGETS = {"7": "jupyterlab_widgets>=1.1.11,<2", "8": "jupyterlab_widgets>=3.0.13,<4"}
OF_ANOTHER_SERVER = "@jupyter-notebook/"


def front_ends(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give each front end below a folder of extensions, and its package.json."""
    for file in sorted([*folder.glob("[!@]*/package.json"), *folder.glob("@*/*/package.json")]):
        yield file.parent, json.loads(file.read_text(encoding="utf-8"))


def why_not(package: dict[str, Any]) -> str:
    """Say why JupyterLab 4 cannot run a front end; empty where it can."""
    wanted = package.get("dependencies", {}).get("@jupyterlab/application", "4")
    if not re.search(r"(?<![\d.])4|>=|\*", wanted):
        return f"it is for another JupyterLab ({wanted})"
    if "server" in package.get("jupyterlab", {}).get("discovery", {}):
        return "it has a part that runs in the server, which has an environment of its own"
    return ""


def link(source: Path, name: str) -> None:
    """Have JupyterLab find a front end."""
    target = LAB / EXTENSIONS.name / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source)


def version_of_ipywidgets() -> str:
    """Ask the paper's environment; empty where it has no ipywidgets."""
    question = "import importlib.metadata as m; print(m.version('ipywidgets'))"
    done = subprocess.run([ENVIRONMENT / "bin/python", "-c", question], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def fetch_widgets(requirement: str) -> None:
    """Install another front end of ipywidgets, and nothing else of its package."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", scratch, requirement]
        subprocess.run(pip, check=True)
        shutil.copytree(Path(scratch) / EXTENSIONS / WIDGETS, LAB / EXTENSIONS.name / WIDGETS)


def main() -> None:
    """Link what works, fetch what does not, and say what is left."""
    shutil.rmtree(LAB, ignore_errors=True)
    ours = {package["name"] for _, package in front_ends(Path(sys.prefix) / EXTENSIONS)} - {WIDGETS}
    found = set()
    for folder, package in front_ends(ENVIRONMENT / EXTENSIONS):
        name = package["name"]
        if name in ours or name.startswith(OF_ANOTHER_SERVER):
            continue
        if not (trouble := why_not(package)):
            link(folder, name)
            found.add(name)
        elif name != WIDGETS:
            print(f"JupyterLab: the extension {name} {package['version']} does not work: {trouble}")
    version = version_of_ipywidgets()
    if not version or WIDGETS in found:
        return
    requirement = FRONT_ENDS_OF_WIDGETS.get(version.partition(".")[0])
    try:
        if not requirement:
            raise ValueError(f"there is none for ipywidgets {version}: pin ipywidgets 7 or 8")
        fetch_widgets(requirement)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"JupyterLab: widgets will not show, for want of their front end: {error}")


if __name__ == "__main__":
    main()
