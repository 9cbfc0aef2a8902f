"""What becomes of one line of environment.yml on a Linux machine without a GPU, as plain functions on text.

A *spec* is a line of conda's part (``jaxlib=0.4.23=cuda120py39h8c47b65_202``), a *requirement* one of pip's.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase, translate
from functools import cache
from typing import NamedTuple

from spyglass_export.environment import package_lists as lists

CPU_REASON = "the containers have no GPU; same version, built for a CPU"
TWIN_REASON = "this is the same package for Linux without a GPU"
DISK_ONLY = "is on the lab's disk only"

_GPU_BUILD = re.compile(r"(?<!no)(?<!no_)(cuda|cudnn|gpu|rocm)|(?<![a-z])cu\d\d", re.I)
_HARDWARE = re.compile(r"(^|\.|\d)(cpu|cu\d|cuda|gpu|rocm)", re.I)
_GPU_EXTRA = re.compile(r"(.*[-_])?(cuda|gpu|rocm)", re.I)
_GPU_INDEX = re.compile(r"[/.-](cu\d\d|cuda|rocm)|jax_cuda|pypi\.(ngc\.)?nvidia\.com|rapidsai", re.I)
# https://data.pyg.org/whl/torch-2.3.0+cu121.html has a page +cpu.html beside it.
_LABELLED_INDEX = re.compile(r"(?<=\+)(cu\d+|rocm[\d.]+)(?=\.html)", re.I)
_POST_OF_CONDA = re.compile(r"={2,3}\s*(?P<version>[\w.!]+?)\.?post\d+\s*(;.*)?")
_PYTORCH_INDEX = re.compile(
    r"(download\.pytorch\.org/whl)(?:/(?:(?:nightly|test)/)?(?:cu\d+|rocm[\d.]+)|(?=/torch_stable|/?$))", re.I
)
_LOCAL_SPEC = r"file:|[/~.\\]|[A-Za-z]:[\\/]"
_SPEC = re.compile(r"(?P<channel>[^\s:\[]+::)?(?P<name>[\w.-]+)(?P<rest>.*)", re.S)
_BUILD = re.compile(r"(?<=[^=<>!~\s])[=\s]+(?P<plain>[^=<>!~\s,|'\]]+)$|build=(?P<quote>['\"]?)(?P<listed>[^'\",\]]+)")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?P<extras>\[[^\]]*\])?(?=\s*(?:[<>=!~;@(]|--|$))\s*(?P<rest>.*)",
    re.S,
)
_PINNED = re.compile(r"(?P<operator>={2,3})\s*(?P<version>[^\s;,+]+)\+(?P<label>[\w.-]+)")
_OPTION = re.compile(
    r"(?:-[ercfi]\s*|--(?:editable|requirement|constraint|find-links|(?:extra-)?index-url)[=\s]\s*)"
    r"(?P<target>.*)",
    re.S,
)
_COMMIT = re.compile(r"(?:^|[.\-])g(?P<commit>[0-9a-f]{7,40})(?:[.\-]|$)")
_SSH = re.compile(r"git\+(?:(?:ssh|git)://(?:[^@/\s]+@)?|[\w.-]+@)(?P<host>[\w.-]+)(?:/|:(?!\d+/))")
# A folder without a name: the repository that the file lies in, or the one above.
_DOTS = re.compile(r"\.{1,2}/?(?P<extras>\[[^\]]*\])?")
# What pip takes in a list of packages: https://pip.pypa.io/en/stable/reference/requirements-file-format/
_LISTED_OPTION = re.compile(
    r"-[icefr](?!-)|--(index-url|extra-index-url|no-index|constraint|requirement|editable|find-links|no-binary|only-binary"
    r"|prefer-binary|require-hashes|pre|trusted-host|use-feature)\b"
)
_ARCHIVE = re.compile(r"(?P<name>[\w.-]+?)-(?P<version>\d[^-]*)(?:-.*\.whl|\.tar\.gz|\.zip)")
# Folders in which conda-forge and Anaconda build their packages; pip freeze quotes them.
_CONDA_BUILT = re.compile(r"file://.*/(feedstock_root|conda-bld|croots?|build/80754af9|ci_py\w+|Users/ktietz)/")


class Ruling(NamedTuple):
    """What becomes of a line: ``after`` is its new text, empty where it is taken out."""

    kind: str
    after: str
    reason: str


class Surroundings(NamedTuple):
    """What a rule must know of the rest of the file; names are normalised.

    ``conda`` has the version pinned for each name, or ``""``. ``absent`` are names that no channel has for Linux;
    ``None`` where not all channels could be asked.
    """

    conda: Mapping[str, str]
    pip: Collection[str]
    other_system: str
    exclude: tuple[str, ...]
    spyglass_version: str
    absent: frozenset[str] | None


def normalise(name: str) -> str:
    """A package's name in the form in which PEP 503 compares names; underscores and case do not count."""
    return re.sub(r"[-_.]+", "-", name).lower()


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a normalised name is one of the names or shell patterns."""
    return bool(patterns) and bool(_any_of(patterns).match(name))


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all: a channel has 30,000 names to hold against them."""
    return re.compile("|".join(translate(pattern) for pattern in patterns))


