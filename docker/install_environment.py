"""Install the paper's environment; runs once, on the base image's Python, while the image is built.

Where environment.lock.yml belongs to environment.yml, exactly what it names is installed: conda's packages by their
addresses and checksums, then pip's by theirs, and nothing that they ask for besides. Else mamba solves.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

PAPER = Path("/opt/paper")
ENVIRONMENTS = Path("/opt/conda/envs")
# One of these is needed by every build for a GPU, whatever package it is of.
GPU_RUNTIMES = ("cuda-cudart", "cuda-version", "cudatoolkit", "cudnn", "hip", "nccl", "pytorch-cuda", "rocm-core")
# A package that is for a GPU alone: by what its name says, or the libraries of RAPIDS and CuPy.
FOR_A_GPU = re.compile(
    r"(^|[-_])(cuda|gpu|hip|nccl|nvidia|rocm)([-_\d]|$)|cuda|cudnn|^(lib)?(cupy|cu(df|ml|graph|vs|tensor))|tensorrt|^flash-attn"
)


def locked(environment: Path, lock: Path) -> dict[str, Any] | None:
    """Read the lock; None where there is none, or it is another environment's."""
    if not lock.is_file():
        return None
    data: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))
    return data if data["environment"] == hashlib.sha256(environment.read_bytes()).hexdigest() else None


def install(name: str, lock: dict[str, Any], variables: dict[str, Any]) -> None:
    """Install what a lock names, and keep the environment's variables where conda keeps them."""
    with tempfile.TemporaryDirectory() as scratch:
        explicit = Path(scratch) / "explicit.txt"
        lines = [one["url"] + (f"#{one['md5']}" if one["md5"] else "") for one in lock["conda"]]
        explicit.write_text("".join(f"{line}\n" for line in ["@EXPLICIT", *lines]), encoding="utf-8")
        subprocess.run(["mamba", "create", "--yes", "--name", name, "--file", str(explicit)], check=True)
        # What comes from a repository has a commit and no checksum, and pip wants checksums of all or of none.
        for part in ([one for one in lock["pip"] if one["sha256"]], [one for one in lock["pip"] if not one["sha256"]]):
            requirements = [
                " ".join([one["requirement"], *(f"--hash=sha256:{digest}" for digest in one["sha256"])]) for one in part
            ]
            listed = Path(scratch) / "requirements.txt"
            listed.write_text("".join(f"{line}\n" for line in [*lock["pip_options"], *requirements]), encoding="utf-8")
            python = ENVIRONMENTS / name / "bin" / "python"
            pip = [str(python), "-m", "pip", "install", "--no-input", "--no-deps", "--requirement", str(listed)]
            if part:
                subprocess.run(pip, check=True)
    if variables:
        state = ENVIRONMENTS / name / "conda-meta" / "state"
        state.write_text(json.dumps({"env_vars": {key: str(value) for key, value in variables.items()}}))


def pins(environment: str) -> list[str]:
    """Say what mamba must not install, so that it picks no build for a GPU: such builds often win.

    A package that is pinned to a version that nobody has cannot be installed, nor what needs it; none is where the
    environment asks for a package or a build for a GPU.
    https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/settings.html#pinned-packages
    """
    for line in yaml.safe_load(environment)["dependencies"]:
        name, *rest = re.split(r"[=\s]+", line.rpartition("::")[2]) if isinstance(line, str) else [""]
        if FOR_A_GPU.search(name) or re.search(r"(?<!no)(?<!no_)(cuda|gpu|rocm)", " ".join(rest[1:])):
            return []
    return [f"{name} <0a0" for name in GPU_RUNTIMES]


def solve(name: str, environment: Path) -> None:
    """Have mamba solve the environment, and install it."""
    with tempfile.TemporaryDirectory() as scratch:
        condarc = Path(scratch) / "condarc"
        condarc.write_text(json.dumps({"pinned_packages": pins(environment.read_text(encoding="utf-8"))}))
        create = ["mamba", "env", "create", "--yes", "--name", name, "--file", str(environment)]
        subprocess.run(create, check=True, env=os.environ | {"CONDARC": str(condarc)})


def main(name: str) -> int:
    """Install the environment under this name; return the exit status."""
    environment = PAPER / "environment.yml"
    lock = locked(environment, PAPER / "environment.lock.yml")
    try:
        if lock:
            install(name, lock, yaml.safe_load(environment.read_text(encoding="utf-8")).get("variables") or {})
        else:
            solve(name, environment)
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
