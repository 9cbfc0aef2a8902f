"""What a stranger's web page, or a neighbour on the network, gets from a running paper: nothing."""

import http.client
import subprocess

import pytest

from tests.end_to_end.paper import Paper

pytestmark = pytest.mark.end_to_end


def status(paper: Paper, host: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", paper.settings.hub_port, timeout=20)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in {"Host": host, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse().status


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", ""])
@pytest.mark.parametrize("path", ["/login", "/api", "/lab", "/api/terminals", "/terminals/websocket/1"])
def test_a_name_that_was_pointed_here_gets_nowhere(paper: Paper, host: str, path: str) -> None:
    assert status(paper, f"{host}:{paper.settings.hub_port}", path) == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.168.1.5"])
def test_this_machine_is_let_in_by_its_own_name_and_by_digits(paper: Paper, host: str) -> None:
    assert status(paper, f"{host}:{paper.settings.hub_port}", "/login") == 200


def test_the_papers_id_is_no_password_for_others(paper: Paper) -> None:
    open_to_all = {"BIND_ADDRESS": "0.0.0.0", "JUPYTER_SERVER_APP_PASSWORD": paper.settings.paper_id}

    said = paper.invoke("build", status=1, **open_to_all)

    assert "opens the ports to others" in said


@pytest.mark.parametrize("service", ["db", "hub"])
def test_containers_themselves_refuse_the_papers_id_where_others_get_in(paper: Paper, service: str) -> None:
    name = {"db": paper.settings.db_image_name, "hub": paper.settings.hub_image_name}[service]
    known = {
        "PAPER_ID": paper.settings.paper_id,
        "BIND_ADDRESS": "0.0.0.0",
        "MYSQL_ROOT_PASSWORD": paper.settings.paper_id,
        "JUPYTER_SERVER_APP_PASSWORD": paper.settings.paper_id,
        **{"DJ_HOST": "db", "DJ_PORT": "3306", "DJ_USER": "root", "DJ_PASS": "x"},
    }
    options = [part for item in known.items() for part in ("--env", "=".join(item))]
    command = ["docker", "run", "--rm", "--network", "none", *options, f"{name}:latest"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1
    assert "to others, and its password is the paper's ID" in done.stderr
