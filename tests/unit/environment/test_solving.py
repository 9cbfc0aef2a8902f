"""An environment prepared as `check` and `build` do it: installable, solved, locked, and taken as it is afterwards."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from spyglass_export.environment import lock, solving
from spyglass_export.environment.installable import made_of, make_installable
from spyglass_export.environment.pip_part import pip_configuration
from spyglass_export.environment.solving import Prepared, prepare, require_solved, vanished
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings, load
from tests.unit.environment.packages import Server, package, served, write_channel, write_wheel

ROOT = Path(__file__).parents[3]
PY310 = "python >=3.10,<3.11.0a0"
ENVIRONMENT = """\
name: lab
channels:
  - lab
dependencies:
  - python=3.10.6=h1_cpython
  - pip
  - ipykernel
  - numpy=1.23.4=py310h1_0
prefix: /home/ada/miniforge3/envs/lab
"""
PACKAGES = [
    package("python", "3.10.6", "h1_cpython"),
    package("pip", "24.0", "py_0", "python", subdir="noarch"),
    package("ipykernel", "6.0", "py_0", "python", subdir="noarch"),
    package("numpy", "1.23.4", "py310h1_0", PY310),
    package("numpy", "1.24.0", "py310h1_0", PY310),
    package("win-only", "1.0", "h1_0", subdir="win-64"),
]
# pip takes half a second to tell, and the answer is the same for all tests.
asked_once = cache(pip_configuration)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A channel `lab`, an empty `conda-forge`, and an index."""
    folder = tmp_path_factory.mktemp("served")
    write_channel(folder / "lab", PACKAGES)
    write_channel(folder / "conda-forge", [])
    write_wheel(folder / "simple", "bokeh", "3.0", "numpy>=1.20")
    write_wheel(folder / "simple", "numpy", "1.26.4")
    with served(folder) as server:
        yield server


