"""The pip part, solved against what conda brings; contradictions are told with their lines and what fits."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from spyglass_export.environment.parts import PipPart
from spyglass_export.environment.pip_part import pip_configuration, solve
from tests.unit.environment.packages import Server, served, write_wheel


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    simple = folder / "simple"
    write_wheel(simple, "tornado", "6.1")
    write_wheel(simple, "tornado", "6.4")
    write_wheel(simple, "bokeh", "3.9.1", "tornado>=6.2")
    write_wheel(simple, "numpy", "1.26.4", python=">=3.9")
    write_wheel(simple, "numpy", "2.3.1", python=">=3.11")
    write_wheel(simple, "pandas", "2.0", "numpy>=1.25", "python-dateutil>=2.8")
    write_wheel(simple, "python-dateutil", "2.9.0.post0")
    write_wheel(simple, "pywin32", "306", tag="cp310-cp310-win_amd64")
    with served(folder) as server:
        yield server


def solved(
    index: Server, lines: Sequence[str], brought: Mapping[str, str] | None = None, named: Sequence[str] = ()
) -> PipPart:
    pip = {"UV_INDEX_URL": f"{index.address}/simple"}
    return solve(lines, brought or {}, named, python="3.10.6", glibc="2.39", pip=pip)


def picked(part: PipPart) -> list[str]:
    assert part.problems == []
    return [package["requirement"] for package in part.packages]


def test_what_goes_together_is_picked_with_hashes(index: Server) -> None:
    part = solved(index, ["bokeh"])
    assert picked(part) == ["bokeh==3.9.1", "tornado==6.4"]
    assert all(len(digest) == 64 for package in part.packages for digest in package["sha256"])


def test_what_conda_brings_stays_and_is_not_installed_again(index: Server) -> None:
    brought = {"numpy": "1.26.0", "python-dateutil": "2.9.0", "openssl": "1.1.1w", "_libgcc_mutex": "0.1"}
    assert picked(solved(index, ["pandas"], brought, ["numpy"])) == ["pandas==2.0"]


def test_a_line_of_conda_that_pip_contradicts_is_told(index: Server) -> None:
    [problem] = solved(index, ["pandas", "bokeh"], {"numpy": "1.21.0"}, ["numpy"]).problems
    assert problem.what.startswith("'pandas' and conda's numpy==1.21.0 contradict each other: ")
    assert problem.advice == "leave it out: ENV_EXCLUDE=pandas"


def test_what_only_came_along_with_conda_may_be_replaced(index: Server) -> None:
    part = solved(index, ["pandas"], {"numpy": "1.21.0"})
    assert "numpy==1.26.4" in picked(part)
    assert part.notes == ["pip replaces conda's numpy 1.21.0"]


def test_a_pin_of_pip_replaces_a_package_of_conda(index: Server) -> None:
    assert picked(solved(index, ["numpy==1.26.4"], {"numpy": "1.21.0"}, ["numpy"])) == ["numpy==1.26.4"]


def test_all_contradictions_are_told_each_with_what_fits(index: Server) -> None:
    part = solved(index, ["numpy==2.3.1", "bokeh==3.9.1", "tornado==6.1", "nothing==1.0", "pywin32==306"])
    problems = {problem.lines: problem for problem in part.problems}
    assert set(problems) == {
        ("numpy==2.3.1",),
        ("bokeh==3.9.1", "tornado==6.1"),
        ("nothing==1.0",),
        ("pywin32==306",),
    }
    assert problems["numpy==2.3.1",].what.startswith("'numpy==2.3.1' and Python 3.10.6 contradict each other: ")
    assert "write `numpy==1.26.4`" in problems["numpy==2.3.1",].advice
    assert "write `tornado==6.4`" in problems["bokeh==3.9.1", "tornado==6.1"].advice
    assert "no wheels with a matching platform tag" in problems["pywin32==306",].what
    assert not any("\n" in problem.what or "conclude that your" in problem.what for problem in part.problems)


def test_an_index_that_is_silent_is_named_without_its_password(index: Server) -> None:
    part = solved(index, ["--extra-index-url http://ada:secret@127.0.0.1:1/simple", "bokeh"])
    assert [*part.unreachable] == ["http://127.0.0.1:1/simple"]
    assert picked(part) == ["bokeh==3.9.1", "tornado==6.4"]


def test_where_pips_own_index_is_silent_nothing_is_told_of_the_packages() -> None:
    pip = {"UV_INDEX_URL": "http://127.0.0.1:1/simple"}
    part = solve(["bokeh"], {}, [], python="3.10", glibc="2.35", pip=pip)
    assert (part.packages, part.problems, [*part.unreachable]) == ([], [], ["http://127.0.0.1:1/simple"])


def test_where_none_is_configured_and_pips_usual_index_is_silent_it_is_named_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    part = solve(["nothing-of-ours", "neither"], {}, [], python="3.10", glibc="2.35", pip={})
    assert (part.packages, part.problems, [*part.unreachable.values()]) == ([], [], ["it does not answer"])


def test_a_repository_out_of_reach_is_named_and_the_rest_is_solved(index: Server) -> None:
    part = solved(index, ["tool @ git+http://127.0.0.1:1/lab/tool@abc", "bokeh", "tornado==6.1"])
    assert [*part.unreachable] == ["http://127.0.0.1:1"]
    assert [problem.lines for problem in part.problems] == [("bokeh", "tornado==6.1")]


def test_pip_says_where_it_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://mirror.test/simple\ncert = /etc/ours.pem\ntrusted-host = mirror.test\n"
        "[install]\nfind-links = /wheels /more\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    for name in ("PIP_INDEX_URL", "PIP_CERT", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.test/simple https://b.test/simple")

    assert pip_configuration() == {
        "UV_INDEX_URL": "https://mirror.test/simple",
        "UV_EXTRA_INDEX_URL": "https://a.test/simple https://b.test/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INSECURE_HOST": "mirror.test",
        "SSL_CERT_FILE": "/etc/ours.pem",
    }


def test_it_is_looked_for_in_all_places_that_pip_names(index: Server, tmp_path: Path) -> None:
    write_wheel(tmp_path, "ours", "1.0")
    write_wheel(tmp_path, "theirs", "2.0")
    pip = {
        "UV_INDEX_URL": f"{index.address}/none",
        "UV_EXTRA_INDEX_URL": f"{index.address}/nothing {index.address}/simple",
        "UV_FIND_LINKS": f"{tmp_path / 'ours'},{tmp_path / 'theirs'}",
    }
    brought = {"numpy": "1.26.0", "python-dateutil": "2.9.0"}
    part = solve(["pandas", "ours", "theirs"], brought, [], python="3.10", glibc="2.39", pip=pip)
    assert picked(part) == ["ours==1.0", "pandas==2.0", "theirs==2.0"]
