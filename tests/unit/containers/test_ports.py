"""Ports that are chosen for the user, as on a server with several papers."""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_export.containers import ports
from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings, load


@pytest.fixture(autouse=True)
def own_first_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process of tests looks among ports of its own, so that none takes what another has just found free."""
    first = 10_000 + os.getpid() % 200 * 100
    monkeypatch.setattr(ports, "FIRST", {"hub_port": first, "db_port": first + 50})


def settings_of(folder: Path, paper_id: str = "a", port: str = "auto") -> Settings:
    (folder / ".env").write_text(f"PAPER_ID={paper_id}\nHUB_PORT={port}\nDB_PORT={port}\n", encoding="utf-8")
    return load(folder, {})


def test_auto_finds_two_free_ports(tmp_path: Path) -> None:
    settings = ports.settle(settings_of(tmp_path))

    for port in (settings.hub_port, settings.db_port):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    assert settings.hub_port >= ports.FIRST["hub_port"]
    assert str(settings.hub_port) in settings.url


def test_a_paper_keeps_its_port_also_while_it_is_in_use(tmp_path: Path) -> None:
    first = ports.settle(settings_of(tmp_path))
    with socket.socket() as hub:
        hub.bind(("127.0.0.1", first.hub_port))
        hub.listen()

        again = ports.settle(settings_of(tmp_path))
        other_paper = ports.settle(settings_of(tmp_path, "b"))

    assert (again.hub_port, again.db_port) == (first.hub_port, first.db_port)
    assert other_paper.hub_port != first.hub_port


def test_another_paper_of_the_same_folder_gets_others_though_nothing_runs(tmp_path: Path) -> None:
    first, second = (ports.settle(settings_of(tmp_path, paper_id)) for paper_id in ("a", "b"))

    assert len({first.hub_port, first.db_port, second.hub_port, second.db_port}) == 4


@pytest.mark.parametrize("damaged", ["", "{", "5", '{"a": 5}', '{"a": {"hub_port": "x"}}'])
def test_ports_that_cannot_be_read_are_chosen_anew(tmp_path: Path, damaged: str) -> None:
    (tmp_path / ports.KEPT).write_text(damaged)

    assert ports.settle(settings_of(tmp_path)).hub_port >= ports.FIRST["hub_port"]


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    ports.settle(settings_of(tmp_path), dry=True)

    assert not (tmp_path / ports.KEPT).exists()


def test_a_port_that_was_given_stays(tmp_path: Path) -> None:
    settings = replace(settings_of(tmp_path), hub_port=12345)

    assert ports.settle(settings).hub_port == 12345


@pytest.mark.parametrize(
    ("holder", "says", "mends"),
    [
        ("spyglass-a", "this paper's other containers", "`invoke down`"),
        ("spyglass-b", "another program", "set HUB_PORT="),
    ],
)
def test_a_reader_is_told_when_the_authors_containers_hold_the_port(
    tmp_path: Path, holder: str, says: str, mends: str
) -> None:
    settings = ports.settle(settings_of(tmp_path))
    program = (
        f"import sys; line = ['hub', '1', 'running', '', '127.0.0.1:{settings.hub_port}->8888/tcp', '/']\n"
        f"if sys.argv[4].endswith('={holder}'): print('\t'.join(line))"
    )
    docker = Docker((sys.executable, "-c", program), tmp_path, project="reader-spyglass-a")
    with socket.create_server(("127.0.0.1", settings.hub_port)):
        problem = ports.port_problems(settings, docker)["HUB_PORT"]

    assert f"port {settings.hub_port} (HUB_PORT) is in use by {says}" in problem.what
    assert mends in problem.hint


def test_windows_is_asked_to_tell_of_a_port_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a second program may bind a port that is in use, unless the option is set; another stands for it here."""
    asked: list[int] = []

    class Probe(socket.socket):
        def setsockopt(self, *arguments: int) -> None:  # type: ignore[override]
            asked.append(arguments[1])

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    monkeypatch.setattr(socket, "socket", Probe)

    ports.settle(settings_of(tmp_path))

    assert set(asked) == {-5}