@pytest.fixture
def server(web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, of which conda and pip of this machine are told."""
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", web.address)
    monkeypatch.setenv("PIP_INDEX_URL", f"{web.address}/simple")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "CONDA_CHANNELS", "CONDARC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(solving, "pip_configuration", asked_once)
    return web


@pytest.fixture(scope="module")
def locked_once(web: Server) -> list[lock.Lock]:
    """The lock of `ENVIRONMENT`, once a test has solved it."""
    return []


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "project"
    for folder in ("notebooks", "export_data", "export"):
        (project / folder).mkdir(parents=True)
    shutil.copy(ROOT / "env.example", project / ".env")
    (project / "export" / "environment.yml").write_text(ENVIRONMENT)
    return load(project, {"PAPER_ID": "Gu2026", "SPYGLASS_PAPER_DIR": str(project / "export")})


def change(settings: Settings, before: str, after: str) -> None:
    file = settings.spyglass_paper_dir / "environment.yml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def add_pip(settings: Settings, line: str = "bokeh") -> None:
    change(settings, "prefix:", f"  - pip:\n    - {line}\nprefix:")


def keep_first(settings: Settings, locked_once: list[lock.Lock]) -> lock.Lock:
    """Keep the lock of `ENVIRONMENT` as an earlier command would have, solved once for all tests."""
    locked_once += [] if locked_once else [keep(settings, prepare(settings, "2.36"))]
    lock.write(settings.export_data, locked_once[0])
    return locked_once[0]


def keep(settings: Settings, prepared: Prepared) -> lock.Lock:
    assert prepared.lock
    lock.write(settings.export_data, prepared.lock)
    return prepared.lock


def test_both_parts_are_solved_and_locked(server: Server, settings: Settings) -> None:
    add_pip(settings)
    prepared = prepare(settings, "2.36")

    assert (prepared.problems, dict(prepared.unreachable)) == ((), {})
    locked = keep(settings, prepared)
    assert {one["name"]: one["version"] for one in locked.conda} == {
        "python": "3.10.6",
        "pip": "24.0",
        "ipykernel": "6.0",
        "numpy": "1.23.4",
    }
    assert all(one["url"].startswith(f"{server.address}/lab/") and one["sha256"] for one in locked.conda)
    assert [one["requirement"] for one in locked.pip] == ["bokeh==3.0"]  # numpy is conda's
    assert (locked.python, locked.glibc) == ("3.10.6", "2.36")
    assert lock.read(settings.export_data) == locked


def test_a_lock_is_taken_as_it_is_and_nobody_is_asked(
    server: Server, settings: Settings, locked_once: list[lock.Lock]
) -> None:
    first = keep_first(settings, locked_once)
    server.asked.clear()

    again = prepare(settings, "2.36")

    assert (again.lock, again.is_new, server.asked) == (first, False, [])
    assert prepare(settings, None).lock == first


@pytest.mark.parametrize(
    "what", ["line", "override", "exclude", "glibc", "lock damaged", "lock of another format", "spyglass version"]
)
def test_whatever_changes_is_solved_anew(
    server: Server, settings: Settings, locked_once: list[lock.Lock], what: str
) -> None:
    keep_first(settings, locked_once)
    file, glibc = settings.export_data / lock.FILE, "2.36"
    if what == "line":
        change(settings, "numpy=1.23.4=py310h1_0", "numpy=1.24.0")
    elif what == "override":
        (settings.export_data / "environment.override.yml").write_text("dependencies: [numpy=1.24.0]\n")
    elif what == "exclude":
        settings = load(settings.root, {"PAPER_ID": "Gu2026", "SPYGLASS_PAPER_DIR": "export", "ENV_EXCLUDE": "numpy"})
    elif what == "glibc":
        glibc = "2.39"
    elif what == "lock damaged":
        file.write_text(file.read_text()[:200])
    elif what == "lock of another format":
        file.write_text(file.read_text().replace("version: 1", "version: 0"))
    else:
        (settings.spyglass_paper_dir / "spyglass_version").write_text("0.6.0")
    assert prepare(settings, glibc).is_new


def test_without_a_solution_no_lock_stays(server: Server, settings: Settings, locked_once: list[lock.Lock]) -> None:
    keep_first(settings, locked_once)
    change(settings, "numpy=1.23.4=py310h1_0", "numpy=9.9")
    add_pip(settings, "bokeh==9.9")

    prepared = prepare(settings, "2.36")
    lock.write(settings.export_data, prepared.lock)

    assert not (settings.export_data / lock.FILE).exists()
    with pytest.raises(UserError) as caught:
        require_solved(prepared)
    assert "(1) no channel has 'numpy=9.9'" in caught.value.what
    assert "(2) 'bokeh==9.9' cannot be installed" in caught.value.what
    assert "write `numpy=1.24.0`" in caught.value.hint


def test_a_build_that_a_channel_lost_is_found(server: Server, settings: Settings, locked_once: list[lock.Lock]) -> None:
    locked = keep_first(settings, locked_once)
    assert vanished(locked, None) == []
    rebuilt = [one | {"url": one["url"].replace("numpy-1.23.4", "numpy-1.23.3")} for one in locked.conda]
    assert vanished(replace(locked, conda=rebuilt), None) == ["numpy-1.23.3-py310h1_0.conda"]


def test_an_unchanged_lock_is_not_written_again(
    server: Server, settings: Settings, locked_once: list[lock.Lock]
) -> None:
    locked, file = keep_first(settings, locked_once), settings.export_data / lock.FILE
    text = file.read_text()
    file.write_text(f"{text}# the author's note\n")
    lock.write(settings.export_data, locked)
    assert file.read_text() == f"{text}# the author's note\n"


@pytest.mark.parametrize("file", ["0.5.5", "0.5.4", None])
def test_the_version_that_dots_become_is_the_dumps_for_solving_and_for_copying(
    server: Server, settings: Settings, file: str | None
) -> None:
    """`spyglass_version` may be older than the dump, or missing; the lock belongs to what is copied all the same."""
    add_pip(settings, "-e .")
    (settings.spyglass_paper_dir / "a.sql").write_text("--\n-- SPYGLASS VERSION: 0.5.5 --\n--\n")
    if file:
        (settings.spyglass_paper_dir / "spyglass_version").write_text(file)

    prepared = prepare(settings, "2.36")

    assert "- spyglass-neuro==0.5.5" in prepared.text
    text, options = made_of(settings.spyglass_paper_dir, settings.export_data, "Gu2026", ())
    assert make_installable(text, **options, evidence=prepared.evidence)[0] == prepared.text


def test_what_windows_alone_has_goes_since_no_channel_has_it_for_linux(server: Server, settings: Settings) -> None:
    change(settings, "  - numpy=", "  - win-only=1.0=h1_0\n  - numpy=")
    change(settings, "/home/ada/miniforge3/envs/lab", r"C:\Users\ada\envs\lab")

    prepared = prepare(settings, "2.36")

    assert "win-only" not in prepared.text
    assert prepared.lock
    assert [one.before for one in prepared.changes if one.kind == "other system"][1] == "win-only=1.0=h1_0"
    keep(settings, prepared)
    assert prepare(settings, "2.36").text == prepared.text


def test_a_silent_channel_leaves_it_unlocked_and_is_named(server: Server, settings: Settings) -> None:
    change(settings, "  - lab\n", "  - lab\n  - http://127.0.0.1:1/forge\n")

    prepared = prepare(settings, "2.36")

    assert prepared.lock is None
    assert (prepared.problems, [*prepared.unreachable]) == ((), ["http://127.0.0.1:1/forge"])
    require_solved(prepared)


def test_a_channel_that_is_not_there_is_a_problem(server: Server, settings: Settings) -> None:
    change(settings, "  - lab\n", "  - lab\n  - nobody\n")
    [problem] = prepare(settings, "2.36").problems
    assert problem.what == f"there is no channel at {server.address}/nobody"


def test_an_address_with_a_password_is_never_locked(server: Server, settings: Settings) -> None:
    with_password = server.address.replace("://", "://ada:secret@")
    change(settings, "  - lab\n", f"  - {with_password}/lab\n")
    prepared = prepare(settings, "2.36")
    assert (prepared.lock, prepared.problems) == (None, ())


def test_channels_by_name_are_found_as_conda_is_configured(
    server: Server, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONDA_CHANNEL_ALIAS")
    (tmp_path / "condarc").write_text(f"channel_alias: {server.address}\n")
    monkeypatch.setenv("CONDARC", str(tmp_path / "condarc"))
    monkeypatch.setenv("CONDA_CHANNELS", "lab")
    change(settings, "  - lab\n", "  - conda-forge\n")
    assert prepare(settings, "2.36").lock


def test_behind_a_proxy_channels_and_indexes_are_reached_through_it(
    server: Server, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but the proxy knows these hosts; the index is that of pip's configuration."""
    add_pip(settings)
    for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", "http://channels.test/")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://index.test/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setattr(solving, "pip_configuration", pip_configuration)
    server.asked.clear()

    prepared = prepare(settings, "2.36")

    assert (prepared.problems, dict(prepared.unreachable)) == ((), {})
    assert prepared.lock
    assert all(one["url"].startswith("http://channels.test/lab/") for one in prepared.lock.conda)
    assert "http://index.test/simple/bokeh/" in server.asked
    assert vanished(prepared.lock, None) == []


def test_behind_a_proxy_that_is_silent_all_is_named(
    server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_pip(settings)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("CONDA_CHANNEL_ALIAS", "http://channels.test")
    monkeypatch.setattr(solving, "pip_configuration", lambda _: {"UV_INDEX_URL": "http://index.test/simple"})

    prepared = prepare(settings, "2.36")

    assert {*prepared.unreachable} == {
        *("http://channels.test/lab", "http://channels.test/conda-forge", "http://index.test/simple")
    }
    assert (prepared.lock, prepared.problems, prepared.channels_answer) == (None, (), False)
