#!/opt/conda/bin/python
"""Stand in for `mamba env create` where conda-forge cannot be reached: the `pip:` part, by uv.

The environment gets Debian's Python, ipykernel and every requirement of the `pip:` part that an index
here provides. What it cannot provide (conda packages, versions without a wheel for this Python, sources
out of reach) is named on standard error, one line each, and left out.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import yaml

PYTHON = "/usr/bin/python3"
ENVIRONMENTS = Path("/opt/conda/envs")
# An index or a repository that is out of reach here shall fail at once, not after minutes of retries.
QUICK = {"UV_HTTP_TIMEOUT": "60", "UV_HTTP_RETRIES": "1", "UV_LINK_MODE": "copy", "GIT_TERMINAL_PROMPT": "0"}


def install(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `uv pip install` for the environment whose interpreter is `python`."""
    command = ["uv", "pip", "install", "--quiet", "--python", str(python), *arguments]
    return subprocess.run(command, env=os.environ | QUICK, capture_output=True, text=True, check=False)


def create(file: Path, name: str | None) -> int:
    """Create the environment that `file` describes; return the exit status."""
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    dependencies = environment.get("dependencies", [])
    conda = [dependency for dependency in dependencies if isinstance(dependency, str)]
    pip = [line for part in dependencies if isinstance(part, dict) for line in part.get("pip") or []]
    prefix = ENVIRONMENTS / (name or environment["name"])
    python = prefix / "bin" / "python"
    # Debian's own site-packages is empty; seeing it is what lets `pip install --user` work in here.
    subprocess.run(["uv", "venv", "--quiet", "--system-site-packages", "--python", PYTHON, prefix], check=True)
    # conda environments have pip and setuptools, and old packages count on both.
    done = install(python, "ipykernel", "pip", "setuptools<81", "wheel")
    if done.returncode:
        sys.stderr.write(done.stderr)
        return done.returncode

    options = [line for line in pip if line.startswith("-")]
    requirements = [line for line in pip if not line.startswith("-")]
    listed = prefix / "requirements.txt"
    listed.write_text("".join(f"{line}\n" for line in pip), encoding="utf-8")
    skipped: dict[str, str] = {}
    if install(python, "--requirement", str(listed)).returncode:
        for requirement in requirements:
            listed.write_text("".join(f"{line}\n" for line in [*options, requirement]), encoding="utf-8")
            done = install(python, "--requirement", str(listed))
            if done.returncode:
                reason = " ".join(done.stderr.split()) or f"uv ended with status {done.returncode}"
                skipped[requirement] = reason[:300]
    listed.unlink()

    for package in conda:
        if package.split("=")[0].strip(" <>!") not in ("python", "pip", "ipykernel"):
            print(f"stand-in: skipped the conda package {package}", file=sys.stderr)
    for requirement, reason in skipped.items():
        print(f"stand-in: skipped {requirement}: {reason}", file=sys.stderr)
    return 0


def main() -> int:
    """Take the calls that this project makes of mamba and conda."""
    parser = argparse.ArgumentParser(prog="mamba")
    commands = parser.add_subparsers(dest="command", required=True)
    env = commands.add_parser("env").add_subparsers(dest="subcommand", required=True).add_parser("create")
    env.add_argument("--file", "-f", type=Path, required=True)
    env.add_argument("--name", "-n")
    env.add_argument("--yes", "-y", action="store_true")
    arguments = parser.parse_args()
    return create(arguments.file, arguments.name)


if __name__ == "__main__":
    sys.exit(main())
