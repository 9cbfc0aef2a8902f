"""No guide names a command that no test runs, or that nothing is said about here."""

from tests.guides import GUIDES, NOT_RUN, PROGRAMS, commands, mentions

# Named in passing: why no guide tells to run it, or which test runs it.
IN_PASSING = {
    "docker compose": "the program",
    "docker compose down --volumes": "a warning",
    "docker inspect": "a warning",
    "docker load": "with a file in other guides",
    "docker load --input images.tar.zst": "with its path in the reader's guide",
    "docker builder prune --all": "removes what every user of the machine has cached",
    "docker image prune": "removes what every user of the machine has left",
    "docker image rm NAME": "the tests' own, at their end",
    "docker volume prune --all": "a warning",
    "helm upgrade": "asks for a cluster",
    "invoke --debug COMMAND": "tests/unit/cli",
    "invoke --list": "tests/unit/publishing/test_bundle.py",
    "invoke dump": "with its options in the same guide",
    "invoke run --from FOLDER": "with its path in other guides, and in tests/end_to_end/test_podman.py",
    "loginctl enable-linger ada": "changes the accounts of the machine",
    "pip install": "tests/end_to_end/test_commands.py",
    "podman compose": "not needed",
    "podman play kube": "with its file in the same guide",
    "ssh -L 20000:localhost:20000 SERVER": "asks for a second machine",
    "ssh -L 8888:localhost:8888 SERVER": "asks for a second machine",
    "usermod --append --groups docker ada": "changes the accounts of the machine",
}


def test_every_command_that_a_guide_names_is_run_or_accounted_for() -> None:
    run = {command for guide in GUIDES for command in commands(guide)}
    named = {command for guide in GUIDES for command in mentions(guide)}

    assert sorted(named - run) == sorted(IN_PASSING)


def test_a_test_runs_each_part_of_the_guide_on_other_engines() -> None:
    headings = ("On a cluster, with Apptainer and Slurm", "On a JupyterHub", "On Kubernetes", "With Podman")
    guide = "docs/elsewhere.md"

    assert [one for heading in headings for one in commands(guide, heading)] == list(commands(guide))
    assert set(commands(guide, "On Kubernetes")) <= NOT_RUN.keys()


def test_what_is_not_run_is_still_shown() -> None:
    shown = {command for guide in GUIDES for command in commands(guide)}

    assert set(NOT_RUN) <= shown
    assert not {command.split()[0] for command in shown} - PROGRAMS
