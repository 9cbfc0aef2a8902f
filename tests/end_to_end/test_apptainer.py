"""The archive on a node of a cluster, by users with no rights: Apptainer, and jobs of Slurm."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings
from tests.end_to_end.walk import Terminal, Walk

pytestmark = pytest.mark.end_to_end

IMAGE = "sgx-cluster"
HERE = Path(__file__).parent


class Node:
    """A container that is a node of a cluster; it has the archive, converted once by ada, in /share."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, user: str, line: str, *, status: int = 0) -> str:
        """Run a line of bash as a user, see how it ends and give what it printed."""
        command = ["docker", "exec", "--user", user, f"--env=HOME=/home/{user}", self.name]
        done = subprocess.run([*command, "bash", "-c", f"{line} 2>&1"], stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == status, done.stdout
        return done.stdout

    def wait(self, user: str, line: str, seconds: int = 180) -> None:
        """Wait until a line of bash ends with status 0."""
        command = ["docker", "exec", "--user", user, f"--env=HOME=/home/{user}", self.name, "bash", "-c", line]
        for _ in range(seconds * 2):
            if subprocess.run(command, capture_output=True).returncode == 0:
                return
            time.sleep(0.5)
        pytest.fail(f"{line}\n{self.run(user, 'squeue; cat ~/*.log')}")

    def submit(self, user: str, options: str = "") -> str:
        """Submit the paper as a job, wait until it runs and give the job's number."""
        self.run(user, "rm -f ~/job.log")
        said = self.run(user, f"sbatch --output=$HOME/job.log --mem=1500 {options} apptainer/paper.sbatch")
        self.wait(user, "grep -q password: ~/job.log")
        return said.split()[-1]

    def ended_cleanly(self, user: str) -> None:
        """See that a job is over, and the database was shut down and not killed."""
        self.wait(user, 'test -z "$(squeue --noheader --me)"')
        assert "Shutdown complete" in self.run(user, "tail -n 2 ~/spyglass-papers/Gu-2026/db-*.log")
        # As root, so that this line is not among the processes of the user.
        assert not self.run("root", f"ps -u {user} -o args= | grep -E 'mysqld|jupyter|squashfuse' || true")
        assert not self.run(
            user, "ls ~/spyglass-papers/Gu-2026/running; find /tmp -maxdepth 1 -name 'paper-*' -user $(id -u)"
        )


@pytest.fixture(scope="module")
def node(settings: Settings, docker_engine: Docker, archived: Path) -> Iterator[Node]:
    """A node where the archive was unpacked and converted."""
    debian = "spyglass-export/debian:trixie"
    if not docker_engine.succeeds("image", "inspect", debian):
        debian = "debian:trixie"
    docker_engine.ask(
        "build",
        "--tag",
        IMAGE,
        f"--build-arg=DEBIAN_IMAGE={debian}",
        "--file",
        str(HERE / "cluster.Dockerfile"),
        str(HERE),
    )
    name = f"sgx-cluster-{os.getpid()}"
    options = ("--privileged", "--hostname=node1", f"--volume={archived}:/archive:ro")
    docker_engine.ask("run", "--detach", f"--name={name}", *options, IMAGE)
    made = Node(name)
    try:
        made.run("root", "cp -r /archive/. /share && chown -R ada /share")
        made.wait("root", "sinfo --noheader | grep -q idle")
        printed = made.run("ada", "bash apptainer/paper.sh convert")
        assert printed.endswith("the images are ready in /share/apptainer\n")
        yield made
    finally:
        docker_engine.succeeds("rm", "--force", "--volumes", name)


def test_the_notebooks_pass_as_a_user_with_no_rights(node: Node) -> None:
    printed = node.run("bob", "bash apptainer/paper.sh test")

    assert "example.ipynb  passed" in printed
    assert "1 of 1 notebooks pass" in printed
    assert node.run("ada", "bash apptainer/paper.sh convert") == "the images are ready in /share/apptainer\n"


def test_the_guides_commands_in_their_order(node: Node, tmp_path: Path) -> None:
    into = f"docker exec --interactive --tty --user ada --env HOME=/home/ada --workdir /share {node.name}"
    places = {"sbatch ": "sbatch --output=$HOME/job.log --mem=1500 "}  # the node has less memory than most
    heading = "On a cluster, with Apptainer and Slurm"
    walk = Walk("docs/elsewhere.md", Terminal(tmp_path / "cluster", os.environ, into), places, heading)

    walk.until("bash apptainer/paper.sh")
    node.ended_cleanly("ada")
    node.run("ada", "rm -f ~/job.log")
    walk.until("sbatch apptainer/paper.sbatch")
    node.wait("ada", "grep -q password: ~/job.log")
    walk.until("bash apptainer/paper.sh status", "ssh -L ")
    walk.until("bash apptainer/paper.sh test", "1 of 1 notebooks pass")
    walk.to_the_end()
    node.ended_cleanly("ada")


def test_two_users_run_it_at_once_and_nobody_else_reaches_it(node: Node) -> None:
    jobs = {user: node.submit(user) for user in ("ada", "bob")}
    said = {user: node.run(user, "bash apptainer/paper.sh status") for user in jobs}
    for user, job in jobs.items():
        line = said[user]
        password, port = line.split("password: ")[1].split()[0], line.split("localhost:")[1].split("/")[0]
        assert f"(job {job})" in line
        assert f"ssh -L {port}:localhost:{port} {user}@node1" in line
        assert password not in node.run(user, "cat ~/job.log; ps -eo args")
        assert node.run(user, "stat -c %a ~/spyglass-papers/Gu-2026/running/node1") == "600\n"
        listening = node.run("root", "ss -ltnp | grep -E 'mysqld|jupyter'")
        assert listening.count("127.0.0.1:") == len(listening.splitlines()) == 4
        query = "python -c 'import datajoint as dj; print(dj.list_schemas())'"
        assert "common_session" in node.run(user, f'echo "{query}" | bash apptainer/paper.sh enter')
    assert said["ada"] != said["bob"]
    # A second one by the same user, in a folder of its own.
    second = "PAPER_STATE=~/second bash apptainer/paper.sh"
    node.run("bob", f"{second.replace('bash', 'setsid bash')} start >~/second.log 2>&1 </dev/null & true")
    node.wait("bob", "grep -q password: ~/second.log")
    assert node.run("bob", f"{second} status").split("localhost:")[1] != said["bob"].split("localhost:")[1]
    assert "stopped" in node.run("bob", f"{second} stop")
    assert "(job " in node.run("bob", "bash apptainer/paper.sh status")
    node.run("ada", f"scancel {jobs['ada']}")
    node.ended_cleanly("ada")
    assert "it does not run" in node.run("ada", "bash apptainer/paper.sh stop", status=1)
    node.run("bob", "bash apptainer/paper.sh stop")
    node.ended_cleanly("bob")


def test_the_end_of_a_jobs_time_shuts_the_database_down(node: Node) -> None:
    node.submit("ada", "--time=00:02:00")
    node.ended_cleanly("ada")


def test_ctrl_c_shuts_the_database_down_and_rows_are_kept(node: Node) -> None:
    insert = "create database mine; create table mine.t (n int); insert into mine.t values (42)"
    ask = "python -c 'import datajoint as dj; print(dj.conn().query(\\\"{}\\\").fetchall())'"
    start = "cd /share; setsid bash apptainer/paper.sh start >~/job.log 2>&1 </dev/null & echo $! >~/pid"
    for statements in (insert.split("; "), ["select n from mine.t"]):
        node.run("bob", "rm -f ~/job.log")
        node.run("bob", start)
        node.wait("bob", "grep -q password: ~/job.log")
        assert "the paper runs already on this machine" in node.run("bob", "bash apptainer/paper.sh", status=1)
        for statement in statements:
            found = node.run("bob", f'echo "{ask.format(statement)}" | bash apptainer/paper.sh enter')
        # Slurm's `scancel` signals it more than once, too.
        node.run("bob", "for i in {1..20}; do kill -TERM $(cat ~/pid); done")
        node.wait("bob", "! kill -0 $(cat ~/pid)")
        node.ended_cleanly("bob")
    assert "((42,),)" in found


def test_without_fuse_the_image_is_a_folder(node: Node) -> None:
    node.run("root", "chmod 600 /dev/fuse")
    try:
        printed = node.run("ada", "bash apptainer/paper.sh test")
        assert "converting to /share/apptainer/hub-" in printed
        assert "1 of 1 notebooks pass" in printed
    finally:
        node.run("root", "chmod 666 /dev/fuse; rm -rf $(find /share/apptainer -maxdepth 1 -name 'hub-*' -type d)")