def is_gpu_build(build: str) -> bool:
    """Whether a build string says that a package was built for a GPU."""
    return bool(_GPU_BUILD.search(build))


def spec_name(spec: str) -> str:
    """The normalised name of the package that a conda spec asks for, or ``""``; also of one by its file."""
    if re.match(_LOCAL_SPEC, spec.strip()) or ":/" in spec:
        file = re.split(r"[/\\]", spec.split("#")[0].strip().rstrip("/\\"))[-1]
        return normalise(re.sub(r"(-[^-]+-[^-]+)?(\.conda|\.tar\.bz2)$", "", file))
    return normalise(plain_name(spec))


def plain_name(spec: str) -> str:
    """The name in a conda spec as channels write it: importlib-metadata and importlib_metadata are two packages."""
    return re.split(r"[\s=<>!~\[]", spec.rpartition("::")[2].strip())[0].lower()


def version_and_build(spec: str) -> tuple[str, str]:
    """The pinned version and the build string of a conda spec such as `numpy=1.26.4=py39h474f0d3_0`, or ``""``."""
    pinned = re.fullmatch(r"[^=<>!~\s]+\s*={1,2}\s*([\w.!+]+)(?:[=\s]+([^=\s]+))?", spec.strip())
    return (pinned[1], pinned[2] or "") if pinned else ("", "")


def requirement_name(requirement: str) -> str:
    """The normalised name of the package that a pip requirement asks for, or ``""`` (an index, an option).

    A path or an address names no package; its ``#egg=`` or else its last part stands in for the name.
    """
    requirement = requirement.strip()
    match = _REQUIREMENT.fullmatch(requirement)
    if match and not _ARCHIVE.fullmatch(requirement):
        return normalise(match["name"])
    target = _target(requirement)
    option = _OPTION.fullmatch(requirement)
    if not target or (option and not requirement.startswith(("-e", "--editable")) and not is_local(target)):
        return ""
    if _DOTS.fullmatch(target):
        return "spyglass-neuro"
    if egg := re.search(r"#(?:.*&)?egg=([\w.-]+)", target):
        return normalise(egg[1])
    last = re.split(r"[/\\]", re.sub(r"\[[^\]]*\]$|[?#].*$", "", target).rstrip("/\\"))[-1]
    archive = _ARCHIVE.fullmatch(last)
    folder = normalise(archive["name"] if archive else re.sub(r"(\.git)?(@.*)?$", "", last, count=1))
    return "spyglass-neuro" if folder == "spyglass" else folder


def is_local(target: str) -> bool:
    """Whether what pip or conda is sent to lies on a disk and not on a server."""
    return not re.match(r"git\+\w+@|(?:[a-z]+\+)?(?!file)[a-z]+\d?://", target.strip("\"' "), re.I)


