"""What Docker Compose itself reads out of a line of `.env`, beside what `invoke` does."""

import json
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from spyglass_export.env_values import as_written, is_read_alike

WRITTEN = [
    *(r"a$b", r"a$$b", r"a$", r"a$1", r"a${HOME}b", r"a${NOPE:-d}b", r"a${NOPE-d}b", r"a\b", r"a\\b", r"$(id)", "a#b"),
    *(r"'a$b'", r"'a${HOME}b'", r"'a\\b'", r"'a\b'", r"'a\'b'", r"'\\server\share'", r"\\server\share", "{a}"),
    *('"a$b"', r'"a\$b"', r'"a\"b"', '"a\\\'b"', r'"a\0b"', r'"a\nb"', 'a"b', "a'b", '"$(id)"', '"a${HOME}b"'),
]
VALUES = ["two words", "a #b", "pa$word", "pa$$word", "it's", 'S3cr"et\\1', "$(id)", "C:\\data", "é"]


@pytest.mark.integration
def test_compose_reads_what_is_called_alike_as_invoke_does(tmp_path: Path) -> None:
    lines = WRITTEN + [as_written("V", value) for value in VALUES]
    for number, written in enumerate(lines):
        (tmp_path / ".env").write_text(f"V={written}\n", encoding="utf-8")
        if number == 0:
            compose = {"services": {"x": {"image": "y", "environment": {"V": "${V}"}}}}
            (tmp_path / "docker-compose.yml").write_text(json.dumps(compose))
        done = subprocess.run(
            ["docker", "compose", "config", "--format", "json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        theirs = json.loads(done.stdout)["services"]["x"]["environment"]["V"].replace("$$", "$")
        same = theirs == dotenv_values(tmp_path / ".env")["V"]
        assert same or not is_read_alike(written), written
