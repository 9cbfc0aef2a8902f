#!/opt/conda/bin/python
"""Stand in for `mamba env create` where conda-forge cannot be reached: the `pip:` part, by uv.

The environment gets Debian's Python, ipykernel and every requirement of the `pip:` part that an index
here provides. What it cannot provide (conda packages, versions without a wheel for this Python, sources
out of reach) is named on standard error, one line each, and left out.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import yaml

PYTHON = "/usr/bin/python3"
ENVIRONMENTS = Path("/opt/conda/envs")
# An index or a repository that is out of reach here shall fail at once, not after minutes of retries.
QUICK = {"UV_HTTP_TIMEOUT": "60", "UV_HTTP_RETRIES": "1", "UV_LINK_MODE": "copy", "GIT_TERMINAL_PROMPT": "0"}


# PyPI has these for Linux with gigabytes of CUDA only; their CPU builds are on an index of PyTorch's own.
PYTORCH = ("torch", "torchvision", "torchaudio")


def install(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `uv pip install` for the environment whose interpreter is `python`."""
    command = ["uv", "pip", "install", "--quiet", "--python", str(python), *arguments]
    return subprocess.run(command, env=os.environ | QUICK, capture_output=True, text=True, check=False)


def answers(index: str) -> bool:
    """Whether a package index can be reached at all."""
    try:
        urllib.request.urlopen(index, timeout=10)  # noqa: S310 - any scheme that an index may have
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def install_requirements(python: Path, lines: list[str]) -> dict[str, str]:
    """Install what can be installed of a `pip:` part; return what was skipped, with the reason."""
    options = [line for line in lines if line.startswith("-")]
    requirements = [line for line in lines if not line.startswith("-")]
    skipped: dict[str, str] = {}
    for option in [option for option in options if "://" in option]:
        if not answers(option.replace("=", " ").split()[-1]):
            options.remove(option)
            skipped[option] = "it cannot be reached"
    with tempfile.TemporaryDirectory() as scratch:
        listed, never = Path(scratch) / "requirements.txt", Path(scratch) / "never.txt"
        # A requirement that an override says applies nowhere is not installed, whoever asks for it.
        never.write_text("".join(f"{name} ; sys_platform == 'never'\n" for name in PYTORCH if skipped))
        if skipped:
            for requirement in [r for r in requirements if re.split(r"[^a-z]", r, maxsplit=1)[0] in PYTORCH]:
                requirements.remove(requirement)
                skipped[requirement] = "its CPU build is on an index that cannot be reached"

        def attempt(wanted: list[str]) -> subprocess.CompletedProcess[str]:
            listed.write_text("".join(f"{line}\n" for line in [*options, *wanted]), encoding="utf-8")
            return install(python, "--requirement", str(listed), "--override", str(never))

        if attempt(requirements).returncode:
            for requirement in requirements:
                done = attempt([requirement])
                if done.returncode:
                    skipped[requirement] = " ".join(done.stderr.split())[:200]
    return skipped


def create(file: Path, name: str | None) -> int:
    """Create the environment that `file` describes; return the exit status."""
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    dependencies = environment.get("dependencies", [])
    prefix = ENVIRONMENTS / (name or environment["name"])
    python = prefix / "bin" / "python"
    # Debian's own site-packages is empty; seeing it is what lets `pip install --user` work in here.
    subprocess.run(["uv", "venv", "--quiet", "--system-site-packages", "--python", PYTHON, prefix], check=True)
    # conda environments have pip and setuptools, and old packages count on both.
    done = install(python, "ipykernel", "pip", "setuptools<81", "wheel")
    if done.returncode:
        sys.stderr.write(done.stderr)
        return done.returncode
    for dependency in dependencies:
        if isinstance(dependency, dict):
            for requirement, reason in install_requirements(python, dependency.get("pip") or []).items():
                print(f"stand-in: skipped {requirement}: {reason}", file=sys.stderr)
    conda = [d for d in dependencies if isinstance(d, str) and d.split("=")[0] not in ("python", "pip", "ipykernel")]
    if conda:
        print(f"stand-in: skipped {len(conda)} conda packages: {', '.join(conda)}", file=sys.stderr)
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