def spec_rulings(spec: str, around: Surroundings) -> Iterator[Ruling]:
    """The changes that a conda spec may need; the first of them counts."""
    name = spec_name(spec)
    yield from _name_rulings(name, around.conda, around.exclude)
    match = _SPEC.fullmatch(spec)
    if not match or ":/" in spec:
        return
    rest, head = match["rest"], spec[: match.start("rest")]
    found = _BUILD.search(rest)
    build = found["plain"] or found["listed"] if found else ""
    if twin := _twin(name):
        # A metapackage's build string is not its twin's.
        after = _with_build(rest, _cpu_build(twin, build) if is_gpu_build(build) else "")
        yield Ruling("GPU package", f"{match['channel'] or ''}{twin}{after}", TWIN_REASON)
    if is_gpu_build(build) and matches(name, lists.SELECTORS):
        yield Ruling("GPU package", "", "it only makes the solver choose a GPU build")
    if is_gpu_build(build):
        yield Ruling("GPU build", head + _with_build(rest, _cpu_build(name, build)), CPU_REASON)
    is_made_for_gpu = any(matches(one, lists.GPU_ONLY) for one in around.conda)
    if not build and matches(name, lists.CPU_BUILDS_ASKED_FOR) and is_made_for_gpu and "[" not in rest:
        version = re.fullmatch(r"\s*={0,2}\s*([\w.*]*)", rest)
        asked = f"={version[1] or '*'}=" if version else f" {rest.strip()} "
        yield Ruling("GPU build", f"{head}{asked}*cpu*", "beside GPU packages it is one; " + CPU_REASON)
    if name.endswith("-microarch-level") or head.startswith("__"):
        yield Ruling("lab's machine", "", "it describes the processor or the system of the lab's machine")
    if not around.other_system:
        return
    if matches(name, lists.OTHER_SYSTEMS_ONLY) if around.absent is None else name in around.absent:
        reason = f"the environment was exported on {around.other_system}; the containers run Linux, without it"
        yield Ruling("other system", "", reason)
    if build and "*" not in build:
        reason = f"this build is for {around.other_system}, where the environment was exported; same version"
        yield Ruling("other system", head + _with_build(rest, ""), reason)


def requirement_rulings(requirement: str, around: Surroundings) -> Iterator[Ruling]:
    """The changes that a pip requirement may need; the first of them counts."""
    name = requirement_name(requirement)
    yield from _name_rulings(name, around.pip, around.exclude)
    yield from _address_rulings(requirement)
    match = _REQUIREMENT.fullmatch(requirement)
    if not match:
        dots = _DOTS.fullmatch(_target(requirement))
        if dots and around.spyglass_version:
            after = f"spyglass-neuro{dots['extras'] or ''}=={around.spyglass_version}"
            reason = "Spyglass' own environment file installs its folder; this is the export's version"
            yield Ruling("lab's machine", after, reason)
        return
    # `torch==1.11.0.post202` is how pip sees the conda package `pytorch=1.11.0`: no index has it.
    mirror = _POST_OF_CONDA.fullmatch(match["rest"])
    package = next((one for one in (name, lists.CONDA_NAMES.get(name)) if one in around.conda), None)
    if mirror and package and around.conda[package] in ("", mirror["version"]):
        yield Ruling("conda's package", "", f"it is how pip sees conda's {package}, which is installed")
    if twin := _twin(name):
        yield Ruling("GPU package", twin + requirement[match.end("name") :], TWIN_REASON)
    if matches(name, lists.NO_LINUX_WHEEL):
        yield Ruling("other system", "", "it exists for macOS or Windows only; the containers run Linux")
    if not _CONDA_BUILT.match(_target(requirement)):
        yield from _version_rulings(name, match)
        return
    # `pip freeze` quotes the folder in which a conda package was built; conda's part has the package itself.
    if name in around.conda:
        yield Ruling("build path", "", "conda's part has this package")
    if archive := _ARCHIVE.fullmatch(re.split(r"[/\\]", _target(requirement).split("#")[0])[-1]):
        after = f"{match['name']}{match['extras'] or ''}=={archive['version']}"
        yield Ruling("build path", after, "this folder existed while conda built the package; same version from PyPI")


def spec_problem(spec: str) -> str:
    """Why no other machine can install a conda spec, or ``""``."""
    return DISK_ONLY if re.match(_LOCAL_SPEC, spec.strip()) else ""


def requirement_problem(requirement: str) -> str:
    """Why no other machine can install a pip requirement, or ``""``."""
    target = _target(requirement)
    if target and is_local(target):
        return DISK_ONLY
    if requirement.startswith("-") and not _LISTED_OPTION.match(requirement):
        return "is an option that pip does not take in a list of packages"
    if re.search(r"git\+ssh://", requirement):
        return "needs an SSH key that the image does not have"
    pinned = _PINNED.search(requirement)
    if pinned and not target and not _HARDWARE.search(pinned["label"]):
        return "is a development version that no index has"
    return ""


