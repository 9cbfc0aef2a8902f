"""Somebody who follows a guide: types each command that it shows, in its order, at a terminal."""

import re
import shlex
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pexpect

from tests.guides import NOT_RUN, commands

CTRL_C = "\x03"
PROMPT = r"[$#] "
IS_UP = "JupyterLab.*http://localhost"
# What is typed while a command runs: what it shows before, and the answer.
TYPED: dict[str, Sequence[tuple[str, str]]] = {
    "invoke dump --host db.lab.org --user ada": [("assword.*:", "of-the-lab\n")],
    "invoke logs --service hub --follow": [(IS_UP, CTRL_C)],
    "invoke enter": [(PROMPT, "python -c 'import datajoint'\nexit\n")],
    "invoke enter --service db": [("mysql> ", "SHOW DATABASES;\nexit\n")],
    "invoke clean --superseded": [("for good|no volume", "y\n")],
    "invoke clean": [("for good", "y\n")],
    "docker compose up": [(IS_UP, CTRL_C)],
    "docker compose --file docker-compose-collab.yml up": [(IS_UP, CTRL_C)],
    "docker compose exec hub bash": [(PROMPT, "exit\n")],
    "docker compose exec db mysql -uroot -p": [("Enter password: ", "Gu2026\n"), ("mysql> ", "exit\n")],
    "docker volume prune --all --filter label=com.docker.compose.project=reader-spyglass-gu2026": [("N] ", "y\n")],
    "docker image prune --all --filter label=spyglass-export.paper=Gu2026": [("N] ", "y\n")],
    "docker exec --interactive --tty earlier mysql --user=root --password": [
        ("Enter password: ", "Gu2026\n"),
        ("mysql> ", "SELECT COUNT(*) FROM common_session._session;\nexit\n"),
    ],
    "mysql --host 127.0.0.1 --port 20001 --user root --password": [
        ("Enter password: ", "Gu2026\n"),
        ("mysql> ", "exit\n"),
    ],
    "invoke merge --host db.example.org --user ada --plan": [("assword.*:", "of-the-lab\n")],
    "invoke merge --host db.example.org --user ada": [("assword.*:", "of-the-lab\n"), ("N] ", "y\n")],
    "invoke unmerge merge.json --host db.example.org --user ada": [("assword.*:", "of-the-lab\n"), ("N] ", "y\n")],
    "bash apptainer/paper.sh": [("password:", CTRL_C)],
    "jupyterhub --config /srv/papers/Gu2026/jupyterhub/jupyterhub_config.py": [("is now running at", CTRL_C)],
}


class Terminal:
    """A shell: the folder and the variables that a command leaves are those of the next one.

    ``into`` is put before each command where they run on another machine, and leave nothing here. All that it shows is
    kept in a file beside the folder, with the seconds that each command took.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], into: str = "") -> None:
        self.environment, self.into = dict(environment), into
        # Outside the folder, which `cd` may leave and a guide may remove.
        self.state = folder.with_name(f"{folder.name}.state.sh")
        folder.mkdir(parents=True, exist_ok=True)
        self.enter(folder)

    def enter(self, folder: Path) -> None:
        """Have the next command run in another folder; what was activated stays so."""
        with self.state.open("a", encoding="utf-8") as state:
            state.write(f"\ncd {shlex.quote(str(folder))}\n")

    def run(self, command: str, typed: Sequence[tuple[str, str]] = ()) -> str:
        """Run a command, see that it ends well unless it ends by Ctrl-C, and give what was shown."""
        started = time.monotonic()
        line = f"{self.into} bash -c {shlex.quote(command)}" if self.into else command
        state, script = shlex.quote(str(self.state)), self.state.with_suffix(".command.sh")
        keep = f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {state}"
        script.write_text(f". {state}\n{line}\nstatus=$?\n{keep}\nexit $status\n", encoding="utf-8")
        child = pexpect.spawn(
            "bash", [str(script)], env=self.environment, encoding="utf-8", timeout=600, dimensions=(50, 200)
        )
        shown = ""
        try:
            for pattern, answer in typed:
                child.expect(pattern, timeout=90)
                shown += child.before + child.after
                if answer == CTRL_C:
                    time.sleep(1)  # as a person would; JupyterHub says that it runs just before it heeds a signal
                child.send(answer)
            child.expect(pexpect.EOF)
        except (pexpect.EOF, pexpect.TIMEOUT) as error:
            raise AssertionError(f"{command}\n{shown}{child.before}") from error
        finally:
            child.close(force=True)
        shown = re.sub(r"\x1b\[[?\d;]*[A-Za-z]|\r(?!\n)", "", f"{shown}{child.before}")
        with self.state.with_suffix(".log").open("a", encoding="utf-8") as log:
            log.write(f"$ {command}\n{shown}[{time.monotonic() - started:.1f} s]\n")
        is_stopped = any(answer == CTRL_C for _, answer in typed)
        assert is_stopped or child.exitstatus == 0, f"{command}: {child.exitstatus}\n{shown}"
        assert "Traceback" not in shown, f"{command}\n{shown}"
        return shown


@dataclass
class Walk:
    """A guide, or a part of it, and the terminal where it is followed.

    ``places`` says what stands here for the names that the guide makes up; ``done`` are commands that another guide
    has run, in the same folder and with nothing changed since.
    """

    guide: str
    terminal: Terminal
    places: Mapping[str, str] = field(default_factory=dict)
    heading: str = ""
    done: Container[str] = ()

    def __post_init__(self) -> None:
        self.left: Iterator[str] = commands(self.guide, self.heading)

    def until(self, last: str, says: str = "") -> None:
        """Run the commands up to this one, as the guide shows it, and see what that one says."""
        for command in self.left:
            shown = self._run(command)
            if command == last:
                assert says in shown, f"{command} does not say {says!r}:\n{shown}"
                return
        raise AssertionError(f"{self.guide} does not show {last}, or not in this order")

    def to_the_end(self, says: str = "") -> None:
        """Run all that is left, and see what the last command says."""
        shown = [self._run(command) for command in self.left][-1]
        assert says in shown, shown

    def _run(self, command: str) -> str:
        if command in NOT_RUN or command in self.done:
            return ""
        typed = TYPED.get(command, ())
        for name, place in self.places.items():
            command = command.replace(name, place)
        return self.terminal.run(command, typed)
