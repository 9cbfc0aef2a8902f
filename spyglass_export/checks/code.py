"""Read the code of a notebook's cell: what it imports, and which paths of a disk it names."""

import ast
import contextlib
import re
import sys
from collections.abc import Iterator

from spyglass_export.environment.rules import normalise

# Modules whose package has another name, with the names of PyPI and of conda; but for a `py`, `py-` or `python-` in it.
PACKAGES = {
    **{"Bio": ("biopython",), "Crypto": ("pycryptodome", "pycrypto"), "IPython": ("ipython", "ipykernel")},
    **{"PIL": ("pillow", "pillow-simd"), "PyQt5": ("pyqt5", "pyqt"), "attr": ("attrs",), "bs4": ("beautifulsoup4",)},
    **{"cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv", "py-opencv", "libopencv")},
    **{"faiss": ("faiss-cpu", "faiss-gpu", "faiss"), "ipywidgets": ("ipywidgets", "jupyter")},
    **{"jupyter_core": ("jupyter-core", "ipykernel"), "mpl_toolkits": ("matplotlib", "matplotlib-base")},
    **{"nbformat": ("nbformat", "jupyterlab", "notebook"), "networkx": ("networkx", "datajoint"), "osgeo": ("gdal",)},
    **{"pkg_resources": ("setuptools", "pip", "python"), "pylab": ("matplotlib", "matplotlib-base")},
    **{"pymysql": ("pymysql", "datajoint"), "setuptools": ("setuptools", "pip", "python")},
    **{"skimage": ("scikit-image",), "sklearn": ("scikit-learn",), "spyglass": ("spyglass-neuro",)},
    **{"traitlets": ("traitlets", "ipykernel"), "umap": ("umap-learn",), "zmq": ("pyzmq", "ipykernel")},
}
# Modules that many packages put something into.
NAMESPACES = {"azure", "backports", "google", "ruamel", "sphinxcontrib", "zope"}
# Cell magics of IPython whose cell is Python all the same.
PYTHON_MAGICS = {"capture", "prun", "python3", "time", "timeit", "memit", "mprun"}
_MAGIC = re.compile(r"^(?P<indent>\s*)(?:[\w.,\s\[\]]+=\s*)?(?:%%?|!|\?)\s*\S.*$|^(?P<indent2>\s*)[\w.]+\?{1,2}\s*$")

# Folders of the hub's own system; home folders but jovyan's are not among them.
HUB_FOLDERS = "bin|boot|dev|etc|home/jovyan|lib|lib64|opt|proc|run|sbin|srv|sys|tmp|usr|var"
# Groups of an NWB file, which code names as absolute paths too: https://nwb-schema.readthedocs.io/
NWB_GROUPS = "acquisition|analysis|general|intervals|processing|specifications|stimulus|units"
_POSIX_PATH = re.compile(rf"/(?!(?:{HUB_FOLDERS}|{NWB_GROUPS})(?:/|$))[A-Za-z][\w.+@-]*(?:/[\w.+@ *?{{}}=,#-]+)+/?")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/](?![\\/])[^\n:*?\"<>|]+|\\\\[\w.-]+\\[^\n:*?\"<>|]+")


def parse(text: str) -> ast.Module | None:
    """Parse a cell, IPython's magics and shell lines taken out; None where that is no Python."""
    for attempt in (text, "\n".join(_without_magics(text)[0])):
        with contextlib.suppress(SyntaxError, ValueError):
            return ast.parse(attempt)
    return None


def imports(tree: ast.Module) -> list[str]:
    """The top-level modules that the code cannot do without, Python's own left out, each once in order.

    An import that the code is ready to see fail, in a `try` with `except ImportError`, is none of them.
    """
    found = {}
    optional = {
        node
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.Try) and attempt.handlers
        for statement in attempt.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in optional:
            continue
        if isinstance(node, ast.Import):
            found.update(dict.fromkeys(alias.name.partition(".")[0] for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found[node.module.partition(".")[0]] = None
    # `distutils` and the like left Python with 3.12, and are in the older one of many a paper.
    return [module for module in found if module not in sys.stdlib_module_names | {"distutils", "imp"}]


def provides(installed: set[str], module: str) -> bool:
    """Whether one of the installed packages, by normalised names, most likely has this module."""
    name = normalise(module)
    if installed & {*PACKAGES.get(module, ()), name, f"{name}-base", f"{name}-core", f"python-{name}", f"py-{name}"}:
        return True
    if module in NAMESPACES:
        return any(package.startswith(f"{name}-") for package in installed)
    bare = {re.sub(r"^(python|py)|(python|py)$", "", package.replace("-", "")) for package in installed}
    return name.replace("-", "") in bare


def foreign_paths(text: str) -> list[str]:
    """The absolute paths that a cell names and the hub does not have, in texts of the code and in shell lines."""
    found: dict[str, None] = {}
    tree = parse(text)
    for literal in _texts(tree) if tree else ():
        if _POSIX_PATH.fullmatch(literal) or _WINDOWS_PATH.fullmatch(literal):
            found[literal] = None
    if tree is None or "%" in text or "!" in text:
        for line in _without_magics(text)[1]:
            for match in re.finditer(rf"(?<![\w:/.~$}}])(?:{_POSIX_PATH.pattern})", line):
                found[match[0].split(" ")[0]] = None
    return list(found)


def _texts(tree: ast.Module) -> Iterator[str]:
    """Every text of the code; of an f-string with `{}` for what is filled in."""
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


def _without_magics(text: str) -> tuple[list[str], list[str]]:
    """Split a cell's lines: Python, with `pass` for each line of IPython's own; and those lines."""
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if magic := re.match(r"%%(\w+)", first):
        if magic[1] not in PYTHON_MAGICS:
            return [], lines
        lines.remove(first)
    python, others = [], []
    goes_on = False
    for line in lines:
        match = _MAGIC.match(line)
        if goes_on or match:
            others.append(line)
            python.append("" if goes_on or not match else f"{match['indent'] or match['indent2'] or ''}pass")
            goes_on = line.rstrip().endswith("\\")
        else:
            python.append(line)
    return python, others