def _name_rulings(name: str, names: Collection[str], exclude: tuple[str, ...]) -> Iterator[Ruling]:
    if name and name not in lists.NEEDED and matches(name, exclude):
        yield Ruling("excluded", "", "ENV_EXCLUDE names it")
    twin = _twin(name)
    if twin and twin in names:
        yield Ruling("GPU package", "", f"{twin} is named beside it")
    if not twin and matches(name, lists.GPU_ONLY):
        yield Ruling("GPU package", "", "it serves a GPU only, and the containers have none")


def _twin(name: str) -> str:
    return next((twin for pattern, twin in lists.CPU_TWINS.items() if fnmatchcase(name, pattern)), "")


def _cpu_build(name: str, gpu_build: str) -> str:
    """The build strings of a package's CPU builds, or ``""`` where they are not known and the solver chooses."""
    if name.startswith("tensorflow") and gpu_build.startswith("gpu_"):
        return "mkl_*"  # the channel defaults names its builds gpu_…, mkl_… and eigen_…
    return "*cpu*" if matches(name, lists.CPU_BUILDS) else ""


def _address_rulings(requirement: str) -> Iterator[Ruling]:
    after = _SSH.sub(r"git+https://\g<host>/", requirement)
    if after != requirement:
        yield Ruling("address", after, "the image has no SSH key; https reaches every public repository")
    if option := _OPTION.fullmatch(requirement):
        after = _LABELLED_INDEX.sub("cpu", _PYTORCH_INDEX.sub(r"\1/cpu", requirement))
        if after != requirement:
            yield Ruling("GPU build", after, "this index has GPU builds; the same versions for a CPU are beside it")
        if _GPU_INDEX.search(option["target"]) and "git+" not in requirement:
            yield Ruling("GPU package", "", "this index has GPU builds only")


def _version_rulings(name: str, match: re.Match[str]) -> Iterator[Ruling]:
    extras = [extra.strip() for extra in (match["extras"] or "[]")[1:-1].split(",")]
    gone = [extra for extra in extras if _GPU_EXTRA.match(extra)]
    if gone:
        kept = ",".join(extra for extra in extras if extra not in gone)
        after = f"{match['name']}{f'[{kept}]' if kept else ''}{match['rest']}"
        yield Ruling("GPU build", after, f"the extra {', '.join(gone)} only adds GPU packages")
    # `+cu121` of a GPU build, `+g89e3be86` of a commit. `torch==2.3.1` is 2.3.1+cpu where an index of CPU builds is
    # searched too: PEP 440 orders a version with a label after the same one without.
    rest = re.sub(r"\s+--hash=\S+", "", match["rest"])
    pinned, head = _PINNED.search(rest), f"{match['name']}{match['extras'] or ''}"
    if pinned and _HARDWARE.search(pinned["label"]):
        after = head + rest.replace(pinned[0], pinned["operator"] + pinned["version"])
        yield Ruling("GPU build", after, CPU_REASON)
    elif pinned and name in lists.REPOSITORIES and (commit := _COMMIT.search(pinned["label"])):
        marker = rest.partition(";")[2].strip()
        after = f"{head} @ git+{lists.REPOSITORIES[name]}@{commit['commit']}{' ; ' + marker if marker else ''}"
        reason = "no index has this development version; it is installed from its commit"
        if re.search(r"(^|\.)(d\d{8}|dirty)", pinned["label"]):
            reason += ", without what was not committed on the lab's machine"
        yield Ruling("development version", after, reason)


def _target(requirement: str) -> str:
    """The path or address that a pip requirement installs from, or ``""`` where it names an index's package."""
    option = _OPTION.fullmatch(requirement)
    if option:
        return option["target"].strip()
    match = _REQUIREMENT.fullmatch(requirement)
    if match and not _ARCHIVE.fullmatch(requirement):
        rest = match["rest"]
        return re.split(r"\s;|\s--", rest[1:])[0].strip() if rest.startswith("@") else ""
    return "" if requirement.startswith("-") else requirement


def _with_build(rest: str, build: str) -> str:
    """The part of a spec after the name, asking for another build; for any build where ``build`` is empty."""

    def replaced(match: re.Match[str]) -> str:
        if match["listed"]:
            return f"build={match['quote']}{build or '*'}"
        return f"{match[0].removesuffix(match['plain'])}{build}" if build else ""

    return _BUILD.sub(replaced, rest)
