"""The pip part of an environment, solved with uv's resolver against what conda brings, for the image's Python."""

import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import InvalidVersion, Version
from uv import find_uv_bin

from spyglass_export.environment.channels import unreachable
from spyglass_export.environment.credentials import without_user
from spyglass_export.environment.package_lists import CONDA_NAMES, GPU_ONLY, PYTORCH_CPU_INDEX
from spyglass_export.environment.parts import PipPart
from spyglass_export.environment.problems import ENDED, SECONDS, Problem, at_fault, contradiction
from spyglass_export.environment.rules import matches, normalise, requirement_name

# The newest glibc that uv knows a name for; an image with a newer one takes all that this one takes.
MANYLINUX = (17, 28, *range(31, 41))
# The local version by which a package of conda is told from an index's.
OF_CONDA = "+of.conda"
# A server that is out of reach is told at once, and git never asks for a password.
QUICK = {"UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "10", "GIT_TERMINAL_PROMPT": "0"}
_ADDRESS = re.compile(r"https?://[^\s'\"#;`)]+")
_OPTION = re.compile(r"(-i|-f|--index-url|--extra-index-url|--find-links)[=\s]\s*(\S+)")


def pip_configuration(ca_bundle: Path | None = None) -> dict[str, str]:
    """Ask pip how it is configured on this machine, in its files and its variables; give the same as uv's variables.

    Without an index of its own, the index is that of pip and uv themselves.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
    values: dict[str, str] = {}
    # Later sections win, as they do in pip.
    for section in ("global.", "install.", ":env:."):
        for name, value in re.findall(rf"^{re.escape(section)}([\w-]+)='(.*)'$", listed, re.MULTILINE):
            values[name] = value.replace("\\n", " ")
    found = {
        "UV_INDEX_URL": values.get("index-url") or os.environ.get("PIP_INDEX_URL"),
        "UV_EXTRA_INDEX_URL": values.get("extra-index-url"),
        "UV_FIND_LINKS": ",".join(values.get("find-links", "").split()),
        "UV_INSECURE_HOST": values.get("trusted-host"),
        "SSL_CERT_FILE": values.get("cert") or (str(ca_bundle) if ca_bundle else None),
    }
    return {name: value for name, value in found.items() if value}


class _Resolver(NamedTuple):
    """A call of uv for one Python, with the packages that conda brings as files in ``wheels``."""

    python: str
    platform: str
    pip: Mapping[str, str]
    wheels: Path

    def resolve(self, items: Sequence[str], options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Resolve requirements, and conda's packages (`name==version+of.conda`) as they are, with lines of options."""
        listed, constraints = self.wheels / "requirements.txt", self.wheels / "constraints.txt"
        lines = [line for line in options if _OPTION.fullmatch(line) or "binary" in line]
        lines += [one for one in items if not one.endswith(OF_CONDA)]
        listed.write_text("\n".join(lines), encoding="utf-8")
        brought = [one for one in items if one.endswith(OF_CONDA)]
        constraints.write_text("\n".join(brought), encoding="utf-8")
        links = ",".join(filter(None, (self.pip.get("UV_FIND_LINKS"), str(self.wheels))))
        return subprocess.run(
            [
                *(find_uv_bin(), "pip", "compile", str(listed), *([f"--constraints={constraints}"] if brought else [])),
                *("--python", sys.executable, "--python-version", self.python, "--python-platform", self.platform),
                *("--index-strategy", "unsafe-best-match", "--no-config", "--no-python-downloads"),
                *("--generate-hashes", "--no-annotate", "--no-header", "--no-strip-extras", "--color", "never"),
                *(("--prerelease", "allow") if "--pre" in options else ()),
            ],
            env={**QUICK, **os.environ, **self.pip, "UV_FIND_LINKS": links},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


def solve(
    lines: Sequence[str],
    brought: Mapping[str, str],
    named: Sequence[str],
    *,
    python: str,
    glibc: str,
    pip: Mapping[str, str],
) -> PipPart:
    """Solve the lines of a `pip:` part.

    ``brought`` are versions of conda's Python packages by their name there, ``named`` those of them that
    environment.yml names itself: these must stay, while pip may replace what only came along.
    """
    part = PipPart()
    options = [line for line in lines if line.startswith("-") and not line.startswith(("-e", "--editable"))]
    requirements = [_not_editable(line) for line in lines if line not in options]
    own = f"{pip.get('UV_INDEX_URL', '')} {pip.get('UV_EXTRA_INDEX_URL', '')}".split()
    places = [found[2] for line in options if (found := _OPTION.fullmatch(line))]
    silent = unreachable([*own, *places], pip.get("SSL_CERT_FILE"))
    part.unreachable = {without_user(address): why for address, why in silent.items()}
    part.options = [line for line in options if not any(address in line for address in silent)]
    if not silent.keys().isdisjoint(own):
        return part
    pinned = {requirement_name(line) for line in requirements if re.search(r"={2,3}|@", line)}
    with tempfile.TemporaryDirectory() as folder:
        minor = max((one for one in MANYLINUX if one <= int(glibc.split(".")[1])), default=MANYLINUX[0])
        resolver = _Resolver(python, f"x86_64-manylinux_2_{minor}", pip, Path(folder))
        items = [*requirements, *_write_wheels(Path(folder), brought, pinned)]
        _solve(part, resolver, items, {normalise(name) for name in named})
    return part


def _solve(part: PipPart, resolver: _Resolver, items: list[str], named: set[str]) -> None:
    """Resolve; take out what fails, one after the other, until the rest resolves."""
    deadline = time.monotonic() + SECONDS

    def fails(some: Sequence[str]) -> bool:
        return "No solution found" in resolver.resolve(some, part.options).stderr

    while any(not one.endswith(OF_CONDA) for one in items):
        done = resolver.resolve(items, part.options)
        if not done.returncode:
            if not part.problems:
                _take(part, resolver, items, done.stdout)
            return
        if time.monotonic() > deadline:
            part.problems.append(ENDED)
            return
        if "No solution found" not in done.stderr:
            _set_aside(part, items, done.stderr)
            continue
        core = at_fault(items, requirement_name, normalise(_reason(done.stderr)), fails)
        out = next((one for one in core if one.endswith(OF_CONDA) and requirement_name(one) not in named), "")
        if out:
            part.notes.append(f"pip replaces conda's {out.removesuffix(OF_CONDA).replace('==', ' ')}")
        else:
            out = next(one for one in reversed(core) if not one.endswith(OF_CONDA))
            part.problems.append(_contradiction(part, resolver, core, out))
        items.remove(out)


def _take(part: PipPart, resolver: _Resolver, items: list[str], resolved: str) -> None:
    """Take what was resolved; torch from PyTorch's index of CPU builds, whoever brought it."""
    packages = _packages(resolved)
    names = {requirement_name(package["requirement"]) for package in packages}
    if "torch" in names and any(matches(name, GPU_ONLY) for name in names) and PYTORCH_CPU_INDEX not in part.options:
        if trouble := unreachable([PYTORCH_CPU_INDEX.split()[1]], resolver.pip.get("SSL_CERT_FILE")):
            part.unreachable |= trouble
        else:
            part.options.append(PYTORCH_CPU_INDEX)
            again = resolver.resolve(items, part.options)
            packages = packages if again.returncode else _packages(again.stdout)
            part.notes.append("torch comes from PyTorch's index of CPU builds")
    cpu = [package for package in packages if not matches(requirement_name(package["requirement"]), GPU_ONLY)]
    if len(cpu) < len(packages) and not any(re.match(r"torch==[\d.]+$", one["requirement"]) for one in packages):
        part.notes.append(f"left out, since they serve a GPU only: {len(packages) - len(cpu)} packages")
        packages = cpu
    part.packages = packages


def _set_aside(part: PipPart, items: list[str], error: str) -> None:
    """Take the requirement out that could not be looked at: its server is silent, or it must be built first."""
    found = re.search(r"`([^`]+)`", error)
    quoted = found[1] if found else ""
    # An index that is out of reach is quoted by an address that ends in a package's name.
    name = "" if quoted.startswith("http") else requirement_name(quoted)
    line = next((one for one in items if name and requirement_name(one) == name and not one.endswith(OF_CONDA)), None)
    address = _ADDRESS.search(error)
    is_network = re.search(r"dns error|sending request|resolve host|unable to access|timed out|HTTP status", error)
    if is_network and address:
        part.unreachable[without_user("/".join(address[0].split("/")[:3]))] = "it does not answer"
    elif line or not is_network:
        part.unreachable[line or quoted or "pip's part"] = _reason(error)[:300]
    if line:
        items.remove(line)
    else:
        items.clear()


def _contradiction(part: PipPart, resolver: _Resolver, core: Sequence[str], out: str) -> Problem:
    """Word a contradiction: its lines, uv's reason, and a version of one line that fits the others."""
    why = _reason(resolver.resolve(core, part.options).stderr)
    quoted = [f"conda's {one.removesuffix(OF_CONDA)}" if one.endswith(OF_CONDA) else f"'{one}'" for one in core]
    quoted += [f"Python {resolver.python}"] if "Python" in why else []
    name = requirement_name(out)
    again = resolver.resolve([name, *(one for one in core if one != out)], part.options)
    fits = re.search(rf"^{re.escape(name)}(==[^\s\\]+)", again.stdout, re.MULTILINE)
    spec = f"{name}{fits[1]}" if not again.returncode and fits and fits[1] not in out else ""
    return contradiction(core, quoted, why, name, spec)


def _reason(error: str) -> str:
    """What uv says is wrong, on one line, without warnings and hints."""
    told = [line for line in error.partition("\nhint:")[0].splitlines() if not line.startswith("warning:")]
    text = " ".join(" ".join(told).replace("cause: ", "").replace("error: ", "").split()).replace(OF_CONDA, " of conda")
    text = text.removeprefix("No solution found when resolving dependencies ")
    return re.sub(r",? (?:and )?we can conclude that your requirements are unsatisfiable\.$", "", text)


def _packages(resolved: str) -> list[dict[str, Any]]:
    """Read what `uv pip compile --generate-hashes` printed, without what conda brings."""
    packages = []
    for line in resolved.replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=sha256:", line.strip())
        if requirement and not requirement.startswith(("#", "-")) and OF_CONDA not in requirement:
            packages.append({"requirement": requirement, "sha256": [one.strip() for one in hashes]})
    return packages


def _write_wheels(folder: Path, brought: Mapping[str, str], but: set[str]) -> list[str]:
    """Stand in for Python packages that conda brings, but for some, by name and version; they need nothing."""
    names = {conda: python for python, conda in CONDA_NAMES.items()}
    items = []
    for conda, text in brought.items():
        name = names.get(normalise(conda), normalise(conda))
        try:
            version = f"{Version(text)}{OF_CONDA}"
        except InvalidVersion:
            continue
        if version.count("+") > 1 or conda.startswith("_") or name in but:
            continue
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
        items.append(f"{name}=={version}")
    return items


def _not_editable(line: str) -> str:
    """`-e git+https://…#egg=name` as `name @ git+https://…`: an image installs it, and nobody edits it there."""
    target = re.sub(r"^(-e|--editable)[=\s]\s*", "", line)
    egg = re.search(r"#(?:.*&)?egg=([\w.-]+)", target)
    return f"{egg[1]} @ {target.partition('#')[0]}" if egg and target != line else target
